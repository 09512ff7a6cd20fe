// SPDX-License-Identifier: BSD-3-Clause
// The real-time clock as kernels read, set and arm it, with a clock that the test moves.
// test-sources: drivers/isa/cmos_rtc/cmos_rtc.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/fake_machine.h"

enum {
	INDEX = 0x70,
	DATA = 0x71,
	GSI = 8,
	A = 0x0a,
	B = 0x0b,
	C = 0x0c,
	D = 0x0d,
	CENTURY = 0x32,
	UIP = 0x80,
	SET = 0x80,
	PIE = 0x40,
	AIE = 0x20,
	UIE = 0x10,
	BINARY = 0x04,
	HOURS_24 = 0x02,
	DIVIDER_RESET = 0x70,
	NMI_MASK = 0x80,
};

#define SECOND_NS 1000000000ull

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	fm_add(fm, "cmos-rtc", 0, NULL, NULL);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

static u8 get(struct fake_machine *fm, u8 reg)
{
	fm_outb(fm, INDEX, reg);
	return fm_inb(fm, DATA);
}

static void put(struct fake_machine *fm, u8 reg, u8 value)
{
	fm_outb(fm, INDEX, reg);
	fm_outb(fm, DATA, value);
}

/* "YYYY-MM-DD hh:mm:ss weekday" as a kernel in BCD and 24-hour mode reads it. */
static const char *clock_text(struct fake_machine *fm)
{
	static char text[40];

	snprintf(text, sizeof(text), "%02x%02x-%02x-%02x %02x:%02x:%02x %x", get(fm, CENTURY),
		 get(fm, 9), get(fm, 8), get(fm, 7), get(fm, 4), get(fm, 2), get(fm, 0),
		 get(fm, 6));
	return text;
}

/* As Linux sets it: clock stopped, divider in reset, fields, and on again. */
static void set_clock(struct fake_machine *fm, const u8 fields[7])
{
	static const u8 regs[7] = { CENTURY, 9, 8, 7, 4, 2, 0 };
	u8 b = get(fm, B), a = get(fm, A);

	put(fm, B, b | SET);
	put(fm, A, a | DIVIDER_RESET);
	for (int i = 0; i < 7; i++)
		put(fm, regs[i], fields[i]);
	put(fm, B, b);
	put(fm, A, a);
}

/* --- Reading --------------------------------------------------------------------------------- */

static void the_time_of_day_is_the_hosts(void **state)
{
	struct fake_machine *fm = *state;

	assert_string_equal(clock_text(fm), "2024-02-29 12:34:56 5"); /* a Thursday */
	fm->realtime_ns += 86400 * SECOND_NS;
	assert_string_equal(clock_text(fm), "2024-03-01 12:34:56 6");
}

static void every_day_of_four_centuries_agrees_with_the_c_library(void **state)
{
	struct fake_machine *fm = *state;
	char text[40];

	for (time_t t = 43200; t < 400ll * 366 * 86400; t += 86400 * 13) {
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S ", &tm);
		fm->realtime_ns = (u64)t * SECOND_NS;
		snprintf(text + 20, sizeof(text) - 20, "%d", tm.tm_wday + 1);
		assert_string_equal(clock_text(fm), text);
	}
}

static void the_update_bit_is_never_stuck(void **state)
{
	struct fake_machine *fm = *state;
	u64 start_ns = fm->realtime_ns;
	u32 set = 0;

	for (u32 us = 0; us < 1000000; us += 50) {
		fm->realtime_ns = start_ns + us * 1000ull;
		set += (get(fm, A) & UIP) != 0;
	}
	assert_int_equal(set, 4); /* 244 us before the second ends */
	fm->realtime_ns = start_ns + SECOND_NS - 1000;
	assert_int_equal(get(fm, A) & UIP, UIP);
	put(fm, B, SET | HOURS_24);
	assert_int_equal(get(fm, A) & UIP, 0);
}

static void binary_and_twelve_hour_modes_show_the_same_time(void **state)
{
	struct fake_machine *fm = *state;

	fm->realtime_ns += 3600 * 10 * SECOND_NS; /* 22:34:56 */
	assert_int_equal(get(fm, 4), 0x22);
	put(fm, B, BINARY | HOURS_24);
	assert_int_equal(get(fm, 4), 22);
	assert_int_equal(get(fm, 9), 24);
	assert_int_equal(get(fm, CENTURY), 20);
	put(fm, B, 0);
	assert_int_equal(get(fm, 4), 0x90); /* 10 PM */
	fm->realtime_ns += 3600 * 2 * SECOND_NS;
	assert_int_equal(get(fm, 4), 0x12); /* 12 AM */
	fm->realtime_ns += 3600 * 12 * SECOND_NS;
	assert_int_equal(get(fm, 4), 0x92); /* 12 PM */
	assert_int_equal(get(fm, B), 0);
}

