// SPDX-License-Identifier: BSD-3-Clause
// The seam between virtio-blk's requests and whoever carries them out on the image.
//
// A request is a row of steps, each one call of the host's; how a step ended decides about the next
// (steps.c). An engine makes these calls: one after the other (engine_sync.c), or those of many
// requests at a time (engine_uring.c).
#pragma once

#include <sys/uio.h>

#include "image.h"
#include "util/err.h"
#include "util/types.h"
#include "virtio/vdev.h"

enum {
	BLK_QUEUE_SIZE = 256,
	BLK_SEGMENTS_MAX = 16, /* of one DISCARD or WRITE_ZEROES */
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZEROES };

/* Bytes of the image, checked to lie inside of it and to be whole blocks. */
struct blk_range {
	u64 offset, len;
	bool unmap; /* BLK_ZEROES: the storage behind it may be given back */
};

/* Ways to zero a range, best one first. */
enum blk_way { BLK_BY_HOLE, BLK_BY_ZERO_RANGE, BLK_BY_WRITING };

enum blk_call {
	BLK_CALL_READ,
	BLK_CALL_WRITE,
	BLK_CALL_FLUSH,
	BLK_CALL_ALLOCATE,
	BLK_CALL_DISCARD
};

/* One call on the image. */
struct blk_step {
	enum blk_call call;
	bool by_buffer;  /* READ, WRITE: to or from en->buffer, so before anything else is done */
	int mode;        /* ALLOCATE */
	u32 nr_iov;      /* READ, WRITE: of the request's call_iov, */
	u64 offset, len; /* which are `len` bytes */
};

/* A request in its slot, from virtq_pop to virtq_push. */
struct blk_request {
	struct blk_request *next_free; /* of a slot without a request */
	struct vdev *v;
	u32 qi;
	struct virtq_chain chain;
	struct gcur status; /* the guest's status byte */

	enum blk_op op;
	bool stable;      /* BLK_WRITE, BLK_ZEROES: on the disk before it completes */
	struct gcur data; /* BLK_READ, BLK_WRITE: the guest's buffers, as many bytes as ranges[0] */
	u32 nr_ranges;
	struct blk_range ranges[BLK_SEGMENTS_MAX];

	/* How far it is; steps.c. */
	u32 range_at; /* ranges before this one are done, */
	u64 at;       /* and so many bytes of it are */
	enum blk_way way;
	bool flushed;
	int result; /* not 0: it failed */
	struct blk_step step;

	struct iovec iov[BLK_QUEUE_SIZE]; /* behind `chain` */
	struct iovec call_iov[BLK_QUEUE_SIZE];
};

struct blk_engine;

/* A way to do I/O. */
struct blk_engine_ops {
	u32 depth; /* requests that it takes at a time */
	/* create, destroy - `image`, `fd` and `buffer` are set. destroy also after a create that
	 * failed. NULL: there is nothing to create. */
	int (*create)(struct blk_engine *en, struct vdev *v, struct err *e);
	void (*destroy)(struct blk_engine *en);
	/* submit - carry `r` out; blk_complete(r) is called once: before this returns or, in an
	 * engine of more than one request, from `commit`, `wait` or the loop. */
	void (*submit)(struct blk_engine *en, struct blk_request *r);
	/* commit - no more is submitted for now: begin. NULL: submit did. */
	void (*commit)(struct blk_engine *en);
	/* wait - until a request more is complete; at least one is not. NULL: there is none. */
	void (*wait)(struct blk_engine *en);
};

/* Owner: the device's thread. */
struct blk_engine {
	const struct blk_engine_ops *ops;
	struct blk_image image;
	int fd;                            /* owned */
	u8 *buffer;                        /* owned; BLK_BUFFER_BYTES, aligned to a page */
	void *priv;                        /* the engine's own */
	bool no_zero_range, no_punch_hole; /* the host said so once */
};

extern const struct blk_engine_ops blk_engine_sync, blk_engine_uring;

/* blk_buffer_create - make en->buffer. Return: 0 or -errno with words. */
int blk_buffer_create(struct blk_engine *en, struct err *e);
void blk_buffer_destroy(struct blk_engine *en);

/* blk_steps_begin - `r` was parsed, and is now before its first step. */
void blk_steps_begin(struct blk_request *r);

/* blk_step_next - lay the next call down in r->step. Return: whether there is one; else the request
 * is over, and r->result says how. */
bool blk_step_next(struct blk_engine *en, struct blk_request *r);

/* blk_step_done - the call in r->step ended with `n`: bytes moved, 0 for the others, or -errno. */
void blk_step_done(struct blk_engine *en, struct blk_request *r, s64 n);

/* blk_step_now - make the call in r->step. Return: what blk_step_done wants. */
s64 blk_step_now(struct blk_engine *en, struct blk_request *r);

/* blk_carry_out - all that is left of `r`, one call after the other, to blk_complete. */
void blk_carry_out(struct blk_engine *en, struct blk_request *r);

/* blk_complete - `r` is done: 0, -EOPNOTSUPP for what the host cannot do, or another -errno. */
void blk_complete(struct blk_request *r, int result);

/* blk_batch_end - a number of requests of `v` completed: call the driver, and look at rings whose
 * requests found no slot. */
void blk_batch_end(struct vdev *v);
