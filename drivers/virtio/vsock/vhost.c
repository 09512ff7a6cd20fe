// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: the kernel's back end, /dev/vhost-vsock, which moves the bytes without this process.
//
// Its two rings run together or not at all (VHOST_VSOCK_SET_RUNNING).
#include "vsock.h" /* before <linux/vhost.h>, which has the same names */

#include <errno.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "util/fd.h"

enum { VIRTIO_VSOCK_F_SEQPACKET = 1 }; /* section 5.10.3 */

#define BOTH_RINGS (1u << VSOCK_RX | 1u << VSOCK_TX)

static int vhost_run(struct vsock_vhost *vhost, bool running)
{
	int value = running;

	if (ioctl(vhost->fd, VHOST_VSOCK_SET_RUNNING, &value) < 0)
		return -errno;
	vhost->running = running;
	return 0;
}

int vsock_vhost_start(struct vsock *vs, int *fd, struct err *e)
{
	struct vdev *v = vs->v;
	u64 features;
	int status = 0;

	vs->vhost.fd = fd_take(fd);
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults); qi++)
		vs->vhost.faults[qi].source.fd = -1;
	if (vhost_kernel_own(vs->vhost.fd, &features, e) < 0)
		return e->code;
	v->features_offered &= ~v->cls->features;
	v->features_offered |= 1ull << VIRTIO_VSOCK_F_SEQPACKET;
	v->features_offered &= features;
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults) && status == 0; qi++)
		status = vhost_kernel_watch(&vs->vhost.faults[qi], v, qi, e);
	return status;
}

void vsock_vhost_destroy(struct vsock *vs)
{
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults); qi++)
		vhost_kernel_unwatch(&vs->vhost.faults[qi]);
	fd_close(&vs->vhost.fd);
}

int vsock_vhost_queue_start(struct vsock *vs, u32 qi)
{
	struct vsock_vhost *vhost = &vs->vhost;
	int status = 0;

	if (qi >= VSOCK_EVENT)
		return 0;
	if (!vhost->started)
		status = vhost_kernel_prepare(vs->v, vhost->fd, vs->v->features);
	if (status == 0)
		status = vhost_kernel_ring_start(vs->v, qi, vhost->fd, qi,
						 vhost->faults[qi].source.fd);
	if (status < 0)
		return status;
	vhost->started |= 1u << qi;
	if (vhost->started == BOTH_RINGS)
		status = vhost_run(vhost, true);
	if (status < 0)
		vsock_vhost_queue_stop(vs, qi);
	return status;
}

void vsock_vhost_queue_stop(struct vsock *vs, u32 qi)
{
	struct vsock_vhost *vhost = &vs->vhost;

	if (!(vhost->started >> qi & 1))
		return;
	if (vhost->running)
		vhost_run(vhost, false);
	vhost_kernel_ring_stop(vs->v, qi, vhost->fd, qi);
	vhost->started &= ~(1u << qi);
}

void vsock_vhost_queue_call(struct vsock *vs, u32 qi)
{
	if (vs->vhost.started >> qi & 1)
		vhost_kernel_ring_call(vs->v, qi, vs->vhost.fd, qi);
}
