// SPDX-License-Identifier: BSD-3-Clause
// virtio-net: network card on a tap or on passt (virtio 1.2, section 5.1).
//
// A frame to the guest goes straight into its buffers when those that were taken off the ring hold
// the largest frame there can be. Otherwise it is read into a buffer of ours and waits, HOLD_NS at
// most, until enough of the guest's are there. The back end is watched for input only while a
// receive buffer is there and no frame waits.
//
// A frame from the guest is written to the back end at once. A tap that does not take it loses it.
// passt's stream must not break off within a frame: the rest of it waits in a buffer of ours, and
// the transmit ring rests until the socket took it.
//
// Descriptors do not block, so reads and writes of them are never interrupted (EINTR).
#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net.h"
#include "net_vhost.h"
#include "util/bytes.h"
#include "util/fd.h"
#include "virtio/vdev.h"

enum {
	/* section 5.1.3 */
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_MQ = 22,

	/* section 5.1.4 */
	VIRTIO_NET_S_LINK_UP = 1,

	/* section 5.1.6 */
	VIRTIO_NET_HDR_F_NEEDS_CSUM = 1,
	VIRTIO_NET_HDR_F_DATA_VALID = 2,
	VIRTIO_NET_HDR_GSO_NONE = 0,
	VIRTIO_NET_HDR_GSO_TCPV4 = 1,
	VIRTIO_NET_HDR_GSO_TCPV6 = 4,

	/* section 5.1.6.5 */
	VIRTIO_NET_OK = 0,
	VIRTIO_NET_ERR = 1,
	VIRTIO_NET_CTRL_MQ = 4,
	VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0,
};

enum {
	RING_MAX = 256,
	RINGS_MAX = 2 * NET_PAIRS_MAX + 1,
	NO_RING = UINT16_MAX,
	ETH_HEADER_BYTES = 14,
	VLAN_TAG_BYTES = 4,
	CSUM_BYTES = 2,
	FRAME_MAX = 65550, /* 64 KiB behind an Ethernet header (section 5.1.6.3.1) */
	PASST_FRAME_MAX = 65535,
	PASST_PREFIX_BYTES = 4,
	INPUT_BYTES = 2 * (PASST_PREFIX_BYTES + PASST_FRAME_MAX), /* FRAME_MAX fits, too */
	RX_IOVS = 1000, /* with header and scratch below IOV_MAX */
	RX_BURST = 64,  /* frames to the guest before others have their turn */
};

#define HOLD_NS 100000000ull
#define SOON_NS 1
#define BIT(n) (1ull << (n))

#define OFFLOAD_FEATURES                                                                        \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6))
/* What is a matter of the tap and of this process, whoever moves the frames. */
#define CARD_FEATURES                                                                     \
	(OFFLOAD_FEATURES | MQ_FEATURES | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC) | \
	 BIT(VIRTIO_NET_F_STATUS))
#define MQ_FEATURES (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ))

/* In front of every frame (section 5.1.6). */
struct net_header {
	u8 flags, gso_type;
	le16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "as TUNSETVNETHDRSZ was told");

/* Section 5.1.4. */
struct net_config {
	u8 mac[NET_MAC_BYTES];
	le16 status, max_virtqueue_pairs, mtu;
};
_Static_assert(sizeof(struct net_config) == 12, "as the specification has it");

struct rx_chain {
	u16 head, nr_iov;
	u32 bytes;
};

/* Receive buffers taken off the ring and not yet filled, the oldest at [at] and [iov_at]. */
struct rx_stock {
	u64 bytes;
	u32 at, end, iov_at, iov_end;
	struct rx_chain chains[RING_MAX];
	struct iovec iov[RX_IOVS];
};

/* A receive ring, a transmit ring, and a queue of the tap or passt's socket. */
struct net_pair {
	struct vdev *v;
	u32 index;
	int fd; /* -1 once the back end is gone */
	struct evl_source source;
	bool attached; /* fd is watched, and a tap sends frames here */
	bool rx_on;    /* the receive ring is enabled */
	struct rx_stock stock;
	struct net_vhost vhost;

	/* A frame that waits for receive buffers: bytes of `input`, or none. */
	u32 frame_at, frame_len;
	struct net_header header; /* of it */
	struct evl_timer hold;
	bool holding; /* the timer runs */

	/* passt: what of `input` was read and not yet looked at */
	u32 in_at, in_end;
	/* passt: the frame that was sent in part, and how much of it was */
	u32 out_len, out_sent;
	u8 input[INPUT_BYTES];
	u8 output[PASST_PREFIX_BYTES + PASST_FRAME_MAX];
};