static void linux_finds_a_clock_it_supports(void **state)
{
	struct fake_machine *fm = *state;

	assert_int_equal(get(fm, B) & HOURS_24, HOURS_24);
	assert_int_equal(get(fm, D), 0x80);
	put(fm, D, 0x00);
	assert_int_equal(get(fm, D), 0x80);
	put(fm, A, 0xa6);
	assert_int_equal(get(fm, A) & 0x7f, 0x26);
	assert_int_equal(fm_inb(fm, INDEX), 0xff);
}

/* --- Setting --------------------------------------------------------------------------------- */

static void the_guests_time_goes_its_own_way_when_set(void **state)
{
	struct fake_machine *fm = *state;

	set_clock(fm, (const u8[7]){ 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58 });
	assert_string_equal(clock_text(fm), "1999-12-31 23:59:58 6");
	fm->realtime_ns += SECOND_NS / 2; /* the first second is half as long */
	assert_string_equal(clock_text(fm), "1999-12-31 23:59:59 6");
	fm->realtime_ns += SECOND_NS;
	assert_string_equal(clock_text(fm), "2000-01-01 00:00:00 7");
}

static void a_stopped_clock_stands_still(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, B, SET | HOURS_24);
	fm->realtime_ns += 100 * SECOND_NS;
	assert_string_equal(clock_text(fm), "2024-02-29 12:34:56 5");
	put(fm, B, HOURS_24);
	assert_string_equal(clock_text(fm), "2024-02-29 12:34:56 5");
	fm->realtime_ns += SECOND_NS;
	assert_string_equal(clock_text(fm), "2024-02-29 12:34:57 5");
}

static void one_field_can_be_set_in_flight(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, 2, 0x59);
	assert_string_equal(clock_text(fm), "2024-02-29 12:59:56 5");
	put(fm, 9, 0x23); /* no leap year: the day that is not becomes the one after */
	assert_string_equal(clock_text(fm), "2023-03-01 12:59:56 4");
}

static void impossible_times_become_possible_ones(void **state)
{
	struct fake_machine *fm = *state;
	u8 fields[7];

	for (u32 value = 0; value < 256; value++) {
		for (int i = 0; i < 7; i++)
			fields[i] = (u8)value;
		set_clock(fm, fields);
		assert_true(get(fm, 8) >= 0x01 && get(fm, 8) <= 0x12);
		assert_true(get(fm, 7) >= 0x01 && get(fm, 7) <= 0x31);
		assert_true(get(fm, 4) <= 0x23 && get(fm, 2) <= 0x59 && get(fm, 0) <= 0x59);
		assert_true(get(fm, 6) >= 1 && get(fm, 6) <= 7);
	}
}

static void a_clock_before_1970_runs_too(void **state)
{
	struct fake_machine *fm = *state;

	set_clock(fm, (const u8[7]){ 0x00, 0x00, 0x02, 0x28, 0x23, 0x59, 0x59 });
	fm->realtime_ns += SECOND_NS;
	assert_string_equal(clock_text(fm), "0000-02-29 00:00:00 3");
}

/* --- Interrupts ------------------------------------------------------------------------------ */

static void flags_can_be_polled_without_interrupts(void **state)
{
	struct fake_machine *fm = *state;

	get(fm, C);
	assert_int_equal(get(fm, C), 0x00);
	fm->realtime_ns += SECOND_NS;
	assert_int_equal(get(fm, C), PIE | UIE);
	assert_int_equal(get(fm, C), 0x00);
	assert_false(fm_irq(fm, GSI));
	assert_int_equal(fm_rises(fm, GSI), 0);
}

static void the_update_interrupt_comes_at_the_second(void **state)
{
	struct fake_machine *fm = *state;

	fm->realtime_ns += SECOND_NS - 1000000; /* 1 ms before it ends */
	put(fm, B, UIE | HOURS_24);
	get(fm, C);
	assert_false(fm_irq(fm, GSI));
	fm->realtime_ns += 1000000;
	FM_WAIT(fm, fm_irq(fm, GSI));
	assert_int_equal(get(fm, C) & (0x80 | UIE), 0x80 | UIE);
	assert_false(fm_irq(fm, GSI));
}

static void the_periodic_interrupt_comes_again_and_again(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, B, PIE | HOURS_24);
	for (u32 i = 1; i <= 5; i++) {
		fm->realtime_ns += 1000000;
		FM_WAIT(fm, fm_irq(fm, GSI));
		assert_int_equal(fm_rises(fm, GSI), i);
		assert_int_equal(get(fm, C) & (0x80 | PIE), 0x80 | PIE);
	}
}

