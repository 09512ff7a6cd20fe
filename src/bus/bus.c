// SPDX-License-Identifier: BSD-3-Clause
// A bus: address ranges and who answers for them.
#include "bus/bus.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

/* Whether the first range lies inside the second and is not the same. */
static bool is_nested(u64 base, u64 len, u64 outer, u64 outer_len)
{
	return len < outer_len && base >= outer && base + len <= outer + outer_len;
}

int bus_add(struct bus *bus, u64 base, u64 len, const struct bus_ops *ops, void *opaque,
	    struct err *e)
{
	u32 at = 0;
	u64 end;

	if (len == 0 || !checked_add(base, len, &end))
		return err_set(e, -EINVAL, "%s: range 0x%llx + 0x%llx is empty or wraps", bus->name,
			       (unsigned long long)base, (unsigned long long)len);
	if (bus->nr_regions >= BUS_REGIONS_MAX)
		return err_set(e, -ENOSPC, "%s: more than %d regions", bus->name, BUS_REGIONS_MAX);
	for (u32 i = 0; i < bus->nr_regions; i++) {
		const struct bus_region *other = &bus->regions[i];

		if (ranges_overlap(base, len, other->base, other->len) &&
		    !is_nested(base, len, other->base, other->len) &&
		    !is_nested(other->base, other->len, base, len))
			return err_set(e, -EEXIST, "%s: range 0x%llx + 0x%llx is taken", bus->name,
				       (unsigned long long)base, (unsigned long long)len);
		if (other->base < base || (other->base == base && other->len > len))
			at = i + 1;
	}
	memmove(&bus->regions[at + 1], &bus->regions[at],
		(bus->nr_regions - at) * sizeof(bus->regions[0]));
	bus->regions[at] = (struct bus_region){ base, len, ops, opaque };
	bus->nr_regions++;
	return 0;
}

/*
 * From the last region that begins at or before the address, backwards: inner regions sort behind
 * the one around them, so the first that holds the whole access is the innermost.
 */
static const struct bus_region *bus_find(const struct bus *bus, u64 addr, u32 len)
{
	u32 low = 0, high = bus->nr_regions;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (addr < bus->regions[mid].base)
			high = mid;
		else
			low = mid + 1;
	}
	for (; low > 0; low--) {
		const struct bus_region *region = &bus->regions[low - 1];

		if (range_fits(addr - region->base, len, region->len))
			return region;
	}
	return NULL;
}

bool bus_read(const struct bus *bus, u64 addr, void *data, u32 len)
{
	const struct bus_region *region = bus_find(bus, addr, len);

	if (!region || len > BUS_ACCESS_MAX) {
		memset(data, 0xff, len);
		return false;
	}
	bytes_put_le(data, region->ops->read(region->opaque, addr - region->base, len), len);
	return true;
}

bool bus_write(const struct bus *bus, u64 addr, const void *data, u32 len)
{
	const struct bus_region *region = bus_find(bus, addr, len);

	if (!region || len > BUS_ACCESS_MAX)
		return false;
	region->ops->write(region->opaque, addr - region->base, len, bytes_get_le(data, len));
	return true;
}
