// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: a driver and programs on the host at the two ends of a vsock, in any order, telling lies.
// test-sources: drivers/virtio/vsock/vsock.c drivers/virtio/vsock/conn.c drivers/virtio/vsock/open.c drivers/virtio/vsock/vhost.c src/virtio/vhost_kernel.c src/util/unix_socket.c src/util/opt.c fake_guest
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/virtio/vsock/vsock.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum {
	CID = 3,
	HEADER = sizeof(struct vsock_header),
	STEPS_MAX = 96,
	ENDS_MAX = 8, /* of the host's */
	ASKS_MAX = 64,
	TURNS_MAX = 2000,
	RX_BYTES = HEADER + 512,
	BUSY_MAX = 64,
	PORT_MIN = 1 << 30,
};

/* The input is a list of these; `len` bytes of its own follow some. */
struct step {
	u8 verb, arg, flags, len;
	le16 port; /* small numbers, so that they meet */
	le16 number;
};

enum verb {
	VERB_PACKET,      /* of operation `arg`, between port and the host's port `flags` */
	VERB_ANSWER,      /* the same, to a port as calls of the host have */
	VERB_DATA,        /* a RW with bytes, whose credit is respected */
	VERB_RAW,         /* bytes as they are */
	VERB_BULK,        /* a RW of `number` bytes */
	VERB_LISTEN,      /* receive buffers */
	VERB_ODD_BUFFER,  /* one of `number` bytes */
	VERB_CALL,        /* a client says CONNECT port */
	VERB_SAY,         /* a client says those bytes */
	VERB_HOST_WRITES, /* `number` bytes */
	VERB_HOST_READS,
	VERB_HOST_SHUTS, /* a half */
	VERB_HOST_CLOSES,
	VERB_GRANT, /* the oldest ask is answered */
	VERB_TIME,  /* a second is over */
	VERB_RESTART,
	VERB_GO_ON,
	VERB_HEAD, /* a head that is none */
	NR_VERBS,
};

struct bench {
	struct fake_guest g;
	int ends[ENDS_MAX]; /* the host's, -1: none */
	u32 nr_asks;
	u32 cookies[ASKS_MAX];
	char path[64];
};

static struct bench bench;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_vsock: %s\n", what);
	abort();
}

/* Takes the place of the C library's: what waits a second waits for VERB_TIME. */
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	const struct itimerspec never = { 0 };

	if (value->it_value.tv_sec > 0)
		value = &never;
	return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
}

static int host_ask(struct vdev_host *host, u32 what, u32 cookie)
{
	(void)host;
	(void)what;
	if (bench.nr_asks == ASKS_MAX)
		return -EAGAIN;
	bench.cookies[bench.nr_asks++] = cookie;
	return 0;
}

/* --- The host --------------------------------------------------------------------------------- */

static int *end_of(struct bench *b, u32 number)
{
	return &b->ends[number % ENDS_MAX];
}

static void host_connects(struct bench *b, const struct step *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int *end = end_of(b, s->arg);
	char text[32];

	fd_close(end);
	*end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->path);
	if (connect(*end, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		fd_close(end);
		return;
	}
	if (s->verb % NR_VERBS == VERB_CALL) {
		snprintf(text, sizeof(text), "CONNECT %u\n", le16_get(s->port) % 8);
		fd_write(*end, text, strlen(text));
	}
}

static void host_writes(struct bench *b, const struct step *s)
{
	static const u8 bytes[65536];

	fd_write(*end_of(b, s->arg), bytes, le16_get(s->number));
}

static void host_reads(struct bench *b, const struct step *s)
{
	static u8 bytes[65536];

	fd_read(*end_of(b, s->arg), bytes, le16_get(s->number));
}

/* The supervisor finds somebody, or nobody. */
static void host_grants(struct bench *b, const struct step *s)
{
	int ends[2], *end = end_of(b, s->arg);

	if (b->nr_asks == 0)
		return;
	b->nr_asks--;
	if (s->flags % 4 == 3 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		b->g.v->cls->granted(b->g.v, b->cookies[b->nr_asks], -ECONNREFUSED);
		return;
	}
	fd_close(end);
	*end = ends[0];
	b->g.v->cls->granted(b->g.v, b->cookies[b->nr_asks], ends[1]);
}

