// SPDX-License-Identifier: BSD-3-Clause
// kiln doctor: what this host can do for Kiln.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/command.h"
#include "ctl/plan.h"
#include "jail/check.h"
#include "kvm/probe.h"
#include "util/fd.h"

enum finding_kind { FINDING_OK, FINDING_WARN, FINDING_BAD };

struct finding {
	enum finding_kind kind;
	const char *name; /* a word for machines */
	char text[ERR_TEXT_BYTES];
};

struct doctor {
	u32 nr_findings;
	struct finding findings[24];
	u64 loops_per_second, exit_ns;
};

static void doctor_add(struct doctor *doctor, enum finding_kind kind, const char *name,
		       const char *fmt, ...) PRINTF_LIKE(4, 5);
static void doctor_add(struct doctor *doctor, enum finding_kind kind, const char *name,
		       const char *fmt, ...)
{
	struct finding *finding;
	va_list args;

	if (doctor->nr_findings >= ARRAY_SIZE(doctor->findings))
		abort(); /* a build that checks more than the list holds */
	finding = &doctor->findings[doctor->nr_findings++];
	finding->kind = kind;
	finding->name = name;
	va_start(args, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, args);
	va_end(args);
}

static void check_kernel(struct doctor *doctor)
{
	struct utsname names;
	unsigned long major, minor;
	char *dot;

	if (uname(&names) < 0) {
		doctor_add(doctor, FINDING_WARN, "kernel", "this kernel does not tell its version");
		return;
	}
	major = strtoul(names.release, &dot, 10);
	minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
	if (major < 5 || (major == 5 && minor < 9))
		doctor_add(doctor, FINDING_BAD, "kernel", "Linux %s: Kiln needs 5.9 or newer",
			   names.release);
	else
		doctor_add(doctor, FINDING_OK, "kernel", "Linux %s", names.release);
}

static void check_capabilities(struct doctor *doctor, int kvm_fd)
{
	bool all = true;

	for (const struct arch_capability *cap = arch_capabilities; cap->name; cap++) {
		if (kvm_capability(kvm_fd, cap->number) > 0)
			continue;
		all = false;
		doctor_add(doctor, cap->needed ? FINDING_BAD : FINDING_WARN, "capabilities",
			   "KVM lacks %s%s", cap->name, cap->needed ? ", which machines need" : "");
	}
	if (all)
		doctor_add(doctor, FINDING_OK, "capabilities", "KVM has all that machines need");
	doctor_add(doctor, FINDING_OK, "cpus", "up to %u vCPUs in a machine",
		   MIN(kvm_vcpus_max(kvm_fd), arch_vcpus_max()));
}

static void check_guest(struct doctor *doctor, int kvm_fd)
{
	struct probe_result result = { 0 };
	struct err e;

	if (probe_guest(kvm_fd, &result, &e) < 0) {
		doctor_add(doctor, FINDING_BAD, "guest", "%s", e.text);
		return;
	}
	doctor->loops_per_second = result.loops_per_second;
	doctor->exit_ns = result.exit_ns;
	if (result.loops_per_second < PROBE_LOOPS_PER_SECOND_MIN)
		doctor_add(doctor, FINDING_BAD, "guest",
			   "guests run, but %llu loops in a second are too few for a kernel (%d): "
			   "this /dev/kvm interprets them",
			   (unsigned long long)result.loops_per_second, PROBE_LOOPS_PER_SECOND_MIN);
	else
		doctor_add(doctor, FINDING_OK, "guest",
			   "guests run: %llu million loops in a second, %llu ns for an exit",
			   (unsigned long long)result.loops_per_second / 1000000,
			   (unsigned long long)result.exit_ns);
}

