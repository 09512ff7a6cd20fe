// SPDX-License-Identifier: BSD-3-Clause
// The seam between virtio-blk's requests and whoever carries them out on the image.
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

/* A request in its slot, from virtq_pop to virtq_push. */
struct blk_request {
	bool busy;
	struct vdev *v;
	u32 qi;
	struct virtq_chain chain;
	struct gcur status; /* the guest's status byte */

	enum blk_op op;
	bool stable;      /* BLK_WRITE, BLK_ZEROES: on the disk before it completes */
	struct gcur data; /* BLK_READ, BLK_WRITE: the guest's buffers, as many bytes as ranges[0] */
	u32 nr_ranges;
	struct blk_range ranges[BLK_SEGMENTS_MAX];
	struct iovec iov[BLK_QUEUE_SIZE]; /* behind `chain` */
};

struct blk_engine;

/*
 * A way to do I/O. Another one, say of io_uring, is another object like this: `create` gets the
 * loop by v->evl, `submit` returns at once, and blk_complete is called from the loop.
 */
struct blk_engine_ops {
	u32 depth; /* requests that it takes at a time */
	/* create, destroy - `image` and `fd` are set. destroy also after a create that failed. */
	int (*create)(struct blk_engine *en, struct vdev *v, struct err *e);
	void (*destroy)(struct blk_engine *en);
	/* submit - carry `r` out; blk_complete(r) is called once, before or after this returns. */
	void (*submit)(struct blk_engine *en, struct blk_request *r);
};

/* Owner: the device's thread. */
struct blk_engine {
	const struct blk_engine_ops *ops;
	struct blk_image image;
	int fd;                            /* owned */
	u8 *buffer;                        /* owned; BLK_BUFFER_BYTES, aligned to a page */
	struct iovec iov[BLK_QUEUE_SIZE];  /* of the system call that is made */
	bool no_zero_range, no_punch_hole; /* the host said so once */
};

extern const struct blk_engine_ops blk_engine_sync;

/* blk_complete - `r` is done: 0, -EOPNOTSUPP for what the host cannot do, or another -errno. */
void blk_complete(struct blk_request *r, int result);
