// SPDX-License-Identifier: BSD-3-Clause
// The words of --serial, and what they open.
// test-sources: src/stream/serial_cfg.c src/util/unix_socket.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/opt.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream/serial_cfg.h"
#include "util/fd.h"

struct bench {
	struct serial_cfg cfg;
	struct fdset fds;
	struct err e;
	char dir[32], path[64], word[80];
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	strcpy(b->dir, "/tmp/serial.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/port", b->dir);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fdset_close(&b->fds);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

/* What the supervisor does with `--serial TEXT`. */
static int open_words(struct bench *b, const char *text)
{
	int status;

	opt_defaults(serial_opts, &b->cfg);
	status = opt_parse_pairs(serial_opts, &b->cfg, text, &b->e);
	return status < 0 ? status : serial_cfg_open(&b->cfg, 0, &b->fds, &b->e);
}

static int open_key(struct bench *b, const char *key)
{
	snprintf(b->word, sizeof(b->word), "%s=%s", key, b->path);
	return open_words(b, b->word);
}

static void nothing_said_is_a_sink(void **state)
{
	struct bench *b = *state;
	struct stream_fds fds;

	assert_int_equal(serial_cfg_open(&b->cfg, 0, &b->fds, &b->e), 0);
	fds = serial_cfg_take(&b->cfg, &b->fds);
	assert_int_equal(b->fds.count, 0);
	assert_true(fds.in_fd == -1 && fds.out_fd == -1 && fds.listen_fd == -1);
	assert_int_equal(serial_cfg_instance(&b->cfg), UINT32_MAX);
}

static void long_and_short_words_mean_the_same(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_words(b, "type=stdout,num=3,stdin,console"), 0);
	assert_int_equal(b->cfg.type, SERIAL_STDOUT);
	assert_true(b->cfg.wants_stdin);
	assert_int_equal(serial_cfg_instance(&b->cfg), 2);
	assert_int_equal(b->cfg.out_fd_index, 0);
	assert_int_equal(b->cfg.in_fd_index, -1);
	memset(&b->cfg, 0, sizeof(b->cfg));
	assert_int_equal(open_words(b, "stdout"), 0);
	assert_int_equal(b->cfg.type, SERIAL_STDOUT);
	memset(&b->cfg, 0, sizeof(b->cfg));
	assert_int_equal(open_words(b, "sink"), 0);
	assert_int_equal(b->cfg.type, SERIAL_SINK);
}

/* What a virtio device makes of its options, which the supervisor looks at before it is opened. */
static u32 line_type(struct bench *b, const char *text)
{
	memset(&b->cfg, 0, sizeof(b->cfg));
	opt_defaults(serial_line_opts, &b->cfg);
	if (text)
		assert_int_equal(opt_parse_pairs(serial_line_opts, &b->cfg, text, &b->e), 0);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(serial_line_resolve(&b->cfg, &b->e), 0);
	return b->cfg.type;
}

static void a_line_of_which_nothing_is_said_leads_to_standard_output(void **state)
{
	struct bench *b = *state;

	assert_int_equal(line_type(b, NULL), SERIAL_STDOUT);
	assert_int_equal(line_type(b, "stdin,console"), SERIAL_STDOUT);
	assert_true(b->cfg.wants_stdin && b->cfg.console);
	assert_int_equal(line_type(b, "sink"), SERIAL_SINK);
	assert_int_equal(line_type(b, "type=sink"), SERIAL_SINK);
	assert_int_equal(line_type(b, "unix=path"), SERIAL_UNIX);
	assert_int_equal(line_type(b, "type=file,path=path"), SERIAL_FILE);
}

static void a_line_s_words_that_clash_are_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(opt_parse_pairs(serial_line_opts, &b->cfg, "type=unix", &b->e), 0);
	assert_int_equal(serial_line_resolve(&b->cfg, &b->e), -EINVAL);
	assert_string_equal(b->e.text, "type=unix needs path=PATH");
}

static void words_that_clash_are_refused_with_words(void **state)
{
	static const char *const clashes[] = {
		"stdout,sink",
		"file=a,unix=b",
		"file=a,file=b",
		"type=file",
		"type=unix",
		"path=a",
		"type=stdout,path=a",
		"file=",
		"file=a,stdout",
		"type=unix,path=a,sink",
		"unix=a,stdin",
		"num=5",
		"num=0",
		"type=pty",
		"fiel=a",
		"type=stdout,sink",
		"type=sink,type=sink",
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(clashes); i++) {
		memset(&b->cfg, 0, sizeof(b->cfg));
		memset(&b->e, 0, sizeof(b->e));
		if (open_words(b, clashes[i]) != -EINVAL || !b->e.text[0])
			fail_msg("'%s' was taken", clashes[i]);
	}
	assert_int_equal(b->fds.count, 0);
}

