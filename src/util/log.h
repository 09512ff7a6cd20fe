// SPDX-License-Identifier: BSD-3-Clause
// Log lines, with a sink per process and a rate limit for lines that a guest can cause.
#pragma once

#include "util/types.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Receives one line without its newline. Context: any thread. */
typedef void log_sink_fn(enum log_level level, const char *line, void *opaque);

/* log_set_sink - where lines go from now on; the start is standard error. Call before threads. */
void log_set_sink(log_sink_fn *sink, void *opaque);

/* log_set_level - lines above `level` are dropped; the start is LOG_INFO. Call before threads. */
void log_set_level(enum log_level level);

/* log_line - one line, without a newline, to where the process's log goes. Context: any thread. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_err(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * A budget of lines for one origin: LOG_LIMIT_BURST at once, then one each second. Zero is a full
 * budget. Any thread may use it: a lost race prints one line more or fewer.
 */
enum { LOG_LIMIT_BURST = 10 };
struct log_limit {
	u64 window_start_ns;
	u32 lines, dropped;
};

/*
 * log_limited - whether a guest-caused line may be printed at `now_ns` (monotonic clock). When a
 * line is allowed after others were not, their number is left in *dropped for the caller to say.
 */
bool log_limited(struct log_limit *limit, u64 now_ns, u32 *dropped);

/* log_guest - log_warn under `limit`, adding how many lines were left out before it. */
void log_guest(struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(2, 3);
