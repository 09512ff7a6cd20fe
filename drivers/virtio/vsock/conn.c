// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: a connection between a port of the guest's and a Unix socket of the host's.
//
// Sockets do not block, so calls on them are never interrupted (EINTR).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "vsock.h"

enum {
	LIMIT_TICKS = 10, /* for a greeting, for an answer to a call */
	HOST_PORT_MIN = 1 << 30,
	HOST_PORT_MAX = 0x7fffffff,
};

#define TICK_NS 1000000000ull
#define NO_KEY UINT64_MAX
#define BIT(op) (u16)(1u << (op))

static evl_ready_fn conn_ready;

/* --- The table -------------------------------------------------------------------------------- */

static u64 conn_key(u32 guest_port, u32 host_port)
{
	return (u64)guest_port << 32 | host_port;
}

struct vsock_conn *vsock_conn_find(struct vsock *vs, u32 guest_port, u32 host_port)
{
	u64 key = conn_key(guest_port, host_port);

	for (u32 i = 0; i < VSOCK_CONNS_MAX && key != NO_KEY; i++)
		if (vs->keys[i] == key)
			return &vs->conns[i];
	return NULL;
}

void vsock_conn_name(struct vsock_conn *c, u32 guest_port, u32 host_port)
{
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->vs->keys[c->index] = conn_key(guest_port, host_port);
}

static u8 *conn_buffer(const struct vsock_conn *c)
{
	return c->vs->buffers + (size_t)c->index * VSOCK_BUFFER_BYTES;
}

/* A connection that waits for somebody does so for a limited time. */
static void conn_limit(struct vsock_conn *c, u8 ticks)
{
	struct vsock *vs = c->vs;
	u32 before = vs->nr_ticking;

	vs->nr_ticking += (ticks > 0) - (c->ticks > 0);
	c->ticks = ticks;
	if ((before > 0) != (vs->nr_ticking > 0))
		evl_timer_set(&vs->tick, vs->nr_ticking > 0 ? TICK_NS : 0,
			      vs->nr_ticking > 0 ? TICK_NS : 0);
}

static struct vsock_conn *conn_in_state(struct vsock *vs, enum vsock_state state)
{
	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &vs->conns[(vs->next_slot + i) % VSOCK_CONNS_MAX];

		if (c->state == state)
			return c;
	}
	return NULL;
}

struct vsock_conn *vsock_conn_alloc(struct vsock *vs, enum vsock_state state)
{
	struct vsock_conn *c = conn_in_state(vs, VSOCK_FREE);

	if (!c) {
		c = conn_in_state(vs, VSOCK_LINGERING);
		if (!c)
			return NULL;
		vsock_conn_free(c); /* should the guest come back to it, it is answered by a RST */
	}
	vs->next_slot = c->index + 1;
	*c = (struct vsock_conn){ .vs = vs,
				  .state = state,
				  .index = c->index,
				  .serial = (u16)(c->serial + 1),
				  .queued = c->queued,
				  .fd = -1,
				  .source.fd = -1 };
	conn_limit(c, LIMIT_TICKS);
	return c;
}

static void conn_close(struct vsock_conn *c)
{
	if (c->fd >= 0)
		evl_remove(c->vs->v->evl, &c->source);
	fd_close(&c->fd);
	c->buffer_len = 0;
	if (c->buffer_used)
		madvise(conn_buffer(c), VSOCK_BUFFER_BYTES, MADV_DONTNEED);
	c->buffer_used = false;
}

void vsock_conn_free(struct vsock_conn *c)
{
	conn_close(c);
	conn_limit(c, 0);
	c->state = VSOCK_FREE;
	c->owed = 0;
	c->vs->keys[c->index] = NO_KEY;
	vsock_listen(c->vs, true);
}

void vsock_conns_create(struct vsock *vs)
{
	vs->next_port = HOST_PORT_MAX;
	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++) {
		vs->conns[i] =
			(struct vsock_conn){ .vs = vs, .index = (u16)i, .fd = -1, .source.fd = -1 };
		vs->keys[i] = NO_KEY;
	}
}

