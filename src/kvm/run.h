// SPDX-License-Identifier: BSD-3-Clause
// Run a vCPU until something only the machine can decide.
#pragma once

#include "bus/bus.h"
#include "kvm/kvm.h"

enum kvm_stop_reason {
	KVM_STOP_KICKED,    /* a signal or immediate_exit: look why, then go on or not */
	KVM_STOP_SHUTDOWN,  /* triple fault on x86 */
	KVM_STOP_POWER_OFF, /* system event of PSCI */
	KVM_STOP_RESET,
	KVM_STOP_CRASH,
	KVM_STOP_ERROR, /* KVM cannot go on; `text` says why */
};

struct kvm_stop {
	enum kvm_stop_reason reason;
	char text[160];
};

/*
 * kvm_vcpu_run - run the guest, answering its port and memory accesses from the buses, until a
 * stop; at least one KVM_RUN is made, which completes an access begun before. The access during
 * which a device ended the machine returns as KICKED if immediate_exit was set.
 * Context: the vCPU's thread, and no other.
 */
void kvm_vcpu_run(struct kvm_vcpu *cpu, const struct bus *pio, const struct bus *mmio,
		  struct kvm_stop *stop);

/*
 * kvm_vcpu_kick - make a running or about to run vCPU return; follow with a signal. Context: any.
 */
static inline void kvm_vcpu_kick(struct kvm_vcpu *cpu)
{
	__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}
