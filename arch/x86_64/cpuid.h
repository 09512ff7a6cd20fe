// SPDX-License-Identifier: BSD-3-Clause
// What a guest's CPUID instruction says.
#pragma once

#include "kvm/kvm.h"

/*
 * cpuid_setup - give vCPU `cpu` what the host's CPU and KVM support, with a topology of one
 * package of `nr_cpus` single-threaded cores. Return: 0 or -errno with words.
 */
int cpuid_setup(struct kvm_vm *vm, struct kvm_vcpu *cpu, u32 nr_cpus, struct err *e);
