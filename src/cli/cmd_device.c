// SPDX-License-Identifier: BSD-3-Clause
// kiln device: one virtio device in a jail of its own, for the vhost-user front-end of any machine.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/device_text.h"
#include "ctl/serve.h"
#include "ctl/user.h"
#include "util/unix_socket.h"

struct device_options {
	struct plan_vdev vdev;
	bool has_vdev;
	char socket[UNIX_PATH_BYTES];
	int socket_fd; /* -1: none */
	bool once, disable_sandbox;
};

static int device_socket_fd(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct device_options *options = opaque;
	u64 fd;

	if (options->socket_fd >= 0)
		return err_set(e, -EINVAL, "'%s' is given twice", opt->name);
	if (opt_parse_u64(value, &fd) < 0 || fd > INT32_MAX)
		return err_set(e, -EINVAL, "%s: '%s' is not the number of a descriptor", opt->name,
			       value);
	options->socket_fd = (int)fd;
	return 0;
}

static const struct opt device_opts[] = {
	{ .name = "socket",
	  OPT_TEXT(struct device_options, socket),
	  .arg = "PATH",
	  .help = HELP("listen here for front-ends, one at a time") },
	{ .name = "socket-fd",
	  OPT_CALL(device_socket_fd),
	  .arg = "N",
	  .help = HELP("an open socket instead: listening, or a front-end's") },
	{ .name = "once",
	  OPT_FLAG(struct device_options, once),
	  .help = HELP("end when the first front-end is gone") },
	{ .name = "disable-sandbox",
	  OPT_FLAG(struct device_options, disable_sandbox),
	  .help = HELP("no namespaces, no filters: for debugging") },
	{ .name = NULL },
};

static int device_positional(void *opaque, const char *word, struct err *e)
{
	struct device_options *options = opaque;
	const struct vdev_class *cls;
	const char *text;

	if (options->has_vdev)
		return err_set(e, -EINVAL, "one device at a time: '%s' and '%s'",
			       options->vdev.cls->name, word);
	cls = device_text_class(word, &text, e);
	if (!cls)
		return e->code;
	plan_vdev_init(&options->vdev, cls, 0);
	options->has_vdev = true;
	return plan_vdev_parse(&options->vdev, text, e);
}

static int device_check(const struct device_options *options, struct err *e)
{
	if (!options->has_vdev)
		return err_set(e, -EINVAL, "no device given: kiln device CLASS,... --socket PATH");
	if (!options->socket[0] == (options->socket_fd < 0))
		return err_set(e, -EINVAL, "one of --socket PATH and --socket-fd N is needed");
	return 0;
}

static int device_run(const struct command *self, int argc, char *const *argv)
{
	static struct device_options options; /* large, and there is one */
	struct serve_request request = { .vdev = &options.vdev };
	struct err e;
	int code;

	options.socket_fd = -1;
	code = command_parse(self, &options, argc, argv, device_positional);
	if (code)
		return code;
	if (device_check(&options, &e) < 0)
		return command_fail(self, &e);
	request.path = options.socket[0] ? options.socket : NULL;
	request.socket_fd = options.socket_fd;
	request.once = options.once;
	options.vdev.setup.jailed = IS_ENABLED(CONFIG_JAIL) && !options.disable_sandbox;
	user_hold_signals();
	if (serve_open(&request, &e) < 0)
		code = command_fail(self, &e);
	else
		code = serve_run(&request);
	serve_close(&request);
	return code;
}

static const struct command device_command = {
	.name = "device",
	.summary = "Serve one virtio device to a vhost-user front-end",
	.positional = "CLASS[,KEY=VALUE]...",
	.opts = device_opts,
	.notes =
		"The device runs in a jail as in a machine. The front-end, QEMU for example, must\n"
		"share its guest's memory.\n"
		"\n"
		"Exit codes:\n"
		"  0   stopped by a signal, or --once and the front-end is gone\n"
		"  35  invalid options, or what they name cannot be opened\n"
		"  1   anything else of Kiln's own or of this host\n",
	.run = device_run,
};
COMMAND(device_command);
