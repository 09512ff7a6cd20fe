// SPDX-License-Identifier: BSD-3-Clause
// The 16550A as drivers see it: Linux's probe and interrupt handler in small, registers' rules.
// test-sources: drivers/isa/uart16550/uart16550.c src/stream/stream.c src/stream/serial_cfg.c src/stream/unix_listen.c src/util/opt.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c tests/lib/fake_machine.c
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream/serial_cfg.h"
#include "tests/lib/fake_machine.h"
#include "util/fd.h"

enum {
	COM1 = 0x3f8,
	COM3 = 0x3e8,
	COM1_GSI = 4,
	RBR = COM1,
	THR = COM1,
	IER = COM1 + 1,
	IIR = COM1 + 2,
	FCR = COM1 + 2,
	LCR = COM1 + 3,
	MCR = COM1 + 4,
	LSR = COM1 + 5,
	MSR = COM1 + 6,
	SCR = COM1 + 7,

	NO_INT = 0x01,
	FIFO = 16,
	OUT2 = 0x08,
	THRE_TEMT = 0x60,
};

/* A machine whose first port's host side is a pipe for input and one for output. */
struct bench {
	struct fake_machine fm;
	struct dev *dev;
	int to_guest, from_guest;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct serial_cfg cfg = {
		.type = SERIAL_STDOUT, .in_fd_index = 0, .out_fd_index = 1, .listen_fd_index = -1
	};
	struct fdset fds = { 0 };
	int in[2], out[2];

	fm_create(&b->fm);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	fdset_put(&fds, &in[0]);
	fdset_put(&fds, &out[1]);
	b->to_guest = in[1];
	b->from_guest = out[0];
	b->dev = fm_add(&b->fm, "uart16550", 0, &cfg, &fds);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->to_guest);
	fd_close(&b->from_guest);
	fm_destroy(&b->fm);
	free(b);
	return 0;
}

static u8 in(struct bench *b, u16 port)
{
	return fm_inb(&b->fm, port);
}

static void out(struct bench *b, u16 port, u8 value)
{
	fm_outb(&b->fm, port, value);
}

static bool irq(struct bench *b)
{
	return fm_irq(&b->fm, COM1_GSI);
}

static void type(struct bench *b, const char *text)
{
	assert_int_equal(fd_write_all(b->to_guest, text, strlen(text)), 0);
}

/* As Linux leaves an open port: FIFOs on, trigger at 8, receiver interrupts, OUT2. */
static void open_port(struct bench *b)
{
	out(b, FCR, 0x81);
	out(b, MCR, 0x0b);
	out(b, IER, 0x05);
}

/* --- What Linux does to find out what there is ----------------------------------------------- */

static void the_existence_test_passes(void **state)
{
	struct bench *b = *state;

	out(b, IER, 0x00);
	assert_int_equal(in(b, IER), 0x00);
	out(b, IER, 0xff);
	assert_int_equal(in(b, IER), 0x0f);
	out(b, IER, 0x00);
}

static void the_loopback_test_shows_the_modem_lines(void **state)
{
	struct bench *b = *state;

	assert_int_equal(in(b, MSR) & 0xf0, 0xb0);
	out(b, MCR, 0x10 | 0x0a); /* RTS and OUT2: CTS and DCD */
	assert_int_equal(in(b, MSR) & 0xf0, 0x90);
	out(b, MCR, 0x10 | 0x05); /* DTR and OUT1: DSR and RI */
	assert_int_equal(in(b, MSR) & 0xf0, 0x60);
	out(b, MCR, 0x00);
	assert_int_equal(in(b, MSR) & 0xf0, 0xb0);
}

