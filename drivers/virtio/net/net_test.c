// SPDX-License-Identifier: BSD-3-Clause
// virtio-net: frames both ways with buffers of every size, hostile headers, passt's stream, real taps.
// test-sources: drivers/virtio/net/net.c drivers/virtio/net/open.c drivers/virtio/net/vhost.c src/virtio/vhost_kernel.c src/util/opt.c fake_guest
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/virtio/net/net.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum { RX = 0, TX = 1, HEADER = 12, LONGEST = 65550, FEW = 8 };

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_HOST_TSO4 (1ull << 11)
#define F_HOST_TSO6 (1ull << 12)
#define F_MRG_RXBUF (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CTRL_VQ (1ull << 17)
#define F_MQ (1ull << 22)
#define OFFLOADS (F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6)

/* What the guest writes in front of a frame, or finds there. */
struct header {
	u8 flags, gso_type;
	u16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct bench {
	struct fake_guest g;
	int host[NET_PAIRS_MAX];          /* the other ends */
	u8 frame[HEADER + LONGEST + 100]; /* what the host sends or got; its header is zeros */
};

/* --- A card on socket pairs ------------------------------------------------------------------- */

static const struct net_cfg cfg_start = { .mac = { 2, 0, 0, 0, 0, 7 } };

static struct bench *make(struct net_cfg *cfg, enum net_kind kind, u32 pairs, u64 without)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct fdset fds = { 0 };

	cfg->kind = kind;
	for (cfg->nr_pairs = 0; cfg->nr_pairs < pairs; cfg->nr_pairs++) {
		int type = kind == NET_PASST ? SOCK_STREAM : SOCK_SEQPACKET, pair[2];

		assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
				 0);
		b->host[cfg->nr_pairs] = pair[1];
		cfg->fd_index[cfg->nr_pairs] = fdset_put(&fds, &pair[0]);
	}
	fg_create(&b->g, "virtio-net", cfg, &fds);
	b->g.features &= ~without;
	return b;
}

static struct bench *start(enum net_kind kind, u32 pairs, u64 without)
{
	struct net_cfg cfg = cfg_start;
	struct bench *b = make(&cfg, kind, pairs, without);

	fg_start(&b->g);
	return b;
}

static int setup(void **state)
{
	*state = start(NET_PACKETS, 1, 0);
	return 0;
}

static int setup_plain(void **state)
{
	*state = start(NET_PACKETS, 1, F_MRG_RXBUF | OFFLOADS);
	return 0;
}

static int setup_passt(void **state)
{
	*state = start(NET_PASST, 1, 0);
	return 0;
}

static int setup_pairs(void **state)
{
	*state = start(NET_PACKETS, 3, 0);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fg_destroy(&b->g);
	for (u32 i = 0; i < NET_PAIRS_MAX; i++)
		if (b->host[i])
			fd_close(&b->host[i]);
	free(b);
	return 0;
}

/* Frame `number` of `len` bytes, with a header of zeros before it. */
static const u8 *frame(struct bench *b, u8 number, u32 len)
{
	memset(b->frame, 0, HEADER);
	for (u32 i = 0; i < len; i++)
		b->frame[HEADER + i] = (u8)(number + i * 7 + (i >> 8));
	return b->frame;
}

/* The host's network sends frame `number`. */
static void host_sends(struct bench *b, u32 pair, u8 number, u32 len)
{
	ssize_t bytes = HEADER + (ssize_t)len;

	frame(b, number, len);
	assert_int_equal(send(b->host[pair], b->frame, (size_t)bytes, MSG_NOSIGNAL), bytes);
}

/* The host's network gets one frame. Return: bytes with the header, or -1 for none. */
static ssize_t host_gets(struct bench *b, u32 pair)
{
	memset(b->frame, 0xaa, sizeof(b->frame));
	return recv(b->host[pair], b->frame, sizeof(b->frame), 0);
}

static void offer(struct bench *b, u32 nr, u32 bytes)
{
	for (u32 i = 0; i < nr; i++)
		fg_chain(&b->g, RX, IN(bytes));
	fg_kick(&b->g, RX);
	fg_settle(&b->g);
}

/* Take frame `number` of `len` bytes out of receive buffers. Return: of how many. */
static u32 guest_gets(struct bench *b, u32 ring, u8 number, u32 len)
{
	static u8 got[HEADER + LONGEST];
	struct fg_used used = fg_wait(&b->g, ring);
	struct header h;
	u32 bytes = 0;

	memcpy(&h, used.in, sizeof(h));
	for (u32 i = 0;;) {
		assert_in_range(used.written, 1, sizeof(got) - bytes);
		memcpy(got + bytes, used.in, used.written);
		bytes += used.written;
		if (++i == h.num_buffers)
			break;
		assert_true(fg_take(&b->g, ring, &used)); /* all come at once */
	}
	assert_int_equal(bytes, HEADER + len);
	assert_memory_equal(got + HEADER, frame(b, number, len) + HEADER, len);
	return h.num_buffers;
}

static void guest_sends_with(struct bench *b, const struct header *h, u8 number, u32 len)
{
	frame(b, number, len);
	fg_do(&b->g, TX, OUT(h, sizeof(*h)), OUT(b->frame + HEADER, len));
}

static void guest_sends(struct bench *b, u8 number, u32 len)
{
	static const struct header none;

	guest_sends_with(b, &none, number, len);
}

static u16 config_u16(struct bench *b, u32 offset)
{
	u8 config[VDEV_CONFIG_BYTES_MAX];

	fg_config(&b->g, config);
	return (u16)(config[offset] | config[offset + 1] << 8);
}

static bool link_is_up(struct bench *b)
{
	return config_u16(b, 6) & 1;
}

/* --- What is offered -------------------------------------------------------------------------- */

static void a_card_on_a_tap_offers_offloads_and_one_on_passt_does_not(void **state)
{
	struct bench *tap = start(NET_PACKETS, 1, 0), *passt = start(NET_PASST, 1, 0);
	const u64 both = F_MAC | F_STATUS | F_MRG_RXBUF;

	(void)state;
	assert_true((tap->g.v->features_offered & 0xffffff) == (both | OFFLOADS));
	assert_true((passt->g.v->features_offered & 0xffffff) == both);
	assert_int_equal(tap->g.v->nr_queues, 2);
	teardown((void **)&tap);
	teardown((void **)&passt);
}

