// SPDX-License-Identifier: BSD-3-Clause
// A cursor over buffers in guest memory.
#include "mem/guest_cursor.h"

#include "mem/shared.h"

/* Where the next byte is, and how many of at most `len` bytes follow it there. */
static u8 *gcur_here(const struct gcur *c)
{
	return (u8 *)c->iov->iov_base + c->offset;
}

static size_t gcur_run(const struct gcur *c, u64 len)
{
	return (size_t)MIN(len, c->iov->iov_len - c->offset);
}

/* Pass `len` bytes of the current entry, then whatever entry has none left. */
static void gcur_pass(struct gcur *c, size_t len)
{
	c->offset += len;
	c->left -= len;
	while (c->nr > 0 && c->offset == c->iov->iov_len) {
		c->iov++;
		c->nr--;
		c->offset = 0;
	}
}

void gcur_init(struct gcur *c, const struct iovec *iov, u32 nr)
{
	*c = (struct gcur){ .iov = iov, .nr = nr };
	for (u32 i = 0; i < nr; i++)
		c->left += iov[i].iov_len;
	gcur_pass(c, 0);
}

bool gcur_get(struct gcur *c, void *dst, size_t len)
{
	u8 *to = dst;

	if (len > c->left)
		return false;
	while (len > 0) {
		size_t run = gcur_run(c, len);

		shared_read(to, gcur_here(c), run);
		gcur_pass(c, run);
		to += run;
		len -= run;
	}
	return true;
}

bool gcur_put(struct gcur *c, const void *src, size_t len)
{
	const u8 *from = src;

	if (len > c->left)
		return false;
	while (len > 0) {
		size_t run = gcur_run(c, len);

		memcpy(gcur_here(c), from, run);
		gcur_pass(c, run);
		from += run;
		len -= run;
	}
	return true;
}

bool gcur_skip(struct gcur *c, u64 len)
{
	if (len > c->left)
		return false;
	while (len > 0) {
		size_t run = gcur_run(c, len);

		gcur_pass(c, run);
		len -= run;
	}
	return true;
}

bool gcur_split_tail(struct gcur *c, size_t len, struct gcur *tail)
{
	struct gcur cut = *c;

	if (len > c->left)
		return false;
	gcur_skip(&cut, c->left - len);
	c->left -= len;
	/* The entry that is cut through belongs to both: c->left ends this one's part of it. */
	c->nr -= cut.offset > 0 && c->left > 0 ? cut.nr - 1 : cut.nr;
	*tail = cut;
	return true;
}

u32 gcur_iov(struct gcur *c, u64 len, struct iovec *iov, u32 max)
{
	struct gcur walk = *c;
	u32 nr = 0;

	if (len > c->left)
		return 0;
	while (len > 0) {
		size_t run = gcur_run(&walk, len);

		if (nr == max)
			return 0;
		iov[nr++] = (struct iovec){ .iov_base = gcur_here(&walk), .iov_len = run };
		gcur_pass(&walk, run);
		len -= run;
	}
	*c = walk;
	return nr;
}
