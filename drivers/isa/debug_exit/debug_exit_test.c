// SPDX-License-Identifier: BSD-3-Clause
// Exit codes that a guest chooses.
// test-sources: drivers/isa/debug_exit/debug_exit.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fake_machine.h"

enum { PORT = 0xf4 };

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "debug-exit", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

static void a_write_of_any_width_is_an_odd_exit_code(void **state)
{
	static const struct {
		u32 value, len, code;
	} writes[] = {
		{ 0x00, 1, 0x01 },   { 0x10, 1, 0x21 },       { 0xff, 1, 0xff },
		{ 0x1234, 2, 0x69 }, { 0x80000001, 4, 0x03 },
	};
	struct fake_machine *fm = *state;

	for (u32 i = 0; i < ARRAY_SIZE(writes); i++) {
		fm->nr_events = 0;
		fm_out(fm, PORT, writes[i].value, writes[i].len);
		assert_true(fm_saw(fm, DEV_EVENT_EXIT_CODE, writes[i].code));
	}
}

static void reads_and_writes_beside_it_do_nothing(void **state)
{
	struct fake_machine *fm = *state;

	assert_int_equal(fm_inb(fm, PORT), 0);
	fm_outb(fm, PORT + 1, 1);
	fm_out(fm, PORT - 1, 1, 4);
	assert_int_equal(fm_events(fm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_write_of_any_width_is_an_odd_exit_code),
		T(reads_and_writes_beside_it_do_nothing),
	};

	return cmocka_run_group_tests_name("debug_exit", tests, NULL, NULL);
}