static void configuration_space_tells_address_status_pairs_and_mtu(void **state)
{
	struct net_cfg cfg = cfg_start;
	u8 config[VDEV_CONFIG_BYTES_MAX];
	struct bench *b;

	(void)state;
	cfg.mtu = 1400;
	b = make(&cfg, NET_PACKETS, 3, 0);
	assert_true(b->g.v->features_offered & F_MTU);
	assert_true(b->g.v->features_offered & F_MQ);
	assert_int_equal(b->g.v->nr_queues, 7);
	fg_config(&b->g, config);
	assert_memory_equal(config, "\2\0\0\0\0\7\1\0\3\0\x78\5", 12);
	teardown((void **)&b);
}

static void a_driver_of_before_virtio_1_is_refused(void **state)
{
	struct net_cfg cfg = cfg_start;
	struct bench *b = make(&cfg, NET_PACKETS, 1, 0);
	struct virtq_config ring = { 4, FG_LOW_GPA, FG_LOW_GPA + 0x1000, FG_LOW_GPA + 0x2000 };
	struct err e;

	(void)state;
	assert_int_equal(vdev_queue_start(b->g.v, RX, &ring, 0, &e), -EPROTONOSUPPORT);
	teardown((void **)&b);
}

/* --- To the guest ----------------------------------------------------------------------------- */

static void a_frame_lies_in_one_buffer_when_it_fits(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, 2048);
	host_sends(b, 0, 1, 60);
	assert_int_equal(guest_gets(b, RX, 1, 60), 1);
	host_sends(b, 0, 2, 2048 - HEADER);
	assert_int_equal(guest_gets(b, RX, 2, 2048 - HEADER), 1);
}

static void a_frame_is_spread_over_several_buffers(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, 100);
	host_sends(b, 0, 1, 100 - HEADER + 1);
	assert_int_equal(guest_gets(b, RX, 1, 100 - HEADER + 1), 2);
	host_sends(b, 0, 2, 300 - HEADER);
	assert_int_equal(guest_gets(b, RX, 2, 300 - HEADER), 3);
}

static void the_longest_frame_goes_straight_into_many_buffers(void **state)
{
	struct bench *b = *state;

	offer(b, 128, 1536);
	for (u8 i = 0; i < 10; i++) {
		host_sends(b, 0, i, LONGEST);
		assert_int_equal(guest_gets(b, RX, i, LONGEST), 43);
		offer(b, 43, 1536);
	}
}

static void buffers_of_several_pieces_are_filled_through(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, RX, IN(5), IN(7), IN(1), IN(100));
	fg_chain_table(&b->g, RX, IN(1), IN(50), IN(3));
	fg_kick(&b->g, RX);
	host_sends(b, 0, 3, 140);
	assert_int_equal(guest_gets(b, RX, 3, 140), 2);
}

static void without_merging_one_buffer_has_the_frame(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, HEADER + 1514);
	host_sends(b, 0, 1, 1514);
	assert_int_equal(guest_gets(b, RX, 1, 1514), 1);
	host_sends(b, 0, 2, 14);
	assert_int_equal(guest_gets(b, RX, 2, 14), 1);
}

static void without_merging_a_frame_that_does_not_fit_is_dropped(void **state)
{
	struct bench *b = *state;

	offer(b, 1, HEADER + 1514);
	host_sends(b, 0, 1, 1515);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, RX), 0);
	assert_string_equal(b->g.log, "virtio-net.0: frame to the guest dropped (1 so far): longer "
				      "than the guest's buffer");
	host_sends(b, 0, 2, 1514);
	guest_gets(b, RX, 2, 1514);
}

static void frames_wait_on_the_host_until_there_are_buffers(void **state)
{
	struct bench *b = *state;

	for (u8 i = 0; i < FEW; i++)
		host_sends(b, 0, i, 100);
	assert_true(fg_is_quiet(&b->g)); /* the loop does not spin */
	offer(b, 3, 2048);
	assert_true(fg_is_quiet(&b->g));
	for (u8 i = 0; i < 3; i++)
		guest_gets(b, RX, i, 100);
	offer(b, FEW, 2048);
	for (u8 i = 3; i < FEW; i++)
		guest_gets(b, RX, i, 100);
	assert_true(fg_is_quiet(&b->g));
}

static void receiving_goes_on_after_every_burst_that_filled_the_ring(void **state)
{
	struct bench *b = *state;
	u8 sent = 0, got = 0;

	for (u32 round = 0; round < 20; round++) {
		offer(b, FEW, 2048);
		for (u32 i = 0; i < 2 * FEW; i++)
			if (sent - got < 3 * FEW)
				host_sends(b, 0, sent++, 200);
		for (u32 i = 0; i < FEW; i++)
			guest_gets(b, RX, got++, 200);
	}
}

static void a_frame_that_found_too_few_buffers_waits_for_more(void **state)
{
	struct bench *b = *state;

	offer(b, 2, 1000);
	host_sends(b, 0, 1, 5000);
	FG_WAIT(&b->g, fg_is_quiet(&b->g));
	offer(b, 4, 1000);
	assert_int_equal(guest_gets(b, RX, 1, 5000), 6);
	assert_int_equal(b->g.nr_lines, 0);
}

static void a_frame_that_waits_for_long_gives_way_to_the_next(void **state)
{
	struct bench *b = *state;

	offer(b, 2, 1000);
	host_sends(b, 0, 1, 5000);
	host_sends(b, 0, 2, 1500);
	assert_int_equal(guest_gets(b, RX, 2, 1500), 2);
	assert_string_equal(b->g.log,
			    "virtio-net.0: frame to the guest dropped (1 so far): too few "
			    "receive buffers");
}

static void what_was_not_negotiated_is_kept_from_the_guest(void **state)
{
	static const struct header segments[] = {
		{ .flags = 1 }, { .gso_type = 1 }, { .gso_type = 4 }, { .gso_type = 3 }
	};
	struct header valid = { .flags = 2 };
	struct bench *b = *state;

	offer(b, FEW, 2048);
	for (u32 i = 0; i < ARRAY_SIZE(segments); i++) {
		frame(b, 0, 100);
		memcpy(b->frame, &segments[i], sizeof(segments[i]));
		assert_int_equal(send(b->host[0], b->frame, HEADER + 100, 0), HEADER + 100);
		fg_settle(&b->g);
		assert_int_equal(fg_used_idx(&b->g, RX), 0);
	}
	assert_int_equal(b->g.nr_lines, ARRAY_SIZE(segments));
	frame(b, 0, 100);
	memcpy(b->frame, &valid, sizeof(valid));
	assert_int_equal(send(b->host[0], b->frame, HEADER + 100, 0), HEADER + 100);
	assert_int_equal(fg_wait(&b->g, RX).in[0], 0);
}