void vsock_conns_destroy(struct vsock *vs)
{
	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++)
		vsock_conn_free(&vs->conns[i]);
}

bool vsock_conns_are_full(struct vsock *vs)
{
	return !conn_in_state(vs, VSOCK_FREE) && !conn_in_state(vs, VSOCK_LINGERING);
}

bool vsock_conns_drop(struct vsock *vs)
{
	bool any = false;

	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (vs->keys[i] == NO_KEY || c->owed & BIT(VSOCK_OP_REQUEST))
			continue;
		vsock_conn_abandon(c);
		any = true;
	}
	return any;
}

void vsock_conns_tick(struct vsock *vs)
{
	for (u32 i = 0; i < VSOCK_CONNS_MAX && vs->nr_ticking > 0; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (c->ticks > 1)
			c->ticks--;
		else if (c->ticks == 1)
			vsock_conn_fail(c);
	}
}

/* --- The host's side -------------------------------------------------------------------------- */

/* How much the guest has room for; what it says may be anything (section 5.10.6.3). */
static u32 conn_credit(const struct vsock_conn *c)
{
	u32 in_flight = c->sent - c->peer_fwd;

	return in_flight < c->peer_alloc ? c->peer_alloc - in_flight : 0;
}

static bool conn_wants_bytes(const struct vsock_conn *c)
{
	return c->state == VSOCK_CONNECTED && !(c->guest_done & VSOCK_SHUTDOWN_RECEIVE) &&
	       !(c->host_done & VSOCK_SHUTDOWN_SEND);
}

static void conn_watch(struct vsock_conn *c)
{
	u32 events = c->buffer_len > 0 ? EPOLLOUT : 0;

	if (c->fd < 0 || c->hung_up)
		return;
	if (c->state == VSOCK_GREETING ||
	    (conn_wants_bytes(c) && !c->readable && conn_credit(c) > 0))
		events |= EPOLLIN;
	evl_modify(c->vs->v->evl, &c->source, events);
}

/* Return: whether the socket is there and watched; if not, the connection is to end. */
static bool conn_take_fd(struct vsock_conn *c, int *fd, u32 events)
{
	c->fd = fd_take(fd);
	return evl_add(c->vs->v->evl, &c->source, c->fd, events, conn_ready) == 0;
}

/* The host takes no more bytes: what the guest sends from now on is as good as delivered. */
static void conn_host_deaf(struct vsock_conn *c)
{
	c->host_done |= VSOCK_SHUTDOWN_RECEIVE;
	c->owed |= BIT(VSOCK_OP_SHUTDOWN);
	c->forwarded = c->received;
	c->buffer_len = 0;
}

static void conn_host_silent(struct vsock_conn *c)
{
	c->host_done |= VSOCK_SHUTDOWN_SEND;
	c->owed |= BIT(VSOCK_OP_SHUTDOWN);
}

/* What the socket takes of these bytes now. */
static u32 conn_send(struct vsock_conn *c, struct iovec *iov, u32 nr)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr };
	ssize_t put = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (put >= 0)
		return (u32)put;
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		conn_host_deaf(c);
	return 0;
}

static void conn_flush(struct vsock_conn *c)
{
	u8 *buffer = conn_buffer(c);
	u32 first = MIN(c->buffer_len, VSOCK_BUFFER_BYTES - c->buffer_at), put;
	struct iovec iov[2] = {
		{ .iov_base = buffer + c->buffer_at, .iov_len = first },
		{ .iov_base = buffer, .iov_len = c->buffer_len - first },
	};

	put = conn_send(c, iov, ARRAY_SIZE(iov));
	if (c->buffer_len == 0)
		return; /* nobody wants them any more */
	c->forwarded += put;
	c->buffer_len -= put;
	c->buffer_at = (c->buffer_at + put) % VSOCK_BUFFER_BYTES;
}