struct net {
	enum net_kind kind;
	bool link_up;
	u8 mac[NET_MAC_BYTES];
	u16 mtu;
	u32 nr_pairs;
	u64 dropped_rx, dropped_tx;
	struct iovec chain_iov[RING_MAX]; /* of the request at hand */
	struct iovec iov[RX_IOVS + 2];    /* for readv and its like */
	struct virtq_done done[RING_MAX]; /* the buffers of a frame */
	struct net_pair pairs[NET_PAIRS_MAX];
};

static struct net *net_of(struct vdev *v)
{
	return v->priv;
}

static struct virtq *rx_ring(struct net_pair *p)
{
	return &p->v->queues[2 * p->index];
}

/* --- Rings and what they are for (section 5.1.2) ---------------------------------------------- */

static u32 pairs_negotiated(struct vdev *v)
{
	return vdev_has(v, VIRTIO_NET_F_MQ) ? net_of(v)->nr_pairs : 1;
}

static u32 control_ring(struct vdev *v)
{
	return vdev_has(v, VIRTIO_NET_F_CTRL_VQ) ? 2 * pairs_negotiated(v) : NO_RING;
}

/* The pair that ring `qi` belongs to, or NULL. */
static struct net_pair *pair_of(struct vdev *v, u32 qi)
{
	return qi / 2 < pairs_negotiated(v) ? &net_of(v)->pairs[qi / 2] : NULL;
}

static bool is_receive(u32 qi)
{
	return qi % 2 == 0;
}

static void drop_rx(struct net_pair *p, const char *why)
{
	struct net *n = net_of(p->v);

	vdev_log(p->v, "frame to the guest dropped (%llu so far): %s",
		 (unsigned long long)++n->dropped_rx, why);
}

static void drop_tx(struct net_pair *p, const char *why)
{
	struct net *n = net_of(p->v);

	vdev_log(p->v, "frame from the guest dropped (%llu so far): %s",
		 (unsigned long long)++n->dropped_tx, why);
}

/* --- Watching the back end -------------------------------------------------------------------- */

static bool rx_may_go_on(struct net_pair *p)
{
	bool has_buffers = p->stock.at < p->stock.end || virtq_has_avail(rx_ring(p));

	return p->rx_on && !p->v->is_broken && p->frame_len == 0 && has_buffers;
}

static void pair_watch(struct net_pair *p)
{
	u32 events = (rx_may_go_on(p) ? EPOLLIN : 0) | (p->out_len > 0 ? EPOLLOUT : 0);

	if (p->attached)
		evl_modify(p->v->evl, &p->source, events);
}

static void rx_forget_frame(struct net_pair *p)
{
	p->frame_len = 0;
	if (p->holding)
		evl_timer_set(&p->hold, 0, 0);
	p->holding = false;
}

/* The back end is gone for good: the guest's cable is pulled. */
static void pair_lost(struct net_pair *p, const char *why)
{
	struct net *n = net_of(p->v);

	evl_remove(p->v->evl, &p->source);
	fd_close(&p->fd);
	p->attached = false;
	p->out_len = p->in_at = p->in_end = 0;
	rx_forget_frame(p);
	if (!n->link_up)
		return;
	n->link_up = false;
	log_warn("%s: %s; the link is down", p->v->name, why);
	p->v->host->config_changed(p->v->host, p->v);
}

/* --- Receive buffers -------------------------------------------------------------------------- */

static bool stock_has_room(const struct rx_stock *s, u32 ring_size)
{
	return s->end < RING_MAX && s->iov_end + ring_size <= RX_IOVS;
}

static void stock_move_to_front(struct rx_stock *s)
{
	memmove(s->chains, s->chains + s->at, (s->end - s->at) * sizeof(s->chains[0]));
	memmove(s->iov, s->iov + s->iov_at, (s->iov_end - s->iov_at) * sizeof(s->iov[0]));
	s->end -= s->at;
	s->iov_end -= s->iov_at;
	s->at = s->iov_at = 0;
}

/* Room for one more chain, whatever its length. */
static bool stock_make_room(struct rx_stock *s, u32 ring_size)
{
	if (!stock_has_room(s, ring_size))
		stock_move_to_front(s);
	return stock_has_room(s, ring_size);
}

static void stock_drop(struct rx_stock *s, u32 nr)
{
	for (; nr > 0; nr--, s->at++) {
		s->bytes -= s->chains[s->at].bytes;
		s->iov_at += s->chains[s->at].nr_iov;
	}
}

/* One buffer at a time is used without MRG_RXBUF. */
static bool rx_merges(const struct net_pair *p)
{
	return vdev_has(p->v, VIRTIO_NET_F_MRG_RXBUF);
}

