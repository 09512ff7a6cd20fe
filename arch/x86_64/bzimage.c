// SPDX-License-Identifier: BSD-3-Clause
// bzImage: Linux's compressed kernel, by its 64-bit entry (Documentation/x86/boot.rst).
#include <errno.h>
#include <string.h>

#include "boot.h"
#include "layout.h"
#include "util/checked.h"
#include "zero_page.h"

/* Where the setup header ends, as the jump over it says. */
static u32 bzimage_header_end(const struct setup_header *hdr)
{
	return SETUP_JUMP_TARGET_BASE + hdr->jump_bytes;
}

static int bzimage_check_protocol(const struct setup_header *hdr, struct err *e)
{
	u32 version = le16_get(hdr->version);

	if (le16_get(hdr->boot_flag) != SETUP_BOOT_FLAG)
		return err_set(e, -ENOEXEC,
			       "the bzImage's boot flag is 0x%04x, not 0x%04x: damaged file",
			       le16_get(hdr->boot_flag), SETUP_BOOT_FLAG);
	if (version < SETUP_VERSION_MIN)
		return err_set(e, -ENOEXEC,
			       "the bzImage speaks boot protocol %u.%u: 2.12 (Linux 3.8) or later "
			       "is needed",
			       version >> 8, version & 0xff);
	if (bzimage_header_end(hdr) < SETUP_HEADER_OFFSET + sizeof(*hdr))
		return err_set(e, -ENOEXEC,
			       "the bzImage's setup header ends at 0x%x, too early for protocol "
			       "%u.%u: damaged file",
			       bzimage_header_end(hdr), version >> 8, version & 0xff);
	if (!(hdr->loadflags & SETUP_LOADED_HIGH))
		return err_set(e, -ENOEXEC, "it is a zImage, which is loaded low: build a bzImage");
	if (!(le16_get(hdr->xloadflags) & SETUP_XLF_KERNEL_64))
		return err_set(e, -ENOEXEC,
			       "the bzImage has no 64-bit entry (a 32-bit kernel?): give an x86_64 "
			       "kernel");
	return 0;
}

/* The protected-mode kernel: whole in the file, and holding its entry and its payload. */
static int bzimage_find_body(const struct boot_file *file, const struct setup_header *hdr,
			     struct boot_piece *body, struct err *e)
{
	/* For an old reason, 0 means 4 (boot.rst, setup_sects). */
	u64 sectors = hdr->setup_sects ? hdr->setup_sects : 4, promised_bytes;

	body->offset = (sectors + 1) * SETUP_SECTOR_BYTES;
	body->file_bytes = (u64)le32_get(hdr->syssize) * SETUP_PARAGRAPH_BYTES;
	promised_bytes = body->offset + body->file_bytes; /* 8-bit and 32-bit counts: no overflow */
	if (promised_bytes > file->size_bytes)
		return err_set(e, -ENOEXEC,
			       "the bzImage is cut short: its header promises %llu bytes, the file "
			       "has %llu",
			       (unsigned long long)promised_bytes,
			       (unsigned long long)file->size_bytes);
	if (body->file_bytes <= SETUP_ENTRY_64)
		return err_set(e, -ENOEXEC,
			       "the bzImage's kernel has %llu bytes, and its entry is at byte %d: "
			       "damaged file",
			       (unsigned long long)body->file_bytes, SETUP_ENTRY_64);
	if (!range_fits(le32_get(hdr->payload_offset), le32_get(hdr->payload_length),
			body->file_bytes))
		return err_set(e, -ENOEXEC,
			       "the bzImage's payload (%u bytes at %u) lies outside of its %llu "
			       "bytes: damaged file",
			       le32_get(hdr->payload_length), le32_get(hdr->payload_offset),
			       (unsigned long long)body->file_bytes);
	return 0;
}

/*
 * A kernel that is loaded below its preferred address moves itself up to it before it unpacks, so
 * a lower place would not make it run in less memory: it goes to the preferred address or nowhere.
 */
static int bzimage_place(const struct setup_header *hdr, u64 body_bytes, u64 ram_end_gpa,
			 struct gmem_range *kernel, struct err *e)
{
	u64 align = le32_get(hdr->kernel_alignment), load_gpa = le64_get(hdr->pref_address);

	if (hdr->relocatable_kernel) {
		if (align == 0 || (align & (align - 1)) != 0)
			return err_set(e, -ENOEXEC,
				       "the bzImage's kernel_alignment is 0x%llx, not a power of "
				       "two: damaged file",
				       (unsigned long long)align);
		load_gpa = MAX(load_gpa, (u64)LAYOUT_HIGH_RAM_GPA);
		if (load_gpa < LAYOUT_HOLE_GPA) /* else the check below tells, and nothing wraps */
			load_gpa = ALIGN_UP(load_gpa, align);
	}
	kernel->base_gpa = load_gpa;
	kernel->size_bytes = MAX(le32_get(hdr->init_size), body_bytes);
	return boot_check_place(kernel->base_gpa, kernel->size_bytes, ram_end_gpa, e);
}

int bzimage_plan(const struct boot_file *file, u64 ram_end_gpa, struct boot_plan *plan,
		 struct err *e)
{
	struct boot_piece *body = &plan->pieces[0];
	struct setup_header hdr;
	int status;

	if (file->head_bytes < SETUP_HEADER_END_MAX)
		return err_set(e, -ENOEXEC, "the bzImage is cut short: it has only %u bytes",
			       file->head_bytes);
	memcpy(&hdr, file->head + SETUP_HEADER_OFFSET, sizeof(hdr));
	status = bzimage_check_protocol(&hdr, e);
	if (status == 0)
		status = bzimage_find_body(file, &hdr, body, e);
	if (status == 0)
		status = bzimage_place(&hdr, body->file_bytes, ram_end_gpa, &plan->kernel, e);
	if (status < 0)
		return status;
	body->gpa = plan->kernel.base_gpa;
	body->mem_bytes = body->file_bytes;
	plan->nr_pieces = 1;
	plan->protocol = BOOT_LINUX;
	plan->entry_gpa = body->gpa + SETUP_ENTRY_64;
	plan->initrd_end_max_gpa = (u64)le32_get(hdr.initrd_addr_max) + 1;
	plan->cmdline_max_bytes = le32_get(hdr.cmdline_size);
	plan->setup_header_bytes =
		MIN(bzimage_header_end(&hdr), SETUP_HEADER_END_MAX + 0u) - SETUP_HEADER_OFFSET;
	memcpy(plan->setup_header, file->head + SETUP_HEADER_OFFSET, plan->setup_header_bytes);
	return 0;
}
