// SPDX-License-Identifier: BSD-3-Clause
// virtio-pci: a device as a function of a PCI bus, without the legacy interface (virtio 1.2, section
// 4.1).
//
// One BAR holds everything. Fields answer writes of their own width, 64-bit ones also of either half
// (section 4.1.3.1); reads of any width see the bytes that are there. What is nobody's reads 0.
//
// Whatever the guest writes changes a piece of state first; then vpci_sync makes the machine agree:
// eventfds to the sources of unmasked vectors, doorbells to where the BAR is now, the interrupt line.
// With MSI-X no byte passes through here. Without, devices ring one eventfd that the main loop
// watches, because the line stays high until the guest reads the ISR status.
#include "virtio/pci.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/bytes.h"
#include "util/checked.h"

enum {
	VENDOR_ID = 0x1af4,
	DEVICE_ID_BASE = 0x1040, /* section 4.1.2 */
	REVISION = 1,

	/* Section 4.1.4. */
	CAPABILITY_VENDOR = 0x09,
	CAP_COMMON = 1,
	CAP_NOTIFY = 2,
	CAP_ISR = 3,
	CAP_DEVICE = 4,
	CAP_PCI = 5,
	CAP_LEN = 2, /* offsets in a capability */
	CAP_TYPE = 3,
	CAP_BAR = 4,
	CAP_OFFSET = 8,
	CAP_LENGTH = 12,
	CAP_EXTRA = 16, /* multiplier or data window */
	CAP_BYTES = 16,
	CAP_EXTRA_BYTES = 4,
	NOTIFY_MULTIPLIER = 4,

	/* The BAR. */
	COMMON = 0x000,
	ISR = 0x080,
	DEVICE = 0x100,
	NOTIFY = 0x200,
	VIRTIO_BYTES = 0x300, /* what the PCI configuration access capability reaches */
	MSIX_TABLE = 0x1000,
	MSIX_PBA = 0x1800,
	BAR_BYTES = 0x2000,
	ISR_BYTES = 4,

	/* Section 4.1.4.3. */
	COMMON_DEVICE_FEATURE_SEL = 0x00,
	COMMON_DEVICE_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SEL = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_CONFIG_VECTOR = 0x10,
	COMMON_NUM_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SEL = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	COMMON_QUEUE_DESC = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
	COMMON_BYTES = 0x38,
};

/* --- Keeping the machine in step. All of this runs with the lock held. ------------------------ */

static void call_sync(struct virtio_pci *v, struct virtio_pci_call *call, int fd)
{
	int wanted = msix_source(&v->msix, call->vector);

	if (call->bound_to == wanted)
		return;
	if (call->bound_to >= 0)
		v->host->bind_irq(v->host, (u32)call->bound_to, fd, false);
	call->bound_to = wanted;
	if (wanted >= 0 && v->host->bind_irq(v->host, (u32)wanted, fd, true) < 0)
		log_guest(&v->front->log, "%s: interrupt source %d is lost", v->front->name,
			  wanted);
}

static void line_sync(struct virtio_pci *v)
{
	bool level = pci_set_intx(&v->function, v->front->isr && !v->msix.enabled);

	if (level != v->line)
		v->host->set_line(v->host, v->gsi, v->line_slot, level);
	v->line = level;
}

/* The way of every ring's interrupts changed; what was rung on the old one may be lost with it. */
static void calls_changed(struct virtio_pci *v)
{
	struct vfront *f = v->front;

	if (!f->running)
		return;
	f->ops->calls_changed(f);
	for (u32 i = 0; i < f->nr_queues; i++)
		if (f->queues[i].enabled)
			doorbell_ring(f->transport->call_fd(f, i));
}

static void vpci_sync(struct virtio_pci *v)
{
	struct vfront *f = v->front;
	u64 gpa = pci_bar_gpa(&v->function, 0);
	bool changed = msix_sync(&v->msix);

	call_sync(v, &v->config_call, v->config_fd);
	for (u32 i = 0; i < f->nr_queues; i++)
		call_sync(v, &v->calls[i], f->queues[i].call_fd);
	if (changed)
		calls_changed(v);
	vfront_sync_doorbells(f, v->host, gpa ? gpa + NOTIFY : 0, NOTIFY_MULTIPLIER);
	line_sync(v);
}

/* --- Common configuration (section 4.1.4.3), with the lock held ------------------------------- */

