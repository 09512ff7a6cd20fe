// SPDX-License-Identifier: BSD-3-Clause
// Rings as drivers make them, and as they must not: every way to break one, who calls and who kicks.
// test-sources: fake_guest
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_guest.h"

enum {
	SIZE = 8,
	NEXT = VIRTQ_DESC_F_NEXT,
	WRITE = VIRTQ_DESC_F_WRITE,
	INDIRECT = VIRTQ_DESC_F_INDIRECT,
};

#define INDIRECT_BIT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT_IDX_BIT (1ull << VIRTIO_RING_F_EVENT_IDX)

/* A device that lets the test do everything. */
static int nothing_start(struct vdev *v, const void *cfg, struct fdset *fds, struct err *e)
{
	(void)v;
	(void)cfg;
	(void)fds;
	(void)e;
	return 0;
}

static int nothing_kick(struct vdev *v, u32 qi)
{
	(void)v;
	(void)qi;
	return 0;
}

static const struct vdev_class ring_class = {
	.name = "ring",
	.queue_size_max = SIZE,
	.nr_queues = 1,
	.start = nothing_start,
	.kick = nothing_kick,
};
VDEV_CLASS(ring_class);

struct bench {
	struct fake_guest g;
	struct virtq *q;
	struct virtq_chain c;
	struct iovec iov[SIZE];
	gpa_t buffer; /* 4096 bytes */
};

static struct bench *make_bench(u64 without_features)
{
	struct bench *b = calloc(1, sizeof(*b));

	fg_create(&b->g, "ring", NULL, NULL);
	b->g.features &= ~without_features;
	fg_start(&b->g);
	b->q = vdev_queue(b->g.v, 0);
	b->buffer = fg_alloc(&b->g, 4096);
	return b;
}

static int setup(void **state)
{
	*state = make_bench(0);
	return 0;
}

static int setup_plain(void **state)
{
	*state = make_bench(INDIRECT_BIT | EVENT_IDX_BIT);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fg_destroy(&b->g);
	free(b);
	return 0;
}

static int pop(struct bench *b)
{
	return virtq_pop(b->q, &b->c, b->iov, SIZE);
}

static void expect_broken(struct bench *b, const char *fault)
{
	u16 next_avail = b->q->next_avail;

	assert_int_equal(pop(b), -EPROTO);
	assert_string_equal(b->q->fault, fault);
	assert_int_equal(pop(b), -EPROTO);
	assert_int_equal(b->q->next_avail, next_avail);
}

/* Offer descriptor 0, which stands there already, and see it refused. */
static void expect_refused(struct bench *b, const char *fault)
{
	fg_offer(&b->g, 0, 0);
	expect_broken(b, fault);
}

/* --- Enabling --------------------------------------------------------------------------------- */

static int enable(struct bench *b, u32 size, gpa_t desc, gpa_t avail, gpa_t used, struct err *e)
{
	const struct virtq_config config = { size, desc, avail, used };
	struct virtq q;
	int status;

	virtq_init(&q);
	status = virtq_enable(&q, &b->g.mem, &config, 0, 0, e);
	assert_int_equal(q.enabled, status == 0);
	return status;
}

static void sizes_that_are_no_power_of_two_are_refused(void **state)
{
	static const u32 bad[] = { 0, 3, 6, 1023, 2048, 32768, 65536, 1u << 31, UINT32_MAX };
	struct bench *b = *state;
	gpa_t at = fg_alloc(&b->g, 65536);
	struct err e;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(enable(b, bad[i], at, at + 32768, at + 49152, &e), -EINVAL);
	assert_int_equal(enable(b, 3, at, at, at, &e), -EINVAL);
	assert_string_equal(e.text, "ring of 3 entries: must be a power of two up to 1024");
	for (u32 size = 1; size <= VIRTQ_SIZE_MAX; size *= 2)
		assert_int_equal(enable(b, size, at, at + 32768, at + 49152, &e), 0);
}

