// SPDX-License-Identifier: BSD-3-Clause
// One PCI bus: configuration space and memory BARs.
//
// A BAR answers while COMMAND decodes memory and it lies wholly in the window and over no BAR that
// answers already; so whoever was there first stays, and a BAR that was put over another one answers
// nothing until the guest writes it, or its COMMAND, again.
#include "pci/pci.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

/* CONFIG_ADDRESS: enable, bus, slot, function, register (PCI Local Bus 3.0, section 3.2.2.3.2). */
enum {
	ADDRESS_WRITABLE = 0x80fffffc,
	ADDRESS_BUS_SHIFT = 16,
	ADDRESS_SLOT_SHIFT = 11,
	ADDRESS_FUNCTION_SHIFT = 8,
};
#define ADDRESS_ENABLE 0x80000000u

enum { BAR_IS_64 = 0x4, BAR_FLAGS = 0xf };

/* --- Building --------------------------------------------------------------------------------- */

void pci_bus_init(struct pci_bus *bus, u64 window_gpa, u64 window_bytes)
{
	*bus = (struct pci_bus){ .window_gpa = window_gpa,
				 .window_bytes = window_bytes,
				 .next_bar_gpa = window_gpa };
	pthread_mutex_init(&bus->lock, NULL);
}

static u32 bar_register(u32 index)
{
	return PCI_BAR0 + 4 * index;
}

/* Machines without firmware have nobody else to do it; guests may do it again. */
static void place_bar(struct pci_bus *bus, struct pci_function *f, u32 index)
{
	u64 size_bytes = f->bars[index].size_bytes, gpa = ALIGN_UP(bus->next_bar_gpa, size_bytes);
	u8 *bar = f->config + bar_register(index);

	if (!size_bytes || !range_fits(gpa - bus->window_gpa, size_bytes, bus->window_bytes))
		return;
	bus->next_bar_gpa = gpa + size_bytes;
	bytes_put_le(bar, gpa | bar[0], f->bars[index].is_64 ? 8 : 4);
}

int pci_bus_add(struct pci_bus *bus, u32 slot, struct pci_function *function)
{
	if (slot > PCI_SLOT_NEXT)
		return -EINVAL;
	if (slot == PCI_SLOT_NEXT)
		for (slot = 0; slot < PCI_SLOTS && bus->functions[slot];)
			slot++;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	if (bus->functions[slot])
		return -EEXIST;
	bus->functions[slot] = function;
	function->bus = bus;
	function->slot = slot;
	for (u32 i = 0; i < PCI_BARS; i++)
		place_bar(bus, function, i);
	return 0;
}

void pci_function_init(struct pci_function *f, const struct pci_ids *ids,
		       const struct pci_function_ops *ops)
{
	*f = (struct pci_function){ .ops = ops, .next_free = PCI_HEADER_BYTES };
	bytes_put_le(f->config + PCI_VENDOR_ID, ids->vendor, 2);
	bytes_put_le(f->config + PCI_DEVICE_ID, ids->device, 2);
	bytes_put_le(f->config + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision, 4);
	bytes_put_le(f->config + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor, 2);
	bytes_put_le(f->config + PCI_SUBSYSTEM_ID, ids->subsystem, 2);
}

void pci_add_bar(struct pci_function *f, u32 index, u32 size_bytes, bool is_64,
		 const struct bus_ops *ops, void *opaque)
{
	u32 reg = bar_register(index);

	f->bars[index] = (struct pci_bar){
		.size_bytes = size_bytes, .is_64 = is_64, .ops = ops, .opaque = opaque
	};
	f->config[reg] = is_64 ? BAR_IS_64 : 0;
	bytes_put_le(f->writable + reg, ~((u64)size_bytes - 1) & ~(u64)BAR_FLAGS, is_64 ? 8 : 4);
	bytes_put_le(f->writable + PCI_COMMAND,
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 2);
}

u8 pci_add_capability(struct pci_function *f, u8 id, const void *bytes, u8 len)
{
	u8 at = f->next_free;
	u32 end = ALIGN_UP((u32)at + len, 4);

	if (end >= PCI_CONFIG_BYTES)
		return 0;
	memcpy(f->config + at, bytes, len);
	f->config[at] = id;
	f->config[at + 1] = 0;
	f->config[f->last_capability ? f->last_capability + 1 : PCI_CAPABILITIES] = at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->last_capability = at;
	f->next_free = (u8)end;
	return at;
}

