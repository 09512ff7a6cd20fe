// SPDX-License-Identifier: BSD-3-Clause
// The process of one virtio device: vhost-user on one side, a device class on the other.
#include "virtio/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "jail/channel.h"
#include "util/checked.h"
#include "util/fd.h"
#include "util/log.h"
#include "vhost/vhost_backend.h"
#include "vhost/vhost_user.h"

/* Owner: the process's only thread. */
struct worker {
	struct evl evl;
	struct vdev *v;
	struct vdev_host host;
	struct evl_source channel_source;
	bool one_by_one; /* front-ends come through the channel */
	struct vhost_backend backend;
	struct worker_kick {
		struct evl_source source;
		struct worker *worker;
		u32 qi;
	} kicks[VDEV_QUEUES_MAX];
};

/* --- The class's side --- */

static void host_config_changed(struct vdev_host *host, struct vdev *v)
{
	(void)v;
	vhost_backend_config_changed(&container_of(host, struct worker, host)->backend);
}

static void host_broken(struct vdev_host *host, struct vdev *v, u32 qi)
{
	(void)v;
	vhost_backend_ring_broken(&container_of(host, struct worker, host)->backend, qi);
}

static int host_ask(struct vdev_host *host, u32 what, u32 cookie)
{
	(void)host;
	return channel_ask(PROCESS_FD_CHANNEL, what, cookie);
}

/* --- The front-end's side --- */

static struct worker *worker_of(struct vhost_backend *b)
{
	return container_of(b, struct worker, backend);
}

static u64 worker_features(struct vhost_backend *b)
{
	return worker_of(b)->v->features_offered;
}

static int worker_set_features(struct vhost_backend *b, u64 features)
{
	struct vdev *v = worker_of(b)->v;

	features &= ~VHOST_USER_F_PROTOCOL_FEATURES;
	if (features & ~v->features_offered)
		return -EINVAL;
	v->features = features;
	return 0;
}

static u32 worker_nr_queues(struct vhost_backend *b)
{
	return worker_of(b)->v->nr_queues;
}

static bool worker_has_config(struct vhost_backend *b)
{
	return worker_of(b)->v->cls->config_bytes > 0;
}

static int worker_memory_changed(struct vhost_backend *b)
{
	worker_of(b)->v->mem =
		b->mem; /* the back-end's; no ring runs that could point into the old */
	return 0;
}

static void kick_ready(struct evl_source *source, u32 epoll_events)
{
	struct worker_kick *kick = container_of(source, struct worker_kick, source);

	(void)epoll_events;
	vdev_kick(kick->worker->v, kick->qi);
}

static int worker_ring_start(struct vhost_backend *b, u32 qi, const struct vhost_backend_ring *ring,
			     int kick_fd, int call_fd)
{
	struct worker *w = worker_of(b);
	struct virtq *q = vdev_queue(w->v, qi);
	const struct virtq_config config = { .size = ring->size,
					     .desc_gpa = ring->desc_gpa,
					     .avail_gpa = ring->avail_gpa,
					     .used_gpa = ring->used_gpa };
	struct err e;
	int status;

	if (!q)
		return -EINVAL;
	q->kick_fd = kick_fd;
	q->call_fd = call_fd;
	status = vdev_queue_start(w->v, qi, &config, ring->base, &e);
	if (status < 0) {
		log_guest(&w->v->log, "%s", e.text);
		return status;
	}
	w->kicks[qi].worker = w;
	w->kicks[qi].qi = qi;
	if (kick_fd >= 0 && !q->is_elsewhere)
		status = evl_add(&w->evl, &w->kicks[qi].source, kick_fd, EPOLLIN, kick_ready);
	if (status < 0) {
		vdev_queue_stop(w->v, qi);
		return status;
	}
	vdev_kick(w->v, qi); /* requests may have come before this descriptor */
	return 0;
}

static void worker_ring_call(struct vhost_backend *b, u32 qi, int call_fd)
{
	struct vdev *v = worker_of(b)->v;
	struct virtq *q = vdev_queue(v, qi);

	if (!q)
		return;
	q->call_fd = call_fd;
	if (v->cls->queue_call)
		v->cls->queue_call(v, qi);
}

static u16 worker_ring_stop(struct vhost_backend *b, u32 qi)
{
	struct worker *w = worker_of(b);

	evl_remove(&w->evl, &w->kicks[qi].source);
	return vdev_queue_stop(w->v, qi);
}

static int worker_config_read(struct vhost_backend *b, u32 offset, u8 *dst, u32 len)
{
	struct vdev *v = worker_of(b)->v;
	u8 config[VDEV_CONFIG_BYTES_MAX] = { 0 };

	if (v->cls->config_read)
		v->cls->config_read(v, config);
	if (offset < sizeof(config))
		memcpy(dst, config + offset, MIN(len, (u32)sizeof(config) - offset));
	return 0;
}

static int worker_config_write(struct vhost_backend *b, u32 offset, const u8 *src, u32 len)
{
	struct vdev *v = worker_of(b)->v;

	if (!range_fits(offset, len, v->cls->config_bytes))
		return -EINVAL;
	if (v->cls->config_write)
		v->cls->config_write(v, offset, src, len);
	return 0;
}

/* The next driver finds the device as the first one did. */
static void worker_await_front_end(struct worker *w)
{
	vhost_backend_destroy(&w->backend);
	w->v->mem = w->backend.mem;
	w->v->features = 0;
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_READY, 0, NULL);
}

