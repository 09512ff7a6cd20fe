// SPDX-License-Identifier: BSD-3-Clause
// A machine as it was asked for: devices and their options, files of every kind, who may open KVM.
// test-sources: src/ctl/plan.c src/ctl/remote.c src/vm/remote_types.c src/dev/dev_class.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c src/util/opt.c src/virtio/vdev_class.c src/util/unix_socket.c src/stream/serial_cfg.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/plan.h"
#include "stream/serial_cfg.h"
#include "util/fd.h"
#include "util/unix_socket.h"

/* --- The host as the plan sees it ------------------------------------------------------------- */

static struct {
	int kvm_errno; /* of opening /dev/kvm; 0 opens something in its place */
	gid_t kvm_gid;
	mode_t kvm_mode;
	const char *groups; /* the text of /etc/group; NULL for none */
	u32 vcpus_max, arch_max;
	u64 mem_max_bytes;
} host;

static int open_groups(void)
{
	int fd = -1;

	errno = ENOENT;
	if (host.groups) {
		fd = memfd_create("groups", MFD_CLOEXEC);
		assert_int_equal(fd_write_all(fd, host.groups, strlen(host.groups)), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	}
	return fd;
}

/* These stand before the C library's. */
int open(const char *path, int flags, ...)
{
	if (strcmp(path, "/etc/group") == 0)
		return open_groups();
	if (strcmp(path, "/dev/kvm") != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
	errno = host.kvm_errno;
	return host.kvm_errno ? -1 : open("/dev/null", flags);
}

int stat(const char *path, struct stat *st)
{
	assert_string_equal(path, "/dev/kvm");
	*st = (struct stat){ .st_gid = host.kvm_gid, .st_mode = S_IFCHR | host.kvm_mode };
	return 0;
}

u32 kvm_vcpus_max(int kvm_fd)
{
	assert_true(kvm_fd >= 0);
	return host.vcpus_max;
}

u32 arch_vcpus_max(void)
{
	return host.arch_max;
}

const char *arch_cmdline_base(const char *console)
{
	return !console                       ? "console=ttyS0 first"
	       : strcmp(console, "hvc0") == 0 ? "console=hvc0 first"
					      : "console=hvc1 first";
}

int arch_mem_layout(u64 mem_bytes, struct gmem_range *ranges, struct err *e)
{
	if (mem_bytes > host.mem_max_bytes)
		return err_set(e, -EINVAL, "too much");
	ranges[0] = (struct gmem_range){ .size_bytes = mem_bytes };
	return 1;
}

/* --- Devices of this build -------------------------------------------------------------------- */

enum { NR_LINES = 3, NR_PORTS = 2 };

struct line_cfg {
	u8 odd[5]; /* a size that needs rounding */
	char path[32];
	u32 num;
	bool loud;
	int fd_index;
};

static u32 nr_cleaned;

static const struct opt line_opts[] = {
	{ .name = "path", OPT_TEXT(struct line_cfg, path), .arg = "PATH", .def = "nowhere" },
	{ .name = "num", OPT_U32(struct line_cfg, num, 1, 9), .arg = "N" },
	{ .name = "loud", OPT_FLAG(struct line_cfg, loud) },
	{ .name = NULL },
};

static void line_cfg_default(void *opaque, u32 index)
{
	struct line_cfg *cfg = opaque;

	cfg->loud = index == 0;
}

static u32 line_cfg_instance(const void *opaque)
{
	const struct line_cfg *cfg = opaque;

	return cfg->num > 0 ? cfg->num - 1 : UINT32_MAX;
}

static int line_open(void *opaque, u32 index, struct fdset *fds, struct err *e)
{
	struct line_cfg *cfg = opaque;
	int fd;

	if (strcmp(cfg->path, "broken") == 0)
		return err_set(e, -EIO, "line %u is broken", index);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	cfg->fd_index = fdset_put(fds, &fd);
	return 0;
}

static void line_cleanup(const void *opaque, u32 index)
{
	(void)opaque;
	(void)index;
	nr_cleaned++;
}

static const struct dev_class line_class = {
	.name = "line",
	.nr_instances = NR_LINES,
	.cfg_bytes = sizeof(struct line_cfg),
	.opts = line_opts,
	.shorthand = "wire",
	.cfg_default = line_cfg_default,
	.cfg_instance = line_cfg_instance,
	.open = line_open,
	.cleanup = line_cleanup,
};
DEVICE_CLASS(line_class);

/* Serial ports: the first is the terminal. */
static void port_cfg_default(void *opaque, u32 index)
{
	struct serial_cfg *cfg = opaque;

	cfg->type = index == 0 ? SERIAL_STDOUT : SERIAL_SINK;
	cfg->wants_stdin = index == 0;
}

static struct serial_cfg *port_serial(void *cfg)
{
	return cfg;
}

static const struct dev_class port_class = {
	.name = "port",
	.nr_instances = NR_PORTS,
	.cfg_bytes = sizeof(struct serial_cfg),
	.opts = serial_opts,
	.shorthand = "serial",
	.cfg_default = port_cfg_default,
	.cfg_instance = serial_cfg_instance,
	.serial = port_serial,
};
DEVICE_CLASS(port_class);

/* And one that is a virtio device. The first member is what the options store. */
struct hose_cfg {
	struct serial_cfg serial;
	u32 more;
};

static struct serial_cfg *hose_serial(void *cfg)
{
	return &((struct hose_cfg *)cfg)->serial;
}

static int hose_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct hose_cfg *cfg = opaque;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)e;
	cfg->serial.out_fd_index = fdset_put(fds, &fd);
	return 0;
}

