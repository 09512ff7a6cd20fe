// SPDX-License-Identifier: BSD-3-Clause
// Requests as the drivers of each kind of device make them, and the device that gets only such.
#include "attack.h"

enum {
	WITNESS_SIZE = 16,
	SLOT_BYTES = 4096,
	BLK_SECTOR_BYTES = 512,
	NET_HEADER_BYTES = 12,
	VSOCK_HEADER_BYTES = 44,
	VSOCK_CID_HOST = 2,
	VSOCK_TYPE_STREAM = 1,
	VSOCK_OP_RST = 3,
	VSOCK_OPS = 8,
};

u32 eager_queue(const struct dev *d)
{
	/* Their first ring is for what comes in. */
	return d->id == ID_NET || d->id == ID_CONSOLE || d->id == ID_VSOCK;
}

static void desc_set(struct ring *r, u16 i, u64 gpa, u32 len, u16 flags)
{
	r->desc[i] = (struct desc){ .addr = gpa, .len = len, .flags = flags, .next = i + 1 };
}

/* A read of the first sectors (virtio 1.2, section 5.2.6). */
static u32 blk_request(struct ring *r, u16 head, u64 gpa)
{
	memset(at(gpa), 0, 16);
	*(u8 *)at(gpa + 16) = 0xff;
	desc_set(r, head, gpa, 16, DESC_NEXT);
	desc_set(r, head + 1, gpa + BLK_SECTOR_BYTES, BLK_SECTOR_BYTES, DESC_NEXT | DESC_WRITE);
	desc_set(r, head + 2, gpa + 16, 1, DESC_WRITE);
	return 3;
}

/* Section 5.10.6: struct virtio_vsock_hdr, packed. */
static void vsock_header(const struct dev *d, u64 gpa, u16 op, u32 bytes)
{
	memset(at(gpa), 0, VSOCK_HEADER_BYTES);
	*(u64 *)at(gpa) = mem_read(dev_config_gpa(d), 4); /* the guest's address */
	*(u64 *)at(gpa + 8) = VSOCK_CID_HOST;
	*(u32 *)at(gpa + 16) = 1024 + (u32)chance_below(8);
	*(u32 *)at(gpa + 20) = 1024 + (u32)chance_below(8);
	*(u32 *)at(gpa + 24) = bytes;
	*(u16 *)at(gpa + 28) = VSOCK_TYPE_STREAM;
	*(u16 *)at(gpa + 30) = op;
	*(u32 *)at(gpa + 36) = 65536;
}

u32 request_build(struct ring *r, u16 head, u32 slot)
{
	u64 gpa = BUFFERS_GPA + (u64)slot * SLOT_BYTES;

	switch (r->dev->id) {
	case ID_BLK:
		return blk_request(r, head, gpa);
	case ID_NET:
		memset(at(gpa), 0, NET_HEADER_BYTES);
		memset(at(gpa + NET_HEADER_BYTES), 0xff, 60);
		desc_set(r, head, gpa, NET_HEADER_BYTES + 60, 0);
		return 1;
	case ID_CONSOLE:
		memset(at(gpa), '.', 16);
		desc_set(r, head, gpa, 16, 0);
		return 1;
	case ID_BALLOON: /* one page number: of the arena's last page */
		*(u32 *)at(gpa) = (u32)((ARENA_GPA + ARENA_BYTES - 4096) >> 12);
		desc_set(r, head, gpa, 4, 0);
		return 1;
	case ID_VSOCK:
		vsock_header(r->dev, gpa, VSOCK_OP_RST, 0);
		desc_set(r, head, gpa, VSOCK_HEADER_BYTES, 0);
		return 1;
	default: /* random bytes, or whatever this device is */
		desc_set(r, head, gpa, 64, DESC_WRITE);
		return 1;
	}
}

/* --- Beginnings of requests ------------------------------------------------------------------- */

static void fill_blk(u32 *words)
{
	static const u32 types[] = { 0, 1, 4, 8, 11, 13, 2, 0xffffffff };
	u64 sector = chance_below(2) ? chance_below(4096) : chance();

	words[0] = types[chance_below(ARRAY_SIZE(types))];
	words[1] = (u32)chance();
	words[2] = (u32)sector;
	words[3] = (u32)(sector >> 32);
	/* a segment of DISCARD and WRITE_ZEROES */
	words[4] = words[2];
	words[5] = words[3];
	words[6] = (u32)(chance_below(2) ? chance_below(64) : chance());
	words[7] = (u32)chance_below(4);
}

/* Pages of the arena, pages that are not there, never the guest's own. */
static void fill_balloon(u32 *words)
{
	for (u32 i = 0; i < HEADER_BYTES / 4; i++)
		words[i] = chance_below(2) ? (u32)((BUFFERS_GPA >> 12) + chance_below(2048))
					   : 0x10000 + (u32)chance_below(0xfff00000);
}

void headers_fill(const struct dev *d)
{
	for (u32 i = 0; i < NR_HEADERS; i++) {
		u32 *words = at(BUFFERS_GPA + (u64)i * HEADER_BYTES);

		for (u32 k = 0; k < HEADER_BYTES / 4; k++)
			words[k] = (u32)chance();
		if (d->id == ID_VSOCK && chance_below(4))
			vsock_header(d, (u64)words, (u16)chance_below(VSOCK_OPS),
				     (u32)(chance_below(2) ? chance_below(8192) : chance()));
		if (d->id == ID_BLK)
			fill_blk(words);
		else if (d->id == ID_BALLOON)
			fill_balloon(words);
		else if (d->id == ID_NET && chance_below(2)) /* flags, kind, lengths, offsets */
			words[0] = (u32)(chance_below(4) | chance_below(6) << 8 |
					 chance_below(64) << 16);
	}
}

/* --- A device in order ------------------------------------------------------------------------ */

bool dev_serves(struct dev *d)
{
	static struct ring rings[QUEUES_MAX];
	struct ring *r = &rings[eager_queue(d)];
	bool served;

	dev_begin(d, rings, dev_plain_features(d), 8);
	request_build(r, 0, 0);
	ring_offer(r, 0);
	ring_publish(r);
	served = ring_wait(r);
	if (served && d->id == ID_BLK)
		served = *(u8 *)at(BUFFERS_GPA + 16) == 0;
	dev_reset(d);
	return served;
}

/* Its ring and buffer lie with the guest, out of reach of the others. */
static struct ring witness;
static struct desc witness_desc[WITNESS_SIZE] __attribute__((aligned(16)));
static u16 witness_avail[3 + WITNESS_SIZE],
	witness_used[3 + WITNESS_SIZE * 4] __attribute__((aligned(4)));
static u8 witness_bytes[64];

void witness_begin(struct dev *d)
{
	dev_negotiate(d, F_VERSION_1);
	witness = (struct ring){ .dev = d,
				 .size = WITNESS_SIZE,
				 .desc = witness_desc,
				 .avail = witness_avail,
				 .used = witness_used };
	witness_avail[0] = 1;
	ring_set_up(&witness);
	dev_go(d);
}

bool witness_draws(void)
{
	u64 sum = 0;

	memset(witness_bytes, 0, sizeof(witness_bytes));
	witness_desc[0] = (struct desc){ (u64)witness_bytes, sizeof(witness_bytes), DESC_WRITE, 0 };
	ring_offer(&witness, 0);
	ring_publish(&witness);
	if (!ring_wait(&witness))
		return false;
	for (u32 i = 0; i < sizeof(witness_bytes); i++)
		sum += witness_bytes[i];
	return sum > 0;
}
