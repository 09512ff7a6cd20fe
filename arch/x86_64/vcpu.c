// SPDX-License-Identifier: BSD-3-Clause
// vCPU set-up of x86_64: MSRs, local APIC and the registers each boot protocol begins with.
#include "kvm/arch.h"

#include <errno.h>
#include <string.h>

#include "cpuid.h"
#include "layout.h"
#include "util/checked.h"

/* Intel SDM volume 3, sections 2.5 and 4.1; AMD APM volume 2, section 3.1. */
enum {
	CR0_PE = 1u << 0,
	CR0_ET = 1u << 4,
	CR0_PG = 1u << 31,
	CR4_PAE = 1u << 5,
	EFER_LME = 1u << 8,
	EFER_LMA = 1u << 10,
	RFLAGS_RESERVED = 1u << 1,
	PTE_PRESENT = 1u << 0,
	PTE_WRITE = 1u << 1,
	PDE_LARGE = 1u << 7,
	IDENTITY_MAP_GIB = 4,
};

/* Model-specific registers written at start (SDM volume 4, table 2-2). */
enum {
	MSR_IA32_MISC_ENABLE = 0x1a0,
	MSR_IA32_MISC_ENABLE_FAST_STRING = 1,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MTRR_ENABLE = 1u << 11,
	MTRR_WRITE_BACK = 6,
};

/* Local APIC registers (SDM volume 3, table 11-1) within struct kvm_lapic_state. */
enum {
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_MODE_EXTINT = 0x700,
	APIC_MODE_NMI = 0x400,
};

static int vcpu_set_msrs(struct kvm_vcpu *cpu, struct err *e)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[2];
	} msrs = {
		.head.nmsrs = 2,
		.entries = {
			{ .index = MSR_IA32_MISC_ENABLE, .data = MSR_IA32_MISC_ENABLE_FAST_STRING },
			/*
			 * All memory is write-back, which is what a firmware would leave for RAM.
			 */
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
		},
	};

	return kvm_vcpu_ioctl(cpu, KVM_SET_MSRS, &msrs, "KVM_SET_MSRS", e);
}

static void lapic_put(struct kvm_lapic_state *lapic, u32 offset, u32 value)
{
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

/* The 8259 pair reaches the boot processor's LINT0, as in a PC's virtual wire mode. */
static int vcpu_set_lapic(struct kvm_vcpu *cpu, struct err *e)
{
	struct kvm_lapic_state lapic = { 0 };
	int status = kvm_vcpu_ioctl(cpu, KVM_GET_LAPIC, &lapic, "KVM_GET_LAPIC", e);

	if (status < 0)
		return status;
	lapic_put(&lapic, APIC_LVT_LINT0, APIC_MODE_EXTINT);
	lapic_put(&lapic, APIC_LVT_LINT1, APIC_MODE_NMI);
	return kvm_vcpu_ioctl(cpu, KVM_SET_LAPIC, &lapic, "KVM_SET_LAPIC", e);
}

/* Flat segments as the descriptors below encode them. */
static struct kvm_segment segment_flat(u16 selector, u8 type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !long_mode,
		.l = long_mode,
	};
}

enum {
	/* The selectors of the Linux boot protocol: __BOOT_CS, __BOOT_DS. PVH leaves them open. */
	SELECTOR_CODE = 0x10,
	SELECTOR_DATA = 0x18,
	SELECTOR_TSS = 0x20,
	SEGMENT_CODE = 0xb, /* execute, read, accessed */
	SEGMENT_DATA = 0x3, /* read, write, accessed */
	SEGMENT_TSS = 0xb,  /* 32-bit or 64-bit TSS, busy */
};

static int boot_write_gdt(const struct gmem *mem, bool long_mode)
{
	const u64 gdt[] = {
		0,
		0,
		long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
		0x00cf93000000ffff,
		0x00008b0000000067,
		0, /* a 64-bit TSS descriptor takes two entries */
	};

	return gmem_write(mem, LAYOUT_GDT_GPA, gdt, sizeof(gdt));
}

