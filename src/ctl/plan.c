// SPDX-License-Identifier: BSD-3-Clause
// A machine as it was asked for.
#include "ctl/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/remote.h"
#include "stream/serial_cfg.h"
#include "util/fd.h"

/* Return: 0, or -ENOSPC when a build holds more devices than a machine has room for. */
static int plan_add_device(struct plan *plan, const struct dev_class *cls, u32 index)
{
	struct vm_setup *setup = &plan->setup;
	struct vm_setup_device *device = &setup->devices[setup->nr_devices];

	if (setup->nr_devices >= VM_DEVICES_MAX || setup->cfg_used + cls->cfg_bytes > VM_CFG_BYTES)
		return -ENOSPC;
	*device = (struct vm_setup_device){ .index = index,
					    .cfg_offset = setup->cfg_used,
					    .cfg_bytes = cls->cfg_bytes };
	snprintf(device->name, sizeof(device->name), "%s", cls->name);
	setup->cfg_used += (u32)ALIGN_UP(cls->cfg_bytes, _Alignof(max_align_t));
	if (cls->opts)
		opt_defaults(cls->opts, setup->cfg + device->cfg_offset);
	if (cls->cfg_default)
		cls->cfg_default(setup->cfg + device->cfg_offset, index);
	setup->nr_devices++;
	return 0;
}

struct plan *plan_create(void)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->kvm_fd = -1;
	plan->setup.boot.kernel_fd = plan->setup.boot.initrd_fd = -1;
	snprintf(plan->setup.boot.cmdline, ARCH_CMDLINE_BYTES, "%s", arch_cmdline_base(NULL));
	dev_class_for_each (p) {
		for (u32 i = 0; i < (*p)->nr_instances; i++) {
			if (plan_add_device(plan, *p, i) < 0)
				abort(); /* a build with more devices than VM_DEVICES_MAX */
		}
	}
	return plan;
}

/* --- Virtio devices --- */

static u32 plan_count_vdevs(const struct plan *plan, const struct vdev_class *cls)
{
	u32 nr = 0;

	for (u32 i = 0; i < plan->nr_vdevs; i++)
		nr += plan->vdevs[i].cls == cls;
	return nr;
}

void plan_vdev_init(struct plan_vdev *vdev, const struct vdev_class *cls, u32 index)
{
	*vdev = (struct plan_vdev){ .cls = cls };
	vdev->setup.index = index;
	vdev->setup.cfg_bytes = cls->cfg_bytes;
	snprintf(vdev->setup.class_name, sizeof(vdev->setup.class_name), "%s", cls->name);
	snprintf(vdev->name, sizeof(vdev->name), "%s.%u", cls->name, vdev->setup.index);
	if (cls->opts)
		opt_defaults(cls->opts, vdev->setup.cfg);
}

static int plan_has_room(const struct plan *plan, struct err *e)
{
	if (plan->nr_vdevs < VM_VDEVS_MAX)
		return 0;
	return err_set(e, -EINVAL, "a machine has at most %d virtio devices", VM_VDEVS_MAX);
}

/* The next free place, with the class's defaults. Return: it, or NULL with words. */
static struct plan_vdev *plan_next_vdev(struct plan *plan, const struct vdev_class *cls,
					struct err *e)
{
	struct plan_vdev *vdev = &plan->vdevs[plan->nr_vdevs];

	if (plan_has_room(plan, e) < 0) {
		err_prefix(e, "%s", cls->name);
		return NULL;
	}
	plan_vdev_init(vdev, cls, plan_count_vdevs(plan, cls));
	return vdev;
}

