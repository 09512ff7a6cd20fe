// SPDX-License-Identifier: BSD-3-Clause
// An ordered set of descriptors that one process hands to another; configuration refers by index.
#pragma once

#include "util/types.h"

enum { FDSET_MAX = 48 };

struct fdset {
	u32 count;
	int fds[FDSET_MAX];
};

/* fdset_put - move *fd into the set. Return: its index, or -EMFILE with *fd untouched. */
int fdset_put(struct fdset *set, int *fd);

/* fdset_take - move a descriptor out; the index comes from configuration. Return: fd, or -1. */
int fdset_take(struct fdset *set, int index);

/* fdset_close - close what nobody took. */
void fdset_close(struct fdset *set);
