// SPDX-License-Identifier: BSD-3-Clause
// Guest addresses at every edge of RAM, what a shared memory file allows, files that end early.
// test-sources: src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem/guest_mem.h"
#include "util/fd.h"

enum { PAGE = 4096 };

/* Two neighbours, then a hole up to the third. */
static const struct gmem_range ranges[] = {
	{ .base_gpa = MIB(1), .size_bytes = 16 * PAGE },
	{ .base_gpa = MIB(1) + 16 * PAGE, .size_bytes = 4 * PAGE },
	{ .base_gpa = GIB(4), .size_bytes = 8 * PAGE },
};

static const gpa_t bottom = MIB(1), seam = MIB(1) + 16 * PAGE, hole = MIB(1) + 20 * PAGE,
		   high = GIB(4), top = GIB(4) + 8 * PAGE;

static int setup_backing(void **state, enum gmem_backing backing)
{
	struct gmem *mem = calloc(1, sizeof(*mem));
	struct err e = { 0 };

	assert_int_equal(gmem_create(mem, backing, ranges, ARRAY_SIZE(ranges), &e), 0);
	*state = mem;
	return 0;
}

static int setup_private(void **state)
{
	return setup_backing(state, GMEM_PRIVATE);
}

static int setup_shared(void **state)
{
	return setup_backing(state, GMEM_SHARED);
}

static int teardown(void **state)
{
	gmem_destroy(*state);
	free(*state);
	return 0;
}

/* --- From address to pointer ------------------------------------------------------------------ */

static void addresses_inside_a_region_are_offsets_into_it(void **state)
{
	struct gmem *mem = *state;

	for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct gmem_region *region = &mem->regions[i];
		gpa_t base = ranges[i].base_gpa;
		u64 size = ranges[i].size_bytes;

		assert_ptr_equal(gmem_ptr(mem, base, 1), region->host);
		assert_ptr_equal(gmem_ptr(mem, base, size), region->host);
		assert_ptr_equal(gmem_ptr(mem, base + size - 1, 1), region->host + size - 1);
		assert_ptr_equal(gmem_ptr(mem, base + PAGE + 3, size - PAGE - 3),
				 region->host + PAGE + 3);
	}
	assert_int_equal(gmem_size(mem), 28 * PAGE);
}

