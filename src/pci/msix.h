// SPDX-License-Identifier: BSD-3-Clause
// MSI-X of one function (PCI Local Bus 3.0, section 6.8.2): the capability, the table and the pending
// bits, on the machine's interrupt sources.
#pragma once

#include "bus/doorbell.h"
#include "pci/pci.h"

enum {
	MSIX_VECTORS_MAX = 64,
	MSIX_ENTRY_BYTES = 16,
	MSIX_PBA_BYTES = MSIX_VECTORS_MAX / 8,
};

/*
 * Vectors and what they send. An event is an eventfd's, and whose is the owner's matter: it binds
 * the eventfd to msix_source() while there is one; while there is none the eventfd itself remembers
 * the event. Guarded by the owner's lock.
 */
struct msix {
	struct doorbell_host *host;
	struct pci_function *function;
	u32 nr_vectors; /* 0: the machine had none left, and there is no capability */
	u8 capability;
	bool enabled, masked; /* as msix_sync found them */
	u32 sources[MSIX_VECTORS_MAX];
	struct msi_message sent[MSIX_VECTORS_MAX]; /* what the source was last told */
	u64 refused; /* a bit for each vector whose message the machine did not take */
	u8 table[MSIX_VECTORS_MAX * MSIX_ENTRY_BYTES];
};

/*
 * msix_create - reserve up to `wanted` sources and add the capability to `f`, with the table at
 * `table_offset` and the pending bits at `pba_offset` of BAR `bar`. Context: vm main, before vCPUs
 * and before pci_bus_add.
 */
void msix_create(struct msix *m, struct pci_function *f, struct doorbell_host *host, u32 wanted,
		 u32 bar, u32 table_offset, u32 pba_offset);

/* msix_reset - all vectors masked, the function's control cleared. */
void msix_reset(struct msix *m);

/*
 * msix_sync - take over what the guest wrote to the capability or the table. The owner binds and
 * unbinds eventfds after it. Return: whether MSI-X was enabled or disabled by it.
 */
bool msix_sync(struct msix *m);

/* msix_source - where events of `vector` are to go now, or -1: masked, disabled, no such vector. */
int msix_source(const struct msix *m, u32 vector);

/* msix_table_read, msix_table_write - an access of `len` bytes; writes are of aligned dwords or
 * pairs of them, others and what lies outside reads 0 and writes nothing. */
u64 msix_table_read(const struct msix *m, u64 offset, u32 len);
void msix_table_write(struct msix *m, u64 offset, u32 len, u64 value);
