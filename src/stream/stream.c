// SPDX-License-Identifier: BSD-3-Clause
// A byte stream between a device and a host descriptor.
//
// Output waits in a ring. stream_put only copies and arms a timer; all reads and writes of the
// host's descriptors happen on the loop's thread, so a host that does not read costs the guest its
// console and nothing else.
//
// A standard output is shared with the user's shell: O_NONBLOCK set on it would stay behind and
// break the programs after us. So the description is left as it came, and out_kind says how a write
// is kept from waiting. STREAM_OUT_POLLED is the last resort (see serial_cfg_open, which prefers a
// description of our own): poll says that there is room, and the write is small enough for any room
// there can be. Only another writer that fills the same pipe between the two calls makes it wait.
//
// epoll reports hang-ups even for descriptors watched for nothing, so what is not wanted is not
// registered at all. The exception is a client's socket: its hang-up is news.
#include "stream/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

enum {
	INPUT_BYTES = 256,                    /* taken by one read */
	URGENT_BYTES = STREAM_OUT_BYTES / 4,  /* enough for a write: do not wait for more */
	DRAINED_BYTES = STREAM_OUT_BYTES / 2, /* room that a refused device is told of */
	/*
	 * A terminal that polls writable has room for one character, perhaps two after output
	 * processing, and may have none for the next one of the same write.
	 */
	TTY_CHUNK_BYTES = 1,
};

#define SOON_NS 1
#define RETRY_NS 100000000ull /* a host that is out of descriptors or memory */
#define DESTROY_NS 1000000000ull

static bool source_is_added(const struct evl_source *source)
{
	return source->ready && source->fd >= 0;
}

static bool stream_has_client(const struct stream *s)
{
	return s->listen_fd >= 0 && s->in_fd >= 0;
}

/* A client hung up but its last input is not read yet. */
static bool stream_client_is_gone(const struct stream *s)
{
	return stream_has_client(s) && s->out_fd < 0;
}

/* --- Output: ring to host -------------------------------------------------------------------- */

/* Call with the lock held. */
static void stream_arm(struct stream *s, u64 delay_ns)
{
	if (s->blocked || !s->has_timer)
		return;
	s->armed = true;
	s->urgent = delay_ns == SOON_NS;
	evl_timer_set(&s->timer, delay_ns, 0);
}

/* Call with the lock held; `len` fits. */
static void ring_copy_in(struct stream *s, const u8 *bytes, u32 len)
{
	u32 tail = (s->head + s->count) % STREAM_OUT_BYTES;
	u32 first = MIN(len, STREAM_OUT_BYTES - tail);

	memcpy(s->ring + tail, bytes, first);
	memcpy(s->ring, bytes + first, len - first);
	s->count += len;
}

/* Call with the lock held. */
static void ring_drop(struct stream *s, u32 len)
{
	s->head = (s->head + len) % STREAM_OUT_BYTES;
	s->count -= len;
}

/* Nobody reads yet: the newest bytes are kept. Call with the lock held. */
static void stream_hold(struct stream *s, const u8 *bytes, u32 len)
{
	u32 keep = MIN(len, (u32)STREAM_OUT_BYTES);
	u32 room = STREAM_OUT_BYTES - s->count;

	s->dropped_bytes += len - keep;
	if (keep > room) {
		s->dropped_bytes += keep - room;
		ring_drop(s, keep - room);
	}
	ring_copy_in(s, bytes + (len - keep), keep);
}

/* Call with the lock held. */
static u32 stream_queue(struct stream *s, const u8 *bytes, u32 len)
{
	u32 taken = MIN(len, STREAM_OUT_BYTES - s->count);

	ring_copy_in(s, bytes, taken);
	if (taken < len)
		s->refused = true;
	if (!s->armed && s->count > 0)
		stream_arm(s, STREAM_LATENCY_NS);
	if (!s->urgent && s->count >= URGENT_BYTES)
		stream_arm(s, SOON_NS);
	return taken;
}

u32 stream_put(struct stream *s, const void *bytes, u32 len)
{
	u32 taken = len;

	pthread_mutex_lock(&s->lock);
	switch (s->state) {
	case STREAM_SINK:
		break;
	case STREAM_HELD:
		stream_hold(s, bytes, len);
		break;
	case STREAM_OPEN:
		taken = stream_queue(s, bytes, len);
		break;
	}
	pthread_mutex_unlock(&s->lock);
	return taken;
}

