// SPDX-License-Identifier: BSD-3-Clause
// ACPI fixed hardware: PM1a event and control blocks, power button (ACPI 6.4, section 4.8.3).
#include <pthread.h>

#include "dev/acpi_pm.h"
#include "dev/byte_io.h"
#include "dev/dev_class.h"

enum {
	PM1_STS_PWRBTN = 1 << 8,
	/* Enable bits: global lock, power button, sleep button, RTC alarm, PCI Express wake. */
	PM1_EN_WRITABLE = 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 14,
	PM1_CNT_SCI_EN = 1 << 0, /* always set: there is no legacy mode to switch from */
	PM1_CNT_BM_RLD = 1 << 1,
	PM1_CNT_SLP_TYP_SHIFT = 10,
	PM1_CNT_SLP_TYP = 7 << PM1_CNT_SLP_TYP_SHIFT,
	PM1_CNT_SLP_EN = 1 << 13, /* write-only */
};

struct acpi_pm {
	struct dev *dev;
	pthread_mutex_t lock; /* guards the registers and the order of SCI levels */
	u16 status, enable, control;
	bool sci;
};

/* Call with the lock held. */
static void acpi_pm_update_sci(struct acpi_pm *pm)
{
	bool level = (pm->status & pm->enable) != 0;

	if (level == pm->sci)
		return;
	pm->sci = level;
	pm->dev->host->set_irq(pm->dev->host, pm->dev, ACPI_SCI_GSI, level);
}

static u8 acpi_pm_event_read_byte(void *opaque, u32 offset)
{
	const struct acpi_pm *pm = opaque;
	u32 registers = pm->status | (u32)pm->enable << 16;

	return (u8)(registers >> (8 * offset));
}

static void acpi_pm_event_write_byte(void *opaque, u32 offset, u8 value)
{
	struct acpi_pm *pm = opaque;
	u32 shift = 8 * (offset & 1), bits = (u32)value << shift;

	if (offset < 2) /* status: a one clears */
		pm->status = (u16)(pm->status & ~bits);
	else
		pm->enable = (u16)((pm->enable & ~(0xffu << shift)) | (bits & PM1_EN_WRITABLE));
	acpi_pm_update_sci(pm);
}

static u64 acpi_pm_event_read(void *opaque, u64 offset, u32 len)
{
	struct acpi_pm *pm = opaque;
	u64 value;

	pthread_mutex_lock(&pm->lock);
	value = byte_io_read(acpi_pm_event_read_byte, pm, offset, len);
	pthread_mutex_unlock(&pm->lock);
	return value;
}

static void acpi_pm_event_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->lock);
	byte_io_write(acpi_pm_event_write_byte, pm, offset, len, value);
	pthread_mutex_unlock(&pm->lock);
}

static const struct bus_ops acpi_pm_event_ops = {
	.read = acpi_pm_event_read,
	.write = acpi_pm_event_write,
};

static u64 acpi_pm_control_read(void *opaque, u64 offset, u32 len)
{
	struct acpi_pm *pm = opaque;
	u64 value;

	pthread_mutex_lock(&pm->lock);
	value = (pm->control | PM1_CNT_SCI_EN) >> (8 * offset);
	pthread_mutex_unlock(&pm->lock);
	return len == 1 ? (u8)value : value;
}

static void acpi_pm_sleep(struct acpi_pm *pm, u32 type)
{
	if (type == ACPI_S5_SLP_TYP)
		pm->dev->host->event(pm->dev->host, pm->dev, DEV_EVENT_POWER_OFF, 0);
	else
		dev_log(pm->dev, "sleep type %u is not a state of this machine: ignored", type);
}

static void acpi_pm_control_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct acpi_pm *pm = opaque;
	u32 mask = (len == 1 ? 0xffu : 0xffffu) << (8 * offset);
	u32 bits = (u32)value << (8 * offset) & mask, type;

	pthread_mutex_lock(&pm->lock);
	pm->control = (u16)((pm->control & ~mask) | (bits & (PM1_CNT_BM_RLD | PM1_CNT_SLP_TYP)));
	type = (pm->control & PM1_CNT_SLP_TYP) >> PM1_CNT_SLP_TYP_SHIFT;
	pthread_mutex_unlock(&pm->lock);
	if (bits & PM1_CNT_SLP_EN)
		acpi_pm_sleep(pm, type);
}

static const struct bus_ops acpi_pm_control_ops = {
	.read = acpi_pm_control_read,
	.write = acpi_pm_control_write,
};

static int acpi_pm_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct acpi_pm *pm = dev->priv;
	int status;

	(void)cfg;
	(void)fds;
	pm->dev = dev;
	pthread_mutex_init(&pm->lock, NULL);
	status = bus_add(dev->host->pio, ACPI_PM1_EVT_PORT, ACPI_PM1_EVT_LEN, &acpi_pm_event_ops,
			 pm, e);
	if (status < 0)
		return status;
	return bus_add(dev->host->pio, ACPI_PM1_CNT_PORT, ACPI_PM1_CNT_LEN, &acpi_pm_control_ops,
		       pm, e);
}

static void acpi_pm_reset(struct dev *dev)
{
	struct acpi_pm *pm = dev->priv;

	pthread_mutex_lock(&pm->lock);
	pm->status = 0;
	pm->enable = 0;
	pm->control = 0;
	acpi_pm_update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

/* The guest decides what the button means; a stock Linux with a session manager powers off. */
static void acpi_pm_power_button(struct dev *dev)
{
	struct acpi_pm *pm = dev->priv;

	pthread_mutex_lock(&pm->lock);
	pm->status |= PM1_STS_PWRBTN;
	acpi_pm_update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

static const struct dev_class acpi_pm_class = {
	.name = "acpi-pm",
	.summary = SUMMARY("ACPI power off and power button"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct acpi_pm),
	.create = acpi_pm_create,
	.reset = acpi_pm_reset,
	.power_button = acpi_pm_power_button,
};

DEVICE_CLASS(acpi_pm_class);
