// SPDX-License-Identifier: BSD-3-Clause
// The guest physical address map of the x86_64 machine.
#pragma once

#include "util/types.h"

/*
 * Low memory, all of it in the e820 range below the EBDA that kernels treat as theirs after boot.
 */
#define LAYOUT_GDT_GPA 0x500
#define LAYOUT_ZERO_PAGE_GPA 0x7000  /* struct boot_params, or PVH start info with its lists */
#define LAYOUT_SETUP_DATA_GPA 0x8000 /* one page of nodes that the zero page points to */
#define LAYOUT_PML4_GPA 0x9000 /* PML4, one PDPT, four page directories: identity map of 4 GiB */
#define LAYOUT_PDPT_GPA 0xa000
#define LAYOUT_PD_GPA 0xb000
#define LAYOUT_CMDLINE_GPA 0x20000
#define LAYOUT_LOW_RAM_END 0x9fc00 /* usable RAM below 640 KiB ends where the EBDA begins */
#define LAYOUT_EBDA_GPA 0x9fc00    /* empty: kernels search it for tables and find none */
#define LAYOUT_EBDA_END 0xa0000
#define LAYOUT_TABLES_GPA 0xe0000 /* RSDP first, then the ACPI tables */
#define LAYOUT_MPTABLE_GPA \
	0xf0000 /* MP floating pointer, then the MP table: the EBDA holds 40 CPUs */
#define LAYOUT_RESET_VECTOR_GPA 0xffff0 /* F000:FFF0, where a restart through the BIOS goes */
#define LAYOUT_TABLES_END 0x100000
#define LAYOUT_HIGH_RAM_GPA 0x100000 /* kernels are loaded from here up */

/* The hole below 4 GiB. */
#define LAYOUT_HOLE_GPA 0xc0000000 /* RAM stops here at the latest; PCI's memory BARs follow */
#define LAYOUT_HOLE_END 0x100000000
#define LAYOUT_ECAM_GPA 0xe0000000
#define LAYOUT_ECAM_BYTES 0x100000        /* bus 0; pci.asl says what lies about it */
#define LAYOUT_VIRTIO_MMIO_GPA 0xe8000000 /* a page for each virtio-mmio device */
#define LAYOUT_VIRTIO_MMIO_BYTES 0x1000
#define LAYOUT_IOAPIC_GPA 0xfec00000
#define LAYOUT_LAPIC_GPA 0xfee00000
#define LAYOUT_KVM_IDENTITY_MAP_GPA 0xfffbc000 /* one page for KVM on Intel hosts */
#define LAYOUT_KVM_TSS_GPA 0xfffbd000          /* three pages, likewise */

/* KVM's default routing leads GSI n, the timer's 0 too, to pin n of the I/O APIC: no overrides. */
#define LAYOUT_IOAPIC_ID(nr_cpus) (nr_cpus)
#define LAYOUT_IOAPIC_PINS 24
#define LAYOUT_ISA_IRQS 16
/* pci.asl: INTA of slot n is pin 16 + n % 8, beyond what ISA devices use. */
#define LAYOUT_PCI_GSI(slot) (16 + (slot) % 8)
#define LAYOUT_CPUS_MAX 254 /* xAPIC ids 0 to 253, the I/O APIC's id after them */

/* The least memory a kernel can be started in: the tables above and one page of kernel. */
#define LAYOUT_MEM_MIN_BYTES MIB(2)
/* The most: KVM's memory slots have 2^31 - 1 pages, and the part above 4 GiB is one slot. */
#define LAYOUT_MEM_MAX_BYTES GIB(8192)
