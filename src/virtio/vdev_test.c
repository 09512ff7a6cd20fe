// SPDX-License-Identifier: BSD-3-Clause
// Virtio devices: the registry, rings that start and stop, drivers that break them, kicks in turn.
// test-sources: fake_guest
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_guest.h"
#include "util/fd.h"
#include "util/log.h"

enum { SIZE = 8, RINGS = 3 };

#define EVENT_IDX_BIT (1ull << VIRTIO_RING_F_EVENT_IDX)

struct gadget_cfg {
	bool start_fails, fewer_queues, no_queue_start, greedy, refuses;
};

struct gadget {
	struct gadget_cfg cfg;
	u32 kicks, served, starts, stops;
	u32 hold; /* requests to leave in the ring */
	u8 config[8];
};

/* What is left to see of a device that is gone. */
static struct {
	u32 destroyed, stops_before;
} seen;

static int gadget_start(struct vdev *v, const void *cfg, struct fdset *fds, struct err *e)
{
	struct gadget *g = v->priv;

	(void)fds;
	for (size_t i = 0; i < sizeof(*g); i++)
		assert_int_equal(((u8 *)g)[i], 0);
	if (cfg)
		memcpy(&g->cfg, cfg, sizeof(g->cfg));
	if (g->cfg.start_fails)
		return err_set(e, -EBUSY, "the gadget is taken");
	if (g->cfg.fewer_queues) {
		v->nr_queues = 1;
		v->features_offered &= ~EVENT_IDX_BIT;
	}
	return 0;
}

static void gadget_destroy(struct vdev *v)
{
	struct gadget *g = v->priv;

	seen.destroyed++;
	seen.stops_before = g->stops;
}

/* Writes back what it reads. */
static int gadget_kick(struct vdev *v, u32 qi)
{
	struct virtq *q = vdev_queue(v, qi);
	struct gadget *g = v->priv;
	struct virtq_chain c;
	struct iovec iov[4];
	u8 bytes[64];
	int status;

	g->kicks++;
	if (g->cfg.refuses)
		return vdev_broken(v, qi, "not like that");
	while ((status = vdev_pop(v, qi, &c, iov, ARRAY_SIZE(iov))) > 0) {
		u32 len = (u32)MIN(gcur_left(&c.out), sizeof(bytes));

		if (g->hold > 0 && --g->hold == 0) {
			virtq_unpop(q);
			break;
		}
		if (!gcur_get(&c.out, bytes, len) || !gcur_put(&c.in, bytes, len))
			len = 0;
		virtq_push(q, c.head, len);
		g->served++;
		if (g->cfg.greedy) /* the driver is always faster */
			fg_offer(container_of(v->host, struct fake_guest, host), qi, c.head);
	}
	virtq_call(q);
	return status;
}

static int gadget_queue_start(struct vdev *v, u32 qi)
{
	struct gadget *g = v->priv;

	assert_true(vdev_queue(v, qi)->enabled);
	g->starts++;
	return g->cfg.no_queue_start ? -ENOSPC : 0;
}

static void gadget_queue_stop(struct vdev *v, u32 qi)
{
	struct gadget *g = v->priv;

	assert_true(vdev_queue(v, qi)->enabled);
	g->stops++;
}

static void gadget_config_read(struct vdev *v, u8 *config)
{
	const struct gadget *g = v->priv;

	memcpy(config, g->config, sizeof(g->config));
}

static void gadget_config_write(struct vdev *v, u32 offset, const u8 *src, u32 len)
{
	struct gadget *g = v->priv;

	memcpy(g->config + offset, src, len);
	v->host->config_changed(v->host, v);
}

static const struct vdev_class gadget_class = {
	.name = "virtio-gadget",
	.queue_size_max = SIZE,
	.nr_queues = RINGS,
	.features = 1 << 5,
	.config_bytes = 8,
	.priv_bytes = sizeof(struct gadget),
	.start = gadget_start,
	.destroy = gadget_destroy,
	.kick = gadget_kick,
	.queue_start = gadget_queue_start,
	.queue_stop = gadget_queue_stop,
	.config_read = gadget_config_read,
	.config_write = gadget_config_write,
};
VDEV_CLASS(gadget_class);