bool stream_has_room(struct stream *s, u32 len)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	room = s->state != STREAM_OPEN || len <= STREAM_OUT_BYTES - s->count;
	if (!room)
		s->refused = true;
	pthread_mutex_unlock(&s->lock);
	return room;
}

static ssize_t write_polled(const struct stream *s, const u8 *bytes, u32 len)
{
	struct pollfd ready = { .fd = s->out_fd, .events = POLLOUT };

	if (poll(&ready, 1, 0) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!ready.revents)
		return -EAGAIN;
	return fd_write(s->out_fd, bytes, MIN(len, s->out_chunk_bytes));
}

/* One write of at most `len` bytes, without waiting. Return: bytes, -EAGAIN, or other -errno. */
static ssize_t stream_write_some(const struct stream *s, const u8 *bytes, u32 len)
{
	ssize_t put;

	switch (s->out_kind) {
	case STREAM_OUT_DIRECT:
	case STREAM_OUT_NONBLOCK:
		return fd_write(s->out_fd, bytes, len);
	case STREAM_OUT_POLLED:
		return write_polled(s, bytes, len);
	case STREAM_OUT_SOCKET:
		do {
			put = send(s->out_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (put < 0 && errno == EINTR);
		return put < 0 ? -errno : put;
	}
	return -EINVAL;
}

/*
 * The bytes at the ring's head that lie in one piece. They stay where they are until the loop's
 * thread drops them: others only add behind them while the stream is open.
 */
static u32 stream_peek(struct stream *s, const u8 **bytes)
{
	u32 len;

	pthread_mutex_lock(&s->lock);
	*bytes = s->ring + s->head;
	len = MIN(s->count, STREAM_OUT_BYTES - s->head);
	pthread_mutex_unlock(&s->lock);
	return len;
}

static void stream_consume(struct stream *s, u32 len)
{
	pthread_mutex_lock(&s->lock);
	ring_drop(s, len);
	pthread_mutex_unlock(&s->lock);
}

/* A client that is gone for output: what it did not take waits for the next one. */
static void stream_lose_client(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->state = STREAM_HELD;
	s->blocked = false;
	pthread_mutex_unlock(&s->lock);
	s->out_fd = -1;
}

/* The host refuses output: a pipe without readers, a full disk, a terminal that hung up. */
static void stream_lose_output(struct stream *s, int error)
{
	if (s->listen_fd >= 0) {
		stream_lose_client(s);
		return;
	}
	if (!s->lost)
		log_guest(&s->log, "%s: output is dropped: %s", s->name, strerror(-error));
	s->lost = true;
	pthread_mutex_lock(&s->lock);
	s->dropped_bytes += s->count;
	ring_drop(s, s->count);
	pthread_mutex_unlock(&s->lock);
}

/* After writing: arm for the rest, and tell the device if it waits for room. */
static void stream_settle(struct stream *s, bool blocked)
{
	bool drained;

	pthread_mutex_lock(&s->lock);
	s->blocked = blocked;
	if (s->state == STREAM_OPEN && s->count > 0)
		stream_arm(s, SOON_NS);
	drained = s->refused &&
		  (s->state != STREAM_OPEN || STREAM_OUT_BYTES - s->count >= DRAINED_BYTES);
	if (drained)
		s->refused = false;
	pthread_mutex_unlock(&s->lock);
	if (drained)
		s->ops->drained(s->opaque);
}

/* Write at most one ring's worth, so that one busy device does not starve the others. */
static void stream_flush(struct stream *s)
{
	u32 budget = STREAM_OUT_BYTES, len;
	const u8 *bytes;
	ssize_t put = 0;

	while (budget > 0 && s->out_fd >= 0 && (len = stream_peek(s, &bytes)) > 0) {
		put = stream_write_some(s, bytes, MIN(len, budget));
		if (put == 0)
			put = -EAGAIN; /* an odd device: later, not at once and for ever */
		if (put < 0)
			break;
		s->lost = false;
		stream_consume(s, (u32)put);
		budget -= (u32)put;
	}
	if (put < 0 && put != -EAGAIN)
		stream_lose_output(s, (int)put);
	stream_settle(s, put == -EAGAIN);
}

/* --- Input: host to device ------------------------------------------------------------------- */

/*
 * Ask the device how much it takes. A device that becomes ready right after it said 0 calls
 * stream_kick_input: either that sees `paused`, or the second question sees the device ready.
 */
static u32 stream_input_room(struct stream *s)
{
	u32 room;

	if (s->in_fd < 0 || s->in_eof)
		return 0;
	room = s->ops->wanted(s->opaque);
	if (room > 0)
		return room;
	pthread_mutex_lock(&s->lock);
	s->paused = true;
	pthread_mutex_unlock(&s->lock);
	room = s->ops->wanted(s->opaque);
	if (room > 0) {
		pthread_mutex_lock(&s->lock);
		s->paused = false;
		pthread_mutex_unlock(&s->lock);
	}
	return room;
}

void stream_kick_input(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->paused) {
		s->paused = false;
		evl_timer_set(&s->timer, SOON_NS, 0);
	}
	pthread_mutex_unlock(&s->lock);
}

static void stream_close_client(struct stream *s)
{
	evl_remove(s->evl, &s->in_source);
	if (s->out_fd >= 0)
		stream_lose_client(s);
	fd_close(&s->in_fd);
	s->in_eof = false;
}

static void stream_read(struct stream *s)
{
	u8 bytes[INPUT_BYTES];
	u32 room = stream_input_room(s);
	ssize_t got;

	if (room == 0)
		return;
	got = fd_read(s->in_fd, bytes, MIN(room, (u32)sizeof(bytes)));
	if (got > 0)
		s->ops->input(s->opaque, bytes, (u32)got);
	else if (got != -EAGAIN)
		s->in_eof = true;
}

/* --- The loop -------------------------------------------------------------------------------- */

static evl_ready_fn in_ready, out_ready, listen_ready;

/* Watch `fd` for `events`; for none, not at all unless `keep` asks for hang-ups. */
static int stream_watch_fd(struct stream *s, struct evl_source *source, int fd, u32 events,
			   bool keep, evl_ready_fn *ready)
{
	if (fd < 0 || (events == 0 && !keep)) {
		evl_remove(s->evl, source);
		return 0;
	}
	if (source_is_added(source))
		return evl_modify(s->evl, source, events);
	return evl_add(s->evl, source, fd, events, ready);
}

/* Bring what is watched in line with what is wanted. */
static int stream_watch(struct stream *s)
{
	bool gone = stream_client_is_gone(s);
	bool free = s->listen_fd >= 0 && (s->in_fd < 0 || gone) && !s->accept_failed;
	u32 in_events, out_events;
	int status;

	s->in_wanted = stream_input_room(s) > 0;
	in_events = s->in_wanted ? EPOLLIN : 0;
	out_events = s->blocked ? EPOLLOUT : 0; /* only this thread writes `blocked` */
	status = stream_watch_fd(s, &s->listen_source, s->listen_fd, free ? EPOLLIN : 0, false,
				 listen_ready);
	if (status < 0)
		return status;
	if (stream_has_client(s)) /* one socket, one source: epoll knows a descriptor once */
		return stream_watch_fd(s, &s->in_source, s->in_fd, in_events | out_events, !gone,
				       in_ready);
	status = stream_watch_fd(s, &s->in_source, s->in_fd, in_events, false, in_ready);
	if (status < 0)
		return status;
	return stream_watch_fd(s, &s->out_source, s->out_fd, out_events, false, out_ready);
}

/* A client that hung up is closed when its last input is read. */
static void stream_update(struct stream *s)
{
	if (stream_client_is_gone(s) && s->in_eof)
		stream_close_client(s);
	/*
	 * Nothing to be done about a refusal here (the host is out of memory): try again. One that
	 * can never succeed is found by stream_create.
	 */
	if (stream_watch(s) < 0)
		evl_timer_set(&s->timer, RETRY_NS, 0);
}

static void in_ready(struct evl_source *source, u32 epoll_events)
{
	struct stream *s = container_of(source, struct stream, in_source);

	if (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		stream_read(s);
	if (stream_has_client(s) && s->out_fd >= 0 && (epoll_events & (EPOLLHUP | EPOLLERR)))
		stream_lose_output(s, -EPIPE);
	stream_flush(s);
	stream_update(s);
}

static void out_ready(struct evl_source *source, u32 epoll_events)
{
	struct stream *s = container_of(source, struct stream, out_source);

	(void)epoll_events; /* an error shows in the write */
	stream_flush(s);
	stream_update(s);
}

static void timer_fired(struct evl_timer *timer)
{
	struct stream *s = container_of(timer, struct stream, timer);

	pthread_mutex_lock(&s->lock);
	s->armed = false;
	s->urgent = false;
	pthread_mutex_unlock(&s->lock);
	s->accept_failed = false;
	stream_flush(s);
	stream_update(s);
}

static void listen_ready(struct evl_source *source, u32 epoll_events)
{
	struct stream *s = container_of(source, struct stream, listen_source);
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)epoll_events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_guest(&s->log, "%s: cannot accept a client: %s", s->name,
				  strerror(errno));
			s->accept_failed = true; /* the connection still waits: do not spin on it */
			evl_timer_set(&s->timer, RETRY_NS, 0);
		}
	} else {
		stream_close_client(s); /* one that is gone: its unread input goes with it */
		s->in_fd = fd;
		s->out_fd = fd;
		pthread_mutex_lock(&s->lock);
		s->state = STREAM_OPEN;
		pthread_mutex_unlock(&s->lock);
		stream_flush(s);
	}
	stream_update(s);
}

