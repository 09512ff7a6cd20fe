// SPDX-License-Identifier: BSD-3-Clause
// The user's side of a process he started.
#include "ctl/user.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"

enum { LAST_LINE_MS = 1000 }; /* how long the last line waits for a reader of standard error */

/* A pipe that polls writable takes PIPE_BUF bytes at once. */
void user_put_words(const char *words, int timeout_ms)
{
	struct pollfd target = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&target, 1, timeout_ms) > 0)
		fd_write(STDERR_FILENO, words, MIN(strlen(words), (size_t)PIPE_BUF));
}

static void log_to_stderr(enum log_level level, const char *line, void *opaque)
{
	const bool *finished = opaque;
	char text[600];

	snprintf(text, sizeof(text), "kiln: %s%s\n", level == LOG_WARN ? "warning: " : "", line);
	user_put_words(text, *finished ? LAST_LINE_MS : 0);
}

void user_log_start(const bool *finished)
{
	log_set_sink(log_to_stderr, (void *)(uintptr_t)finished);
}

/* Those that end the process, and the one that tells of a terminal's new size. */
static sigset_t held_signals(void)
{
	static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (u32 i = 0; i < ARRAY_SIZE(held); i++)
		sigaddset(&set, held[i]);
	return set;
}

void user_hold_signals(void)
{
	sigset_t set = held_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

int user_signal_fd(struct err *e)
{
	sigset_t set = held_signals();
	int fd;

	user_hold_signals();
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_errno(e, -errno, "signalfd") : fd;
}

u32 user_take_signal(int signal_fd)
{
	struct signalfd_siginfo info;

	return fd_read(signal_fd, &info, sizeof(info)) == sizeof(info) ? info.ssi_signo : 0;
}