static void hose_cleanup(const void *opaque)
{
	const struct hose_cfg *cfg = opaque;

	nr_cleaned += cfg->serial.type == SERIAL_UNIX;
}

static const struct vdev_class hose_class = {
	.name = "hose",
	.cfg_bytes = sizeof(struct hose_cfg),
	.opts = serial_line_opts,
	.serial = hose_serial,
	.open = hose_open,
	.cleanup = hose_cleanup,
};
VDEV_CLASS(hose_class);

/* A virtio device with options that come one by one. */
struct card_cfg {
	u32 a, b;
};

static const struct opt card_opts[] = {
	{ .name = "a", OPT_U32(struct card_cfg, a, 1, 9), .arg = "N" },
	{ .name = "b", OPT_U32(struct card_cfg, b, 1, 9), .arg = "N", .def = "7" },
	{ .name = NULL },
};
static const struct vdev_shorthand card_words[] = {
	{ .name = "card-a", .arg = "N", .key = "a", .joined = true },
	{ .name = "card-b", .arg = "N", .key = "b", .joined = true },
	{ .name = "card", .arg = "N", .key = "a" },
	{ .name = NULL },
};
static const struct vdev_class card_class = {
	.name = "card",
	.cfg_bytes = sizeof(struct card_cfg),
	.opts = card_opts,
	.shorthands = card_words,
};
VDEV_CLASS(card_class);

/* No options, no descriptors, nothing to clean. */
static const struct dev_class button_class = { .name = "button", .nr_instances = 1 };
DEVICE_CLASS(button_class);

static const struct opt big_opts[] = { { .name = NULL } };
static const struct dev_class big_class = { .name = "big", .cfg_bytes = 8193, .opts = big_opts };

/* --- Bench ------------------------------------------------------------------------------------ */

