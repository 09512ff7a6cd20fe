// SPDX-License-Identifier: BSD-3-Clause
// The device's side of a split virtqueue (virtio 1.2, section 2.7).
#include "virtio/virtq.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "mem/shared.h"
#include "util/fd.h"
#include "virtio/virtio_ring.h"

/* --- Fields that both sides use at once ------------------------------------------------------- */

/*
 * All that is read or written of a ring while the driver runs, but descriptors and entries, goes
 * through these two. Acquire: entries and descriptors are read after the index that offered them,
 * where the driver put a barrier before its index (section 2.7.13.3). Release: an entry of the used
 * ring is there before the index says so, for "the device MUST set len prior to updating the used
 * idx" (section 2.7.8.2). virtq_enable checked the alignment.
 */
static u16 ring_load(const le16 *field)
{
	const u16 *at = __builtin_assume_aligned(field, sizeof(u16));

	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void ring_store(le16 *field, u16 value)
{
	u16 *at = __builtin_assume_aligned(field, sizeof(u16));

	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/*
 * What was stored is seen before what follows is loaded. Each side stores its index, then looks
 * whether the other wants to be told; or stores that it wants to be told, then looks at the other's
 * index. The driver has the same fence: "The driver performs a suitable memory barrier to ensure
 * that it updates the idx field before checking for notification suppression" (section 2.7.13).
 */
static void ring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static u16 virtq_waiting(const struct virtq *q)
{
	return (u16)(ring_load(&q->avail->idx) - q->next_avail);
}

/* --- Life ------------------------------------------------------------------------------------- */

void virtq_init(struct virtq *q)
{
	*q = (struct virtq){ .kick_fd = -1, .call_fd = -1 };
}

static void *virtq_place(const struct gmem *mem, const char *what, gpa_t gpa, u64 len, u32 align,
			 struct err *e)
{
	void *host = gmem_ptr(mem, gpa, len);

	if (gpa % align != 0) {
		err_set(e, -EINVAL, "%s at %#llx: must be a multiple of %u", what,
			(unsigned long long)gpa, align);
		return NULL;
	}
	if (!host)
		err_set(e, -EINVAL, "%s at %#llx: its %llu bytes are not in guest memory", what,
			(unsigned long long)gpa, (unsigned long long)len);
	return host;
}

int virtq_enable(struct virtq *q, const struct gmem *mem, const struct virtq_config *config,
		 u64 features, u16 base, struct err *e)
{
	struct virtq next = { .mem = mem, .kick_fd = q->kick_fd, .call_fd = q->call_fd };
	u32 size = config->size;

	if (size == 0 || size > VIRTQ_SIZE_MAX || (size & (size - 1)) != 0)
		return err_set(e, -EINVAL, "ring of %u entries: must be a power of two up to %d",
			       size, VIRTQ_SIZE_MAX);
	next.desc = virtq_place(mem, "descriptor table", config->desc_gpa, virtq_desc_bytes(size),
				VIRTQ_DESC_ALIGN, e);
	if (!next.desc)
		return e->code;
	next.avail = virtq_place(mem, "avail ring", config->avail_gpa, virtq_avail_bytes(size),
				 VIRTQ_AVAIL_ALIGN, e);
	if (!next.avail)
		return e->code;
	next.used = virtq_place(mem, "used ring", config->used_gpa, virtq_used_bytes(size),
				VIRTQ_USED_ALIGN, e);
	if (!next.used)
		return e->code;
	next.enabled = true;
	next.size = (u16)size;
	next.indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	next.event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	next.next_avail = base;
	next.next_used = ring_load(&next.used->idx);
	next.called_used = next.next_used;
	*q = next;
	virtq_want_kicks(q, true);
	return 0;
}

u16 virtq_disable(struct virtq *q)
{
	struct virtq off = { .kick_fd = q->kick_fd, .call_fd = q->call_fd };
	u16 next_avail = q->next_avail;

	*q = off;
	return next_avail;
}

/* --- From the avail ring to buffers ----------------------------------------------------------- */

static int virtq_fault(struct virtq *q, const char *why)
{
	q->broken = true;
	q->fault = why;
	return -EPROTO;
}

/* One chain on its way into an iovec. */
struct walk {
	struct virtq *q;
	const struct virtq_desc *table; /* the ring's own, or an indirect one */
	u32 table_size, table_steps;    /* entries of it; how many were looked at */
	bool indirect, writable;        /* inside of an indirect table; a writable buffer came */
	u32 buffers;                    /* in the chain, those of no bytes included */
	u64 bytes;
	struct iovec *iov;
	u32 max, nr, nr_out;
};

static int walk_into_table(struct walk *w, const struct virtq_desc *d)
{
	struct virtq *q = w->q;
	u32 len = le32_get(d->len), nr = len / sizeof(struct virtq_desc);

	if (!q->indirect)
		return virtq_fault(q, "an indirect table, which was not negotiated");
	if (w->indirect)
		return virtq_fault(q, "an indirect table within another");
	if (le16_get(d->flags) & VIRTQ_DESC_F_NEXT)
		return virtq_fault(q, "a descriptor behind an indirect table");
	if (len == 0 || len % sizeof(struct virtq_desc) != 0)
		return virtq_fault(q, "an indirect table that is no whole number of descriptors");
	if (nr > q->size)
		return virtq_fault(q, "an indirect table larger than the ring");
	w->table = gmem_ptr(q->mem, le64_get(d->addr), len);
	if (!w->table)
		return virtq_fault(q, "an indirect table outside of guest memory");
	w->table_size = nr;
	w->table_steps = 0;
	w->indirect = true;
	return 0;
}

static int walk_buffer(struct walk *w, const struct virtq_desc *d)
{
	struct virtq *q = w->q;
	bool writable = le16_get(d->flags) & VIRTQ_DESC_F_WRITE;
	u32 len = le32_get(d->len);
	void *host;

	if (w->writable && !writable)
		return virtq_fault(q, "a readable buffer behind a writable one");
	w->writable = writable;
	if (++w->buffers > q->size)
		return virtq_fault(q, "a chain longer than the ring");
	if (len == 0)
		return 0;
	w->bytes += len;
	if (w->bytes > UINT32_MAX)
		return virtq_fault(q, "a chain of 4 GiB or more");
	host = gmem_ptr(q->mem, le64_get(d->addr), len);
	if (!host)
		return virtq_fault(q, "a buffer outside of guest memory");
	if (w->nr == w->max)
		return virtq_fault(q, "more buffers than the device takes");
	w->iov[w->nr++] = (struct iovec){ .iov_base = host, .iov_len = len };
	w->nr_out += !writable;
	return 0;
}

/* Each table is walked at most as many steps as it has entries. */
static int walk_chain(struct walk *w, u32 index)
{
	struct virtq_desc d;
	int status;

	for (;;) {
		if (w->table_steps++ == w->table_size)
			return virtq_fault(w->q, "a chain that loops");
		shared_read(&d, &w->table[shared_index(index, w->table_size)], sizeof(d));
		if (le16_get(d.flags) & VIRTQ_DESC_F_INDIRECT) {
			status = walk_into_table(w, &d);
			index = 0;
		} else {
			status = walk_buffer(w, &d);
			if (!(le16_get(d.flags) & VIRTQ_DESC_F_NEXT))
				return status;
			index = le16_get(d.next);
		}
		if (status < 0)
			return status;
		if (index >= w->table_size)
			return virtq_fault(w->q, "a next descriptor outside of the table");
	}
}

/*
 * How many requests wait. When there are none, the driver is made to kick for the next before this
 * says so; a driver that did not negotiate EVENT_IDX does anyway.
 */
static u16 virtq_look(struct virtq *q)
{
	u16 waiting = virtq_waiting(q);

	if (waiting > 0 || !q->event_idx || q->no_kicks)
		return waiting;
	virtq_want_kicks(q, true);
	return virtq_waiting(q);
}

static bool head_is_out(const struct virtq *q, u16 head)
{
	return q->heads_out[head / 64] >> head % 64 & 1;
}

static void head_flip(struct virtq *q, u16 head)
{
	q->heads_out[head / 64] ^= 1ull << head % 64;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain, struct iovec *iov, u32 max)
{
	struct walk w = { .q = q, .table = q->desc, .table_size = q->size, .iov = iov, .max = max };
	u16 waiting, head;
	le16 entry;

	if (q->broken)
		return -EPROTO;
	waiting = q->enabled ? virtq_look(q) : 0;
	if (waiting == 0)
		return 0;
	if (waiting > q->size)
		return virtq_fault(q, "an avail index that jumped");
	shared_read(&entry, &q->avail->ring[q->next_avail % q->size], sizeof(entry));
	head = le16_get(entry);
	if (head >= q->size)
		return virtq_fault(q, "a head outside of the table");
	head = (u16)shared_index(head, q->size);
	if (head_is_out(q, head))
		return virtq_fault(q, "a head that the device still has");
	if (walk_chain(&w, head) < 0)
		return -EPROTO;
	head_flip(q, head);
	q->last_head = head;
	q->next_avail++;
	chain->head = head;
	gcur_init(&chain->out, iov, w.nr_out);
	gcur_init(&chain->in, iov + w.nr_out, w.nr - w.nr_out);
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	virtq_unpop_head(q, q->last_head);
}

void virtq_unpop_head(struct virtq *q, u16 head)
{
	if (!q->enabled)
		return;
	assert(head < q->size && head_is_out(q, head));
	head_flip(q, head);
	q->next_avail--;
}

/* --- Back to the driver ----------------------------------------------------------------------- */

/* An entry of the used ring that the index does not cover yet. */
static void virtq_fill(struct virtq *q, const struct virtq_done *done)
{
	struct virtq_used_elem elem = { .id = le32_make(done->head),
					.len = le32_make(done->written) };

	assert(done->head < q->size && head_is_out(q, done->head));
	head_flip(q, done->head);
	memcpy(&q->used->ring[q->next_used % q->size], &elem, sizeof(elem));
	q->next_used++;
}

void virtq_push_all(struct virtq *q, const struct virtq_done *done, u32 nr)
{
	if (!q->enabled)
		return;
	for (u32 i = 0; i < nr; i++)
		virtq_fill(q, &done[i]);
	ring_store(&q->used->idx, q->next_used);
}

void virtq_push(struct virtq *q, u16 head, u32 written)
{
	virtq_push_all(q, &(struct virtq_done){ .head = head, .written = written }, 1);
}

/* Section 2.7.7.2; the first call after enabling is made in any case. */
static bool virtq_driver_listens(const struct virtq *q)
{
	if (!q->event_idx)
		return !(ring_load(&q->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	return !q->called_any || virtq_passed_event(ring_load(virtq_used_event(q->avail, q->size)),
						    q->next_used, q->called_used);
}

void virtq_call(struct virtq *q)
{
	const u64 one = 1;
	bool listens;

	if (!q->enabled || q->next_used == q->called_used)
		return;
	ring_fence();
	listens = virtq_driver_listens(q);
	q->called_used = q->next_used;
	q->called_any = true;
	if (listens && q->call_fd >= 0)
		fd_write(q->call_fd, &one, sizeof(one));
}

/* --- Kicks ------------------------------------------------------------------------------------ */

bool virtq_has_avail(const struct virtq *q)
{
	return q->enabled && virtq_waiting(q) > 0;
}

bool virtq_want_kicks(struct virtq *q, bool wanted)
{
	if (!q->enabled)
		return false;
	q->no_kicks = !wanted;
	/* With EVENT_IDX "the device MUST set flags to 0" (section 2.7.10.2); an event that is
	 * left behind asks for no kick until the index went all the way round. */
	ring_store(&q->used->flags, wanted || q->event_idx ? 0 : VIRTQ_USED_F_NO_NOTIFY);
	if (wanted && q->event_idx)
		ring_store(virtq_avail_event(q->used, q->size), q->next_avail);
	ring_fence();
	return virtq_has_avail(q);
}

void virtq_drain_kick(struct virtq *q)
{
	u64 kicks;

	if (q->kick_fd >= 0)
		fd_read(q->kick_fd, &kicks, sizeof(kicks));
}
