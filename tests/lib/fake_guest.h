// SPDX-License-Identifier: BSD-3-Clause
// A guest for one virtio device: memory, a driver that keeps to the specification, and the means
// not to. Requests read like sentences:
//
//	fg_create(&g, "virtio-blk", &cfg, &fds);
//	fg_start(&g);
//	fg_chain(&g, 0, OUT(&hdr, sizeof(hdr)), IN(512), IN(1));
//	fg_kick(&g, 0);
//	used = fg_wait(&g, 0);
//	assert_int_equal(used.written, 513);
#pragma once

#include "evl/evl.h"
#include "mem/guest_mem.h"
#include "util/fdset.h"
#include "virtio/vdev.h"
#include "virtio/virtio_ring.h"

enum {
	FG_DEADLINE_MS = 10000,
	FG_CHAIN_MAX = 1024,   /* buffers of one request */
	FG_UNTOUCHED = 0xee,   /* what a writable buffer holds before the device wrote */
	FG_RING_BYTES = 32768, /* of guest memory for each ring, at its start */
	FG_FREE_MAX = 1024,    /* buffers that are kept to be used again */
};

/* RAM: two regions that touch, a hole, a third. Rings and buffers lie in the first. */
#define FG_LOW_GPA MIB(1)
#define FG_SEAM_GPA MIB(32)
#define FG_HOLE_GPA MIB(33)
#define FG_HIGH_GPA GIB(4)
#define FG_TOP_GPA (GIB(4) + MIB(1))

/* One buffer of a request. */
struct fg_buffer {
	const void *out; /* what the device is to read; NULL: zeros */
	u32 len;
	bool in; /* the device is to write it */
};

#define OUT(bytes, count) ((struct fg_buffer){ .out = (bytes), .len = (u32)(count) })
#define IN(count) ((struct fg_buffer){ .len = (u32)(count), .in = true })

/* What the device gave back: `in` holds all writable bytes of the request, gathered, written or
 * FG_UNTOUCHED; it is valid until the next request is taken back. */
struct fg_used {
	u16 head;
	u32 written, in_bytes;
	const u8 *in;
};

/* A buffer of a request. */
struct fg_piece {
	gpa_t gpa;
	u32 len;
};

/* A request that the device has, found by its head. */
struct fg_request {
	bool busy; /* this descriptor is part of one */
	u16 next;  /* and the one behind it is this, or it itself at the end */
	u32 nr_in, nr_out, in_bytes;
	struct fg_piece *in, *out; /* so many of them, owned */
};

/* The driver's side of a ring. */
struct fg_queue {
	struct fake_guest *g;
	struct evl_source source; /* of the kick eventfd */
	struct virtq_config config;
	u32 size; /* 0: not started */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	u16 next_avail, next_used, kicked_avail;
	bool awake;                  /* was interrupted and has not seen an empty ring since */
	bool polls;                  /* wants no interrupts */
	u32 calls, nr_busy;          /* interrupts so far; descriptors in use */
	struct fg_request *requests; /* size of them */
};

struct fake_guest {
	struct gmem mem;
	struct evl evl;
	struct vdev_host host;
	struct vdev *v;
	u64 features;             /* fg_start acknowledges these: at first all that were offered */
	u32 ring_size;            /* fg_start makes rings so large: at first the largest possible */
	u32 nr_broken, broken_qi; /* what the device told its host, */
	u32 nr_config_changes;    /* how often */
	char log[512];            /* its last line, */
	u32 nr_lines;             /* and how many there were */
	gpa_t next_buffer, next_pin; /* free memory is between the two, */
	u32 nr_free;                 /* and buffers of requests that came back */
	struct fg_piece free[FG_FREE_MAX];
	u8 *gathered; /* owned */
	struct fg_queue queues[VDEV_QUEUES_MAX];
};

/* fg_try - a guest with instance 0 of class `name`. Return: true, or false with words; destroy it
 * in either case. fg_create - fg_try that prints the words and aborts. */
bool fg_try(struct fake_guest *g, const char *name, const void *cfg, struct fdset *fds,
	    struct err *e);
void fg_create(struct fake_guest *g, const char *name, const void *cfg, struct fdset *fds);

/* fg_destroy - destroys the device, in whatever state, then the guest. */
void fg_destroy(struct fake_guest *g);

/* fg_start - negotiate and start every ring, empty. fg_stop - reset the device. */
void fg_start(struct fake_guest *g);
void fg_stop(struct fake_guest *g);

