// SPDX-License-Identifier: BSD-3-Clause
// What a bare guest in C stands on: ports, words on the serial line, time, chance, its memory.
#pragma once

#include "util/types.h"

/*
 * Memory. The guest itself lies from 28 MiB up (hostile.lds) and keeps nothing below 1 MiB. Devices
 * may be made to write into the arena, and over RAM's end, so a bad address is one of these or of
 * no RAM; that is how an attack on a device does not become one on the attacker.
 */
#define ARENA_GPA 0x200000ull
#define ARENA_BYTES 0x1000000ull

/* bare_ram_end - where RAM below 4 GiB ends, by the memory map. */
u64 bare_ram_end(void);

/* bare_option - the number behind "NAME=" on the command line, or `otherwise`. */
u64 bare_option(const char *name, u64 otherwise);

/* bare_power_off - the machine ends with exit code 0. bare_reset - it ends with 32. */
_Noreturn void bare_power_off(void);
_Noreturn void bare_reset(void);

/* bare_start_cpu2 - a second CPU runs `main`, which does not return. */
void bare_start_cpu2(void (*main)(void));

/* --- Words. A line begins with "hostile: ". --------------------------------------------------- */

void say(const char *text);
void say_number(const char *text, u64 number);
void say_end(void);

/* wait_for_key - until a byte comes in on the serial line. */
void wait_for_key(void);

/* fail - say that something does not hold, with a number, and go on; the end is then a reset. */
void fail(const char *what, u64 number);
u32 bare_failures(void);

/* --- Chance: the same seed, the same guest ---------------------------------------------------- */

void chance_seed(u64 seed);
u64 chance(void);

/* chance_below - 0 to n - 1. */
static inline u64 chance_below(u64 n)
{
	return chance() % n;
}

/* --- Time ------------------------------------------------------------------------------------- */

/* Clock ticks of a wait that a host, however slow, has answered by then. */
#define DEADLINE_TICKS 60000000000ull

u64 ticks(void);

/* pause_ticks - let about so many ticks go by, with exits, so that others may have the CPU. */
void pause_ticks(u64 nr);

/* --- Ports and memory-mapped registers, with accesses of just these widths -------------------- */

static inline void out8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out16(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out32(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline u8 in8(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline u16 in16(u16 port)
{
	u16 value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline u32 in32(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* An access of 1, 2, 4 or 8 bytes at a physical address, aligned or not. */
u64 mem_read(u64 gpa, u32 len);
void mem_write(u64 gpa, u32 len, u64 value);

/* mem_write_string - `nr` values one after the other by a single instruction (rep stos). */
void mem_write_string(u64 gpa, u32 len, u64 value, u64 nr);

static inline void *at(u64 gpa)
{
	return (void *)gpa;
}

void *memset(void *dst, int byte, size_t len);
void *memcpy(void *dst, const void *src, size_t len);
