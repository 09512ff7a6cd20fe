// SPDX-License-Identifier: BSD-3-Clause
// Seccomp for the vm process's threads, and the report of a refused call.
#include <errno.h>
#include <signal.h>

#include "jail/policy.h"
#include "util/log.h"
#include "vm/vm.h"

/* Which policy the thread is under: for the report. */
static _Thread_local const char *thread_policy;

int vm_filter(const struct vm *vm, const char *name, struct err *e)
{
	const struct policy *policy;

	if (!IS_ENABLED(CONFIG_SECCOMP) || !vm->setup->jailed)
		return 0;
	policy = policy_find(name);
	if (!policy)
		return err_set(e, -ENOENT, "there is no policy '%s' in this binary", name);
	thread_policy = name;
	return policy_install(policy, e);
}

/* SIGSYS: tell the supervisor, by a call that every policy allows, then die of it. */
static void denied_handler(int signal_number, siginfo_t *info, void *context)
{
	(void)signal_number;
	(void)context;
	channel_send(VM_FD_CHANNEL, VM_MESSAGE_DENIED, info->si_syscall, thread_policy);
	policy_kill_self();
}

void vm_filter_report_setup(void)
{
	if (IS_ENABLED(CONFIG_SECCOMP_REPORT)) {
		struct sigaction action = { .sa_sigaction = denied_handler,
					    .sa_flags = SA_SIGINFO };

		sigaction(SIGSYS, &action, NULL);
	}
}
