// SPDX-License-Identifier: BSD-3-Clause
// File descriptors: one owner each, -1 for none, and the one place that retries after EINTR.
#pragma once

#include <sys/types.h>

#include "util/types.h"

/* fd_close - close *fd if there is one and leave -1. */
void fd_close(int *fd);

/* fd_take - hand over: returns *fd and leaves -1, so that there is one owner. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define cleanup_fd __attribute__((cleanup(fd_close)))

/*
 * fd_read, fd_write - one read(2) or write(2), repeated only for EINTR.
 * Return: bytes moved (0 from fd_read is the end) or -errno.
 */
ssize_t fd_read(int fd, void *dst, size_t len);
ssize_t fd_write(int fd, const void *src, size_t len);

/* fd_write_all - write every byte of a blocking fd. Return: 0 or -errno. */
int fd_write_all(int fd, const void *src, size_t len);

/*
 * fd_pread_all - read exactly `len` bytes at `offset`. Return: 0, -ENODATA at an early end, -errno.
 */
int fd_pread_all(int fd, void *dst, size_t len, u64 offset);

/*
 * fd_read_text - what a small file holds, at most `size` - 1 bytes of it, with a NUL behind.
 * Return: 0 or -errno, and `text` is empty.
 */
int fd_read_text(const char *path, char *text, size_t size);

/* fd_set_nonblock - set or clear O_NONBLOCK on the open file description. Return: 0 or -errno. */
int fd_set_nonblock(int fd, bool on);