static void what_was_negotiated_reaches_the_guest(void **state)
{
	const struct header h = { .flags = 1, .gso_type = 4, .hdr_len = 74, .gso_size = 1448 };
	struct bench *b = *state;
	struct fg_used used;

	offer(b, FEW, 2048);
	frame(b, 0, 1500);
	memcpy(b->frame, &h, sizeof(h));
	assert_int_equal(send(b->host[0], b->frame, HEADER + 1500, 0), HEADER + 1500);
	used = fg_wait(&b->g, RX);
	assert_memory_equal(used.in, &h, offsetof(struct header, num_buffers));
}

static void a_frame_longer_than_the_mtu_is_dropped(void **state)
{
	struct net_cfg cfg = cfg_start;
	struct bench *b;

	(void)state;
	cfg.mtu = 1000;
	b = make(&cfg, NET_PACKETS, 1, 0);
	fg_start(&b->g);
	offer(b, FEW, 2048);
	host_sends(b, 0, 1, 1000 + 18 + 1);
	host_sends(b, 0, 2, 1000 + 18);
	guest_gets(b, RX, 2, 1000 + 18);
	teardown((void **)&b);
}

static void a_receive_buffer_to_be_read_breaks_the_card(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, RX, OUT("x", 1), IN(2000));
	fg_kick(&b->g, RX);
	host_sends(b, 0, 1, 60);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
	assert_int_equal(b->g.broken_qi, RX);
	fg_settle(&b->g);
	assert_true(fg_is_quiet(&b->g));
}

static void a_card_that_is_broken_does_not_watch_the_host(void **state)
{
	struct bench *b = *state;

	offer(b, 100, 2048);
	host_sends(b, 0, 1, 60);
	guest_gets(b, RX, 1, 60);
	fg_set_avail_idx(&b->g, TX, 0x8000);
	fg_force_kick(&b->g, TX);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
	host_sends(b, 0, 2, 60);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, RX), 1);
}

/* --- Stops ------------------------------------------------------------------------------------ */

static void a_ring_that_stops_begins_again_at_its_first_unused_buffer(void **state)
{
	struct bench *b = *state;
	struct err e;

	offer(b, 6, 1000);
	host_sends(b, 0, 1, 100);
	guest_gets(b, RX, 1, 100); /* and the card took the other buffers off the ring */
	assert_int_equal(vdev_queue_stop(b->g.v, RX), 1);
	host_sends(b, 0, 2, 4000);
	assert_true(fg_is_quiet(&b->g));
	assert_int_equal(vdev_queue_start(b->g.v, RX, &b->g.queues[RX].config, 1, &e), 0);
	assert_int_equal(guest_gets(b, RX, 2, 4000), 5);
}

static void a_card_works_again_after_every_reset(void **state)
{
	struct bench *b = *state;

	for (u8 i = 0; i < 5; i++) {
		offer(b, 2, 500);
		host_sends(b, 0, i, 5000); /* waits when the reset comes */
		fg_settle(&b->g);
		fg_stop(&b->g);
		fg_start(&b->g);
		offer(b, FEW, 500);
		host_sends(b, 0, i, 100);
		guest_gets(b, RX, i, 100);
		guest_sends(b, i, 200);
		assert_int_equal(host_gets(b, 0), HEADER + 200);
	}
}

/* --- From the guest --------------------------------------------------------------------------- */

static void a_frame_of_the_guest_reaches_the_host(void **state)
{
	struct bench *b = *state;
	u8 header[HEADER] = { 0 };

	guest_sends(b, 9, 1514);
	assert_int_equal(host_gets(b, 0), HEADER + 1514);
	assert_memory_equal(b->frame, header, HEADER);
	assert_int_equal(b->frame[HEADER + 5], (u8)(9 + 5 * 7));
	guest_sends(b, 9, LONGEST);
	assert_int_equal(host_gets(b, 0), HEADER + LONGEST);
	guest_sends(b, 9, 14);
	assert_int_equal(host_gets(b, 0), HEADER + 14);
}

static void a_frame_may_be_cut_anywhere(void **state)
{
	struct bench *b = *state;

	frame(b, 5, 100);
	fg_do(&b->g, TX, OUT(b->frame, 3), OUT(b->frame + 3, 20), OUT(b->frame + 23, 89));
	assert_int_equal(host_gets(b, 0), HEADER + 100);
	assert_int_equal(b->frame[HEADER + 99], (u8)(5 + 99 * 7));
	frame(b, 6, 100);
	fg_do(&b->g, TX, OUT(b->frame, HEADER + 100));
	assert_int_equal(host_gets(b, 0), HEADER + 100);
}

static void a_packet_without_a_whole_header_is_dropped_and_the_next_comes(void **state)
{
	struct bench *b = *state;

	for (u32 pass = 0; pass < 2; pass++) { /* into our buffer, then into the guest's */
		if (pass)
			offer(b, FEW, LONGEST);
		assert_int_equal(send(b->host[0], b->frame, HEADER - 1, 0), HEADER - 1);
		host_sends(b, 0, 7, 100);
		if (!pass)
			offer(b, 1, 2048);
		guest_gets(b, RX, 7, 100);
	}
	assert_int_equal(b->g.nr_lines, 2);
}

static void frames_too_short_or_too_long_are_dropped(void **state)
{
	static const u32 bad[] = { 1, 13, LONGEST + 1 };
	struct bench *b = *state;

	fg_do(&b->g, TX, OUT(b->frame, HEADER - 1));
	fg_do(&b->g, TX, OUT(b->frame, HEADER));
	fg_do(&b->g, TX, IN(100));
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		fg_do(&b->g, TX, OUT(NULL, HEADER + bad[i]));
	assert_int_equal(host_gets(b, 0), -1);
	assert_int_equal(b->g.nr_lines, 6);
	assert_int_equal(b->g.nr_broken, 0);
}

