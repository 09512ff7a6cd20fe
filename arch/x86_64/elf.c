// SPDX-License-Identifier: BSD-3-Clause
// ELF kernels: vmlinux by its 64-bit entry, or any program by its PVH note (System V ABI, chapters
// 4 and 5).
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "boot.h"
#include "layout.h"
#include "util/checked.h"

/* What this machine must hold for Linux, whose ELF file does not say it: COMMAND_LINE_SIZE - 1. */
enum { ELF_CMDLINE_MAX_BYTES = 2047 };

/* Both classes in one shape. */
struct elf_header {
	bool is_64;
	u16 type, machine, segment_bytes, nr_segments;
	u64 entry, segments_offset;
};

struct elf_segment {
	u32 type;
	u64 offset, vaddr, paddr, file_bytes, mem_bytes, align;
};

struct elf_image {
	struct elf_header header;
	struct elf_segment segments[BOOT_PIECES_MAX];
};

#define ELF_HEADER_FROM(ehdr, class_64)                            \
	((struct elf_header){ .is_64 = (class_64),                 \
			      .type = (ehdr).e_type,               \
			      .machine = (ehdr).e_machine,         \
			      .entry = (ehdr).e_entry,             \
			      .segments_offset = (ehdr).e_phoff,   \
			      .segment_bytes = (ehdr).e_phentsize, \
			      .nr_segments = (ehdr).e_phnum })

#define ELF_SEGMENT_FROM(phdr)                                \
	((struct elf_segment){ .type = (phdr).p_type,         \
			       .offset = (phdr).p_offset,     \
			       .vaddr = (phdr).p_vaddr,       \
			       .paddr = (phdr).p_paddr,       \
			       .file_bytes = (phdr).p_filesz, \
			       .mem_bytes = (phdr).p_memsz,   \
			       .align = (phdr).p_align })

static const char *elf_machine_words(u16 machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "mips";
	default:
		return "another machine";
	}
}

static int elf_check_kind(const struct elf_header *h, struct err *e)
{
	if (h->machine != (h->is_64 ? EM_X86_64 : EM_386))
		return err_set(e, -ENOEXEC,
			       "the ELF file is for %s (e_machine %u), and this machine is x86_64",
			       elf_machine_words(h->machine), h->machine);
	if (h->type == ET_REL)
		return err_set(e, -ENOEXEC,
			       "the ELF file is an object file or module: give the linked vmlinux");
	if (h->type == ET_CORE)
		return err_set(e, -ENOEXEC, "the ELF file is a core dump: give the vmlinux");
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return err_set(
			e, -ENOEXEC,
			"the ELF file has type %u: give an executable (%d) or a shared object (%d)",
			h->type, ET_EXEC, ET_DYN);
	return 0;
}

static int elf_read_header(const struct boot_file *file, struct elf_header *h, struct err *e)
{
	const u8 *ident = file->head;
	bool is_64 = file->head_bytes > EI_CLASS && ident[EI_CLASS] == ELFCLASS64;
	Elf64_Ehdr ehdr_64;
	Elf32_Ehdr ehdr_32;

	if (file->head_bytes < (is_64 ? sizeof(ehdr_64) : sizeof(ehdr_32)))
		return err_set(e, -ENOEXEC, "the ELF file is cut short: it has only %u bytes",
			       file->head_bytes);
	if (!is_64 && ident[EI_CLASS] != ELFCLASS32)
		return err_set(e, -ENOEXEC,
			       "the ELF file has class %u, neither 32 nor 64 bits: damaged file",
			       ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -ENOEXEC,
			       "the ELF file is not little-endian, and this machine is x86_64");
	memcpy(&ehdr_64, file->head, sizeof(ehdr_64));
	memcpy(&ehdr_32, file->head, sizeof(ehdr_32));
	*h = is_64 ? ELF_HEADER_FROM(ehdr_64, true) : ELF_HEADER_FROM(ehdr_32, false);
	return elf_check_kind(h, e);
}

