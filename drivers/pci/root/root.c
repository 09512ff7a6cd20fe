// SPDX-License-Identifier: BSD-3-Clause
// The PCI root: host bridge, ECAM window, configuration ports and the window of the functions' BARs
// (PCI Express 4.0, section 7.2; PCI Local Bus 3.0, section 3.2.2.3).
#include "dev/dev_class.h"
#include "pci/pci.h"

enum {
	ROOT_CONFIG_ADDRESS_PORT = 0xcf8,
	ROOT_CONFIG_PORTS = 8,
	/* Red Hat's ids for a generic PCIe host bridge: what guests' drivers already know. */
	ROOT_VENDOR_ID = 0x1b36,
	ROOT_DEVICE_ID = 0x0008,
	ROOT_CLASS_HOST_BRIDGE = 0x060000,
};

struct root {
	struct pci_bus bus;
	struct pci_function bridge;
};

static u64 root_ecam_read(void *opaque, u64 offset, u32 len)
{
	return pci_ecam_read(opaque, offset, len);
}

static void root_ecam_write(void *opaque, u64 offset, u32 len, u64 value)
{
	pci_ecam_write(opaque, offset, len, value);
}

static u64 root_port_read(void *opaque, u64 offset, u32 len)
{
	return pci_port_read(opaque, (u32)offset, len);
}

static void root_port_write(void *opaque, u64 offset, u32 len, u64 value)
{
	pci_port_write(opaque, (u32)offset, len, (u32)value);
}

static const struct bus_ops root_ecam_ops = { .read = root_ecam_read, .write = root_ecam_write };
static const struct bus_ops root_bar_ops = { .read = pci_window_read, .write = pci_window_write };
static const struct bus_ops root_port_ops = { .read = root_port_read, .write = root_port_write };

static void root_reset(struct dev *dev)
{
	struct root *root = dev->priv;

	root->bus.address = 0;
}

static int root_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	static const struct pci_ids ids = {
		.vendor = ROOT_VENDOR_ID,
		.device = ROOT_DEVICE_ID,
		.subsystem_vendor = ROOT_VENDOR_ID,
		.subsystem = ROOT_DEVICE_ID,
		.class_code = ROOT_CLASS_HOST_BRIDGE,
	};
	struct root *root = dev->priv;
	struct dev_host *host = dev->host;
	int status;

	(void)cfg;
	(void)fds;
	pci_bus_init(&root->bus, host->pci_window_gpa, host->pci_window_bytes);
	pci_function_init(&root->bridge, &ids, NULL);
	pci_bus_add(&root->bus, 0, &root->bridge);
	status = bus_add(host->mmio, host->ecam_gpa, PCI_ECAM_BUS_BYTES, &root_ecam_ops, &root->bus,
			 e);
	if (status == 0 && host->pci_window_bytes > 0)
		status = bus_add(host->mmio, host->pci_window_gpa, host->pci_window_bytes,
				 &root_bar_ops, &root->bus, e);
	if (status == 0 && host->pio)
		status = bus_add(host->pio, ROOT_CONFIG_ADDRESS_PORT, ROOT_CONFIG_PORTS,
				 &root_port_ops, &root->bus, e);
	host->pci = &root->bus;
	return status;
}

static void root_destroy(struct dev *dev)
{
	dev->host->pci = NULL;
}

static const struct dev_class root_class = {
	.name = "pci-root",
	.summary = SUMMARY("PCI Express root with a host bridge"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct root),
	.create = root_create,
	.destroy = root_destroy,
	.reset = root_reset,
};
DEVICE_CLASS(root_class);