static void a_header_that_asks_for_too_much_is_refused(void **state)
{
	static const struct header bad[] = {
		{ .flags = 1, .csum_start = 99 },
		{ .flags = 1, .csum_start = 34, .csum_offset = 65 },
		{ .flags = 1, .csum_start = 65535, .csum_offset = 65535 },
		{ .gso_type = 1, .gso_size = 10, .hdr_len = 54 }, /* no checksum */
		{ .flags = 1, .gso_type = 1, .hdr_len = 54 },     /* of no bytes each */
		{ .flags = 1, .gso_type = 1, .gso_size = 10, .hdr_len = 101 },
		{ .flags = 1, .gso_type = 3, .gso_size = 10, .hdr_len = 54 },    /* UFO */
		{ .flags = 1, .gso_type = 0x81, .gso_size = 10, .hdr_len = 54 }, /* ECN */
		{ .flags = 1, .gso_type = 5, .gso_size = 10, .hdr_len = 54 },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_sends_with(b, &bad[i], 0, 100);
		assert_int_equal(host_gets(b, 0), -1);
	}
	assert_int_equal(b->g.nr_broken, 0);
}

static void a_header_within_bounds_passes(void **state)
{
	static const struct header good[] = {
		{ .flags = 1, .csum_start = 34, .csum_offset = 64 },
		{ .flags = 1,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = 1,
		  .gso_size = 10,
		  .hdr_len = 54 },
		{ .flags = 1,
		  .csum_start = 54,
		  .csum_offset = 16,
		  .gso_type = 4,
		  .gso_size = 10,
		  .hdr_len = 100 },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		guest_sends_with(b, &good[i], 0, 100);
		assert_int_equal(host_gets(b, 0), HEADER + 100);
		assert_memory_equal(b->frame, &good[i], HEADER);
	}
}

static void what_the_device_must_ignore_does_not_reach_the_host(void **state)
{
	const struct header h = { .flags = 0xfe,
				  .hdr_len = 60000,
				  .gso_size = 1,
				  .csum_start = 60000,
				  .csum_offset = 3,
				  .num_buffers = 9 };
	const u8 nothing[HEADER] = { 0 };
	struct bench *b = *state;

	guest_sends_with(b, &h, 0, 100);
	assert_int_equal(host_gets(b, 0), HEADER + 100);
	assert_memory_equal(b->frame, nothing, HEADER);
}

static void offloads_that_were_not_negotiated_are_refused(void **state)
{
	static const struct header bad[] = {
		{ .flags = 1, .csum_start = 34, .csum_offset = 16 },
		{ .gso_type = 1, .gso_size = 10, .hdr_len = 54 },
	};
	struct bench *tso = start(NET_PACKETS, 1, F_HOST_TSO4 | F_HOST_TSO6), *b = *state;
	struct header h = { .flags = 1, .gso_type = 1, .gso_size = 10, .hdr_len = 54 };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_sends_with(b, &bad[i], 0, 100);
		assert_int_equal(host_gets(b, 0), -1);
	}
	guest_sends_with(tso, &h, 0, 100);
	h.gso_type = 4;
	guest_sends_with(tso, &h, 0, 100);
	assert_int_equal(host_gets(tso, 0), -1);
	teardown((void **)&tso);
}

static void a_host_that_does_not_read_costs_frames_and_nothing_else(void **state)
{
	struct bench *b = *state;
	u32 sent = 0;

	while (b->g.nr_lines == 0 && sent++ < 10000)
		guest_sends(b, 1, 60000);
	assert_string_equal(b->g.log, "virtio-net.0: frame from the guest dropped (1 so far): "
				      "Resource temporarily unavailable");
	while (host_gets(b, 0) > 0)
		continue;
	guest_sends(b, 1, 100);
	assert_int_equal(host_gets(b, 0), HEADER + 100);
}

static void when_the_tap_goes_the_link_goes_down(void **state)
{
	struct bench *b = *state;

	assert_true(link_is_up(b));
	fd_close(&b->host[0]);
	FG_WAIT(&b->g, b->g.nr_config_changes == 1);
	assert_false(link_is_up(b));
	assert_true(fg_is_quiet(&b->g));
	guest_sends(b, 1, 100);
	offer(b, 3, 100);
	fg_stop(&b->g);
	fg_start(&b->g);
	guest_sends(b, 1, 100);
	assert_int_equal(b->g.nr_config_changes, 1);
}

/* --- Pairs of queues -------------------------------------------------------------------------- */

static u8 control(struct bench *b, u32 ring, const void *request, u32 len)
{
	struct fg_used used = fg_do(&b->g, ring, OUT(request, len), IN(1));

	assert_int_equal(used.written, 1);
	return used.in[0];
}

static void the_driver_chooses_how_many_pairs_are_in_use(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 4, IN(2048));
	fg_kick(&b->g, 4);
	host_sends(b, 2, 1, 100);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, 4), 0);
	assert_int_equal(control(b, 6, "\4\0\3\0", 4), 0);
	guest_gets(b, 4, 1, 100);
	fg_do(&b->g, 5, OUT(NULL, HEADER + 77));
	assert_int_equal(host_gets(b, 2), HEADER + 77);
	assert_int_equal(control(b, 6, "\4\0\1\0", 4), 0);
	fg_do(&b->g, 5, OUT(NULL, HEADER + 77));
	assert_int_equal(host_gets(b, 2), -1);
}

static void a_reset_leaves_one_pair_in_use(void **state)
{
	struct bench *b = *state;

	assert_int_equal(control(b, 6, "\4\0\3\0", 4), 0);
	fg_stop(&b->g);
	fg_start(&b->g);
	fg_do(&b->g, 3, OUT(NULL, HEADER + 77));
	assert_int_equal(host_gets(b, 1), -1);
	fg_do(&b->g, 1, OUT(NULL, HEADER + 77));
	assert_int_equal(host_gets(b, 0), HEADER + 77);
}

static void control_requests_that_are_not_known_are_answered_with_an_error(void **state)
{
	struct bench *b = *state;

	assert_int_equal(control(b, 6, "\4\0\0\0", 4), 1);
	assert_int_equal(control(b, 6, "\4\0\4\0", 4), 1);
	assert_int_equal(control(b, 6, "\4\0\xff\xff", 4), 1);
	assert_int_equal(control(b, 6, "\4\1\1\0", 4), 1);
	assert_int_equal(control(b, 6, "\0\0\1", 3), 1);
	assert_int_equal(control(b, 6, "\4\0\1", 3), 1);
	assert_int_equal(control(b, 6, "\4", 1), 1);
	assert_int_equal(fg_do(&b->g, 6, IN(1)).in[0], 1);
	assert_int_equal(b->g.nr_broken, 0);
}

static void a_control_request_without_room_for_the_answer_breaks_the_card(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 6, OUT("\4\0\1\0", 4));
	fg_kick(&b->g, 6);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
}

