// SPDX-License-Identifier: BSD-3-Clause
// The process the user started.
#include "ctl/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/terminal.h"
#include "evl/evl.h"
#include "jail/channel.h"
#include "jail/policy.h"
#include "jail/spawn.h"
#include "stream/serial_cfg.h"
#include "util/fd.h"
#include "util/log.h"

enum {
	STOP_REPEAT_MS = 500, /* a second request so soon is the first one, heard twice */
	LAST_LINE_MS = 1000,  /* how long the last line waits for a reader of standard error */
	STDIN_CHUNK_BYTES = 4096,
	CHANNEL_BYTES = 256 * 1024, /* a setup fits, and a burst of log lines */
	DEVICE_END_MS = 2000,       /* how long devices may take to end once the machine did */
};

/*
 * Input on its way to the guest: read only when the pipe has room, so that nothing piles up here.
 */
struct console_input {
	int pipe_fd; /* write end; -1: no device wants input */
	bool is_terminal, eof;
	struct terminal_keys keys;
	u8 bytes[STDIN_CHUNK_BYTES];
	u32 used, len;
	struct evl_source stdin_source, pipe_source;
	bool stdin_watched;
};

/* A process of the machine's: the vm process, or a virtio device's. */
struct member {
	struct supervisor *sup;
	const char *device; /* "virtio-rng.0", NULL for the vm process */
	struct spawn_child child;
	int channel_fd;
	struct evl_source channel_source, child_source;
	char reason[sizeof(((struct message *)0)->text)]; /* a device's: why it failed, "" if not */
};

struct supervisor {
	struct evl evl;
	struct plan *plan;
	int signal_fd;
	struct evl_source signal_source;
	u32 nr_devices;
	struct member vm, devices[VM_VDEVS_MAX];
	const struct member *failed; /* the first device that did; NULL for none */
	struct console_input input;
	struct log_limit log_limit;
	bool ended, stopping, denied, finished;
	int exit_code;
	u64 stopped_ns;  /* when it was first asked to */
	u32 stop_signal; /* 0, or the signal that asked for the end */
	char reason[sizeof(((struct message *)0)->text)];
};

/*
 * Standard error without ever waiting for its reader longer than `timeout_ms`: a supervisor that
 * waits hears no signal. A pipe that polls writable takes PIPE_BUF bytes at once.
 */
static void put_words(const char *words, int timeout_ms)
{
	struct pollfd target = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&target, 1, timeout_ms) > 0)
		fd_write(STDERR_FILENO, words, MIN(strlen(words), (size_t)PIPE_BUF));
}

static void log_to_stderr(enum log_level level, const char *line, void *opaque)
{
	const struct supervisor *sup = opaque;
	char text[600];

	snprintf(text, sizeof(text), "kiln: %s%s\n", level == LOG_WARN ? "warning: " : "", line);
	put_words(text, sup->finished ? LAST_LINE_MS : 0);
}

/* --- Input --- */

static void vm_request(struct supervisor *sup, enum message_type type, s32 code, const char *text)
{
	if (channel_send(sup->vm.channel_fd, type, code, text) < 0 && !sup->ended)
		log_warn("the machine does not listen");
}

/* A process that already ends keeps the status it ends with. */
static void member_kill(const struct member *member)
{
	syscall(SYS_pidfd_send_signal, member->child.pid_fd, SIGKILL, NULL, 0);
}

static void supervisor_stop(struct supervisor *sup, s32 code, const char *why)
{
	u64 now_ns = evl_now_ns();

	if (sup->stopping) {
		/* timeout(1) signals its child and at once its own process group with it. */
		if (now_ns - sup->stopped_ns < STOP_REPEAT_MS * 1000000ull)
			return;
		member_kill(&sup->vm); /* it was asked once; now it is told */
		return;
	}
	sup->stopping = true;
	sup->stopped_ns = now_ns;
	vm_request(sup, MESSAGE_STOP, code, why);
}

