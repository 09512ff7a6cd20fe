// SPDX-License-Identifier: BSD-3-Clause
// Descriptors: one owner, signals in the middle of a call, short transfers, early ends.
// test-sources: src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"

enum { TICK_US = 1000, DEADLINE_TICKS = 10000, BULK_BYTES = 512 * 1024, CHUNK_BYTES = 32768 };

/* --- A signal each millisecond that interrupts calls ------------------------------------------ */

/* What the handler does, and how far it is. One process, one timer. */
static struct {
	int fd;
	volatile sig_atomic_t ticks;
	size_t got;
	u8 *bytes;
} tick;

/* The third signal ends the wait: what went before had to be survived. */
static void feed_on_third_tick(int signal_number)
{
	int error = errno;

	(void)signal_number;
	if (++tick.ticks == 3 && write(tick.fd, "x", 1) != 1)
		abort();
	if (tick.ticks > DEADLINE_TICKS)
		abort();
	errno = error;
}

/* The signals between find a write that has moved nothing yet. */
static void drain_on_each_third_tick(int signal_number)
{
	int error = errno;
	ssize_t got;

	(void)signal_number;
	if (++tick.ticks % 3 == 0) {
		got = read(tick.fd, tick.bytes + tick.got, CHUNK_BYTES);
		if (got > 0)
			tick.got += (size_t)got;
	}
	if (tick.ticks > DEADLINE_TICKS)
		abort();
	errno = error;
}

static void start_ticking(void (*handler)(int), int fd, u8 *bytes)
{
	const struct itimerval each = { { 0, TICK_US }, { 0, TICK_US } };
	struct sigaction action = { .sa_handler = handler }; /* no SA_RESTART */

	tick.fd = fd;
	tick.ticks = 0;
	tick.got = 0;
	tick.bytes = bytes;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &each, NULL);
}

static void stop_ticking(void)
{
	const struct itimerval never = { 0 };

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
}

static void a_read_waits_on_through_signals(void **state)
{
	int ends[2];
	char byte = 0;
	ssize_t got;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start_ticking(feed_on_third_tick, ends[1], NULL);
	got = fd_read(ends[0], &byte, sizeof(byte));
	stop_ticking();
	assert_int_equal(got, 1);
	assert_int_equal(byte, 'x');
	assert_true(tick.ticks >= 3);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

static void all_is_written_in_pieces_and_through_signals(void **state)
{
	u8 *src = malloc(BULK_BYTES), *dst = malloc(BULK_BYTES + CHUNK_BYTES);
	int ends[2], status;
	ssize_t got;

	(void)state;
	for (size_t i = 0; i < BULK_BYTES; i++)
		src[i] = (u8)(i * 31 >> 4);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fd_set_nonblock(ends[0], true), 0);
	start_ticking(drain_on_each_third_tick, ends[0], dst);
	status = fd_write_all(ends[1], src, BULK_BYTES);
	stop_ticking();
	assert_int_equal(status, 0);
	while ((got = fd_read(ends[0], dst + tick.got, CHUNK_BYTES)) > 0)
		tick.got += (size_t)got;
	assert_int_equal(tick.got, BULK_BYTES);
	assert_memory_equal(src, dst, BULK_BYTES);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	free(src);
	free(dst);
}

/* --- Ends and errors -------------------------------------------------------------------------- */

