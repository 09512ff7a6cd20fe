// SPDX-License-Identifier: BSD-3-Clause
// Reading memory that a running guest changes meanwhile: once, and by index without speculation.
#pragma once

#include <string.h>

#include "util/types.h"

/*
 * shared_read - copy `len` bytes of guest memory. The barrier keeps the compiler from looking at
 * `src` once more in place of the copy: what was checked is what is used. Context: any.
 */
static inline void shared_read(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	__asm__ volatile("" ::: "memory");
}

/*
 * shared_index - `index`, which was checked to be below `count`, in a form that is 0 also for a
 * processor that runs ahead of the check (Spectre, variant 1). Context: any.
 */
static inline u32 shared_index(u32 index, u32 count)
{
	u64 below = index;

	__asm__("" : "+r"(below)); /* the compiler must not know what the check said */
	return index & (u32)(0 - ((below - count) >> 63));
}
