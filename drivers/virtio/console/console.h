// SPDX-License-Identifier: BSD-3-Clause
// What a control request may ask of a virtio-console.
#pragma once

#include "virtio/vdev.h"

/*
 * console_set_size - the terminal at the other end has so many columns and rows now; 0 and 0 when
 * it has no size. Context: worker, the loop's thread.
 */
void console_set_size(struct vdev *v, u16 cols, u16 rows);