/* --- Life ------------------------------------------------------------------------------------ */

static int stream_classify_output(struct stream *s)
{
	struct stat st;
	int flags;

	if (s->listen_fd >= 0) {
		s->out_kind = STREAM_OUT_SOCKET;
		return 0;
	}
	if (s->out_fd < 0)
		return 0;
	flags = fcntl(s->out_fd, F_GETFL);
	if (flags < 0 || fstat(s->out_fd, &st) < 0)
		return -errno;
	s->out_chunk_bytes = S_ISFIFO(st.st_mode) ? PIPE_BUF : TTY_CHUNK_BYTES;
	if (S_ISREG(st.st_mode))
		s->out_kind = STREAM_OUT_DIRECT;
	else if (S_ISSOCK(st.st_mode))
		s->out_kind = STREAM_OUT_SOCKET;
	else
		s->out_kind = flags & O_NONBLOCK ? STREAM_OUT_NONBLOCK : STREAM_OUT_POLLED;
	return 0;
}

static enum stream_state stream_first_state(const struct stream *s)
{
	if (s->listen_fd >= 0)
		return STREAM_HELD;
	return s->out_fd >= 0 ? STREAM_OPEN : STREAM_SINK;
}

int stream_create(struct stream *s, const char *name, struct evl *evl, struct stream_fds fds,
		  const struct stream_ops *ops, void *opaque, struct err *e)
{
	int status;

	s->evl = evl;
	s->ops = ops;
	s->opaque = opaque;
	s->in_fd = fds.in_fd;
	s->out_fd = fds.out_fd;
	s->listen_fd = fds.listen_fd;
	pthread_mutex_init(&s->lock, NULL);
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->state = stream_first_state(s);
	if (s->state == STREAM_SINK && s->in_fd < 0)
		return 0; /* most ports: no timer, no memory */
	if (s->state != STREAM_SINK) {
		s->ring = malloc(STREAM_OUT_BYTES);
		if (!s->ring)
			return err_set(e, -ENOMEM, "no memory for %d bytes of output",
				       STREAM_OUT_BYTES);
	}
	status = stream_classify_output(s);
	if (status < 0)
		return err_errno(e, status, "output");
	status = evl_timer_create(evl, &s->timer, timer_fired);
	if (status < 0)
		return err_errno(e, status, "timer");
	s->has_timer = true;
	status = stream_watch(s);
	return status < 0 ? err_errno(e, status, "watch the input") : 0;
}

