// SPDX-License-Identifier: BSD-3-Clause
// A ring of the host's io_uring for the image of a disk: the few calls a disk makes, and no other.
#pragma once

#include <sys/uio.h>

#include "util/err.h"
#include "util/types.h"

/*
 * Owner: the device's thread. The rings are shared with the kernel: indices run freely, and only
 * the kernel moves *sq_head and *cq_tail.
 */
struct uring {
	int ring_fd; /* owned; readable for the event loop when calls are done. -1: not created */
	u32 entries;
	u32 *sq_head, *sq_tail, *cq_head, *cq_tail;
	u32 cq_mask;
	struct io_uring_sqe *sqes;
	const struct io_uring_cqe *cqes;
	void *rings; /* owned */
	size_t rings_bytes, sqes_bytes;
};

/* A call that is done, and what it was tagged with. */
struct uring_done {
	u64 tag;
	s32 result; /* of the system call of that name, or -errno */
};

/*
 * uring_create - a ring of `entries` (a power of two) calls, which from then on takes nothing but
 * the calls below. Return: 0 or -errno with words. Context: before the filter: it needs calls that
 * no policy allows. uring_destroy - safe when create failed; no call may be under way.
 */
int uring_create(struct uring *u, u32 entries, struct err *e);
void uring_destroy(struct uring *u);

/* uring_move, uring_flush, uring_allocate - queue a call, of which there are fewer than `entries`;
 * `iov` stays until it is done. */
void uring_move(struct uring *u, u64 tag, bool is_write, int fd, const struct iovec *iov, u32 nr,
		u64 offset);
void uring_flush(struct uring *u, u64 tag, int fd);
void uring_allocate(struct uring *u, u64 tag, int fd, int mode, u64 offset, u64 len);

/* uring_queued - how many calls are queued and not begun. */
u32 uring_queued(const struct uring *u);

/* uring_take_back - take the call that was queued last out of the queue. Return: its tag. */
u64 uring_take_back(struct uring *u);

/* uring_begin - give all that is queued to the kernel. Return: 0; or -errno: the rest stays queued. */
int uring_begin(struct uring *u);

/* uring_wait - until a call is done. Return: 0 or -errno. */
int uring_wait(struct uring *u);

/* uring_next - take the next call that is done. Return: whether there was one. */
bool uring_next(struct uring *u, struct uring_done *done);
