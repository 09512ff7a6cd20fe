// SPDX-License-Identifier: BSD-3-Clause
// A guest for one virtio device.
#include "tests/lib/fake_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/fd.h"
#include "util/log.h"

static void fg_fail(const struct fake_guest *g, const char *what)
{
	fprintf(stderr, "fake_guest: %s (last log line: %s)\n", what, g->log);
	abort();
}

static void fg_expect(const struct fake_guest *g, bool ok, const char *what)
{
	if (!ok)
		fg_fail(g, what);
}

/* The driver's and the device's accesses meet: with an order, and whole. */
static u16 fg_load(const le16 *field)
{
	const u16 *at = __builtin_assume_aligned(field, sizeof(u16));

	return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

static void fg_store(le16 *field, u16 value)
{
	u16 *at = __builtin_assume_aligned(field, sizeof(u16));

	__atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}

static struct fg_queue *fg_queue(struct fake_guest *g, u32 qi)
{
	fg_expect(g, qi < g->v->nr_queues && g->queues[qi].size > 0, "no such ring");
	return &g->queues[qi];
}

static bool fg_event_idx(const struct fake_guest *g)
{
	return vdev_has(g->v, VIRTIO_RING_F_EVENT_IDX);
}

/* --- The device's host ------------------------------------------------------------------------ */

static void host_config_changed(struct vdev_host *host, struct vdev *v)
{
	(void)v;
	container_of(host, struct fake_guest, host)->nr_config_changes++;
}

static void host_broken(struct vdev_host *host, struct vdev *v, u32 qi)
{
	struct fake_guest *g = container_of(host, struct fake_guest, host);

	(void)v;
	g->nr_broken++;
	g->broken_qi = qi;
}

static void host_log(enum log_level level, const char *line, void *opaque)
{
	struct fake_guest *g = opaque;

	(void)level;
	snprintf(g->log, sizeof(g->log), "%s", line);
	g->nr_lines++;
}

static void host_drop_log(enum log_level level, const char *line, void *opaque)
{
	(void)level;
	(void)line;
	(void)opaque;
}

static void host_kicked(struct evl_source *source, u32 epoll_events)
{
	struct fg_queue *dq = container_of(source, struct fg_queue, source);

	(void)epoll_events;
	vdev_kick(dq->g->v, (u32)(dq - dq->g->queues));
}

/* --- Life ------------------------------------------------------------------------------------- */

static const struct gmem_range fg_ranges[] = {
	{ FG_LOW_GPA, FG_SEAM_GPA - FG_LOW_GPA },
	{ FG_SEAM_GPA, FG_HOLE_GPA - FG_SEAM_GPA },
	{ FG_HIGH_GPA, FG_TOP_GPA - FG_HIGH_GPA },
};

#define FG_BUFFERS_GPA (FG_LOW_GPA + (u64)VDEV_QUEUES_MAX * FG_RING_BYTES)

bool fg_try(struct fake_guest *g, const char *name, const void *cfg, struct fdset *fds,
	    struct err *e)
{
	const struct vdev_class *cls = vdev_class_find(name);

	memset(g, 0, sizeof(*g));
	log_set_sink(host_log, g);
	if (gmem_create(&g->mem, GMEM_PRIVATE, fg_ranges, ARRAY_SIZE(fg_ranges), e) < 0)
		fg_fail(g, e->text);
	fg_expect(g, evl_create(&g->evl) == 0, "no event loop");
	fg_expect(g, cls != NULL, "no such class: its source is not in test-sources");
	g->host.config_changed = host_config_changed;
	g->host.broken = host_broken;
	g->next_buffer = FG_BUFFERS_GPA;
	g->next_pin = FG_SEAM_GPA;
	g->v = vdev_create(cls, 0, &g->evl, &g->host, cfg, fds, e);
	if (!g->v)
		return false;
	g->v->mem = g->mem;
	g->features = g->v->features_offered;
	g->ring_size = cls->queue_size_max;
	return true;
}

void fg_create(struct fake_guest *g, const char *name, const void *cfg, struct fdset *fds)
{
	struct err e = { 0 };

	if (!fg_try(g, name, cfg, fds, &e))
		fg_fail(g, e.text);
}

void fg_destroy(struct fake_guest *g)
{
	if (g->v)
		fg_stop(g);
	vdev_destroy(g->v);
	evl_destroy(&g->evl);
	gmem_destroy(&g->mem);
	free(g->gathered);
	log_set_sink(host_drop_log, NULL);
}

static void fg_start_ring(struct fake_guest *g, u32 qi)
{
	gpa_t at = FG_LOW_GPA + (u64)qi * FG_RING_BYTES;
	struct fg_queue *dq = &g->queues[qi];
	struct virtq *q = &g->v->queues[qi];
	struct err e = { 0 };

	memset(fg_ptr(g, at, FG_RING_BYTES), 0, FG_RING_BYTES);
	*dq = (struct fg_queue){ .g = g, .size = g->ring_size };
	dq->config = (struct virtq_config){ .size = dq->size, .desc_gpa = at };
	dq->config.avail_gpa = at + virtq_desc_bytes(dq->size);
	dq->config.used_gpa = ALIGN_UP(dq->config.avail_gpa + virtq_avail_bytes(dq->size), 4);
	dq->desc = fg_ptr(g, at, virtq_desc_bytes(dq->size));
	dq->avail = fg_ptr(g, dq->config.avail_gpa, virtq_avail_bytes(dq->size));
	dq->used = fg_ptr(g, dq->config.used_gpa, virtq_used_bytes(dq->size));
	dq->requests = calloc(dq->size, sizeof(*dq->requests));
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!dq->requests || q->kick_fd < 0 || q->call_fd < 0 ||
	    evl_add(&g->evl, &dq->source, q->kick_fd, EPOLLIN, host_kicked) < 0)
		fg_fail(g, "no eventfds");
	if (vdev_queue_start(g->v, qi, &dq->config, 0, &e) < 0)
		fg_fail(g, e.text);
}

