// SPDX-License-Identifier: BSD-3-Clause
// PCI configuration space of one bus.
#include "pci/pci.h"

#include <errno.h>

#include "util/bytes.h"

/* CONFIG_ADDRESS: enable, bus, slot, function, register (PCI Local Bus 3.0, section 3.2.2.3.2). */
enum {
	ADDRESS_WRITABLE = 0x80fffffc,
	ADDRESS_BUS_SHIFT = 16,
	ADDRESS_SLOT_SHIFT = 11,
	ADDRESS_FUNCTION_SHIFT = 8,
};
#define ADDRESS_ENABLE 0x80000000u

void pci_bus_init(struct pci_bus *bus)
{
	*bus = (struct pci_bus){ 0 };
	pthread_mutex_init(&bus->lock, NULL);
}

int pci_bus_add(struct pci_bus *bus, u32 slot, struct pci_function *function)
{
	if (slot >= PCI_SLOTS)
		return -EINVAL;
	if (bus->functions[slot])
		return -EEXIST;
	bus->functions[slot] = function;
	return 0;
}

static u64 all_ones(u32 len)
{
	return len >= 8 ? ~0ull : (1ull << len * 8) - 1;
}

static bool access_is_legal(u32 reg, u32 len)
{
	return (len == 1 || len == 2 || len == 4) && reg % len == 0;
}

/* Called with the lock held; reg + len was checked against a dword. */
static u64 config_read(const struct pci_bus *bus, u32 slot, u32 function, u32 reg, u32 len)
{
	const struct pci_function *target = function == 0 && slot < PCI_SLOTS ? bus->functions[slot]
									      : NULL;

	if (!target)
		return all_ones(len);
	return reg < PCI_CONFIG_BYTES ? bytes_get_le(target->config + reg, len) : 0;
}

static void config_write(struct pci_bus *bus, u32 slot, u32 function, u32 reg, u32 len, u64 value)
{
	struct pci_function *target = function == 0 && slot < PCI_SLOTS ? bus->functions[slot]
									: NULL;

	if (!target || reg >= PCI_CONFIG_BYTES)
		return;
	for (u32 i = 0; i < len; i++, value >>= 8) {
		u8 mask = target->writable[reg + i], *byte = &target->config[reg + i];

		*byte = (u8)((*byte & ~mask) | (value & mask));
	}
}

u64 pci_ecam_read(struct pci_bus *bus, u64 offset, u32 len)
{
	u32 reg = offset % PCI_ECAM_FUNCTION_BYTES;
	u64 value;

	if (!access_is_legal(reg, len) || offset >= PCI_ECAM_BUS_BYTES)
		return all_ones(len);
	pthread_mutex_lock(&bus->lock);
	value = config_read(bus, (u32)(offset >> 15), offset >> 12 & 7, reg, len);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

void pci_ecam_write(struct pci_bus *bus, u64 offset, u32 len, u64 value)
{
	u32 reg = offset % PCI_ECAM_FUNCTION_BYTES;

	if (!access_is_legal(reg, len) || offset >= PCI_ECAM_BUS_BYTES)
		return;
	pthread_mutex_lock(&bus->lock);
	config_write(bus, (u32)(offset >> 15), offset >> 12 & 7, reg, len, value);
	pthread_mutex_unlock(&bus->lock);
}

/* Whether CONFIG_ADDRESS selects a function of this bus. Called with the lock held. */
static bool address_selects(const struct pci_bus *bus)
{
	return (bus->address & ADDRESS_ENABLE) && (bus->address >> ADDRESS_BUS_SHIFT & 0xff) == 0;
}

u32 pci_port_read(struct pci_bus *bus, u32 offset, u32 len)
{
	u32 value = (u32)all_ones(len);

	if (!access_is_legal(offset, len) || (offset < 4 && len != 4) || offset + len > 8)
		return value;
	pthread_mutex_lock(&bus->lock);
	if (offset == 0)
		value = bus->address;
	else if (address_selects(bus))
		value = (u32)config_read(bus, bus->address >> ADDRESS_SLOT_SHIFT & 31,
					 bus->address >> ADDRESS_FUNCTION_SHIFT & 7,
					 (bus->address & 0xfc) + (offset & 3), len);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

void pci_port_write(struct pci_bus *bus, u32 offset, u32 len, u32 value)
{
	if (!access_is_legal(offset, len) || (offset < 4 && len != 4) || offset + len > 8)
		return;
	pthread_mutex_lock(&bus->lock);
	if (offset == 0)
		bus->address = value & ADDRESS_WRITABLE;
	else if (address_selects(bus))
		config_write(bus, bus->address >> ADDRESS_SLOT_SHIFT & 31,
			     bus->address >> ADDRESS_FUNCTION_SHIFT & 7,
			     (bus->address & 0xfc) + (offset & 3), len, value);
	pthread_mutex_unlock(&bus->lock);
}