static void the_probe_finds_a_16550a_and_nothing_newer(void **state)
{
	struct bench *b = *state;

	out(b, LCR, 0xbf); /* an enhanced UART would show its EFR here */
	out(b, FCR, 0x00);
	out(b, LCR, 0x00);
	assert_int_equal(in(b, IIR) & 0xc0, 0x00);
	out(b, FCR, 0x01);
	assert_int_equal(in(b, IIR) & 0xc0, 0xc0); /* FIFOs that work: not a 16550 */
	out(b, LCR, 0x80);
	assert_int_not_equal(in(b, IIR), 0x00); /* not a 16650 */
	out(b, LCR, 0xbf);
	assert_int_not_equal(in(b, IIR), 0x00);
	out(b, LCR, 0x00);
	out(b, FCR, 0x21);
	assert_int_equal(in(b, IIR) >> 5, 6); /* no 64-byte FIFO: not a 16750 */
	out(b, LCR, 0x80);
	out(b, FCR, 0x21);
	assert_int_equal(in(b, IIR) >> 5, 6);
	out(b, LCR, 0x00);
	out(b, IER, 0x40);
	assert_int_equal(in(b, IER), 0x00); /* not an XScale */
	out(b, MCR, 0xff);
	assert_int_equal(in(b, MCR), 0x1f); /* no automatic flow control */
}

static void the_fifo_holds_sixteen_bytes_and_the_newest_is_lost(void **state)
{
	struct bench *b = *state;
	u32 count = 0;

	out(b, FCR, 0x07);
	out(b, MCR, 0x10);
	for (int i = 0; i < 256; i++)
		out(b, THR, (u8)i);
	assert_int_equal(in(b, LSR) & 0x03, 0x03);
	assert_int_equal(in(b, LSR) & 0x03, 0x01); /* a read clears the overrun */
	while (in(b, LSR) & 0x01) {
		assert_int_equal(in(b, RBR), count);
		count++;
	}
	assert_int_equal(count, FIFO);
	assert_int_equal(in(b, RBR), 0);
}

static void the_transmitter_interrupt_passes_linux_tests(void **state)
{
	struct bench *b = *state;

	out(b, MCR, OUT2);
	for (int i = 0; i < 3; i++) { /* it must come back each time it is enabled */
		out(b, IER, 0x02);
		assert_true(irq(b));
		assert_int_equal(in(b, LSR) & THRE_TEMT, THRE_TEMT);
		assert_int_equal(in(b, IIR), 0x02);
		assert_false(irq(b));
		assert_int_equal(in(b, IIR), NO_INT); /* and go when it was read */
		out(b, IER, 0x00);
	}
}

static void divisor_and_scratch_registers_keep_what_is_written(void **state)
{
	struct bench *b = *state;

	out(b, LCR, 0x83);
	out(b, THR, 0x34);
	out(b, IER, 0x12);
	assert_int_equal(in(b, RBR), 0x34);
	assert_int_equal(in(b, IER), 0x12);
	out(b, LCR, 0x03);
	assert_int_equal(in(b, LCR), 0x03);
	assert_int_equal(in(b, IER), 0x00);
	out(b, SCR, 0xa5);
	assert_int_equal(in(b, SCR), 0xa5);
	out(b, LSR, 0x00);
	out(b, MSR, 0x00);
	assert_int_equal(in(b, LSR), THRE_TEMT);
	assert_int_equal(in(b, MSR) & 0xf0, 0xb0);
}

/* --- Output ---------------------------------------------------------------------------------- */

/* Linux's handler in small: transmit `len` bytes. Return: the rounds of its longest interrupt. */
static u32 transmit(struct bench *b, const u8 *bytes, u32 len)
{
	u32 longest = 0, rounds, sent = 0, rises = fm_rises(&b->fm, COM1_GSI);
	u64 end_ns = evl_now_ns() + FM_DEADLINE_MS * 1000000ull;

	out(b, IER, 0x07);
	while (sent < len) {
		if (evl_now_ns() > end_ns)
			fail_msg("stuck after %u bytes", sent);
		/* Edge-triggered: no rise, no interrupt. */
		if (fm_rises(&b->fm, COM1_GSI) == rises) {
			fm_step(&b->fm);
			continue;
		}
		rises = fm_rises(&b->fm, COM1_GSI);
		for (rounds = 0; !(in(b, IIR) & NO_INT); rounds++) {
			if (!(in(b, LSR) & 0x20))
				continue;
			for (u32 i = 0; i < FIFO && sent < len; i++)
				out(b, THR, bytes[sent++]);
			if (sent == len)
				out(b, IER, 0x05);
		}
		longest = MAX(longest, rounds);
	}
	return longest;
}

