// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk: block device (virtio 1.2, section 5.2).
//
// This file is what the guest sees: configuration space, and requests, which are checked here as a
// whole before an engine (engine.h) touches the image. image.c opens that, with the user's rights.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "util/checked.h"
#include "util/fd.h"
#include "util/log.h"
#include "virtio_blk.h"

/*
 * A request's ranges may be large where the host only notes them down, and are small enough to be
 * over soon where it does not and zeroes are written.
 */
#define DISCARD_BYTES_MAX GIB(1)
#define ZEROES_BYTES_MAX MIB(64)
#define ZEROES_SEGMENTS_MAX 1

/* One interrupt may tell of several requests, but none waits longer for it than this. */
#define CALL_DELAY_NS 50000

/* Whether an engine may have several requests in hand; all that is for this is left out if not. */
#define MANY_AT_A_TIME IS_ENABLED(CONFIG_VIRTIO_BLK_IO_URING)

struct blk {
	struct blk_engine engine;
	struct blk_request *slots; /* engine.ops->depth of them, owned */
	struct blk_request *free;  /* those that were used and are free, */
	u32 nr_used;               /* of so many that were ever used */
	u32 nr_busy[BLK_QUEUES_MAX];
	u32 uncalled; /* a bit for each ring whose driver may have to be called, */
	u32 starved;  /* and for each that has requests for which there was no slot */
	char id[VIRTIO_BLK_ID_BYTES];
	bool writeback; /* what the driver last wished for, or the default */
	u64 called_ns;  /* when it was last interrupted, or a kick began */
};

#define BLK_BIT(feature) (1ull << VIRTIO_BLK_F_##feature)
#define BLK_FEATURES                                                                               \
	(BLK_BIT(SEG_MAX) | BLK_BIT(RO) | BLK_BIT(BLK_SIZE) | BLK_BIT(FLUSH) | BLK_BIT(TOPOLOGY) | \
	 BLK_BIT(CONFIG_WCE) | BLK_BIT(MQ) | BLK_BIT(DISCARD) | BLK_BIT(WRITE_ZEROES))

/* --- Slots ------------------------------------------------------------------------------------ */

