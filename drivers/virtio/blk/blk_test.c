// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk: opening and locking of images, configuration space, requests good and bad, hosts that fail.
// Each test runs with both engines.
// test-sources: drivers/virtio/blk/blk.c drivers/virtio/blk/image.c drivers/virtio/blk/steps.c drivers/virtio/blk/engine_sync.c drivers/virtio/blk/engine_uring.c src/util/opt.c src/jail/policy.c tests/lib/bpf_eval.c policies fake_guest
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The ring's calls come to this file first, see below. */
#define uring_create true_uring_create
#define uring_move true_uring_move
#define uring_flush true_uring_flush
#define uring_allocate true_uring_allocate
#define uring_begin true_uring_begin
#define uring_wait true_uring_wait
#define uring_next true_uring_next
#include "drivers/virtio/blk/uring.c"
#undef uring_create
#undef uring_move
#undef uring_flush
#undef uring_allocate
#undef uring_begin
#undef uring_wait
#undef uring_next

#include "drivers/virtio/blk/engine.h"
#include "jail/policy.h"
#include "tests/lib/bpf_eval.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum { IMAGE_BYTES = 1 << 20, SECTORS = IMAGE_BYTES / 512 };

#define BIT(feature) (1ull << (feature))

/* --- A host that fails when it is told to ----------------------------------------------------- */

enum host_call { HOST_READ, HOST_WRITE, HOST_FLUSH, HOST_ALLOCATE, NR_HOST_CALLS };

/* The calls of the engines come here, in place of the C library's and io_uring's. */
static struct host_fault {
	int code;     /* the next `times` calls fail with it */
	u32 times;    /* */
	size_t most;  /* not 0: bytes that a call moves at most */
	u32 made;     /* calls so far */
	int last;     /* of HOST_ALLOCATE: its mode */
	bool aligned; /* of HOST_READ and HOST_WRITE: whether all so far were, to 512 bytes */
} host[NR_HOST_CALLS];

static bool host_fails(enum host_call call)
{
	struct host_fault *f = &host[call];

	f->made++;
	if (f->times == 0)
		return false;
	f->times--;
	errno = f->code;
	return true;
}

static void note_alignment(enum host_call call, const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % 512)
			host[call].aligned = false;
}

