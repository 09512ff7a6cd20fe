// SPDX-License-Identifier: BSD-3-Clause
// virtio-mmio: a device as a page of registers and one interrupt line (virtio 1.2, section 4.2,
// version 2).
#pragma once

#include "bus/bus.h"
#include "virtio/front.h"

enum { VIRTIO_MMIO_BYTES = 0x1000 };

/* Owner: vm main; what stands below `front` is guarded by front->lock once the guest runs. */
struct virtio_mmio {
	struct vfront *front;
	struct doorbell_host *host;
	u64 gpa;
	u32 gsi;
	int call_fd; /* eventfd: every ring's, and for changed configuration */
	bool irq_bound;
	u32 device_features_sel, driver_features_sel, queue_sel;
};

/*
 * virtio_mmio_create - claim VIRTIO_MMIO_BYTES at `gpa` of `bus` and bind line `gsi`. `front` was
 * initialised, is borrowed and gets its transport. Return: 0 or -errno with words; then destroy is
 * called all the same. Context: vm main, before vCPUs.
 */
int virtio_mmio_create(struct virtio_mmio *m, struct vfront *front, struct bus *bus, u64 gpa,
		       u32 gsi, struct doorbell_host *host, struct err *e);

/* virtio_mmio_destroy - vCPUs are gone; resets the device. Safe on a zeroed struct. */
void virtio_mmio_destroy(struct virtio_mmio *m);

/* virtio_mmio_reset - back to power-on state. Context: vm main, vCPUs stopped. */
void virtio_mmio_reset(struct virtio_mmio *m);
