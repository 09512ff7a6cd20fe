// SPDX-License-Identifier: BSD-3-Clause
// Commands of `kiln`: each registers itself; main finds, helps and runs them.
#pragma once

#include "util/err.h"
#include "util/opt.h"
#include "util/types.h"

struct command {
	const char *name;
	const char *summary;    /* one line */
	const char *positional; /* as usage shows it: "KERNEL"; NULL for none */
	const struct opt *opts; /* NULL for none */
	/* More options than the table has (those of device classes): a table made at run time. */
	const struct opt *(*make_opts)(void);
	const char *notes; /* printed after the options in help; may be NULL */
	/* Runs with the words after the command's name. Return: the exit code. */
	int (*run)(const struct command *command, int argc, char *const *argv);
};

#define COMMAND(object) REGISTER("kiln_commands", object)

/* command_opts - the options a command has, its own and those made at run time. Never NULL. */
const struct opt *command_opts(const struct command *command);

/*
 * command_parse - opt_parse_words with the command's options; prints what is wrong. When help is
 * asked for it is printed, and the process ends. Return: 0 or the exit code.
 */
int command_parse(const struct command *command, void *options, int argc, char *const *argv,
		  opt_positional_fn *positional);

/* command_fail - print "kiln: NAME: words" and return exit code VM_END_INVALID. */
int command_fail(const struct command *command, const struct err *e);

/* command_help - usage, options and notes of one command on standard output. */
void command_help(const struct command *command);
