// SPDX-License-Identifier: BSD-3-Clause
// A console over pipes: bytes in both directions, hosts that do not read, guests that do not.
// test-sources: drivers/virtio/console/console.c src/stream/stream.c src/stream/serial_cfg.c src/util/unix_socket.c src/util/opt.c fake_guest
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/virtio/console/console.h"
#include "stream/serial_cfg.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum { RX, TX, QUEUE_SIZE = 64, LONG = 10 << 20, PIECE = 5000 };

/* As the driver has it. */
struct console_cfg {
	struct serial_cfg serial;
	u16 cols, rows;
};

struct bench {
	struct fake_guest g;
	int to_guest_fd, from_guest_fd; /* the host's ends */
};

static struct bench *bench_create(bool with_host)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct console_cfg cfg = { .serial = { .listen_fd_index = -1 }, .cols = 80, .rows = 25 };
	struct fdset fds = { 0 };
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	b->to_guest_fd = in[1];
	b->from_guest_fd = out[0];
	cfg.serial.in_fd_index = with_host ? fdset_put(&fds, &in[0]) : -1;
	cfg.serial.out_fd_index = with_host ? fdset_put(&fds, &out[1]) : -1;
	fd_close(&in[0]);
	fd_close(&out[1]);
	fg_create(&b->g, "virtio-console", &cfg, &fds);
	fg_start(&b->g);
	return b;
}

static int setup(void **state)
{
	*state = bench_create(true);
	return 0;
}

static int setup_sink(void **state)
{
	*state = bench_create(false);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->from_guest_fd); /* nobody waits for the rest */
	fg_destroy(&b->g);
	fd_close(&b->to_guest_fd);
	free(b);
	return 0;
}

static void host_sends(struct bench *b, const void *bytes, u32 len)
{
	assert_int_equal(fd_write(b->to_guest_fd, bytes, len), len);
}

/* Return: how many bytes were there. */
static u32 host_reads(struct bench *b, void *bytes, u32 len)
{
	ssize_t got = fd_read(b->from_guest_fd, bytes, len);

	assert_true(got > 0 || got == -EAGAIN);
	return got > 0 ? (u32)got : 0;
}

static void assert_host_reads(struct bench *b, const char *text)
{
	u32 len = (u32)strlen(text), nr = 0;
	char bytes[256];

	FG_WAIT(&b->g, (nr += host_reads(b, bytes + nr, sizeof(bytes) - nr)) >= len);
	assert_int_equal(nr, len);
	assert_memory_equal(bytes, text, len);
}

static u8 pattern(u32 i)
{
	return (u8)(i ^ i >> 8 ^ i >> 16);
}

/* The next piece of a long output, as one request, if the ring has room for it. */
static void offer_pattern(struct fake_guest *g, u32 *at, u32 end)
{
	static u8 bytes[PIECE];
	u32 len = MIN(end - *at, (u32)PIECE);

	if (len == 0 || g->queues[TX].nr_busy == QUEUE_SIZE)
		return;
	for (u32 i = 0; i < len; i++)
		bytes[i] = pattern(*at + i);
	fg_chain(g, TX, OUT(bytes, len));
	fg_kick(g, TX);
	*at += len;
}

static void read_pattern(struct bench *b, u32 *at)
{
	static u8 bytes[65536];
	u32 got = host_reads(b, bytes, sizeof(bytes));

	for (u32 i = 0; i < got; i++)
		if (bytes[i] != pattern(*at + i))
			fail_msg("byte %u is another", *at + i);
	*at += got;
}

/* Fill everything up to the ring, with nobody who reads. Return: how many bytes are offered. */
static u32 fill_up(struct fake_guest *g)
{
	u32 offered = 0;
	struct fg_used used;
	bool taken;

	do {
		while (g->queues[TX].nr_busy < QUEUE_SIZE)
			offer_pattern(g, &offered, LONG);
		fg_settle(g);
		taken = false;
		while (fg_take(g, TX, &used))
			taken = true;
	} while (taken);
	return offered;
}

