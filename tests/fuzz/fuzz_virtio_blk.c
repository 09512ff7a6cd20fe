// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: requests for a disk, whatever they ask for; a model says what the image must hold.
// test-sources: drivers/virtio/blk/blk.c drivers/virtio/blk/image.c drivers/virtio/blk/steps.c drivers/virtio/blk/engine_sync.c drivers/virtio/blk/engine_uring.c drivers/virtio/blk/uring.c src/util/opt.c fake_guest
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/virtio/blk/engine.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum {
	STEPS_MAX = 64,
	IMAGE_BYTES = 64 << 10,
	DATA_MAX = 16 << 10,
	PAYLOAD_MAX = 512,
	PIECES_MAX = 8,
	TURNS_MAX = 500, /* of the loop, at most 20 ms each, for an answer */
};

/* The input: one byte of these, then steps. */
enum {
	SHAPE_RO = 1,
	SHAPE_DISCARD = 2,
	SHAPE_4096 = 4,
	SHAPE_DIRECT = 8,
	SHAPE_NO_FLUSH = 16,
	SHAPE_URING = 32, /* engine=auto: io_uring if the host has it */
};

/* One request, as the fuzzer's input spells it; `payload` bytes of its data follow. */
struct step {
	u8 type, flags;
	u8 header_bytes; /* of the header: all if this is none of 1 to 15 */
	u8 pieces;       /* low half: of the readable data; high half: of the writable */
	le16 out_bytes, in_bytes, payload;
	le64 sector;
} __attribute__((packed));

enum { STEP_NO_STATUS = 1, STEP_TABLE = 2, STEP_CONFIG = 4, STEP_RESET = 8, STEP_TYPE_HIGH = 16 };

struct bench {
	struct fake_guest g;
	struct blk_cfg cfg;
	int image_fd;
	u8 model[IMAGE_BYTES];
	u8 out[DATA_MAX]; /* the readable data of the step */
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_virtio_blk: %s\n", what);
	abort();
}

/* --- What the image must hold ----------------------------------------------------------------- */

static void model_reset(struct bench *b)
{
	for (u32 i = 0; i < IMAGE_BYTES; i++)
		b->model[i] = (u8)(i / 512 * 3 + i % 253 + 1);
	expect(ftruncate(b->image_fd, 0) == 0 &&
		       pwrite(b->image_fd, b->model, IMAGE_BYTES, 0) == IMAGE_BYTES,
	       "the image");
}

/* Nothing else changed, nor did the image grow. */
static void expect_model(struct bench *b)
{
	static u8 now[IMAGE_BYTES];
	struct stat st;

	expect(fstat(b->image_fd, &st) == 0 && st.st_size == IMAGE_BYTES, "another size");
	expect(pread(b->image_fd, now, IMAGE_BYTES, 0) == IMAGE_BYTES, "pread");
	expect(memcmp(now, b->model, IMAGE_BYTES) == 0, "a byte of the image changed");
}

static bool model_has(const struct bench *b, u64 sector, u64 len)
{
	u32 block = b->cfg.image.block_bytes;

	return sector <= IMAGE_BYTES / 512 && len <= IMAGE_BYTES - sector * 512 &&
	       sector * 512 % block == 0 && len % block == 0;
}

/* A hole may be made of whole units inside of the range only. */
static void model_zero(struct bench *b, u64 from, u64 to)
{
	if (from < to)
		memset(b->model + from, 0, to - from);
}

static void model_segments(struct bench *b, u32 type, u32 len)
{
	const u64 unit = b->cfg.image.discard_bytes;

	expect(!b->cfg.image.read_only && len > 0 && len % 16 == 0, "a list that cannot be");
	for (u32 i = 0; i < len; i += 16) {
		u64 sector = bytes_get_le(b->out + i, 8);
		u64 bytes = bytes_get_le(b->out + i + 8, 4) * 512;

		expect(model_has(b, sector, bytes), "a range outside of the image");
		if (type == VIRTIO_BLK_T_DISCARD)
			model_zero(b, ALIGN_UP(sector * 512, unit),
				   ALIGN_DOWN(sector * 512 + bytes, unit));
		else
			model_zero(b, sector * 512, sector * 512 + bytes);
	}
}

/* A request that went well did this. */
static void model_done(struct bench *b, u32 type, u64 sector, u32 out_len,
		       const struct fg_used *used)
{
	u32 in_len = used->in_bytes - 1;

	switch (type) {
	case VIRTIO_BLK_T_IN:
		expect(model_has(b, sector, in_len), "a read outside of the image");
		expect(used->written == used->in_bytes, "another length");
		expect(memcmp(used->in, b->model + sector * 512, in_len) == 0, "other bytes");
		return;
	case VIRTIO_BLK_T_OUT:
		expect(!b->cfg.image.read_only, "a write to a disk for reading");
		expect(model_has(b, sector, out_len), "a write outside of the image");
		memcpy(b->model + sector * 512, b->out, out_len);
		return;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		model_segments(b, type, out_len);
		return;
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return;
	}
	expect(false, "an unknown request went well");
}

/* --- The driver ------------------------------------------------------------------------------- */

/* Cut `len` bytes into pieces. Return: how many. */
static u32 add_pieces(struct fg_buffer *buffers, const u8 *out, u32 len, u32 pieces)
{
	u32 nr = 0, each = len / (pieces % PIECES_MAX + 1) + 1;

	for (u32 done = 0; done < len; done += each) {
		u32 run = MIN(each, len - done);

		buffers[nr++] = out ? OUT(out + done, run) : IN(run);
	}
	return nr;
}

