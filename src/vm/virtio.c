// SPDX-License-Identifier: BSD-3-Clause
// The machine's virtio devices: each a front for the guest, on one transport, and a vhost-user socket
// to the process that does the work.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "vhost/vhost_frontend.h"
#include "virtio/front.h"
#include "virtio/mmio.h"
#include "virtio/pci.h"
#include "vm/remote.h"
#include "vm/vm.h"

/*
 * front.lock guards vhost, too: its verbs are called by vCPUs (status changes) and by vm main (news
 * of configuration space).
 */
struct vm_vdev {
	struct vm *vm;
	const struct vm_setup_vdev *setup;
	struct vfront front;
	struct vhost_frontend vhost;
	union {
		struct virtio_pci pci;
		struct virtio_mmio mmio;
	};
	bool has_front, has_transport;
	u32 nr_served; /* rings that the back-end has; those behind them are never used */
	int err_fd;    /* eventfd: the device met a mistake of its driver's */
	struct evl_source err_source, news_source, end_source;
};

struct vm_virtio_devices {
	bool is_pci;
	u32 nr;
	struct vm_vdev devices[VM_VDEVS_MAX];
};

/* --- What the driver asks for, carried to the device's process --- */

static struct vm_vdev *vdev_of(struct vfront *front)
{
	return container_of(front, struct vm_vdev, front);
}

static bool vdev_is_remote(const struct vm_vdev *v)
{
	return v->setup->remote.path[0];
}

/*
 * After a verb that failed: a device that does not answer, or talks nonsense, may still have the
 * guest's memory in its hands, so the guest must not go on; nor can it without a back-end of
 * somebody else's that is gone. When a process of ours is gone the supervisor tells how it ended.
 */
static void vdev_check(struct vm_vdev *v, const struct err *e)
{
	if (IS_ENABLED(CONFIG_VHOST_USER) && v->vhost.dead && vdev_is_remote(v))
		vm_end(v->vm, VM_END_FAILED, "%s: '%s': %s", v->setup->name, v->setup->remote.path,
		       e->text);
	else if (v->vhost.dead && e->code != -EPIPE)
		vm_end(v->vm, VM_END_FAILED, "%s: %s", v->setup->name, e->text);
}

static void front_stop(struct vfront *front)
{
	struct vm_vdev *v = vdev_of(front);
	struct err e = { 0 };
	u16 base;

	for (u32 qi = 0; qi < v->nr_served && !v->vhost.dead; qi++)
		if (front->queues[qi].enabled &&
		    vhost_frontend_stop_ring(&v->vhost, qi, &base, &e) < 0)
			vdev_check(v, &e);
	/* No ring tells of a mistake any more; the next driver is not to answer for this one. */
	doorbell_drain(v->err_fd);
}

static int start_rings(struct vm_vdev *v, struct err *e)
{
	struct vfront *front = &v->front;
	/* Of those that the driver chose, some may be the front's own. */
	int status = vhost_frontend_set_features(&v->vhost, front->features & v->vhost.features, e);

	for (u32 qi = 0; qi < v->nr_served && status == 0; qi++) {
		const struct vfront_queue *q = &front->queues[qi];
		const struct vhost_ring ring = {
			.size = q->size,
			.desc_gpa = q->desc_gpa,
			.avail_gpa = q->avail_gpa,
			.used_gpa = q->used_gpa,
			.kick_fd = q->kick_fd,
			.call_fd = front->transport->call_fd(front, qi),
		};

		if (q->enabled)
			status = vhost_frontend_start_ring(&v->vhost, qi, &ring, &v->vm->mem, e);
	}
	return status;
}

static int front_start(struct vfront *front)
{
	struct err e;
	int status = start_rings(vdev_of(front), &e);

	if (status < 0) {
		log_guest(&front->log, "%s: %s", front->name, e.text);
		vdev_check(vdev_of(front), &e);
		front_stop(front);
	}
	return status;
}

static void front_calls_changed(struct vfront *front)
{
	struct vm_vdev *v = vdev_of(front);
	struct err e = { 0 };

	for (u32 qi = 0; qi < v->nr_served && !v->vhost.dead; qi++)
		if (front->queues[qi].enabled &&
		    vhost_frontend_set_call(&v->vhost, qi, front->transport->call_fd(front, qi),
					    &e) < 0)
			vdev_check(v, &e);
}

/* All of configuration space as the device has it now. */
static int vdev_read_config(struct vm_vdev *v, u8 *config, struct err *e)
{
	int status = vhost_frontend_get_config(&v->vhost, 0, config, v->front.config_bytes, e);

	if (status < 0)
		vdev_check(v, e);
	else if (IS_ENABLED(CONFIG_VHOST_USER) && vdev_is_remote(v))
		remote_fix_config(v->setup, v->front.nr_queues, config);
	return status;
}

