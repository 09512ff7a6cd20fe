// SPDX-License-Identifier: BSD-3-Clause
// Debug output to a pipe, to nowhere, and to a host that does not read.
// test-sources: drivers/isa/debugcon/debugcon.c src/stream/stream.c src/stream/serial_cfg.c src/stream/unix_listen.c src/util/opt.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream/serial_cfg.h"
#include "tests/lib/fake_machine.h"
#include "util/fd.h"

enum { PORT = 0xe9 };

static int setup(void **state)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));

	fm_create(fm);
	*state = fm;
	return 0;
}

static int teardown(void **state)
{
	fm_destroy(*state);
	free(*state);
	return 0;
}

/* Return: what the console writes to. */
static int add_console(struct fake_machine *fm)
{
	struct serial_cfg cfg = { .in_fd_index = -1, .listen_fd_index = -1 };
	struct fdset fds = { 0 };
	int pipe_fds[2];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	cfg.out_fd_index = fdset_put(&fds, &pipe_fds[1]);
	fm_add(fm, "debugcon", 0, &cfg, &fds);
	return pipe_fds[0];
}

static void bytes_come_out_in_order(void **state)
{
	struct fake_machine *fm = *state;
	char got[16] = "";
	int fd = add_console(fm);

	assert_int_equal(fm_inb(fm, PORT), 0xe9);
	for (const char *p = "debug"; *p; p++)
		fm_outb(fm, PORT, (u8)*p);
	fm_settle(fm);
	assert_int_equal(fd_read(fd, got, sizeof(got)), 5);
	assert_string_equal(got, "debug");
	close(fd);
}

static void without_options_output_goes_nowhere(void **state)
{
	struct fake_machine *fm = *state;
	struct serial_cfg cfg = { 0 };
	struct fdset fds = { 0 };
	struct err e = { 0 };

	assert_int_equal(dev_class_find("debugcon")->open(&cfg, 0, &fds, &e), 0);
	fm_add(fm, "debugcon", 0, &cfg, &fds);
	for (int i = 0; i < 2 * STREAM_OUT_BYTES; i++)
		fm_outb(fm, PORT, 'x');
	assert_true(fm_is_quiet(fm));
}

static void a_host_that_does_not_read_loses_output_and_nothing_else(void **state)
{
	struct fake_machine *fm = *state;
	static char got[STREAM_OUT_BYTES * 2];
	int fd = add_console(fm);

	for (int i = 0; i < 2 * STREAM_OUT_BYTES; i++)
		fm_outb(fm, PORT, 'x'); /* the loop does not turn meanwhile */
	fm_settle(fm);
	assert_int_equal(fd_read(fd, got, sizeof(got)), STREAM_OUT_BYTES);
	fm_outb(fm, PORT, 'y');
	fm_settle(fm);
	assert_int_equal(fd_read(fd, got, sizeof(got)), 1);
	close(fd);
}

static void wide_accesses_are_not_ours(void **state)
{
	struct fake_machine *fm = *state;
	char got[4];
	int fd = add_console(fm);

	fm_out(fm, PORT, 0x4141, 2);
	assert_int_equal(fm_in(fm, PORT, 4), 0xffffffff);
	fm_settle(fm);
	assert_true(fd_read(fd, got, sizeof(got)) < 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(bytes_come_out_in_order),
		T(without_options_output_goes_nowhere),
		T(a_host_that_does_not_read_loses_output_and_nothing_else),
		T(wide_accesses_are_not_ours),
	};

	return cmocka_run_group_tests_name("debugcon", tests, NULL, NULL);
}
