// SPDX-License-Identifier: BSD-3-Clause
// PVH: the ELF note with a 32-bit entry, and the start info it expects (Xen's public elfnote.h and
// arch-x86/hvm/start_info.h).
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "boot.h"
#include "layout.h"
#include "util/bytes.h"
#include "util/checked.h"

enum {
	PVH_NOTE_PHYS32_ENTRY = 18,
	PVH_NOTES_MAX_BYTES = 1 << 16, /* vmlinux has a few hundred bytes of notes */
	PVH_START_MAGIC = 0x336ec578,
	PVH_START_VERSION = 1, /* with a memory map */
};

#define PVH_NOTE_NAME "Xen"

struct pvh_start_info {
	le32 magic;
	le32 version;
	le32 flags;
	le32 nr_modules;
	le64 modlist_paddr;
	le64 cmdline_paddr;
	le64 rsdp_paddr;
	le64 memmap_paddr;
	le32 memmap_entries;
	le32 reserved;
};

struct pvh_module {
	le64 paddr;
	le64 size;
	le64 cmdline_paddr;
	le64 reserved;
};

struct pvh_memory {
	le64 addr;
	le64 size;
	le32 type;
	le32 reserved;
};

/* All of it in one piece of guest memory, the lists behind their head. */
struct pvh_page {
	struct pvh_start_info info;
	struct pvh_module initrd;
	struct pvh_memory memmap[BOOT_MEMMAP_MAX];
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "PVH start info");
_Static_assert(sizeof(struct pvh_page) <= 4096, "PVH start info");

/* The note's value: an address below 4 GiB, which linkers write in 4 or 8 bytes. */
static int pvh_read_entry(const struct boot_file *file, u64 offset, u32 len, gpa_t *entry_gpa,
			  struct err *e)
{
	u8 bytes[8];
	int status;

	if (len != 4 && len != 8)
		return err_set(e, -ENOEXEC,
			       "the PVH note has %u bytes, neither 4 nor 8: damaged file", len);
	status = boot_read(file, bytes, len, offset, e);
	if (status < 0)
		return status;
	*entry_gpa = bytes_get_le(bytes, len);
	return 1;
}

/*
 * Notes follow each other, name and value each padded to `align`; that is 4, or 8 where the
 * segment says so.
 */
int pvh_find_entry(const struct boot_file *file, u64 offset, u64 size_bytes, u64 align,
		   gpa_t *entry_gpa, struct err *e)
{
	const u32 name_bytes = sizeof(PVH_NOTE_NAME), pad = align == 8 ? 8 : 4;
	struct {
		Elf32_Nhdr head; /* the same in both classes */
		char name[sizeof(PVH_NOTE_NAME)];
	} note;

	if (size_bytes > PVH_NOTES_MAX_BYTES)
		return err_set(e, -ENOEXEC,
			       "the ELF file has %llu bytes of notes: at most %d are looked at",
			       (unsigned long long)size_bytes, PVH_NOTES_MAX_BYTES);
	/* `at` and every sum below are small: 32-bit lengths on top of 64 KiB. */
	for (u64 at = 0; range_fits(at, sizeof(note), size_bytes);) {
		u64 value_at, next;
		int status = boot_read(file, &note, sizeof(note), offset + at, e);

		if (status < 0)
			return status;
		value_at = ALIGN_UP(at + sizeof(note.head) + note.head.n_namesz, pad);
		next = ALIGN_UP(value_at + note.head.n_descsz, pad);
		if (!range_fits(value_at, note.head.n_descsz, size_bytes))
			return err_set(e, -ENOEXEC,
				       "the ELF file's notes run over their end: damaged file");
		if (note.head.n_type == PVH_NOTE_PHYS32_ENTRY && note.head.n_namesz == name_bytes &&
		    memcmp(note.name, PVH_NOTE_NAME, name_bytes) == 0)
			return pvh_read_entry(file, offset + value_at, note.head.n_descsz,
					      entry_gpa, e);
		at = next;
	}
	return 0;
}

int pvh_write_start_info(const struct gmem *mem, const struct boot_plan *plan)
{
	const gpa_t page_gpa = LAYOUT_ZERO_PAGE_GPA;
	struct boot_memory map[BOOT_MEMMAP_MAX];
	u32 nr = boot_memmap(mem, map);
	struct pvh_page page = {
		.info = {
			.magic = le32_make(PVH_START_MAGIC),
			.version = le32_make(PVH_START_VERSION),
			.cmdline_paddr = le64_make(LAYOUT_CMDLINE_GPA),
			.memmap_paddr = le64_make(page_gpa + offsetof(struct pvh_page, memmap)),
			.memmap_entries = le32_make(nr),
		},
	};

	if (IS_ENABLED(CONFIG_ACPI))
		page.info.rsdp_paddr = le64_make(LAYOUT_TABLES_GPA);
	if (plan->initrd.size_bytes > 0) {
		page.info.nr_modules = le32_make(1);
		page.info.modlist_paddr = le64_make(page_gpa + offsetof(struct pvh_page, initrd));
		page.initrd.paddr = le64_make(plan->initrd.base_gpa);
		page.initrd.size = le64_make(plan->initrd.size_bytes);
	}
	for (u32 i = 0; i < nr; i++)
		page.memmap[i] = (struct pvh_memory){ .addr = le64_make(map[i].base_gpa),
						      .size = le64_make(map[i].size_bytes),
						      .type = le32_make(map[i].type) };
	return gmem_write(mem, page_gpa, &page, sizeof(page));
}
