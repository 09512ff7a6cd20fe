// SPDX-License-Identifier: BSD-3-Clause
// What guests of 1 to 254 CPUs learn from CPUID on Intel's and AMD's hosts.
// test-sources: arch/x86_64/cpuid.c src/util/err.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "cpuid.h"

enum { ENTRIES_MAX = 256, LEAF_TOPOLOGY = 0xb };

/* Bits of the registers as the manuals number them. */
static u32 bits(u32 reg, u32 high, u32 low)
{
	return reg >> low & (u32)((1ull << (high - low + 1)) - 1);
}

/* --- KVM -------------------------------------------------------------------------------------- */

static struct {
	struct kvm_cpuid_entry2 host[ENTRIES_MAX], guest[ENTRIES_MAX];
	u32 nr_host, nr_guest;
	int tsc_deadline, get_errno, set_status;
} kvm;

/* Stands before the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	struct kvm_cpuid2 *table;
	va_list args;

	(void)fd;
	assert_true(request == KVM_GET_SUPPORTED_CPUID);
	va_start(args, request);
	table = va_arg(args, struct kvm_cpuid2 *);
	va_end(args);
	errno = kvm.get_errno;
	if (kvm.get_errno)
		return -1;
	assert_int_equal(table->nent, ENTRIES_MAX);
	memcpy(table->entries, kvm.host, kvm.nr_host * sizeof(kvm.host[0]));
	table->nent = kvm.nr_host;
	return 0;
}

int kvm_capability(int kvm_fd, u32 capability)
{
	(void)kvm_fd;
	assert_int_equal(capability, KVM_CAP_TSC_DEADLINE_TIMER);
	return kvm.tsc_deadline;
}

int kvm_vcpu_ioctl(struct kvm_vcpu *cpu, unsigned long request, const void *arg, const char *what,
		   struct err *e)
{
	const struct kvm_cpuid2 *table = arg;

	(void)cpu;
	(void)what;
	assert_true(request == KVM_SET_CPUID2);
	assert_in_range(table->nent, 0, ENTRIES_MAX);
	kvm.nr_guest = table->nent;
	memcpy(kvm.guest, table->entries, table->nent * sizeof(kvm.guest[0]));
	return kvm.set_status < 0 ? err_set(e, kvm.set_status, "refused") : 0;
}

/* --- Hosts and guests ------------------------------------------------------------------------- */

/* Every bit set but what the test gives: what must be cleared shows. */
static void host_has(u32 function, u32 index, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
	kvm.host[kvm.nr_host++] = (struct kvm_cpuid_entry2){
		.function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
	};
}

