// SPDX-License-Identifier: BSD-3-Clause
// Types of devices behind the vhost-user back-ends of others (virtio 1.2, section 5).
#include "vm/remote.h"

#define BIT(n) (1ull << (n))

/* virtio-net without a control ring and configuration space (section 5.1.3). */
#define NET_FEATURES_OF_CONTROL (0x3full << 17 | BIT(23) | BIT(2))
#define NET_FEATURES_OF_CONFIG (NET_FEATURES_OF_CONTROL | BIT(3) | BIT(5) | BIT(16) | ~0ull << 50)
#define BLK_FEATURES_OF_LATER_CONFIG (BIT(16) | BIT(17)) /* of fields behind the 60 bytes */
#define CONSOLE_FEATURES_OF_PORTS BIT(1)                 /* section 5.3.3 */
#define CONSOLE_FEATURES_OF_CONFIG (BIT(0) | BIT(2))
#define FS_FEATURES_OF_NOTIFICATION BIT(0) /* section 5.11.3 */

static const struct remote_type types[] = {
	{ .name = "blk",
	  .virtio_id = 2,
	  .queue_size = 256,
	  .rings_per_queue = 1,
	  .queue_per_cpu = true,
	  .needs_config = true,
	  .config_bytes = 60,
	  .queues_at = 34,
	  .queues_bytes = 2,
	  .features_withheld = BLK_FEATURES_OF_LATER_CONFIG },
	{ .name = "console",
	  .virtio_id = 3,
	  .queue_size = 64,
	  .rings = 2,
	  .config_bytes = 12,
	  .features_withheld = CONSOLE_FEATURES_OF_PORTS,
	  .features_without_config = CONSOLE_FEATURES_OF_CONFIG },
	{ .name = "fs",
	  .virtio_id = 26,
	  .queue_size = 256,
	  .rings = 1,
	  .rings_per_queue = 1,
	  .needs_config = true,
	  .given_by = "tag=",
	  .config_bytes = 40,
	  .queues_at = 36,
	  .queues_bytes = 4,
	  .features_withheld = FS_FEATURES_OF_NOTIFICATION },
	{ .name = "net",
	  .virtio_id = 1,
	  .queue_size = 256,
	  .rings = 2,
	  .rings_all = true,
	  .config_bytes = 12,
	  .features_without_config = NET_FEATURES_OF_CONFIG },
	{ .name = "rng", .virtio_id = 4, .queue_size = 64, .rings = 1 },
	{ .name = "vsock",
	  .virtio_id = 19,
	  .queue_size = 128,
	  .rings = 3,
	  .rings_idle = 1,
	  .needs_config = true,
	  .given_by = "cid=",
	  .config_bytes = 8 },
	{ .name = NULL, .queue_size = 128, .rings_per_queue = 1 },
};

const struct remote_type *remote_type_at(u32 index)
{
	return index < ARRAY_SIZE(types) ? &types[index] : NULL;
}