static bool rx_holds_any_frame(const struct net_pair *p)
{
	return !rx_merges(p) || p->stock.bytes >= sizeof(struct net_header) + FRAME_MAX;
}

static bool rx_wants_more(const struct net_pair *p)
{
	return p->stock.at == p->stock.end || !rx_holds_any_frame(p);
}

/* Take receive buffers off the ring. Return: whether there are any. */
static bool rx_fill(struct net_pair *p)
{
	struct virtq *q = rx_ring(p);
	struct rx_stock *s = &p->stock;
	struct virtq_chain c;

	while (rx_wants_more(p) && stock_make_room(s, q->size)) {
		if (vdev_pop(p->v, 2 * p->index, &c, s->iov + s->iov_end, q->size) <= 0)
			break;
		if (gcur_left(&c.out) > 0 || gcur_left(&c.in) == 0) {
			vdev_broken(p->v, 2 * p->index,
				    "ring %u: a receive buffer not to be written", 2 * p->index);
			break;
		}
		s->chains[s->end++] =
			(struct rx_chain){ c.head, (u16)c.in.nr, (u32)gcur_left(&c.in) };
		s->iov_end += c.in.nr;
		s->bytes += gcur_left(&c.in);
	}
	return s->at < s->end && !p->v->is_broken;
}

/* Where the next frame's header goes, and behind it the frame. */
static struct gcur rx_cursor(const struct net_pair *p)
{
	const struct rx_stock *s = &p->stock;
	struct gcur c;

	gcur_init(&c, s->iov + s->iov_at,
		  rx_merges(p) ? s->iov_end - s->iov_at : s->chains[s->at].nr_iov);
	return c;
}

/* What a driver that stops the ring has not had. */
static void rx_give_back(struct net_pair *p)
{
	struct rx_stock *s = &p->stock;

	while (s->end > s->at)
		virtq_unpop_head(rx_ring(p), s->chains[--s->end].head);
	s->at = s->end = s->iov_at = s->iov_end = 0;
	s->bytes = 0;
}

/* --- To the guest ----------------------------------------------------------------------------- */

