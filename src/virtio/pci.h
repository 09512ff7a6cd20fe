// SPDX-License-Identifier: BSD-3-Clause
// virtio-pci: a device as a function of a PCI bus, without the legacy interface (virtio 1.2, section
// 4.1).
#pragma once

#include "evl/evl.h"
#include "pci/msix.h"
#include "pci/pci.h"
#include "virtio/front.h"

enum { VIRTIO_PCI_NO_VECTOR = 0xffff };

/* Where an eventfd's events go: to a vector's source while that takes any. */
struct virtio_pci_call {
	u16 vector;   /* or VIRTIO_PCI_NO_VECTOR */
	int bound_to; /* interrupt source, -1: none */
};

/* Owner: vm main; what stands below `source` is guarded by front->lock once the guest runs. */
struct virtio_pci {
	struct pci_function function;
	struct vfront *front;
	struct doorbell_host *host;
	struct evl *evl;
	u32 gsi, line_slot;
	u8 window_capability;     /* VIRTIO_PCI_CAP_PCI_CFG */
	int config_fd;            /* eventfd: changed configuration, with MSI-X */
	int intx_fd;              /* eventfd: every ring's, without MSI-X */
	struct evl_source source; /* of intx_fd */

	bool line;
	u32 device_features_sel, driver_features_sel;
	u16 queue_sel;
	struct msix msix;
	struct virtio_pci_call config_call, calls[VFRONT_QUEUES_MAX];
};

/* Where a device goes. */
struct virtio_pci_place {
	struct pci_bus *bus;
	struct doorbell_host *host;
	struct evl *evl; /* hears of used buffers while the guest uses the interrupt line */
	u32 slot;        /* or PCI_SLOT_NEXT */
	u32 gsi;         /* of pin INTA */
	u32 line_slot;   /* this user's number in doorbell_host.set_line */
};

/*
 * virtio_pci_create - put `front` (initialised, borrowed) on a PCI bus and be its transport.
 * Return: 0 or -errno with words; then destroy is called all the same. Context: vm main, before
 * vCPUs.
 */
int virtio_pci_create(struct virtio_pci *v, struct vfront *front,
		      const struct virtio_pci_place *place, struct err *e);

/* virtio_pci_destroy - vCPUs are gone; resets the device. Safe on a zeroed struct. */
void virtio_pci_destroy(struct virtio_pci *v);

/* virtio_pci_reset - back to power-on state; BARs stay. Context: vm main, vCPUs stopped. */
void virtio_pci_reset(struct virtio_pci *v);
