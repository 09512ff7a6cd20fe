// SPDX-License-Identifier: BSD-3-Clause
// Log lines: one sink per process, rate limits for what a guest can cause.
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"

enum { LOG_LINE_BYTES = 512 };

static void sink_stderr(enum log_level level, const char *line, void *opaque)
{
	static const char *const word[] = { "", "warning: ", "", "debug: " };
	char text[LOG_LINE_BYTES + 32];
	int len = snprintf(text, sizeof(text), "kiln: %s%s\n", word[level], line);

	(void)opaque;
	fd_write_all(STDERR_FILENO, text, MIN((size_t)len, sizeof(text) - 1));
}

/* The process's log: set up once before there are threads, read-only after. */
static struct {
	log_sink_fn *sink;
	void *opaque;
	enum log_level level;
} log_to = { .sink = sink_stderr, .level = LOG_INFO };

void log_set_sink(log_sink_fn *sink, void *opaque)
{
	log_to.sink = sink;
	log_to.opaque = opaque;
}

void log_set_level(enum log_level level)
{
	log_to.level = level;
}

PRINTF_LIKE(2, 0)
static void log_vline(enum log_level level, const char *fmt, va_list args)
{
	char line[LOG_LINE_BYTES];

	if (level > log_to.level)
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	log_to.sink(level, line, log_to.opaque);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vline(level, fmt, args);
	va_end(args);
}

bool log_limited(struct log_limit *limit, u64 now_ns, u32 *dropped)
{
	const u64 second_ns = 1000000000;
	u64 seconds = 0;
	u32 lines = limit->lines; /* read once: another thread may count meanwhile */

	*dropped = 0;
	if (now_ns > limit->window_start_ns) /* another thread may have read the clock later */
		seconds = (now_ns - limit->window_start_ns) / second_ns;
	if (limit->window_start_ns == 0) {
		limit->window_start_ns = now_ns;
	} else if (seconds > 0) {
		limit->window_start_ns += seconds * second_ns;
		lines -= (u32)MIN(seconds, (u64)lines);
	}
	if (lines >= LOG_LIMIT_BURST) {
		limit->dropped++;
		return false;
	}
	limit->lines = lines + 1;
	*dropped = limit->dropped;
	limit->dropped = 0;
	return true;
}

void log_guest(struct log_limit *limit, const char *fmt, ...)
{
	struct timespec now;
	va_list args;
	u32 dropped;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!log_limited(limit, (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec, &dropped))
		return;
	va_start(args, fmt);
	log_vline(LOG_WARN, fmt, args);
	va_end(args);
	if (dropped > 0)
		log_warn("(%u more lines like this were left out)", dropped);
}
