// SPDX-License-Identifier: BSD-3-Clause
// A hostile driver and a hostile network on the two sides of virtio-net.
// test-sources: drivers/virtio/net/net.c drivers/virtio/net/open.c drivers/virtio/net/vhost.c src/virtio/vhost_kernel.c src/util/opt.c fake_guest
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/virtio/net/net.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum {
	STEPS_MAX = 200,
	TURNS_MAX = 64,
	HEADER = 12,
	FRAME_MIN = 14,
	FRAME_MAX = 65550,
	PACKET_MAX = HEADER + FRAME_MAX + 100,
	PIECES_MAX = 4,
	F_CSUM = 0,
	F_HOST_TSO4 = 11,
	F_HOST_TSO6 = 12,
	F_MRG_RXBUF = 15,
};

/* The input: one of these, then steps. */
struct shape {
	u8 kind;  /* odd: passt; else a tap of so many pairs */
	u8 flags; /* see bench_create */
	u8 mtu;
};

struct step {
	u8 verb, ring, pieces;
	u8 len[2];
	u8 nr_bytes; /* that follow: what the buffers begin with */
};

enum verb {
	VERB_OFFER_OUT, /* a request to be read: a frame to send, a control request */
	VERB_OFFER_BOTH,
	VERB_OFFER_IN, /* receive buffers */
	VERB_WILD,     /* a head or an index out of order */
	VERB_NET_SENDS,
	VERB_NET_READS,
	VERB_TAKE,
	VERB_TURN,
	VERB_RESTART,
	VERB_NET_ENDS,
	NR_VERBS,
};

struct bench {
	struct fake_guest g;
	struct net_cfg cfg;
	int net[NET_PAIRS_MAX]; /* the network's ends, or -1 */
	bool wild;              /* the fake guest cannot tell any more what it offered */
	const u8 *data;
	size_t left;
	u8 packet[PACKET_MAX];
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_net: %s\n", what);
	abort();
}

static bool take(struct bench *b, void *to, size_t len)
{
	if (b->left < len)
		return false;
	memcpy(to, b->data, len);
	b->data += len;
	b->left -= len;
	return true;
}

static void bench_create(struct bench *b, const struct shape *shape)
{
	bool passt = shape->kind & 1;
	u32 pairs = passt ? 1 : 1 + (shape->kind >> 1) % 3;
	struct fdset fds = { 0 };
	u64 without = 0;

	b->cfg.kind = passt ? NET_PASST : NET_PACKETS;
	b->cfg.mtu = shape->mtu ? NET_MTU_MIN + 8u * shape->mtu : 0;
	for (u32 i = 0; i < NET_PAIRS_MAX; i++)
		b->net[i] = -1;
	for (u32 i = 0; i < pairs; i++, b->cfg.nr_pairs++) {
		int type = passt ? SOCK_STREAM : SOCK_SEQPACKET, ends[2];

		expect(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
		       "socketpair");
		b->net[i] = ends[1];
		b->cfg.fd_index[i] = fdset_put(&fds, &ends[0]);
	}
	fg_create(&b->g, "virtio-net", &b->cfg, &fds);
	without |= shape->flags & 1 ? 1u << F_MRG_RXBUF : 0;
	without |= shape->flags & 2 ? 0x1983 : 0; /* all offloads */
	without |= shape->flags & 4 ? 1u << 22 : 0;
	without |= shape->flags & 8 ? 1u << VIRTIO_RING_F_EVENT_IDX : 0;
	without |= shape->flags & 16 ? 1u << F_HOST_TSO6 : 0;
	b->g.features &= ~without;
	b->g.ring_size = shape->flags & 32 ? 8 : 256;
	fg_start(&b->g);
}

static void bench_destroy(struct bench *b)
{
	fg_destroy(&b->g);
	for (u32 i = 0; i < NET_PAIRS_MAX; i++)
		fd_close(&b->net[i]);
}

