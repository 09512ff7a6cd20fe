// SPDX-License-Identifier: BSD-3-Clause
// kiln policy: the seccomp filters in this binary.
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "jail/policy.h"

struct policy_options {
	bool bpf;
	const struct policy *policy;
};

static const char *policy_nth_name(const void *cookie, u32 i)
{
	(void)cookie;
	return i < __stop_kiln_policies - __start_kiln_policies ? __start_kiln_policies[i]->name
								: NULL;
}

static int policy_positional(void *opaque, const char *word, struct err *e)
{
	struct policy_options *options = opaque;
	const char *nearest;

	if (options->policy)
		return err_set(e, -EINVAL, "one policy at a time: '%s' and '%s'",
			       options->policy->name, word);
	options->policy = policy_find(word);
	if (options->policy)
		return 0;
	nearest = word_nearest(word, policy_nth_name, NULL);
	if (nearest)
		return err_set(e, -EINVAL, "no policy '%s': did you mean '%s'?", word, nearest);
	return err_set(e, -EINVAL, "no policy '%s' in this binary", word);
}

static const struct opt policy_opts[] = {
	{ .name = "bpf",
	  OPT_FLAG(struct policy_options, bpf),
	  .help = HELP("print the filter's instructions") },
	{ .name = NULL },
};

static void print_line(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static int policy_run(const struct command *self, int argc, char *const *argv)
{
	struct policy_options options = { 0 };
	int code = command_parse(self, &options, argc, argv, policy_positional);

	if (code)
		return code;
	if (!options.policy) {
		policy_for_each (p)
			printf("%-16s %4u instructions\n", (*p)->name, (*p)->nr_insns);
		return 0;
	}
	if (options.bpf || !IS_ENABLED(CONFIG_POLICY_TEXT))
		policy_print_bpf(options.policy, print_line, NULL);
	else
		policy_print_rules(options.policy, print_line, NULL);
	return 0;
}

static const struct command policy_command = {
	.name = "policy",
	.summary = "List the seccomp filters in this binary, or print one",
	.positional = "[POLICY]",
	.opts = policy_opts,
	.run = policy_run,
};
COMMAND(policy_command);
