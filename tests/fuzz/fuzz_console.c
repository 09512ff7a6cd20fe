// SPDX-License-Identifier: BSD-3-Clause
// A driver and a host at the two ends of a console, in any order: every byte arrives, none twice.
// test-sources: drivers/virtio/console/console.c src/stream/stream.c src/stream/serial_cfg.c src/stream/unix_listen.c src/util/opt.c fake_guest
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "drivers/virtio/console/console.h"
#include "stream/serial_cfg.h"
#include "tests/lib/fake_guest.h"
#include "util/bytes.h"
#include "util/fd.h"

enum {
	RX,
	TX,
	STEPS_MAX = 128,
	BUSY_MAX = 48,
	PIECES_MAX = 16,
	TURNS_MAX = 1000,
	LINE_MAX = 1 << 20, /* more bytes than the steps can send */
	PIPE_BYTES = 4096,
};

/* As the driver has it. */
struct console_cfg {
	struct serial_cfg serial;
	u16 cols, rows;
};

/* The input is a list of these, some with `len` bytes of their own. */
struct step {
	u8 verb, arg;
	u8 len[2];
};

enum verb {
	VERB_PRINT,      /* those bytes, in one buffer */
	VERB_PIECES,     /* those bytes, one buffer for each */
	VERB_BULK,       /* so many bytes */
	VERB_LISTEN,     /* a buffer of so many bytes for input */
	VERB_LISTEN_TWO, /* one of two buffers */
	VERB_HOST_SENDS,
	VERB_HOST_READS, /* so many bytes at most */
	VERB_WRONG_WAY,  /* a buffer of the other kind, into ring `arg` */
	VERB_HEAD,       /* a head that is none */
	VERB_RESTART,
	VERB_GO_ON, /* ring `arg` stops and goes on where it was */
	VERB_RESIZE,
	NR_VERBS,
};

/* What was sent into one end and how much of it came out at the other. */
struct line {
	u32 sent, got;
	bool is_torn; /* what is on its way was reset: do not compare */
	u8 bytes[LINE_MAX];
};

struct bench {
	struct fake_guest g;
	struct line in, out;
	int to_guest_fd, from_guest_fd;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_console: %s\n", what);
	abort();
}

/* Takes the place of the C library's: every delay is over at once. */
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	struct itimerspec now = *value;

	if (now.it_value.tv_sec != 0 || now.it_value.tv_nsec != 0)
		now.it_value = (struct timespec){ .tv_nsec = 1 };
	return (int)syscall(SYS_timerfd_settime, fd, flags, &now, old);
}

static void line_send(struct line *l, const u8 *bytes, u32 len)
{
	expect(len <= LINE_MAX - l->sent, "LINE_MAX is too small");
	memcpy(l->bytes + l->sent, bytes, len);
	l->sent += len;
}

static void line_receive(struct line *l, const u8 *bytes, u32 len)
{
	if (l->is_torn)
		return;
	expect(len <= l->sent - l->got, "more came than was sent");
	expect(memcmp(l->bytes + l->got, bytes, len) == 0, "something else came than was sent");
	l->got += len;
}

/* --- The host --------------------------------------------------------------------------------- */

static void host_sends(struct bench *b, const u8 *bytes, u32 len)
{
	ssize_t put = fd_write(b->to_guest_fd, bytes, len);

	if (put > 0)
		line_send(&b->in, bytes, (u32)put);
}

static void host_reads(struct bench *b, u32 len)
{
	static u8 bytes[65536];
	ssize_t got = fd_read(b->from_guest_fd, bytes, len);

	if (got > 0)
		line_receive(&b->out, bytes, (u32)got);
}

/* --- The guest -------------------------------------------------------------------------------- */

/* The loop comes to rest by itself, and what came back is what it should be. */
static void guest_runs(struct bench *b)
{
	struct fg_used used;
	u32 turns = 0;

	while (!fg_is_quiet(&b->g)) {
		fg_step(&b->g);
		expect(++turns < TURNS_MAX, "the loop spins");
	}
	while (fg_take(&b->g, TX, &used))
		expect(used.written == 0, "bytes were written into output");
	while (fg_take(&b->g, RX, &used))
		line_receive(&b->in, used.in, used.written);
}

static void guest_restarts(struct bench *b)
{
	b->out.is_torn |= b->g.queues[TX].nr_busy > 0;
	b->g.nr_broken = 0;
	fg_stop(&b->g);
	fg_start(&b->g);
}

static void guest_prints(struct bench *b, const u8 *bytes, u32 len, bool in_pieces)
{
	struct fg_buffer buffers[PIECES_MAX] = { OUT(bytes, len) };
	u32 nr = 1;

	if (in_pieces) {
		len = MIN(len, (u32)PIECES_MAX);
		for (nr = 0; nr < len; nr++)
			buffers[nr] = OUT(bytes + nr, 1);
	}
	if (nr == 0)
		return;
	line_send(&b->out, bytes, len);
	fg_submit(&b->g, TX, false, buffers, nr);
	fg_kick(&b->g, TX);
}

