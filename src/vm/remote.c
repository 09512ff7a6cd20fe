// SPDX-License-Identifier: BSD-3-Clause
// Devices behind the vhost-user back-ends of others (virtio 1.2, section 5; vhost-user specification).
#include "vm/remote.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"

#define BIT(n) (1ull << (n))

/* Of the bits that are not the device's own (section 6) those that no register of ours depends on:
 * indirect descriptors, event index, version 1, in order. */
#define FEATURES_OF_RINGS (BIT(28) | BIT(29) | BIT(32) | BIT(35))
#define FEATURES_OF_DEVICE (0xffffffull | ~0ull << 50)

static bool backend_has_config(const struct vhost_frontend *vhost)
{
	return vhost->protocol_features & VHOST_USER_PROTOCOL_F_CONFIG;
}

/* --- Rings ------------------------------------------------------------------------------------ */

/* A back-end that does not tell how many rings it has (0) is believed to have enough. */
static int count_rings(const struct vm_setup_vdev *setup, const struct vhost_frontend *vhost,
		       u32 nr_cpus, u32 *nr_rings, u32 *nr_served, struct err *e)
{
	const struct remote_type *type = remote_type_at(setup->remote.type);
	u32 offered = vhost->nr_queues_max, queues = setup->remote.queues, needed;

	if (type->rings_all && offered > 0 && backend_has_config(vhost)) {
		*nr_rings = *nr_served = MIN(offered, (u32)VFRONT_QUEUES_MAX);
		return 0;
	}
	if (queues == 0)
		queues = type->queue_per_cpu && offered > 0
				 ? MIN(MIN(offered, nr_cpus), (u32)VFRONT_QUEUES_MAX)
				 : 1;
	*nr_rings = type->rings + queues * type->rings_per_queue;
	needed = *nr_rings - type->rings_idle;
	*nr_served = offered > *nr_rings ? *nr_rings : MAX(offered, needed);
	/* A network card's back-end without configuration space counts pairs. */
	if (offered > 0 && offered < needed && !type->rings_all)
		return err_set(e, -EINVAL, "the back-end has %u rings, and %u are needed%s",
			       offered, needed, type->rings_per_queue ? ": lower queues=" : "");
	return 0;
}

/* --- Features, configuration space ------------------------------------------------------------ */

static u64 choose_features(const struct vm_setup_vdev *setup, const struct vhost_frontend *vhost)
{
	const struct remote_type *type = remote_type_at(setup->remote.type);
	u64 features = vhost->features & (FEATURES_OF_RINGS | FEATURES_OF_DEVICE);

	features &= ~type->features_withheld;
	if (!backend_has_config(vhost))
		features &= ~type->features_without_config;
	return features | setup->remote.given_features;
}

void remote_fix_config(const struct vm_setup_vdev *setup, u32 nr_rings, u8 *config)
{
	const struct vm_setup_remote *remote = &setup->remote;
	const struct remote_type *type = remote_type_at(remote->type);
	u32 queues = nr_rings - type->rings;

	memcpy(config, remote->given, remote->given_bytes);
	for (u32 i = 0; i < type->queues_bytes; i++)
		config[type->queues_at + i] = (u8)(queues >> 8 * i);
}

static int get_config(const struct vm_setup_vdev *setup, struct vhost_frontend *vhost,
		      struct vfront_device *device, u8 *config, struct err *e)
{
	const struct remote_type *type = remote_type_at(setup->remote.type);
	int status = 0;

	device->config_bytes = setup->remote.given_bytes;
	if (setup->config_bytes > 0 && backend_has_config(vhost)) {
		device->config_bytes = setup->config_bytes;
		status = vhost_frontend_get_config(vhost, 0, config, setup->config_bytes, e);
	} else if (type->needs_config && device->config_bytes == 0) {
		status = err_set(e, -EINVAL, "the back-end has no configuration space%s%s",
				 type->given_by ? ": give " : "",
				 type->given_by ? type->given_by : "");
	}
	remote_fix_config(setup, device->nr_queues, config);
	return status;
}

int remote_describe(const struct vm_setup_vdev *setup, struct vhost_frontend *vhost, u32 nr_cpus,
		    struct vfront_device *device, u8 *config, u32 *nr_served, struct err *e)
{
	int status;

	*device = (struct vfront_device){
		.name = setup->name,
		.virtio_id = setup->virtio_id,
		.queue_size_max = setup->queue_size_max,
		.features = choose_features(setup, vhost),
		.config = config,
	};
	if (!(vhost->features & BIT(32)))
		return err_set(e, -EINVAL,
			       "the back-end is too old: it lacks virtio 1.0 (features 0x%llx)",
			       (unsigned long long)vhost->features);
	status = count_rings(setup, vhost, nr_cpus, &device->nr_queues, nr_served, e);
	return status < 0 ? status : get_config(setup, vhost, device, config, e);
}
