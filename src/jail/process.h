// SPDX-License-Identifier: BSD-3-Clause
// What every process of Kiln but the first one does alike: speak through its channel, and be
// confined.
#pragma once

#include "util/err.h"
#include "util/types.h"

/* Fixed descriptors of a spawned process; those of its own follow. */
enum { PROCESS_FD_CHANNEL, PROCESS_FD_OWN, PROCESS_FD_STDERR, PROCESS_FD_FIRST };

/*
 * process_begin - name the process, take log lines to the channel, ignore the user's signals and
 * end with the supervisor. Context: first thing in a fresh process.
 */
void process_begin(const char *name);

/*
 * process_enter_jail - all stages of the jail, and refused calls will be reported
 * (CONFIG_SECCOMP_REPORT). `user_ns` as in jail_enter. Return: 0 or -errno with words.
 */
int process_enter_jail(bool user_ns, struct err *e);

/*
 * process_filter - confine the calling thread to a baked policy; nothing in a build without
 * seccomp. Return: 0 or -errno with words. Context: any thread of a jailed process.
 */
int process_filter(const char *policy, struct err *e);
