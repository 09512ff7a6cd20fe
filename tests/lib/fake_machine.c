// SPDX-License-Identifier: BSD-3-Clause
// A machine for one device.
#include "tests/lib/fake_machine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "util/log.h"

enum { START_SECONDS = 1709210096 }; /* 2024-02-29 12:34:56 UTC */

static struct fake_machine *fm_of(struct dev_host *host)
{
	return container_of(host, struct fake_machine, host);
}

static void host_set_irq(struct dev_host *host, struct dev *dev, u32 gsi, bool level)
{
	struct fake_machine *fm = fm_of(host);
	u32 bit = 1u << dev->slot, before;

	if (gsi >= FM_LINES)
		abort();
	pthread_mutex_lock(&fm->lock);
	before = fm->lines[gsi];
	fm->lines[gsi] = level ? before | bit : before & ~bit;
	if (!before && fm->lines[gsi])
		fm->rises[gsi]++;
	pthread_mutex_unlock(&fm->lock);
}

static void host_event(struct dev_host *host, struct dev *dev, enum dev_event event, u32 value)
{
	struct fake_machine *fm = fm_of(host);

	(void)dev;
	pthread_mutex_lock(&fm->lock);
	if (fm->nr_events < FM_EVENTS_MAX)
		fm->events[fm->nr_events] = (struct fm_event){ event, value };
	fm->nr_events++;
	pthread_mutex_unlock(&fm->lock);
}

static u64 host_realtime_ns(struct dev_host *host)
{
	return fm_of(host)->realtime_ns;
}

/* Tests provoke what is worth a log line. */
static void quiet_log(enum log_level level, const char *line, void *opaque)
{
	(void)level;
	(void)line;
	(void)opaque;
}

void fm_create(struct fake_machine *fm)
{
	memset(fm, 0, sizeof(*fm));
	signal(SIGPIPE, SIG_IGN); /* as the vm process does */
	log_set_sink(quiet_log, NULL);
	if (evl_create(&fm->evl) < 0)
		abort();
	pthread_mutex_init(&fm->lock, NULL);
	fm->pio.name = "port I/O";
	fm->mmio.name = "MMIO";
	fm->realtime_ns = START_SECONDS * 1000000000ull;
	fm->host = (struct dev_host){
		.evl = &fm->evl,
		.pio = &fm->pio,
		.mmio = &fm->mmio,
		.ram = { .below_4g_bytes = MIB(128) },
		.set_irq = host_set_irq,
		.event = host_event,
		.realtime_ns = host_realtime_ns,
	};
}

void fm_destroy(struct fake_machine *fm)
{
	while (fm->nr_devices > 0)
		dev_destroy(fm->devices[--fm->nr_devices]);
	evl_destroy(&fm->evl);
	pthread_mutex_destroy(&fm->lock);
}

struct dev *fm_try(struct fake_machine *fm, const char *name, u32 index, const void *cfg,
		   struct fdset *fds, struct err *e)
{
	const struct dev_class *cls = dev_class_find(name);
	struct dev *dev;

	if (!cls || fm->nr_devices >= FM_DEVICES_MAX)
		abort();
	dev = dev_create(cls, index, fm->nr_devices, &fm->host, cfg, fds, e);
	if (dev)
		fm->devices[fm->nr_devices++] = dev;
	return dev;
}

struct dev *fm_add(struct fake_machine *fm, const char *name, u32 index, const void *cfg,
		   struct fdset *fds)
{
	struct err e = { 0 };
	struct dev *dev = fm_try(fm, name, index, cfg, fds, &e);

	if (!dev) {
		fprintf(stderr, "fm_add: %s\n", e.text);
		abort();
	}
	return dev;
}

u32 fm_in(struct fake_machine *fm, u16 port, u32 len)
{
	u32 value = 0;

	bus_read(&fm->pio, port, &value, len);
	return value;
}

void fm_out(struct fake_machine *fm, u16 port, u32 value, u32 len)
{
	bus_write(&fm->pio, port, &value, len);
}

bool fm_irq(struct fake_machine *fm, u32 gsi)
{
	bool level;

	pthread_mutex_lock(&fm->lock);
	level = fm->lines[gsi] != 0;
	pthread_mutex_unlock(&fm->lock);
	return level;
}

u32 fm_rises(struct fake_machine *fm, u32 gsi)
{
	u32 rises;

	pthread_mutex_lock(&fm->lock);
	rises = fm->rises[gsi];
	pthread_mutex_unlock(&fm->lock);
	return rises;
}

u32 fm_events(struct fake_machine *fm)
{
	u32 events;

	pthread_mutex_lock(&fm->lock);
	events = fm->nr_events;
	pthread_mutex_unlock(&fm->lock);
	return events;
}

bool fm_saw(struct fake_machine *fm, enum dev_event event, u32 value)
{
	return fm_events(fm) == 1 && fm->events[0].event == event && fm->events[0].value == value;
}

void fm_step(struct fake_machine *fm)
{
	if (evl_run_once(&fm->evl, 20) < 0)
		abort();
}

bool fm_is_quiet(struct fake_machine *fm)
{
	struct epoll_event event;

	return epoll_wait(fm->evl.epoll_fd, &event, 1, 0) == 0;
}

void fm_settle(struct fake_machine *fm)
{
	u64 end_ns = evl_now_ns() + FM_DEADLINE_MS * 1000000ull;
	struct epoll_event event;

	/* 20 ms are ten times the longest delay a device gathers work for. */
	while (epoll_wait(fm->evl.epoll_fd, &event, 1, 20) > 0) {
		fm_step(fm);
		if (evl_now_ns() > end_ns) {
			fprintf(stderr, "fm_settle: the loop never comes to rest\n");
			abort();
		}
	}
}
