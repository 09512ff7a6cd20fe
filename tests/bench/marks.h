// SPDX-License-Identifier: BSD-3-Clause
// How a benchmark's guest speaks with tests/bench/devices: each phase is announced by "mark NAME" on
// standard output and waits for a line on standard input, so that the host can read its counters in
// between; then "took NANOSECONDS OPERATIONS".
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Return: when the phase began. */
static inline long long mark(const char *name)
{
	char line[64];

	printf("mark %s\n", name);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
	return now_ns();
}

static inline void took(long long start_ns, int operations)
{
	printf("took %lld %d\n", now_ns() - start_ns, operations);
}

/* What cannot be done ends the guest's program, and by that the benchmark. */
static inline void must(int done, const char *what)
{
	if (!done) {
		perror(what);
		exit(1);
	}
}