/* What the vm process is to know of it. */
static void plan_keep_vdev(struct plan *plan, const struct plan_vdev *vdev)
{
	struct vm_setup_vdev *seen = &plan->setup.vdevs[plan->nr_vdevs];

	*seen = (struct vm_setup_vdev){ .virtio_id = vdev->cls->virtio_id,
					.queue_size_max = vdev->cls->queue_size_max,
					.nr_queues = vdev->cls->nr_queues,
					.config_bytes = vdev->cls->config_bytes,
					.socket_index = -1 };
	memcpy(seen->name, vdev->name, sizeof(seen->name));
	plan->setup.nr_vdevs = ++plan->nr_vdevs;
}

static int vdev_parse(struct plan_vdev *vdev, const char *text, struct err *e)
{
	if (!text || !text[0])
		return 0;
	if (!vdev->cls->opts)
		return err_set(e, -EINVAL, "'%s': the device has no options", text);
	return opt_parse_pairs(vdev->cls->opts, vdev->setup.cfg, text, e);
}

int plan_vdev_parse(struct plan_vdev *vdev, const char *text, struct err *e)
{
	return vdev_parse(vdev, text, e) < 0 ? err_prefix(e, "%s", vdev->cls->name) : 0;
}

int plan_add_vdev(struct plan *plan, const struct vdev_class *cls, const char *text, struct err *e)
{
	struct plan_vdev *vdev = plan_next_vdev(plan, cls, e);

	if (!vdev)
		return e->code;
	if (plan_vdev_parse(vdev, text, e) < 0)
		return e->code;
	plan_keep_vdev(plan, vdev);
	return 0;
}

/* A shorthand's words for the kernel, with the instance's letter for each %c. */
static int plan_add_params(struct plan *plan, const char *params, u32 index, struct err *e)
{
	char *cmdline = plan->setup.boot.cmdline;
	size_t used = strlen(cmdline);

	if (used + 1 + strlen(params) >= ARCH_CMDLINE_BYTES)
		return err_set(e, -EINVAL, "no room on the kernel command line for '%s'", params);
	cmdline[used++] = ' ';
	for (; *params; params++) {
		bool is_letter = params[0] == '%' && params[1] == 'c';

		cmdline[used++] = is_letter ? (char)('a' + index) : *params;
		params += is_letter;
	}
	cmdline[used] = '\0';
	return 0;
}

/* What the class's joined shorthands made already. Return: it, or NULL. */
static struct plan_vdev *plan_joined_vdev(struct plan *plan, const struct vdev_class *cls)
{
	for (u32 i = 0; i < plan->nr_vdevs; i++)
		if (plan->vdevs[i].cls == cls && plan->vdevs[i].is_joined)
			return &plan->vdevs[i];
	return NULL;
}

int plan_add_shorthand(struct plan *plan, const struct vdev_class *cls,
		       const struct vdev_shorthand *shorthand, const char *value, struct err *e)
{
	struct plan_vdev *vdev = shorthand->joined ? plan_joined_vdev(plan, cls) : NULL;
	int status;

	if (vdev) {
		status = opt_parse_value(cls->opts, vdev->setup.cfg, shorthand->key, value, e);
		return status < 0 ? err_prefix(e, "%s", shorthand->name) : 0;
	}
	vdev = plan_next_vdev(plan, cls, e);
	status = vdev ? vdev_parse(vdev, shorthand->pairs, e) : e->code;

	if (status == 0)
		status = opt_parse_value(cls->opts, vdev->setup.cfg, shorthand->key, value, e);
	if (status == 0 && shorthand->params)
		status = plan_add_params(plan, shorthand->params, vdev->setup.index, e);
	if (status < 0)
		return err_prefix(e, "%s", shorthand->name);
	vdev->is_joined = shorthand->joined;
	plan_keep_vdev(plan, vdev);
	return 0;
}

int plan_vdev_open(struct plan_vdev *vdev, struct err *e)
{
	if (vdev->cls->open && vdev->cls->open(vdev->setup.cfg, &vdev->fds, e) < 0)
		return err_prefix(e, "%s", vdev->name);
	return 0;
}