/* What a reset does to the transport's own registers. */
static void registers_reset(struct virtio_pci *v)
{
	v->device_features_sel = v->driver_features_sel = v->queue_sel = 0;
	v->config_call.vector = VIRTIO_PCI_NO_VECTOR;
	for (u32 i = 0; i < v->front->nr_queues; i++)
		v->calls[i].vector = VIRTIO_PCI_NO_VECTOR;
	doorbell_drain(v->config_fd);
	doorbell_drain(v->intx_fd);
}

static u32 feature_word(u64 features, u32 word)
{
	return word > 1 ? 0 : (u32)(features >> word * 32);
}

/* All fields are free of side effects: a read picks its bytes out of the whole. */
static void common_fill(const struct virtio_pci *v, u8 *regs)
{
	const struct vfront *f = v->front;
	const struct vfront_queue *q;

	memset(regs, 0, COMMON_BYTES);
	bytes_put_le(regs + COMMON_DEVICE_FEATURE_SEL, v->device_features_sel, 4);
	bytes_put_le(regs + COMMON_DEVICE_FEATURE,
		     feature_word(f->features_offered, v->device_features_sel), 4);
	bytes_put_le(regs + COMMON_DRIVER_FEATURE_SEL, v->driver_features_sel, 4);
	bytes_put_le(regs + COMMON_DRIVER_FEATURE,
		     feature_word(f->features, v->driver_features_sel), 4);
	bytes_put_le(regs + COMMON_CONFIG_VECTOR, v->config_call.vector, 2);
	bytes_put_le(regs + COMMON_NUM_QUEUES, f->nr_queues, 2);
	regs[COMMON_STATUS] = f->status;
	regs[COMMON_GENERATION] = f->config_generation;
	bytes_put_le(regs + COMMON_QUEUE_SEL, v->queue_sel, 2);
	bytes_put_le(regs + COMMON_QUEUE_VECTOR, VIRTIO_PCI_NO_VECTOR, 2);
	if (v->queue_sel >= f->nr_queues)
		return;
	q = &f->queues[v->queue_sel];
	bytes_put_le(regs + COMMON_QUEUE_SIZE, q->size, 2);
	bytes_put_le(regs + COMMON_QUEUE_VECTOR, v->calls[v->queue_sel].vector, 2);
	regs[COMMON_QUEUE_ENABLE] = q->enabled;
	bytes_put_le(regs + COMMON_QUEUE_NOTIFY_OFF, v->queue_sel, 2);
	bytes_put_le(regs + COMMON_QUEUE_DESC, q->desc_gpa, 8);
	bytes_put_le(regs + COMMON_QUEUE_DRIVER, q->avail_gpa, 8);
	bytes_put_le(regs + COMMON_QUEUE_DEVICE, q->used_gpa, 8);
}

/* A vector that is not there reads back as none (section 4.1.5.1.2.1). */
static u16 checked_vector(const struct virtio_pci *v, u64 vector)
{
	return vector < v->msix.nr_vectors ? (u16)vector : VIRTIO_PCI_NO_VECTOR;
}

static void common_write_dword(struct virtio_pci *v, u32 reg, u32 value)
{
	struct vfront_queue *q;

	if (reg == COMMON_DEVICE_FEATURE_SEL)
		v->device_features_sel = value;
	if (reg == COMMON_DRIVER_FEATURE_SEL)
		v->driver_features_sel = value;
	if (reg == COMMON_DRIVER_FEATURE)
		vfront_set_features(v->front, v->driver_features_sel, value);
	q = reg >= COMMON_QUEUE_DESC && reg < COMMON_BYTES && reg % 4 == 0
		    ? vfront_queue_edit(v->front, v->queue_sel)
		    : NULL;
	if (q) {
		u64 *gpa = reg < COMMON_QUEUE_DRIVER   ? &q->desc_gpa
			   : reg < COMMON_QUEUE_DEVICE ? &q->avail_gpa
						       : &q->used_gpa;

		bytes_put_le((u8 *)gpa + reg % 8, value, 4);
	}
}

static void common_write_word(struct virtio_pci *v, u32 reg, u16 value)
{
	switch (reg) {
	case COMMON_CONFIG_VECTOR:
		v->config_call.vector = checked_vector(v, value);
		break;
	case COMMON_QUEUE_SEL:
		v->queue_sel = value;
		break;
	case COMMON_QUEUE_SIZE:
		vfront_queue_set_size(v->front, v->queue_sel, value);
		break;
	case COMMON_QUEUE_VECTOR:
		if (v->queue_sel < v->front->nr_queues)
			v->calls[v->queue_sel].vector = checked_vector(v, value);
		break;
	case COMMON_QUEUE_ENABLE: /* a driver must not write 0 (section 4.1.4.3.2) */
		if (value == 1)
			vfront_queue_set_enabled(v->front, v->queue_sel, true);
		break;
	}
}

