// SPDX-License-Identifier: BSD-3-Clause
// A byte stream between device and host: bounded in both directions, never blocking a vCPU.
#pragma once

#include <pthread.h>

#include "evl/evl.h"
#include "util/err.h"
#include "util/log.h"
#include "util/types.h"

enum {
	STREAM_OUT_BYTES = 16384,    /* output not yet taken by the host */
	STREAM_LATENCY_NS = 2000000, /* how long output may be gathered into one write */
	STREAM_NAME_BYTES = 24,
};

/*
 * What a device wants to know. All run on the loop's thread without the stream's lock, so a device
 * may hold its own lock while it calls the stream.
 * wanted - how many bytes of input the device can take now; 0 stops reading from the host.
 * input - `len` bytes (at most what wanted said) have come.
 * drained - there is room again after stream_put had refused bytes or stream_has_room said no.
 */
struct stream_ops {
	u32 (*wanted)(void *opaque);
	void (*input)(void *opaque, const u8 *bytes, u32 len);
	void (*drained)(void *opaque);
};

/* How bytes reach out_fd without waiting for whoever reads there. */
enum stream_out {
	STREAM_OUT_DIRECT,   /* regular files: a write never waits for a reader */
	STREAM_OUT_NONBLOCK, /* the description has O_NONBLOCK */
	STREAM_OUT_SOCKET,   /* send with MSG_DONTWAIT */
	STREAM_OUT_POLLED, /* poll before each small write: the description is not ours to change */
};

/* What becomes of output. */
enum stream_state {
	STREAM_SINK, /* nobody is there or will come: dropped */
	STREAM_HELD, /* the next client of the listening socket gets the last STREAM_OUT_BYTES */
	STREAM_OPEN, /* written to out_fd */
};

/*
 * Owner: the loop's thread. stream_put, stream_has_room and stream_kick_input may come from any
 * thread; `lock` guards what follows it down to the blank line.
 */
struct stream {
	pthread_mutex_t lock;
	enum stream_state state;
	bool refused, armed, urgent, blocked, paused;
	u32 head, count;
	u64 dropped_bytes; /* output that the host refused or nobody came for */

	char name[STREAM_NAME_BYTES];
	struct evl *evl;
	const struct stream_ops *ops;
	void *opaque;
	int in_fd, out_fd, listen_fd; /* owned; a client's socket is both in_fd and out_fd */
	enum stream_out out_kind;
	u32 out_chunk_bytes;
	bool in_eof, in_wanted, lost, has_timer, accept_failed;
	struct log_limit log;
	struct evl_source in_source, out_source, listen_source;
	struct evl_timer timer;
	u8 *ring; /* STREAM_OUT_BYTES; NULL for a sink */
};

/*
 * Where a stream leads; -1 for nowhere. `listen_fd` is a listening socket, whose one connection at
 * a time becomes input and output; in_fd and out_fd are -1 then.
 */
struct stream_fds {
	int in_fd, out_fd, listen_fd;
};

/*
 * stream_create - make a stream in zeroed memory; `name` appears in log lines. Return: 0 or -errno
 * with words; the descriptors are taken either way, and stream_destroy is due either way.
 * Context: vm main.
 */
int stream_create(struct stream *stream, const char *name, struct evl *evl, struct stream_fds fds,
		  const struct stream_ops *ops, void *opaque, struct err *e);

/*
 * stream_destroy - write out what is left (as far as the host takes it within 1 s), then close. A
 * zeroed stream is accepted. Context: vm main, when nobody else uses the stream.
 */
void stream_destroy(struct stream *stream);

/*
 * stream_put - queue output. Return: bytes taken, fewer than `len` when the ring is full; then
 * `drained` will be called. Context: any thread; never blocks.
 */
u32 stream_put(struct stream *stream, const void *bytes, u32 len);

/*
 * stream_has_room - whether stream_put would take `len` bytes (at most STREAM_OUT_BYTES / 2) now;
 * if not, `drained` will be called. Context: any thread.
 */
bool stream_has_room(struct stream *stream, u32 len);

/* stream_kick_input - the device can take input again: ask `wanted` soon. Context: any thread. */
void stream_kick_input(struct stream *stream);
