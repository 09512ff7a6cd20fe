// SPDX-License-Identifier: BSD-3-Clause
// io DISK: the guest's half of the disk benchmark. One request is in flight at a time, past the
// guest's cache.
#include <fcntl.h>
#include <unistd.h>

#include "marks.h"

enum { SMALL_BYTES = 4096, LARGE_BYTES = 128 * 1024, NR_SMALL = 1000, NR_LARGE = 200 };

struct phase {
	const char *name;
	int count, bytes;
	int is_write, is_random;
};

static const struct phase phases[] = {
	{ "4 KiB random read", NR_SMALL, SMALL_BYTES, 0, 1 },
	{ "4 KiB random write", NR_SMALL, SMALL_BYTES, 1, 1 },
	{ "128 KiB sequential read", NR_LARGE, LARGE_BYTES, 0, 0 },
	{ "128 KiB sequential write", NR_LARGE, LARGE_BYTES, 1, 0 },
};

static void run(const struct phase *phase, int fd, long long disk_bytes, void *buffer)
{
	unsigned long long seed = 88172645463325252ull, blocks = disk_bytes / phase->bytes;
	long long start_ns = mark(phase->name);

	for (int i = 0; i < phase->count; i++) {
		unsigned long long block = i;
		ssize_t moved;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (phase->is_random)
			block = seed;
		block = block % blocks * phase->bytes;
		moved = phase->is_write ? pwrite(fd, buffer, phase->bytes, block)
					: pread(fd, buffer, phase->bytes, block);
		must(moved == phase->bytes, phase->name);
	}
	took(start_ns, phase->count);
}

int main(int argc, char **argv)
{
	const char *path = argc == 2 ? argv[1] : "usage: io DISK";
	void *buffer = aligned_alloc(SMALL_BYTES, LARGE_BYTES);
	int fd = open(path, O_RDWR | O_DIRECT);
	long long disk_bytes = lseek(fd, 0, SEEK_END);

	must(buffer && disk_bytes >= LARGE_BYTES, path);
	for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		run(&phases[i], fd, disk_bytes, buffer);
	mark("end");
	return 0;
}
