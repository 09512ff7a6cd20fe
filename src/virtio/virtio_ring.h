// SPDX-License-Identifier: BSD-3-Clause
// A split virtqueue as it lies in guest memory (virtio 1.2, section 2.7).
#pragma once

#include "util/bytes.h"
#include "util/types.h"

/* Flags of a descriptor (section 2.7.5). */
enum { VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4 };

/* Flags of the rings (sections 2.7.6, 2.7.8). */
enum { VIRTQ_AVAIL_F_NO_INTERRUPT = 1, VIRTQ_USED_F_NO_NOTIFY = 1 };

enum { VIRTQ_DESC_ALIGN = 16, VIRTQ_AVAIL_ALIGN = 2, VIRTQ_USED_ALIGN = 4 };

struct virtq_desc {
	le64 addr;
	le32 len;
	le16 flags, next;
};

/* Behind the last entry comes used_event. */
struct virtq_avail {
	le16 flags, idx;
	le16 ring[];
};

struct virtq_used_elem {
	le32 id, len;
};

/* Behind the last entry comes avail_event. */
struct virtq_used {
	le16 flags, idx;
	struct virtq_used_elem ring[];
};

_Static_assert(sizeof(struct virtq_desc) == 16, "virtq_desc is a wire format");
_Static_assert(sizeof(struct virtq_avail) == 4, "virtq_avail is a wire format");
_Static_assert(sizeof(struct virtq_used) == 4, "virtq_used is a wire format");

/* virtq_*_bytes - what each part of a ring of `size` entries takes, events included (2.7). */
static inline u64 virtq_desc_bytes(u32 size)
{
	return (u64)sizeof(struct virtq_desc) * size;
}

static inline u64 virtq_avail_bytes(u32 size)
{
	return 6 + 2 * (u64)size;
}

static inline u64 virtq_used_bytes(u32 size)
{
	return 6 + 8 * (u64)size;
}

/* virtq_used_event, virtq_avail_event - the last field of a ring of `size` entries. */
static inline le16 *virtq_used_event(struct virtq_avail *avail, u32 size)
{
	return &avail->ring[size];
}

static inline le16 *virtq_avail_event(struct virtq_used *used, u32 size)
{
	return (le16 *)(void *)&used->ring[size];
}

/*
 * virtq_passed_event - whether an index that went from `before` to `now` stepped over entry
 * `event`: the other side then wants to be told (section 2.7.7.2).
 */
static inline bool virtq_passed_event(u16 event, u16 now, u16 before)
{
	return (u16)(now - event - 1) < (u16)(now - before);
}
