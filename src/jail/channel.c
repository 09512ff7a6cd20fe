// SPDX-License-Identifier: BSD-3-Clause
// What the supervisor and its processes say to each other.
#include "jail/channel.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

/* Room for one descriptor beside a message, aligned as the socket calls want it. */
union control {
	struct cmsghdr header;
	u8 bytes[CMSG_SPACE(sizeof(int))];
};

/* With `passed_fd`, unless it is negative. */
static int message_send(int fd, const struct message *message, int passed_fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	union control control = {
		.header = { .cmsg_len = CMSG_LEN(sizeof(passed_fd)),
			    .cmsg_level = SOL_SOCKET,
			    .cmsg_type = SCM_RIGHTS },
	};
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t sent;

	memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(passed_fd));
	do {
		sent = passed_fd < 0
			       ? send(fd, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT)
			       : sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int channel_send(int fd, enum message_type type, s32 code, const char *text)
{
	struct message message = { .type = type, .code = code };

	if (text)
		snprintf(message.text, sizeof(message.text), "%s", text);
	return message_send(fd, &message, -1);
}

int channel_send_fd(int fd, enum message_type type, int passed_fd)
{
	const struct message message = { .type = type };

	return message_send(fd, &message, passed_fd);
}

int channel_ask(int fd, u32 what, u32 cookie)
{
	const struct message message = { .type = MESSAGE_ASK, .code = (s32)what, .cookie = cookie };

	return message_send(fd, &message, -1);
}

int channel_grant(int fd, u32 cookie, int code, int passed_fd)
{
	const struct message message = { .type = MESSAGE_GRANT, .code = code, .cookie = cookie };

	return message_send(fd, &message, passed_fd);
}

/* The other side may have been taken over: what it says must not steer the user's terminal. */
static void text_make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* Of `got` received bytes. Return: as channel_receive. */
static int message_check(struct message *message, ssize_t got)
{
	if (got == 0)
		return 0;
	if (got != (ssize_t)sizeof(*message))
		return -EPROTO;
	text_make_printable(message->text, sizeof(message->text));
	return 1;
}

int channel_receive(int fd, struct message *message, int flags)
{
	ssize_t got;

	/* What the other side said before its end comes after the news that it ended unheard. */
	do {
		got = recv(fd, message, sizeof(*message), flags | MSG_TRUNC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	return got < 0 ? -errno : message_check(message, got);
}

/* There was room for one: the kernel installs no more. */
static int control_take_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int channel_receive_fd(int fd, struct message *message, int *passed_fd)
{
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t got;
	int status;

	*passed_fd = -1;
	do {
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	*passed_fd = control_take_fd(&msg);
	status = msg.msg_flags & MSG_TRUNC ? -EPROTO : message_check(message, got);
	if (status <= 0)
		fd_close(passed_fd);
	return status;
}