/* --- BARs. Called with the lock held, but for the last two. ----------------------------------- */

static bool bar_overlaps(const struct pci_bus *bus, u64 gpa, u64 size_bytes)
{
	for (u32 slot = 0; slot < PCI_SLOTS; slot++)
		for (u32 i = 0; bus->functions[slot] && i < PCI_BARS; i++) {
			const struct pci_bar *other = &bus->functions[slot]->bars[i];

			if (other->mapped &&
			    ranges_overlap(gpa, size_bytes, other->gpa, other->size_bytes))
				return true;
		}
	return false;
}

static void map_bar(struct pci_function *f, u32 index)
{
	const struct pci_bus *bus = f->bus;
	struct pci_bar *bar = &f->bars[index];
	u64 gpa = bytes_get_le(f->config + bar_register(index), bar->is_64 ? 8 : 4) &
		  ~(u64)BAR_FLAGS;

	bar->gpa = gpa;
	bar->mapped = bar->size_bytes && (f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY) &&
		      gpa >= bus->window_gpa &&
		      range_fits(gpa - bus->window_gpa, bar->size_bytes, bus->window_bytes) &&
		      !bar_overlaps(bus, gpa, bar->size_bytes);
}

static void map_bars(struct pci_function *f)
{
	for (u32 i = 0; i < PCI_BARS; i++)
		f->bars[i].mapped = false;
	for (u32 i = 0; i < PCI_BARS; i++)
		map_bar(f, i);
}

/* A copy of the BAR that holds the access, so that it can be called without the lock. */
static bool find_bar(struct pci_bus *bus, u64 gpa, u32 len, struct pci_bar *found)
{
	bool is_found = false;

	pthread_mutex_lock(&bus->lock);
	for (u32 slot = 0; slot < PCI_SLOTS; slot++)
		for (u32 i = 0; bus->functions[slot] && i < PCI_BARS; i++) {
			const struct pci_bar *bar = &bus->functions[slot]->bars[i];

			if (!bar->mapped || gpa < bar->gpa ||
			    !range_fits(gpa - bar->gpa, len, bar->size_bytes))
				continue;
			*found = *bar;
			is_found = true;
		}
	pthread_mutex_unlock(&bus->lock);
	return is_found;
}

static u64 all_ones(u32 len)
{
	return len >= 8 ? ~0ull : (1ull << len * 8) - 1;
}

u64 pci_window_read(void *opaque, u64 offset, u32 len)
{
	struct pci_bus *bus = opaque;
	u64 gpa = bus->window_gpa + offset;
	struct pci_bar bar;

	if (!find_bar(bus, gpa, len, &bar))
		return all_ones(len);
	return bar.ops->read(bar.opaque, gpa - bar.gpa, len);
}

void pci_window_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct pci_bus *bus = opaque;
	u64 gpa = bus->window_gpa + offset;
	struct pci_bar bar;

	if (find_bar(bus, gpa, len, &bar))
		bar.ops->write(bar.opaque, gpa - bar.gpa, len, value);
}

/* --- The owner's view of configuration space -------------------------------------------------- */

u64 pci_config_get(struct pci_function *f, u32 reg, u32 len)
{
	u64 value;

	pthread_mutex_lock(&f->bus->lock);
	value = bytes_get_le(f->config + reg, len);
	pthread_mutex_unlock(&f->bus->lock);
	return value;
}

void pci_config_put(struct pci_function *f, u32 reg, u32 len, u64 value)
{
	pthread_mutex_lock(&f->bus->lock);
	bytes_put_le(f->config + reg, value, len);
	if (reg < PCI_HEADER_BYTES)
		map_bars(f);
	pthread_mutex_unlock(&f->bus->lock);
}

u64 pci_bar_gpa(struct pci_function *f, u32 index)
{
	u64 gpa;

	pthread_mutex_lock(&f->bus->lock);
	gpa = f->bars[index].mapped ? f->bars[index].gpa : 0;
	pthread_mutex_unlock(&f->bus->lock);
	return gpa;
}

