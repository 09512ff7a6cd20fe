// SPDX-License-Identifier: BSD-3-Clause
// ELF loading by the 64-bit entry and by the PVH note, with files made by hand.
// test-sources: arch/x86_64/boot.c arch/x86_64/bzimage.c arch/x86_64/elf.c arch/x86_64/pvh.c arch/x86_64/format.c arch/x86_64/zero_page.c arch/x86_64/layout.c src/mem/guest_mem.c src/util/err.c src/util/fd.c tests/lib/boot_bench.c
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "boot.h"
#include "layout.h"
#include "tests/lib/boot_bench.h"
#include "zero_page.h"

enum {
	EHDR_TYPE = 16,
	EHDR_MACHINE = 18,
	EHDR_ENTRY = 24,
	EHDR_PHOFF = 32,
	EHDR_PHENTSIZE = 54,
	EHDR_PHNUM = 56
};
enum {
	PHDR_TYPE = 0,
	PHDR_OFFSET = 8,
	PHDR_VADDR = 16,
	PHDR_PADDR = 24,
	PHDR_FILESZ = 32,
	PHDR_MEMSZ = 40,
	PHDR_ALIGN = 48
};

struct fixture {
	struct boot_bench bench;
	struct image image;
};

static int setup(void **state)
{
	static struct fixture f;

	bench_create(&f.bench, MIB(64));
	image_make_elf(&f.image);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bench_destroy(&f->bench);
	return 0;
}

static int load(struct fixture *f, enum boot_protocol protocol)
{
	f->bench.source.protocol = protocol;
	bench_set_kernel(&f->bench, f->image.bytes, f->image.len);
	return bench_load(&f->bench);
}

static void load_well(struct fixture *f, enum boot_protocol protocol)
{
	int status = load(f, protocol);

	if (status < 0)
		fail_msg("refused: %s", f->bench.err.text);
}

static void load_badly(struct fixture *f, enum boot_protocol protocol, int code, const char *words)
{
	assert_int_equal(load(f, protocol), code);
	if (!strstr(f->bench.err.text, words))
		fail_msg("'%s' does not say '%s'", f->bench.err.text, words);
}

static u64 guest_value(struct fixture *f, gpa_t gpa, size_t size)
{
	u64 value = 0;

	assert_int_equal(gmem_read(&f->bench.mem, gpa, &value, size), 0);
	return value;
}

static void segments_go_to_their_physical_addresses(void **state)
{
	struct fixture *f = *state;

	load_well(f, BOOT_LINUX);
	assert_int_equal(guest_value(f, 0x1000000, 1), 0xe1);
	assert_int_equal(guest_value(f, 0x1000fff, 1), 0xe1);
	assert_int_equal(guest_value(f, 0x1001000, 1), 0);
	assert_int_equal(guest_value(f, 0x1002000, 1), 0xe2);
	assert_int_equal(guest_value(f, 0x10020ff, 1), 0xe2);
	assert_int_equal(guest_value(f, 0x1002100, 1), 0);
}

static void the_linux_entry_is_e_entry_with_a_zero_page(void **state)
{
	struct fixture *f = *state;
	struct zero_page zp;

	bench_set_initrd(&f->bench, "initrd", 6);
	load_well(f, BOOT_LINUX);
	assert_int_equal(f->bench.entry.protocol, BOOT_LINUX);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000000);
	assert_int_equal(f->bench.entry.info_gpa, LAYOUT_ZERO_PAGE_GPA);
	assert_int_equal(gmem_read(&f->bench.mem, LAYOUT_ZERO_PAGE_GPA, &zp, sizeof(zp)), 0);
	assert_memory_equal(zp.hdr.magic, "HdrS", 4);
	assert_int_equal(le16_get(zp.hdr.boot_flag), 0xaa55);
	assert_int_equal(le16_get(zp.hdr.version), 0x020c);
	assert_int_equal(zp.hdr.type_of_loader, 0xff);
	assert_int_equal(le32_get(zp.hdr.cmd_line_ptr), LAYOUT_CMDLINE_GPA);
	assert_int_equal(le32_get(zp.hdr.ramdisk_image), MIB(64) - 4096);
	assert_int_equal(le32_get(zp.hdr.ramdisk_size), 6);
	assert_int_equal(zp.e820_entries, 6);
}

