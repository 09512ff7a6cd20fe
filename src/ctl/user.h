// SPDX-License-Identifier: BSD-3-Clause
// The user's side of a process he started: the lines it prints, and the signals that end it.
#pragma once

#include "util/err.h"
#include "util/types.h"

/*
 * user_put_words - standard error without ever waiting for its reader longer than `timeout_ms`: who
 * waits hears no signal. Context: the process the user started.
 */
void user_put_words(const char *words, int timeout_ms);

/*
 * user_log_start - log lines go to standard error; what it does not take at once is lost, but for
 * the last lines, which come once *finished. Context: before any other process is started.
 */
void user_log_start(const bool *finished);

/*
 * user_hold_signals - from now on the signals that end this process, and SIGWINCH, wait for
 * user_signal_fd, so that nothing made for it is left behind. Context: before anything is made.
 */
void user_hold_signals(void);

/* user_signal_fd - a signalfd of those signals. Return: it, or -errno with words. */
int user_signal_fd(struct err *e);

/* user_take_signal - the next signal off `signal_fd`. Return: its number, or 0 when there is none. */
u32 user_take_signal(int signal_fd);
