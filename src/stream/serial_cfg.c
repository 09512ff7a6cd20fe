// SPDX-License-Identifier: BSD-3-Clause
// Where a device's bytes go on the host: parsing, opening, removing.
#include "stream/serial_cfg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/fd.h"

enum { PORTS_MAX = 4 };

/* --- Options --------------------------------------------------------------------------------- */

static int store_path(struct serial_cfg *cfg, const char *key, const char *value, struct err *e)
{
	size_t len = strlen(value);

	if (cfg->path[0])
		return err_set(e, -EINVAL, "%s=%s: there is a path already ('%s')", key, value,
			       cfg->path);
	if (len == 0)
		return err_set(e, -EINVAL, "%s= needs a path", key);
	if (len >= sizeof(cfg->path))
		return err_set(e, -EINVAL, "%s: the path's %zu bytes are too long (at most %zu)",
			       key, len, sizeof(cfg->path) - 1);
	memcpy(cfg->path, value, len + 1);
	return 0;
}

static int option_path(void *options, const struct opt *opt, const char *value, struct err *e)
{
	return store_path(options, opt->name, value, e);
}

static int option_file(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct serial_cfg *cfg = options;

	cfg->type = cfg->path_type = SERIAL_FILE;
	return store_path(cfg, opt->name, value, e);
}

static int option_unix(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct serial_cfg *cfg = options;

	cfg->type = cfg->path_type = SERIAL_UNIX;
	return store_path(cfg, opt->name, value, e);
}

static const char *const type_words[] = {
	[SERIAL_SINK] = "sink",
	[SERIAL_STDOUT] = "stdout",
	[SERIAL_FILE] = "file",
	[SERIAL_UNIX] = "unix",
	NULL,
};

/* As a choice, but whether there was one is known afterwards. */
static int option_type(void *options, const struct opt *opt, const char *value, struct err *e)
{
	static const struct opt choice[] = {
		{ .name = "type", OPT_CHOICE(struct serial_cfg, type, type_words) },
		{ .name = NULL },
	};
	struct serial_cfg *cfg = options;

	if (cfg->type_given)
		return err_set(e, -EINVAL, "'%s' is given twice", opt->name);
	cfg->type_given = true;
	return opt_parse_value(choice, cfg, opt->name, value, e);
}

/* Shared by the tables, in the order help shows them. */
#define OUTPUT_OPTS                                                                 \
	{                                                                           \
		.name = "stdout",                                                   \
		OPT_FLAG(struct serial_cfg, as_stdout),                             \
		.help = HELP("write to standard output"),                           \
	},                                                                          \
		{                                                                   \
			.name = "sink",                                             \
			OPT_FLAG(struct serial_cfg, as_sink),                       \
			.help = HELP("drop what the guest writes"),                 \
		},                                                                  \
	{                                                                           \
		.name = "file", OPT_CALL(option_file), .arg = "PATH",               \
		.help = HELP("append to a file, or write to a FIFO or a terminal"), \
	}
#define LINE_OPTS                                                                         \
	OUTPUT_OPTS,                                                                      \
		{                                                                         \
			.name = "unix",                                                   \
			OPT_CALL(option_unix),                                            \
			.arg = "PATH",                                                    \
			.help = HELP("listen on a Unix socket for one client at a time"), \
		},                                                                        \
		{                                                                         \
			.name = "type",                                                   \
			OPT_CALL(option_type),                                            \
			.arg = "TYPE",                                                    \
			.help = HELP("the long form: stdout, sink, file, unix"),          \
		},                                                                        \
	{                                                                                 \
		.name = "path", OPT_CALL(option_path), .arg = "PATH",                     \
		.help = HELP("of type=file and type=unix"),                               \
	}
#define STDIN_OPT                                                          \
	{                                                                  \
		.name = "stdin", OPT_FLAG(struct serial_cfg, wants_stdin), \
		.help = HELP("standard input goes to this port"),          \
	}

const struct opt serial_opts[] = {
	LINE_OPTS,
	{
		.name = "num",
		OPT_U32(struct serial_cfg, num, 1, PORTS_MAX),
		.arg = "N",
		.help = HELP("which port, 1 for COM1; without it the next one"),
	},
	STDIN_OPT,
	{
		.name = "console",
		OPT_FLAG(struct serial_cfg, console),
		.help = HELP("accepted; the first port is the console"),
	},
	{ .name = NULL },
};

const struct opt serial_line_opts[] = {
	LINE_OPTS,
	STDIN_OPT,
	{
		.name = "console",
		OPT_FLAG(struct serial_cfg, console),
		.help = HELP("the kernel's console, in place of the first serial port"),
	},
	{ .name = NULL },
};

const struct opt serial_output_opts[] = {
	OUTPUT_OPTS,
	{ .name = NULL },
};

u32 serial_cfg_instance(const void *opaque)
{
	const struct serial_cfg *cfg = opaque;

	return cfg->num > 0 ? cfg->num - 1 : UINT32_MAX;
}

static bool is_said(const struct serial_cfg *cfg)
{
	return cfg->as_stdout || cfg->as_sink || cfg->type_given || cfg->path[0] ||
	       cfg->type != SERIAL_SINK;
}