struct bench {
	struct plan *plan;
	struct plan_err pe;
	char dir[32];
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	host.kvm_errno = 0;
	host.kvm_mode = 0660;
	host.groups = NULL;
	host.vcpus_max = 64;
	host.arch_max = 254;
	host.mem_max_bytes = GIB(1);
	nr_cleaned = 0;
	b->plan = plan_create();
	assert_non_null(b->plan);
	b->plan->setup.mem_bytes = MIB(4);
	b->plan->setup.nr_cpus = 1;
	strcpy(b->dir, "/tmp/plan.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	*state = b;
	return 0;
}

static const char *const names[] = { "kernel", "initrd", "empty", "fifo", "socket" };

static char *path_of(const struct bench *b, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	return path;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	plan_destroy(b->plan);
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		unlink(path_of(b, names[i]));
	assert_int_equal(rmdir(b->dir), 0);
	free(b);
	return 0;
}

static void make_file(const struct bench *b, const char *name, off_t bytes)
{
	cleanup_fd int fd = creat(path_of(b, name), 0600);

	assert_int_equal(ftruncate(fd, bytes), 0);
}

static void make_socket(const struct bench *b, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of(b, name));
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static int open_with(struct bench *b, const char *kernel, const char *initrd)
{
	snprintf(b->plan->kernel_path, PATH_MAX, "%s", kernel);
	snprintf(b->plan->initrd_path, PATH_MAX, "%s", initrd ? path_of(b, initrd) : "");
	return plan_open(b->plan, &b->pe);
}

/* A machine that is well but for what the test broke. */
static int open_well(struct bench *b)
{
	make_file(b, "kernel", 100);
	return open_with(b, path_of(b, "kernel"), NULL);
}

static struct line_cfg *line(const struct bench *b, u32 index)
{
	for (u32 i = 0; i < b->plan->setup.nr_devices; i++)
		if (strcmp(b->plan->setup.devices[i].name, "line") == 0 &&
		    b->plan->setup.devices[i].index == index)
			return plan_cfg(b->plan, i);
	fail();
	return NULL;
}

static int configure(struct bench *b, const char *text)
{
	return plan_configure(b->plan, &line_class, text, &b->pe.err);
}

/* --- Devices ---------------------------------------------------------------------------------- */

static void every_instance_of_the_build_is_there_with_its_defaults(void **state)
{
	struct bench *b = *state;
	const struct vm_setup *setup_of = &b->plan->setup;

	assert_int_equal(setup_of->nr_devices, NR_LINES + NR_PORTS + 1);
	for (u32 i = 0; i < NR_LINES; i++) {
		assert_string_equal(line(b, i)->path, "nowhere");
		assert_int_equal(line(b, i)->loud, i == 0);
	}
	for (u32 i = 0; i < setup_of->nr_devices; i++) {
		const struct vm_setup_device *device = &setup_of->devices[i];

		assert_int_equal(device->cfg_offset % _Alignof(max_align_t), 0);
		assert_true(device->cfg_offset + device->cfg_bytes <= setup_of->cfg_used);
	}
	assert_true(setup_of->cfg_used >= NR_LINES * sizeof(struct line_cfg));
}

static void options_go_to_the_next_instance_nobody_configured(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "path=a"), 0);
	assert_int_equal(configure(b, "path=b"), 0);
	assert_string_equal(line(b, 0)->path, "a");
	assert_string_equal(line(b, 1)->path, "b");
	assert_string_equal(line(b, 2)->path, "nowhere");
	assert_false(line(b, 0)->loud); /* what the user says replaces the default whole */
}

static void options_go_to_the_instance_they_name_and_the_rest_around_it(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "num=2,path=b"), 0);
	assert_int_equal(configure(b, "path=a"), 0);
	assert_int_equal(configure(b, "path=c"), 0);
	assert_string_equal(line(b, 0)->path, "a");
	assert_string_equal(line(b, 1)->path, "b");
	assert_string_equal(line(b, 2)->path, "c");
}