static void a_virtual_entry_is_translated(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_ENTRY, 8, 0xffffffff81002010);
	load_well(f, BOOT_LINUX);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1002010);
}

static void an_entry_in_no_segment_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_ENTRY, 8, 0x1001000);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "entry (0x1001000) is in none");
	image_put(&f->image, EHDR_ENTRY, 8, 0x1002100); /* in memory, but not from the file */
	load_badly(f, BOOT_LINUX, -ENOEXEC, "entry (0x1002100) is in none");
	image_put(&f->image, EHDR_ENTRY, 8, UINT64_MAX);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "is in none");
}

static void the_pvh_note_is_preferred(void **state)
{
	struct fixture *f = *state;

	load_well(f, BOOT_AUTO);
	assert_int_equal(f->bench.entry.protocol, BOOT_PVH);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000100);
}

static void without_a_note_the_64_bit_entry_is_used(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_PVH_NOTE + 8, 4, 17);
	load_well(f, BOOT_AUTO);
	assert_int_equal(f->bench.entry.protocol, BOOT_LINUX);
	memcpy(f->image.bytes + IMAGE_ELF_PVH_NOTE + 8, "\x12\0\0\0Xem", 8);
	load_well(f, BOOT_AUTO);
	assert_int_equal(f->bench.entry.protocol, BOOT_LINUX);
}

static void pvh_without_a_note_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_PHNUM, 2, 2);
	load_badly(f, BOOT_PVH, -ENOEXEC, "no PVH note");
}

static void the_start_info_names_everything(void **state)
{
	struct fixture *f = *state;
	const gpa_t info = LAYOUT_ZERO_PAGE_GPA;
	gpa_t modules, map;

	bench_set_initrd(&f->bench, "initrd", 6);
	load_well(f, BOOT_PVH);
	assert_int_equal(f->bench.entry.info_gpa, info);
	assert_int_equal(guest_value(f, info, 4), 0x336ec578);
	assert_int_equal(guest_value(f, info + 4, 4), 1);
	assert_int_equal(guest_value(f, info + 12, 4), 1);
	assert_int_equal(guest_value(f, info + 24, 8), LAYOUT_CMDLINE_GPA);
	assert_int_equal(guest_value(f, info + 32, 8), LAYOUT_TABLES_GPA);
	assert_int_equal(guest_value(f, info + 48, 4), 6);
	modules = guest_value(f, info + 16, 8);
	assert_int_equal(guest_value(f, modules, 8), MIB(64) - 4096);
	assert_int_equal(guest_value(f, modules + 8, 8), 6);
	map = guest_value(f, info + 40, 8);
	assert_int_equal(guest_value(f, map + 3 * 24, 8), 0x100000);
	assert_int_equal(guest_value(f, map + 3 * 24 + 8, 8), MIB(63));
	assert_int_equal(guest_value(f, map + 3 * 24 + 16, 4), 1);
}

static void without_an_initrd_there_is_no_module(void **state)
{
	struct fixture *f = *state;

	load_well(f, BOOT_PVH);
	assert_int_equal(guest_value(f, LAYOUT_ZERO_PAGE_GPA + 12, 4), 0);
	assert_int_equal(guest_value(f, LAYOUT_ZERO_PAGE_GPA + 16, 8), 0);
}

static void a_note_value_of_4_bytes_works(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_PVH_NOTE + 4, 4, 4);
	load_well(f, BOOT_PVH);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000100);
}

static void notes_aligned_to_8_work(void **state)
{
	struct fixture *f = *state;

	/* A first note of 12 + 4 + 4 bytes is padded to 24 only when the alignment is 8. */
	image_put(&f->image, IMAGE_ELF_NOTES_OFFSET + 4, 4, 4);
	image_put(&f->image, IMAGE_ELF_NOTE + PHDR_ALIGN, 8, 8);
	load_well(f, BOOT_PVH);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000100);
}

static void a_note_value_of_another_size_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_PVH_NOTE + 4, 4, 2);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "the PVH note has 2 bytes");
}

static void notes_that_run_over_their_end_are_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_NOTES_OFFSET + 4, 4, 0xffffffff);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "notes run over their end");
	image_put(&f->image, IMAGE_ELF_NOTES_OFFSET + 4, 4, 8);
	image_put(&f->image, IMAGE_ELF_NOTES_OFFSET, 4, 0xffffffff);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "notes run over their end");
}

