// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk's plainest engine: one system call after the other, on the device's own thread.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "util/checked.h"
#include "util/fd.h"

#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_ZERO_RANGE 0x10 /* linux/falloc.h, which clashes with musl's fcntl.h */
#endif

/* Bytes that are moved at once by way of our own memory. */
#define BUFFER_BYTES KIB(256)

/* --- Reading and writing ---------------------------------------------------------------------- */

/* One system call. Return: bytes moved, at least one; 0 to try again; or -errno. */
static ssize_t move_some(struct blk_engine *en, bool is_write, const struct iovec *iov, u32 nr,
			 u64 offset)
{
	ssize_t n = is_write ? pwritev(en->fd, iov, (int)nr, (off_t)offset)
			     : preadv(en->fd, iov, (int)nr, (off_t)offset);

	if (n > 0)
		return n;
	if (n == 0)
		return -ENODATA; /* somebody cut the image short */
	return errno == EINTR ? 0 : -errno;
}

/* Straight between image and guest. The host may stop half way: then it is asked for the rest. */
static int move_straight(struct blk_engine *en, bool is_write, struct gcur *data, u64 offset)
{
	while (gcur_left(data) > 0) {
		struct gcur ahead = *data;
		u32 nr = gcur_iov(&ahead, gcur_left(data), en->iov, ARRAY_SIZE(en->iov));
		ssize_t n = move_some(en, is_write, en->iov, nr, offset);

		if (n < 0)
			return (int)n;
		gcur_skip(data, (u64)n);
		offset += (u64)n;
	}
	return 0;
}

/* `len` bytes between image and en->buffer. */
static int move_buffer(struct blk_engine *en, bool is_write, u64 len, u64 offset)
{
	struct iovec iov = { .iov_base = en->buffer, .iov_len = len };

	while (iov.iov_len > 0) {
		ssize_t n = move_some(en, is_write, &iov, 1, offset);

		if (n < 0)
			return (int)n;
		iov.iov_base = (u8 *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		offset += (u64)n;
	}
	return 0;
}

/* By way of en->buffer, which is aligned where the guest's buffers are not. */
static int move_aligned(struct blk_engine *en, bool is_write, struct gcur *data, u64 offset)
{
	while (gcur_left(data) > 0) {
		u64 len = MIN(gcur_left(data), BUFFER_BYTES);
		int status;

		if (is_write)
			gcur_get(data, en->buffer, len);
		status = move_buffer(en, is_write, len, offset);
		if (status < 0)
			return status;
		if (!is_write)
			gcur_put(data, en->buffer, len);
		offset += len;
	}
	return 0;
}

/* Whether direct I/O takes the guest's buffers as they are. */
static bool is_aligned(struct blk_engine *en, const struct gcur *data)
{
	struct gcur ahead = *data;
	u32 nr = gcur_iov(&ahead, gcur_left(data), en->iov, ARRAY_SIZE(en->iov));
	uintptr_t bits = 0;

	for (u32 i = 0; i < nr; i++)
		bits |= (uintptr_t)en->iov[i].iov_base | en->iov[i].iov_len;
	return bits % en->image.direct_bytes == 0;
}

static int move_data(struct blk_engine *en, struct blk_request *r)
{
	bool is_write = r->op == BLK_WRITE;

	if (en->image.direct_bytes > 0 && !is_aligned(en, &r->data))
		return move_aligned(en, is_write, &r->data, r->ranges[0].offset);
	return move_straight(en, is_write, &r->data, r->ranges[0].offset);
}

/* --- Flushing, zeroing, giving back ------------------------------------------------------------ */

static int flush(struct blk_engine *en)
{
	int status;

	do {
		status = fdatasync(en->fd) < 0 ? -errno : 0;
	} while (status == -EINTR);
	return status;
}

static int allocate(struct blk_engine *en, int mode, const struct blk_range *range)
{
	int status;

	do {
		status = fallocate(en->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)range->offset,
				   (off_t)range->len) < 0
				 ? -errno
				 : 0;
	} while (status == -EINTR);
	return status;
}

