// SPDX-License-Identifier: BSD-3-Clause
// bzImage loading and the zero page, with images made by hand.
// test-sources: arch/x86_64/boot.c arch/x86_64/bzimage.c arch/x86_64/elf.c arch/x86_64/pvh.c arch/x86_64/format.c arch/x86_64/zero_page.c arch/x86_64/layout.c src/mem/guest_mem.c src/util/err.c src/util/fd.c tests/lib/boot_bench.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot.h"
#include "layout.h"
#include "tests/lib/boot_bench.h"
#include "zero_page.h"

struct fixture {
	struct boot_bench bench;
	struct image image;
	struct zero_page zp;
};

static int setup(void **state)
{
	static struct fixture f;

	bench_create(&f.bench, MIB(64));
	image_make_bzimage(&f.image);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bench_destroy(&f->bench);
	return 0;
}

static int load(struct fixture *f)
{
	bench_set_kernel(&f->bench, f->image.bytes, f->image.len);
	return bench_load(&f->bench);
}

static void load_well(struct fixture *f)
{
	int status = load(f);

	if (status < 0)
		fail_msg("refused: %s", f->bench.err.text);
	assert_int_equal(gmem_read(&f->bench.mem, LAYOUT_ZERO_PAGE_GPA, &f->zp, sizeof(f->zp)), 0);
}

/* The load fails with `code`, and the words hold `words`. */
static void load_badly(struct fixture *f, int code, const char *words)
{
	assert_int_equal(load(f), code);
	if (!strstr(f->bench.err.text, words))
		fail_msg("'%s' does not say '%s'", f->bench.err.text, words);
}

static u8 guest_byte(struct fixture *f, gpa_t gpa)
{
	u8 byte = 0;

	assert_int_equal(gmem_read(&f->bench.mem, gpa, &byte, 1), 0);
	return byte;
}

static void a_kernel_goes_to_its_preferred_address(void **state)
{
	struct fixture *f = *state;

	load_well(f);
	assert_int_equal(f->bench.entry.protocol, BOOT_LINUX);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000200);
	assert_int_equal(f->bench.entry.info_gpa, LAYOUT_ZERO_PAGE_GPA);
	assert_int_equal(guest_byte(f, 0xffffff), 0);
	assert_int_equal(guest_byte(f, 0x1000000), 0xb0);
	assert_int_equal(guest_byte(f, 0x1000fff), 0xb0);
	assert_int_equal(guest_byte(f, 0x1001000), 0);
}

static void a_preferred_address_out_of_alignment_is_rounded_up(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x258, 8, 0x1000001);
	load_well(f);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1200200);
}

static void a_relocatable_kernel_never_lies_below_1_mib(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x258, 8, 0);
	load_well(f);
	assert_int_equal(f->bench.entry.entry_gpa, 0x200200);
}

static void a_fixed_kernel_goes_exactly_where_it_says(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x234, 1, 0);
	image_put(&f->image, 0x258, 8, 0x1234560);
	load_well(f);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1234760);
}

static void a_fixed_kernel_below_1_mib_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x234, 1, 0);
	image_put(&f->image, 0x258, 8, 0x90000);
	load_badly(f, -ENOEXEC, "at 0x90000: kernels can lie from 0x100000");
}

static void setup_sects_of_zero_means_four(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x1f1, 1, 0);
	memset(f->image.bytes + 5 * 512, 0xc4, 512);
	load_well(f);
	assert_int_equal(guest_byte(f, 0x1000000), 0xc4);
	assert_int_equal(guest_byte(f, 0x1000200), 0xb0);
}

static void a_signature_after_the_kernel_is_not_loaded(void **state)
{
	struct fixture *f = *state;

	f->image.len += 1472;
	memset(f->image.bytes + 6 * 512 + 4096, 0x51, 1472);
	load_well(f);
	assert_int_equal(guest_byte(f, 0x1001000), 0);
}

