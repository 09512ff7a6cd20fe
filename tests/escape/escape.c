// SPDX-License-Identifier: BSD-3-Clause
// A device whose process was taken over: once everything is confined it tries to get out, and tells
// how that went. For tests/boot/escape.t; no product has it.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "virtio/vdev.h"

enum {
	PIDS_TRIED = 40000, /* more than there are, on a test's host */
	FDS_TRIED = 64,
	NR_IA32_SOCKET = 359,
};

struct escape_cfg {
	char attempt[32];
};

struct escape {
	struct evl_timer timer;
	const struct attempt *attempt;
};

/* Return: -errno, or what a success gives. */
struct attempt {
	const char *name;
	long (*run)(void);
};

static long result_of(long value)
{
	return value < 0 ? -errno : value;
}

/* --- Files ------------------------------------------------------------------------------------ */

static long try_open(void)
{
	return result_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static long try_create(void)
{
	return result_of(open("/kiln-was-here", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

static long try_climb(void)
{
	return result_of(open("../../../../../../etc/passwd", O_RDONLY | O_CLOEXEC));
}

static long try_proc(void)
{
	return result_of(open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
}

/* From a descriptor that is a directory, if there is one. */
static long try_descriptors(void)
{
	long found = -ENOTDIR;

	for (int fd = 0; fd < FDS_TRIED && found < 0; fd++)
		found = result_of(openat(fd, "..", O_PATH | O_CLOEXEC));
	return found;
}

static long try_exec(void)
{
	char *const argv[] = { NULL };

	return result_of(execve("/bin/sh", argv, argv));
}

/* --- Network ---------------------------------------------------------------------------------- */

static long try_socket(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(80),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : result_of(connect(fd, (void *)&to, sizeof(to)));
}

/* A listener of the host's that has no path. */
static long try_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0kiln-escape" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof("\0kiln-escape") - 1);

	return fd < 0 ? -errno : result_of(connect(fd, (void *)&to, len));
}

static long try_packet(void)
{
	return result_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* --- Other processes -------------------------------------------------------------------------- */

static long try_ptrace(void)
{
	long status = -ESRCH;

	for (pid_t pid = 2; pid < PIDS_TRIED && status == -ESRCH; pid++)
		status = result_of(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	return status;
}

static long try_kill(void)
{
	long status = -ESRCH;

	for (pid_t pid = 2; pid < PIDS_TRIED && status == -ESRCH; pid++)
		status = result_of(kill(pid, SIGKILL));
	return status == -ESRCH ? result_of(kill(-1, SIGKILL)) : status;
}

/* The first process of a process namespace does not die of it itself. */
static long try_kill_group(void)
{
	return result_of(kill(0, SIGKILL));
}

static long try_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return result_of(pid);
}

/* --- Rights ----------------------------------------------------------------------------------- */

static long try_mount(void)
{
	return result_of(mount("none", "/", "tmpfs", 0, NULL));
}

static long try_umount(void)
{
	return result_of(umount2("/", MNT_DETACH));
}

static long try_chroot(void)
{
	return result_of(chroot("/"));
}

static long try_setuid(void)
{
	return result_of(syscall(SYS_setresuid, 0, 0, 0));
}

static long try_capset(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	return result_of(syscall(SYS_capset, &head, all));
}

/* In namespaces of its own, as root there: the host's processes by a new /proc. */
static long namespaces_child(void)
{
	if (mount("proc", "/", "proc", 0, NULL) < 0)
		return errno;
	return open("/1/environ", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static long try_namespaces(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD,
				   NULL, NULL, NULL, NULL);
	int status;

	if (pid == 0)
		_exit((int)namespaces_child());
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static long try_unshare(void)
{
	return result_of(unshare(CLONE_NEWNS | CLONE_NEWNET));
}

static long try_terminal(void)
{
	long found = -ENOTTY;

	for (int fd = 0; fd < FDS_TRIED && found < 0; fd++)
		found = result_of(ioctl(fd, TIOCSTI, "x"));
	return found;
}

/* --- The kernel's larger doors ---------------------------------------------------------------- */

static long try_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -errno : 0;
}

static long try_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return result_of(syscall(SYS_io_uring_setup, 8, &params));
}

static long try_bpf(void)
{
	return result_of(syscall(SYS_bpf, 0, NULL, 0));
}

static long try_keys(void)
{
	return result_of(syscall(SYS_keyctl, 0, -3, 0));
}

static long try_userfaultfd(void)
{
	return result_of(syscall(SYS_userfaultfd, 0));
}

static long try_module(void)
{
	return result_of(syscall(SYS_init_module, NULL, 0, ""));
}

/* Descriptors that the vm process shares with it would make that hang. */
static long try_blocking(void)
{
	return result_of(fcntl(0, F_SETFL, 0));
}

/* The entry of 32-bit programs, whose calls have other numbers: socket(AF_INET, SOCK_STREAM). */
static long try_other_entry(void)
{
	long status = -ENOSYS;

#ifdef __x86_64__
	__asm__ volatile("int $0x80"
			 : "=a"(status)
			 : "a"(NR_IA32_SOCKET), "b"(AF_INET), "c"(SOCK_STREAM), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
#endif
	return status;
}

/* The numbers of x32, which would be read as ours with a bit more. */
static long try_other_numbers(void)
{
	return result_of(syscall(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static const struct attempt attempts[] = {
	{ "open", try_open },
	{ "create", try_create },
	{ "climb", try_climb },
	{ "proc", try_proc },
	{ "descriptors", try_descriptors },
	{ "exec", try_exec },
	{ "socket", try_socket },
	{ "unix", try_unix },
	{ "packet", try_packet },
	{ "ptrace", try_ptrace },
	{ "kill", try_kill },
	{ "kill-group", try_kill_group },
	{ "fork", try_fork },
	{ "mount", try_mount },
	{ "umount", try_umount },
	{ "chroot", try_chroot },
	{ "setuid", try_setuid },
	{ "capset", try_capset },
	{ "namespaces", try_namespaces },
	{ "unshare", try_unshare },
	{ "terminal", try_terminal },
	{ "code", try_code },
	{ "io-uring", try_io_uring },
	{ "bpf", try_bpf },
	{ "keys", try_keys },
	{ "userfaultfd", try_userfaultfd },
	{ "module", try_module },
	{ "blocking", try_blocking },
	{ "other-entry", try_other_entry },
	{ "other-numbers", try_other_numbers },
};

/* --- A device ---------------------------------------------------------------------------------- */

static void escape_fired(struct evl_timer *timer)
{
	struct escape *escape = container_of(timer, struct escape, timer);
	long result = escape->attempt->run();

	if (result < 0)
		log_warn("escape %s: %s", escape->attempt->name, strerror((int)-result));
	else
		log_warn("escape %s: it got through (%ld)", escape->attempt->name, result);
}

static int escape_start(struct vdev *v, const void *options, struct fdset *fds, struct err *e)
{
	const struct escape_cfg *cfg = options;
	struct escape *escape = v->priv;
	int status;

	(void)fds;
	for (u32 i = 0; i < ARRAY_SIZE(attempts); i++)
		if (strcmp(cfg->attempt, attempts[i].name) == 0)
			escape->attempt = &attempts[i];
	if (!escape->attempt)
		return err_set(e, -EINVAL, "there is no attempt '%s'", cfg->attempt);
	status = evl_timer_create(v->evl, &escape->timer, escape_fired);
	if (status < 0)
		return err_errno(e, status, "timer");
	return 0;
}

/*
 * The vm process asks when it is in its jail itself, and is answered by the loop, behind jail and
 * filter: from here on nobody is more confined than now.
 */
static void escape_config_read(struct vdev *v, u8 *config)
{
	struct escape *escape = v->priv;

	config[0] = 0;
	evl_timer_set(&escape->timer, 1, 0);
}

static void escape_destroy(struct vdev *v)
{
	struct escape *escape = v->priv;

	evl_timer_destroy(&escape->timer);
}

static int escape_kick(struct vdev *v, u32 qi)
{
	(void)v;
	(void)qi;
	return 0;
}

static const struct opt escape_opts[] = {
	{ .name = "attempt", OPT_TEXT(struct escape_cfg, attempt), .arg = "NAME" },
	{ .name = NULL },
};

static const struct vdev_class escape_class = {
	.name = "virtio-escape",
	.summary = "tries to get out",
	.virtio_id = 63, /* of no device */
	.queue_size_max = 8,
	.nr_queues = 1,
	.config_bytes = 1,
	.priv_bytes = sizeof(struct escape),
	.cfg_bytes = sizeof(struct escape_cfg),
	.opts = escape_opts,
	.policy = "virtio_escape",
	.start = escape_start,
	.destroy = escape_destroy,
	.kick = escape_kick,
	.config_read = escape_config_read,
};
VDEV_CLASS(escape_class);
