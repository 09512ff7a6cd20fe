// SPDX-License-Identifier: BSD-3-Clause
// Virtio devices as a bare guest finds and drives them, on either transport (virtio 1.2, sections 2
// and 4). Written from the specification, with no header of the device's side.
#pragma once

#include "bare.h"

enum {
	ID_NET = 1,
	ID_BLK = 2,
	ID_CONSOLE = 3,
	ID_RNG = 4,
	ID_BALLOON = 5,
	ID_VSOCK = 19,
};

enum {
	STATUS_ACKNOWLEDGE = 1,
	STATUS_DRIVER = 2,
	STATUS_DRIVER_OK = 4,
	STATUS_FEATURES_OK = 8,
	STATUS_NEEDS_RESET = 64,
	STATUS_FAILED = 128,
};

enum { DEVICES_MAX = 16, QUEUES_MAX = 8, PCI_CONFIG_BYTES = 4096 };
#define F_INDIRECT_DESC (1ull << 28)
#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)

struct dev {
	bool is_pci;
	u32 id, slot, nr_queues, config_bytes;
	u32 queue_max[QUEUES_MAX];
	u64 features; /* offered */
	u64 base;     /* the mmio page, or where the BAR is */
	/* virtio-pci only */
	u32 bar_bytes, common, notify, notify_multiplier, isr, config, msix_table;
};

/* devices_find - all there are, in order. Return: how many. */
u32 devices_find(struct dev *devices);

/* dev_plain_features - all that is offered, but what changes how rings work. */
static inline u64 dev_plain_features(const struct dev *d)
{
	return d->features & ~(F_INDIRECT_DESC | F_EVENT_IDX);
}

/* --- Registers -------------------------------------------------------------------------------- */

u32 dev_status(const struct dev *d);
void dev_set_status(const struct dev *d, u32 status);
void dev_set_features(const struct dev *d, u64 features);
void dev_select(const struct dev *d, u32 qi);
void dev_set_size(const struct dev *d, u32 size);
/* Of the selected ring; `part`: 0 descriptors, 1 avail, 2 used. */
void dev_set_address(const struct dev *d, u32 part, u64 gpa);
void dev_enable(const struct dev *d);
bool dev_is_enabled(const struct dev *d);
void dev_notify(const struct dev *d, u32 qi);
/* dev_register_bytes - how long what lies at d->base is. */
u32 dev_register_bytes(const struct dev *d);
u64 dev_config_gpa(const struct dev *d);

/* --- PCI configuration space ------------------------------------------------------------------ */

u32 pci_read(u32 slot, u32 reg, u32 len);
void pci_write(u32 slot, u32 reg, u32 len, u32 value);
/* The same through ports 0xcf8 and 0xcfc. */
u32 pci_port_read(u32 slot, u32 reg, u32 len);
void pci_port_write(u32 slot, u32 reg, u32 len, u32 value);
/* pci_place - put the BAR to `gpa` and decode it, or not; d->base follows. */
void pci_place(struct dev *d, u64 gpa, bool decoded);

/* --- Rings ------------------------------------------------------------------------------------ */

struct desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

/* Where a ring is and how far the driver got. */
struct ring {
	struct dev *dev;
	u32 qi, size;
	struct desc *desc;
	volatile u16 *avail;       /* flags, idx, then the entries */
	volatile u16 *used;        /* flags, idx, then entries of 8 bytes */
	u16 next_avail, last_used; /* free-running */
};

/* ring_place - where ring `qi` of an attacked device lies: in the arena, each in its own part. */
void ring_place(struct ring *r, struct dev *d, u32 qi, u32 size);

/* dev_reset - status 0, and check that it reads back so. */
void dev_reset(const struct dev *d);

/* dev_negotiate - reset, then all up to FEATURES_OK. Return: whether the device agreed. */
bool dev_negotiate(const struct dev *d, u64 features);

/* ring_tell - where the ring is and how large. ring_set_up - that, and enable it. dev_go - DRIVER_OK. */
void ring_tell(const struct ring *r);
void ring_set_up(const struct ring *r);
void dev_go(const struct dev *d);

/* dev_begin - a whole start as drivers do it: rings of `size`, or their most if that is less. */
void dev_begin(struct dev *d, struct ring *rings, u64 features, u32 size);

/* ring_offer - put a head into the avail ring. ring_publish - let the device see `nr` of them. */
void ring_offer(struct ring *r, u16 head);
void ring_publish(struct ring *r);

/* ring_wait - until the device gave something back. Return: whether it did by the deadline. */
bool ring_wait(struct ring *r);

/* dev_wait_needs_reset - until the device says so. Return: whether it did by the deadline. */
bool dev_wait_needs_reset(const struct dev *d);
