// SPDX-License-Identifier: BSD-3-Clause
// ACPI fixed hardware as ACPICA uses it.
// test-sources: drivers/acpi/pm/pm.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dev/acpi_pm.h"
#include "tests/lib/fake_machine.h"

enum {
	STATUS = ACPI_PM1_EVT_PORT,
	ENABLE = ACPI_PM1_EVT_PORT + 2,
	CONTROL = ACPI_PM1_CNT_PORT,
	SLP_EN = 1 << 13,
	PWRBTN = 1 << 8,
};

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "acpi-pm", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

static void sleeping_in_s5_powers_off(void **state)
{
	struct fake_machine *fm = *state;

	/* As ACPICA does it: type first, then both. */
	fm_out(fm, CONTROL, ACPI_S5_SLP_TYP << 10, 2);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(fm_in(fm, CONTROL, 2), ACPI_S5_SLP_TYP << 10 | 1);
	fm_out(fm, CONTROL, ACPI_S5_SLP_TYP << 10 | SLP_EN, 2);
	assert_true(fm_saw(fm, DEV_EVENT_POWER_OFF, 0));
	assert_int_equal(fm_in(fm, CONTROL, 2) & SLP_EN, 0);
}

static void the_high_byte_alone_powers_off_too(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, CONTROL + 1, (ACPI_S5_SLP_TYP << 10 | SLP_EN) >> 8);
	assert_true(fm_saw(fm, DEV_EVENT_POWER_OFF, 0));
}

static void other_sleep_types_are_ignored(void **state)
{
	struct fake_machine *fm = *state;

	for (u32 type = 0; type < 8; type++)
		if (type != ACPI_S5_SLP_TYP)
			fm_out(fm, CONTROL, type << 10 | SLP_EN, 2);
	assert_int_equal(fm_events(fm), 0);
}

static void the_machine_is_always_in_acpi_mode(void **state)
{
	struct fake_machine *fm = *state;

	assert_int_equal(fm_in(fm, CONTROL, 2), 1);
	fm_out(fm, CONTROL, 0, 2);
	assert_int_equal(fm_inb(fm, CONTROL), 1);
	assert_int_equal(fm_inb(fm, CONTROL + 1), 0);
}

static void enable_bits_read_back_as_acpica_checks_them(void **state)
{
	struct fake_machine *fm = *state;

	fm_out(fm, ENABLE, 0xffff, 2);
	assert_int_equal(fm_in(fm, ENABLE, 2), 0x4720);
	fm_outb(fm, ENABLE + 1, 0x01);
	assert_int_equal(fm_in(fm, ENABLE, 2), 0x0120);
	assert_int_equal(fm_in(fm, STATUS, 4), 0x01200000);
	assert_false(fm_irq(fm, ACPI_SCI_GSI));
}

static void the_power_button_raises_the_sci_until_it_is_acknowledged(void **state)
{
	struct fake_machine *fm = *state;
	struct dev *pm = fm->devices[0];

	pm->cls->power_button(pm);
	assert_int_equal(fm_in(fm, STATUS, 2), PWRBTN);
	assert_false(fm_irq(fm, ACPI_SCI_GSI));
	fm_out(fm, ENABLE, PWRBTN, 2);
	assert_true(fm_irq(fm, ACPI_SCI_GSI));
	fm_out(fm, STATUS, (u16)~PWRBTN, 2); /* zeros keep */
	assert_true(fm_irq(fm, ACPI_SCI_GSI));
	fm_out(fm, STATUS, PWRBTN, 2); /* a one clears */
	assert_false(fm_irq(fm, ACPI_SCI_GSI));
	assert_int_equal(fm_in(fm, STATUS, 2), 0);
}

static void reset_releases_the_sci(void **state)
{
	struct fake_machine *fm = *state;
	struct dev *pm = fm->devices[0];

	fm_out(fm, ENABLE, PWRBTN, 2);
	pm->cls->power_button(pm);
	assert_true(fm_irq(fm, ACPI_SCI_GSI));
	pm->cls->reset(pm);
	assert_false(fm_irq(fm, ACPI_SCI_GSI));
	assert_int_equal(fm_in(fm, STATUS, 4), 0);
}

static void accesses_across_a_blocks_end_reach_nobody(void **state)
{
	struct fake_machine *fm = *state;

	fm_out(fm, CONTROL, ACPI_S5_SLP_TYP << 10 | SLP_EN, 4);
	fm_out(fm, CONTROL + 1, 0xffff, 2);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(fm_in(fm, CONTROL, 4), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(sleeping_in_s5_powers_off),
		T(the_high_byte_alone_powers_off_too),
		T(other_sleep_types_are_ignored),
		T(the_machine_is_always_in_acpi_mode),
		T(enable_bits_read_back_as_acpica_checks_them),
		T(the_power_button_raises_the_sci_until_it_is_acknowledged),
		T(reset_releases_the_sci),
		T(accesses_across_a_blocks_end_reach_nobody),
	};

	return cmocka_run_group_tests_name("acpi_pm", tests, NULL, NULL);
}
