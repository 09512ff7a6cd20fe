// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: stream sockets between host and guest (virtio 1.2, section 5.10).
//
// Requests of the transmit ring come back at once, whatever becomes of them: bytes go to a socket or
// into their connection's buffer, for which the guest has credit; an answer is a bit of the
// connection's, or a reset in a list of ours, and while that list is full the ring waits. A receive
// buffer is taken off its ring only for a packet that is there.
#include "vsock.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "util/fd.h"

enum {
	ACCEPT_BURST = 16,
	VIRTIO_VSOCK_F_STREAM = 0,              /* section 5.10.3 */
	VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0, /* section 5.10.6.7 */
};

#define SOON_NS 1
#define BUFFERS_BYTES ((size_t)VSOCK_CONNS_MAX * VSOCK_BUFFER_BYTES)
#define BIT(op) (u16)(1u << (op))
#define HAS_VHOST IS_ENABLED(CONFIG_VIRTIO_VSOCK_VHOST)

/* Section 5.10.4 */
struct vsock_config {
	le64 guest_cid;
};

static bool vsock_is_vhost(const struct vsock *vs)
{
	return vs->vhost.fd >= 0;
}

static void vsock_again(struct vsock *vs)
{
	evl_timer_set(&vs->next_turn, SOON_NS, 0);
}

/* --- To the guest ----------------------------------------------------------------------------- */

/* Put a packet's header in front of what vsock_conn_packet wrote, and hand it over. */
static void packet_push(struct vsock *vs, struct virtq_chain *chain, struct vsock_header *h,
			u64 src_cid)
{
	h->src_cid = le64_make(src_cid);
	h->dst_cid = le64_make(vs->cid);
	gcur_put(&chain->in, h, sizeof(*h));
	virtq_push(vdev_queue(vs->v, VSOCK_RX), chain->head, (u32)sizeof(*h) + le32_get(h->len));
}

static void reset_push(struct vsock *vs, struct virtq_chain *chain)
{
	const struct vsock_reset *reset = &vs->resets[vs->reset_at];
	struct vsock_header h = {
		.src_port = le32_make(reset->host_port),
		.dst_port = le32_make(reset->guest_port),
		.type = le16_make(reset->type),
		.op = le16_make(VSOCK_OP_RST),
	};

	packet_push(vs, chain, &h, reset->cid);
	vs->reset_at = (vs->reset_at + 1) % VSOCK_RESETS_MAX;
	vs->nr_resets--;
}

/* The next connection in turn has its packet, and goes to the end if it has more. */
static bool conn_push(struct vsock *vs, struct virtq_chain *chain)
{
	for (u32 left = vs->nr_ready; left > 0; left--) {
		struct vsock_conn *c = &vs->conns[vs->ready[vs->ready_at]];
		struct vsock_header h = { .type = le16_make(VSOCK_TYPE_STREAM) };
		struct gcur room = chain->in;
		bool has_packet;

		vs->ready_at = (vs->ready_at + 1) % VSOCK_CONNS_MAX;
		vs->nr_ready--;
		c->queued = false;
		gcur_skip(&room, sizeof(h));
		has_packet = vsock_conn_packet(c, &h, &room);
		if (has_packet)
			packet_push(vs, chain, &h, VSOCK_CID_HOST);
		vsock_conn_settle(c);
		if (has_packet)
			return true;
	}
	return false;
}

static bool vsock_has_packets(const struct vsock *vs)
{
	return vs->nr_resets > 0 || vs->nr_ready > 0;
}

void vsock_pump(struct vsock *vs)
{
	struct virtq *rx = vdev_queue(vs->v, VSOCK_RX);
	struct virtq_chain chain;
	bool is_late = false;
	u32 nr = 0;

	for (; vsock_has_packets(vs) && nr < VSOCK_RING_MAX; nr++) {
		if (vdev_pop(vs->v, VSOCK_RX, &chain, vs->chain_iov, ARRAY_SIZE(vs->chain_iov)) <=
		    0)
			break;
		if (gcur_left(&chain.out) > 0 ||
		    gcur_left(&chain.in) <= sizeof(struct vsock_header)) {
			vdev_broken(vs->v, VSOCK_RX, "a receive buffer that holds no packet");
			break;
		}
		if (vs->nr_resets > 0) {
			reset_push(vs, &chain);
		} else if (!conn_push(vs, &chain)) {
			virtq_unpop(rx);
			is_late = vs->nr_ready > 0; /* the host is short of memory */
			break;
		}
	}
	virtq_call(rx);
	if (nr == VSOCK_RING_MAX || is_late || (vs->tx_waits && vs->nr_resets < VSOCK_RESETS_MAX))
		vsock_again(vs);
}

