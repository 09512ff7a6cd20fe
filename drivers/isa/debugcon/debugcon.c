// SPDX-License-Identifier: BSD-3-Clause
// Debug console: every byte written to port 0xe9 is output (as in Bochs and QEMU's isa-debugcon).
#include "dev/dev_class.h"
#include "stream/serial_cfg.h"
#include "stream/stream.h"

enum { DEBUGCON_PORT = 0xe9, DEBUGCON_PRESENT = 0xe9 };

struct debugcon {
	struct dev *dev;
	struct stream stream;
};

static u64 debugcon_read(void *opaque, u64 offset, u32 len)
{
	(void)opaque;
	(void)offset;
	(void)len;
	return DEBUGCON_PRESENT;
}

/* The port has no way to say "wait": what the host does not take in time is lost. */
static void debugcon_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct debugcon *d = opaque;
	u8 byte = (u8)value;

	(void)offset;
	(void)len;
	if (stream_put(&d->stream, &byte, 1) == 0)
		dev_log(d->dev, "output is lost: the host reads slower than the guest writes");
}

static const struct bus_ops debugcon_ops = {
	.read = debugcon_read,
	.write = debugcon_write,
};

static u32 debugcon_wanted(void *opaque)
{
	(void)opaque;
	return 0;
}

static void debugcon_input(void *opaque, const u8 *bytes, u32 len)
{
	(void)opaque;
	(void)bytes;
	(void)len;
}

static void debugcon_drained(void *opaque)
{
	(void)opaque;
}

static const struct stream_ops debugcon_stream_ops = {
	.wanted = debugcon_wanted,
	.input = debugcon_input,
	.drained = debugcon_drained,
};

static int debugcon_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct debugcon *d = dev->priv;
	int status;

	d->dev = dev;
	status = stream_create(&d->stream, dev->cls->name, dev->host->evl,
			       serial_cfg_take(cfg, fds), &debugcon_stream_ops, d, e);
	if (status < 0)
		return status;
	return bus_add(dev->host->pio, DEBUGCON_PORT, 1, &debugcon_ops, d, e);
}

static void debugcon_destroy(struct dev *dev)
{
	struct debugcon *d = dev->priv;

	stream_destroy(&d->stream);
}

static const struct dev_class debugcon_class = {
	.name = "debugcon",
	.summary = SUMMARY("debug console at port 0xe9"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct debugcon),
	.cfg_bytes = sizeof(struct serial_cfg),
	.opts = serial_output_opts,
	.shorthand = "debugcon",
	.shorthand_help = HELP("the debug console: stdout, sink, file=PATH"),
	.open = serial_cfg_open,
	.cleanup = serial_cfg_cleanup,
	.create = debugcon_create,
	.destroy = debugcon_destroy,
};

DEVICE_CLASS(debugcon_class);
