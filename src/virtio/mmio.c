// SPDX-License-Identifier: BSD-3-Clause
// virtio-mmio: a device as a page of registers and one interrupt line (virtio 1.2, section 4.2,
// version 2).
//
// Registers answer aligned 32-bit accesses only (section 4.2.2.2); anything else reads 0 and writes
// nothing. Configuration space takes every width.
//
// Devices ring one eventfd that KVM turns into an edge of the line: nobody of ours sees the
// interrupt for a used buffer. So InterruptStatus cannot tell whether there was one, and shows it for
// as long as the device runs: a driver that looks into its rings and finds nothing loses a moment,
// one that is not told to look would wait for ever.
#include "virtio/mmio.h"

#include <errno.h>
#include <sys/eventfd.h>

/* Section 4.2.2. */
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_SIZE_MAX = 0x034,
	REG_QUEUE_SIZE = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC = 0x080, /* low half; the high one follows */
	REG_QUEUE_DRIVER = 0x090,
	REG_QUEUE_DEVICE = 0x0a0,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,

	MAGIC = 0x74726976,     /* "virt" */
	VENDOR_ID = 0x4e4c494b, /* "KILN" */
	VERSION = 2,
};

/* The registers of the ring that QueueSel names; a ring that is not there shows zeros. */
static u32 queue_read(const struct virtio_mmio *m, u32 reg)
{
	const struct vfront *f = m->front;

	if (m->queue_sel >= f->nr_queues)
		return 0;
	return reg == REG_QUEUE_READY ? f->queues[m->queue_sel].enabled : f->queue_size_max;
}

/* Called with the lock held. */
static u32 register_read(const struct virtio_mmio *m, u32 reg)
{
	const struct vfront *f = m->front;

	if (reg >= REG_SHM_LEN_LOW && reg <= REG_SHM_BASE_HIGH)
		return UINT32_MAX; /* no shared memory */
	switch (reg) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return f->virtio_id;
	case REG_VENDOR_ID:
		return VENDOR_ID;
	case REG_DEVICE_FEATURES:
		return m->device_features_sel > 1
			       ? 0
			       : (u32)(f->features_offered >> m->device_features_sel * 32);
	case REG_QUEUE_SIZE_MAX:
	case REG_QUEUE_READY:
		return queue_read(m, reg);
	case REG_INTERRUPT_STATUS:
		return f->isr | (f->running ? VIRTIO_ISR_QUEUE : 0);
	case REG_STATUS:
		return f->status;
	case REG_CONFIG_GENERATION:
		return f->config_generation;
	}
	return 0;
}

/* Called with the lock held. */
static void queue_write(struct virtio_mmio *m, u32 reg, u32 value)
{
	struct vfront_queue *q = vfront_queue_edit(m->front, m->queue_sel);
	u64 *gpa;

	if (!q)
		return;
	switch (reg & ~0xcu) {
	case REG_QUEUE_DESC:
		gpa = &q->desc_gpa;
		break;
	case REG_QUEUE_DRIVER:
		gpa = &q->avail_gpa;
		break;
	case REG_QUEUE_DEVICE:
		gpa = &q->used_gpa;
		break;
	default:
		return;
	}
	if ((reg & 0xc) == 0)
		*gpa = (*gpa & ~0xffffffffull) | value;
	else if ((reg & 0xc) == 4)
		*gpa = (*gpa & 0xffffffff) | (u64)value << 32;
}

/* Called with the lock held. */
static void register_write(struct virtio_mmio *m, u32 reg, u32 value)
{
	switch (reg) {
	case REG_DEVICE_FEATURES_SEL:
		m->device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES_SEL:
		m->driver_features_sel = value;
		break;
	case REG_DRIVER_FEATURES:
		vfront_set_features(m->front, m->driver_features_sel, value);
		break;
	case REG_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case REG_QUEUE_SIZE:
		vfront_queue_set_size(m->front, m->queue_sel, value);
		break;
	case REG_QUEUE_READY:
		vfront_queue_set_enabled(m->front, m->queue_sel, value & 1);
		break;
	case REG_INTERRUPT_ACK:
		m->front->isr &= (u8)~value;
		break;
	default:
		queue_write(m, reg, value);
	}
}

static void status_write(struct virtio_mmio *m, u8 status)
{
	pthread_mutex_lock(&m->front->lock);
	if (status == 0)
		m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
	vfront_set_status_locked(m->front, status);
	vfront_sync_doorbells(m->front, m->host, m->gpa + REG_QUEUE_NOTIFY, 0);
	pthread_mutex_unlock(&m->front->lock);
}

static u64 mmio_read(void *opaque, u64 offset, u32 len)
{
	struct virtio_mmio *m = opaque;
	u64 value = 0;

	if (offset >= REG_CONFIG) {
		vfront_config_read(m->front, (u32)(offset - REG_CONFIG), &value, len);
	} else if (len == 4 && offset % 4 == 0) {
		pthread_mutex_lock(&m->front->lock);
		value = register_read(m, (u32)offset);
		pthread_mutex_unlock(&m->front->lock);
	}
	return value;
}

static void mmio_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct virtio_mmio *m = opaque;

	if (offset >= REG_CONFIG) {
		vfront_config_write(m->front, (u32)(offset - REG_CONFIG), &value, len);
	} else if (len != 4 || offset % 4 != 0) {
		return;
	} else if (offset == REG_STATUS) {
		status_write(m, (u8)value);
	} else if (offset == REG_QUEUE_NOTIFY) {
		vfront_kick(m->front, (u32)value);
	} else {
		pthread_mutex_lock(&m->front->lock);
		register_write(m, (u32)offset, (u32)value);
		pthread_mutex_unlock(&m->front->lock);
	}
}

static const struct bus_ops mmio_ops = { .read = mmio_read, .write = mmio_write };

static void mmio_raise(struct vfront *f)
{
	const struct virtio_mmio *m = f->transport_opaque;

	doorbell_ring(m->call_fd);
}

static int mmio_call_fd(struct vfront *f, u32 qi)
{
	const struct virtio_mmio *m = f->transport_opaque;

	(void)qi;
	return m->call_fd;
}

static const struct vfront_transport_ops mmio_transport = {
	.raise = mmio_raise,
	.call_fd = mmio_call_fd,
};

int virtio_mmio_create(struct virtio_mmio *m, struct vfront *front, struct bus *bus, u64 gpa,
		       u32 gsi, struct doorbell_host *host, struct err *e)
{
	int status;

	*m = (struct virtio_mmio){ .front = front, .host = host, .gpa = gpa, .gsi = gsi };
	m->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->call_fd < 0)
		return err_errno(e, -errno, "%s: eventfd", front->name);
	front->transport = &mmio_transport;
	front->transport_opaque = m;
	status = host->bind_irq(host, gsi, m->call_fd, true);
	if (status < 0)
		return err_errno(e, status, "%s: interrupt %u", front->name, gsi);
	m->irq_bound = true;
	status = bus_add(bus, gpa, VIRTIO_MMIO_BYTES, &mmio_ops, m, e);
	return status < 0 ? err_prefix(e, "%s", front->name) : 0;
}

void virtio_mmio_destroy(struct virtio_mmio *m)
{
	if (!m->front)
		return;
	status_write(m, 0);
	if (m->irq_bound)
		m->host->bind_irq(m->host, m->gsi, m->call_fd, false);
	fd_close(&m->call_fd);
	m->front = NULL;
}

void virtio_mmio_reset(struct virtio_mmio *m)
{
	status_write(m, 0);
}
