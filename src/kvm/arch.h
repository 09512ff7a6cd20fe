// SPDX-License-Identifier: BSD-3-Clause
// What every architecture supplies: memory layout, boot, vCPU and interrupt set-up. Implemented in
// arch/<name>/.
#pragma once

#include "dev/dev_class.h"
#include "kvm/kvm.h"
#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/types.h"

enum { ARCH_CMDLINE_BYTES = 4096 }; /* with the NUL: the longest command line Kiln holds */

enum boot_protocol {
	BOOT_AUTO,  /* by what the file says of itself */
	BOOT_LINUX, /* x86_64: the 64-bit entry of the Linux boot protocol */
	BOOT_PVH,   /* x86_64: the ELF note's 32-bit entry */
};

/* What to boot. Every byte behind the descriptors is hostile. */
struct boot_source {
	int kernel_fd, initrd_fd;       /* borrowed, regular files; initrd_fd -1 for none */
	u64 kernel_bytes, initrd_bytes; /* sizes as the supervisor saw them */
	enum boot_protocol protocol;
	char cmdline[ARCH_CMDLINE_BYTES];
};

/* Where the first vCPU begins. */
struct boot_entry {
	enum boot_protocol protocol; /* never BOOT_AUTO */
	gpa_t entry_gpa;
	gpa_t info_gpa; /* zero page or start info; what the entry expects in its register */
};

/* The machine as the tables describe it. */
struct arch_machine {
	struct gmem *mem;
	u32 nr_cpus;
	u32 nr_virtio_mmio; /* devices at arch_virtio_mmio_place(0) and on */
};

/*
 * arch_mem_layout - the RAM ranges for `mem_bytes` of guest memory. Return: how many (at most
 * GMEM_REGIONS_MAX), or -EINVAL with words (too small, larger than the address space).
 */
int arch_mem_layout(u64 mem_bytes, struct gmem_range *ranges, struct err *e);

/*
 * arch_boot_load - put kernel, initrd, command line and boot information into guest memory.
 * Return: 0 or -errno with words that name the file's fault. Context: vm main, jailed.
 */
int arch_boot_load(const struct arch_machine *machine, const struct boot_source *source,
		   struct boot_entry *entry, struct err *e);

/* arch_tables_write - firmware tables (ACPI, MP table) for the machine. Return: 0 or -errno. */
int arch_tables_write(const struct arch_machine *machine, struct err *e);

/* arch_ram_layout - how RAM lies about 4 GiB, for firmware devices. */
struct dev_ram_layout arch_ram_layout(const struct gmem *mem);

/* arch_ecam_gpa - where the machine has its PCI configuration window. */
u64 arch_ecam_gpa(void);

/* arch_pci_window - where it has room for memory BARs. */
void arch_pci_window(u64 *gpa, u64 *size_bytes);

/* arch_pci_gsi - the interrupt line that INTA of a PCI slot is wired to, as the tables say. */
u32 arch_pci_gsi(u32 slot);

/* Where a virtio-mmio device goes. */
struct arch_mmio_place {
	gpa_t gpa;
	u32 gsi;
};

/* arch_virtio_mmio_place - of the machine's virtio-mmio device `index`. */
struct arch_mmio_place arch_virtio_mmio_place(u32 index);

/*
 * arch_virtio_mmio_words - what the kernel's command line needs to tell of such a device, with a
 * space before it; empty where firmware tables do.
 */
void arch_virtio_mmio_words(const struct arch_mmio_place *place, char *words, size_t size);

/* arch_vcpus_max - the most vCPUs the machine's tables can name. */
u32 arch_vcpus_max(void);

/*
 * arch_cmdline_base - the words that every kernel command line starts with ("console=ttyS0 ...").
 * `console`: what Linux calls its console ("hvc0"); NULL: the first serial port, if there are any.
 */
const char *arch_cmdline_base(const char *console);

/* arch_irqchip_create - in-kernel interrupt controllers and timers, before any vCPU. */
int arch_irqchip_create(struct kvm_vm *vm, struct err *e);

/*
 * arch_irq_routes - the routing of the interrupt controllers' own lines, which a table with message
 * routes must repeat. Return: how many entries were filled, at most `max`; they are GSIs 0 to
 * arch_irq_lines() - 1.
 */
u32 arch_irq_routes(struct kvm_irq_routing_entry *routes, u32 max);
u32 arch_irq_lines(void);

/*
 * arch_vcpu_setup - CPUID, MSRs and registers of vCPU `cpu->index`; the first one starts at
 * `entry`.
 */
int arch_vcpu_setup(struct kvm_vm *vm, struct kvm_vcpu *cpu, const struct arch_machine *machine,
		    const struct boot_entry *entry, struct err *e);

/*
 * arch_vcpu_is_dead - whether a stopped vCPU has halted with interrupts off, or was never started.
 * Context: the vCPU's thread.
 */
bool arch_vcpu_is_dead(struct kvm_vcpu *cpu);

/*
 * arch_vcpu_pc - the guest address of the instruction a stopped vCPU is at, 0 if KVM does not tell.
 */
u64 arch_vcpu_pc(struct kvm_vcpu *cpu);

/*
 * The code of `kiln doctor`'s guest, for address 0: count down, then leave by a port or memory
 * access. arch_probe_start - point a vCPU at its beginning, with `loops` turns to count.
 * Return: 0 or -errno with words.
 */
extern const u8 arch_probe_code[];
extern const u32 arch_probe_code_bytes;
int arch_probe_start(struct kvm_vcpu *cpu, u64 loops, struct err *e);

/* A capability of KVM that the machine cannot do without, or would like. */
struct arch_capability {
	u32 number;
	bool needed;
	const char *name;
};

/* arch_capabilities - what `kiln doctor` looks for. Ends with a NULL name. */
extern const struct arch_capability arch_capabilities[];