/* Has only what a class must have. */
static int plain_kick(struct vdev *v, u32 qi)
{
	(void)v;
	(void)qi;
	return -EPROTO;
}

static int plain_start(struct vdev *v, const void *cfg, struct fdset *fds, struct err *e)
{
	(void)v;
	(void)cfg;
	(void)fds;
	(void)e;
	return 0;
}

static const struct vdev_class plain_class = {
	.name = "virtio-plain",
	.queue_size_max = SIZE,
	.nr_queues = 1,
	.start = plain_start,
	.kick = plain_kick,
};
VDEV_CLASS(plain_class);

static struct fake_guest *make_guest(const struct gadget_cfg *cfg)
{
	struct fake_guest *g = calloc(1, sizeof(*g));

	memset(&seen, 0, sizeof(seen));
	fg_create(g, "virtio-gadget", cfg, NULL);
	fg_start(g);
	return g;
}

static struct gadget *gadget(struct fake_guest *g)
{
	return g->v->priv;
}

static int setup(void **state)
{
	*state = make_guest(NULL);
	return 0;
}

static int teardown(void **state)
{
	fg_destroy(*state);
	free(*state);
	return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void classes_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(vdev_class_find("virtio-gadget"), &gadget_class);
	assert_ptr_equal(vdev_class_find("virtio-plain"), &plain_class);
	assert_null(vdev_class_find("virtio"));
	assert_null(vdev_class_find(""));
}

static void every_device_has_what_rings_need(void **state)
{
	struct fake_guest *g = *state;
	const u64 want = 1 << 5 | 1ull << VIRTIO_F_VERSION_1 | EVENT_IDX_BIT |
			 1ull << VIRTIO_RING_F_INDIRECT_DESC;

	assert_true(g->v->features_offered == want);
	assert_string_equal(g->v->name, "virtio-gadget.0");
	assert_int_equal(g->v->nr_queues, RINGS);
	assert_int_equal(gadget(g)->starts, RINGS);
}

static void a_start_that_fails_leaves_words_and_nothing_else(void **state)
{
	const struct gadget_cfg cfg = { .start_fails = true };
	struct fake_guest g;
	struct err e = { 0 };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_false(fg_try(&g, "virtio-gadget", &cfg, NULL, &e));
	assert_int_equal(e.code, -EBUSY);
	assert_string_equal(e.text, "virtio-gadget.0: the gadget is taken");
	assert_int_equal(seen.destroyed, 1);
	fg_destroy(&g);
	assert_int_equal(seen.destroyed, 1);
	vdev_destroy(NULL);
}

static void a_start_may_lower_what_the_class_promised(void **state)
{
	const struct gadget_cfg cfg = { .fewer_queues = true };
	struct fake_guest *g = make_guest(&cfg);

	(void)state;
	assert_non_null(vdev_queue(g->v, 0));
	assert_null(vdev_queue(g->v, 1));
	assert_null(vdev_queue(g->v, UINT32_MAX));
	assert_false(vdev_has(g->v, VIRTIO_RING_F_EVENT_IDX));
	assert_true(vdev_has(g->v, VIRTIO_F_VERSION_1));
	fg_do(g, 0, OUT("x", 1), IN(1));
	fg_destroy(g);
	free(g);
}

static void destroying_stops_the_rings_first(void **state)
{
	struct fake_guest *g = make_guest(NULL);
	struct vdev *v = g->v;

	(void)state;
	for (u32 qi = 0; qi < RINGS; qi++) {
		evl_remove(&g->evl, &g->queues[qi].source);
		fd_close(&v->queues[qi].kick_fd);
		fd_close(&v->queues[qi].call_fd);
		free(g->queues[qi].requests);
	}
	g->v = NULL;
	vdev_destroy(v);
	assert_int_equal(seen.stops_before, RINGS);
	fg_destroy(g);
	free(g);
}

/* --- Rings ------------------------------------------------------------------------------------ */