static void the_zero_page_has_the_header_up_to_its_declared_end(void **state)
{
	struct fixture *f = *state;
	const u8 *bytes = (const u8 *)&f->zp;

	load_well(f);
	assert_memory_equal(f->zp.hdr.magic, "HdrS", 4);
	assert_int_equal(le16_get(f->zp.hdr.version), 0x020f);
	assert_int_equal(bytes_get_le(bytes + 0x268, 4), 0x55aa55aa);
	assert_int_equal(bytes_get_le(bytes + 0x26c, 4), 0);
	assert_int_equal(bytes_get_le(bytes + 0x1ef, 1), 0);
}

static void a_header_that_ends_past_its_room_is_cut_there(void **state)
{
	struct fixture *f = *state;
	const u8 *bytes = (const u8 *)&f->zp;

	image_put(&f->image, 0x201, 1, 0xff);
	memset(f->image.bytes + 0x280, 0x77, 0x80);
	load_well(f);
	assert_int_equal(bytes[0x28f], 0x77);
	assert_int_equal(bytes[0x290], 0);
}

static void the_zero_page_has_the_loaders_fields(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x211, 1, 0xff);
	image_put(&f->image, 0x250, 8, 0x4142434445464748);
	load_well(f);
	assert_int_equal(f->zp.hdr.type_of_loader, 0xff);
	assert_int_equal(f->zp.hdr.loadflags, 1);
	assert_int_equal(le32_get(f->zp.hdr.cmd_line_ptr), LAYOUT_CMDLINE_GPA);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_size), 0);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_image), 0);
	assert_int_equal(le32_get(f->zp.hdr.code32_start), 0x1000000);
	assert_int_equal(le64_get(f->zp.acpi_rsdp_addr), LAYOUT_TABLES_GPA);
}

static void the_setup_data_is_one_node_of_random_bytes(void **state)
{
	struct fixture *f = *state;
	struct setup_data_seed first, second;

	load_well(f);
	assert_int_equal(le64_get(f->zp.hdr.setup_data), LAYOUT_SETUP_DATA_GPA);
	assert_int_equal(gmem_read(&f->bench.mem, LAYOUT_SETUP_DATA_GPA, &first, sizeof(first)), 0);
	load_well(f);
	assert_int_equal(gmem_read(&f->bench.mem, LAYOUT_SETUP_DATA_GPA, &second, sizeof(second)),
			 0);
	assert_int_equal(le64_get(first.next), 0);
	assert_int_equal(le32_get(first.type), 9);
	assert_int_equal(le32_get(first.len), 32);
	assert_memory_not_equal(first.seed, second.seed, sizeof(first.seed));
}

static void the_memory_map_of_64_mib_ends_there(void **state)
{
	struct fixture *f = *state;

	load_well(f);
	assert_int_equal(f->zp.e820_entries, 6);
	assert_int_equal(le64_get(f->zp.e820[4].base), LAYOUT_ECAM_GPA);
	assert_int_equal(le32_get(f->zp.e820[4].type), 2);
	assert_int_equal(le64_get(f->zp.e820[0].base), 0);
	assert_int_equal(le64_get(f->zp.e820[0].size), 0x9fc00);
	assert_int_equal(le32_get(f->zp.e820[0].type), 1);
	assert_int_equal(le32_get(f->zp.e820[1].type), 2);
	assert_int_equal(le64_get(f->zp.e820[3].base), 0x100000);
	assert_int_equal(le64_get(f->zp.e820[3].size), MIB(63));
	assert_int_equal(le32_get(f->zp.e820[3].type), 1);
}

static void the_memory_map_of_5_gib_goes_on_at_4_gib(void **state)
{
	struct fixture *f = *state;

	bench_destroy(&f->bench);
	bench_create(&f->bench, GIB(5));
	load_well(f);
	assert_int_equal(f->zp.e820_entries, 7);
	assert_int_equal(le64_get(f->zp.e820[3].size), GIB(3) - MIB(1));
	assert_int_equal(le64_get(f->zp.e820[6].base), GIB(4));
	assert_int_equal(le64_get(f->zp.e820[6].size), GIB(2));
	assert_int_equal(le32_get(f->zp.e820[6].type), 1);
}