static void a_guest_that_does_not_serve_it_costs_the_host_nothing(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, A, 0x23); /* 8192 Hz */
	put(fm, B, PIE | AIE | UIE | HOURS_24);
	fm->realtime_ns += SECOND_NS;
	FM_WAIT(fm, fm_irq(fm, GSI));
	for (int i = 0; i < 50; i++) {
		fm->realtime_ns += SECOND_NS;
		assert_true(fm_is_quiet(fm));
	}
	fm_settle(fm);
	assert_int_equal(fm_rises(fm, GSI), 1);
}

static void the_fastest_rate_is_1024_hz(void **state)
{
	struct fake_machine *fm = *state;
	u32 flags = 0;

	put(fm, A, 0x23);
	get(fm, C);
	for (int i = 0; i < 10000; i++) {
		fm->realtime_ns += SECOND_NS / 10000;
		flags += (get(fm, C) & PIE) != 0;
	}
	assert_true(flags >= 1023 && flags <= 1025);
}

static void rate_zero_and_a_held_divider_have_no_period(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, A, 0x20);
	get(fm, C);
	fm->realtime_ns += SECOND_NS;
	assert_int_equal(get(fm, C) & PIE, 0);
	put(fm, A, 0x76);
	get(fm, C);
	fm->realtime_ns += SECOND_NS;
	assert_int_equal(get(fm, C), 0);
}

static void an_alarm_rings_at_its_second(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, 1, 0x05);
	put(fm, 3, 0x35);
	put(fm, 5, 0x12);
	get(fm, C);
	put(fm, B, AIE | HOURS_24);
	fm->realtime_ns += 8 * SECOND_NS; /* 12:35:04 */
	assert_int_equal(get(fm, C) & AIE, 0);
	fm->realtime_ns += SECOND_NS;
	FM_WAIT(fm, fm_irq(fm, GSI));
	assert_int_equal(get(fm, C) & (0x80 | AIE), 0x80 | AIE);
	fm->realtime_ns += 86399 * SECOND_NS;
	assert_int_equal(get(fm, C) & AIE, 0);
	fm->realtime_ns += SECOND_NS; /* and the next day */
	assert_int_equal(get(fm, C) & AIE, AIE);
}

/* Whether the alarm rings within a day, and how many seconds from now; 0 for not at all. */
static u32 alarm_delay(struct fake_machine *fm, u8 hour, u8 minute, u8 second)
{
	u64 start_ns = fm->realtime_ns;
	u32 low = 0, high = 86400;

	put(fm, 5, hour);
	put(fm, 3, minute);
	put(fm, 1, second);
	while (low < high) { /* the first second at which a look back to now sees it */
		u32 middle = low + (high - low) / 2;
		bool rang;

		fm->realtime_ns = start_ns;
		get(fm, C);
		put(fm, 1, second);
		fm->realtime_ns = start_ns + middle * SECOND_NS;
		rang = get(fm, C) & AIE;
		if (rang)
			high = middle;
		else
			low = middle + 1;
	}
	fm->realtime_ns = start_ns;
	get(fm, C);
	return high == 86400 && low == 86400 ? 0 : high;
}

static void alarm_fields_may_match_anything(void **state)
{
	struct fake_machine *fm = *state; /* it is 12:34:56 */

	assert_int_equal(alarm_delay(fm, 0xff, 0xff, 0xff), 1);
	assert_int_equal(alarm_delay(fm, 0xc0, 0xc5, 0x10), 14);
	assert_int_equal(alarm_delay(fm, 0xff, 0x34, 0x56), 3600);
	assert_int_equal(alarm_delay(fm, 0xff, 0x34, 0xff), 1);
	assert_int_equal(alarm_delay(fm, 0x12, 0x34, 0x57), 1);
	assert_int_equal(alarm_delay(fm, 0x13, 0xff, 0x05), 25 * 60 + 4 + 5);
	assert_int_equal(alarm_delay(fm, 0x12, 0x33, 0xff), 86400 - 116);
	assert_int_equal(alarm_delay(fm, 0x24, 0x00, 0x00), 0);
	assert_int_equal(alarm_delay(fm, 0xff, 0x60, 0xff), 0);
	assert_int_equal(alarm_delay(fm, 0xff, 0xff, 0x7a), 0);
}

static void a_host_clock_set_back_loses_nothing(void **state)
{
	struct fake_machine *fm = *state;

	put(fm, B, UIE | HOURS_24);
	get(fm, C);
	fm->realtime_ns -= 3600 * SECOND_NS;
	assert_int_equal(get(fm, C), 0);
	fm->realtime_ns += SECOND_NS;
	FM_WAIT(fm, fm_irq(fm, GSI));
}

/* --- Memory, odd accesses, reset ------------------------------------------------------------- */

static u32 get16(struct fake_machine *fm, u8 reg)
{
	return get(fm, reg) | (u32)get(fm, (u8)(reg + 1)) << 8;
}

