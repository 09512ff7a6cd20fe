// SPDX-License-Identifier: BSD-3-Clause
// Cursors over buffers of every shape: copies across their edges, tails, what is left, and limits.
// test-sources: src/mem/guest_cursor.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/guest_cursor.h"

/* "abc" "" "defgh" "" "i" "" in memory that sanitizers guard on both sides. */
struct bench {
	char *parts[3];
	struct iovec iov[6];
	struct gcur c;
};

static char *part(const char *text)
{
	char *copy = malloc(strlen(text));

	memcpy(copy, text, strlen(text));
	return copy;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->parts[0] = part("abc");
	b->parts[1] = part("defgh");
	b->parts[2] = part("i");
	b->iov[0] = (struct iovec){ b->parts[0], 3 };
	b->iov[2] = (struct iovec){ b->parts[1], 5 };
	b->iov[4] = (struct iovec){ b->parts[2], 1 };
	gcur_init(&b->c, b->iov, ARRAY_SIZE(b->iov));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(b->parts); i++)
		free(b->parts[i]);
	free(b);
	return 0;
}

static void expect_rest(struct gcur *c, const char *want)
{
	char text[16] = { 0 };
	size_t len = strlen(want);

	assert_int_equal(gcur_left(c), len);
	assert_true(gcur_get(c, text, len));
	assert_string_equal(text, want);
	assert_int_equal(gcur_left(c), 0);
	assert_false(gcur_get(c, text, 1));
}

/* --- Copies ----------------------------------------------------------------------------------- */

static void bytes_are_taken_front_to_back_across_buffers(void **state)
{
	struct bench *b = *state;
	char text[5] = { 0 };

	assert_int_equal(gcur_left(&b->c), 9);
	assert_true(gcur_get(&b->c, text, 2));
	assert_string_equal(text, "ab");
	assert_true(gcur_get(&b->c, text, 4));
	assert_string_equal(text, "cdef");
	expect_rest(&b->c, "ghi");
}

static void a_get_that_wants_too_much_takes_nothing(void **state)
{
	struct bench *b = *state;
	char text[16] = "untouched";

	assert_false(gcur_get(&b->c, text, 10));
	assert_false(gcur_get(&b->c, text, SIZE_MAX));
	assert_string_equal(text, "untouched");
	expect_rest(&b->c, "abcdefghi");
}

static void bytes_are_put_across_buffers(void **state)
{
	struct bench *b = *state;

	assert_true(gcur_put(&b->c, "12", 2));
	assert_true(gcur_put(&b->c, "345678", 6));
	assert_int_equal(gcur_left(&b->c), 1);
	assert_false(gcur_put(&b->c, "XX", 2));
	assert_memory_equal(b->parts[0], "123", 3);
	assert_memory_equal(b->parts[1], "45678", 5);
	assert_memory_equal(b->parts[2], "i", 1);
	assert_true(gcur_put(&b->c, "9", 1));
	assert_memory_equal(b->parts[2], "9", 1);
}

static void no_bytes_can_always_be_moved(void **state)
{
	struct bench *b = *state;
	struct gcur none;

	gcur_init(&none, NULL, 0);
	assert_int_equal(gcur_left(&none), 0);
	assert_true(gcur_get(&none, NULL, 0));
	assert_true(gcur_put(&none, NULL, 0));
	assert_true(gcur_skip(&none, 0));
	assert_false(gcur_skip(&none, 1));
	assert_true(gcur_skip(&b->c, 9));
	assert_true(gcur_get(&b->c, NULL, 0));
	assert_int_equal(b->c.nr, 0);
}

static void buffers_that_are_all_empty_hold_nothing(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(b->iov); i++)
		b->iov[i].iov_len = 0;
	gcur_init(&b->c, b->iov, ARRAY_SIZE(b->iov));
	assert_int_equal(gcur_left(&b->c), 0);
	assert_int_equal(b->c.nr, 0);
	assert_false(gcur_put(&b->c, "x", 1));
}

