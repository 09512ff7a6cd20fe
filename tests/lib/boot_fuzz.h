// SPDX-License-Identifier: BSD-3-Clause
// A hostile kernel file through the whole of arch_boot_load on x86_64.
#pragma once

#include "kvm/arch.h"

/*
 * boot_fuzz - load the bytes as a kernel, with `initrd_bytes` of initrd (0 for none). Aborts when a
 * file that was taken breaks a promise: entry or initrd outside of RAM, the initrd over the
 * kernel's entry, or a byte written into low memory that no boot structure owns.
 */
void boot_fuzz(const u8 *bytes, size_t len, enum boot_protocol protocol, u64 initrd_bytes);
