// SPDX-License-Identifier: BSD-3-Clause
// Platform devices: the registry and the life of an instance.
#include "dev/dev_class.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

const struct dev_class *dev_class_find(const char *name)
{
	dev_class_for_each (p)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

/* One allocation holds the device, its rate limit and its private state. */
struct dev_storage {
	struct dev dev;
	struct log_limit log;
	_Alignas(max_align_t) u8 priv[];
};

struct dev *dev_create(const struct dev_class *cls, u32 index, u32 slot, struct dev_host *host,
		       const void *cfg, struct fdset *fds, struct err *e)
{
	struct dev_storage *storage = calloc(1, sizeof(*storage) + cls->priv_bytes);
	struct dev *dev;

	if (!storage) {
		err_set(e, -ENOMEM, "%s.%u: out of memory", cls->name, index);
		return NULL;
	}
	dev = &storage->dev;
	*dev = (struct dev){ .cls = cls,
			     .index = index,
			     .slot = slot,
			     .host = host,
			     .priv = storage->priv,
			     .log = &storage->log };
	if (cls->create(dev, cfg, fds, e) < 0) {
		err_prefix(e, "%s.%u", cls->name, index);
		dev_destroy(dev);
		return NULL;
	}
	return dev;
}

void dev_destroy(struct dev *dev)
{
	if (!dev)
		return;
	if (dev->cls->destroy)
		dev->cls->destroy(dev);
	free(container_of(dev, struct dev_storage, dev));
}

void dev_log(struct dev *dev, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_guest(dev->log, "%s.%u: %s", dev->cls->name, dev->index, text);
}
