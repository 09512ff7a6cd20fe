// SPDX-License-Identifier: BSD-3-Clause
// Interrupt routes, with a KVM that refuses what the test says.
// test-sources: src/kvm/event.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "kvm/arch.h"
#include "kvm/event.h"

enum { NR_LINES = 24, REFUSED_HIGH = 0xff };

/* What the kernel has, and how often it was asked. */
static struct {
	u32 nr_calls, nr;
	struct kvm_irq_routing_entry entries[KVM_ROUTES_MAX];
} kernel;

u32 arch_irq_lines(void)
{
	return NR_LINES;
}

u32 arch_irq_routes(struct kvm_irq_routing_entry *routes, u32 max)
{
	assert_true(max >= NR_LINES);
	for (u32 i = 0; i < NR_LINES; i++)
		routes[i] = (struct kvm_irq_routing_entry){ .gsi = i };
	return NR_LINES;
}

/* In libc's place: a table with a refused address in any entry is refused as a whole. */
int ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_irq_routing *table;
	va_list args;

	(void)fd;
	assert_true(request == KVM_SET_GSI_ROUTING);
	va_start(args, request);
	table = va_arg(args, const struct kvm_irq_routing *);
	va_end(args);
	kernel.nr_calls++;
	assert_true(table->nr <= KVM_ROUTES_MAX);
	for (u32 i = 0; i < table->nr; i++)
		if (table->entries[i].u.msi.address_hi == REFUSED_HIGH) {
			errno = EINVAL;
			return -1;
		}
	kernel.nr = table->nr;
	memcpy(kernel.entries, table->entries, table->nr * sizeof(table->entries[0]));
	return 0;
}

static struct kvm_routes routes;
static struct kvm_vm vm;

static int setup(void **state)
{
	(void)state;
	memset(&routes, 0, sizeof(routes));
	memset(&kernel, 0, sizeof(kernel));
	kvm_routes_init(&routes);
	return 0;
}

static int set(int gsi, u64 addr, u32 data)
{
	const struct msi_message msg = { .addr = addr, .data = data };

	return kvm_routes_set_msi(&vm, &routes, (u32)gsi, &msg);
}

static const struct kvm_irq_routing_entry *route_of(int gsi)
{
	for (u32 i = 0; i < kernel.nr; i++)
		if (kernel.entries[i].gsi == (u32)gsi)
			return &kernel.entries[i];
	return NULL;
}

static void a_source_sends_what_it_was_told_last(void **state)
{
	int first = kvm_routes_add_msi(&routes), second = kvm_routes_add_msi(&routes);

	(void)state;
	assert_int_equal(set(second, 0xfee01000, 0x41), 0);
	assert_int_equal(set(first, 0xfee00000, 0x31), 0);
	assert_int_equal(set(second, 0xfee02000, 0x42), 0);
	assert_int_equal(kernel.nr, NR_LINES + 2);
	assert_int_equal(route_of(first)->u.msi.data, 0x31);
	assert_int_equal(route_of(second)->u.msi.data, 0x42);
	assert_int_equal(route_of(second)->u.msi.address_lo, 0xfee02000);
}

static void a_message_that_kvm_refuses_leaves_the_others_alone(void **state)
{
	int bad = kvm_routes_add_msi(&routes), good = kvm_routes_add_msi(&routes);

	(void)state;
	assert_int_equal(set(bad, (u64)REFUSED_HIGH << 32, 1), -EINVAL);
	assert_int_equal(set(good, 0xfee00000, 0x31), 0);
	assert_int_equal(kernel.nr, NR_LINES + 1);
	assert_null(route_of(bad));
}

static void a_source_keeps_its_message_when_kvm_refuses_another(void **state)
{
	int gsi = kvm_routes_add_msi(&routes);

	(void)state;
	assert_int_equal(set(gsi, 0xfee00000, 0x31), 0);
	assert_int_equal(set(gsi, (u64)REFUSED_HIGH << 32, 0x32), -EINVAL);
	assert_int_equal(set(kvm_routes_add_msi(&routes), 0xfee00000, 0x33), 0);
	assert_int_equal(route_of(gsi)->u.msi.data, 0x31);
}

static void lines_and_sources_that_nobody_reserved_have_no_message(void **state)
{
	int gsi = kvm_routes_add_msi(&routes);

	(void)state;
	assert_int_equal(set(NR_LINES - 1, 0xfee00000, 1), -EINVAL);
	assert_int_equal(set(gsi + 1, 0xfee00000, 1), -EINVAL);
	assert_int_equal(set(-1, 0xfee00000, 1), -EINVAL);
	assert_int_equal(kernel.nr_calls, 0);
}

static void there_are_so_many_sources_and_no_more(void **state)
{
	(void)state;
	for (u32 i = 0; i < MSI_ROUTES_MAX; i++)
		assert_int_equal(set(kvm_routes_add_msi(&routes), 0xfee00000, i), 0);
	assert_int_equal(kvm_routes_add_msi(&routes), -ENOSPC);
	assert_int_equal(kernel.nr, NR_LINES + MSI_ROUTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup(test, setup)
		T(a_source_sends_what_it_was_told_last),
		T(a_message_that_kvm_refuses_leaves_the_others_alone),
		T(a_source_keeps_its_message_when_kvm_refuses_another),
		T(lines_and_sources_that_nobody_reserved_have_no_message),
		T(there_are_so_many_sources_and_no_more),
	};

	return cmocka_run_group_tests_name("kvm events", tests, NULL, NULL);
}