/* Run the device until the request is answered; when it broke there is no answer. */
static bool is_answered(struct bench *b, struct fg_used *used)
{
	for (u32 i = 0; i < TURNS_MAX && b->g.nr_broken == 0; i++) {
		fg_step(&b->g);
		if (fg_take(&b->g, 0, used))
			return true;
	}
	return false;
}

static void after_request(struct bench *b, const struct step *s, u32 type, u32 out_len)
{
	bool whole = s->header_bytes == 0 || s->header_bytes > 15;
	struct fg_used used;
	u8 status;

	if (!is_answered(b, &used)) {
		expect(b->g.nr_broken == 1, "a request without an answer");
		expect(!whole || s->flags & STEP_NO_STATUS, "broken without cause");
		b->g.nr_broken = 0;
		fg_stop(&b->g);
		fg_start(&b->g);
		return;
	}
	expect(b->g.nr_broken == 0 && used.in_bytes > 0, "an answer without a place");
	status = used.in[used.in_bytes - 1];
	expect(status <= VIRTIO_BLK_S_UNSUPP, "an unknown status");
	if (status == VIRTIO_BLK_S_OK && whole)
		model_done(b, type, le64_get(s->sector), out_len, &used);
}

static void run_request(struct bench *b, const struct step *s)
{
	struct fg_buffer buffers[2 * PIECES_MAX + 3];
	u32 out_len = le16_get(s->out_bytes) % DATA_MAX, in_len = le16_get(s->in_bytes) % DATA_MAX;
	u32 type = s->flags & STEP_TYPE_HIGH ? (u32)s->type << 24 : s->type;
	u32 header_len = s->header_bytes == 0 || s->header_bytes > 15 ? 16 : s->header_bytes;
	struct virtio_blk_header header = { .type = le32_make(type), .sector = s->sector };
	u32 nr = 0;

	buffers[nr++] = OUT(&header, header_len);
	nr += add_pieces(&buffers[nr], b->out, out_len, s->pieces & 15);
	nr += add_pieces(&buffers[nr], NULL, in_len, s->pieces >> 4);
	if (!(s->flags & STEP_NO_STATUS))
		buffers[nr++] = IN(1);
	/* Data is taken for what the header lacks: that must not look well. */
	if (header_len < 16)
		memset(b->out, 0xff, out_len);
	fg_submit(&b->g, 0, s->flags & STEP_TABLE, buffers, nr);
	fg_force_kick(&b->g, 0);
	after_request(b, s, type, out_len);
	expect_model(b);
}

static void run_step(struct bench *b, const struct step *s)
{
	u8 config[VDEV_CONFIG_BYTES_MAX];
	u32 at = s->type % sizeof(struct virtio_blk_config);

	if (s->flags & STEP_RESET) {
		fg_stop(&b->g);
		fg_start(&b->g);
	} else if (s->flags & STEP_CONFIG) {
		fg_config_write(&b->g, at, b->out,
				s->pieces % ((u32)sizeof(struct virtio_blk_config) - at + 1));
		fg_config(&b->g, config);
		expect(config[32] <= 1, "writeback");
		config[32] = 0;
		expect(bytes_get_le(config, 8) == IMAGE_BYTES / 512, "capacity");
	} else {
		run_request(b, s);
	}
}

/* As blk_image_open would, but DIRECT: the same way by a buffer, on a file that does not need it. */
static void bench_start(struct bench *b, u8 shape)
{
	struct fdset fds = { 0 };
	int fd = fcntl(b->image_fd, F_DUPFD_CLOEXEC, 0);

	b->cfg = (struct blk_cfg){ .id = "0123456789abcdefghij", .queues = 1 };
	b->cfg.engine = shape & SHAPE_URING ? BLK_ENGINE_AUTO : BLK_ENGINE_SYNC;
	b->cfg.image = (struct blk_image){
		.size_bytes = IMAGE_BYTES,
		.block_bytes = shape & SHAPE_4096 ? 4096 : 512,
		.physical_bytes = 4096,
		.discard_bytes = 4096,
		.direct_bytes = shape & SHAPE_DIRECT ? 512 : 0,
		.read_only = shape & SHAPE_RO,
		.can_discard = (shape & SHAPE_DISCARD) && !(shape & SHAPE_RO),
	};
	b->cfg.fd_index = fdset_put(&fds, &fd);
	fg_create(&b->g, "virtio-blk", &b->cfg, &fds);
	if (shape & SHAPE_NO_FLUSH)
		b->g.features &= ~(1ull << VIRTIO_BLK_F_FLUSH);
	fg_start(&b->g);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b = { .image_fd = -1 };
	struct step s;

	if (b.image_fd < 0)
		b.image_fd = memfd_create("image", MFD_CLOEXEC);
	if (size < 1)
		return 0;
	model_reset(&b);
	bench_start(&b, *data++);
	size--;
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		size_t payload;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		payload = MIN(le16_get(s.payload) % (PAYLOAD_MAX + 1), size);
		memset(b.out, (int)i + 1, sizeof(b.out));
		memcpy(b.out, data, payload);
		data += payload;
		size -= payload;
		run_step(&b, &s);
	}
	fg_destroy(&b.g);
	return 0;
}