static void rings_that_are_not_aligned_are_refused(void **state)
{
	struct bench *b = *state;
	gpa_t at = fg_alloc(&b->g, 4096);
	struct err e;

	assert_int_equal(enable(b, 8, at + 8, at + 1024, at + 2048, &e), -EINVAL);
	assert_int_equal(enable(b, 8, at, at + 1025, at + 2048, &e), -EINVAL);
	assert_int_equal(enable(b, 8, at, at + 1024, at + 2050, &e), -EINVAL);
	assert_non_null(strstr(e.text, ": must be a multiple of 4"));
	assert_int_equal(enable(b, 8, at + 16, at + 1026, at + 2052, &e), 0);
}

static void each_ring_lies_wholly_in_one_region(void **state)
{
	struct bench *b = *state;
	gpa_t at = fg_alloc(&b->g, 4096);
	const gpa_t top = FG_TOP_GPA, seam = FG_SEAM_GPA;
	struct err e;

	assert_int_equal(enable(b, 8, top - 128, top - 22 - 256, top - 72 - 512, &e), 0);
	assert_int_equal(enable(b, 8, top - 112, at, at + 512, &e), -EINVAL);
	assert_int_equal(enable(b, 8, at, top - 20, at + 512, &e), -EINVAL);
	assert_int_equal(enable(b, 8, at, at + 512, top - 68, &e), -EINVAL);
	assert_string_equal(e.text,
			    "used ring at 0x1000fffbc: its 70 bytes are not in guest memory");
	assert_int_equal(enable(b, 8, seam - 64, at, at + 512, &e), -EINVAL);
	assert_int_equal(enable(b, 8, 0, at, at + 512, &e), -EINVAL);
	assert_int_equal(enable(b, 8, FG_HOLE_GPA, at, at + 512, &e), -EINVAL);
	assert_int_equal(enable(b, 8, UINT64_MAX - 15, at, at + 512, &e), -EINVAL);
}

static void a_ring_goes_on_where_it_was_disabled(void **state)
{
	struct bench *b = *state;
	struct err e;
	u16 base;

	for (u32 i = 0; i < 3; i++) {
		fg_chain(&b->g, 0, IN(1));
		assert_int_equal(pop(b), 1);
		virtq_push(b->q, b->c.head, 1);
	}
	fg_chain(&b->g, 0, OUT("fourth", 6));
	base = virtq_disable(b->q);
	assert_int_equal(base, 3);
	assert_int_equal(pop(b), 0);
	assert_false(virtq_has_avail(b->q));
	assert_int_equal(virtq_enable(b->q, &b->g.mem, &b->g.queues[0].config, 0, base, &e), 0);
	assert_int_equal(b->q->next_used, 3);
	assert_int_equal(pop(b), 1);
	assert_int_equal(gcur_left(&b->c.out), 6);
	virtq_push(b->q, b->c.head, 0);
	assert_int_equal(fg_used_idx(&b->g, 0), 4);
}

static void a_disabled_ring_does_nothing(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, IN(1));
	assert_int_equal(pop(b), 1);
	virtq_disable(b->q);
	virtq_push(b->q, b->c.head, 1);
	virtq_call(b->q);
	assert_false(virtq_want_kicks(b->q, true));
	assert_int_equal(fg_used_idx(&b->g, 0), 0);
	assert_int_equal(fg_calls(&b->g, 0), 0);
}

static void enabling_asks_for_kicks_whatever_the_ring_says(void **state)
{
	struct bench *b = *state;
	struct err e;

	b->g.queues[0].used->flags = le16_make(VIRTQ_USED_F_NO_NOTIFY);
	virtq_disable(b->q);
	assert_int_equal(virtq_enable(b->q, &b->g.mem, &b->g.queues[0].config, 0, 0, &e), 0);
	assert_int_equal(le16_get(b->g.queues[0].used->flags), 0);
}

/* --- Requests --------------------------------------------------------------------------------- */

static void an_empty_ring_has_nothing(void **state)
{
	struct bench *b = *state;

	assert_false(virtq_has_avail(b->q));
	assert_int_equal(pop(b), 0);
	fg_chain(&b->g, 0, IN(1));
	assert_true(virtq_has_avail(b->q));
}

