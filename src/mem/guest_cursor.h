// SPDX-License-Identifier: BSD-3-Clause
// A cursor over buffers in guest memory: bytes are taken out by copy, front to back, and bounded.
#pragma once

#include <sys/uio.h>

#include "util/types.h"

/*
 * What is left of a list of guest buffers. The memory is shared with a running guest: what
 * gcur_get copied is checked, never looked at again. Borrows `iov`.
 */
struct gcur {
	const struct iovec *iov;
	u32 nr;        /* entries that are left, the current one included */
	size_t offset; /* into the current entry */
	u64 left;      /* bytes in all of them */
};

/* gcur_init - a cursor at the front of `nr` buffers. Context of all verbs: any. */
void gcur_init(struct gcur *c, const struct iovec *iov, u32 nr);

/* gcur_left - how many bytes follow. */
static inline u64 gcur_left(const struct gcur *c)
{
	return c->left;
}

/*
 * gcur_get, gcur_put - copy the next `len` bytes out of or into guest memory.
 * Return: true; or false, with nothing copied and nothing passed, when fewer are left.
 */
bool gcur_get(struct gcur *c, void *dst, size_t len);
bool gcur_put(struct gcur *c, const void *src, size_t len);

/* gcur_skip - pass `len` bytes. Return: false, with nothing passed, when fewer are left. */
bool gcur_skip(struct gcur *c, u64 len);

/*
 * gcur_split_tail - cut the last `len` bytes off `c` and let `tail` stand at their front (a status
 * byte behind data). Return: false, with nothing changed, when fewer are left.
 */
bool gcur_split_tail(struct gcur *c, size_t len, struct gcur *tail);

/*
 * gcur_iov - the next `len` bytes as buffers for preadv and its like, passed over by it.
 * Return: how many of `iov` were filled; 0, with nothing passed, when fewer than `len` bytes are
 * left, `len` is 0, or `max` entries do not hold them.
 */
u32 gcur_iov(struct gcur *c, u64 len, struct iovec *iov, u32 max);
