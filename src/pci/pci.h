// SPDX-License-Identifier: BSD-3-Clause
// PCI configuration space of one bus: functions, and both ways to reach them (PCI Local Bus 3.0,
// section 3.2.2.3; PCI Express 4.0, section 7.2.2).
#pragma once

#include <pthread.h>

#include "util/types.h"

enum {
	PCI_SLOTS = 32,
	PCI_CONFIG_BYTES = 256, /* extended configuration space reads as zeros */
	PCI_ECAM_FUNCTION_BYTES = 4096,
	PCI_ECAM_BUS_BYTES = 1 << 20,
};

/* Offsets of the common header (PCI Local Bus 3.0, section 6.1). */
enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_CLASS_REVISION = 0x08,
	PCI_HEADER_TYPE = 0x0e,
	PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
};

/* Function 0 of a slot. Owner: its device; the bus refers to it. */
struct pci_function {
	u8 config[PCI_CONFIG_BYTES];
	u8 writable[PCI_CONFIG_BYTES]; /* the bits a guest may change */
};

/* `lock` guards the functions' config and the address register. Context of all verbs: any vCPU. */
struct pci_bus {
	pthread_mutex_t lock;
	u32 address; /* CONFIG_ADDRESS, port 0xcf8 */
	struct pci_function *functions[PCI_SLOTS];
};

void pci_bus_init(struct pci_bus *bus);

/*
 * pci_bus_add - put a function into `slot`. Return: 0, -EINVAL or -EEXIST. Context: vm main, before
 * vCPUs.
 */
int pci_bus_add(struct pci_bus *bus, u32 slot, struct pci_function *function);

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
