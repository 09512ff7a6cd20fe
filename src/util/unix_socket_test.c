// SPDX-License-Identifier: BSD-3-Clause
// Unix sockets by path: made for the user alone, found by who connects, removed only if they are ours.
// test-sources: src/util/unix_socket.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "util/unix_socket.h"

struct bench {
	char dir[32], path[48];
	struct unix_id id;
	int fd, other_fd;
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->fd = b->other_fd = -1;
	strcpy(b->dir, "/tmp/kiln-unix.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/socket", b->dir);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->fd);
	fd_close(&b->other_fd);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

static bool is_there(const struct bench *b)
{
	struct stat st;

	return lstat(b->path, &st) == 0;
}

static void a_socket_is_the_users_alone_and_does_not_block(void **state)
{
	struct bench *b = *state;
	struct stat st;

	b->fd = unix_listen(b->path, 4, &b->id, &b->e);
	assert_true(b->fd >= 0);
	assert_int_equal(lstat(b->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(b->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(b->fd, F_GETFD) & FD_CLOEXEC);
}

static void who_connects_is_accepted(void **state)
{
	struct bench *b = *state;
	char byte = 0;

	b->fd = unix_listen(b->path, 4, &b->id, &b->e);
	b->other_fd = unix_connect(b->path, &b->e);
	assert_true(b->other_fd >= 0);
	assert_false(fcntl(b->other_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(b->other_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(send(b->other_fd, "x", 1, 0), 1);
	close(b->fd);
	b->fd = -1;
	assert_int_equal(recv(b->other_fd, &byte, 1, 0), -1);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct bench *b = *state;

	b->fd = unix_listen(b->path, 1, &b->id, &b->e);
	fd_close(&b->fd);
	b->fd = unix_listen(b->path, 1, &b->id, &b->e);
	assert_true(b->fd >= 0);
}

static void a_socket_in_use_is_refused(void **state)
{
	struct bench *b = *state;
	struct unix_id second = { 1, 1 };

	b->fd = unix_listen(b->path, 1, &b->id, &b->e);
	assert_int_equal(unix_listen(b->path, 1, &second, &b->e), -EADDRINUSE);
	assert_non_null(strstr(b->e.text, "somebody listens"));
	unix_remove(b->path, &second); /* it made none */
	assert_true(is_there(b));
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct bench *b = *state;

	b->other_fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(unix_listen(b->path, 1, &b->id, &b->e), -EEXIST);
	unix_remove(b->path, &b->id);
	assert_true(is_there(b));
}

static void our_socket_is_removed_and_nobody_elses(void **state)
{
	struct bench *b = *state;

	b->fd = unix_listen(b->path, 1, &b->id, &b->e);
	unlink(b->path);
	b->other_fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unix_remove(b->path, &b->id);
	assert_true(is_there(b));
	unlink(b->path);
	fd_close(&b->fd);
	b->fd = unix_listen(b->path, 1, &b->id, &b->e);
	unix_remove(b->path, &b->id);
	assert_false(is_there(b));
}

static void a_path_that_leads_nowhere_is_named(void **state)
{
	struct bench *b = *state;

	assert_int_equal(unix_connect(b->path, &b->e), -ENOENT);
	assert_non_null(strstr(b->e.text, b->path));
	b->other_fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(unix_connect(b->path, &b->e), -ECONNREFUSED);
	assert_int_equal(unix_listen("/nowhere/at/all", 1, &b->id, &b->e), -ENOENT);
}

static void a_long_path_is_refused_with_the_limit(void **state)
{
	struct bench *b = *state;
	char path[UNIX_PATH_BYTES + 1] = { 0 };

	memset(path, 'x', UNIX_PATH_BYTES);
	assert_int_equal(unix_listen(path, 1, &b->id, &b->e), -ENAMETOOLONG);
	assert_non_null(strstr(b->e.text, "107"));
	assert_int_equal(unix_connect(path, &b->e), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_socket_is_the_users_alone_and_does_not_block),
		T(who_connects_is_accepted),
		T(a_stale_socket_is_replaced),
		T(a_socket_in_use_is_refused),
		T(what_is_no_socket_is_left_alone),
		T(our_socket_is_removed_and_nobody_elses),
		T(a_path_that_leads_nowhere_is_named),
		T(a_long_path_is_refused_with_the_limit),
	};

	return cmocka_run_group_tests_name("unix_socket", tests, NULL, NULL);
}