static void common_write_status(struct virtio_pci *v, u8 status)
{
	vfront_set_status_locked(v->front, status);
	if (status == 0)
		registers_reset(v);
}

/* --- The BAR ---------------------------------------------------------------------------------- */

static u64 common_read(struct virtio_pci *v, u32 offset, u32 len)
{
	u8 regs[COMMON_BYTES];

	pthread_mutex_lock(&v->front->lock);
	common_fill(v, regs);
	pthread_mutex_unlock(&v->front->lock);
	return bytes_get_le(regs + offset, len);
}

static void common_write(struct virtio_pci *v, u32 offset, u32 len, u64 value)
{
	pthread_mutex_lock(&v->front->lock);
	if (offset == COMMON_STATUS && len == 1)
		common_write_status(v, (u8)value);
	else if (len == 2)
		common_write_word(v, offset, (u16)value);
	else if (len == 4 || (len == 8 && offset >= COMMON_QUEUE_DESC && offset % 8 == 0))
		common_write_dword(v, offset, (u32)value);
	if (len == 8 && offset >= COMMON_QUEUE_DESC && offset % 8 == 0)
		common_write_dword(v, offset + 4, (u32)(value >> 32));
	vpci_sync(v);
	pthread_mutex_unlock(&v->front->lock);
}

/* Reading it says that the interrupt was seen (section 4.1.4.5). */
static u64 isr_read(struct virtio_pci *v, u32 offset, u32 len)
{
	u64 isr = 0;

	(void)len;
	if (offset > 0)
		return 0;
	pthread_mutex_lock(&v->front->lock);
	isr = v->front->isr;
	v->front->isr = 0;
	line_sync(v);
	pthread_mutex_unlock(&v->front->lock);
	return isr;
}

static u64 device_read(struct virtio_pci *v, u32 offset, u32 len)
{
	u64 value = 0;

	vfront_config_read(v->front, offset, &value, len);
	return value;
}

static void device_write(struct virtio_pci *v, u32 offset, u32 len, u64 value)
{
	vfront_config_write(v->front, offset, &value, len);
}

/* Only for guests that have no doorbell. */
static void notify_write(struct virtio_pci *v, u32 offset, u32 len, u64 value)
{
	(void)len;
	(void)value;
	if (offset % NOTIFY_MULTIPLIER == 0)
		vfront_kick(v->front, offset / NOTIFY_MULTIPLIER);
}

static u64 table_read(struct virtio_pci *v, u32 offset, u32 len)
{
	u64 value;

	pthread_mutex_lock(&v->front->lock);
	value = msix_table_read(&v->msix, offset, len);
	pthread_mutex_unlock(&v->front->lock);
	return value;
}

static void table_write(struct virtio_pci *v, u32 offset, u32 len, u64 value)
{
	pthread_mutex_lock(&v->front->lock);
	msix_table_write(&v->msix, offset, len, value);
	vpci_sync(v);
	pthread_mutex_unlock(&v->front->lock);
}

/* A vector is pending if it is masked and an eventfd of its events was rung. */
static u64 pending_bit(const struct virtio_pci *v, const struct virtio_pci_call *call, int fd)
{
	struct pollfd rung = { .fd = fd, .events = POLLIN };

	if (!v->msix.enabled || call->vector >= v->msix.nr_vectors || call->bound_to >= 0)
		return 0;
	return poll(&rung, 1, 0) == 1 ? 1ull << call->vector : 0;
}

static u64 pba_read(struct virtio_pci *v, u32 offset, u32 len)
{
	const struct vfront *f = v->front;
	u64 pending;

	pthread_mutex_lock(&v->front->lock);
	pending = pending_bit(v, &v->config_call, v->config_fd);
	for (u32 i = 0; i < f->nr_queues; i++)
		pending |= pending_bit(v, &v->calls[i], f->queues[i].call_fd);
	pthread_mutex_unlock(&v->front->lock);
	return bytes_get_le((const u8 *)&pending + offset, len);
}

