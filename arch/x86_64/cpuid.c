// SPDX-License-Identifier: BSD-3-Clause
// CPUID of x86_64 vCPUs: what KVM supports, with a topology of our own (SDM volume 2, CPUID; AMD
// APM volume 3, appendix E).
#include "cpuid.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	CPUID_ENTRIES_MAX = 256,
	CPUID_1_ECX_VMX = 1u << 5,
	CPUID_1_ECX_PDCM = 1u << 15, /* MSR with the counters' capabilities */
	CPUID_1_ECX_TSC_DEADLINE = 1u << 24,
	CPUID_1_ECX_HYPERVISOR = 1u << 31,
	CPUID_1_EDX_HTT = 1u << 28,
	CPUID_7_EBX_SGX = 1u << 2,
	CPUID_80000001_ECX_SVM = 1u << 2,
	CPUID_80000001_ECX_PERFCTR_CORE = 1u << 23,
	CPUID_80000001_ECX_CMP_LEGACY = 1u << 1,
	CPUID_B_LEVEL_SMT = 1,
	CPUID_B_LEVEL_CORE = 2,
};

struct cpuid_table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

/* How many bits hold the numbers 0 to count - 1. */
static u32 bits_for(u32 count)
{
	return count > 1 ? 32 - (u32)__builtin_clz(count - 1) : 0;
}

/* Extended topology: level 0 has one thread in a core, level 1 the cores of the one package. */
static void cpuid_topology(struct kvm_cpuid_entry2 *entry, u32 apic_id, u32 nr_cpus)
{
	entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	entry->eax = entry->ebx = 0;
	entry->ecx = entry->index;
	entry->edx = apic_id;
	if (entry->index == 0) {
		entry->ebx = 1;
		entry->ecx |= CPUID_B_LEVEL_SMT << 8;
	} else if (entry->index == 1) {
		entry->eax = bits_for(nr_cpus);
		entry->ebx = nr_cpus;
		entry->ecx |= CPUID_B_LEVEL_CORE << 8;
	}
}

/* Leaf 4 and 8000001D: each cache belongs to one core, but the last level, which all share. */
static void cpuid_caches(struct kvm_cpuid_entry2 *entry, u32 nr_cpus)
{
	u32 type = entry->eax & 0x1f, level = entry->eax >> 5 & 7;
	u32 sharing = level >= 3 ? nr_cpus - 1 : 0;

	if (type == 0)
		return;
	entry->eax &= 0x3fff;
	entry->eax |= MIN(sharing, 0xfffu) << 14;
	if (entry->function == 4)
		entry->eax |= MIN((1u << bits_for(nr_cpus)) - 1, 0x3fu) << 26;
}

static void cpuid_leaf_1(struct kvm_cpuid_entry2 *entry, u32 apic_id, u32 nr_cpus,
			 bool tsc_deadline)
{
	entry->ebx &= 0xff00; /* the cache line size stays */
	entry->ebx |= apic_id << 24 | (nr_cpus & 0xff) << 16;
	entry->ecx |= CPUID_1_ECX_HYPERVISOR;
	if (tsc_deadline)
		entry->ecx |= CPUID_1_ECX_TSC_DEADLINE;
	if (nr_cpus > 1)
		entry->edx |= CPUID_1_EDX_HTT;
	else
		entry->edx &= ~CPUID_1_EDX_HTT;
}

/* AMD: number of cores (80000008), compute unit and node (8000001E). */
static void cpuid_amd_topology(struct kvm_cpuid_entry2 *entry, u32 apic_id, u32 nr_cpus)
{
	if (entry->function == 0x80000008) {
		entry->ecx = bits_for(nr_cpus) << 12 | (nr_cpus - 1);
	} else {
		entry->eax = apic_id;
		entry->ebx = apic_id & 0xff; /* one thread in each core */
		entry->ecx = 0;              /* one node */
	}
}

static void cpuid_clear(struct kvm_cpuid_entry2 *entry)
{
	entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
}

