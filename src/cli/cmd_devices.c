// SPDX-License-Identifier: BSD-3-Clause
// kiln devices: the device classes in this binary, platform and virtio, and the options of one.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "dev/dev_class.h"
#include "virtio/vdev.h"

struct devices_options {
	char class_name[32];
};

/* Platform devices first, then virtio devices. */
static const char *class_nth_name(const void *cookie, u32 i)
{
	const u32 nr = (u32)(__stop_kiln_devices - __start_kiln_devices);

	(void)cookie;
	if (i < nr)
		return __start_kiln_devices[i]->name;
	i -= nr;
	return i < __stop_kiln_vdevs - __start_kiln_vdevs ? __start_kiln_vdevs[i]->name : NULL;
}

static int devices_positional(void *opaque, const char *word, struct err *e)
{
	struct devices_options *options = opaque;
	const char *nearest;

	if (options->class_name[0])
		return err_set(e, -EINVAL, "one device at a time: '%s' and '%s'",
			       options->class_name, word);
	if (dev_class_find(word) || vdev_class_find(word)) {
		snprintf(options->class_name, sizeof(options->class_name), "%s", word);
		return 0;
	}
	nearest = word_nearest(word, class_nth_name, NULL);
	if (nearest)
		return err_set(e, -EINVAL, "no device '%s': did you mean '%s'?", word, nearest);
	return err_set(e, -EINVAL, "no device '%s' in this binary", word);
}

static void devices_list(void)
{
	dev_class_for_each (p)
		printf("%-14s %u  %s\n", (*p)->name, (*p)->nr_instances, (*p)->summary);
	vdev_class_for_each (p)
		printf("%-14s +  %s\n", (*p)->name, (*p)->summary);
}

static void devices_show(const struct dev_class *cls)
{
	printf("%s: %s\nInstances: %u\n", cls->name, cls->summary, cls->nr_instances);
	if (cls->shorthand)
		printf("Configured by: kiln run --%s KEY=VALUE,...\n", cls->shorthand);
	if (cls->opts)
		opt_help_keys(cls->opts, stdout);
}

static void devices_show_virtio(const struct vdev_class *cls)
{
	printf("%s: %s\nInstances: one for each kiln run --device %s%s\n", cls->name, cls->summary,
	       cls->name, cls->opts ? ",KEY=VALUE,..." : "");
	for (const struct vdev_shorthand *s = cls->shorthands; s && s->name; s++)
		printf("%s --%s %s\n", s == cls->shorthands ? "Or by:" : "      ", s->name, s->arg);
	if (cls->opts)
		opt_help_keys(cls->opts, stdout);
}

static int devices_run(const struct command *self, int argc, char *const *argv)
{
	struct devices_options options = { 0 };
	int code = command_parse(self, &options, argc, argv, devices_positional);

	if (code)
		return code;
	if (!options.class_name[0])
		devices_list();
	else if (dev_class_find(options.class_name))
		devices_show(dev_class_find(options.class_name));
	else
		devices_show_virtio(vdev_class_find(options.class_name));
	return 0;
}

static const struct command devices_command = {
	.name = "devices",
	.summary = "List the devices in this binary, or the options of one",
	.positional = "[DEVICE]",
	.run = devices_run,
};
COMMAND(devices_command);
