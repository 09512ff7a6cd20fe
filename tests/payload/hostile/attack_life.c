// SPDX-License-Identifier: BSD-3-Clause
// Attacks on a device's life: statuses, features, resets while it works.
#include "attack.h"

enum { RESET_REQUESTS_MAX = 64, UNTOUCHED = 0xa5, QUIET_TICKS = 3000000, USED_BYTES = 512 };

#define INPUTS_GPA (BUFFERS_GPA + MIB(2))

static struct ring rings[QUEUES_MAX];

u32 attack_statuses(struct dev *d, u32 rounds)
{
	static const u8 common[] = { 1, 3, 11, 15, 7, 4, 8, 64, 128, 0x4f, 0xff };

	for (u32 i = 0; i < rounds; i++) {
		for (u64 writes = chance_below(6); writes > 0; writes--) {
			dev_set_status(d, chance_below(2) ? common[chance_below(ARRAY_SIZE(common))]
							  : (u32)chance_below(256));
			if (chance_below(3) == 0)
				dev_set_features(d, chance_below(2) ? d->features : chance());
			if (chance_below(3) == 0) {
				ring_place(&rings[0], d, 0, 8);
				ring_set_up(&rings[0]);
				dev_notify(d, 0);
			}
		}
		dev_reset(d);
	}
	return rounds;
}

u32 attack_negotiation(struct dev *d)
{
	u32 steps = 0;

	for (u32 bit = 0; bit < 64; bit++) {
		bool offered = d->features >> bit & 1;

		if (!offered && dev_negotiate(d, F_VERSION_1 | 1ull << bit))
			fail("a feature is agreed on that was not offered: bit", bit);
		steps += !offered;
	}
	if (dev_negotiate(d, d->features & ~F_VERSION_1))
		fail("a driver without VERSION_1 is agreed with, slot", d->slot);
	dev_go(d);
	if (dev_status(d) & STATUS_DRIVER_OK)
		fail("a device without agreed features starts, slot", d->slot);
	for (u32 i = 0; i < 8; i++) { /* any choice of what is offered is good */
		if (!dev_negotiate(d, (chance() & d->features) | F_VERSION_1))
			fail("offered features are refused, slot", d->slot);
		dev_set_features(d, ~0ull);
		dev_go(d);
	}
	dev_reset(d);
	return steps + 10;
}

static bool is_untouched(u64 gpa, u64 bytes)
{
	for (u64 i = 0; i < bytes; i += 8)
		if (*(volatile u64 *)at(gpa + i) != 0x0101010101010101ull * UNTOUCHED)
			return false;
	return true;
}

/* As many requests as the ring holds, seen by the device at once. */
static void fill_ring(struct ring *r)
{
	u16 head = 0;
	u32 used = 0;

	for (u32 i = 0; i < RESET_REQUESTS_MAX && used + 3 <= r->size; i++) {
		used = request_build(r, head, i) + head;
		ring_offer(r, head);
		head = (u16)used;
	}
	ring_publish(r);
}

/* Room for what comes in by itself: frames, keys. */
static void fill_inputs(struct dev *d)
{
	struct ring *r = &rings[0];

	if (eager_queue(d) == 0)
		return;
	for (u16 i = 0; i < MIN(r->size, RESET_REQUESTS_MAX + 0u); i++) {
		r->desc[i] = (struct desc){ .addr = INPUTS_GPA + i * 2048ull,
					    .len = 2048,
					    .flags = DESC_WRITE };
		ring_offer(r, i);
	}
	ring_publish(r);
}

/* From a reset on, no byte of the ring or of the requests' buffers is written. */
static void expect_quiet(struct ring *r, u64 for_ticks)
{
	bool quiet = true;

	memset((void *)(u64)r->used, UNTOUCHED, USED_BYTES);
	memset((void *)(u64)rings[0].used, UNTOUCHED, USED_BYTES);
	for (u64 i = 0; i < RESET_REQUESTS_MAX; i++) {
		memset(at(BUFFERS_GPA + i * 4096), UNTOUCHED, 1024);
		memset(at(INPUTS_GPA + i * 2048), UNTOUCHED, 64);
	}
	pause_ticks(for_ticks);
	for (u64 i = 0; i < RESET_REQUESTS_MAX && quiet; i++)
		quiet = is_untouched(BUFFERS_GPA + i * 4096, 1024) &&
			is_untouched(INPUTS_GPA + i * 2048, 64);
	if (!quiet || !is_untouched((u64)r->used, USED_BYTES) ||
	    !is_untouched((u64)rings[0].used, USED_BYTES))
		fail("memory is written after a reset, slot", r->dev->slot);
}

/* Status 0 reads back when no request is in flight any more. */
u32 attack_resets(struct dev *d, u32 rounds)
{
	struct ring *r = &rings[eager_queue(d)];

	for (u32 i = 0; i < rounds; i++) {
		dev_begin(d, rings, (chance() & d->features) | F_VERSION_1,
			  1u << (3 + chance_below(8)));
		fill_inputs(d);
		fill_ring(r);
		if (chance_below(4) == 0)
			dev_notify(d, r->qi);
		if (chance_below(2))
			pause_ticks(chance_below(200000));
		if (d->is_pci && chance_below(4) == 0) {
			pci_place(d, d->base, false);
			pci_place(d, d->base, true);
		}
		dev_reset(d);
		expect_quiet(r, i % 4 == 0 ? QUIET_TICKS : 0);
	}
	return rounds;
}

/* A mistake and a reset at once: the next driver is not told of what the one before it did. */
u32 attack_haste(struct dev *d, u32 rounds)
{
	struct ring *r = &rings[eager_queue(d)];

	for (u32 i = 0; i < rounds; i++) {
		dev_begin(d, rings, dev_plain_features(d), 8);
		ring_offer(r, 0xffff);
		ring_publish(r);
		if (chance_below(2))
			pause_ticks(chance_below(100000));
		dev_begin(d, rings, dev_plain_features(d), 8);
		request_build(r, 0, 0);
		ring_offer(r, 0);
		ring_publish(r);
		if (!ring_wait(r) || (dev_status(d) & STATUS_NEEDS_RESET))
			fail("a driver answers for the one before it, slot", d->slot);
	}
	dev_reset(d);
	return rounds;
}
