// SPDX-License-Identifier: BSD-3-Clause
// What a bare guest in C stands on.
#include "bare.h"

enum {
	COM1 = 0x3f8,
	COM1_LSR = COM1 + 5,
	LSR_DATA_READY = 0x01,
	LSR_THR_EMPTY = 0x20,
	PM1A_CNT = 0x604,
	SLP_TYP_5_EN = 5 << 10 | 1 << 13,
	RESET_CONTROL = 0xcf9,
	UNUSED_PORT = 0x80,

	/* Linux, Documentation/x86/zero-page.rst */
	ZERO_PAGE_E820_ENTRIES = 0x1e8,
	ZERO_PAGE_CMD_LINE_PTR = 0x228,
	ZERO_PAGE_E820 = 0x2d0,
	E820_ENTRY_BYTES = 20,
	E820_RAM = 1,

	PAGE_PRESENT_WRITABLE = 3,
	PAGE_LARGE = 0x80,
};

/* start.S */
extern u8 cpu2_begin[], cpu2_end[], stack2[];

static u64 ram_end;
static char cmdline[2048];
static u32 nr_failures;

/* --- Memory ----------------------------------------------------------------------------------- */

/* The loader's page tables lie below 1 MiB, where devices may write. */
_Alignas(4096) u64 pml4[512]; /* for start.S, too */
static _Alignas(4096) u64 pdpt[512], directories[4][512];

static void take_page_tables(void)
{
	for (u64 i = 0; i < 4 * 512; i++)
		directories[i / 512][i % 512] = i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
	for (u32 i = 0; i < 4; i++)
		pdpt[i] = (u64)directories[i] | PAGE_PRESENT_WRITABLE;
	pml4[0] = (u64)pdpt | PAGE_PRESENT_WRITABLE;
	__asm__ volatile("mov %0, %%cr3" ::"r"(pml4) : "memory");
}

static void read_memory_map(u64 zero_page)
{
	u64 entry = zero_page + ZERO_PAGE_E820;

	for (u64 i = mem_read(zero_page + ZERO_PAGE_E820_ENTRIES, 1); i > 0; i--) {
		u64 end = mem_read(entry, 8) + mem_read(entry + 8, 8);

		if (mem_read(entry + 16, 4) == E820_RAM && end <= 1ull << 32)
			ram_end = MAX(ram_end, end);
		entry += E820_ENTRY_BYTES;
	}
}

u64 bare_ram_end(void)
{
	return ram_end;
}

u64 mem_read(u64 gpa, u32 len)
{
	u64 value = 0;

	switch (len) {
	case 1:
		__asm__ volatile("movb (%1), %b0" : "+r"(value) : "r"(gpa) : "memory");
		break;
	case 2:
		__asm__ volatile("movw (%1), %w0" : "+r"(value) : "r"(gpa) : "memory");
		break;
	case 4:
		__asm__ volatile("movl (%1), %k0" : "+r"(value) : "r"(gpa) : "memory");
		break;
	case 8:
		__asm__ volatile("movq (%1), %0" : "+r"(value) : "r"(gpa) : "memory");
		break;
	}
	return value;
}

void mem_write(u64 gpa, u32 len, u64 value)
{
	switch (len) {
	case 1:
		__asm__ volatile("movb %b0, (%1)" ::"r"(value), "r"(gpa) : "memory");
		break;
	case 2:
		__asm__ volatile("movw %w0, (%1)" ::"r"(value), "r"(gpa) : "memory");
		break;
	case 4:
		__asm__ volatile("movl %k0, (%1)" ::"r"(value), "r"(gpa) : "memory");
		break;
	case 8:
		__asm__ volatile("movq %0, (%1)" ::"r"(value), "r"(gpa) : "memory");
		break;
	}
}

void mem_write_string(u64 gpa, u32 len, u64 value, u64 nr)
{
	switch (len) {
	case 1:
		__asm__ volatile("rep stosb" : "+D"(gpa), "+c"(nr) : "a"(value) : "memory");
		break;
	case 2:
		__asm__ volatile("rep stosw" : "+D"(gpa), "+c"(nr) : "a"(value) : "memory");
		break;
	case 4:
		__asm__ volatile("rep stosl" : "+D"(gpa), "+c"(nr) : "a"(value) : "memory");
		break;
	case 8:
		__asm__ volatile("rep stosq" : "+D"(gpa), "+c"(nr) : "a"(value) : "memory");
		break;
	}
}

