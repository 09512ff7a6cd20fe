// SPDX-License-Identifier: BSD-3-Clause
// Sets of descriptors: who owns what, when there is no room, and bad indices.
// test-sources: src/util/fd.c src/util/fdset.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "util/fdset.h"

static int new_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_descriptor_moves_in_and_out_once(void **state)
{
	struct fdset set = { 0 };
	int fd = new_fd(), was = fd, taken;

	(void)state;
	assert_int_equal(fdset_put(&set, &fd), 0);
	assert_int_equal(fd, -1);
	taken = fdset_take(&set, 0);
	assert_int_equal(taken, was);
	assert_int_equal(fdset_take(&set, 0), -1);
	fdset_close(&set);
	assert_true(is_open(taken));
	fd_close(&taken);
}

static void indices_rise_and_do_not_move_when_one_is_taken(void **state)
{
	struct fdset set = { 0 };
	int a = new_fd(), b = new_fd(), c = new_fd(), b_was = b, taken;

	(void)state;
	assert_int_equal(fdset_put(&set, &a), 0);
	assert_int_equal(fdset_put(&set, &b), 1);
	taken = fdset_take(&set, 0);
	assert_int_equal(fdset_put(&set, &c), 2);
	assert_int_equal(set.fds[1], b_was);
	fd_close(&taken);
	fdset_close(&set);
}

static void indices_that_are_none_take_nothing(void **state)
{
	static const int bad[] = { -1, 1, FDSET_MAX, 0x7fffffff, -0x7fffffff - 1 };
	struct fdset set = { 0 };
	int fd = new_fd();

	(void)state;
	fdset_put(&set, &fd);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(fdset_take(&set, bad[i]), -1);
	assert_true(is_open(set.fds[0]));
	fdset_close(&set);
}

static void a_full_set_leaves_the_descriptor_with_its_owner(void **state)
{
	struct fdset set = { 0 };
	int fd = new_fd();

	(void)state;
	for (int i = 0; i < FDSET_MAX; i++) {
		int one = new_fd();

		assert_int_equal(fdset_put(&set, &one), i);
	}
	assert_int_equal(fdset_put(&set, &fd), -EMFILE);
	assert_true(fd >= 0 && is_open(fd));
	assert_int_equal(set.count, FDSET_MAX);
	fdset_close(&set);
	fd_close(&fd);
}

static void closing_closes_what_nobody_took_and_empties_the_set(void **state)
{
	struct fdset set = { 0 };
	int a = new_fd(), b = new_fd(), a_was = a, b_was = b;

	(void)state;
	fdset_put(&set, &a);
	fdset_put(&set, &b);
	fdset_close(&set);
	assert_false(is_open(a_was));
	assert_false(is_open(b_was));
	assert_int_equal(set.count, 0);
	fdset_close(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_moves_in_and_out_once),
		cmocka_unit_test(indices_rise_and_do_not_move_when_one_is_taken),
		cmocka_unit_test(indices_that_are_none_take_nothing),
		cmocka_unit_test(a_full_set_leaves_the_descriptor_with_its_owner),
		cmocka_unit_test(closing_closes_what_nobody_took_and_empties_the_set),
	};

	return cmocka_run_group_tests_name("fdset", tests, NULL, NULL);
}
