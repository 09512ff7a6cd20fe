// SPDX-License-Identifier: BSD-3-Clause
// What calls of the host's a request of virtio-blk is made of, and what follows from how they end.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"
#include "util/checked.h"

#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_ZERO_RANGE 0x10 /* linux/falloc.h, which clashes with musl's fcntl.h */
#endif

/* Bytes that are moved at once by way of our own memory. */
#define BUFFER_BYTES KIB(256)

int blk_buffer_create(struct blk_engine *en, struct err *e)
{
	void *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (buffer == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	en->buffer = buffer;
	return 0;
}

void blk_buffer_destroy(struct blk_engine *en)
{
	if (en->buffer)
		munmap(en->buffer, BUFFER_BYTES);
}

/* --- Reading and writing ---------------------------------------------------------------------- */

/* Whether direct I/O takes the step's buffers as they are. */
static bool is_aligned(const struct blk_engine *en, const struct blk_request *r)
{
	uintptr_t bits = 0;

	for (u32 i = 0; i < r->step.nr_iov; i++)
		bits |= (uintptr_t)r->call_iov[i].iov_base | r->call_iov[i].iov_len;
	return bits % en->image.direct_bytes == 0;
}

/* By way of en->buffer, as much as fits. */
static void go_by_buffer(struct blk_engine *en, struct blk_request *r, u64 len)
{
	struct blk_step *s = &r->step;

	s->by_buffer = true;
	s->len = MIN(len, BUFFER_BYTES);
	s->nr_iov = 1;
	r->call_iov[0] = (struct iovec){ .iov_base = en->buffer, .iov_len = s->len };
}

/* Straight between image and guest, unless direct I/O wants it aligned. */
static bool next_move(struct blk_engine *en, struct blk_request *r)
{
	struct gcur ahead = r->data;
	struct blk_step *s = &r->step;

	if (gcur_left(&ahead) == 0)
		return false;
	s->call = r->op == BLK_READ ? BLK_CALL_READ : BLK_CALL_WRITE;
	s->offset = r->ranges[0].offset + r->at;
	s->len = gcur_left(&ahead);
	s->nr_iov = gcur_iov(&ahead, s->len, r->call_iov, ARRAY_SIZE(r->call_iov));
	if (en->image.direct_bytes == 0 || is_aligned(en, r))
		return true;
	go_by_buffer(en, r, s->len);
	ahead = r->data;
	if (r->op == BLK_WRITE)
		gcur_get(&ahead, en->buffer, s->len);
	return true;
}

/* The host may stop half way: then it is asked for the rest. */
static void move_done(struct blk_engine *en, struct blk_request *r, u64 n)
{
	if (r->step.by_buffer && r->op == BLK_READ)
		gcur_put(&r->data, en->buffer, n);
	else
		gcur_skip(&r->data, n);
	r->at += n;
}

/* --- Zeroing ----------------------------------------------------------------------------------- */

static void range_done(struct blk_request *r)
{
	r->range_at++;
	r->at = 0;
	r->way = BLK_BY_HOLE;
}

/* A hole reads as zeroes too, but its storage is given back, which the guest must have allowed. */
static enum blk_way best_way(const struct blk_engine *en, const struct blk_request *r)
{
	enum blk_way way = r->way;

	if (way == BLK_BY_HOLE &&
	    (!r->ranges[r->range_at].unmap || !en->image.can_discard || en->no_punch_hole))
		way = BLK_BY_ZERO_RANGE;
	if (way == BLK_BY_ZERO_RANGE && en->no_zero_range)
		way = BLK_BY_WRITING;
	return way;
}

static void allocate(struct blk_request *r, int mode, u64 offset, u64 len)
{
	r->step.call = BLK_CALL_ALLOCATE;
	r->step.mode = mode | FALLOC_FL_KEEP_SIZE;
	r->step.offset = offset;
	r->step.len = len;
}

static bool next_zeroes(struct blk_engine *en, struct blk_request *r)
{
	const struct blk_range *range = &r->ranges[r->range_at];

	for (; r->range_at < r->nr_ranges && range->len == 0; range++)
		r->range_at++;
	if (r->range_at == r->nr_ranges)
		return false;
	r->way = best_way(en, r);
	switch (r->way) {
	case BLK_BY_HOLE:
		allocate(r, FALLOC_FL_PUNCH_HOLE, range->offset, range->len);
		break;
	case BLK_BY_ZERO_RANGE:
		allocate(r, FALLOC_FL_ZERO_RANGE, range->offset, range->len);
		break;
	case BLK_BY_WRITING:
		r->step.call = BLK_CALL_WRITE;
		r->step.offset = range->offset + r->at;
		go_by_buffer(en, r, range->len - r->at);
		memset(en->buffer, 0, r->step.len);
		break;
	}
	return true;
}

static void zeroes_written(struct blk_request *r, u64 n)
{
	r->at += n;
	if (r->at == r->ranges[r->range_at].len)
		range_done(r);
}

/* The host cannot, at all or (EINVAL) not in pieces so small: there is another way. */
static void zeroes_refused(struct blk_engine *en, struct blk_request *r, int code)
{
	bool *refused = r->way == BLK_BY_HOLE ? &en->no_punch_hole : &en->no_zero_range;

	if (code == -EOPNOTSUPP)
		*refused = true;
	r->way++;
}

/* --- Giving back ------------------------------------------------------------------------------- */

/* A hint: what is no whole unit of the host's stays. */
static bool next_discard(struct blk_engine *en, struct blk_request *r)
{
	const u64 unit = en->image.discard_bytes;

	for (; r->range_at < r->nr_ranges; r->range_at++) {
		const struct blk_range *range = &r->ranges[r->range_at];
		u64 start = ALIGN_UP(range->offset, unit);
		u64 end = ALIGN_DOWN(range->offset + range->len, unit);

		if (start >= end)
			continue;
		allocate(r, FALLOC_FL_PUNCH_HOLE, start, end - start);
		if (en->image.is_block_device)
			r->step.call = BLK_CALL_DISCARD;
		return true;
	}
	return false;
}

/* --- Any request ------------------------------------------------------------------------------- */

void blk_steps_begin(struct blk_request *r)
{
	r->range_at = 0;
	r->at = 0;
	r->way = BLK_BY_HOLE;
	r->flushed = false;
	r->result = 0;
}

bool blk_step_next(struct blk_engine *en, struct blk_request *r)
{
	bool is_more = false;

	if (r->result < 0)
		return false;
	r->step.by_buffer = false;
	switch (r->op) {
	case BLK_READ:
	case BLK_WRITE:
		is_more = next_move(en, r);
		break;
	case BLK_FLUSH:
		break;
	case BLK_DISCARD:
		is_more = next_discard(en, r);
		break;
	case BLK_ZEROES:
		is_more = next_zeroes(en, r);
		break;
	}
	if (is_more || r->flushed || !(r->stable || r->op == BLK_FLUSH))
		return is_more;
	r->step.call = BLK_CALL_FLUSH;
	return true;
}

/* A call that moves bytes ended with `n` of them, which was no error. */
static void step_moved(struct blk_engine *en, struct blk_request *r, u64 n)
{
	if (n == 0)
		r->result = -ENODATA; /* somebody cut the image short */
	else if (r->op == BLK_ZEROES)
		zeroes_written(r, n);
	else
		move_done(en, r, n);
}

static void step_failed(struct blk_engine *en, struct blk_request *r, int code)
{
	bool is_other_way = r->op == BLK_ZEROES && r->step.call == BLK_CALL_ALLOCATE &&
			    (code == -EOPNOTSUPP || code == -EINVAL);

	if (is_other_way)
		zeroes_refused(en, r, code);
	else if (code != -EINTR)
		r->result = code;
}

void blk_step_done(struct blk_engine *en, struct blk_request *r, s64 n)
{
	if (n < 0) {
		step_failed(en, r, (int)n);
		return;
	}
	switch (r->step.call) {
	case BLK_CALL_READ:
	case BLK_CALL_WRITE:
		step_moved(en, r, (u64)n);
		return;
	case BLK_CALL_FLUSH:
		r->flushed = true;
		return;
	case BLK_CALL_ALLOCATE:
	case BLK_CALL_DISCARD:
		range_done(r);
		return;
	}
}
