// SPDX-License-Identifier: BSD-3-Clause
// What every process of Kiln but the first one does alike.
#include "jail/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "jail/channel.h"
#include "jail/jail.h"
#include "jail/policy.h"
#include "jail/spawn.h"
#include "util/log.h"

/* Which policy the thread is under: for the report. */
static _Thread_local const char *thread_policy;

/*
 * Log lines go to the supervisor, which has a terminal; what it does not take is lost, not waited
 * for.
 */
static void log_to_supervisor(enum log_level level, const char *line, void *opaque)
{
	(void)opaque;
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_LOG, (s32)level, line);
}

/*
 * Ctrl-C and `timeout` signal the whole process group. The supervisor takes that in order; this
 * process, which outside of a process namespace of its own would die of it, ends when told.
 * A closed pipe and a full file (SIGXFSZ) are errors of a write, not ends.
 */
static void ignore_user_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (u32 i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

void process_begin(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
	ignore_user_signals();
	log_set_sink(log_to_supervisor, NULL);
	spawn_die_with_parent();
}

/* SIGSYS: tell the supervisor, by a call that every policy allows, then die of it. */
static void denied_handler(int signal_number, siginfo_t *info, void *context)
{
	(void)signal_number;
	(void)context;
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_DENIED, info->si_syscall, thread_policy);
	policy_kill_self();
}

int process_enter_jail(bool user_ns, struct err *e)
{
	if (IS_ENABLED(CONFIG_SECCOMP_REPORT)) {
		struct sigaction action = { .sa_sigaction = denied_handler,
					    .sa_flags = SA_SIGINFO };

		sigaction(SIGSYS, &action, NULL);
	}
	return jail_enter(user_ns, e);
}

int process_filter(const char *name, struct err *e)
{
	const struct policy *policy;

	if (!IS_ENABLED(CONFIG_SECCOMP))
		return 0;
	policy = policy_find(name);
	if (!policy)
		return err_set(e, -ENOENT, "there is no policy '%s' in this binary", name);
	thread_policy = name;
	return policy_install(policy, e);
}
