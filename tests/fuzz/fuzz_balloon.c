// SPDX-License-Identifier: BSD-3-Clause
// A driver that gives the balloon whatever it likes: only whole pages of guest RAM may be released.
// test-sources: drivers/virtio/balloon/balloon.c fake_guest
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/virtio/balloon/balloon.h"
#include "tests/lib/fake_guest.h"
#include "util/bytes.h"

enum { STEPS_MAX = 256, BUSY_MAX = 32, STATS = 2, RAW_HEAD = 63, HOST_PAGE = 4096 };

/* The input: one byte of features, then steps, some with `len` bytes of their own. */
struct step {
	u8 verb, ring;
	u8 len[2];
};

enum verb {
	VERB_OUT,    /* a readable buffer of those bytes */
	VERB_PIECES, /* the same, one buffer for each byte */
	VERB_IN,     /* a writable buffer of so many bytes */
	VERB_RAW,    /* 8 bytes of address, 4 of length: a writable buffer wherever that is */
	VERB_CONFIG, /* written from the offset that is in `ring` on */
	VERB_TARGET,
	VERB_ASK,
	VERB_RESTART,
	NR_VERBS,
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct fake_guest guest;

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_balloon: %s\n", what);
	abort();
}

/* Takes the place of the C library's. Nothing is given back: the next input wants its rings. */
int madvise(void *at, size_t len, int advice)
{
	const struct gmem *mem = &guest.mem;

	if (advice != MADV_REMOVE)
		return (int)syscall(SYS_madvise, at, len, advice);
	expect(len > 0 && len % HOST_PAGE == 0 && (uintptr_t)at % HOST_PAGE == 0, "no pages");
	for (u32 i = 0; i < mem->nr_regions; i++) {
		const struct gmem_region *r = &mem->regions[i];

		if ((u8 *)at >= r->host && (u8 *)at < r->host + r->size_bytes &&
		    len <= (size_t)(r->host + r->size_bytes - (u8 *)at))
			return 0;
	}
	expect(false, "released what is no guest memory");
	return 0;
}

static void restart(struct fake_guest *g, u8 features)
{
	fg_stop(g);
	g->features = g->v->features_offered & ~(u64)features;
	g->nr_broken = 0;
	fg_start(g);
}

/* All comes back, but for one report of statistics. */
static void kick(struct fake_guest *g, u32 qi)
{
	struct fg_queue *dq = &g->queues[qi];
	u16 out;

	vdev_kick(g->v, qi);
	if (g->nr_broken > 0)
		return;
	out = (u16)(dq->next_avail - fg_used_idx(g, qi));
	expect(out <= (qi == STATS ? 1 : 0), "a request did not come back");
	if (dq->next_avail != out)
		expect(le32_get(fg_used_elem(g, qi, (u16)(fg_used_idx(g, qi) - 1)).len) == 0,
		       "bytes were written");
}

static void offer_pieces(struct fake_guest *g, u32 qi, const u8 *bytes, u32 len)
{
	struct fg_buffer buffers[RAW_HEAD];

	len = MIN(len, (u32)RAW_HEAD);
	for (u32 i = 0; i < len; i++)
		buffers[i] = OUT(bytes + i, 1);
	if (len > 0)
		fg_submit(g, qi, true, buffers, len);
}

static void offer_raw(struct fake_guest *g, u32 qi, const u8 *bytes, u32 len)
{
	u8 raw[12] = { 0 };

	memcpy(raw, bytes, MIN(len, (u32)sizeof(raw)));
	fg_desc(g, qi, RAW_HEAD, bytes_get_le(raw, 8), (u32)bytes_get_le(raw + 8, 4),
		VIRTQ_DESC_F_WRITE, 0);
	fg_offer(g, qi, RAW_HEAD);
}

static void write_config(struct fake_guest *g, u32 offset, const u8 *bytes, u32 len)
{
	u32 target, after;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	if (len == 0 || offset + len > g->v->cls->config_bytes)
		return;
	fg_config(g, config);
	memcpy(&target, config, sizeof(target));
	fg_config_write(g, offset, bytes, len);
	fg_config(g, config);
	memcpy(&after, config, sizeof(after));
	expect(target == after, "the driver changed the target");
}

/* Return: whether ring `qi` has something to look at. */
static bool run_step(struct fake_guest *g, const struct step *s, u32 qi, const u8 *bytes, u32 len)
{
	switch (s->verb % NR_VERBS) {
	case VERB_OUT:
		fg_chain(g, qi, OUT(bytes, len));
		return true;
	case VERB_PIECES:
		offer_pieces(g, qi, bytes, len);
		return true;
	case VERB_IN:
		fg_chain(g, qi, IN(bytes_get_le(s->len, 2)));
		return true;
	case VERB_RAW:
		offer_raw(g, qi, bytes, len);
		return true;
	case VERB_CONFIG:
		write_config(g, s->ring, bytes, len);
		return false;
	case VERB_TARGET:
		balloon_set_target(g->v, bytes_get_le(bytes, MIN(len, 8)));
		return false;
	case VERB_ASK:
		balloon_ask_stats(g->v);
		return false;
	case VERB_RESTART:
		restart(g, s->ring);
		return false;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u64 cfg;
	struct fake_guest *g = &guest;
	struct step s;

	if (!g->v)
		fg_create(g, "virtio-balloon", &cfg, NULL);
	if (size == 0)
		return 0;
	restart(g, *data++);
	size--;
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		u32 len, qi;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		len = (u32)MIN(bytes_get_le(s.len, 2), size);
		qi = s.ring % g->v->nr_queues;
		if (s.verb % NR_VERBS == VERB_IN)
			len = 0;
		if (g->nr_broken > 0 || g->queues[qi].nr_busy >= BUSY_MAX)
			restart(g, 0);
		if (run_step(g, &s, qi, data, len))
			kick(g, qi);
		data += len;
		size -= len;
	}
	return 0;
}
