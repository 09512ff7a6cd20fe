// SPDX-License-Identifier: BSD-3-Clause
// Reset control register at port 0xcf9 (Intel ICH and PCH data sheets, RST_CNT).
#include "dev/dev_class.h"

#include <pthread.h>

enum {
	RESET_PORT = 0xcf9,
	RST_CNT_SYS_RST = 0x02,  /* a hard reset rather than a soft one: the same to us */
	RST_CNT_RST_CPU = 0x04,  /* the reset happens when this rises */
	RST_CNT_FULL_RST = 0x08, /* with a power cycle: the same to us */
	RST_CNT_WRITABLE = RST_CNT_SYS_RST | RST_CNT_RST_CPU | RST_CNT_FULL_RST,
};

struct reset_cf9 {
	struct dev *dev;
	pthread_mutex_t lock; /* guards value */
	u8 value;
};

static u64 reset_cf9_read(void *opaque, u64 offset, u32 len)
{
	struct reset_cf9 *r = opaque;
	u8 value;

	(void)offset;
	(void)len;
	pthread_mutex_lock(&r->lock);
	value = r->value;
	pthread_mutex_unlock(&r->lock);
	return value;
}

static void reset_cf9_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct reset_cf9 *r = opaque;
	bool rises;

	(void)offset;
	(void)len;
	pthread_mutex_lock(&r->lock);
	rises = (value & ~r->value & RST_CNT_RST_CPU) != 0;
	r->value = value & RST_CNT_WRITABLE;
	pthread_mutex_unlock(&r->lock);
	if (rises)
		r->dev->host->event(r->dev->host, r->dev, DEV_EVENT_RESET, 0);
}

static const struct bus_ops reset_cf9_ops = {
	.read = reset_cf9_read,
	.write = reset_cf9_write,
};

static int reset_cf9_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct reset_cf9 *r = dev->priv;

	(void)cfg;
	(void)fds;
	r->dev = dev;
	pthread_mutex_init(&r->lock, NULL);
	return bus_add(dev->host->pio, RESET_PORT, 1, &reset_cf9_ops, r, e);
}

static void reset_cf9_reset(struct dev *dev)
{
	struct reset_cf9 *r = dev->priv;

	r->value = 0;
}

static const struct dev_class reset_cf9_class = {
	.name = "reset-cf9",
	.summary = SUMMARY("reset control register at port 0xcf9"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct reset_cf9),
	.create = reset_cf9_create,
	.reset = reset_cf9_reset,
};

DEVICE_CLASS(reset_cf9_class);
