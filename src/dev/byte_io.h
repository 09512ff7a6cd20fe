// SPDX-License-Identifier: BSD-3-Clause
// Devices whose registers are single bytes: wider accesses become several, as on an ISA bus.
#pragma once

#include "util/types.h"

typedef u8 byte_read_fn(void *opaque, u32 offset);
typedef void byte_write_fn(void *opaque, u32 offset, u8 value);

/* byte_io_read - bus_ops.read in terms of `read`, lowest offset first. */
static inline u64 byte_io_read(byte_read_fn *read, void *opaque, u64 offset, u32 len)
{
	u64 value = 0;

	for (u32 i = 0; i < len; i++)
		value |= (u64)read(opaque, (u32)offset + i) << (8 * i);
	return value;
}

/* byte_io_write - bus_ops.write in terms of `write`, lowest offset first. */
static inline void byte_io_write(byte_write_fn *write, void *opaque, u64 offset, u32 len, u64 value)
{
	for (u32 i = 0; i < len; i++)
		write(opaque, (u32)offset + i, (u8)(value >> (8 * i)));
}