static void a_read_gives_what_there_is_then_the_end(void **state)
{
	char bytes[8];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(fd_read(ends[0], bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(fd_write(ends[1], "abc", 3), 3);
	assert_int_equal(fd_read(ends[0], bytes, sizeof(bytes)), 3);
	fd_close(&ends[1]);
	assert_int_equal(fd_read(ends[0], bytes, sizeof(bytes)), 0);
	fd_close(&ends[0]);
}

static void errors_come_back_as_negative_errno(void **state)
{
	char byte = 0;
	int ends[2];

	(void)state;
	assert_int_equal(fd_read(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_write(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_write_all(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_pread_all(-1, &byte, 1, 0), -EBADF);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fd_pread_all(ends[0], &byte, 1, 0), -ESPIPE);
	fd_close(&ends[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(fd_write_all(ends[1], &byte, 1), -EPIPE);
	fd_close(&ends[1]);
}

static void nothing_to_write_succeeds_anywhere(void **state)
{
	(void)state;
	assert_int_equal(fd_write_all(-1, "", 0), 0);
	assert_int_equal(fd_pread_all(-1, NULL, 0, 0), 0);
}

static void a_file_is_read_exactly_or_not_at_all(void **state)
{
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);
	char bytes[8] = { 0 };

	(void)state;
	assert_int_equal(fd_write_all(fd, "01234567", 8), 0);
	assert_int_equal(fd_pread_all(fd, bytes, 8, 0), 0);
	assert_memory_equal(bytes, "01234567", 8);
	assert_int_equal(fd_pread_all(fd, bytes, 3, 5), 0);
	assert_memory_equal(bytes, "567", 3);
	assert_int_equal(fd_pread_all(fd, bytes, 4, 5), -ENODATA);
	assert_int_equal(fd_pread_all(fd, bytes, 1, 8), -ENODATA);
	assert_int_equal(fd_pread_all(fd, bytes, 1, 1ull << 63), -EINVAL);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 8);
}

/* --- Owners ----------------------------------------------------------------------------------- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void taking_leaves_none_behind(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), was = fd;
	int taken = fd_take(&fd);

	(void)state;
	assert_int_equal(taken, was);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_take(&fd), -1);
	assert_true(is_open(taken));
	fd_close(&taken);
}

static void closing_twice_closes_once(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), was = fd, other;

	(void)state;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_false(is_open(was));
	other = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the lowest number: the same again */
	fd_close(&fd);
	assert_true(is_open(other));
	fd_close(&other);
}

static int open_and_maybe_hand_over(bool hand_over, int *number)
{
	cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	*number = fd;
	return hand_over ? fd_take(&fd) : -1;
}

static void a_local_descriptor_is_closed_unless_it_was_handed_over(void **state)
{
	int number, fd;

	(void)state;
	assert_int_equal(open_and_maybe_hand_over(false, &number), -1);
	assert_false(is_open(number));
	fd = open_and_maybe_hand_over(true, &number);
	assert_int_equal(fd, number);
	assert_true(is_open(fd));
	fd_close(&fd);
}

static void nonblock_changes_one_flag_only(void **state)
{
	cleanup_fd int fd = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	int before = fcntl(fd, F_GETFL);

	(void)state;
	assert_int_equal(fd_set_nonblock(fd, true), 0);
	assert_int_equal(fcntl(fd, F_GETFL), before | O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fd, false), 0);
	assert_int_equal(fcntl(fd, F_GETFL), before);
}

static void a_text_is_what_a_file_holds_as_far_as_there_is_room(void **state)
{
	char path[] = "/tmp/kiln-fd-test.XXXXXX", text[8];
	cleanup_fd int fd = mkstemp(path);

	(void)state;
	assert_int_equal(fd_write_all(fd, "0123456789", 10), 0);
	assert_int_equal(fd_read_text(path, text, sizeof(text)), 0);
	assert_string_equal(text, "0123456");
	assert_int_equal(ftruncate(fd, 3), 0);
	assert_int_equal(fd_read_text(path, text, sizeof(text)), 0);
	assert_string_equal(text, "012");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_read_text(path, text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "");
	assert_int_equal(fd_read_text("/tmp", text, sizeof(text)), -EISDIR);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_waits_on_through_signals),
		cmocka_unit_test(all_is_written_in_pieces_and_through_signals),
		cmocka_unit_test(a_read_gives_what_there_is_then_the_end),
		cmocka_unit_test(errors_come_back_as_negative_errno),
		cmocka_unit_test(nothing_to_write_succeeds_anywhere),
		cmocka_unit_test(a_file_is_read_exactly_or_not_at_all),
		cmocka_unit_test(taking_leaves_none_behind),
		cmocka_unit_test(closing_twice_closes_once),
		cmocka_unit_test(a_local_descriptor_is_closed_unless_it_was_handed_over),
		cmocka_unit_test(a_text_is_what_a_file_holds_as_far_as_there_is_room),
		cmocka_unit_test(nonblock_changes_one_flag_only),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
