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
#include "dev/serial_cfg.h"
#include "evl/evl.h"
#include "jail/policy.h"
#include "jail/spawn.h"
#include "util/fd.h"
#include "util/log.h"

enum {
	STOP_REPEAT_MS = 500, /* a second request so soon is the first one, heard twice */
	LAST_LINE_MS = 1000,  /* how long the last line waits for a reader of standard error */
	STDIN_CHUNK_BYTES = 4096,
	CHANNEL_BYTES = 256 * 1024, /* a setup fits, and a burst of log lines */
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

struct supervisor {
	struct evl evl;
	struct plan *plan;
	struct spawn_child child;
	int channel_fd, signal_fd;
	struct evl_source channel_source, child_source, signal_source;
	struct console_input input;
	struct log_limit log_limit;
	bool ended, stopping, denied, finished;
	int exit_code;
	u64 stopped_ns;  /* when it was first asked to */
	u32 stop_signal; /* 0, or the signal that asked for the end */
	char reason[sizeof(((struct vm_message *)0)->text)];
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

static void vm_request(struct supervisor *sup, enum vm_message_type type, s32 code,
		       const char *text)
{
	if (channel_send(sup->channel_fd, type, code, text) < 0 && !sup->ended)
		log_warn("the machine does not listen");
}

/* A process that already ends keeps the status it ends with. */
static void vm_kill(const struct supervisor *sup)
{
	syscall(SYS_pidfd_send_signal, sup->child.pid_fd, SIGKILL, NULL, 0);
}

static void supervisor_stop(struct supervisor *sup, s32 code, const char *why)
{
	u64 now_ns = evl_now_ns();

	if (sup->stopping) {
		/* timeout(1) signals its child and at once its own process group with it. */
		if (now_ns - sup->stopped_ns < STOP_REPEAT_MS * 1000000ull)
			return;
		vm_kill(sup); /* it was asked once; now it is told */
		return;
	}
	sup->stopping = true;
	sup->stopped_ns = now_ns;
	vm_request(sup, VM_MESSAGE_STOP, code, why);
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
			vm_request(sup, VM_MESSAGE_BREAK, 0, NULL);
			break;
		case TERMINAL_KEY_POWER:
			vm_request(sup, VM_MESSAGE_POWER_BUTTON, 0, NULL);
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

/* The serial port that wants standard input gets the read end of a pipe. */
static int input_make_pipe(struct plan *plan, int *write_fd, struct err *e)
{
	u32 at = 0;
	struct serial_cfg *cfg = plan_stdin_port(plan, &at);
	int ends[2];

	*write_fd = -1;
	if (!cfg)
		return 0;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "make a pipe for the console's input");
	*write_fd = ends[1];
	cfg->in_fd_index = fdset_put(&plan->fds, &ends[0]);
	plan->setup.nr_fds = plan->fds.count;
	fd_close(&ends[0]);
	return cfg->in_fd_index < 0 ? err_errno(e, cfg->in_fd_index, "console input") : 0;
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

static void message_denied(struct supervisor *sup, const struct vm_message *message)
{
	const char *name = IS_ENABLED(CONFIG_SYSCALL_NAMES) ? policy_syscall_name(message->code)
							    : NULL;

	sup->denied = true;
	snprintf(sup->reason, sizeof(sup->reason),
		 "seccomp policy '%.32s' refused system call %d%s%s%s; the process was killed",
		 message->text, message->code, name ? " (" : "", name ? name : "", name ? ")" : "");
}

/* The vm process limits what its guest can cause; this limits a vm process that was taken over. */
static void message_log(struct supervisor *sup, const struct vm_message *message)
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

static void channel_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, channel_source);
	struct vm_message message;
	int got = channel_receive(sup->channel_fd, &message, MSG_DONTWAIT);

