// SPDX-License-Identifier: BSD-3-Clause
// A guest of a few instructions: do guests run here, and how fast?
#pragma once

#include "kvm/kvm.h"

struct probe_result {
	u64 loops_per_second; /* turns of a two-instruction loop in the guest's privileged mode */
	u64 exit_ns;          /* one exit to Kiln and back */
};

/* Below this, /dev/kvm interprets guests instead of running them: a kernel's boot takes minutes. */
enum { PROBE_LOOPS_PER_SECOND_MIN = 20000000 };

/* probe_guest - run it; borrows kvm_fd. Return: 0 or -errno with words. Context: any process. */
int probe_guest(int kvm_fd, struct probe_result *result, struct err *e);
