// SPDX-License-Identifier: BSD-3-Clause
// kiln run: start a machine and stay with it to its end.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/device_text.h"
#include "ctl/plan.h"
#include "ctl/supervisor.h"
#include "ctl/user.h"
#include "util/log.h"

enum { RUN_OPTS_MAX = 64 };
enum { RUN_OPT_MEM, RUN_OPT_CPUS }; /* the first of run_opts */

struct run_options {
	struct plan *plan;
	u64 mem_bytes;
	u32 nr_cpus, boot, virtio;
	bool disable_sandbox, dry_run;
	char initrd[PATH_MAX], kernel[PATH_MAX];
};

static int run_add_params(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct run_options *options = opaque;
	char *cmdline = options->plan->setup.boot.cmdline;
	size_t used = strlen(cmdline);

	(void)opt;
	if (used + 1 + strlen(value) >= ARCH_CMDLINE_BYTES)
		return err_set(e, -EINVAL,
			       "params: the kernel command line is %zu bytes long (at most %d)",
			       used + 1 + strlen(value), ARCH_CMDLINE_BYTES - 1);
	snprintf(cmdline + used, ARCH_CMDLINE_BYTES - used, "%s%s", used ? " " : "", value);
	return 0;
}

static int run_configure(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct run_options *options = opaque;

	return plan_configure(options->plan, opt->cookie, value, e);
}

/* --device CLASS[,KEY=VALUE]... */
static int run_add_device(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct run_options *options = opaque;
	const char *text;
	const struct vdev_class *cls = device_text_class(value, &text, e);

	if (IS_ENABLED(CONFIG_VIRTIO) && cls)
		return plan_add_vdev(options->plan, cls, text, e);
	return err_prefix(e, "%s", opt->name);
}

/* --vhost-user TYPE,socket=PATH[,KEY=VALUE]... */
static int run_add_remote(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct run_options *options = opaque;

	return plan_add_remote(options->plan, value, e) < 0 ? err_prefix(e, "%s", opt->name) : 0;
}

/* A shorthand's option refers to both by its cookie. */
struct run_shorthand {
	const struct vdev_class *cls;
	const struct vdev_shorthand *shorthand;
};

static int run_add_shorthand(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct run_options *options = opaque;
	const struct run_shorthand *which = opt->cookie;

	return plan_add_shorthand(options->plan, which->cls, which->shorthand, value, e);
}

static const char *const virtio_words[] = {
	[VM_VIRTIO_AUTO] = "auto", [VM_VIRTIO_PCI] = "pci", [VM_VIRTIO_MMIO] = "mmio", NULL
};
static const char *const boot_words[] = { "auto", "linux", "pvh", NULL };

static const struct opt run_opts[] = {
	[RUN_OPT_MEM] = { .name = "mem",
			  .letter = 'm',
			  OPT_BYTES(struct run_options, mem_bytes, MIB(1), MIB(1), GIB(16384)),
			  .arg = "SIZE",
			  .def = "256",
			  .help = HELP("guest memory: MiB, or with a suffix (512M, 2G)") },
	[RUN_OPT_CPUS] = { .name = "cpus",
			   .letter = 'c',
			   OPT_U32(struct run_options, nr_cpus, 1, 0 /* run_make_opts */),
			   .arg = "N",
			   .def = "1",
			   .help = HELP("virtual CPUs") },
	{ .name = "initrd",
	  .letter = 'i',
	  OPT_TEXT(struct run_options, initrd),
	  .arg = "FILE",
	  .help = HELP("initial RAM disk") },
	{ .name = "params",
	  .letter = 'p',
	  OPT_CALL(run_add_params),
	  .arg = "WORDS",
	  .help = HELP("add to the kernel command line; may be repeated") },
	{ .name = "boot",
	  OPT_CHOICE(struct run_options, boot, boot_words),
	  .arg = "HOW",
	  .def = "auto",
	  .help = HELP("entry of an ELF kernel") },
	{ .name = "device",
	  OPT_CALL(run_add_device),
	  .arg = "CLASS,...",
	  .help = HELP("add a virtio device: its class, then its options as KEY=VALUE") },
	{ .name = "virtio",
	  OPT_CHOICE(struct run_options, virtio, virtio_words),
	  .arg = "HOW",
	  .def = "auto",
	  .help = HELP("transport of the virtio devices") },
	{ .name = "disable-sandbox",
	  OPT_FLAG(struct run_options, disable_sandbox),
	  .help = HELP("no namespaces, no filters: for debugging") },
	{ .name = "dry-run",
	  OPT_FLAG(struct run_options, dry_run),
	  .help = HELP("check options, open kernel and initrd, start nothing") },
	{ .name = NULL },
};