/* Filter typed bytes in place. Return: how many remain for the guest. */
static u32 input_filter_keys(struct supervisor *sup, u8 *bytes, u32 len)
{
	u32 kept = 0;

	for (u32 i = 0; i < len; i++) {
		u8 byte = bytes[i];

		switch (terminal_key(&sup->input.keys, &byte)) {
		case TERMINAL_KEY_BYTE:
			bytes[kept++] = byte;
			break;
		case TERMINAL_KEY_QUIT:
			supervisor_stop(sup, VM_END_POWER_OFF,
					"the user ended the machine (Ctrl-a x)");
			break;
		case TERMINAL_KEY_BREAK:
			vm_request(sup, MESSAGE_BREAK, 0, NULL);
			break;
		case TERMINAL_KEY_POWER:
			vm_request(sup, MESSAGE_POWER_BUTTON, 0, NULL);
			break;
		case TERMINAL_KEY_HELP:
			put_words(terminal_help, 0);
			break;
		case TERMINAL_KEY_NONE:
			break;
		}
	}
	return kept;
}

static void input_close(struct supervisor *sup)
{
	struct console_input *input = &sup->input;

	evl_remove(&sup->evl, &input->stdin_source);
	evl_remove(&sup->evl, &input->pipe_source);
	fd_close(&input->pipe_fd);
}

static evl_ready_fn stdin_ready;

/* Standard input that hung up is told again and again: it is watched only while it is read. */
static void input_watch_stdin(struct supervisor *sup, bool wanted)
{
	struct evl_source *source = &sup->input.stdin_source;

	if (!wanted)
		evl_remove(&sup->evl, source);
	else if (source->fd < 0)
		evl_add(&sup->evl, source, STDIN_FILENO, EPOLLIN, stdin_ready);
}

/* A file is always readable and epoll refuses it: it is read whenever the pipe has room. */
static void input_watch(struct supervisor *sup)
{
	struct console_input *input = &sup->input;
	bool pending = input->used < input->len;

	if (input->pipe_fd < 0)
		return;
	if (input->eof && !pending) {
		input_close(sup);
		return;
	}
	if (input->stdin_watched)
		input_watch_stdin(sup, !pending);
	evl_modify(&sup->evl, &input->pipe_source, pending || !input->stdin_watched ? EPOLLOUT : 0);
}

static void input_flush(struct supervisor *sup)
{
	struct console_input *input = &sup->input;
	ssize_t put =
		fd_write(input->pipe_fd, input->bytes + input->used, input->len - input->used);

	if (put > 0)
		input->used += (u32)put;
	else if (put != -EAGAIN)
		input_close(sup);
}

static void input_fill(struct supervisor *sup)
{
	struct console_input *input = &sup->input;
	struct pollfd source = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t got;

	/* Another reader of the same terminal may have been quicker: a read would wait. */
	if (poll(&source, 1, 0) <= 0)
		return;
	got = fd_read(STDIN_FILENO, input->bytes, sizeof(input->bytes));
	if (got == -EAGAIN)
		return;
	input->used = 0;
	input->len = (u32)MAX(got, 0);
	input->eof = got <= 0;
	if (input->is_terminal)
		input->len = input_filter_keys(sup, input->bytes, input->len);
}

static void input_move(struct supervisor *sup)
{
	struct console_input *input = &sup->input;

	if (input->used == input->len && !input->eof)
		input_fill(sup);
	if (input->used < input->len && input->pipe_fd >= 0)
		input_flush(sup);
	input_watch(sup);
}

static void stdin_ready(struct evl_source *source, u32 epoll_events)
{
	(void)epoll_events;
	input_move(container_of(source, struct supervisor, input.stdin_source));
}

static void pipe_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, input.pipe_source);

	if (epoll_events & EPOLLERR)
		input_close(sup);
	else
		input_move(sup);
}

/* The line that wants standard input gets the read end of a pipe. */
static int input_make_pipe(struct plan *plan, int *write_fd, struct err *e)
{
	struct plan_line line;
	int ends[2];

	*write_fd = -1;
	if (!plan_stdin_line(plan, &line))
		return 0;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "make a pipe for the console's input");
	*write_fd = ends[1];
	line.cfg->in_fd_index = fdset_put(line.fds, &ends[0]);
	plan->setup.nr_fds = plan->fds.count;
	fd_close(&ends[0]);
	return line.cfg->in_fd_index < 0 ? err_errno(e, line.cfg->in_fd_index, "console input") : 0;
}