static void a_request_is_first_read_and_then_written(void **state)
{
	struct bench *b = *state;
	struct fg_used used;
	char text[8] = { 0 };
	u16 head = fg_chain(&b->g, 0, OUT("head", 4), OUT("er", 2), IN(3), IN(2));

	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.head, head);
	assert_int_equal(gcur_left(&b->c.out), 6);
	assert_int_equal(gcur_left(&b->c.in), 5);
	assert_true(gcur_get(&b->c.out, text, 6));
	assert_string_equal(text, "header");
	assert_true(gcur_put(&b->c.in, "repl", 4));
	virtq_push(b->q, b->c.head, 4);
	virtq_call(b->q);
	assert_true(fg_take(&b->g, 0, &used));
	assert_int_equal(used.written, 4);
	assert_int_equal(used.in_bytes, 5);
	assert_memory_equal(used.in, "repl\xee", 5);
	assert_int_equal(pop(b), 0);
}

static void requests_come_in_the_order_of_the_avail_ring(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 5, b->buffer, 5, 0, 0);
	fg_desc(&b->g, 0, 2, b->buffer, 2, 0, 0);
	fg_offer(&b->g, 0, 5);
	fg_offer(&b->g, 0, 2);
	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.head, 5);
	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.head, 2);
	assert_int_equal(gcur_left(&b->c.out), 2);
}

static void requests_may_come_back_in_another_order(void **state)
{
	struct bench *b = *state;
	u16 first = fg_chain(&b->g, 0, IN(1)), second = fg_chain(&b->g, 0, IN(2));
	struct fg_used used;

	assert_int_equal(pop(b), 1);
	assert_int_equal(pop(b), 1);
	virtq_push(b->q, second, 2);
	virtq_push(b->q, first, 1);
	virtq_call(b->q);
	assert_true(fg_take(&b->g, 0, &used));
	assert_int_equal(used.head, second);
	assert_true(fg_take(&b->g, 0, &used));
	assert_int_equal(used.head, first);
}

static void a_chain_as_long_as_the_ring_is_taken(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, OUT("a", 1), OUT("b", 1), OUT("c", 1), OUT("d", 1), IN(1), IN(1), IN(1),
		 IN(1));
	assert_int_equal(pop(b), 1);
	assert_int_equal(gcur_left(&b->c.out), 4);
	assert_int_equal(gcur_left(&b->c.in), 4);
}

static void buffers_of_no_bytes_are_passed_over(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, OUT("", 0), OUT("ab", 2), OUT("", 0), IN(0), IN(3), IN(0));
	assert_int_equal(virtq_pop(b->q, &b->c, b->iov, 2), 1);
	assert_int_equal(b->c.out.nr, 1);
	assert_int_equal(b->c.in.nr, 1);
	assert_int_equal(gcur_left(&b->c.out), 2);
	assert_int_equal(gcur_left(&b->c.in), 3);
}

static void a_request_of_no_bytes_at_all_is_a_request(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, UINT64_MAX, 0, 0, 0); /* nobody asks where nothing lies */
	fg_offer(&b->g, 0, 0);
	assert_int_equal(pop(b), 1);
	assert_int_equal(gcur_left(&b->c.out) + gcur_left(&b->c.in), 0);
}

static void a_request_given_back_unread_comes_again(void **state)
{
	struct bench *b = *state;
	u16 first = fg_chain(&b->g, 0, IN(1)), second = fg_chain(&b->g, 0, IN(2));

	assert_int_equal(pop(b), 1);
	virtq_unpop(b->q);
	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.head, first);
	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.head, second);
}

static void indices_wrap_after_65536_requests(void **state)
{
	struct bench *b = *state;
	struct fg_used used;

	for (u32 i = 0; i < 65536 + 3 * SIZE; i++) {
		fg_chain(&b->g, 0, IN(1));
		assert_int_equal(pop(b), 1);
		virtq_push(b->q, b->c.head, i % 2);
		virtq_call(b->q);
		assert_true(fg_take(&b->g, 0, &used));
		assert_int_equal(used.written, i % 2);
	}
	assert_int_equal(fg_calls(&b->g, 0), 65536 + 3 * SIZE);
	assert_int_equal(b->q->next_avail, 3 * SIZE);
	assert_int_equal(b->q->next_used, 3 * SIZE);
}

static void a_ring_of_one_entry_works(void **state)
{
	struct bench *b = *state;
	struct fg_used used;

	fg_stop(&b->g);
	b->g.ring_size = 1;
	fg_start(&b->g);
	for (u32 i = 0; i < 3; i++) {
		fg_chain(&b->g, 0, IN(1));
		assert_int_equal(pop(b), 1);
		virtq_push(b->q, b->c.head, 1);
		virtq_call(b->q);
		assert_true(fg_take(&b->g, 0, &used));
	}
}

