// SPDX-License-Identifier: BSD-3-Clause
// virtio-balloon: the guest gives memory back to the host (virtio 1.2, section 5.5)
//
// Pages are given back between the device's look at a request and its return, when they are nobody's.
// What the driver does with them afterwards is its own affair: a page that is touched is there again,
// zeroed. So deflation needs no work, and MUST_TELL_HOST is not asked for.
#include "balloon.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bytes.h"

enum {
	/* section 5.5.3 */
	BALLOON_F_STATS_VQ = 1,
	BALLOON_F_DEFLATE_ON_OOM = 2,
	BALLOON_F_PAGE_POISON = 4,
	BALLOON_F_PAGE_REPORTING = 5,

	BALLOON_QUEUES = 5,
	BALLOON_STATS_QUEUE = 2,
	BALLOON_QUEUE_SIZE = 64,
	BALLOON_PAGE_BITS = 12,  /* of a page number, whatever pages guest and host have (5.5.6) */
	BALLOON_PFNS_MAX = 4096, /* of one request; what is behind them stays with the guest */
	BALLOON_STATS_MAX = 64,  /* entries of one report that are looked at */
};

#define BALLOON_PAGE_BYTES (1ull << BALLOON_PAGE_BITS)

/* Section 5.5.4 */
struct balloon_config {
	le32 num_pages, actual, free_page_hint_cmd_id, poison_val;
};

/* Section 5.5.6.3 */
struct balloon_wire_stat {
	le16 tag;
	le64 value;
};

_Static_assert(sizeof(struct balloon_wire_stat) == 10, "balloon_wire_stat is a wire format");

enum balloon_role { ROLE_INFLATE, ROLE_DEFLATE, ROLE_STATS, ROLE_REPORTING };

struct balloon_cfg {
	u64 size_bytes;
};

struct balloon {
	u32 target_pages, actual_pages, poison;
	u64 host_page_bytes;
	bool stats_held; /* the driver's buffer waits here until a report is asked for */
	u16 stats_head;
	struct balloon_stats stats;
};

/* Pages next to each other, within one region of guest memory. */
struct page_run {
	gpa_t gpa;
	u64 len;
};

/* --- Giving memory back ----------------------------------------------------------------------- */

/*
 * The host's whole pages in [at, at + len) are left without content. A file of guest memory gets a
 * hole; private memory, which has no file, is dropped.
 */
static void balloon_release(struct vdev *v, u8 *at, u64 len)
{
	const struct balloon *b = v->priv;
	u64 skip = (0 - (u64)(uintptr_t)at) & (b->host_page_bytes - 1);
	u64 bytes = skip < len ? ALIGN_DOWN(len - skip, b->host_page_bytes) : 0;

	if (bytes == 0 || madvise(at + skip, bytes, MADV_REMOVE) == 0)
		return;
	if (errno == EINVAL && madvise(at + skip, bytes, MADV_DONTNEED) == 0)
		return;
	vdev_log(v, "the host does not take memory back: %s", strerror(errno));
}

static void run_release(struct vdev *v, struct page_run *run)
{
	u8 *at = gmem_ptr(&v->mem, run->gpa, run->len);

	if (at)
		balloon_release(v, at, run->len);
	run->len = 0;
}

/* Put the page in front of the run or behind it. Return: false when it does not belong there. */
static bool run_extend(const struct vdev *v, struct page_run *run, gpa_t gpa)
{
	struct page_run longer = { MIN(gpa, run->gpa), run->len + BALLOON_PAGE_BYTES };

	if (run->len == 0 || (gpa != run->gpa + run->len && gpa + BALLOON_PAGE_BYTES != run->gpa))
		return false;
	if (!gmem_ptr(&v->mem, longer.gpa, longer.len))
		return false;
	*run = longer;
	return true;
}