/* What the guest did not say it can do, no frame may ask of it. Return: NULL, or what is wrong. */
static const char *rx_fault(struct vdev *v, struct net_header *h, u32 len)
{
	bool knows_csum = vdev_has(v, VIRTIO_NET_F_GUEST_CSUM);

	if (len < ETH_HEADER_BYTES)
		return "shorter than an Ethernet header";
	if (!knows_csum && (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return "without a checksum";
	h->flags &= knows_csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID : 0;
	switch (h->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		if (vdev_has(v, VIRTIO_NET_F_MTU) &&
		    len > net_of(v)->mtu + (u32)(ETH_HEADER_BYTES + VLAN_TAG_BYTES))
			return "longer than the mtu";
		return NULL;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return vdev_has(v, VIRTIO_NET_F_GUEST_TSO4) ? NULL : "a segment of TCP/IPv4";
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return vdev_has(v, VIRTIO_NET_F_GUEST_TSO6) ? NULL : "a segment of TCP/IPv6";
	}
	return "of an unknown kind";
}

/* The frame is in the buffers: write its header and hand over as many as it took, at once. */
static void rx_push(struct net_pair *p, struct net_header *h, u32 len)
{
	u32 left = (u32)sizeof(*h) + len, nr = 0;
	struct virtq_done *done = net_of(p->v)->done;
	struct gcur c = rx_cursor(p);

	for (; left > 0; nr++) {
		const struct rx_chain *chain = &p->stock.chains[p->stock.at + nr];

		done[nr] = (struct virtq_done){ chain->head, MIN(left, chain->bytes) };
		left -= done[nr].written;
	}
	h->num_buffers = le16_make((u16)nr);
	gcur_put(&c, h, sizeof(*h));
	virtq_push_all(rx_ring(p), done, nr);
	stock_drop(&p->stock, nr);
}

/* Copy the frame that waits. Return: false while it has to wait on. */
static bool rx_deliver(struct net_pair *p)
{
	const char *fault = rx_fault(p->v, &p->header, p->frame_len);
	struct gcur c;

	if (!fault) {
		c = rx_cursor(p);
		if (gcur_skip(&c, sizeof(p->header)) &&
		    gcur_put(&c, p->input + p->frame_at, p->frame_len))
			rx_push(p, &p->header, p->frame_len);
		else if (rx_merges(p))
			return false;
		else
			fault = "longer than the guest's buffer";
	}
	if (fault)
		drop_rx(p, fault);
	rx_forget_frame(p);
	return true;
}

/* --- From a tap ------------------------------------------------------------------------------- */

/* What a read of the tap without a frame means. Return: whether to go on reading. */
static bool tap_read_ended(struct net_pair *p, ssize_t got)
{
	int code = got < 0 ? errno : 0;

	if (got > 0) {
		drop_rx(p, "shorter than its header");
		return true;
	}
	if (code == EAGAIN)
		return false;
	if (code == EFAULT || code == ENOMEM || code == ENOBUFS) {
		drop_rx(p, strerror(code));
		return true;
	}
	pair_lost(p, "the tap is gone");
	return false;
}

/* Straight into the guest's buffers. A byte in `scratch` tells that they are too small. */
static bool tap_receive_direct(struct net_pair *p)
{
	struct iovec *iov = net_of(p->v)->iov;
	struct gcur c = rx_cursor(p);
	struct net_header h = { 0 }; /* readv writes it, which linters do not know */
	const char *fault;
	size_t room = 0;
	u32 nr = 0;
	ssize_t got;
	u8 scratch;

	if (gcur_skip(&c, sizeof(h))) {
		room = (size_t)MIN(gcur_left(&c), (u64)FRAME_MAX);
		nr = gcur_iov(&c, room, iov + 1, RX_IOVS);
	}
	iov[0] = (struct iovec){ &h, sizeof(h) };
	iov[nr + 1] = (struct iovec){ &scratch, sizeof(scratch) };
	got = readv(p->fd, iov, (int)nr + 2);
	if (got < (ssize_t)sizeof(h))
		return tap_read_ended(p, got);
	got -= (ssize_t)sizeof(h);
	fault = (size_t)got > room ? "longer than the guest's buffer"
				   : rx_fault(p->v, &h, (u32)got);
	if (fault)
		drop_rx(p, fault);
	else
		rx_push(p, &h, (u32)got);
	return true;
}

/* Into our buffer, for when there are more of the guest's. */
static bool tap_receive_held(struct net_pair *p)
{
	struct iovec iov[] = {
		{ &p->header, sizeof(p->header) },
		{ p->input, FRAME_MAX },
	};
	ssize_t got = readv(p->fd, iov, ARRAY_SIZE(iov));

	if (got < (ssize_t)sizeof(p->header))
		return tap_read_ended(p, got);
	p->frame_at = 0;
	p->frame_len = (u32)(got - (ssize_t)sizeof(p->header));
	if (p->frame_len == 0)
		drop_rx(p, "no frame");
	return true;
}

/* --- From and to passt ------------------------------------------------------------------------ */

static u32 be32_get(const u8 bytes[4])
{
	return (u32)bytes[0] << 24 | (u32)bytes[1] << 16 | (u32)bytes[2] << 8 | bytes[3];
}

/* Whether `input` holds a whole frame, of which epoll knows nothing. */
static bool passt_has_frame(const struct net_pair *p)
{
	u32 have = p->in_end - p->in_at;

	return have >= PASST_PREFIX_BYTES &&
	       have - PASST_PREFIX_BYTES >= be32_get(p->input + p->in_at);
}

static bool passt_read(struct net_pair *p)
{
	ssize_t got;

	if (p->in_at == p->in_end)
		p->in_at = p->in_end = 0;
	if (p->in_end == INPUT_BYTES) {
		memmove(p->input, p->input + p->in_at, p->in_end - p->in_at);
		p->in_end -= p->in_at;
		p->in_at = 0;
	}
	got = fd_read(p->fd, p->input + p->in_end, INPUT_BYTES - p->in_end);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		pair_lost(p, got == 0 ? "passt has ended" : "passt's socket failed");
		return false;
	}
	p->in_end += (u32)got;
	return true;
}

/*
 * Each frame follows its length, as 32 bits in network order. The length is passt's to choose: no
 * frame begins where it is not known how the one before it ends.
 * Return: whether there was something to do.
 */
static bool passt_receive(struct net_pair *p)
{
	u32 len;

	if (p->in_end - p->in_at < PASST_PREFIX_BYTES)
		return passt_read(p);
	len = be32_get(p->input + p->in_at);
	if (len > PASST_FRAME_MAX) {
		pair_lost(p, "passt announced a frame longer than 65535 bytes");
		return false;
	}
	if (!passt_has_frame(p))
		return passt_read(p);
	p->header = (struct net_header){ 0 };
	p->frame_at = p->in_at + PASST_PREFIX_BYTES;
	p->frame_len = len;
	p->in_at = p->frame_at + len;
	if (len == 0)
		drop_rx(p, "no frame");
	return true;
}

/* `frame` stands at the frame's front. */
static void passt_send(struct net_pair *p, struct gcur *frame)
{
	struct net *n = net_of(p->v);
	u32 len = (u32)gcur_left(frame);
	u8 prefix[PASST_PREFIX_BYTES] = { (u8)(len >> 24), (u8)(len >> 16), (u8)(len >> 8),
					  (u8)len };
	struct gcur c = *frame;
	struct msghdr m = { .msg_iov = n->iov };
	ssize_t sent;

	n->iov[0] = (struct iovec){ prefix, sizeof(prefix) };
	m.msg_iovlen = 1 + gcur_iov(&c, len, n->iov + 1, RING_MAX);
	sent = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN) {
		pair_lost(p, "passt's socket failed");
		return;
	}
	if (sent == (ssize_t)(sizeof(prefix) + len))
		return;
	memcpy(p->output, prefix, sizeof(prefix));
	gcur_get(frame, p->output + sizeof(prefix), len);
	p->out_len = (u32)sizeof(prefix) + len;
	p->out_sent = (u32)MAX(sent, 0);
	pair_watch(p);
}

