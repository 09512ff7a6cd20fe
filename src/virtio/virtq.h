// SPDX-License-Identifier: BSD-3-Clause
// The device's side of a split virtqueue (virtio 1.2, section 2.7): one walker for all devices.
#pragma once

#include "mem/guest_cursor.h"
#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/types.h"

enum {
	VIRTQ_SIZE_MAX = 1024, /* what Kiln offers at most; the specification's limit is 32768 */
};

/* Feature bits that change the rings (virtio 1.2, section 6). */
enum {
	VIRTIO_RING_F_INDIRECT_DESC = 28,
	VIRTIO_RING_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_ACCESS_PLATFORM = 33,
	VIRTIO_F_RING_RESET = 40,
};

/* Where the driver put its rings; plain numbers from the guest until virtq_enable checked them. */
struct virtq_config {
	u32 size; /* entries */
	gpa_t desc_gpa, avail_gpa, used_gpa;
};

/*
 * One ring. From virtq_enable to virtq_disable size, addresses and features stay what they were
 * checked to be, whatever the guest writes. Owner: the device's thread; kick_fd and call_fd are
 * owned by whoever put them there.
 */
struct virtq {
	bool enabled;
	bool indirect, event_idx; /* negotiated */
	bool broken;              /* -EPROTO was returned: nothing is popped until enabled anew */
	bool no_kicks;            /* what virtq_want_kicks was asked for last */
	bool is_elsewhere;        /* the class gave it away: neither watched nor popped here */
	u16 size;
	u16 next_avail;  /* of the avail ring: the next entry to look at, free-running */
	u16 next_used;   /* of the used ring: the next entry to write, free-running */
	u16 called_used; /* next_used when the driver was last called */
	bool called_any; /* whether called_used means anything yet */
	u16 last_head;   /* popped last, for virtq_unpop */
	u64 heads_out[VIRTQ_SIZE_MAX / 64]; /* a bit for each head popped and not pushed */
	const struct gmem *mem;             /* borrowed */
	struct virtq_desc *desc;            /* host addresses inside `mem`, checked as a whole */
	struct virtq_avail *avail;
	struct virtq_used *used;
	int kick_fd, call_fd; /* eventfds that do not block, or -1 */
	const char *fault;    /* what was wrong, in words, after -EPROTO; static text */
};

/* One request of the driver: first what the device reads, then what it writes. */
struct virtq_chain {
	u16 head;        /* hand back to virtq_push */
	struct gcur out; /* device-readable bytes */
	struct gcur in;  /* device-writable bytes */
};

/* virtq_init - a disabled ring, eventfds -1. Context of all verbs: the owner. */
void virtq_init(struct virtq *q);

/*
 * virtq_enable - check size (a power of two, 1 to VIRTQ_SIZE_MAX), alignment (16, 2, 4) and that
 * each ring lies wholly in one region of `mem`; begin at entry `base` of the avail ring. The used
 * index goes on from what the driver's ring holds.
 * `features`: the negotiated bits. Return: 0, or -EINVAL with words.
 */
int virtq_enable(struct virtq *q, const struct gmem *mem, const struct virtq_config *config,
		 u64 features, u16 base, struct err *e);

/* virtq_disable - forget the rings. Return: the entry at which to begin again. */
u16 virtq_disable(struct virtq *q);

/*
 * virtq_pop - the next request, its buffers laid down in `iov`, which the caller keeps for as long
 * as it uses the chain. Buffers of no bytes are passed over.
 * Return: 1; 0 when there is none, and then the driver kicks at its next request unless
 * virtq_want_kicks said otherwise; -EPROTO, for good, when the ring is broken: an index that
 * jumped, a head, next or table out of range, a head that was popped and not pushed, a loop, a
 * chain longer than the ring or `max`, a readable buffer after a writable one, a nested or
 * unnegotiated indirect table, an address outside of guest memory. Then q->fault says which.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *chain, struct iovec *iov, u32 max);

/* virtq_unpop - give back the request popped last, which was not pushed: the next pop has it. */
void virtq_unpop(struct virtq *q);

/*
 * virtq_unpop_head - give back `head`, popped and not pushed; several from the one that was popped
 * last to the first, with nothing pushed that was popped between them.
 */
void virtq_unpop_head(struct virtq *q, u16 head);

/*
 * virtq_push - give `head` back to the driver with `written` bytes put into its writable buffers.
 * The driver is not called: see virtq_call. Once for each popped head; after virtq_disable nothing
 * happens.
 */
void virtq_push(struct virtq *q, u16 head, u32 written);

/* What virtq_push is told. */
struct virtq_done {
	u16 head;
	u32 written;
};

/* virtq_push_all - virtq_push for `nr` requests that the driver sees come back at once. */
void virtq_push_all(struct virtq *q, const struct virtq_done *done, u32 nr);

/* virtq_call - interrupt the driver if it wants to hear of what was pushed since the last call. */
void virtq_call(struct virtq *q);

/* virtq_has_avail - whether a pop would find something (or a broken ring). */
bool virtq_has_avail(const struct virtq *q);

/*
 * virtq_want_kicks - ask the driver to kick, or not to, at its next request. After asking, look
 * once more for requests that came before it saw that (section 2.7.10).
 * Return: whether requests are waiting.
 */
bool virtq_want_kicks(struct virtq *q, bool wanted);

/* virtq_drain_kick - read the kick eventfd so that it stops being readable. */
void virtq_drain_kick(struct virtq *q);
