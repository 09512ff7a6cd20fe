// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: what the supervisor does for it: options, what they name, connections for the guest.
#include "vsock.h" /* before <linux/vhost.h>, which has the same names */

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fd.h"

enum { BACKLOG = 64 };

#define VHOST_PATH "/dev/vhost-vsock"

static const char *const backend_words[] = {
	[VSOCK_AUTO] = "auto", [VSOCK_VHOST] = "vhost", [VSOCK_USER] = "user", NULL
};

const struct opt vsock_opts[] = {
	{ .name = "cid",
	  OPT_U32(struct vsock_cfg, cid, VSOCK_CID_MIN, VSOCK_CID_MAX),
	  .arg = "N",
	  .def = "3",
	  .help = HELP("the guest's address") },
	{ .name = "backend",
	  OPT_CHOICE(struct vsock_cfg, backend, backend_words),
	  .arg = "WHOSE",
	  .def = "auto",
	  .help = HELP(
		  "who moves the bytes: vhost is the host's kernel, whose programs use AF_VSOCK "
		  "then; user is this device, by socket=; auto goes by whether that is given") },
	{ .name = "socket",
	  OPT_TEXT(struct vsock_cfg, socket),
	  .arg = "PATH",
	  .help = HELP(
		  "Unix socket for the host's programs: they connect and send \"CONNECT PORT\\n\"; "
		  "the guest's connections go to PATH_PORT") },
	{ .name = NULL },
};

/* Move *fd into the set. Return: 0 with *index, or -errno with words. */
static int put_fd(struct fdset *fds, int *fd, int *index, struct err *e)
{
	*index = fdset_put(fds, fd);
	return *index < 0 ? err_errno(e, *index, "more than %d descriptors", FDSET_MAX) : 0;
}

static int open_user(struct vsock_cfg *cfg, struct fdset *fds, struct err *e)
{
	cleanup_fd int fd = unix_listen(cfg->socket, BACKLOG, &cfg->listener, e);

	return fd < 0 ? fd : put_fd(fds, &fd, &cfg->listen_index, e);
}

/* The cid is a name in the whole host: the kernel tells who comes too late. */
static int open_vhost(struct vsock_cfg *cfg, struct fdset *fds, struct err *e)
{
	cleanup_fd int fd = open(VHOST_PATH, O_RDWR | O_CLOEXEC);
	u64 cid = cfg->cid;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_errno(e, -errno,
				 "open " VHOST_PATH " (load vhost_vsock, or give socket=PATH, "
				 "which does without the kernel)");
	if (fd < 0)
		return err_errno(e, -errno, "open " VHOST_PATH " (socket=PATH does without it)");
	if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) < 0)
		return err_errno(e, -errno, "cid=%u%s", cfg->cid,
				 errno == EADDRINUSE ? " (another machine has it)" : "");
	return put_fd(fds, &fd, &cfg->vhost_index, e);
}

int vsock_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct vsock_cfg *cfg = opaque;

	cfg->listen_index = cfg->vhost_index = -1;
	if (cfg->backend == VSOCK_AUTO)
		cfg->backend = cfg->socket[0] ? VSOCK_USER : VSOCK_VHOST;
	if (cfg->backend == VSOCK_USER && !cfg->socket[0])
		return err_set(e, -EINVAL,
			       "backend=user needs socket=PATH, where the host's programs connect");
	if (cfg->backend == VSOCK_VHOST && cfg->socket[0])
		return err_set(e, -EINVAL, "socket=%s belongs to backend=user", cfg->socket);
	if (cfg->backend == VSOCK_USER)
		return open_user(cfg, fds, e);
	if (!IS_ENABLED(CONFIG_VIRTIO_VSOCK_VHOST))
		return err_set(e, -EINVAL,
			       "backend=vhost is not in this binary: give socket=PATH, where the "
			       "host's programs connect");
	return open_vhost(cfg, fds, e);
}

void vsock_cleanup(const void *opaque)
{
	const struct vsock_cfg *cfg = opaque;

	unix_remove(cfg->socket, &cfg->listener);
}

/* The connection is made at once or not at all: a full backlog is -EAGAIN. */
int vsock_grant(const void *opaque, u32 port)
{
	const struct vsock_cfg *cfg = opaque;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	_Static_assert(sizeof(address.sun_path) >= VSOCK_PATH_BYTES + sizeof("_4294967295") - 1,
		       "every port's path fits");
	if (cfg->backend != VSOCK_USER)
		return -EPERM;
	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", cfg->socket, port);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return fd_take(&fd);
}