static void without_mq_the_third_ring_is_for_control(void **state)
{
	struct bench *b = start(NET_PACKETS, 3, F_MQ);

	(void)state;
	assert_int_equal(control(b, 2, "\4\0\1\0", 4), 1);
	fg_chain(&b->g, 6, OUT("\4\0\1\0", 4), IN(1));
	fg_force_kick(&b->g, 6);
	fg_settle(&b->g);
	assert_int_equal(fg_used_idx(&b->g, 6), 0);
	teardown((void **)&b);
}

/* --- passt ------------------------------------------------------------------------------------ */

static void passt_sends_bytes(struct bench *b, const void *bytes, size_t len)
{
	assert_int_equal(send(b->host[0], bytes, len, MSG_NOSIGNAL), len);
}

static void put_length(u8 to[4], u32 len)
{
	for (u32 i = 0; i < 4; i++)
		to[i] = (u8)(len >> (24 - 8 * i));
}

static void passt_sends(struct bench *b, u8 number, u32 len)
{
	frame(b, number, len);
	put_length(b->frame + HEADER - 4, len);
	passt_sends_bytes(b, b->frame + HEADER - 4, 4 + len);
}

static void passt_s_frames_reach_the_guest(void **state)
{
	struct bench *b = *state;

	offer(b, 100, 1536);
	passt_sends(b, 1, 60);
	passt_sends(b, 2, 1514);
	passt_sends(b, 3, 65535);
	assert_int_equal(guest_gets(b, RX, 1, 60), 1);
	assert_int_equal(guest_gets(b, RX, 2, 1514), 1);
	assert_int_equal(guest_gets(b, RX, 3, 65535), 43);
}

static void passt_s_frames_come_in_pieces_of_any_size(void **state)
{
	struct bench *b = *state;
	u8 bytes[4 + 60];

	offer(b, FEW, 1536);
	memcpy(bytes + 4, frame(b, 1, 60) + HEADER, 60);
	put_length(bytes, 60);
	for (u32 i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(fg_used_idx(&b->g, RX), 0);
		passt_sends_bytes(b, bytes + i, 1);
		fg_settle(&b->g);
	}
	guest_gets(b, RX, 1, 60);
}

static void passt_s_frames_that_were_read_early_wait_for_buffers(void **state)
{
	struct bench *b = *state;

	for (u8 i = 0; i < 200; i++)
		passt_sends(b, i, 100);
	assert_true(fg_is_quiet(&b->g));
	for (u8 i = 0; i < 200; i += 4) {
		offer(b, 4, 1536);
		for (u8 j = i; j < i + 4; j++)
			guest_gets(b, RX, j, 100);
	}
	assert_true(fg_is_quiet(&b->g));
}

static void many_small_frames_of_passt_need_no_new_event(void **state)
{
	struct bench *b = *state;

	offer(b, 200, 1536);
	for (u8 i = 0; i < 200; i++)
		passt_sends(b, i, 20);
	for (u8 i = 0; i < 200; i++)
		guest_gets(b, RX, i, 20);
}

static void a_ring_that_starts_late_gets_what_passt_sent_before(void **state)
{
	struct bench *b = *state;
	struct err e;

	offer(b, 2, 1536);
	for (u8 i = 0; i < 4; i++)
		passt_sends(b, i, 100);
	guest_gets(b, RX, 0, 100);
	guest_gets(b, RX, 1, 100);
	fg_chain(&b->g, RX, IN(1536));
	assert_int_equal(vdev_queue_stop(b->g.v, RX), 2);
	assert_int_equal(vdev_queue_start(b->g.v, RX, &b->g.queues[RX].config, 2, &e), 0);
	guest_gets(b, RX, 2, 100);
}

static void a_frame_of_passt_with_an_absurd_length_ends_the_link(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, 1536);
	passt_sends_bytes(b, "\0\1\0\0", 4);
	FG_WAIT(&b->g, b->g.nr_config_changes == 1);
	assert_false(link_is_up(b));
	assert_string_equal(b->g.log, "virtio-net.0: passt announced a frame longer than 65535 "
				      "bytes; the link is down");
}

static void a_frame_of_passt_that_is_none_is_dropped(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, 1536);
	for (u32 len = 0; len < 14; len++)
		passt_sends(b, 0, len);
	passt_sends(b, 1, 14);
	guest_gets(b, RX, 1, 14);
	assert_true(link_is_up(b));
}

static void a_frame_of_passt_too_large_for_one_buffer_is_dropped_without_merging(void **state)
{
	struct bench *b = start(NET_PASST, 1, F_MRG_RXBUF);

	(void)state;
	offer(b, FEW, 100);
	passt_sends(b, 1, 100 - HEADER + 1);
	passt_sends(b, 2, 100 - HEADER);
	assert_int_equal(guest_gets(b, RX, 2, 100 - HEADER), 1);
	teardown((void **)&b);
}

static void when_passt_ends_the_link_goes_down(void **state)
{
	struct bench *b = *state;

	offer(b, FEW, 1536);
	passt_sends(b, 1, 100);
	guest_gets(b, RX, 1, 100);
	fd_close(&b->host[0]);
	FG_WAIT(&b->g, b->g.nr_config_changes == 1);
	assert_false(link_is_up(b));
	guest_sends(b, 1, 100);
	assert_true(fg_is_quiet(&b->g));
}

static void when_passt_ends_without_anybody_listening_the_link_goes_down(void **state)
{
	struct bench *b = *state;

	fd_close(&b->host[0]);
	guest_sends(b, 1, 100);
	assert_false(link_is_up(b));
	assert_int_equal(b->g.nr_config_changes, 1);
}

/* The next frame passt gets. Return: its length, or 0 when there is none. */
static u32 passt_gets(struct bench *b)
{
	u8 prefix[4];
	u32 len, have = 0;

	if (recv(b->host[0], prefix, sizeof(prefix), 0) != sizeof(prefix))
		return 0;
	len = (u32)prefix[2] << 8 | prefix[3];
	while (have < len) {
		ssize_t got = recv(b->host[0], b->frame + HEADER + have, len - have, 0);

		if (got > 0)
			have += (u32)got;
		else
			fg_step(&b->g);
	}
	return len;
}

static u32 passt_waits(struct bench *b)
{
	u32 len = 0;

	FG_WAIT(&b->g, len > 0 || (len = passt_gets(b)) > 0);
	return len;
}

