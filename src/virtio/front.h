// SPDX-License-Identifier: BSD-3-Clause
// A virtio device as its driver sees it, whatever the transport: features, status, rings and
// configuration space (virtio 1.2, sections 2 and 3). Lives in the vm process; what it does with
// requests is behind vfront_ops.
#pragma once

#include <pthread.h>

#include "bus/doorbell.h"
#include "util/err.h"
#include "util/log.h"
#include "util/types.h"

enum {
	VFRONT_QUEUES_MAX = 64,
	VFRONT_CONFIG_BYTES_MAX = 256,
};

/* Device status (section 2.1). */
enum {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_STATUS_NEEDS_RESET = 64,
	VIRTIO_STATUS_FAILED = 128,
};

/* Interrupt status (section 4.1.4.5). */
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

struct vfront;

/* A ring as the driver set it up. Written only while the device is not running (frozen after). */
struct vfront_queue {
	u16 size; /* what the driver chose; starts as the most */
	bool enabled;
	u64 desc_gpa, avail_gpa, used_gpa;
	u64 bell_gpa; /* where its doorbell is bound, 0: nowhere */
	int kick_fd;  /* eventfd, owned: rung by the transport's doorbell */
	int call_fd;  /* eventfd, owned: rung by the device for this ring */
};

/*
 * The device behind it. Called with the lock held. Context: vCPU, or vm main.
 */
struct vfront_ops {
	/*
	 * start - DRIVER_OK: begin to serve the enabled rings with vfront_call_fd() each.
	 * Return: 0; -errno makes the device need a reset.
	 */
	int (*start)(struct vfront *f);
	/* stop - the driver reset the device (any state after start): no request is in flight
	 * when it returns. */
	void (*stop)(struct vfront *f);
	/* calls_changed - the device runs and the transport now wants other call eventfds. */
	void (*calls_changed)(struct vfront *f);
	/* config_write - the driver wrote [offset, offset + len) of configuration space; f->config
	 * is up to date with what the device made of it when it returns. */
	void (*config_write)(struct vfront *f, u32 offset, const void *src, u32 len);
};

/* The way to the guest. Called with the lock held; f->transport_opaque is the transport's own. */
struct vfront_transport_ops {
	/* raise - interrupt the driver for the reasons just put into f->isr. Context: any. */
	void (*raise)(struct vfront *f);
	/* call_fd - which eventfd the device is to ring for ring `qi`. */
	int (*call_fd)(struct vfront *f, u32 qi);
};

/*
 * `lock` guards everything below it, and the transport's registers. It is taken before
 * pci_bus.lock, never after.
 */
struct vfront {
	const char *name; /* "virtio-rng.0" */
	u16 virtio_id, queue_size_max;
	u32 nr_queues, config_bytes;
	const struct vfront_ops *ops;
	const struct vfront_transport_ops
		*transport; /* with opaque: set by the transport's create */
	void *transport_opaque;
	struct log_limit log;

	pthread_mutex_t lock;
	u64 features_offered, features;
	u8 status, isr;
	u8 config_generation;
	bool config_is_news; /* changed since the driver read any of it (section 4.1.4.3.1) */
	bool running;        /* start was called and succeeded; stop was not */
	u8 config[VFRONT_CONFIG_BYTES_MAX];
	struct vfront_queue queues[VFRONT_QUEUES_MAX];
};

/* What vfront_init is told of the device. */
struct vfront_device {
	const char *name; /* borrowed */
	u16 virtio_id, queue_size_max;
	u32 nr_queues, config_bytes;
	u64 features;     /* VERSION_1 is always offered */
	const u8 *config; /* config_bytes of them, copied */
};

/* vfront_init - eventfds for every ring, power-on state. Return: 0 or -errno with words.
 * vfront_destroy - close them; the device was stopped. Safe on a zeroed struct. Context: vm main. */
int vfront_init(struct vfront *f, const struct vfront_device *device, const struct vfront_ops *ops,
		struct err *e);
void vfront_destroy(struct vfront *f);

/* The verbs below are for transports and take the lock themselves unless they say otherwise. */

/* vfront_set_features - the driver's choice, low (`word` 0) or high half; only between DRIVER and
 * FEATURES_OK. Bits that were not offered are kept and make FEATURES_OK fail. Called with the lock
 * held. */
void vfront_set_features(struct vfront *f, u32 word, u32 bits);

/* vfront_set_status - the driver wrote the status register: 0 resets; bits are only added; rules of
 * section 3.1.1 hold (FEATURES_OK refused for features not offered or without VERSION_1; DRIVER_OK
 * starts the device). */
void vfront_set_status(struct vfront *f, u8 status);

/* vfront_set_status_locked - the same with the lock held. */
void vfront_set_status_locked(struct vfront *f, u8 status);

/* vfront_queue_edit - the ring if the driver may change it now (before DRIVER_OK and not enabled),
 * else NULL. Called with the lock held. */
struct vfront_queue *vfront_queue_edit(struct vfront *f, u32 qi);

/* vfront_queue_set_size - a size that is no power of two or above the most reads back as 0, and a
 * ring of size 0 cannot be enabled. Called with the lock held. */
void vfront_queue_set_size(struct vfront *f, u32 qi, u32 size);

/* vfront_queue_set_enabled - between FEATURES_OK and DRIVER_OK; else, and for a ring of size 0,
 * nothing changes. Called with the lock held. */
void vfront_queue_set_enabled(struct vfront *f, u32 qi, bool enabled);

/* vfront_kick - the driver notified ring `qi` by a write that no doorbell took. */
void vfront_kick(struct vfront *f, u32 qi);

/*
 * vfront_sync_doorbells - while the device runs, the enabled rings' kick eventfds are bound to writes
 * at gpa + qi * stride or, with a stride of 0, to 32-bit writes of qi at `gpa`; a gpa of 0 is
 * nowhere. Transports call it after whatever may have changed that. A ring whose doorbell the host
 * refuses still gets its kicks through vfront_kick. Called with the lock held.
 */
void vfront_sync_doorbells(struct vfront *f, struct doorbell_host *host, u64 gpa, u32 stride);

/* vfront_config_read, vfront_config_write - an access of `len` bytes; what lies outside reads zero
 * and is not written. */
void vfront_config_read(struct vfront *f, u32 offset, void *dst, u32 len);
void vfront_config_write(struct vfront *f, u32 offset, const void *src, u32 len);

/* The verbs below are for the device's side; the caller holds no lock. Context: vm main. */

/* vfront_config_changed - configuration space is now `config`: tell the driver. */
void vfront_config_changed(struct vfront *f, const u8 *config);

/* vfront_needs_reset - the device cannot go on: NEEDS_RESET and a configuration interrupt. */
void vfront_needs_reset(struct vfront *f, const char *why);

/* vfront_needs_reset_locked - the same with the lock held. */
void vfront_needs_reset_locked(struct vfront *f, const char *why);