static void output_by_interrupt_arrives_whole_and_in_bounded_bursts(void **state)
{
	struct bench *b = *state;
	static u8 bytes[50000], got[sizeof(bytes)];
	u32 longest;

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(i * 31);
	open_port(b);
	longest = transmit(b, bytes, sizeof(bytes));
	assert_true(longest < 512); /* where Linux gives up and loses the line */
	assert_true(longest > 16);
	fm_settle(&b->fm);
	assert_int_equal(fd_read(b->from_guest, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, bytes, sizeof(bytes));
}

static void a_driver_that_looks_once_for_each_interrupt_gets_all_of_them(void **state)
{
	struct bench *b = *state;
	u32 rises;

	out(b, FCR, 0x01);
	out(b, MCR, OUT2);
	rises = fm_rises(&b->fm, COM1_GSI);
	out(b, IER, 0x02);
	for (u32 i = 0; i < 300; i++) { /* more than one burst */
		FM_WAIT(&b->fm, fm_rises(&b->fm, COM1_GSI) == rises + 1);
		rises++;
		assert_int_equal(in(b, IIR), 0xc2);
		for (u32 n = 0; n < FIFO; n++)
			out(b, THR, 'o');
	}
}

static void a_driver_that_looks_again_gets_no_interrupt_too_many(void **state)
{
	struct bench *b = *state;

	open_port(b);
	for (u32 i = 1; i <= 100; i++) { /* as Linux sends a line: enable, handler, disable */
		out(b, IER, 0x07);
		assert_int_equal(fm_rises(&b->fm, COM1_GSI), i);
		assert_int_equal(in(b, IIR), 0xc2);
		out(b, THR, 'l');
		out(b, IER, 0x05);
		assert_int_equal(in(b, IIR), 0xc1);
	}
	fm_settle(&b->fm);
	assert_int_equal(fm_rises(&b->fm, COM1_GSI), 100);
}

static void a_line_that_shares_its_interrupt_is_released_when_idle(void **state)
{
	struct bench *b = *state;
	struct serial_cfg cfg = { .in_fd_index = -1, .out_fd_index = -1, .listen_fd_index = -1 };

	fm_add(&b->fm, "uart16550", 2, &cfg, NULL);
	out(b, MCR, OUT2);
	out(b, COM3 + 4, OUT2);
	out(b, IER, 0x02);
	out(b, COM3 + 1, 0x02);
	assert_true(irq(b));
	assert_int_equal(in(b, IIR), 0x02);
	assert_true(irq(b));
	assert_int_equal(in(b, COM3 + 2), 0x02);
	assert_false(irq(b));
}

static void a_host_that_does_not_read_hides_thre_until_it_does(void **state)
{
	struct bench *b = *state;
	static u8 got[200000];
	u32 sent = 0, received = 0;
	ssize_t more;

	open_port(b);
	while (in(b, LSR) & 0x20) { /* until pipe and ring are full */
		for (u32 i = 0; i < FIFO; i++)
			out(b, THR, (u8)sent++);
		if (sent % 4096 == 0)
			fm_settle(&b->fm);
		assert_true(sent < 200000);
	}
	fm_settle(&b->fm);
	while (in(b, LSR) & 0x20) { /* the ring's last bytes once more */
		out(b, THR, (u8)sent++);
		fm_settle(&b->fm);
	}
	assert_int_equal(in(b, LSR) & THRE_TEMT, 0);
	out(b, IER, 0x07);
	assert_false(irq(b));
	assert_true(fm_is_quiet(&b->fm));
	while (received < sent) {
		more = fd_read(b->from_guest, got + received, sizeof(got) - received);
		if (more > 0)
			received += (u32)more;
		else
			fm_step(&b->fm);
	}
	FM_WAIT(&b->fm, irq(b));
	assert_int_equal(in(b, IIR), 0xc2);
	assert_int_equal(in(b, LSR) & THRE_TEMT, THRE_TEMT);
	for (u32 i = 0; i < sent; i++)
		if (got[i] != (u8)i)
			fail_msg("byte %u is wrong", i);
}

static void a_guest_that_ignores_lsr_loses_bytes_and_nothing_else(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < 4 * STREAM_OUT_BYTES; i++)
		out(b, THR, 'x');
	assert_int_equal(in(b, LSR) & THRE_TEMT, 0);
	fm_settle(&b->fm);
	FM_WAIT(&b->fm, in(b, LSR) & 0x20);
}