static void memory_sizes_are_where_firmware_looks(void **state)
{
	struct fake_machine *fm = *state;
	u32 sum = 0;

	assert_int_equal(get16(fm, 0x15), 640);
	assert_int_equal(get16(fm, 0x17), 0xffff); /* 127 MiB do not fit */
	assert_int_equal(get16(fm, 0x30), 0xffff);
	assert_int_equal(get16(fm, 0x34), (128 - 16) * 16);
	assert_int_equal(get16(fm, 0x5b) | get(fm, 0x5d), 0);
	for (u8 i = 0x10; i < 0x2e; i++)
		sum += get(fm, i);
	assert_int_equal(get(fm, 0x2e) << 8 | get(fm, 0x2f), sum);
}

static void memory_above_4_gib_is_told_and_small_memory_too(void **state)
{
	struct fake_machine large, small;

	(void)state;
	fm_create(&large);
	large.host.ram = (struct dev_ram_layout){ GIB(3), GIB(5) };
	fm_add(&large, "cmos-rtc", 0, NULL, NULL);
	assert_int_equal(get16(&large, 0x34), (3072 - 16) * 16);
	assert_int_equal(get16(&large, 0x5b) | get(&large, 0x5d) << 16, 5 * 1024 * 16);
	fm_destroy(&large);
	fm_create(&small);
	small.host.ram = (struct dev_ram_layout){ MIB(2), 0 };
	fm_add(&small, "cmos-rtc", 0, NULL, NULL);
	assert_int_equal(get16(&small, 0x17), 1024);
	assert_int_equal(get16(&small, 0x34), 0);
	fm_destroy(&small);
}

static void the_memory_keeps_what_is_written(void **state)
{
	struct fake_machine *fm = *state;

	for (u32 reg = 0x0e; reg < 0x80; reg++)
		if (reg != CENTURY)
			put(fm, (u8)reg, (u8)(reg ^ 0x5a));
	fm->devices[0]->cls->reset(fm->devices[0]);
	for (u32 reg = 0x0e; reg < 0x80; reg++)
		if (reg != CENTURY)
			assert_int_equal(get(fm, (u8)(reg | NMI_MASK)), reg ^ 0x5a);
}

static void a_wide_write_sets_index_and_data(void **state)
{
	struct fake_machine *fm = *state;

	fm_out(fm, INDEX, 0x4250, 2);
	assert_int_equal(get(fm, 0x50), 0x42);
	assert_int_equal(fm_in(fm, INDEX, 2), 0x42ff);
	assert_int_equal(fm_in(fm, INDEX, 4), 0xffffffff);
}

static void reset_ends_interrupts_and_keeps_the_time(void **state)
{
	struct fake_machine *fm = *state;

	set_clock(fm, (const u8[7]){ 0x20, 0x30, 0x01, 0x02, 0x03, 0x04, 0x05 });
	put(fm, B, PIE | UIE | HOURS_24);
	fm->realtime_ns += SECOND_NS / 4;
	FM_WAIT(fm, fm_irq(fm, GSI));
	fm->devices[0]->cls->reset(fm->devices[0]);
	assert_false(fm_irq(fm, GSI));
	assert_int_equal(get(fm, B), HOURS_24);
	assert_string_equal(clock_text(fm), "2030-01-02 03:04:05 4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_time_of_day_is_the_hosts),
		T(every_day_of_four_centuries_agrees_with_the_c_library),
		T(the_update_bit_is_never_stuck),
		T(binary_and_twelve_hour_modes_show_the_same_time),
		T(linux_finds_a_clock_it_supports),
		T(the_guests_time_goes_its_own_way_when_set),
		T(a_stopped_clock_stands_still),
		T(one_field_can_be_set_in_flight),
		T(impossible_times_become_possible_ones),
		T(a_clock_before_1970_runs_too),
		T(flags_can_be_polled_without_interrupts),
		T(the_update_interrupt_comes_at_the_second),
		T(the_periodic_interrupt_comes_again_and_again),
		T(a_guest_that_does_not_serve_it_costs_the_host_nothing),
		T(the_fastest_rate_is_1024_hz),
		T(rate_zero_and_a_held_divider_have_no_period),
		T(an_alarm_rings_at_its_second),
		T(alarm_fields_may_match_anything),
		T(a_host_clock_set_back_loses_nothing),
		T(memory_sizes_are_where_firmware_looks),
		T(memory_above_4_gib_is_told_and_small_memory_too),
		T(the_memory_keeps_what_is_written),
		T(a_wide_write_sets_index_and_data),
		T(reset_ends_interrupts_and_keeps_the_time),
	};

	return cmocka_run_group_tests_name("cmos_rtc", tests, NULL, NULL);
}
