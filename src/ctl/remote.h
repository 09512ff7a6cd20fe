// SPDX-License-Identifier: BSD-3-Clause
// `--vhost-user TYPE,socket=PATH,...`: words become a device whose back-end is another program.
#pragma once

#include "util/err.h"
#include "vm/setup.h"

/*
 * remote_parse - all of *vdev but name and socket_index. `text` is "fs,socket=PATH,tag=home", or
 * "id=26,socket=PATH,queues=2" for a device that is only known by its id. Return: the type's word,
 * for a name ("fs", or "device"), or NULL with words. Context: supervisor.
 */
const char *remote_parse(const char *text, struct vm_setup_vdev *vdev, struct err *e);
