// SPDX-License-Identifier: BSD-3-Clause
// Start one of Kiln's own processes: a fresh copy of this binary with exactly the descriptors
// given.
#pragma once

#include <sys/types.h>

#include "util/err.h"
#include "util/types.h"

enum { SPAWN_FDS_MAX = 64 };

/* The word after the role when the process is in a user namespace of its own. */
#define SPAWN_USER_NS "user"

struct spawn_request {
	const char *role; /* the hidden command the new process runs: "@vm" */
	const int *fds;   /* borrowed; become descriptors 0 to nr_fds - 1 of the new process */
	u32 nr_fds;
	bool jailed; /* in a process namespace of its own, to enter a jail */
};

/* Owner: the supervisor. */
struct spawn_child {
	pid_t pid;
	int pid_fd; /* readable when the process has ended */
};

/*
 * spawn_process - clone, arrange descriptors, re-execute this binary. A jailed child of an
 * ordinary user also gets a user namespace in which that user is root; started by root it has
 * none. Returns when the new image runs. The environment is empty.
 * Return: 0 or -errno with words that name the stage. Context: supervisor, which has no threads.
 */
int spawn_process(const struct spawn_request *request, struct spawn_child *child, struct err *e);

/*
 * spawn_die_with_parent - be killed when the process that spawned this one ends, SIGKILL included.
 * Must follow every change of user, which clears it. Context: a spawned process.
 */
void spawn_die_with_parent(void);
