// SPDX-License-Identifier: BSD-3-Clause
// io DISK: the guest's half of the disk benchmark. Each phase is announced by "mark NAME" on standard
// output and waits for a line on standard input, so that the host can read its counters in between;
// then "took NANOSECONDS OPERATIONS". One request is in flight at a time, past the guest's cache.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void mark(const char *name)
{
	char line[64];

	printf("mark %s\n", name);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static void run(const struct phase *phase, int fd, long long disk_bytes, void *buffer)
{
	unsigned long long seed = 88172645463325252ull, blocks = disk_bytes / phase->bytes;
	long long start;

	mark(phase->name);
	start = now_ns();
	for (int i = 0; i < phase->count; i++) {
		unsigned long long block = i;
		ssize_t moved;

		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		if (phase->is_random)
			block = seed;
		block = block % blocks * phase->bytes;
		moved = phase->is_write ? pwrite(fd, buffer, phase->bytes, block)
					: pread(fd, buffer, phase->bytes, block);
		if (moved != phase->bytes) {
			perror(phase->name);
			exit(1);
		}
	}
	printf("took %lld %d\n", now_ns() - start, phase->count);
}

int main(int argc, char **argv)
{
	long long disk_bytes;
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
	void *buffer = aligned_alloc(SMALL_BYTES, LARGE_BYTES);

	disk_bytes = lseek(fd, 0, SEEK_END);
	if (disk_bytes < LARGE_BYTES || !buffer) {
		perror(argc == 2 ? argv[1] : "usage: io DISK");
		return 1;
	}
	for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		run(&phases[i], fd, disk_bytes, buffer);
	mark("end");
	return 0;
}
