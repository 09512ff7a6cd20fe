// SPDX-License-Identifier: BSD-3-Clause
// Fixed-width integers and the few macros every file may use.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* A guest physical address. Only mem/guest_mem.h turns one into a pointer. */
typedef u64 gpa_t;

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* `align` is a power of two. ALIGN_UP wraps to 0 on overflow: check the operand first. */
#define ALIGN_DOWN(x, align) ((x) & ~((u64)(align)-1))
#define ALIGN_UP(x, align) ALIGN_DOWN((x) + (u64)(align)-1, align)

/*
 * IS_ENABLED(CONFIG_X) is 1 when Kconfig chose X and 0 when it did not, so that both sides of an
 * `if` are always compiled. A chosen symbol is defined as 1; pasting that 1 picks the argument that
 * shifts a literal 1 into second place.
 */
#define KILN_SHIFT_1 0,
#define KILN_SECOND(ignored, value, ...) value
#define KILN_PICK(shift) KILN_SECOND(shift 1, 0, 0)
#define KILN_PASTE(value) KILN_PICK(KILN_SHIFT_##value)
#define IS_ENABLED(symbol) KILN_PASTE(symbol)

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * Put a pointer to `object` into a linker section, so that a registry is the sum of what was
 * linked. Order in a section never carries meaning.
 */
#define REGISTER(section_name, object)                             \
	static const __typeof__(object) *const registered_##object \
		__attribute__((used, retain, section(section_name))) = &(object)
