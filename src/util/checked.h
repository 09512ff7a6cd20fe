// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic that tells when it wraps, for every number a guest or a user chose.
#pragma once

#include "util/types.h"

/* Each returns true and stores the result, or returns false and stores nothing usable. */
#define checked_add(a, b, out) (!__builtin_add_overflow(a, b, out))
#define checked_sub(a, b, out) (!__builtin_sub_overflow(a, b, out))
#define checked_mul(a, b, out) (!__builtin_mul_overflow(a, b, out))

/* range_fits - whether [start, start + len) lies within [0, limit). */
static inline bool range_fits(u64 start, u64 len, u64 limit)
{
	u64 end;

	return checked_add(start, len, &end) && end <= limit;
}

/* ranges_overlap - whether two ranges, neither of which wraps, share a byte. */
static inline bool ranges_overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}