static ssize_t host_move(enum host_call call, long nr, int fd, const struct iovec *iov, int count,
			 off_t offset)
{
	struct iovec some = iov[0];

	note_alignment(call, iov, count);
	if (host_fails(call))
		return -1;
	if (host[call].most == 0)
		return syscall(nr, fd, iov, count, offset, 0);
	some.iov_len = MIN(some.iov_len, host[call].most);
	return syscall(nr, fd, &some, 1, offset, 0);
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	return host_move(HOST_READ, SYS_preadv, fd, iov, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return host_move(HOST_WRITE, SYS_pwritev, fd, iov, count, offset);
}

int fdatasync(int fd)
{
	return host_fails(HOST_FLUSH) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	host[HOST_ALLOCATE].last = mode;
	return host_fails(HOST_ALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/* What is played for io_uring: results that the kernel did not give, calls that it does not get yet. */
static struct host_ring {
	struct uring_done played[BLK_QUEUE_SIZE];
	u32 nr_played;
	bool holds; /* reads do not begin until they are waited for, or let go */
	struct host_held {
		struct uring *ring;
		u64 tag, offset;
		int fd;
		const struct iovec *iov;
		u32 nr;
	} held[BLK_QUEUE_SIZE];
	u32 nr_held;
	struct iovec some[BLK_QUEUE_SIZE];
	u32 next_some;
	int refuses; /* uring_begin fails with it once */
	u32 begun;   /* times that something was */
	bool is_missing;
} ring;

int uring_create(struct uring *u, u32 entries, struct err *e);
void uring_move(struct uring *u, u64 tag, bool is_write, int fd, const struct iovec *iov, u32 nr,
		u64 offset);
void uring_flush(struct uring *u, u64 tag, int fd);
void uring_allocate(struct uring *u, u64 tag, int fd, int mode, u64 offset, u64 len);
int uring_begin(struct uring *u);
int uring_wait(struct uring *u);
bool uring_next(struct uring *u, struct uring_done *done);

int uring_create(struct uring *u, u32 entries, struct err *e)
{
	return ring.is_missing ? err_errno(e, -EPERM, "io_uring_setup")
			       : true_uring_create(u, entries, e);
}

/* Whether the call is one that fails; its result is noted down. */
static bool ring_fails(enum host_call call, u64 tag)
{
	if (!host_fails(call))
		return false;
	ring.played[ring.nr_played++] =
		(struct uring_done){ .tag = tag, .result = -host[call].code };
	return true;
}

void uring_move(struct uring *u, u64 tag, bool is_write, int fd, const struct iovec *iov, u32 nr,
		u64 offset)
{
	enum host_call call = is_write ? HOST_WRITE : HOST_READ;

	note_alignment(call, iov, (int)nr);
	if (ring_fails(call, tag))
		return;
	if (ring.holds && !is_write) {
		ring.held[ring.nr_held++] = (struct host_held){ u, tag, offset, fd, iov, nr };
		return;
	}
	if (host[call].most > 0) {
		struct iovec *some = &ring.some[ring.next_some++ % ARRAY_SIZE(ring.some)];

		*some = iov[0];
		some->iov_len = MIN(some->iov_len, host[call].most);
		iov = some;
		nr = 1;
	}
	true_uring_move(u, tag, is_write, fd, iov, nr, offset);
}

void uring_flush(struct uring *u, u64 tag, int fd)
{
	if (!ring_fails(HOST_FLUSH, tag))
		true_uring_flush(u, tag, fd);
}

void uring_allocate(struct uring *u, u64 tag, int fd, int mode, u64 offset, u64 len)
{
	host[HOST_ALLOCATE].last = mode;
	if (!ring_fails(HOST_ALLOCATE, tag))
		true_uring_allocate(u, tag, fd, mode, offset, len);
}

int uring_begin(struct uring *u)
{
	int code = ring.refuses;

	if (uring_queued(u) == 0)
		return 0;
	ring.begun++;
	ring.refuses = 0;
	return code ? code : true_uring_begin(u);
}

/* One call that is held begins now, the oldest first. */
static void ring_let_go(void)
{
	struct host_held h = ring.held[0];

	ring.nr_held--;
	memmove(&ring.held[0], &ring.held[1], ring.nr_held * sizeof(h));
	true_uring_move(h.ring, h.tag, false, h.fd, h.iov, h.nr, h.offset);
	assert_int_equal(true_uring_begin(h.ring), 0);
}

int uring_wait(struct uring *u)
{
	if (ring.nr_held > 0)
		ring_let_go();
	return true_uring_wait(u);
}

bool uring_next(struct uring *u, struct uring_done *done)
{
	if (ring.nr_played == 0)
		return true_uring_next(u, done);
	*done = ring.played[0];
	ring.nr_played--;
	memmove(&ring.played[0], &ring.played[1], ring.nr_played * sizeof(*done));
	return true;
}

static void host_fail(enum host_call call, int code, u32 times)
{
	host[call].code = code;
	host[call].times = times;
}

static void host_reset(void)
{
	memset(host, 0, sizeof(host));
	memset(&ring, 0, sizeof(ring));
	host[HOST_READ].aligned = host[HOST_WRITE].aligned = true;
}

/* --- The disk --------------------------------------------------------------------------------- */

struct bench {
	char path[64];
	int image_fd; /* beside the device's */
	struct blk_cfg cfg;
	struct fake_guest g;
	bool created;
	const char *engine; /* the option's word */
};

static u8 pattern(u64 offset)
{
	return (u8)(offset / 512 * 7 + offset % 251 + 1);
}

static void image_fill(struct bench *b)
{
	static u8 bytes[IMAGE_BYTES];

	for (u32 i = 0; i < IMAGE_BYTES; i++)
		bytes[i] = pattern(i);
	assert_int_equal(pwrite(b->image_fd, bytes, sizeof(bytes), 0), sizeof(bytes));
}

/* Image bytes [from, to) are `value`, and all others the pattern. */
static void assert_image(struct bench *b, u64 from, u64 to, u8 value)
{
	static u8 bytes[IMAGE_BYTES];

	assert_int_equal(pread(b->image_fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (u32 i = 0; i < IMAGE_BYTES; i++) {
		u8 want = i >= from && i < to ? value : pattern(i);

		if (bytes[i] != want)
			fail_msg("byte %u of the image: %u, not %u", i, bytes[i], want);
	}
}

#define assert_image_untouched(b) assert_image(b, 0, 0, 0)

static int setup(void **state, const char *engine)
{
	struct bench *b = calloc(1, sizeof(*b));

	host_reset();
	b->engine = engine;
	snprintf(b->path, sizeof(b->path), "%s/kiln-blk-XXXXXX", getenv("TMPDIR") ?: "/tmp");
	b->image_fd = mkstemp(b->path);
	assert_true(b->image_fd >= 0);
	image_fill(b);
	*state = b;
	return 0;
}

static int setup_sync(void **state)
{
	return setup(state, "sync");
}

static int setup_uring(void **state)
{
	return setup(state, "io_uring");
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->created)
		fg_destroy(&b->g);
	fd_close(&b->image_fd);
	unlink(b->path);
	free(b);
	return 0;
}

static void configure(struct bench *b, struct blk_cfg *cfg, const char *options)
{
	struct err e;

	memset(cfg, 0, sizeof(*cfg));
	opt_defaults(blk_opts, cfg);
	if (opt_parse_value(blk_opts, cfg, "path", b->path, &e) < 0 ||
	    opt_parse_value(blk_opts, cfg, "engine", b->engine, &e) < 0 ||
	    (options[0] && opt_parse_pairs(blk_opts, cfg, options, &e) < 0))
		fail_msg("%s", e.text);
}

/* A device that offers its features; its rings are not started. */
static void prepare(struct bench *b, const char *options)
{
	struct fdset fds = { 0 };
	struct err e = { 0 };

	configure(b, &b->cfg, options);
	if (blk_image_open(&b->cfg, &fds, &e) < 0)
		fail_msg("%s", e.text);
	fg_create(&b->g, "virtio-blk", &b->cfg, &fds);
	b->created = true;
	assert_int_equal(fds.fds[0], -1);
}

static struct fake_guest *start(struct bench *b, const char *options)
{
	prepare(b, options);
	fg_start(&b->g);
	return &b->g;
}

/* Opening fails with these words. */
static void assert_refused(struct bench *b, const char *options, int code, const char *words)
{
	static struct blk_cfg cfg;
	struct fdset fds = { 0 };
	struct err e = { 0 };

	configure(b, &cfg, options);
	assert_int_equal(blk_image_open(&cfg, &fds, &e), code);
	assert_int_equal(fds.count, 0);
	if (!strstr(e.text, words))
		fail_msg("'%s' is not in: %s", words, e.text);
}

/* --- Requests --------------------------------------------------------------------------------- */

static struct virtio_blk_header header(u32 type, u64 sector)
{
	return (struct virtio_blk_header){ .type = le32_make(type), .sector = le64_make(sector) };
}

#define REQUEST(g, request_type, sector, ...)                                 \
	({                                                                    \
		struct virtio_blk_header asks = header(request_type, sector); \
		fg_do(g, 0, OUT(&asks, sizeof(asks)), __VA_ARGS__);           \
	})

#define assert_answer(used_expr, want_status, want_written)                      \
	do {                                                                     \
		struct fg_used answer = used_expr;                               \
		assert_int_equal(answer.in[answer.in_bytes - 1], (want_status)); \
		assert_int_equal(answer.written, (want_written));                \
	} while (0)

#define assert_ok(used_expr) assert_answer(used_expr, VIRTIO_BLK_S_OK, 1)
#define assert_ioerr(used_expr) assert_answer(used_expr, VIRTIO_BLK_S_IOERR, 1)
#define assert_unsupp(used_expr) assert_answer(used_expr, VIRTIO_BLK_S_UNSUPP, 1)

static struct virtio_blk_segment segment(u64 sector, u32 nr, u32 flags)
{
	return (struct virtio_blk_segment){ le64_make(sector), le32_make(nr), le32_make(flags) };
}

static struct fg_used segments(struct fake_guest *g, u32 type,
			       const struct virtio_blk_segment *list, size_t nr)
{
	return REQUEST(g, type, 0, OUT(list, nr * sizeof(*list)), IN(1));
}

static struct fg_used one_segment(struct fake_guest *g, u32 type, u64 sector, u32 nr, u32 flags)
{
	struct virtio_blk_segment s = segment(sector, nr, flags);

	return segments(g, type, &s, 1);
}

static void assert_pattern(const u8 *bytes, u64 offset, u64 len)
{
	for (u64 i = 0; i < len; i++)
		if (bytes[i] != pattern(offset + i))
			fail_msg("byte %u is not the image's", (u32)i);
}

static u8 *full_of(u8 value)
{
	static u8 bytes[IMAGE_BYTES];

	memset(bytes, value, sizeof(bytes));
	return bytes;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void what_is_no_disk_is_refused_by_its_kind(void **state)
{
	struct bench *b = *state;
	char file[sizeof(b->path)];

	memcpy(file, b->path, sizeof(file));
	snprintf(b->path, sizeof(b->path), "/tmp");
	assert_refused(b, "", -EINVAL, "'/tmp' is a directory: a disk is a regular file");
	snprintf(b->path, sizeof(b->path), "/dev/zero");
	assert_refused(b, "", -EINVAL, "is a character device");
	snprintf(b->path, sizeof(b->path), "/nowhere/at.all");
	assert_refused(b, "", -ENOENT, "open '/nowhere/at.all': No such file or directory");
	memcpy(b->path, file, sizeof(file));
	assert_int_equal(unlink(b->path), 0);
	assert_int_equal(mkfifo(b->path, 0600), 0);
	assert_refused(b, "", -EINVAL, "is a FIFO");
	assert_refused(b, "ro", -EINVAL, "is a FIFO"); /* and does not wait for a writer */
}

static void a_path_must_be_given(void **state)
{
	struct bench *b = *state;

	b->path[0] = '\0';
	assert_refused(b, "", -EINVAL, "path=FILE is missing");
}

static void a_file_that_may_not_be_written_says_that_ro_helps(void **state)
{
	struct bench *b = *state;
	char words[160];
	uid_t uid = geteuid();

	snprintf(words, sizeof(words),
		 "open '%s' for writing: Permission denied: give `ro` if reading is enough",
		 b->path);
	assert_int_equal(fchmod(b->image_fd, 0444), 0);
	if (uid == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_refused(b, "", -EACCES, words);
	start(b, "ro");
	assert_int_equal(seteuid(uid), 0);
}

static void sizes_are_whole_blocks(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ftruncate(b->image_fd, 511), 0);
	assert_refused(b, "", -EINVAL, "511 bytes hold no block of 512: truncate -s 1G");
	assert_int_equal(ftruncate(b->image_fd, 4095), 0);
	assert_refused(b, "block_size=4096", -EINVAL, "4095 bytes hold no block of 4096");
	assert_int_equal(ftruncate(b->image_fd, 3 * 4096 + 700), 0);
	prepare(b, "");
	assert_true(b->cfg.image.size_bytes == 3 * 4096 + 512);
	fg_destroy(&b->g);
	prepare(b, "block_size=4096");
	assert_true(b->cfg.image.size_bytes == 3 * 4096);
}

static void one_writer_or_many_readers_have_an_image(void **state)
{
	struct bench *b = *state;
	static struct blk_cfg cfg;
	struct fdset fds = { 0 };
	struct err e;

	configure(b, &cfg, "");
	assert_int_equal(blk_image_open(&cfg, &fds, &e), 0);
	assert_refused(b, "", -EBUSY, "is in use by another machine or disk");
	assert_refused(b, "ro", -EBUSY, "another machine writes to it");
	fdset_close(&fds);
	for (u32 i = 0; i < 2; i++) {
		configure(b, &cfg, "ro");
		assert_int_equal(blk_image_open(&cfg, &fds, &e), 0);
	}
	assert_refused(b, "", -EBUSY, "give `ro` to both");
	fdset_close(&fds);
	fds.count = 0;
	configure(b, &cfg, "");
	assert_int_equal(blk_image_open(&cfg, &fds, &e), 0);
	fdset_close(&fds);
}

static void a_device_keeps_its_lock_until_it_is_destroyed(void **state)
{
	struct bench *b = *state;

	start(b, "");
	assert_refused(b, "ro", -EBUSY, "is in use");
	fg_destroy(&b->g);
	start(b, "ro");
}

static void discard_that_cannot_be_is_refused(void **state)
{
	struct bench *b = *state;

	assert_refused(b, "discard=on,ro", -EINVAL, "discard=on and ro exclude each other");
	host_fail(HOST_ALLOCATE, EOPNOTSUPP, 1);
	assert_refused(b, "discard=on", -EINVAL, "discard=on: the host cannot");
}

static void an_options_struct_fits_and_its_words_parse(void **state)
{
	static struct blk_cfg cfg;
	struct bench *b = *state;
	struct err e;

	assert_true(sizeof(cfg) <= VDEV_CFG_BYTES_MAX);
	configure(b, &cfg,
		  "format=raw,ro,id=01234567890123456789,queues=16,block_size=4096,"
		  "direct=on,discard=off");
	assert_int_equal(cfg.queues, 16);
	assert_string_equal(cfg.id, "01234567890123456789");
	assert_true(cfg.read_only && cfg.direct);
	assert_int_equal(opt_parse_pairs(blk_opts, &cfg, "id=012345678901234567890", &e), -EINVAL);
	assert_string_equal(e.text, "id: 21 bytes are too long (at most 20)");
	assert_int_equal(opt_parse_pairs(blk_opts, &cfg, "format=qcow2", &e), -EINVAL);
	assert_int_equal(opt_parse_pairs(blk_opts, &cfg, "queues=17", &e), -EINVAL);
	assert_int_equal(opt_parse_pairs(blk_opts, &cfg, "block_size=1024", &e), -EINVAL);
}

static void shorthands_are_made_of_options(void **state)
{
	const struct vdev_class *cls = vdev_class_find("virtio-blk");
	static struct blk_cfg cfg;
	struct err e;

	(void)state;
	for (const struct vdev_shorthand *s = cls->shorthands; s->name; s++) {
		memset(&cfg, 0, sizeof(cfg));
		assert_int_equal(opt_parse_value(cls->opts, &cfg, s->key, "/a,b", &e), 0);
		assert_string_equal(cfg.path, "/a,b");
		if (s->pairs)
			assert_int_equal(opt_parse_pairs(cls->opts, &cfg, s->pairs, &e), 0);
		assert_int_equal(cfg.read_only, strncmp(s->name, "rw", 2) != 0);
	}
}

/* --- Features and configuration space --------------------------------------------------------- */

#define ALWAYS                                                                              \
	(BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | \
	 BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE))

static u64 own_features(struct bench *b)
{
	return b->g.v->features_offered & 0xffffff;
}

static void features_are_what_the_image_can_do(void **state)
{
	struct bench *b = *state;

	prepare(b, "discard=on");
	assert_true(own_features(b) ==
		    (ALWAYS | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
	fg_destroy(&b->g);
	prepare(b, "discard=off,queues=2");
	assert_true(own_features(b) ==
		    (ALWAYS | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
	fg_destroy(&b->g);
	prepare(b, "ro");
	assert_true(own_features(b) == (ALWAYS | BIT(VIRTIO_BLK_F_RO)));
}

static void configuration_space_is_this(void **state)
{
	static const u8 want[60] = {
		0x00, 0x08, 0,  0, 0,    0, 0, 0, /* 2048 sectors */
		0,    0,    0,  0, 0xfe, 0, 0, 0, /* no size_max, 254 segments */
		0,    0,    0,  0, 0x00, 2, 0, 0, /* no geometry, blocks of 512 bytes */
		3,    0,    8,  0, 0,    0, 0, 0, /* eight of them at a time */
		1,    0,    4,  0,                /* writeback, 4 queues */
		0,    0,    32, 0, 16,   0, 0, 0, /* 1 GiB in 16 segments */
		8,    0,    0,  0,                /* of 4 KiB */
		0,    0,    2,  0, 1,    0, 0, 0, /* 64 MiB of zeroes at once */
		1,    0,    0,  0,                /* which may unmap */
	};
	struct bench *b = *state;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	prepare(b, "queues=4,discard=on");
	fg_config(&b->g, config);
	assert_memory_equal(config, want, sizeof(want));
	fg_start(&b->g);
	fg_config(&b->g, config);
	assert_memory_equal(config, want, sizeof(want));
}

static void configuration_space_of_a_read_only_disk_has_no_limits_for_writing(void **state)
{
	static const u8 nothing[24];
	struct bench *b = *state;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	prepare(b, "ro,block_size=4096");
	fg_config(&b->g, config);
	assert_int_equal(bytes_get_le(config + 20, 4), 4096);
	assert_int_equal(bytes_get_le(config + 24, 4), 1 << 16); /* as large as physical ones */
	assert_memory_equal(config + 36, nothing, sizeof(nothing));
}

static void only_writeback_can_be_written(void **state)
{
	struct bench *b = *state;
	u8 before[VDEV_CONFIG_BYTES_MAX], after[VDEV_CONFIG_BYTES_MAX], noise[60];

	start(b, "");
	fg_config(&b->g, before);
	memset(noise, 0xfe, sizeof(noise)); /* its lowest bit is clear */
	for (u32 len = 1; len <= 60; len++)
		for (u32 offset = 0; offset + len <= 60; offset++)
			fg_config_write(&b->g, offset, noise, len);
	fg_config(&b->g, after);
	assert_int_equal(after[32], 0);
	after[32] = 1;
	assert_memory_equal(before, after, sizeof(after));
	fg_config_write(&b->g, 32, "\1", 1);
	fg_config(&b->g, after);
	assert_int_equal(after[32], 1);
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static void reads_scatter_the_image_into_buffers(void **state)
{
	struct bench *b = *state;
	struct fg_used used;

	start(b, "ro");
	used = REQUEST(&b->g, VIRTIO_BLK_T_IN, 3, IN(512), IN(1000), IN(24), IN(1));
	assert_int_equal(used.written, 1536 + 1);
	assert_int_equal(used.in[1536], VIRTIO_BLK_S_OK);
	assert_pattern(used.in, 3 * 512, 1536);
	assert_int_equal(host[HOST_READ].made, 1);
}

static void writes_gather_buffers_into_the_image(void **state)
{
	struct bench *b = *state;

	start(b, "");
	assert_ok(REQUEST(&b->g, VIRTIO_BLK_T_OUT, 5, OUT(full_of(0xaa), 100),
			  OUT(full_of(0xaa), 924), IN(1)));
	assert_image(b, 5 * 512, 7 * 512, 0xaa);
	assert_int_equal(host[HOST_WRITE].made, 1);
	assert_int_equal(host[HOST_FLUSH].made, 0);
}

static void the_last_sector_is_there_and_none_behind_it(void **state)
{
	struct bench *b = *state;

	start(b, "");
	assert_answer(REQUEST(&b->g, VIRTIO_BLK_T_IN, SECTORS - 1, IN(512), IN(1)), VIRTIO_BLK_S_OK,
		      513);
	assert_ioerr(REQUEST(&b->g, VIRTIO_BLK_T_IN, SECTORS - 1, IN(1024), IN(1)));
	assert_ioerr(REQUEST(&b->g, VIRTIO_BLK_T_IN, SECTORS, IN(512), IN(1)));
	assert_ioerr(REQUEST(&b->g, VIRTIO_BLK_T_OUT, SECTORS - 1, OUT(NULL, 1024), IN(1)));
	assert_ioerr(REQUEST(&b->g, VIRTIO_BLK_T_OUT, SECTORS, OUT(NULL, 512), IN(1)));
	assert_image_untouched(b);
	assert_int_equal(lseek(b->image_fd, 0, SEEK_END), IMAGE_BYTES);
}

static void sectors_that_wrap_are_past_the_end(void **state)
{
	static const u64 sectors[] = { 1ull << 63,          (1ull << 55) - 1, 1ull << 55,
				       (1ull << 55) + 1,    UINT64_MAX,       UINT64_MAX / 512,
				       UINT64_MAX / 512 + 1 };
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");

	for (u32 i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, sectors[i], IN(512), IN(1)));
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, sectors[i], OUT(NULL, 512), IN(1)));
		assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, sectors[i], 8, 0));
		assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, sectors[i], 8, 1));
	}
	assert_image_untouched(b);
}

static void lengths_are_whole_blocks(void **state)
{
	static const u32 lengths[] = { 1, 511, 513, 1023 };
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct fg_used used = REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(lengths[i]), IN(1));

		assert_int_equal(used.in[0], FG_UNTOUCHED);
		assert_ioerr(used);
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, lengths[i]), IN(1)));
	}
	assert_image_untouched(b);
	assert_int_equal(host[HOST_READ].made + host[HOST_WRITE].made, 0);
}