/* What the device made of a write is what the driver reads next. */
static void front_config_write(struct vfront *front, u32 offset, const void *src, u32 len)
{
	struct vm_vdev *v = vdev_of(front);
	struct err e;

	if (vhost_frontend_set_config(&v->vhost, offset, src, len, &e) < 0) {
		log_guest(&front->log, "%s: %s", front->name, e.text);
		vdev_check(v, &e);
	} else if (vdev_read_config(v, front->config, &e) < 0) {
		log_guest(&front->log, "%s: %s", front->name, e.text);
	}
}

static const struct vfront_ops front_ops = {
	.start = front_start,
	.stop = front_stop,
	.calls_changed = front_calls_changed,
	.config_write = front_config_write,
};

/* --- What the device's process tells --- */

static void err_ready(struct evl_source *source, u32 epoll_events)
{
	struct vm_vdev *v = container_of(source, struct vm_vdev, err_source);

	(void)epoll_events;
	/* Under the lock: a vCPU may be in the middle of a reset, which forgets mistakes. */
	pthread_mutex_lock(&v->front.lock);
	if (doorbell_drain(v->err_fd))
		vfront_needs_reset_locked(&v->front, "its driver made a mistake");
	pthread_mutex_unlock(&v->front.lock);
}

static void news_config(struct vm_vdev *v)
{
	u8 config[VFRONT_CONFIG_BYTES_MAX];
	struct err e;
	int status;

	pthread_mutex_lock(&v->front.lock);
	status = vdev_read_config(v, config, &e);
	pthread_mutex_unlock(&v->front.lock);
	if (status == 0)
		vfront_config_changed(&v->front, config);
}

/* A process that is gone is told by the supervisor, who knows how it ended. */
static void news_ready(struct evl_source *source, u32 epoll_events)
{
	struct vm_vdev *v = container_of(source, struct vm_vdev, news_source);

	(void)epoll_events;
	switch (vhost_frontend_news(&v->vhost)) {
	case VHOST_NEWS_CONFIG_CHANGED:
		news_config(v);
		break;
	case VHOST_NEWS_GONE:
		evl_remove(&v->vm->evl, source);
		break;
	case VHOST_NEWS_NONE:
		break;
	}
}

/* Nothing comes unasked through the socket itself but the end. */
static void end_ready(struct evl_source *source, u32 epoll_events)
{
	struct vm_vdev *v = container_of(source, struct vm_vdev, end_source);

	(void)epoll_events;
	evl_remove(&v->vm->evl, source);
	vm_end(v->vm, VM_END_FAILED, "%s: '%s': the vhost-user back-end is gone", v->setup->name,
	       v->setup->remote.path);
}

/* --- Life --- */

static int vdev_greet(struct vm_vdev *v, struct fdset *fds, struct err *e)
{
	cleanup_fd int fd = fdset_take(fds, v->setup->socket_index);
	int status = vhost_frontend_start(&v->vhost, &fd, e);

	return status < 0 ? status : vhost_frontend_set_memory(&v->vhost, &v->vm->mem, e);
}

/* What a process of ours tells of its device, which is of a class. */
static int vdev_describe(struct vm_vdev *v, struct vfront_device *device, u8 *config, struct err *e)
{
	const struct vm_setup_vdev *setup = v->setup;
	const u32 nr_offered = v->vhost.nr_queues_max;

	*device = (struct vfront_device){
		.name = setup->name,
		.virtio_id = setup->virtio_id,
		.queue_size_max = setup->queue_size_max,
		.nr_queues = nr_offered > 0 ? MIN(setup->nr_queues, nr_offered) : setup->nr_queues,
		.config_bytes = setup->config_bytes,
		.features = v->vhost.features,
		.config = config,
	};
	v->nr_served = device->nr_queues;
	if (setup->config_bytes == 0)
		return 0;
	return vhost_frontend_get_config(&v->vhost, 0, config, setup->config_bytes, e);
}

static int vdev_create_front(struct vm_vdev *v, struct err *e)
{
	u8 config[VFRONT_CONFIG_BYTES_MAX] = { 0 };
	struct vfront_device device;
	int status;

	if (IS_ENABLED(CONFIG_VHOST_USER) && vdev_is_remote(v))
		status = remote_describe(v->setup, &v->vhost, v->vm->setup->nr_cpus, &device,
					 config, &v->nr_served, e);
	else
		status = vdev_describe(v, &device, config, e);
	if (status == 0)
		status = vfront_init(&v->front, &device, &front_ops, e);
	v->has_front = status == 0;
	return status;
}

