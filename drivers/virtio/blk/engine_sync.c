// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk's plainest engine: one system call after the other, on the device's own thread.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine.h"
#include "util/checked.h"

s64 blk_step_now(struct blk_engine *en, struct blk_request *r)
{
	const struct blk_step *s = &r->step;
	u64 span[2] = { s->offset, s->len };
	s64 n = 0;

	switch (s->call) {
	case BLK_CALL_READ:
		n = preadv(en->fd, r->call_iov, (int)s->nr_iov, (off_t)s->offset);
		break;
	case BLK_CALL_WRITE:
		n = pwritev(en->fd, r->call_iov, (int)s->nr_iov, (off_t)s->offset);
		break;
	case BLK_CALL_FLUSH:
		n = fdatasync(en->fd);
		break;
	case BLK_CALL_ALLOCATE:
		n = fallocate(en->fd, s->mode, (off_t)s->offset, (off_t)s->len);
		break;
	case BLK_CALL_DISCARD:
		n = ioctl(en->fd, BLKDISCARD, span);
		break;
	}
	return n < 0 ? -errno : n;
}

void blk_carry_out(struct blk_engine *en, struct blk_request *r)
{
	while (blk_step_next(en, r))
		blk_step_done(en, r, blk_step_now(en, r));
	blk_complete(r, r->result);
}

const struct blk_engine_ops blk_engine_sync = {
	.depth = 1,
	.submit = blk_carry_out,
};
