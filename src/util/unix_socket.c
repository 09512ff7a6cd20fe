// SPDX-License-Identifier: BSD-3-Clause
// Unix sockets by path (unix(7)).
#include "util/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"

enum { CONNECT_S = 5 }; /* how long a full queue of others who connect is waited for */

_Static_assert(UNIX_PATH_BYTES == sizeof(((struct sockaddr_un *)0)->sun_path), "as the kernel's");

static int address_make(struct sockaddr_un *address, const char *path, struct err *e)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "socket path '%s': %zu bytes are too long (at most %zu)", path,
			       strlen(path), sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

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
int unix_listen(const char *path, int backlog, struct unix_id *id, struct err *e)
{
	struct sockaddr_un address;
	cleanup_fd int fd = -1;
	struct stat st;
	int status = address_make(&address, path, e);

	*id = (struct unix_id){ 0 };
	if (status == 0)
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
		*id = (struct unix_id){ .dev = st.st_dev, .ino = st.st_ino };
	return fd_take(&fd);
}

void unix_remove(const char *path, const struct unix_id *id)
{
	struct stat st;

	if (id->ino && lstat(path, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino)
		unlink(path);
}

int unix_connect(const char *path, struct err *e)
{
	const struct timeval patience = { .tv_sec = CONNECT_S };
	struct sockaddr_un address;
	cleanup_fd int fd = -1;

	if (address_make(&address, path, e) < 0)
		return e->code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_errno(e, -errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd_take(&fd);
	if (errno == EAGAIN)
		return err_set(e, -EAGAIN, "connect to '%s': too many wait there already", path);
	return err_errno(e, -errno, "connect to '%s'", path);
}