static void an_instance_that_is_configured_twice_is_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "num=1,path=a"), 0);
	assert_int_equal(configure(b, "num=1,path=b"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire 1 is configured twice");
	assert_string_equal(line(b, 0)->path, "a");
	assert_int_equal(configure(b, "path=b"), 0);
	assert_int_equal(configure(b, "num=2"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire 2 is configured twice");
}

static void more_options_than_instances_are_refused(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < NR_LINES; i++)
		assert_int_equal(configure(b, "loud"), 0);
	assert_int_equal(configure(b, "loud"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire: there are only 3 of them");
	assert_int_equal(configure(b, "num=4"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire: there are only 3 of them");
}

static void wrong_words_are_told_with_the_option_and_change_nothing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "path=a,laud"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire: unknown option 'laud': did you mean 'loud'?");
	assert_int_equal(configure(b, "num=0"), -EINVAL);
	assert_string_equal(b->pe.err.text, "wire: num: 0 is out of range (1 to 9)");
	assert_string_equal(line(b, 0)->path, "nowhere");
	assert_int_equal(configure(b, "path=a"), 0);
	assert_string_equal(line(b, 0)->path, "a");
}

static void a_configuration_too_large_is_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_configure(b->plan, &big_class, "", &b->pe.err), -EINVAL);
	assert_string_equal(b->pe.err.text, "big: configuration too large");
}

/* --- Shorthands ------------------------------------------------------------------------------- */

static int add_card(struct bench *b, u32 word, const char *value)
{
	return plan_add_shorthand(b->plan, &card_class, &card_words[word], value, &b->pe.err);
}

static const struct card_cfg *card(const struct bench *b, u32 i)
{
	return (const void *)b->plan->vdevs[i].setup.cfg;
}

static void joined_shorthands_tell_of_one_instance(void **state)
{
	struct bench *b = *state;

	assert_int_equal(add_card(b, 2, "1"), 0);
	assert_int_equal(add_card(b, 1, "2"), 0);
	assert_int_equal(add_card(b, 2, "3"), 0);
	assert_int_equal(add_card(b, 0, "4"), 0);
	assert_int_equal(b->plan->nr_vdevs, 3);
	assert_true(card(b, 0)->a == 1 && card(b, 0)->b == 7);
	assert_true(card(b, 1)->a == 4 && card(b, 1)->b == 2);
	assert_true(card(b, 2)->a == 3 && card(b, 2)->b == 7);
	assert_int_equal(add_card(b, 0, "0"), -EINVAL);
	assert_string_equal(b->pe.err.text, "card-a: a: 0 is out of range (1 to 9)");
}

/* --- Serial lines ----------------------------------------------------------------------------- */

static struct serial_cfg *port(const struct bench *b, u32 index)
{
	for (u32 i = 0; i < b->plan->setup.nr_devices; i++)
		if (strcmp(b->plan->setup.devices[i].name, "port") == 0 &&
		    b->plan->setup.devices[i].index == index)
			return plan_cfg(b->plan, i);
	fail();
	return NULL;
}

static const struct serial_cfg *hose(const struct bench *b, u32 index)
{
	return hose_serial(b->plan->vdevs[index].setup.cfg);
}

static void add_hose(struct bench *b, const char *text)
{
	assert_int_equal(plan_add_vdev(b->plan, &hose_class, text, &b->pe.err), 0);
}

/* The line that standard input goes to, once the machine is open. */
static const char *stdin_line(struct bench *b)
{
	static struct plan_line line;

	assert_int_equal(open_well(b), 0);
	return plan_stdin_line(b->plan, &line) ? line.name : "";
}

static void a_device_of_another_program_has_no_line(void **state)
{
	struct bench *b = *state;
	char path[64], words[96];
	cleanup_fd int listener = -1;
	struct unix_id id;
	struct err e;

	snprintf(path, sizeof(path), "/tmp/kiln-plan-test.%d", getpid());
	snprintf(words, sizeof(words), "rng,socket=%s", path);
	listener = unix_listen(path, 1, &id, &e);
	assert_true(listener >= 0);
	assert_int_equal(plan_add_remote(b->plan, words, &e), 0);
	assert_string_equal(stdin_line(b), "port.0");
	unix_remove(path, &id);
}

static void the_first_port_is_the_terminal(void **state)
{
	struct bench *b = *state;

	assert_string_equal(stdin_line(b), "port.0");
	assert_string_equal(b->plan->setup.boot.cmdline, "console=ttyS0 first");
}

static void a_virtio_line_leads_to_standard_output_beside_it(void **state)
{
	struct bench *b = *state;

	add_hose(b, NULL);
	assert_string_equal(stdin_line(b), "port.0");
	assert_int_equal(port(b, 0)->type, SERIAL_STDOUT);
	assert_int_equal(hose(b, 0)->type, SERIAL_STDOUT);
	assert_string_equal(b->plan->setup.boot.cmdline, "console=ttyS0 first");
}

static void standard_input_goes_to_the_first_virtio_line_when_no_port_has_it(void **state)
{
	struct bench *b = *state;
	struct plan_line line;

	assert_int_equal(plan_configure(b->plan, &port_class, "sink", &b->pe.err), 0);
	add_hose(b, "file=log");
	add_hose(b, "stdout");
	add_hose(b, "stdout");
	assert_string_equal(stdin_line(b), "hose.1");
	assert_true(plan_stdin_line(b->plan, &line));
	assert_ptr_equal(line.fds, &b->plan->vdevs[1].fds);
	assert_ptr_equal(line.cfg, hose(b, 1));
}

static void a_line_that_asks_for_standard_input_takes_it_from_the_first_port(void **state)
{
	struct bench *b = *state;

	add_hose(b, "sink,stdin");
	assert_string_equal(stdin_line(b), "hose.0");
	assert_int_equal(hose(b, 0)->type, SERIAL_SINK);
	assert_int_equal(port(b, 0)->type, SERIAL_STDOUT);
}

static void a_port_that_was_asked_to_have_it_does_not_yield(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_configure(b->plan, &port_class, "stdout,stdin", &b->pe.err), 0);
	add_hose(b, "stdin");
	assert_int_equal(open_well(b), -EINVAL);
	assert_string_equal(b->pe.err.text,
			    "stdin goes to one port, and both port.0 and hose.0 want it");
}

static void a_virtio_console_takes_over_the_terminal(void **state)
{
	struct bench *b = *state;

	strcat(b->plan->setup.boot.cmdline, " quiet");
	add_hose(b, "sink");
	add_hose(b, "console");
	assert_string_equal(stdin_line(b), "hose.1");
	assert_int_equal(port(b, 0)->type, SERIAL_SINK);
	assert_string_equal(b->plan->setup.boot.cmdline, "console=hvc1 first quiet");
}

static void a_port_that_was_configured_stays_beside_a_virtio_console(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_configure(b->plan, &port_class, "type=stdout,stdin", &b->pe.err), 0);
	add_hose(b, "console");
	assert_string_equal(stdin_line(b), "port.0");
	assert_int_equal(port(b, 0)->type, SERIAL_STDOUT);
	assert_string_equal(b->plan->setup.boot.cmdline, "console=hvc0 first");
}

static void a_virtio_console_that_leads_elsewhere_leaves_the_terminal(void **state)
{
	struct bench *b = *state;

	add_hose(b, "unix=path,console");
	assert_string_equal(stdin_line(b), "port.0");
	assert_string_equal(b->plan->setup.boot.cmdline, "console=hvc0 first");
}

static void the_kernel_has_one_console(void **state)
{
	struct bench *b = *state;

	add_hose(b, "console");
	add_hose(b, "file=log,console");
	assert_int_equal(open_well(b), -EINVAL);
	assert_string_equal(b->pe.err.text,
			    "the kernel has one console, and both hose.0 and hose.1 are to be it");
}

static void words_of_a_virtio_line_that_clash_are_told_with_its_name(void **state)
{
	struct bench *b = *state;

	add_hose(b, "type=unix");
	b->plan->dry_run = true;
	assert_int_equal(open_well(b), -EINVAL);
	assert_string_equal(b->pe.err.text, "hose.0: type=unix needs path=PATH");
}

/* --- Files ------------------------------------------------------------------------------------ */

static void kernel_initrd_and_devices_are_opened_in_order(void **state)
{
	struct bench *b = *state;
	const struct vm_setup *setup_of = &b->plan->setup;

	make_file(b, "initrd", 77);
	make_file(b, "kernel", 100);
	assert_int_equal(open_with(b, path_of(b, "kernel"), "initrd"), 0);
	assert_int_equal(setup_of->boot.kernel_fd, 0);
	assert_int_equal(setup_of->boot.kernel_bytes, 100);
	assert_int_equal(setup_of->boot.initrd_fd, 1);
	assert_int_equal(setup_of->boot.initrd_bytes, 77);
	assert_int_equal(setup_of->nr_fds, 2 + NR_LINES);
	assert_int_equal(b->plan->fds.count, 2 + NR_LINES);
	for (u32 i = 0; i < NR_LINES; i++)
		assert_in_range(line(b, i)->fd_index, 2, 1 + NR_LINES);
	for (u32 i = 0; i < b->plan->fds.count; i++)
		assert_true(fcntl(b->plan->fds.fds[i], F_GETFD) & FD_CLOEXEC);
	assert_true(b->plan->kvm_fd >= 0);
}

static void without_an_initrd_there_is_none(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_well(b), 0);
	assert_int_equal(b->plan->setup.boot.initrd_fd, -1);
	assert_int_equal(b->plan->setup.boot.initrd_bytes, 0);
}

