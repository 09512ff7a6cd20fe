// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk's options, and the opening of a disk image with the user's rights.
#pragma once

#include "util/err.h"
#include "util/fdset.h"
#include "util/opt.h"
#include "util/types.h"
#include "virtio_blk.h"

enum { BLK_PATH_BYTES = 4096, BLK_QUEUES_MAX = 16 };

enum blk_block_size { BLK_BLOCK_512, BLK_BLOCK_4096 };
enum blk_engine_word { BLK_ENGINE_AUTO, BLK_ENGINE_SYNC, BLK_ENGINE_URING };
enum blk_discard { BLK_DISCARD_AUTO, BLK_DISCARD_ON, BLK_DISCARD_OFF };

/* What the host's side of a disk is; found by blk_image_open. */
struct blk_image {
	u64 size_bytes;       /* whole blocks */
	u32 block_bytes;      /* the guest's logical block */
	u32 physical_bytes;   /* what the host likes to write at once, at least block_bytes */
	u32 discard_bytes;    /* what it can give back, at least block_bytes */
	u32 direct_bytes;     /* alignment of direct I/O; 0: through the host's page cache */
	bool is_block_device; /* else a regular file */
	bool in_memory;       /* nothing of it ever has to be waited for */
	bool read_only, can_discard;
};

struct blk_cfg {
	char path[BLK_PATH_BYTES];
	char id[VIRTIO_BLK_ID_BYTES + 1];
	u32 format, queues;
	u32 block_size; /* enum blk_block_size */
	u32 discard;    /* enum blk_discard */
	u32 engine;     /* enum blk_engine_word */
	bool read_only, direct;

	/* From here on blk_image_open's. */
	int fd_index;
	struct blk_image image;
};

extern const struct opt blk_opts[];

/*
 * blk_image_open - open, check and lock what a struct blk_cfg names; fill in its last part.
 * Return: 0 or -errno with words. Context: supervisor.
 */
int blk_image_open(void *cfg, struct fdset *fds, struct err *e);
