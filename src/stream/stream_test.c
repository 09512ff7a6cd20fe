// SPDX-License-Identifier: BSD-3-Clause
// Byte streams over pipes, sockets, files and terminals; hosts that read, do not, and leave.
// test-sources: src/stream/stream.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/log.c
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream/stream.h"
#include "util/fd.h"

enum { DEADLINE_MS = 10000, INPUT_MAX = 4096 };

/* A device at one end of a stream, and the loop that drives it. */
struct bench {
	struct evl evl;
	struct stream stream;
	u32 wants, nr_drained, nr_input;
	u8 input[INPUT_MAX];
	char dir[32], path[64];
};

static u32 bench_wanted(void *opaque)
{
	struct bench *b = opaque;

	return MIN(b->wants, INPUT_MAX - b->nr_input);
}

static void bench_input(void *opaque, const u8 *bytes, u32 len)
{
	struct bench *b = opaque;

	assert_true(len <= b->wants);
	memcpy(b->input + b->nr_input, bytes, len);
	b->nr_input += len;
	b->wants -= len;
}

static void bench_drained(void *opaque)
{
	((struct bench *)opaque)->nr_drained++;
}

static const struct stream_ops bench_ops = {
	.wanted = bench_wanted,
	.input = bench_input,
	.drained = bench_drained,
};

static void quiet_log(enum log_level level, const char *line, void *opaque)
{
	(void)level;
	(void)line;
	(void)opaque;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	log_set_sink(quiet_log, NULL);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(evl_create(&b->evl), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	stream_destroy(&b->stream);
	evl_destroy(&b->evl);
	if (b->dir[0]) {
		unlink(b->path);
		rmdir(b->dir);
	}
	free(b);
	return 0;
}

static void open_stream(struct bench *b, int in_fd, int out_fd, int listen_fd)
{
	struct stream_fds fds = { in_fd, out_fd, listen_fd };
	struct err e = { 0 };

	assert_int_equal(stream_create(&b->stream, "test.0", &b->evl, fds, &bench_ops, b, &e), 0);
}

static void step(struct bench *b)
{
	assert_int_equal(evl_run_once(&b->evl, 20), 0);
}

#define WAIT(b, condition)                                            \
	do {                                                          \
		u64 end_ns = evl_now_ns() + DEADLINE_MS * 1000000ull; \
		while (!(condition) && evl_now_ns() < end_ns)         \
			step(b);                                      \
		assert_true(condition);                               \
	} while (0)

/* Whether the loop would sleep: no descriptor is watched that keeps firing. */
static bool is_quiet(struct bench *b)
{
	struct epoll_event event;

	return epoll_wait(b->evl.epoll_fd, &event, 1, 0) == 0;
}

/* Turn the loop until there is nothing left to do; a busy loop fails. */
static void settle(struct bench *b)
{
	struct epoll_event event;
	u32 turns = 0;

	while (epoll_wait(b->evl.epoll_fd, &event, 1, 20) > 0) {
		step(b);
		assert_true(++turns < 10000);
	}
}

static void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

/* Read what is there without waiting for more. */
static size_t drain_fd(int fd, char *dst, size_t size)
{
	size_t used = 0;

	assert_int_equal(fd_set_nonblock(fd, true), 0);
	while (used < size) {
		ssize_t got = fd_read(fd, dst + used, size - used);

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	return used;
}

static void put_text(struct bench *b, const char *text)
{
	assert_int_equal(stream_put(&b->stream, text, (u32)strlen(text)), strlen(text));
}

/* --- Output ---------------------------------------------------------------------------------- */

static void a_sink_takes_everything(void **state)
{
	struct bench *b = *state;
	static char big[3 * STREAM_OUT_BYTES];

	open_stream(b, -1, -1, -1);
	assert_int_equal(stream_put(&b->stream, big, sizeof(big)), sizeof(big));
	assert_true(stream_has_room(&b->stream, STREAM_OUT_BYTES / 2));
	assert_true(is_quiet(b));
	stream_kick_input(&b->stream);
	assert_int_equal(b->nr_drained, 0);
}

static void output_reaches_a_pipe_in_order(void **state)
{
	struct bench *b = *state;
	char got[64] = "";
	int fds[2];

	make_pipe(fds);
	open_stream(b, -1, fds[1], -1);
	put_text(b, "one ");
	put_text(b, "two");
	settle(b);
	assert_int_equal(drain_fd(fds[0], got, sizeof(got)), 7);
	assert_string_equal(got, "one two");
	close(fds[0]);
}

static void a_blocking_pipe_stays_blocking_and_never_blocks_us(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES], got[4 * STREAM_OUT_BYTES + 65536];
	size_t sent = 0, received = 0;
	int fds[2], mine;

	make_pipe(fds);
	mine = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
	open_stream(b, -1, fds[1], -1);
	assert_int_equal(b->stream.out_kind, STREAM_OUT_POLLED);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	/* Nobody reads: pipe and ring fill up, then bytes are refused. */
	for (u32 taken = 1; taken > 0;) {
		taken = stream_put(&b->stream, bytes + sent % 1000, 1000);
		sent += taken;
		settle(b);
	}
	assert_true(sent > STREAM_OUT_BYTES);
	assert_false(stream_has_room(&b->stream, 1000));
	assert_int_equal(b->nr_drained, 0);
	assert_true(is_quiet(b));
	assert_int_equal(fcntl(mine, F_GETFL) & O_NONBLOCK, 0);
	/* The reader comes back: everything arrives, and the device hears of the room once. */
	received = drain_fd(fds[0], got, 8192);
	WAIT(b, b->nr_drained == 1 || (received += drain_fd(fds[0], got + received,
							    sizeof(got) - received)) == sent);
	settle(b);
	received += drain_fd(fds[0], got + received, sizeof(got) - received);
	settle(b);
	received += drain_fd(fds[0], got + received, sizeof(got) - received);
	assert_int_equal(received, sent);
	assert_int_equal(b->nr_drained, 1);
	assert_true(stream_has_room(&b->stream, 1000));
	close(mine);
	close(fds[0]);
}

static void a_nonblocking_pipe_takes_output_when_it_can(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES], got[65536 + STREAM_OUT_BYTES];
	size_t received = 0, sent = 0;
	int fds[2];

	make_pipe(fds);
	assert_int_equal(fd_set_nonblock(fds[1], true), 0);
	open_stream(b, -1, fds[1], -1);
	assert_int_equal(b->stream.out_kind, STREAM_OUT_NONBLOCK);
	for (int i = 0; i < 8; i++) {
		sent += stream_put(&b->stream, bytes, sizeof(bytes));
		settle(b);
	}
	WAIT(b, (received += drain_fd(fds[0], got, sizeof(got))) == sent);
	close(fds[0]);
}

