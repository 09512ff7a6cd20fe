// SPDX-License-Identifier: BSD-3-Clause
// A virtio device as its driver sees it (virtio 1.2, sections 2 and 3).
#include "virtio/front.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/checked.h"
#include "virtio/virtq.h"

/* Features of the transport that no transport of ours has: they would change the registers. */
#define FEATURES_WITHHELD (0x3full << 36 | 1ull << 34) /* 36 to 41; 34: packed rings */

/* All that a driver may set (section 2.1). */
enum {
	STATUS_DRIVERS = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED,
};

static int init_rings(struct vfront *f, struct err *e)
{
	for (u32 i = 0; i < f->nr_queues; i++) {
		struct vfront_queue *q = &f->queues[i];

		q->size = f->queue_size_max;
		q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->kick_fd < 0 || q->call_fd < 0)
			return err_errno(e, -errno, "%s: eventfd", f->name);
	}
	return 0;
}

int vfront_init(struct vfront *f, const struct vfront_device *device, const struct vfront_ops *ops,
		struct err *e)
{
	int status;

	*f = (struct vfront){ 0 };
	if (device->nr_queues > VFRONT_QUEUES_MAX || device->config_bytes > VFRONT_CONFIG_BYTES_MAX)
		return err_set(e, -EINVAL,
			       "%s: %u rings or %u bytes of configuration: at most %d, %d",
			       device->name, device->nr_queues, device->config_bytes,
			       VFRONT_QUEUES_MAX, VFRONT_CONFIG_BYTES_MAX);
	f->name = device->name;
	f->virtio_id = device->virtio_id;
	f->queue_size_max = device->queue_size_max;
	f->nr_queues = device->nr_queues;
	f->config_bytes = device->config_bytes;
	f->ops = ops;
	f->features_offered = (device->features & ~FEATURES_WITHHELD) | 1ull << VIRTIO_F_VERSION_1;
	if (f->config_bytes > 0)
		memcpy(f->config, device->config, f->config_bytes);
	for (u32 i = 0; i < f->nr_queues; i++)
		f->queues[i].kick_fd = f->queues[i].call_fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	status = init_rings(f, e);
	if (status < 0)
		vfront_destroy(f);
	return status;
}

void vfront_destroy(struct vfront *f)
{
	for (u32 i = 0; i < f->nr_queues; i++) {
		fd_close(&f->queues[i].kick_fd);
		fd_close(&f->queues[i].call_fd);
	}
	f->nr_queues = 0;
}

void vfront_set_features(struct vfront *f, u32 word, u32 bits)
{
	const u8 phase = VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK;

	if (word <= 1 && (f->status & phase) == VIRTIO_STATUS_DRIVER)
		f->features = (f->features & ~(0xffffffffull << word * 32)) | (u64)bits
										      << word * 32;
}

/* What rang before the reset is of no use to the next driver. */
static void reset_ring(struct vfront *f, struct vfront_queue *q)
{
	doorbell_drain(q->kick_fd);
	doorbell_drain(q->call_fd);
	q->size = f->queue_size_max;
	q->enabled = false;
	q->desc_gpa = q->avail_gpa = q->used_gpa = 0;
}

static void reset(struct vfront *f)
{
	if (f->running)
		f->ops->stop(f);
	f->running = false;
	f->status = f->isr = 0;
	f->features = 0;
	for (u32 i = 0; i < f->nr_queues; i++)
		reset_ring(f, &f->queues[i]);
}

static bool features_are_good(const struct vfront *f)
{
	return !(f->features & ~f->features_offered) && f->features >> VIRTIO_F_VERSION_1 & 1;
}

static void start(struct vfront *f)
{
	f->status |= VIRTIO_STATUS_DRIVER_OK;
	f->running = f->ops->start(f) == 0;
	if (!f->running)
		vfront_needs_reset_locked(f, "the device could not start");
}

/* A driver may set several bits at once: they take effect in section 3.1.1's order. */
static void add_status(struct vfront *f, u8 status)
{
	const u8 over = VIRTIO_STATUS_FAILED | VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_DRIVER_OK;

	f->status |= status & STATUS_DRIVERS;
	if ((status & VIRTIO_STATUS_FEATURES_OK) && features_are_good(f))
		f->status |= VIRTIO_STATUS_FEATURES_OK;
	if ((status & VIRTIO_STATUS_DRIVER_OK) && (f->status & VIRTIO_STATUS_FEATURES_OK) &&
	    !(f->status & over))
		start(f);
}

void vfront_set_status_locked(struct vfront *f, u8 status)
{
	if (status == 0)
		reset(f);
	else
		add_status(f, status);
}