/* The socket takes bytes again. */
static void passt_flush(struct net_pair *p)
{
	ssize_t sent = send(p->fd, p->output + p->out_sent, p->out_len - p->out_sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno == EAGAIN)
		return;
	if (sent < 0) {
		pair_lost(p, "passt's socket failed");
	} else {
		p->out_sent += (u32)sent;
		if (p->out_sent < p->out_len)
			return;
		p->out_len = 0;
		pair_watch(p);
	}
	vdev_kick(p->v, 2 * p->index + 1); /* the transmit ring rested */
}

/* --- The back end has something --------------------------------------------------------------- */

static bool rx_receive(struct net_pair *p)
{
	if (net_of(p->v)->kind == NET_PASST)
		return passt_receive(p);
	return rx_holds_any_frame(p) ? tap_receive_direct(p) : tap_receive_held(p);
}

static void rx_hold(struct net_pair *p)
{
	if (!p->holding)
		evl_timer_set(&p->hold, HOLD_NS, 0);
	p->holding = true;
}

/*
 * Frames to the guest, until there are none, no buffers for them, or others want their turn. Those
 * that passt sent already go now, for no event will come for them.
 */
static void rx_run(struct net_pair *p)
{
	for (u32 i = 0; (i < RX_BURST || passt_has_frame(p)) && rx_fill(p); i++) {
		if (p->frame_len == 0 && !rx_receive(p))
			break;
		if (p->frame_len > 0 && !rx_deliver(p)) {
			rx_hold(p);
			break;
		}
	}
	virtq_call(rx_ring(p));
	pair_watch(p);
}

static void pair_ready(struct evl_source *source, u32 events)
{
	struct net_pair *p = container_of(source, struct net_pair, source);

	if ((events & EPOLLOUT) && p->out_len > 0)
		passt_flush(p);
	if (p->fd >= 0 && (events & EPOLLIN))
		rx_run(p);
	else if (p->fd >= 0 && (events & (EPOLLHUP | EPOLLERR)))
		pair_lost(p, "the other end of the cable is gone");
}

/* The guest had its time to make room; or rx_run is wanted outside of whoever set the timer. */
static void hold_is_over(struct evl_timer *timer)
{
	struct net_pair *p = container_of(timer, struct net_pair, hold);

	if (p->holding) {
		drop_rx(p, "too few receive buffers");
		rx_forget_frame(p);
	}
	if (p->rx_on)
		rx_run(p);
}

/* --- From the guest --------------------------------------------------------------------------- */

/* What the driver asks of us must be negotiated and lie within the frame (section 5.1.6.2.2). */
static const char *tx_segments_fault(struct vdev *v, const struct net_header *h, u64 len)
{
	if (h->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 && h->gso_type != VIRTIO_NET_HDR_GSO_TCPV6)
		return "to be segmented in an unknown way";
	if (!vdev_has(v, h->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ? VIRTIO_NET_F_HOST_TSO4
								 : VIRTIO_NET_F_HOST_TSO6))
		return "to be segmented, which was not negotiated";
	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return "to be segmented without checksums";
	if (le16_get(h->gso_size) == 0)
		return "to be segmented into nothing";
	if (le16_get(h->hdr_len) > len)
		return "its headers end behind it";
	return NULL;
}

