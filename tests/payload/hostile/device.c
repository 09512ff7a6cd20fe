// SPDX-License-Identifier: BSD-3-Clause
// Virtio devices as a bare guest finds and drives them.
#include "device.h"

/* arch/x86_64/layout.h has the same: the machine tells them by ACPI, which is too much for us. */
#define ECAM_GPA 0xe0000000ull
#define MMIO_GPA 0xe8000000ull
#define MMIO_BYTES 0x1000ull

enum {
	PCI_ADDRESS_PORT = 0xcf8,
	PCI_DATA_PORT = 0xcfc,
	PCI_COMMAND = 0x04,
	PCI_BAR0 = 0x10,
	PCI_CAPABILITIES = 0x34,
	PCI_COMMAND_MEMORY_MASTER = 6,
	CAPABILITY_VENDOR = 0x09,
	CAPABILITY_MSIX = 0x11,
	VENDOR_ID = 0x1af4,
	DEVICE_ID_BASE = 0x1040,

	/* virtio-pci: kinds of capability, then the common configuration (section 4.1.4) */
	CAP_COMMON = 1,
	CAP_NOTIFY = 2,
	CAP_ISR = 3,
	CAP_DEVICE = 4,
	FEATURE_SEL = 0x00,
	FEATURE = 0x04,
	DRIVER_FEATURE_SEL = 0x08,
	DRIVER_FEATURE = 0x0c,
	NUM_QUEUES = 0x12,
	STATUS = 0x14,
	QUEUE_SEL = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_ENABLE = 0x1c,
	QUEUE_DESC = 0x20,

	/* virtio-mmio (section 4.2.2) */
	MMIO_MAGIC_VALUE = 0x74726976,
	MMIO_DEVICE_ID = 0x008,
	MMIO_FEATURES = 0x010,
	MMIO_FEATURES_SEL = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SEL = 0x024,
	MMIO_QUEUE_SEL = 0x030,
	MMIO_QUEUE_SIZE_MAX = 0x034,
	MMIO_QUEUE_SIZE = 0x038,
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESC = 0x080,
	MMIO_CONFIG = 0x100,

	RING_PART_BYTES = 0x10000, /* of the arena: a ring of 1024 entries and its events */
	AVAIL_OFFSET = 0x8000,
	USED_OFFSET = 0xa000,
};

/* --- PCI configuration space ------------------------------------------------------------------ */

static u64 ecam(u32 slot, u32 reg)
{
	return ECAM_GPA + ((u64)slot << 15) + reg;
}

u32 pci_read(u32 slot, u32 reg, u32 len)
{
	return (u32)mem_read(ecam(slot, reg), len);
}

void pci_write(u32 slot, u32 reg, u32 len, u32 value)
{
	mem_write(ecam(slot, reg), len, value);
}

static u16 pci_select(u32 slot, u32 reg)
{
	out32(PCI_ADDRESS_PORT, 0x80000000u | slot << 11 | (reg & 0xfc));
	return (u16)(PCI_DATA_PORT + (reg & 3));
}

u32 pci_port_read(u32 slot, u32 reg, u32 len)
{
	u16 port = pci_select(slot, reg);

	return len == 1 ? in8(port) : len == 2 ? in16(port) : in32(port);
}

void pci_port_write(u32 slot, u32 reg, u32 len, u32 value)
{
	u16 port = pci_select(slot, reg);

	if (len == 1)
		out8(port, (u8)value);
	else if (len == 2)
		out16(port, (u16)value);
	else
		out32(port, value);
}

void pci_place(struct dev *d, u64 gpa, bool decoded)
{
	u32 flags = pci_read(d->slot, PCI_BAR0, 4) & 0xf;

	pci_write(d->slot, PCI_COMMAND, 2, 0);
	pci_write(d->slot, PCI_BAR0, 4, (u32)gpa | flags);
	pci_write(d->slot, PCI_BAR0 + 4, 4, (u32)(gpa >> 32));
	pci_write(d->slot, PCI_COMMAND, 2, decoded ? PCI_COMMAND_MEMORY_MASTER : 0);
	d->base = gpa;
}

/* --- Finding ---------------------------------------------------------------------------------- */

static void read_capability(struct dev *d, u32 reg)
{
	u32 offset = pci_read(d->slot, reg + 8, 4), len = pci_read(d->slot, reg + 12, 4);

	if (pci_read(d->slot, reg, 1) == CAPABILITY_MSIX)
		d->msix_table = pci_read(d->slot, reg + 4, 4) & ~7u;
	if (pci_read(d->slot, reg, 1) != CAPABILITY_VENDOR)
		return;
	switch (pci_read(d->slot, reg + 3, 1)) {
	case CAP_COMMON:
		d->common = offset;
		break;
	case CAP_NOTIFY:
		d->notify = offset;
		d->notify_multiplier = pci_read(d->slot, reg + 16, 4);
		break;
	case CAP_ISR:
		d->isr = offset;
		break;
	case CAP_DEVICE:
		d->config = offset;
		d->config_bytes = len;
		break;
	}
}

