// SPDX-License-Identifier: BSD-3-Clause
// How a virtio device is named on a command line.
#include "cli/device_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *vdev_class_name(const void *cookie, u32 i)
{
	(void)cookie;
	return i < __stop_kiln_vdevs - __start_kiln_vdevs ? __start_kiln_vdevs[i]->name : NULL;
}

const struct vdev_class *device_text_class(const char *text, const char **options, struct err *e)
{
	size_t len = strcspn(text, ",");
	const struct vdev_class *cls;
	const char *nearest;
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	*options = text[len] ? text + len + 1 : NULL;
	cls = len < sizeof(name) ? vdev_class_find(name) : NULL;
	if (cls)
		return cls;
	nearest = IS_ENABLED(CONFIG_VIRTIO) ? word_nearest(name, vdev_class_name, NULL) : NULL;
	if (nearest)
		err_set(e, -EINVAL, "no device '%s': did you mean '%s'?", name, nearest);
	else
		err_set(e, -EINVAL, "no device '%s' in this binary (`kiln devices` lists them)",
			name);
	return NULL;
}