/* --- Broken rings: indices and chains --------------------------------------------------------- */

static void an_avail_index_that_jumps_breaks_the_ring(void **state)
{
	static const u16 bad[] = { SIZE + 1, 0x7fff, 0x8000, 0xffff };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		fg_set_avail_idx(&b->g, 0, bad[i]);
		expect_broken(b, "an avail index that jumped");
		fg_stop(&b->g);
		fg_start(&b->g);
	}
}

static void an_avail_index_that_goes_back_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, IN(1));
	assert_int_equal(pop(b), 1);
	fg_set_avail_idx(&b->g, 0, 0);
	expect_broken(b, "an avail index that jumped");
}

static void a_head_outside_of_the_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_offer(&b->g, 0, SIZE);
	expect_broken(b, "a head outside of the table");
}

static void a_head_that_is_in_flight_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_offer(&b->g, 0, fg_chain(&b->g, 0, IN(1)));
	assert_int_equal(pop(b), 1);
	expect_broken(b, "a head that the device still has");
}

static void a_request_in_flight_outlives_a_broken_ring(void **state)
{
	struct bench *b = *state;
	u16 head = fg_chain(&b->g, 0, IN(1));

	assert_int_equal(pop(b), 1);
	fg_offer(&b->g, 0, SIZE);
	expect_broken(b, "a head outside of the table");
	virtq_push(b->q, head, 1);
	assert_int_equal(fg_used_idx(&b->g, 0), 1);
}

static void a_next_outside_of_the_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, b->buffer, 1, NEXT, SIZE);
	expect_refused(b, "a next descriptor outside of the table");
}

static void a_next_without_its_flag_does_not_matter(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, b->buffer, 1, 0, 0xffff);
	fg_offer(&b->g, 0, 0);
	assert_int_equal(pop(b), 1);
}

static void a_chain_that_loops_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, b->buffer, 1, NEXT, 1);
	fg_desc(&b->g, 0, 1, b->buffer, 1, NEXT, 0);
	expect_refused(b, "a chain that loops");
}

static void a_loop_of_empty_buffers_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, b->buffer, 0, NEXT, 0);
	expect_refused(b, "a chain that loops");
}

static void more_buffers_than_the_device_takes_break_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, OUT("a", 1), IN(1), IN(1));
	assert_int_equal(virtq_pop(b->q, &b->c, b->iov, 2), -EPROTO);
	assert_string_equal(b->q->fault, "more buffers than the device takes");
}

static void a_readable_buffer_behind_a_writable_one_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, OUT("a", 1), IN(1), OUT("b", 1));
	expect_broken(b, "a readable buffer behind a writable one");
}

static void an_empty_buffer_out_of_order_breaks_the_ring_too(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, IN(1), OUT("", 0));
	expect_broken(b, "a readable buffer behind a writable one");
}

/* --- Broken rings: addresses ------------------------------------------------------------------ */

static void buffers_outside_of_memory_break_the_ring(void **state)
{
	static const struct {
		gpa_t gpa;
		u32 len;
	} bad[] = {
		{ 0, 1 },
		{ FG_LOW_GPA - 1, 2 },
		{ FG_SEAM_GPA - 1, 2 }, /* over the seam of two regions */
		{ FG_HOLE_GPA - 1, 2 },
		{ FG_HOLE_GPA, 1 },
		{ FG_HIGH_GPA - 1, 1 },
		{ FG_TOP_GPA, 1 },
		{ FG_TOP_GPA - 1, 2 },
		{ FG_LOW_GPA, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 2 },
		{ UINT64_MAX - FG_LOW_GPA, UINT32_MAX },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		fg_desc(&b->g, 0, 0, bad[i / 2].gpa, bad[i / 2].len, i % 2 ? WRITE : 0, 0);
		expect_refused(b, "a buffer outside of guest memory");
		fg_stop(&b->g);
		fg_start(&b->g);
	}
}

