// SPDX-License-Identifier: BSD-3-Clause
// Attacks on rings: what they are, where they are, what is in them.
#include "attack.h"

enum { CHAIN_RING_SIZE = 16, TABLE_OFFSET = 0xf000 /* of a ring's part of the arena */ };

static struct ring rings[QUEUES_MAX];

/* Negotiated, and the ring placed but not told. */
static void prepare(struct dev *d, u32 qi, u64 features, u32 size)
{
	dev_negotiate(d, features);
	ring_place(&rings[qi], d, qi, MIN(size, d->queue_max[qi]));
}

/* --- What and where --------------------------------------------------------------------------- */

u32 attack_sizes(struct dev *d)
{
	const u32 max = d->queue_max[0], sizes[] = { 0,
						     3,
						     7,
						     max - 1,
						     max + 1,
						     max * 2,
						     32768,
						     65535,
						     d->is_pci ? 65535 : 0x10000 + max,
						     d->is_pci ? 5 : 0xffffffff };
	u32 steps = 0;

	for (; steps < ARRAY_SIZE(sizes); steps++) {
		prepare(d, 0, dev_plain_features(d), 8);
		rings[0].size = sizes[steps];
		ring_set_up(&rings[0]);
		if (dev_is_enabled(d))
			fail("a ring is enabled with a size of", sizes[steps]);
		dev_go(d);
		dev_notify(d, 0);
		dev_reset(d);
	}
	for (u32 qi = d->nr_queues; qi < 0x10000; qi = qi * 2 + 1) { /* rings that are not there */
		prepare(d, 0, dev_plain_features(d), 8);
		dev_select(d, qi);
		dev_set_size(d, 8);
		dev_set_address(d, 0, ARENA_GPA);
		dev_enable(d);
		if (qi >= QUEUES_MAX && dev_is_enabled(d) && qi > 64)
			fail("there is a ring", qi);
		dev_notify(d, qi);
		steps++;
	}
	dev_reset(d);
	return steps;
}

static u32 address_steps(struct dev *d, u32 part, const u64 *bad, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		prepare(d, 0, dev_plain_features(d), 64);
		ring_tell(&rings[0]);
		dev_set_address(d, part, bad[i]);
		dev_enable(d);
		dev_go(d);
		if (!dev_wait_needs_reset(d))
			fail("a ring may lie at", bad[i]);
		dev_notify(d, 0);
		dev_reset(d);
	}
	return nr;
}

u32 attack_addresses(struct dev *d)
{
	const u64 end = bare_ram_end();
	const u64 bad[] = { end,        end - 16,   0xc0000000,  0xe0000000,
			    d->base,    0xfee00000, 1ull << 32,  1ull << 52,
			    1ull << 63, 0ull - 16,  0ull - 4096, ARENA_GPA + 1 };
	u32 steps = 0;

	for (u32 part = 0; part < 3; part++)
		steps += address_steps(d, part, bad, ARRAY_SIZE(bad));
	return steps;
}

u32 attack_frozen(struct dev *d)
{
	u32 qi = eager_queue(d);
	struct ring *r = &rings[qi];

	dev_begin(d, rings, dev_plain_features(d), 8);
	for (u32 i = 0; i < 3; i++) {
		dev_select(d, qi);
		dev_set_size(d, i == 2 ? 0 : 8u << i);
		for (u32 part = 0; part < 3; part++)
			dev_set_address(d, part, i == 1 ? 0ull - 4096 : ARENA_GPA + MIB(6));
		if (!d->is_pci)
			mem_write(d->base + 0x44, 4, i & 1); /* QueueReady */
		dev_enable(d);
		dev_set_features(d, ~0ull);
		request_build(r, 0, i);
		ring_offer(r, 0);
		ring_publish(r);
		if (!ring_wait(r))
			fail("a running ring was changed, step", i);
	}
	dev_reset(d);
	return 3;
}

/* --- One broken request ----------------------------------------------------------------------- */

struct bad_chain {
	const char *what;
	u32 nr;
	struct desc desc[3]; /* the ring's first; without an address: a good buffer */
	u32 nr_table;        /* more: the first is an indirect table of these */
	struct desc table[3];
	u32 table_bytes;
	u64 features;
};

#define NEXT(n) .flags = DESC_NEXT, .next = (n)
#define HOLE 0xc0000000ull
#define TOP 0xfffffffffffff000ull
#define PAST_RAM 1 /* address: RAM's end */
#define OVER_RAM 2 /* address: eight bytes before it */
#define NO_BYTES (~0u)

/* In the ring itself; in an indirect table; an indirect table of so many bytes; one told by hand. */
#define CHAIN(name, count, ...)                                        \
	{                                                              \
		.what = (name), .nr = (count), .desc = { __VA_ARGS__ } \
	}
