// SPDX-License-Identifier: BSD-3-Clause
// A virtio device that only notes what is asked of it, behind either transport, in a machine that
// notes which eventfds are bound where; and a driver's hand on the registers.
#pragma once

#include "bus/bus.h"
#include "pci/pci.h"
#include "virtio/front.h"
#include "virtio/mmio.h"
#include "virtio/pci.h"

enum ff_transport { FF_MMIO, FF_PCI };

enum {
	FF_BINDINGS_MAX = 256,
	FF_LINES = 24,
	FF_LINE = 5, /* the device's */
	FF_SOURCE_FIRST = 32,
	FF_SOURCES_MAX = 128,
	FF_QUEUE_SIZE = 256,
};

#define FF_MMIO_GPA 0xd0000000ull
#define FF_WINDOW_GPA 0xc0000000ull
#define FF_WINDOW_BYTES 0x10000000ull

/* The BAR's layout, as the capabilities tell a driver: pci_test.c checks that they do. */
enum {
	FF_BAR_BYTES = 0x2000,
	FF_ISR = 0x80,
	FF_DEVICE = 0x100,
	FF_NOTIFY = 0x200,
	FF_TABLE = 0x1000,
	FF_PBA = 0x1800,
};

/* An eventfd bound to a doorbell or to an interrupt source. */
struct ff_binding {
	struct doorbell bell;
	u32 gsi;
	int fd;
};

struct fake_front {
	/* the machine */
	struct doorbell_host host;
	struct bus mmio;
	struct pci_bus pci;
	struct evl evl;
	struct ff_binding bells[FF_BINDINGS_MAX], irqs[FF_BINDINGS_MAX];
	u32 nr_bells, nr_irqs;
	u32 nr_sources, sources_left;
	struct msi_message messages[FF_SOURCES_MAX];
	u32 nr_msi_set;
	bool lines[FF_LINES];
	int bell_status, msi_status; /* what the verbs answer */
	bool abort_on_misuse;        /* unbinding what is not bound, binding twice: on at create */

	/* the device */
	struct vfront front;
	int start_status;
	u32 starts, stops, calls_changed, config_writes;
	u32 config_offset, config_len;
	u8 config_src[VFRONT_CONFIG_BYTES_MAX];

	/* the transport */
	enum ff_transport transport;
	struct virtio_mmio as_mmio;
	struct virtio_pci as_pci;
};

/* Registers that both transports have. */
enum ff_register {
	FF_DEVICE_FEATURE_SEL,
	FF_DEVICE_FEATURE,
	FF_DRIVER_FEATURE_SEL,
	FF_DRIVER_FEATURE,
	FF_STATUS,
	FF_GENERATION,
	FF_QUEUE_SEL,
	FF_QUEUE_LENGTH,
	FF_QUEUE_ENABLE,
	FF_QUEUE_DESC, /* low halves */
	FF_QUEUE_DRIVER,
	FF_QUEUE_DEVICE,
};

/*
 * ff_create - a device of `nr_queues` rings and `config_bytes` of configuration space that counts
 * 1, 2, 3, ... Aborts on failure. With FF_PCI it is in slot 1, its BAR is mapped.
 */
void ff_create(struct fake_front *ff, enum ff_transport transport, u32 nr_queues, u32 config_bytes);
void ff_destroy(struct fake_front *ff);

/* ff_in, ff_out - one access of the guest's to physical address `gpa`. */
u64 ff_in(struct fake_front *ff, u64 gpa, u32 len);
void ff_out(struct fake_front *ff, u64 gpa, u32 len, u64 value);

/* ff_get, ff_put - a register, in its own width. */
u32 ff_get(struct fake_front *ff, enum ff_register reg);
void ff_put(struct fake_front *ff, enum ff_register reg, u32 value);

/* ff_base - where the registers are; ff_config_gpa - where configuration space is. */
u64 ff_base(struct fake_front *ff);
u64 ff_config_gpa(struct fake_front *ff);

/* ff_cfg_in, ff_cfg_out - PCI configuration space of the device. */
u32 ff_cfg_in(struct fake_front *ff, u32 reg, u32 len);
void ff_cfg_out(struct fake_front *ff, u32 reg, u32 len, u32 value);

/* ff_capability - offset of the first PCI capability with this id (and virtio type, if it is 9), or
 * 0. */
u32 ff_capability(struct fake_front *ff, u8 id, u8 type);

/* ff_negotiate - reset to FEATURES_OK, taking all that is offered. */
void ff_negotiate(struct fake_front *ff);

/* ff_enable - set up ring `qi` at made-up addresses. */
void ff_enable(struct fake_front *ff, u32 qi);

/* ff_start - ff_negotiate, ff_enable for every ring, DRIVER_OK. */
void ff_start(struct fake_front *ff);

/* ff_rung - whether an eventfd was rung; it is not any more. */
bool ff_rung(int fd);

/* ff_bell - the bound doorbell of `fd`, or NULL. ff_irq - the source `fd` is bound to, or -1. */
const struct doorbell *ff_bell(struct fake_front *ff, int fd);
int ff_irq(struct fake_front *ff, int fd);
