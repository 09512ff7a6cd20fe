// SPDX-License-Identifier: BSD-3-Clause
// kiln: find the command, or tell what there is.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/command.h"
#include "jail/check.h"
#include "jail/spawn.h"
#include "util/build_info.h"
#include "virtio/worker.h"
#include "vm/vm.h"

extern const struct command *const __start_kiln_commands[] __attribute__((weak));
extern const struct command *const __stop_kiln_commands[] __attribute__((weak));

static u32 nr_commands(void)
{
	return (u32)(__stop_kiln_commands - __start_kiln_commands);
}

static const struct command *command_find(const char *name)
{
	for (u32 i = 0; i < nr_commands(); i++)
		if (strcmp(__start_kiln_commands[i]->name, name) == 0)
			return __start_kiln_commands[i];
	return NULL;
}

static const char *command_nth_name(const void *cookie, u32 i)
{
	(void)cookie;
	return i < nr_commands() ? __start_kiln_commands[i]->name : NULL;
}

const struct opt *command_opts(const struct command *command)
{
	static const struct opt none[] = { { .name = NULL } };

	if (command->make_opts)
		return command->make_opts();
	return command->opts ? command->opts : none;
}

int command_fail(const struct command *command, const struct err *e)
{
	fprintf(stderr, "kiln: %s: %s\n", command->name, e->text);
	return VM_END_INVALID;
}

/* A full disk or closed pipe behind standard output is a failure, not a success without output. */
static int flush_output(int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
		fprintf(stderr, "kiln: standard output: %s\n", strerror(errno));
		return VM_END_FAILED;
	}
	return code;
}

int command_parse(const struct command *command, void *options, int argc, char *const *argv,
		  opt_positional_fn *positional)
{
	struct err e;
	int status = opt_parse_words(command_opts(command), options, argc, argv, positional, &e);

	if (status == -ECANCELED) {
		command_help(command);
		exit(flush_output(0));
	}
	return status < 0 ? command_fail(command, &e) : 0;
}

void command_help(const struct command *command)
{
	const struct opt *opts = command_opts(command);

	printf("Usage: kiln %s%s%s%s\n\n%s.\n", command->name, opts->name ? " [OPTIONS]" : "",
	       command->positional ? " " : "", command->positional ? command->positional : "",
	       command->summary);
	if (opts->name) {
		printf("\nOptions:\n");
		opt_help(opts, stdout);
	}
	if (command->notes)
		printf("\n%s", command->notes);
}

/* The first command by name that comes after `name`; NULL after the last. */
static const struct command *command_after(const char *name)
{
	const struct command *next = NULL;

	for (u32 i = 0; i < nr_commands(); i++) {
		const struct command *command = __start_kiln_commands[i];

		if (strcmp(command->name, name) > 0 &&
		    (!next || strcmp(command->name, next->name) < 0))
			next = command;
	}
	return next;
}

static void help_all(FILE *out)
{
	fprintf(out,
		"Kiln %s: a virtual machine monitor for Linux/KVM.\n\n"
		"Usage: kiln COMMAND [OPTIONS] ...\n\nCommands:\n",
		build_version);
	for (const struct command *c = command_after(""); c; c = command_after(c->name))
		fprintf(out, "  %-10s %s\n", c->name, c->summary);
	fprintf(out, "\n`kiln help COMMAND` tells the options of one.\n");
}

static int unknown_command(const char *name)
{
	const char *nearest = word_nearest(name, command_nth_name, NULL);

	if (nearest)
		fprintf(stderr, "kiln: unknown command '%s': did you mean '%s'?\n", name, nearest);
	else
		fprintf(stderr, "kiln: unknown command '%s' (`kiln help` lists them)\n", name);
	return VM_END_INVALID;
}

static int help_positional(void *options, const char *word, struct err *e)
{
	const char **name = options;

	if (*name)
		return err_set(e, -EINVAL, "one command at a time: '%s' and '%s'", *name, word);
	*name = word;
	return 0;
}

static int help_run(const struct command *self, int argc, char *const *argv)
{
	const char *name = NULL;
	const struct command *command;
	int code = command_parse(self, &name, argc, argv, help_positional);

	if (code)
		return code;
	if (!name) {
		help_all(stdout);
		return 0;
	}
	command = command_find(name);
	if (!command)
		return unknown_command(name);
	command_help(command);
	return 0;
}

static const struct command help_command = {
	.name = "help",
	.summary = "Tell the commands, or the options of one",
	.positional = "[COMMAND]",
	.run = help_run,
};
COMMAND(help_command);

/* What spawn_process told a process of Kiln's own. */
static bool in_user_ns(int argc, char **argv)
{
	return argc > 2 && strcmp(argv[2], SPAWN_USER_NS) == 0;
}

/*
 * Started without standard input, output or error, the next file opened would take that number
 * and be written to by mistake. What is written to no standard output is not lost in silence.
 */
static void open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) < 0)
			memfd_create("null", 0); /* a host without devices: takes the number, too */
	}
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		help_all(stderr);
		return VM_END_INVALID;
	}
	if (strcmp(argv[1], "@vm") == 0)
		return vm_process_main(in_user_ns(argc, argv));
	if (IS_ENABLED(CONFIG_VIRTIO) && strcmp(argv[1], "@device") == 0)
		return worker_process_main(in_user_ns(argc, argv));
	if (IS_ENABLED(CONFIG_JAIL) && strcmp(argv[1], "@jail") == 0)
		return jail_check_main(in_user_ns(argc, argv));
	open_standard_fds();
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return flush_output(help_run(&help_command, 0, NULL));
	if (strcmp(argv[1], "--version") == 0)
		argv[1] += 2;
	command = command_find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return flush_output(command->run(command, argc - 2, argv + 2));
}
