// SPDX-License-Identifier: BSD-3-Clause
// One device for the vhost-user front-ends of other machines: a socket, a jailed process, no machine.
#pragma once

#include "ctl/plan.h"
#include "util/unix_socket.h"

/* Owner: the process the user started. */
struct serve_request {
	struct plan_vdev *vdev; /* parsed; setup.jailed says whether it gets a jail */
	const char *path;       /* of the socket to make; NULL: socket_fd is given */
	int socket_fd;          /* with a path made by serve_open */
	bool once;              /* end when the first front-end is gone */
	bool opened;            /* what the class opened is to be cleaned up */
	bool connected;         /* socket_fd is no listener, but a front-end */
	struct unix_id id;      /* of the socket at `path` */
};

/* serve_open - open what the device names, with the user's rights, and the socket. Return: 0 or -errno
 * with words. serve_close - remove the socket and what the device made; also after a failure. */
int serve_open(struct serve_request *request, struct err *e);
void serve_close(struct serve_request *request);

/*
 * serve_run - serve one front-end after another until a signal says to end, and print one line that
 * says why it did. Return: the exit code of `kiln device`. Context: the process the user started,
 * without threads, after user_hold_signals.
 */
int serve_run(struct serve_request *request);
