// SPDX-License-Identifier: BSD-3-Clause
// The zero page: what a kernel entered in 64-bit mode is told (Documentation/x86/zero-page.rst).
#include "zero_page.h"

#include <string.h>
#include <sys/random.h>

#include "boot.h"
#include "layout.h"

/* A file without a setup header is described by one as small as kernels accept. */
static void zero_page_set_defaults(struct setup_header *hdr)
{
	memcpy(hdr->magic, SETUP_MAGIC, sizeof(hdr->magic));
	hdr->boot_flag = le16_make(SETUP_BOOT_FLAG);
	hdr->version = le16_make(SETUP_VERSION_MIN);
}

/* The fields that are the boot loader's to write, and nothing else of the header. */
static void zero_page_set_loader(struct setup_header *hdr, const struct boot_plan *plan)
{
	hdr->vid_mode = le16_make(SETUP_VID_MODE_NORMAL);
	hdr->type_of_loader = SETUP_LOADER_UNDEFINED;
	hdr->loadflags = SETUP_LOADED_HIGH;
	hdr->code32_start = le32_make((u32)plan->pieces[0].gpa);
	hdr->ramdisk_image = le32_make((u32)plan->initrd.base_gpa);
	hdr->ramdisk_size = le32_make((u32)plan->initrd.size_bytes);
	hdr->heap_end_ptr = le16_make(0);
	hdr->ext_loader_ver = 0;
	hdr->ext_loader_type = 0;
	hdr->cmd_line_ptr = le32_make(LAYOUT_CMDLINE_GPA);
	hdr->hardware_subarch = le32_make(0);
	hdr->hardware_subarch_data = le64_make(0);
	hdr->setup_data = le64_make(0);
}

static void zero_page_set_memmap(struct zero_page *zp, const struct gmem *mem)
{
	struct boot_memory map[BOOT_MEMMAP_MAX];
	u32 nr = boot_memmap(mem, map);

	_Static_assert(ARRAY_SIZE(map) <= ARRAY_SIZE(zp->e820), "memory map");
	for (u32 i = 0; i < nr; i++)
		zp->e820[i] = (struct e820_entry){ .base = le64_make(map[i].base_gpa),
						   .size = le64_make(map[i].size_bytes),
						   .type = le32_make(map[i].type) };
	zp->e820_entries = (u8)nr;
}

/*
 * Entropy for the guest's random numbers (kernels since 6.0; older ones skip the node). A host so
 * freshly started that it has none yet is no reason to wait: the node is left out then.
 */
static int zero_page_add_seed(const struct gmem *mem, struct setup_header *hdr)
{
	struct setup_data_seed node = { .type = le32_make(SETUP_DATA_RNG_SEED),
					.len = le32_make(sizeof(node.seed)) };

	if (getrandom(node.seed, sizeof(node.seed), GRND_NONBLOCK) != sizeof(node.seed))
		return 0;
	hdr->setup_data = le64_make(LAYOUT_SETUP_DATA_GPA);
	return gmem_write(mem, LAYOUT_SETUP_DATA_GPA, &node, sizeof(node));
}

int zero_page_write(const struct gmem *mem, const struct boot_plan *plan)
{
	struct zero_page zp = { 0 };
	int status;

	zero_page_set_defaults(&zp.hdr);
	/* The copy may be longer than the fields known here: later protocols append theirs. */
	memcpy((u8 *)&zp + SETUP_HEADER_OFFSET, plan->setup_header, plan->setup_header_bytes);
	zero_page_set_loader(&zp.hdr, plan);
	zero_page_set_memmap(&zp, mem);
	if (IS_ENABLED(CONFIG_ACPI))
		zp.acpi_rsdp_addr = le64_make(LAYOUT_TABLES_GPA);
	status = zero_page_add_seed(mem, &zp.hdr);
	if (status < 0)
		return status;
	return gmem_write(mem, LAYOUT_ZERO_PAGE_GPA, &zp, sizeof(zp));
}
