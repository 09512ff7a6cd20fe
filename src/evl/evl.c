// SPDX-License-Identifier: BSD-3-Clause
// The event loop.
#include "evl/evl.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"

int evl_create(struct evl *evl)
{
	*evl = (struct evl){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (evl->epoll_fd < 0)
		return -errno;
	evl->created = true;
	return 0;
}

void evl_destroy(struct evl *evl)
{
	if (evl->created)
		fd_close(&evl->epoll_fd);
	evl->created = false;
}

int evl_add(struct evl *evl, struct evl_source *source, int fd, u32 events, evl_ready_fn *ready)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	*source = (struct evl_source){ .fd = -1, .events = events, .ready = ready };
	if (epoll_ctl(evl->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	source->fd = fd;
	return 0;
}

int evl_modify(struct evl *evl, struct evl_source *source, u32 events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (source->events == events)
		return 0;
	if (epoll_ctl(evl->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

void evl_remove(struct evl *evl, struct evl_source *source)
{
	if (!source->ready || source->fd < 0)
		return;
	epoll_ctl(evl->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	for (int i = 0; i < evl->nr_ready; i++)
		if (evl->batch[i].data.ptr == source)
			evl->batch[i].data.ptr = NULL;
}

int evl_run_once(struct evl *evl, int timeout_ms)
{
	int got = epoll_wait(evl->epoll_fd, evl->batch, EVL_BATCH, timeout_ms);

	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	evl->nr_ready = got;
	for (int i = 0; i < got; i++) {
		struct evl_source *source = evl->batch[i].data.ptr;

		if (source)
			source->ready(source, evl->batch[i].events);
	}
	evl->nr_ready = 0;
	return 0;
}

int evl_run(struct evl *evl)
{
	int status = 0;

	while (!evl->stopped && status == 0)
		status = evl_run_once(evl, -1);
	return status;
}

void evl_stop(struct evl *evl)
{
	evl->stopped = true;
}

static void timer_ready(struct evl_source *source, u32 epoll_events)
{
	struct evl_timer *timer = container_of(source, struct evl_timer, source);
	u64 expirations;

	(void)epoll_events;
	/* Another thread may have set the timer again since: then there is nothing to read. */
	if (fd_read(source->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
		timer->fired(timer);
}

int evl_timer_create(struct evl *evl, struct evl_timer *timer, evl_timer_fn *fired)
{
	cleanup_fd int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int status;

	if (fd < 0)
		return -errno;
	timer->evl = evl;
	timer->fired = fired;
	status = evl_add(evl, &timer->source, fd, EPOLLIN, timer_ready);
	if (status == 0)
		fd_take(&fd);
	return status;
}

void evl_timer_destroy(struct evl_timer *timer)
{
	int fd = timer->source.fd;

	if (!timer->evl)
		return;
	evl_remove(timer->evl, &timer->source);
	fd_close(&fd);
	timer->evl = NULL;
}

static struct timespec timespec_from_ns(u64 ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
				  .tv_nsec = (long)(ns % 1000000000) };
}

void evl_timer_set(struct evl_timer *timer, u64 delay_ns, u64 period_ns)
{
	struct itimerspec spec = {
		.it_value = timespec_from_ns(delay_ns),
		.it_interval = timespec_from_ns(period_ns),
	};

	/* Fails only for a bad descriptor or time; both are ours and checked at create. */
	timerfd_settime(timer->source.fd, 0, &spec, NULL);
}

u64 evl_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}