static void read_bar(struct dev *d)
{
	u32 bar = pci_read(d->slot, PCI_BAR0, 4), high = pci_read(d->slot, PCI_BAR0 + 4, 4);

	pci_write(d->slot, PCI_COMMAND, 2, 0);
	pci_write(d->slot, PCI_BAR0, 4, ~0u);
	d->bar_bytes = ~(pci_read(d->slot, PCI_BAR0, 4) & ~0xfu) + 1;
	pci_place(d, (bar & ~0xfu) | (u64)high << 32, true);
}

static bool find_on_pci(struct dev *d, u32 slot)
{
	u32 ids = pci_read(slot, 0, 4);

	if ((ids & 0xffff) != VENDOR_ID || ids >> 16 < DEVICE_ID_BASE)
		return false;
	*d = (struct dev){ .is_pci = true, .slot = slot, .id = (ids >> 16) - DEVICE_ID_BASE };
	if (pci_port_read(slot, 0, 4) != ids)
		fail("ports and ECAM differ for slot", slot);
	for (u32 reg = pci_read(slot, PCI_CAPABILITIES, 1); reg; reg = pci_read(slot, reg + 1, 1))
		read_capability(d, reg);
	read_bar(d);
	return true;
}

static bool find_on_mmio(struct dev *d, u32 place)
{
	u64 base = MMIO_GPA + place * MMIO_BYTES;

	if (mem_read(base, 4) != MMIO_MAGIC_VALUE)
		return false;
	*d = (struct dev){ .slot = place, .base = base };
	d->id = (u32)mem_read(base + MMIO_DEVICE_ID, 4);
	d->config_bytes = MMIO_BYTES - MMIO_CONFIG; /* nothing tells how much of it there is */
	return true;
}

static u32 queue_max(const struct dev *d, u32 qi)
{
	dev_select(d, qi);
	return (u32)(d->is_pci ? mem_read(d->base + d->common + QUEUE_SIZE, 2)
			       : mem_read(d->base + MMIO_QUEUE_SIZE_MAX, 4));
}

static u32 feature_word(const struct dev *d, u32 word)
{
	u64 select = d->is_pci ? d->common + FEATURE_SEL : MMIO_FEATURES_SEL;

	mem_write(d->base + select, 4, word);
	return (u32)mem_read(d->base + (d->is_pci ? d->common + FEATURE : MMIO_FEATURES), 4);
}

static void read_offers(struct dev *d)
{
	dev_reset(d);
	d->features = feature_word(d, 0) | (u64)feature_word(d, 1) << 32;
	for (d->nr_queues = 0; d->nr_queues < QUEUES_MAX; d->nr_queues++) {
		d->queue_max[d->nr_queues] = queue_max(d, d->nr_queues);
		if (d->queue_max[d->nr_queues] == 0)
			return;
	}
}

u32 devices_find(struct dev *devices)
{
	u32 nr = 0;

	for (u32 slot = 1; slot < 32 && nr < DEVICES_MAX; slot++)
		nr += find_on_pci(&devices[nr], slot);
	for (u32 place = 0; place < DEVICES_MAX && nr < DEVICES_MAX; place++)
		nr += find_on_mmio(&devices[nr], place);
	for (u32 i = 0; i < nr; i++)
		read_offers(&devices[i]);
	return nr;
}

/* --- Registers -------------------------------------------------------------------------------- */

u32 dev_status(const struct dev *d)
{
	return (u32)(d->is_pci ? mem_read(d->base + d->common + STATUS, 1)
			       : mem_read(d->base + MMIO_STATUS, 4));
}

void dev_set_status(const struct dev *d, u32 status)
{
	if (d->is_pci)
		mem_write(d->base + d->common + STATUS, 1, status);
	else
		mem_write(d->base + MMIO_STATUS, 4, status);
}

void dev_set_features(const struct dev *d, u64 features)
{
	u64 select = d->is_pci ? d->common + DRIVER_FEATURE_SEL : MMIO_DRIVER_FEATURES_SEL;
	u64 word = d->is_pci ? d->common + DRIVER_FEATURE : MMIO_DRIVER_FEATURES;

	for (u32 i = 0; i < 2; i++) {
		mem_write(d->base + select, 4, i);
		mem_write(d->base + word, 4, features >> 32 * i);
	}
}

void dev_select(const struct dev *d, u32 qi)
{
	if (d->is_pci)
		mem_write(d->base + d->common + QUEUE_SEL, 2, qi);
	else
		mem_write(d->base + MMIO_QUEUE_SEL, 4, qi);
}