static void rings_start_and_stop_with_the_class(void **state)
{
	struct fake_guest *g = *state;

	for (u32 i = 1; i <= 3; i++) {
		fg_do(g, 1, OUT("abc", 3), IN(3));
		fg_stop(g);
		assert_int_equal(gadget(g)->stops, i * RINGS);
		assert_int_equal(vdev_queue_stop(g->v, 1), 0);
		assert_int_equal(gadget(g)->stops, i * RINGS);
		fg_start(g);
	}
}

static void a_stopped_ring_tells_where_to_begin_again(void **state)
{
	struct fake_guest *g = *state;
	struct err e;

	for (u32 i = 0; i < 5; i++)
		fg_do(g, 2, OUT("abc", 3), IN(3));
	assert_int_equal(vdev_queue_stop(g->v, 2), 5);
	fg_chain(g, 2, OUT("later", 5), IN(5));
	assert_int_equal(vdev_queue_start(g->v, 2, &g->queues[2].config, 5, &e), 0);
	fg_force_kick(g, 2);
	assert_memory_equal(fg_wait(g, 2).in, "later", 5);
}

static void rings_that_cannot_start_are_refused_with_words(void **state)
{
	struct fake_guest *g = *state;
	struct virtq_config config = g->queues[1].config;
	struct err e;

	assert_int_equal(vdev_queue_start(g->v, RINGS, &config, 0, &e), -EINVAL);
	assert_string_equal(e.text, "virtio-gadget.0: ring 3: the device has 3 rings");
	assert_int_equal(vdev_queue_start(g->v, 1, &config, 0, &e), -EBUSY);
	assert_string_equal(e.text, "virtio-gadget.0: ring 1: already started");
	vdev_queue_stop(g->v, 1);
	config.size = 2 * SIZE;
	assert_int_equal(vdev_queue_start(g->v, 1, &config, 0, &e), -EINVAL);
	assert_string_equal(e.text, "virtio-gadget.0: ring 1: ring of 16 entries: at most 8 are "
				    "possible");
	config.size = 3;
	assert_int_equal(vdev_queue_start(g->v, 1, &config, 0, &e), -EINVAL);
	config.size = SIZE;
	gadget(g)->cfg.no_queue_start = true;
	assert_int_equal(vdev_queue_start(g->v, 1, &config, 0, &e), -ENOSPC);
	assert_string_equal(e.text, "virtio-gadget.0: ring 1: start: No space left on device");
	assert_false(vdev_queue(g->v, 1)->enabled);
}

/* --- Requests --------------------------------------------------------------------------------- */

static void requests_are_answered_on_every_ring(void **state)
{
	struct fake_guest *g = *state;

	for (u32 qi = 0; qi < RINGS; qi++) {
		struct fg_used used = fg_do(g, qi, OUT("ab", 2), OUT("cd", 2), IN(1), IN(5));

		assert_int_equal(used.written, 4);
		assert_int_equal(used.in_bytes, 6);
		assert_memory_equal(used.in, "abcd\xee\xee", 6);
		assert_int_equal(fg_calls(g, qi), 1);
	}
	assert_true(fg_is_quiet(g));
	assert_int_equal(gadget(g)->kicks, RINGS);
}

static void a_kick_without_requests_does_no_harm(void **state)
{
	struct fake_guest *g = *state;

	fg_force_kick(g, 0);
	fg_settle(g);
	vdev_kick(g->v, RINGS);
	vdev_queue_stop(g->v, 0);
	vdev_kick(g->v, 0);
	assert_int_equal(gadget(g)->kicks, 1);
	assert_int_equal(gadget(g)->served, 0);
}

static void a_driver_that_never_ends_gets_one_ring_of_requests_at_a_time(void **state)
{
	struct fake_guest *g = *state;

	gadget(g)->cfg.greedy = true;
	for (u16 i = 0; i < SIZE; i++) {
		fg_desc(g, 0, i, fg_alloc(g, 1), 1, 0, 0);
		fg_offer(g, 0, i);
	}
	fg_force_kick(g, 0);
	for (u32 turn = 1; turn <= 4; turn++) {
		assert_false(fg_is_quiet(g)); /* it comes again by itself */
		fg_step(g);
		assert_int_equal(gadget(g)->kicks, turn);
		assert_int_equal(gadget(g)->served, turn * SIZE);
	}
}