static void guest_prints_bulk(struct bench *b, u32 len, u8 seed)
{
	static u8 bytes[8192];

	len %= sizeof(bytes);
	for (u32 i = 0; i < len; i++)
		bytes[i] = (u8)(seed + (i ^ i >> 8));
	guest_prints(b, bytes, len, false);
}

static void guest_goes_on(struct bench *b, u32 qi)
{
	struct err e;
	u16 base = vdev_queue_stop(b->g.v, qi);

	b->out.is_torn |= qi == TX;
	expect(vdev_queue_start(b->g.v, qi, &b->g.queues[qi].config, base, &e) == 0, "start");
	fg_force_kick(&b->g, qi);
}

static void guest_errs(struct bench *b, const struct step *s, u32 len)
{
	u32 qi = s->arg & 1;

	if (s->verb % NR_VERBS == VERB_WRONG_WAY && qi == TX)
		fg_chain(&b->g, TX, IN(len));
	else if (s->verb % NR_VERBS == VERB_WRONG_WAY)
		fg_chain(&b->g, RX, OUT(NULL, len));
	else
		fg_offer(&b->g, qi, (u16)MAX(len, b->g.ring_size)); /* outside of the table */
	fg_force_kick(&b->g, qi);
}

static void run_step(struct bench *b, const struct step *s, const u8 *bytes, u32 len)
{
	u32 number = (u32)bytes_get_le(s->len, 2);

	switch (s->verb % NR_VERBS) {
	case VERB_PRINT:
	case VERB_PIECES:
		guest_prints(b, bytes, len, s->verb % NR_VERBS == VERB_PIECES);
		break;
	case VERB_BULK:
		guest_prints_bulk(b, number, s->arg);
		break;
	case VERB_LISTEN:
		fg_chain(&b->g, RX, IN(number));
		fg_kick(&b->g, RX);
		break;
	case VERB_LISTEN_TWO:
		fg_chain(&b->g, RX, IN(number), IN(s->arg));
		fg_kick(&b->g, RX);
		break;
	case VERB_HOST_SENDS:
		host_sends(b, bytes, len);
		break;
	case VERB_HOST_READS:
		host_reads(b, number);
		break;
	case VERB_WRONG_WAY:
	case VERB_HEAD:
		guest_errs(b, s, number);
		break;
	case VERB_RESTART:
		guest_restarts(b);
		break;
	case VERB_GO_ON:
		guest_goes_on(b, s->arg & 1);
		break;
	case VERB_RESIZE:
		console_set_size(b->g.v, (u16)number, s->arg);
		break;
	}
}

static bool has_bytes(const struct step *s)
{
	u32 verb = s->verb % NR_VERBS;

	return verb == VERB_PRINT || verb == VERB_PIECES || verb == VERB_HOST_SENDS;
}

/* --- One input -------------------------------------------------------------------------------- */

static void bench_create(struct bench *b)
{
	struct console_cfg cfg = { .serial = { .listen_fd_index = -1 } };
	struct fdset fds = { 0 };
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN);
	expect(pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0,
	       "pipes");
	fcntl(out[0], F_SETPIPE_SZ, PIPE_BYTES);
	b->to_guest_fd = in[1];
	b->from_guest_fd = out[0];
	cfg.serial.in_fd_index = fdset_put(&fds, &in[0]);
	cfg.serial.out_fd_index = fdset_put(&fds, &out[1]);
	fg_create(&b->g, "virtio-console", &cfg, &fds);
	fg_start(&b->g);
	b->in = b->out = (struct line){ 0 };
}

/* Who reads to the end has everything. */
static void bench_finish(struct bench *b)
{
	for (u32 i = 0; i < LINE_MAX / PIPE_BYTES && b->out.got < b->out.sent; i++) {
		host_reads(b, 65536);
		guest_runs(b);
	}
	expect(b->out.is_torn || b->g.nr_broken > 0 || b->out.got == b->out.sent, "bytes are lost");
	fd_close(&b->from_guest_fd);
	fg_destroy(&b->g);
	fd_close(&b->to_guest_fd);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	struct step s;

	bench_create(&b);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		u32 len;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		len = has_bytes(&s) ? (u32)MIN(bytes_get_le(s.len, 2), size) : 0;
		if (b.g.nr_broken > 0 || b.g.queues[RX].nr_busy >= BUSY_MAX ||
		    b.g.queues[TX].nr_busy >= BUSY_MAX)
			guest_restarts(&b);
		run_step(&b, &s, data, len);
		guest_runs(&b);
		data += len;
		size -= len;
	}
	bench_finish(&b);
	return 0;
}