static int input_start(struct supervisor *sup, struct err *e)
{
	struct console_input *input = &sup->input;
	int status;

	if (input->pipe_fd < 0)
		return 0;
	input->is_terminal = terminal_raw();
	status = evl_add(&sup->evl, &input->pipe_source, input->pipe_fd, 0, pipe_ready);
	if (status < 0)
		return err_errno(e, status, "watch the console's input");
	status = evl_add(&sup->evl, &input->stdin_source, STDIN_FILENO, EPOLLIN, stdin_ready);
	input->stdin_watched = status == 0;
	if (status == -EBADF)
		input->eof = true; /* started without a standard input */
	input_watch(sup);
	return 0;
}

/* --- What the machine says --- */

static void message_denied(struct member *member, const struct message *message)
{
	struct supervisor *sup = member->sup;
	const char *name = IS_ENABLED(CONFIG_SYSCALL_NAMES) ? policy_syscall_name(message->code)
							    : NULL;

	sup->denied |= !member->device;
	snprintf(member->device ? member->reason : sup->reason, sizeof(sup->reason),
		 "%s%sseccomp policy '%.32s' refused system call %d%s%s%s; the process was killed",
		 member->device ? member->device : "", member->device ? ": " : "", message->text,
		 message->code, name ? " (" : "", name ? name : "", name ? ")" : "");
}

static void message_ended(struct member *member, const struct message *message)
{
	struct supervisor *sup = member->sup;
	bool names_it;

	if (member->device) {
		names_it = strncmp(message->text, member->device, strlen(member->device)) == 0;
		snprintf(member->reason, sizeof(member->reason), "%s%s%.450s",
			 names_it ? "" : member->device, names_it ? "" : ": ", message->text);
		return;
	}
	sup->ended = true;
	sup->exit_code = message->code;
	snprintf(sup->reason, sizeof(sup->reason), "%s", message->text);
}

/* The vm process limits what its guest can cause; this limits a vm process that was taken over. */
static void message_log(struct supervisor *sup, const struct message *message)
{
	enum log_level level = message->code < LOG_ERR || message->code > LOG_DEBUG
				       ? LOG_WARN
				       : (enum log_level)message->code;
	u32 dropped;

	if (!log_limited(&sup->log_limit, evl_now_ns(), &dropped))
		return;
	if (dropped > 0)
		log_warn("(%u lines of the machine were left out)", dropped);
	log_line(level, "%s", message->text);
}

/* The other end is gone: it ends, or is of no use any more. (The pidfd would tell, too.) */
static void member_hung_up(struct member *member)
{
	struct supervisor *sup = member->sup;

	evl_remove(&sup->evl, &member->channel_source);
	member_kill(member);
	if (!member->device)
		evl_stop(&sup->evl);
}

static void channel_ready(struct evl_source *source, u32 epoll_events)
{
	struct member *member = container_of(source, struct member, channel_source);
	struct message message;
	int got = channel_receive(member->channel_fd, &message, MSG_DONTWAIT);

	(void)epoll_events;
	if (got == 0)
		member_hung_up(member);
	if (got <= 0)
		return;
	switch ((enum message_type)message.type) {
	case MESSAGE_LOG:
		message_log(member->sup, &message);
		break;
	case MESSAGE_ENDED:
		message_ended(member, &message);
		break;
	case MESSAGE_DENIED:
		message_denied(member, &message);
		break;
	case MESSAGE_READY:
	case MESSAGE_STOP:
	case MESSAGE_BREAK:
	case MESSAGE_POWER_BUTTON:
	case MESSAGE_TERMINAL_SIZE:
		break;
	}
}

/* The process is gone; what it said last may still lie in the channel. */
static void member_drain(struct member *member)
{
	for (struct pollfd p = { .fd = member->channel_fd, .events = POLLIN };
	     member->channel_source.fd >= 0 && poll(&p, 1, 0) > 0;)
		channel_ready(&member->channel_source, (u32)p.revents);
}