static void out2_gates_the_interrupt_line(void **state)
{
	struct bench *b = *state;

	out(b, IER, 0x02);
	assert_false(irq(b));
	out(b, MCR, OUT2);
	assert_true(irq(b));
	out(b, MCR, OUT2 | 0x10); /* in loopback the pin is inactive */
	assert_false(irq(b));
	out(b, MCR, 0x00);
	assert_false(irq(b));
	assert_int_equal(in(b, IIR), 0x02);
}

/* --- Input ----------------------------------------------------------------------------------- */

static void a_key_raises_the_timeout_interrupt_below_the_trigger(void **state)
{
	struct bench *b = *state;

	open_port(b);
	type(b, "a");
	FM_WAIT(&b->fm, irq(b));
	assert_int_equal(in(b, IIR), 0xcc);
	assert_int_equal(in(b, LSR), THRE_TEMT | 0x01);
	assert_int_equal(in(b, RBR), 'a');
	assert_false(irq(b));
	assert_int_equal(in(b, IIR), 0xc1);
}

static void a_fifo_at_its_trigger_raises_the_data_interrupt(void **state)
{
	static const struct {
		u8 fcr;
		u32 level;
	} levels[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };
	struct bench *b = *state;

	out(b, MCR, 0x10);
	out(b, IER, 0x01);
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
		out(b, FCR, levels[i].fcr | 0x02);
		for (u32 n = 1; n <= FIFO; n++) {
			out(b, THR, 0);
			assert_int_equal(in(b, IIR), n < levels[i].level ? 0xcc : 0xc4);
		}
	}
}

static void bytes_left_below_the_trigger_time_out_again(void **state)
{
	struct bench *b = *state;
	u32 rises;

	open_port(b);
	type(b, "abc");
	FM_WAIT(&b->fm, irq(b));
	rises = fm_rises(&b->fm, COM1_GSI);
	assert_int_equal(in(b, RBR), 'a'); /* one byte for each interrupt, as simple drivers do */
	assert_false(irq(b));
	FM_WAIT(&b->fm, fm_rises(&b->fm, COM1_GSI) == rises + 1);
	assert_int_equal(in(b, RBR), 'b');
	FM_WAIT(&b->fm, fm_rises(&b->fm, COM1_GSI) == rises + 2);
	assert_int_equal(in(b, RBR), 'c');
	fm_settle(&b->fm);
	assert_false(irq(b));
}

static void without_fifos_one_byte_comes_at_a_time(void **state)
{
	struct bench *b = *state;

	out(b, MCR, OUT2);
	out(b, IER, 0x01);
	type(b, "xy");
	FM_WAIT(&b->fm, irq(b));
	fm_settle(&b->fm);
	assert_int_equal(in(b, IIR), 0x04);
	assert_int_equal(in(b, RBR), 'x');
	FM_WAIT(&b->fm, irq(b));
	assert_int_equal(in(b, RBR), 'y');
	assert_int_equal(in(b, LSR) & 0x03, 0);
}

static void a_guest_that_never_reads_leaves_input_with_the_host(void **state)
{
	struct bench *b = *state;
	static char bytes[4096];
	int unread = 0, flags = fcntl(b->to_guest, F_GETFL);
	ssize_t put;

	open_port(b);
	assert_int_equal(fcntl(b->to_guest, F_SETFL, flags | O_NONBLOCK), 0);
	while ((put = fd_write(b->to_guest, bytes, sizeof(bytes))) > 0)
		unread += (int)put;
	FM_WAIT(&b->fm, irq(b));
	fm_settle(&b->fm);
	assert_true(fm_is_quiet(&b->fm));
	/* A FIFO's worth was taken: the pipe is full but for that. */
	assert_true(fd_write(b->to_guest, bytes, 1) <= 0);
}

