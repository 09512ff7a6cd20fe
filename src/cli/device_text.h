// SPDX-License-Identifier: BSD-3-Clause
// How a virtio device is named on a command line: CLASS[,KEY=VALUE]...
#pragma once

#include "util/err.h"
#include "virtio/vdev.h"

/*
 * device_text_class - the class that `text` begins with; its options, NULL for none, in *options.
 * Return: the class, or NULL with words that name the nearest one.
 */
const struct vdev_class *device_text_class(const char *text, const char **options, struct err *e);
