// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk's options, and the opening of a disk image with the user's rights.
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"

/* What every processor and file system of ours has, and the most that the guest's fields hold. */
enum { PAGE_BYTES = 4096, UNIT_BYTES_MAX = 1 << 20 };

/* --- Options ---------------------------------------------------------------------------------- */

/* The format is what the user says, never what the image's bytes look like: a guest writes those. */
static const char *const format_words[] = { "raw", NULL };
static const char *const block_size_words[] = {
	[BLK_BLOCK_512] = "512",
	[BLK_BLOCK_4096] = "4096",
	NULL,
};
static const char *const discard_words[] = {
	[BLK_DISCARD_AUTO] = "auto",
	[BLK_DISCARD_ON] = "on",
	[BLK_DISCARD_OFF] = "off",
	NULL,
};
static const char *const engine_words[] = {
	[BLK_ENGINE_AUTO] = "auto",
	[BLK_ENGINE_SYNC] = "sync",
	[BLK_ENGINE_URING] = IS_ENABLED(CONFIG_VIRTIO_BLK_IO_URING) ? "io_uring" : NULL,
	NULL,
};

const struct opt blk_opts[] = {
	{
		.name = "path",
		OPT_TEXT(struct blk_cfg, path),
		.arg = "FILE",
		.help = HELP("an image file, or a block device"),
	},
	{
		.name = "format",
		OPT_CHOICE(struct blk_cfg, format, format_words),
		.arg = "FORMAT",
		.def = "raw",
		.help = HELP("of the image; it is never guessed"),
	},
	{
		.name = "ro",
		OPT_FLAG(struct blk_cfg, read_only),
		.help = HELP("for reading only, which several machines may do at a time"),
	},
	{
		.name = "id",
		OPT_TEXT(struct blk_cfg, id),
		.arg = "TEXT",
		.help = HELP("serial number, at most 20 bytes: /dev/disk/by-id/virtio-TEXT"),
	},
	{
		.name = "queues",
		OPT_U32(struct blk_cfg, queues, 1, BLK_QUEUES_MAX),
		.arg = "N",
		.def = "1",
		.help = HELP("rings of requests, best one for each vCPU"),
	},
	{
		.name = "block_size",
		OPT_CHOICE(struct blk_cfg, block_size, block_size_words),
		.arg = "BYTES",
		.def = "512",
		.help = HELP("the disk's logical block"),
	},
	{
		.name = "direct",
		OPT_FLAG(struct blk_cfg, direct),
		.arg = "on|off",
		.def = "off",
		.help = HELP("past the host's page cache"),
	},
	{
		.name = "discard",
		OPT_CHOICE(struct blk_cfg, discard, discard_words),
		.arg = "WORD",
		.def = "auto",
		.help = HELP("give storage back that the guest discards; auto: if the host can"),
	},
	{
		.name = "engine",
		OPT_CHOICE(struct blk_cfg, engine, engine_words),
		.arg = "WORD",
		.def = "auto",
		.help = HELP("one request at a time, or many; auto: many if the host can"),
	},
	{ .name = NULL },
};

/* --- Opening ---------------------------------------------------------------------------------- */

static u32 cfg_block_bytes(const struct blk_cfg *cfg)
{
	return cfg->block_size == BLK_BLOCK_4096 ? 4096 : 512;
}

static int check_kind(const struct blk_cfg *cfg, const struct stat *st, struct err *e)
{
	const char *is = S_ISDIR(st->st_mode)    ? "a directory"
			 : S_ISFIFO(st->st_mode) ? "a FIFO"
			 : S_ISCHR(st->st_mode)  ? "a character device"
						 : "a socket";

	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return err_set(e, -EINVAL, "'%s' is %s: a disk is a regular file or a block device",
		       cfg->path, is);
}

static int open_error(const struct blk_cfg *cfg, int code, struct err *e)
{
	if (code == -EBUSY)
		return err_set(e, code,
			       "'%s' is in use by another machine or disk, or mounted by the host: "
			       "free it, or give `ro`",
			       cfg->path);
	if (code == -EINVAL && cfg->direct)
		return err_set(e, code,
			       "open '%s': its file system has no direct I/O: give direct=off",
			       cfg->path);
	err_errno(e, code, "open '%s'", cfg->path);
	if (!cfg->read_only && (code == -EACCES || code == -EPERM || code == -EROFS))
		return err_set(e, code, "open '%s' for writing: %s: give `ro` if reading is enough",
			       cfg->path, strerror(-code));
	return code;
}