static int boot_write_page_tables(const struct gmem *mem)
{
	const u64 pml4e = LAYOUT_PDPT_GPA | PTE_PRESENT | PTE_WRITE;
	u64 *directories = gmem_ptr(mem, LAYOUT_PD_GPA, IDENTITY_MAP_GIB * 4096);
	u64 pdpt[IDENTITY_MAP_GIB];

	if (!directories)
		return -EFAULT;
	for (u64 i = 0; i < IDENTITY_MAP_GIB; i++)
		pdpt[i] = (LAYOUT_PD_GPA + i * 4096) | PTE_PRESENT | PTE_WRITE;
	for (u64 i = 0; i < IDENTITY_MAP_GIB * 512; i++)
		directories[i] = i * MIB(2) | PTE_PRESENT | PTE_WRITE | PDE_LARGE;
	if (gmem_write(mem, LAYOUT_PML4_GPA, &pml4e, sizeof(pml4e)) < 0)
		return -EFAULT;
	return gmem_write(mem, LAYOUT_PDPT_GPA, pdpt, sizeof(pdpt));
}

/*
 * Linux's 64-bit entry wants paging with an identity map; PVH wants 32-bit protected mode without
 * (Documentation/x86/boot.rst, "64-bit boot protocol";
 * xen/include/public/arch-x86/hvm/start_info.h).
 */
static int vcpu_set_sregs(struct kvm_vcpu *cpu, bool long_mode, struct err *e)
{
	struct kvm_sregs sregs = { 0 };
	int status = kvm_vcpu_ioctl(cpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS", e);

	if (status < 0)
		return status;
	sregs.cs = segment_flat(SELECTOR_CODE, SEGMENT_CODE, long_mode);
	sregs.ds = segment_flat(SELECTOR_DATA, SEGMENT_DATA, false);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment){
		.limit = 0x67, .selector = SELECTOR_TSS, .type = SEGMENT_TSS, .present = 1
	};
	sregs.gdt.base = LAYOUT_GDT_GPA;
	sregs.gdt.limit = 6 * 8 - 1;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs.cr3 = LAYOUT_PML4_GPA;
		sregs.cr4 = CR4_PAE;
		sregs.cr0 |= CR0_PG;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	return kvm_vcpu_ioctl(cpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS", e);
}

static int vcpu_set_boot_state(struct kvm_vcpu *cpu, const struct gmem *mem,
			       const struct boot_entry *entry, struct err *e)
{
	bool long_mode = entry->protocol != BOOT_PVH;
	const struct kvm_regs regs = {
		.rip = entry->entry_gpa,
		.rsi = long_mode ? entry->info_gpa : 0, /* Linux: the zero page */
		.rbx = long_mode ? 0 : entry->info_gpa, /* PVH: the start info */
		.rflags = RFLAGS_RESERVED,
	};
	int status;

	status = boot_write_gdt(mem, long_mode);
	if (status == 0 && long_mode)
		status = boot_write_page_tables(mem);
	if (status < 0)
		return err_set(e, status, "guest memory has no room for the first page tables");
	status = vcpu_set_sregs(cpu, long_mode, e);
	if (status == 0)
		status = kvm_vcpu_ioctl(cpu, KVM_SET_REGS, &regs, "KVM_SET_REGS", e);
	return status;
}

int arch_vcpu_setup(struct kvm_vm *vm, struct kvm_vcpu *cpu, const struct arch_machine *machine,
		    const struct boot_entry *entry, struct err *e)
{
	int status = cpuid_setup(vm, cpu, machine->nr_cpus, e);

	if (status == 0)
		status = vcpu_set_msrs(cpu, e);
	if (status == 0)
		status = vcpu_set_lapic(cpu, e);
	/* The others wait for the start-up interrupt that the guest's first CPU sends them. */
	if (status == 0 && cpu->index == 0)
		status = vcpu_set_boot_state(cpu, machine->mem, entry, e);
	return status;
}

u64 arch_vcpu_pc(struct kvm_vcpu *cpu)
{
	struct kvm_regs regs = { 0 };
	struct err e;

	kvm_vcpu_ioctl(cpu, KVM_GET_REGS, &regs, "KVM_GET_REGS", &e);
	return regs.rip;
}

bool arch_vcpu_is_dead(struct kvm_vcpu *cpu)
{
	struct kvm_mp_state state = { 0 };
	struct err e;

	if (kvm_vcpu_ioctl(cpu, KVM_GET_MP_STATE, &state, "KVM_GET_MP_STATE", &e) < 0)
		return false;
	return state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
	       (state.mp_state == KVM_MP_STATE_HALTED && !cpu->run->if_flag);
}