void dev_set_size(const struct dev *d, u32 size)
{
	if (d->is_pci)
		mem_write(d->base + d->common + QUEUE_SIZE, 2, size);
	else
		mem_write(d->base + MMIO_QUEUE_SIZE, 4, size);
}

void dev_set_address(const struct dev *d, u32 part, u64 gpa)
{
	u64 reg = d->base +
		  (d->is_pci ? d->common + QUEUE_DESC + part * 8u : MMIO_QUEUE_DESC + part * 0x10u);

	mem_write(reg, 4, gpa);
	mem_write(reg + 4, 4, gpa >> 32);
}

void dev_enable(const struct dev *d)
{
	if (d->is_pci)
		mem_write(d->base + d->common + QUEUE_ENABLE, 2, 1);
	else
		mem_write(d->base + MMIO_QUEUE_READY, 4, 1);
}

bool dev_is_enabled(const struct dev *d)
{
	return d->is_pci ? mem_read(d->base + d->common + QUEUE_ENABLE, 2)
			 : mem_read(d->base + MMIO_QUEUE_READY, 4);
}

void dev_notify(const struct dev *d, u32 qi)
{
	if (d->is_pci)
		mem_write(d->base + d->notify + (u64)qi * d->notify_multiplier, 2, qi);
	else
		mem_write(d->base + MMIO_QUEUE_NOTIFY, 4, qi);
}

u32 dev_register_bytes(const struct dev *d)
{
	return d->is_pci ? d->bar_bytes : (u32)MMIO_BYTES;
}

u64 dev_config_gpa(const struct dev *d)
{
	return d->base + (d->is_pci ? d->config : MMIO_CONFIG);
}

/* --- Rings ------------------------------------------------------------------------------------ */

void ring_place(struct ring *r, struct dev *d, u32 qi, u32 size)
{
	u64 gpa = ARENA_GPA + (u64)qi * RING_PART_BYTES;

	*r = (struct ring){ .dev = d,
			    .qi = qi,
			    .size = size,
			    .desc = at(gpa),
			    .avail = at(gpa + AVAIL_OFFSET),
			    .used = at(gpa + USED_OFFSET) };
	memset(r->desc, 0, size * sizeof(struct desc));
	memset(at(gpa + AVAIL_OFFSET), 0, 8 + size * 2);
	memset(at(gpa + USED_OFFSET), 0, 8 + size * 8);
	r->avail[0] = 1; /* no interrupts */
}

void dev_reset(const struct dev *d)
{
	u64 end = ticks() + DEADLINE_TICKS;

	dev_set_status(d, 0);
	while (dev_status(d) != 0)
		if (ticks() > end) {
			fail("status that a reset leaves is", dev_status(d));
			return;
		}
}

bool dev_negotiate(const struct dev *d, u64 features)
{
	dev_reset(d);
	dev_set_status(d, STATUS_ACKNOWLEDGE);
	dev_set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	dev_set_features(d, features);
	dev_set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return dev_status(d) & STATUS_FEATURES_OK;
}

void ring_tell(const struct ring *r)
{
	const struct dev *d = r->dev;

	dev_select(d, r->qi);
	dev_set_size(d, r->size);
	dev_set_address(d, 0, (u64)r->desc);
	dev_set_address(d, 1, (u64)r->avail);
	dev_set_address(d, 2, (u64)r->used);
}

void ring_set_up(const struct ring *r)
{
	ring_tell(r);
	dev_enable(r->dev);
}

void dev_go(const struct dev *d)
{
	dev_set_status(d,
		       STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

void dev_begin(struct dev *d, struct ring *rings, u64 features, u32 size)
{
	if (!dev_negotiate(d, features))
		fail("features that were offered are refused by slot", d->slot);
	for (u32 qi = 0; qi < d->nr_queues; qi++) {
		ring_place(&rings[qi], d, qi, MIN(size, d->queue_max[qi]));
		ring_set_up(&rings[qi]);
	}
	dev_go(d);
}

void ring_offer(struct ring *r, u16 head)
{
	r->avail[2 + r->next_avail++ % r->size] = head;
}

void ring_publish(struct ring *r)
{
	__asm__ volatile("mfence" ::: "memory");
	r->avail[1] = r->next_avail;
	__asm__ volatile("mfence" ::: "memory");
	dev_notify(r->dev, r->qi);
}

bool ring_wait(struct ring *r)
{
	u64 end = ticks() + DEADLINE_TICKS;

	while (r->used[1] == r->last_used) {
		if (ticks() > end)
			return false;
		in8(0x80); /* an exit: others may have the CPU */
	}
	r->last_used++;
	return true;
}

bool dev_wait_needs_reset(const struct dev *d)
{
	u64 end = ticks() + DEADLINE_TICKS;

	while (!(dev_status(d) & STATUS_NEEDS_RESET))
		if (ticks() > end)
			return false;
	return true;
}
