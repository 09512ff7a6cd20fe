// SPDX-License-Identifier: BSD-3-Clause
// What the kernel loaders of x86_64 share: a parser of each format makes a plan, boot.c carries it
// out.
#pragma once

#include "kvm/arch.h"

enum {
	BOOT_HEAD_BYTES =
		2048, /* holds every header that is looked at, and the magic of an ext4 image */
	BOOT_PIECES_MAX = 32, /* program headers in an ELF file */
	/* The setup header in a bzImage and in the zero page (boot.rst, "The real-mode kernel
	   header"). */
	SETUP_HEADER_OFFSET = 0x1f1,
	SETUP_HEADER_END_MAX = 0x290, /* the zero page's next field */
	BOOT_MEMMAP_MAX = 8 + GMEM_REGIONS_MAX,
};

/* The kernel file. Its head was read once; whatever is decided by it is decided by this copy. */
struct boot_file {
	int fd; /* borrowed */
	u64 size_bytes;
	u32 head_bytes;
	u8 head[BOOT_HEAD_BYTES];
};

/* [offset, offset + file_bytes) of the kernel file goes to `gpa`; the rest of mem_bytes is zero. */
struct boot_piece {
	u64 offset, file_bytes;
	gpa_t gpa;
	u64 mem_bytes;
};

/* What is to be done with a kernel. A parser fills it in only after every check. */
struct boot_plan {
	enum boot_protocol protocol; /* never BOOT_AUTO */
	gpa_t entry_gpa;
	u32 nr_pieces;
	struct boot_piece pieces[BOOT_PIECES_MAX];
	struct gmem_range kernel; /* what the kernel uses before it reads the memory map */
	struct gmem_range initrd; /* page-aligned base, exact size; empty for none */
	u64 initrd_end_max_gpa;   /* the initrd ends here or below */
	u32 cmdline_max_bytes;    /* without the NUL */
	u32 cmdline_bytes;
	u32 setup_header_bytes; /* 0: the file has no setup header */
	u8 setup_header[SETUP_HEADER_END_MAX - SETUP_HEADER_OFFSET];
};

/* boot_ram_end - where the RAM below the hole ends. Kernel, initrd and tables lie below it. */
u64 boot_ram_end(const struct gmem *mem);

/*
 * boot_check_place - whether a kernel may use [start_gpa, start_gpa + size_bytes): above 1 MiB and
 * in RAM. Return: 0 or -EINVAL with words that say how much memory it needs.
 */
int boot_check_place(gpa_t start_gpa, u64 size_bytes, u64 ram_end_gpa, struct err *e);

/* boot_read - read exactly `len` bytes of the kernel file. Return: 0 or -errno with words. */
int boot_read(const struct boot_file *file, void *dst, size_t len, u64 offset, struct err *e);

/* Parsers. Return: 0, -ENOEXEC (the file's fault) or -EINVAL (the machine's), with words. */
bool bzimage_is(const struct boot_file *file);
int bzimage_plan(const struct boot_file *file, u64 ram_end_gpa, struct boot_plan *plan,
		 struct err *e);
bool elf_is(const struct boot_file *file);
int elf_plan(const struct boot_file *file, enum boot_protocol wanted, u64 ram_end_gpa,
	     struct boot_plan *plan, struct err *e);

/* boot_stranger - refuse a file that no parser knows: what it seems to be, and what to do. */
int boot_stranger(const struct boot_file *file, struct err *e);

/*
 * pvh_find_entry - look for the PVH note in [offset, offset + size_bytes) of the file, a segment
 * of notes aligned to `align`. Return: 1 with the entry, 0 for no such note, -ENOEXEC with words.
 */
int pvh_find_entry(const struct boot_file *file, u64 offset, u64 size_bytes, u64 align,
		   gpa_t *entry_gpa, struct err *e);

/* What the kernel finds at its start, at LAYOUT_ZERO_PAGE_GPA. Return: 0 or -EFAULT. */
int zero_page_write(const struct gmem *mem, const struct boot_plan *plan);
int pvh_write_start_info(const struct gmem *mem, const struct boot_plan *plan);

/* One range of the memory map; types are numbered as in e820 and PVH (ACPI 6.4, table 15.4). */
enum boot_memory_type { BOOT_MEMORY_RAM = 1, BOOT_MEMORY_RESERVED = 2 };
struct boot_memory {
	gpa_t base_gpa;
	u64 size_bytes;
	enum boot_memory_type type;
};

/* boot_memmap - the memory map in rising order. Return: how many entries, at most BOOT_MEMMAP_MAX.
 */
u32 boot_memmap(const struct gmem *mem, struct boot_memory *map);
