// SPDX-License-Identifier: BSD-3-Clause
// Eventfds between guest and devices without anybody's help: doorbells that a guest's write rings,
// interrupts that an eventfd raises (KVM's ioeventfd and irqfd).
#pragma once

#include <poll.h>

#include "util/err.h"
#include "util/fd.h"
#include "util/types.h"

/* A guest's write that only signals `fd`: any value, or one value of `len` bytes. */
struct doorbell {
	u64 addr;   /* guest physical address */
	u32 len;    /* of the write: 2 or 4; 0 for any length (then match is false) */
	bool match; /* only writes of `value` */
	u32 value;
};

/* A message-signalled interrupt as the guest programmed it. */
struct msi_message {
	u64 addr;
	u32 data;
};

enum { MSI_ROUTES_MAX = 256 };

/*
 * What a machine offers to transports: implemented by the vm process on KVM, and by tests. All
 * return 0 or -errno; descriptors are borrowed. Context: any thread.
 */
struct doorbell_host {
	/* bind_doorbell - from now on (`bound`) or no longer, writes ring `fd`. */
	int (*bind_doorbell)(struct doorbell_host *host, const struct doorbell *bell, int fd,
			     bool bound);
	/*
	 * msi_alloc - reserve an interrupt source for messages. Return: its number, or -ENOSPC.
	 * Context: before the guest runs.
	 */
	int (*msi_alloc)(struct doorbell_host *host);
	/* msi_set - what the source sends from now on. */
	int (*msi_set)(struct doorbell_host *host, u32 source, const struct msi_message *msg);
	/*
	 * bind_irq - from now on, or no longer, an event on `fd` raises interrupt source `gsi`: one
	 * of msi_alloc's, or a line, which then gets one edge. An event that is pending on `fd` when
	 * it is bound is raised at once, so an unbound eventfd remembers it.
	 */
	int (*bind_irq)(struct doorbell_host *host, u32 gsi, int fd, bool bound);
	/* set_line - drive interrupt line `gsi` for user `slot` (below 32; users are ORed). */
	void (*set_line)(struct doorbell_host *host, u32 gsi, u32 slot, bool level);
};

/*
 * An eventfd that a back-end of somebody else's has, too, may have been made to block by it: who
 * rings or drains it looks first.
 */
static inline bool doorbell_takes(int fd, short events)
{
	struct pollfd bell = { .fd = fd, .events = events };

	return poll(&bell, 1, 0) == 1 && (bell.revents & events);
}

/* doorbell_ring - signal the eventfd `fd`. Context: any thread. */
static inline void doorbell_ring(int fd)
{
	const u64 one = 1;

	if (doorbell_takes(fd, POLLOUT)) /* a full counter is a rung one */
		fd_write(fd, &one, sizeof(one));
}

/* doorbell_drain - forget that `fd` was rung. Return: whether it was. */
static inline bool doorbell_drain(int fd)
{
	u64 count;

	return doorbell_takes(fd, POLLIN) && fd_read(fd, &count, sizeof(count)) > 0;
}