/* --- Output ----------------------------------------------------------------------------------- */

static void output_reaches_the_host(void **state)
{
	struct bench *b = *state;

	assert_int_equal(fg_do(&b->g, TX, OUT("hello, ", 7)).written, 0);
	fg_do(&b->g, TX, OUT("w", 1), OUT("", 0), OUT("orld", 4));
	assert_host_reads(b, "hello, world");
}

static void requests_without_bytes_come_back(void **state)
{
	struct bench *b = *state;

	fg_do(&b->g, TX, OUT("", 0));
	assert_int_equal(fg_do(&b->g, TX, IN(16)).written, 0);
	fg_do(&b->g, TX, OUT("x", 1));
	assert_host_reads(b, "x");
}

static void nothing_of_a_long_output_is_lost(void **state)
{
	struct bench *b = *state;
	struct fg_used used;
	u32 offered = 0, got = 0;

	FG_WAIT(&b->g, ({
		offer_pattern(&b->g, &offered, LONG);
		while (fg_take(&b->g, TX, &used))
			;
		read_pattern(b, &got);
		got >= LONG;
	}));
	assert_int_equal(got, LONG);
	FG_WAIT(&b->g, (fg_take(&b->g, TX, &used), b->g.queues[TX].nr_busy == 0));
}

static void a_host_that_does_not_read_stops_the_taking_of_requests(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	struct fg_used used;
	u32 offered = fill_up(g), got = 0;

	assert_true(fg_is_quiet(g));
	assert_false(fg_take(g, TX, &used));
	fg_force_kick(g, TX);
	fg_settle(g);
	assert_false(fg_take(g, TX, &used));
	FG_WAIT(g, (read_pattern(b, &got), got == offered));
	while (g->queues[TX].nr_busy > 0)
		fg_wait(g, TX);
}

static void a_host_that_went_away_costs_only_the_output(void **state)
{
	struct bench *b = *state;

	fill_up(&b->g);
	fd_close(&b->from_guest_fd);
	while (b->g.queues[TX].nr_busy > 0)
		fg_wait(&b->g, TX);
	assert_int_equal(b->g.nr_lines, 1);
	fg_do(&b->g, TX, OUT("more", 4));
}

static void a_request_of_megabytes_lets_others_have_their_turn(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;

	fg_chain(g, TX, OUT(NULL, MIB(8)));
	fg_kick(g, TX);
	fg_step(g);
	assert_int_equal(fg_used_idx(g, TX), 0);
	assert_false(fg_is_quiet(g));
	fg_wait(g, TX);
}

/* --- Input ------------------------------------------------------------------------------------ */

static void input_fills_the_guest_s_buffers(void **state)
{
	struct bench *b = *state;
	struct fg_used used;

	fg_chain(&b->g, RX, IN(64));
	fg_chain(&b->g, RX, IN(2), IN(64));
	fg_kick(&b->g, RX);
	host_sends(b, "one", 3);
	used = fg_wait(&b->g, RX);
	assert_int_equal(used.written, 3);
	assert_memory_equal(used.in, "one", 3);
	host_sends(b, "three", 5);
	used = fg_wait(&b->g, RX);
	assert_int_equal(used.written, 5);
	assert_memory_equal(used.in, "three", 5);
}

static void input_waits_for_buffers(void **state)
{
	struct bench *b = *state;
	struct fg_used used;
	int waiting;

	host_sends(b, "early", 5);
	fg_settle(&b->g);
	assert_int_equal(ioctl(b->to_guest_fd, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 5);
	used = fg_do(&b->g, RX, IN(3));
	assert_memory_equal(used.in, "ear", 3);
	fg_settle(&b->g);
	used = fg_do(&b->g, RX, IN(64));
	assert_int_equal(used.written, 2);
	assert_memory_equal(used.in, "ly", 2);
	assert_true(fg_is_quiet(&b->g));
}

static void buffers_without_room_come_back_empty(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, RX, OUT("x", 1));
	fg_chain(&b->g, RX, IN(0));
	fg_chain(&b->g, RX, IN(8));
	fg_kick(&b->g, RX);
	host_sends(b, "abc", 3);
	assert_int_equal(fg_wait(&b->g, RX).written, 0);
	assert_int_equal(fg_wait(&b->g, RX).written, 0);
	assert_int_equal(fg_wait(&b->g, RX).written, 3);
}

