// SPDX-License-Identifier: BSD-3-Clause
// One device for the vhost-user front-ends of other machines.
#include "ctl/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/member.h"
#include "ctl/user.h"
#include "jail/policy.h"
#include "util/fd.h"
#include "util/log.h"

enum {
	BACKLOG = 8,          /* front-ends that wait while another one is served */
	STOP_REPEAT_MS = 500, /* a second request so soon is the first one, heard twice */
};

/*
 * Accepts, and hands what it accepted to the device's process, which has no socket to accept from.
 * Owner: the process the user started.
 */
struct server {
	struct evl evl;
	struct serve_request *request;
	struct member device;
	int signal_fd;
	struct evl_source signal_source, listen_source;
	struct log_limit log_limit;
	u32 nr_served; /* front-ends handed on */
	bool ready, stopping, finished;
	u64 stopped_ns;
	char why[64]; /* it was to stop */
};

/* --- The socket ------------------------------------------------------------------------------- */

static int given_socket_check(struct serve_request *request, struct err *e)
{
	struct sockaddr_un address = { 0 };
	socklen_t address_len = sizeof(address), len = sizeof(int);
	int fd = request->socket_fd, type = 0, listens = 0;

	if (getsockname(fd, (struct sockaddr *)&address, &address_len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return err_errno(e, -errno, "socket-fd: descriptor %d", fd);
	if (address.sun_family != AF_UNIX || type != SOCK_STREAM)
		return err_set(e, -EINVAL, "socket-fd: descriptor %d is no Unix stream socket", fd);
	request->connected = !listens;
	return 0;
}

int serve_open(struct serve_request *request, struct err *e)
{
	struct plan_vdev *vdev = request->vdev;
	int status = 0;

	if (!request->path)
		status = given_socket_check(request, e);
	if (status == 0)
		status = plan_vdev_open(vdev, e);
	if (status < 0)
		return status;
	request->opened = true;
	if (request->path) {
		request->socket_fd = unix_listen(request->path, BACKLOG, &request->id, e);
		status = MIN(request->socket_fd, 0);
	} else {
		status = fd_set_nonblock(request->socket_fd, true);
		if (status < 0)
			err_errno(e, status, "socket-fd: descriptor %d", request->socket_fd);
	}
	return status;
}

void serve_close(struct serve_request *request)
{
	const struct vdev_class *cls = request->vdev->cls;

	if (request->path && request->socket_fd >= 0)
		unix_remove(request->path, &request->id);
	if (request->opened && cls->cleanup)
		cls->cleanup(request->vdev->setup.cfg);
	fdset_close(&request->vdev->fds);
	fd_close(&request->socket_fd);
}

/* --- Front-ends ------------------------------------------------------------------------------- */

static void server_stop(struct server *s, const char *why)
{
	u64 now_ns = evl_now_ns();

	if (s->stopping) {
		/* timeout(1) signals its child and at once its own process group with it. */
		if (now_ns - s->stopped_ns >= STOP_REPEAT_MS * 1000000ull)
			member_kill(&s->device); /* it was asked once; now it is told */
		return;
	}
	s->stopping = true;
	s->stopped_ns = now_ns;
	snprintf(s->why, sizeof(s->why), "%s", why);
	channel_send(s->device.channel_fd, MESSAGE_STOP, 0, why);
}

static void server_hand_over(struct server *s, int front_fd)
{
	evl_remove(&s->evl, &s->listen_source); /* until this one is gone */
	s->nr_served++;
	if (channel_send_fd(s->device.channel_fd, MESSAGE_FRONT_END, front_fd) < 0)
		log_warn("%s: its process does not listen", s->device.device);
}

static void listen_ready(struct evl_source *source, u32 epoll_events)
{
	struct server *s = container_of(source, struct server, listen_source);
	cleanup_fd int fd = accept4(s->request->socket_fd, NULL, NULL, SOCK_CLOEXEC);

	(void)epoll_events;
	if (fd >= 0)
		server_hand_over(s, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		server_stop(s, "no front-end can connect any more");
}

/* The device waits for its first front-end, or for the next. */
static void server_next(struct server *s)
{
	struct serve_request *request = s->request;

	if (s->stopping)
		return;
	if (s->nr_served > 0 && (request->once || request->connected)) {
		server_stop(s, "its front-end is gone");
		return;
	}
	if (!s->ready && request->path)
		log_info("%s: ready at '%s'", s->device.device, request->path);
	else if (!s->ready)
		log_info("%s: ready", s->device.device);
	s->ready = true;
	if (request->connected)
		server_hand_over(s, request->socket_fd);
	else if (evl_add(&s->evl, &s->listen_source, request->socket_fd, EPOLLIN, listen_ready) < 0)
		server_stop(s, "its socket cannot be watched");
}

/* --- The device's process --------------------------------------------------------------------- */

static void channel_ready(struct evl_source *source, u32 epoll_events)
{
	struct member *device = container_of(source, struct member, channel_source);
	struct server *s = device->owner;
	struct message message;
	int got = channel_receive(device->channel_fd, &message, MSG_DONTWAIT);

	(void)epoll_events;
	if (got == 0) {
		evl_remove(&s->evl, source);
		member_kill(device);
	}
	if (got <= 0)
		return;
	if (message.type == MESSAGE_READY)
		server_next(s);
	else if (message.type == MESSAGE_ASK)
		grants_answer(&device->grants, device->planned, device->channel_fd, &message,
			      evl_now_ns());
	else if (message.type == MESSAGE_LOG)
		member_log(&s->log_limit, &message);
	else if (message.type == MESSAGE_ENDED)
		member_ended(device, &message, device->reason, sizeof(device->reason));
	else if (message.type == MESSAGE_DENIED)
		member_denied(device, &message, device->reason, sizeof(device->reason));
}

static void child_ready(struct evl_source *source, u32 epoll_events)
{
	struct member *device = container_of(source, struct member, child_source);
	struct server *s = device->owner;

	(void)epoll_events;
	member_drain(device);
	member_unwatch(device, &s->evl);
	member_reap(device);
	evl_stop(&s->evl);
}

static void signal_ready(struct evl_source *source, u32 epoll_events)
{
	struct server *s = container_of(source, struct server, signal_source);
	u32 number = user_take_signal(s->signal_fd);
	char why[64];

	(void)epoll_events;
	if (number == SIGWINCH)
		member_tell_terminal_size(&s->device);
	if (number == 0 || number == SIGWINCH)
		return;
	snprintf(why, sizeof(why), "stopped by signal %u (%s)", number, strsignal((int)number));
	server_stop(s, why);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int server_spawn(struct server *s, struct err *e)
{
	struct plan_vdev *vdev = s->request->vdev;
	int status;

	vdev->setup.one_by_one = true;
	vdev->setup.nr_fds = vdev->fds.count;
	status = member_spawn(&s->device, "@device", vdev->setup.jailed, -1, &vdev->fds, e);
	if (status < 0)
		return err_prefix(e, "%s", vdev->name);
	return member_send_setup(&s->device, &vdev->setup, sizeof(vdev->setup), e);
}

static int server_watch(struct server *s, struct err *e)
{
	int status = evl_create(&s->evl);

	if (status == 0)
		status = evl_add(&s->evl, &s->signal_source, s->signal_fd, EPOLLIN, signal_ready);
	if (status < 0)
		return err_errno(e, status, "event loop");
	return member_watch(&s->device, &s->evl, channel_ready, child_ready, e);
}

static int server_confine(const struct server *s, struct err *e)
{
	if (!IS_ENABLED(CONFIG_SECCOMP) || !s->request->vdev->setup.jailed)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "PR_SET_NO_NEW_PRIVS");
	return policy_install(policy_find(s->request->vdev->cls->grant ? "serve_grants" : "serve"),
			      e);
}

static int server_start(struct server *s, struct err *e)
{
	int status = s->signal_fd = user_signal_fd(e);

	if (status >= 0)
		status = server_spawn(s, e);
	if (status == 0)
		status = server_watch(s, e);
	if (status == 0)
		status = server_confine(s, e);
	if (status == 0 && (status = evl_run(&s->evl)) < 0)
		err_errno(e, status, "event loop");
	return status;
}

static int server_verdict(const struct server *s, int status, const struct err *e)
{
	const struct member *device = &s->device;

	if (status < 0)
		log_err("%s", e->text);
	else if (device->reason[0])
		log_err("%s", device->reason);
	else if (!s->stopping)
		log_err("%s: its process ended", device->device);
	else
		log_info("%s: %s", device->device, s->why);
	return status < 0 || device->reason[0] || !s->stopping ? VM_END_FAILED : 0;
}

int serve_run(struct serve_request *request)
{
	struct server *s = calloc(1, sizeof(*s));
	struct err e = { 0 };
	int status, code;

	if (!s) {
		log_err("out of memory");
		return VM_END_FAILED;
	}
	s->request = request;
	s->signal_fd = -1;
	member_init(&s->device, s, request->vdev->name);
	s->device.planned = request->vdev;
	user_log_start(&s->finished);
	status = server_start(s, &e);
	s->finished = true;
	code = server_verdict(s, status, &e);
	log_set_sink(NULL, NULL);
	evl_destroy(&s->evl);
	member_destroy(&s->device);
	fd_close(&s->signal_fd);
	free(s);
	return code;
}