	(void)epoll_events;
	if (got == 0) {
		/*
		 * It ends, or is of no use any more: the verdict waits for it. (The pidfd would tell,
		 * too; whichever comes first.)
		 */
		evl_remove(&sup->evl, source);
		vm_kill(sup);
		evl_stop(&sup->evl);
	}
	if (got <= 0)
		return;
	switch ((enum vm_message_type)message.type) {
	case VM_MESSAGE_LOG:
		message_log(sup, &message);
		break;
	case VM_MESSAGE_ENDED:
		sup->ended = true;
		sup->exit_code = message.code;
		snprintf(sup->reason, sizeof(sup->reason), "%s", message.text);
		break;
	case VM_MESSAGE_DENIED:
		message_denied(sup, &message);
		break;
	case VM_MESSAGE_READY:
	case VM_MESSAGE_STOP:
	case VM_MESSAGE_BREAK:
	case VM_MESSAGE_POWER_BUTTON:
		break;
	}
}

/* The process is gone; what it said last may still lie in the channel. */
static void child_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, child_source);

	(void)epoll_events;
	for (struct pollfd p = { .fd = sup->channel_fd, .events = POLLIN };
	     sup->channel_source.fd >= 0 && poll(&p, 1, 0) > 0;)
		channel_ready(&sup->channel_source, (u32)p.revents);
	evl_stop(&sup->evl);
}

static void signal_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, signal_source);
	struct signalfd_siginfo info;
	char why[64];

	(void)epoll_events;
	if (fd_read(sup->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	sup->stop_signal = info.ssi_signo;
	snprintf(why, sizeof(why), "stopped by signal %u (%s)", info.ssi_signo,
		 strsignal((int)info.ssi_signo));
	supervisor_stop(sup, 128 + (s32)info.ssi_signo, why);
}

/* --- Life --- */

static sigset_t ending_signals(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (u32 i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&set, ending[i]);
	return set;
}

void supervisor_hold_signals(void)
{
	sigset_t set = ending_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int supervisor_take_signals(struct supervisor *sup, struct err *e)
{
	sigset_t set = ending_signals();

	supervisor_hold_signals();
	signal(SIGPIPE, SIG_IGN);
	sup->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return sup->signal_fd < 0 ? err_errno(e, -errno, "signalfd") : 0;
}

static int supervisor_watch(struct supervisor *sup, struct err *e)
{
	int status = evl_create(&sup->evl);

	if (status == 0)
		status = evl_add(&sup->evl, &sup->signal_source, sup->signal_fd, EPOLLIN,
				 signal_ready);
	if (status == 0)
		status = evl_add(&sup->evl, &sup->channel_source, sup->channel_fd, EPOLLIN,
				 channel_ready);
	if (status == 0)
		status = evl_add(&sup->evl, &sup->child_source, sup->child.pid_fd, EPOLLIN,
				 child_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

static int supervisor_send_setup(struct supervisor *sup, struct err *e)
{
	const struct vm_setup *setup = &sup->plan->setup;
	size_t len = offsetof(struct vm_setup, cfg) + setup->cfg_used;

	/* A machine that ended already is met again at its pidfd, with what it said. */
	if (send(sup->channel_fd, setup, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_errno(e, -errno, "send the setup of the machine");
	return 0;
}

static int supervisor_spawn(struct supervisor *sup, struct err *e)
{
	struct plan *plan = sup->plan;
	cleanup_fd int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int fds[VM_FD_FIRST + FDSET_MAX], ends[2], status;
	const int bytes = CHANNEL_BYTES;

	if (null_fd < 0)
		null_fd = memfd_create("null", MFD_CLOEXEC); /* a host without devices */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, -errno, "socketpair");
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	fds[VM_FD_CHANNEL] = ends[1];
	fds[VM_FD_KVM] = plan->kvm_fd;
	/* Its words come through the channel: a jailed process has no business with a terminal. */
	fds[VM_FD_STDERR] = plan->setup.jailed ? null_fd : STDERR_FILENO;
	memcpy(&fds[VM_FD_FIRST], plan->fds.fds, plan->fds.count * sizeof(int));
	status = spawn_process(&(struct spawn_request){ .role = "@vm",
							.fds = fds,
							.nr_fds = VM_FD_FIRST + plan->fds.count,
							.jailed = plan->setup.jailed },
			       &sup->child, e);
	fd_close(&ends[1]);
	sup->channel_fd = ends[0];
	/*
	 * The machine has them now; nobody else should hold a pipe's or a socket's other end open.
	 */
	fdset_close(&plan->fds);
	fd_close(&plan->kvm_fd);
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

/* What is known when the process is gone. Return: the exit code. */
static int supervisor_verdict(struct supervisor *sup)
{
	siginfo_t info = { 0 };

	waitid(P_PID, (id_t)sup->child.pid, &info, WEXITED);
	if (sup->ended)
		return sup->exit_code;
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
	fd_close(&sup->child.pid_fd);
	fd_close(&sup->channel_fd);
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
		.child.pid_fd = -1,
		.channel_fd = -1,
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
		status = supervisor_send_setup(sup, &e);
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