static void long_input_arrives_whole_and_in_order(void **state)
{
	struct bench *b = *state;
	static u8 sent[20000], got[sizeof(sent)];
	u32 received = 0;

	for (u32 i = 0; i < sizeof(sent); i++)
		sent[i] = (u8)(i * 13);
	open_port(b);
	assert_int_equal(fd_write_all(b->to_guest, sent, sizeof(sent)), 0);
	fd_close(&b->to_guest);
	while (received < sizeof(sent)) {
		FM_WAIT(&b->fm, irq(b));
		while (!(in(b, IIR) & NO_INT))
			while (in(b, LSR) & 0x01)
				got[received++] = in(b, RBR);
	}
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(in(b, LSR) & 0x02, 0);
	fm_settle(&b->fm);
	assert_true(fm_is_quiet(&b->fm));
}

static void input_waits_until_the_guest_listens(void **state)
{
	struct bench *b = *state;
	char got[32] = "";

	type(b, "typed ahead by the user");
	fm_settle(&b->fm);
	out(b, IER, 0x0f); /* Linux's probe */
	fm_settle(&b->fm);
	out(b, IER, 0x00);
	out(b, FCR, 0x01); /* its start-up: clears and reads so that nothing old is there */
	out(b, FCR, 0x07);
	out(b, FCR, 0x00);
	in(b, RBR);
	out(b, MCR, 0x0b);
	out(b, IER, 0x02);
	fm_settle(&b->fm);
	out(b, IER, 0x00);
	in(b, RBR);
	out(b, IER, 0x05); /* it listens, and changes its mind about FIFOs and cleanliness */
	fm_settle(&b->fm);
	out(b, FCR, 0x01);
	fm_settle(&b->fm);
	out(b, FCR, 0x00);
	fm_settle(&b->fm);
	out(b, FCR, 0x87);
	assert_int_equal(in(b, LSR) & 0x01, 0); /* cleared is cleared */
	for (int i = 0; i < 23; i++) {          /* but the line brings it once more */
		FM_WAIT(&b->fm, in(b, LSR) & 0x01);
		got[i] = (char)in(b, RBR);
	}
	assert_string_equal(got, "typed ahead by the user");
}

static void a_guest_that_polls_gets_input_too(void **state)
{
	struct bench *b = *state;

	type(b, "p");
	FM_WAIT(&b->fm, in(b, LSR) & 0x01);
	assert_int_equal(in(b, RBR), 'p');
}

static void what_loopback_left_does_not_come_back_as_input(void **state)
{
	struct bench *b = *state;

	open_port(b);
	out(b, MCR, 0x10);
	out(b, THR, 'l');
	out(b, MCR, OUT2);
	out(b, FCR, 0x83);
	fm_settle(&b->fm);
	assert_int_equal(in(b, LSR) & 0x01, 0);
}

static void loopback_cuts_the_line(void **state)
{
	struct bench *b = *state;
	char got[8];

	open_port(b);
	out(b, MCR, 0x10);
	type(b, "i");
	out(b, THR, 'l');
	fm_settle(&b->fm);
	assert_int_equal(in(b, RBR), 'l');
	assert_int_equal(in(b, LSR) & 0x01, 0);
	assert_true(fd_read(b->from_guest, got, sizeof(got)) < 0);
	out(b, MCR, OUT2);
	FM_WAIT(&b->fm, irq(b));
	assert_int_equal(in(b, RBR), 'i');
}

static void a_break_is_seen_in_line_status_with_a_zero_byte(void **state)
{
	struct bench *b = *state;

	open_port(b);
	b->dev->cls->line_break(b->dev);
	assert_true(irq(b));
	assert_int_equal(in(b, IIR), 0xc6);
	assert_int_equal(in(b, LSR), THRE_TEMT | 0x80 | 0x10 | 0x08 | 0x01);
	assert_int_equal(in(b, LSR), THRE_TEMT | 0x01); /* a read clears the error, not the byte */
	assert_int_equal(in(b, RBR), 0x00);
	assert_int_equal(in(b, LSR), THRE_TEMT);
	assert_false(irq(b));
}

