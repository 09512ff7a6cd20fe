// SPDX-License-Identifier: BSD-3-Clause
// virtio-net: /dev/vhost-net, by which the host's kernel moves a pair's frames between rings and tap.
#include "net_vhost.h" /* before <linux/vhost.h>, which has the same names */

#include <errno.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "util/fd.h"

/* The kernel's number of a ring of the pair: receive 0, transmit 1. */
static u32 ring_of(u32 qi)
{
	return qi % 2;
}

int net_vhost_start(struct net_vhost *vhost, struct vdev *v, u32 pair, int *fd, struct err *e)
{
	vhost->fd = fd_take(fd);
	if (vhost_kernel_own(vhost->fd, &vhost->features, e) < 0)
		return e->code;
	for (u32 i = 0; i < ARRAY_SIZE(vhost->faults); i++)
		if (vhost_kernel_watch(&vhost->faults[i], v, 2 * pair + i, e) < 0)
			return e->code;
	return 0;
}

void net_vhost_destroy(struct net_vhost *vhost)
{
	for (u32 i = 0; i < ARRAY_SIZE(vhost->faults); i++)
		vhost_kernel_unwatch(&vhost->faults[i]);
	fd_close(&vhost->fd);
}

static int set_backend(struct net_vhost *vhost, u32 ring, int tap_fd)
{
	struct vhost_vring_file file = { .index = ring, .fd = tap_fd };

	return ioctl(vhost->fd, VHOST_NET_SET_BACKEND, &file) < 0 ? -errno : 0;
}

int net_vhost_ring_start(struct net_vhost *vhost, struct vdev *v, u32 qi, int tap_fd)
{
	u32 ring = ring_of(qi);
	u64 one = 1;
	int status = 0;

	if (!vhost->started)
		status = vhost_kernel_prepare(v, vhost->fd, v->features & vhost->features);
	if (status == 0)
		status = vhost_kernel_ring_start(v, qi, vhost->fd, ring,
						 vhost->faults[ring].source.fd);
	if (status < 0)
		return status;
	vhost->started |= 1u << ring;
	/* A tap that is gone leaves a ring that nobody serves, as without the kernel. */
	if (tap_fd >= 0)
		status = set_backend(vhost, ring, tap_fd);
	if (status < 0)
		net_vhost_ring_stop(vhost, v, qi);
	else /* a kick that came before the tap did was for nobody */
		fd_write(v->queues[qi].kick_fd, &one, sizeof(one));
	return status;
}

void net_vhost_ring_stop(struct net_vhost *vhost, struct vdev *v, u32 qi)
{
	u32 ring = ring_of(qi);

	if (!(vhost->started >> ring & 1))
		return;
	set_backend(vhost, ring, -1); /* returns when no frame is on its way */
	vhost_kernel_ring_stop(v, qi, vhost->fd, ring);
	vhost->started &= ~(1u << ring);
}

void net_vhost_ring_call(struct net_vhost *vhost, struct vdev *v, u32 qi)
{
	if (vhost->started >> ring_of(qi) & 1)
		vhost_kernel_ring_call(v, qi, vhost->fd, ring_of(qi));
}