#define TABLE(name, count, ...)                                                            \
	{                                                                                  \
		.what = (name), .nr = 1, .features = F_INDIRECT_DESC, .nr_table = (count), \
		.table = {                                                                 \
			__VA_ARGS__                                                        \
		}                                                                          \
	}
#define TABLE_BYTES(name, bytes)                                                     \
	{                                                                            \
		.what = (name), .nr = 1, .features = F_INDIRECT_DESC, .nr_table = 1, \
		.table_bytes = (bytes)                                               \
	}
#define TABLE_AT(name, count, ...)                                                    \
	{                                                                             \
		.what = (name), .nr = (count), .features = F_INDIRECT_DESC, .desc = { \
			__VA_ARGS__                                                   \
		}                                                                     \
	}
#define READABLE          \
	{                 \
		.len = 16 \
	}
#define WRITABLE_THEN_NEXT                                            \
	{                                                             \
		.len = 16, .flags = DESC_NEXT | DESC_WRITE, .next = 1 \
	}

static const struct bad_chain bad_chains[] = {
	CHAIN("loop of one", 1, { .len = 16, NEXT(0) }),
	CHAIN("loop of two", 2, { .len = 16, NEXT(1) }, { .len = 16, NEXT(0) }),
	CHAIN("loop without bytes", 2, { NEXT(1) }, { NEXT(0) }),
	CHAIN("next behind the table", 1, { .len = 16, NEXT(CHAIN_RING_SIZE) }),
	CHAIN("next far away", 1, { .len = 16, NEXT(65535) }),
	CHAIN("writable first", 2, WRITABLE_THEN_NEXT, READABLE),
	CHAIN("behind RAM", 1, { .addr = PAST_RAM, .len = 1 }),
	CHAIN("behind RAM, to write", 1, { .addr = PAST_RAM, .len = 1, .flags = DESC_WRITE }),
	CHAIN("over RAM's end", 1, { .addr = OVER_RAM, .len = 16, .flags = DESC_WRITE }),
	CHAIN("far over RAM's end", 1, { .addr = OVER_RAM, .len = 0xffffffff }),
	CHAIN("in the PCI window", 1, { .addr = HOLE, .len = 16, .flags = DESC_WRITE }),
	CHAIN("in ECAM", 1, { .addr = 0xe0008000, .len = 4, .flags = DESC_WRITE }),
	CHAIN("at the local APIC", 1, { .addr = 0xfee00000, .len = 4, .flags = DESC_WRITE }),
	CHAIN("round the addresses", 1, { .addr = TOP, .len = 0x2000, .flags = DESC_WRITE }),
	CHAIN("round from the last byte", 1, { .addr = ~0ull, .len = 2, .flags = DESC_WRITE }),
	CHAIN("round by all but one", 1, { .addr = TOP, .len = 0xffffffff }),
	CHAIN("too long", 1, { .len = 0xffffffff, .flags = DESC_WRITE }),
	CHAIN("as long as RAM", 1, { .len = 0x2000000, .flags = DESC_WRITE }),
	CHAIN("a table not negotiated", 1, { .len = 16, .flags = DESC_INDIRECT }),
	TABLE("a table within a table", 1, { .len = 16, .flags = DESC_INDIRECT }),
	TABLE_BYTES("an empty table", NO_BYTES),
	TABLE_BYTES("half a descriptor", 8),
	TABLE_BYTES("a table and a half", 24),
	TABLE_BYTES("a table larger than the ring", (CHAIN_RING_SIZE + 1) * 16),
	TABLE_BYTES("a table of 4 GiB", 0xfffffff0),
	TABLE("a loop in a table", 2, { .len = 16, NEXT(1) }, { .len = 16, NEXT(0) }),
	TABLE("next behind the table's end", 1, { .len = 16, NEXT(1) }),
	TABLE("a bad address in a table", 1, { .addr = TOP, .len = 0x2000, .flags = DESC_WRITE }),
	TABLE("writable first in a table", 2, WRITABLE_THEN_NEXT, READABLE),
	TABLE_AT("a table behind RAM", 1, { .addr = PAST_RAM, .len = 32, .flags = DESC_INDIRECT }),
	TABLE_AT("a table over RAM's end", 1,
		 { .addr = OVER_RAM, .len = 16, .flags = DESC_INDIRECT }),
	TABLE_AT("a table round the addresses", 1,
		 { .addr = 0ull - 16, .len = 32, .flags = DESC_INDIRECT }),
	TABLE_AT("something behind a table", 2,
		 { .len = 16, .flags = DESC_INDIRECT | DESC_NEXT, .next = 1 }, READABLE),
};

