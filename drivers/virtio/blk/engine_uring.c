// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk's engine for many requests at a time: their calls go through the host's io_uring.
//
// A kick queues the first call of each of its requests, and begins them all with one system call.
// What the host had at hand is done when that returns; the rest is heard of through the event loop.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "evl/evl.h"
#include "uring.h"

/* Each request has one call at a time under way: as many as the ring takes. */
enum { DEPTH = BLK_QUEUE_SIZE };

/* Owner: the device's thread. */
struct engine_uring {
	struct uring ring;
	struct evl_source source; /* of ring.ring_fd */
	struct blk_engine *en;
	struct vdev *v;
};

/*
 * Not for the ring: what goes through en->buffer, which is one for all requests; BLKDISCARD, which
 * io_uring did not have for long; and writes to the host's page cache. Those hardly ever wait, but
 * most file systems make io_uring hand them to another thread, which costs half as much again.
 */
static bool is_done_at_once(const struct blk_engine *en, const struct blk_step *s)
{
	return s->by_buffer || s->call == BLK_CALL_DISCARD ||
	       (s->call == BLK_CALL_WRITE && en->image.direct_bytes == 0);
}

/* Steps up to the next one for the ring. */
static void go_on(struct engine_uring *eu, struct blk_request *r)
{
	const struct blk_step *s = &r->step;
	struct blk_engine *en = eu->en;

	for (;;) {
		if (!blk_step_next(en, r)) {
			blk_complete(r, r->result);
			return;
		}
		if (!is_done_at_once(en, s))
			break;
		blk_step_done(en, r, blk_step_now(en, r));
	}
	switch (s->call) {
	case BLK_CALL_READ:
	case BLK_CALL_WRITE:
		uring_move(&eu->ring, (uintptr_t)r, s->call == BLK_CALL_WRITE, en->fd, r->call_iov,
			   s->nr_iov, s->offset);
		return;
	case BLK_CALL_FLUSH:
		uring_flush(&eu->ring, (uintptr_t)r, en->fd);
		return;
	case BLK_CALL_ALLOCATE:
		uring_allocate(&eu->ring, (uintptr_t)r, en->fd, s->mode, s->offset, s->len);
		return;
	case BLK_CALL_DISCARD:
		return;
	}
}

/* EAGAIN: the host has no way to do it without waiting, or no memory to remember it by. */
static void call_is_done(struct engine_uring *eu, const struct uring_done *done)
{
	struct blk_request *r = (struct blk_request *)(uintptr_t)done->tag;

	if (done->result == -EAGAIN)
		blk_step_done(eu->en, r, blk_step_now(eu->en, r));
	else
		blk_step_done(eu->en, r, done->result);
	go_on(eu, r);
}

/* Calls the kernel does not take are made here, one after the other. */
static void begin_queued(struct engine_uring *eu)
{
	int status = uring_begin(&eu->ring);

	if (status < 0)
		vdev_log(eu->v, "io_uring takes no more: %s", strerror(-status));
	while (uring_queued(&eu->ring) > 0) {
		struct blk_request *r = (struct blk_request *)(uintptr_t)uring_take_back(&eu->ring);

		blk_step_done(eu->en, r, blk_step_now(eu->en, r));
		blk_carry_out(eu->en, r);
	}
}

static void uring_commit(struct blk_engine *en)
{
	struct engine_uring *eu = en->priv;
	struct uring_done done;

	do {
		begin_queued(eu);
		while (uring_next(&eu->ring, &done))
			call_is_done(eu, &done);
	} while (uring_queued(&eu->ring) > 0);
}

static void uring_wait_one(struct blk_engine *en)
{
	struct engine_uring *eu = en->priv;

	uring_wait(&eu->ring);
	uring_commit(en);
}

static void uring_ready(struct evl_source *source, u32 epoll_events)
{
	struct engine_uring *eu = container_of(source, struct engine_uring, source);

	(void)epoll_events;
	uring_commit(eu->en);
	blk_batch_end(eu->v);
}

static void uring_submit(struct blk_engine *en, struct blk_request *r)
{
	go_on(en->priv, r);
}

static int uring_engine_create(struct blk_engine *en, struct vdev *v, struct err *e)
{
	struct engine_uring *eu = calloc(1, sizeof(*eu));
	int status;

	if (!eu)
		return err_set(e, -ENOMEM, "out of memory");
	en->priv = eu;
	eu->en = en;
	eu->v = v;
	eu->ring.ring_fd = -1;
	status = uring_create(&eu->ring, DEPTH, e);
	if (status < 0)
		return status;
	status = evl_add(v->evl, &eu->source, eu->ring.ring_fd, EPOLLIN, uring_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

static void uring_engine_destroy(struct blk_engine *en)
{
	struct engine_uring *eu = en->priv;

	if (!eu)
		return;
	evl_remove(eu->v->evl, &eu->source);
	uring_destroy(&eu->ring);
	free(eu);
	en->priv = NULL;
}

const struct blk_engine_ops blk_engine_uring = {
	.depth = DEPTH,
	.create = uring_engine_create,
	.destroy = uring_engine_destroy,
	.submit = uring_submit,
	.commit = uring_commit,
	.wait = uring_wait_one,
};
