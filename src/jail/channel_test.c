// SPDX-License-Identifier: BSD-3-Clause
// Messages between supervisor and vm process: whole, cut, garbled, unread, and the last of all.
// test-sources: src/jail/channel.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail/channel.h"
#include "util/fd.h"

struct bench {
	int here, there;
	struct message message;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	b->here = ends[0];
	b->there = ends[1];
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->here);
	fd_close(&b->there);
	free(b);
	return 0;
}

static int receive(struct bench *b)
{
	memset(&b->message, 0x55, sizeof(b->message));
	return channel_receive(b->here, &b->message, MSG_DONTWAIT);
}

static void a_message_arrives_whole(void **state)
{
	struct bench *b = *state;

	assert_int_equal(channel_send(b->there, MESSAGE_ENDED, -7, "all is over"), 0);
	assert_int_equal(receive(b), 1);
	assert_int_equal(b->message.type, MESSAGE_ENDED);
	assert_int_equal(b->message.code, -7);
	assert_string_equal(b->message.text, "all is over");
	assert_int_equal(receive(b), -EAGAIN);
}

static void no_text_is_an_empty_one_and_a_long_one_is_cut(void **state)
{
	struct bench *b = *state;
	char text[1000];

	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(channel_send(b->there, MESSAGE_READY, 0, NULL), 0);
	assert_int_equal(channel_send(b->there, MESSAGE_LOG, 0, text), 0);
	assert_int_equal(receive(b), 1);
	assert_string_equal(b->message.text, "");
	assert_int_equal(receive(b), 1);
	assert_int_equal(strlen(b->message.text), sizeof(b->message.text) - 1);
}

static void text_without_an_end_gets_one(void **state)
{
	struct bench *b = *state;
	struct message endless = { .type = MESSAGE_LOG };

	memset(endless.text, 'e', sizeof(endless.text));
	assert_int_equal(send(b->there, &endless, sizeof(endless), 0), sizeof(endless));
	assert_int_equal(receive(b), 1);
	assert_int_equal(strlen(b->message.text), sizeof(b->message.text) - 1);
}

static void text_that_would_steer_a_terminal_is_made_printable(void **state)
{
	struct bench *b = *state;

	channel_send(b->there, MESSAGE_LOG, 0, "a\033[2J\r\nb\tc\177d\302\233e~ ");
	assert_int_equal(receive(b), 1);
	assert_string_equal(b->message.text, "a?[2J??b?c?d??e~ ");
}

static void what_is_not_the_size_of_a_message_is_none(void **state)
{
	static const size_t sizes[] = { 1, sizeof(struct message) - 1, sizeof(struct message) + 1,
					sizeof(struct message) * 2 };
	struct bench *b = *state;
	char bytes[sizeof(struct message) * 2] = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(send(b->there, bytes, sizes[i], 0), sizes[i]);
		channel_send(b->there, MESSAGE_READY, 0, NULL);
		assert_int_equal(receive(b), -EPROTO);
		assert_int_equal(receive(b), 1); /* the next one is not harmed */
	}
}

static void the_end_comes_after_the_last_message(void **state)
{
	struct bench *b = *state;

	channel_send(b->there, MESSAGE_ENDED, 0, "farewell");
	fd_close(&b->there);
	assert_int_equal(receive(b), 1);
	assert_string_equal(b->message.text, "farewell");
	assert_int_equal(receive(b), 0);
	assert_int_equal(receive(b), 0);
}

static void the_last_message_counts_though_the_other_side_left_ours_unread(void **state)
{
	struct bench *b = *state;

	channel_send(b->here, MESSAGE_STOP, 0, NULL); /* crosses the farewell */
	channel_send(b->there, MESSAGE_ENDED, 0, "farewell");
	fd_close(&b->there);
	assert_int_equal(receive(b), 1);
	assert_string_equal(b->message.text, "farewell");
	assert_int_equal(receive(b), 0);
}

static void sending_waits_for_nobody(void **state)
{
	struct bench *b = *state;
	u32 sent = 0;

	while (channel_send(b->there, MESSAGE_LOG, 0, "again") == 0)
		assert_true(++sent < 1000000);
	assert_int_equal(channel_send(b->there, MESSAGE_LOG, 0, "again"), -EAGAIN);
	assert_int_equal(receive(b), 1);
	assert_int_equal(channel_send(b->there, MESSAGE_LOG, 0, "again"), 0);
}

static void sending_to_nobody_is_an_error_and_no_signal(void **state)
{
	struct bench *b = *state;

	signal(SIGPIPE, SIG_DFL);
	fd_close(&b->there);
	assert_int_equal(channel_send(b->here, MESSAGE_STOP, 0, NULL), -EPIPE);
	fd_close(&b->here);
	assert_int_equal(channel_send(b->here, MESSAGE_STOP, 0, NULL), -EBADF);
	assert_int_equal(receive(b), -EBADF);
}

/* --- Messages that bring a descriptor --- */

static int receive_fd(struct bench *b, int *fd)
{
	memset(&b->message, 0x55, sizeof(b->message));
	return channel_receive_fd(b->here, &b->message, fd);
}

