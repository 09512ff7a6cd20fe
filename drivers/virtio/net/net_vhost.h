// SPDX-License-Identifier: BSD-3-Clause
// virtio-net: one pair's two rings in the hands of the host's kernel.
#pragma once

#include "virtio/vhost_kernel.h"

/* Owner: the pair. */
struct net_vhost {
	int fd;       /* /dev/vhost-net, owned; -1: this process moves the frames */
	u64 features; /* the kernel's */
	u32 started;  /* a bit for each ring it was given */
	struct vhost_kernel_fault faults[2]; /* receive, transmit; source.fd -1: none */
};

/* net_vhost_start - for pair `pair`; takes *fd. Return: 0 or -errno with words; destroy follows.
 * net_vhost_destroy - close; its rings are stopped. Context: worker. */
int net_vhost_start(struct net_vhost *vhost, struct vdev *v, u32 pair, int *fd, struct err *e);
void net_vhost_destroy(struct net_vhost *vhost);

/*
 * net_vhost_ring_start, net_vhost_ring_stop, net_vhost_ring_call - the class's queue_start,
 * queue_stop and queue_call for ring `qi` of this pair. `tap_fd` (borrowed) -1: the tap is gone.
 */
int net_vhost_ring_start(struct net_vhost *vhost, struct vdev *v, u32 qi, int tap_fd);
void net_vhost_ring_stop(struct net_vhost *vhost, struct vdev *v, u32 qi);
void net_vhost_ring_call(struct net_vhost *vhost, struct vdev *v, u32 qi);