bool pci_set_intx(struct pci_function *f, bool level)
{
	bool drives;

	pthread_mutex_lock(&f->bus->lock);
	f->config[PCI_STATUS] &= (u8)~PCI_STATUS_INTX;
	f->config[PCI_STATUS] |= level ? PCI_STATUS_INTX : 0;
	drives = !(bytes_get_le(f->config + PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	pthread_mutex_unlock(&f->bus->lock);
	return level && drives;
}

/* --- The guest's view ------------------------------------------------------------------------- */

/* A register as an access names it; the functions themselves never change while a guest runs. */
struct place {
	struct pci_function *function; /* NULL: nobody answers */
	u32 reg;
};

static struct place place_of(const struct pci_bus *bus, u32 slot, u32 function, u32 reg)
{
	return (struct place){ function == 0 ? bus->functions[slot % PCI_SLOTS] : NULL, reg };
}

static bool access_is_legal(u32 reg, u32 len)
{
	return (len == 1 || len == 2 || len == 4) && reg % len == 0;
}

/* reg + len was checked against a dword. */
static u64 config_read(const struct place *at, u32 len)
{
	struct pci_function *f = at->function;

	if (!f)
		return all_ones(len);
	if (at->reg >= PCI_CONFIG_BYTES)
		return 0;
	if (f->ops && f->ops->reading)
		f->ops->reading(f, at->reg, len);
	return pci_config_get(f, at->reg, len);
}

static void config_write(const struct place *at, u32 len, u64 value)
{
	struct pci_function *f = at->function;

	if (!f || at->reg >= PCI_CONFIG_BYTES)
		return;
	pthread_mutex_lock(&f->bus->lock);
	for (u32 i = 0; i < len; i++, value >>= 8) {
		u8 mask = f->writable[at->reg + i], *byte = &f->config[at->reg + i];

		*byte = (u8)((*byte & ~mask) | (value & mask));
	}
	if (at->reg < PCI_HEADER_BYTES)
		map_bars(f);
	pthread_mutex_unlock(&f->bus->lock);
	if (f->ops && f->ops->written)
		f->ops->written(f, at->reg, len);
}

static struct place ecam_place(const struct pci_bus *bus, u64 offset)
{
	return place_of(bus, (u32)(offset >> 15), offset >> 12 & 7,
			offset % PCI_ECAM_FUNCTION_BYTES);
}

u64 pci_ecam_read(struct pci_bus *bus, u64 offset, u32 len)
{
	struct place at = ecam_place(bus, offset);

	if (!access_is_legal(at.reg, len) || offset >= PCI_ECAM_BUS_BYTES)
		return all_ones(len);
	return config_read(&at, len);
}

void pci_ecam_write(struct pci_bus *bus, u64 offset, u32 len, u64 value)
{
	struct place at = ecam_place(bus, offset);

	if (access_is_legal(at.reg, len) && offset < PCI_ECAM_BUS_BYTES)
		config_write(&at, len, value);
}

static bool port_access_is_legal(u32 offset, u32 len)
{
	return access_is_legal(offset, len) && (offset >= 4 || len == 4) && offset + len <= 8;
}

/* What CONFIG_ADDRESS selects; a disabled one, or another bus, selects nobody. */
static struct place port_place(struct pci_bus *bus, u32 offset, u32 *address)
{
	struct place at;

	pthread_mutex_lock(&bus->lock);
	*address = bus->address;
	pthread_mutex_unlock(&bus->lock);
	at = place_of(bus, *address >> ADDRESS_SLOT_SHIFT, *address >> ADDRESS_FUNCTION_SHIFT & 7,
		      (*address & 0xfc) + (offset & 3));
	if (!(*address & ADDRESS_ENABLE) || (*address >> ADDRESS_BUS_SHIFT & 0xff))
		at.function = NULL;
	return at;
}

u32 pci_port_read(struct pci_bus *bus, u32 offset, u32 len)
{
	u32 address;
	struct place at = port_place(bus, offset, &address);

	if (!port_access_is_legal(offset, len))
		return (u32)all_ones(len);
	return offset == 0 ? address : (u32)config_read(&at, len);
}

void pci_port_write(struct pci_bus *bus, u32 offset, u32 len, u32 value)
{
	u32 address;
	struct place at = port_place(bus, offset, &address);

	if (!port_access_is_legal(offset, len))
		return;
	if (offset != 0) {
		config_write(&at, len, value);
		return;
	}
	pthread_mutex_lock(&bus->lock);
	bus->address = value & ADDRESS_WRITABLE;
	pthread_mutex_unlock(&bus->lock);
}