static void output_that_has_lost_its_reader_is_dropped_and_counted(void **state)
{
	struct bench *b = *state;
	int fds[2];

	make_pipe(fds);
	close(fds[0]);
	open_stream(b, -1, fds[1], -1);
	put_text(b, "nobody");
	settle(b);
	assert_int_equal(b->stream.dropped_bytes, 6);
	put_text(b, "still nobody");
	settle(b);
	assert_int_equal(b->stream.dropped_bytes, 18);
	assert_true(is_quiet(b));
}

static void a_fifo_may_get_a_new_reader(void **state)
{
	struct bench *b = *state;
	char got[16] = "";
	int out, in;

	strcpy(b->dir, "/tmp/stream.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/fifo", b->dir);
	assert_int_equal(mkfifo(b->path, 0600), 0);
	in = open(b->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	out = open(b->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	open_stream(b, -1, out, -1);
	close(in);
	put_text(b, "lost");
	settle(b);
	in = open(b->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	put_text(b, "found");
	settle(b);
	assert_int_equal(drain_fd(in, got, sizeof(got)), 5);
	assert_string_equal(got, "found");
	close(in);
}

static void a_device_refused_by_a_dead_pipe_hears_of_room(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES + 1];
	int fds[2];

	make_pipe(fds);
	close(fds[0]);
	open_stream(b, -1, fds[1], -1);
	assert_int_equal(stream_put(&b->stream, bytes, sizeof(bytes)), STREAM_OUT_BYTES);
	settle(b);
	assert_int_equal(b->nr_drained, 1);
}

static void a_regular_file_is_written_directly(void **state)
{
	struct bench *b = *state;
	char name[] = "/tmp/stream.XXXXXX", got[16] = "";
	int fd = mkostemp(name, O_CLOEXEC), mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	unlink(name);
	open_stream(b, -1, fd, -1);
	assert_int_equal(b->stream.out_kind, STREAM_OUT_DIRECT);
	put_text(b, "file");
	settle(b);
	assert_int_equal(pread(mine, got, sizeof(got), 0), 4);
	assert_string_equal(got, "file");
	close(mine);
}

static void a_full_disk_drops_output_and_nothing_else(void **state)
{
	struct bench *b = *state;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	open_stream(b, -1, fd, -1);
	put_text(b, "no room");
	settle(b);
	assert_int_equal(b->stream.dropped_bytes, 7);
	assert_true(is_quiet(b));
}

static void a_terminal_nobody_reads_does_not_block_us(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES], got[65536];
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	u32 quiet = 0;

	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	open_stream(b, -1, slave, -1);
	assert_int_equal(b->stream.out_kind, STREAM_OUT_POLLED);
	memset(bytes, '\n', sizeof(bytes)); /* each becomes two */
	alarm(DEADLINE_MS / 1000);          /* were it to block, this ends it */
	while (quiet < 3) {
		quiet = stream_put(&b->stream, bytes, sizeof(bytes)) ? 0 : quiet + 1;
		settle(b);
	}
	WAIT(b, (drain_fd(master, got, sizeof(got)), b->nr_drained > 0));
	alarm(0);
	close(master);
	settle(b); /* the terminal hangs up */
	put_text(b, "x");
	settle(b);
	assert_true(is_quiet(b));
}

static void what_is_left_is_written_when_a_stream_ends(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES], got[2 * STREAM_OUT_BYTES];
	int fds[2];

	make_pipe(fds);
	open_stream(b, -1, fds[1], -1);
	assert_int_equal(stream_put(&b->stream, bytes, sizeof(bytes)), sizeof(bytes));
	stream_destroy(&b->stream);
	assert_int_equal(drain_fd(fds[0], got, sizeof(got)), sizeof(bytes));
	close(fds[0]);
}