/* --- The network ------------------------------------------------------------------------------ */

static u32 u16_at(const u8 *at)
{
	return (u32)bytes_get_le(at, 2);
}

/* What reaches the tap keeps to what was negotiated. */
static void expect_good_packet(struct bench *b, u32 len)
{
	const u8 *h = b->packet;
	u32 frame = len - HEADER;

	expect(len >= HEADER + FRAME_MIN && frame <= FRAME_MAX, "a frame too short or too long");
	expect(!(h[0] & ~1) && u16_at(h + 10) == 0, "bits that mean nothing");
	if (h[0])
		expect(vdev_has(b->g.v, F_CSUM) && u16_at(h + 6) + u16_at(h + 8) + 2 <= frame,
		       "a checksum that must not be");
	else
		expect(u16_at(h + 6) == 0 && u16_at(h + 8) == 0, "offsets of no checksum");
	if (h[1] == 0) {
		expect(u16_at(h + 2) == 0 && u16_at(h + 4) == 0, "sizes of no segments");
		return;
	}
	expect(h[1] == 1 || h[1] == 4, "segments of an unknown kind");
	expect(vdev_has(b->g.v, h[1] == 1 ? F_HOST_TSO4 : F_HOST_TSO6), "segments not negotiated");
	expect(h[0] && u16_at(h + 4) > 0 && u16_at(h + 2) <= frame, "segments of nonsense");
}

static void net_reads(struct bench *b, u32 pair)
{
	for (u32 i = 0; i < TURNS_MAX && b->net[pair] >= 0; i++) {
		ssize_t got = recv(b->net[pair], b->packet, sizeof(b->packet), 0);

		if (got <= 0)
			return;
		if (b->cfg.kind == NET_PACKETS)
			expect_good_packet(b, (u32)got);
	}
}

static void net_sends(struct bench *b, u32 pair, u32 len)
{
	/* An empty packet of a socket is its end, which VERB_NET_ENDS is for. */
	if (b->net[pair] >= 0 && len > 0)
		send(b->net[pair], b->packet, len, MSG_NOSIGNAL);
}

/* --- The driver ------------------------------------------------------------------------------- */

static void offer(struct bench *b, const struct step *s, u32 qi, u32 len)
{
	u32 pieces = 1 + s->pieces % PIECES_MAX, at = 0;
	struct fg_buffer buffers[PIECES_MAX + 1];
	bool in = s->verb % NR_VERBS == VERB_OFFER_IN;
	u32 nr = 0;

	if (b->wild || b->g.queues[qi].size - b->g.queues[qi].nr_busy < ARRAY_SIZE(buffers))
		return;
	for (u32 i = 0; i < pieces; i++) {
		u32 run = i + 1 < pieces ? (len - at) / 2 : len - at;

		buffers[nr++] = in ? IN(run) : OUT(b->packet + at, run);
		at += run;
	}
	if (s->verb % NR_VERBS == VERB_OFFER_BOTH)
		buffers[nr++] = IN(s->pieces >> 4);
	fg_submit(&b->g, qi, s->pieces & 8, buffers, nr);
	fg_kick(&b->g, qi);
}

static void offer_wildly(struct bench *b, const struct step *s, u32 qi, u32 number)
{
	b->wild = true;
	if (s->pieces & 1)
		fg_set_avail_idx(&b->g, qi, (u16)number);
	else
		fg_offer(&b->g, qi, (u16)number);
	fg_force_kick(&b->g, qi);
}

/* A frame for the guest: as many buffers as its header says, and they are there already. */
static bool take_frame(struct bench *b, u32 qi)
{
	struct fg_used used;
	u32 nr, bytes;

	if (!fg_take(&b->g, qi, &used))
		return false;
	expect(used.written > 0, "a receive buffer with nothing");
	if (used.written < HEADER)
		return true; /* cut within the header: the rest is too much trouble */
	nr = u16_at(used.in + 10);
	bytes = used.written;
	expect(nr >= 1 && (nr == 1 || vdev_has(b->g.v, F_MRG_RXBUF)), "num_buffers");
	for (u32 i = 1; i < nr; i++) {
		expect(fg_take(&b->g, qi, &used), "a frame without its end");
		bytes += used.written;
	}
	expect(bytes >= HEADER + FRAME_MIN && bytes <= HEADER + FRAME_MAX, "a frame's length");
	return true;
}

