// SPDX-License-Identifier: BSD-3-Clause
// Start one of Kiln's own processes.
#include "jail/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

/*
 * This very binary, also when its file was replaced or has no name any more. A host without /proc
 * still has the path it was started by.
 */
static int open_self(struct err *e)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, -errno, "open this program to start it again") : fd;
}

static int write_proc(const char *path, const char *text, struct err *e)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	int status = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	return status < 0 ? err_errno(e, status, "jail stage 'user': write %s", path) : 0;
}

/* In the new user namespace the user becomes root, and stays himself outside of it. */
static int map_user(uid_t uid, gid_t gid, struct err *e)
{
	char uid_map[32], gid_map[32];
	int status;

	snprintf(uid_map, sizeof(uid_map), "0 %u 1\n", uid);
	snprintf(gid_map, sizeof(gid_map), "0 %u 1\n", gid);
	status = write_proc("/proc/self/setgroups", "deny", e);
	if (status == 0)
		status = write_proc("/proc/self/uid_map", uid_map, e);
	if (status == 0)
		status = write_proc("/proc/self/gid_map", gid_map, e);
	return status;
}

/*
 * Bring `fds` to 0..nr-1 and *self_fd to nr, then close everything else but *report_fd, which goes
 * to nr + 1. First all move out of the way, so that no target number overwrites a source.
 */
static int arrange_fds(const struct spawn_request *request, int *self_fd, int *report_fd)
{
	const int above = SPAWN_FDS_MAX + 2;
	int nr = (int)request->nr_fds;
	int moved[SPAWN_FDS_MAX + 2];

	for (int i = 0; i < nr + 2; i++) {
		int source = i < nr ? request->fds[i] : i == nr ? *self_fd : *report_fd;

		moved[i] = fcntl(source, F_DUPFD_CLOEXEC, above);
		if (moved[i] < 0)
			return -errno;
	}
	for (int i = 0; i < nr + 2; i++)
		if (dup3(moved[i], i, i < nr ? 0 : O_CLOEXEC) < 0)
			return -errno;
	*self_fd = nr;
	*report_fd = nr + 1;
	return syscall(SYS_close_range, nr + 2, ~0u, 0) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

/* The child's path up to the new image. Returns only when something failed. */
static int child_exec(const struct spawn_request *request, bool user_ns, uid_t uid, gid_t gid,
		      int self_fd, int *report_fd, struct err *e)
{
	const char *const argv[] = { "kiln", request->role, user_ns ? SPAWN_USER_NS : NULL, NULL };
	const char *const envp[] = { NULL };
	int status;

	reset_signals();
	if (user_ns && map_user(uid, gid, e) < 0)
		return e->code;
	status = arrange_fds(request, &self_fd, report_fd);
	if (status < 0)
		return err_errno(e, status, "arrange the descriptors of a new process");
	syscall(SYS_execveat, self_fd, "", argv, envp, AT_EMPTY_PATH);
	return err_errno(e, -errno, "start this program again");
}

/* The child's words arrive before its end; no words and an end of file mean the new image runs. */
static int await_exec(int report_fd, struct spawn_child *child, struct err *e)
{
	ssize_t got = fd_read(report_fd, e, sizeof(*e));

	if (got == 0)
		return 0;
	waitpid(child->pid, NULL, 0);
	fd_close(&child->pid_fd);
	if (got != (ssize_t)sizeof(*e))
		return err_set(e, -EIO, "a new process ended before it told why");
	return e->code;
}

static int clone_failed(int error, bool user_ns, struct err *e)
{
	const char *way_out = "; --disable-sandbox runs without a jail";

	if (user_ns)
		err_errno(e, -error,
			  "jail stage 'user': this host refuses user namespaces to users");
	else
		err_errno(e, -error, "start a process");
	strncat(e->text, way_out, sizeof(e->text) - strlen(e->text) - 1);
	return e->code;
}

int spawn_process(const struct spawn_request *request, struct spawn_child *child, struct err *e)
{
	bool user_ns = request->jailed && geteuid() != 0;
	unsigned long flags = SIGCHLD | CLONE_PIDFD | (request->jailed ? CLONE_NEWPID : 0) |
			      (user_ns ? CLONE_NEWUSER : 0);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int report[2], pid_fd = -1;
	cleanup_fd int self_fd = open_self(e);
	long pid;

	if (self_fd < 0)
		return self_fd;
	e->code = 0;
	if (request->nr_fds > SPAWN_FDS_MAX)
		return err_set(e, -EMFILE, "%u descriptors for a process: at most %d",
			       request->nr_fds, SPAWN_FDS_MAX);
	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "make a pipe");
	pid = syscall(SYS_clone, flags, NULL, &pid_fd, NULL, NULL);
	if (pid == 0) {
		child_exec(request, user_ns, uid, gid, self_fd, &report[1], e);
		fd_write_all(report[1], e, sizeof(*e));
		_exit(1);
	}
	fd_close(&report[1]);
	if (pid < 0) {
		clone_failed(errno, user_ns, e);
	} else {
		*child = (struct spawn_child){ .pid = (pid_t)pid, .pid_fd = pid_fd };
		await_exec(report[0], child, e);
	}
	fd_close(&report[0]);
	return e->code;
}

void spawn_die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}
