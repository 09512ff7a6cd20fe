// SPDX-License-Identifier: BSD-3-Clause
// Unix sockets that listen at a path: made with care for what lies there, removed only if still ours.
#pragma once

#include "util/err.h"
#include "util/types.h"

/* Which socket is at a path: the file's device and number; 0 and 0 for none. */
struct unix_socket_id {
	u64 dev, ino;
};

/*
 * unix_listen - a stream socket at `path` to which only this user may connect, in the place of one
 * that nobody listens at any more. It does not block. Return: the descriptor, and *id for
 * unix_listen_remove; or -errno with words. Context: supervisor.
 */
int unix_listen(const char *path, int backlog, struct unix_socket_id *id, struct err *e);

/* unix_listen_remove - remove the path, if what is there is still that socket. Context: supervisor. */
void unix_listen_remove(const char *path, const struct unix_socket_id *id);