static void a_disk_of_large_blocks_takes_no_small_ones(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "block_size=4096");

	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, 8, IN(512), IN(1)));
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, 7, IN(4096), IN(1)));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 8, 9, 0));
	assert_answer(REQUEST(g, VIRTIO_BLK_T_IN, 8, IN(4096), IN(1)), VIRTIO_BLK_S_OK, 4097);
}

static void requests_without_data_do_nothing_well(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	assert_ok(REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(1)));
	assert_ok(REQUEST(g, VIRTIO_BLK_T_OUT, SECTORS, IN(1)));
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, SECTORS + 1, IN(1)));
	assert_image_untouched(b);
}

static void a_chain_may_be_as_long_as_the_ring(void **state)
{
	struct fg_buffer buffers[BLK_QUEUE_SIZE];
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 0);
	struct bench *b = *state;
	struct fg_used used;

	start(b, "");
	buffers[0] = OUT(&hdr, sizeof(hdr));
	for (u32 i = 1; i < BLK_QUEUE_SIZE - 1; i++)
		buffers[i] = IN(512);
	buffers[BLK_QUEUE_SIZE - 1] = IN(1);
	used = fg_run(&b->g, 0, buffers, BLK_QUEUE_SIZE);
	assert_int_equal(used.written, (BLK_QUEUE_SIZE - 2) * 512 + 1);
	assert_pattern(used.in, 0, used.written - 1);
}