static const struct part {
	u16 offset, len;
	u64 (*read)(struct virtio_pci *v, u32 offset, u32 len);
	void (*write)(struct virtio_pci *v, u32 offset, u32 len, u64 value);
} parts[] = {
	{ COMMON, COMMON_BYTES, common_read, common_write },
	{ ISR, ISR_BYTES, isr_read, NULL },
	{ DEVICE, VFRONT_CONFIG_BYTES_MAX, device_read, device_write },
	{ NOTIFY, VFRONT_QUEUES_MAX *NOTIFY_MULTIPLIER, NULL, notify_write },
	{ MSIX_TABLE, MSIX_VECTORS_MAX *MSIX_ENTRY_BYTES, table_read, table_write },
	{ MSIX_PBA, MSIX_PBA_BYTES, pba_read, NULL },
};

/* The part that holds the whole access, or NULL. */
static const struct part *find_part(u64 offset, u32 len)
{
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		if (offset >= parts[i].offset &&
		    range_fits(offset - parts[i].offset, len, parts[i].len))
			return &parts[i];
	return NULL;
}

static u64 bar_read(void *opaque, u64 offset, u32 len)
{
	const struct part *part = find_part(offset, len);

	return part && part->read ? part->read(opaque, (u32)offset - part->offset, len) : 0;
}

