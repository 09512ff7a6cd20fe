// SPDX-License-Identifier: BSD-3-Clause
// The back-end of vhost-user: serves one device to one front-end over a socket (vhost-user
// specification). The front-end may be anybody's: its messages are checked like a guest's.
#pragma once

#include "evl/evl.h"
#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/types.h"

struct vhost_backend;

/* A ring as the front-end described it, addresses translated to guest addresses. */
struct vhost_backend_ring {
	u32 size;
	gpa_t desc_gpa, avail_gpa, used_gpa;
	u16 base;
};

/*
 * The device behind the protocol: implemented by virtio/worker.c and by tests. Return values: 0 or
 * -errno, which a front-end that wants replies hears as a refusal. Context: the loop's thread.
 */
struct vhost_backend_ops {
	u64 (*features)(struct vhost_backend *b);
	int (*set_features)(struct vhost_backend *b, u64 features);
	u32 (*nr_queues)(struct vhost_backend *b);
	/* has_config - the device has configuration space: CONFIG and its channel are offered. */
	bool (*has_config)(struct vhost_backend *b);
	/* memory_changed - b->mem has changed; all rings are stopped. */
	int (*memory_changed)(struct vhost_backend *b);
	/*
	 * ring_start - serve the ring; kick_fd and call_fd are the back-end's and stay valid until
	 * ring_stop (call_fd may be replaced by ring_call). kick_fd -1: the driver's ring is polled.
	 */
	int (*ring_start)(struct vhost_backend *b, u32 qi, const struct vhost_backend_ring *ring,
			  int kick_fd, int call_fd);
	void (*ring_call)(struct vhost_backend *b, u32 qi, int call_fd);
	/* ring_stop - when it returns no request is in flight. Return: where to begin again. */
	u16 (*ring_stop)(struct vhost_backend *b, u32 qi);
	/*
	 * config_read, config_write - [offset, offset + len); the ops check the device's limit. QEMU
	 * reads all that its type of device can have: dst is zeroed, so fill what there is.
	 */
	int (*config_read)(struct vhost_backend *b, u32 offset, u8 *dst, u32 len);
	int (*config_write)(struct vhost_backend *b, u32 offset, const u8 *src, u32 len);
	/*
	 * gone - the front-end closed or broke the protocol (`why`, static text; NULL: closed). All
	 * rings are stopped, the socket is closed; may call vhost_backend_destroy.
	 */
	void (*gone)(struct vhost_backend *b, const char *why);
};

enum { VHOST_BACKEND_RINGS_MAX = 64 };

struct vhost_backend_vring; /* what the front-end said of a ring so far */

/* Owner: the thread that runs `evl`. */
struct vhost_backend {
	const struct vhost_backend_ops *ops;
	struct evl *evl;
	struct evl_source source; /* of the socket */
	int fd;                   /* connected stream socket, owned */
	int channel_fd;           /* to the front-end, for the back-end's own requests; -1: none */
	struct gmem mem;          /* the front-end's memory table, mapped */
	u64 user_addr[GMEM_REGIONS_MAX]; /* where the front-end has each region */
	u64 features;                    /* agreed on, VHOST_USER_F_PROTOCOL_FEATURES among them */
	u64 protocol_features;           /* agreed on */
	bool features_set;
	u32 nr_queues;
	struct vhost_backend_vring *vrings; /* nr_queues of them, owned */
};

/*
 * vhost_backend_start - serve the front-end at *fd (taken, also when this fails) from `evl`. Return:
 * 0 or -errno with words. Allocates here and never again. ops->nr_queues is asked once, here.
 */
int vhost_backend_start(struct vhost_backend *b, const struct vhost_backend_ops *ops,
			struct evl *evl, int *fd, struct err *e);

/* vhost_backend_destroy - stop every ring, unmap, close. Safe on a zeroed struct with fds of -1. */
void vhost_backend_destroy(struct vhost_backend *b);

/*
 * vhost_backend_config_changed - tell the front-end to read configuration space again, if it gave
 * us a channel. Does not wait. Return: 0, -ENOTCONN without a channel, -EAGAIN when the front-end
 * does not read it, or -errno.
 */
int vhost_backend_config_changed(struct vhost_backend *b);

/*
 * vhost_backend_ring_broken - tell the front-end, if it wants to hear, that the driver's mistake on
 * ring `qi` stopped the device until it is reset.
 */
void vhost_backend_ring_broken(struct vhost_backend *b, u32 qi);