static void a_header_may_come_in_pieces_and_the_status_with_the_data(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 9);
	const u8 *bytes = (const u8 *)&hdr;
	struct bench *b = *state;
	struct fg_used used;

	start(b, "");
	used = fg_do(&b->g, 0, OUT(bytes, 3), OUT(bytes + 3, 6), OUT(bytes + 9, 7), IN(500),
		     IN(13));
	assert_int_equal(used.written, 513);
	assert_int_equal(used.in[512], VIRTIO_BLK_S_OK);
	assert_pattern(used.in, 9 * 512, 512);

	hdr = header(VIRTIO_BLK_T_OUT, 1);
	u8 all[16 + 512];
	memcpy(all, &hdr, 16);
	memset(all + 16, 0x55, 512);
	assert_ok(fg_do(&b->g, 0, OUT(all, sizeof(all)), IN(1)));
	assert_image(b, 512, 1024, 0x55);
}

static void a_read_only_disk_refuses_whatever_changes_it(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "ro");

	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, 512), IN(1)));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0));
	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
	assert_image_untouched(b);
}

static void requests_on_every_queue_are_answered_there(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 1);
	struct bench *b = *state;

	start(b, "queues=16");
	assert_int_equal(b->g.v->nr_queues, 16);
	for (u32 qi = 0; qi < 16; qi++)
		assert_answer(fg_do(&b->g, qi, OUT(&hdr, sizeof(hdr)), IN(512), IN(1)),
			      VIRTIO_BLK_S_OK, 513);
}

static void many_requests_at_once_are_all_answered(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 2);
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < BLK_QUEUE_SIZE; i++)
			fg_chain_table(g, 0, OUT(&hdr, sizeof(hdr)), IN(512), IN(1));
		fg_kick(g, 0);
		for (u32 i = 0; i < BLK_QUEUE_SIZE; i++)
			assert_answer(fg_wait(g, 0), VIRTIO_BLK_S_OK, 513);
	}
	assert_true(fg_is_quiet(g));
}

static void data_over_its_own_status_byte_ends_with_the_status(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 1);
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");
	gpa_t at = fg_alloc(g, 512), hdr_at = fg_alloc(g, sizeof(hdr));

	memcpy(fg_ptr(g, hdr_at, sizeof(hdr)), &hdr, sizeof(hdr));
	fg_desc(g, 0, 0, hdr_at, sizeof(hdr), VIRTQ_DESC_F_NEXT, 1);
	fg_desc(g, 0, 1, at, 512, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 2);
	fg_desc(g, 0, 2, at + 7, 1, VIRTQ_DESC_F_WRITE, 0);
	fg_offer(g, 0, 0);
	fg_force_kick(g, 0);
	FG_WAIT(g, fg_used_idx(g, 0) == 1);
	assert_int_equal(*(u8 *)fg_ptr(g, at + 7, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(*(u8 *)fg_ptr(g, at + 8, 1), pattern(512 + 8));

	/* The same bytes as header, data and status: what was read first counts. */
	hdr = header(VIRTIO_BLK_T_OUT, 1);
	memcpy(fg_ptr(g, at, sizeof(hdr)), &hdr, sizeof(hdr));
	fg_desc(g, 0, 0, at, sizeof(hdr), VIRTQ_DESC_F_NEXT, 1);
	fg_desc(g, 0, 1, at, 512, VIRTQ_DESC_F_NEXT, 2);
	fg_desc(g, 0, 2, at, 1, VIRTQ_DESC_F_WRITE, 0);
	fg_offer(g, 0, 0);
	fg_force_kick(g, 0);
	FG_WAIT(g, fg_used_idx(g, 0) == 2);
	assert_int_equal(*(u8 *)fg_ptr(g, at, 1), VIRTIO_BLK_S_OK);
}

/* --- Drivers that break the device ------------------------------------------------------------ */

#define assert_breaks(g, words, ...)                  \
	do {                                          \
		fg_chain(g, 0, __VA_ARGS__);          \
		fg_kick(g, 0);                        \
		FG_WAIT(g, (g)->nr_broken == 1);      \
		assert_string_equal((g)->log, words); \
		(g)->nr_broken = 0;                   \
		fg_stop(g);                           \
		fg_start(g);                          \
	} while (0)

static void a_request_without_header_or_status_breaks_the_device(void **state)
{
	static const char no_header[] = "virtio-blk.0: ring 0: a request without a whole header";
	static const char no_status[] = "virtio-blk.0: ring 0: a request without a status byte";
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_FLUSH, 0);
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	assert_breaks(g, no_header, OUT(&hdr, 15), IN(1));
	assert_breaks(g, no_header, IN(513));
	assert_breaks(g, no_status, OUT(&hdr, sizeof(hdr)));
	assert_breaks(g, no_status, OUT(&hdr, sizeof(hdr)), OUT(NULL, 512), IN(0));
	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
}

