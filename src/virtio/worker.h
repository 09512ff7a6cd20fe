// SPDX-License-Identifier: BSD-3-Clause
// The process of one virtio device: from its setup, through its jail, to serving its front-end.
#pragma once

#include "jail/process.h"
#include "virtio/vdev.h"

/* The socket on which the process serves vhost-user; of no use where front-ends come one by one. */
enum { WORKER_FD_VHOST = PROCESS_FD_OWN };

/*
 * The first message of a device process's channel. Same binary on both sides, so plain memory. The
 * configuration refers to descriptors by their index in the fdset.
 */
struct worker_setup {
	char class_name[24];
	u32 index, nr_fds, cfg_bytes;
	bool jailed;
	bool one_by_one; /* front-ends come through the channel, each when MESSAGE_READY was said */
	_Alignas(max_align_t) u8 cfg[VDEV_CFG_BYTES_MAX];
};

/* worker_process_main - the process's life (role "@device"). `user_ns` as in jail_enter. Return: its
 * exit status. Context: fresh process. */
int worker_process_main(bool user_ns);