/* --- The guest -------------------------------------------------------------------------------- */

static struct vsock_header step_header(const struct step *s, u16 op)
{
	bool to_call = s->verb % NR_VERBS == VERB_ANSWER;

	return (struct vsock_header){
		.src_cid = le64_make(s->flags & 0x40 ? 4 : CID),
		.dst_cid = le64_make(s->flags & 0x80 ? 1 : VSOCK_CID_HOST),
		.src_port = le32_make(le16_get(s->port) % 8),
		.dst_port = le32_make(to_call ? PORT_MIN + s->flags % 8u : s->flags % 8u),
		.type = le16_make(s->flags & 0x20 ? s->arg : VSOCK_TYPE_STREAM),
		.op = le16_make(op),
		.flags = le32_make(le16_get(s->number) & 7),
		.buf_alloc = le32_make(s->flags & 0x10 ? le16_get(s->number) : 65536),
		.fwd_cnt = le32_make(s->flags & 0x8 ? le16_get(s->number) : 0),
	};
}

static void guest_offers(struct bench *b, const void *header, u32 header_len, const void *data,
			 u32 len)
{
	fg_chain(&b->g, VSOCK_TX, OUT(header, header_len), OUT(data, len));
	fg_kick(&b->g, VSOCK_TX);
}

static void guest_sends(struct bench *b, const struct step *s, const u8 *data, u32 len)
{
	u32 verb = s->verb % NR_VERBS;
	bool has_data = verb == VERB_DATA || verb == VERB_BULK;
	struct vsock_header h = step_header(s, has_data ? VSOCK_OP_RW : s->arg % 10);

	if (verb == VERB_BULK)
		len = le16_get(s->number);
	h.len = le32_make(verb == VERB_PACKET && s->flags & 0x4 ? le16_get(s->number) : len);
	guest_offers(b, &h, HEADER, verb == VERB_BULK ? NULL : data, len);
}

static void guest_listens(struct bench *b, u32 nr)
{
	for (u32 i = 0; i < nr && b->g.queues[VSOCK_RX].nr_busy < BUSY_MAX; i++)
		fg_chain(&b->g, VSOCK_RX, IN(RX_BYTES));
	fg_kick(&b->g, VSOCK_RX);
}

/* What the device sends is always a whole packet to this guest. */
static void guest_checks(const struct fg_used *used)
{
	struct vsock_header h;
	u16 op;

	if (used->written == 0)
		return;
	expect(used->written >= HEADER, "less than a header");
	memcpy(&h, used->in, HEADER);
	op = le16_get(h.op);
	expect(le64_get(h.dst_cid) == CID, "a packet to somebody else");
	expect(le32_get(h.len) == used->written - HEADER, "a length that is none");
	expect(op >= VSOCK_OP_REQUEST && op <= VSOCK_OP_CREDIT_REQUEST,
	       "an operation that is none");
	expect((op == VSOCK_OP_RW) == (le32_get(h.len) > 0), "bytes, or none, where it should not");
	if (op != VSOCK_OP_RST)
		expect(le32_get(h.buf_alloc) == VSOCK_BUFFER_BYTES, "another buffer");
}

/* The loop comes to rest by itself. */
static void guest_runs(struct bench *b)
{
	struct fg_used used;
	u32 turns = 0;

	while (!fg_is_quiet(&b->g)) {
		fg_step(&b->g);
		expect(++turns < TURNS_MAX, "the loop spins");
	}
	while (fg_take(&b->g, VSOCK_TX, &used))
		expect(used.written == 0, "bytes were written into what was sent");
	while (fg_take(&b->g, VSOCK_RX, &used))
		guest_checks(&used);
}

static void guest_restarts(struct bench *b)
{
	b->g.nr_broken = 0;
	fg_stop(&b->g);
	fg_start(&b->g);
}

static void guest_goes_on(struct bench *b, u32 qi)
{
	struct err e;
	u16 base = vdev_queue_stop(b->g.v, qi);

	expect(vdev_queue_start(b->g.v, qi, &b->g.queues[qi].config, base, &e) == 0, "start");
	fg_force_kick(&b->g, qi);
}

/* --- Steps ------------------------------------------------------------------------------------ */