static void take_all(struct bench *b, u32 qi)
{
	struct fg_used used;

	if (b->wild)
		return;
	if (qi % 2 == 0 && qi / 2 < (b->g.v->features >> 22 & 1 ? b->cfg.nr_pairs : 1))
		while (take_frame(b, qi))
			continue;
	else
		while (fg_take(&b->g, qi, &used))
			continue;
}

static void turn(struct bench *b)
{
	for (u32 i = 0; i < TURNS_MAX && !fg_is_quiet(&b->g); i++)
		fg_step(&b->g);
}

static void restart(struct bench *b)
{
	fg_stop(&b->g);
	fg_start(&b->g);
	b->g.nr_broken = 0;
	b->wild = false;
}

/* Whatever came before, after a reset a frame of the network reaches a driver with buffers. */
static void expect_alive(struct bench *b)
{
	static const u8 marker[] = "the last frame of all";
	struct fg_used used;

	if (b->cfg.kind != NET_PACKETS || b->net[0] < 0)
		return;
	restart(b);
	memset(b->packet, 0, sizeof(b->packet));
	memcpy(b->packet + HEADER, marker, sizeof(marker));
	for (u32 i = 0; i < 10000; i++) {
		while (b->g.queues[0].nr_busy < 8)
			fg_chain(&b->g, 0, IN(20000));
		fg_kick(&b->g, 0);
		if (i % 256 == 0)
			net_sends(b, 0, HEADER + 60); /* until there is room for it */
		turn(b);
		while (fg_take(&b->g, 0, &used))
			if (used.written == HEADER + 60 &&
			    memcmp(used.in + HEADER, marker, sizeof(marker)) == 0)
				return;
	}
	expect(false, "the card is dead");
}

/* --- Steps ------------------------------------------------------------------------------------ */

static void run_step(struct bench *b, const struct step *s)
{
	u32 qi = s->ring % b->g.v->nr_queues, pair = qi / 2 % b->cfg.nr_pairs;
	u32 len = u16_at(s->len);

	switch ((enum verb)(s->verb % NR_VERBS)) {
	case VERB_OFFER_OUT:
	case VERB_OFFER_BOTH:
	case VERB_OFFER_IN:
		offer(b, s, qi, len);
		break;
	case VERB_WILD:
		offer_wildly(b, s, qi, len);
		break;
	case VERB_NET_SENDS:
		net_sends(b, pair, len);
		break;
	case VERB_NET_READS:
		net_reads(b, pair);
		break;
	case VERB_TAKE:
		take_all(b, qi);
		break;
	case VERB_TURN:
		turn(b);
		break;
	case VERB_RESTART:
		/* Frames on their way were checked by what was negotiated, which stays. */
		restart(b);
		break;
	case VERB_NET_ENDS:
		fd_close(&b->net[pair]);
		break;
	case NR_VERBS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	struct shape shape;
	struct step step;

	memset(&b, 0, sizeof(b));
	b.data = data;
	b.left = size;
	if (!take(&b, &shape, sizeof(shape)))
		return 0;
	signal(SIGPIPE, SIG_IGN);
	bench_create(&b, &shape);
	for (u32 i = 0; i < STEPS_MAX && take(&b, &step, sizeof(step)); i++) {
		u32 nr = (u32)MIN((size_t)step.nr_bytes, b.left);

		take(&b, b.packet, nr);
		run_step(&b, &step);
	}
	turn(&b);
	expect_alive(&b);
	bench_destroy(&b);
	return 0;
}
