// SPDX-License-Identifier: BSD-3-Clause
// Can this host jail a process?
#include "jail/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "jail/policy.h"
#include "jail/spawn.h"
#include "util/fd.h"

enum { CHECK_REPORT_FD = 0 };

int jail_check_main(bool user_ns)
{
	struct err e = { 0 };
	int status = jail_enter(user_ns, &e);

	if (status == 0 && IS_ENABLED(CONFIG_SECCOMP))
		status = policy_install(policy_find("vm_setup"), &e);
	fd_write_all(CHECK_REPORT_FD, &e, sizeof(e));
	return status < 0;
}

int jail_check(struct err *e)
{
	struct spawn_child child = { .pid_fd = -1 };
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "make a pipe");
	spawn_process(
		&(struct spawn_request){
			.role = "@jail", .fds = &report[1], .nr_fds = 1, .jailed = true },
		&child, e);
	fd_close(&report[1]);
	if (child.pid_fd >= 0) {
		if (fd_read(report[0], e, sizeof(*e)) != (ssize_t)sizeof(*e))
			err_set(e, -EIO, "the jailed process ended before it told how it went");
		waitpid(child.pid, NULL, 0);
		fd_close(&child.pid_fd);
	}
	fd_close(&report[0]);
	return e->code;
}
