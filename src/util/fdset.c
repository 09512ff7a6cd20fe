// SPDX-License-Identifier: BSD-3-Clause
// An ordered set of descriptors.
#include "util/fdset.h"

#include <errno.h>

#include "util/fd.h"

int fdset_put(struct fdset *set, int *fd)
{
	if (set->count >= FDSET_MAX)
		return -EMFILE;
	set->fds[set->count] = fd_take(fd);
	return (int)set->count++;
}

int fdset_take(struct fdset *set, int index)
{
	if (index < 0 || (u32)index >= set->count)
		return -1;
	return fd_take(&set->fds[index]);
}

void fdset_close(struct fdset *set)
{
	for (u32 i = 0; i < set->count; i++)
		fd_close(&set->fds[i]);
	set->count = 0;
}