static struct desc desc_resolve(const struct desc *d)
{
	struct desc resolved = *d;

	if (d->addr == 0)
		resolved.addr = BUFFERS_GPA;
	else if (d->addr == PAST_RAM)
		resolved.addr = bare_ram_end();
	else if (d->addr == OVER_RAM)
		resolved.addr = bare_ram_end() - 8;
	return resolved;
}

static void chain_build(struct ring *r, const struct bad_chain *bad)
{
	u64 table_gpa = (u64)r->desc + TABLE_OFFSET;

	for (u32 i = 0; i < bad->nr; i++)
		r->desc[i] = desc_resolve(&bad->desc[i]);
	if (bad->nr_table == 0)
		return;
	for (u32 i = 0; i < bad->nr_table; i++)
		((struct desc *)at(table_gpa))[i] = desc_resolve(&bad->table[i]);
	r->desc[0] = (struct desc){ .addr = table_gpa, .flags = DESC_INDIRECT };
	r->desc[0].len = bad->table_bytes == NO_BYTES ? 0 : bad->table_bytes;
	if (bad->table_bytes == 0)
		r->desc[0].len = bad->nr_table * 16;
}

/* Whatever is wrong with the ring now, the device must ask for a reset. */
static void expect_needs_reset(struct ring *r, const char *what)
{
	dev_notify(r->dev, r->qi);
	if (!dev_wait_needs_reset(r->dev))
		fail(what, r->dev->slot);
	dev_notify(r->dev, r->qi);
	dev_reset(r->dev);
}

/* Avail indices and heads. */
static u32 attack_avail(struct dev *d)
{
	static const u16 heads[] = { CHAIN_RING_SIZE, 0x4000, 0xffff };
	static const u16 indices[] = { CHAIN_RING_SIZE + 1, 0x7fff, 0x8000, 0xffff };
	u32 qi = eager_queue(d);
	struct ring *r = &rings[qi];

	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		dev_begin(d, rings, dev_plain_features(d), CHAIN_RING_SIZE);
		ring_offer(r, heads[i]);
		ring_publish(r);
		expect_needs_reset(r, "a head out of range is taken, slot");
	}
	for (u32 i = 0; i < ARRAY_SIZE(indices); i++) {
		dev_begin(d, rings, dev_plain_features(d), CHAIN_RING_SIZE);
		r->avail[1] = indices[i];
		expect_needs_reset(r, "an index that jumps is taken, slot");
	}
	return ARRAY_SIZE(heads) + ARRAY_SIZE(indices);
}

u32 attack_chains(struct dev *d)
{
	u32 eager = eager_queue(d), qi = d->nr_queues - 1;
	struct ring *r = &rings[eager];

	for (u32 i = 0; i < ARRAY_SIZE(bad_chains); i++) {
		const struct bad_chain *bad = &bad_chains[i];

		dev_begin(d, rings, dev_plain_features(d) | bad->features, CHAIN_RING_SIZE);
		chain_build(r, bad);
		ring_offer(r, 0);
		ring_publish(r);
		expect_needs_reset(r, bad->what);
		if (qi == eager)
			continue;
		/* The same on a ring that may not be looked at until something comes in. */
		dev_begin(d, rings, dev_plain_features(d) | bad->features, CHAIN_RING_SIZE);
		chain_build(&rings[qi], bad);
		ring_offer(&rings[qi], 0);
		ring_publish(&rings[qi]);
		dev_reset(d);
	}
	return ARRAY_SIZE(bad_chains) + attack_avail(d);
}

/* --- By chance -------------------------------------------------------------------------------- */

static struct desc chance_desc(u32 ring_size)
{
	static const u64 no_ram[] = { HOLE, 0xe0000000, 0xe8000000, 0xfee00000,
				      TOP,  ~0ull,      1ull << 32 };
	struct desc d = { .addr = BUFFERS_GPA + chance_below(NR_HEADERS) * HEADER_BYTES,
			  .len = (u32)(8u << chance_below(10)),
			  .flags = (u16)(chance_below(4) |
					 (chance_below(8) == 0 ? DESC_INDIRECT : 0)),
			  .next = (u16)chance_below(ring_size) };

	switch (chance_below(12)) {
	case 0:
		d.addr = no_ram[chance_below(ARRAY_SIZE(no_ram))];
		break;
	case 1:
		d.addr = bare_ram_end() - chance_below(4096);
		break;
	case 2:
		d.len = 0x2000000 + (u32)chance_below(0xfd000000);
		break;
	case 3:
		d.next = (u16)chance();
		break;
	case 4:
		d.flags = (u16)chance();
		break;
	case 5:
		d.len = (u32)chance_below(65536);
		break;
	case 6:
		d.addr = ARENA_GPA + chance_below(ARENA_BYTES - MIB(1));
		break;
	case 7:
		d.addr = BUFFERS_GPA + 4096; /* descriptors, if it is a table */
		d.len = (u32)chance_below(16) * 16;
		break;
	}
	return d;
}

