// SPDX-License-Identifier: BSD-3-Clause
// The host's kernel as the one who serves rings of a device (Linux, drivers/vhost/vhost.c).
//
// The kernel reads the rings and their buffers through this process's mappings, by the memory table
// alone: a guest address outside of it is an error there as it is here.
#include "virtio/vhost_kernel.h"

#include <errno.h>
#include <linux/vhost.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "util/fd.h"

static int vhost_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

int vhost_kernel_own(int fd, u64 *features, struct err *e)
{
	int status = vhost_ioctl(fd, VHOST_SET_OWNER, NULL);

	if (status == 0)
		status = vhost_ioctl(fd, VHOST_GET_FEATURES, features);
	return status < 0 ? err_errno(e, status, "the kernel's vhost") : 0;
}

static void fault_ready(struct evl_source *source, u32 epoll_events)
{
	struct vhost_kernel_fault *fault = container_of(source, struct vhost_kernel_fault, source);
	u64 count;

	(void)epoll_events;
	fd_read(source->fd, &count, sizeof(count));
	vdev_broken(fault->v, fault->qi, "ring %u: the host's kernel cannot read it", fault->qi);
}

int vhost_kernel_watch(struct vhost_kernel_fault *fault, struct vdev *v, u32 qi, struct err *e)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int status = fd < 0 ? -errno : 0;

	fault->v = v;
	fault->qi = qi;
	if (status == 0)
		status = evl_add(v->evl, &fault->source, fd, EPOLLIN, fault_ready);
	if (status < 0)
		return err_errno(e, status, "the kernel's vhost: eventfd");
	fd_take(&fd);
	return 0;
}

void vhost_kernel_unwatch(struct vhost_kernel_fault *fault)
{
	int fd = fault->source.fd;

	if (fd < 0)
		return;
	evl_remove(fault->v->evl, &fault->source);
	fd_close(&fd);
	fault->source.fd = -1;
}

/* A memory table with its regions. */
union memory_table {
	struct vhost_memory memory;
	u8 bytes[sizeof(struct vhost_memory) +
		 GMEM_REGIONS_MAX * sizeof(struct vhost_memory_region)];
};

int vhost_kernel_prepare(struct vdev *v, int fd, u64 features)
{
	union memory_table table = { .memory = { .nregions = v->mem.nr_regions } };
	int status;

	for (u32 i = 0; i < v->mem.nr_regions; i++) {
		const struct gmem_region *region = &v->mem.regions[i];

		table.memory.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = region->base_gpa,
			.memory_size = region->size_bytes,
			.userspace_addr = (uintptr_t)region->host,
		};
	}
	status = vhost_ioctl(fd, VHOST_SET_FEATURES, &features);
	return status < 0 ? status : vhost_ioctl(fd, VHOST_SET_MEM_TABLE, &table.memory);
}

int vhost_kernel_ring_call(struct vdev *v, u32 qi, int fd, u32 index)
{
	struct vhost_vring_file call = { .index = index, .fd = vdev_queue(v, qi)->call_fd };

	return vhost_ioctl(fd, VHOST_SET_VRING_CALL, &call);
}

int vhost_kernel_ring_start(struct vdev *v, u32 qi, int fd, u32 index, int err_fd)
{
	struct virtq *q = vdev_queue(v, qi);
	struct vhost_vring_state size = { .index = index, .num = q->size };
	struct vhost_vring_state base = { .index = index, .num = q->next_avail };
	struct vhost_vring_addr addr = { .index = index,
					 .desc_user_addr = (uintptr_t)q->desc,
					 .used_user_addr = (uintptr_t)q->used,
					 .avail_user_addr = (uintptr_t)q->avail };
	struct vhost_vring_file kick = { .index = index, .fd = q->kick_fd };
	struct vhost_vring_file fault = { .index = index, .fd = err_fd };
	int status = q->kick_fd < 0 ? -EINVAL : 0; /* it polls no ring */

	if (status == 0)
		status = vhost_ioctl(fd, VHOST_SET_VRING_NUM, &size);
	if (status == 0)
		status = vhost_ioctl(fd, VHOST_SET_VRING_BASE, &base);
	if (status == 0)
		status = vhost_ioctl(fd, VHOST_SET_VRING_ADDR, &addr);
	if (status == 0)
		status = vhost_ioctl(fd, VHOST_SET_VRING_ERR, &fault);
	if (status == 0)
		status = vhost_kernel_ring_call(v, qi, fd, index);
	if (status == 0)
		status = vhost_ioctl(fd, VHOST_SET_VRING_KICK, &kick);
	q->is_elsewhere = status == 0;
	return status;
}

void vhost_kernel_ring_stop(struct vdev *v, u32 qi, int fd, u32 index)
{
	struct virtq *q = vdev_queue(v, qi);
	struct vhost_vring_file none = { .index = index, .fd = VHOST_FILE_UNBIND };
	struct vhost_vring_state base = { .index = index };

	vhost_ioctl(fd, VHOST_SET_VRING_KICK, &none);
	if (vhost_ioctl(fd, VHOST_GET_VRING_BASE, &base) == 0)
		q->next_avail = (u16)base.num;
	q->is_elsewhere = false;
}