/* --- From the guest --------------------------------------------------------------------------- */

/* Answer a packet by a RST; there is room, or it was not taken off the ring. */
static void packet_refuse(struct vsock *vs, const struct vsock_header *h)
{
	vs->resets[(vs->reset_at + vs->nr_resets++) % VSOCK_RESETS_MAX] = (struct vsock_reset){
		.cid = le64_get(h->dst_cid),
		.guest_port = le32_get(h->src_port),
		.host_port = le32_get(h->dst_port),
		.type = le16_get(h->type),
	};
}

static void conn_take_credit(struct vsock_conn *c, const struct vsock_header *h)
{
	c->peer_alloc = le32_get(h->buf_alloc);
	c->peer_fwd = le32_get(h->fwd_cnt);
}

/* The guest calls: the supervisor looks for who listens. */
static bool packet_call(struct vsock *vs, const struct vsock_header *h)
{
	struct vsock_conn *c;

	if (le32_get(h->dst_port) == UINT32_MAX) /* any port, and none */
		return false;
	c = vsock_conn_alloc(vs, VSOCK_ASKING);
	if (!c)
		return false;
	vsock_conn_name(c, le32_get(h->src_port), le32_get(h->dst_port));
	conn_take_credit(c, h);
	if (vs->v->host->ask(vs->v->host, c->host_port, (u32)c->serial << 16 | c->index) == 0)
		return true;
	vsock_conn_free(c);
	return false;
}

/* A packet of a connection that is connected. Return: false when it ends it. */
static bool conn_take_connected(struct vsock_conn *c, const struct vsock_header *h,
				struct gcur *out)
{
	switch (le16_get(h->op)) {
	case VSOCK_OP_RW:
		return vsock_conn_data(c, out, le32_get(h->len));
	case VSOCK_OP_SHUTDOWN:
		vsock_conn_shutdown(c, le32_get(h->flags));
		return c->guest_done != VSOCK_SHUTDOWN_BOTH;
	}
	return false;
}

/* A packet of one whose host's side is gone: what was on its way is let pass. */
static bool conn_take_lingering(struct vsock_conn *c, const struct vsock_header *h)
{
	if (le16_get(h->op) == VSOCK_OP_SHUTDOWN)
		vsock_conn_shutdown(c, le32_get(h->flags));
	else if (le16_get(h->op) != VSOCK_OP_RW)
		return false;
	return c->guest_done != VSOCK_SHUTDOWN_BOTH;
}

/* Return: false when the packet ends the connection, in order or because it should not have come. */
static bool conn_take(struct vsock_conn *c, const struct vsock_header *h, struct gcur *out)
{
	u16 op = le16_get(h->op);

	conn_take_credit(c, h);
	if (op == VSOCK_OP_CREDIT_UPDATE)
		return true;
	if (op == VSOCK_OP_CREDIT_REQUEST) {
		c->owed |= BIT(VSOCK_OP_CREDIT_UPDATE);
		return true;
	}
	if (c->state == VSOCK_CONNECTED)
		return conn_take_connected(c, h, out);
	if (c->state == VSOCK_LINGERING)
		return conn_take_lingering(c, h);
	if (c->state != VSOCK_CALLING || op != VSOCK_OP_RESPONSE || c->owed & BIT(VSOCK_OP_REQUEST))
		return false;
	vsock_conn_answered(c);
	return true;
}

static bool packet_is_sound(const struct vsock_header *h, const struct gcur *out)
{
	return le64_get(h->dst_cid) == VSOCK_CID_HOST && le16_get(h->type) == VSOCK_TYPE_STREAM &&
	       le32_get(h->len) <= gcur_left(out);
}

/* At most one reset comes of it. */
static void packet_take(struct vsock *vs, const struct vsock_header *h, struct gcur *out)
{
	bool is_sound = packet_is_sound(h, out);
	u16 op = le16_get(h->op);
	struct vsock_conn *c = NULL;

	if (le64_get(h->dst_cid) == VSOCK_CID_HOST && le16_get(h->type) == VSOCK_TYPE_STREAM)
		c = vsock_conn_find(vs, le32_get(h->src_port), le32_get(h->dst_port));
	if (op == VSOCK_OP_RST) {
		if (c)
			vsock_conn_abandon(c);
		return;
	}
	if (c && op == VSOCK_OP_REQUEST && c->state == VSOCK_LINGERING) {
		vsock_conn_free(c);
		c = NULL;
	}
	if (c && is_sound && conn_take(c, h, out)) {
		vsock_conn_settle(c);
		return;
	}
	if (c)
		vsock_conn_abandon(c);
	else if (is_sound && op == VSOCK_OP_REQUEST && packet_call(vs, h))
		return;
	packet_refuse(vs, h);
}