void fg_start(struct fake_guest *g)
{
	fg_expect(g, !(g->features & ~g->v->features_offered), "features that were not offered");
	g->v->features = g->features;
	for (u32 qi = 0; qi < g->v->nr_queues; qi++)
		fg_start_ring(g, qi);
}

void fg_stop(struct fake_guest *g)
{
	for (u32 qi = 0; qi < g->v->nr_queues; qi++) {
		struct fg_queue *dq = &g->queues[qi];

		vdev_queue_stop(g->v, qi);
		if (dq->size == 0)
			continue;
		evl_remove(&g->evl, &dq->source);
		fd_close(&g->v->queues[qi].kick_fd);
		fd_close(&g->v->queues[qi].call_fd);
		for (u32 i = 0; i < dq->size; i++) {
			free(dq->requests[i].in);
			free(dq->requests[i].out);
		}
		free(dq->requests);
		dq->size = 0;
	}
}

/* --- Guest memory ----------------------------------------------------------------------------- */

void *fg_ptr(struct fake_guest *g, gpa_t gpa, u64 len)
{
	void *host = gmem_ptr(&g->mem, gpa, len);

	fg_expect(g, host != NULL, "fg_ptr: not in guest memory");
	return host;
}

gpa_t fg_alloc(struct fake_guest *g, u64 len)
{
	fg_expect(g, len < g->next_pin - g->next_buffer, "fg_alloc: guest memory is full");
	g->next_pin = ALIGN_DOWN(g->next_pin - len, 16);
	memset(fg_ptr(g, g->next_pin, MAX(len, (u64)1)), 0, len);
	return g->next_pin;
}

/* Once nothing is in flight, memory of earlier requests is used again. */
static void fg_reclaim(struct fake_guest *g)
{
	for (u32 qi = 0; qi < g->v->nr_queues; qi++)
		if (g->queues[qi].nr_busy > 0)
			return;
	g->next_buffer = FG_BUFFERS_GPA;
	g->nr_free = 0;
}

/* While something always is in flight, buffers of the same length are used again. */
static bool fg_reuse_buffer(struct fake_guest *g, u32 len, gpa_t *gpa)
{
	for (u32 i = g->nr_free; i > 0; i--) {
		if (g->free[i - 1].len != len)
			continue;
		*gpa = g->free[i - 1].gpa;
		g->free[i - 1] = g->free[--g->nr_free];
		return true;
	}
	return false;
}