/* Keep `len` bytes for which there is room. */
static void conn_keep(struct vsock_conn *c, struct gcur *out, u32 len)
{
	u8 *buffer = conn_buffer(c);

	while (len > 0) {
		u32 end = (c->buffer_at + c->buffer_len) % VSOCK_BUFFER_BYTES;
		u32 part = MIN(len, VSOCK_BUFFER_BYTES - end);

		gcur_get(out, buffer + end, part);
		c->buffer_len += part;
		len -= part;
		c->buffer_used = true;
	}
}

bool vsock_conn_data(struct vsock_conn *c, struct gcur *out, u32 len)
{
	struct gcur front = *out;
	u32 put = 0, nr;

	if (c->guest_done & VSOCK_SHUTDOWN_SEND || len > VSOCK_BUFFER_BYTES - c->buffer_len)
		return false;
	c->received += len;
	if (c->buffer_len == 0 && len > 0 && !(c->host_done & VSOCK_SHUTDOWN_RECEIVE)) {
		nr = gcur_iov(&front, len, c->vs->data_iov, ARRAY_SIZE(c->vs->data_iov));
		put = conn_send(c, c->vs->data_iov, nr);
		gcur_skip(out, put);
	}
	if (c->host_done & VSOCK_SHUTDOWN_RECEIVE) {
		c->forwarded = c->received;
		return true;
	}
	c->forwarded += put;
	conn_keep(c, out, len - put);
	return true;
}

void vsock_conn_shutdown(struct vsock_conn *c, u32 flags)
{
	c->guest_done |= flags & VSOCK_SHUTDOWN_BOTH;
}

/* The host's program hears what the guest will not do any more, after all that it did. */
static void conn_tell_host(struct vsock_conn *c)
{
	u8 news = (u8)(c->guest_done & ~c->host_told);

	if (news & VSOCK_SHUTDOWN_RECEIVE) {
		shutdown(c->fd, SHUT_RD);
		c->host_told |= VSOCK_SHUTDOWN_RECEIVE;
	}
	if (news & VSOCK_SHUTDOWN_SEND && c->buffer_len == 0) {
		shutdown(c->fd, SHUT_WR);
		c->host_told |= VSOCK_SHUTDOWN_SEND;
	}
}

/* --- Beginning -------------------------------------------------------------------------------- */

void vsock_conn_accept(struct vsock *vs, int *fd)
{
	struct vsock_conn *c = vsock_conn_alloc(vs, VSOCK_GREETING);

	if (c && !conn_take_fd(c, fd, EPOLLIN))
		vsock_conn_free(c);
}

void vsock_conn_attach(struct vsock_conn *c, int *fd)
{
	c->state = VSOCK_CONNECTED;
	conn_limit(c, 0);
	c->owed |= BIT(VSOCK_OP_RESPONSE);
	if (!conn_take_fd(c, fd, 0))
		vsock_conn_fail(c);
	vsock_conn_settle(c);
}

/* "CONNECT PORT" */
static bool greeting_parse(const char *text, u32 len, u32 *port)
{
	static const char verb[] = "CONNECT ";
	u64 number = 0;
	u32 at = sizeof(verb) - 1;

	if (len <= at || memcmp(text, verb, at) != 0)
		return false;
	for (; at < len; at++) {
		if (text[at] < '0' || text[at] > '9')
			return false;
		number = number * 10 + (u64)(text[at] - '0');
		if (number >= UINT32_MAX) /* which is any port, and none (section 5.10.6.2) */
			return false;
	}
	*port = (u32)number;
	return true;
}

/* Ask the guest, from a port that no other connection of its has. */
static void conn_call(struct vsock_conn *c, u32 guest_port)
{
	struct vsock *vs = c->vs;

	do {
		vs->next_port = vs->next_port < HOST_PORT_MAX ? vs->next_port + 1 : HOST_PORT_MIN;
	} while (vsock_conn_find(vs, guest_port, vs->next_port));
	vsock_conn_name(c, guest_port, vs->next_port);
	c->state = VSOCK_CALLING;
	conn_limit(c, LIMIT_TICKS);
	c->owed |= BIT(VSOCK_OP_REQUEST);
}