void vfront_set_status(struct vfront *f, u8 status)
{
	pthread_mutex_lock(&f->lock);
	vfront_set_status_locked(f, status);
	pthread_mutex_unlock(&f->lock);
}

struct vfront_queue *vfront_queue_edit(struct vfront *f, u32 qi)
{
	if (qi >= f->nr_queues || (f->status & VIRTIO_STATUS_DRIVER_OK) || f->queues[qi].enabled)
		return NULL;
	return &f->queues[qi];
}

void vfront_queue_set_size(struct vfront *f, u32 qi, u32 size)
{
	struct vfront_queue *q = vfront_queue_edit(f, qi);

	if (q)
		q->size = size > f->queue_size_max || (size & (size - 1)) ? 0 : (u16)size;
}

void vfront_queue_set_enabled(struct vfront *f, u32 qi, bool enabled)
{
	const u8 phase = VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK;

	if (qi < f->nr_queues && (f->status & phase) == VIRTIO_STATUS_FEATURES_OK &&
	    f->queues[qi].size > 0)
		f->queues[qi].enabled = enabled;
}

void vfront_kick(struct vfront *f, u32 qi)
{
	pthread_mutex_lock(&f->lock);
	if (f->running && qi < f->nr_queues && f->queues[qi].enabled)
		doorbell_ring(f->queues[qi].kick_fd);
	pthread_mutex_unlock(&f->lock);
}

static void move_doorbell(struct vfront *f, struct doorbell_host *host, u32 qi, u64 gpa, bool match)
{
	struct vfront_queue *q = &f->queues[qi];
	struct doorbell bell = {
		.addr = q->bell_gpa, .len = match ? 4 : 0, .match = match, .value = match ? qi : 0
	};

	if (q->bell_gpa == gpa)
		return;
	if (q->bell_gpa)
		host->bind_doorbell(host, &bell, q->kick_fd, false);
	bell.addr = gpa;
	if (gpa && host->bind_doorbell(host, &bell, q->kick_fd, true) < 0)
		log_guest(&f->log, "%s: ring %u has no doorbell: its kicks are slow", f->name, qi);
	q->bell_gpa = gpa;
}

void vfront_sync_doorbells(struct vfront *f, struct doorbell_host *host, u64 gpa, u32 stride)
{
	for (u32 i = 0; i < f->nr_queues; i++) {
		bool wanted = gpa && f->running && f->queues[i].enabled;

		move_doorbell(f, host, i, wanted ? gpa + (u64)i * stride : 0, stride == 0);
	}
}

/* How much of the access lies in configuration space. */
static u32 config_clip(const struct vfront *f, u32 offset, u32 len)
{
	return offset < f->config_bytes ? MIN(len, f->config_bytes - offset) : 0;
}

void vfront_config_read(struct vfront *f, u32 offset, void *dst, u32 len)
{
	memset(dst, 0, len);
	pthread_mutex_lock(&f->lock);
	if (f->config_is_news)
		f->config_generation++;
	f->config_is_news = false;
	len = config_clip(f, offset, len);
	if (len > 0)
		memcpy(dst, f->config + offset, len);
	pthread_mutex_unlock(&f->lock);
}

void vfront_config_write(struct vfront *f, u32 offset, const void *src, u32 len)
{
	len = config_clip(f, offset, len);
	if (len == 0 || !f->ops->config_write)
		return;
	pthread_mutex_lock(&f->lock);
	f->ops->config_write(f, offset, src, len);
	pthread_mutex_unlock(&f->lock);
}

/* Nobody is interrupted before DRIVER_OK: there may be no handler yet. */
static void notify_config(struct vfront *f)
{
	if (!(f->status & VIRTIO_STATUS_DRIVER_OK))
		return;
	f->isr |= VIRTIO_ISR_CONFIG;
	f->transport->raise(f);
}

void vfront_config_changed(struct vfront *f, const u8 *config)
{
	pthread_mutex_lock(&f->lock);
	memcpy(f->config, config, f->config_bytes);
	f->config_is_news = true;
	notify_config(f);
	pthread_mutex_unlock(&f->lock);
}

void vfront_needs_reset_locked(struct vfront *f, const char *why)
{
	/* No driver: there is nothing to reset, and the next one begins anew. */
	if (f->status == 0 || (f->status & VIRTIO_STATUS_NEEDS_RESET))
		return;
	log_guest(&f->log, "%s: %s; it needs a reset", f->name, why);
	f->status |= VIRTIO_STATUS_NEEDS_RESET;
	notify_config(f);
}

void vfront_needs_reset(struct vfront *f, const char *why)
{
	pthread_mutex_lock(&f->lock);
	vfront_needs_reset_locked(f, why);
	pthread_mutex_unlock(&f->lock);
}
