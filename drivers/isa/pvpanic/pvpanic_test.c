// SPDX-License-Identifier: BSD-3-Clause
// Panics as Linux's pvpanic driver reports them.
// test-sources: drivers/isa/pvpanic/pvpanic.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fake_machine.h"

enum { PORT = 0x505 };

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "pvpanic", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

static void a_read_tells_the_events_we_understand(void **state)
{
	assert_int_equal(fm_inb(*state, PORT), 0x03);
}

static void a_panic_is_an_event(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, 0x01);
	assert_true(fm_saw(fm, DEV_EVENT_PANIC, 0));
}

static void a_panic_with_a_crash_kernel_is_another(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, 0x02);
	assert_true(fm_saw(fm, DEV_EVENT_CRASH_LOADED, 0));
}

static void unknown_events_are_ignored(void **state)
{
	struct fake_machine *fm = *state;

	fm_outb(fm, PORT, 0xfc);
	fm_outb(fm, PORT, 0x00);
	assert_int_equal(fm_events(fm), 0);
}

static void one_byte_is_all_there_is(void **state)
{
	struct fake_machine *fm = *state;

	fm_out(fm, PORT, 0x0101, 2);
	fm_outb(fm, PORT + 1, 0x01);
	assert_int_equal(fm_events(fm), 0);
	assert_int_equal(fm_in(fm, PORT, 2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_read_tells_the_events_we_understand),
		T(a_panic_is_an_event),
		T(a_panic_with_a_crash_kernel_is_another),
		T(unknown_events_are_ignored),
		T(one_byte_is_all_there_is),
	};

	return cmocka_run_group_tests_name("pvpanic", tests, NULL, NULL);
}