static const struct opt run_remote_opt = {
	.name = "vhost-user",
	OPT_CALL(run_add_remote),
	.arg = "TYPE,...",
	.help = HELP("add a device that another program serves; see below"),
};

/* Return: how many options the table has now. */
static u32 run_make_shorthands(struct opt *table, u32 nr, const struct vdev_class *cls)
{
	static struct run_shorthand which[RUN_OPTS_MAX];

	for (const struct vdev_shorthand *s = cls->shorthands; s && s->name; s++, nr++) {
		if (nr + 1 >= RUN_OPTS_MAX)
			abort(); /* a build with more shorthands than the table holds */
		which[nr] = (struct run_shorthand){ .cls = cls, .shorthand = s };
		table[nr] = (struct opt){ .name = s->name,
					  .letter = s->letter,
					  OPT_CALL(run_add_shorthand),
					  .cookie = &which[nr],
					  .arg = s->arg,
					  .help = s->help };
	}
	return nr;
}

/* The command's own options, with the machine's limits, and one for each device class that has a shorthand. */
static const struct opt *run_make_opts(void)
{
	static struct opt table[RUN_OPTS_MAX];
	u32 nr = ARRAY_SIZE(run_opts) - 1;

	memcpy(table, run_opts, sizeof(run_opts));
	table[RUN_OPT_CPUS].max = arch_vcpus_max();
	if (IS_ENABLED(CONFIG_VHOST_USER))
		table[nr++] = run_remote_opt;
	dev_class_for_each (p) {
		if (!(*p)->shorthand)
			continue;
		if (nr + 1 >= RUN_OPTS_MAX)
			abort(); /* a build with more shorthands than the table holds */
		table[nr++] = (struct opt){ .name = (*p)->shorthand,
					    OPT_CALL(run_configure),
					    .cookie = *p,
					    .arg = "OPTIONS",
					    .help = (*p)->shorthand_help };
	}
	if (IS_ENABLED(CONFIG_VIRTIO))
		vdev_class_for_each (p)
			nr = run_make_shorthands(table, nr, *p);
	table[nr].name = NULL;
	return table;
}

static int run_positional(void *opaque, const char *word, struct err *e)
{
	struct run_options *options = opaque;

	if (options->kernel[0])
		return err_set(e, -EINVAL, "one kernel is enough: '%s' and '%s'", options->kernel,
			       word);
	if (strlen(word) == 0 || strlen(word) >= sizeof(options->kernel))
		return err_set(e, -EINVAL, "the kernel's path has %zu bytes (1 to %zu)",
			       strlen(word), sizeof(options->kernel) - 1);
	memcpy(options->kernel, word, strlen(word) + 1);
	return 0;
}

static enum vm_virtio run_virtio_transport(const struct run_options *options)
{
	if (options->virtio != VM_VIRTIO_AUTO)
		return (enum vm_virtio)options->virtio;
	return IS_ENABLED(CONFIG_VIRTIO_PCI) ? VM_VIRTIO_PCI : VM_VIRTIO_MMIO;
}