static void a_broken_device_has_answered_what_came_before(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_OUT, 0);
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	fg_chain(g, 0, OUT(&hdr, sizeof(hdr)), OUT(full_of(1), 512), IN(1));
	fg_chain(g, 0, OUT(&hdr, sizeof(hdr)), OUT(full_of(2), 512));
	fg_chain(g, 0, OUT(&hdr, sizeof(hdr)), OUT(full_of(3), 512), IN(1));
	fg_kick(g, 0);
	FG_WAIT(g, g->nr_broken == 1 && fg_used_idx(g, 0) > 0);
	assert_int_equal(fg_used_idx(g, 0), 1);
	assert_image(b, 0, 512, 1);
}

/* --- Other requests --------------------------------------------------------------------------- */

static void get_id_answers_twenty_bytes_padded_with_zeroes(void **state)
{
	struct bench *b = *state;
	struct fg_used used;

	start(b, "id=root disk");
	used = REQUEST(&b->g, VIRTIO_BLK_T_GET_ID, 0, IN(20), IN(1));
	assert_int_equal(used.written, 21);
	assert_memory_equal(used.in, "root disk\0\0\0\0\0\0\0\0\0\0\0", 21);
	used = REQUEST(&b->g, VIRTIO_BLK_T_GET_ID, 0, IN(3), IN(4), IN(1));
	assert_int_equal(used.written, 8);
	assert_memory_equal(used.in, "root di\0", 8);
	used = REQUEST(&b->g, VIRTIO_BLK_T_GET_ID, 0, IN(30), IN(1));
	assert_int_equal(used.in[20], FG_UNTOUCHED);
	assert_answer(used, VIRTIO_BLK_S_OK, 21);
	assert_ok(REQUEST(&b->g, VIRTIO_BLK_T_GET_ID, 0, IN(1)));
}

static void types_that_are_not_known_are_unsupported(void **state)
{
	static const u32 types[] = { 2, 3, 5, 9, 10, 14, 15, 16, 24, 0x80000000, UINT32_MAX };
	struct bench *b = *state;

	start(b, "");
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		struct fg_used used =
			REQUEST(&b->g, types[i], 0, OUT(full_of(9), 512), IN(512), IN(1));

		assert_int_equal(used.in[0], FG_UNTOUCHED);
		assert_unsupp(used);
	}
	assert_image_untouched(b);
}

static void flush_reaches_the_host_and_so_does_its_failure(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
	assert_int_equal(host[HOST_FLUSH].made, 1);
	host_fail(HOST_FLUSH, EINTR, 3);
	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
	host_fail(HOST_FLUSH, EIO, 1);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
	assert_non_null(strstr(g->log, "flush"));
	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
}

/* --- Write-back and write-through ------------------------------------------------------------- */

static u32 flushes_of_a_write(struct fake_guest *g)
{
	u32 before = host[HOST_FLUSH].made;

	assert_ok(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, 512), IN(1)));
	return host[HOST_FLUSH].made - before;
}

static void a_driver_that_turns_the_cache_off_needs_no_flush(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	assert_int_equal(flushes_of_a_write(g), 0);
	fg_config_write(g, 32, "\0", 1);
	assert_int_equal(flushes_of_a_write(g), 1);
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0));
	assert_int_equal(host[HOST_FLUSH].made, 2);
	host_fail(HOST_FLUSH, EIO, 1);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, 512), IN(1)));
	fg_config_write(g, 32, "\1", 1);
	assert_int_equal(flushes_of_a_write(g), 0);
}

static void a_driver_that_cannot_flush_gets_stable_writes(void **state)
{
	u8 config[VDEV_CONFIG_BYTES_MAX];
	struct bench *b = *state;

	prepare(b, "");
	b->g.features &= ~BIT(VIRTIO_BLK_F_FLUSH);
	fg_start(&b->g);
	fg_config(&b->g, config);
	assert_int_equal(config[32], 0);
	fg_config_write(&b->g, 32, "\1", 1);
	assert_int_equal(flushes_of_a_write(&b->g), 1);
	fg_stop(&b->g);

	/* Without CONFIG_WCE what another driver left there does not count. */
	fg_config_write(&b->g, 32, "\0", 1);
	b->g.features = b->g.v->features_offered & ~BIT(VIRTIO_BLK_F_CONFIG_WCE);
	fg_start(&b->g);
	assert_int_equal(flushes_of_a_write(&b->g), 0);
}

/* --- Discarding and zeroing ------------------------------------------------------------------- */

static u64 blocks_of(struct bench *b)
{
	struct stat st;

	assert_int_equal(fstat(b->image_fd, &st), 0);
	return (u64)st.st_blocks;
}

static void discard_gives_storage_back(void **state)
{
	struct bench *b = *state;
	u64 before = blocks_of(b);

	start(b, "discard=on");
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 64, 128, 0));
	assert_image(b, 64 * 512, 192 * 512, 0);
	assert_true(blocks_of(b) < before);
	assert_int_equal(lseek(b->image_fd, 0, SEEK_END), IMAGE_BYTES);
}

static void discard_of_less_than_the_host_can_give_back_does_nothing(void **state)
{
	struct bench *b = *state;

	start(b, "discard=on");
	host_reset();
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 1, 6, 0));
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 0, 0, 0));
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 1, 8, 0));
	assert_int_equal(host[HOST_ALLOCATE].made, 0);
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 1, 22, 0));
	assert_image(b, 4096, 8192, 0);
}

static void segments_are_bounded_in_number_and_in_length(void **state)
{
	struct virtio_blk_segment list[BLK_SEGMENTS_MAX + 1];
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");
	struct fg_used used;

	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = segment((u64)i * 16, 8, 0);
	host_reset();
	assert_ioerr(segments(g, VIRTIO_BLK_T_DISCARD, list, BLK_SEGMENTS_MAX + 1));
	assert_ioerr(segments(g, VIRTIO_BLK_T_WRITE_ZEROES, list, 2));
	assert_ioerr(segments(g, VIRTIO_BLK_T_DISCARD, list, 0));
	used = REQUEST(g, VIRTIO_BLK_T_DISCARD, 0, OUT(list, 31), IN(1));
	assert_ioerr(used);
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, SECTORS - 8, 9, 0));
	assert_int_equal(host[HOST_ALLOCATE].made, 0);
	assert_image_untouched(b);
	assert_ok(segments(g, VIRTIO_BLK_T_DISCARD, list, BLK_SEGMENTS_MAX));
	assert_int_equal(host[HOST_ALLOCATE].made, BLK_SEGMENTS_MAX);
}

static void ranges_longer_than_was_offered_are_refused(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g;

	assert_int_equal(ftruncate(b->image_fd, (off_t)GIB(2)), 0);
	g = start(b, "discard=on");
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, 0, 2097153, 0));
	assert_ok(one_segment(g, VIRTIO_BLK_T_DISCARD, 2097152, 2097152, 0));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 0, 131073, 1));
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 2097152, 131072, 1));
	assert_image_untouched(b);
}

static void one_bad_segment_keeps_all_from_being_done(void **state)
{
	struct virtio_blk_segment list[2] = { segment(0, 8, 0), segment(SECTORS, 8, 0) };
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");

	assert_ioerr(segments(g, VIRTIO_BLK_T_DISCARD, list, 2));
	list[1] = segment(8, 8, 2);
	assert_unsupp(segments(g, VIRTIO_BLK_T_DISCARD, list, 2));
	assert_image_untouched(b);
}