static void fg_free_buffers(struct fake_guest *g, struct fg_piece **pieces, u32 nr)
{
	for (u32 i = 0; i < nr && g->nr_free < FG_FREE_MAX; i++)
		g->free[g->nr_free++] = (*pieces)[i];
	free(*pieces);
	*pieces = NULL;
}

/* Buffers do not touch one another, so that a device cannot take two for one. */
static gpa_t fg_alloc_buffer(struct fake_guest *g, u64 len)
{
	gpa_t gpa = g->next_buffer;

	fg_expect(g, len + 64 < g->next_pin - gpa, "guest memory is full of requests");
	g->next_buffer = ALIGN_UP(gpa + len, 16) + 16;
	return gpa;
}

/* --- Offering requests ------------------------------------------------------------------------ */

static void desc_write(struct virtq_desc *d, gpa_t addr, u32 len, u16 flags, u16 next)
{
	*d = (struct virtq_desc){
		.addr = le64_make(addr),
		.len = le32_make(len),
		.flags = le16_make(flags),
		.next = le16_make(next),
	};
}

void fg_desc(struct fake_guest *g, u32 qi, u16 index, gpa_t addr, u32 len, u16 flags, u16 next)
{
	desc_write(&fg_queue(g, qi)->desc[index], addr, len, flags, next);
}

void fg_table_desc(struct fake_guest *g, gpa_t table, u16 index, gpa_t addr, u32 len, u16 flags,
		   u16 next)
{
	const u64 bytes = sizeof(struct virtq_desc);

	desc_write(fg_ptr(g, table + index * bytes, bytes), addr, len, flags, next);
}

/* A descriptor nobody uses, as the end of its chain. */
static u16 fg_take_desc(struct fg_queue *dq)
{
	for (u32 i = 0; i < dq->size; i++) {
		if (dq->requests[i].busy)
			continue;
		dq->requests[i].busy = true;
		dq->requests[i].next = (u16)i;
		dq->nr_busy++;
		return (u16)i;
	}
	fg_fail(dq->g, "the ring is full");
	return 0;
}

/* Put a buffer into guest memory and note where its answer will be. */
static gpa_t fg_place(struct fake_guest *g, struct fg_request *r, const struct fg_buffer *b)
{
	gpa_t gpa;
	u8 *host;

	if (!fg_reuse_buffer(g, b->len, &gpa))
		gpa = fg_alloc_buffer(g, b->len);
	host = fg_ptr(g, gpa, (u64)b->len + 1);
	if (!b->in)
		r->out[r->nr_out++] = (struct fg_piece){ gpa, b->len };
	if (b->in) {
		memset(host, FG_UNTOUCHED, b->len);
		r->in[r->nr_in++] = (struct fg_piece){ gpa, b->len };
		r->in_bytes += b->len;
	} else if (b->out) {
		memcpy(host, b->out, b->len);
	} else {
		memset(host, 0, b->len);
	}
	return gpa;
}

static void fg_fill_table(struct fake_guest *g, struct fg_queue *dq, u16 head,
			  const struct fg_buffer *buffers, u16 nr)
{
	u32 bytes = nr * (u32)sizeof(struct virtq_desc);
	gpa_t table = fg_alloc_buffer(g, bytes);

	for (u16 i = 0; i < nr; i++) {
		u16 flags = (buffers[i].in ? VIRTQ_DESC_F_WRITE : 0) |
			    (i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0);
		gpa_t gpa = fg_place(g, &dq->requests[head], &buffers[i]);

		fg_table_desc(g, table, i, gpa, buffers[i].len, flags, i + 1 < nr ? i + 1 : 0);
	}
	desc_write(&dq->desc[head], table, bytes, VIRTQ_DESC_F_INDIRECT, 0);
}

static void fg_fill_ring(struct fake_guest *g, struct fg_queue *dq, u16 head,
			 const struct fg_buffer *buffers, u16 nr)
{
	u16 index = head;

	for (u16 i = 0; i < nr; i++) {
		u16 next = i + 1 < nr ? fg_take_desc(dq) : index;
		u16 flags = (buffers[i].in ? VIRTQ_DESC_F_WRITE : 0) |
			    (i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0);
		gpa_t gpa = fg_place(g, &dq->requests[head], &buffers[i]);

		desc_write(&dq->desc[index], gpa, buffers[i].len, flags, next);
		dq->requests[index].next = next;
		index = next;
	}
}

