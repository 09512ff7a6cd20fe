// SPDX-License-Identifier: BSD-3-Clause
// What a running device may ask of the supervisor.
//
// The device may have been taken over: all it chooses is the number `what`, which its class turns
// into something its configuration covers. It has no more descriptors of ours than its own limit
// allows, and those on their way are bounded by the channel's buffer.
#include "ctl/grants.h"

#include <errno.h>

#include "util/fd.h"

#define SECOND_NS 1000000000ull

static bool grants_allow(struct grants *grants, u64 now_ns)
{
	if (now_ns - grants->window_start_ns >= SECOND_NS)
		*grants = (struct grants){ .window_start_ns = now_ns };
	if (grants->used >= GRANTS_PER_SECOND)
		return false;
	grants->used++;
	return true;
}

void grants_answer(struct grants *grants, const struct plan_vdev *planned, int channel_fd,
		   const struct message *ask, u64 now_ns)
{
	cleanup_fd int fd = -1;
	int code = -EPERM;

	if (!grants_allow(grants, now_ns))
		code = -EBUSY;
	else if (planned && planned->cls->grant)
		code = fd = planned->cls->grant(planned->setup.cfg, (u32)ask->code);
	channel_grant(channel_fd, ask->cookie, MIN(code, 0), fd);
}

bool grants_wanted(const struct plan *plan)
{
	for (u32 i = 0; i < plan->nr_vdevs; i++)
		if (plan->vdevs[i].cls && plan->vdevs[i].cls->grant)
			return true;
	return false;
}