/* A cache: type (1 data, 2 instructions, 3 both), level, and bits that are not ours to change. */
static void host_has_cache(u32 function, u32 index, u32 type, u32 level)
{
	host_has(function, index, 0xffffc000 | 1 << 8 | level << 5 | type, 0x01c0003f, 0x3f, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&kvm, 0, sizeof(kvm));
	host_has(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	host_has(1, 0, 0x000906ea, 0xffffffff, 0, 0xffffffff);
	host_has_cache(4, 0, 1, 1);
	host_has_cache(4, 1, 3, 2);
	host_has_cache(4, 2, 3, 3);
	host_has(4, 3, 0, 0, 0, 0);
	host_has(6, 0, 4, 0, 0xffffffff, 0);
	host_has(7, 0, 1, 0xffffffff, 0, 0);
	host_has(7, 1, 0, 0xffffffff, 0, 0);
	host_has(0xa, 0, 0x08300802, 0, 0xf, 0x603);
	host_has(LEAF_TOPOLOGY, 0, 1, 2, 0x100, 0x77);
	host_has(0x12, 0, 1, 1, 1, 1);
	host_has(LEAF_TOPOLOGY, 1, 6, 40, 0x201, 0x77);
	host_has(0x1f, 0, 1, 2, 0x100, 0x77);
	host_has(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	host_has(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	host_has(0x80000008, 0, 0x3030, 0, 0xffffffff, 0);
	host_has_cache(0x8000001d, 0, 1, 1);
	host_has_cache(0x8000001d, 1, 3, 3);
	host_has(0x8000001e, 0, 0x77, 0xffffffff, 0xffffffff, 0);
	return 0;
}

static void start_cpu(u32 index, u32 nr_cpus)
{
	struct kvm_vcpu cpu = { .index = index };
	struct kvm_vm vm = { .kvm_fd = -1 };
	struct err e = { 0 };

	assert_int_equal(cpuid_setup(&vm, &cpu, nr_cpus, &e), 0);
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *entries, u32 nr,
					   u32 function, u32 index)
{
	for (u32 i = 0; i < nr; i++)
		if (entries[i].function == function && entries[i].index == index)
			return &entries[i];
	return NULL;
}

static const struct kvm_cpuid_entry2 *guest_has(u32 function, u32 index)
{
	const struct kvm_cpuid_entry2 *entry = find(kvm.guest, kvm.nr_guest, function, index);

	assert_non_null(entry);
	return entry;
}

static u32 count_leaf(u32 function)
{
	u32 nr = 0;

	for (u32 i = 0; i < kvm.nr_guest; i++)
		nr += kvm.guest[i].function == function;
	return nr;
}

/* How many CPUs a guest has, and the bits that hold their numbers. */
static const struct {
	u32 nr_cpus, nr_bits;
} guests[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 254, 8 } };

/* --- Intel's leaves --------------------------------------------------------------------------- */

static void the_topology_is_one_package_of_cores_with_one_thread(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		u32 nr_cpus = guests[i].nr_cpus;
		const struct kvm_cpuid_entry2 *threads, *cores, *end;

		start_cpu(nr_cpus - 1, nr_cpus);
		threads = guest_has(LEAF_TOPOLOGY, 0);
		assert_int_equal(threads->eax, 0);
		assert_int_equal(threads->ebx, 1);
		assert_int_equal(threads->ecx, 1 << 8 | 0);
		cores = guest_has(LEAF_TOPOLOGY, 1);
		assert_int_equal(cores->eax, guests[i].nr_bits);
		assert_int_equal(cores->ebx, nr_cpus);
		assert_int_equal(cores->ecx, 2 << 8 | 1);
		end = guest_has(LEAF_TOPOLOGY, 2);
		assert_int_equal(end->eax, 0);
		assert_int_equal(end->ebx, 0);
		assert_int_equal(end->ecx, 2);
	}
}

static void every_level_of_the_topology_names_the_cpu_and_its_subleaf(void **state)
{
	(void)state;
	for (u32 cpu = 0; cpu < 254; cpu++) {
		start_cpu(cpu, 254);
		for (u32 index = 0; index < 3; index++) {
			const struct kvm_cpuid_entry2 *level = guest_has(LEAF_TOPOLOGY, index);

			assert_int_equal(level->edx, cpu);
			assert_true(level->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
		}
		assert_int_equal(bits(guest_has(1, 0)->ebx, 31, 24), cpu);
		assert_int_equal(guest_has(0x8000001e, 0)->eax, cpu);
	}
}

static void the_host_s_own_topology_does_not_show(void **state)
{
	(void)state;
	start_cpu(0, 4);
	assert_int_equal(count_leaf(LEAF_TOPOLOGY), 3);
	assert_int_equal(count_leaf(0x1f), 0);
}

static void a_host_without_the_topology_leaf_gives_none(void **state)
{
	u32 kept = 0;

	(void)state;
	for (u32 i = 0; i < kvm.nr_host; i++)
		if (kvm.host[i].function != LEAF_TOPOLOGY)
			kvm.host[kept++] = kvm.host[i];
	kvm.nr_host = kept;
	start_cpu(0, 4);
	assert_int_equal(count_leaf(LEAF_TOPOLOGY), 0);
}

static void leaf_1_counts_cpus_and_keeps_the_cache_line(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		const struct kvm_cpuid_entry2 *leaf;

		start_cpu(0, guests[i].nr_cpus);
		leaf = guest_has(1, 0);
		assert_int_equal(bits(leaf->ebx, 23, 16), guests[i].nr_cpus);
		assert_int_equal(bits(leaf->ebx, 15, 8), 0xff);
		assert_int_equal(bits(leaf->ebx, 7, 0), 0);
		assert_int_equal(bits(leaf->edx, 28, 28), guests[i].nr_cpus > 1);
		assert_int_equal(leaf->edx | 1 << 28, 0xffffffff);
		assert_int_equal(leaf->eax, 0x000906ea);
	}
}

static void leaf_1_shows_a_hypervisor_and_the_timer_that_kvm_has(void **state)
{
	(void)state;
	start_cpu(0, 1);
	assert_int_equal(guest_has(1, 0)->ecx, 1u << 31);
	kvm.tsc_deadline = 1;
	start_cpu(0, 1);
	assert_int_equal(guest_has(1, 0)->ecx, 1u << 31 | 1u << 24);
}

static void inner_caches_belong_to_a_core_and_the_last_to_all(void **state)
{
	static const u32 leaves[][2] = {
		{ 4, 0 }, { 4, 1 }, { 4, 2 }, { 0x8000001d, 0 }, { 0x8000001d, 1 }
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		start_cpu(0, guests[i].nr_cpus);
		for (u32 j = 0; j < ARRAY_SIZE(leaves); j++) {
			const struct kvm_cpuid_entry2 *cache =
				guest_has(leaves[j][0], leaves[j][1]);
			bool last = bits(cache->eax, 7, 5) == 3;

			assert_int_equal(bits(cache->eax, 25, 14),
					 last ? guests[i].nr_cpus - 1 : 0);
			assert_int_equal(bits(cache->eax, 13, 8), 1);
			assert_int_equal(cache->ebx, 0x01c0003f);
		}
	}
}

static void the_core_count_of_leaf_4_is_a_power_of_two_and_bounded(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		u32 ids = 1u << guests[i].nr_bits;

		start_cpu(0, guests[i].nr_cpus);
		assert_int_equal(bits(guest_has(4, 0)->eax, 31, 26), MIN(ids, 64u) - 1);
		assert_int_equal(bits(guest_has(0x8000001d, 0)->eax, 31, 26), 0);
	}
}