/* The last words of a guest are the ones wanted most. */
static void stream_write_rest(struct stream *s)
{
	u64 deadline_ns = evl_now_ns() + DESTROY_NS, now_ns;
	struct pollfd ready = { .fd = s->out_fd, .events = POLLOUT };
	const u8 *bytes;
	u32 len;

	while (s->out_fd >= 0 && (len = stream_peek(s, &bytes)) > 0) {
		ssize_t put = stream_write_some(s, bytes, len);

		if (put >= 0) {
			stream_consume(s, (u32)put);
			continue;
		}
		now_ns = evl_now_ns();
		if (put != -EAGAIN || now_ns >= deadline_ns)
			break;
		poll(&ready, 1, (int)((deadline_ns - now_ns) / 1000000 + 1));
	}
}

void stream_destroy(struct stream *s)
{
	if (!s->evl)
		return;
	stream_write_rest(s);
	evl_remove(s->evl, &s->in_source);
	evl_remove(s->evl, &s->out_source);
	evl_remove(s->evl, &s->listen_source);
	evl_timer_destroy(&s->timer);
	if (stream_has_client(s))
		s->out_fd = -1; /* the same descriptor as in_fd */
	fd_close(&s->in_fd);
	fd_close(&s->out_fd);
	fd_close(&s->listen_fd);
	free(s->ring);
	pthread_mutex_destroy(&s->lock);
	s->evl = NULL;
}