static void passt_gets_frames_behind_their_length(void **state)
{
	struct bench *b = *state;

	guest_sends(b, 1, 100);
	assert_int_equal(passt_gets(b), 100);
	assert_int_equal(b->frame[HEADER + 99], (u8)(1 + 99 * 7));
	guest_sends(b, 1, 65535);
	assert_int_equal(passt_gets(b), 65535);
	guest_sends(b, 1, 65536 + 14); /* does not fit a length that passt would take */
	assert_int_equal(passt_gets(b), 0);
}

static void a_passt_that_does_not_read_stops_the_transmit_ring(void **state)
{
	struct bench *b = *state;
	enum { NR = 64 };

	for (u8 i = 0; i < NR; i++)
		fg_chain_table(&b->g, TX, OUT(frame(b, i, 60000), HEADER + 60000));
	fg_kick(&b->g, TX);
	fg_settle(&b->g);
	assert_true(fg_is_quiet(&b->g));
	assert_in_range(fg_used_idx(&b->g, TX), 1, NR - 1);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(passt_waits(b), 60000);
		assert_int_equal(b->frame[HEADER + 300], (u8)(i + 300 * 7 + 1));
		assert_int_equal(b->frame[HEADER + 59999], (u8)(i + 59999 * 7 + (59999 >> 8)));
	}
	FG_WAIT(&b->g, fg_used_idx(&b->g, TX) == NR);
	assert_int_equal(b->g.nr_lines, 0);
}

static void a_frame_half_sent_is_finished_after_a_reset(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < 64; i++)
		fg_chain_table(&b->g, TX, OUT(NULL, HEADER + 60000));
	fg_kick(&b->g, TX);
	fg_settle(&b->g);
	fg_stop(&b->g);
	fg_start(&b->g);
	fg_chain(&b->g, TX, OUT(NULL, HEADER + 33));
	fg_kick(&b->g, TX);
	for (u32 len = 60000; len != 33;) {
		len = passt_waits(b);
		assert_true(len == 60000 || len == 33);
	}
}

/* --- Options ---------------------------------------------------------------------------------- */

static int open_with(const char *pairs, struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	*cfg = (struct net_cfg){ 0 };
	*fds = (struct fdset){ 0 };
	opt_defaults(net_opts, cfg);
	if (opt_parse_pairs(net_opts, cfg, pairs, e) < 0)
		return e->code;
	return net_open(cfg, fds, e);
}

static void assert_refused(const char *pairs, const char *words)
{
	struct net_cfg cfg;
	struct fdset fds;
	struct err e = { 0 };

	assert_in_range(-open_with(pairs, &cfg, &fds, &e), 1, 4095);
	if (!strstr(e.text, words))
		fail_msg("%s: '%s' does not say '%s'", pairs, e.text, words);
	fdset_close(&fds);
}

static void options_that_make_no_sense_are_refused_with_words(void **state)
{
	(void)state;
	assert_refused("mtu=1500", "one of tap=NAME");
	assert_refused("tap=x,passt=/y", "only one of");
	assert_refused("ip=192.0.2.1", "belong together");
	assert_refused("ip=192.0.2", "not an IPv4 address");
	assert_refused("ip=192.0.2.1.", "not an IPv4 address");
	assert_refused("ip=192.0.2.256", "not an IPv4 address");
	assert_refused("ip=192.0.2.010", "not an IPv4 address");
	assert_refused("ip=192.0.2.1000", "not an IPv4 address");
	assert_refused("ip=192.0..1", "not an IPv4 address");
	assert_refused("ip= 192.0.2.1", "not an IPv4 address");
	assert_refused("ip=192.0.2.1,netmask=255.0.255.0", "not a mask");
	assert_refused("tap=x,mac=01:00:00:00:00:01", "even first byte");
	assert_refused("tap=x,mac=00:00:00:00:00:00", "all zeros");
	assert_refused("tap=x,mac=52:54:00:12:34", "not an address");
	assert_refused("tap=x,mac=52:54:00:12:34:56:78", "not an address");
	assert_refused("tap=x,mac=52:54:00:12:34:5g", "not an address");
	assert_refused("tap=x,mtu=67", "67");
	assert_refused("tap=x,queues=17", "16");
	assert_refused("tap=0123456789abcdef", "16 bytes are too long");
	assert_refused("fd=-1", "not the number");
	assert_refused("fd=1000000", "fd=1000000: Bad file descriptor");
	assert_refused("fd=2,queues=2", "queues=2: with 1 descriptors");
	assert_refused("passt=/nonexistent/s", "is 'passt --socket /nonexistent/s' running?");
	assert_refused("passt=/nonexistent/s,queues=2", "one pair");
	assert_refused("tap=no-such-tap", "ip tuntap add dev no-such-tap");
}

static void a_descriptor_that_is_no_tap_is_refused(void **state)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "fd=%d", fd);
	assert_refused(text, "not a tap");
	fd_close(&fd);
}

static void passt_is_reached_by_its_path(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err e = { 0 };
	struct net_cfg cfg;
	struct fdset fds;
	char text[256];

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/net_test.%d", getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	snprintf(text, sizeof(text), "passt=%s,mac=52:54:00:aB:cd:ef", address.sun_path);
	assert_int_equal(open_with(text, &cfg, &fds, &e), 0);
	unlink(address.sun_path);
	assert_int_equal(cfg.kind, NET_PASST);
	assert_int_equal(cfg.nr_pairs, 1);
	assert_memory_equal(cfg.mac, "\x52\x54\0\xab\xcd\xef", 6);
	assert_true(fcntl(fds.fds[cfg.fd_index[0]], F_GETFL) & O_NONBLOCK);
	fdset_close(&fds);
	fd_close(&listener);
}

/* --- Real taps, in a network of their own ----------------------------------------------------- */

static int own_network(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : -1;
}

/* Run `body` in a process with a network namespace; a host without them skips. */
static void in_own_network(void (*body)(void))
{
	enum { CANNOT = 77 };
	pid_t child = fork();
	int status;

	if (child == 0) {
		cleanup_fd int tun = -1;

		if (own_network() < 0)
			_exit(CANNOT);
		tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		if (tun < 0)
			_exit(CANNOT);
		body();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* cmocka's asserts end the parent's test, not this process. */
static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "# in the network namespace: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void open_tap(const char *pairs, struct net_cfg *cfg, struct fdset *fds)
{
	struct err e = { 0 };

	if (open_with(pairs, cfg, fds, &e) == 0)
		return;
	fprintf(stderr, "# %s: %s\n", pairs, e.text);
	_exit(1);
}

static struct bench *tap_bench(const char *pairs)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct net_cfg cfg;
	struct fdset fds;

	open_tap(pairs, &cfg, &fds);
	fg_create(&b->g, "virtio-net", &cfg, &fds);
	fg_start(&b->g);
	return b;
}

static short interface_flags(const char *name)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(sock, SIOCGIFFLAGS, &r) < 0 ? 0 : r.ifr_flags;
}