static void bar_write(void *opaque, u64 offset, u32 len, u64 value)
{
	const struct part *part = find_part(offset, len);

	if (part && part->write)
		part->write(opaque, (u32)offset - part->offset, len, value);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

/* --- Configuration space ---------------------------------------------------------------------- */

/* An access by way of the PCI configuration access capability (section 4.1.4.9). */
struct window {
	u32 offset, len;
};

/* Whether [reg, reg + len) touches the window's data, and it shows a piece of the BAR. */
static bool window_is_open(struct virtio_pci *v, u32 reg, u32 len, struct window *w)
{
	u32 capability = v->window_capability;

	if (capability == 0 || !ranges_overlap(reg, len, capability + CAP_EXTRA, CAP_EXTRA_BYTES))
		return false;
	w->offset = (u32)pci_config_get(&v->function, capability + CAP_OFFSET, 4);
	w->len = (u32)pci_config_get(&v->function, capability + CAP_LENGTH, 4);
	return (w->len == 1 || w->len == 2 || w->len == 4) && w->offset % w->len == 0 &&
	       range_fits(w->offset, w->len, VIRTIO_BYTES) &&
	       pci_config_get(&v->function, capability + CAP_BAR, 1) == 0;
}

static void config_reading(struct pci_function *function, u32 reg, u32 len)
{
	struct virtio_pci *v = container_of(function, struct virtio_pci, function);
	struct window w;

	if (window_is_open(v, reg, len, &w))
		pci_config_put(function, v->window_capability + CAP_EXTRA, w.len,
			       bar_read(v, w.offset, w.len));
}

static void config_written(struct pci_function *function, u32 reg, u32 len)
{
	struct virtio_pci *v = container_of(function, struct virtio_pci, function);
	struct window w;

	if (window_is_open(v, reg, len, &w))
		bar_write(v, w.offset, w.len,
			  pci_config_get(function, v->window_capability + CAP_EXTRA, w.len));
	pthread_mutex_lock(&v->front->lock);
	vpci_sync(v);
	pthread_mutex_unlock(&v->front->lock);
}

static const struct pci_function_ops function_ops = {
	.reading = config_reading,
	.written = config_written,
};

/* --- Transport -------------------------------------------------------------------------------- */

static void vpci_raise(struct vfront *f)
{
	struct virtio_pci *v = f->transport_opaque;

	if (v->msix.enabled && v->config_call.vector != VIRTIO_PCI_NO_VECTOR)
		doorbell_ring(v->config_fd);
	line_sync(v);
}

static int vpci_call_fd(struct vfront *f, u32 qi)
{
	const struct virtio_pci *v = f->transport_opaque;

	return v->msix.enabled ? f->queues[qi].call_fd : v->intx_fd;
}

static const struct vfront_transport_ops vpci_transport = {
	.raise = vpci_raise,
	.call_fd = vpci_call_fd,
};

/* A device used buffers while the guest listens to the line. */
static void intx_ready(struct evl_source *source, u32 epoll_events)
{
	struct virtio_pci *v = container_of(source, struct virtio_pci, source);

	(void)epoll_events;
	doorbell_drain(v->intx_fd);
	pthread_mutex_lock(&v->front->lock);
	if (v->front->running && !v->msix.enabled) {
		v->front->isr |= VIRTIO_ISR_QUEUE;
		line_sync(v);
	}
	pthread_mutex_unlock(&v->front->lock);
}

/* --- Life ------------------------------------------------------------------------------------- */

static u32 class_of(u16 virtio_id)
{
	switch (virtio_id) {
	case 1: /* network: Ethernet */
		return 0x020000;
	case 2: /* block: other mass storage */
		return 0x018000;
	case 3: /* console: other communication */
		return 0x078000;
	}
	return 0xff0000;
}

static u8 add_capability(struct virtio_pci *v, u8 type, u32 offset, u32 length, u32 extra)
{
	u8 bytes[CAP_BYTES + CAP_EXTRA_BYTES] = { 0 };

	bytes[CAP_LEN] = type == CAP_NOTIFY || type == CAP_PCI ? sizeof(bytes) : CAP_BYTES;
	bytes[CAP_TYPE] = type;
	bytes_put_le(bytes + CAP_OFFSET, offset, 4);
	bytes_put_le(bytes + CAP_LENGTH, length, 4);
	bytes_put_le(bytes + CAP_EXTRA, extra, 4);
	return pci_add_capability(&v->function, CAPABILITY_VENDOR, bytes, bytes[CAP_LEN]);
}

static void build_function(struct virtio_pci *v)
{
	struct vfront *f = v->front;
	const struct pci_ids ids = {
		.vendor = VENDOR_ID,
		.device = (u16)(DEVICE_ID_BASE + f->virtio_id),
		.subsystem_vendor = VENDOR_ID,
		.subsystem = (u16)(DEVICE_ID_BASE + f->virtio_id), /* 0x40 or more: 4.1.2.1 */
		.class_code = class_of(f->virtio_id),
		.revision = REVISION,
	};
	u8 *writable = v->function.writable;

	pci_function_init(&v->function, &ids, &function_ops);
	v->function.config[PCI_INTERRUPT_PIN] = 1; /* INTA */
	v->function.config[PCI_INTERRUPT_LINE] = (u8)v->gsi;
	writable[PCI_INTERRUPT_LINE] = 0xff;
	pci_add_bar(&v->function, 0, BAR_BYTES, true, &bar_ops, v);
	add_capability(v, CAP_COMMON, COMMON, COMMON_BYTES, 0);
	add_capability(v, CAP_NOTIFY, NOTIFY, MAX(f->nr_queues, 1u) * NOTIFY_MULTIPLIER,
		       NOTIFY_MULTIPLIER);
	add_capability(v, CAP_ISR, ISR, ISR_BYTES, 0);
	if (f->config_bytes > 0)
		add_capability(v, CAP_DEVICE, DEVICE, f->config_bytes, 0);
	v->window_capability = add_capability(v, CAP_PCI, 0, 0, 0);
	writable[v->window_capability + CAP_BAR] = 0xff;
	memset(writable + v->window_capability + CAP_OFFSET, 0xff, 8 + CAP_EXTRA_BYTES);
	msix_create(&v->msix, &v->function, v->host, f->nr_queues + 1, 0, MSIX_TABLE, MSIX_PBA);
}

int virtio_pci_create(struct virtio_pci *v, struct vfront *front,
		      const struct virtio_pci_place *place, struct err *e)
{
	int status;

	*v = (struct virtio_pci){ .front = front,
				  .host = place->host,
				  .evl = place->evl,
				  .gsi = place->gsi,
				  .line_slot = place->line_slot };
	v->config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->intx_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->config_fd < 0 || v->intx_fd < 0)
		return err_errno(e, -errno, "%s: eventfd", front->name);
	status = evl_add(place->evl, &v->source, v->intx_fd, EPOLLIN, intx_ready);
	if (status < 0)
		return err_errno(e, status, "%s: event loop", front->name);
	v->config_call.bound_to = -1;
	for (u32 i = 0; i < front->nr_queues; i++)
		v->calls[i].bound_to = -1;
	registers_reset(v);
	build_function(v);
	status = pci_bus_add(place->bus, place->slot, &v->function);
	if (status < 0)
		return err_errno(e, status, "%s: PCI slot %u", front->name, place->slot);
	front->transport = &vpci_transport;
	front->transport_opaque = v;
	return 0;
}

void virtio_pci_reset(struct virtio_pci *v)
{
	pthread_mutex_lock(&v->front->lock);
	common_write_status(v, 0);
	pci_config_put(&v->function, PCI_COMMAND, 2, 0);
	msix_reset(&v->msix);
	vpci_sync(v);
	pthread_mutex_unlock(&v->front->lock);
}

void virtio_pci_destroy(struct virtio_pci *v)
{
	if (!v->front)
		return;
	if (v->function.bus)
		virtio_pci_reset(v);
	evl_remove(v->evl, &v->source);
	fd_close(&v->intx_fd);
	fd_close(&v->config_fd);
	v->front = NULL;
}
