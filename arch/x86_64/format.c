// SPDX-License-Identifier: BSD-3-Clause
// What kind of file a kernel is, by its first bytes; and what to say of files that are none. Built
// always: a format that this kiln cannot start is still recognised.
#include <elf.h>
#include <errno.h>
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

enum advice { ADVICE_NONE, ADVICE_INSIDE, ADVICE_UNPACKED, ADVICE_KERNEL };

struct magic {
	u16 offset;
	u8 len, advice;
	char bytes[9]; /* within: a pointer would cost a relocation */
	const char *words;
};

/* The first that matches speaks: the more telling ones come first. */
static const struct magic magics[] = {
	{ 0x38, 4, ADVICE_NONE, "ARM\x64", "an aarch64 Image, and this machine is x86_64" },
	{ 0x30, 5, ADVICE_NONE, "RISCV", "a riscv Image, and this machine is x86_64" },
	{ 0, 2, ADVICE_NONE, "MZ",
	  "an EFI program without a Linux setup header (a unified kernel image?): "
	  "give the bzImage inside it" },
	{ 0, 2, ADVICE_UNPACKED, "\x1f\x8b", "gzip data: unpack it (gunzip)" },
	{ 0, 6, ADVICE_UNPACKED,
	  "\xfd"
	  "7zXZ",
	  "xz data: unpack it (unxz)" },
	{ 0, 4, ADVICE_UNPACKED, "\x28\xb5\x2f\xfd", "zstd data: unpack it (unzstd)" },
	{ 0, 4, ADVICE_UNPACKED, "\x02\x21\x4c\x18", "lz4 data: unpack it (unlz4)" },
	{ 0, 4, ADVICE_UNPACKED, "\x04\x22\x4d\x18", "lz4 data: unpack it (unlz4)" },
	{ 0, 3, ADVICE_UNPACKED, "BZh", "bzip2 data: unpack it (bunzip2)" },
	{ 0, 5, ADVICE_NONE, "07070", "a cpio archive: give it as the initrd (-i)" },
	{ 0, 4, ADVICE_INSIDE, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 4, ADVICE_INSIDE, "KDMV", "a VMDK disk image" },
	{ 0, 4, ADVICE_INSIDE, "hsqs", "a squashfs image" },
	{ 0, 8, ADVICE_INSIDE, "ANDROID!", "an Android boot image" },
	{ 0, 4, ADVICE_INSIDE, "\x27\x05\x19\x56", "a U-Boot image" },
	{ 0, 4, ADVICE_KERNEL, "\xd0\x0d\xfe\xed", "a device tree or FIT image" },
	{ 0, 7, ADVICE_INSIDE, "!<arch>", "an archive or a Debian package" },
	{ 0, 2, ADVICE_KERNEL, "#!", "a script" },
	{ 0x438, 2, ADVICE_INSIDE, "\x53\xef", "an ext4 file system" },
	{ 0x101, 5, ADVICE_INSIDE, "ustar", "a tar archive" },
	{ 0x1fe, 2, ADVICE_INSIDE, "\x55\xaa", "a disk image or boot sector" },
};

int boot_stranger(const struct boot_file *file, struct err *e)
{
	static const char advices[][34] = {
		[ADVICE_INSIDE] = ": give the kernel file inside it",
		[ADVICE_UNPACKED] = ", or give the bzImage",
		[ADVICE_KERNEL] = ": give a bzImage or vmlinux",
	};

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->len <= file->head_bytes &&
		    memcmp(file->head + m->offset, m->bytes, m->len) == 0)
			return err_set(e, -ENOEXEC, "it is %s%s", m->words, advices[m->advice]);
	}
	return err_set(e, -ENOEXEC,
		       "it is no kernel that is known here: give a bzImage (/boot/vmlinuz-*) or an "
		       "ELF vmlinux");
}
