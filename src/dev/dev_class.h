// SPDX-License-Identifier: BSD-3-Clause
// Platform devices: what one folder under drivers/ declares, and what its device may ask of the
// machine.
#pragma once

#include "bus/bus.h"
#include "evl/evl.h"
#include "util/err.h"
#include "util/fdset.h"
#include "util/opt.h"
#include "util/types.h"

struct dev;
struct pci_bus;
struct serial_cfg;

/* A device's ACPI description: AML compiled from the .asl file beside the driver. */
struct dev_aml {
	const u8 *bytes;
	u32 len;
};

/*
 * DEVICE_AML(pvpanic) declares pvpanic_aml, made from pvpanic.asl. Weak: in a build without ACPI, and
 * in unit tests, its address is NULL.
 */
#define DEVICE_AML(name) extern const struct dev_aml name##_aml __attribute__((weak))

/*
 * A kind of device. One const object per driver, registered with DEVICE_CLASS. Every instance
 * (0 to nr_instances - 1) exists in every machine of a build that chose the class.
 */
struct dev_class {
	const char *name;
	const char *summary; /* SUMMARY("one line for `kiln devices` and the manual") */
	u32 nr_instances;
	u32 priv_bytes;         /* zeroed private state, found at dev->priv */
	u32 cfg_bytes;          /* plain old data without pointers; 0 when there are no options */
	const struct opt *opts; /* of the cfg struct; NULL when there are none */
	const char
		*shorthand; /* the `kiln run` option that configures instances in order, or NULL */
	const char *shorthand_help; /* one line, HELP("...") */
	const struct dev_aml *ssdt; /* NULL when firmware tables do not mention the device */

	/*
	 * cfg_default - what instance `index` is when the user said nothing. May be NULL.
	 * Context: supervisor.
	 */
	void (*cfg_default)(void *cfg, u32 index);
	/*
	 * cfg_instance - which instance the options name, UINT32_MAX for the next free one. May be
	 * NULL: always the next. Context: supervisor.
	 */
	u32 (*cfg_instance)(const void *cfg);
	/*
	 * open - open what the configuration names, put descriptors into `fds` and their indices
	 * into the cfg. Return: 0 or -errno with words. May be NULL. Context: supervisor: it has
	 * the user's rights and never sees a guest's byte.
	 */
	int (*open)(void *cfg, u32 index, struct fdset *fds, struct err *e);
	/*
	 * serial - the part of the cfg that says where a serial line leads, for the supervisor to
	 * give it standard input. NULL for devices that are not one.
	 */
	struct serial_cfg *(*serial)(void *cfg);
	/*
	 * cleanup - remove what open left in the file system (a socket). May be NULL. Context:
	 * supervisor.
	 */
	void (*cleanup)(const void *cfg, u32 index);

	/*
	 * create - claim addresses and interrupts, take descriptors from `fds`. Nothing may be
	 * opened after it. Return: 0 or -errno with words; after a failure destroy is called.
	 * Context: vm main, jailed.
	 */
	int (*create)(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e);
	/* destroy - release everything, also after a create that failed half way. May be NULL. */
	void (*destroy)(struct dev *dev);
	/* reset - back to power-on state. May be NULL. Context: vm main, vCPUs stopped. */
	void (*reset)(struct dev *dev);
	/*
	 * line_break - the user asks for a break on the line (serial ports). May be NULL. Context:
	 * vm main.
	 */
	void (*line_break)(struct dev *dev);
	/* power_button - the user presses the machine's button. May be NULL. Context: vm main. */
	void (*power_button)(struct dev *dev);
};

#define DEVICE_CLASS(object) REGISTER("kiln_devices", object)

extern const struct dev_class *const __start_kiln_devices[] __attribute__((weak));
extern const struct dev_class *const __stop_kiln_devices[] __attribute__((weak));

#define dev_class_for_each(p) \
	for (const struct dev_class *const *p = __start_kiln_devices; p < __stop_kiln_devices; p++)

/* dev_class_find - the class of that name, or NULL. */
const struct dev_class *dev_class_find(const char *name);

/* What the guest did that ends the machine, as a device saw it. */
enum dev_event {
	DEV_EVENT_POWER_OFF,
	DEV_EVENT_RESET,
	DEV_EVENT_PANIC,        /* pvpanic: the guest's kernel panicked */
	DEV_EVENT_CRASH_LOADED, /* pvpanic: it panicked and runs its crash kernel: only logged */
	DEV_EVENT_EXIT_CODE,    /* isa-debug-exit: `value` is the exit code of kiln */
};

/* Sizes a firmware device (CMOS) tells the guest. */
struct dev_ram_layout {
	u64 below_4g_bytes, above_4g_bytes;
};

/*
 * The machine as its devices see it: implemented by the vm process and by the tests' fake machine.
 */
struct dev_host {
	struct evl *evl;
	struct bus *pio; /* NULL where the architecture has no port I/O */
	struct bus *mmio;
	struct dev_ram_layout ram;
	u64 ecam_gpa; /* where PCI configuration space is to be, if there is any */
	u64 pci_window_gpa, pci_window_bytes; /* where memory BARs may be: nothing else is there */
	struct pci_bus *pci; /* the root's, once it was created; NULL without one */
	/*
	 * set_irq - drive interrupt line `gsi`; devices sharing a line are ORed by device. Context:
	 * any thread.
	 */
	void (*set_irq)(struct dev_host *host, struct dev *dev, u32 gsi, bool level);
	/*
	 * event - the guest ended the machine or nearly so. Returns at once. Context: any thread.
	 */
	void (*event)(struct dev_host *host, struct dev *dev, enum dev_event event, u32 value);
	/* realtime_ns - wall clock (CLOCK_REALTIME) in nanoseconds. Context: any thread. */
	u64 (*realtime_ns)(struct dev_host *host);
};

struct dev {
	const struct dev_class *cls;
	u32 index; /* which instance of its class */
	u32 slot;  /* unique in the machine, below 32: the bit in an interrupt line's OR */
	struct dev_host *host;
	void *priv;
	struct log_limit *log;
};

/* dev_log - a rate-limited warning a guest caused, prefixed with the device's name. */
void dev_log(struct dev *dev, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * dev_create - allocate an instance and run its class's create. Return: the device or NULL with
 * words in `e`, prefixed with "NAME.INDEX". Context: vm main.
 */
struct dev *dev_create(const struct dev_class *cls, u32 index, u32 slot, struct dev_host *host,
		       const void *cfg, struct fdset *fds, struct err *e);

/* dev_destroy - the reverse; NULL is accepted. */
void dev_destroy(struct dev *dev);
