// SPDX-License-Identifier: BSD-3-Clause
// A hostile driver: what the fuzz targets of both virtio transports share.
#pragma once

#include "tests/lib/fake_front.h"

/*
 * front_fuzz - run the steps that `data` spells against a device behind `transport`. Aborts when
 * the device and its machine disagree about what they are doing.
 */
void front_fuzz(enum ff_transport transport, const u8 *data, size_t size);
