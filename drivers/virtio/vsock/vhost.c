// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: the kernel's back end, /dev/vhost-vsock, which moves the bytes without this process.
//
// Its two rings run together or not at all (VHOST_VSOCK_SET_RUNNING).
#include "vsock.h" /* before <linux/vhost.h>, which has the same names */

#include <errno.h>
#include <linux/vhost.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "util/fd.h"
#include "virtio/vhost_kernel.h"

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

static void fault_ready(struct evl_source *source, u32 epoll_events)
{
	struct vsock_fault *fault = container_of(source, struct vsock_fault, source);
	u64 count;

	(void)epoll_events;
	fd_read(source->fd, &count, sizeof(count));
	vdev_broken(fault->v, fault->qi, "ring %u: the host's kernel cannot read it", fault->qi);
}

static int vhost_watch_faults(struct vsock *vs)
{
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults); qi++) {
		struct vsock_fault *fault = &vs->vhost.faults[qi];
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), status;

		if (fd < 0)
			return -errno;
		fault->v = vs->v;
		fault->qi = qi;
		status = evl_add(vs->v->evl, &fault->source, fd, EPOLLIN, fault_ready);
		if (status < 0) {
			fd_close(&fd);
			return status;
		}
	}
	return 0;
}

int vsock_vhost_start(struct vsock *vs, int *fd, struct err *e)
{
	struct vdev *v = vs->v;
	u64 features;
	int status;

	vs->vhost.fd = fd_take(fd);
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults); qi++)
		vs->vhost.faults[qi].source.fd = -1;
	if (vhost_kernel_own(vs->vhost.fd, &features, e) < 0)
		return e->code;
	v->features_offered &= ~v->cls->features;
	v->features_offered |= 1ull << VIRTIO_VSOCK_F_SEQPACKET;
	v->features_offered &= features;
	status = vhost_watch_faults(vs);
	return status < 0 ? err_errno(e, status, "the kernel's vhost") : 0;
}

void vsock_vhost_destroy(struct vsock *vs)
{
	for (u32 qi = 0; qi < ARRAY_SIZE(vs->vhost.faults); qi++) {
		int fd = vs->vhost.faults[qi].source.fd;

		evl_remove(vs->v->evl, &vs->vhost.faults[qi].source);
		fd_close(&fd);
	}
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
