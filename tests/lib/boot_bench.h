// SPDX-License-Identifier: BSD-3-Clause
// A bench for x86_64 kernel loaders: guest memory, kernel files made by hand, and one call to load
// them.
#pragma once

#include "kvm/arch.h"

/* One test's machine. Files are memory files; RAM is what arch_mem_layout says. */
struct boot_bench {
	struct gmem mem;
	struct arch_machine machine;
	struct boot_source source;
	struct boot_entry entry;
	struct err err;
};

void bench_create(struct boot_bench *b, u64 mem_bytes);
void bench_destroy(struct boot_bench *b);

/* bench_set_kernel, bench_set_initrd - replace the file; a NULL initrd has `len` zero bytes. */
void bench_set_kernel(struct boot_bench *b, const void *bytes, size_t len);
void bench_set_initrd(struct boot_bench *b, const void *bytes, size_t len);

/* bench_load - arch_boot_load into fresh memory. Return: what it returned. */
int bench_load(struct boot_bench *b);

/* A file under construction. */
struct image {
	size_t len;
	u8 bytes[16384];
};

/* image_put - store the low `size` bytes of `value` at `offset`, little-endian. */
void image_put(struct image *image, size_t offset, size_t size, u64 value);

/*
 * image_make_bzimage - a sound one: 5 setup sectors, a body of 4 KiB of 0xb0 at 16 MiB
 * (relocatable, 2 MiB alignment), init_size 8 MiB, protocol 2.15.
 */
void image_make_bzimage(struct image *image);

/*
 * image_make_elf - a sound 64-bit ET_EXEC: three program headers: text (4 KiB of 0xe1 at physical
 * 0x1000000, virtual 0xffffffff81000000), data (256 bytes of 0xe2 at 0x1002000, 8 KiB in memory),
 * and notes with a PVH entry of 0x1000100. e_entry is 0x1000000.
 */
void image_make_elf(struct image *image);

/* Where image_make_elf put things. */
enum {
	IMAGE_ELF_PHDRS = 64,
	IMAGE_ELF_TEXT = IMAGE_ELF_PHDRS,
	IMAGE_ELF_DATA = IMAGE_ELF_PHDRS + 56,
	IMAGE_ELF_NOTE = IMAGE_ELF_PHDRS + 2 * 56,
	IMAGE_ELF_NOTES_OFFSET = 0x1800,
	IMAGE_ELF_PVH_NOTE = IMAGE_ELF_NOTES_OFFSET + 24, /* after another note */
	IMAGE_ELF_NOTES_BYTES = 24 + 24,
};

/* image_make_elf_32 - a 32-bit one for i386: one segment (4 KiB at 0x1000000) and the same notes.
 */
void image_make_elf_32(struct image *image);