static void check_kvm(struct doctor *doctor)
{
	struct err e;
	cleanup_fd int kvm_fd = plan_open_kvm(&e);
	int version;

	if (kvm_fd < 0) {
		doctor_add(doctor, FINDING_BAD, "kvm", "%s", e.text);
		return;
	}
	version = kvm_api_version(kvm_fd);
	if (version != KVM_API_VERSION) {
		doctor_add(doctor, FINDING_BAD, "kvm", "/dev/kvm speaks API version %d, not %d",
			   version, KVM_API_VERSION);
		return;
	}
	doctor_add(doctor, FINDING_OK, "kvm", "/dev/kvm opens, API version %d", version);
	check_capabilities(doctor, kvm_fd);
	check_guest(doctor, kvm_fd);
}

static void check_jail(struct doctor *doctor)
{
	struct err e = { 0 };

	if (!IS_ENABLED(CONFIG_JAIL))
		doctor_add(doctor, FINDING_WARN, "jail",
			   "this binary holds no jail (CONFIG_JAIL is off)");
	else if (jail_check(&e) < 0)
		doctor_add(doctor, FINDING_BAD, "jail", "%s", e.text);
	else
		doctor_add(doctor, FINDING_OK, "jail",
			   "namespaces, empty root%s and no capabilities work",
			   IS_ENABLED(CONFIG_SECCOMP) ? ", seccomp" : "");
}

static void print_words(const struct doctor *doctor, enum finding_kind worst)
{
	static const char *const mark[] = { "ok  ", "warn", "BAD " };

	for (u32 i = 0; i < doctor->nr_findings; i++)
		printf("%s  %-12s %s\n", mark[doctor->findings[i].kind], doctor->findings[i].name,
		       doctor->findings[i].text);
	if (worst != FINDING_BAD)
		puts("\nMachines run here.");
	else if (doctor->loops_per_second > 0)
		puts("\nMachines will not run well here.");
	else
		puts("\nMachines will not run here.");
}

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const struct doctor *doctor, enum finding_kind worst)
{
	static const char *const word[] = { "ok", "warn", "bad" };

	printf("{\"ok\":%s,\"loops_per_second\":%llu,\"exit_ns\":%llu,\"findings\":[",
	       worst == FINDING_BAD ? "false" : "true",
	       (unsigned long long)doctor->loops_per_second, (unsigned long long)doctor->exit_ns);
	for (u32 i = 0; i < doctor->nr_findings; i++) {
		printf("%s{\"name\":\"%s\",\"state\":\"%s\",\"text\":", i ? "," : "",
		       doctor->findings[i].name, word[doctor->findings[i].kind]);
		print_json_text(doctor->findings[i].text);
		putchar('}');
	}
	puts("]}");
}

struct doctor_options {
	bool json, probe;
};

static const struct opt doctor_opts[] = {
	{ .name = "json", OPT_FLAG(struct doctor_options, json), .help = HELP("one line of JSON") },
	{ .name = "probe",
	  OPT_FLAG(struct doctor_options, probe),
	  .help = HELP("print nothing, look at /dev/kvm only: for scripts") },
	{ .name = NULL },
};

static int doctor_run(const struct command *self, int argc, char *const *argv)
{
	struct doctor_options options = { 0 };
	struct doctor doctor = { 0 };
	enum finding_kind worst = FINDING_OK;
	int code = command_parse(self, &options, argc, argv, NULL);

	if (code)
		return code;
	if (!options.probe)
		check_kernel(&doctor);
	check_kvm(&doctor);
	if (!options.probe)
		check_jail(&doctor);
	for (u32 i = 0; i < doctor.nr_findings; i++)
		worst = MAX(worst, doctor.findings[i].kind);
	if (options.json)
		print_json(&doctor, worst);
	else if (!options.probe)
		print_words(&doctor, worst);
	return worst == FINDING_BAD;
}

static const struct command doctor_command = {
	.name = "doctor",
	.summary = "Tell what this host can do, and whether guests really run here",
	.opts = doctor_opts,
	.notes = "Exit code: 0 when machines run here, 1 when not.\n",
	.run = doctor_run,
};
COMMAND(doctor_command);
