// SPDX-License-Identifier: BSD-3-Clause
// pvpanic: the guest's kernel tells that it panicked (QEMU docs/specs/pvpanic, the ISA device).
#include "dev/dev_class.h"

enum {
	PVPANIC_PORT = 0x505, /* in pvpanic.asl, too */
	PVPANIC_PANICKED = 0x01,
	PVPANIC_CRASH_LOADED = 0x02, /* the guest handles it: a crash kernel starts */
	PVPANIC_EVENTS = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
};

DEVICE_AML(pvpanic);

/* A read tells which events we understand. */
static u64 pvpanic_read(void *opaque, u64 offset, u32 len)
{
	(void)opaque;
	(void)offset;
	(void)len;
	return PVPANIC_EVENTS;
}

static void pvpanic_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct dev *dev = opaque;

	(void)offset;
	(void)len;
	if (value & ~(u64)PVPANIC_EVENTS)
		dev_log(dev, "event 0x%02x is unknown", (unsigned int)value);
	if (value & PVPANIC_CRASH_LOADED)
		dev->host->event(dev->host, dev, DEV_EVENT_CRASH_LOADED, 0);
	if (value & PVPANIC_PANICKED)
		dev->host->event(dev->host, dev, DEV_EVENT_PANIC, 0);
}

static const struct bus_ops pvpanic_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};

static int pvpanic_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	(void)cfg;
	(void)fds;
	return bus_add(dev->host->pio, PVPANIC_PORT, 1, &pvpanic_ops, dev, e);
}

static const struct dev_class pvpanic_class = {
	.name = "pvpanic",
	.summary = SUMMARY("tells the host that the guest's kernel panicked"),
	.nr_instances = 1,
	.ssdt = &pvpanic_aml,
	.create = pvpanic_create,
};

DEVICE_CLASS(pvpanic_class);