static void buffers_at_the_edges_of_memory_are_taken(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, FG_LOW_GPA, 1, NEXT, 1);
	fg_desc(&b->g, 0, 1, FG_SEAM_GPA - 2, 2, NEXT, 2);
	fg_desc(&b->g, 0, 2, FG_SEAM_GPA, 2, NEXT, 3);
	fg_desc(&b->g, 0, 3, FG_HIGH_GPA, (u32)(FG_TOP_GPA - FG_HIGH_GPA), 0, 0);
	fg_offer(&b->g, 0, 0);
	assert_int_equal(pop(b), 1);
	assert_int_equal(gcur_left(&b->c.out), 5 + FG_TOP_GPA - FG_HIGH_GPA);
}

static void a_chain_of_4_gib_breaks_the_ring(void **state)
{
	const struct gmem_range range = { 0, GIB(1) };
	struct bench *b = *state;
	struct gmem large;
	struct err e;
	u16 i;

	/* The same GiB five times, told in lengths that have no sum in 32 bits; never touched. */
	assert_int_equal(gmem_create(&large, GMEM_PRIVATE, &range, 1, &e), 0);
	assert_int_equal(gmem_write(&large, 0, "\0", 1), 0);
	virtq_disable(b->q);
	b->g.queues[0].config = (struct virtq_config){ SIZE, 0, 4096, 8192 };
	assert_int_equal(virtq_enable(b->q, &large, &b->g.queues[0].config, 0, 0, &e), 0);
	for (i = 0; i < 4; i++) {
		struct virtq_desc d = { le64_make(0), le32_make((u32)GIB(1)),
					le16_make(i < 3 ? NEXT : 0), le16_make(i + 1) };

		assert_int_equal(gmem_write(&large, i * sizeof(d), &d, sizeof(d)), 0);
	}
	assert_int_equal(gmem_write(&large, 4096 + 2, "\1\0\0\0", 4), 0);
	expect_broken(b, "a chain of 4 GiB or more");
	virtq_disable(b->q);
	gmem_destroy(&large);
}

/* --- Indirect tables -------------------------------------------------------------------------- */

static void an_indirect_table_is_a_chain(void **state)
{
	struct bench *b = *state;
	struct fg_used used;
	char text[4] = { 0 };

	fg_chain_table(&b->g, 0, OUT("ab", 2), OUT("c", 1), IN(4));
	assert_int_equal(pop(b), 1);
	assert_true(gcur_get(&b->c.out, text, 3));
	assert_string_equal(text, "abc");
	assert_true(gcur_put(&b->c.in, "done", 4));
	virtq_push(b->q, b->c.head, 4);
	virtq_call(b->q);
	assert_true(fg_take(&b->g, 0, &used));
	assert_memory_equal(used.in, "done", 4);
}

static void a_table_may_have_as_many_entries_as_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain_table(&b->g, 0, IN(1), IN(1), IN(1), IN(1), IN(1), IN(1), IN(1), IN(1));
	assert_int_equal(pop(b), 1);
	assert_int_equal(b->c.in.nr, SIZE);
}

static void a_table_may_end_a_direct_chain_and_its_write_flag_is_ignored(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 32);

	fg_desc(&b->g, 0, 0, b->buffer, 1, NEXT, 1);
	fg_desc(&b->g, 0, 1, table, 32, INDIRECT | WRITE, 0);
	fg_table_desc(&b->g, table, 0, b->buffer, 2, NEXT, 1);
	fg_table_desc(&b->g, table, 1, b->buffer, 4, WRITE, 0);
	fg_offer(&b->g, 0, 0);
	assert_int_equal(pop(b), 1);
	assert_int_equal(gcur_left(&b->c.out), 3);
	assert_int_equal(gcur_left(&b->c.in), 4);
}

static void a_table_and_what_stands_before_it_are_one_chain(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, SIZE * 16);

	fg_desc(&b->g, 0, 0, b->buffer, 1, NEXT, 1);
	fg_desc(&b->g, 0, 1, table, SIZE * 16, INDIRECT, 0);
	for (u16 i = 0; i < SIZE; i++)
		fg_table_desc(&b->g, table, i, b->buffer, 1, i + 1 < SIZE ? NEXT : 0, i + 1);
	expect_refused(b, "a chain longer than the ring");
}

