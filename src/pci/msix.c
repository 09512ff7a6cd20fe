// SPDX-License-Identifier: BSD-3-Clause
// MSI-X of one function (PCI Local Bus 3.0, section 6.8.2).
#include "pci/msix.h"

#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

enum {
	CAPABILITY_ID = 0x11,
	CAPABILITY_BYTES = 12,
	CONTROL = 2, /* offset of message control in the capability */
	CONTROL_ENABLE = 0x8000,
	CONTROL_MASK = 0x4000,

	/* an entry of the table */
	ENTRY_DATA = 8,
	ENTRY_CONTROL = 12,
	ENTRY_MASKED = 1,
};

static void mask_all(struct msix *m)
{
	memset(m->table, 0, sizeof(m->table));
	for (u32 i = 0; i < m->nr_vectors; i++)
		m->table[i * MSIX_ENTRY_BYTES + ENTRY_CONTROL] = ENTRY_MASKED;
}

void msix_create(struct msix *m, struct pci_function *f, struct doorbell_host *host, u32 wanted,
		 u32 bar, u32 table_offset, u32 pba_offset)
{
	u8 bytes[CAPABILITY_BYTES] = { 0 };

	*m = (struct msix){ .host = host, .function = f };
	while (m->nr_vectors < MIN(wanted, (u32)MSIX_VECTORS_MAX)) {
		int source = host->msi_alloc(host);

		if (source < 0)
			break;
		m->sources[m->nr_vectors++] = (u32)source;
	}
	mask_all(m);
	if (m->nr_vectors == 0)
		return;
	bytes_put_le(bytes + CONTROL, m->nr_vectors - 1, 2);
	bytes_put_le(bytes + 4, table_offset | bar, 4);
	bytes_put_le(bytes + 8, pba_offset | bar, 4);
	m->capability = pci_add_capability(f, CAPABILITY_ID, bytes, sizeof(bytes));
	if (m->capability == 0)
		m->nr_vectors = 0;
	else
		bytes_put_le(f->writable + m->capability + CONTROL, CONTROL_ENABLE | CONTROL_MASK,
			     2);
}

void msix_reset(struct msix *m)
{
	mask_all(m);
	if (m->nr_vectors > 0)
		pci_config_put(m->function, m->capability + CONTROL, 2, m->nr_vectors - 1);
}

static bool is_masked(const struct msix *m, u32 vector)
{
	return !m->enabled || m->masked ||
	       (m->table[vector * MSIX_ENTRY_BYTES + ENTRY_CONTROL] & ENTRY_MASKED);
}

int msix_source(const struct msix *m, u32 vector)
{
	if (vector >= m->nr_vectors || is_masked(m, vector) || (m->refused >> vector & 1))
		return -1;
	return (int)m->sources[vector];
}

/* A source is told only what it sends next, and only changes: telling is a call to the kernel. */
static void send_message(struct msix *m, u32 vector)
{
	const u8 *entry = m->table + vector * MSIX_ENTRY_BYTES;
	struct msi_message msg = { .addr = bytes_get_le(entry, 8),
				   .data = (u32)bytes_get_le(entry + ENTRY_DATA, 4) };
	struct msi_message *sent = &m->sent[vector];

	if (msg.addr == sent->addr && msg.data == sent->data)
		return;
	*sent = msg;
	m->refused &= ~(1ull << vector);
	if (m->host->msi_set(m->host, m->sources[vector], &msg) < 0)
		m->refused |= 1ull << vector;
}

bool msix_sync(struct msix *m)
{
	bool was_enabled = m->enabled;
	u32 control;

	if (m->nr_vectors == 0)
		return false;
	control = (u32)pci_config_get(m->function, m->capability + CONTROL, 2);
	m->enabled = control & CONTROL_ENABLE;
	m->masked = control & CONTROL_MASK;
	for (u32 i = 0; i < m->nr_vectors; i++)
		if (!is_masked(m, i))
			send_message(m, i);
	return m->enabled != was_enabled;
}

u64 msix_table_read(const struct msix *m, u64 offset, u32 len)
{
	if (!range_fits(offset, len, (u64)m->nr_vectors * MSIX_ENTRY_BYTES))
		return 0;
	return bytes_get_le(m->table + offset, len);
}

void msix_table_write(struct msix *m, u64 offset, u32 len, u64 value)
{
	if (!range_fits(offset, len, (u64)m->nr_vectors * MSIX_ENTRY_BYTES) ||
	    (len != 4 && len != 8) || offset % len != 0)
		return;
	bytes_put_le(m->table + offset, value, len);
}
