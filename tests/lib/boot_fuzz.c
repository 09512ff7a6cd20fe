// SPDX-License-Identifier: BSD-3-Clause
// A hostile kernel file through the whole of arch_boot_load on x86_64.
#include "boot_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/zero_page.h"

/* Two regions of RAM, so that both sides of the hole exist; little of it is ever touched. */
#define FUZZ_MEM_BYTES (LAYOUT_HOLE_GPA + MIB(64))

static struct gmem mem;
static struct boot_source source = { .cmdline = "console=ttyS0 root=/dev/vda" };

static void fuzz_expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "boot_fuzz: %s\n", what);
	abort();
}

/* What lies between the boot structures: nothing of a kernel file may get there. */
static const struct gmem_range forbidden[] = {
	{ 0, LAYOUT_ZERO_PAGE_GPA },
	{ LAYOUT_PML4_GPA, LAYOUT_CMDLINE_GPA - LAYOUT_PML4_GPA },
	{ LAYOUT_CMDLINE_GPA + ARCH_CMDLINE_BYTES,
	  LAYOUT_HIGH_RAM_GPA - LAYOUT_CMDLINE_GPA - ARCH_CMDLINE_BYTES },
};

static void fuzz_check_low_memory(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		const u8 *bytes = gmem_ptr(&mem, forbidden[i].base_gpa, forbidden[i].size_bytes);

		fuzz_expect(bytes[0] == 0 &&
				    memcmp(bytes, bytes + 1, forbidden[i].size_bytes - 1) == 0,
			    "low memory was overwritten");
	}
}

static void fuzz_check_entry(const struct boot_entry *entry, u64 initrd_bytes)
{
	struct zero_page zp;
	u64 initrd_gpa;

	fuzz_expect(entry->protocol == BOOT_LINUX || entry->protocol == BOOT_PVH, "no protocol");
	fuzz_expect(entry->entry_gpa >= LAYOUT_HIGH_RAM_GPA && entry->entry_gpa < LAYOUT_HOLE_GPA,
		    "the entry is not in RAM");
	fuzz_expect(entry->info_gpa == LAYOUT_ZERO_PAGE_GPA, "the boot information is elsewhere");
	if (entry->protocol != BOOT_LINUX)
		return;
	fuzz_expect(gmem_read(&mem, entry->info_gpa, &zp, sizeof(zp)) == 0, "no zero page");
	initrd_gpa = le32_get(zp.hdr.ramdisk_image);
	fuzz_expect(le32_get(zp.hdr.ramdisk_size) == initrd_bytes, "another size of initrd");
	fuzz_expect(le32_get(zp.hdr.cmd_line_ptr) == LAYOUT_CMDLINE_GPA, "another command line");
	if (initrd_bytes == 0)
		return;
	fuzz_expect(initrd_gpa >= LAYOUT_HIGH_RAM_GPA && initrd_gpa % 4096 == 0 &&
			    initrd_gpa + initrd_bytes <= LAYOUT_HOLE_GPA,
		    "the initrd is not in RAM");
	fuzz_expect(entry->entry_gpa < initrd_gpa || entry->entry_gpa >= initrd_gpa + initrd_bytes,
		    "the initrd covers the entry");
}

static void fuzz_create(void)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	struct err e;
	int nr = arch_mem_layout(FUZZ_MEM_BYTES, ranges, &e);

	fuzz_expect(nr == 2 && gmem_create(&mem, GMEM_PRIVATE, ranges, 2, &e) == 0, "no memory");
	source.kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	source.initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	fuzz_expect(source.kernel_fd >= 0 && source.initrd_fd >= 0, "no memory files");
}

void boot_fuzz(const u8 *bytes, size_t len, enum boot_protocol protocol, u64 initrd_bytes)
{
	const struct arch_machine machine = { .mem = &mem, .nr_cpus = 1 };
	struct boot_source now;
	struct boot_entry entry;
	struct err e = { 0 };
	int status;

	if (mem.nr_regions == 0)
		fuzz_create();
	fuzz_expect(ftruncate(source.kernel_fd, 0) == 0 &&
			    pwrite(source.kernel_fd, bytes, len, 0) == (ssize_t)len &&
			    ftruncate(source.initrd_fd, (off_t)initrd_bytes) == 0,
		    "file");
	now = source;
	now.kernel_bytes = len;
	now.initrd_bytes = initrd_bytes;
	now.protocol = protocol;
	if (initrd_bytes == 0)
		now.initrd_fd = -1;
	status = arch_boot_load(&machine, &now, &entry, &e);
	fuzz_check_low_memory();
	fuzz_expect(status <= 0 && (status == 0 || (e.code == status && e.text[0])), "no words");
	if (status == 0)
		fuzz_check_entry(&entry, initrd_bytes);
}