u16 fg_submit(struct fake_guest *g, u32 qi, bool table, const struct fg_buffer *buffers, size_t nr)
{
	struct fg_queue *dq = fg_queue(g, qi);
	struct fg_request *r;
	u16 head;

	fg_expect(g, nr > 0 && nr <= FG_CHAIN_MAX, "fg_submit: too many buffers");
	fg_reclaim(g);
	head = fg_take_desc(dq);
	r = &dq->requests[head];
	r->nr_in = r->nr_out = 0;
	r->in_bytes = 0;
	r->in = calloc(nr, sizeof(*r->in));
	r->out = calloc(nr, sizeof(*r->out));
	fg_expect(g, r->in && r->out, "out of memory");
	if (table)
		fg_fill_table(g, dq, head, buffers, (u16)nr);
	else
		fg_fill_ring(g, dq, head, buffers, (u16)nr);
	fg_offer(g, qi, head);
	return head;
}

void fg_offer(struct fake_guest *g, u32 qi, u16 head)
{
	struct fg_queue *dq = fg_queue(g, qi);

	dq->avail->ring[dq->next_avail % dq->size] = le16_make(head);
	fg_set_avail_idx(g, qi, (u16)(dq->next_avail + 1));
}

void fg_set_avail_idx(struct fake_guest *g, u32 qi, u16 idx)
{
	struct fg_queue *dq = fg_queue(g, qi);

	dq->next_avail = idx;
	fg_store(&dq->avail->idx, idx);
}

void fg_force_kick(struct fake_guest *g, u32 qi)
{
	const u64 one = 1;

	fg_expect(g, fd_write(g->v->queues[qi].kick_fd, &one, sizeof(one)) == sizeof(one), "kick");
}