static void unknown_flags_are_unsupported(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");

	for (u32 bit = 0; bit < 32; bit++) {
		assert_unsupp(one_segment(g, VIRTIO_BLK_T_DISCARD, 0, 8, 1u << bit));
		if (bit > 0)
			assert_unsupp(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1u << bit));
	}
	assert_unsupp(one_segment(g, VIRTIO_BLK_T_DISCARD, UINT64_MAX, 8, 1));
	assert_image_untouched(b);
}

static void discard_that_was_not_offered_is_unsupported(void **state)
{
	struct bench *b = *state;

	start(b, "discard=off");
	assert_unsupp(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
	assert_image_untouched(b);
}

static void a_host_that_cannot_discard_after_all_says_unsupported(void **state)
{
	struct bench *b = *state;

	start(b, "discard=on");
	host_fail(HOST_ALLOCATE, EOPNOTSUPP, 1);
	assert_unsupp(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
	host_fail(HOST_ALLOCATE, EIO, 1);
	assert_ioerr(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
	host_fail(HOST_ALLOCATE, EINTR, 2);
	assert_ok(one_segment(&b->g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
}

static void zeroes_are_read_after_write_zeroes(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");

	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 3, 1000, 0));
	assert_image(b, 3 * 512, 1003 * 512, 0);
	image_fill(b);
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 5, 1001, 1));
	assert_image(b, 5 * 512, 1006 * 512, 0);
	assert_int_equal(host[HOST_ALLOCATE].last, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 5, 0, 0));
}

static void zeroes_are_written_where_the_host_knows_no_better(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=on");

	host_fail(HOST_ALLOCATE, EOPNOTSUPP, 2);
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 1, SECTORS - 2, 1));
	assert_image(b, 512, IMAGE_BYTES - 512, 0);
	assert_int_equal(host[HOST_WRITE].made, 4);
	host_reset(); /* it is not asked again */
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 1, 8, 1));
	assert_int_equal(host[HOST_ALLOCATE].made, 0);
	host_fail(HOST_WRITE, ENOSPC, 1);
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 1, 8, 0));
}

static void storage_stays_where_it_must_not_be_given_back(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "discard=off");

	host_reset();
	assert_ok(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 1));
	assert_int_equal(host[HOST_ALLOCATE].last, 0x10 | FALLOC_FL_KEEP_SIZE); /* ZERO_RANGE */
	assert_image(b, 4096, 8192, 0);
}

/* --- Hosts that fail -------------------------------------------------------------------------- */

static void a_host_that_does_half_is_asked_for_the_rest(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");
	struct fg_used used;

	host[HOST_READ].most = host[HOST_WRITE].most = 100;
	host_fail(HOST_READ, EINTR, 2);
	host_fail(HOST_WRITE, EINTR, 2);
	used = REQUEST(g, VIRTIO_BLK_T_IN, 7, IN(150), IN(362), IN(1));
	assert_pattern(used.in, 7 * 512, 512);
	assert_answer(used, VIRTIO_BLK_S_OK, 513);
	assert_ok(
		REQUEST(g, VIRTIO_BLK_T_OUT, 7, OUT(full_of(4), 333), OUT(full_of(4), 179), IN(1)));
	assert_image(b, 7 * 512, 8 * 512, 4);
}

static void what_the_host_refuses_is_an_io_error_and_the_next_request_works(void **state)
{
	static const int codes[] = { EIO, ENOSPC, EFBIG, EPERM, EDQUOT, EOPNOTSUPP };
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
		host_fail(HOST_READ, codes[i], 1);
		host_fail(HOST_WRITE, codes[i], 1);
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)));
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, 512), IN(1)));
		assert_answer(REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
	}
	assert_int_equal(g->nr_broken, 0);
	assert_image_untouched(b);
}

static void a_failing_host_is_named_in_the_log(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	host_fail(HOST_WRITE, ENOSPC, 1);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 2, OUT(NULL, 512), IN(1)));
	assert_string_equal(g->log,
			    "virtio-blk.0: write, 512 bytes at 1024: No space left on device");
	host_fail(HOST_READ, EIO, 1000);
	for (u32 i = 0; i < 1000; i++)
		assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)));
	assert_true(g->nr_lines < 100); /* a guest cannot fill the host's log */
}

static void an_image_that_was_cut_short_is_an_io_error(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	assert_int_equal(ftruncate(b->image_fd, 1024), 0);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_IN, 1, IN(1024), IN(1)));
	assert_string_equal(g->log,
			    "virtio-blk.0: read, 1024 bytes at 512: the image was cut short");
	assert_answer(REQUEST(g, VIRTIO_BLK_T_IN, 1, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
}

/* A host's real limits, beside those that are played: on the size of files, */
static void a_limit_on_the_size_of_files_is_an_io_error(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4096 + 100; /* half way */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 8, OUT(full_of(8), 512), IN(1)));
	assert_int_equal(host[HOST_WRITE].made, 2);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_image(b, 4096, 4096 + 100, 8);
	assert_ok(REQUEST(g, VIRTIO_BLK_T_OUT, 8, OUT(full_of(8), 512), IN(1)));
	assert_image(b, 4096, 4096 + 512, 8);
}

