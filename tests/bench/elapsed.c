// SPDX-License-Identifier: BSD-3-Clause
// elapsed COUNT COMMAND...: run a command COUNT times; print the medians of the time it took and of
// the CPU time it and its
// children used, in nanoseconds, and its exit code. Under -icount both clocks count instructions;
// the first also idle waits.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 1000 };

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static long long timeval_ns(struct timeval tv)
{
	return tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
}

/* A child's own children count once it has waited for them, which both monitors do. */
static void run_once(char **argv, long long *elapsed_ns, long long *cpu_ns, int *status)
{
	long long start = now_ns();
	struct rusage usage;
	pid_t pid = vfork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	wait4(pid, status, 0, &usage);
	*elapsed_ns = now_ns() - start;
	*cpu_ns = timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

static int by_value(const void *a, const void *b)
{
	long long left = *(const long long *)a, right = *(const long long *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	static long long elapsed[COUNT_MAX], cpu[COUNT_MAX];
	int count = argc > 2 ? atoi(argv[1]) : 0, status = 0;

	if (count < 1 || count > COUNT_MAX) {
		fprintf(stderr, "usage: elapsed COUNT COMMAND... (COUNT 1 to %d)\n", COUNT_MAX);
		return 2;
	}
	for (int i = 0; i < count; i++)
		run_once(argv + 2, &elapsed[i], &cpu[i], &status);
	qsort(elapsed, (size_t)count, sizeof(elapsed[0]), by_value);
	qsort(cpu, (size_t)count, sizeof(cpu[0]), by_value);
	fprintf(stderr, "elapsed: %lld %lld %d\n", elapsed[count / 2], cpu[count / 2],
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
