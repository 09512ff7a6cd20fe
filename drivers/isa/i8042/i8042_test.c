// SPDX-License-Identifier: BSD-3-Clause
// The keyboard controller, probed as Linux does it, and the ways to reset.
// test-sources: drivers/isa/i8042/i8042.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fake_machine.h"

enum { DATA = 0x60, COMMAND = 0x64, KBD_GSI = 1 };
enum { OBF = 0x01, IBF = 0x02, AUX = 0x20, TIMEOUT = 0x40 };

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "i8042", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

/* A command as Linux gives it; `parameter` -1 for none. Return: the reply, or -1 for none. */
static int command(struct fake_machine *fm, u8 code, int parameter)
{
	assert_int_equal(fm_inb(fm, COMMAND) & IBF, 0);
	fm_outb(fm, COMMAND, code);
	if (parameter >= 0)
		fm_outb(fm, DATA, (u8)parameter);
	return fm_inb(fm, COMMAND) & OBF ? fm_inb(fm, DATA) : -1;
}

static void there_is_a_controller_and_it_is_not_locked(void **state)
{
	struct fake_machine *fm = *state;

	assert_int_equal(fm_inb(fm, COMMAND) & OBF, 0); /* all ones would be no controller */
	assert_int_equal(fm_inb(fm, COMMAND) & 0x10, 0x10);
	assert_int_equal(command(fm, 0xaa, -1), 0x55);
	assert_int_equal(command(fm, 0xab, -1), 0x00);
}

static void the_command_byte_is_kept_but_for_the_mouse(void **state)
{
	struct fake_machine *fm = *state;
	int first = command(fm, 0x20, -1);

	assert_int_equal(first, command(fm, 0x20, -1)); /* Linux wants it stable */
	assert_int_equal(first & 0x40, 0x40);           /* translating, as firmware leaves it */
	assert_int_equal(command(fm, 0x60, 0x50), -1);
	assert_int_equal(command(fm, 0x20, -1), 0x70); /* the auxiliary port stays disabled */
	command(fm, 0xa8, -1);
	assert_int_equal(command(fm, 0x20, -1) & 0x20, 0x20);
	command(fm, 0xae, -1);
	assert_int_equal(command(fm, 0x20, -1) & 0x10, 0x00);
	command(fm, 0xad, -1);
	assert_int_equal(command(fm, 0x20, -1) & 0x10, 0x10);
}

static void linux_concludes_at_once_that_there_is_no_mouse(void **state)
{
	struct fake_machine *fm = *state;

	/* AUX_LOOP's answer is there (no waiting for it) but not the mouse's: so it failed. */
	fm_outb(fm, COMMAND, 0xd3);
	fm_outb(fm, DATA, 0x5a);
	assert_int_equal(fm_inb(fm, COMMAND) & (OBF | AUX), OBF);
	/* Then AUX_TEST decides: 0x00, 0xfa and 0xff would mean that there is one. */
	assert_int_equal(command(fm, 0xa9, -1), 0x01);
	assert_int_equal(fm_inb(fm, COMMAND) & OBF, 0);
}

static void a_keyboards_driver_gives_up_on_the_first_answer(void **state)
{
	struct fake_machine *fm = *state;

	command(fm, 0x60, 0x41);      /* interrupt 1 on, keyboard on */
	for (int i = 0; i < 2; i++) { /* GETID, sent twice */
		assert_false(fm_irq(fm, KBD_GSI));
		fm_outb(fm, DATA, 0xf2);
		assert_true(fm_irq(fm, KBD_GSI));
		assert_int_equal(fm_inb(fm, COMMAND) & (OBF | AUX | TIMEOUT), OBF | TIMEOUT);
		assert_int_equal(fm_inb(fm, DATA), 0xfe);
	}
	assert_false(fm_irq(fm, KBD_GSI));
	assert_int_equal(fm_rises(fm, KBD_GSI), 2);
}

static void without_its_interrupt_bit_the_line_stays_low(void **state)
{
	struct fake_machine *fm = *state;

	command(fm, 0x60, 0x40);
	fm_outb(fm, DATA, 0xff);
	assert_int_equal(fm_inb(fm, COMMAND) & OBF, OBF);
	assert_false(fm_irq(fm, KBD_GSI));
}

