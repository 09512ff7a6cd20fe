// SPDX-License-Identifier: BSD-3-Clause
// The registry of virtio device classes: empty in a build without any.
#include <string.h>

#include "virtio/vdev.h"

const struct vdev_class *vdev_class_find(const char *name)
{
	vdev_class_for_each (p)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}