static void the_command_line_is_placed_with_its_nul(void **state)
{
	struct fixture *f = *state;
	char text[32] = { 0 };

	snprintf(f->bench.source.cmdline, sizeof(f->bench.source.cmdline), "root=/dev/vda quiet");
	load_well(f);
	assert_int_equal(gmem_read(&f->bench.mem, LAYOUT_CMDLINE_GPA, text, sizeof(text)), 0);
	assert_string_equal(text, "root=/dev/vda quiet");
}

static void a_command_line_of_exactly_the_kernels_limit_is_taken(void **state)
{
	struct fixture *f = *state;

	memset(f->bench.source.cmdline, 'x', 2047);
	f->bench.source.cmdline[2047] = '\0';
	load_well(f);
	assert_int_equal(guest_byte(f, LAYOUT_CMDLINE_GPA + 2046), 'x');
	assert_int_equal(guest_byte(f, LAYOUT_CMDLINE_GPA + 2047), 0);
}

static void a_command_line_beyond_the_kernels_limit_is_refused(void **state)
{
	struct fixture *f = *state;

	memset(f->bench.source.cmdline, 'x', 2048);
	f->bench.source.cmdline[2048] = '\0';
	load_badly(f, -EINVAL, "kernel command line: 2048 bytes: this kernel takes at most 2047");
}

static void a_command_line_without_nul_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x238, 4, 0xffffffff);
	memset(f->bench.source.cmdline, 'x', sizeof(f->bench.source.cmdline));
	load_badly(f, -EINVAL, "4096 bytes: this kernel takes at most 4095");
}

static void an_initrd_ends_at_the_end_of_ram(void **state)
{
	struct fixture *f = *state;

	bench_set_initrd(&f->bench, "initrd", 6);
	load_well(f);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_image), MIB(64) - 4096);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_size), 6);
	assert_int_equal(guest_byte(f, MIB(64) - 4096), 'i');
	assert_int_equal(guest_byte(f, MIB(64) - 4096 + 5), 'd');
}

static void an_initrd_stays_below_what_the_kernel_can_address(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x22c, 4, 0x37fffff);
	bench_set_initrd(&f->bench, NULL, 8192);
	load_well(f);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_image), 0x3800000 - 8192);
}

static void an_initrd_goes_below_a_kernel_that_fills_the_top(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x260, 4, MIB(48));
	bench_set_initrd(&f->bench, NULL, MIB(15));
	load_well(f);
	assert_int_equal(le32_get(f->zp.hdr.ramdisk_image), MIB(1));
}

static void an_initrd_that_would_touch_the_kernel_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x260, 4, MIB(48));
	bench_set_initrd(&f->bench, NULL, MIB(15) + 1);
	load_badly(f, -EINVAL, "initrd: its 15361 KiB do not fit");
}

static void an_initrd_larger_than_ram_is_refused(void **state)
{
	struct fixture *f = *state;

	bench_set_initrd(&f->bench, NULL, MIB(600));
	load_badly(f, -EINVAL, "initrd: its 614400 KiB do not fit");
}

static void an_initrd_of_absurd_size_is_refused(void **state)
{
	struct fixture *f = *state;

	bench_set_initrd(&f->bench, NULL, 4096);
	f->bench.source.initrd_bytes = UINT64_MAX;
	load_badly(f, -EINVAL, "initrd: its");
}

static void an_empty_initrd_is_refused(void **state)
{
	struct fixture *f = *state;

	bench_set_initrd(&f->bench, NULL, 0);
	load_badly(f, -EINVAL, "initrd: the file is empty");
}

static void an_initrd_that_shrinks_is_an_error(void **state)
{
	struct fixture *f = *state;

	bench_set_initrd(&f->bench, NULL, 4096);
	f->bench.source.initrd_bytes = 8192;
	load_badly(f, -ENODATA, "initrd: the file became shorter");
}

