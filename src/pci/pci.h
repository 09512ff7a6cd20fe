// SPDX-License-Identifier: BSD-3-Clause
// One PCI bus: functions, both ways to reach their configuration space, and the window in which
// their memory BARs answer (PCI Local Bus 3.0, chapter 6 and section 3.2.2.3; PCI Express 4.0,
// section 7.2.2).
#pragma once

#include <pthread.h>

#include "bus/bus.h"
#include "util/types.h"

enum {
	PCI_SLOTS = 32,
	PCI_SLOT_NEXT = PCI_SLOTS, /* the first free one */
	PCI_BARS = 6,
	PCI_CONFIG_BYTES = 256, /* extended configuration space reads as zeros */
	PCI_ECAM_FUNCTION_BYTES = 4096,
	PCI_ECAM_BUS_BYTES = 1 << 20,
};

/* Offsets of the common header (PCI Local Bus 3.0, section 6.1). */
enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS_REVISION = 0x08,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_HEADER_BYTES = 0x40,
};

/* Sections 6.2.2 and 6.2.3. */
enum {
	PCI_COMMAND_MEMORY = 0x0002,
	PCI_COMMAND_MASTER = 0x0004,
	PCI_COMMAND_INTX_DISABLE = 0x0400,
	PCI_STATUS_INTX = 0x0008,
	PCI_STATUS_CAPABILITIES = 0x0010,
};

struct pci_bus;
struct pci_function;

/* Called without pci_bus.lock: they may take locks of their own and use every verb below. */
struct pci_function_ops {
	/* reading - before the guest reads [reg, reg + len): last chance to change it. May be NULL. */
	void (*reading)(struct pci_function *f, u32 reg, u32 len);
	/* written - the guest wrote there; what is writable has changed, BARs have moved. */
	void (*written)(struct pci_function *f, u32 reg, u32 len);
};

/* A memory BAR. It is mapped where the guest put it while COMMAND lets it be, see pci.c. */
struct pci_bar {
	u64 size_bytes; /* 0: there is none */
	bool is_64;
	bool mapped;
	u64 gpa; /* while mapped */
	const struct bus_ops *ops;
	void *opaque;
};

/* Function 0 of a slot. Owner: its device; the bus refers to it. */
struct pci_function {
	u8 config[PCI_CONFIG_BYTES];
	u8 writable[PCI_CONFIG_BYTES]; /* the bits a guest may change */
	struct pci_bar bars[PCI_BARS];
	const struct pci_function_ops *ops; /* may be NULL */
	struct pci_bus *bus;
	u32 slot;
	u8 last_capability, next_free; /* offsets in config; 0: none yet */
};

/*
 * `lock` guards the functions' config and BARs and the address register. Nothing is called and no
 * other lock taken with it held. Context of all verbs: any vCPU, but where they say otherwise.
 */
struct pci_bus {
	pthread_mutex_t lock;
	u32 address;                  /* CONFIG_ADDRESS, port 0xcf8 */
	u64 window_gpa, window_bytes; /* where BARs may be: no RAM, nothing else is there */
	u64 next_bar_gpa;
	struct pci_function *functions[PCI_SLOTS];
};

/* pci_bus_init - without functions; BARs answer in [window_gpa, window_gpa + window_bytes). */
void pci_bus_init(struct pci_bus *bus, u64 window_gpa, u64 window_bytes);

/*
 * pci_bus_add - put a function into `slot` or PCI_SLOT_NEXT and give its BARs addresses in the
 * window while there is room. Return: 0, -EINVAL, -EEXIST or -ENOSPC. Context: vm main, before
 * vCPUs.
 */
int pci_bus_add(struct pci_bus *bus, u32 slot, struct pci_function *function);

/* What a function is. */
struct pci_ids {
	u16 vendor, device, subsystem_vendor, subsystem;
	u32 class_code; /* 24 bits */
	u8 revision;
};

/*
 * The three verbs below build a function's header before pci_bus_add.
 *
 * pci_function_init - ids; the rest is zero.
 * pci_add_bar - a memory BAR of `size_bytes`, a power of two from 16 bytes to 2 GiB; `is_64` takes
 * the next index too.
 * pci_add_capability - append `len` bytes (the first two are set here). Return: its offset; 0 when
 * there is no room.
 */
void pci_function_init(struct pci_function *f, const struct pci_ids *ids,
		       const struct pci_function_ops *ops);
void pci_add_bar(struct pci_function *f, u32 index, u32 size_bytes, bool is_64,
		 const struct bus_ops *ops, void *opaque);
u8 pci_add_capability(struct pci_function *f, u8 id, const void *bytes, u8 len);

/* pci_config_get, pci_config_put - up to 8 bytes of configuration space, for the function's owner. */
u64 pci_config_get(struct pci_function *f, u32 reg, u32 len);
void pci_config_put(struct pci_function *f, u32 reg, u32 len, u64 value);

/* pci_bar_gpa - where a BAR answers now, or 0. */
u64 pci_bar_gpa(struct pci_function *f, u32 index);

/* pci_set_intx - what STATUS shows. Return: whether the line is to be driven (INTx not disabled). */
bool pci_set_intx(struct pci_function *f, bool level);

/*
 * pci_window_read, pci_window_write - an access at `offset` of the window: to the BAR that wholly
 * holds it, or to nobody. Made for bus_ops, `opaque` is the bus.
 */
u64 pci_window_read(void *opaque, u64 offset, u32 len);
void pci_window_write(void *opaque, u64 offset, u32 len, u64 value);

/*
 * pci_ecam_read, pci_ecam_write - an access of `len` bytes (1 to 8) at `offset` of the bus's
 * window. What no function answers reads all ones, as does an access across a dword's end.
 */
u64 pci_ecam_read(struct pci_bus *bus, u64 offset, u32 len);
void pci_ecam_write(struct pci_bus *bus, u64 offset, u32 len, u64 value);

/*
 * pci_port_read, pci_port_write - an access at `offset` (0 to 7) from CONFIG_ADDRESS: a whole
 * dword at 0 is the address; 4 to 7 are the data it selects. Anything else reads all ones.
 */
u32 pci_port_read(struct pci_bus *bus, u32 offset, u32 len);
void pci_port_write(struct pci_bus *bus, u32 offset, u32 len, u32 value);
