// SPDX-License-Identifier: BSD-3-Clause
// A virtio device that only notes what is asked of it.
#include "tests/lib/fake_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

/* --- The machine ------------------------------------------------------------------------------ */

static struct fake_front *ff_of(struct doorbell_host *host)
{
	return container_of(host, struct fake_front, host);
}

static void misuse(const struct fake_front *ff, const char *what)
{
	if (!ff->abort_on_misuse)
		return;
	fprintf(stderr, "fake_front: %s\n", what);
	abort();
}

static bool same_bell(const struct doorbell *a, const struct doorbell *b)
{
	return a->addr == b->addr && a->len == b->len && a->match == b->match &&
	       a->value == b->value;
}

static void drop(struct ff_binding *bindings, u32 *nr, u32 index)
{
	bindings[index] = bindings[--*nr];
}

/* As KVM does: two doorbells at one place are refused, and what is not bound cannot be unbound. */
static int host_bind_doorbell(struct doorbell_host *host, const struct doorbell *bell, int fd,
			      bool bound)
{
	struct fake_front *ff = ff_of(host);

	for (u32 i = 0; i < ff->nr_bells; i++) {
		if (!same_bell(&ff->bells[i].bell, bell))
			continue;
		if (bound || ff->bells[i].fd != fd) {
			misuse(ff, "two doorbells at one place");
			return -EEXIST;
		}
		drop(ff->bells, &ff->nr_bells, i);
		return 0;
	}
	if (!bound)
		return -ENOENT;
	if (ff->bell_status < 0)
		return ff->bell_status;
	if (ff->nr_bells == FF_BINDINGS_MAX)
		return -ENOSPC;
	ff->bells[ff->nr_bells++] = (struct ff_binding){ .bell = *bell, .fd = fd };
	return 0;
}

static int host_msi_alloc(struct doorbell_host *host)
{
	struct fake_front *ff = ff_of(host);

	if (ff->sources_left == 0)
		return -ENOSPC;
	ff->sources_left--;
	return FF_SOURCE_FIRST + (int)ff->nr_sources++;
}

static int host_msi_set(struct doorbell_host *host, u32 source, const struct msi_message *msg)
{
	struct fake_front *ff = ff_of(host);

	if (source < FF_SOURCE_FIRST || source >= FF_SOURCE_FIRST + ff->nr_sources)
		abort();
	ff->nr_msi_set++;
	if (ff->msi_status < 0)
		return ff->msi_status;
	ff->messages[source - FF_SOURCE_FIRST] = *msg;
	return 0;
}

static int host_bind_irq(struct doorbell_host *host, u32 gsi, int fd, bool bound)
{
	struct fake_front *ff = ff_of(host);

	for (u32 i = 0; i < ff->nr_irqs; i++) {
		if (ff->irqs[i].fd != fd)
			continue;
		if (bound || ff->irqs[i].gsi != gsi) {
			misuse(ff, "an eventfd with two interrupts");
			return -EBUSY;
		}
		drop(ff->irqs, &ff->nr_irqs, i);
		return 0;
	}
	if (!bound || ff->nr_irqs == FF_BINDINGS_MAX) {
		misuse(ff, "an interrupt unbound that was not bound");
		return -ENOENT;
	}
	ff->irqs[ff->nr_irqs++] = (struct ff_binding){ .gsi = gsi, .fd = fd };
	return 0;
}

static void host_set_line(struct doorbell_host *host, u32 gsi, u32 slot, bool level)
{
	struct fake_front *ff = ff_of(host);

	if (gsi >= FF_LINES || slot >= 32 || ff->lines[gsi] == level)
		abort();
	ff->lines[gsi] = level;
}

/* --- The device ------------------------------------------------------------------------------- */

static int device_start(struct vfront *f)
{
	struct fake_front *ff = container_of(f, struct fake_front, front);

	ff->starts++;
	return ff->start_status;
}

static void device_stop(struct vfront *f)
{
	container_of(f, struct fake_front, front)->stops++;
}

static void device_calls_changed(struct vfront *f)
{
	container_of(f, struct fake_front, front)->calls_changed++;
}

static void device_config_write(struct vfront *f, u32 offset, const void *src, u32 len)
{
	struct fake_front *ff = container_of(f, struct fake_front, front);

	ff->config_writes++;
	ff->config_offset = offset;
	ff->config_len = len;
	memcpy(ff->config_src, src, len);
	memcpy(f->config + offset, src, len);
}