static int blk_make_slots(struct blk *b, struct err *e)
{
	b->slots = calloc(b->engine.ops->depth, sizeof(*b->slots));
	return b->slots ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static bool blk_has_slot(const struct blk *b)
{
	return b->free || b->nr_used < b->engine.ops->depth;
}

/* The slot used last comes first: few requests at a time touch little memory. */
static struct blk_request *blk_take_slot(struct blk *b, struct vdev *v, u32 qi)
{
	struct blk_request *r = b->free;

	if (r)
		b->free = r->next_free;
	else
		r = &b->slots[b->nr_used++];
	r->v = v;
	r->qi = qi;
	b->nr_busy[qi]++;
	return r;
}

static void blk_put_slot(struct blk *b, struct blk_request *r)
{
	r->next_free = b->free;
	b->free = r;
	b->nr_busy[r->qi]--;
}

/* --- Completing ------------------------------------------------------------------------------- */

static void blk_call_drivers(struct vdev *v)
{
	struct blk *b = v->priv;

	for (u32 qi = 0; b->uncalled >> qi; qi++)
		if (b->uncalled >> qi & 1)
			virtq_call(&v->queues[qi]);
	b->uncalled = 0;
}

/*
 * Rings that went without a slot are kicked by ourselves once there is one, so that others have their
 * turn before; until then there are requests in flight, whose end comes by here.
 */
void blk_batch_end(struct vdev *v)
{
	struct blk *b = v->priv;
	const u64 one = 1;

	blk_call_drivers(v);
	if (!MANY_AT_A_TIME || !blk_has_slot(b))
		return;
	for (u32 qi = 0; b->starved >> qi; qi++)
		if (b->starved >> qi & 1 && v->queues[qi].kick_fd >= 0)
			fd_write(v->queues[qi].kick_fd, &one, sizeof(one));
	b->starved = 0;
}

/* Give a request back: `data_bytes` are in its buffers, the status goes behind them. */
static void blk_finish(struct blk_request *r, u8 status, u64 data_bytes)
{
	struct virtq *q = vdev_queue(r->v, r->qi);
	struct blk *b = r->v->priv;
	u64 now_ns = evl_now_ns();

	gcur_put(&r->status, &status, sizeof(status));
	blk_put_slot(b, r);
	virtq_push(q, r->chain.head, (u32)data_bytes + 1);
	b->uncalled |= 1u << r->qi;
	if (now_ns - b->called_ns >= CALL_DELAY_NS) {
		blk_call_drivers(r->v);
		b->called_ns = now_ns;
	}
}

static const char *blk_op_name(enum blk_op op)
{
	switch (op) {
	case BLK_READ:
		return "read";
	case BLK_WRITE:
		return "write";
	case BLK_FLUSH:
		return "flush";
	case BLK_DISCARD:
		return "discard";
	case BLK_ZEROES:
		return "write zeroes";
	}
	return "?";
}

void blk_complete(struct blk_request *r, int result)
{
	if (result == 0) {
		blk_finish(r, VIRTIO_BLK_S_OK, r->op == BLK_READ ? r->ranges[0].len : 0);
		return;
	}
	vdev_log(r->v, "%s, %llu bytes at %llu: %s", blk_op_name(r->op),
		 (unsigned long long)r->ranges[0].len, (unsigned long long)r->ranges[0].offset,
		 result == -ENODATA ? "the image was cut short" : strerror(-result));
	blk_finish(r,
		   r->op == BLK_DISCARD && result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
								 : VIRTIO_BLK_S_IOERR,
		   0);
}

/* --- Requests (section 5.2.6) ----------------------------------------------------------------- */

/* A write that completes is on the disk, unless the driver took it upon itself to flush. */
static bool blk_is_writethrough(struct vdev *v)
{
	const struct blk *b = v->priv;

	return !vdev_has(v, VIRTIO_BLK_F_FLUSH) ||
	       (vdev_has(v, VIRTIO_BLK_F_CONFIG_WCE) && !b->writeback);
}

/* Make a range of the driver's numbers. Return: whether it lies in the image, in whole blocks. */
static bool blk_make_range(const struct blk *b, u64 sector, u64 len, struct blk_range *range)
{
	const struct blk_image *im = &b->engine.image;

	range->len = len;
	return checked_mul(sector, (u64)VIRTIO_BLK_SECTOR_BYTES, &range->offset) &&
	       range_fits(range->offset, len, im->size_bytes) &&
	       range->offset % im->block_bytes == 0 && len % im->block_bytes == 0;
}

/* The parsers below fill `r` in. Return: VIRTIO_BLK_S_OK to go on, else how the request ends. */
static u8 blk_parse_transfer(struct blk *b, struct blk_request *r, u64 sector)
{
	if (r->op == BLK_WRITE && b->engine.image.read_only)
		return VIRTIO_BLK_S_IOERR;
	r->data = r->op == BLK_READ ? r->chain.in : r->chain.out;
	r->nr_ranges = 1;
	return blk_make_range(b, sector, gcur_left(&r->data), &r->ranges[0]) ? VIRTIO_BLK_S_OK
									     : VIRTIO_BLK_S_IOERR;
}

static u8 blk_parse_segment(struct blk *b, struct blk_request *r,
			    const struct virtio_blk_segment *s)
{
	u32 allowed = r->op == BLK_ZEROES ? VIRTIO_BLK_SEGMENT_UNMAP : 0;
	u64 max = r->op == BLK_ZEROES ? ZEROES_BYTES_MAX : DISCARD_BYTES_MAX;
	u64 len = (u64)le32_get(s->num_sectors) * VIRTIO_BLK_SECTOR_BYTES;
	struct blk_range *range = &r->ranges[r->nr_ranges++];

	if (le32_get(s->flags) & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	range->unmap = le32_get(s->flags) & VIRTIO_BLK_SEGMENT_UNMAP;
	return len <= max && blk_make_range(b, le64_get(s->sector), len, range)
		       ? VIRTIO_BLK_S_OK
		       : VIRTIO_BLK_S_IOERR;
}

/* All of the list is checked before any of it is done; an unknown flag counts more than a range. */
static u8 blk_parse_segments(struct blk *b, struct blk_request *r)
{
	u32 max = r->op == BLK_ZEROES ? ZEROES_SEGMENTS_MAX : BLK_SEGMENTS_MAX;
	u64 nr = gcur_left(&r->chain.out) / sizeof(struct virtio_blk_segment);
	u8 worst = VIRTIO_BLK_S_OK;

	if (b->engine.image.read_only)
		return VIRTIO_BLK_S_IOERR;
	if (r->op == BLK_DISCARD && !b->engine.image.can_discard)
		return VIRTIO_BLK_S_UNSUPP;
	if (nr == 0 || nr > max || gcur_left(&r->chain.out) % sizeof(struct virtio_blk_segment))
		return VIRTIO_BLK_S_IOERR;
	for (u64 i = 0; i < nr; i++) {
		struct virtio_blk_segment s;
		u8 status;

		gcur_get(&r->chain.out, &s, sizeof(s));
		status = blk_parse_segment(b, r, &s);
		worst = MAX(worst, status);
	}
	return worst;
}

/* Whatever the header asks for but GET_ID. Return: as above; a type that is not known, UNSUPP. */
static u8 blk_parse(struct blk *b, struct blk_request *r, const struct virtio_blk_header *header)
{
	switch (le32_get(header->type)) {
	case VIRTIO_BLK_T_IN:
		r->op = BLK_READ;
		return blk_parse_transfer(b, r, le64_get(header->sector));
	case VIRTIO_BLK_T_OUT:
		r->op = BLK_WRITE;
		return blk_parse_transfer(b, r, le64_get(header->sector));
	case VIRTIO_BLK_T_FLUSH:
		r->op = BLK_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		r->op = BLK_DISCARD;
		return blk_parse_segments(b, r);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->op = BLK_ZEROES;
		return blk_parse_segments(b, r);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

static void blk_answer_id(struct blk *b, struct blk_request *r)
{
	u64 len = MIN(gcur_left(&r->chain.in), sizeof(b->id));

	gcur_put(&r->chain.in, b->id, len);
	blk_finish(r, VIRTIO_BLK_S_OK, len);
}

static int blk_request_start(struct blk *b, struct blk_request *r)
{
	struct virtio_blk_header header;
	u8 status;

	if (!gcur_get(&r->chain.out, &header, sizeof(header)))
		return vdev_broken(r->v, r->qi, "ring %u: a request without a whole header", r->qi);
	if (!gcur_split_tail(&r->chain.in, 1, &r->status))
		return vdev_broken(r->v, r->qi, "ring %u: a request without a status byte", r->qi);
	if (le32_get(header.type) == VIRTIO_BLK_T_GET_ID) {
		blk_answer_id(b, r);
		return 0;
	}
	r->nr_ranges = 0;
	r->ranges[0] = (struct blk_range){ 0 };
	status = blk_parse(b, r, &header);
	if (status != VIRTIO_BLK_S_OK) {
		blk_finish(r, status, 0);
		return 0;
	}
	r->stable = (r->op == BLK_WRITE || r->op == BLK_ZEROES) && blk_is_writethrough(r->v);
	blk_steps_begin(r);
	b->engine.ops->submit(&b->engine, r);
	return 0;
}

/*
 * The next request of the ring goes into a slot and on its way. Return: 1, 0 when there is none or
 * no slot for it, or -EPROTO.
 */
static int blk_next_request(struct blk *b, struct vdev *v, u32 qi)
{
	struct blk_request *r;
	int status;

	if (MANY_AT_A_TIME && !blk_has_slot(b)) {
		if (virtq_want_kicks(vdev_queue(v, qi), true))
			b->starved |= 1u << qi;
		return 0;
	}
	r = blk_take_slot(b, v, qi);
	status = vdev_pop(v, qi, &r->chain, r->iov, ARRAY_SIZE(r->iov));
	if (status == 1)
		status = blk_request_start(b, r) < 0 ? -EPROTO : 1;
	if (status <= 0)
		blk_put_slot(b, r);
	return status;
}

static int blk_kick(struct vdev *v, u32 qi)
{
	struct blk *b = v->priv;
	int status;

	b->called_ns = evl_now_ns();
	while ((status = blk_next_request(b, v, qi)) == 1)
		;
	if (MANY_AT_A_TIME && b->engine.ops->commit)
		b->engine.ops->commit(&b->engine);
	blk_batch_end(v);
	return status;
}

/* Its requests are in the host's hands, and write to the guest's memory: each is waited for. */
static void blk_queue_stop(struct vdev *v, u32 qi)
{
	struct blk *b = v->priv;

	while (b->nr_busy[qi] > 0)
		b->engine.ops->wait(&b->engine);
	b->starved &= ~(1u << qi);
	blk_batch_end(v);
}

/* --- Configuration space (section 5.2.4) ------------------------------------------------------ */

static u8 log2_of(u32 power)
{
	return (u8)__builtin_ctz(power);
}

static void blk_config_limits(const struct blk *b, struct virtio_blk_config *c)
{
	const struct blk_image *im = &b->engine.image;

	if (im->read_only)
		return;
	c->max_write_zeroes_sectors = le32_make(ZEROES_BYTES_MAX / VIRTIO_BLK_SECTOR_BYTES);
	c->max_write_zeroes_seg = le32_make(ZEROES_SEGMENTS_MAX);
	if (!im->can_discard)
		return;
	c->write_zeroes_may_unmap = 1;
	c->max_discard_sectors = le32_make(DISCARD_BYTES_MAX / VIRTIO_BLK_SECTOR_BYTES);
	c->max_discard_seg = le32_make(BLK_SEGMENTS_MAX);
	c->discard_sector_alignment = le32_make(im->discard_bytes / VIRTIO_BLK_SECTOR_BYTES);
}

static void blk_config_read(struct vdev *v, u8 *config)
{
	const struct blk *b = v->priv;
	const struct blk_image *im = &b->engine.image;
	u32 blocks = im->physical_bytes / im->block_bytes;
	struct virtio_blk_config c = {
		.capacity = le64_make(im->size_bytes / VIRTIO_BLK_SECTOR_BYTES),
		.seg_max = le32_make(BLK_QUEUE_SIZE - 2), /* header and status beside them */
		.blk_size = le32_make(im->block_bytes),
		.physical_block_exp = log2_of(blocks),
		.min_io_size = le16_make((u16)blocks),
		.num_queues = le16_make((u16)v->nr_queues),
	};

	/* Before features were negotiated it is what it will be for a driver that can flush. */
	c.writeback = v->features ? !blk_is_writethrough(v) : b->writeback;
	blk_config_limits(b, &c);
	memcpy(config, &c, sizeof(c));
}

/* Only `writeback` may be written. A ring's stop does not change it: the next driver reads it. */
static void blk_config_write(struct vdev *v, u32 offset, const u8 *src, u32 len)
{
	const u32 at = offsetof(struct virtio_blk_config, writeback);
	struct blk *b = v->priv;

	if (offset <= at && at - offset < len)
		b->writeback = src[at - offset] & 1;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void blk_offer(struct vdev *v, const struct blk_image *im)
{
	if (!im->read_only)
		v->features_offered &= ~BLK_BIT(RO);
	if (im->read_only)
		v->features_offered &= ~BLK_BIT(WRITE_ZEROES);
	if (!im->can_discard)
		v->features_offered &= ~BLK_BIT(DISCARD);
	if (v->nr_queues == 1)
		v->features_offered &= ~BLK_BIT(MQ);
}

/* Where the user left it to us, there is no gain in waiting for many when none ever waits. */
static bool blk_wants_uring(const struct blk_engine *en, u32 word)
{
	return word == BLK_ENGINE_URING || (word == BLK_ENGINE_AUTO && !en->image.in_memory);
}

static int blk_choose_engine(struct blk_engine *en, struct vdev *v, u32 word, struct err *e)
{
	int status;

	en->ops = &blk_engine_sync;
	if (!MANY_AT_A_TIME || !blk_wants_uring(en, word))
		return 0;
	en->ops = &blk_engine_uring;
	status = en->ops->create(en, v, e);
	if (status == 0)
		return 0;
	en->ops->destroy(en);
	en->ops = &blk_engine_sync;
	if (word == BLK_ENGINE_URING)
		return err_prefix(e, "engine=io_uring (sync does without)");
	log_info("%s: no io_uring here (%s): engine=sync", v->name, e->text);
	return 0;
}

static int blk_start(struct vdev *v, const void *opaque, struct fdset *fds, struct err *e)
{
	const struct blk_cfg *cfg = opaque;
	struct blk *b = v->priv;
	struct blk_engine *en = &b->engine;
	int status;

	en->image = cfg->image;
	en->fd = fdset_take(fds, cfg->fd_index);
	if (en->fd < 0)
		return err_set(e, -EBADF, "no descriptor of the image");
	memcpy(b->id, cfg->id, sizeof(b->id));
	b->writeback = true;
	v->nr_queues = cfg->queues;
	blk_offer(v, &en->image);
	status = blk_buffer_create(en, e);
	if (status == 0)
		status = blk_choose_engine(en, v, cfg->engine, e);
	return status < 0 ? status : blk_make_slots(b, e);
}

static void blk_destroy(struct vdev *v)
{
	struct blk *b = v->priv;

	if (MANY_AT_A_TIME && b->engine.ops && b->engine.ops->destroy)
		b->engine.ops->destroy(&b->engine);
	blk_buffer_destroy(&b->engine);
	fd_close(&b->engine.fd);
	free(b->slots);
}

static const struct vdev_shorthand blk_shorthands[] = {
	{
		.name = "disk",
		.letter = 'd',
		.arg = "FILE",
		.key = "path",
		.pairs = "ro",
		.help = HELP("a disk, for reading only"),
	},
	{
		.name = "rwdisk",
		.arg = "FILE",
		.key = "path",
		.help = HELP("a disk"),
	},
	{
		.name = "root",
		.letter = 'r',
		.arg = "FILE",
		.key = "path",
		.pairs = "ro",
		.params = "root=/dev/vd%c ro",
		.help = HELP("the disk with the root file system, for reading only"),
	},
	{
		.name = "rwroot",
		.arg = "FILE",
		.key = "path",
		.params = "root=/dev/vd%c rw",
		.help = HELP("the disk with the root file system"),
	},
	{ .name = NULL },
};

static const struct vdev_class blk_class = {
	.name = "virtio-blk",
	.summary = SUMMARY("disks: image files and block devices"),
	.virtio_id = VIRTIO_BLK_ID,
	.queue_size_max = BLK_QUEUE_SIZE,
	.nr_queues = BLK_QUEUES_MAX,
	.features = BLK_FEATURES,
	.config_bytes = sizeof(struct virtio_blk_config),
	.priv_bytes = sizeof(struct blk),
	.cfg_bytes = sizeof(struct blk_cfg),
	.opts = blk_opts,
	.shorthands = blk_shorthands,
	.policy = "virtio_blk",
	.open = blk_image_open,
	.start = blk_start,
	.destroy = blk_destroy,
	.kick = blk_kick,
	.queue_stop = MANY_AT_A_TIME ? blk_queue_stop : NULL,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
};

VDEV_CLASS(blk_class);