/* and on writing at all. */
static void an_image_that_was_sealed_is_an_io_error(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g;

	unlink(b->path);
	fd_close(&b->image_fd);
	b->image_fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	image_fill(b);
	snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", b->image_fd);
	g = start(b, "discard=on");
	assert_int_equal(fcntl(b->image_fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 0, OUT(NULL, 512), IN(1)));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_DISCARD, 0, 8, 0));
	assert_ioerr(one_segment(g, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1));
	assert_answer(REQUEST(g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
	assert_image_untouched(b);
}

/* --- Direct I/O ------------------------------------------------------------------------------- */

/* Not every file system has it. */
static bool start_direct(struct bench *b, const char *options)
{
	static struct blk_cfg cfg;
	struct fdset fds = { 0 };
	struct err e;

	configure(b, &cfg, options);
	if (blk_image_open(&cfg, &fds, &e) < 0)
		return false;
	fdset_close(&fds);
	start(b, options);
	return true;
}

static void direct_io_takes_buffers_of_any_alignment(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	struct fg_used used;

	if (!start_direct(b, "direct=on,block_size=4096"))
		skip();
	/* Larger than the buffer that they go by, and never aligned. */
	used = REQUEST(g, VIRTIO_BLK_T_IN, 8, IN(1), IN(600 * 1024 - 1), IN(1));
	assert_pattern(used.in, 4096, 600 * 1024);
	assert_answer(used, VIRTIO_BLK_S_OK, 600 * 1024 + 1);
	assert_ok(REQUEST(g, VIRTIO_BLK_T_OUT, 8, OUT(full_of(6), 1),
			  OUT(full_of(6), 600 * 1024 - 1), IN(1)));
	assert_image(b, 4096, 4096 + 600 * 1024, 6);
	assert_int_equal(host[HOST_READ].made, 3);
	assert_true(host[HOST_READ].aligned && host[HOST_WRITE].aligned);
	host_fail(HOST_WRITE, EIO, 1);
	assert_ioerr(REQUEST(g, VIRTIO_BLK_T_OUT, 8, OUT(NULL, 1), OUT(NULL, 4095), IN(1)));
}

/* One request of `type` for 600 KiB at sector 8, with aligned data at `at`; its header behind. */
static void direct_request(struct fake_guest *g, u32 type, gpa_t at)
{
	struct virtio_blk_header hdr = header(type, 8);
	gpa_t hdr_at = at + 600 * 1024;
	u16 end = (u16)(fg_used_idx(g, 0) + 1), write = type == VIRTIO_BLK_T_IN;

	memcpy(fg_ptr(g, hdr_at, sizeof(hdr)), &hdr, sizeof(hdr));
	fg_desc(g, 0, 0, hdr_at, sizeof(hdr), VIRTQ_DESC_F_NEXT, 1);
	fg_desc(g, 0, 1, at, 600 * 1024, write * VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 2);
	fg_desc(g, 0, 2, hdr_at + 16, 1, VIRTQ_DESC_F_WRITE, 0);
	fg_offer(g, 0, 0);
	fg_force_kick(g, 0);
	FG_WAIT(g, fg_used_idx(g, 0) == end);
	assert_int_equal(*(u8 *)fg_ptr(g, hdr_at + 16, 1), VIRTIO_BLK_S_OK);
}

static void direct_io_goes_straight_to_aligned_buffers(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	gpa_t at;

	if (!start_direct(b, "direct=on,block_size=4096"))
		skip();
	at = ALIGN_UP(fg_alloc(g, 1 << 20), 4096);
	direct_request(g, VIRTIO_BLK_T_IN, at);
	assert_pattern(fg_ptr(g, at, 600 * 1024), 4096, 600 * 1024);
	assert_int_equal(host[HOST_READ].made, 1);
	memset(fg_ptr(g, at, 600 * 1024), 5, 600 * 1024);
	direct_request(g, VIRTIO_BLK_T_OUT, at);
	assert_image(b, 4096, 4096 + 600 * 1024, 5);
	assert_int_equal(host[HOST_WRITE].made, 1);
}

/* --- Reset ------------------------------------------------------------------------------------ */

static void a_disk_works_after_every_reset(void **state)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 0);
	struct bench *b = *state;
	struct fake_guest *g = start(b, "queues=3");

	for (u32 i = 0; i < 5; i++) {
		fg_chain(g, 1, OUT(&hdr, sizeof(hdr)), IN(512), IN(1));
		fg_kick(g, 1); /* and nobody waits for it */
		fg_stop(g);
		fg_start(g);
		assert_answer(REQUEST(g, VIRTIO_BLK_T_IN, i, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
	}
}

/* --- Many requests at a time: io_uring --------------------------------------------------------- */

/* Offer `nr` reads of sector 1 on ring `qi`, by tables, as many as there are descriptors. */
static void offer_reads(struct fake_guest *g, u32 qi, u32 nr)
{
	struct virtio_blk_header hdr = header(VIRTIO_BLK_T_IN, 1);

	for (u32 i = 0; i < nr; i++)
		fg_chain_table(g, qi, OUT(&hdr, sizeof(hdr)), IN(512), IN(1));
}

static void assert_reads(struct fake_guest *g, u32 qi, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		struct fg_used used = fg_wait(g, qi);

		assert_pattern(used.in, 512, 512);
		assert_answer(used, VIRTIO_BLK_S_OK, 513);
	}
}

static void one_kick_is_one_system_call(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	offer_reads(g, 0, BLK_QUEUE_SIZE);
	fg_kick(g, 0);
	assert_reads(g, 0, BLK_QUEUE_SIZE);
	assert_int_equal(ring.begun, 1);
	assert_int_equal(host[HOST_READ].made, BLK_QUEUE_SIZE);
}

static void requests_overtake_one_that_takes_long(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	ring.holds = true;
	offer_reads(g, 0, 1);
	fg_kick(g, 0);
	FG_WAIT(g, ring.nr_held == 1);
	assert_ok(REQUEST(g, VIRTIO_BLK_T_OUT, 9, OUT(full_of(3), 512), IN(1)));
	assert_ok(REQUEST(g, VIRTIO_BLK_T_FLUSH, 0, IN(1)));
	assert_int_equal(fg_used_idx(g, 0), 2);
	ring_let_go();
	assert_reads(g, 0, 1);
}

static void a_reset_waits_for_what_is_in_flight(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "queues=2");

	for (u32 i = 0; i < 3; i++) {
		ring.holds = true;
		offer_reads(g, 0, 10);
		offer_reads(g, 1, 10);
		fg_kick(g, 0);
		fg_kick(g, 1);
		FG_WAIT(g, ring.nr_held == 20);
		fg_stop(g);
		assert_int_equal(ring.nr_held, 0);
		ring.holds = false;
		fg_start(g);
		offer_reads(g, 1, 1);
		fg_kick(g, 1);
		assert_reads(g, 1, 1);
	}
}

static void a_device_that_goes_waits_for_what_is_in_flight(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	ring.holds = true;
	offer_reads(g, 0, 100);
	fg_kick(g, 0);
	FG_WAIT(g, ring.nr_held == 100);
	fg_destroy(g);
	b->created = false;
	assert_int_equal(ring.nr_held, 0);
}

static void a_ring_that_found_no_slot_has_its_turn_later(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "queues=3");

	ring.holds = true;
	offer_reads(g, 0, BLK_QUEUE_SIZE);
	fg_kick(g, 0);
	FG_WAIT(g, ring.nr_held == BLK_QUEUE_SIZE);
	offer_reads(g, 1, 7);
	offer_reads(g, 2, 9);
	fg_kick(g, 1);
	fg_kick(g, 2);
	fg_settle(g);
	assert_int_equal(ring.nr_held, BLK_QUEUE_SIZE);
	ring.holds = false;
	while (ring.nr_held > 0)
		ring_let_go();
	assert_reads(g, 0, BLK_QUEUE_SIZE);
	assert_reads(g, 1, 7);
	assert_reads(g, 2, 9);
}

static void a_ring_that_found_no_slot_hears_of_those_that_its_own_kick_set_free(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "queues=2");

	ring.holds = true;
	offer_reads(g, 0, BLK_QUEUE_SIZE);
	fg_kick(g, 0);
	FG_WAIT(g, ring.nr_held == BLK_QUEUE_SIZE);
	ring.holds = false;
	while (ring.nr_held > 0)
		ring_let_go();
	offer_reads(g, 1, 7);
	vdev_kick(g->v, 1); /* before the loop hears that anything is done */
	assert_reads(g, 0, BLK_QUEUE_SIZE);
	assert_reads(g, 1, 7);
}

static void a_ring_that_stops_leaves_its_slots_to_others(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "queues=2");

	ring.holds = true;
	offer_reads(g, 0, BLK_QUEUE_SIZE);
	fg_kick(g, 0);
	FG_WAIT(g, ring.nr_held == BLK_QUEUE_SIZE);
	offer_reads(g, 1, 7);
	fg_kick(g, 1);
	fg_settle(g);
	ring.holds = false;
	vdev_queue_stop(g->v, 0);
	assert_reads(g, 1, 7);
}

static void calls_the_ring_does_not_take_are_made_all_the_same(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = start(b, "");

	ring.refuses = -EBUSY;
	offer_reads(g, 0, 20);
	fg_kick(g, 0);
	assert_reads(g, 0, 20);
	assert_string_equal(g->log,
			    "virtio-blk.0: io_uring takes no more: Device or resource busy");
	assert_int_equal(host[HOST_READ].made, 40); /* each by the ring, then without it */
	host_fail(HOST_READ, EAGAIN, 1);
	offer_reads(g, 0, 1);
	fg_kick(g, 0);
	assert_reads(g, 0, 1);
}