/* fallocate, unless `*refused` says that the host cannot. EINVAL: not in pieces so small. */
static int try_allocate(struct blk_engine *en, bool *refused, int mode,
			const struct blk_range *range)
{
	int status = *refused ? -EOPNOTSUPP : allocate(en, mode, range);

	if (status == -EOPNOTSUPP)
		*refused = true;
	return status == -EINVAL ? -EOPNOTSUPP : status;
}

static int write_zeroes(struct blk_engine *en, const struct blk_range *range)
{
	memset(en->buffer, 0, (size_t)MIN(range->len, BUFFER_BYTES));
	for (u64 done = 0; done < range->len; done += BUFFER_BYTES) {
		u64 len = MIN(range->len - done, BUFFER_BYTES);
		int status = move_buffer(en, true, len, range->offset + done);

		if (status < 0)
			return status;
	}
	return 0;
}

/* A hole reads as zeroes too, but its storage is given back, which the guest must have allowed. */
static int zero(struct blk_engine *en, const struct blk_range *range)
{
	int status = -EOPNOTSUPP;

	if (range->len == 0)
		return 0;
	if (range->unmap && en->image.can_discard)
		status = try_allocate(en, &en->no_punch_hole, FALLOC_FL_PUNCH_HOLE, range);
	if (status == -EOPNOTSUPP)
		status = try_allocate(en, &en->no_zero_range, FALLOC_FL_ZERO_RANGE, range);
	return status == -EOPNOTSUPP ? write_zeroes(en, range) : status;
}

/* A hint: what is no whole unit of the host's stays. */
static int discard(struct blk_engine *en, const struct blk_range *range)
{
	u32 unit = en->image.discard_bytes;
	u64 start = ALIGN_UP(range->offset, unit);
	u64 end = ALIGN_DOWN(range->offset + range->len, unit);
	const struct blk_range whole = { .offset = start, .len = end - start };
	u64 span[2] = { whole.offset, whole.len };

	if (start >= end)
		return 0;
	if (!en->image.is_block_device)
		return allocate(en, FALLOC_FL_PUNCH_HOLE, &whole);
	return ioctl(en->fd, BLKDISCARD, span) < 0 ? -errno : 0;
}

static int each_range(struct blk_engine *en, struct blk_request *r,
		      int (*act)(struct blk_engine *en, const struct blk_range *range))
{
	int status = 0;

	for (u32 i = 0; i < r->nr_ranges && status == 0; i++)
		status = act(en, &r->ranges[i]);
	return status;
}

/* --- The engine -------------------------------------------------------------------------------- */

static int perform(struct blk_engine *en, struct blk_request *r)
{
	switch (r->op) {
	case BLK_READ:
	case BLK_WRITE:
		return move_data(en, r);
	case BLK_FLUSH:
		return flush(en);
	case BLK_DISCARD:
		return each_range(en, r, discard);
	case BLK_ZEROES:
		return each_range(en, r, zero);
	}
	return -EINVAL;
}

static void sync_submit(struct blk_engine *en, struct blk_request *r)
{
	int status = perform(en, r);

	if (status == 0 && r->stable)
		status = flush(en);
	blk_complete(r, status);
}

static int sync_create(struct blk_engine *en, struct vdev *v, struct err *e)
{
	void *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	(void)v;
	if (buffer == MAP_FAILED)
		return err_errno(e, -errno, "a buffer of %llu bytes",
				 (unsigned long long)BUFFER_BYTES);
	en->buffer = buffer;
	return 0;
}

static void sync_destroy(struct blk_engine *en)
{
	if (en->buffer)
		munmap(en->buffer, BUFFER_BYTES);
	en->buffer = NULL;
}

const struct blk_engine_ops blk_engine_sync = {
	.depth = 1,
	.create = sync_create,
	.destroy = sync_destroy,
	.submit = sync_submit,
};