/* A UDP datagram to a neighbour that nobody knows: the host asks with ARP. */
static void host_asks_for_neighbour(const char *address_bytes)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct {
		u16 family, port;
		char address[4], zero[8];
	} to = { .family = AF_INET, .port = 0x0900 };

	memcpy(to.address, address_bytes, sizeof(to.address));
	expect(sendto(sock, "hello", 5, 0, (void *)&to, sizeof(to)) == 5, "send a datagram");
}

/* Wait for an ARP request on `ring`; the host may say other things before. */
static struct fg_used guest_hears_arp(struct bench *b, u32 ring)
{
	for (;;) {
		struct fg_used used = fg_wait(&b->g, ring);

		if (used.in[HEADER + 12] == 8 && used.in[HEADER + 13] == 6)
			return used;
	}
}

static void created_tap(void)
{
	struct bench *b = tap_bench("ip=192.0.2.1,netmask=255.255.255.0,mtu=1400");
	u8 arp[HEADER + 42];
	struct fg_used used;

	expect(interface_flags("kiln0") & IFF_UP, "the interface is up");
	for (u32 i = 0; i < 100; i++)
		fg_chain(&b->g, RX, IN(1526));
	fg_kick(&b->g, RX);
	host_asks_for_neighbour("\xc0\0\2\2");
	used = guest_hears_arp(b, RX);
	expect(used.written == HEADER + 42, "an ARP request comes");
	expect(used.in[10] == 1, "in one buffer");

	/* Answer: the datagram comes. */
	memcpy(arp, used.in, sizeof(arp));
	memset(arp, 0, HEADER);
	memcpy(arp + HEADER, used.in + HEADER + 6, 6);
	memcpy(arp + HEADER + 6, "\2\0\0\0\0\7", 6);
	arp[HEADER + 21] = 2;
	memcpy(arp + HEADER + 22, "\2\0\0\0\0\7\xc0\0\2\2", 10);
	memcpy(arp + HEADER + 32, used.in + HEADER + 22, 10);
	fg_do(&b->g, TX, OUT(arp, sizeof(arp)));
	do
		used = fg_wait(&b->g, RX);
	while (used.in[HEADER + 12] != 8 || used.in[HEADER + 13] != 0);
	expect(memcmp(used.in + used.written - 5, "hello", 5) == 0, "the datagram comes");
	expect(used.in[0] == 1, "whose checksum is left to the guest");
	fg_destroy(&b->g);
	expect(interface_flags("kiln0") == 0, "the interface is gone");
	free(b);
}

static void several_queues(void)
{
	struct bench *b = tap_bench("ip=192.0.2.1,netmask=255.255.255.0,queues=2");
	struct fg_used used;

	for (u32 i = 0; i < 100; i++) {
		fg_chain(&b->g, 0, IN(1526));
		fg_chain(&b->g, 2, IN(1526));
	}
	fg_kick(&b->g, 0);
	fg_kick(&b->g, 2);
	/* All come by the only queue in use, then by whichever the host likes. */
	for (char i = 2; i < 10; i++) {
		char address[] = { (char)0xc0, 0, 2, i };

		host_asks_for_neighbour(address);
		used = guest_hears_arp(b, 0);
		expect(used.in[HEADER + 41] == i, "each request by the first queue");
	}
	used = fg_do(&b->g, 4, OUT("\4\0\2\0", 4), IN(1));
	expect(used.in[0] == 0, "the second queue is attached");
	used = fg_do(&b->g, 4, OUT("\4\0\1\0", 4), IN(1));
	expect(used.in[0] == 0, "and detached");
	used = fg_do(&b->g, 4, OUT("\4\0\2\0", 4), IN(1));
	expect(used.in[0] == 0, "and attached again");
	fg_do(&b->g, 3, OUT(NULL, HEADER + 60));
	expect(b->g.nr_lines == 0, "a frame by the second queue");
	fg_stop(&b->g);
	fg_start(&b->g);
	fg_destroy(&b->g);
	free(b);
}

