// SPDX-License-Identifier: BSD-3-Clause
// The PCI root as a guest sees it through its ports and its ECAM window.
// test-sources: drivers/pci/root/root.c src/pci/pci.c src/bus/bus.c src/dev/dev_class.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c src/util/opt.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "dev/dev_class.h"
#include "pci/pci.h"
#include "tests/lib/fake_machine.h"

enum { ECAM_GPA = 0xe0000000, WINDOW_GPA = 0xc0000000, BRIDGE_ID = 0x00081b36 };

static u64 mmio_read(struct fake_machine *m, u64 addr, u32 len)
{
	u64 value = 0;

	bus_read(&m->mmio, addr, &value, len);
	return value;
}

static u64 one_read(void *opaque, u64 offset, u32 len)
{
	(void)opaque;
	(void)len;
	return offset;
}

static void one_write(void *opaque, u64 offset, u32 len, u64 value)
{
	(void)opaque;
	(void)offset;
	(void)len;
	(void)value;
}

static void select_register(struct fake_machine *m, u32 slot, u32 reg)
{
	fm_out(m, 0xcf8, 0x80000000u | slot << 11 | reg, 4);
}

static int set_up(void **state)
{
	static struct fake_machine machine;

	fm_create(&machine);
	machine.host.ecam_gpa = ECAM_GPA;
	machine.host.pci_window_gpa = WINDOW_GPA;
	machine.host.pci_window_bytes = 0x10000;
	fm_add(&machine, "pci-root", 0, NULL, NULL);
	*state = &machine;
	return 0;
}

static int tear_down(void **state)
{
	fm_destroy(*state);
	return 0;
}

static void both_ways_find_the_host_bridge(void **state)
{
	select_register(*state, 0, 0);
	assert_int_equal(fm_in(*state, 0xcfc, 4), BRIDGE_ID);
	assert_int_equal(mmio_read(*state, ECAM_GPA, 4), BRIDGE_ID);
	select_register(*state, 0, 8);
	assert_int_equal(fm_in(*state, 0xcfe, 2), 0x0600);
}

static void an_empty_slot_reads_all_ones(void **state)
{
	select_register(*state, 5, 0);
	assert_int_equal(fm_in(*state, 0xcfc, 4), 0xffffffff);
	assert_int_equal(mmio_read(*state, ECAM_GPA + (5 << 15), 4), 0xffffffff);
	assert_int_equal(mmio_read(*state, ECAM_GPA + (1 << 12), 2), 0xffff);
}

static void the_address_register_keeps_what_was_written_and_ignores_bytes(void **state)
{
	fm_out(*state, 0xcf8, 0xffffffff, 4);
	assert_int_equal(fm_in(*state, 0xcf8, 4), 0x80fffffc);
	fm_out(*state, 0xcfb, 0, 1);
	assert_int_equal(fm_in(*state, 0xcf8, 4), 0x80fffffc);
}

static void a_disabled_address_or_another_bus_selects_nothing(void **state)
{
	fm_out(*state, 0xcf8, 0, 4);
	assert_int_equal(fm_in(*state, 0xcfc, 4), 0xffffffff);
	fm_out(*state, 0xcf8, 0x80010000, 4);
	assert_int_equal(fm_in(*state, 0xcfc, 4), 0xffffffff);
}

static void a_guest_cannot_change_the_bridge(void **state)
{
	select_register(*state, 0, 0);
	fm_out(*state, 0xcfc, 0, 4);
	assert_int_equal(fm_in(*state, 0xcfc, 4), BRIDGE_ID);
}

static void accesses_across_a_dword_or_of_odd_sizes_read_all_ones(void **state)
{
	assert_int_equal(mmio_read(*state, ECAM_GPA + 3, 2), 0xffff);
	assert_true(mmio_read(*state, ECAM_GPA, 8) == ~0ull);
	assert_int_equal(mmio_read(*state, ECAM_GPA + 1, 3), 0xffffff);
	assert_int_equal(mmio_read(*state, ECAM_GPA + 256, 4), 0);
}

static void bars_answer_in_the_machine_s_window(void **state)
{
	static const struct bus_ops ops = { .read = one_read, .write = one_write };
	static struct pci_function function;
	const struct pci_ids ids = { .vendor = 1 };
	struct fake_machine *m = *state;

	pci_function_init(&function, &ids, NULL);
	pci_add_bar(&function, 0, 4096, false, &ops, NULL);
	assert_int_equal(pci_bus_add(m->host.pci, PCI_SLOT_NEXT, &function), 0);
	assert_int_equal(function.slot, 1);
	assert_int_equal(mmio_read(m, WINDOW_GPA + 8, 4), 0xffffffff);
	select_register(m, 1, PCI_COMMAND);
	fm_out(m, 0xcfc, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(mmio_read(m, WINDOW_GPA + 8, 4), 8);
	assert_int_equal(mmio_read(m, WINDOW_GPA + 4096, 4), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_ways_find_the_host_bridge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_empty_slot_reads_all_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_address_register_keeps_what_was_written_and_ignores_bytes, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_disabled_address_or_another_bus_selects_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_guest_cannot_change_the_bridge, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			accesses_across_a_dword_or_of_odd_sizes_read_all_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bars_answer_in_the_machine_s_window, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
