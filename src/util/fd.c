// SPDX-License-Identifier: BSD-3-Clause
// File descriptors: ownership and EINTR.
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

ssize_t fd_read(int fd, void *dst, size_t len)
{
	ssize_t got;

	do {
		got = read(fd, dst, len);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t fd_write(int fd, const void *src, size_t len)
{
	ssize_t put;

	do {
		put = write(fd, src, len);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

int fd_write_all(int fd, const void *src, size_t len)
{
	const char *p = src;

	while (len > 0) {
		ssize_t put = fd_write(fd, p, len);

		if (put < 0)
			return (int)put;
		p += put;
		len -= (size_t)put;
	}
	return 0;
}

int fd_pread_all(int fd, void *dst, size_t len, u64 offset)
{
	char *p = dst;

	while (len > 0) {
		ssize_t got = pread(fd, p, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		p += got;
		len -= (size_t)got;
		offset += (u64)got;
	}
	return 0;
}

int fd_read_text(const char *path, char *text, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = fd < 0 ? -errno : 1;

	while (got > 0 && used < size - 1) {
		got = fd_read(fd, text + used, size - 1 - used);
		used += got > 0 ? (size_t)got : 0;
	}
	text[got < 0 ? 0 : used] = 0;
	return got < 0 ? (int)got : 0;
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