/* The line is read byte by byte: those behind it are the guest's. */
static void conn_greet(struct vsock_conn *c)
{
	ssize_t got;
	u32 port;
	char byte;

	while ((got = fd_read(c->fd, &byte, 1)) == 1) {
		if (byte == '\n') {
			if (greeting_parse(c->greeting, c->greeting_len, &port))
				conn_call(c, port);
			else
				vsock_conn_free(c);
			return;
		}
		if (c->greeting_len == sizeof(c->greeting))
			break;
		c->greeting[c->greeting_len++] = byte;
	}
	if (got != -EAGAIN)
		vsock_conn_free(c);
}

void vsock_conn_answered(struct vsock_conn *c)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

	c->state = VSOCK_CONNECTED;
	conn_limit(c, 0);
	if (fd_write(c->fd, text, (size_t)len) != len)
		vsock_conn_fail(c);
}

/* --- Going on --------------------------------------------------------------------------------- */

/* The host's program is gone. What it wrote may still be read, and then comes the end. */
static void conn_hang_up(struct vsock_conn *c)
{
	evl_remove(c->vs->v->evl, &c->source);
	c->hung_up = true;
	if (c->state == VSOCK_CONNECTED && !(c->host_done & VSOCK_SHUTDOWN_RECEIVE))
		conn_host_deaf(c);
	else if (c->state != VSOCK_CONNECTED)
		vsock_conn_fail(c);
	c->readable = true;
}

/* In each direction either the bytes' source has ended and they are delivered, or nobody wants them. */
static bool conn_is_over(const struct vsock_conn *c)
{
	bool to_host = c->host_done & VSOCK_SHUTDOWN_RECEIVE || c->host_told & VSOCK_SHUTDOWN_SEND;
	bool to_guest = c->host_done & VSOCK_SHUTDOWN_SEND || c->host_told & VSOCK_SHUTDOWN_RECEIVE;

	return to_host && to_guest;
}

static void conn_linger(struct vsock_conn *c, u16 owed)
{
	conn_close(c);
	conn_limit(c, 0);
	c->state = VSOCK_LINGERING;
	c->host_done = VSOCK_SHUTDOWN_BOTH;
	c->owed = owed;
	vsock_listen(c->vs, true);
}

void vsock_conn_fail(struct vsock_conn *c)
{
	bool is_known = c->vs->keys[c->index] != NO_KEY && !(c->owed & BIT(VSOCK_OP_REQUEST));

	if (!is_known) {
		vsock_conn_free(c);
		return;
	}
	conn_linger(c, BIT(VSOCK_OP_RST));
	vsock_conn_settle(c);
}

void vsock_conn_abandon(struct vsock_conn *c)
{
	if (c->state != VSOCK_CONNECTED || c->buffer_len == 0) {
		vsock_conn_free(c);
		return;
	}
	c->state = VSOCK_DRAINING;
	c->owed = 0;
	c->vs->keys[c->index] = NO_KEY;
	conn_watch(c);
}

/* What follows from what the two sides said. */
static void conn_follow(struct vsock_conn *c)
{
	struct vsock *vs = c->vs;

	if (c->state == VSOCK_CONNECTED) {
		conn_tell_host(c);
		if (conn_is_over(c))
			conn_linger(c, c->guest_told == VSOCK_SHUTDOWN_BOTH
					       ? 0
					       : (u16)((c->owed & BIT(VSOCK_OP_RESPONSE)) |
						       BIT(VSOCK_OP_SHUTDOWN)));
		else if (conn_wants_bytes(c) && conn_credit(c) == 0 && !c->asked_credit)
			c->owed |= BIT(VSOCK_OP_CREDIT_REQUEST);
		c->asked_credit = conn_credit(c) == 0;
	} else if (c->state == VSOCK_DRAINING && c->buffer_len == 0) {
		vsock_conn_free(c);
	}
	if (!c->queued && vsock_conn_has_packet(c)) {
		c->queued = true;
		vs->ready[(vs->ready_at + vs->nr_ready++) % VSOCK_CONNS_MAX] = c->index;
	}
}