static void what_is_no_file_is_refused_and_called_what_it_is(void **state)
{
	static const struct {
		const char *name, *what;
		int code;
	} bad[] = {
		{ "missing", ": No such file or directory", -ENOENT },
		{ "kernel/below", ": Not a directory", -ENOTDIR },
		{ ".", " is a directory, not a file", -EINVAL },
		{ "fifo", " is a device, pipe or socket, not a file", -EINVAL },
		{ "socket", ": No such device or address", -ENXIO },
		{ "empty", " is empty", -EINVAL },
	};
	struct bench *b = *state;
	char want[128];

	make_file(b, "kernel", 100);
	make_file(b, "empty", 0);
	make_socket(b, "socket");
	assert_int_equal(mkfifo(path_of(b, "fifo"), 0600), 0);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(want, sizeof(want), "kernel '%s/%s'%s", b->dir, bad[i].name, bad[i].what);
		assert_int_equal(open_with(b, path_of(b, bad[i].name), NULL), bad[i].code);
		assert_string_equal(b->pe.err.text, want);
		assert_int_equal(b->pe.kind, VM_END_INVALID);
		assert_int_equal(b->plan->fds.count, 0);
	}
	assert_int_equal(open_with(b, "/dev/null", NULL), -EINVAL);
	assert_int_equal(open_with(b, "", NULL), -ENOENT);
}

