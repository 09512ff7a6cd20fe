// SPDX-License-Identifier: BSD-3-Clause
// A process that the supervisor started, a virtio device's or the vm process: its start, its
// channel, and words for its end.
#pragma once

#include "ctl/grants.h"
#include "evl/evl.h"
#include "jail/channel.h"
#include "jail/spawn.h"
#include "util/err.h"
#include "util/fdset.h"
#include "util/log.h"

enum { MEMBER_END_MS = 2000 }; /* how long devices may take to end once their work is done */

/* Owner: the supervisor. */
struct member {
	void *owner;                     /* the supervisor's own */
	const char *device;              /* "virtio-rng.0", NULL for the vm process */
	const struct plan_vdev *planned; /* a device's; NULL for the vm process */
	struct grants grants;
	struct spawn_child child;
	int channel_fd;
	struct evl_source channel_source, child_source;
	char reason[sizeof(((struct message *)0)->text)]; /* a device's: why it failed, "" if not */
};

/* member_init - a process that is still to be started, of `owner`. */
void member_init(struct member *member, void *owner, const char *device);

/*
 * member_spawn - start a process with its own descriptor `own_fd` (borrowed) and those of `fds`,
 * which is closed here: the process has them now, and nobody else should hold a pipe's or a socket's
 * other end open. Return: 0 or -errno with words.
 */
int member_spawn(struct member *member, const char *role, bool jailed, int own_fd,
		 struct fdset *fds, struct err *e);

/* member_send_setup - the channel's first message. Return: 0 or -errno with words; a process that
 * ended already is met again at its pidfd, with what it said. */
int member_send_setup(struct member *member, const void *setup, size_t len, struct err *e);

/* member_watch - call these when the process speaks and when it has ended. Return: 0 or -errno with
 * words. member_unwatch - no more of both. */
int member_watch(struct member *member, struct evl *evl, evl_ready_fn *speaks, evl_ready_fn *ended,
		 struct err *e);
void member_unwatch(struct member *member, struct evl *evl);

/* member_kill - end it at once; a process that already ends keeps the status it ends with. */
void member_kill(const struct member *member);

/* member_drain - the process is gone; what it said last may still lie in the channel. */
void member_drain(struct member *member);

/* member_reap - wait for the process and, if it did not end in order and nobody gave a reason yet,
 * put into words how it ended: a device's. */
void member_reap(struct member *member);

/*
 * member_end - a device hears from its socket or its channel that its work is done. One that does
 * not end by itself until deadline_ns, stuck in a disk of the host's, say, is ended; then it is
 * drained and reaped. Return: whether it ended by itself.
 */
bool member_end(struct member *member, u64 deadline_ns);

/* member_tell_terminal_size - a device whose line leads to this terminal hears of its size. */
void member_tell_terminal_size(const struct member *member);

/* member_destroy - close; does not end the process. */
void member_destroy(struct member *member);

/* member_denied, member_ended - the reason that the message gives, of `size` bytes, into `text`. */
void member_denied(const struct member *member, const struct message *message, char *text,
		   size_t size);
void member_ended(const struct member *member, const struct message *message, char *text,
		  size_t size);

/*
 * member_log - print a line of its. The process limits what its guest can cause; this limits a
 * process that was taken over.
 */
void member_log(struct log_limit *limit, const struct message *message);
