// SPDX-License-Identifier: BSD-3-Clause
// What a running device may ask of the supervisor: descriptors that its class grants, at a bounded rate.
#pragma once

#include "ctl/plan.h"
#include "jail/channel.h"

enum {
	GRANTS_PER_SECOND = 1024, /* what more is asked for within a second is refused (-EBUSY) */
};

/* One device's. Zero is a full budget. */
struct grants {
	u64 window_start_ns;
	u32 used;
};

/*
 * grants_answer - serve MESSAGE_ASK `ask`, which came through `channel_fd` at `now_ns`. What the
 * device does not take is closed. Context: supervisor.
 */
void grants_answer(struct grants *grants, const struct plan_vdev *planned, int channel_fd,
		   const struct message *ask, u64 now_ns);

/* grants_wanted - whether any device of the plan may ask: decides the supervisor's policy. */
bool grants_wanted(const struct plan *plan);