static void a_kernel_that_shrinks_is_an_error(void **state)
{
	struct fixture *f = *state;

	bench_set_kernel(&f->bench, f->image.bytes, f->image.len);
	assert_int_equal(ftruncate(f->bench.source.kernel_fd, 4096), 0);
	assert_int_equal(bench_load(&f->bench), -ENODATA);
	assert_string_equal(f->bench.err.text, "kernel: the file became shorter while it was read");
}

static void too_little_ram_is_told_with_what_is_needed(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x260, 4, MIB(100) + 1);
	load_badly(f, -EINVAL,
		   "needs at least 117 MiB of memory to start, and the machine has 64 MiB");
}

static void a_kernel_for_the_hole_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x258, 8, 0xfffffffffffff000);
	load_badly(f, -ENOEXEC, "kernels can lie from 0x100000 to 0xc0000000");
	image_put(&f->image, 0x258, 8, 0xc0000000);
	load_badly(f, -ENOEXEC, "kernels can lie from 0x100000 to 0xc0000000");
	image_put(&f->image, 0x234, 1, 0);
	image_put(&f->image, 0x258, 8, 0xfffffffffffff000);
	load_badly(f, -ENOEXEC, "kernels can lie from 0x100000 to 0xc0000000");
}

static void a_body_larger_than_init_size_counts_whole(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x260, 4, 0);
	image_put(&f->image, 0x258, 8, MIB(64) - 4096 + 512);
	image_put(&f->image, 0x234, 1, 0);
	load_badly(f, -EINVAL, "needs at least 65 MiB");
}

static void an_alignment_that_is_no_power_of_two_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x230, 4, 0);
	load_badly(f, -ENOEXEC, "kernel_alignment is 0x0");
	image_put(&f->image, 0x230, 4, 0x300000);
	load_badly(f, -ENOEXEC, "kernel_alignment is 0x300000");
}

static void an_old_protocol_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x206, 2, 0x020b);
	load_badly(f, -ENOEXEC, "boot protocol 2.11: 2.12 (Linux 3.8) or later");
}

static void a_zimage_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x211, 1, 0xfe);
	load_badly(f, -ENOEXEC, "zImage");
}

static void a_32_bit_kernel_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x236, 2, 0xfffe);
	load_badly(f, -ENOEXEC, "no 64-bit entry");
}

static void a_wrong_boot_flag_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x1fe, 2, 0);
	load_badly(f, -ENOEXEC, "boot flag is 0x0000");
}

static void a_header_that_ends_too_early_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x201, 1, 0x65);
	load_badly(f, -ENOEXEC, "setup header ends at 0x267");
}

static void a_kernel_cut_by_one_byte_is_refused(void **state)
{
	struct fixture *f = *state;

	f->image.len--;
	load_badly(f, -ENOEXEC, "cut short: its header promises 7168 bytes, the file has 7167");
}

static void a_body_too_small_for_its_entry_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x1f4, 4, 0x20);
	load_badly(f, -ENOEXEC, "has 512 bytes, and its entry is at byte 512");
}

static void a_payload_outside_of_the_body_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, 0x248, 4, 0xffffffff);
	load_badly(f, -ENOEXEC, "payload (1024 bytes at 4294967295)");
	image_put(&f->image, 0x248, 4, 0x300);
	image_put(&f->image, 0x24c, 4, 4096 - 0x300 + 1);
	load_badly(f, -ENOEXEC, "payload (3329 bytes at 768)");
}

static void every_cut_of_a_sound_image_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t whole = f->image.len;

	for (f->image.len = 0; f->image.len < whole;
	     f->image.len += f->image.len < 0x300 ? 1 : 97) {
		assert_int_equal(load(f), -ENOEXEC);
		assert_true(strncmp(f->bench.err.text, "kernel: ", 8) == 0);
	}
}