void *memset(void *dst, int byte, size_t len)
{
	mem_write_string((u64)dst, 8, 0x0101010101010101ull * (u8)byte, len / 8);
	mem_write_string((u64)dst + ALIGN_DOWN(len, 8), 1, (u8)byte, len % 8);
	return dst;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	void *to = dst;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(len)::"memory");
	return dst;
}

/* --- Command line ----------------------------------------------------------------------------- */

static void read_cmdline(u64 zero_page)
{
	const char *from = at(mem_read(zero_page + ZERO_PAGE_CMD_LINE_PTR, 4));

	for (u32 i = 0; i < sizeof(cmdline) - 1 && from[i]; i++)
		cmdline[i] = from[i];
}

/* What is behind "NAME=" if the word begins with it, else NULL. */
static const char *option_value(const char *word, const char *name)
{
	while (*name && *word == *name)
		word++, name++;
	return !*name && *word == '=' ? word + 1 : NULL;
}

u64 bare_option(const char *name, u64 otherwise)
{
	for (const char *word = cmdline; *word; word++) {
		const char *digit = option_value(word, name);
		u64 number = 0;

		if (!digit || (word > cmdline && word[-1] != ' '))
			continue;
		for (; *digit >= '0' && *digit <= '9'; digit++)
			number = number * 10 + (u64)(*digit - '0');
		return number;
	}
	return otherwise;
}

/* --- Words ------------------------------------------------------------------------------------ */

static void put(char byte)
{
	while (!(in8(COM1_LSR) & LSR_THR_EMPTY))
		;
	out8(COM1, (u8)byte);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_number(u64 number)
{
	char digits[24];
	u32 at_digit = sizeof(digits) - 1;

	digits[at_digit] = '\0';
	do {
		digits[--at_digit] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put_text(digits + at_digit);
}

static bool in_line;

void say(const char *text)
{
	put_text(in_line ? " " : "hostile: ");
	in_line = true;
	put_text(text);
}

void say_number(const char *text, u64 number)
{
	say(text);
	put(' ');
	put_number(number);
}

void say_end(void)
{
	put('\n');
	in_line = false;
}

void wait_for_key(void)
{
	while (!(in8(COM1_LSR) & LSR_DATA_READY))
		;
	in8(COM1);
}

void fail(const char *what, u64 number)
{
	if (in_line)
		say_end();
	say("FAILED:");
	say_number(what, number);
	say_end();
	nr_failures++;
}

u32 bare_failures(void)
{
	return nr_failures;
}

/* --- Chance: xorshift64* (Vigna, 2016) -------------------------------------------------------- */

static u64 states[2];

void chance_seed(u64 seed)
{
	states[0] = seed * 0x9e3779b97f4a7c15ull | 1;
	states[1] = ~seed * 0x9e3779b97f4a7c15ull | 1;
}

/* A CPU is known by the stack it is on. */
u64 chance(void)
{
	u64 *state = &states[(u64)__builtin_frame_address(0) >= (u64)stack2];

	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* --- A second CPU ----------------------------------------------------------------------------- */

#define APIC_ICR_LOW 0xfee00300
#define APIC_ICR_HIGH 0xfee00310
enum { ICR_INIT = 0x4500, ICR_STARTUP = 0x4600, CPU2_GPA = 0x10000 };

static void (*volatile main2)(void);

void bare_main2(void);

void bare_main2(void)
{
	main2();
}

void bare_start_cpu2(void (*main)(void))
{
	main2 = main;
	memcpy(at(CPU2_GPA), cpu2_begin, (size_t)(cpu2_end - cpu2_begin));
	mem_write(APIC_ICR_HIGH, 4, 1u << 24); /* APIC id 1 */
	mem_write(APIC_ICR_LOW, 4, ICR_INIT);
	pause_ticks(20000000);
	mem_write(APIC_ICR_LOW, 4, ICR_STARTUP | CPU2_GPA >> 12);
}

/* --- Time, and the end ------------------------------------------------------------------------ */

u64 ticks(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

void pause_ticks(u64 nr)
{
	u64 end = ticks() + nr;

	while (ticks() < end)
		in8(UNUSED_PORT);
}

void bare_power_off(void)
{
	for (;;)
		out16(PM1A_CNT, SLP_TYP_5_EN);
}

void bare_reset(void)
{
	for (;;)
		out8(RESET_CONTROL, 6);
}

void hostile_main(void);
void bare_main(u64 zero_page);

void bare_main(u64 zero_page)
{
	take_page_tables();
	read_memory_map(zero_page);
	read_cmdline(zero_page);
	hostile_main();
	if (nr_failures > 0)
		bare_reset();
	bare_power_off();
}
