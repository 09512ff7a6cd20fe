// SPDX-License-Identifier: BSD-3-Clause
// One vhost-user message with its descriptors (vhost-user specification, "Message Specification").
#include "vhost/vhost_message.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "evl/evl.h"
#include "util/fd.h"

enum { NS_PER_MS = 1000000, FDS_BYTES_MAX = VHOST_FDS_MAX * sizeof(int) };

_Static_assert(offsetof(struct vhost_message, payload) == sizeof(struct vhost_user_header),
	       "header and payload are one run of bytes");

/* Room for the descriptors of one message, aligned as the socket calls want it. */
union control {
	struct cmsghdr header;
	u8 bytes[CMSG_SPACE(FDS_BYTES_MAX)];
};

void vhost_message_init(struct vhost_message *m, u32 request, u32 flags, u32 size)
{
	*m = (struct vhost_message){
		.header = { .request = le32_make(request),
			    .flags = le32_make(VHOST_USER_VERSION | flags),
			    .size = le32_make(size) },
	};
}

void vhost_message_close_fds(struct vhost_message *m)
{
	for (u32 i = 0; i < m->nr_fds; i++)
		fd_close(&m->fds[i]);
	m->nr_fds = 0;
}

/* Return: 0 when the socket is ready or gone, -ETIMEDOUT at the deadline, or -errno. */
static int socket_wait(int fd, short events, u64 deadline_ns)
{
	struct pollfd waited = { .fd = fd, .events = events };
	u64 now_ns = evl_now_ns();
	u64 left_ms = now_ns < deadline_ns ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	int ready = poll(&waited, 1, (int)left_ms);

	if (ready == 0)
		return -ETIMEDOUT;
	return ready < 0 && errno != EINTR ? -errno : 0;
}

static u64 deadline_after(u32 timeout_ms)
{
	return evl_now_ns() + (u64)timeout_ms * NS_PER_MS;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void control_put_fds(struct msghdr *msg, union control *control, const int *fds, u32 nr_fds)
{
	struct cmsghdr *c;

	if (nr_fds == 0)
		return;
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, nr_fds * sizeof(int));
}

int vhost_message_send(int fd, const struct vhost_message *m, u32 timeout_ms)
{
	u64 deadline_ns = deadline_after(timeout_ms);
	size_t len = sizeof(m->header) + vhost_message_size(m), done = 0;
	int status;

	while (done < len) {
		struct vhost_message copy = *m;
		struct iovec iov = { .iov_base = (u8 *)&copy + done, .iov_len = len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		union control control = { 0 };
		ssize_t sent;

		if (done == 0)
			control_put_fds(&msg, &control, m->fds, m->nr_fds);
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			done += (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		status = socket_wait(fd, POLLOUT, deadline_ns);
		if (status < 0)
			return status;
	}
	return 0;
}

/* --- Receiving -------------------------------------------------------------------------------- */

/*
 * Move what came along into the message. One call brings one header at most: the socket has no
 * option that would put others beside it. Return: 0, or -EPROTO when it was more than it may be.
 */
static int control_take_fds(struct vhost_message *m, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int status = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;
	u32 nr;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return status;
	nr = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (u32 i = 0; i < nr; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (m->nr_fds < VHOST_FDS_MAX) {
			m->fds[m->nr_fds++] = fd;
			continue;
		}
		fd_close(&fd);
		status = -EPROTO;
	}
	return status;
}

/* What is there now. Return: bytes (0: the other side is gone), -EAGAIN, -EPROTO, or -errno. */
static ssize_t receive_some(int fd, struct vhost_message *m, u8 *dst, size_t len)
{
	struct iovec iov = { .iov_base = dst, .iov_len = len };
	union control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t got;

	/* What the other side said before its end comes after the news that it ended unheard. */
	do {
		got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	return control_take_fds(m, &msg) < 0 ? -EPROTO : got;
}

/* The bytes [*have, want) of the message. Errors as vhost_message_receive's. */
static int receive_up_to(int fd, struct vhost_message *m, size_t *have, size_t want,
			 u64 deadline_ns)
{
	while (*have < want) {
		ssize_t got = receive_some(fd, m, (u8 *)m + *have, want - *have);
		int status;

		if (got > 0) {
			*have += (size_t)got;
			continue;
		}
		if (got == 0)
			return *have == 0 ? -EPIPE : -ECONNRESET;
		if (got != -EAGAIN)
			return (int)got;
		status = socket_wait(fd, POLLIN, deadline_ns);
		if (status == -ETIMEDOUT && *have == 0)
			return -EAGAIN;
		if (status < 0)
			return status;
	}
	return 0;
}

int vhost_message_receive(int fd, struct vhost_message *m, u32 timeout_ms)
{
	u64 deadline_ns = deadline_after(timeout_ms);
	size_t have = 0;
	int status;

	*m = (struct vhost_message){ 0 };
	status = receive_up_to(fd, m, &have, sizeof(m->header), deadline_ns);
	if (status == 0 &&
	    ((vhost_message_flags(m) & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	     vhost_message_size(m) > sizeof(m->payload)))
		status = -EPROTO;
	if (status == 0)
		status = receive_up_to(fd, m, &have, sizeof(m->header) + vhost_message_size(m),
				       deadline_ns);
	if (status < 0)
		vhost_message_close_fds(m);
	return status;
}
