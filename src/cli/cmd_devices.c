// SPDX-License-Identifier: BSD-3-Clause
// kiln devices: the device classes in this binary, and the options of one.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "dev/dev_class.h"
#include "vm/setup.h"

struct devices_options {
	char class_name[32];
};

static const char *class_nth_name(const void *cookie, u32 i)
{
	(void)cookie;
	return i < __stop_kiln_devices - __start_kiln_devices ? __start_kiln_devices[i]->name
							      : NULL;
}

static int devices_positional(void *opaque, const char *word, struct err *e)
{
	struct devices_options *options = opaque;
	const char *nearest;

	if (options->class_name[0])
		return err_set(e, -EINVAL, "one device at a time: '%s' and '%s'",
			       options->class_name, word);
	if (dev_class_find(word)) {
		snprintf(options->class_name, sizeof(options->class_name), "%s", word);
		return 0;
	}
	nearest = word_nearest(word, class_nth_name, NULL);
	if (nearest)
		return err_set(e, -EINVAL, "no device '%s': did you mean '%s'?", word, nearest);
	return err_set(e, -EINVAL, "no device '%s' in this binary", word);
}

static int devices_run(const struct command *self, int argc, char *const *argv)
{
	static const struct opt none[] = { { .name = NULL } };
	struct devices_options options = { 0 };
	int code = command_parse(self, &options, argc, argv, devices_positional);
	const struct dev_class *cls;

	if (code)
		return code;
	if (!options.class_name[0]) {
		dev_class_for_each (p)
			printf("%-12s %u  %s\n", (*p)->name, (*p)->nr_instances, (*p)->summary);
		return 0;
	}
	cls = dev_class_find(options.class_name);
	printf("%s: %s\nInstances: %u\n", cls->name, cls->summary, cls->nr_instances);
	if (cls->shorthand)
		printf("Configured by: kiln run --%s KEY=VALUE,...\n", cls->shorthand);
	opt_help_keys(cls->opts ? cls->opts : none, stdout);
	return 0;
}

static const struct command devices_command = {
	.name = "devices",
	.summary = "List the devices in this binary, or the options of one",
	.positional = "[DEVICE]",
	.run = devices_run,
};
COMMAND(devices_command);
