// SPDX-License-Identifier: BSD-3-Clause
// A machine as it was asked for: options become a setup for the vm process and opened descriptors.
#pragma once

#include <limits.h>

#include "util/err.h"
#include "util/fdset.h"
#include "virtio/worker.h"
#include "vm/setup.h"

/*
 * What goes wrong with a machine before it runs: `kind` decides the exit code.
 * VM_END_INVALID: the words or files given; VM_END_FAILED: this host.
 */
struct plan_err {
	struct err err;
	enum vm_end kind;
};

/* A virtio device that was asked for. Owner: the plan. */
struct plan_vdev {
	const struct vdev_class *cls; /* NULL: another program's, all is in plan.setup */
	char name[32];                /* "virtio-rng.0" */
	bool is_joined;               /* made by the first of its class's joined shorthands */
	struct fdset fds;
	struct worker_setup setup;
};

/* Owner: the supervisor. Large; allocate it. */
struct plan {
	char kernel_path[PATH_MAX], initrd_path[PATH_MAX];
	bool dry_run;                       /* open no device: that would make files and sockets */
	u32 shorthand_uses[VM_DEVICES_MAX]; /* by device: how many times an option configured it */
	int kvm_fd;
	struct fdset fds;
	struct vm_setup setup;
	u32 nr_vdevs;
	struct plan_vdev vdevs[VM_VDEVS_MAX];
};

/*
 * plan_create - every device instance of this build with its default configuration. NULL: no
 * memory.
 */
struct plan *plan_create(void);

/*
 * plan_destroy - close what was opened, remove what was made in the file system; NULL is accepted.
 */
void plan_destroy(struct plan *plan);

/*
 * plan_configure - options `text` for the next unconfigured instance of `cls`, or for the one the
 * options name. Return: 0 or -EINVAL with words.
 */
int plan_configure(struct plan *plan, const struct dev_class *cls, const char *text, struct err *e);

/*
 * plan_add_vdev - a virtio device of class `cls` with options `text` ("key=value,flag"; NULL: none).
 * plan_add_shorthand - the same by a shorthand of the class and its value.
 * Return: 0 or -EINVAL with words.
 */
int plan_add_vdev(struct plan *plan, const struct vdev_class *cls, const char *text, struct err *e);
int plan_add_shorthand(struct plan *plan, const struct vdev_class *cls,
		       const struct vdev_shorthand *shorthand, const char *value, struct err *e);

/*
 * plan_add_remote - a device whose vhost-user back-end is another program: "fs,socket=PATH,tag=x",
 * as remote_parse (ctl/remote.h) takes it. Return: 0 or -EINVAL with words.
 */
int plan_add_remote(struct plan *plan, const char *text, struct err *e);

/*
 * A device apart from any plan. plan_vdev_init - instance `index` of the class with its defaults.
 * plan_vdev_parse - its options, as for plan_add_vdev. plan_vdev_open - open what they name.
 * Return: 0 or -errno with words.
 */
void plan_vdev_init(struct plan_vdev *vdev, const struct vdev_class *cls, u32 index);
int plan_vdev_parse(struct plan_vdev *vdev, const char *text, struct err *e);
int plan_vdev_open(struct plan_vdev *vdev, struct err *e);

/* plan_open - open /dev/kvm, kernel, initrd and what the devices name, and check limits against
 * this host. Return: 0 or -errno with words. Context: supervisor. */
int plan_open(struct plan *plan, struct plan_err *pe);

/* plan_open_kvm - open /dev/kvm. Return: descriptor, or -errno with words that name the way out. */
int plan_open_kvm(struct err *e);

/* A device that leads a serial line to the host. */
struct plan_line {
	char name[40]; /* "uart16550.0" */
	struct serial_cfg *cfg;
	struct fdset *fds; /* the descriptors of its process */
	bool is_default;   /* a serial port that no option configured */
	bool is_virtio;
	u32 index; /* of its class, counted from 0 */
};

/*
 * plan_stdin_line - the line that standard input goes to, once the plan is open. Return: whether
 * there is one. Context: supervisor.
 */
bool plan_stdin_line(struct plan *plan, struct plan_line *line);

/* plan_cfg - the configuration of device `i` of the setup. */
static inline void *plan_cfg(struct plan *plan, u32 i)
{
	return plan->setup.cfg + plan->setup.devices[i].cfg_offset;
}
