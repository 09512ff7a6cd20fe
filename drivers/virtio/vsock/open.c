// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: what the supervisor does for it: options, the listening socket, connections to others.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fd.h"
#include "vsock.h"

enum { BACKLOG = 64 };

const struct opt vsock_opts[] = {
	{ .name = "cid",
	  OPT_U32(struct vsock_cfg, cid, VSOCK_CID_MIN, VSOCK_CID_MAX),
	  .arg = "N",
	  .def = "3",
	  .help = HELP("the guest's address") },
	{ .name = "socket",
	  OPT_TEXT(struct vsock_cfg, socket),
	  .arg = "PATH",
	  .help = HELP(
		  "Unix socket for the host's programs: they connect and send \"CONNECT PORT\\n\"; "
		  "the guest's connections go to PATH_PORT") },
	{ .name = NULL },
};

int vsock_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct vsock_cfg *cfg = opaque;
	cleanup_fd int fd = -1;

	if (!cfg->socket[0])
		return err_set(e, -EINVAL,
			       "socket=PATH is needed: where the host's programs connect");
	fd = unix_listen(cfg->socket, BACKLOG, &cfg->listener, e);
	if (fd < 0)
		return fd;
	cfg->listen_index = fdset_put(fds, &fd);
	return cfg->listen_index < 0
		       ? err_errno(e, cfg->listen_index, "more than %d descriptors", FDSET_MAX)
		       : 0;
}

void vsock_cleanup(const void *opaque)
{
	const struct vsock_cfg *cfg = opaque;

	unix_listen_remove(cfg->socket, &cfg->listener);
}

/* The connection is made at once or not at all: a full backlog is -EAGAIN. */
int vsock_grant(const void *opaque, u32 port)
{
	const struct vsock_cfg *cfg = opaque;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	_Static_assert(sizeof(address.sun_path) >= VSOCK_PATH_BYTES + sizeof("_4294967295") - 1,
		       "every port's path fits");
	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", cfg->socket, port);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return fd_take(&fd);
}