/*
 * KVM offers all it has. What was not chosen is not there: each is code of the host's kernel that
 * a guest could attack. SGX enclaves are never offered: nobody creates them.
 */
static void cpuid_withhold(struct kvm_cpuid_entry2 *entry)
{
	const bool nested = IS_ENABLED(CONFIG_GUEST_NESTED), pmu = IS_ENABLED(CONFIG_GUEST_PMU);

	if (entry->function == 1)
		entry->ecx &= ~((nested ? 0 : CPUID_1_ECX_VMX) | (pmu ? 0 : CPUID_1_ECX_PDCM));
	else if (entry->function == 7 && entry->index == 0)
		entry->ebx &= ~CPUID_7_EBX_SGX;
	else if (entry->function == 0x80000001)
		entry->ecx &= ~((nested ? 0 : CPUID_80000001_ECX_SVM) |
				(pmu ? 0 : CPUID_80000001_ECX_PERFCTR_CORE));
	else if (entry->function == 0x12 || (!pmu && entry->function == 0xa) ||
		 (!nested && entry->function == 0x8000000a) ||
		 (!pmu && entry->function == 0x80000022))
		cpuid_clear(entry);
}

static void cpuid_adjust(struct kvm_cpuid_entry2 *entry, u32 apic_id, u32 nr_cpus,
			 bool tsc_deadline)
{
	cpuid_withhold(entry);
	switch (entry->function) {
	case 1:
		cpuid_leaf_1(entry, apic_id, nr_cpus, tsc_deadline);
		break;
	case 4:
	case 0x8000001d:
		cpuid_caches(entry, nr_cpus);
		break;
	case 6:
		entry->ecx &= ~(1u << 3); /* no energy-performance bias: its MSR is not there */
		break;
	case 0xb:
	case 0x1f:
		cpuid_topology(entry, apic_id, nr_cpus);
		break;
	case 0x80000001:
		if (nr_cpus > 1)
			entry->ecx |= CPUID_80000001_ECX_CMP_LEGACY;
		else
			entry->ecx &= ~CPUID_80000001_ECX_CMP_LEGACY;
		break;
	case 0x80000008:
	case 0x8000001e:
		cpuid_amd_topology(entry, apic_id, nr_cpus);
		break;
	}
}

/*
 * KVM reports leaf 0xB with the subleaves of the host, or with only the first: replace them by
 * ours. Leaf 0x1F is dropped, so that guests fall back to 0xB.
 */
static void cpuid_replace_topology(struct cpuid_table *table)
{
	u32 kept = 0;
	bool had_leaf = false;

	for (u32 i = 0; i < table->head.nent; i++) {
		u32 function = table->entries[i].function;

		had_leaf |= function == 0xb;
		if (function != 0xb && function != 0x1f)
			table->entries[kept++] = table->entries[i];
	}
	for (u32 index = 0; had_leaf && index < 3 && kept < CPUID_ENTRIES_MAX; index++)
		table->entries[kept++] =
			(struct kvm_cpuid_entry2){ .function = 0xb, .index = index };
	table->head.nent = kept;
}

int cpuid_setup(struct kvm_vm *vm, struct kvm_vcpu *cpu, u32 nr_cpus, struct err *e)
{
	/*
	 * The APIC timer's TSC-deadline mode is KVM's own and not in the supported list (api.rst
	 * 4.46).
	 */
	bool tsc_deadline = kvm_capability(vm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	struct cpuid_table table = { .head.nent = CPUID_ENTRIES_MAX };

	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, &table) < 0)
		return err_errno(e, -errno, "KVM_GET_SUPPORTED_CPUID");
	cpuid_replace_topology(&table);
	for (u32 i = 0; i < table.head.nent; i++)
		cpuid_adjust(&table.entries[i], cpu->index, nr_cpus, tsc_deadline);
	return kvm_vcpu_ioctl(cpu, KVM_SET_CPUID2, &table, "KVM_SET_CPUID2", e);
}
