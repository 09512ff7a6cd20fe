// SPDX-License-Identifier: BSD-3-Clause
// Messages with descriptors over a stream: whole, in pieces, too long, cut off, too many descriptors.
// test-sources: src/vhost/vhost_message.c src/evl/evl.c src/util/fd.c
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "vhost/vhost_message.h"

enum { WAIT_MS = 10000, AT_ONCE_MS = 0, SOON_MS = 1 };

struct bench {
	int here, there, any_fd;
	struct vhost_message m;
	u32 nr_open; /* descriptors of this process */
};

static u32 count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	u32 nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	b->here = ends[0];
	b->there = ends[1];
	b->any_fd = eventfd(0, EFD_CLOEXEC);
	b->nr_open = count_open();
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->here);
	fd_close(&b->there);
	fd_close(&b->any_fd);
	free(b);
	return 0;
}

static int receive(struct bench *b, u32 timeout_ms)
{
	memset(&b->m, 0x55, sizeof(b->m));
	return vhost_message_receive(b->here, &b->m, timeout_ms);
}

/* Send bytes as they are, with so many copies of one descriptor. */
static void send_raw(struct bench *b, const void *bytes, size_t len, u32 nr_fds)
{
	u8 control[CMSG_SPACE(32 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	char copy[4096];
	struct iovec iov = { .iov_base = copy, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(copy, bytes, len);
	if (nr_fds > 0) {
		struct cmsghdr *c = (void *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS,
				       .cmsg_len = CMSG_LEN(nr_fds * sizeof(int)) };
		for (u32 i = 0; i < nr_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &b->any_fd, sizeof(int));
	}
	assert_int_equal(sendmsg(b->there, &msg, 0), len);
}

static struct vhost_user_header header(u32 flags, u32 size)
{
	return (struct vhost_user_header){ .request = le32_make(7),
					   .flags = le32_make(flags),
					   .size = le32_make(size) };
}

static void a_message_arrives_whole_with_its_descriptors(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;
	u64 value = 5;

	vhost_message_init(&m, 9, VHOST_USER_NEED_REPLY, 8);
	m.payload.number = le64_make(0x1122334455667788);
	m.fds[m.nr_fds++] = b->any_fd;
	m.fds[m.nr_fds++] = b->there;
	assert_int_equal(vhost_message_send(b->there, &m, AT_ONCE_MS), 0);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_int_equal(vhost_message_request(&b->m), 9);
	assert_int_equal(vhost_message_flags(&b->m), VHOST_USER_VERSION | VHOST_USER_NEED_REPLY);
	assert_int_equal(vhost_message_size(&b->m), 8);
	assert_true(le64_get(b->m.payload.number) == 0x1122334455667788);
	assert_int_equal(b->m.nr_fds, 2);
	assert_true(fcntl(b->m.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_write_all(b->m.fds[0], &value, sizeof(value)), 0);
	value = 0;
	assert_int_equal(fd_read(b->any_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 5);
	vhost_message_close_fds(&b->m);
	assert_int_equal(b->m.nr_fds, 0);
}

static void messages_keep_their_bounds_and_what_is_not_sent_is_zero(void **state)
{
	static const struct vhost_message zero;
	struct bench *b = *state;
	struct vhost_message m;

	vhost_message_init(&m, 1, 0, sizeof(m.payload));
	memset(&m.payload, 0xaa, sizeof(m.payload));
	assert_int_equal(vhost_message_send(b->there, &m, AT_ONCE_MS), 0);
	vhost_message_init(&m, 2, 0, 0);
	assert_int_equal(vhost_message_send(b->there, &m, AT_ONCE_MS), 0);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_int_equal(vhost_message_size(&b->m), sizeof(m.payload));
	assert_int_equal(((u8 *)&b->m.payload)[sizeof(m.payload) - 1], 0xaa);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_int_equal(vhost_message_request(&b->m), 2);
	assert_memory_equal(&b->m.payload, &zero.payload, sizeof(zero.payload));
	assert_int_equal(receive(b, AT_ONCE_MS), -EAGAIN);
}

static void a_message_in_pieces_is_put_together(void **state)
{
	struct bench *b = *state;
	struct {
		struct vhost_user_header header;
		le64 number;
	} bytes = { header(VHOST_USER_VERSION, 8), le64_make(0x0102030405060708) };

	for (u32 i = 0; i < sizeof(bytes); i++)
		send_raw(b, (u8 *)&bytes + i, 1, i % 4 == 0);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_true(le64_get(b->m.payload.number) == 0x0102030405060708);
	assert_int_equal(b->m.nr_fds, 5); /* whichever byte they come with */
	vhost_message_close_fds(&b->m);
	assert_int_equal(count_open(), b->nr_open);
}

static void what_is_no_message_is_refused_before_its_payload(void **state)
{
	static const struct {
		u32 flags, size;
	} bad[] = {
		{ 0, 0 },
		{ 2, 8 },
		{ 3, 8 },
		{ VHOST_USER_VERSION, sizeof(union vhost_user_payload) + 1 },
		{ VHOST_USER_VERSION, UINT32_MAX },
		{ VHOST_USER_VERSION, 1u << 31 },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vhost_user_header h = header(bad[i].flags, bad[i].size);

		send_raw(b, &h, sizeof(h), 3);
		assert_int_equal(receive(b, WAIT_MS), -EPROTO);
		assert_int_equal(b->m.nr_fds, 0);
		assert_int_equal(count_open(), b->nr_open);
	}
}

static void eight_descriptors_are_taken_and_more_are_closed(void **state)
{
	struct bench *b = *state;
	struct vhost_user_header h = header(VHOST_USER_VERSION, 0);

	send_raw(b, &h, sizeof(h), VHOST_FDS_MAX);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_int_equal(b->m.nr_fds, VHOST_FDS_MAX);
	vhost_message_close_fds(&b->m);
	send_raw(b, &h, sizeof(h), VHOST_FDS_MAX + 1); /* one is the kernel's to close */
	assert_int_equal(receive(b, WAIT_MS), -EPROTO);
	send_raw(b, &h, 4, VHOST_FDS_MAX);
	send_raw(b, (u8 *)&h + 4, 8, 1); /* one is ours */
	assert_int_equal(receive(b, WAIT_MS), -EPROTO);
	assert_int_equal(count_open(), b->nr_open);
}

static void nothing_silence_and_an_end_are_told_apart(void **state)
{
	struct bench *b = *state;
	struct vhost_user_header h = header(VHOST_USER_VERSION, 8);

	assert_int_equal(receive(b, AT_ONCE_MS), -EAGAIN);
	assert_int_equal(receive(b, SOON_MS), -EAGAIN);
	send_raw(b, &h, 5, 1);
	assert_int_equal(receive(b, SOON_MS), -ETIMEDOUT);
	assert_int_equal(count_open(), b->nr_open);
	send_raw(b, &h, sizeof(h), 1);
	assert_int_equal(receive(b, SOON_MS), -ETIMEDOUT);
	send_raw(b, &h, sizeof(h), 1);
	fd_close(&b->there);
	assert_int_equal(receive(b, WAIT_MS), -ECONNRESET);
	assert_int_equal(receive(b, WAIT_MS), -EPIPE);
	assert_int_equal(count_open(), b->nr_open - 1);
}

static void what_was_said_before_the_end_is_heard_though_ours_was_left_unread(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;

	vhost_message_init(&m, 3, 0, 0);
	assert_int_equal(vhost_message_send(b->here, &m, AT_ONCE_MS), 0);
	assert_int_equal(vhost_message_send(b->there, &m, AT_ONCE_MS), 0);
	fd_close(&b->there);
	assert_int_equal(receive(b, WAIT_MS), 0);
	assert_int_equal(receive(b, WAIT_MS), -EPIPE);
}

static void sending_has_an_end_and_raises_no_signal(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;
	int status = 0;

	signal(SIGPIPE, SIG_DFL);
	vhost_message_init(&m, 3, 0, sizeof(m.payload));
	for (u32 i = 0; i < 100000 && status == 0; i++)
		status = vhost_message_send(b->there, &m, SOON_MS);
	assert_int_equal(status, -ETIMEDOUT);
	fd_close(&b->here);
	assert_int_equal(vhost_message_send(b->there, &m, WAIT_MS), -EPIPE);
	fd_close(&b->there);
	assert_int_equal(vhost_message_send(b->there, &m, WAIT_MS), -EBADF);
	assert_int_equal(receive(b, WAIT_MS), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_message_arrives_whole_with_its_descriptors),
		T(messages_keep_their_bounds_and_what_is_not_sent_is_zero),
		T(a_message_in_pieces_is_put_together),
		T(what_is_no_message_is_refused_before_its_payload),
		T(eight_descriptors_are_taken_and_more_are_closed),
		T(nothing_silence_and_an_end_are_told_apart),
		T(what_was_said_before_the_end_is_heard_though_ours_was_left_unread),
		T(sending_has_an_end_and_raises_no_signal),
	};

	return cmocka_run_group_tests_name("vhost_message", tests, NULL, NULL);
}
