// SPDX-License-Identifier: BSD-3-Clause
// The stages by which a process of Kiln confines itself.
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/spawn.h"
#include "util/fd.h"

/*
 * Stage "namespaces": after it the process shares no mounts, network, System V IPC, host name or
 * cgroup view with the host (its process namespace came with the clone), and neither terminal nor
 * process group: kill(0) reaches all of a group, whatever process namespaces they are in.
 * Should leave: a private copy of the host's mounts. Must not leave: a way to change the host's.
 */
static int stage_namespaces(bool user_ns, struct err *e)
{
	(void)user_ns;
	if (setsid() < 0 && getpgrp() != getpid())
		return err_errno(e, -errno, "setsid");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
		return err_errno(e, -errno, "unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, -errno, "make mounts private");
	return sethostname("kiln", 4) < 0 ? err_errno(e, -errno, "sethostname") : 0;
}

static int make_empty_root(struct err *e)
{
	cleanup_fd int fs_fd = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int mount_fd;

	if (fs_fd < 0)
		return err_errno(e, -errno, "fsopen tmpfs");
	syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "size", "4096", 0);
	syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "nr_inodes", "2", 0);
	syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "mode", "0555", 0);
	if (syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(e, -errno, "create a tmpfs");
	mount_fd = (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC,
				MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					MOUNT_ATTR_NOEXEC);
	return mount_fd < 0 ? err_errno(e, -errno, "mount a tmpfs") : mount_fd;
}

/*
 * Stage "root": an empty, read-only tmpfs becomes the root; no path of the host is needed for it.
 * pivot_root drops the host's tree altogether. A host that still runs from its initramfs refuses
 * pivot_root (man 2 pivot_root, EINVAL): there the new root, already mounted over "/", is entered
 * by chroot, and what it covers stays out of reach for a process without capabilities.
 * Should leave: nothing. Must not leave: a descriptor of a directory outside.
 */
static int stage_root(bool user_ns, struct err *e)
{
	cleanup_fd int root_fd = make_empty_root(e);

	(void)user_ns;
	if (root_fd < 0)
		return root_fd;
	if (syscall(SYS_move_mount, root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, -errno, "mount the empty root over /");
	if (fchdir(root_fd) < 0)
		return err_errno(e, -errno, "enter the empty root");
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return err_errno(e, -errno, "detach the host's root");
	} else if (errno != EINVAL || chroot(".") < 0) {
		return err_errno(e, -errno, "change to the empty root");
	}
	return chdir("/") < 0 ? err_errno(e, -errno, "enter the new root") : 0;
}

/*
 * Stage "limits": no core file of guest memory; no more descriptors than a machine with the most
 * vCPUs needs. Memory and processes are the cgroup's business: limits here are per user and
 * would count other machines' too.
 */
static int stage_limits(bool user_ns, struct err *e)
{
	const struct rlimit none = { 0, 0 }, files = { 1024, 1024 };

	(void)user_ns;
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, -errno, "RLIMIT_CORE");
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && errno != EPERM)
		return err_errno(e, -errno, "RLIMIT_NOFILE");
	return 0;
}

static int drop_bounding_set(struct err *e)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(e, -errno, "drop capability %d", cap);
	return 0;
}

/* Root by its number alone must not regain capabilities by any exec. */
static int lock_secure_bits(struct err *e)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? err_errno(e, -errno, "secure bits")
							   : 0;
}

static int become_nobody(struct err *e)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return err_errno(e, -errno, "setgroups");
	if (syscall(SYS_setresgid, CONFIG_JAIL_GID, CONFIG_JAIL_GID, CONFIG_JAIL_GID) < 0)
		return err_errno(e, -errno, "setresgid");
	if (syscall(SYS_setresuid, CONFIG_JAIL_UID, CONFIG_JAIL_UID, CONFIG_JAIL_UID) < 0)
		return err_errno(e, -errno, "setresuid");
	return 0;
}

/*
 * Stage "capabilities": an unprivileged user without any capability, in any set, for ever.
 * In a user namespace of ours the only user there is stays, which outside is who started Kiln.
 */
static int stage_capabilities(bool user_ns, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };
	int status = drop_bounding_set(e);

	if (status == 0)
		status = lock_secure_bits(e);
	if (status == 0 && !user_ns)
		status = become_nobody(e);
	if (status == 0 && syscall(SYS_capset, &head, none) < 0)
		status = err_errno(e, -errno, "capset");
	return status;
}

/* Stage "privileges": nothing this process executes may gain rights; nobody may trace it. */
static int stage_privileges(bool user_ns, struct err *e)
{
	(void)user_ns;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, -errno, "PR_SET_DUMPABLE");
	spawn_die_with_parent();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
		       ? err_errno(e, -errno, "PR_SET_NO_NEW_PRIVS")
		       : 0;
}

int jail_enter(bool user_ns, struct err *e)
{
	static const struct {
		const char *name;
		int (*run)(bool user_ns, struct err *e);
	} stages[] = {
		{ "namespaces", stage_namespaces }, { "root", stage_root },
		{ "limits", stage_limits },         { "capabilities", stage_capabilities },
		{ "privileges", stage_privileges },
	};

	for (u32 i = 0; i < ARRAY_SIZE(stages); i++)
		if (stages[i].run(user_ns, e) < 0)
			return err_prefix(e,
					  "jail stage '%s' (--disable-sandbox runs without a jail)",
					  stages[i].name);
	return 0;
}