static void a_bad_initrd_is_told_as_one(void **state)
{
	struct bench *b = *state;
	char want[128];

	make_file(b, "kernel", 100);
	make_file(b, "empty", 0);
	snprintf(want, sizeof(want), "initrd '%s/empty' is empty", b->dir);
	assert_int_equal(open_with(b, path_of(b, "kernel"), "empty"), -EINVAL);
	assert_string_equal(b->pe.err.text, want);
	assert_int_equal(b->pe.kind, VM_END_INVALID);
}

static void an_initrd_larger_than_memory_is_told_with_both_sizes(void **state)
{
	struct bench *b = *state;

	make_file(b, "kernel", 100);
	make_file(b, "initrd", MIB(5));
	assert_int_equal(open_with(b, path_of(b, "kernel"), "initrd"), -EINVAL);
	assert_non_null(strstr(b->pe.err.text, "has 5 MiB, the guest's memory 4 MiB: raise --mem"));
	assert_int_equal(b->pe.kind, VM_END_INVALID);
}

static void a_device_that_cannot_open_its_file_is_named(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "num=2,path=broken"), 0);
	assert_true(open_well(b) < 0);
	assert_string_equal(b->pe.err.text, "line.1: line 1 is broken");
	assert_int_equal(b->pe.kind, VM_END_INVALID);
	assert_int_equal(b->plan->kvm_fd, -1);
}

static void a_try_opens_no_device(void **state)
{
	struct bench *b = *state;

	assert_int_equal(configure(b, "path=broken"), 0);
	b->plan->dry_run = true;
	assert_int_equal(open_well(b), 0);
	assert_int_equal(b->plan->fds.count, 1); /* the kernel */
}

static void a_file_for_which_there_is_no_place_is_refused(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < FDSET_MAX; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_int_equal(fdset_put(&b->plan->fds, &fd), (int)i);
	}
	assert_int_equal(open_well(b), -EMFILE);
	assert_non_null(strstr(b->pe.err.text, "Too many open files"));
}

/* --- KVM -------------------------------------------------------------------------------------- */

static void without_kvm_the_host_is_at_fault_and_the_cure_is_named(void **state)
{
	struct bench *b = *state;

	host.kvm_errno = ENOENT;
	assert_int_equal(open_well(b), -ENOENT);
	assert_int_equal(b->pe.kind, VM_END_FAILED);
	assert_string_equal(b->pe.err.text,
			    "open /dev/kvm (load kvm_intel or kvm_amd; is virtualization on in the "
			    "firmware?): No such file or directory");
	host.kvm_errno = EBUSY;
	assert_int_equal(plan_open_kvm(&b->pe.err), -EBUSY);
	assert_string_equal(b->pe.err.text, "open /dev/kvm: Device or resource busy");
}

