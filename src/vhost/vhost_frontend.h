// SPDX-License-Identifier: BSD-3-Clause
// The front-end of vhost-user: what a virtual machine asks of one device's back-end, over a socket
// (vhost-user specification, "Communication").
#pragma once

#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/types.h"
#include "vhost/vhost_user.h"

enum {
	VHOST_REPLY_MS = 10000, /* how long a back-end may take for one answer */
	VHOST_STOP_MS =
		30000, /* for stopping a ring: what is in flight is finished before, and disks
				 * can be slow */
};

/* A ring as the driver configured it, checked by nobody yet but the transport. */
struct vhost_ring {
	u32 size;
	gpa_t desc_gpa, avail_gpa, used_gpa;
	u16 base;             /* entry of the avail ring to begin at */
	int kick_fd, call_fd; /* borrowed eventfds; call_fd -1: the driver polls */
};

/*
 * One back-end. Every verb waits for the answer, at most the times above, and returns 0 or -errno
 * with words: -EPIPE when the back-end is gone, -ETIMEDOUT, -EPROTO for an answer that makes no
 * sense, -EREMOTEIO when it refused. After any of these but -EREMOTEIO the connection is dead.
 * Owner: whoever holds the device's lock; no two verbs at once.
 */
struct vhost_frontend {
	int fd;         /* connected stream socket, owned; -1: none */
	int channel_fd; /* the back-end's requests (configuration changed), owned; -1: none */
	int err_fd;     /* borrowed eventfd that the back-end rings when a ring is broken; -1: none.
			 * Set after start, before any ring is started. */
	u32 reply_ms;   /* set before start: in place of the times above; 0: those */
	u32 waited_ms;  /* at most, for the last answer */
	bool dead;
	bool has_protocol_features; /* the back-end offers VHOST_USER_F_PROTOCOL_FEATURES */
	u64 features; /* what the back-end offers, VHOST_USER_F_PROTOCOL_FEATURES left out */
	u64 protocol_features; /* agreed on */
	u32 nr_queues_max;     /* what GET_QUEUE_NUM said; 0 without MQ */
};

/*
 * vhost_frontend_start - greet: owner, features, protocol features, number of queues and the
 * channel for the back-end's own requests (a socketpair is made here, if the back-end has
 * configuration space to speak of). Takes *fd, also when it fails. All of `f` but reply_ms is set.
 */
int vhost_frontend_start(struct vhost_frontend *f, int *fd, struct err *e);

/* vhost_frontend_destroy - close; safe when start failed or was never called on a zeroed struct
 * whose descriptors are -1. */
void vhost_frontend_destroy(struct vhost_frontend *f);

/* vhost_frontend_set_memory - the regions of `mem`, which has a memfd (GMEM_SHARED). */
int vhost_frontend_set_memory(struct vhost_frontend *f, const struct gmem *mem, struct err *e);

/* vhost_frontend_set_features - what the driver acknowledged, of f->features. */
int vhost_frontend_set_features(struct vhost_frontend *f, u64 features, struct err *e);

/* vhost_frontend_start_ring, vhost_frontend_stop_ring - begin to serve ring `qi`; end it, when no
 * request is in flight any more, and store where it stopped in *base. */
int vhost_frontend_start_ring(struct vhost_frontend *f, u32 qi, const struct vhost_ring *ring,
			      const struct gmem *mem, struct err *e);
int vhost_frontend_stop_ring(struct vhost_frontend *f, u32 qi, u16 *base, struct err *e);

/* vhost_frontend_set_call - replace the eventfd of a started ring by `call_fd` (borrowed). */
int vhost_frontend_set_call(struct vhost_frontend *f, u32 qi, int call_fd, struct err *e);

/*
 * vhost_frontend_get_config, vhost_frontend_set_config - [offset, offset + len) of configuration
 * space, len at most VHOST_CONFIG_BYTES_MAX.
 */
int vhost_frontend_get_config(struct vhost_frontend *f, u32 offset, void *dst, u32 len,
			      struct err *e);
int vhost_frontend_set_config(struct vhost_frontend *f, u32 offset, const void *src, u32 len,
			      struct err *e);

/* What a back-end told of its own accord. */
enum vhost_news {
	VHOST_NEWS_NONE,           /* nothing yet, or a request this front-end ignores */
	VHOST_NEWS_CONFIG_CHANGED, /* read configuration space again */
	VHOST_NEWS_GONE,           /* the back-end closed or talks nonsense: stop listening */
};

/* vhost_frontend_news - one request off channel_fd, without waiting; answered where asked for. */
enum vhost_news vhost_frontend_news(struct vhost_frontend *f);