static void the_end_of_a_stream_does_not_wait_for_ever(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES];
	int fds[2];

	make_pipe(fds);
	open_stream(b, -1, fds[1], -1);
	for (u32 taken = 1; taken > 0;) {
		taken = stream_put(&b->stream, bytes, sizeof(bytes));
		settle(b);
	}
	alarm(DEADLINE_MS / 1000);
	stream_destroy(&b->stream);
	alarm(0);
	close(fds[0]);
}

struct writer {
	struct bench *bench;
	u32 total;
};

static void *writer_thread(void *opaque)
{
	struct writer *w = opaque;

	for (u32 i = 0; i < w->total;) {
		u8 byte = (u8)(i ^ i >> 8);

		i += stream_put(&w->bench->stream, &byte, 1);
	}
	return NULL;
}

static void bytes_put_by_another_thread_arrive_in_order(void **state)
{
	struct bench *b = *state;
	struct writer w = { b, 300000 };
	static char got[300000];
	pthread_t thread;
	size_t received = 0;
	int fds[2];

	make_pipe(fds);
	open_stream(b, -1, fds[1], -1);
	assert_int_equal(pthread_create(&thread, NULL, writer_thread, &w), 0);
	WAIT(b,
	     (received += drain_fd(fds[0], got + received, sizeof(got) - received)) == sizeof(got));
	pthread_join(thread, NULL);
	for (u32 i = 0; i < sizeof(got); i++)
		if ((u8)got[i] != (u8)(i ^ i >> 8))
			fail_msg("byte %u is wrong", i);
	close(fds[0]);
}

/* --- Input ----------------------------------------------------------------------------------- */

static void input_is_read_only_while_it_is_wanted(void **state)
{
	struct bench *b = *state;
	char rest[64] = "";
	int fds[2];

	make_pipe(fds);
	open_stream(b, fds[0], -1, -1);
	assert_int_equal(fd_write_all(fds[1], "0123456789", 10), 0);
	settle(b);
	assert_int_equal(b->nr_input, 0);
	b->wants = 4;
	stream_kick_input(&b->stream);
	WAIT(b, b->nr_input == 4);
	settle(b);
	assert_int_equal(b->nr_input, 4);
	assert_true(is_quiet(b));
	b->wants = 100;
	stream_kick_input(&b->stream);
	WAIT(b, b->nr_input == 10);
	assert_memory_equal(b->input, "0123456789", 10);
	assert_int_equal(drain_fd(fds[0], rest, sizeof(rest)), 0);
	close(fds[1]);
}

