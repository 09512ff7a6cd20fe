// SPDX-License-Identifier: BSD-3-Clause
// Virtio devices on their side of the seam: the registry, the life of an instance and of its rings.
#include "virtio/vdev.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"

#define VDEV_FEATURES                                                       \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

/* One allocation holds the device and its private state. */
struct vdev_storage {
	struct vdev vdev;
	_Alignas(max_align_t) u8 priv[];
};

struct vdev *vdev_create(const struct vdev_class *cls, u32 index, struct evl *evl,
			 struct vdev_host *host, const void *cfg, struct fdset *fds, struct err *e)
{
	struct vdev_storage *storage = calloc(1, sizeof(*storage) + cls->priv_bytes);
	struct vdev *v;

	if (cls->nr_queues > VDEV_QUEUES_MAX || cls->config_bytes > VDEV_CONFIG_BYTES_MAX)
		abort(); /* a class of ours that asks for more than there is */
	if (!storage) {
		err_set(e, -ENOMEM, "%s.%u: out of memory", cls->name, index);
		return NULL;
	}
	v = &storage->vdev;
	v->cls = cls;
	v->host = host;
	v->evl = evl;
	v->mem.memfd = -1;
	v->features_offered = cls->features | VDEV_FEATURES;
	v->nr_queues = cls->nr_queues;
	v->priv = storage->priv;
	snprintf(v->name, sizeof(v->name), "%s.%u", cls->name, index);
	for (u32 qi = 0; qi < VDEV_QUEUES_MAX; qi++)
		virtq_init(&v->queues[qi]);
	if (cls->start(v, cfg, fds, e) < 0) {
		err_prefix(e, "%s", v->name);
		vdev_destroy(v);
		return NULL;
	}
	assert(v->nr_queues <= cls->nr_queues);
	return v;
}

void vdev_destroy(struct vdev *v)
{
	if (!v)
		return;
	for (u32 qi = 0; qi < v->nr_queues; qi++)
		vdev_queue_stop(v, qi);
	if (v->cls->destroy)
		v->cls->destroy(v);
	free(container_of(v, struct vdev_storage, vdev));
}

/* --- Rings ------------------------------------------------------------------------------------ */

static int queue_enable(struct vdev *v, u32 qi, const struct virtq_config *config, u16 base,
			struct err *e)
{
	struct virtq *q = vdev_queue(v, qi);
	int status;

	if (!q)
		return err_set(e, -EINVAL, "the device has %u rings", v->nr_queues);
	if (q->enabled)
		return err_set(e, -EBUSY, "already started");
	if (config->size > v->cls->queue_size_max)
		return err_set(e, -EINVAL, "ring of %u entries: at most %u are possible",
			       config->size, v->cls->queue_size_max);
	status = virtq_enable(q, &v->mem, config, v->features, base, e);
	if (status < 0 || !v->cls->queue_start)
		return status;
	status = v->cls->queue_start(v, qi);
	if (status < 0) {
		virtq_disable(q);
		return err_errno(e, status, "start");
	}
	return 0;
}

int vdev_queue_start(struct vdev *v, u32 qi, const struct virtq_config *config, u16 base,
		     struct err *e)
{
	int status = queue_enable(v, qi, config, base, e);

	if (status < 0)
		err_prefix(e, "%s: ring %u", v->name, qi);
	return status;
}

static bool vdev_is_idle(const struct vdev *v)
{
	for (u32 qi = 0; qi < v->nr_queues; qi++)
		if (v->queues[qi].enabled)
			return false;
	return true;
}

u16 vdev_queue_stop(struct vdev *v, u32 qi)
{
	struct virtq *q = vdev_queue(v, qi);
	u16 base;

	if (!q || !q->enabled)
		return 0;
	if (v->cls->queue_stop)
		v->cls->queue_stop(v, qi);
	base = virtq_disable(q);
	if (vdev_is_idle(v))
		v->is_broken = false;
	return base;
}

/* Whether the running kick handler had a whole ring of requests. */
static bool kick_is_over(const struct vdev *v, const struct virtq *q)
{
	return (u16)(q->next_avail - v->kick_base) >= q->size;
}

/*
 * A handler that had its whole turn did not see the ring empty, so nothing asked the driver to kick
 * again: ask, and if requests wait already, come back by ourselves once others had their turn.
 */
static void kick_again(struct virtq *q)
{
	const u64 one = 1;

	if (virtq_want_kicks(q, !q->no_kicks) && q->kick_fd >= 0)
		fd_write(q->kick_fd, &one, sizeof(one));
}

void vdev_kick(struct vdev *v, u32 qi)
{
	struct virtq *q = vdev_queue(v, qi);
	int status;

	if (!q || q->is_elsewhere)
		return;
	virtq_drain_kick(q);
	if (!q->enabled || q->broken || v->is_broken)
		return;
	v->kicked = q;
	v->kick_base = q->next_avail;
	status = v->cls->kick(v, qi);
	v->kicked = NULL;
	if (status < 0)
		vdev_broken(v, qi, "ring %u: a request that makes no sense", qi);
	else if (kick_is_over(v, q))
		kick_again(q);
}

int vdev_pop(struct vdev *v, u32 qi, struct virtq_chain *chain, struct iovec *iov, u32 max)
{
	struct virtq *q = vdev_queue(v, qi);
	int status;

	if (!q)
		return 0;
	if (v->is_broken)
		return -EPROTO;
	if (q == v->kicked && kick_is_over(v, q))
		return 0;
	status = virtq_pop(q, chain, iov, max);
	return status < 0 ? vdev_broken(v, qi, "ring %u: %s", qi, q->fault) : status;
}

/* --- Words ------------------------------------------------------------------------------------ */

PRINTF_LIKE(2, 0)
static void vdev_vlog(struct vdev *v, const char *fmt, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, args);
	log_guest(&v->log, "%s: %s", v->name, text);
}

void vdev_log(struct vdev *v, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vdev_vlog(v, fmt, args);
	va_end(args);
}

int vdev_broken(struct vdev *v, u32 qi, const char *fmt, ...)
{
	va_list args;

	if (v->is_broken)
		return -EPROTO;
	v->is_broken = true;
	va_start(args, fmt);
	vdev_vlog(v, fmt, args);
	va_end(args);
	v->host->broken(v->host, v, qi);
	return -EPROTO;
}
