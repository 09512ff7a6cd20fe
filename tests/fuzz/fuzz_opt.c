// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: words as users type them, for `kiln run` and for a table with every kind of value.
// test-sources: src/cli/device_text.c src/ctl/plan.c src/ctl/remote.c src/vm/remote_types.c src/dev/dev_class.c src/stream/serial_cfg.c src/util/unix_socket.c src/stream/stream.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c src/util/opt.c src/virtio/vdev_class.c drivers/isa/uart16550/uart16550.c drivers/isa/debugcon/debugcon.c
#include "cli/cmd_run.c"

#include <stdlib.h>

#include "stream/serial_cfg.h"

enum { TEXT_BYTES_MAX = 16384, WORDS_MAX = 128 };

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fuzz_opt: %s\n", what);
		abort();
	}
}

/* --- What `kiln run` needs beside its words --------------------------------------------------- */

int command_parse(const struct command *command, void *options, int argc, char *const *argv,
		  opt_positional_fn *positional)
{
	(void)command, (void)options, (void)argc, (void)argv, (void)positional;
	abort();
}

int command_fail(const struct command *command, const struct err *e)
{
	(void)command, (void)e;
	abort();
}

int supervisor_run(struct plan *plan)
{
	(void)plan;
	abort();
}

u32 kvm_vcpus_max(int kvm_fd)
{
	(void)kvm_fd;
	abort();
}

u32 arch_vcpus_max(void)
{
	return 254;
}

int arch_mem_layout(u64 mem_bytes, struct gmem_range *ranges, struct err *e)
{
	(void)mem_bytes, (void)ranges, (void)e;
	abort();
}

const char *arch_cmdline_base(const char *console)
{
	return console ? "console=hvc0" : "console=ttyS0";
}

/* --- A table with every kind ------------------------------------------------------------------ */

struct every {
	bool flag, other;
	u32 number, wide, choice;
	u64 size;
	char text[8];
	u32 nr_calls;
};

static int count_call(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct every *every = opaque;

	(void)opt;
	every->nr_calls++;
	return value[0] == '!' ? err_set(e, -EINVAL, "call: '%s' is not wanted", value) : 0;
}

static const char *const colours[] = { "red", "green", "blue", NULL };

static const struct opt every_opts[] = {
	{ .name = "flag", .letter = 'f', OPT_FLAG(struct every, flag) },
	{ .name = "flagship", OPT_FLAG(struct every, other), .def = "on" },
	{ .name = "number", .letter = 'n', OPT_U32(struct every, number, 2, 9), .def = "5" },
	{ .name = "wide", OPT_U32(struct every, wide, 0, UINT32_MAX), .arg = "N" },
	{ .name = "size",
	  .letter = 's',
	  OPT_BYTES(struct every, size, MIB(1), KIB(4), GIB(2)),
	  .arg = "SIZE",
	  .def = "1536K" },
	{ .name = "text", .letter = 't', OPT_TEXT(struct every, text), .arg = "TEXT" },
	{ .name = "colour", OPT_CHOICE(struct every, choice, colours), .def = "green" },
	{ .name = "call", .letter = 'c', OPT_CALL(count_call), .arg = "ANYTHING" },
	{ .name = NULL },
};

/* Where words were parsed, help may have been asked for. */
static void check_failure(int status, const struct err *e)
{
	if (status == -ECANCELED) /* help was asked for */
		return;
	expect(status == -EINVAL && e->code == -EINVAL, "a failure with another code");
	expect(e->text[0] && strnlen(e->text, sizeof(e->text)) < sizeof(e->text), "no words");
}

static void check_every(const struct every *every)
{
	expect(every->number >= 2 && every->number <= 9, "a number out of range");
	expect(every->size >= KIB(4) && every->size <= GIB(2), "a size out of range");
	expect(every->choice < 3, "a choice that is none");
	expect(strnlen(every->text, sizeof(every->text)) < sizeof(every->text), "endless text");
}

/* --- Input ------------------------------------------------------------------------------------ */

/* Words are lines. Return: how many. */
static int split_words(char *text, char **argv)
{
	char *rest = text, *word;
	int argc = 0;

	while (argc < WORDS_MAX && (word = strsep(&rest, "\n")) != NULL)
		argv[argc++] = word;
	return argc;
}

static int count_word(void *opaque, const char *word, struct err *e)
{
	(void)opaque, (void)e;
	expect(word != NULL, "a word that is none");
	return 0;
}