static void a_bad_file_is_told_even_where_there_is_no_kvm(void **state)
{
	struct bench *b = *state;

	host.kvm_errno = ENOENT;
	assert_int_equal(open_with(b, "/nonexistent", NULL), -ENOENT);
	assert_int_equal(b->pe.kind, VM_END_INVALID);
	assert_string_equal(b->pe.err.text, "kernel '/nonexistent': No such file or directory");
}

/* What somebody who may not open /dev/kvm is told its group is. */
static void group_is_told_as(struct bench *b, const char *groups, gid_t gid, const char *name)
{
	char want[256];

	host.kvm_errno = EACCES;
	host.kvm_gid = gid;
	host.groups = groups;
	snprintf(want, sizeof(want),
		 "open /dev/kvm (it is for group %s: add this user to it): Permission denied",
		 name);
	assert_int_equal(plan_open_kvm(&b->pe.err), -EACCES);
	assert_string_equal(b->pe.err.text, want);
}

static void the_group_of_kvm_is_told_by_name(void **state)
{
	static const char groups[] = "root:x:0:\nkvm:x:104:alice,bob\nlast:x:65534:";

	group_is_told_as(*state, groups, 0, "root");
	group_is_told_as(*state, groups, 104, "kvm");
	group_is_told_as(*state, groups, 65534, "last");
}

static void a_group_without_a_name_is_told_by_number(void **state)
{
	group_is_told_as(*state, "root:x:0:\n", 104, "104");
	group_is_told_as(*state, NULL, 104, "104");
}

static void lines_that_are_no_groups_are_skipped(void **state)
{
	static const char groups[] = "\n:\n::\n:::\n# 104\n+\nkvm\nkvm:104\nx:x:104x:\nx:x:-104:\n"
				     "x:x::104\nx:x:4294967400:\nright:x:104:\n";

	group_is_told_as(*state, groups, 104, "right");
}

static void a_group_with_many_members_hides_nobody_behind_it(void **state)
{
	char groups[2048];
	size_t used = (size_t)snprintf(groups, sizeof(groups), "crowd:x:7:");

	for (u32 i = 0; i < 120; i++)
		used += (size_t)snprintf(groups + used, sizeof(groups) - used, "member%u,", i);
	snprintf(groups + used, sizeof(groups) - used, "\nkvm:x:104:\n");
	group_is_told_as(*state, groups, 7, "crowd");
	group_is_told_as(*state, groups, 104, "kvm");
}

static void a_group_that_is_cut_short_is_no_group(void **state)
{
	static const char last[] = "\nkvm:x:104", rest[] = "1:\n";
	char groups[KIB(16) + sizeof(rest)];
	size_t cut =
		KIB(16) - 1; /* the last line that is read ends in 104, but its number goes on */

	memset(groups, 'x', sizeof(groups));
	memcpy(groups + cut - strlen(last), last, strlen(last));
	memcpy(groups + cut, rest, sizeof(rest));
	group_is_told_as(*state, groups, 104, "104");
}

static void a_kvm_for_its_owner_alone_names_no_group(void **state)
{
	struct bench *b = *state;

	host.kvm_errno = EACCES;
	host.kvm_mode = 0600;
	host.groups = "root:x:0:\n";
	assert_int_equal(plan_open_kvm(&b->pe.err), -EACCES);
	assert_non_null(strstr(b->pe.err.text, "for its owner alone"));
	assert_null(strstr(b->pe.err.text, "root"));
}

static void cpus_are_limited_by_the_host(void **state)
{
	struct bench *b = *state;

	host.vcpus_max = 4;
	b->plan->setup.nr_cpus = 5;
	assert_int_equal(open_well(b), -EINVAL);
	assert_string_equal(b->pe.err.text,
			    "cpus: 5 are too many: this host runs 1 to 4 in a machine");
	assert_int_equal(b->pe.kind, VM_END_INVALID);
}