/* Wait for the process and, if it did not end in order, put into words how it ended. */
static void member_reap(struct member *member)
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

/*
 * A device that ends before the machine does takes the machine with it: nobody else has its state.
 * When the machine ends first its devices end in order, which is none of this: it is not asked twice.
 */
static void device_ended(struct member *member)
{
	struct supervisor *sup = member->sup;
	char ended[64];

	evl_remove(&sup->evl, &member->child_source);
	evl_remove(&sup->evl, &member->channel_source);
	member_reap(member);
	if (member->reason[0] && !sup->failed)
		sup->failed = member;
	snprintf(ended, sizeof(ended), "%s: its process ended", member->device);
	vm_request(sup, MESSAGE_STOP, VM_END_FAILED, member->reason[0] ? member->reason : ended);
}

static void child_ready(struct evl_source *source, u32 epoll_events)
{
	struct member *member = container_of(source, struct member, child_source);

	(void)epoll_events;
	member_drain(member);
	if (member->device)
		device_ended(member);
	else
		evl_stop(&member->sup->evl);
}

/* The devices whose line leads to this terminal hear of its new size. */
static void terminal_resized(struct supervisor *sup)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	for (u32 i = 0; i < sup->nr_devices; i++) {
		struct plan_vdev *vdev = &sup->plan->vdevs[i];
		const struct vdev_class *cls = vdev->cls;

		if (cls->terminal_size && cls->serial &&
		    cls->serial(vdev->setup.cfg)->type == SERIAL_STDOUT)
			channel_send(sup->devices[i].channel_fd, MESSAGE_TERMINAL_SIZE,
				     (s32)((u32)size.ws_row << 16 | size.ws_col), NULL);
	}
}

static void signal_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, signal_source);
	struct signalfd_siginfo info;
	char why[64];

	(void)epoll_events;
	if (fd_read(sup->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		terminal_resized(sup);
		return;
	}
	sup->stop_signal = info.ssi_signo;
	snprintf(why, sizeof(why), "stopped by signal %u (%s)", info.ssi_signo,
		 strsignal((int)info.ssi_signo));
	supervisor_stop(sup, 128 + (s32)info.ssi_signo, why);
}

/* --- Life --- */

/* Those that end the machine, and the one that tells of a terminal's new size. */
static sigset_t held_signals(void)
{
	static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (u32 i = 0; i < ARRAY_SIZE(held); i++)
		sigaddset(&set, held[i]);
	return set;
}