/*
 * Its kind is looked at first, because opening a FIFO or a tape already does something, and once
 * more on what was opened. O_EXCL: not a block device that the host has mounted.
 */
static int open_image(const struct blk_cfg *cfg, struct stat *st, struct err *e)
{
	int flags = O_CLOEXEC | O_NOCTTY | (cfg->read_only ? O_RDONLY : O_RDWR) |
		    (cfg->direct ? O_DIRECT : 0);
	cleanup_fd int fd = -1;
	int status;

	if (stat(cfg->path, st) < 0)
		return err_errno(e, -errno, "open '%s'", cfg->path);
	status = check_kind(cfg, st, e);
	if (status < 0)
		return status;
	if (S_ISBLK(st->st_mode) && !cfg->read_only)
		flags |= O_EXCL;
	fd = open(cfg->path, flags);
	if (fd < 0)
		return open_error(cfg, -errno, e);
	if (fstat(fd, st) < 0)
		return err_errno(e, -errno, "open '%s'", cfg->path);
	status = check_kind(cfg, st, e);
	return status < 0 ? status : fd_take(&fd);
}

/*
 * One writer, or any number of readers. The lock belongs to the open file description, so it goes
 * with the descriptor to the device's process and ends with that.
 */
static int lock_image(const struct blk_cfg *cfg, int fd, struct err *e)
{
	struct flock lock = {
		.l_type = cfg->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES) {
		log_warn("virtio-blk: '%s' cannot be locked (%s): see to it that nobody else "
			 "writes to it",
			 cfg->path, strerror(errno));
		return 0;
	}
	if (cfg->read_only)
		return err_set(e, -EBUSY,
			       "'%s' is in use: another machine writes to it; stop that machine, "
			       "or give `ro` there too",
			       cfg->path);
	return err_set(e, -EBUSY,
		       "'%s' is in use by another machine or disk: stop that one, or give `ro` "
		       "to both",
		       cfg->path);
}

/* --- What the host can do --------------------------------------------------------------------- */

static bool is_unit(u64 bytes)
{
	return bytes >= VIRTIO_BLK_SECTOR_BYTES && bytes <= UNIT_BYTES_MAX &&
	       (bytes & (bytes - 1)) == 0;
}

/* A number of the block device's queue; a partition's is its disk's. Return: 0 if there is none. */
static u64 queue_number(dev_t device, const char *name)
{
	static const char *const ups[] = { "", "../" };
	char path[128], text[24];
	u64 number;

	for (u32 i = 0; i < ARRAY_SIZE(ups); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(device),
			 minor(device), ups[i], name);
		if (fd_read_text(path, text, sizeof(text)) < 0)
			continue;
		text[strcspn(text, "\n")] = 0;
		if (opt_parse_u64(text, &number) == 0)
			return number;
	}
	return 0;
}

/* A hole behind the end of a file changes nothing, and tells whether there can be holes. */
static bool file_can_discard(int fd, u64 size_bytes)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)size_bytes,
			 PAGE_BYTES) == 0;
}

static int measure_device(struct blk_cfg *cfg, int fd, const struct stat *st, struct err *e)
{
	struct blk_image *im = &cfg->image;
	u64 granule = queue_number(st->st_rdev, "discard_granularity");
	unsigned int physical = 0;
	int logical = 0;
	u64 size = 0;

	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(fd, BLKPBSZGET, &physical) < 0)
		return err_errno(e, -errno, "size of '%s'", cfg->path);
	im->is_block_device = true;
	im->size_bytes = size;
	im->physical_bytes = is_unit(physical) ? physical : PAGE_BYTES;
	im->discard_bytes = is_unit(granule) ? (u32)granule : PAGE_BYTES;
	im->can_discard = queue_number(st->st_rdev, "discard_max_bytes") > 0;
	return 0;
}