static void a_long_input_arrives_whole(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	u32 sent = 0, got = 0;
	u8 bytes[4096];

	while (got < MIB(1)) {
		struct fg_used used;

		for (u32 i = 0; i < sizeof(bytes); i++)
			bytes[i] = pattern(sent + i);
		if (sent < MIB(1) && fd_write(b->to_guest_fd, bytes, sizeof(bytes)) > 0)
			sent += (u32)sizeof(bytes);
		while (g->queues[RX].nr_busy < 8)
			fg_chain(g, RX, IN(100));
		fg_kick(g, RX);
		used = fg_wait(g, RX);
		for (u32 i = 0; i < used.written; i++)
			assert_int_equal(used.in[i], pattern(got + i));
		got += used.written;
	}
	assert_int_equal(got, MIB(1));
}

static void the_end_of_input_is_silence(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, RX, IN(8));
	fg_kick(&b->g, RX);
	fd_close(&b->to_guest_fd);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, RX), 0);
	fg_do(&b->g, TX, OUT("still", 5));
	assert_host_reads(b, "still");
}

/* --- Rings that stop -------------------------------------------------------------------------- */

static void a_reset_forgets_what_was_in_hand(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;

	fill_up(g);
	fg_chain(g, RX, IN(64));
	fg_kick(g, RX);
	fg_settle(g);
	fg_stop(g);
	fg_settle(g);
	fg_start(g);
	host_sends(b, "new", 3);
	assert_memory_equal(fg_do(g, RX, IN(64)).in, "new", 3);
	fg_chain(g, TX, OUT(NULL, 1));
	fg_kick(g, TX);
	FG_WAIT(g, (host_reads(b, (u8[4096]){ 0 }, 4096), fg_used_idx(g, TX) == 1));
}

static void a_ring_that_goes_on_has_its_requests_again(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	struct err e;
	u16 base;

	fg_do(g, TX, OUT("a", 1));
	fg_chain(g, RX, IN(64));
	fg_kick(g, RX);
	fg_settle(g);
	base = vdev_queue_stop(g->v, RX);
	assert_int_equal(base, 0);
	assert_int_equal(vdev_queue_stop(g->v, TX), 1);
	host_sends(b, "late", 4);
	fg_settle(g);
	assert_int_equal(vdev_queue_start(g->v, RX, &g->queues[RX].config, base, &e), 0);
	assert_int_equal(vdev_queue_start(g->v, TX, &g->queues[TX].config, 1, &e), 0);
	fg_force_kick(g, RX);
	assert_memory_equal(fg_wait(g, RX).in, "late", 4);
}

static void a_broken_ring_while_output_waits_does_no_harm(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	u32 got = 0;

	fill_up(g);
	fg_offer(g, RX, QUEUE_SIZE);
	fg_force_kick(g, RX);
	FG_WAIT(g, g->nr_broken == 1);
	read_pattern(b, &got);
	host_sends(b, "nobody", 6);
	fg_settle(g);
	fg_stop(g);
	g->nr_broken = 0;
	fg_start(g);
	assert_memory_equal(fg_do(g, RX, IN(64)).in, "nobody", 6);
}

/* --- Without a host --------------------------------------------------------------------------- */

static void a_sink_takes_everything(void **state)
{
	struct bench *b = *state;
	u32 offered = 0;

	fg_do(&b->g, TX, OUT(NULL, MIB(4)));
	for (u32 i = 0; i < QUEUE_SIZE; i++)
		offer_pattern(&b->g, &offered, LONG);
	while (b->g.queues[TX].nr_busy > 0)
		fg_wait(&b->g, TX);
	fg_chain(&b->g, RX, IN(8));
	fg_kick(&b->g, RX);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, RX), 0);
}