static void request_take(struct vsock *vs, struct virtq_chain *chain)
{
	struct vsock_header h;

	if (!gcur_get(&chain->out, &h, sizeof(h)))
		vdev_log(vs->v, "a packet shorter than its header was dropped");
	else if (le64_get(h.src_cid) != vs->cid)
		vdev_log(vs->v, "a packet from cid %llu was dropped: this guest's is %u",
			 (unsigned long long)le64_get(h.src_cid), vs->cid);
	else
		packet_take(vs, &h, &chain->out);
}

static int vsock_transmit(struct vsock *vs)
{
	struct virtq *tx = vdev_queue(vs->v, VSOCK_TX);
	struct virtq_chain chain;
	int status = 0;
	u32 nr = 0;

	for (; nr < VSOCK_RING_MAX; nr++) {
		vs->tx_waits = vs->nr_resets == VSOCK_RESETS_MAX;
		if (vs->tx_waits)
			break;
		status =
			vdev_pop(vs->v, VSOCK_TX, &chain, vs->chain_iov, ARRAY_SIZE(vs->chain_iov));
		if (status <= 0)
			break;
		request_take(vs, &chain);
		virtq_push(tx, chain.head, 0);
	}
	virtq_call(tx);
	if (nr == VSOCK_RING_MAX)
		vsock_again(vs);
	vsock_pump(vs);
	return MIN(status, 0);
}

/* --- From the host ---------------------------------------------------------------------------- */

void vsock_listen(struct vsock *vs, bool wanted)
{
	if (vs->listen_fd >= 0)
		evl_modify(vs->v->evl, &vs->listen_source, wanted ? EPOLLIN : 0);
}