static void the_end_of_the_caches_stays_the_end(void **state)
{
	(void)state;
	start_cpu(0, 254);
	assert_int_equal(guest_has(4, 3)->eax, 0);
}

static void the_energy_bias_whose_register_is_not_there_does_not_show(void **state)
{
	(void)state;
	start_cpu(0, 1);
	assert_int_equal(guest_has(6, 0)->ecx, 0xfffffff7);
	assert_int_equal(guest_has(6, 0)->eax, 4);
}

/* --- AMD's leaves ----------------------------------------------------------------------------- */

static void amd_s_leaves_count_cores_and_their_bits(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		u32 nr_cpus = guests[i].nr_cpus;

		start_cpu(0, nr_cpus);
		assert_int_equal(bits(guest_has(0x80000008, 0)->ecx, 7, 0), nr_cpus - 1);
		assert_int_equal(bits(guest_has(0x80000008, 0)->ecx, 15, 12), guests[i].nr_bits);
		assert_int_equal(guest_has(0x80000008, 0)->eax, 0x3030);
		assert_int_equal(guest_has(0x80000001, 0)->ecx, nr_cpus > 1 ? 0x123 : 0x121);
	}
}

static void amd_s_compute_units_have_one_thread_on_one_node(void **state)
{
	const struct kvm_cpuid_entry2 *leaf;

	(void)state;
	start_cpu(3, 4);
	leaf = guest_has(0x8000001e, 0);
	assert_int_equal(leaf->eax, 3);
	assert_int_equal(leaf->ebx, 3);
	assert_int_equal(leaf->ecx, 0);
}

/* --- What is withheld ------------------------------------------------------------------------- */

