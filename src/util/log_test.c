// SPDX-License-Identifier: BSD-3-Clause
// Log lines: levels, sinks, long lines, and the budget of what a guest can cause.
// test-sources: src/util/log.c src/util/fd.c
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "util/log.h"

#define SECOND_NS 1000000000ull
#define START_NS (5000 * SECOND_NS + 123456789)

/* --- Sinks ------------------------------------------------------------------------------------ */

struct record {
	u32 nr;
	enum log_level level;
	char line[1024];
};

static void to_record(enum log_level level, const char *line, void *opaque)
{
	struct record *record = opaque;

	record->nr++;
	record->level = level;
	snprintf(record->line, sizeof(record->line), "%s", line);
}

static void a_line_reaches_the_sink_with_its_level(void **state)
{
	struct record record = { 0 };

	(void)state;
	log_set_sink(to_record, &record);
	log_warn("%s has %d legs", "it", 3);
	assert_int_equal(record.nr, 1);
	assert_int_equal(record.level, LOG_WARN);
	assert_string_equal(record.line, "it has 3 legs");
}

static void lines_above_the_level_are_dropped(void **state)
{
	struct record record = { 0 };

	(void)state;
	log_set_sink(to_record, &record);
	log_debug("unseen");
	assert_int_equal(record.nr, 0);
	log_set_level(LOG_DEBUG);
	log_debug("seen");
	log_set_level(LOG_ERR);
	log_warn("unseen");
	log_err("seen");
	log_set_level(LOG_INFO);
	assert_int_equal(record.nr, 2);
	assert_int_equal(record.level, LOG_ERR);
}

static void a_long_line_is_cut(void **state)
{
	struct record record = { 0 };

	(void)state;
	log_set_sink(to_record, &record);
	log_info("%0800d", 1);
	assert_int_equal(record.nr, 1);
	assert_int_equal(strlen(record.line), 511);
}

/* The sink that a process starts with, as a child that nobody configured uses it. */
static void write_to_stderr(int stderr_fd)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	dup2(stderr_fd, STDERR_FILENO);
	log_info("plain");
	log_warn("careful");
	log_debug("unseen");
	log_info("%0800d", 1);
	dup2(saved, STDERR_FILENO);
	fd_close(&saved);
}

static void the_first_sink_is_standard_error_with_one_line_for_each(void **state)
{
	static const char begin[] = "kiln: plain\nkiln: warning: careful\nkiln: 000";
	cleanup_fd int fd = memfd_create("stderr", MFD_CLOEXEC);
	char text[2048] = "";
	ssize_t len;

	(void)state;
	write_to_stderr(fd);
	len = pread(fd, text, sizeof(text) - 1, 0);
	assert_memory_equal(text, begin, strlen(begin));
	assert_int_equal(len, (int)strlen("kiln: plain\nkiln: warning: careful\nkiln: ") + 511 + 1);
	assert_int_equal(text[len - 1], '\n');
}

/* --- Budget ----------------------------------------------------------------------------------- */

/* Ask `times` times. Return: how often the answer was yes. */
static u32 ask(struct log_limit *limit, u64 now_ns, u32 times, u32 *dropped_sum)
{
	u32 allowed = 0, dropped;

	*dropped_sum = 0;
	for (u32 i = 0; i < times; i++) {
		allowed += log_limited(limit, now_ns, &dropped);
		*dropped_sum += dropped;
	}
	return allowed;
}

static void a_burst_is_allowed_and_then_no_more(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped;

	(void)state;
	assert_int_equal(ask(&limit, START_NS, LOG_LIMIT_BURST, &dropped), LOG_LIMIT_BURST);
	assert_int_equal(ask(&limit, START_NS, 1000, &dropped), 0);
	assert_int_equal(ask(&limit, START_NS + SECOND_NS - 1, 1000, &dropped), 0);
	assert_int_equal(dropped, 0);
}

static void each_second_allows_one_line_and_tells_how_many_were_dropped(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped;

	(void)state;
	ask(&limit, START_NS, LOG_LIMIT_BURST + 7, &dropped);
	assert_true(log_limited(&limit, START_NS + SECOND_NS, &dropped));
	assert_int_equal(dropped, 7);
	assert_int_equal(ask(&limit, START_NS + SECOND_NS, 3, &dropped), 0);
	assert_true(log_limited(&limit, START_NS + 2 * SECOND_NS, &dropped));
	assert_int_equal(dropped, 3);
}