void vsock_conn_settle(struct vsock_conn *c)
{
	conn_follow(c);
	conn_watch(c);
}

static void conn_ready(struct evl_source *source, u32 epoll_events)
{
	struct vsock_conn *c = container_of(source, struct vsock_conn, source);
	struct vsock *vs = c->vs;

	if (epoll_events & (EPOLLHUP | EPOLLERR)) {
		conn_hang_up(c);
	} else if (c->state == VSOCK_GREETING) {
		conn_greet(c);
	} else {
		c->readable |= (epoll_events & EPOLLIN) != 0;
		if (epoll_events & EPOLLOUT && c->buffer_len > 0)
			conn_flush(c);
	}
	conn_follow(c);
	vsock_pump(vs); /* reads the socket empty, if the guest has room */
	conn_watch(c);
}

/* --- To the guest ----------------------------------------------------------------------------- */

/* So much was sent since the guest heard of room that it may soon have to wait. */
static bool conn_credit_is_news(const struct vsock_conn *c)
{
	return c->state == VSOCK_CONNECTED && c->forwarded != c->told &&
	       c->received - c->told > VSOCK_BUFFER_BYTES / 2;
}

bool vsock_conn_has_packet(const struct vsock_conn *c)
{
	return c->owed != 0 || conn_credit_is_news(c) ||
	       (c->readable && conn_wants_bytes(c) && conn_credit(c) > 0);
}

/* Bytes of the host's, as many as the guest has room for. Return: how many. */
static u32 conn_receive(struct vsock_conn *c, const struct gcur *room)
{
	struct gcur to = *room;
	u32 len = (u32)MIN(gcur_left(&to), (u64)conn_credit(c));
	struct iovec *iov = c->vs->data_iov;
	struct msghdr msg = { .msg_iov = iov };
	ssize_t got;

	if (!c->readable || !conn_wants_bytes(c) || len == 0)
		return 0;
	msg.msg_iovlen = gcur_iov(&to, len, iov, ARRAY_SIZE(c->vs->data_iov));
	/* Descriptors that a client sends along are not taken. */
	got = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got > 0) {
		c->sent += (u32)got;
		return (u32)got;
	}
	if (got < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) {
		c->readable = c->hung_up; /* which no event would make true again */
		return 0;
	}
	conn_host_silent(c);
	return 0;
}

/* The most urgent packet that is due, or 0. */
static u16 conn_due(const struct vsock_conn *c)
{
	static const u8 order[] = { VSOCK_OP_RST,           VSOCK_OP_REQUEST,
				    VSOCK_OP_RESPONSE,      VSOCK_OP_SHUTDOWN,
				    VSOCK_OP_CREDIT_UPDATE, VSOCK_OP_CREDIT_REQUEST };

	for (u32 i = 0; i < ARRAY_SIZE(order) && c->owed; i++)
		if (c->owed & BIT(order[i]))
			return order[i];
	return 0;
}

bool vsock_conn_packet(struct vsock_conn *c, struct vsock_header *h, const struct gcur *room)
{
	u16 op = conn_due(c);
	u32 len = op ? 0 : conn_receive(c, room);

	if (len > 0)
		op = VSOCK_OP_RW;
	else if (!op && conn_credit_is_news(c))
		op = VSOCK_OP_CREDIT_UPDATE;
	else if (!op)
		op = conn_due(c);
	if (!op)
		return false;
	c->owed &= (u16)~BIT(op);
	c->told = c->forwarded;
	if (op == VSOCK_OP_SHUTDOWN)
		c->guest_told = c->host_done;
	h->src_port = le32_make(c->host_port);
	h->dst_port = le32_make(c->guest_port);
	h->op = le16_make(op);
	h->len = le32_make(len);
	h->flags = le32_make(op == VSOCK_OP_SHUTDOWN ? c->host_done : 0);
	h->buf_alloc = le32_make(VSOCK_BUFFER_BYTES);
	h->fwd_cnt = le32_make(c->forwarded);
	if (op == VSOCK_OP_RST)
		vsock_conn_free(c);
	return true;
}
