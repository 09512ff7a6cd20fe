// SPDX-License-Identifier: BSD-3-Clause
// What `kiln doctor` runs and looks for on x86_64.
#include "kvm/arch.h"

enum {
	PROBE_CODE_GPA = 0,
	RFLAGS_RESERVED = 1u << 1,
};

/* Real mode, the state a vCPU is created in: needs neither page tables nor descriptors. */
const u8 arch_probe_code[] = {
	0x66, 0x49, /* 1: dec ecx */
	0x75, 0xfc, /* jnz 1b */
	0xe6, 0xf4, /* out 0xf4, al */
};
const u32 arch_probe_code_bytes = sizeof(arch_probe_code);

int arch_probe_start(struct kvm_vcpu *cpu, u64 loops, struct err *e)
{
	const struct kvm_regs regs = { .rip = PROBE_CODE_GPA,
				       .rcx = loops,
				       .rflags = RFLAGS_RESERVED };
	struct kvm_sregs sregs = { 0 };
	int status = kvm_vcpu_ioctl(cpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS", e);

	if (status < 0)
		return status;
	/* A reset leaves CS at the top of memory. */
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	status = kvm_vcpu_ioctl(cpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS", e);
	if (status == 0)
		status = kvm_vcpu_ioctl(cpu, KVM_SET_REGS, &regs, "KVM_SET_REGS", e);
	return status;
}

const struct arch_capability arch_capabilities[] = {
	{ KVM_CAP_USER_MEMORY, true, "user memory" },
	{ KVM_CAP_IRQCHIP, true, "in-kernel interrupt controllers" },
	{ KVM_CAP_PIT2, true, "in-kernel timer (PIT)" },
	{ KVM_CAP_SET_TSS_ADDR, true, "TSS address" },
	{ KVM_CAP_EXT_CPUID, true, "CPUID" },
	{ KVM_CAP_IMMEDIATE_EXIT, true, "immediate exit" },
	{ KVM_CAP_IOEVENTFD, false, "ioeventfd" },
	{ KVM_CAP_IRQFD, false, "irqfd" },
	{ KVM_CAP_ADJUST_CLOCK, false, "kvmclock" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, false, "TSC deadline timer" },
	{ 0, false, NULL },
};
