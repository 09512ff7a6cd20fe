// SPDX-License-Identifier: BSD-3-Clause
// A driver that writes whatever it likes into its ring, and a device that drains it by the rules.
// test-sources: src/virtio/virtq.c src/mem/guest_cursor.c src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "mem/guest_cursor.h"
#include "util/fd.h"
#include "virtio/virtio_ring.h"
#include "virtio/virtq.h"

enum { STEPS_MAX = 512, SIZE_MAX_LOG2 = 5, TABLE_MAX = 64, MEM_BYTES = 0x3000 };

/* Two regions that touch, a hole, a third: a 16-bit address finds each of them. */
static const struct gmem_range ranges[] = {
	{ 0, 0x1000 },
	{ 0x1000, 0x1000 },
	{ 0x4000, 0x1000 },
};
enum { DESC_GPA = 0, AVAIL_GPA = 0x200, USED_GPA = 0x300, TABLE_GPA = 0x800 };

/* The input: one of these, then steps. */
struct shape {
	u8 size_log2, flags, max; /* flags: see bench_reset */
	u8 base[2];
};

struct step {
	u8 verb, index, flags, next;
	u8 where[2], len[2];
};

enum verb {
	VERB_DESC,      /* a descriptor of the ring */
	VERB_TABLE,     /* a descriptor where tables are */
	VERB_OFFER,     /* a head into the avail ring, and the index moves on */
	VERB_AVAIL_IDX, /* the index as it comes */
	VERB_BYTE,      /* one byte anywhere */
	VERB_POP,
	VERB_PUSH,
	VERB_UNPOP,
	VERB_CALL,
	VERB_KICKS,
	VERB_DRAIN, /* pop and push until there is nothing more */
	VERB_RESTART,
	NR_VERBS,
};

struct bench {
	struct gmem mem;
	struct virtq q;
	struct virtq_config config;
	u64 features;
	u32 size, max;
	bool writes; /* the device puts bytes into buffers, which may be the ring itself */
	u16 avail_idx;
	u16 held[1 << SIZE_MAX_LOG2]; /* heads that the device has */
	u32 nr_held;
	bool can_unpop;
	u8 before[MEM_BYTES];
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_virtq: %s\n", what);
	abort();
}

static u16 u16_of(const u8 bytes[2])
{
	return (u16)bytes_get_le(bytes, 2);
}

/* --- What the device may do to memory --------------------------------------------------------- */

static void copy_memory(const struct bench *b, u8 *to)
{
	for (u32 i = 0; i < b->mem.nr_regions; i++) {
		memcpy(to, b->mem.regions[i].host, b->mem.regions[i].size_bytes);
		to += b->mem.regions[i].size_bytes;
	}
}

/* All of memory but the used ring is as it was when `before` was filled. */
static void expect_untouched(const struct bench *b)
{
	static u8 now[MEM_BYTES];
	u64 used_bytes = virtq_used_bytes(b->size);

	if (b->writes)
		return;
	copy_memory(b, now);
	memcpy(now + USED_GPA, b->before + USED_GPA, used_bytes);
	expect(memcmp(now, b->before, MEM_BYTES) == 0, "a byte outside of the used ring changed");
}

static bool is_in_one_region(const struct bench *b, const struct iovec *iov)
{
	for (u32 i = 0; i < b->mem.nr_regions; i++) {
		const struct gmem_region *r = &b->mem.regions[i];
		const u8 *at = iov->iov_base;

		if (at >= r->host && at < r->host + r->size_bytes)
			return iov->iov_len <= (size_t)(r->host + r->size_bytes - at);
	}
	return false;
}

/* --- The device ------------------------------------------------------------------------------- */

static void bench_enable(struct bench *b, u16 base)
{
	struct err e;

	expect(virtq_enable(&b->q, &b->mem, &b->config, b->features, base, &e) == 0, "enable");
	b->nr_held = 0;
	b->can_unpop = false;
}

static void expect_good_chain(struct bench *b, const struct virtq_chain *c, const struct iovec *iov)
{
	u64 left = gcur_left(&c->out) + gcur_left(&c->in);
	u32 nr = c->out.nr + c->in.nr;
	u64 bytes = 0;

	expect(c->head < b->size, "a head outside of the table");
	expect(nr <= b->max && nr <= b->size, "too many buffers");
	for (u32 i = 0; i < nr; i++) {
		expect(iov[i].iov_len > 0, "an empty buffer");
		expect(is_in_one_region(b, &iov[i]), "a buffer outside of guest memory");
		bytes += iov[i].iov_len;
	}
	expect(bytes == left && left <= UINT32_MAX, "another sum of bytes");
	for (u32 i = 0; i < b->nr_held; i++)
		expect(b->held[i] != c->head, "a head twice");
	expect(b->nr_held < b->size, "more requests than the ring has entries");
}

static int do_pop(struct bench *b)
{
	static struct iovec iov[1 << SIZE_MAX_LOG2];
	bool was_broken = b->q.broken;
	bool jumped = (u16)(b->avail_idx - b->q.next_avail) > b->size && !b->writes;
	struct virtq_chain c;
	static const u8 noise[24] = { 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 4, 0, 1 };
	u8 bytes[64];
	int status = virtq_pop(&b->q, &c, iov, b->max);

	expect(!was_broken || status == -EPROTO, "a broken ring healed");
	expect(!jumped || status == -EPROTO, "an index jumped unseen");
	if (status < 0)
		expect(status == -EPROTO && b->q.broken && b->q.fault, "no words");
	if (status <= 0)
		return status;
	expect_good_chain(b, &c, iov);
	gcur_get(&c.out, bytes, (size_t)MIN(gcur_left(&c.out), sizeof(bytes)));
	if (b->writes)
		gcur_put(&c.in, noise, (size_t)MIN(gcur_left(&c.in), sizeof(noise)));
	b->held[b->nr_held++] = c.head;
	b->can_unpop = true;
	return status;
}