static void notes_beyond_the_file_are_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_NOTE + PHDR_OFFSET, 8, 0xfffffffffffffff0);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "segment 2");
}

static void more_notes_than_are_sane_are_refused(void **state)
{
	static u8 large[0x1900 + 0x10001];
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_NOTE + PHDR_FILESZ, 8, 0x10001);
	memcpy(large, f->image.bytes, f->image.len);
	bench_set_kernel(&f->bench, large, sizeof(large));
	f->bench.source.protocol = BOOT_AUTO;
	assert_int_equal(bench_load(&f->bench), -ENOEXEC);
	assert_non_null(strstr(f->bench.err.text, "65537 bytes of notes"));
}

static void a_pvh_entry_outside_of_the_segments_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_PVH_NOTE + 16, 8, 0x100001000000);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "PVH entry (0x100001000000) is in none");
}

static void a_32_bit_file_starts_by_its_note(void **state)
{
	struct fixture *f = *state;

	image_make_elf_32(&f->image);
	load_well(f, BOOT_AUTO);
	assert_int_equal(f->bench.entry.protocol, BOOT_PVH);
	assert_int_equal(f->bench.entry.entry_gpa, 0x1000100);
	assert_int_equal(guest_value(f, 0x1000fff, 1), 0xe1);
}

static void a_32_bit_file_has_no_64_bit_entry(void **state)
{
	struct fixture *f = *state;

	image_make_elf_32(&f->image);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "a 32-bit one");
	image_put(&f->image, 44, 2, 1); /* e_phnum: without its notes */
	load_badly(f, BOOT_AUTO, -ENOEXEC, "a 32-bit one");
}

static void a_segment_beyond_the_file_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_OFFSET, 8, 0x1801);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "segment 1 (0x100 bytes at 0x1801)");
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_OFFSET, 8, UINT64_MAX - 8);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "segment 1");
}

static void a_segment_with_more_in_the_file_than_in_memory_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_MEMSZ, 8, 0xff);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "more bytes in the file (0x100) than in memory (0xff)");
}

static void a_segment_of_no_size_is_skipped(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_FILESZ, 8, 0);
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_MEMSZ, 8, 0);
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, 0);
	load_well(f, BOOT_LINUX);
}

static void a_segment_below_1_mib_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, LAYOUT_ZERO_PAGE_GPA);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "0x2000 bytes at 0x7000");
}

static void a_segment_in_the_hole_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, LAYOUT_HOLE_GPA - 0x1000);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "0x2000 bytes at 0xbffff000");
}

static void a_segment_that_wraps_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, 0x1002000);
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_MEMSZ, 8, 0xffffffffff000000);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "at 0x1002000");
}

static void too_little_ram_is_told_with_what_is_needed(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_MEMSZ, 8, MIB(100));
	load_badly(f, BOOT_LINUX, -EINVAL, "kernel: it needs at least 117 MiB");
}

static void segments_that_overlap_are_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, 0x1000fff);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "segment 1 of the ELF file overlaps");
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, 0x1000000 - 0x1fff);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "segment 1 of the ELF file overlaps");
}

static void segments_may_touch(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, 0x1000000 - 0x2000);
	load_well(f, BOOT_LINUX);
}

static void an_initrd_stays_clear_of_all_segments(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_DATA + PHDR_PADDR, 8, MIB(64) - 0x2000);
	bench_set_initrd(&f->bench, NULL, MIB(16));
	load_badly(f, BOOT_LINUX, -EINVAL, "initrd: its 16384 KiB do not fit");
	bench_set_initrd(&f->bench, NULL, MIB(15));
	load_well(f, BOOT_LINUX);
	assert_int_equal(guest_value(f, LAYOUT_ZERO_PAGE_GPA + 0x218, 4), MIB(1));
}

static void program_headers_are_counted(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_PHNUM, 2, 0);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "0 program headers");
	image_put(&f->image, EHDR_PHNUM, 2, 33);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "33 program headers: 1 to 32");
	image_put(&f->image, EHDR_PHNUM, 2, 0xffff);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "65535 program headers");
}

static void program_headers_of_another_size_are_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_PHENTSIZE, 2, 57);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "57 bytes each, not 56");
}