static const struct vfront_ops device_ops = {
	.start = device_start,
	.stop = device_stop,
	.calls_changed = device_calls_changed,
	.config_write = device_config_write,
};

/* --- Life ------------------------------------------------------------------------------------- */

static void quiet_log(enum log_level level, const char *line, void *opaque)
{
	(void)level;
	(void)line;
	(void)opaque;
}

static void create_machine(struct fake_front *ff)
{
	static const struct bus_ops window_ops = { .read = pci_window_read,
						   .write = pci_window_write };
	static const struct pci_ids bridge_ids = { .vendor = 1, .device = 2 };
	static struct pci_function bridge;
	struct err e;

	log_set_sink(quiet_log, NULL);
	ff->host = (struct doorbell_host){ .bind_doorbell = host_bind_doorbell,
					   .msi_alloc = host_msi_alloc,
					   .msi_set = host_msi_set,
					   .bind_irq = host_bind_irq,
					   .set_line = host_set_line };
	ff->sources_left = FF_SOURCES_MAX;
	ff->abort_on_misuse = true;
	ff->mmio.name = "MMIO";
	pci_bus_init(&ff->pci, FF_WINDOW_GPA, FF_WINDOW_BYTES);
	pci_function_init(&bridge, &bridge_ids, NULL);
	if (evl_create(&ff->evl) < 0 || pci_bus_add(&ff->pci, 0, &bridge) < 0 ||
	    bus_add(&ff->mmio, FF_WINDOW_GPA, FF_WINDOW_BYTES, &window_ops, &ff->pci, &e) < 0)
		abort();
}

