// SPDX-License-Identifier: BSD-3-Clause
// What a control request may ask of a virtio-balloon.
#pragma once

#include "virtio/vdev.h"

/* Statistics of the guest's memory, in bytes or events since its boot (virtio 1.2, 5.5.6.4). */
enum balloon_stat {
	BALLOON_STAT_SWAP_IN,
	BALLOON_STAT_SWAP_OUT,
	BALLOON_STAT_MAJOR_FAULTS,
	BALLOON_STAT_MINOR_FAULTS,
	BALLOON_STAT_FREE,
	BALLOON_STAT_TOTAL,
	BALLOON_STAT_AVAILABLE,
	BALLOON_STAT_CACHES,
	BALLOON_STAT_HUGE_ALLOCATIONS,
	BALLOON_STAT_HUGE_FAILURES,
	NR_BALLOON_STATS,
};

struct balloon_stats {
	u32 nr_reports; /* so far: a higher one is the answer */
	u32 known;      /* a bit for each value that the last report had */
	u64 values[NR_BALLOON_STATS];
};

/*
 * balloon_set_target - ask the guest for `bytes` of its memory in all, rounded down to pages. The
 * guest takes its time and may refuse. Context of all verbs: worker, the loop's thread.
 */
void balloon_set_target(struct vdev *v, u64 bytes);

/* balloon_actual_bytes - how much the guest says it has given. */
u64 balloon_actual_bytes(const struct vdev *v);

/*
 * balloon_ask_stats - have the guest report; the answer comes whenever it likes, or never.
 * balloon_stats - its last report.
 */
void balloon_ask_stats(struct vdev *v);
const struct balloon_stats *balloon_stats(const struct vdev *v);