/* The machine ended, or whoever drove the device: its work is done, or done until the next comes. */
static void worker_gone(struct vhost_backend *b, const char *why)
{
	struct worker *w = worker_of(b);

	if (why)
		log_warn("%s: its front-end broke the protocol: %s", w->v->name, why);
	if (w->one_by_one)
		worker_await_front_end(w);
	else
		evl_stop(&w->evl);
}

static const struct vhost_backend_ops worker_ops = {
	.features = worker_features,
	.set_features = worker_set_features,
	.nr_queues = worker_nr_queues,
	.has_config = worker_has_config,
	.memory_changed = worker_memory_changed,
	.ring_start = worker_ring_start,
	.ring_call = worker_ring_call,
	.ring_stop = worker_ring_stop,
	.config_read = worker_config_read,
	.config_write = worker_config_write,
	.gone = worker_gone,
};

/* --- The supervisor's side --- */

static void worker_take_front_end(struct worker *w, int *fd)
{
	struct err e;

	if (*fd < 0 || w->backend.fd >= 0)
		return;
	if (vhost_backend_start(&w->backend, &worker_ops, &w->evl, fd, &e) < 0) {
		log_warn("%s: %s", w->v->name, e.text);
		worker_await_front_end(w);
	}
}

static void channel_ready(struct evl_source *source, u32 epoll_events)
{
	struct worker *w = container_of(source, struct worker, channel_source);
	const struct vdev_class *cls = w->v->cls;
	struct message message;
	cleanup_fd int fd = -1;
	int got = channel_receive_fd(PROCESS_FD_CHANNEL, &message, &fd);

	(void)epoll_events;
	if (got == -EAGAIN)
		return;
	if (got <= 0 || message.type == MESSAGE_STOP)
		evl_stop(&w->evl);
	else if (message.type == MESSAGE_FRONT_END && w->one_by_one)
		worker_take_front_end(w, &fd);
	else if (message.type == MESSAGE_GRANT && cls->granted)
		cls->granted(w->v, message.cookie, message.code < 0 ? message.code : fd_take(&fd));
	else if (message.type == MESSAGE_TERMINAL_SIZE && cls->terminal_size)
		cls->terminal_size(w->v, (u16)message.code, (u16)((u32)message.code >> 16));
}

/* Where requests and the supervisor's messages come from. */
static int worker_connect(struct worker *w, struct err *e)
{
	int vhost_fd = WORKER_FD_VHOST, status = 0;

	if (!w->one_by_one)
		status = vhost_backend_start(&w->backend, &worker_ops, &w->evl, &vhost_fd, e);
	if (status < 0)
		return status;
	status = evl_add(&w->evl, &w->channel_source, PROCESS_FD_CHANNEL, EPOLLIN, channel_ready);
	return status < 0 ? err_errno(e, status, "listen to the supervisor") : 0;
}

/* --- Life --- */

static int worker_receive_setup(struct worker_setup *setup, struct fdset *fds)
{
	ssize_t got = recv(PROCESS_FD_CHANNEL, setup, sizeof(*setup), 0);

	if (got != (ssize_t)sizeof(*setup) || setup->nr_fds > FDSET_MAX)
		return -EPROTO;
	fds->count = setup->nr_fds;
	for (u32 i = 0; i < setup->nr_fds; i++)
		fds->fds[i] = PROCESS_FD_FIRST + (int)i;
	return 0;
}

/* Everything up to the first byte of a guest's: jail, device, filter. */
static int worker_prepare(struct worker *w, const struct worker_setup *setup, struct fdset *fds,
			  bool user_ns, struct err *e)
{
	const struct vdev_class *cls = vdev_class_find(setup->class_name);
	int status = 0;

	if (!cls)
		return err_set(e, -ENOENT, "there is no such device class");
	if (IS_ENABLED(CONFIG_JAIL) && setup->jailed)
		status = process_enter_jail(user_ns, e);
	if (status == 0 && (status = evl_create(&w->evl)) < 0)
		err_errno(e, status, "event loop");
	if (status < 0)
		return status;
	w->host = (struct vdev_host){ .config_changed = host_config_changed,
				      .broken = host_broken,
				      .ask = host_ask };
	w->v = vdev_create(cls, setup->index, &w->evl, &w->host, setup->cfg, fds, e);
	if (!w->v)
		return e->code;
	w->one_by_one = setup->one_by_one;
	status = worker_connect(w, e);
	if (status == 0 && setup->jailed)
		status = process_filter(cls->policy, e);
	return status;
}

/* Serve until the front-end is gone. Return: 0 or -errno with words. */
static int worker_serve(struct worker *w, const struct worker_setup *setup, struct fdset *fds,
			bool user_ns, struct err *e)
{
	int status = worker_prepare(w, setup, fds, user_ns, e);

	if (status < 0)
		return status;
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_READY, 0, NULL);
	status = evl_run(&w->evl);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

int worker_process_main(bool user_ns)
{
	struct worker_setup *setup = calloc(1, sizeof(*setup));
	struct worker *w = calloc(1, sizeof(*w));
	struct err e = { 0 };
	struct fdset fds;
	int status = -EPROTO;

	process_begin("kiln-device");
	if (setup && w && worker_receive_setup(setup, &fds) == 0) {
		w->backend.fd = w->backend.channel_fd = w->backend.mem.memfd = -1;
		status = worker_serve(w, setup, &fds, user_ns, &e);
		if (status < 0)
			channel_send(PROCESS_FD_CHANNEL, MESSAGE_ENDED, 1, e.text);
		vhost_backend_destroy(&w->backend);
		vdev_destroy(w->v);
		evl_destroy(&w->evl);
	}
	free(w);
	free(setup);
	return status < 0;
}