bool fg_kick(struct fake_guest *g, u32 qi)
{
	struct fg_queue *dq = fg_queue(g, qi);
	u16 before = dq->kicked_avail;
	bool wanted;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fg_event_idx(g))
		wanted = virtq_passed_event(fg_load(virtq_avail_event(dq->used, dq->size)),
					    dq->next_avail, before);
	else
		wanted = !(fg_load(&dq->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
	dq->kicked_avail = dq->next_avail;
	if (wanted)
		fg_force_kick(g, qi);
	return wanted;
}

/* --- Taking requests back --------------------------------------------------------------------- */

u16 fg_used_idx(struct fake_guest *g, u32 qi)
{
	return fg_load(&fg_queue(g, qi)->used->idx);
}

struct virtq_used_elem fg_used_elem(struct fake_guest *g, u32 qi, u16 index)
{
	struct fg_queue *dq = fg_queue(g, qi);

	return dq->used->ring[index % dq->size];
}

u32 fg_calls(struct fake_guest *g, u32 qi)
{
	struct fg_queue *dq = fg_queue(g, qi);
	u64 calls;

	if (fd_read(g->v->queues[qi].call_fd, &calls, sizeof(calls)) == sizeof(calls)) {
		dq->calls += (u32)calls;
		dq->awake = true;
	}
	return dq->calls;
}

void fg_poll(struct fake_guest *g, u32 qi, bool polls)
{
	struct fg_queue *dq = fg_queue(g, qi);

	dq->polls = polls;
	/* An event just behind us is reached only after the index went all the way round. */
	if (fg_event_idx(g))
		fg_store(virtq_used_event(dq->avail, dq->size), dq->next_used - (polls ? 1 : 0));
	else
		fg_store(&dq->avail->flags, polls ? VIRTQ_AVAIL_F_NO_INTERRUPT : 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	dq->awake = fg_used_idx(g, qi) != dq->next_used;
}

static void fg_gather(struct fake_guest *g, const struct fg_request *r, struct fg_used *used)
{
	u8 *to = realloc(g->gathered, (size_t)r->in_bytes + 1);

	fg_expect(g, to != NULL, "out of memory");
	g->gathered = to;
	used->in = to;
	used->in_bytes = r->in_bytes;
	for (u32 i = 0; i < r->nr_in; i++) {
		if (r->in[i].len > 0)
			memcpy(to, fg_ptr(g, r->in[i].gpa, r->in[i].len), r->in[i].len);
		to += r->in[i].len;
	}
}

static void fg_release(struct fg_queue *dq, u16 head)
{
	u16 index = head, next = head;

	fg_free_buffers(dq->g, &dq->requests[head].in, dq->requests[head].nr_in);
	fg_free_buffers(dq->g, &dq->requests[head].out, dq->requests[head].nr_out);
	do {
		index = next;
		next = dq->requests[index].next;
		dq->requests[index].busy = false;
		dq->nr_busy--;
	} while (next != index);
}

bool fg_take(struct fake_guest *g, u32 qi, struct fg_used *used)
{
	struct fg_queue *dq = fg_queue(g, qi);
	struct virtq_used_elem elem;
	u32 head;

	fg_calls(g, qi);
	if ((!dq->awake && !dq->polls) || fg_used_idx(g, qi) == dq->next_used)
		return false;
	elem = fg_used_elem(g, qi, dq->next_used);
	head = le32_get(elem.id);
	fg_expect(g, head < dq->size && dq->requests[head].in, "no request has the used head");
	*used = (struct fg_used){ .head = (u16)head, .written = le32_get(elem.len) };
	fg_gather(g, &dq->requests[head], used);
	fg_expect(g, used->written <= used->in_bytes, "more was written than there was room for");
	fg_release(dq, (u16)head);
	dq->next_used++;
	if (fg_used_idx(g, qi) == dq->next_used)
		fg_poll(g, qi, dq->polls); /* back to sleep, after one more look */
	return true;
}

struct fg_used fg_wait(struct fake_guest *g, u32 qi)
{
	u64 end_ns = evl_now_ns() + FG_DEADLINE_MS * 1000000ull;
	struct fg_used used;

	while (!fg_take(g, qi, &used)) {
		fg_expect(g, g->nr_broken == 0, "fg_wait: the device is broken");
		if (evl_now_ns() > end_ns)
			fg_fail(g, fg_used_idx(g, qi) == g->queues[qi].next_used
					   ? "fg_wait: the request does not come back"
					   : "fg_wait: the request came back without a call");
		fg_step(g);
	}
	return used;
}

struct fg_used fg_run(struct fake_guest *g, u32 qi, const struct fg_buffer *buffers, size_t nr)
{
	fg_submit(g, qi, false, buffers, nr);
	fg_kick(g, qi);
	return fg_wait(g, qi);
}

/* --- Configuration space ---------------------------------------------------------------------- */

void fg_config(struct fake_guest *g, u8 config[VDEV_CONFIG_BYTES_MAX])
{
	memset(config, 0, VDEV_CONFIG_BYTES_MAX);
	if (g->v->cls->config_read)
		g->v->cls->config_read(g->v, config);
}

void fg_config_write(struct fake_guest *g, u32 offset, const void *src, u32 len)
{
	fg_expect(g, offset + len <= g->v->cls->config_bytes, "outside of configuration space");
	if (g->v->cls->config_write)
		g->v->cls->config_write(g->v, offset, src, len);
}

/* --- The loop --------------------------------------------------------------------------------- */

void fg_step(struct fake_guest *g)
{
	fg_expect(g, evl_run_once(&g->evl, 20) == 0, "the loop failed");
}

bool fg_is_quiet(struct fake_guest *g)
{
	struct epoll_event event;

	return epoll_wait(g->evl.epoll_fd, &event, 1, 0) == 0;
}

void fg_settle(struct fake_guest *g)
{
	u64 end_ns = evl_now_ns() + FG_DEADLINE_MS * 1000000ull;
	struct epoll_event event;

	/* 20 ms are ten times the longest delay a device gathers work for. */
	while (epoll_wait(g->evl.epoll_fd, &event, 1, 20) > 0) {
		fg_step(g);
		fg_expect(g, evl_now_ns() < end_ns, "fg_settle: the loop never comes to rest");
	}
}