static void the_end_of_input_is_the_end_of_watching(void **state)
{
	struct bench *b = *state;
	int fds[2];

	make_pipe(fds);
	b->wants = 100;
	open_stream(b, fds[0], -1, -1);
	assert_int_equal(fd_write_all(fds[1], "bye", 3), 0);
	close(fds[1]);
	WAIT(b, b->nr_input == 3);
	settle(b);
	assert_true(is_quiet(b));
	stream_kick_input(&b->stream);
	settle(b);
	assert_true(is_quiet(b));
}

static void input_that_ends_unread_does_not_keep_the_loop_busy(void **state)
{
	struct bench *b = *state;
	int fds[2];

	make_pipe(fds);
	open_stream(b, fds[0], -1, -1);
	assert_int_equal(fd_write_all(fds[1], "late", 4), 0);
	close(fds[1]);
	settle(b);
	assert_true(is_quiet(b));
	b->wants = 100;
	stream_kick_input(&b->stream);
	WAIT(b, b->nr_input == 4);
}

static void input_that_cannot_be_watched_is_an_error_with_words(void **state)
{
	struct bench *b = *state;
	struct stream_fds fds = { open("/proc/self/exe", O_RDONLY | O_CLOEXEC), -1, -1 };
	struct err e = { 0 };

	b->wants = 1;
	assert_int_equal(stream_create(&b->stream, "test", &b->evl, fds, &bench_ops, b, &e),
			 -EPERM);
	assert_non_null(strstr(e.text, "input"));
}

/* --- A listening socket ---------------------------------------------------------------------- */