/* Rings over one another: the device then writes over what it reads. */
static void overlap(struct ring *r)
{
	u64 gpa = (u64)r->desc;

	if (chance_below(2))
		r->used = at(gpa + chance_below(r->size * 4) * 4);
	if (chance_below(2))
		r->avail = at(gpa + chance_below(r->size * 4) * 2);
}

static void chaos_begin(struct dev *d)
{
	dev_negotiate(d, (chance() & d->features) | F_VERSION_1);
	for (u32 qi = 0; qi < d->nr_queues; qi++) {
		ring_place(&rings[qi], d, qi, 1u << chance_below(11));
		while (rings[qi].size > d->queue_max[qi])
			rings[qi].size /= 2;
		if (chance_below(4) == 0)
			overlap(&rings[qi]);
		for (u32 i = 0; i < MIN(rings[qi].size, 64u); i++)
			rings[qi].desc[i] = chance_desc(rings[qi].size);
		if (chance_below(8) > 0)
			ring_set_up(&rings[qi]);
	}
	for (u32 i = 0; i < 16; i++)
		*(struct desc *)at(BUFFERS_GPA + 4096 + i * 16ull) = chance_desc(16);
	dev_go(d);
}

static void chaos_kick(struct dev *d)
{
	struct ring *r = &rings[chance_below(d->nr_queues)];

	for (u64 i = chance_below(4); i > 0; i--)
		ring_offer(r, (u16)chance_below(MIN(r->size, 64u)));
	for (u32 i = 0; i < 4; i++)
		r->desc[chance_below(MIN(r->size, 64u))] = chance_desc(r->size);
	if (chance_below(32) == 0)
		r->next_avail = (u16)chance();
	ring_publish(r);
	if (chance_below(8) == 0)
		dev_notify(d, (u32)chance_below(64));
}

u32 attack_chaos(struct dev *d, u32 rounds)
{
	for (u32 i = 0; i < rounds; i++) {
		headers_fill(d);
		chaos_begin(d);
		for (u64 kicks = chance_below(16); kicks > 0; kicks--)
			chaos_kick(d);
		dev_reset(d);
	}
	return rounds;
}

/* --- Two CPUs --------------------------------------------------------------------------------- */

/* What the second CPU is to work on; NULL: nothing. It says what it has seen. */
static struct dev *volatile wanted, *volatile worked_on;

static void scribble(struct dev *d)
{
	u32 qi = (u32)chance_below(d->nr_queues);
	u64 gpa = (u64)rings[qi].desc;

	for (u32 i = 0; i < 8; i++) {
		struct desc desc = chance_desc(rings[qi].size);

		*(volatile struct desc *)at(gpa + chance_below(16) * sizeof(desc)) = desc;
	}
	rings[qi].avail[2 + chance_below(16)] = (u16)chance_below(20);
	if (chance_below(16) == 0)
		rings[qi].avail[1] = (u16)(rings[qi].avail[1] + chance_below(4));
	if (chance_below(8) == 0)
		dev_notify(d, qi);
	if (chance_below(32) == 0)
		mem_write(dev_config_gpa(d) + chance_below(16), 1, chance());
	if (chance_below(32) == 0)
		dev_set_status(d, (u32)(chance_below(256) & ~STATUS_FAILED));
}

static void cpu2_main(void)
{
	for (;;) {
		struct dev *d = wanted;

		worked_on = d;
		if (d)
			scribble(d);
		else
			in8(0x80); /* an exit: others may have the CPU */
	}
}

static void let_cpu2(struct dev *d)
{
	u64 end = ticks() + DEADLINE_TICKS;

	wanted = d;
	while (worked_on != d)
		if (ticks() > end) {
			fail("the second CPU does not come, slot", d ? d->slot : 0);
			return;
		}
}

void attack_with_two_cpus(void)
{
	bare_start_cpu2(cpu2_main);
	let_cpu2(NULL);
}

/* Rings and requests change while the device reads them, and both CPUs are at its registers. */
u32 attack_by_two(struct dev *d, u32 rounds)
{
	for (u32 i = 0; i < rounds; i++) {
		headers_fill(d);
		dev_begin(d, rings, d->features, 16);
		let_cpu2(d);
		for (u64 kicks = chance_below(64); kicks > 0; kicks--)
			chaos_kick(d);
		if (chance_below(2))
			dev_set_status(d, 0);
		let_cpu2(NULL);
		dev_reset(d);
	}
	return rounds;
}
