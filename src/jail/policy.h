// SPDX-License-Identifier: BSD-3-Clause
// Seccomp policies baked into the binary: find, install and show them (seccomp/README.md).
#pragma once

#include "util/types.h"

struct err;
struct sock_filter;

/* A compiled policy, written by scripts/seccompc. Immutable. */
struct policy {
	const char *name;
	const struct sock_filter *filter;
	const char *text; /* for policy_rule_next(); NULL unless CONFIG_POLICY_TEXT */
	u32 nr_insns;
};

#define POLICY_REGISTER(object) REGISTER("kiln_policies", object)

extern const struct policy *const __start_kiln_policies[] __attribute__((weak));
extern const struct policy *const __stop_kiln_policies[] __attribute__((weak));

/* policy_for_each - `p` points to each registered `const struct policy *`, in no order. */
#define policy_for_each(p) \
	for (const struct policy *const *p = __start_kiln_policies; p < __stop_kiln_policies; p++)

/* policy_find - the policy of that name, or NULL. Context: any. */
const struct policy *policy_find(const char *name);

/*
 * policy_install - put the calling thread, and the threads and processes it will make, under the
 * policy. Filters add up: the strictest answer counts, so a later policy only takes away.
 * no_new_privs must be set. Return: 0 or -errno with words. Context: any thread, once it needs no
 * call the policy lacks.
 */
int policy_install(const struct policy *policy, struct err *e);

/*
 * policy_kill_self - end the process by a call that every policy kills for, whatever its default.
 * Context: a thread under a policy, signal handlers too.
 */
_Noreturn void policy_kill_self(void);

/* One rule of a policy as its source has it. Start from a zeroed one. */
struct policy_rule {
	const char *next; /* where policy_rule_next() goes on */
	const char *file; /* relative to the project's root */
	u32 line;
	const char *text; /* "ioctl: arg1 == KVM_RUN" */
};

/*
 * policy_rule_next - step to the next rule, in the order of the source.
 * Return: false when there is none (left), always without CONFIG_POLICY_TEXT.
 * Context: any, signal handlers too.
 */
bool policy_rule_next(const struct policy *policy, struct policy_rule *rule);

/* Takes one line of text, without a newline. */
typedef void policy_print_fn(void *arg, const char *line);

/* policy_print_rules - each rule with its place in the source. Context: any. */
void policy_print_rules(const struct policy *policy, policy_print_fn *print, void *arg);

/* policy_print_bpf - the filter's instructions, jumps resolved to line numbers. Context: any. */
void policy_print_bpf(const struct policy *policy, policy_print_fn *print, void *arg);

/*
 * policy_syscall_name - name of a system call of the architecture Kiln was built for.
 * Return: NULL when it has none, always without CONFIG_SYSCALL_NAMES. Context: any, signal
 * handlers too.
 */
const char *policy_syscall_name(int nr);

/* The table behind it, written by `seccompc --syscall-names`: offset 0 of the blob is "". */
extern const char policy_syscall_blob[];
extern const u16 policy_syscall_offsets[];
extern const u32 policy_nr_syscalls;