void ff_create(struct fake_front *ff, enum ff_transport transport, u32 nr_queues, u32 config_bytes)
{
	static u8 config[VFRONT_CONFIG_BYTES_MAX];
	const struct vfront_device device = { .name = "virtio-fake.0",
					      .virtio_id = 4,
					      .queue_size_max = FF_QUEUE_SIZE,
					      .nr_queues = nr_queues,
					      .config_bytes = config_bytes,
					      .features = 1ull << 40 | 1ull << 34 | 0x30000005,
					      .config = config };
	struct virtio_pci_place place = { .bus = &ff->pci,
					  .host = &ff->host,
					  .evl = &ff->evl,
					  .slot = PCI_SLOT_NEXT,
					  .gsi = FF_LINE,
					  .line_slot = 3 };
	struct err e = { 0 };
	int status;

	*ff = (struct fake_front){ .transport = transport };
	for (u32 i = 0; i < config_bytes; i++)
		config[i] = (u8)(i + 1);
	create_machine(ff);
	status = vfront_init(&ff->front, &device, &device_ops, &e);
	if (status == 0 && transport == FF_MMIO)
		status = virtio_mmio_create(&ff->as_mmio, &ff->front, &ff->mmio, FF_MMIO_GPA,
					    FF_LINE, &ff->host, &e);
	else if (status == 0)
		status = virtio_pci_create(&ff->as_pci, &ff->front, &place, &e);
	if (status < 0) {
		fprintf(stderr, "ff_create: %s\n", e.text);
		abort();
	}
	if (transport == FF_PCI)
		ff_cfg_out(ff, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void ff_destroy(struct fake_front *ff)
{
	virtio_pci_destroy(&ff->as_pci);
	virtio_mmio_destroy(&ff->as_mmio);
	if (ff->nr_bells > 0 || ff->nr_irqs > 0)
		misuse(ff, "an eventfd is still bound");
	vfront_destroy(&ff->front);
	evl_destroy(&ff->evl);
}

/* --- A driver's hand -------------------------------------------------------------------------- */

u64 ff_in(struct fake_front *ff, u64 gpa, u32 len)
{
	u64 value = 0;

	bus_read(&ff->mmio, gpa, &value, len);
	return value;
}

void ff_out(struct fake_front *ff, u64 gpa, u32 len, u64 value)
{
	bus_write(&ff->mmio, gpa, &value, len);
}

static const struct {
	u16 mmio, pci;
	u8 pci_len;
} registers[] = {
	[FF_DEVICE_FEATURE_SEL] = { 0x14, 0x00, 4 },
	[FF_DEVICE_FEATURE] = { 0x10, 0x04, 4 },
	[FF_DRIVER_FEATURE_SEL] = { 0x24, 0x08, 4 },
	[FF_DRIVER_FEATURE] = { 0x20, 0x0c, 4 },
	[FF_STATUS] = { 0x70, 0x14, 1 },
	[FF_GENERATION] = { 0xfc, 0x15, 1 },
	[FF_QUEUE_SEL] = { 0x30, 0x16, 2 },
	[FF_QUEUE_LENGTH] = { 0x38, 0x18, 2 },
	[FF_QUEUE_ENABLE] = { 0x44, 0x1c, 2 },
	[FF_QUEUE_DESC] = { 0x80, 0x20, 4 },
	[FF_QUEUE_DRIVER] = { 0x90, 0x28, 4 },
	[FF_QUEUE_DEVICE] = { 0xa0, 0x30, 4 },
};

u64 ff_base(struct fake_front *ff)
{
	return ff->transport == FF_MMIO ? FF_MMIO_GPA : pci_bar_gpa(&ff->as_pci.function, 0);
}

u64 ff_config_gpa(struct fake_front *ff)
{
	return ff_base(ff) + 0x100;
}

u32 ff_get(struct fake_front *ff, enum ff_register reg)
{
	if (ff->transport == FF_MMIO)
		return (u32)ff_in(ff, FF_MMIO_GPA + registers[reg].mmio, 4);
	return (u32)ff_in(ff, ff_base(ff) + registers[reg].pci, registers[reg].pci_len);
}

void ff_put(struct fake_front *ff, enum ff_register reg, u32 value)
{
	if (ff->transport == FF_MMIO)
		ff_out(ff, FF_MMIO_GPA + registers[reg].mmio, 4, value);
	else
		ff_out(ff, ff_base(ff) + registers[reg].pci, registers[reg].pci_len, value);
}

u32 ff_cfg_in(struct fake_front *ff, u32 reg, u32 len)
{
	return (u32)pci_ecam_read(&ff->pci, 1 << 15 | reg, len);
}

void ff_cfg_out(struct fake_front *ff, u32 reg, u32 len, u32 value)
{
	pci_ecam_write(&ff->pci, 1 << 15 | reg, len, value);
}

u32 ff_capability(struct fake_front *ff, u8 id, u8 type)
{
	u32 at = ff_cfg_in(ff, PCI_CAPABILITIES, 1);

	while (at && !(ff_cfg_in(ff, at, 1) == id && (id != 9 || ff_cfg_in(ff, at + 3, 1) == type)))
		at = ff_cfg_in(ff, at + 1, 1);
	return at;
}

void ff_negotiate(struct fake_front *ff)
{
	ff_put(ff, FF_STATUS, 0);
	ff_put(ff, FF_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
	ff_put(ff, FF_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	for (u32 word = 0; word < 2; word++) {
		ff_put(ff, FF_DEVICE_FEATURE_SEL, word);
		ff_put(ff, FF_DRIVER_FEATURE_SEL, word);
		ff_put(ff, FF_DRIVER_FEATURE, ff_get(ff, FF_DEVICE_FEATURE));
	}
	ff_put(ff, FF_STATUS, ff_get(ff, FF_STATUS) | VIRTIO_STATUS_FEATURES_OK);
}

void ff_enable(struct fake_front *ff, u32 qi)
{
	ff_put(ff, FF_QUEUE_SEL, qi);
	ff_put(ff, FF_QUEUE_LENGTH, 128);
	ff_put(ff, FF_QUEUE_DESC, 0x10000 * (qi + 1));
	ff_put(ff, FF_QUEUE_DRIVER, 0x10000 * (qi + 1) + 0x4000);
	ff_put(ff, FF_QUEUE_DEVICE, 0x10000 * (qi + 1) + 0x8000);
	ff_put(ff, FF_QUEUE_ENABLE, 1);
}

void ff_start(struct fake_front *ff)
{
	ff_negotiate(ff);
	for (u32 i = 0; i < ff->front.nr_queues; i++)
		ff_enable(ff, i);
	ff_put(ff, FF_STATUS, ff_get(ff, FF_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

bool ff_rung(int fd)
{
	u64 count;

	return fd_read(fd, &count, sizeof(count)) == sizeof(count);
}

const struct doorbell *ff_bell(struct fake_front *ff, int fd)
{
	for (u32 i = 0; i < ff->nr_bells; i++)
		if (ff->bells[i].fd == fd)
			return &ff->bells[i].bell;
	return NULL;
}

int ff_irq(struct fake_front *ff, int fd)
{
	for (u32 i = 0; i < ff->nr_irqs; i++)
		if (ff->irqs[i].fd == fd)
			return (int)ff->irqs[i].gsi;
	return -1;
}
