// SPDX-License-Identifier: BSD-3-Clause
// Attacks on registers: every one, with every width and many values, and BARs on the move.
#include "attack.h"

enum {
	MSIX_TABLE_BYTES = 0x800,
	MSIX_ENTRY_BYTES = 16,
	MSIX_DATA_HIGH = 9,        /* of an entry: the byte with the delivery mode */
	MSIX_DELIVERY_MODE = 0x07, /* other than 0 or 1, a message would hit the guest's own CPU */
	CONFIG_BYTES = 256,
	CONFIG_PORTS = 0xcf8,
	RESET_CONTROL = 0xcf9,
};

static struct ring rings[QUEUES_MAX];

static u64 chance_value(void)
{
	static const u64 values[] = { 0,      1,         2,           3,          4,
				      7,      8,         15,          16,         0x40,
				      0x80,   0xff,      0x100,       0x7fff,     0x8000,
				      0xffff, 0x10000,   0x80000000,  0xffffffff, 1ull << 32,
				      ~0ull,  ARENA_GPA, BUFFERS_GPA, 0xc0000000, 0xe0000000 };

	return chance_below(2) ? values[chance_below(ARRAY_SIZE(values))] : chance();
}

/* A message of an interrupt of the guest's own is no attack: fixed delivery, which it ignores. */
static u64 without_delivery_mode(const struct dev *d, u32 offset, u32 len, u64 value)
{
	for (u32 i = 0; i < len && d->msix_table; i++) {
		u32 in_table = offset + i - d->msix_table;

		if (in_table < MSIX_TABLE_BYTES && in_table % MSIX_ENTRY_BYTES == MSIX_DATA_HIGH)
			value &= ~((u64)MSIX_DELIVERY_MODE << 8 * i);
	}
	return value;
}

static void touch(const struct dev *d, u32 offset, u32 len, u64 value)
{
	if (chance_below(4) == 0)
		mem_read(d->base + offset, len);
	else
		mem_write(d->base + offset, len, without_delivery_mode(d, offset, len, value));
}

/* Each register once with each width, in order, then by chance, aligned or not. */
u32 attack_registers(struct dev *d, u32 rounds)
{
	const u32 bytes = dev_register_bytes(d), dense = MIN(bytes, 0x300u);
	u32 steps = 0;

	for (u32 len = 1; len <= 8; len *= 2)
		for (u32 offset = 0; offset < dense; offset += len, steps++)
			touch(d, offset, len, chance_value());
	dev_reset(d);
	for (u32 i = 0; i < rounds; i++, steps++) {
		u32 len = 1u << chance_below(4), offset = (u32)chance_below(bytes - 8);

		if (i % 64 == 0) {
			dev_begin(d, rings, (d->features & chance()) | F_VERSION_1, 8);
			dev_reset(d);
			dev_negotiate(d, d->features);
		}
		if (chance_below(2))
			offset = (u32)chance_below(0x200);
		touch(d, chance_below(2) ? (u32)ALIGN_DOWN(offset, len) : offset, len,
		      chance_value());
	}
	for (u32 len = 1; len <= 8; len *= 2) /* one instruction over all that is dense */
		mem_write_string(d->base, len, 0, dense / len);
	dev_reset(d);
	return steps + dense * 2;
}

/* --- PCI -------------------------------------------------------------------------------------- */

static void config_touch(u32 slot)
{
	u32 len = 1u << chance_below(3), reg = (u32)chance_below(CONFIG_BYTES - 4);
	u32 value = (u32)chance_value();

	if (chance_below(4))
		reg = (u32)ALIGN_DOWN(reg, len);
	switch (chance_below(6)) {
	case 0:
		pci_read(slot, reg, len);
		break;
	case 1:
		pci_port_read(slot, reg, len);
		break;
	case 2:
		pci_port_write(slot, reg, len, value);
		break;
	case 3: /* beyond what the ports reach, other functions, slots that nobody has */
		pci_write(chance_below(2) ? slot : 24 + (u32)chance_below(8),
			  (u32)chance_below(32768 - 8), len, value);
		break;
	default:
		pci_write(slot, reg, len, value);
		break;
	}
}

/* All BARs as they were: what a guest moved is where it put it. */
u32 attack_pci_config(struct dev *d, u32 rounds)
{
	u64 base = d->base;

	if (!d->is_pci)
		return 0;
	for (u32 i = 0; i < rounds; i++) {
		config_touch(d->slot);
		if (i % 32 == 31) {
			pci_place(d, base, true);
			dev_begin(d, rings, d->features, 8);
		}
	}
	for (u32 i = 0; i < 64; i++) { /* the ports themselves, but what resets the machine */
		u16 port = (u16)(CONFIG_PORTS + chance_below(8));

		if (port != RESET_CONTROL) {
			out32(CONFIG_PORTS, ((u32)chance() & ~0xf800u) | d->slot << 11);
			out8(port, (u8)chance());
		}
		in32(port);
		in16(port);
	}
	pci_place(d, base, true);
	pci_write(d->slot, 0x3c, 1, 0);
	dev_reset(d);
	return rounds;
}

/* On each place, running, with a request that waits; then the device serves where it was. */
u32 attack_bars(struct dev *d, const struct dev *witness)
{
	const u64 home = d->base;
	const u64 places[] = { witness->base,
			       witness->base + witness->bar_bytes,
			       ARENA_GPA,
			       0,
			       bare_ram_end() - d->bar_bytes,
			       0xe0000000,
			       0xe0000000 - d->bar_bytes,
			       0xdfff0000,
			       0xe8000000,
			       0xfec00000,
			       0xfee00000,
			       0xffffe000,
			       0x100000000,
			       0xffffffffffffe000 };
	u32 steps = 0;

	if (!d->is_pci)
		return 0;
	for (; steps < ARRAY_SIZE(places); steps++) {
		dev_begin(d, rings, d->features, 8);
		request_build(&rings[eager_queue(d)], 0, 0);
		ring_offer(&rings[eager_queue(d)], 0);
		pci_place(d, places[steps], true);
		if (!witness_draws())
			fail("the witness is silent behind a BAR at", places[steps]);
		pci_place(d, home, false);
		mem_write(home + d->notify, 2, 0); /* where nobody is */
		if (mem_read(home, 4) != 0xffffffff)
			fail("a BAR that is off answers, slot", d->slot);
		pci_place(d, home, true);
		ring_publish(&rings[eager_queue(d)]);
		if (!ring_wait(&rings[eager_queue(d)]))
			fail("no answer after a BAR came back from", places[steps]);
		dev_reset(d);
	}
	return steps;
}
