// SPDX-License-Identifier: BSD-3-Clause
// A machine for one device: ports, interrupt lines and events on record, a clock to set.
#pragma once

#include <pthread.h>

#include "bus/bus.h"
#include "dev/dev_class.h"
#include "evl/evl.h"
#include "util/fdset.h"
#include "util/types.h"

enum { FM_LINES = 24, FM_EVENTS_MAX = 32, FM_DEVICES_MAX = 16, FM_DEADLINE_MS = 10000 };

struct fm_event {
	enum dev_event event;
	u32 value;
};

/* Devices may call the host's verbs from any thread; a test looks at the record from its own. */
struct fake_machine {
	struct dev_host host;
	struct evl evl;
	struct bus pio, mmio;
	u64 realtime_ns;      /* what the devices' clock shows; the test moves it */
	pthread_mutex_t lock; /* guards lines, rises and events */
	u32 lines[FM_LINES];  /* a bit for each device that holds the line */
	u32 rises[FM_LINES];  /* how often the line went from low to high */
	struct fm_event events[FM_EVENTS_MAX];
	u32 nr_events; /* counts on when the record is full */
	struct dev *devices[FM_DEVICES_MAX];
	u32 nr_devices;
};

/* fm_create - an empty machine: 128 MiB of RAM, 2024-02-29 12:34:56 UTC. Aborts on failure. */
void fm_create(struct fake_machine *fm);

/* fm_destroy - destroys the devices, newest first, then the machine. */
void fm_destroy(struct fake_machine *fm);

/* fm_try - create instance `index` of class `name`. Return: the device, or NULL with words. */
struct dev *fm_try(struct fake_machine *fm, const char *name, u32 index, const void *cfg,
		   struct fdset *fds, struct err *e);

/* fm_add - fm_try that prints the words and aborts. */
struct dev *fm_add(struct fake_machine *fm, const char *name, u32 index, const void *cfg,
		   struct fdset *fds);

/* fm_in, fm_out - one port access of `len` bytes, as an instruction of the guest's makes it. */
u32 fm_in(struct fake_machine *fm, u16 port, u32 len);
void fm_out(struct fake_machine *fm, u16 port, u32 value, u32 len);

static inline u8 fm_inb(struct fake_machine *fm, u16 port)
{
	return (u8)fm_in(fm, port, 1);
}

static inline void fm_outb(struct fake_machine *fm, u16 port, u8 value)
{
	fm_out(fm, port, value, 1);
}

/* fm_irq - whether line `gsi` is high; fm_rises - how often it rose so far. */
bool fm_irq(struct fake_machine *fm, u32 gsi);
u32 fm_rises(struct fake_machine *fm, u32 gsi);

/* fm_events - how many events there were; fm_saw - whether the only one is this. */
u32 fm_events(struct fake_machine *fm);
bool fm_saw(struct fake_machine *fm, enum dev_event event, u32 value);

/* fm_step - one turn of the loop, at most 20 ms. fm_settle - turns until all is done, or aborts. */
void fm_step(struct fake_machine *fm);
void fm_settle(struct fake_machine *fm);

/* fm_is_quiet - whether the loop has nothing to do now: what is watched does not fire. */
bool fm_is_quiet(struct fake_machine *fm);

/* FM_WAIT - turn the loop until `condition` holds; after FM_DEADLINE_MS the test fails. */
#define FM_WAIT(fm, condition)                                              \
	do {                                                                \
		u64 fm_end_ns = evl_now_ns() + FM_DEADLINE_MS * 1000000ull; \
		while (!(condition) && evl_now_ns() < fm_end_ns)            \
			fm_step(fm);                                        \
		assert_true(condition);                                     \
	} while (0)