static int attach(const char *name, int flags)
{
	struct ifreq r = { .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	expect(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0, "make a tap");
	return fd;
}

static void named_tap(void)
{
	int fd = attach("t0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	struct err e = { 0 };
	struct net_cfg cfg;
	struct fdset fds;

	expect(open_with("tap=t0", &cfg, &fds, &e) == -EBUSY, "a tap in use is refused");
	expect(ioctl(fd, TUNSETPERSIST, 1) == 0, "persist");
	fd_close(&fd);
	expect(open_with("tap=t0,queues=2", &cfg, &fds, &e) == -EINVAL, "one queue only");
	expect(strstr(e.text, "multi_queue") != NULL, "which is said");
	expect(open_with("tap=lo", &cfg, &fds, &e) < 0, "the loopback is no tap");
	open_tap("tap=t0", &cfg, &fds);
	expect(cfg.nr_pairs == 1 && cfg.kind == NET_TAP, "one queue");
	expect((cfg.mac[0] & 3) == 2, "a local address");
	fdset_close(&fds);
}

static void inherited_tap(void)
{
	int fd = attach("t0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), bare, plain;
	struct err e = { 0 };
	struct net_cfg cfg;
	struct fdset fds;
	char text[32];

	snprintf(text, sizeof(text), "fd=%d", fd);
	open_tap(text, &cfg, &fds);
	expect(fds.fds[cfg.fd_index[0]] == fd, "the descriptor itself is taken");
	snprintf(text, sizeof(text), "fd=%d,fd=%d", fd, fd);
	expect(open_with(text, &cfg, &fds, &e) < 0, "two queues of a tap that has one");
	expect(strstr(e.text, "IFF_MULTI_QUEUE") != NULL, "which is said");
	plain = attach("t1", IFF_TAP | IFF_NO_PI);
	snprintf(text, sizeof(text), "fd=%d", plain);
	expect(open_with(text, &cfg, &fds, &e) < 0, "a tap without headers");
	expect(strstr(e.text, "IFF_VNET_HDR") != NULL, "which is said");
	bare = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	snprintf(text, sizeof(text), "fd=%d", bare);
	expect(open_with(text, &cfg, &fds, &e) < 0, "no interface at all");
	_exit(0);
}

static void delete_tap(void)
{
	int status = system("ip link del kiln0");

	expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "delete the interface");
}

static void expect_link_down(struct bench *b)
{
	expect(b->g.nr_config_changes == 1, "the device tells");
	expect(!link_is_up(b), "the link is down");
	expect(fg_is_quiet(&b->g), "nothing is watched any more");
	fg_stop(&b->g);
	fg_start(&b->g);
	fg_do(&b->g, TX, OUT(NULL, HEADER + 60));
	fg_destroy(&b->g);
	free(b);
}

static void deleted_tap(void)
{
	struct bench *b = tap_bench("ip=192.0.2.1,netmask=255.255.255.0");

	for (u32 i = 0; i < FEW; i++)
		fg_chain(&b->g, RX, IN(1526));
	fg_kick(&b->g, RX);
	fg_step(&b->g);
	delete_tap();
	for (u32 i = 0; i < FG_DEADLINE_MS / 20 && b->g.nr_config_changes == 0; i++)
		fg_step(&b->g);
	expect_link_down(b);
	b = tap_bench("ip=192.0.2.1,netmask=255.255.255.0");
	delete_tap();
	fg_do(&b->g, TX, OUT(NULL, HEADER + 60));
	expect_link_down(b);
}

static void a_tap_is_made_with_an_address_and_carries_frames(void **state)
{
	(void)state;
	in_own_network(created_tap);
}

static void a_tap_with_several_queues_gives_frames_to_those_in_use(void **state)
{
	(void)state;
	in_own_network(several_queues);
}

static void a_tap_is_opened_by_its_name(void **state)
{
	(void)state;
	in_own_network(named_tap);
}

static void a_tap_is_taken_over_by_its_descriptor(void **state)
{
	(void)state;
	in_own_network(inherited_tap);
}

static void a_tap_that_is_deleted_takes_the_link_down(void **state)
{
	(void)state;
	in_own_network(deleted_tap);
}

#define ON(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)
#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_card_on_a_tap_offers_offloads_and_one_on_passt_does_not),
		T(configuration_space_tells_address_status_pairs_and_mtu),
		T(a_driver_of_before_virtio_1_is_refused),
		ON(a_frame_lies_in_one_buffer_when_it_fits, setup),
		ON(a_frame_is_spread_over_several_buffers, setup),
		ON(the_longest_frame_goes_straight_into_many_buffers, setup),
		ON(buffers_of_several_pieces_are_filled_through, setup),
		ON(without_merging_one_buffer_has_the_frame, setup_plain),
		ON(without_merging_a_frame_that_does_not_fit_is_dropped, setup_plain),
		ON(frames_wait_on_the_host_until_there_are_buffers, setup),
		ON(receiving_goes_on_after_every_burst_that_filled_the_ring, setup),
		ON(receiving_goes_on_after_every_burst_that_filled_the_ring, setup_plain),
		ON(a_frame_that_found_too_few_buffers_waits_for_more, setup),
		ON(a_frame_that_waits_for_long_gives_way_to_the_next, setup),
		ON(what_was_not_negotiated_is_kept_from_the_guest, setup_plain),
		ON(what_was_negotiated_reaches_the_guest, setup),
		T(a_frame_longer_than_the_mtu_is_dropped),
		ON(a_receive_buffer_to_be_read_breaks_the_card, setup),
		ON(a_card_that_is_broken_does_not_watch_the_host, setup),
		ON(a_ring_that_stops_begins_again_at_its_first_unused_buffer, setup),
		ON(a_card_works_again_after_every_reset, setup),
		ON(a_frame_of_the_guest_reaches_the_host, setup),
		ON(a_frame_may_be_cut_anywhere, setup),
		ON(a_packet_without_a_whole_header_is_dropped_and_the_next_comes, setup),
		ON(frames_too_short_or_too_long_are_dropped, setup),
		ON(a_header_that_asks_for_too_much_is_refused, setup),
		ON(a_header_within_bounds_passes, setup),
		ON(what_the_device_must_ignore_does_not_reach_the_host, setup),
		ON(offloads_that_were_not_negotiated_are_refused, setup_plain),
		ON(a_host_that_does_not_read_costs_frames_and_nothing_else, setup),
		ON(when_the_tap_goes_the_link_goes_down, setup),
		ON(the_driver_chooses_how_many_pairs_are_in_use, setup_pairs),
		ON(a_reset_leaves_one_pair_in_use, setup_pairs),
		ON(control_requests_that_are_not_known_are_answered_with_an_error, setup_pairs),
		ON(a_control_request_without_room_for_the_answer_breaks_the_card, setup_pairs),
		T(without_mq_the_third_ring_is_for_control),
		ON(passt_s_frames_reach_the_guest, setup_passt),
		ON(passt_s_frames_come_in_pieces_of_any_size, setup_passt),
		ON(passt_s_frames_that_were_read_early_wait_for_buffers, setup_passt),
		ON(many_small_frames_of_passt_need_no_new_event, setup_passt),
		ON(a_ring_that_starts_late_gets_what_passt_sent_before, setup_passt),
		ON(a_frame_of_passt_with_an_absurd_length_ends_the_link, setup_passt),
		ON(a_frame_of_passt_that_is_none_is_dropped, setup_passt),
		T(a_frame_of_passt_too_large_for_one_buffer_is_dropped_without_merging),
		ON(when_passt_ends_the_link_goes_down, setup_passt),
		ON(when_passt_ends_without_anybody_listening_the_link_goes_down, setup_passt),
		ON(passt_gets_frames_behind_their_length, setup_passt),
		ON(a_passt_that_does_not_read_stops_the_transmit_ring, setup_passt),
		ON(a_frame_half_sent_is_finished_after_a_reset, setup_passt),
		T(options_that_make_no_sense_are_refused_with_words),
		T(a_descriptor_that_is_no_tap_is_refused),
		T(passt_is_reached_by_its_path),
		T(a_tap_is_made_with_an_address_and_carries_frames),
		T(a_tap_with_several_queues_gives_frames_to_those_in_use),
		T(a_tap_is_opened_by_its_name),
		T(a_tap_is_taken_over_by_its_descriptor),
		T(a_tap_that_is_deleted_takes_the_link_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
