// SPDX-License-Identifier: BSD-3-Clause
// A disk's io_uring in a real kernel: what it does, and that it can be made to do nothing else.
// test-sources: drivers/virtio/blk/uring.c src/util/err.c src/util/fd.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/virtio/blk/uring.h"
#include "util/fd.h"

enum { ENTRIES = 8, FILE_BYTES = 65536, DEADLINE_MS = 10000 };

struct bench {
	struct uring ring;
	int fd;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err e;

	b->fd = memfd_create("image", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->fd, FILE_BYTES), 0);
	if (uring_create(&b->ring, ENTRIES, &e) < 0)
		fail_msg("%s", e.text);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	uring_destroy(&b->ring);
	uring_destroy(&b->ring); /* twice is harmless */
	fd_close(&b->fd);
	free(b);
	return 0;
}

/* Begin what is queued, which is one call, and wait for its end. */
static s32 result_of(struct bench *b, u64 tag)
{
	struct uring_done done;

	assert_int_equal(uring_queued(&b->ring), 1);
	assert_int_equal(uring_begin(&b->ring), 0);
	assert_int_equal(uring_wait(&b->ring), 0);
	assert_true(uring_next(&b->ring, &done));
	assert_true(done.tag == tag);
	assert_false(uring_next(&b->ring, &done));
	return done.result;
}

static void bytes_go_out_and_come_back(void **state)
{
	char text[] = "by the ring", back[sizeof(text)] = "";
	struct iovec out[2] = { { text, 4 }, { text + 4, sizeof(text) - 4 } };
	struct iovec in = { back, sizeof(back) };
	struct bench *b = *state;

	uring_move(&b->ring, 7, true, b->fd, out, 2, 4096);
	assert_int_equal(result_of(b, 7), sizeof(text));
	uring_move(&b->ring, ~0ull, false, b->fd, &in, 1, 4096);
	assert_int_equal(result_of(b, ~0ull), sizeof(text));
	assert_string_equal(back, text);
	uring_move(&b->ring, 1, false, b->fd, &in, 1, FILE_BYTES);
	assert_int_equal(result_of(b, 1), 0);
	uring_move(&b->ring, 1, false, 1000, &in, 1, 0);
	assert_int_equal(result_of(b, 1), -EBADF);
}

static void a_file_is_flushed_and_gets_holes(void **state)
{
	char bytes[4096];
	struct bench *b = *state;

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(pwrite(b->fd, bytes, sizeof(bytes), 4096), sizeof(bytes));
	uring_flush(&b->ring, 2, b->fd);
	assert_int_equal(result_of(b, 2), 0);
	uring_allocate(&b->ring, 3, b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 2048);
	assert_int_equal(result_of(b, 3), 0);
	assert_int_equal(pread(b->fd, bytes, sizeof(bytes), 4096), sizeof(bytes));
	assert_int_equal(bytes[0] | bytes[2047], 0);
	assert_int_equal(bytes[2048], 'x');
}

static void the_queue_turns_over_and_over(void **state)
{
	struct bench *b = *state;
	char byte;
	struct iovec in = { &byte, 1 };

	for (u32 round = 0; round < 100; round++) {
		u64 seen = 0, nr = round % ENTRIES + 1;
		struct uring_done done;

		for (u64 i = 0; i < nr; i++)
			uring_move(&b->ring, i, false, b->fd, &in, 1, i);
		assert_int_equal(uring_queued(&b->ring), nr);
		assert_int_equal(uring_begin(&b->ring), 0);
		assert_int_equal(uring_queued(&b->ring), 0);
		for (u64 i = 0; i < nr; i++) {
			while (!uring_next(&b->ring, &done))
				assert_int_equal(uring_wait(&b->ring), 0);
			assert_int_equal(done.result, 1);
			seen |= 1ull << done.tag;
		}
		assert_int_equal(seen, (1ull << nr) - 1);
	}
}

static void what_was_taken_back_is_not_done(void **state)
{
	struct bench *b = *state;

	uring_flush(&b->ring, 1, b->fd);
	uring_flush(&b->ring, 2, b->fd);
	uring_flush(&b->ring, 3, b->fd);
	assert_int_equal(uring_take_back(&b->ring), 3);
	assert_int_equal(uring_take_back(&b->ring), 2);
	assert_int_equal(result_of(b, 1), 0);
}

static void the_ring_is_readable_while_something_is_done(void **state)
{
	struct bench *b = *state;
	struct pollfd p = { .fd = b->ring.ring_fd, .events = POLLIN };
	struct uring_done done;

	assert_int_equal(poll(&p, 1, 0), 0);
	uring_flush(&b->ring, 1, b->fd);
	assert_int_equal(uring_begin(&b->ring), 0);
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_true(uring_next(&b->ring, &done));
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* Whoever takes the process over cannot get past its filter by way of the ring. */
static void a_ring_does_nothing_else(void **state)
{
	static const u8 allowed[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				      IORING_OP_FALLOCATE };
	struct bench *b = *state;

	for (u32 op = 0; op < IORING_OP_LAST; op++) {
		if (memchr(allowed, (int)op, sizeof(allowed)))
			continue;
		uring_flush(&b->ring, op, b->fd);
		b->ring.sqes[(*b->ring.sq_tail - 1) % ENTRIES].opcode = (u8)op;
		assert_int_equal(result_of(b, op), -EACCES);
	}
	for (u32 bit = 0; bit < 7; bit++) {
		s32 result;

		uring_flush(&b->ring, bit, b->fd);
		b->ring.sqes[(*b->ring.sq_tail - 1) % ENTRIES].flags = (u8)(1u << bit);
		result = result_of(b, bit);
		assert_true(result == -EACCES || result == -EOPNOTSUPP);
	}
}

static void a_ring_takes_no_more_files_buffers_or_leave(void **state)
{
	struct bench *b = *state;

	for (unsigned op = 0; op < IORING_REGISTER_LAST; op++) {
		assert_int_equal(syscall(SYS_io_uring_register, b->ring.ring_fd, op, &b->fd, 1u),
				 -1);
		assert_true(errno == EACCES || errno == EINVAL || errno == EBADFD);
	}
}

static void a_kernel_that_refuses_says_so(void **state)
{
	struct uring u;
	struct err e;

	(void)state;
	assert_true(uring_create(&u, 1 << 30, &e) < 0);
	assert_string_equal(e.text, "io_uring_setup: Invalid argument");
	assert_int_equal(u.ring_fd, -1);
	uring_destroy(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(bytes_go_out_and_come_back),
		T(a_file_is_flushed_and_gets_holes),
		T(the_queue_turns_over_and_over),
		T(what_was_taken_back_is_not_done),
		T(the_ring_is_readable_while_something_is_done),
		T(a_ring_does_nothing_else),
		T(a_ring_takes_no_more_files_buffers_or_leave),
		cmocka_unit_test(a_kernel_that_refuses_says_so),
	};

	return cmocka_run_group_tests_name("uring", tests, NULL, NULL);
}