static bool run_has_transport(enum vm_virtio transport)
{
	static const bool is_built[] = {
		[VM_VIRTIO_PCI] = IS_ENABLED(CONFIG_VIRTIO_PCI),
		[VM_VIRTIO_MMIO] = IS_ENABLED(CONFIG_VIRTIO_MMIO),
	};

	return is_built[transport];
}

static int run_fill_plan(struct run_options *options, struct plan *plan, struct err *e)
{
	struct vm_setup *setup = &plan->setup;

	if (!options->kernel[0])
		return err_set(e, -EINVAL, "no kernel given: kiln run [OPTIONS] KERNEL");
	memcpy(plan->kernel_path, options->kernel, sizeof(plan->kernel_path));
	memcpy(plan->initrd_path, options->initrd, sizeof(plan->initrd_path));
	setup->mem_bytes = ALIGN_UP(options->mem_bytes, 4096);
	setup->nr_cpus = options->nr_cpus;
	setup->boot.protocol = (enum boot_protocol)options->boot;
	setup->virtio = run_virtio_transport(options);
	if (plan->nr_vdevs > 0 && !run_has_transport(setup->virtio))
		return err_set(e, -EINVAL, "virtio: '%s' is not in this binary",
			       virtio_words[setup->virtio]);
	plan->dry_run = options->dry_run;
	setup->jailed = IS_ENABLED(CONFIG_JAIL) && !options->disable_sandbox;
	return 0;
}

static int run_planned(const struct command *self, struct run_options *options, struct plan *plan)
{
	struct plan_err pe = { .kind = VM_END_INVALID };

	if (run_fill_plan(options, plan, &pe.err) < 0)
		return command_fail(self, &pe.err);
	user_hold_signals();
	if (plan_open(plan, &pe) < 0) {
		command_fail(self, &pe.err);
		return (int)pe.kind;
	}
	if (options->dry_run)
		return 0;
	return supervisor_run(plan);
}

static int run_run(const struct command *self, int argc, char *const *argv)
{
	static struct run_options options; /* large, and there is one */
	int code;

	options.plan = plan_create();
	if (!options.plan) {
		log_err("out of memory");
		return VM_END_FAILED;
	}
	opt_defaults(run_make_opts(), &options);
	code = command_parse(self, &options, argc, argv, run_positional);
	if (code == 0)
		code = run_planned(self, &options, options.plan);
	plan_destroy(options.plan);
	return code;
}

#define RUN_NOTES_REMOTE                                                                        \
	"--vhost-user TYPE,socket=PATH: TYPE is blk, console, fs, net, rng or vsock, or\n"      \
	"left out for id=N,queues=N[,config_bytes=N]. blk and fs take queues=N; fs tag=NAME,\n" \
	"net mac=MAC, vsock cid=N where the other program does not tell; all queue_size=N.\n"   \
	"That program sees all of the guest's memory.\n\n"
#define RUN_NOTES                                                               \
	"Exit codes:\n"                                                         \
	"  0   the guest powered off, or the user ended it (Ctrl-a x)\n"        \
	"  32  the guest reset\n"                                               \
	"  33  the guest crashed: triple fault, or KVM could not go on\n"       \
	"  34  the guest's kernel panicked (pvpanic)\n"                         \
	"  35  invalid options, or a kernel or initrd that cannot be started\n" \
	"  36  watchdog\n"                                                      \
	"  1   anything else of Kiln's own or of this host\n"                   \
	"  128 + N  stopped by signal N\n"

static const struct command run_command = {
	.name = "run",
	.summary = "Start a machine and stay with it to its end",
	.positional = "KERNEL",
	.make_opts = run_make_opts,
	.notes = IS_ENABLED(CONFIG_VHOST_USER) ? RUN_NOTES_REMOTE RUN_NOTES : RUN_NOTES,
	.run = run_run,
};
COMMAND(run_command);
