// SPDX-License-Identifier: BSD-3-Clause
// A process that the supervisor started.
#include "ctl/member.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/policy.h"
#include "jail/process.h"
#include "stream/serial_cfg.h"
#include "util/fd.h"

enum { CHANNEL_BYTES = 256 * 1024 }; /* a setup fits, and a burst of log lines */

void member_init(struct member *member, void *owner, const char *device)
{
	*member = (struct member){
		.owner = owner,
		.device = device,
		.child.pid_fd = -1,
		.channel_fd = -1,
		.channel_source.fd = -1,
		.child_source.fd = -1,
	};
}

/* --- Start ------------------------------------------------------------------------------------ */

/* Where words go that did not come through the channel: a jailed process has no terminal. */
static int open_null(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	return fd >= 0 ? fd : memfd_create("null", MFD_CLOEXEC); /* a host without devices */
}

int member_spawn(struct member *member, const char *role, bool jailed, int own_fd,
		 struct fdset *fds, struct err *e)
{
	cleanup_fd int null_fd = open_null();
	int all[PROCESS_FD_FIRST + FDSET_MAX], ends[2], status;
	const int bytes = CHANNEL_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, -errno, "socketpair");
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	all[PROCESS_FD_CHANNEL] = ends[1];
	all[PROCESS_FD_OWN] = own_fd >= 0 ? own_fd : null_fd;
	all[PROCESS_FD_STDERR] = jailed ? null_fd : STDERR_FILENO;
	memcpy(&all[PROCESS_FD_FIRST], fds->fds, fds->count * sizeof(int));
	status = spawn_process(&(struct spawn_request){ .role = role,
							.fds = all,
							.nr_fds = PROCESS_FD_FIRST + fds->count,
							.jailed = jailed },
			       &member->child, e);
	fd_close(&ends[1]);
	member->channel_fd = ends[0];
	fdset_close(fds);
	return status;
}

int member_send_setup(struct member *member, const void *setup, size_t len, struct err *e)
{
	if (send(member->channel_fd, setup, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_errno(e, -errno, "send the setup of a process");
	return 0;
}

int member_watch(struct member *member, struct evl *evl, evl_ready_fn *speaks, evl_ready_fn *ended,
		 struct err *e)
{
	int status = evl_add(evl, &member->channel_source, member->channel_fd, EPOLLIN, speaks);

	if (status == 0)
		status = evl_add(evl, &member->child_source, member->child.pid_fd, EPOLLIN, ended);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

/* --- End -------------------------------------------------------------------------------------- */

void member_unwatch(struct member *member, struct evl *evl)
{
	evl_remove(evl, &member->channel_source);
	evl_remove(evl, &member->child_source);
}

void member_kill(const struct member *member)
{
	syscall(SYS_pidfd_send_signal, member->child.pid_fd, SIGKILL, NULL, 0);
}

void member_drain(struct member *member)
{
	for (struct pollfd p = { .fd = member->channel_fd, .events = POLLIN };
	     member->channel_source.fd >= 0 && poll(&p, 1, 0) > 0;)
		member->channel_source.ready(&member->channel_source, (u32)p.revents);
}

void member_reap(struct member *member)
{
	siginfo_t info = { 0 };

	waitid(P_PID, (id_t)member->child.pid, &info, WEXITED);
	fd_close(&member->child.pid_fd);
	if (member->reason[0])
		return;
	if (info.si_code != CLD_EXITED)
		snprintf(member->reason, sizeof(member->reason),
			 "%s: its process was killed by signal %d (%s)", member->device,
			 info.si_status, strsignal(info.si_status));
	else if (info.si_status != 0)
		snprintf(member->reason, sizeof(member->reason),
			 "%s: its process ended with status %d", member->device, info.si_status);
}

bool member_end(struct member *member, u64 deadline_ns)
{
	struct pollfd end = { .fd = member->child.pid_fd, .events = POLLIN };
	u64 now_ns = evl_now_ns();
	int left_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / 1000000) : 0;
	bool by_itself = poll(&end, 1, left_ms) > 0;

	if (!by_itself)
		member_kill(member);
	member_drain(member);
	member_reap(member);
	return by_itself;
}

void member_tell_terminal_size(const struct member *member)
{
	const struct plan_vdev *planned = member->planned;
	const struct vdev_class *cls = planned ? planned->cls : NULL;
	struct winsize size;

	if (cls && cls->terminal_size && cls->serial &&
	    cls->serial((void *)(uintptr_t)planned->setup.cfg)->type == SERIAL_STDOUT &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		channel_send(member->channel_fd, MESSAGE_TERMINAL_SIZE,
			     (s32)((u32)size.ws_row << 16 | size.ws_col), NULL);
}

void member_destroy(struct member *member)
{
	fd_close(&member->child.pid_fd);
	fd_close(&member->channel_fd);
}

/* --- Words ------------------------------------------------------------------------------------ */

void member_denied(const struct member *member, const struct message *message, char *text,
		   size_t size)
{
	const char *name = IS_ENABLED(CONFIG_SYSCALL_NAMES) ? policy_syscall_name(message->code)
							    : NULL;

	snprintf(text, size,
		 "%s%sseccomp policy '%.32s' refused system call %d%s%s%s; the process was killed",
		 member->device ? member->device : "", member->device ? ": " : "", message->text,
		 message->code, name ? " (" : "", name ? name : "", name ? ")" : "");
}

void member_ended(const struct member *member, const struct message *message, char *text,
		  size_t size)
{
	const char *device = member->device ? member->device : "";
	bool names_it = strncmp(message->text, device, strlen(device)) == 0;

	snprintf(text, size, "%s%s%s", names_it ? "" : device, names_it ? "" : ": ", message->text);
}

void member_log(struct log_limit *limit, const struct message *message)
{
	enum log_level level = message->code < LOG_ERR || message->code > LOG_DEBUG
				       ? LOG_WARN
				       : (enum log_level)message->code;
	u32 dropped;

	if (!log_limited(limit, evl_now_ns(), &dropped))
		return;
	if (dropped > 0)
		log_warn("(%u lines of the machine were left out)", dropped);
	log_line(level, "%s", message->text);
}