static void the_order_of_buffers_holds_across_a_table(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 16);

	fg_desc(&b->g, 0, 0, b->buffer, 1, NEXT | WRITE, 1);
	fg_desc(&b->g, 0, 1, table, 16, INDIRECT, 0);
	fg_table_desc(&b->g, table, 0, b->buffer, 1, 0, 0);
	expect_refused(b, "a readable buffer behind a writable one");
}

static void a_table_that_was_not_negotiated_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain_table(&b->g, 0, IN(1));
	expect_broken(b, "an indirect table, which was not negotiated");
}

static void a_table_within_a_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 16);

	fg_desc(&b->g, 0, 0, table, 16, INDIRECT, 0);
	fg_table_desc(&b->g, table, 0, table, 16, INDIRECT, 0);
	expect_refused(b, "an indirect table within another");
}

static void a_descriptor_behind_a_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 16);

	fg_desc(&b->g, 0, 0, table, 16, INDIRECT | NEXT, 1);
	fg_table_desc(&b->g, table, 0, b->buffer, 1, 0, 0);
	expect_refused(b, "a descriptor behind an indirect table");
}

static void tables_of_odd_lengths_break_the_ring(void **state)
{
	static const u32 bad[] = { 0, 1, 15, 17, 24, 16 * SIZE + 1, UINT32_MAX };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		fg_desc(&b->g, 0, 0, b->buffer, bad[i], INDIRECT, 0);
		expect_refused(b, "an indirect table that is no whole number of descriptors");
		fg_stop(&b->g);
		fg_start(&b->g);
	}
}

static void a_table_larger_than_the_ring_breaks_it(void **state)
{
	struct bench *b = *state;

	fg_desc(&b->g, 0, 0, b->buffer, 16 * (SIZE + 1), INDIRECT, 0);
	expect_refused(b, "an indirect table larger than the ring");
}

static void a_table_outside_of_memory_breaks_the_ring(void **state)
{
	static const gpa_t bad[] = { 0, FG_SEAM_GPA - 16, FG_TOP_GPA - 16, FG_HOLE_GPA,
				     UINT64_MAX - 15 };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		fg_desc(&b->g, 0, 0, bad[i], 32, INDIRECT, 0);
		expect_refused(b, "an indirect table outside of guest memory");
		fg_stop(&b->g);
		fg_start(&b->g);
	}
}

static void a_next_outside_of_an_indirect_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 32);

	fg_desc(&b->g, 0, 0, table, 16, INDIRECT, 0);
	fg_table_desc(&b->g, table, 0, b->buffer, 1, NEXT, 1); /* a descriptor, but not of it */
	fg_table_desc(&b->g, table, 1, b->buffer, 1, 0, 0);
	expect_refused(b, "a next descriptor outside of the table");
}

static void a_loop_in_a_table_breaks_the_ring(void **state)
{
	struct bench *b = *state;
	gpa_t table = fg_alloc(&b->g, 32);

	fg_desc(&b->g, 0, 0, table, 32, INDIRECT, 0);
	fg_table_desc(&b->g, table, 0, b->buffer, 1, NEXT, 1);
	fg_table_desc(&b->g, table, 1, b->buffer, 1, NEXT, 1);
	expect_refused(b, "a chain that loops");
}

/* --- Calls ------------------------------------------------------------------------------------ */

/* Take and finish `nr` requests that the test offers, then call once. */
static void serve(struct bench *b, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		fg_desc(&b->g, 0, 0, b->buffer, 1, WRITE, 0);
		fg_offer(&b->g, 0, 0);
		assert_int_equal(pop(b), 1);
		virtq_push(b->q, b->c.head, 1);
	}
	virtq_call(b->q);
}

static void set_used_event(struct bench *b, u16 event)
{
	*virtq_used_event(b->g.queues[0].avail, SIZE) = le16_make(event);
}

static void nothing_pushed_calls_nobody(void **state)
{
	struct bench *b = *state;

	virtq_call(b->q);
	fg_chain(&b->g, 0, IN(1));
	assert_int_equal(pop(b), 1);
	virtq_call(b->q);
	assert_int_equal(fg_calls(&b->g, 0), 0);
	virtq_push(b->q, b->c.head, 0);
	virtq_call(b->q);
	virtq_call(b->q);
	assert_int_equal(fg_calls(&b->g, 0), 1);
}