static void standard_output_is_not_made_nonblocking(void **state)
{
	struct bench *b = *state;
	int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), fds[2], flags, status;
	struct stat mine, theirs;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
	status = open_words(b, "stdout");
	flags = fcntl(STDOUT_FILENO, F_GETFL);
	dup2(saved, STDOUT_FILENO);
	assert_int_equal(status, 0);
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_int_equal(fstat(fds[1], &theirs), 0);
	assert_int_equal(fstat(b->fds.fds[0], &mine), 0);
	assert_int_equal(mine.st_ino, theirs.st_ino);
	assert_int_equal(fcntl(b->fds.fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void a_file_as_standard_output_keeps_its_shared_position(void **state)
{
	struct bench *b = *state;
	int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), status;
	int fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	status = open_words(b, "stdout");
	dup2(saved, STDOUT_FILENO);
	assert_int_equal(status, 0);
	assert_int_equal(fd_write_all(b->fds.fds[0], "abc", 3), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	close(saved);
	close(fd);
}

static void a_file_is_made_and_appended_to(void **state)
{
	struct bench *b = *state;
	struct stat st;

	assert_int_equal(open_key(b, "file"), 0);
	assert_int_equal(fd_write_all(b->fds.fds[0], "one", 3), 0);
	fdset_close(&b->fds);
	memset(&b->cfg, 0, sizeof(b->cfg));
	assert_int_equal(open_key(b, "type=file,path"), 0);
	assert_int_equal(fd_write_all(b->fds.fds[0], "two", 3), 0);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_size, 6);
}

static void a_directory_and_an_impossible_path_are_refused_by_name(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_words(b, "file=/"), -EISDIR);
	assert_non_null(strstr(b->e.text, "'/'"));
	memset(&b->cfg, 0, sizeof(b->cfg));
	assert_int_equal(open_words(b, "file=/nowhere/at/all"), -ENOENT);
	assert_non_null(strstr(b->e.text, "/nowhere/at/all"));
}

static void a_fifo_without_a_reader_is_an_error_and_not_a_wait(void **state)
{
	struct bench *b = *state;
	int reader;

	assert_int_equal(mkfifo(b->path, 0600), 0);
	assert_int_equal(open_key(b, "file"), -ENXIO);
	assert_non_null(strstr(b->e.text, "reader"));
	memset(&b->cfg, 0, sizeof(b->cfg));
	reader = open(b->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(open_key(b, "file"), 0);
	close(reader);
}

static void a_socket_is_the_users_alone_and_removed_again(void **state)
{
	struct bench *b = *state;
	struct stat st;

	assert_int_equal(open_key(b, "unix"), 0);
	assert_int_equal(lstat(b->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(b->fds.fds[0], F_GETFD) & FD_CLOEXEC);
	serial_cfg_cleanup(&b->cfg, 0);
	assert_int_equal(lstat(b->path, &st), -1);
}

static void only_the_socket_we_made_is_removed(void **state)
{
	struct bench *b = *state;
	struct stat st;
	int fd;

	assert_int_equal(open_key(b, "unix"), 0);
	assert_int_equal(unlink(b->path), 0);
	fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* somebody else's now */
	serial_cfg_cleanup(&b->cfg, 0);
	assert_int_equal(lstat(b->path, &st), 0);
	close(fd);
	memset(&b->cfg, 0, sizeof(b->cfg));
	strcpy(b->cfg.path, b->path);
	serial_cfg_cleanup(&b->cfg, 0); /* an instance that never made one */
	assert_int_equal(lstat(b->path, &st), 0);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_key(b, "unix"), 0);
	fdset_close(&b->fds); /* as if we had been killed */
	memset(&b->cfg, 0, sizeof(b->cfg));
	assert_int_equal(open_key(b, "unix"), 0);
}

static void a_socket_in_use_is_left_alone(void **state)
{
	struct bench *b = *state;
	struct serial_cfg second = { 0 };
	struct stat st;

	assert_int_equal(open_key(b, "unix"), 0);
	second.type = SERIAL_UNIX;
	strcpy(second.path, b->path);
	assert_int_equal(serial_cfg_open(&second, 1, &b->fds, &b->e), -EADDRINUSE);
	assert_non_null(strstr(b->e.text, b->path));
	serial_cfg_cleanup(&second, 1);
	assert_int_equal(lstat(b->path, &st), 0);
}

static void a_file_in_a_sockets_place_is_left_alone(void **state)
{
	struct bench *b = *state;
	struct stat st;
	int fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(open_key(b, "unix"), -EEXIST);
	assert_int_equal(lstat(b->path, &st), 0);
	close(fd);
}

static void a_long_socket_path_is_refused_with_the_limit(void **state)
{
	struct bench *b = *state;
	char word[160] = "unix=";

	memset(word + 5, 'x', 108);
	assert_int_equal(open_words(b, word), -ENAMETOOLONG);
	assert_non_null(strstr(b->e.text, "107"));
}

static void a_full_set_of_descriptors_leaves_no_socket_behind(void **state)
{
	struct bench *b = *state;
	struct stat st;

	for (int i = 0; i < FDSET_MAX; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_int_equal(fdset_put(&b->fds, &fd), i);
	}
	assert_int_equal(open_key(b, "unix"), -EMFILE);
	assert_int_equal(lstat(b->path, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(nothing_said_is_a_sink),
		T(long_and_short_words_mean_the_same),
		T(a_line_of_which_nothing_is_said_leads_to_standard_output),
		T(a_line_s_words_that_clash_are_refused),
		T(words_that_clash_are_refused_with_words),
		T(standard_output_is_not_made_nonblocking),
		T(a_file_as_standard_output_keeps_its_shared_position),
		T(a_file_is_made_and_appended_to),
		T(a_directory_and_an_impossible_path_are_refused_by_name),
		T(a_fifo_without_a_reader_is_an_error_and_not_a_wait),
		T(a_socket_is_the_users_alone_and_removed_again),
		T(only_the_socket_we_made_is_removed),
		T(a_stale_socket_is_replaced),
		T(a_socket_in_use_is_left_alone),
		T(a_file_in_a_sockets_place_is_left_alone),
		T(a_long_socket_path_is_refused_with_the_limit),
		T(a_full_set_of_descriptors_leaves_no_socket_behind),
	};

	return cmocka_run_group_tests_name("serial_cfg", tests, NULL, NULL);
}