static void ranges_that_leave_their_region_are_refused(void **state)
{
	const struct {
		gpa_t gpa;
		u64 len;
	} bad[] = {
		{ bottom - 1, 1 },
		{ bottom - 1, 2 },
		{ 0, 1 },
		{ bottom, 16 * PAGE + 1 }, /* over the seam of two regions */
		{ seam - 1, 2 },
		{ bottom, 20 * PAGE },
		{ hole - 1, 2 },
		{ hole, 1 },
		{ bottom, high - bottom + 1 }, /* over the hole */
		{ high - 1, 1 },
		{ high - 1, 2 },
		{ top - 1, 2 },
		{ top, 1 },
		{ high, 8 * PAGE + 1 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(gmem_ptr(*state, bad[i].gpa, bad[i].len));
}

static void ranges_that_wrap_are_refused(void **state)
{
	const struct {
		gpa_t gpa;
		u64 len;
	} bad[] = {
		{ UINT64_MAX, 1 },          { UINT64_MAX, 2 },
		{ UINT64_MAX, UINT64_MAX }, { bottom, UINT64_MAX },
		{ bottom, 0 - bottom },     { bottom + 1, UINT64_MAX - bottom + 1 },
		{ top - 1, UINT64_MAX },    { 0 - (u64)PAGE, bottom + 2 * PAGE },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(gmem_ptr(*state, bad[i].gpa, bad[i].len));
}

static void no_bytes_have_no_pointer(void **state)
{
	struct gmem *mem = *state;
	u8 byte = 0x5a;

	assert_null(gmem_ptr(mem, bottom, 0));
	assert_null(gmem_ptr(mem, top, 0));
	assert_int_equal(gmem_write(mem, bottom, &byte, 0), -EFAULT);
	assert_int_equal(gmem_read(mem, bottom, &byte, 0), -EFAULT);
	assert_int_equal(byte, 0x5a);
}

static void what_is_written_is_read_back_and_the_rest_is_zero(void **state)
{
	struct gmem *mem = *state;
	char text[8] = { 0 };
	u8 after = 0xff;

	assert_int_equal(gmem_write(mem, seam - 7, "written", 7), 0);
	assert_int_equal(gmem_read(mem, seam - 7, text, 7), 0);
	assert_string_equal(text, "written");
	assert_int_equal(gmem_read(mem, seam, &after, 1), 0);
	assert_int_equal(after, 0);
}

static void a_copy_that_does_not_fit_moves_no_byte(void **state)
{
	struct gmem *mem = *state;
	char text[8] = "beyond";

	assert_int_equal(gmem_write(mem, top - 3, text, 7), -EFAULT);
	assert_int_equal(gmem_read(mem, top - 3, text, 7), -EFAULT);
	assert_string_equal(text, "beyond");
	assert_int_equal(gmem_read(mem, top - 3, text, 3), 0);
	assert_memory_equal(text, "\0\0\0", 3);
}

static void a_guest_without_memory_has_no_pointers(void **state)
{
	const struct gmem none = { .memfd = -1 };

	(void)state;
	assert_null(gmem_ptr(&none, 0, 1));
	assert_null(gmem_ptr(&none, bottom, PAGE));
	assert_int_equal(gmem_size(&none), 0);
}

/* --- Files ------------------------------------------------------------------------------------ */

static void a_file_is_loaded_from_an_offset(void **state)
{
	struct gmem *mem = *state;
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);
	char text[5] = { 0 };

	assert_int_equal(fd_write_all(fd, "0123456789", 10), 0);
	assert_int_equal(gmem_load(mem, top - 4, fd, 3, 4), 0);
	assert_int_equal(gmem_read(mem, top - 4, text, 4), 0);
	assert_string_equal(text, "3456");
}

static void a_file_that_ends_early_is_refused(void **state)
{
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(fd_write_all(fd, "0123456789", 10), 0);
	assert_int_equal(gmem_load(*state, bottom, fd, 0, 11), -ENODATA);
	assert_int_equal(gmem_load(*state, bottom, fd, 10, 1), -ENODATA);
	assert_int_equal(gmem_load(*state, bottom, fd, 1ull << 40, 1), -ENODATA);
}

static void a_file_larger_than_its_place_is_refused_before_it_is_read(void **state)
{
	struct gmem *mem = *state;
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);
	u8 byte = 0xff;

	assert_int_equal(fd_write_all(fd, "0123456789", 10), 0);
	assert_int_equal(gmem_load(mem, hole - 5, fd, 0, 10), -EFAULT);
	assert_int_equal(gmem_load(mem, bottom, fd, 0, 0), -EFAULT);
	assert_int_equal(gmem_read(mem, hole - 5, &byte, 1), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(gmem_load(mem, bottom, -1, 0, 1), -EBADF);
}

/* --- What backs it ---------------------------------------------------------------------------- */

static void shared_memory_can_neither_shrink_nor_grow(void **state)
{
	struct gmem *mem = *state;
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	assert_int_equal(fcntl(mem->memfd, F_GET_SEALS), seals);
	assert_int_equal(ftruncate(mem->memfd, PAGE), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(mem->memfd, GIB(1)), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(mem->memfd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_true(fcntl(mem->memfd, F_GETFD) & FD_CLOEXEC);
}

static void shared_memory_is_one_file_in_the_order_of_the_regions(void **state)
{
	struct gmem *mem = *state;
	u64 offset = 0;
	char byte;

	for (u32 i = 0; i < mem->nr_regions; i++) {
		char want = (char)('a' + i);

		assert_int_equal(mem->regions[i].fd_offset, offset);
		assert_int_equal(gmem_write(mem, ranges[i].base_gpa, &want, 1), 0);
		assert_int_equal(fd_pread_all(mem->memfd, &byte, 1, offset), 0);
		assert_int_equal(byte, want);
		offset += ranges[i].size_bytes;
	}
	assert_int_equal(lseek(mem->memfd, 0, SEEK_END), offset);
}

static void private_memory_has_no_file(void **state)
{
	assert_int_equal(((struct gmem *)*state)->memfd, -1);
}

static void guest_and_host_addresses_agree_within_a_huge_page(void **state)
{
	const struct gmem *mem = *state;

	for (u32 i = 0; i < mem->nr_regions; i++)
		assert_int_equal((uintptr_t)mem->regions[i].host % MIB(2),
				 mem->regions[i].base_gpa % MIB(2));
}

/* --- Memory of another process ------------------------------------------------------------------ */

/* A memory file of `pages` pages. */
static int make_file(u64 pages)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	return fd;
}

static void attached_memory_is_shared_with_its_file(void **state)
{
	cleanup_fd int fd = make_file(8);
	struct gmem mem = { .memfd = -1 };
	struct err e = { 0 };
	char text[4] = { 0 };

	(void)state;
	assert_int_equal(gmem_attach(&mem, fd, MIB(1), 2 * PAGE, 4 * PAGE, &e), 0);
	assert_int_equal(gmem_attach(&mem, fd, MIB(1) + 2 * PAGE, PAGE, 0, &e), 0);
	assert_int_equal(pwrite(fd, "ask", 3, 5 * PAGE + 1), 3);
	assert_int_equal(gmem_read(&mem, MIB(1) + PAGE + 1, text, 3), 0);
	assert_string_equal(text, "ask");
	assert_int_equal(gmem_write(&mem, MIB(1) + 2 * PAGE, "say", 3), 0);
	assert_int_equal(fd_pread_all(fd, text, 3, 0), 0);
	assert_string_equal(text, "say");
	assert_int_equal(gmem_size(&mem), 3 * PAGE);
	gmem_destroy(&mem);
	assert_int_equal(mem.nr_regions, 0);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* was borrowed */
}

static void regions_that_cannot_be_attached_are_refused_with_words(void **state)
{
	static const struct {
		u64 gpa, size_bytes, fd_offset;
		int status;
	} bad[] = {
		{ 0, 0, 0, -EINVAL },
		{ 0 - (u64)PAGE, PAGE, 0, -EINVAL }, /* ends at 2^64 */
		{ 0 - (u64)PAGE, 2 * PAGE, 0, -EINVAL },
		{ PAGE, UINT64_MAX - PAGE + 1, 0, -EINVAL },
		{ MIB(1), PAGE, 0, -EEXIST },
		{ MIB(1) - PAGE, 2 * PAGE, 0, -EEXIST },
		{ MIB(1) - PAGE, 8 * PAGE, 0, -EEXIST },
		{ MIB(1) + PAGE, PAGE, 0, -EEXIST },
		{ 1, PAGE, 0, -EINVAL },
		{ 0, PAGE - 1, 0, -EINVAL },
		{ 0, PAGE, 1, -EINVAL },
		{ 0, PAGE, 8 * PAGE, -EINVAL },
		{ 0, 9 * PAGE, 0, -EINVAL },
		{ 0, 2 * PAGE, 7 * PAGE, -EINVAL },
		{ 0, 2 * PAGE, 0 - (u64)PAGE, -EINVAL },
		{ GIB(8), 1ull << 62, 0, -EINVAL },
	};
	cleanup_fd int fd = make_file(8);
	struct gmem mem = { .memfd = -1 };

	(void)state;
	assert_int_equal(gmem_attach(&mem, fd, MIB(1), 2 * PAGE, 0, &(struct err){ 0 }), 0);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(
			gmem_attach(&mem, fd, bad[i].gpa, bad[i].size_bytes, bad[i].fd_offset, &e),
			bad[i].status);
		assert_true(e.text[0]);
		assert_int_equal(mem.nr_regions, 1);
	}
	gmem_destroy(&mem);
}

static void only_files_of_memory_are_attached(void **state)
{
	cleanup_fd int zero_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	cleanup_fd int read_only_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct gmem mem = { .memfd = -1 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(gmem_attach(&mem, zero_fd, 0, PAGE, 0, &e), -EINVAL);
	assert_int_equal(gmem_attach(&mem, read_only_fd, 0, PAGE, 0, &e), -EACCES);
	assert_int_equal(gmem_attach(&mem, -1, 0, PAGE, 0, &e), -EBADF);
	assert_int_equal(mem.nr_regions, 0);
}

static void no_more_regions_are_attached_than_there_are_places(void **state)
{
	cleanup_fd int fd = make_file(1);
	struct gmem mem = { .memfd = -1 };
	struct err e = { 0 };

	(void)state;
	for (u32 i = 0; i < GMEM_REGIONS_MAX; i++)
		assert_int_equal(gmem_attach(&mem, fd, (u64)i * PAGE, PAGE, 0, &e), 0);
	assert_int_equal(gmem_attach(&mem, fd, MIB(1), PAGE, 0, &e), -ENOSPC);
	assert_string_equal(e.text, "more than 8 memory regions");
	gmem_destroy(&mem);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void impossible_memory_is_refused_with_words_and_nothing_is_left(void **state)
{
	static const struct gmem_range too_large[] = { { 0, PAGE }, { GIB(4), 1ull << 62 } };
	struct gmem_range many[GMEM_REGIONS_MAX + 1];
	struct gmem mem;
	struct err e = { 0 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct gmem_range){ (u64)i * PAGE, PAGE };
	assert_int_equal(gmem_create(&mem, GMEM_SHARED, many, 0, &e), -EINVAL);
	assert_int_equal(gmem_create(&mem, GMEM_SHARED, many, ARRAY_SIZE(many), &e), -EINVAL);
	assert_string_equal(e.text, "9 memory regions: 1 to 8 are possible");
	assert_int_equal(gmem_create(&mem, GMEM_PRIVATE, too_large, 2, &e), -ENOMEM);
	assert_int_equal(e.code, -ENOMEM);
	assert_int_equal(mem.nr_regions, 0);
	assert_true(gmem_create(&mem, GMEM_SHARED, too_large, 2, &e) < 0);
	assert_int_equal(mem.nr_regions, 0);
	assert_int_equal(mem.memfd, -1);
}

static void as_many_regions_as_there_are_places_work(void **state)
{
	struct gmem_range many[GMEM_REGIONS_MAX];
	struct gmem mem;
	struct err e = { 0 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct gmem_range){ (u64)i * 2 * PAGE, PAGE };
	assert_int_equal(gmem_create(&mem, GMEM_SHARED, many, ARRAY_SIZE(many), &e), 0);
	assert_non_null(gmem_ptr(&mem, many[GMEM_REGIONS_MAX - 1].base_gpa, PAGE));
	assert_null(gmem_ptr(&mem, PAGE, 1));
	gmem_destroy(&mem);
	assert_int_equal(mem.memfd, -1);
	gmem_destroy(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define P(test) cmocka_unit_test_setup_teardown(test, setup_private, teardown)
#define S(test) cmocka_unit_test_setup_teardown(test, setup_shared, teardown)
		P(addresses_inside_a_region_are_offsets_into_it),
		S(addresses_inside_a_region_are_offsets_into_it),
		P(ranges_that_leave_their_region_are_refused),
		P(ranges_that_wrap_are_refused),
		P(no_bytes_have_no_pointer),
		P(what_is_written_is_read_back_and_the_rest_is_zero),
		S(what_is_written_is_read_back_and_the_rest_is_zero),
		P(a_copy_that_does_not_fit_moves_no_byte),
		cmocka_unit_test(a_guest_without_memory_has_no_pointers),
		P(a_file_is_loaded_from_an_offset),
		P(a_file_that_ends_early_is_refused),
		P(a_file_larger_than_its_place_is_refused_before_it_is_read),
		S(shared_memory_can_neither_shrink_nor_grow),
		S(shared_memory_is_one_file_in_the_order_of_the_regions),
		P(private_memory_has_no_file),
		P(guest_and_host_addresses_agree_within_a_huge_page),
		S(guest_and_host_addresses_agree_within_a_huge_page),
		cmocka_unit_test(attached_memory_is_shared_with_its_file),
		cmocka_unit_test(regions_that_cannot_be_attached_are_refused_with_words),
		cmocka_unit_test(only_files_of_memory_are_attached),
		cmocka_unit_test(no_more_regions_are_attached_than_there_are_places),
		cmocka_unit_test(impossible_memory_is_refused_with_words_and_nothing_is_left),
		cmocka_unit_test(as_many_regions_as_there_are_places_work),
	};

	return cmocka_run_group_tests_name("guest_mem", tests, NULL, NULL);
}
