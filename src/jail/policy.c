// SPDX-License-Identifier: BSD-3-Clause
// Seccomp policies baked into the binary: find, install and show them.
#include "jail/policy.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"

enum {
	LINE_BYTES = 512,
	NR_FOREIGN = 0x40000000, /* seccompc's filters kill the process for numbers from here on */
};

const struct policy *policy_find(const char *name)
{
	policy_for_each (p)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

int policy_install(const struct policy *policy, struct err *e)
{
	struct sock_fprog prog = {
		.len = (u16)policy->nr_insns,
		/* The kernel only reads it: the ABI's struct has no const. */
		.filter = (struct sock_filter *)(uintptr_t)policy->filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
		return 0;
	return err_errno(e, -errno,
			 "install seccomp policy '%s' (needs a kernel with CONFIG_SECCOMP_FILTER; "
			 "--disable-sandbox runs without)",
			 policy->name);
}

void policy_kill_self(void)
{
	syscall(NR_FOREIGN);
	__builtin_trap(); /* under no policy after all */
}

/* ---- rules ---- */

/* The text has "@FILE" where the file changes and "LINE RULE" for each rule, ended by an empty one.
 */
bool policy_rule_next(const struct policy *policy, struct policy_rule *rule)
{
	const char *record = rule->next ? rule->next : policy->text;

	if (!record)
		return false;
	if (*record == '@') {
		rule->file = record + 1;
		record += strlen(record) + 1;
	}
	rule->next = record;
	if (!*record)
		return false;
	for (rule->line = 0; *record >= '0' && *record <= '9'; record++)
		rule->line = rule->line * 10 + (u32)(*record - '0');
	rule->text = record + 1;
	rule->next = record + strlen(record) + 1;
	return true;
}

void policy_print_rules(const struct policy *policy, policy_print_fn *print, void *arg)
{
	struct policy_rule rule = { 0 };
	char line[LINE_BYTES];

	while (policy_rule_next(policy, &rule)) {
		snprintf(line, sizeof(line), "%-56s  %s:%u", rule.text, rule.file, rule.line);
		print(arg, line);
	}
}

/* ---- instructions ---- */

static void word_name(char *name, size_t name_bytes, u32 offset)
{
	u32 args = offsetof(struct seccomp_data, args);

	if (offset == offsetof(struct seccomp_data, nr))
		snprintf(name, name_bytes, "nr");
	else if (offset == offsetof(struct seccomp_data, arch))
		snprintf(name, name_bytes, "arch");
	else if (offset >= args && offset < sizeof(struct seccomp_data))
		snprintf(name, name_bytes, "arg%u.%s", (offset - args) / 8,
			 (offset - args) % 8 ? "hi" : "lo");
	else
		snprintf(name, name_bytes, "[%u]", offset);
}

static void action_name(char *name, size_t name_bytes, u32 action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		snprintf(name, name_bytes, "allow");
		break;
	case SECCOMP_RET_KILL_PROCESS:
		snprintf(name, name_bytes, "kill process");
		break;
	case SECCOMP_RET_TRAP:
		snprintf(name, name_bytes, "trap");
		break;
	case SECCOMP_RET_ERRNO:
		snprintf(name, name_bytes, "errno %u", action & SECCOMP_RET_DATA);
		break;
	default:
		snprintf(name, name_bytes, "0x%08x", action);
		break;
	}
}

/* Return: the mnemonic of a conditional jump, or NULL. */
static const char *jump_name(u16 code)
{
	switch (code) {
	case BPF_JMP | BPF_JEQ | BPF_K:
		return "jeq";
	case BPF_JMP | BPF_JGT | BPF_K:
		return "jgt";
	case BPF_JMP | BPF_JGE | BPF_K:
		return "jge";
	case BPF_JMP | BPF_JSET | BPF_K:
		return "jset";
	default:
		return NULL;
	}
}

static void insn_format(char *line, size_t line_bytes, u32 index, const struct sock_filter *insn)
{
	const char *jump = jump_name(insn->code);
	char name[32];

	if (jump) {
		snprintf(line, line_bytes, "%4u  %-4s 0x%08x  %u, %u", index, jump, insn->k,
			 index + 1 + insn->jt, index + 1 + insn->jf);
	} else if (insn->code == (BPF_JMP | BPF_JA)) {
		snprintf(line, line_bytes, "%4u  jmp  %u", index, index + 1 + insn->k);
	} else if (insn->code == (BPF_LD | BPF_W | BPF_ABS)) {
		word_name(name, sizeof(name), insn->k);
		snprintf(line, line_bytes, "%4u  ld   %s", index, name);
	} else if (insn->code == (BPF_ALU | BPF_AND | BPF_K)) {
		snprintf(line, line_bytes, "%4u  and  0x%08x", index, insn->k);
	} else if (insn->code == (BPF_RET | BPF_K)) {
		action_name(name, sizeof(name), insn->k);
		snprintf(line, line_bytes, "%4u  ret  %s", index, name);
	} else {
		snprintf(line, line_bytes, "%4u  code 0x%02x, %u, %u, 0x%08x", index, insn->code,
			 insn->jt, insn->jf, insn->k);
	}
}

void policy_print_bpf(const struct policy *policy, policy_print_fn *print, void *arg)
{
	bool nr_loaded = false; /* the comparisons are of system call numbers: name them */
	char line[LINE_BYTES];

	for (u32 i = 0; i < policy->nr_insns; i++) {
		const struct sock_filter *insn = &policy->filter[i];
		const char *name;
		size_t used;

		insn_format(line, sizeof(line), i, insn);
		if (insn->code == (BPF_LD | BPF_W | BPF_ABS))
			nr_loaded = insn->k == offsetof(struct seccomp_data, nr);
		name = nr_loaded && jump_name(insn->code) ? policy_syscall_name((int)insn->k)
							  : NULL;
		used = strlen(line);
		if (name)
			snprintf(line + used, sizeof(line) - used, "  ; %s", name);
		print(arg, line);
	}
}

/* ---- names ---- */

static const char *name_lookup(u32 nr)
{
	const char *name;

	if (nr >= policy_nr_syscalls)
		return NULL;
	name = policy_syscall_blob + policy_syscall_offsets[nr];
	return *name ? name : NULL;
}

const char *policy_syscall_name(int nr)
{
	if (IS_ENABLED(CONFIG_SYSCALL_NAMES))
		return name_lookup((u32)nr);
	return NULL;
}