/* When all connections are in use, clients wait in the backlog until one is free. */
static void listen_ready(struct evl_source *source, u32 epoll_events)
{
	struct vsock *vs = container_of(source, struct vsock, listen_source);

	(void)epoll_events;
	for (u32 i = 0; i < ACCEPT_BURST; i++) {
		cleanup_fd int fd = -1;

		if (vsock_conns_are_full(vs)) {
			vsock_listen(vs, false);
			return;
		}
		fd = accept4(vs->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		vsock_conn_accept(vs, &fd);
	}
}

static void vsock_granted(struct vdev *v, u32 cookie, int fd)
{
	struct vsock *vs = v->priv;
	u32 index = cookie & 0xffff;
	struct vsock_conn *c = index < VSOCK_CONNS_MAX ? &vs->conns[index] : NULL;

	if (!c || c->state != VSOCK_ASKING || c->serial != cookie >> 16) {
		fd_close(&fd); /* the guest gave up meanwhile */
		return;
	}
	if (fd < 0)
		vsock_conn_fail(c);
	else
		vsock_conn_attach(c, &fd);
	vsock_pump(vs);
}

/* --- Rings ------------------------------------------------------------------------------------ */

/* The driver shuts down what it still believes to be connected (section 5.10.6.7). */
static int vsock_send_event(struct vsock *vs)
{
	const le32 id = le32_make(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	struct virtq *q = vdev_queue(vs->v, VSOCK_EVENT);
	struct virtq_chain chain;
	int status;

	if (!vs->owes_event)
		return 0;
	status = vdev_pop(vs->v, VSOCK_EVENT, &chain, vs->chain_iov, ARRAY_SIZE(vs->chain_iov));
	if (status <= 0)
		return status;
	if (!gcur_put(&chain.in, &id, sizeof(id)))
		return vdev_broken(vs->v, VSOCK_EVENT, "an event buffer that holds no event");
	virtq_push(q, chain.head, sizeof(id));
	virtq_call(q);
	vs->owes_event = false;
	return 0;
}

static int vsock_kick(struct vdev *v, u32 qi)
{
	struct vsock *vs = v->priv;

	if (qi == VSOCK_TX)
		return vsock_transmit(vs);
	if (qi == VSOCK_EVENT)
		return vsock_send_event(vs);
	vsock_pump(vs);
	return 0;
}

static void vsock_next_turn(struct evl_timer *timer)
{
	struct vsock *vs = container_of(timer, struct vsock, next_turn);

	vsock_send_event(vs);
	vsock_transmit(vs);
}

static void vsock_tick(struct evl_timer *timer)
{
	struct vsock *vs = container_of(timer, struct vsock, tick);

	vsock_conns_tick(vs);
	vsock_pump(vs);
}

/*
 * A receive ring that goes on where it stopped has the same driver behind it, with the same
 * connections. Any other is of a driver that knows none of ours, or that has some we do not know.
 */
static int vsock_queue_start(struct vdev *v, u32 qi)
{
	struct vsock *vs = v->priv;
	u16 base = vdev_queue(v, qi)->next_avail;

	if (HAS_VHOST && vsock_is_vhost(vs))
		return vsock_vhost_queue_start(vs, qi);
	if (qi != VSOCK_RX || (base != 0 && base == vs->rx_base))
		return 0;
	vs->nr_resets = 0;
	if (vsock_conns_drop(vs) || base != 0) {
		vs->owes_event = true;
		vsock_again(vs);
	}
	return 0;
}

static void vsock_queue_stop(struct vdev *v, u32 qi)
{
	struct vsock *vs = v->priv;

	if (HAS_VHOST && vsock_is_vhost(vs))
		vsock_vhost_queue_stop(vs, qi);
	else if (qi == VSOCK_RX)
		vs->rx_base = vdev_queue(v, qi)->next_avail;
}

static void vsock_queue_call(struct vdev *v, u32 qi)
{
	if (HAS_VHOST && vsock_is_vhost(v->priv))
		vsock_vhost_queue_call(v->priv, qi);
}

static void vsock_config_read(struct vdev *v, u8 *config)
{
	const struct vsock *vs = v->priv;
	const struct vsock_config all = { .guest_cid = le64_make(vs->cid) };

	memcpy(config, &all, sizeof(all));
}

/* --- Life ------------------------------------------------------------------------------------- */

static int vsock_make_buffers(struct vsock *vs, struct err *e)
{
	void *memory = mmap(NULL, BUFFERS_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return err_errno(e, -errno, "room for %d connections", VSOCK_CONNS_MAX);
	/* A single byte must not take a huge page, which is room for 32 connections. */
	madvise(memory, BUFFERS_BYTES, MADV_NOHUGEPAGE);
	vs->buffers = memory;
	return 0;
}

static int vsock_start(struct vdev *v, const void *opaque, struct fdset *fds, struct err *e)
{
	const struct vsock_cfg *cfg = opaque;
	struct vsock *vs = v->priv;
	int status, vhost_fd = fdset_take(fds, cfg->vhost_index);

	vs->v = v;
	vs->cid = cfg->cid;
	vs->vhost.fd = -1;
	vs->listen_fd = fdset_take(fds, cfg->listen_index);
	if (HAS_VHOST && vhost_fd >= 0)
		return vsock_vhost_start(vs, &vhost_fd, e);
	vsock_conns_create(vs);
	if (vsock_make_buffers(vs, e) < 0)
		return e->code;
	status = evl_timer_create(v->evl, &vs->next_turn, vsock_next_turn);
	if (status == 0)
		status = evl_timer_create(v->evl, &vs->tick, vsock_tick);
	if (status == 0 && vs->listen_fd >= 0)
		status = evl_add(v->evl, &vs->listen_source, vs->listen_fd, EPOLLIN, listen_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

static void vsock_destroy(struct vdev *v)
{
	struct vsock *vs = v->priv;

	if (HAS_VHOST && vsock_is_vhost(vs))
		vsock_vhost_destroy(vs);
	if (vs->buffers) {
		vsock_conns_destroy(vs);
		munmap(vs->buffers, BUFFERS_BYTES);
	}
	if (vs->listen_fd >= 0)
		evl_remove(v->evl, &vs->listen_source);
	fd_close(&vs->listen_fd);
	evl_timer_destroy(&vs->tick);
	evl_timer_destroy(&vs->next_turn);
}

static const struct vdev_shorthand vsock_shorthands[] = {
	{ .name = "cid",
	  .arg = "N",
	  .key = "cid",
	  .help = HELP("add sockets between host and guest; the guest's address") },
	{ .name = NULL },
};

static const struct vdev_class vsock_class = {
	.name = "virtio-vsock",
	.summary = SUMMARY("sockets between programs of host and guest"),
	.virtio_id = 19,
	.queue_size_max = VSOCK_RING_MAX,
	.nr_queues = VSOCK_RINGS,
	.features = 1 << VIRTIO_VSOCK_F_STREAM,
	.config_bytes = sizeof(struct vsock_config),
	.priv_bytes = sizeof(struct vsock),
	.cfg_bytes = sizeof(struct vsock_cfg),
	.opts = vsock_opts,
	.shorthands = vsock_shorthands,
	.policy = "virtio_vsock",
	.open = vsock_open,
	.cleanup = vsock_cleanup,
	.grant = vsock_grant,
	.granted = vsock_granted,
	.start = vsock_start,
	.destroy = vsock_destroy,
	.kick = vsock_kick,
	.queue_start = vsock_queue_start,
	.queue_stop = vsock_queue_stop,
	.queue_call = vsock_queue_call,
	.config_read = vsock_config_read,
};

VDEV_CLASS(vsock_class);