static void the_pvh_entry_of_a_bzimage_does_not_exist(void **state)
{
	struct fixture *f = *state;

	f->bench.source.protocol = BOOT_PVH;
	load_badly(f, -EINVAL, "a bzImage has no PVH entry");
}

static void a_file_that_is_no_kernel_is_named(void **state)
{
	static const struct {
		u16 offset;
		const char *bytes;
		const char *words;
	} strangers[] = {
		{ 0, "\x1f\x8b\x08", "gzip" },
		{ 0,
		  "\xfd"
		  "7zXZ",
		  "xz data" },
		{ 0, "MZ", "EFI program" },
		{ 0x38, "ARM\x64", "aarch64 Image" },
		{ 0, "070701", "give it as the initrd" },
		{ 0, "QFI\xfb", "qcow2" },
		{ 0, "#!/bin/sh", "script" },
		{ 0x438, "\x53\xef", "ext4" },
		{ 0x1fe, "\x55\xaa", "disk image" },
		{ 0, "hello", "it is no kernel that is known here" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		memset(f->image.bytes, 0, sizeof(f->image.bytes));
		f->image.len = 2048;
		memcpy(f->image.bytes + strangers[i].offset, strangers[i].bytes,
		       strlen(strangers[i].bytes));
		load_badly(f, -ENOEXEC, strangers[i].words);
	}
}

static void an_empty_file_is_named(void **state)
{
	struct fixture *f = *state;

	f->image.len = 0;
	load_badly(f, -ENOEXEC, "kernel: the file is empty");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_kernel_goes_to_its_preferred_address),
		T(a_preferred_address_out_of_alignment_is_rounded_up),
		T(a_relocatable_kernel_never_lies_below_1_mib),
		T(a_fixed_kernel_goes_exactly_where_it_says),
		T(a_fixed_kernel_below_1_mib_is_refused),
		T(setup_sects_of_zero_means_four),
		T(a_signature_after_the_kernel_is_not_loaded),
		T(the_zero_page_has_the_header_up_to_its_declared_end),
		T(a_header_that_ends_past_its_room_is_cut_there),
		T(the_zero_page_has_the_loaders_fields),
		T(the_setup_data_is_one_node_of_random_bytes),
		T(the_memory_map_of_64_mib_ends_there),
		T(the_memory_map_of_5_gib_goes_on_at_4_gib),
		T(the_command_line_is_placed_with_its_nul),
		T(a_command_line_of_exactly_the_kernels_limit_is_taken),
		T(a_command_line_beyond_the_kernels_limit_is_refused),
		T(a_command_line_without_nul_is_refused),
		T(an_initrd_ends_at_the_end_of_ram),
		T(an_initrd_stays_below_what_the_kernel_can_address),
		T(an_initrd_goes_below_a_kernel_that_fills_the_top),
		T(an_initrd_that_would_touch_the_kernel_is_refused),
		T(an_initrd_larger_than_ram_is_refused),
		T(an_initrd_of_absurd_size_is_refused),
		T(an_empty_initrd_is_refused),
		T(an_initrd_that_shrinks_is_an_error),
		T(a_kernel_that_shrinks_is_an_error),
		T(too_little_ram_is_told_with_what_is_needed),
		T(a_kernel_for_the_hole_is_refused),
		T(a_body_larger_than_init_size_counts_whole),
		T(an_alignment_that_is_no_power_of_two_is_refused),
		T(an_old_protocol_is_refused),
		T(a_zimage_is_refused),
		T(a_32_bit_kernel_is_refused),
		T(a_wrong_boot_flag_is_refused),
		T(a_header_that_ends_too_early_is_refused),
		T(a_kernel_cut_by_one_byte_is_refused),
		T(a_body_too_small_for_its_entry_is_refused),
		T(a_payload_outside_of_the_body_is_refused),
		T(every_cut_of_a_sound_image_is_refused),
		T(the_pvh_entry_of_a_bzimage_does_not_exist),
		T(a_file_that_is_no_kernel_is_named),
		T(an_empty_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
