// SPDX-License-Identifier: BSD-3-Clause
// What guests do to reset through port 0xcf9.
// test-sources: drivers/isa/reset_cf9/reset_cf9.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fake_machine.h"

enum { PORT = 0xcf9 };

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "reset-cf9", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

static void acpis_single_write_resets(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, 0x06);
	assert_true(fm_saw(fm, DEV_EVENT_RESET, 0));
}

static void linuxs_two_writes_reset_once(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, fm_inb(fm, PORT) | 0x02);
	assert_int_equal(fm_events(fm), 0);
	fm_outb(fm, PORT, 0x0e);
	assert_true(fm_saw(fm, DEV_EVENT_RESET, 0));
}

static void only_the_rise_of_the_bit_counts(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, 0x04);
	fm_outb(fm, PORT, 0x06);
	assert_int_equal(fm_events(fm), 1);
	fm_outb(fm, PORT, 0x02);
	fm_outb(fm, PORT, 0x06);
	assert_int_equal(fm_events(fm), 2);
}

static void the_register_keeps_its_three_bits(void **state)
{
	struct fake_machine *fm = *state;

	assert_int_equal(fm_inb(fm, PORT), 0x00);
	fm_outb(fm, PORT, 0xfb);
	assert_int_equal(fm_inb(fm, PORT), 0x0a);
	fm->devices[0]->cls->reset(fm->devices[0]);
	assert_int_equal(fm_inb(fm, PORT), 0x00);
}

static void wide_accesses_are_not_ours(void **state)
{
	struct fake_machine *fm = *state;

	fm_out(fm, PORT, 0x0606, 2); /* 0xcf8 and up wide is PCI configuration */
	fm_out(fm, PORT - 1, 0x06060606, 4);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(fm_in(fm, PORT, 2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(acpis_single_write_resets),       T(linuxs_two_writes_reset_once),
		T(only_the_rise_of_the_bit_counts), T(the_register_keeps_its_three_bits),
		T(wide_accesses_are_not_ours),
	};

	return cmocka_run_group_tests_name("reset_cf9", tests, NULL, NULL);
}
