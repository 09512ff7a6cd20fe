// SPDX-License-Identifier: BSD-3-Clause
// The Linux setup header and zero page (Documentation/x86/boot.rst and zero-page.rst, protocol 2.12
// to 2.15).
#pragma once

#include "util/bytes.h"

enum {
	SETUP_BOOT_FLAG = 0xaa55,
	SETUP_VERSION_MIN = 0x020c,
	SETUP_JUMP_TARGET_BASE = 0x202, /* the header ends here plus the byte at 0x201 */
	SETUP_LOADED_HIGH = 1 << 0,     /* loadflags */
	SETUP_XLF_KERNEL_64 = 1 << 0,   /* xloadflags */
	SETUP_LOADER_UNDEFINED = 0xff,  /* type_of_loader of a loader without a number */
	SETUP_VID_MODE_NORMAL = 0xffff,
	SETUP_DATA_RNG_SEED = 9,
	SETUP_ENTRY_64 = 0x200, /* from the start of the protected-mode kernel */
	SETUP_SECTOR_BYTES = 512,
	SETUP_PARAGRAPH_BYTES = 16,
};

#define SETUP_MAGIC "HdrS"

struct setup_header {
	u8 setup_sects;
	le16 root_flags;
	le32 syssize;
	le16 ram_size;
	le16 vid_mode;
	le16 root_dev;
	le16 boot_flag;
	u8 jump_opcode;
	u8 jump_bytes;
	char magic[4];
	le16 version;
	le32 realmode_swtch;
	le16 start_sys_seg;
	le16 kernel_version;
	u8 type_of_loader;
	u8 loadflags;
	le16 setup_move_size;
	le32 code32_start;
	le32 ramdisk_image;
	le32 ramdisk_size;
	le32 bootsect_kludge;
	le16 heap_end_ptr;
	u8 ext_loader_ver;
	u8 ext_loader_type;
	le32 cmd_line_ptr;
	le32 initrd_addr_max; /* the highest address that the initrd's last byte may have */
	le32 kernel_alignment;
	u8 relocatable_kernel;
	u8 min_alignment;
	le16 xloadflags;
	le32 cmdline_size; /* without the NUL */
	le32 hardware_subarch;
	le64 hardware_subarch_data;
	le32 payload_offset;
	le32 payload_length;
	le64 setup_data;
	le64 pref_address;
	le32 init_size;
	le32 handover_offset;
};

struct e820_entry {
	le64 base;
	le64 size;
	le32 type;
} __attribute__((packed));

struct zero_page {
	u8 screen_and_bios[0x70];
	le64 acpi_rsdp_addr;
	u8 unused_078[0x1e8 - 0x78];
	u8 e820_entries;
	u8 unused_1e9[0x1f1 - 0x1e9];
	struct setup_header hdr;
	u8 unused_268[0x2d0 - 0x268];
	struct e820_entry e820[128];
	u8 unused_cd0[0x1000 - 0xcd0];
};

_Static_assert(offsetof(struct zero_page, acpi_rsdp_addr) == 0x70, "zero page");
_Static_assert(offsetof(struct zero_page, e820_entries) == 0x1e8, "zero page");
_Static_assert(offsetof(struct zero_page, hdr.magic) == 0x202, "zero page");
_Static_assert(offsetof(struct zero_page, hdr.pref_address) == 0x258, "zero page");
_Static_assert(offsetof(struct zero_page, e820) == 0x2d0, "zero page");
_Static_assert(sizeof(struct zero_page) == 4096, "zero page");

/* A node of the list that hdr.setup_data starts. */
struct setup_data_seed {
	le64 next;
	le32 type;
	le32 len;
	u8 seed[32];
};