static bool file_is_in_memory(int fd)
{
	struct statfs fs;

	return IS_ENABLED(CONFIG_VIRTIO_BLK_IO_URING) && fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static void measure_file(struct blk_cfg *cfg, int fd, const struct stat *st)
{
	struct blk_image *im = &cfg->image;

	im->in_memory = file_is_in_memory(fd);
	im->size_bytes = (u64)st->st_size;
	im->physical_bytes = PAGE_BYTES;
	im->discard_bytes = is_unit((u64)st->st_blksize) ? (u32)st->st_blksize : PAGE_BYTES;
	im->can_discard = !cfg->read_only && file_can_discard(fd, im->size_bytes);
}

static int fit_size(struct blk_cfg *cfg, struct err *e)
{
	struct blk_image *im = &cfg->image;
	u64 rest = im->size_bytes % im->block_bytes;

	if (im->size_bytes < im->block_bytes)
		return err_set(
			e, -EINVAL, "'%s': %llu bytes hold no block of %u: truncate -s 1G '%s'",
			cfg->path, (unsigned long long)im->size_bytes, im->block_bytes, cfg->path);
	if (rest > 0)
		log_warn("virtio-blk: '%s': the guest does not see the last %llu bytes of %llu, "
			 "which are no whole block of %u",
			 cfg->path, (unsigned long long)rest, (unsigned long long)im->size_bytes,
			 im->block_bytes);
	im->size_bytes -= rest;
	return 0;
}

static int fit_discard(struct blk_cfg *cfg, struct err *e)
{
	struct blk_image *im = &cfg->image;

	if (cfg->discard == BLK_DISCARD_ON && cfg->read_only)
		return err_set(e, -EINVAL, "discard=on and ro exclude each other");
	if (cfg->discard == BLK_DISCARD_ON && !im->can_discard)
		return err_set(e, -EINVAL,
			       "discard=on: the host cannot give back pieces of '%s': leave it out",
			       cfg->path);
	if (cfg->discard == BLK_DISCARD_OFF || cfg->read_only)
		im->can_discard = false;
	return 0;
}

/* Whether direct I/O takes `bytes` at an address that is a multiple of just that. */
static bool direct_takes(int fd, u8 *pages, u32 bytes)
{
	return pread(fd, pages + bytes, bytes, 0) >= 0;
}

static int fit_direct_bytes(struct blk_cfg *cfg, int fd, u8 *pages, struct err *e)
{
	struct blk_image *im = &cfg->image;

	im->direct_bytes = direct_takes(fd, pages, 512) ? 512 : PAGE_BYTES;
	if (im->direct_bytes == PAGE_BYTES && !direct_takes(fd, pages, PAGE_BYTES))
		return err_errno(e, -errno, "direct I/O on '%s' (direct=off does without)",
				 cfg->path);
	if (im->direct_bytes > im->block_bytes)
		return err_set(e, -EINVAL,
			       "'%s': direct I/O goes by %u bytes here, the disk's blocks have "
			       "%u: give block_size=%u or direct=off",
			       cfg->path, im->direct_bytes, im->block_bytes, im->direct_bytes);
	return 0;
}

/* What direct I/O needs is found by trying: older kernels have no call that tells. */
static int fit_direct(struct blk_cfg *cfg, int fd, struct err *e)
{
	const size_t bytes = 2 * (size_t)PAGE_BYTES;
	void *pages;
	int status;

	if (!cfg->direct)
		return 0;
	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	status = fit_direct_bytes(cfg, fd, pages, e);
	munmap(pages, bytes);
	return status;
}

static int measure(struct blk_cfg *cfg, int fd, const struct stat *st, struct err *e)
{
	struct blk_image *im = &cfg->image;
	int status = 0;

	*im = (struct blk_image){ .block_bytes = cfg_block_bytes(cfg) };
	im->read_only = cfg->read_only;
	if (S_ISBLK(st->st_mode))
		status = measure_device(cfg, fd, st, e);
	else
		measure_file(cfg, fd, st);
	im->physical_bytes = MAX(im->physical_bytes, im->block_bytes);
	im->discard_bytes = MAX(im->discard_bytes, im->block_bytes);
	if (status == 0)
		status = fit_size(cfg, e);
	if (status == 0)
		status = fit_discard(cfg, e);
	return status < 0 ? status : fit_direct(cfg, fd, e);
}

int blk_image_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct blk_cfg *cfg = opaque;
	cleanup_fd int fd = -1;
	struct stat st;
	int status;

	if (!cfg->path[0])
		return err_set(e, -EINVAL, "path=FILE is missing");
	fd = open_image(cfg, &st, e);
	if (fd < 0)
		return fd;
	status = lock_image(cfg, fd, e);
	if (status == 0)
		status = measure(cfg, fd, &st, e);
	if (status < 0)
		return status;
	cfg->fd_index = fdset_put(fds, &fd);
	return cfg->fd_index < 0
		       ? err_errno(e, cfg->fd_index, "more than %d descriptors", FDSET_MAX)
		       : 0;
}