static void enclaves_are_never_offered(void **state)
{
	const struct kvm_cpuid_entry2 *enclaves;

	(void)state;
	start_cpu(0, 1);
	assert_int_equal(guest_has(7, 0)->ebx, 0xfffffffb);
	assert_int_equal(guest_has(7, 1)->ebx, 0xffffffff);
	enclaves = guest_has(0x12, 0);
	assert_int_equal(enclaves->eax | enclaves->ebx | enclaves->ecx | enclaves->edx, 0);
}

/* Tests are built with every symbol chosen. */
static void what_the_build_chose_is_offered_where_the_host_has_it(void **state)
{
	const u32 chosen = 1u << 5 | 1u << 15; /* VMX, PDCM */

	(void)state;
	start_cpu(0, 1);
	assert_int_equal(guest_has(1, 0)->ecx & chosen, 0);
	assert_int_equal(guest_has(0xa, 0)->eax, 0x08300802);
	kvm.host[1].ecx = chosen;
	start_cpu(0, 1);
	assert_int_equal(guest_has(1, 0)->ecx & chosen, chosen);
}

/* --- All of it -------------------------------------------------------------------------------- */

static void other_leaves_pass_as_kvm_supports_them(void **state)
{
	static const u32 others[] = { 0, 0x40000000 };

	(void)state;
	start_cpu(1, 2);
	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		assert_memory_equal(guest_has(others[i], 0),
				    find(kvm.host, kvm.nr_host, others[i], 0),
				    sizeof(struct kvm_cpuid_entry2));
}

static void a_full_table_is_not_overrun(void **state)
{
	(void)state;
	for (u32 i = 0; i < kvm.nr_host; i++) /* ours are more than what goes */
		if (kvm.host[i].function == 0x1f || kvm.host[i].function == LEAF_TOPOLOGY)
			kvm.host[i].function = 0x90000000;
	kvm.host[0].function = LEAF_TOPOLOGY;
	while (kvm.nr_host < ENTRIES_MAX)
		host_has(0x90000000 + kvm.nr_host, 0, 1, 2, 3, 4);
	start_cpu(0, 2); /* the sanitizer watches */
	assert_int_equal(kvm.nr_guest, ENTRIES_MAX);
	guest_has(0x90000000 + ENTRIES_MAX - 1, 0);
}

static void what_kvm_refuses_is_told(void **state)
{
	struct kvm_vcpu cpu = { .index = 0 };
	struct kvm_vm vm = { .kvm_fd = -1 };
	struct err e = { 0 };

	(void)state;
	kvm.set_status = -EINVAL;
	assert_int_equal(cpuid_setup(&vm, &cpu, 1, &e), -EINVAL);
	assert_string_equal(e.text, "refused");
	kvm.get_errno = E2BIG;
	assert_int_equal(cpuid_setup(&vm, &cpu, 1, &e), -E2BIG);
	assert_string_equal(e.text, "KVM_GET_SUPPORTED_CPUID: Argument list too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup(test, setup)
		T(the_topology_is_one_package_of_cores_with_one_thread),
		T(every_level_of_the_topology_names_the_cpu_and_its_subleaf),
		T(the_host_s_own_topology_does_not_show),
		T(a_host_without_the_topology_leaf_gives_none),
		T(leaf_1_counts_cpus_and_keeps_the_cache_line),
		T(leaf_1_shows_a_hypervisor_and_the_timer_that_kvm_has),
		T(inner_caches_belong_to_a_core_and_the_last_to_all),
		T(the_core_count_of_leaf_4_is_a_power_of_two_and_bounded),
		T(the_end_of_the_caches_stays_the_end),
		T(the_energy_bias_whose_register_is_not_there_does_not_show),
		T(amd_s_leaves_count_cores_and_their_bits),
		T(amd_s_compute_units_have_one_thread_on_one_node),
		T(enclaves_are_never_offered),
		T(what_the_build_chose_is_offered_where_the_host_has_it),
		T(other_leaves_pass_as_kvm_supports_them),
		T(a_full_table_is_not_overrun),
		T(what_kvm_refuses_is_told),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