static void a_class_that_leaves_requests_is_not_called_in_vain(void **state)
{
	struct fake_guest *g = *state;

	gadget(g)->hold = 3;
	for (u32 i = 0; i < 4; i++)
		fg_chain(g, 0, IN(1));
	fg_kick(g, 0);
	fg_settle(g);
	assert_int_equal(gadget(g)->kicks, 1);
	assert_int_equal(gadget(g)->served, 2);
}

static void a_full_ring_of_requests_is_served_by_one_kick(void **state)
{
	struct fake_guest *g = *state;

	for (u32 i = 0; i < SIZE; i++)
		fg_chain(g, 0, IN(1));
	fg_kick(g, 0);
	fg_settle(g);
	assert_int_equal(gadget(g)->served, SIZE);
	assert_int_equal(gadget(g)->kicks, 1);
	fg_chain_table(g, 1, OUT("abc", 3), IN(3));
	assert_true(fg_kick(g, 1));
	assert_memory_equal(fg_wait(g, 1).in, "abc", 3);
}

static void the_kick_after_a_full_ring_is_not_lost(void **state)
{
	struct fake_guest *g = *state;

	/* The handler stops after a ring's worth without having seen the ring empty. */
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < SIZE; i++)
			fg_chain_table(g, 0, OUT("r", 1), IN(1));
		fg_kick(g, 0);
		for (u32 i = 0; i < SIZE; i++)
			assert_int_equal(fg_wait(g, 0).written, 1);
	}
}

/* --- Broken drivers --------------------------------------------------------------------------- */

static void a_broken_ring_is_told_once_and_then_no_ring_is_looked_at(void **state)
{
	struct fake_guest *g = *state;
	u32 lines;

	fg_offer(g, 1, 0xffff);
	fg_force_kick(g, 1);
	FG_WAIT(g, g->nr_broken > 0);
	assert_int_equal(g->broken_qi, 1);
	assert_string_equal(g->log, "virtio-gadget.0: ring 1: a head outside of the table");
	lines = g->nr_lines;
	fg_chain(g, 0, IN(1));
	for (u32 i = 0; i < 3; i++) {
		fg_force_kick(g, 0);
		fg_force_kick(g, 1);
		fg_settle(g); /* nor does the loop spin */
	}
	assert_int_equal(g->nr_broken, 1);
	assert_int_equal(g->nr_lines, lines);
	assert_int_equal(gadget(g)->kicks, 1);
	assert_int_equal(vdev_pop(g->v, 0, NULL, NULL, 0), -EPROTO);
}

static void a_reset_heals_a_broken_device(void **state)
{
	struct fake_guest *g = *state;

	for (u32 i = 1; i <= 2; i++) {
		fg_set_avail_idx(g, 0, 0x8000);
		fg_force_kick(g, 0);
		FG_WAIT(g, g->nr_broken == i);
		for (u32 qi = 0; qi < RINGS; qi++) {
			assert_true(g->v->is_broken);
			vdev_queue_stop(g->v, qi);
		}
		assert_false(g->v->is_broken);
		fg_stop(g);
		fg_start(g);
	}
	g->nr_broken = 0;
	assert_int_equal(fg_do(g, 0, OUT("a", 1), IN(1)).written, 1);
}

static void a_class_breaks_the_device_in_its_own_words(void **state)
{
	struct fake_guest *g = *state;

	gadget(g)->cfg.refuses = true;
	fg_chain(g, 2, IN(1));
	fg_kick(g, 2);
	FG_WAIT(g, g->nr_broken > 0);
	assert_int_equal(g->broken_qi, 2);
	assert_string_equal(g->log, "virtio-gadget.0: not like that");
	assert_int_equal(vdev_broken(g->v, 0, "again"), -EPROTO);
	assert_int_equal(g->nr_broken, 1);
}

