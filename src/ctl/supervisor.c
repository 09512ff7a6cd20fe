// SPDX-License-Identifier: BSD-3-Clause
// The process the user started.
#include "ctl/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/grants.h"
#include "ctl/member.h"
#include "ctl/terminal.h"
#include "ctl/user.h"
#include "evl/evl.h"
#include "jail/channel.h"
#include "jail/policy.h"
#include "stream/serial_cfg.h"
#include "util/fd.h"
#include "util/log.h"

enum {
	STOP_REPEAT_MS = 500, /* a second request so soon is the first one, heard twice */
	STDIN_CHUNK_BYTES = 4096,
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

/* --- Input --- */

static void vm_request(struct supervisor *sup, enum message_type type, s32 code, const char *text)
{
	if (channel_send(sup->vm.channel_fd, type, code, text) < 0 && !sup->ended)
		log_warn("the machine does not listen");
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
			user_put_words(terminal_help, 0);
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

static struct supervisor *supervisor_of(const struct member *member)
{
	return member->owner;
}

static void message_denied(struct member *member, const struct message *message)
{
	struct supervisor *sup = supervisor_of(member);

	sup->denied |= !member->device;
	member_denied(member, message, member->device ? member->reason : sup->reason,
		      sizeof(sup->reason));
}

static void message_ended(struct member *member, const struct message *message)
{
	struct supervisor *sup = supervisor_of(member);

	member_ended(member, message, member->device ? member->reason : sup->reason,
		     sizeof(sup->reason));
	if (member->device)
		return;
	sup->ended = true;
	sup->exit_code = message->code;
}

/* The other end is gone: it ends, or is of no use any more. (The pidfd would tell, too.) */
static void member_hung_up(struct member *member)
{
	struct supervisor *sup = supervisor_of(member);

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
		member_log(&supervisor_of(member)->log_limit, &message);
		break;
	case MESSAGE_ENDED:
		message_ended(member, &message);
		break;
	case MESSAGE_DENIED:
		message_denied(member, &message);
		break;
	case MESSAGE_ASK:
		grants_answer(&member->grants, member->planned, member->channel_fd, &message,
			      evl_now_ns());
		break;
	case MESSAGE_READY:
	case MESSAGE_STOP:
	case MESSAGE_BREAK:
	case MESSAGE_POWER_BUTTON:
	case MESSAGE_FRONT_END:
	case MESSAGE_GRANT:
	case MESSAGE_TERMINAL_SIZE:
		break;
	}
}

/*
 * A device that ends before the machine does takes the machine with it: nobody else has its state.
 * When the machine ends first its devices end in order, which is none of this: it is not asked twice.
 */
static void device_ended(struct member *member)
{
	struct supervisor *sup = supervisor_of(member);
	char ended[64];

	member_unwatch(member, &sup->evl);
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
		evl_stop(&supervisor_of(member)->evl);
}

static void signal_ready(struct evl_source *source, u32 epoll_events)
{
	struct supervisor *sup = container_of(source, struct supervisor, signal_source);
	u32 number = user_take_signal(sup->signal_fd);
	char why[64];

	(void)epoll_events;
	if (number == 0)
		return;
	if (number == SIGWINCH) {
		for (u32 i = 0; i < sup->nr_devices; i++)
			member_tell_terminal_size(&sup->devices[i]);
		return;
	}
	sup->stop_signal = number;
	snprintf(why, sizeof(why), "stopped by signal %u (%s)", number, strsignal((int)number));
	supervisor_stop(sup, 128 + (s32)number, why);
}

/* --- Life --- */

static int supervisor_watch(struct supervisor *sup, struct err *e)
{
	int status = evl_create(&sup->evl);

	if (status == 0)
		status = evl_add(&sup->evl, &sup->signal_source, sup->signal_fd, EPOLLIN,
				 signal_ready);
	if (status < 0)
		return err_errno(e, status, "event loop");
	status = member_watch(&sup->vm, &sup->evl, channel_ready, child_ready, e);
	for (u32 i = 0; i < sup->nr_devices && status == 0; i++)
		status = member_watch(&sup->devices[i], &sup->evl, channel_ready, child_ready, e);
	return status;
}

static int device_spawn(struct supervisor *sup, struct plan_vdev *planned, int *vhost_fd,
			struct err *e)
{
	struct member *member = &sup->devices[sup->nr_devices];
	int status;

	member_init(member, sup, planned->name);
	member->planned = planned;
	planned->setup.jailed = sup->plan->setup.jailed;
	planned->setup.nr_fds = planned->fds.count;
	status =
		member_spawn(member, "@device", planned->setup.jailed, *vhost_fd, &planned->fds, e);
	fd_close(vhost_fd);
	if (status < 0)
		return err_prefix(e, "%s", planned->name);
	sup->nr_devices++;
	return member_send_setup(member, &planned->setup, sizeof(planned->setup), e);
}

/* One end of each device's socket goes to the vm process, before it starts. A back-end of somebody
 * else's was connected to when the plan was opened. */
static int make_device_sockets(struct plan *plan, int *device_fds, struct err *e)
{
	for (u32 i = 0; i < plan->nr_vdevs; i++) {
		int ends[2];

		if (!plan->vdevs[i].cls)
			continue;
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
		status = member_spawn(&sup->vm, "@vm", plan->setup.jailed, plan->kvm_fd, &plan->fds,
				      e);
	fd_close(&plan->kvm_fd);
	if (status == 0)
		status = member_send_setup(&sup->vm, &plan->setup,
					   offsetof(struct vm_setup, cfg) + plan->setup.cfg_used,
					   e);
	for (u32 i = 0; i < plan->nr_vdevs && status == 0; i++)
		if (plan->vdevs[i].cls)
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
	return policy_install(
		policy_find(grants_wanted(sup->plan) ? "supervisor_grants" : "supervisor"), e);
}

/* The machine is gone, which its devices hear from their sockets. */
static void supervisor_end_devices(struct supervisor *sup)
{
	u64 deadline_ns = evl_now_ns() + MEMBER_END_MS * 1000000ull;

	for (u32 i = 0; i < sup->nr_devices; i++) {
		struct member *member = &sup->devices[i];
		bool hung;

		if (member->child.pid_fd < 0)
			continue;
		hung = !member_end(member, deadline_ns);
		/* Whom we had to kill did not bring about what ended the machine before. */
		if (member->reason[0] && !hung && !sup->failed)
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
	for (u32 i = 0; i < sup->nr_devices; i++)
		member_destroy(&sup->devices[i]);
	member_destroy(&sup->vm);
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
	*sup = (struct supervisor){ .plan = plan, .input = { .pipe_fd = -1 } };
	member_init(&sup->vm, sup, NULL);
	user_log_start(&sup->finished);
	sup->signal_fd = status = user_signal_fd(&e);
	if (status >= 0)
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
