// SPDX-License-Identifier: BSD-3-Clause
// Unix sockets that listen at a path.
#include "stream/unix_listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"

/* Whether somebody listens at `address`. Return: 1, 0 or -errno. */
static int socket_is_alive(const struct sockaddr_un *address)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return 1;
	return errno == ECONNREFUSED ? 0 : -errno;
}

/* Remove a socket that nobody listens at; refuse to touch anything else. */
static int remove_stale_socket(const struct sockaddr_un *address, struct err *e)
{
	const char *path = address->sun_path;
	struct stat st;
	int alive;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno, "'%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST, "'%s' exists and is not a socket", path);
	alive = socket_is_alive(address);
	if (alive < 0)
		return err_errno(e, alive, "connect to '%s'", path);
	if (alive)
		return err_set(e, -EADDRINUSE, "'%s' is in use: somebody listens there", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "remove the stale socket '%s'", path);
	return 0;
}

/* Only the user may connect: the mode is set before there is a name to connect to. */
int unix_listen(const char *path, int backlog, struct unix_socket_id *id, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	struct stat st;
	int status;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "socket path '%s': %zu bytes are too long (at most %zu)", path,
			       strlen(path), sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	status = remove_stale_socket(&address, e);
	if (status < 0)
		return status;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(e, -errno, "socket '%s'", path);
	if (listen(fd, backlog) < 0) {
		status = err_errno(e, -errno, "listen at '%s'", path);
		unlink(path);
		return status;
	}
	if (lstat(path, &st) == 0)
		*id = (struct unix_socket_id){ .dev = st.st_dev, .ino = st.st_ino };
	return fd_take(&fd);
}

void unix_listen_remove(const char *path, const struct unix_socket_id *id)
{
	struct stat st;

	if (id->ino && lstat(path, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino)
		unlink(path);
}