static void open_listener(struct bench *b)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(b->dir, "/tmp/stream.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/socket", b->dir);
	memcpy(address.sun_path, b->path, sizeof(b->path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	open_stream(b, -1, -1, fd);
}

static int connect_client(struct bench *b)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, b->path, sizeof(b->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void a_client_talks_in_both_directions(void **state)
{
	struct bench *b = *state;
	char got[16] = "";
	int client;

	b->wants = 100;
	open_listener(b);
	client = connect_client(b);
	assert_int_equal(fd_write_all(client, "in", 2), 0);
	WAIT(b, b->nr_input == 2);
	put_text(b, "out");
	settle(b);
	assert_int_equal(drain_fd(client, got, sizeof(got)), 3);
	assert_string_equal(got, "out");
	close(client);
}

static void a_late_client_gets_the_last_output(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES], got[2 * STREAM_OUT_BYTES];
	int client;

	open_listener(b);
	memset(bytes, 'a', sizeof(bytes));
	put_text(b, "forgotten");
	assert_int_equal(stream_put(&b->stream, bytes, sizeof(bytes)), sizeof(bytes));
	put_text(b, "end");
	assert_int_equal(b->stream.dropped_bytes, 9 + 3);
	client = connect_client(b);
	settle(b);
	assert_int_equal(drain_fd(client, got, sizeof(got)), STREAM_OUT_BYTES);
	assert_memory_equal(got + STREAM_OUT_BYTES - 5, "aaend", 5);
	close(client);
}

static void a_second_client_waits_for_the_first_to_leave(void **state)
{
	struct bench *b = *state;
	char got[16] = "";
	int first, second;

	b->wants = 100;
	open_listener(b);
	first = connect_client(b);
	settle(b);
	second = connect_client(b);
	put_text(b, "1");
	settle(b);
	assert_int_equal(drain_fd(second, got, sizeof(got)), 0);
	close(first);
	settle(b);
	put_text(b, "2");
	settle(b);
	assert_int_equal(drain_fd(second, got, sizeof(got)), 1);
	assert_string_equal(got, "2");
	close(second);
	settle(b);
	assert_true(is_quiet(b));
}

static void output_a_client_did_not_take_waits_for_the_next(void **state)
{
	struct bench *b = *state;
	char got[16] = "";
	int client;

	open_listener(b);
	client = connect_client(b);
	settle(b);
	close(client);
	settle(b);
	put_text(b, "kept");
	settle(b);
	client = connect_client(b);
	settle(b);
	assert_int_equal(drain_fd(client, got, sizeof(got)), 4);
	close(client);
}

static void input_of_a_client_that_left_is_still_read(void **state)
{
	struct bench *b = *state;
	int client;

	open_listener(b);
	client = connect_client(b);
	assert_int_equal(fd_write_all(client, "reboot\n", 7), 0);
	close(client);
	settle(b);
	assert_true(is_quiet(b));
	b->wants = 100;
	stream_kick_input(&b->stream);
	WAIT(b, b->nr_input == 7);
	settle(b);
	assert_int_equal(b->stream.in_fd, -1);
}

static void a_new_client_comes_before_unread_input_of_one_that_left(void **state)
{
	struct bench *b = *state;
	int client;

	open_listener(b);
	client = connect_client(b);
	assert_int_equal(fd_write_all(client, "old", 3), 0);
	close(client);
	settle(b);
	client = connect_client(b);
	assert_int_equal(fd_write_all(client, "new", 3), 0);
	settle(b);
	b->wants = 100;
	stream_kick_input(&b->stream);
	WAIT(b, b->nr_input > 0);
	assert_memory_equal(b->input, "new", 3);
	close(client);
}

static void a_client_that_only_listens_still_gets_output(void **state)
{
	struct bench *b = *state;
	char got[16] = "";
	int client;

	b->wants = 100;
	open_listener(b);
	client = connect_client(b);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	settle(b);
	assert_true(is_quiet(b));
	put_text(b, "log");
	settle(b);
	assert_int_equal(drain_fd(client, got, sizeof(got)), 3);
	close(client);
	settle(b);
	assert_int_equal(b->stream.in_fd, -1);
	assert_true(is_quiet(b));
}

static void a_client_that_does_not_read_fills_the_ring_and_no_more(void **state)
{
	struct bench *b = *state;
	static char bytes[STREAM_OUT_BYTES];
	int client;

	open_listener(b);
	client = connect_client(b);
	settle(b);
	for (u32 taken = 1; taken > 0;) {
		taken = stream_put(&b->stream, bytes, sizeof(bytes));
		settle(b);
	}
	assert_true(is_quiet(b));
	assert_int_equal(b->nr_drained, 0);
	close(client); /* and now everybody may go on */
	WAIT(b, b->nr_drained == 1);
	put_text(b, "on");
}

static void a_host_without_descriptors_is_asked_again_later(void **state)
{
	struct bench *b = *state;
	struct rlimit old, none;
	char got[16] = "";
	size_t received = 0;
	int client;

	open_listener(b);
	put_text(b, "hi");
	client = connect_client(b);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ (rlim_t)client, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	step(b);
	assert_true(is_quiet(b));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	WAIT(b, (received += drain_fd(client, got, sizeof(got))) == 2);
	close(client);
}

static void destroying_a_zeroed_stream_does_nothing(void **state)
{
	struct bench *b = *state;

	stream_destroy(&b->stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_sink_takes_everything),
		T(output_reaches_a_pipe_in_order),
		T(a_blocking_pipe_stays_blocking_and_never_blocks_us),
		T(a_nonblocking_pipe_takes_output_when_it_can),
		T(output_that_has_lost_its_reader_is_dropped_and_counted),
		T(a_fifo_may_get_a_new_reader),
		T(a_device_refused_by_a_dead_pipe_hears_of_room),
		T(a_regular_file_is_written_directly),
		T(a_full_disk_drops_output_and_nothing_else),
		T(a_terminal_nobody_reads_does_not_block_us),
		T(what_is_left_is_written_when_a_stream_ends),
		T(the_end_of_a_stream_does_not_wait_for_ever),
		T(bytes_put_by_another_thread_arrive_in_order),
		T(input_is_read_only_while_it_is_wanted),
		T(the_end_of_input_is_the_end_of_watching),
		T(input_that_ends_unread_does_not_keep_the_loop_busy),
		T(input_that_cannot_be_watched_is_an_error_with_words),
		T(a_client_talks_in_both_directions),
		T(a_late_client_gets_the_last_output),
		T(a_second_client_waits_for_the_first_to_leave),
		T(output_a_client_did_not_take_waits_for_the_next),
		T(input_of_a_client_that_left_is_still_read),
		T(a_new_client_comes_before_unread_input_of_one_that_left),
		T(a_client_that_only_listens_still_gets_output),
		T(a_client_that_does_not_read_fills_the_ring_and_no_more),
		T(a_host_without_descriptors_is_asked_again_later),
		T(destroying_a_zeroed_stream_does_nothing),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
