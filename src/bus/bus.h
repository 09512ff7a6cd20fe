// SPDX-License-Identifier: BSD-3-Clause
// A bus: address ranges and who answers for them. One for port I/O, one for MMIO.
#pragma once

#include "util/err.h"
#include "util/types.h"

enum { BUS_REGIONS_MAX = 64, BUS_ACCESS_MAX = 8 };

/*
 * A device's answers. `offset` counts from the region's base and offset + len lies within it;
 * len is 1 to BUS_ACCESS_MAX. Values are little-endian, zero-extended. Context: vCPU, any of
 * them and several at once.
 */
struct bus_ops {
	u64 (*read)(void *opaque, u64 offset, u32 len);
	void (*write)(void *opaque, u64 offset, u32 len, u64 value);
};

struct bus_region {
	u64 base, len;
	const struct bus_ops *ops;
	void *opaque;
};

/*
 * Filled before the vCPUs start, read-only from then on. Sorted by base; at one base, larger first.
 */
struct bus {
	const char *name;
	u32 nr_regions;
	struct bus_region regions[BUS_REGIONS_MAX];
};

/*
 * bus_add - claim [base, base + len). A region may lie wholly inside a larger one and then answers
 * the accesses that it holds (port 0xcf9 within 0xcf8 to 0xcff); any other overlap is refused.
 * Return: 0, or -errno with words when full or taken.
 */
int bus_add(struct bus *bus, u64 base, u64 len, const struct bus_ops *ops, void *opaque,
	    struct err *e);

/*
 * bus_read, bus_write - one access of `len` bytes (1 to BUS_ACCESS_MAX).
 * An access that is not wholly inside one region reads all ones and writes nothing.
 * Return: whether somebody answered.
 */
bool bus_read(const struct bus *bus, u64 addr, void *data, u32 len);
bool bus_write(const struct bus *bus, u64 addr, const void *data, u32 len);
