// SPDX-License-Identifier: BSD-3-Clause
// seccompc: options and modes of the policy compiler.
#include "seccompc.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: seccompc --arch ARCH --default kill|trap --name NAME [--constants FILE] [options] "
	"POLICY\n"
	"       seccompc --arch ARCH --names [options] POLICY\n"
	"       seccompc --arch ARCH --syscall-names [options]\n"
	"\n"
	"Compiles a seccomp policy (seccomp/README.md) to C source that registers its filter.\n"
	"\n"
	"  --arch ARCH       the target: x86_64, aarch64 or riscv64\n"
	"  --default ACTION  for calls no rule allows: kill ends the process, trap sends SIGSYS\n"
	"  --name NAME       what policy_find() knows the filter by\n"
	"  --constants FILE  the policy's constants: what the target's compiler made of --names\n"
	"  --names           write C source that holds the policy's constants in a table\n"
	"  --syscall-names   write C source of the table behind policy_syscall_name()\n"
	"  --root DIR        the project's root, which @include starts from (default: .)\n"
	"  -o FILE           output (default: standard output)\n"
	"  -M FILE           write a dependency file for make\n";

struct options {
	const struct arch *arch;
	const char *name, *constants, *root, *output, *depfile;
	const char *policy; /* path of the policy */
	bool default_given, default_traps, names, syscall_names;
};

enum { OPT_ARCH = 256, OPT_DEFAULT, OPT_NAME, OPT_CONSTANTS, OPT_NAMES, OPT_SYSCALLS, OPT_ROOT };

static const struct option long_options[] = {
	{ "arch", required_argument, NULL, OPT_ARCH },
	{ "default", required_argument, NULL, OPT_DEFAULT },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "constants", required_argument, NULL, OPT_CONSTANTS },
	{ "names", no_argument, NULL, OPT_NAMES },
	{ "syscall-names", no_argument, NULL, OPT_SYSCALLS },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void default_parse(struct options *opts, const char *text)
{
	opts->default_given = true;
	opts->default_traps = strcmp(text, "trap") == 0;
	if (!opts->default_traps && strcmp(text, "kill") != 0)
		die("--default is kill or trap, not '%s'", text);
}

static void name_parse(struct options *opts, const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((u8)*c) && !strchr("_-.", *c))
			die("--name '%s': only letters, digits and _-. can be in a name", text);
	if (!*text)
		die("--name is empty");
	opts->name = text;
}

static void option_apply(struct options *opts, int option)
{
	switch (option) {
	case OPT_ARCH:
		opts->arch = arch_find(optarg);
		if (!opts->arch)
			die("--arch is x86_64, aarch64 or riscv64, not '%s'", optarg);
		break;
	case OPT_DEFAULT:
		default_parse(opts, optarg);
		break;
	case OPT_NAME:
		name_parse(opts, optarg);
		break;
	case OPT_CONSTANTS:
		opts->constants = optarg;
		break;
	case OPT_NAMES:
		opts->names = true;
		break;
	case OPT_SYSCALLS:
		opts->syscall_names = true;
		break;
	case OPT_ROOT:
		opts->root = optarg;
		break;
	case 'o':
		opts->output = optarg;
		break;
	case 'M':
		opts->depfile = optarg;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default: /* getopt has said what is wrong */
		exit(1);
	}
}

static void options_parse(struct options *opts, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "o:M:h", long_options, NULL)) != -1)
		option_apply(opts, option);
	if (!opts->arch)
		die("--arch is missing (try --help)");
	if (opts->depfile && strcmp(opts->output, "-") == 0)
		die("-M needs -o: make's rule begins with the output's name");
	if (opts->syscall_names) {
		if (opts->names || argc != optind)
			die("--syscall-names takes no policy and no --names (try --help)");
		return;
	}
	if (argc - optind != 1)
		die("one policy is needed, %d are given (try --help)", argc - optind);
	opts->policy = argv[optind];
	if (!opts->names && (!opts->default_given || !opts->name))
		die("--default and --name are needed (try --help)");
}

static void deps_write(const struct policy *policy, const struct options *opts, FILE *out)
{
	fprintf(out, "%s:", opts->output);
	for (size_t i = 0; i < policy->nr_deps; i++)
		fprintf(out, " %s", policy->deps[i]);
	fprintf(out, "\n");
	/* A target without a rule for each: make goes on when an include is gone. */
	for (size_t i = 0; i < policy->nr_deps; i++)
		fprintf(out, "\n%s:\n", policy->deps[i]);
}

static void result_write(struct policy *policy, const struct options *opts, FILE *out)
{
	if (opts->syscall_names) {
		syscall_names_write(opts->arch, out);
		return;
	}
	policy_parse(policy, opts->root, opts->policy);
	policy_select(policy, opts->arch);
	if (opts->names) {
		constants_write(policy, opts->arch, out);
		return;
	}
	constants_resolve(policy, opts->arch, opts->constants);
	policy_check(policy);
	policy_write(policy, opts->arch, opts->name, opts->default_traps, out);
}

static FILE *buffer_open(char **bytes, size_t *size_bytes)
{
	FILE *buffer = open_memstream(bytes, size_bytes);

	if (!buffer)
		die("out of memory");
	return buffer;
}

static void buffer_write(FILE *buffer, const char *path, char *const *bytes,
			 const size_t *size_bytes)
{
	if (ferror(buffer) || fclose(buffer))
		die("out of memory");
	output_write(path, *bytes, *size_bytes);
}

int main(int argc, char **argv)
{
	struct options opts = { .root = ".", .output = "-" };
	struct policy policy = { 0 };
	size_t size_bytes;
	char *bytes;
	FILE *buffer; /* files are written once all is well: a mistake leaves none behind */

	options_parse(&opts, argc, argv);
	buffer = buffer_open(&bytes, &size_bytes);
	result_write(&policy, &opts, buffer);
	buffer_write(buffer, opts.output, &bytes, &size_bytes);
	if (opts.depfile) {
		buffer = buffer_open(&bytes, &size_bytes);
		deps_write(&policy, &opts, buffer);
		buffer_write(buffer, opts.depfile, &bytes, &size_bytes);
	}
	return 0;
}
