// SPDX-License-Identifier: BSD-3-Clause
// The process the user started: spawns the machine, owns the terminal, decides the exit code.
#pragma once

#include "ctl/plan.h"

/*
 * supervisor_run - run the planned machine to its end and print one line that says what ended it.
 * Return: the exit code of `kiln run` (enum vm_end, or 128 + signal when a signal stopped it).
 * Context: the process the user started, without threads.
 */
int supervisor_run(struct plan *plan);
