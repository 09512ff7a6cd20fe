// SPDX-License-Identifier: BSD-3-Clause
// Debug exit: a guest ends Kiln with an exit code of its choice (QEMU's isa-debug-exit).
#include "dev/dev_class.h"

enum { DEBUG_EXIT_PORT = 0xf4, DEBUG_EXIT_PORTS = 4 };

static u64 debug_exit_read(void *opaque, u64 offset, u32 len)
{
	(void)opaque;
	(void)offset;
	(void)len;
	return 0;
}

/* The lowest bit is always set, so that no value of the guest's looks like success. */
static void debug_exit_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct dev *dev = opaque;

	(void)len;
	if (offset == 0)
		dev->host->event(dev->host, dev, DEV_EVENT_EXIT_CODE, (u8)(value << 1 | 1));
}

static const struct bus_ops debug_exit_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
};

static int debug_exit_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	(void)cfg;
	(void)fds;
	return bus_add(dev->host->pio, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, &debug_exit_ops, dev, e);
}

static const struct dev_class debug_exit_class = {
	.name = "debug-exit",
	.summary = SUMMARY("a write to port 0xf4 ends Kiln with an exit code"),
	.nr_instances = 1,
	.create = debug_exit_create,
};

DEVICE_CLASS(debug_exit_class);