/* Devices of the same type are told apart by a number. */
static void plan_name_remote(const struct plan *plan, struct vm_setup_vdev *seen, const char *type)
{
	u32 nr = 0;

	for (u32 i = 0; i < plan->nr_vdevs; i++)
		nr += plan->setup.vdevs[i].remote.path[0] &&
		      plan->setup.vdevs[i].remote.type == seen->remote.type;
	snprintf(seen->name, sizeof(seen->name), "vhost-user-%s.%u", type, nr);
}

int plan_add_remote(struct plan *plan, const char *text, struct err *e)
{
	struct vm_setup_vdev *seen = &plan->setup.vdevs[plan->nr_vdevs];
	struct plan_vdev *vdev = &plan->vdevs[plan->nr_vdevs];
	const char *type;

	if (plan_has_room(plan, e) < 0)
		return e->code;
	type = remote_parse(text, seen, e);
	if (!type)
		return e->code;
	plan_name_remote(plan, seen, type);
	*vdev = (struct plan_vdev){ 0 };
	memcpy(vdev->name, seen->name, sizeof(vdev->name));
	plan->setup.nr_vdevs = ++plan->nr_vdevs;
	return 0;
}

static int plan_connect_remote(struct plan *plan, struct vm_setup_vdev *seen, struct err *e)
{
	cleanup_fd int fd = unix_connect(seen->remote.path, e);

	if (fd < 0)
		return err_prefix(e, "%s", seen->name);
	seen->socket_index = fdset_put(&plan->fds, &fd);
	return seen->socket_index < 0 ? err_errno(e, seen->socket_index, "%s", seen->name) : 0;
}

static int plan_open_vdevs(struct plan *plan, struct err *e)
{
	int status = 0;

	for (u32 i = 0; i < plan->nr_vdevs && status == 0; i++) {
		if (plan->vdevs[i].cls)
			status = plan_vdev_open(&plan->vdevs[i], e);
		else if (IS_ENABLED(CONFIG_VHOST_USER))
			status = plan_connect_remote(plan, &plan->setup.vdevs[i], e);
	}
	return status;
}

/* --- Platform devices --- */

static const struct dev_class *plan_class(const struct plan *plan, u32 i)
{
	return dev_class_find(plan->setup.devices[i].name);
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (u32 i = 0; i < plan->setup.nr_devices; i++) {
		const struct dev_class *cls = plan_class(plan, i);

		if (cls->cleanup)
			cls->cleanup(plan_cfg(plan, i), plan->setup.devices[i].index);
	}
	for (u32 i = 0; i < plan->nr_vdevs; i++) {
		struct plan_vdev *vdev = &plan->vdevs[i];

		if (vdev->cls && vdev->cls->cleanup)
			vdev->cls->cleanup(vdev->setup.cfg);
		fdset_close(&vdev->fds);
	}
	fdset_close(&plan->fds);
	fd_close(&plan->kvm_fd);
	free(plan);
}