/* Clears what the device has to ignore. Return: NULL, or why the frame is dropped. */
static const char *tx_fault(struct vdev *v, struct net_header *h, u64 len)
{
	if (len < ETH_HEADER_BYTES)
		return "shorter than an Ethernet header";
	if (len > (net_of(v)->kind == NET_PASST ? PASST_FRAME_MAX : FRAME_MAX))
		return "too long";
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = le16_make(0);
	if (!h->flags) {
		h->csum_start = h->csum_offset = le16_make(0);
	} else {
		if (!vdev_has(v, VIRTIO_NET_F_CSUM))
			return "without a checksum, which was not negotiated";
		if ((u64)le16_get(h->csum_start) + le16_get(h->csum_offset) + CSUM_BYTES > len)
			return "its checksum lies behind it";
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		h->hdr_len = h->gso_size = le16_make(0);
		return NULL;
	}
	return tx_segments_fault(v, h, len);
}

static void tap_send(struct net_pair *p, struct net_header *h, struct gcur *frame)
{
	struct iovec *iov = net_of(p->v)->iov;
	u32 nr = gcur_iov(frame, gcur_left(frame), iov + 1, RING_MAX);
	int code;

	iov[0] = (struct iovec){ h, sizeof(*h) };
	if (writev(p->fd, iov, (int)nr + 1) >= 0)
		return;
	code = errno;
	drop_tx(p, strerror(code));
	if (code == EBADFD) /* epoll is silent about it while no input is wanted */
		pair_lost(p, "the tap is gone");
}

static void tx_frame(struct net_pair *p, struct gcur *out)
{
	struct net_header h;
	const char *fault = "shorter than its header";

	if (gcur_get(out, &h, sizeof(h)))
		fault = tx_fault(p->v, &h, gcur_left(out));
	if (!fault && !p->attached)
		fault = p->fd < 0 ? "the link is down" : "its queue is not in use";
	if (fault)
		drop_tx(p, fault);
	else if (net_of(p->v)->kind == NET_PASST)
		passt_send(p, out);
	else
		tap_send(p, &h, out);
}

static int tx_run(struct net_pair *p)
{
	struct iovec *iov = net_of(p->v)->chain_iov;
	u32 qi = 2 * p->index + 1;
	struct virtq_chain c;
	int status = 0;

	while (p->out_len == 0 && (status = vdev_pop(p->v, qi, &c, iov, RING_MAX)) > 0) {
		tx_frame(p, &c.out);
		virtq_push(&p->v->queues[qi], c.head, 0);
	}
	virtq_call(&p->v->queues[qi]);
	return status;
}

/* --- How many pairs are in use ---------------------------------------------------------------- */

/* A tap with several queues gives frames to those that are attached; at first all are. */
static int tap_set_queue(struct net_pair *p, bool on)
{
	struct ifreq r = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };
	const struct net *n = net_of(p->v);

	if (n->kind != NET_TAP || n->nr_pairs == 1)
		return 0;
	return ioctl(p->fd, TUNSETQUEUE, &r) < 0 ? -errno : 0;
}

static int pair_attach(struct net_pair *p)
{
	int status = tap_set_queue(p, true);

	if (status < 0)
		return status;
	status = evl_add(p->v->evl, &p->source, p->fd, 0, pair_ready);
	p->attached = status == 0;
	pair_watch(p);
	return status;
}

/* It is not watched any more either: for a queue without its tap epoll has only errors. */
static int pair_detach(struct net_pair *p)
{
	evl_remove(p->v->evl, &p->source);
	p->attached = false;
	return tap_set_queue(p, false);
}

static int net_set_active(struct vdev *v, u32 nr)
{
	struct net *n = net_of(v);
	int status = 0;

	for (u32 i = 0; i < n->nr_pairs && status == 0; i++) {
		struct net_pair *p = &n->pairs[i];

		if (p->fd >= 0 && p->attached != (i < nr))
			status = i < nr ? pair_attach(p) : pair_detach(p);
	}
	return status;
}

static u8 control_request(struct vdev *v, struct gcur *out)
{
	struct {
		u8 class, command;
		le16 pairs;
	} r;
	u32 pairs;

	if (!gcur_get(out, &r, sizeof(r)) || r.class != VIRTIO_NET_CTRL_MQ ||
	    r.command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !vdev_has(v, VIRTIO_NET_F_MQ))
		return VIRTIO_NET_ERR;
	pairs = le16_get(r.pairs);
	if (pairs < 1 || pairs > net_of(v)->nr_pairs)
		return VIRTIO_NET_ERR;
	return net_set_active(v, pairs) < 0 ? VIRTIO_NET_ERR : VIRTIO_NET_OK;
}

static int control_run(struct vdev *v, u32 qi)
{
	struct virtq *q = vdev_queue(v, qi);
	struct virtq_chain c;
	int status;
	u8 answer;

	while ((status = vdev_pop(v, qi, &c, net_of(v)->chain_iov, RING_MAX)) > 0) {
		if (gcur_left(&c.in) == 0)
			return vdev_broken(v, qi, "a control request without room for its answer");
		answer = control_request(v, &c.out);
		gcur_put(&c.in, &answer, sizeof(answer));
		virtq_push(q, c.head, sizeof(answer));
	}
	virtq_call(q);
	return status;
}