static bool run_host_step(struct bench *b, const struct step *s, const u8 *bytes, u32 len)
{
	switch (s->verb % NR_VERBS) {
	case VERB_CALL:
		host_connects(b, s);
		return true;
	case VERB_SAY:
		if (*end_of(b, s->arg) < 0)
			host_connects(b, s);
		fd_write(*end_of(b, s->arg), bytes, len);
		return true;
	case VERB_HOST_WRITES:
		host_writes(b, s);
		return true;
	case VERB_HOST_READS:
		host_reads(b, s);
		return true;
	case VERB_HOST_SHUTS:
		shutdown(*end_of(b, s->arg), s->flags % 3);
		return true;
	case VERB_HOST_CLOSES:
		fd_close(end_of(b, s->arg));
		return true;
	case VERB_GRANT:
		host_grants(b, s);
		return true;
	}
	return false;
}

static void run_guest_step(struct bench *b, const struct step *s, const u8 *bytes, u32 len)
{
	switch (s->verb % NR_VERBS) {
	case VERB_PACKET:
	case VERB_ANSWER:
	case VERB_DATA:
	case VERB_BULK:
		guest_sends(b, s, bytes, len);
		break;
	case VERB_RAW:
		guest_offers(b, bytes, len, NULL, 0);
		break;
	case VERB_LISTEN:
		guest_listens(b, s->arg % 32);
		break;
	case VERB_ODD_BUFFER:
		fg_chain(&b->g, s->arg % VSOCK_RINGS, IN(le16_get(s->number) % 256));
		fg_force_kick(&b->g, s->arg % VSOCK_RINGS);
		break;
	case VERB_TIME:
		vsock_conns_tick(b->g.v->priv);
		vsock_pump(b->g.v->priv);
		break;
	case VERB_RESTART:
		guest_restarts(b);
		break;
	case VERB_GO_ON:
		guest_goes_on(b, s->arg % VSOCK_RINGS);
		break;
	case VERB_HEAD:
		fg_offer(&b->g, s->arg % VSOCK_RINGS, (u16)(VSOCK_RING_MAX + s->flags));
		fg_force_kick(&b->g, s->arg % VSOCK_RINGS);
		break;
	}
}

static bool has_bytes(const struct step *s)
{
	u32 verb = s->verb % NR_VERBS;

	return verb == VERB_DATA || verb == VERB_RAW || verb == VERB_SAY;
}

/* --- One input -------------------------------------------------------------------------------- */

static void bench_create(struct bench *b)
{
	const struct vdev_class *cls = vdev_class_find("virtio-vsock");
	struct vsock_cfg cfg = { .cid = CID };
	struct fdset fds = { 0 };
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	snprintf(b->path, sizeof(b->path), "/tmp/kiln-fuzz-vsock-%d", (int)getpid());
	snprintf(cfg.socket, sizeof(cfg.socket), "%s", b->path);
	for (u32 i = 0; i < ENDS_MAX; i++)
		b->ends[i] = -1;
	b->nr_asks = 0;
	expect(cls->open(&cfg, &fds, &e) == 0, "no socket");
	fg_create(&b->g, "virtio-vsock", &cfg, &fds);
	b->g.host.ask = host_ask;
	fg_start(&b->g);
}

/* When everybody has left, nothing is held any more. */
static void bench_finish(struct bench *b)
{
	for (u32 i = 0; i < ENDS_MAX; i++)
		fd_close(&b->ends[i]);
	guest_runs(b);
	fg_destroy(&b->g);
	unlink(b->path);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct bench *b = &bench;
	struct step s;

	bench_create(b);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		u32 len;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		len = has_bytes(&s) ? (u32)MIN((size_t)s.len, size) : 0;
		if (b->g.nr_broken > 0 || b->g.queues[VSOCK_TX].nr_busy >= BUSY_MAX ||
		    b->g.queues[VSOCK_RX].nr_busy >= VSOCK_RING_MAX - 1 ||
		    b->g.queues[VSOCK_EVENT].nr_busy >= BUSY_MAX)
			guest_restarts(b);
		if (!run_host_step(b, &s, data, len))
			run_guest_step(b, &s, data, len);
		guest_runs(b);
		data += len;
		size -= len;
	}
	bench_finish(b);
	return 0;
}