/* Open, and refuse what is not a regular file. */
static int open_regular(const char *what, const char *path, u64 *size_bytes, struct err *e)
{
	/* O_NONBLOCK: a FIFO by mistake must not hang here before it is refused. */
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_errno(e, -errno, "%s '%s'", what, path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s '%s'", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s '%s' is %s, not a file", what, path,
			       S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
	if (st.st_size == 0)
		return err_set(e, -EINVAL, "%s '%s' is empty", what, path);
	*size_bytes = (u64)st.st_size;
	return fd_take(&fd);
}

static int plan_open_file(struct plan *plan, const char *what, const char *path, int *index,
			  u64 *size_bytes, struct err *e)
{
	cleanup_fd int fd = open_regular(what, path, size_bytes, e);

	if (fd < 0)
		return fd;
	*index = fdset_put(&plan->fds, &fd);
	return *index < 0 ? err_errno(e, *index, "%s '%s'", what, path) : 0;
}

static int plan_open_files(struct plan *plan, struct err *e)
{
	struct boot_source *boot = &plan->setup.boot;
	int status = plan_open_file(plan, "kernel", plan->kernel_path, &boot->kernel_fd,
				    &boot->kernel_bytes, e);

	if (status == 0 && plan->initrd_path[0])
		status = plan_open_file(plan, "initrd", plan->initrd_path, &boot->initrd_fd,
					&boot->initrd_bytes, e);
	if (status == 0 && boot->initrd_bytes > plan->setup.mem_bytes)
		status = err_set(
			e, -EINVAL,
			"initrd '%s' has %llu MiB, the guest's memory %llu MiB: raise --mem",
			plan->initrd_path, (unsigned long long)(boot->initrd_bytes >> 20),
			(unsigned long long)(plan->setup.mem_bytes >> 20));
	return status;
}

/* --- Serial lines, the kernel's console, standard input ---------------------------------------- */

static bool line_of_device(struct plan *plan, u32 i, struct plan_line *line)
{
	const struct vm_setup_device *device = &plan->setup.devices[i];
	const struct dev_class *cls = plan_class(plan, i);

	*line = (struct plan_line){ .fds = &plan->fds,
				    .is_default = plan->shorthand_uses[i] == 0,
				    .index = device->index };
	snprintf(line->name, sizeof(line->name), "%s.%u", device->name, device->index);
	line->cfg = cls->serial ? cls->serial(plan_cfg(plan, i)) : NULL;
	return line->cfg;
}

static bool line_of_vdev(struct plan_vdev *vdev, struct plan_line *line)
{
	*line = (struct plan_line){ .fds = &vdev->fds,
				    .is_virtio = true,
				    .index = vdev->setup.index };
	snprintf(line->name, sizeof(line->name), "%s", vdev->name);
	line->cfg = vdev->cls && vdev->cls->serial ? vdev->cls->serial(vdev->setup.cfg) : NULL;
	return line->cfg;
}

/* The next line from number *at on, which is behind it then. Return: whether there is one. */
static bool plan_next_line(struct plan *plan, u32 *at, struct plan_line *line)
{
	const u32 nr_devices = plan->setup.nr_devices;

	while (*at < nr_devices + plan->nr_vdevs) {
		u32 i = (*at)++;

		if (i < nr_devices ? line_of_device(plan, i, line)
				   : line_of_vdev(&plan->vdevs[i - nr_devices], line))
			return true;
	}
	return false;
}

bool plan_stdin_line(struct plan *plan, struct plan_line *line)
{
	for (u32 at = 0; plan_next_line(plan, &at, line);)
		if (line->cfg->wants_stdin)
			return true;
	return false;
}

/* Linux calls the lines of virtio devices hvc, in their order. The words behind the base stay. */
static int plan_set_console(struct plan *plan, u32 index, struct err *e)
{
	size_t before = strlen(arch_cmdline_base(NULL));
	char *cmdline = plan->setup.boot.cmdline;
	char console[16], words[ARCH_CMDLINE_BYTES];

	snprintf(console, sizeof(console), "hvc%u", index);
	if (snprintf(words, sizeof(words), "%s%s", arch_cmdline_base(console), cmdline + before) >=
	    (int)sizeof(words))
		return err_set(e, -EINVAL, "no room on the kernel command line for 'console=%s'",
			       console);
	memcpy(cmdline, words, strlen(words) + 1);
	return 0;
}

/* The virtio device that is the kernel's console, if one is: there is one console. */
static int plan_find_console(struct plan *plan, struct plan_line *console, struct err *e)
{
	struct plan_line line;

	*console = (struct plan_line){ 0 };
	for (u32 at = 0; plan_next_line(plan, &at, &line);) {
		if (!line.is_virtio)
			continue;
		if (serial_line_resolve(line.cfg, e) < 0)
			return err_prefix(e, "%s", line.name);
		if (!line.cfg->console)
			continue;
		if (console->cfg)
			return err_set(
				e, -EINVAL,
				"the kernel has one console, and both %s and %s are to be it",
				console->name, line.name);
		*console = line;
	}
	return console->cfg ? plan_set_console(plan, console->index, e) : 0;
}

/*
 * The first serial port is the terminal as long as nobody says otherwise: a console on standard
 * output takes all of that over, a line that wants standard input only that.
 */
static void plan_yield_terminal(struct plan *plan, const struct plan_line *console)
{
	bool is_taken = console->cfg && console->cfg->type == SERIAL_STDOUT;
	bool wants_stdin = is_taken;
	struct plan_line line;

	for (u32 at = 0; plan_next_line(plan, &at, &line);)
		wants_stdin |= !line.is_default && line.cfg->wants_stdin;
	for (u32 at = 0; plan_next_line(plan, &at, &line);) {
		if (!line.is_default)
			continue;
		line.cfg->wants_stdin &= !wants_stdin;
		if (is_taken && line.cfg->type == SERIAL_STDOUT)
			line.cfg->type = SERIAL_SINK;
	}
}

/* Where nobody asked for standard input it goes to the console, or to the first line on stdout. */
static void plan_give_stdin(struct plan *plan, const struct plan_line *console)
{
	struct plan_line line;

	if (plan_stdin_line(plan, &line))
		return;
	if (console->cfg && console->cfg->type == SERIAL_STDOUT) {
		console->cfg->wants_stdin = true;
		return;
	}
	for (u32 at = 0; plan_next_line(plan, &at, &line);) {
		if (line.is_virtio && line.cfg->type == SERIAL_STDOUT) {
			line.cfg->wants_stdin = true;
			return;
		}
	}
}

/* Standard input has one reader: bytes that two lines fight for reach neither whole. */
static int plan_check_stdin(struct plan *plan, struct err *e)
{
	struct plan_line line, first = { 0 };

	for (u32 at = 0; plan_next_line(plan, &at, &line);) {
		if (!line.cfg->wants_stdin)
			continue;
		if (first.cfg)
			return err_set(e, -EINVAL,
				       "stdin goes to one port, and both %s and %s want it",
				       first.name, line.name);
		first = line;
	}
	return 0;
}

static int plan_settle_lines(struct plan *plan, struct err *e)
{
	struct plan_line console;
	int status = plan_find_console(plan, &console, e);

	if (status < 0)
		return status;
	plan_yield_terminal(plan, &console);
	plan_give_stdin(plan, &console);
	return plan_check_stdin(plan, e);
}

/* --- Opening ----------------------------------------------------------------------------------- */

static int plan_open_devices(struct plan *plan, struct err *e)
{
	for (u32 i = 0; i < plan->setup.nr_devices; i++) {
		const struct dev_class *cls = plan_class(plan, i);
		u32 index = plan->setup.devices[i].index;

		if (cls->open && cls->open(plan_cfg(plan, i), index, &plan->fds, e) < 0)
			return err_prefix(e, "%s.%u", cls->name, index);
	}
	plan->setup.nr_fds = plan->fds.count;
	return 0;
}

/* The group's name from /etc/group ("name:password:number:members"), or its number. */
static void group_name(gid_t gid, char *name, size_t size)
{
	char text[KIB(16)], *lines = text, *line, *field[3];
	u64 number;

	snprintf(name, size, "%u", gid);
	fd_read_text("/etc/group", text, sizeof(text));
	while ((line = strsep(&lines, "\n")) != NULL) {
		for (u32 i = 0; i < ARRAY_SIZE(field); i++)
			field[i] = strsep(&line, ":");
		/* A number that nothing follows may be cut short. */
		if (line && opt_parse_u64(field[2], &number) == 0 && number == gid)
			snprintf(name, size, "%s", field[0]);
	}
}

static int kvm_refused(const struct stat *st, struct err *e)
{
	char group[64];

	if ((st->st_mode & S_IRWXG) == 0)
		return err_errno(e, -EACCES,
				 "open /dev/kvm (it is for its owner alone: give it a group that "
				 "may read and write it)");
	group_name(st->st_gid, group, sizeof(group));
	return err_errno(e, -EACCES, "open /dev/kvm (it is for group %s: add this user to it)",
			 group);
}

int plan_open_kvm(struct err *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return err_errno(e, -errno,
				 "open /dev/kvm (load kvm_intel or kvm_amd; is virtualization on "
				 "in the firmware?)");
	if (errno == EACCES && stat("/dev/kvm", &st) == 0)
		return kvm_refused(&st, e);
	return err_errno(e, -errno, "open /dev/kvm");
}

/* What the machine has no room or no address for is told before anything is started. */
static int plan_check_memory(const struct plan *plan, struct err *e)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	int nr = arch_mem_layout(plan->setup.mem_bytes, ranges, e);

	return nr < 0 ? err_prefix(e, "mem") : 0;
}

