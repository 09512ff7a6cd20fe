// SPDX-License-Identifier: BSD-3-Clause
// What kind of file a kernel is, by its first bytes; and what to say of files that are none. Built
// always: a format that this kiln cannot start is still recognised.
#include <elf.h>
#include <string.h>

#include "boot.h"
#include "zero_page.h"

bool bzimage_is(const struct boot_file *file)
{
	const size_t offset = offsetof(struct zero_page, hdr.magic);

	return file->head_bytes >= offset + strlen(SETUP_MAGIC) &&
	       memcmp(file->head + offset, SETUP_MAGIC, strlen(SETUP_MAGIC)) == 0;
}

bool elf_is(const struct boot_file *file)
{
	return file->head_bytes >= SELFMAG && memcmp(file->head, ELFMAG, SELFMAG) == 0;
}

struct magic {
	u16 offset;
	u8 len;
	char bytes[9]; /* within: a pointer would cost a relocation */
	const char *words;
};

/* The first that matches speaks: the more telling ones come first. */
static const struct magic magics[] = {
	{ 0x38, 4, "ARM\x64", "it is an aarch64 Image, and this machine is x86_64" },
	{ 0x30, 5, "RISCV", "it is a riscv Image, and this machine is x86_64" },
	{ 0, 2, "MZ",
	  "it is an EFI program without a Linux setup header (a unified kernel image?): "
	  "give the bzImage inside it" },
	{ 0, 2, "\x1f\x8b", "it is gzip data: unpack it (gunzip), or give the bzImage" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ",
	  "it is xz data: unpack it (unxz), or give the bzImage" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "it is zstd data: unpack it (unzstd), or give the bzImage" },
	{ 0, 4, "\x02\x21\x4c\x18", "it is lz4 data: unpack it (unlz4), or give the bzImage" },
	{ 0, 4, "\x04\x22\x4d\x18", "it is lz4 data: unpack it (unlz4), or give the bzImage" },
	{ 0, 3, "BZh", "it is bzip2 data: unpack it (bunzip2), or give the bzImage" },
	{ 0, 5, "07070", "it is a cpio archive: give it as the initrd (-i)" },
	{ 0, 4, "QFI\xfb", "it is a qcow2 disk image: give the kernel file inside it" },
	{ 0, 4, "KDMV", "it is a VMDK disk image: give the kernel file inside it" },
	{ 0, 4, "hsqs", "it is a squashfs image: give the kernel file inside it" },
	{ 0, 8, "ANDROID!", "it is an Android boot image: give the kernel file inside it" },
	{ 0, 4, "\x27\x05\x19\x56", "it is a U-Boot image: give the kernel file inside it" },
	{ 0, 4, "\xd0\x0d\xfe\xed", "it is a device tree or FIT image: give a bzImage or vmlinux" },
	{ 0, 7, "!<arch>", "it is an archive or a Debian package: give the kernel file inside it" },
	{ 0, 2, "#!", "it is a script: give a bzImage or vmlinux" },
	{ 0x438, 2, "\x53\xef", "it is an ext4 file system: give the kernel file inside it" },
	{ 0x101, 5, "ustar", "it is a tar archive: give the kernel file inside it" },
	{ 0x1fe, 2, "\x55\xaa",
	  "it is a disk image or boot sector: give the kernel file inside it" },
};

const char *boot_stranger(const struct boot_file *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->len <= file->head_bytes &&
		    memcmp(file->head + m->offset, m->bytes, m->len) == 0)
			return m->words;
	}
	return "it is no kernel that is known here: give a bzImage (/boot/vmlinuz-*) or an ELF "
	       "vmlinux";
}
