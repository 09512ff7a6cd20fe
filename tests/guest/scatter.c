// SPDX-License-Identifier: BSD-3-Clause
// scatter FILE MIB: fills a file of a tmpfs with x and frees every second 64 KiB of it: memory that is
// free, but in pieces too small for the kernel to report them.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024, PIECES_PER_MIB = 16 };

int main(int argc, char **argv)
{
	static char piece[PIECE_BYTES];
	long pieces = argc == 3 ? atol(argv[2]) * PIECES_PER_MIB : 0;
	int fd = argc == 3 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;

	memset(piece, 'x', sizeof(piece));
	for (long i = 0; i < pieces && fd >= 0; i++)
		if (write(fd, piece, sizeof(piece)) != sizeof(piece))
			fd = -1;
	for (long i = 0; i < pieces && fd >= 0; i += 2)
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * PIECE_BYTES,
			      PIECE_BYTES) < 0)
			fd = -1;
	if (fd < 0 || pieces == 0) {
		perror(argc == 3 ? argv[1] : "usage: scatter FILE MIB");
		return 1;
	}
	return 0;
}