static void program_headers_beyond_the_file_are_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_PHOFF, 8, 0x1900 - 3 * 56 + 1);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "program headers lie beyond");
	image_put(&f->image, EHDR_PHOFF, 8, UINT64_MAX);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "program headers lie beyond");
}

static void a_file_without_segments_to_load_is_refused(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_TEXT + PHDR_TYPE, 4, PT_NULL);
	image_put(&f->image, IMAGE_ELF_DATA + PHDR_TYPE, 4, PT_NULL);
	load_badly(f, BOOT_LINUX, -ENOEXEC, "nothing to load");
}

static void the_wrong_kinds_of_elf_are_named(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_TYPE, 2, ET_REL);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "object file or module");
	image_put(&f->image, EHDR_TYPE, 2, ET_CORE);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "core dump");
	image_put(&f->image, EHDR_TYPE, 2, 99);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "type 99");
	image_put(&f->image, EHDR_MACHINE, 2, EM_AARCH64);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "aarch64 (e_machine 183)");
	image_put(&f->image, EI_DATA, 1, ELFDATA2MSB);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "not little-endian");
	image_put(&f->image, EI_CLASS, 1, 3);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "class 3");
}

static void a_program_for_an_operating_system_is_named(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, IMAGE_ELF_NOTE + PHDR_TYPE, 4, PT_INTERP);
	load_badly(f, BOOT_AUTO, -ENOEXEC, "a program for an operating system");
}

static void a_shared_object_loads_too(void **state)
{
	struct fixture *f = *state;

	image_put(&f->image, EHDR_TYPE, 2, ET_DYN);
	load_well(f, BOOT_AUTO);
}

static void every_cut_of_a_sound_file_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t needed = IMAGE_ELF_NOTES_OFFSET + IMAGE_ELF_NOTES_BYTES;

	for (f->image.len = 0; f->image.len < needed; f->image.len += f->image.len < 300 ? 1 : 61)
		assert_int_equal(load(f, BOOT_AUTO), -ENOEXEC);
}

static void a_command_line_longer_than_linux_takes_is_refused(void **state)
{
	struct fixture *f = *state;

	memset(f->bench.source.cmdline, 'x', 2048);
	f->bench.source.cmdline[2048] = '\0';
	load_badly(f, BOOT_AUTO, -EINVAL, "2048 bytes: this kernel takes at most 2047");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(segments_go_to_their_physical_addresses),
		T(the_linux_entry_is_e_entry_with_a_zero_page),
		T(a_virtual_entry_is_translated),
		T(an_entry_in_no_segment_is_refused),
		T(the_pvh_note_is_preferred),
		T(without_a_note_the_64_bit_entry_is_used),
		T(pvh_without_a_note_is_refused),
		T(the_start_info_names_everything),
		T(without_an_initrd_there_is_no_module),
		T(a_note_value_of_4_bytes_works),
		T(notes_aligned_to_8_work),
		T(a_note_value_of_another_size_is_refused),
		T(notes_that_run_over_their_end_are_refused),
		T(notes_beyond_the_file_are_refused),
		T(more_notes_than_are_sane_are_refused),
		T(a_pvh_entry_outside_of_the_segments_is_refused),
		T(a_32_bit_file_starts_by_its_note),
		T(a_32_bit_file_has_no_64_bit_entry),
		T(a_segment_beyond_the_file_is_refused),
		T(a_segment_with_more_in_the_file_than_in_memory_is_refused),
		T(a_segment_of_no_size_is_skipped),
		T(a_segment_below_1_mib_is_refused),
		T(a_segment_in_the_hole_is_refused),
		T(a_segment_that_wraps_is_refused),
		T(too_little_ram_is_told_with_what_is_needed),
		T(segments_that_overlap_are_refused),
		T(segments_may_touch),
		T(an_initrd_stays_clear_of_all_segments),
		T(program_headers_are_counted),
		T(program_headers_of_another_size_are_refused),
		T(program_headers_beyond_the_file_are_refused),
		T(a_file_without_segments_to_load_is_refused),
		T(the_wrong_kinds_of_elf_are_named),
		T(a_program_for_an_operating_system_is_named),
		T(a_shared_object_loads_too),
		T(every_cut_of_a_sound_file_is_refused),
		T(a_command_line_longer_than_linux_takes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