static void an_error_is_shown_when_its_byte_is_the_oldest(void **state)
{
	struct bench *b = *state;

	open_port(b);
	type(b, "a");
	FM_WAIT(&b->fm, irq(b));
	b->dev->cls->line_break(b->dev);
	assert_int_equal(in(b, LSR), THRE_TEMT | 0x80 | 0x01);
	assert_int_equal(in(b, RBR), 'a');
	assert_int_equal(in(b, IIR), 0xc6);
	assert_int_equal(in(b, LSR) & 0x1f, 0x19);
}

static void setting_break_in_loopback_is_received(void **state)
{
	struct bench *b = *state;

	out(b, MCR, 0x10);
	out(b, LCR, 0x43);
	assert_int_equal(in(b, LSR) & 0x11, 0x11);
	assert_int_equal(in(b, RBR), 0x00);
	out(b, LCR, 0x43); /* it is still the same break */
	assert_int_equal(in(b, LSR) & 0x01, 0x00);
}

static void modem_lines_that_changed_raise_their_interrupt_once(void **state)
{
	struct bench *b = *state;

	in(b, MSR);
	out(b, IER, 0x08);
	out(b, MCR, 0x10);
	assert_int_equal(in(b, IIR), 0x00);
	assert_int_equal(in(b, MSR), 0x0b); /* DCD, DSR and CTS fell */
	assert_int_equal(in(b, IIR), NO_INT);
	out(b, MCR, 0x14);
	assert_int_equal(in(b, MSR), 0x40); /* RI's rise is no event */
	out(b, MCR, 0x10);
	assert_int_equal(in(b, MSR), 0x04); /* its end is */
	assert_int_equal(in(b, MSR), 0x00);
}

static void interrupts_come_by_priority(void **state)
{
	struct bench *b = *state;

	out(b, FCR, 0x01);
	out(b, MCR, 0x10);
	for (int i = 0; i < FIFO + 1; i++)
		out(b, THR, 0);
	out(b, IER, 0x0f);
	assert_int_equal(in(b, IIR), 0xc6);
	in(b, LSR);
	assert_int_equal(in(b, IIR), 0xc4);
	while (in(b, LSR) & 0x01)
		in(b, RBR);
	assert_int_equal(in(b, IIR), 0xc2);
	assert_int_equal(in(b, IIR), 0xc0);
	in(b, MSR);
	assert_int_equal(in(b, IIR), 0xc1);
}

/* --- Odd accesses, reset, many threads ------------------------------------------------------- */

static void wide_accesses_are_several_narrow_ones(void **state)
{
	struct bench *b = *state;
	char got[4] = "";

	fm_out(&b->fm, SCR - 3, 0xa50000, 4); /* MCR, LSR, MSR, SCR: bytes 0, 0, 0xa5, 0 */
	assert_int_equal(in(b, SCR), 0x00);
	fm_out(&b->fm, MSR, 0x5a00, 2);
	assert_int_equal(in(b, SCR), 0x5a);
	assert_int_equal(fm_in(&b->fm, MSR, 2) & 0xfff0, 0x5ab0);
	fm_out(&b->fm, THR, 'w', 2); /* THR, then IER */
	fm_settle(&b->fm);
	assert_int_equal(fd_read(b->from_guest, got, sizeof(got)), 1);
	assert_int_equal(got[0], 'w');
	assert_int_equal(fm_in(&b->fm, SCR, 4), 0xffffffff); /* over the end: nobody answers */
}

static void a_burst_of_string_output_is_kept_whole(void **state)
{
	struct bench *b = *state;
	static char got[8192];

	for (u32 i = 0; i < sizeof(got); i++)
		out(b, THR, 's');
	fm_settle(&b->fm);
	assert_int_equal(fd_read(b->from_guest, got, sizeof(got)), sizeof(got));
}