/* One request of a well-behaved driver, from offer to return. Return: calls so far. */
static u32 serve_politely(struct bench *b)
{
	struct fg_used used;

	fg_chain(&b->g, 0, IN(1));
	assert_int_equal(pop(b), 1);
	virtq_push(b->q, b->c.head, 1);
	virtq_call(b->q);
	assert_true(fg_take(&b->g, 0, &used));
	return fg_calls(&b->g, 0);
}

static void a_driver_that_wants_no_interrupts_is_not_called(void **state)
{
	struct bench *b = *state;

	assert_int_equal(serve_politely(b), 1);
	fg_poll(&b->g, 0, true);
	assert_int_equal(serve_politely(b), 1);
	assert_int_equal(serve_politely(b), 1);
	fg_poll(&b->g, 0, false);
	assert_int_equal(serve_politely(b), 2);
}

static void the_flag_does_not_matter_with_event_idx(void **state)
{
	struct bench *b = *state;

	b->g.queues[0].avail->flags = le16_make(VIRTQ_AVAIL_F_NO_INTERRUPT);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 1);
}

static void used_event_does_not_matter_without_event_idx(void **state)
{
	struct bench *b = *state;

	set_used_event(b, 1000);
	serve(b, 1);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 2);
}

static void with_event_idx_the_driver_is_called_when_its_entry_was_written(void **state)
{
	struct bench *b = *state;

	serve(b, 1); /* entry 0; the first call is made in any case */
	assert_int_equal(fg_calls(&b->g, 0), 1);
	set_used_event(b, 3);
	serve(b, 1);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 1);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 2);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 2);
	set_used_event(b, 6);
	serve(b, 4); /* entries 5 to 8 at once */
	assert_int_equal(fg_calls(&b->g, 0), 3);
}

static void the_entry_that_is_waited_for_may_lie_behind_the_wrap(void **state)
{
	struct bench *b = *state;

	set_used_event(b, 2);
	for (u32 i = 0; i < 65536; i += SIZE)
		serve(b, SIZE);
	assert_int_equal(b->q->next_used, 0);
	assert_int_equal(fg_calls(&b->g, 0), 1);
	serve(b, 2);
	assert_int_equal(fg_calls(&b->g, 0), 1);
	serve(b, 1);
	assert_int_equal(fg_calls(&b->g, 0), 2);
}

static void stepping_over_an_event_is_seen_at_every_place(void **state)
{
	(void)state;
	assert_true(virtq_passed_event(0, 1, 0));
	assert_false(virtq_passed_event(1, 1, 0));
	assert_false(virtq_passed_event(0xffff, 1, 0));
	assert_true(virtq_passed_event(0xffff, 0, 0xffff));
	assert_true(virtq_passed_event(0xffff, 3, 0xfffe));
	assert_false(virtq_passed_event(0xfffd, 3, 0xfffe));
	assert_false(virtq_passed_event(3, 3, 0xfffe));
	assert_false(virtq_passed_event(5, 5, 5));
	assert_false(virtq_passed_event(4, 5, 5));
}

/* --- Kicks ------------------------------------------------------------------------------------ */

static void an_empty_pop_asks_for_the_next_kick(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, 0, IN(1));
	assert_true(fg_kick(&b->g, 0));
	assert_int_equal(pop(b), 1);
	fg_chain(&b->g, 0, IN(1));
	assert_false(fg_kick(&b->g, 0)); /* the device has not looked that far */
	assert_int_equal(pop(b), 1);
	assert_int_equal(pop(b), 0);
	fg_chain(&b->g, 0, IN(1));
	assert_true(fg_kick(&b->g, 0));
}

static void kicks_that_are_not_wanted_do_not_come(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pop(b), 0);
	assert_false(virtq_want_kicks(b->q, false));
	fg_chain(&b->g, 0, IN(1));
	fg_kick(&b->g, 0); /* with EVENT_IDX one may still be under way */
	assert_int_equal(pop(b), 1);
	assert_int_equal(pop(b), 0);
	fg_chain(&b->g, 0, IN(1));
	assert_false(fg_kick(&b->g, 0));
	assert_true(virtq_want_kicks(b->q, true));
	assert_int_equal(pop(b), 1);
	assert_int_equal(pop(b), 0);
	fg_chain(&b->g, 0, IN(1));
	assert_true(fg_kick(&b->g, 0));
}