static void a_host_without_io_uring_has_the_other_engine(void **state)
{
	struct bench *b = *state;
	struct fdset fds = { 0 };
	struct err e;

	ring.is_missing = true;
	configure(b, &b->cfg, "");
	assert_int_equal(blk_image_open(&b->cfg, &fds, &e), 0);
	assert_false(fg_try(&b->g, "virtio-blk", &b->cfg, &fds, &e));
	assert_string_equal(e.text, "virtio-blk.0: engine=io_uring (sync does without): "
				    "io_uring_setup: Operation not permitted");
	fg_destroy(&b->g);
	fdset_close(&fds);
	fds.count = 0;
	configure(b, &b->cfg, "engine=auto");
	assert_int_equal(blk_image_open(&b->cfg, &fds, &e), 0);
	b->cfg.image.in_memory = false;
	fg_create(&b->g, "virtio-blk", &b->cfg, &fds);
	b->created = true;
	fg_start(&b->g);
	assert_string_equal(b->g.log, "virtio-blk.0: no io_uring here (io_uring_setup: Operation "
				      "not permitted): engine=sync");
	assert_answer(REQUEST(&b->g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
}

static u32 ring_calls_of_a_read(struct bench *b, const char *options, bool in_memory)
{
	struct fdset fds = { 0 };
	struct err e;

	ring.begun = 0;
	configure(b, &b->cfg, options);
	assert_int_equal(blk_image_open(&b->cfg, &fds, &e), 0);
	b->cfg.image.in_memory = in_memory;
	fg_create(&b->g, "virtio-blk", &b->cfg, &fds);
	fg_start(&b->g);
	assert_answer(REQUEST(&b->g, VIRTIO_BLK_T_IN, 0, IN(512), IN(1)), VIRTIO_BLK_S_OK, 513);
	fg_destroy(&b->g);
	return ring.begun;
}

static void the_engine_is_what_was_asked_for_or_what_suits_the_image(void **state)
{
	struct bench *b = *state;
	struct err e;

	assert_int_equal(ring_calls_of_a_read(b, "engine=auto", false), 1);
	assert_int_equal(ring_calls_of_a_read(b, "engine=auto", true), 0);
	assert_int_equal(ring_calls_of_a_read(b, "engine=io_uring", true), 1);
	assert_int_equal(ring_calls_of_a_read(b, "engine=sync", false), 0);
	assert_int_equal(opt_parse_pairs(blk_opts, &b->cfg, "engine=aio", &e), -EINVAL);
}

/* --- Its process's seccomp policy ------------------------------------------------------------- */

static bool policy_allows(int nr, u64 arg1)
{
	const struct policy *policy = policy_find(vdev_class_find("virtio-blk")->policy);
	struct seccomp_data data = { .nr = nr, .args = { 3, arg1 } };

	data.arch = IS_ENABLED(CONFIG_X86_64) ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
	assert_non_null(policy);
	return bpf_eval(policy->filter, &data) == SECCOMP_RET_ALLOW;
}

static void its_policy_allows_what_the_engine_calls_and_little_else(void **state)
{
	(void)state;
	assert_true(policy_allows(SYS_preadv, 0));
	assert_true(policy_allows(SYS_pwritev, 0));
	assert_true(policy_allows(SYS_fdatasync, 0));
	assert_true(policy_allows(SYS_fallocate, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	assert_true(policy_allows(SYS_fallocate, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE));
	assert_true(policy_allows(SYS_ioctl, BLKDISCARD));
	assert_false(policy_allows(SYS_fallocate, 0));
	assert_false(policy_allows(SYS_fallocate, FALLOC_FL_ZERO_RANGE));
	assert_false(policy_allows(SYS_fallocate, FALLOC_FL_COLLAPSE_RANGE));
	assert_false(policy_allows(SYS_ioctl, BLKROSET));
	assert_false(policy_allows(SYS_ftruncate, 0));
	assert_false(policy_allows(SYS_openat, 0));
	assert_true(policy_allows(SYS_io_uring_enter, 1));
	assert_false(policy_allows(SYS_io_uring_setup, 0));
	assert_false(policy_allows(SYS_io_uring_register, IORING_REGISTER_FILES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ONE(test, engine) { #test " (" #engine ")", test, setup_##engine, teardown, NULL }
#define T(test) ONE(test, sync), ONE(test, uring)
		T(what_is_no_disk_is_refused_by_its_kind),
		T(a_path_must_be_given),
		T(a_file_that_may_not_be_written_says_that_ro_helps),
		T(sizes_are_whole_blocks),
		T(one_writer_or_many_readers_have_an_image),
		T(a_device_keeps_its_lock_until_it_is_destroyed),
		T(discard_that_cannot_be_is_refused),
		T(an_options_struct_fits_and_its_words_parse),
		T(shorthands_are_made_of_options),
		T(features_are_what_the_image_can_do),
		T(configuration_space_is_this),
		T(configuration_space_of_a_read_only_disk_has_no_limits_for_writing),
		T(only_writeback_can_be_written),
		T(reads_scatter_the_image_into_buffers),
		T(writes_gather_buffers_into_the_image),
		T(the_last_sector_is_there_and_none_behind_it),
		T(sectors_that_wrap_are_past_the_end),
		T(lengths_are_whole_blocks),
		T(a_disk_of_large_blocks_takes_no_small_ones),
		T(requests_without_data_do_nothing_well),
		T(a_chain_may_be_as_long_as_the_ring),
		T(a_header_may_come_in_pieces_and_the_status_with_the_data),
		T(a_read_only_disk_refuses_whatever_changes_it),
		T(requests_on_every_queue_are_answered_there),
		T(many_requests_at_once_are_all_answered),
		T(data_over_its_own_status_byte_ends_with_the_status),
		T(a_request_without_header_or_status_breaks_the_device),
		T(a_broken_device_has_answered_what_came_before),
		T(get_id_answers_twenty_bytes_padded_with_zeroes),
		T(types_that_are_not_known_are_unsupported),
		T(flush_reaches_the_host_and_so_does_its_failure),
		T(a_driver_that_turns_the_cache_off_needs_no_flush),
		T(a_driver_that_cannot_flush_gets_stable_writes),
		T(discard_gives_storage_back),
		T(discard_of_less_than_the_host_can_give_back_does_nothing),
		T(segments_are_bounded_in_number_and_in_length),
		T(ranges_longer_than_was_offered_are_refused),
		T(one_bad_segment_keeps_all_from_being_done),
		T(unknown_flags_are_unsupported),
		T(discard_that_was_not_offered_is_unsupported),
		T(a_host_that_cannot_discard_after_all_says_unsupported),
		T(zeroes_are_read_after_write_zeroes),
		T(zeroes_are_written_where_the_host_knows_no_better),
		T(storage_stays_where_it_must_not_be_given_back),
		T(a_host_that_does_half_is_asked_for_the_rest),
		T(what_the_host_refuses_is_an_io_error_and_the_next_request_works),
		T(a_failing_host_is_named_in_the_log),
		T(an_image_that_was_cut_short_is_an_io_error),
		T(a_limit_on_the_size_of_files_is_an_io_error),
		T(an_image_that_was_sealed_is_an_io_error),
		T(direct_io_takes_buffers_of_any_alignment),
		T(direct_io_goes_straight_to_aligned_buffers),
		T(a_disk_works_after_every_reset),
		ONE(one_kick_is_one_system_call, uring),
		ONE(requests_overtake_one_that_takes_long, uring),
		ONE(a_reset_waits_for_what_is_in_flight, uring),
		ONE(a_device_that_goes_waits_for_what_is_in_flight, uring),
		ONE(a_ring_that_found_no_slot_has_its_turn_later, uring),
		ONE(a_ring_that_found_no_slot_hears_of_those_that_its_own_kick_set_free, uring),
		ONE(a_ring_that_stops_leaves_its_slots_to_others, uring),
		ONE(calls_the_ring_does_not_take_are_made_all_the_same, uring),
		ONE(a_host_without_io_uring_has_the_other_engine, uring),
		ONE(the_engine_is_what_was_asked_for_or_what_suits_the_image, uring),
		cmocka_unit_test(its_policy_allows_what_the_engine_calls_and_little_else),
	};

	return cmocka_run_group_tests_name("virtio_blk", tests, NULL, NULL);
}
