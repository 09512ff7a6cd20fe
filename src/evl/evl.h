// SPDX-License-Identifier: BSD-3-Clause
// The event loop: descriptors, timers and signals for one thread, on epoll.
#pragma once

#include <signal.h>
#include <sys/epoll.h>

#include "util/types.h"

enum { EVL_BATCH = 16 };

struct evl_source;
typedef void evl_ready_fn(struct evl_source *source, u32 epoll_events);

/* One watched descriptor, embedded in its owner. The loop does not own or close `fd`. */
struct evl_source {
	int fd;
	u32 events; /* EPOLL*; with 0 it still hears of hang-ups and errors, which epoll always tells */
	evl_ready_fn *ready;
};

/* Owner: the thread that calls evl_run. Zero-initialised it is safe to destroy. */
struct evl {
	int epoll_fd;
	bool created, stopped;
	int nr_ready;
	struct epoll_event batch[EVL_BATCH];
};

/* evl_create - Return: 0 or -errno. Context: any. */
int evl_create(struct evl *evl);
void evl_destroy(struct evl *evl);

/* evl_add - watch `fd` for `events`; `ready` runs on the loop's thread. Return: 0 or -errno. */
int evl_add(struct evl *evl, struct evl_source *source, int fd, u32 events, evl_ready_fn *ready);

/* evl_modify - change what is watched; cheap when nothing changes. Return: 0 or -errno. */
int evl_modify(struct evl *evl, struct evl_source *source, u32 events);

/* evl_remove - stop watching; safe from any handler, and when the source was never added. */
void evl_remove(struct evl *evl, struct evl_source *source);

/* evl_run - dispatch until evl_stop. Return: 0 or -errno of epoll. */
int evl_run(struct evl *evl);

/*
 * evl_run_once - one wait of at most `timeout_ms` (-1 for no limit) and its handlers. Return: 0 or
 * -errno.
 */
int evl_run_once(struct evl *evl, int timeout_ms);

/* evl_stop - make evl_run return after the current batch. Context: the loop's thread. */
void evl_stop(struct evl *evl);

struct evl_timer;
typedef void evl_timer_fn(struct evl_timer *timer);

/* A monotonic timer, embedded in its owner. */
struct evl_timer {
	struct evl_source source;
	struct evl *evl;
	evl_timer_fn *fired;
};

/*
 * evl_timer_create - a stopped timer that calls `fired` on the loop's thread. Return: 0 or -errno.
 */
int evl_timer_create(struct evl *evl, struct evl_timer *timer, evl_timer_fn *fired);

/* evl_timer_destroy - safe when create was never called on a zeroed struct. */
void evl_timer_destroy(struct evl_timer *timer);

/*
 * evl_timer_set - fire after `delay_ns`, then every `period_ns` if that is not 0.
 * Both 0 stops the timer; a stopped timer does not fire. Context: any thread.
 */
void evl_timer_set(struct evl_timer *timer, u64 delay_ns, u64 period_ns);

/* evl_now_ns - the monotonic clock in nanoseconds. Context: any thread. */
u64 evl_now_ns(void);