static void parts_of_seconds_add_up(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped, allowed = 0;

	(void)state;
	ask(&limit, START_NS, LOG_LIMIT_BURST, &dropped);
	for (u32 i = 1; i <= 100; i++) /* a line each 100 ms */
		allowed += log_limited(&limit, START_NS + i * SECOND_NS / 10, &dropped);
	assert_int_equal(allowed, 10);
}

static void idle_time_refills_the_budget_up_to_the_burst(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped;

	(void)state;
	ask(&limit, START_NS, 100, &dropped);
	assert_int_equal(ask(&limit, START_NS + 3 * SECOND_NS, 100, &dropped), 3);
	assert_int_equal(ask(&limit, START_NS + 90 * SECOND_NS, 100, &dropped), LOG_LIMIT_BURST);
	/* A year is not more than a burst either. */
	assert_int_equal(ask(&limit, START_NS + 31536000 * SECOND_NS, 100, &dropped),
			 LOG_LIMIT_BURST);
}

static void a_clock_that_starts_at_zero_is_limited_too(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped;

	(void)state;
	assert_int_equal(ask(&limit, 0, 100, &dropped), LOG_LIMIT_BURST);
	assert_int_equal(ask(&limit, 1, 100, &dropped), 0);
	assert_int_equal(ask(&limit, SECOND_NS + 1, 100, &dropped), 1);
}

static void a_clock_that_another_thread_read_earlier_refills_nothing(void **state)
{
	struct log_limit limit = { 0 };
	u32 dropped;

	(void)state;
	ask(&limit, START_NS, 100, &dropped);
	assert_int_equal(ask(&limit, START_NS - 1, 100, &dropped), 0);
	assert_int_equal(ask(&limit, START_NS - 2 * SECOND_NS, 100, &dropped), 0);
	assert_int_equal(ask(&limit, START_NS + SECOND_NS, 100, &dropped), 1);
}

static void two_origins_do_not_share_a_budget(void **state)
{
	struct log_limit one = { 0 }, other = { 0 };
	u32 dropped;

	(void)state;
	ask(&one, START_NS, 100, &dropped);
	assert_int_equal(ask(&other, START_NS, 100, &dropped), LOG_LIMIT_BURST);
}

static void a_guest_that_repeats_itself_gets_a_burst_of_lines(void **state)
{
	struct log_limit limit = { 0 };
	struct record record = { 0 };

	(void)state;
	log_set_sink(to_record, &record);
	for (u32 i = 0; i < 100; i++)
		log_guest(&limit, "line %u", i);
	/* A slow machine may be a second later meanwhile, and say so. */
	assert_in_range(record.nr, LOG_LIMIT_BURST, 99);
	assert_int_equal(record.level, LOG_WARN);
}

static void lines_left_out_are_told_after_the_next_line(void **state)
{
	struct log_limit limit = { .window_start_ns = 1, .lines = LOG_LIMIT_BURST, .dropped = 41 };
	struct record record = { 0 };

	(void)state; /* the machine runs for seconds already */
	log_set_sink(to_record, &record);
	log_guest(&limit, "the next");
	assert_int_equal(record.nr, 2);
	assert_string_equal(record.line, "(41 more lines like this were left out)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_sink_is_standard_error_with_one_line_for_each),
		cmocka_unit_test(a_line_reaches_the_sink_with_its_level),
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(a_burst_is_allowed_and_then_no_more),
		cmocka_unit_test(each_second_allows_one_line_and_tells_how_many_were_dropped),
		cmocka_unit_test(parts_of_seconds_add_up),
		cmocka_unit_test(idle_time_refills_the_budget_up_to_the_burst),
		cmocka_unit_test(a_clock_that_starts_at_zero_is_limited_too),
		cmocka_unit_test(a_clock_that_another_thread_read_earlier_refills_nothing),
		cmocka_unit_test(two_origins_do_not_share_a_budget),
		cmocka_unit_test(a_guest_that_repeats_itself_gets_a_burst_of_lines),
		cmocka_unit_test(lines_left_out_are_told_after_the_next_line),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
