// SPDX-License-Identifier: BSD-3-Clause
// What virtio-blk's driver and device exchange (virtio 1.2, section 5.2).
#pragma once

#include "util/bytes.h"
#include "util/types.h"

enum { VIRTIO_BLK_ID = 2, VIRTIO_BLK_SECTOR_BYTES = 512, VIRTIO_BLK_ID_BYTES = 20 };

/* Feature bits (section 5.2.3). */
enum {
	VIRTIO_BLK_F_SEG_MAX = 2,
	VIRTIO_BLK_F_RO = 5,
	VIRTIO_BLK_F_BLK_SIZE = 6,
	VIRTIO_BLK_F_FLUSH = 9,
	VIRTIO_BLK_F_TOPOLOGY = 10,
	VIRTIO_BLK_F_CONFIG_WCE = 11,
	VIRTIO_BLK_F_MQ = 12,
	VIRTIO_BLK_F_DISCARD = 13,
	VIRTIO_BLK_F_WRITE_ZEROES = 14,
};

/* Configuration space (section 5.2.4), as far as Kiln's features reach. */
struct virtio_blk_config {
	le64 capacity; /* in sectors, as all that is called so below */
	le32 size_max, seg_max;
	le16 cylinders;
	u8 heads, sectors;
	le32 blk_size;
	u8 physical_block_exp, alignment_offset;
	le16 min_io_size;
	le32 opt_io_size;
	u8 writeback, unused0;
	le16 num_queues;
	le32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
	le32 max_write_zeroes_sectors, max_write_zeroes_seg;
	u8 write_zeroes_may_unmap, unused1[3];
};

/* Requests (section 5.2.6): this header, data, and a status byte at the end. */
enum {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

struct virtio_blk_header {
	le32 type, reserved;
	le64 sector;
};

/* The data of DISCARD and WRITE_ZEROES is a list of these. */
struct virtio_blk_segment {
	le64 sector;
	le32 num_sectors, flags;
};

enum { VIRTIO_BLK_SEGMENT_UNMAP = 1 };

enum { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };

_Static_assert(sizeof(struct virtio_blk_config) == 60, "virtio_blk_config is a wire format");
_Static_assert(offsetof(struct virtio_blk_config, writeback) == 32, "it has no holes");
_Static_assert(sizeof(struct virtio_blk_header) == 16, "virtio_blk_header is a wire format");
_Static_assert(sizeof(struct virtio_blk_segment) == 16, "virtio_blk_segment is a wire format");
