// SPDX-License-Identifier: BSD-3-Clause
// Leave everything behind: the stages by which a process of Kiln confines itself.
#pragma once

#include "util/err.h"
#include "util/types.h"

/*
 * jail_enter - run all stages but seccomp, in order: namespaces, root, limits, user and
 * capabilities, no_new_privs. Afterwards the process has no path, no network, no capability and
 * its open descriptors. Return: 0 or -errno with words that name the stage.
 * `user_ns`: spawn_process put this process into a user namespace of its own and said so.
 * Context: the first thread of a process made by spawn_process with `jailed`.
 */
int jail_enter(bool user_ns, struct err *e);
