// SPDX-License-Identifier: BSD-3-Clause
// The host's kernel as the one who serves rings of a device (<linux/vhost.h>): a class hands it the
// guest's memory, the rings and their eventfds, and neither watches nor pops them itself.
#pragma once

#include "virtio/vdev.h"

/*
 * vhost_kernel_own - make `fd`, one of the kernel's vhost devices, work for this process, whose
 * mappings it will use, and ask which features it has. Return: 0 or -errno with words.
 * Context: worker, before its filter.
 */
int vhost_kernel_own(int fd, u64 *features, struct err *e);

/* An eventfd by which it tells of a driver's mistakes on a ring: the device then needs a reset. */
struct vhost_kernel_fault {
	struct evl_source source;
	struct vdev *v;
	u32 qi;
};

/*
 * vhost_kernel_watch - make and watch it for ring `qi`. Return: 0 or -errno with words.
 * vhost_kernel_unwatch - close it; safe on one that is all zeros but for a source.fd of -1.
 */
int vhost_kernel_watch(struct vhost_kernel_fault *fault, struct vdev *v, u32 qi, struct err *e);
void vhost_kernel_unwatch(struct vhost_kernel_fault *fault);

/*
 * vhost_kernel_prepare - give it the guest's memory as it is mapped here, and `features` of those it
 * has. While none of its rings runs. Return: 0 or -errno.
 */
int vhost_kernel_prepare(struct vdev *v, int fd, u64 features);

/*
 * vhost_kernel_ring_start - ring `qi` of the device is ring `index` of its from now on: for a class's
 * queue_start. `err_fd` is an eventfd that tells of a driver's mistakes there. Return: 0 or -errno.
 * vhost_kernel_ring_call - it has another eventfd for interrupts: for queue_call.
 * vhost_kernel_ring_stop - the ring is this process's again, at the entry where it stopped: for
 * queue_stop, once the class stopped the kernel's device.
 */
int vhost_kernel_ring_start(struct vdev *v, u32 qi, int fd, u32 index, int err_fd);
int vhost_kernel_ring_call(struct vdev *v, u32 qi, int fd, u32 index);
void vhost_kernel_ring_stop(struct vdev *v, u32 qi, int fd, u32 index);
