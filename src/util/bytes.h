// SPDX-License-Identifier: BSD-3-Clause
// Little-endian wire fields that arithmetic cannot touch by accident, and unaligned access.
#pragma once

#include <string.h>

#include "util/types.h"

typedef struct {
	u16 raw;
} __attribute__((packed)) le16;

typedef struct {
	u32 raw;
} __attribute__((packed)) le32;

typedef struct {
	u64 raw;
} __attribute__((packed)) le64;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Kiln runs on little-endian hosts only"
#endif

static inline u16 le16_get(le16 v)
{
	return v.raw;
}

static inline u32 le32_get(le32 v)
{
	return v.raw;
}

static inline u64 le64_get(le64 v)
{
	return v.raw;
}

static inline le16 le16_make(u16 v)
{
	return (le16){ .raw = v };
}

static inline le32 le32_make(u32 v)
{
	return (le32){ .raw = v };
}

static inline le64 le64_make(u64 v)
{
	return (le64){ .raw = v };
}

/*
 * bytes_get_le - read `len` (0 to 8) little-endian bytes at `src`.
 * bytes_put_le - store the low `len` (0 to 8) bytes of `value` at `dst`.
 * Context: any. No alignment is needed.
 */
static inline u64 bytes_get_le(const void *src, size_t len)
{
	u64 value = 0;

	memcpy(&value, src, len);
	return value;
}

static inline void bytes_put_le(void *dst, u64 value, size_t len)
{
	memcpy(dst, &value, len);
}

/* bytes_sum - the modulo-256 sum that ACPI and MP tables make zero. */
static inline u8 bytes_sum(const void *src, size_t len)
{
	const u8 *p = src;
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}
