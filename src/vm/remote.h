// SPDX-License-Identifier: BSD-3-Clause
// Devices behind the vhost-user back-ends of others: what a type of device needs that the protocol
// does not carry, or that a back-end may lack.
#pragma once

#include "vhost/vhost_frontend.h"
#include "virtio/front.h"
#include "vm/setup.h"

/* One const object for each type; the last is any device, by its id. */
struct remote_type {
	const char *name;      /* as the user says it: "fs"; NULL for the last */
	const char *given_by;  /* the option that gives configuration space: "tag="; NULL: none */
	u64 features_withheld; /* would need rings that the device is not given */
	u64 features_without_config; /* withheld where the back-end has no configuration space */
	u16 virtio_id;               /* virtio 1.2, section 5; of the last type: in the setup */
	u16 queue_size;     /* the most entries of a ring that back-ends can be trusted to take */
	u8 rings;           /* beside those of its queues */
	u8 rings_per_queue; /* 0: the number of queues is nothing to choose */
	u8 rings_idle; /* the last ones, which a back-end may lack: nothing comes through them */
	bool queue_per_cpu; /* unless told otherwise */
	bool rings_all;     /* with the back-end's configuration space all its rings count */
	bool needs_config;  /* configuration space: the back-end's, or given by the user */
	u8 config_bytes;
	u8 queues_at;    /* where configuration space has the number of queues, */
	u8 queues_bytes; /* and in how many bytes; 0: nowhere */
};

/* remote_type_at - the type of that index; NULL behind the last. Context: any. */
const struct remote_type *remote_type_at(u32 index);

/*
 * remote_describe - what the guest will see of the device whose back-end was greeted: rings,
 * features, configuration space. The first *nr_served rings are the back-end's. `device`->config
 * (VFRONT_CONFIG_BYTES_MAX) is filled here, from the user's words or the back-end, which is asked.
 * Return: 0 or -errno with words. Context: vm main.
 */
int remote_describe(const struct vm_setup_vdev *setup, struct vhost_frontend *vhost, u32 nr_cpus,
		    struct vfront_device *device, u8 *config, u32 *nr_served, struct err *e);

/* remote_fix_config - what came from the back-end gets what the user said, and the number of queues
 * that the device has here. `config` as for remote_describe. Context: any. */
void remote_fix_config(const struct vm_setup_vdev *setup, u32 nr_rings, u8 *config);