void supervisor_hold_signals(void)
{
	sigset_t set = held_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int supervisor_take_signals(struct supervisor *sup, struct err *e)
{
	sigset_t set = held_signals();

	supervisor_hold_signals();
	signal(SIGPIPE, SIG_IGN);
	sup->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return sup->signal_fd < 0 ? err_errno(e, -errno, "signalfd") : 0;
}

static int member_watch(struct member *member, struct err *e)
{
	struct evl *evl = &member->sup->evl;
	int status =
		evl_add(evl, &member->channel_source, member->channel_fd, EPOLLIN, channel_ready);

	if (status == 0)
		status = evl_add(evl, &member->child_source, member->child.pid_fd, EPOLLIN,
				 child_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

static int supervisor_watch(struct supervisor *sup, struct err *e)
{
	int status = evl_create(&sup->evl);

	if (status == 0)
		status = evl_add(&sup->evl, &sup->signal_source, sup->signal_fd, EPOLLIN,
				 signal_ready);
	if (status < 0)
		return err_errno(e, status, "event loop");
	status = member_watch(&sup->vm, e);
	for (u32 i = 0; i < sup->nr_devices && status == 0; i++)
		status = member_watch(&sup->devices[i], e);
	return status;
}

/* Where words go that did not come through the channel: a jailed process has no terminal. */
static int open_null(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	return fd >= 0 ? fd : memfd_create("null", MFD_CLOEXEC); /* a host without devices */
}

/*
 * Start a process with its own descriptor `own_fd` and those of `fds`, which is closed here: the
 * process has them now, and nobody else should hold a pipe's or a socket's other end open.
 */
static int member_spawn(struct member *member, const char *role, int own_fd, struct fdset *fds,
			struct err *e)
{
	bool jailed = member->sup->plan->setup.jailed;
	cleanup_fd int null_fd = open_null();
	int all[PROCESS_FD_FIRST + FDSET_MAX], ends[2], status;
	const int bytes = CHANNEL_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, -errno, "socketpair");
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	all[PROCESS_FD_CHANNEL] = ends[1];
	all[PROCESS_FD_OWN] = own_fd;
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

/* A process that ended already is met again at its pidfd, with what it said. */
static int member_send_setup(struct member *member, const void *setup, size_t len, struct err *e)
{
	if (send(member->channel_fd, setup, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_errno(e, -errno, "send the setup of a process");
	return 0;
}

static int device_spawn(struct supervisor *sup, struct plan_vdev *planned, int *vhost_fd,
			struct err *e)
{
	struct member *member = &sup->devices[sup->nr_devices];
	int status;

	*member = (struct member){
		.sup = sup, .device = planned->name, .child.pid_fd = -1, .channel_fd = -1
	};
	planned->setup.jailed = sup->plan->setup.jailed;
	planned->setup.nr_fds = planned->fds.count;
	status = member_spawn(member, "@device", *vhost_fd, &planned->fds, e);
	fd_close(vhost_fd);
	if (status < 0)
		return err_prefix(e, "%s", planned->name);
	sup->nr_devices++;
	return member_send_setup(member, &planned->setup, sizeof(planned->setup), e);
}

/* One end of each device's socket goes to the vm process, before it starts. */
static int make_device_sockets(struct plan *plan, int *device_fds, struct err *e)
{
	for (u32 i = 0; i < plan->nr_vdevs; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
			return err_errno(e, -errno, "socketpair");
		device_fds[i] = ends[1];
		plan->setup.vdevs[i].socket_index = fdset_put(&plan->fds, &ends[0]);
		fd_close(&ends[0]);
		if (plan->setup.vdevs[i].socket_index < 0)
			return err_errno(e, plan->setup.vdevs[i].socket_index, "%s",
					 plan->vdevs[i].name);
	}
	plan->setup.nr_fds = plan->fds.count;
	return 0;
}

/* The vm process first: the devices start while KVM makes the machine. */
static int supervisor_spawn(struct supervisor *sup, struct err *e)
{
	struct plan *plan = sup->plan;
	int device_fds[VM_VDEVS_MAX], status;

	for (u32 i = 0; i < VM_VDEVS_MAX; i++)
		device_fds[i] = -1;
	status = make_device_sockets(plan, device_fds, e);
	if (status == 0)
		status = member_spawn(&sup->vm, "@vm", plan->kvm_fd, &plan->fds, e);
	fd_close(&plan->kvm_fd);
	if (status == 0)
		status = member_send_setup(&sup->vm, &plan->setup,
					   offsetof(struct vm_setup, cfg) + plan->setup.cfg_used,
					   e);
	for (u32 i = 0; i < plan->nr_vdevs && status == 0; i++)
		status = device_spawn(sup, &plan->vdevs[i], &device_fds[i], e);
	for (u32 i = 0; i < VM_VDEVS_MAX; i++)
		fd_close(&device_fds[i]);
	return status;
}

static int supervisor_confine(const struct supervisor *sup, struct err *e)
{
	if (!IS_ENABLED(CONFIG_SECCOMP) || !sup->plan->setup.jailed)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "PR_SET_NO_NEW_PRIVS");
	return policy_install(policy_find("supervisor"), e);
}

/*
 * The machine is gone, which its devices hear from their sockets. One that does not end by itself,
 * stuck in a disk of the host's, say, is ended.
 */
static void supervisor_end_devices(struct supervisor *sup)
{
	u64 deadline_ns = evl_now_ns() + DEVICE_END_MS * 1000000ull;

	for (u32 i = 0; i < sup->nr_devices; i++) {
		struct member *member = &sup->devices[i];
		struct pollfd end = { .fd = member->child.pid_fd, .events = POLLIN };
		u64 now_ns = evl_now_ns();
		int left_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / 1000000) : 0;

		if (member->child.pid_fd < 0)
			continue;
		if (poll(&end, 1, left_ms) <= 0)
			member_kill(member);
		member_drain(member);
		member_reap(member);
		if (member->reason[0] && !sup->failed)
			sup->failed = member;
	}
}

/* What is known when the processes are gone. Return: the exit code. */
static int supervisor_verdict(struct supervisor *sup)
{
	siginfo_t info = { 0 };

	waitid(P_PID, (id_t)sup->vm.child.pid, &info, WEXITED);
	supervisor_end_devices(sup);
	if (sup->ended) {
		/* A device that failed is the reason, whoever was heard first. */
		if (sup->exit_code == VM_END_FAILED && sup->failed)
			memcpy(sup->reason, sup->failed->reason, sizeof(sup->reason));
		return sup->exit_code;
	}
	if (sup->denied)
		return VM_END_FAILED;
	if (sup->stopping && info.si_code == CLD_KILLED && info.si_status == SIGKILL) {
		snprintf(sup->reason, sizeof(sup->reason), "stopped at once");
		return sup->stop_signal ? 128 + (int)sup->stop_signal : VM_END_POWER_OFF;
	}
	if (info.si_code == CLD_EXITED) {
		snprintf(sup->reason, sizeof(sup->reason),
			 "the vm process ended with status %d; its reason was lost",
			 info.si_status);
		return info.si_status ? info.si_status : VM_END_FAILED;
	}
	snprintf(sup->reason, sizeof(sup->reason), "the vm process was killed by signal %d (%s)",
		 info.si_status, strsignal(info.si_status));
	return VM_END_FAILED;
}

/* Whatever was made, in reverse; a vm process that still runs ends with its channel. */
static void supervisor_destroy(struct supervisor *sup)
{
	log_set_sink(NULL, NULL);
	if (sup->input.pipe_fd >= 0)
		fd_close(&sup->input.pipe_fd);
	evl_destroy(&sup->evl);
	for (u32 i = 0; i < sup->nr_devices; i++) {
		fd_close(&sup->devices[i].child.pid_fd);
		fd_close(&sup->devices[i].channel_fd);
	}
	fd_close(&sup->vm.child.pid_fd);
	fd_close(&sup->vm.channel_fd);
	fd_close(&sup->signal_fd);
	free(sup);
}

int supervisor_run(struct plan *plan)
{
	struct supervisor *sup = calloc(1, sizeof(*sup));
	struct err e = { 0 };
	int status, code;

	if (!sup) {
		log_err("out of memory");
		return VM_END_FAILED;
	}
	*sup = (struct supervisor){
		.plan = plan,
		.vm = { .sup = sup, .child.pid_fd = -1, .channel_fd = -1 },
		.signal_fd = -1,
		.input = { .pipe_fd = -1 },
	};
	log_set_sink(log_to_stderr, sup);
	status = supervisor_take_signals(sup, &e);
	if (status == 0)
		status = input_make_pipe(plan, &sup->input.pipe_fd, &e);
	if (status == 0)
		status = supervisor_spawn(sup, &e);
	if (status == 0)
		status = supervisor_watch(sup, &e);
	if (status == 0)
		status = input_start(sup, &e);
	if (status == 0)
		status = supervisor_confine(sup, &e);
	if (status == 0 && (status = evl_run(&sup->evl)) < 0)
		err_errno(&e, status, "event loop");
	terminal_restore();
	sup->finished = true;
	if (status < 0)
		log_err("%s", e.text);
	code = status < 0 ? VM_END_FAILED : supervisor_verdict(sup);
	if (status == 0 && (code == VM_END_POWER_OFF || sup->ended))
		log_info("%s", sup->reason);
	else if (status == 0)
		log_err("%s", sup->reason);
	supervisor_destroy(sup);
	return code;
}