static void a_mouse_that_is_written_to_does_not_answer_either(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, COMMAND, 0xd4);
	fm_outb(fm, DATA, 0xf2);
	assert_int_equal(fm_inb(fm, COMMAND) & (OBF | AUX | TIMEOUT), OBF | AUX | TIMEOUT);
	assert_int_equal(fm_inb(fm, DATA), 0xfe);
	assert_false(fm_irq(fm, KBD_GSI));
}

static void the_reset_pulse_resets(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, COMMAND, 0xfe);
	assert_true(fm_saw(fm, DEV_EVENT_RESET, 0));
}

static void every_pulse_with_the_reset_line_resets_and_no_other(void **state)
{
	struct fake_machine *fm = *state;

	for (u32 code = 0xf0; code <= 0xff; code++) {
		fm->nr_events = 0;
		fm_outb(fm, COMMAND, (u8)code);
		assert_int_equal(fm_events(fm), !(code & 1));
	}
}

static void the_output_port_resets_by_its_lowest_bit(void **state)
{
	struct fake_machine *fm = *state;

	command(fm, 0xd1, 0xdf);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(command(fm, 0xd0, -1), 0xdf);
	command(fm, 0xd1, 0xde);
	assert_true(fm_saw(fm, DEV_EVENT_RESET, 0));
}

static void the_a20_gate_is_accepted_and_changes_nothing_else(void **state)
{
	struct fake_machine *fm = *state;

	command(fm, 0xdd, -1);
	assert_int_equal(command(fm, 0xd0, -1) & 0x03, 0x01);
	command(fm, 0xdf, -1);
	assert_int_equal(command(fm, 0xd0, -1) & 0x03, 0x03);
	assert_int_equal(fm_events(fm), 0);
}

static void the_controllers_memory_is_thirty_two_bytes(void **state)
{
	struct fake_machine *fm = *state;

	for (u32 i = 1; i < 32; i++)
		command(fm, (u8)(0x60 + i), (int)(i * 7 & 0xff));
	for (u32 i = 1; i < 32; i++)
		assert_int_equal(command(fm, (u8)(0x20 + i), -1), i * 7 & 0xff);
	assert_int_equal(command(fm, 0x40, -1), -1); /* between the two: not a command */
	assert_int_equal(command(fm, 0x20, -1) & 0x40, 0x40);
}

static void a_command_between_command_and_parameter_wins(void **state)
{
	struct fake_machine *fm = *state;
	int before = command(fm, 0x20, -1);

	fm_outb(fm, COMMAND, 0x60);
	assert_int_equal(command(fm, 0xaa, -1), 0x55);
	fm_outb(fm, DATA, 0x00); /* now for the keyboard */
	assert_int_equal(fm_inb(fm, DATA), 0xfe);
	assert_int_equal(command(fm, 0x20, -1) & 0x60, before & 0x60);
}

static void the_port_between_is_the_timers(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, COMMAND, 0xd1);
	fm_out(fm, DATA, 0x0000, 2); /* 0x60 and 0x61 */
	fm_outb(fm, 0x61, 0x00);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(fm_inb(fm, 0x61), 0xff);
	assert_int_equal(fm_in(fm, COMMAND, 2), 0xffff);
}

static void reset_releases_the_interrupt(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, DATA, 0xf4);
	assert_true(fm_irq(fm, KBD_GSI));
	fm_outb(fm, COMMAND, 0x60);
	fm->devices[0]->cls->reset(fm->devices[0]);
	assert_false(fm_irq(fm, KBD_GSI));
	assert_int_equal(fm_inb(fm, COMMAND) & OBF, 0);
	fm_outb(fm, DATA, 0x00); /* no longer the command byte's parameter */
	assert_int_equal(fm_inb(fm, DATA), 0xfe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(there_is_a_controller_and_it_is_not_locked),
		T(the_command_byte_is_kept_but_for_the_mouse),
		T(linux_concludes_at_once_that_there_is_no_mouse),
		T(a_keyboards_driver_gives_up_on_the_first_answer),
		T(without_its_interrupt_bit_the_line_stays_low),
		T(a_mouse_that_is_written_to_does_not_answer_either),
		T(the_reset_pulse_resets),
		T(every_pulse_with_the_reset_line_resets_and_no_other),
		T(the_output_port_resets_by_its_lowest_bit),
		T(the_a20_gate_is_accepted_and_changes_nothing_else),
		T(the_controllers_memory_is_thirty_two_bytes),
		T(a_command_between_command_and_parameter_wins),
		T(the_port_between_is_the_timers),
		T(reset_releases_the_interrupt),
	};

	return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}