static int elf_read_segments(const struct boot_file *file, struct elf_image *elf, struct err *e)
{
	const struct elf_header *h = &elf->header;
	size_t segment_bytes = h->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	union {
		Elf64_Phdr of_64[BOOT_PIECES_MAX];
		Elf32_Phdr of_32[BOOT_PIECES_MAX];
	} table;
	int status;

	if (h->nr_segments == 0 || h->nr_segments > BOOT_PIECES_MAX)
		return err_set(e, -ENOEXEC,
			       "the ELF file has %u program headers: 1 to %d are possible",
			       h->nr_segments, BOOT_PIECES_MAX);
	if (h->segment_bytes != segment_bytes)
		return err_set(
			e, -ENOEXEC,
			"the ELF file's program headers have %u bytes each, not %zu: damaged file",
			h->segment_bytes, segment_bytes);
	if (!range_fits(h->segments_offset, h->nr_segments * segment_bytes, file->size_bytes))
		return err_set(e, -ENOEXEC,
			       "the ELF file is cut short: its program headers lie beyond its end");
	status = boot_read(file, &table, h->nr_segments * segment_bytes, h->segments_offset, e);
	if (status < 0)
		return status;
	for (u32 i = 0; i < h->nr_segments; i++)
		elf->segments[i] = h->is_64 ? ELF_SEGMENT_FROM(table.of_64[i])
					    : ELF_SEGMENT_FROM(table.of_32[i]);
	return 0;
}

static int elf_check_in_file(const struct boot_file *file, const struct elf_segment *s, u32 index,
			     struct err *e)
{
	if (!range_fits(s->offset, s->file_bytes, file->size_bytes))
		return err_set(e, -ENOEXEC,
			       "the ELF file is cut short: segment %u (0x%llx bytes at 0x%llx) "
			       "lies beyond its 0x%llx bytes",
			       index, (unsigned long long)s->file_bytes,
			       (unsigned long long)s->offset, (unsigned long long)file->size_bytes);
	return 0;
}

/* Widen the plan's kernel range so that it covers one piece more. */
static void elf_cover(struct gmem_range *kernel, const struct boot_piece *piece)
{
	u64 end = piece->gpa + piece->mem_bytes, kernel_end = kernel->base_gpa + kernel->size_bytes;

	if (kernel->size_bytes == 0) {
		*kernel = (struct gmem_range){ piece->gpa, piece->mem_bytes };
		return;
	}
	kernel->base_gpa = MIN(kernel->base_gpa, piece->gpa);
	kernel->size_bytes = MAX(end, kernel_end) - kernel->base_gpa;
}

static int elf_add_piece(const struct boot_file *file, const struct elf_segment *s, u32 index,
			 u64 ram_end_gpa, struct boot_plan *plan, struct err *e)
{
	struct boot_piece *piece = &plan->pieces[plan->nr_pieces];
	int status = elf_check_in_file(file, s, index, e);

	if (status < 0 || s->mem_bytes == 0)
		return status;
	if (s->file_bytes > s->mem_bytes)
		return err_set(e, -ENOEXEC,
			       "segment %u of the ELF file has more bytes in the file (0x%llx) "
			       "than in memory (0x%llx): damaged file",
			       index, (unsigned long long)s->file_bytes,
			       (unsigned long long)s->mem_bytes);
	status = boot_check_place(s->paddr, s->mem_bytes, ram_end_gpa, e);
	if (status < 0)
		return status;
	for (u32 i = 0; i < plan->nr_pieces; i++)
		if (ranges_overlap(s->paddr, s->mem_bytes, plan->pieces[i].gpa,
				   plan->pieces[i].mem_bytes))
			return err_set(e, -ENOEXEC,
				       "segment %u of the ELF file overlaps another at 0x%llx: "
				       "damaged file",
				       index, (unsigned long long)s->paddr);
	*piece = (struct boot_piece){ .offset = s->offset,
				      .file_bytes = s->file_bytes,
				      .gpa = s->paddr,
				      .mem_bytes = s->mem_bytes };
	plan->nr_pieces++;
	elf_cover(&plan->kernel, piece);
	return 0;
}

static int elf_add_pieces(const struct boot_file *file, const struct elf_image *elf,
			  u64 ram_end_gpa, struct boot_plan *plan, struct err *e)
{
	int status;

	for (u32 i = 0; i < elf->header.nr_segments; i++)
		if (elf->segments[i].type == PT_INTERP)
			return err_set(
				e, -ENOEXEC,
				"the ELF file is a program for an operating system, not a kernel");
	for (u32 i = 0; i < elf->header.nr_segments; i++) {
		if (elf->segments[i].type != PT_LOAD)
			continue;
		status = elf_add_piece(file, &elf->segments[i], i, ram_end_gpa, plan, e);
		if (status < 0)
			return status;
	}
	if (plan->nr_pieces == 0)
		return err_set(e, -ENOEXEC,
			       "the ELF file has nothing to load (a file of debugging symbols?)");
	return 0;
}

