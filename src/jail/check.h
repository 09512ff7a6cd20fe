// SPDX-License-Identifier: BSD-3-Clause
// Can this host jail a process? Found out by doing it.
#pragma once

#include "util/err.h"

/*
 * jail_check - spawn a process, let it enter the jail and install a filter, and end.
 * Return: 0 or -errno with words that name the stage. Context: a process without threads.
 */
int jail_check(struct err *e);

/* jail_check_main - the process that jail_check spawns (role "@jail"). Return: its exit status. */
int jail_check_main(bool user_ns);