static void a_class_that_only_returns_an_error_is_broken_too(void **state)
{
	struct fake_guest g;

	(void)state;
	fg_create(&g, "virtio-plain", NULL, NULL);
	fg_start(&g);
	fg_force_kick(&g, 0);
	fg_settle(&g);
	assert_int_equal(g.nr_broken, 1);
	assert_string_equal(g.log, "virtio-plain.0: ring 0: a request that makes no sense");
	fg_destroy(&g);
}

static void lines_that_a_guest_causes_are_limited(void **state)
{
	struct fake_guest *g = *state;

	for (u32 i = 0; i < 100 * LOG_LIMIT_BURST; i++)
		vdev_log(g->v, "line %u", i);
	assert_in_range(g->nr_lines, 1, 10 * LOG_LIMIT_BURST);
}

/* --- Configuration space ---------------------------------------------------------------------- */

static void configuration_space_is_the_class_s(void **state)
{
	struct fake_guest *g = *state;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	fg_config_write(g, 2, "xyz", 3);
	fg_config(g, config);
	assert_memory_equal(config, "\0\0xyz\0\0\0", 8);
	assert_int_equal(g->nr_config_changes, 1);
}

/* --- Two threads ------------------------------------------------------------------------------ */

enum { MANY = 20000 };

/* A driver on a processor of its own; the device's loop runs on the test's thread. */
static void *drive(void *opaque)
{
	struct fake_guest *g = opaque;
	struct fg_queue *dq = &g->queues[0];
	u64 end_ns = evl_now_ns() + FG_DEADLINE_MS * 1000000ull;
	u32 offered = 0, returned = 0;

	while (returned < MANY && evl_now_ns() < end_ns) {
		if (offered < MANY && offered - returned < 1 + returned % SIZE) {
			dq->avail->ring[offered % SIZE] = le16_make(offered % SIZE);
			fg_set_avail_idx(g, 0, (u16)++offered);
			fg_kick(g, 0);
		}
		returned += (u16)(fg_used_idx(g, 0) - (u16)returned);
	}
	dq->calls = returned;
	return NULL;
}

static void no_kick_is_lost_between_two_threads(void **state)
{
	struct fake_guest *g = *state;
	u64 end_ns = evl_now_ns() + FG_DEADLINE_MS * 1000000ull;
	pthread_t driver;

	for (u16 i = 0; i < SIZE; i++)
		fg_desc(g, 0, i, fg_alloc(g, 1), 1, 0, 0);
	assert_int_equal(pthread_create(&driver, NULL, drive, g), 0);
	while (gadget(g)->served < MANY && g->nr_broken == 0 && evl_now_ns() < end_ns)
		fg_step(g);
	assert_int_equal(pthread_join(driver, NULL), 0);
	assert_int_equal(gadget(g)->served, MANY);
	assert_int_equal(g->queues[0].calls, MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		cmocka_unit_test(classes_are_found_by_name),
		T(every_device_has_what_rings_need),
		cmocka_unit_test(a_start_that_fails_leaves_words_and_nothing_else),
		cmocka_unit_test(a_start_may_lower_what_the_class_promised),
		cmocka_unit_test(destroying_stops_the_rings_first),
		T(rings_start_and_stop_with_the_class),
		T(a_stopped_ring_tells_where_to_begin_again),
		T(rings_that_cannot_start_are_refused_with_words),
		T(requests_are_answered_on_every_ring),
		T(a_kick_without_requests_does_no_harm),
		T(a_driver_that_never_ends_gets_one_ring_of_requests_at_a_time),
		T(a_class_that_leaves_requests_is_not_called_in_vain),
		T(a_full_ring_of_requests_is_served_by_one_kick),
		T(the_kick_after_a_full_ring_is_not_lost),
		T(a_broken_ring_is_told_once_and_then_no_ring_is_looked_at),
		T(a_reset_heals_a_broken_device),
		T(a_class_breaks_the_device_in_its_own_words),
		cmocka_unit_test(a_class_that_only_returns_an_error_is_broken_too),
		T(lines_that_a_guest_causes_are_limited),
		T(configuration_space_is_the_class_s),
		T(no_kick_is_lost_between_two_threads),
	};

	return cmocka_run_group_tests_name("vdev", tests, NULL, NULL);
}