static void reset_in_the_middle_of_everything_is_power_on(void **state)
{
	struct bench *b = *state;

	open_port(b);
	type(b, "half");
	FM_WAIT(&b->fm, irq(b));
	out(b, IER, 0x0f);
	out(b, SCR, 0x77);
	in(b, RBR);
	b->dev->cls->line_break(b->dev);
	out(b, LCR, 0x9f);
	b->dev->cls->reset(b->dev);
	assert_false(irq(b));
	fm_settle(&b->fm);
	assert_int_equal(in(b, IER), 0x00);
	assert_int_equal(in(b, IIR), NO_INT);
	assert_int_equal(in(b, LCR), 0x00);
	assert_int_equal(in(b, MCR), 0x00);
	assert_int_equal(in(b, LSR), THRE_TEMT);
	assert_int_equal(in(b, MSR), 0xb0);
	assert_int_equal(in(b, SCR), 0x00);
}

static void taken_ports_are_an_error_with_the_devices_name(void **state)
{
	struct bench *b = *state;
	struct serial_cfg cfg = { .in_fd_index = -1, .out_fd_index = -1, .listen_fd_index = -1 };
	struct fdset fds = { 0 };
	struct err e = { 0 };

	assert_null(fm_try(&b->fm, "uart16550", 0, &cfg, &fds, &e));
	assert_non_null(strstr(e.text, "uart16550.0: "));
}

static void *hammer(void *opaque)
{
	struct bench *b = opaque;
	u32 seed = 1;

	for (u32 i = 0; i < 30000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31)
			out(b, COM1 + (seed >> 16 & 7), (u8)(seed >> 8));
		else
			in(b, COM1 + (seed >> 16 & 7));
	}
	return NULL;
}

static void vcpus_and_the_loop_may_come_at_once(void **state)
{
	struct bench *b = *state;
	static char text[8192];
	pthread_t threads[2];
	char got[4096];

	memset(text, 't', sizeof(text));
	assert_int_equal(fd_write_all(b->to_guest, text, sizeof(text)), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, b), 0);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(evl_run_once(&b->fm.evl, 0), 0);
		if (i % 16 == 0) {
			b->dev->cls->line_break(b->dev);
			while (fd_read(b->from_guest, got, sizeof(got)) > 0)
				;
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	b->dev->cls->reset(b->dev);
	assert_int_equal(in(b, IIR), NO_INT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_existence_test_passes),
		T(the_loopback_test_shows_the_modem_lines),
		T(the_probe_finds_a_16550a_and_nothing_newer),
		T(the_fifo_holds_sixteen_bytes_and_the_newest_is_lost),
		T(the_transmitter_interrupt_passes_linux_tests),
		T(divisor_and_scratch_registers_keep_what_is_written),
		T(output_by_interrupt_arrives_whole_and_in_bounded_bursts),
		T(a_driver_that_looks_once_for_each_interrupt_gets_all_of_them),
		T(a_driver_that_looks_again_gets_no_interrupt_too_many),
		T(a_line_that_shares_its_interrupt_is_released_when_idle),
		T(a_host_that_does_not_read_hides_thre_until_it_does),
		T(a_guest_that_ignores_lsr_loses_bytes_and_nothing_else),
		T(out2_gates_the_interrupt_line),
		T(a_key_raises_the_timeout_interrupt_below_the_trigger),
		T(a_fifo_at_its_trigger_raises_the_data_interrupt),
		T(bytes_left_below_the_trigger_time_out_again),
		T(without_fifos_one_byte_comes_at_a_time),
		T(a_guest_that_never_reads_leaves_input_with_the_host),
		T(long_input_arrives_whole_and_in_order),
		T(input_waits_until_the_guest_listens),
		T(a_guest_that_polls_gets_input_too),
		T(what_loopback_left_does_not_come_back_as_input),
		T(loopback_cuts_the_line),
		T(a_break_is_seen_in_line_status_with_a_zero_byte),
		T(an_error_is_shown_when_its_byte_is_the_oldest),
		T(setting_break_in_loopback_is_received),
		T(modem_lines_that_changed_raise_their_interrupt_once),
		T(interrupts_come_by_priority),
		T(wide_accesses_are_several_narrow_ones),
		T(a_burst_of_string_output_is_kept_whole),
		T(reset_in_the_middle_of_everything_is_power_on),
		T(taken_ports_are_an_error_with_the_devices_name),
		T(vcpus_and_the_loop_may_come_at_once),
	};

	return cmocka_run_group_tests_name("uart16550", tests, NULL, NULL);
}