/* The architecture's limit is the option's: this is the host's. */
static int plan_check_cpus(const struct plan *plan, struct err *e)
{
	u32 max = kvm_vcpus_max(plan->kvm_fd);

	if (plan->setup.nr_cpus > max)
		return err_set(e, -EINVAL,
			       "cpus: %u are too many: this host runs 1 to %u in a machine",
			       plan->setup.nr_cpus, max);
	return 0;
}

/* Words and files first, so that a mistake in them is told even where there is no KVM. */
int plan_open(struct plan *plan, struct plan_err *pe)
{
	int status = plan_check_memory(plan, &pe->err);

	pe->kind = VM_END_INVALID;
	if (status == 0)
		status = plan_settle_lines(plan, &pe->err);
	if (status == 0)
		status = plan_open_files(plan, &pe->err);
	if (status == 0 && !plan->dry_run)
		status = plan_open_devices(plan, &pe->err);
	if (status == 0 && !plan->dry_run && IS_ENABLED(CONFIG_VIRTIO))
		status = plan_open_vdevs(plan, &pe->err);
	if (status < 0)
		return status;
	plan->kvm_fd = plan_open_kvm(&pe->err);
	if (plan->kvm_fd < 0) {
		pe->kind = VM_END_FAILED;
		return plan->kvm_fd;
	}
	return plan_check_cpus(plan, &pe->err);
}