static void do_push(struct bench *b, u32 which)
{
	u16 head;

	if (b->nr_held == 0)
		return;
	which %= b->nr_held;
	head = b->held[which];
	b->held[which] = b->held[--b->nr_held];
	b->can_unpop = false;
	virtq_push(&b->q, head, which);
}

static void do_unpop(struct bench *b)
{
	if (!b->can_unpop)
		return;
	b->can_unpop = false;
	b->nr_held--;
	virtq_unpop(&b->q);
}

/* Nobody offers meanwhile, unless the device writes over the ring: then it is a turn as any. */
static void do_drain(struct bench *b)
{
	u32 nr = 0;

	while (do_pop(b) > 0) {
		do_push(b, b->nr_held - 1);
		if (++nr > b->size && b->writes)
			break;
		expect(nr <= b->size, "more requests than the ring has entries");
	}
}

/* --- The driver ------------------------------------------------------------------------------- */

/* Numbers at the end of 16 bits stand for numbers at the end of 32 and of 64. */
static void write_desc(struct bench *b, gpa_t at, const struct step *s)
{
	u64 addr = u16_of(s->where), len = u16_of(s->len);
	struct virtq_desc d = {
		.addr = le64_make(addr < 0xff00 ? addr : addr - 0x10000),
		.len = le32_make((u32)(len < 0xff00 ? len : len - 0x10000)),
		.flags = le16_make(s->flags),
		.next = le16_make(s->next < 0xf0 ? s->next : (u16)(s->next << 8)),
	};

	expect(gmem_write(&b->mem, at, &d, sizeof(d)) == 0, "gmem_write");
}

static void write_u16(struct bench *b, gpa_t at, u16 value)
{
	expect(gmem_write(&b->mem, at, &value, sizeof(value)) == 0, "gmem_write");
}

static bool driver_step(struct bench *b, const struct step *s)
{
	switch (s->verb % NR_VERBS) {
	case VERB_DESC:
		write_desc(b, DESC_GPA + s->index % b->size * 16, s);
		return true;
	case VERB_TABLE:
		write_desc(b, TABLE_GPA + s->index % TABLE_MAX * 16, s);
		return true;
	case VERB_OFFER:
		write_u16(b, AVAIL_GPA + 4 + b->avail_idx % b->size * 2, u16_of(s->where));
		write_u16(b, AVAIL_GPA + 2, ++b->avail_idx);
		return true;
	case VERB_AVAIL_IDX:
		b->avail_idx = u16_of(s->where);
		write_u16(b, AVAIL_GPA + 2, b->avail_idx);
		return true;
	case VERB_BYTE:
		gmem_write(&b->mem, u16_of(s->where), &s->flags, 1);
		return true;
	}
	return false;
}

static void device_step(struct bench *b, const struct step *s)
{
	switch (s->verb % NR_VERBS) {
	case VERB_POP:
		do_pop(b);
		break;
	case VERB_PUSH:
		do_push(b, s->index);
		break;
	case VERB_UNPOP:
		do_unpop(b);
		break;
	case VERB_CALL:
		virtq_call(&b->q);
		virtq_drain_kick(&b->q);
		break;
	case VERB_KICKS:
		virtq_want_kicks(&b->q, s->index & 1);
		break;
	case VERB_DRAIN:
		do_drain(b);
		break;
	case VERB_RESTART:
		bench_enable(b, virtq_disable(&b->q));
		break;
	}
}

static void run_step(struct bench *b, const struct step *s)
{
	if (driver_step(b, s)) {
		copy_memory(b, b->before);
	} else {
		device_step(b, s);
		expect_untouched(b);
	}
	gmem_read(&b->mem, AVAIL_GPA + 2, &b->avail_idx, sizeof(b->avail_idx));
	expect(virtq_has_avail(&b->q) == (b->q.next_avail != b->avail_idx), "no such request");
}

static void bench_create(struct bench *b)
{
	struct err e;

	expect(gmem_create(&b->mem, GMEM_PRIVATE, ranges, ARRAY_SIZE(ranges), &e) == 0, "memory");
	virtq_init(&b->q);
	b->q.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->q.call_fd = b->q.kick_fd; /* what is called is drained */
	expect(b->q.kick_fd >= 0, "eventfd");
}

static void bench_reset(struct bench *b, const struct shape *shape)
{
	for (u32 i = 0; i < b->mem.nr_regions; i++)
		memset(b->mem.regions[i].host, 0, b->mem.regions[i].size_bytes);
	b->size = 1u << shape->size_log2 % (SIZE_MAX_LOG2 + 1);
	b->max = shape->max % (b->size + 1);
	b->features = (u64)(shape->flags & 3) << VIRTIO_RING_F_INDIRECT_DESC;
	b->writes = shape->flags & 4;
	b->config = (struct virtq_config){ b->size, DESC_GPA, AVAIL_GPA, USED_GPA };
	b->avail_idx = u16_of(shape->base);
	write_u16(b, AVAIL_GPA + 2, b->avail_idx);
	write_u16(b, USED_GPA + 2, b->avail_idx);
	virtq_disable(&b->q);
	bench_enable(b, b->avail_idx);
	copy_memory(b, b->before);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	struct shape shape;
	struct step s;

	if (b.mem.nr_regions == 0)
		bench_create(&b);
	if (size < sizeof(shape))
		return 0;
	memcpy(&shape, data, sizeof(shape));
	data += sizeof(shape);
	size -= sizeof(shape);
	bench_reset(&b, &shape);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		run_step(&b, &s);
	}
	return 0;
}