static void skipping_stops_before_the_end_or_moves_nothing(void **state)
{
	struct bench *b = *state;

	assert_true(gcur_skip(&b->c, 3));
	assert_int_equal(b->c.offset, 0);
	assert_true(gcur_skip(&b->c, 1));
	assert_false(gcur_skip(&b->c, 6));
	assert_false(gcur_skip(&b->c, UINT64_MAX));
	expect_rest(&b->c, "efghi");
}

/* --- Tails ------------------------------------------------------------------------------------ */

static void a_tail_can_be_cut_off_at_every_place(void **state)
{
	struct bench *b = *state;
	const char *all = "abcdefghi";

	for (size_t passed = 0; passed <= 9; passed++) {
		for (size_t len = 0; len <= 9 - passed; len++) {
			struct gcur c = b->c, tail;
			char head[16] = { 0 };

			assert_true(gcur_skip(&c, passed));
			assert_true(gcur_split_tail(&c, len, &tail));
			memcpy(head, all + passed, 9 - passed - len);
			expect_rest(&c, head);
			expect_rest(&tail, all + 9 - len);
		}
	}
}

static void a_tail_longer_than_what_is_left_is_refused(void **state)
{
	struct bench *b = *state;
	struct gcur tail = { 0 };

	assert_true(gcur_skip(&b->c, 1));
	assert_false(gcur_split_tail(&b->c, 9, &tail));
	assert_null(tail.iov);
	expect_rest(&b->c, "bcdefghi");
}

static void what_was_cut_off_is_out_of_reach(void **state)
{
	struct bench *b = *state;
	struct gcur tail;
	struct iovec iov[4];

	assert_true(gcur_split_tail(&b->c, 2, &tail)); /* "h" and "i" */
	assert_false(gcur_put(&b->c, "12345678", 8));
	assert_false(gcur_skip(&b->c, 8));
	assert_int_equal(gcur_iov(&b->c, 8, iov, 4), 0);
	assert_int_equal(gcur_iov(&b->c, 7, iov, 4), 2);
	assert_int_equal(iov[1].iov_len, 4);
	assert_true(gcur_put(&tail, "89", 2));
	assert_memory_equal(b->parts[1], "defg8", 5);
}

/* --- Buffers for system calls ----------------------------------------------------------------- */

static void the_next_bytes_are_had_as_buffers(void **state)
{
	struct bench *b = *state;
	struct iovec iov[4];

	assert_true(gcur_skip(&b->c, 2));
	assert_int_equal(gcur_iov(&b->c, 4, iov, 4), 2);
	assert_ptr_equal(iov[0].iov_base, b->parts[0] + 2);
	assert_int_equal(iov[0].iov_len, 1);
	assert_ptr_equal(iov[1].iov_base, b->parts[1]);
	assert_int_equal(iov[1].iov_len, 3);
	expect_rest(&b->c, "ghi");
}

static void buffers_that_do_not_fit_move_nothing(void **state)
{
	struct bench *b = *state;
	struct iovec iov[3];

	assert_int_equal(gcur_iov(&b->c, 9, iov, 2), 0);
	assert_int_equal(gcur_iov(&b->c, 10, iov, 3), 0);
	assert_int_equal(gcur_iov(&b->c, UINT64_MAX, iov, 3), 0);
	assert_int_equal(gcur_iov(&b->c, 1, iov, 0), 0);
	assert_int_equal(gcur_iov(&b->c, 0, iov, 3), 0);
	assert_int_equal(gcur_left(&b->c), 9);
	assert_int_equal(gcur_iov(&b->c, 9, iov, 3), 3);
	assert_int_equal(gcur_left(&b->c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(bytes_are_taken_front_to_back_across_buffers),
		T(a_get_that_wants_too_much_takes_nothing),
		T(bytes_are_put_across_buffers),
		T(no_bytes_can_always_be_moved),
		T(buffers_that_are_all_empty_hold_nothing),
		T(skipping_stops_before_the_end_or_moves_nothing),
		T(a_tail_can_be_cut_off_at_every_place),
		T(a_tail_longer_than_what_is_left_is_refused),
		T(what_was_cut_off_is_out_of_reach),
		T(the_next_bytes_are_had_as_buffers),
		T(buffers_that_do_not_fit_move_nothing),
	};

	return cmocka_run_group_tests_name("guest_cursor", tests, NULL, NULL);
}
