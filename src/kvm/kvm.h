// SPDX-License-Identifier: BSD-3-Clause
// KVM: the system, VM and vCPU descriptors, and the few ioctls that every architecture uses.
#pragma once

#include <linux/kvm.h>

#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/log.h"
#include "util/types.h"

/* Owner: the vm process. */
struct kvm_vm {
	int kvm_fd; /* /dev/kvm, opened by the supervisor */
	int vm_fd;
	u32 run_bytes; /* size of each vCPU's shared page */
};

struct kvm_vcpu {
	u32 index;
	int fd;
	struct kvm_run *run;
	struct log_limit trace_limit;
};

/* kvm_api_version - what KVM_GET_API_VERSION says; KVM_API_VERSION (12) is the only one known. */
int kvm_api_version(int kvm_fd);

/* kvm_capability - KVM_CHECK_EXTENSION on the system descriptor: 0 for absent. */
int kvm_capability(int kvm_fd, u32 capability);

/* kvm_vcpus_max - the most vCPUs this host lets one machine have. */
u32 kvm_vcpus_max(int kvm_fd);

/*
 * kvm_vm_create - check the API and create the machine; takes kvm_fd. Return: 0 or -errno with
 * words.
 */
int kvm_vm_create(struct kvm_vm *vm, int kvm_fd, struct err *e);
void kvm_vm_destroy(struct kvm_vm *vm);

/* kvm_vm_map_memory - one memory slot for each region of `mem`. Return: 0 or -errno with words. */
int kvm_vm_map_memory(struct kvm_vm *vm, const struct gmem *mem, struct err *e);

/* kvm_vm_ioctl - ioctl on the VM that names itself on failure. Return: 0 or -errno with words. */
int kvm_vm_ioctl(struct kvm_vm *vm, unsigned long request, const void *arg, const char *what,
		 struct err *e);

/* kvm_vm_set_irq - drive line `gsi` of the in-kernel controllers. Context: any thread. */
void kvm_vm_set_irq(struct kvm_vm *vm, u32 gsi, bool level);

/*
 * kvm_vcpu_create - vCPU `index` of `vm`, with its kvm_run page mapped. Return: 0 or -errno with words.
 * kvm_vcpu_destroy - unmap and close; safe on one whose creation failed.
 * kvm_vcpu_ioctl - as kvm_vm_ioctl, on the vCPU. Context: the vCPU's thread, or vm main before it runs.
 */
int kvm_vcpu_create(struct kvm_vm *vm, struct kvm_vcpu *cpu, u32 index, struct err *e);
void kvm_vcpu_destroy(struct kvm_vm *vm, struct kvm_vcpu *cpu);
int kvm_vcpu_ioctl(struct kvm_vcpu *cpu, unsigned long request, const void *arg, const char *what,
		   struct err *e);
