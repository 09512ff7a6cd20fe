// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: bzImage files, with and without an initrd.
// test-sources: tests/lib/boot_fuzz.c arch/x86_64/boot.c arch/x86_64/bzimage.c arch/x86_64/elf.c arch/x86_64/pvh.c arch/x86_64/format.c arch/x86_64/zero_page.c arch/x86_64/layout.c src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include "tests/lib/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len)
{
	boot_fuzz(bytes, len, BOOT_AUTO, 0);
	boot_fuzz(bytes, len, BOOT_LINUX, KIB(5));
	return 0;
}