static int configure_instance(struct plan *plan, u32 i, const struct dev_class *cls,
			      const void *cfg, struct err *e)
{
	if (plan->shorthand_uses[i]++ > 0)
		return err_set(e, -EINVAL, "%s %u is configured twice", cls->shorthand,
			       plan->setup.devices[i].index + 1);
	memcpy(plan_cfg(plan, i), cfg, cls->cfg_bytes);
	return 0;
}

int plan_configure(struct plan *plan, const struct dev_class *cls, const char *text, struct err *e)
{
	_Alignas(max_align_t) u8 cfg[8192] = { 0 };
	u32 wanted = UINT32_MAX;

	if (cls->cfg_bytes > sizeof(cfg))
		return err_set(e, -EINVAL, "%s: configuration too large", cls->name);
	opt_defaults(cls->opts, cfg);
	if (opt_parse_pairs(cls->opts, cfg, text, e) < 0)
		return err_prefix(e, "%s", cls->shorthand);
	if (cls->cfg_instance)
		wanted = cls->cfg_instance(cfg);
	for (u32 i = 0; i < plan->setup.nr_devices; i++) {
		if (plan_class(plan, i) != cls)
			continue;
		if (wanted == UINT32_MAX ? plan->shorthand_uses[i] == 0
					 : plan->setup.devices[i].index == wanted)
			return configure_instance(plan, i, cls, cfg, e);
	}
	return err_set(e, -EINVAL, "%s: there are only %u of them", cls->shorthand,
		       cls->nr_instances);
}