/* --- The class -------------------------------------------------------------------------------- */

static int net_kick(struct vdev *v, u32 qi)
{
	struct net_pair *p = pair_of(v, qi);

	if (qi == control_ring(v))
		return control_run(v, qi);
	if (!p)
		return 0;
	if (!is_receive(qi))
		return tx_run(p);
	if (p->frame_len > 0 || passt_has_frame(p))
		rx_run(p);
	pair_watch(p);
	return 0;
}

static bool has_vhost(const struct net_pair *p)
{
	return p->vhost.fd >= 0;
}

/* The tap leaves to the guest what the guest said it can do. */
static int tap_set_offloads(struct net_pair *p)
{
	const struct vdev *v = p->v;
	unsigned int offloads = 0;

	if (net_of(p->v)->kind != NET_TAP || !p->attached)
		return 0;
	if (vdev_has(v, VIRTIO_NET_F_GUEST_CSUM))
		offloads = TUN_F_CSUM | (vdev_has(v, VIRTIO_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0) |
			   (vdev_has(v, VIRTIO_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0);
	return ioctl(p->fd, TUNSETOFFLOAD, offloads) < 0 ? -errno : 0;
}

static int net_queue_start(struct vdev *v, u32 qi)
{
	struct net_pair *p = pair_of(v, qi);
	int status;

	if (!vdev_has(v, VIRTIO_F_VERSION_1))
		return -EPROTONOSUPPORT; /* another header */
	if (!p)
		return 0;
	status = is_receive(qi) ? tap_set_offloads(p) : 0;
	if (IS_ENABLED(CONFIG_VIRTIO_NET_VHOST) && status == 0 && has_vhost(p))
		return net_vhost_ring_start(&p->vhost, v, qi, p->fd);
	if (status < 0 || !is_receive(qi))
		return status;
	p->rx_on = true;
	if (passt_has_frame(p))
		evl_timer_set(&p->hold, SOON_NS, 0);
	pair_watch(p);
	return 0;
}

static void net_queue_call(struct vdev *v, u32 qi)
{
	struct net_pair *p = pair_of(v, qi);

	if (IS_ENABLED(CONFIG_VIRTIO_NET_VHOST) && p && has_vhost(p))
		net_vhost_ring_call(&p->vhost, v, qi);
}

static bool is_last_ring(struct vdev *v, u32 qi)
{
	for (u32 i = 0; i < v->nr_queues; i++)
		if (i != qi && v->queues[i].enabled)
			return false;
	return true;
}

static void net_queue_stop(struct vdev *v, u32 qi)
{
	struct net_pair *p = pair_of(v, qi);

	if (IS_ENABLED(CONFIG_VIRTIO_NET_VHOST) && p && has_vhost(p)) {
		net_vhost_ring_stop(&p->vhost, v, qi);
	} else if (p && is_receive(qi)) {
		rx_give_back(p);
		rx_forget_frame(p);
		p->rx_on = false;
		pair_watch(p);
	}
	if (is_last_ring(v, qi))
		net_set_active(v, 1); /* as after a reset (section 5.1.6.5.5) */
}

static void net_config_read(struct vdev *v, u8 *to)
{
	const struct net *n = net_of(v);
	struct net_config config = {
		.status = le16_make(n->link_up ? VIRTIO_NET_S_LINK_UP : 0),
		.max_virtqueue_pairs = le16_make((u16)n->nr_pairs),
		.mtu = le16_make(n->mtu),
	};

	memcpy(config.mac, n->mac, sizeof(config.mac));
	memcpy(to, &config, sizeof(config));
}

static int pair_create(struct vdev *v, const struct net_cfg *cfg, u32 index, struct fdset *fds,
		       struct err *e)
{
	struct net_pair *p = &net_of(v)->pairs[index];
	int status;

	p->fd = fdset_take(fds, cfg->fd_index[index]);
	if (p->fd < 0)
		return err_set(e, -EBADF, "no descriptor for pair %u", index);
	status = evl_timer_create(v->evl, &p->hold, hold_is_over);
	if (status < 0)
		return err_errno(e, status, "timer");
	if (index > 0) {
		status = tap_set_queue(p, false);
		return status < 0 ? err_errno(e, status, "the tap's queue %u", index) : 0;
	}
	status = evl_add(v->evl, &p->source, p->fd, 0, pair_ready);
	p->attached = status == 0;
	return status < 0 ? err_errno(e, status, "watch the back end") : 0;
}

/* The kernel is to move this pair's frames: what it cannot do is not offered. */
static int pair_hand_over(struct vdev *v, const struct net_cfg *cfg, u32 index, struct fdset *fds,
			  struct err *e)
{
	struct net_pair *p = &net_of(v)->pairs[index];
	int fd = fdset_take(fds, cfg->vhost_index[index]);

	if (fd < 0)
		return err_set(e, -EBADF, "no /dev/vhost-net for pair %u", index);
	if (net_vhost_start(&p->vhost, v, index, &fd, e) < 0)
		return e->code;
	v->features_offered &= p->vhost.features | CARD_FEATURES;
	return 0;
}

static int net_start(struct vdev *v, const void *opaque, struct fdset *fds, struct err *e)
{
	const struct net_cfg *cfg = opaque;
	struct net *n = net_of(v);

	for (u32 i = 0; i < NET_PAIRS_MAX; i++) {
		n->pairs[i].v = v;
		n->pairs[i].index = i;
		n->pairs[i].fd = n->pairs[i].vhost.fd = -1;
		n->pairs[i].vhost.faults[0].source.fd = n->pairs[i].vhost.faults[1].source.fd = -1;
	}
	n->kind = cfg->kind;
	n->nr_pairs = cfg->nr_pairs;
	n->mtu = (u16)cfg->mtu;
	n->link_up = true;
	memcpy(n->mac, cfg->mac, sizeof(n->mac));
	v->nr_queues = 2 * n->nr_pairs + (n->nr_pairs > 1 ? 1 : 0);
	if (n->kind == NET_PASST)
		v->features_offered &= ~OFFLOAD_FEATURES;
	if (n->nr_pairs == 1)
		v->features_offered &= ~MQ_FEATURES;
	if (n->mtu == 0)
		v->features_offered &= ~BIT(VIRTIO_NET_F_MTU);
	for (u32 i = 0; i < n->nr_pairs; i++)
		if (pair_create(v, cfg, i, fds, e) < 0 ||
		    (IS_ENABLED(CONFIG_VIRTIO_NET_VHOST) && cfg->vhost &&
		     pair_hand_over(v, cfg, i, fds, e) < 0))
			return e->code;
	return 0;
}

static void net_destroy(struct vdev *v)
{
	struct net *n = net_of(v);

	for (u32 i = 0; i < n->nr_pairs; i++) {
		struct net_pair *p = &n->pairs[i];

		if (IS_ENABLED(CONFIG_VIRTIO_NET_VHOST))
			net_vhost_destroy(&p->vhost);
		evl_remove(v->evl, &p->source);
		evl_timer_destroy(&p->hold);
		fd_close(&p->fd);
	}
}

static const struct vdev_shorthand net_shorthands[] = {
	{ .name = "tap", .arg = "NAME", .key = "tap", .help = HELP("network card on a tap") },
	{ .name = "tap-fd",
	  .arg = "N",
	  .key = "fd",
	  .help = HELP("the same, open as descriptor N") },
	{ .name = "passt",
	  .arg = "PATH",
	  .key = "passt",
	  .help = HELP("network card on passt's socket") },
	{ .name = "host_ip",
	  .arg = "ADDRESS",
	  .key = "ip",
	  .joined = true,
	  .help = HELP("network card on a tap made for it, which gets this address") },
	{ .name = "netmask",
	  .arg = "MASK",
	  .key = "netmask",
	  .joined = true,
	  .help = HELP("of --host_ip") },
	{ .name = "mac",
	  .arg = "ADDRESS",
	  .key = "mac",
	  .joined = true,
	  .help = HELP("of the guest, with --host_ip") },
	{ .name = NULL },
};

static const struct vdev_class virtio_net = {
	.name = "virtio-net",
	.summary = SUMMARY("network card on a tap or on passt"),
	.virtio_id = 1,
	.queue_size_max = RING_MAX,
	.nr_queues = RINGS_MAX,
	.features = CARD_FEATURES | BIT(VIRTIO_NET_F_MRG_RXBUF),
	.config_bytes = sizeof(struct net_config),
	.priv_bytes = sizeof(struct net),
	.cfg_bytes = sizeof(struct net_cfg),
	.opts = net_opts,
	.shorthands = net_shorthands,
	.policy = "virtio_net",
	.open = net_open,
	.start = net_start,
	.destroy = net_destroy,
	.kick = net_kick,
	.queue_start = net_queue_start,
	.queue_stop = net_queue_stop,
	.queue_call = net_queue_call,
	.config_read = net_config_read,
};
VDEV_CLASS(virtio_net);