static void a_descriptor_comes_along_and_is_not_inherited(void **state)
{
	struct bench *b = *state;
	int ends[2], fd;
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(channel_send_fd(b->there, MESSAGE_FRONT_END, ends[1]), 0);
	fd_close(&ends[1]);
	assert_int_equal(receive_fd(b, &fd), 1);
	assert_int_equal(b->message.type, MESSAGE_FRONT_END);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	fd_close(&fd);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody else has it */
	fd_close(&ends[0]);
}

static void a_message_without_a_descriptor_has_none(void **state)
{
	struct bench *b = *state;
	int fd = 7;

	assert_int_equal(receive_fd(b, &fd), -EAGAIN);
	assert_int_equal(fd, -1);
	channel_send(b->there, MESSAGE_STOP, 3, "why");
	assert_int_equal(receive_fd(b, &fd), 1);
	assert_int_equal(fd, -1);
	assert_int_equal(b->message.code, 3);
	fd_close(&b->there);
	assert_int_equal(receive_fd(b, &fd), 0);
}

/* Send `len` bytes with descriptors 0 and 1, as who was taken over might. */
static void send_two_fds(int socket_fd, size_t len)
{
	const int fds[] = { STDIN_FILENO, STDOUT_FILENO };
	union {
		struct cmsghdr header;
		u8 bytes[CMSG_SPACE(sizeof(fds))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(fds)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	u8 bytes[sizeof(struct message) + 1] = { 0 };
	struct iovec iov = { .iov_base = bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(sendmsg(socket_fd, &msg, 0), len);
}

static void surplus_descriptors_do_not_stay(void **state)
{
	struct bench *b = *state;
	int probe = dup(STDIN_FILENO), fd;

	fd_close(&probe);
	send_two_fds(b->there, sizeof(struct message));
	assert_int_equal(receive_fd(b, &fd), 1);
	fd_close(&fd);
	send_two_fds(b->there, sizeof(struct message) + 1);
	assert_int_equal(receive_fd(b, &fd), -EPROTO);
	assert_int_equal(fd, -1);
	send_two_fds(b->there, 1);
	assert_int_equal(receive_fd(b, &fd), -EPROTO);
	probe = dup(STDIN_FILENO);
	fd = dup(STDIN_FILENO);
	assert_int_equal(fd, probe + 1); /* no gap was filled by what came */
	fd_close(&probe);
	fd_close(&fd);
}

static bool is_same_file(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
	       first.st_dev == second.st_dev;
}

static void an_ask_names_what_and_its_cookie(void **state)
{
	struct bench *b = *state;

	assert_int_equal(channel_ask(b->there, 0xfffffffe, 77), 0);
	assert_int_equal(receive(b), 1);
	assert_int_equal(b->message.type, MESSAGE_ASK);
	assert_int_equal((u32)b->message.code, 0xfffffffe);
	assert_int_equal(b->message.cookie, 77);
}

static void a_grant_brings_its_descriptor(void **state)
{
	struct bench *b = *state;
	int fd;

	assert_int_equal(channel_grant(b->there, 77, 0, b->there), 0);
	assert_int_equal(channel_grant(b->there, 78, -ECONNREFUSED, -1), 0);
	assert_int_equal(receive_fd(b, &fd), 1);
	assert_int_equal(b->message.type, MESSAGE_GRANT);
	assert_int_equal(b->message.cookie, 77);
	assert_true(is_same_file(fd, b->there));
	fd_close(&fd);
	assert_int_equal(receive_fd(b, &fd), 1);
	assert_int_equal(b->message.code, -ECONNREFUSED);
	assert_int_equal(b->message.cookie, 78);
	assert_int_equal(fd, -1);
	assert_int_equal(receive_fd(b, &fd), -EAGAIN);
}

static void a_descriptor_that_is_not_wanted_goes_away(void **state)
{
	struct bench *b = *state;
	int ends[2];
	u8 byte;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(channel_grant(b->there, 0, 0, ends[1]), 0);
	fd_close(&ends[1]);
	assert_int_equal(receive(b), 1);
	assert_int_equal(fd_read(ends[0], &byte, 1), 0);
	fd_close(&ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_message_arrives_whole),
		T(no_text_is_an_empty_one_and_a_long_one_is_cut),
		T(text_without_an_end_gets_one),
		T(text_that_would_steer_a_terminal_is_made_printable),
		T(what_is_not_the_size_of_a_message_is_none),
		T(the_end_comes_after_the_last_message),
		T(the_last_message_counts_though_the_other_side_left_ours_unread),
		T(sending_waits_for_nobody),
		T(sending_to_nobody_is_an_error_and_no_signal),
		T(a_descriptor_comes_along_and_is_not_inherited),
		T(a_message_without_a_descriptor_has_none),
		T(surplus_descriptors_do_not_stay),
		T(an_ask_names_what_and_its_cookie),
		T(a_grant_brings_its_descriptor),
		T(a_descriptor_that_is_not_wanted_goes_away),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
