// SPDX-License-Identifier: BSD-3-Clause
// One vhost-user message with its descriptors, over a stream socket, in bounded time.
#pragma once

#include "vhost/vhost_user.h"

/* Header and payload are what is on the wire, one behind the other. */
struct vhost_message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	u32 nr_fds;
	int fds[VHOST_FDS_MAX];
};

/*
 * vhost_message_init - a message of `size` payload bytes, all zero, that carries no descriptor.
 * `flags`: beside the version. Context of all verbs: any.
 */
void vhost_message_init(struct vhost_message *m, u32 request, u32 flags, u32 size);

/*
 * vhost_message_send - all of it, the descriptors with its first byte; they stay the caller's.
 * Return: 0, -EPIPE (the other side is gone), -ETIMEDOUT, or -errno.
 */
int vhost_message_send(int fd, const struct vhost_message *m, u32 timeout_ms);

/*
 * vhost_message_receive - the next message, wholly: what the payload does not fill is zero. The
 * descriptors, which are close-on-exec, are the caller's from then on; they may have come with any
 * byte. Checked are version, size and number of descriptors, nothing else. After any error no
 * descriptor is left and the stream is of no use, but after -EAGAIN.
 * Return: 0; -EAGAIN: nothing came in time; -EPIPE: the other side is gone and left nothing behind;
 * -ECONNRESET: it is gone in the middle; -ETIMEDOUT: it stopped in the middle; -EPROTO: this is no
 * message; or -errno.
 */
int vhost_message_receive(int fd, struct vhost_message *m, u32 timeout_ms);

/* vhost_message_close_fds - close the descriptors that nobody took. */
void vhost_message_close_fds(struct vhost_message *m);

static inline u32 vhost_message_request(const struct vhost_message *m)
{
	return le32_get(m->header.request);
}

static inline u32 vhost_message_flags(const struct vhost_message *m)
{
	return le32_get(m->header.flags);
}

static inline u32 vhost_message_size(const struct vhost_message *m)
{
	return le32_get(m->header.size);
}