static int vdev_listen(struct vm_vdev *v, struct err *e)
{
	struct evl *evl = &v->vm->evl;
	int status;

	v->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->err_fd < 0)
		return err_errno(e, -errno, "eventfd");
	v->vhost.err_fd = v->err_fd;
	status = evl_add(evl, &v->err_source, v->err_fd, EPOLLIN, err_ready);
	if (status == 0 && v->vhost.channel_fd >= 0)
		status = evl_add(evl, &v->news_source, v->vhost.channel_fd, EPOLLIN, news_ready);
	if (status == 0 && vdev_is_remote(v))
		status = evl_add(evl, &v->end_source, v->vhost.fd, EPOLLRDHUP, end_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

/* Slot 0 of the bus is the host bridge: the first device is in slot 1, and so on. */
static int vdev_put_on_pci(struct vm_vdev *v, u32 index, struct err *e)
{
	const u32 slot = index + 1;
	const struct virtio_pci_place place = {
		.bus = v->vm->host.pci,
		.host = &v->vm->doorbells,
		.evl = &v->vm->evl,
		.slot = slot,
		.gsi = arch_pci_gsi(slot),
		.line_slot = VM_DEVICES_MAX + index,
	};

	return virtio_pci_create(&v->pci, &v->front, &place, e);
}

static int vdev_put_on_mmio(struct vm_vdev *v, u32 index, char *cmdline, struct err *e)
{
	const struct arch_mmio_place place = arch_virtio_mmio_place(index);
	size_t used = strlen(cmdline);
	char words[64];

	arch_virtio_mmio_words(&place, words, sizeof(words));
	if (used + strlen(words) >= ARCH_CMDLINE_BYTES)
		return err_set(e, -EINVAL, "no room on the kernel's command line for '%s'", words);
	memcpy(cmdline + used, words, strlen(words) + 1);
	return virtio_mmio_create(&v->mmio, &v->front, &v->vm->mmio, place.gpa, place.gsi,
				  &v->vm->doorbells, e);
}

static int vdev_create(struct vm_vdev *v, u32 index, struct fdset *fds, char *cmdline,
		       struct err *e)
{
	int status = vdev_greet(v, fds, e);

	if (status == 0)
		status = vdev_create_front(v, e);
	if (status == 0)
		status = vdev_listen(v, e);
	if (status < 0)
		return status;
	v->has_transport = true; /* its destroy is safe when its create failed */
	if (IS_ENABLED(CONFIG_VIRTIO_PCI) && v->vm->virtio->is_pci)
		return vdev_put_on_pci(v, index, e);
	return IS_ENABLED(CONFIG_VIRTIO_MMIO) ? vdev_put_on_mmio(v, index, cmdline, e) : -ENODEV;
}

static void vdev_destroy(struct vm_vdev *v)
{
	struct evl *evl = &v->vm->evl;

	if (IS_ENABLED(CONFIG_VIRTIO_PCI) && v->has_transport && v->vm->virtio->is_pci)
		virtio_pci_destroy(&v->pci);
	else if (IS_ENABLED(CONFIG_VIRTIO_MMIO) && v->has_transport)
		virtio_mmio_destroy(&v->mmio);
	evl_remove(evl, &v->err_source);
	evl_remove(evl, &v->news_source);
	evl_remove(evl, &v->end_source);
	if (v->has_front)
		vfront_destroy(&v->front);
	vhost_frontend_destroy(&v->vhost);
	fd_close(&v->err_fd);
}

static int vdev_name_it(const struct vm_vdev *v, struct err *e)
{
	if (vdev_is_remote(v))
		err_prefix(e, "'%s'", v->setup->remote.path);
	return err_prefix(e, "%s", v->setup->name);
}

int vm_virtio_create(struct vm *vm, struct fdset *fds, char *cmdline, struct err *e)
{
	const struct vm_setup *setup = vm->setup;
	struct vm_virtio_devices *all;

	if (setup->nr_vdevs == 0)
		return 0;
	vm->virtio = all = calloc(1, sizeof(*all));
	if (!all)
		return err_set(e, -ENOMEM, "no memory for %u virtio devices", setup->nr_vdevs);
	vm_doorbells_init(vm);
	all->is_pci = setup->virtio == VM_VIRTIO_PCI;
	for (u32 i = 0; i < setup->nr_vdevs; i++) {
		struct vm_vdev *v = &all->devices[all->nr++];

		*v = (struct vm_vdev){ .vm = vm,
				       .setup = &setup->vdevs[i],
				       .vhost = { .fd = -1, .channel_fd = -1 },
				       .err_fd = -1 };
		if (vdev_create(v, i, fds, cmdline, e) < 0)
			return vdev_name_it(v, e);
	}
	return 0;
}

void vm_virtio_destroy(struct vm *vm)
{
	struct vm_virtio_devices *all = vm->virtio;

	while (all && all->nr > 0)
		vdev_destroy(&all->devices[--all->nr]);
	free(all);
	vm->virtio = NULL;
}