static void memory_that_has_no_room_is_told_before_anything_is_opened(void **state)
{
	struct bench *b = *state;

	b->plan->setup.mem_bytes = GIB(2);
	assert_int_equal(open_well(b), -EINVAL);
	assert_string_equal(b->pe.err.text, "mem: too much");
	assert_int_equal(b->pe.kind, VM_END_INVALID);
	assert_int_equal(b->plan->fds.count, 0);
}

static void as_many_cpus_as_the_limit_are_fine(void **state)
{
	struct bench *b = *state;

	b->plan->setup.nr_cpus = host.vcpus_max;
	assert_int_equal(open_well(b), 0);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void destroying_closes_and_cleans_every_instance(void **state)
{
	struct plan *plan = plan_create();
	int kernel_fd, kvm_fd, hose_fd;
	struct plan_err pe;

	make_file(*state, "kernel", 100);
	snprintf(plan->kernel_path, PATH_MAX, "%s", path_of(*state, "kernel"));
	assert_int_equal(plan_add_vdev(plan, &hose_class, "unix=path", &pe.err), 0);
	assert_int_equal(plan_open(plan, &pe), 0);
	kernel_fd = plan->fds.fds[0];
	kvm_fd = plan->kvm_fd;
	hose_fd = plan->vdevs[0].fds.fds[0];
	plan_destroy(plan);
	assert_int_equal(nr_cleaned, NR_LINES + 1);
	assert_int_equal(fcntl(kernel_fd, F_GETFD), -1);
	assert_int_equal(fcntl(hose_fd, F_GETFD), -1);
	assert_int_equal(fcntl(kvm_fd, F_GETFD), -1);
	plan_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(every_instance_of_the_build_is_there_with_its_defaults),
		T(options_go_to_the_next_instance_nobody_configured),
		T(options_go_to_the_instance_they_name_and_the_rest_around_it),
		T(an_instance_that_is_configured_twice_is_refused),
		T(more_options_than_instances_are_refused),
		T(wrong_words_are_told_with_the_option_and_change_nothing),
		T(a_configuration_too_large_is_refused),
		T(joined_shorthands_tell_of_one_instance),
		T(the_first_port_is_the_terminal),
		T(a_virtio_line_leads_to_standard_output_beside_it),
		T(standard_input_goes_to_the_first_virtio_line_when_no_port_has_it),
		T(a_line_that_asks_for_standard_input_takes_it_from_the_first_port),
		T(a_port_that_was_asked_to_have_it_does_not_yield),
		T(a_virtio_console_takes_over_the_terminal),
		T(a_port_that_was_configured_stays_beside_a_virtio_console),
		T(a_virtio_console_that_leads_elsewhere_leaves_the_terminal),
		T(the_kernel_has_one_console),
		T(words_of_a_virtio_line_that_clash_are_told_with_its_name),
		T(kernel_initrd_and_devices_are_opened_in_order),
		T(without_an_initrd_there_is_none),
		T(what_is_no_file_is_refused_and_called_what_it_is),
		T(a_bad_initrd_is_told_as_one),
		T(an_initrd_larger_than_memory_is_told_with_both_sizes),
		T(a_device_that_cannot_open_its_file_is_named),
		T(a_try_opens_no_device),
		T(a_file_for_which_there_is_no_place_is_refused),
		T(without_kvm_the_host_is_at_fault_and_the_cure_is_named),
		T(a_bad_file_is_told_even_where_there_is_no_kvm),
		T(the_group_of_kvm_is_told_by_name),
		T(a_group_without_a_name_is_told_by_number),
		T(lines_that_are_no_groups_are_skipped),
		T(a_group_with_many_members_hides_nobody_behind_it),
		T(a_group_that_is_cut_short_is_no_group),
		T(a_device_of_another_program_has_no_line),
		T(a_kvm_for_its_owner_alone_names_no_group),
		T(cpus_are_limited_by_the_host),
		T(memory_that_has_no_room_is_told_before_anything_is_opened),
		T(as_many_cpus_as_the_limit_are_fine),
		T(destroying_closes_and_cleans_every_instance),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
