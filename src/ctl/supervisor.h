// SPDX-License-Identifier: BSD-3-Clause
// The process the user started: spawns the machine, owns the terminal, decides the exit code.
#pragma once

#include "ctl/plan.h"

/*
 * supervisor_hold_signals - from now on the signals that end a machine wait for supervisor_run, so
 * that nothing made for it is left behind, and so does news of the terminal's size. Context: before
 * plan_open.
 */
void supervisor_hold_signals(void);

/*
 * supervisor_run - run the planned machine to its end and print one line that says what ended it.
 * Return: the exit code of `kiln run` (enum vm_end, or 128 + signal when a signal stopped it).
 * Context: the process the user started, without threads.
 */
int supervisor_run(struct plan *plan);