/* Return: false for a page that is no RAM. */
static bool run_add(struct vdev *v, struct page_run *run, u32 pfn)
{
	gpa_t gpa = (gpa_t)pfn << BALLOON_PAGE_BITS;

	if (run_extend(v, run, gpa))
		return true;
	run_release(v, run);
	if (!gmem_ptr(&v->mem, gpa, BALLOON_PAGE_BYTES))
		return false;
	*run = (struct page_run){ gpa, BALLOON_PAGE_BYTES };
	return true;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* An array of page numbers. What is wrong with it costs the guest nothing but the favour. */
static void balloon_inflate(struct vdev *v, struct gcur *c)
{
	u32 left = (u32)MIN(gcur_left(c) / sizeof(le32), (u64)BALLOON_PFNS_MAX), some, nr_bad = 0;
	struct page_run run = { 0 };
	le32 pfns[256];

	for (; left > 0; left -= some) {
		some = MIN(left, (u32)ARRAY_SIZE(pfns));
		if (!gcur_get(c, pfns, some * sizeof(pfns[0])))
			break;
		for (u32 i = 0; i < some; i++)
			nr_bad += !run_add(v, &run, le32_get(pfns[i]));
	}
	run_release(v, &run);
	if (nr_bad > 0)
		vdev_log(v, "%u pages given to the balloon are no RAM", nr_bad);
	if (gcur_left(c) > 0)
		vdev_log(v, "%llu bytes behind an array of page numbers are ignored",
			 (unsigned long long)gcur_left(c));
}

/* Free pages, as buffers. With a poison value they would have to keep it (section 5.5.6.6). */
static void balloon_report(struct vdev *v, struct gcur *c)
{
	const struct balloon *b = v->priv;
	struct iovec iov[BALLOON_QUEUE_SIZE];
	u32 nr = gcur_iov(c, gcur_left(c), iov, ARRAY_SIZE(iov));

	if (vdev_has(v, BALLOON_F_PAGE_POISON) && b->poison != 0)
		return;
	for (u32 i = 0; i < nr; i++)
		balloon_release(v, iov[i].iov_base, iov[i].iov_len);
}

static void balloon_parse_stats(struct balloon_stats *stats, struct gcur *c)
{
	struct balloon_wire_stat stat;

	stats->nr_reports++;
	stats->known = 0;
	for (u32 i = 0; i < BALLOON_STATS_MAX && gcur_get(c, &stat, sizeof(stat)); i++) {
		u32 tag = le16_get(stat.tag);

		if (tag >= NR_BALLOON_STATS)
			continue;
		stats->values[tag] = le64_get(stat.value);
		stats->known |= 1u << tag;
	}
}

/*
 * A report comes in a buffer that is kept until the next one is wanted. There is one at most; a
 * driver that adds another gets the first one back (section 5.5.6.3.1).
 */
static void balloon_take_stats(struct vdev *v, struct virtq *q, struct virtq_chain *chain)
{
	struct balloon *b = v->priv;

	if (b->stats_held)
		virtq_push(q, b->stats_head, 0);
	b->stats_held = true;
	b->stats_head = chain->head;
	balloon_parse_stats(&b->stats, &chain->out);
}

/*
 * The specification numbers rings as if all existed, Linux and QEMU count those that the features
 * bring. Without free page hints, which is ring 3, no ring means two things.
 */
static enum balloon_role balloon_role(const struct vdev *v, u32 qi)
{
	if (qi < 2)
		return qi == 0 ? ROLE_INFLATE : ROLE_DEFLATE;
	return qi == BALLOON_STATS_QUEUE && vdev_has(v, BALLOON_F_STATS_VQ) ? ROLE_STATS
									    : ROLE_REPORTING;
}

static void balloon_serve(struct vdev *v, enum balloon_role role, struct virtq *q,
			  struct virtq_chain *chain)
{
	switch (role) {
	case ROLE_INFLATE:
		balloon_inflate(v, &chain->out);
		break;
	case ROLE_DEFLATE:
		break;
	case ROLE_STATS:
		balloon_take_stats(v, q, chain);
		return;
	case ROLE_REPORTING:
		balloon_report(v, &chain->in);
		break;
	}
	virtq_push(q, chain->head, 0);
}

static int balloon_kick(struct vdev *v, u32 qi)
{
	enum balloon_role role = balloon_role(v, qi);
	struct virtq *q = vdev_queue(v, qi);
	struct iovec iov[BALLOON_QUEUE_SIZE];
	struct virtq_chain chain;
	int status;

	if (role == ROLE_REPORTING && !vdev_has(v, BALLOON_F_PAGE_REPORTING))
		return vdev_broken(v, qi, "ring %u belongs to a feature not negotiated", qi);
	while ((status = vdev_pop(v, qi, &chain, iov, ARRAY_SIZE(iov))) > 0)
		balloon_serve(v, role, q, &chain);
	virtq_call(q);
	return status;
}

/* The buffer that is held goes back into the ring unseen: whoever starts it again finds it there. */
static void balloon_queue_stop(struct vdev *v, u32 qi)
{
	struct balloon *b = v->priv;

	if (qi != BALLOON_STATS_QUEUE || !b->stats_held)
		return;
	b->stats_held = false;
	virtq_unpop(vdev_queue(v, qi));
}

/* --- Configuration space ---------------------------------------------------------------------- */

static struct balloon_config balloon_config(const struct balloon *b)
{
	return (struct balloon_config){
		.num_pages = le32_make(b->target_pages),
		.actual = le32_make(b->actual_pages),
		.poison_val = le32_make(b->poison),
	};
}

static void balloon_config_read(struct vdev *v, u8 *config)
{
	const struct balloon_config all = balloon_config(v->priv);

	memcpy(config, &all, sizeof(all));
}

static void balloon_config_write(struct vdev *v, u32 offset, const u8 *src, u32 len)
{
	struct balloon *b = v->priv;
	struct balloon_config all = balloon_config(b);

	memcpy((u8 *)&all + offset, src, len);
	b->actual_pages = le32_get(all.actual);
	b->poison = le32_get(all.poison_val);
}

/* --- What control asks ------------------------------------------------------------------------ */

void balloon_set_target(struct vdev *v, u64 bytes)
{
	u32 pages = (u32)MIN(bytes >> BALLOON_PAGE_BITS, (u64)UINT32_MAX);
	struct balloon *b = v->priv;

	if (pages == b->target_pages)
		return;
	b->target_pages = pages;
	v->host->config_changed(v->host, v);
}

u64 balloon_actual_bytes(const struct vdev *v)
{
	const struct balloon *b = v->priv;

	return (u64)b->actual_pages << BALLOON_PAGE_BITS;
}

void balloon_ask_stats(struct vdev *v)
{
	struct virtq *q = vdev_queue(v, BALLOON_STATS_QUEUE);
	struct balloon *b = v->priv;

	if (!b->stats_held)
		return;
	b->stats_held = false;
	virtq_push(q, b->stats_head, 0);
	virtq_call(q);
}

const struct balloon_stats *balloon_stats(const struct vdev *v)
{
	const struct balloon *b = v->priv;

	return &b->stats;
}

/* --- Life ------------------------------------------------------------------------------------- */

static int balloon_start(struct vdev *v, const void *opaque, struct fdset *fds, struct err *e)
{
	const struct balloon_cfg *cfg = opaque;
	struct balloon *b = v->priv;

	(void)fds;
	(void)e;
	b->target_pages = (u32)(cfg->size_bytes >> BALLOON_PAGE_BITS);
	b->host_page_bytes = (u64)getauxval(AT_PAGESZ);
	return 0;
}

static const struct opt balloon_opts[] = {
	{
		.name = "size",
		OPT_BYTES(struct balloon_cfg, size_bytes, MIB(1), 0,
			  (u64)UINT32_MAX << BALLOON_PAGE_BITS),
		.arg = "MIB",
		.help = HELP("how much of its memory the guest is asked for at first"),
	},
	{ .name = NULL },
};

static const struct vdev_class balloon_class = {
	.name = "virtio-balloon",
	.summary = SUMMARY("guest memory that goes back to the host"),
	.virtio_id = 5,
	.queue_size_max = BALLOON_QUEUE_SIZE,
	.nr_queues = BALLOON_QUEUES,
	.features = 1 << BALLOON_F_STATS_VQ | 1 << BALLOON_F_DEFLATE_ON_OOM |
		    1 << BALLOON_F_PAGE_POISON | 1 << BALLOON_F_PAGE_REPORTING,
	.config_bytes = sizeof(struct balloon_config),
	.priv_bytes = sizeof(struct balloon),
	.cfg_bytes = sizeof(struct balloon_cfg),
	.opts = balloon_opts,
	.policy = "virtio_balloon",
	.start = balloon_start,
	.kick = balloon_kick,
	.queue_stop = balloon_queue_stop,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
};

VDEV_CLASS(balloon_class);