/* Whether code at `gpa` comes from the file. */
static bool elf_is_loaded(const struct boot_plan *plan, gpa_t gpa)
{
	for (u32 i = 0; i < plan->nr_pieces; i++)
		if (gpa >= plan->pieces[i].gpa &&
		    gpa - plan->pieces[i].gpa < plan->pieces[i].file_bytes)
			return true;
	return false;
}

/* vmlinux's e_entry is a physical address; linkers that know nothing of that leave a virtual one.
 */
static int elf_set_linux_entry(const struct elf_image *elf, struct boot_plan *plan, struct err *e)
{
	u64 entry = elf->header.entry;

	if (!elf->header.is_64)
		return err_set(e, -ENOEXEC,
			       "the ELF file is a 32-bit one: only a PVH note (CONFIG_BOOT_PVH) "
			       "can start it");
	plan->protocol = BOOT_LINUX;
	plan->entry_gpa = entry;
	for (u32 i = 0; i < elf->header.nr_segments && !elf_is_loaded(plan, plan->entry_gpa); i++) {
		const struct elf_segment *s = &elf->segments[i];

		if (s->type == PT_LOAD && entry >= s->vaddr && entry - s->vaddr < s->file_bytes)
			plan->entry_gpa = s->paddr + (entry - s->vaddr);
	}
	if (!elf_is_loaded(plan, plan->entry_gpa))
		return err_set(
			e, -ENOEXEC,
			"the ELF file's entry (0x%llx) is in none of its segments: damaged file",
			(unsigned long long)entry);
	return 0;
}

/* Return: 1 with the plan's entry set, 0 when there is no PVH note, or -ENOEXEC with words. */
static int elf_set_pvh_entry(const struct boot_file *file, const struct elf_image *elf,
			     struct boot_plan *plan, struct err *e)
{
	int found = 0;

	for (u32 i = 0; i < elf->header.nr_segments && found == 0; i++) {
		const struct elf_segment *s = &elf->segments[i];

		if (s->type != PT_NOTE)
			continue;
		found = elf_check_in_file(file, s, i, e);
		if (found == 0)
			found = pvh_find_entry(file, s->offset, s->file_bytes, s->align,
					       &plan->entry_gpa, e);
	}
	if (found <= 0)
		return found;
	plan->protocol = BOOT_PVH;
	if (!elf_is_loaded(plan, plan->entry_gpa))
		return err_set(e, -ENOEXEC,
			       "the PVH entry (0x%llx) is in none of the ELF file's segments: "
			       "damaged file",
			       (unsigned long long)plan->entry_gpa);
	return 1;
}

static int elf_set_entry(const struct boot_file *file, const struct elf_image *elf,
			 enum boot_protocol wanted, struct boot_plan *plan, struct err *e)
{
	int found = 0;

	if (IS_ENABLED(CONFIG_BOOT_PVH) && wanted != BOOT_LINUX)
		found = elf_set_pvh_entry(file, elf, plan, e);
	if (found < 0)
		return found;
	if (found > 0)
		return 0;
	if (wanted == BOOT_PVH && !IS_ENABLED(CONFIG_BOOT_PVH))
		return err_set(e, -EINVAL,
			       "the PVH entry was asked for, and this kiln was built without "
			       "CONFIG_BOOT_PVH");
	if (wanted == BOOT_PVH)
		return err_set(e, -ENOEXEC,
			       "the ELF file has no PVH note: Linux has it with CONFIG_PVH");
	return elf_set_linux_entry(elf, plan, e);
}

int elf_plan(const struct boot_file *file, enum boot_protocol wanted, u64 ram_end_gpa,
	     struct boot_plan *plan, struct err *e)
{
	struct elf_image elf = { 0 };
	int status;

	status = elf_read_header(file, &elf.header, e);
	if (status == 0)
		status = elf_read_segments(file, &elf, e);
	if (status == 0)
		status = elf_add_pieces(file, &elf, ram_end_gpa, plan, e);
	if (status == 0)
		status = elf_set_entry(file, &elf, wanted, plan, e);
	plan->initrd_end_max_gpa = ram_end_gpa;
	plan->cmdline_max_bytes = ELF_CMDLINE_MAX_BYTES;
	return status;
}