static void try_every_words(char *text)
{
	struct every every = { 0 };
	char *argv[WORDS_MAX];
	struct err e = { 0 };
	int argc = split_words(text, argv), status;

	opt_defaults(every_opts, &every);
	status = opt_parse_words(every_opts, &every, argc, argv, count_word, &e);
	if (status < 0)
		check_failure(status, &e);
	expect(every.nr_calls <= (u32)argc, "more calls than words");
	check_every(&every);
}

static void try_every_pairs(const char *text)
{
	struct every every = { 0 };
	struct err e = { 0 };
	int status;

	opt_defaults(every_opts, &every);
	status = opt_parse_pairs(every_opts, &every, text, &e);
	if (status < 0)
		check_failure(status, &e);
	check_every(&every);
}

static void try_number(const char *text)
{
	u64 number = 0, again = 0, bytes = 0;
	int status = opt_parse_u64(text, &number);
	int bytes_status = opt_parse_bytes(text, 1, &bytes);
	char decimal[24];

	expect(status == 0 || status == -EINVAL || status == -ERANGE, "a status that is none");
	expect(status == -EINVAL || status == bytes_status, "a number that is no size");
	if (status < 0)
		return;
	expect(number == bytes, "a size that is another number");
	snprintf(decimal, sizeof(decimal), "%llu", (unsigned long long)number);
	expect(opt_parse_u64(decimal, &again) == 0 && again == number, "a number that changes");
}

/* --- kiln run --------------------------------------------------------------------------------- */

static void check_lines(struct plan *plan)
{
	for (u32 i = 0; i < plan->setup.nr_devices; i++) {
		const struct serial_cfg *cfg = plan_cfg(plan, i);

		expect(cfg->type <= SERIAL_UNIX && cfg->num <= 4, "a line that is none");
		expect(strnlen(cfg->path, sizeof(cfg->path)) < sizeof(cfg->path), "endless path");
	}
}

static void check_run(const struct run_options *options, struct plan *plan)
{
	const struct vm_setup *setup = &plan->setup;

	expect(setup->mem_bytes >= MIB(1) && setup->mem_bytes <= GIB(16384) &&
		       setup->mem_bytes % 4096 == 0,
	       "memory out of range");
	expect(setup->nr_cpus >= 1 && setup->nr_cpus <= 4096, "CPUs out of range");
	expect(setup->boot.protocol <= BOOT_PVH, "a protocol that is none");
	expect(setup->jailed == !options->disable_sandbox, "a jail nobody asked for");
	expect(plan->kernel_path[0] != '\0', "no kernel");
	expect(strnlen(plan->kernel_path, PATH_MAX) < PATH_MAX, "endless path of a kernel");
	expect(strnlen(plan->initrd_path, PATH_MAX) < PATH_MAX, "endless path of an initrd");
}

/* As run_run does it, up to where the first file would be opened. */
static void try_run_words(char *text)
{
	static struct run_options options;
	char *argv[WORDS_MAX];
	struct err e = { 0 };
	int argc = split_words(text, argv), status;
	struct plan *plan = plan_create();
	const char *cmdline;

	expect(plan != NULL, "no memory");
	memset(&options, 0, sizeof(options));
	options.plan = plan;
	cmdline = plan->setup.boot.cmdline;
	opt_defaults(run_make_opts(), &options);
	status = opt_parse_words(run_make_opts(), &options, argc, argv, run_positional, &e);
	if (status == 0)
		status = run_fill_plan(&options, plan, &e);
	if (status == 0)
		check_run(&options, plan);
	else
		check_failure(status, &e);
	expect(strnlen(cmdline, ARCH_CMDLINE_BYTES) < ARCH_CMDLINE_BYTES &&
		       strncmp(cmdline, arch_cmdline_base(NULL), strlen(arch_cmdline_base(NULL))) ==
			       0,
	       "a broken command line");
	check_lines(plan);
	plan_destroy(plan);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static char text[TEXT_BYTES_MAX + 1];
	size_t len;

	if (size == 0)
		return 0;
	len = MIN(size - 1, (size_t)TEXT_BYTES_MAX);
	memcpy(text, data + 1, len);
	text[len] = '\0';
	switch (data[0] % 4) {
	case 0:
		try_run_words(text);
		break;
	case 1:
		try_every_words(text);
		break;
	case 2:
		try_every_pairs(text);
		break;
	case 3:
		try_number(text);
		break;
	}
	return 0;
}