static void draining_makes_the_eventfd_quiet(void **state)
{
	struct bench *b = *state;
	struct virtq none;

	fg_force_kick(&b->g, 0);
	fg_force_kick(&b->g, 0);
	assert_false(fg_is_quiet(&b->g));
	virtq_drain_kick(b->q);
	assert_true(fg_is_quiet(&b->g));
	virtq_drain_kick(b->q);
	virtq_init(&none);
	virtq_drain_kick(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define P(test) cmocka_unit_test_setup_teardown(test, setup_plain, teardown)
		T(sizes_that_are_no_power_of_two_are_refused),
		T(rings_that_are_not_aligned_are_refused),
		T(each_ring_lies_wholly_in_one_region),
		T(a_ring_goes_on_where_it_was_disabled),
		T(a_disabled_ring_does_nothing),
		P(enabling_asks_for_kicks_whatever_the_ring_says),
		T(an_empty_ring_has_nothing),
		T(a_request_is_first_read_and_then_written),
		P(a_request_is_first_read_and_then_written),
		T(requests_come_in_the_order_of_the_avail_ring),
		T(requests_may_come_back_in_another_order),
		T(a_chain_as_long_as_the_ring_is_taken),
		T(buffers_of_no_bytes_are_passed_over),
		T(a_request_of_no_bytes_at_all_is_a_request),
		T(a_request_given_back_unread_comes_again),
		T(indices_wrap_after_65536_requests),
		P(indices_wrap_after_65536_requests),
		T(a_ring_of_one_entry_works),
		T(an_avail_index_that_jumps_breaks_the_ring),
		T(an_avail_index_that_goes_back_breaks_the_ring),
		T(a_head_outside_of_the_table_breaks_the_ring),
		T(a_head_that_is_in_flight_breaks_the_ring),
		T(a_request_in_flight_outlives_a_broken_ring),
		T(a_next_outside_of_the_table_breaks_the_ring),
		T(a_next_without_its_flag_does_not_matter),
		T(a_chain_that_loops_breaks_the_ring),
		T(a_loop_of_empty_buffers_breaks_the_ring),
		T(more_buffers_than_the_device_takes_break_the_ring),
		T(a_readable_buffer_behind_a_writable_one_breaks_the_ring),
		T(an_empty_buffer_out_of_order_breaks_the_ring_too),
		T(buffers_outside_of_memory_break_the_ring),
		T(buffers_at_the_edges_of_memory_are_taken),
		T(a_chain_of_4_gib_breaks_the_ring),
		T(an_indirect_table_is_a_chain),
		T(a_table_may_have_as_many_entries_as_the_ring),
		T(a_table_may_end_a_direct_chain_and_its_write_flag_is_ignored),
		T(a_table_and_what_stands_before_it_are_one_chain),
		T(the_order_of_buffers_holds_across_a_table),
		P(a_table_that_was_not_negotiated_breaks_the_ring),
		T(a_table_within_a_table_breaks_the_ring),
		T(a_descriptor_behind_a_table_breaks_the_ring),
		T(tables_of_odd_lengths_break_the_ring),
		T(a_table_larger_than_the_ring_breaks_it),
		T(a_table_outside_of_memory_breaks_the_ring),
		T(a_next_outside_of_an_indirect_table_breaks_the_ring),
		T(a_loop_in_a_table_breaks_the_ring),
		T(nothing_pushed_calls_nobody),
		P(nothing_pushed_calls_nobody),
		T(a_driver_that_wants_no_interrupts_is_not_called),
		P(a_driver_that_wants_no_interrupts_is_not_called),
		T(the_flag_does_not_matter_with_event_idx),
		P(used_event_does_not_matter_without_event_idx),
		T(with_event_idx_the_driver_is_called_when_its_entry_was_written),
		T(the_entry_that_is_waited_for_may_lie_behind_the_wrap),
		cmocka_unit_test(stepping_over_an_event_is_seen_at_every_place),
		T(an_empty_pop_asks_for_the_next_kick),
		T(kicks_that_are_not_wanted_do_not_come),
		P(kicks_that_are_not_wanted_do_not_come),
		T(draining_makes_the_eventfd_quiet),
	};

	return cmocka_run_group_tests_name("virtq", tests, NULL, NULL);
}