/* --- Configuration ---------------------------------------------------------------------------- */

static void the_terminal_s_size_stands_in_configuration_space(void **state)
{
	struct bench *b = *state;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	fg_config(&b->g, config);
	assert_memory_equal(config, "\x50\0\x19\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(b->g.nr_config_changes, 1); /* a driver that starts is told, too */
	console_set_size(b->g.v, 80, 25);
	assert_int_equal(b->g.nr_config_changes, 1);
	b->g.v->cls->terminal_size(b->g.v, 300, 50);
	assert_int_equal(b->g.nr_config_changes, 2);
	fg_config(&b->g, config);
	assert_memory_equal(config, "\x2c\x01\x32\0", 4);
	fg_config_write(&b->g, 0, "\xff\xff", 2);
	assert_true(vdev_has(b->g.v, 0));
}

static void options_lead_to_a_file(void **state)
{
	const struct vdev_class *cls = vdev_class_find("virtio-console");
	char path[] = "/tmp/kiln-console-XXXXXX", text[64], bytes[8] = { 0 };
	struct console_cfg cfg = { 0 };
	struct fdset fds = { 0 };
	struct fake_guest g;
	struct err e = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && cls->cfg_bytes == sizeof(cfg));
	opt_defaults(cls->opts, &cfg);
	snprintf(text, sizeof(text), "file=%s", path);
	assert_int_equal(opt_parse_pairs(cls->opts, &cfg, text, &e), 0);
	assert_int_equal(cls->open(&cfg, &fds, &e), 0);
	assert_ptr_equal(cls->serial(&cfg), &cfg.serial);
	fg_create(&g, "virtio-console", &cfg, &fds);
	fg_start(&g);
	fg_do(&g, TX, OUT("to disk", 7));
	fg_destroy(&g); /* writes out what is left */
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 7);
	assert_string_equal(bytes, "to disk");
	cls->cleanup(&cfg);
	unlink(path);
	close(fd);
}

static void options_of_serial_ports_alone_are_unknown(void **state)
{
	const struct vdev_class *cls = vdev_class_find("virtio-console");
	struct console_cfg cfg = { 0 };
	struct err e = { 0 };

	(void)state;
	opt_defaults(cls->opts, &cfg);
	assert_int_equal(opt_parse_pairs(cls->opts, &cfg, "num=1", &e), -EINVAL);
	assert_int_equal(opt_parse_pairs(cls->opts, &cfg, "stdout,stdin", &e), 0);
	assert_true(cfg.serial.wants_stdin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(output_reaches_the_host),
		T(requests_without_bytes_come_back),
		T(nothing_of_a_long_output_is_lost),
		T(a_host_that_does_not_read_stops_the_taking_of_requests),
		T(a_host_that_went_away_costs_only_the_output),
		cmocka_unit_test_setup_teardown(a_request_of_megabytes_lets_others_have_their_turn,
						setup_sink, teardown),
		T(input_fills_the_guest_s_buffers),
		T(input_waits_for_buffers),
		T(buffers_without_room_come_back_empty),
		T(a_long_input_arrives_whole),
		T(the_end_of_input_is_silence),
		T(a_reset_forgets_what_was_in_hand),
		T(a_ring_that_goes_on_has_its_requests_again),
		T(a_broken_ring_while_output_waits_does_no_harm),
		cmocka_unit_test_setup_teardown(a_sink_takes_everything, setup_sink, teardown),
		T(the_terminal_s_size_stands_in_configuration_space),
		cmocka_unit_test(options_lead_to_a_file),
		cmocka_unit_test(options_of_serial_ports_alone_are_unknown),
	};

	return cmocka_run_group_tests_name("virtio-console", tests, NULL, NULL);
}