/* --- Requests --------------------------------------------------------------------------------- */

/* fg_chain - offer a request of these buffers on ring `qi`, without a kick. Return: its head.
 * fg_chain_table - the same by way of an indirect table. Both abort when the ring is full. */
#define fg_chain(g, qi, ...) fg_submit(g, qi, false, FG_LIST(__VA_ARGS__))
#define fg_chain_table(g, qi, ...) fg_submit(g, qi, true, FG_LIST(__VA_ARGS__))
#define FG_LIST(...)                               \
	(const struct fg_buffer[]){ __VA_ARGS__ }, \
		sizeof((const struct fg_buffer[]){ __VA_ARGS__ }) / sizeof(struct fg_buffer)
u16 fg_submit(struct fake_guest *g, u32 qi, bool table, const struct fg_buffer *buffers, size_t nr);

/* fg_kick - ring the device's doorbell, if it wants that for what was offered since the last time.
 * Return: whether it did. fg_force_kick - in any case. */
bool fg_kick(struct fake_guest *g, u32 qi);
void fg_force_kick(struct fake_guest *g, u32 qi);

/*
 * fg_take - the next request that came back, as a driver learns of it: after an interrupt, unless it
 * polls. Return: whether there was one. fg_wait - run the device until there is one; aborts when it
 * breaks or the deadline is over.
 */
bool fg_take(struct fake_guest *g, u32 qi, struct fg_used *used);
struct fg_used fg_wait(struct fake_guest *g, u32 qi);

/* fg_do - one request from offer to return: fg_chain, fg_kick and fg_wait. */
#define fg_do(g, qi, ...) fg_run(g, qi, FG_LIST(__VA_ARGS__))
struct fg_used fg_run(struct fake_guest *g, u32 qi, const struct fg_buffer *buffers, size_t nr);

/* fg_poll - ask for no interrupts from now on, or for them again. */
void fg_poll(struct fake_guest *g, u32 qi, bool polls);

/* fg_calls - how often ring `qi` interrupted the driver so far. */
u32 fg_calls(struct fake_guest *g, u32 qi);

/* fg_config, fg_config_write - configuration space, as the host asks the class for it. */
void fg_config(struct fake_guest *g, u8 config[VDEV_CONFIG_BYTES_MAX]);
void fg_config_write(struct fake_guest *g, u32 offset, const void *src, u32 len);

/* --- The loop --------------------------------------------------------------------------------- */

/* fg_step - one turn of the loop, at most 20 ms. fg_settle - turns until all is done, or aborts.
 * fg_is_quiet - whether the loop has nothing to do now. */
void fg_step(struct fake_guest *g);
void fg_settle(struct fake_guest *g);
bool fg_is_quiet(struct fake_guest *g);

/* FG_WAIT - turn the loop until `condition` holds; after FG_DEADLINE_MS the test fails. */
#define FG_WAIT(g, condition)                                               \
	do {                                                                \
		u64 fg_end_ns = evl_now_ns() + FG_DEADLINE_MS * 1000000ull; \
		while (!(condition) && evl_now_ns() < fg_end_ns)            \
			fg_step(g);                                         \
		assert_true(condition);                                     \
	} while (0)

/* --- Whatever a driver must not do ------------------------------------------------------------ */

/* fg_alloc - `len` bytes of guest memory that nothing else uses, zeroed. fg_ptr - where they are. */
gpa_t fg_alloc(struct fake_guest *g, u64 len);
void *fg_ptr(struct fake_guest *g, gpa_t gpa, u64 len);

/* fg_desc - write descriptor `index` of the ring's table. */
void fg_desc(struct fake_guest *g, u32 qi, u16 index, gpa_t addr, u32 len, u16 flags, u16 next);

/* fg_table_desc - the same in an indirect table at `table`. */
void fg_table_desc(struct fake_guest *g, gpa_t table, u16 index, gpa_t addr, u32 len, u16 flags,
		   u16 next);

/* fg_offer - put `head` into the avail ring as it is. fg_set_avail_idx - only the index. */
void fg_offer(struct fake_guest *g, u32 qi, u16 head);
void fg_set_avail_idx(struct fake_guest *g, u32 qi, u16 idx);

/* fg_used_idx, fg_used_elem - what the used ring says, seen by the driver or not. */
u16 fg_used_idx(struct fake_guest *g, u32 qi);
struct virtq_used_elem fg_used_elem(struct fake_guest *g, u32 qi, u16 index);