/* Bare words, type= and path= become one type, or an error that names the two that clash. */
static int serial_cfg_resolve(struct serial_cfg *cfg, enum serial_type unsaid, struct err *e)
{
	bool takes_path;

	if (!is_said(cfg))
		cfg->type = unsaid;
	takes_path = cfg->type == SERIAL_FILE || cfg->type == SERIAL_UNIX;
	if (cfg->as_stdout && cfg->as_sink)
		return err_set(e, -EINVAL, "stdout and sink exclude each other");
	if ((cfg->as_stdout && cfg->type != SERIAL_SINK && cfg->type != SERIAL_STDOUT) ||
	    (cfg->as_sink && cfg->type != SERIAL_SINK))
		return err_set(e, -EINVAL, "%s and %s exclude each other",
			       cfg->as_stdout ? "stdout" : "sink", type_words[cfg->type]);
	if (cfg->path_type != SERIAL_SINK && cfg->path_type != cfg->type)
		return err_set(e, -EINVAL, "%s= and type=%s exclude each other",
			       type_words[cfg->path_type], type_words[cfg->type]);
	if (cfg->as_stdout)
		cfg->type = SERIAL_STDOUT;
	if (takes_path && !cfg->path[0])
		return err_set(e, -EINVAL, "type=%s needs path=PATH", type_words[cfg->type]);
	if (!takes_path && cfg->path[0])
		return err_set(e, -EINVAL, "path '%s' belongs to type=file or type=unix, not to %s",
			       cfg->path, type_words[cfg->type]);
	if (cfg->type == SERIAL_UNIX && cfg->wants_stdin)
		return err_set(e, -EINVAL, "unix=%s has its own input: leave stdin out", cfg->path);
	return 0;
}

int serial_line_resolve(struct serial_cfg *cfg, struct err *e)
{
	return serial_cfg_resolve(cfg, SERIAL_STDOUT, e);
}

/* --- Opening --------------------------------------------------------------------------------- */

/*
 * Standard output is a description shared with the user's shell, so it must not be made
 * non-blocking. A pipe or terminal can be opened once more through /proc, which gives us a
 * description of our own; where that is refused (the terminal of the user we came from by su, no
 * /proc), the stream polls. A pseudo-terminal's master is left alone: opening it makes another one.
 */
static int open_stdout(void)
{
	struct stat st;
	int fd;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev != makedev(5, 2))) {
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/*
 * What a shell's >> would open, with the user's rights and umask: symbolic links are followed, as
 * /dev/stderr and /dev/fd/N are ones, and as the path is the user's own word. O_NONBLOCK: neither a
 * FIFO without a reader nor a serial line without a carrier keeps us waiting.
 */
static int open_file(const char *path, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	cleanup_fd int fd = open(path, flags, 0666);
	struct stat st;

	if (fd < 0 && errno == ENXIO)
		return err_set(e, -ENXIO,
			       "open '%s': a FIFO nobody reads (start the reader first), or a "
			       "device that is not there",
			       path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "open '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, -EINVAL, "'%s' is neither a file nor a FIFO nor a terminal",
			       path);
	return fd_take(&fd);
}

/* Move `fd` into the set. Return: its index or -errno with words. */
static int serial_cfg_put(struct fdset *fds, int fd, struct err *e)
{
	int index = fdset_put(fds, &fd);

	fd_close(&fd);
	return index < 0 ? err_errno(e, index, "more than %d descriptors", FDSET_MAX) : index;
}

int serial_cfg_open(void *opaque, u32 index, struct fdset *fds, struct err *e)
{
	struct serial_cfg *cfg = opaque;
	int fd, status;

	(void)index;
	cfg->in_fd_index = -1;
	cfg->out_fd_index = -1;
	cfg->listen_fd_index = -1;
	status = serial_cfg_resolve(cfg, SERIAL_SINK, e);
	if (status < 0)
		return status;
	switch ((enum serial_type)cfg->type) {
	case SERIAL_SINK:
		return 0;
	case SERIAL_STDOUT:
		fd = open_stdout();
		if (fd < 0)
			return err_errno(e, fd, "standard output (choose sink or file=PATH)");
		cfg->out_fd_index = status = serial_cfg_put(fds, fd, e);
		return MIN(status, 0);
	case SERIAL_FILE:
		fd = open_file(cfg->path, e);
		if (fd < 0)
			return fd;
		cfg->out_fd_index = status = serial_cfg_put(fds, fd, e);
		return MIN(status, 0);
	case SERIAL_UNIX:
		fd = unix_listen(cfg->path, 1, &cfg->socket_id, e);
		if (fd < 0)
			return fd;
		cfg->listen_fd_index = status = serial_cfg_put(fds, fd, e);
		if (status < 0)
			serial_cfg_cleanup(cfg, index);
		return MIN(status, 0);
	}
	return err_set(e, -EINVAL, "type %u is unknown", cfg->type);
}

void serial_cfg_cleanup(const void *opaque, u32 index)
{
	const struct serial_cfg *cfg = opaque;

	(void)index;
	unix_remove(cfg->path, &cfg->socket_id);
}

struct stream_fds serial_cfg_take(const struct serial_cfg *cfg, struct fdset *fds)
{
	return (struct stream_fds){
		.in_fd = fdset_take(fds, cfg->in_fd_index),
		.out_fd = fdset_take(fds, cfg->out_fd_index),
		.listen_fd = fdset_take(fds, cfg->listen_fd_index),
	};
}
