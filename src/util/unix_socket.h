// SPDX-License-Identifier: BSD-3-Clause
// Unix sockets by path: one that listens, for the user alone, and one that reaches who listens.
#pragma once

#include "util/err.h"
#include "util/types.h"

enum { UNIX_PATH_BYTES = 108 }; /* of sun_path, the terminating zero included */

/* Which socket a path led to when it was made; ino 0: none. */
struct unix_id {
	u64 dev, ino;
};

/*
 * unix_listen - a stream socket that listens at `path`, mode 0600, without blocking. Replaces a
 * socket that nobody listens at; refuses one that somebody does, and whatever is no socket. *id is
 * for unix_remove. Return: the descriptor, or -errno with words. Context: supervisor.
 */
int unix_listen(const char *path, int backlog, struct unix_id *id, struct err *e);

/* unix_remove - remove `path` if it still leads to the socket `id`. Context: supervisor. */
void unix_remove(const char *path, const struct unix_id *id);

/*
 * unix_connect - a stream socket connected to who listens at `path`. Waits a bounded time for room
 * among those who wait there. Return: the descriptor, or -errno with words. Context: supervisor.
 */
int unix_connect(const char *path, struct err *e);
