// SPDX-License-Identifier: BSD-3-Clause
// What a driver may do to a device, in which order, behind either transport.
// test-sources: src/virtio/front.c src/virtio/mmio.c src/virtio/pci.c src/pci/pci.c src/pci/msix.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/log.c tests/lib/fake_front.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "tests/lib/fake_front.h"

enum {
	ACK = VIRTIO_STATUS_ACKNOWLEDGE,
	DRIVER = ACK | VIRTIO_STATUS_DRIVER,
	NEGOTIATED = DRIVER | VIRTIO_STATUS_FEATURES_OK,
	RUNS = NEGOTIATED | VIRTIO_STATUS_DRIVER_OK,
};

static int set_up_mmio(void **state)
{
	static struct fake_front ff;

	ff_create(&ff, FF_MMIO, 3, 10);
	*state = &ff;
	return 0;
}

static int set_up_pci(void **state)
{
	static struct fake_front ff;

	ff_create(&ff, FF_PCI, 3, 10);
	*state = &ff;
	return 0;
}

static int tear_down(void **state)
{
	ff_destroy(*state);
	return 0;
}

/* --- Features and status ---------------------------------------------------------------------- */

static void version_1_is_always_offered_and_what_no_transport_has_never(void **state)
{
	ff_put(*state, FF_DEVICE_FEATURE_SEL, 0);
	assert_int_equal(ff_get(*state, FF_DEVICE_FEATURE), 0x30000005);
	ff_put(*state, FF_DEVICE_FEATURE_SEL, 1);
	assert_int_equal(ff_get(*state, FF_DEVICE_FEATURE), 1);
	ff_put(*state, FF_DEVICE_FEATURE_SEL, 2);
	assert_int_equal(ff_get(*state, FF_DEVICE_FEATURE), 0);
	ff_put(*state, FF_DEVICE_FEATURE_SEL, UINT32_MAX);
	assert_int_equal(ff_get(*state, FF_DEVICE_FEATURE), 0);
}

static void a_driver_that_goes_by_the_book_runs(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
	assert_int_equal(ff->starts, 1);
	assert_true(ff->front.running);
	assert_int_equal(ff->front.features, 0x130000005);
	assert_int_equal(ff->front.queues[2].size, 128);
	assert_int_equal(ff->front.queues[2].desc_gpa, 0x30000);
	assert_int_equal(ff->front.queues[2].avail_gpa, 0x34000);
	assert_int_equal(ff->front.queues[2].used_gpa, 0x38000);
}

static void choose(struct fake_front *ff, u32 word, u32 bits)
{
	ff_put(ff, FF_DRIVER_FEATURE_SEL, word);
	ff_put(ff, FF_DRIVER_FEATURE, bits);
}

static void features_without_version_1_or_not_offered_are_not_ok(void **state)
{
	ff_put(*state, FF_STATUS, DRIVER);
	ff_put(*state, FF_STATUS, NEGOTIATED);
	assert_int_equal(ff_get(*state, FF_STATUS), DRIVER);
	choose(*state, 0, 2);
	choose(*state, 1, 1);
	ff_put(*state, FF_STATUS, NEGOTIATED);
	assert_int_equal(ff_get(*state, FF_STATUS), DRIVER);
	choose(*state, 0, 1);
	ff_put(*state, FF_STATUS, NEGOTIATED);
	assert_int_equal(ff_get(*state, FF_STATUS), NEGOTIATED);
}

static void features_change_only_between_driver_and_features_ok(void **state)
{
	struct fake_front *ff = *state;

	ff_put(ff, FF_STATUS, ACK);
	choose(ff, 1, 1);
	assert_int_equal(ff->front.features, 0);
	ff_negotiate(ff);
	choose(ff, 0, 0);
	choose(ff, 1, 0);
	choose(ff, 2, 7);
	assert_int_equal(ff->front.features, 0x130000005);
}

static void driver_ok_without_features_ok_starts_nothing(void **state)
{
	struct fake_front *ff = *state;

	ff_put(ff, FF_STATUS, DRIVER | VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(ff_get(ff, FF_STATUS), DRIVER);
	assert_int_equal(ff->starts, 0);
}

static void status_bits_are_only_added_and_only_a_driver_s_own(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	ff_put(ff, FF_STATUS, ACK);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
	ff_put(ff, FF_STATUS, 0x70 | RUNS);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
	ff_put(ff, FF_STATUS, VIRTIO_STATUS_FAILED);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS | VIRTIO_STATUS_FAILED);
	assert_int_equal(ff->starts, 1);
}

static void a_driver_that_failed_starts_nothing_before_a_reset(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	ff_put(ff, FF_STATUS, VIRTIO_STATUS_FAILED);
	ff_put(ff, FF_STATUS, RUNS);
	assert_int_equal(ff->starts, 0);
	ff_start(ff);
	assert_int_equal(ff->starts, 1);
}

/* --- Rings ------------------------------------------------------------------------------------ */

static void rings_are_frozen_while_enabled_and_from_driver_ok_to_reset(void **state)
{
	struct fake_front *ff = *state;
	struct vfront_queue before[2];

	ff_negotiate(ff);
	ff_enable(ff, 0);
	ff_put(ff, FF_STATUS, RUNS);
	memcpy(before, ff->front.queues, sizeof(before));
	for (u32 qi = 0; qi < 2; qi++) {
		ff_put(ff, FF_QUEUE_SEL, qi);
		ff_put(ff, FF_QUEUE_LENGTH, 64);
		ff_put(ff, FF_QUEUE_DESC, 0x123000);
		ff_put(ff, FF_QUEUE_DRIVER, 0x123000);
		ff_put(ff, FF_QUEUE_DEVICE, 0x123000);
		ff_put(ff, FF_QUEUE_ENABLE, !qi);
		ff_put(ff, FF_QUEUE_ENABLE, qi);
	}
	assert_memory_equal(before, ff->front.queues, sizeof(before));
}

static void an_enabled_ring_cannot_be_changed(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	ff_enable(ff, 1);
	ff_put(ff, FF_QUEUE_DESC, 0x5000);
	ff_put(ff, FF_QUEUE_LENGTH, 2);
	assert_int_equal(ff->front.queues[1].desc_gpa, 0x20000);
	assert_int_equal(ff->front.queues[1].size, 128);
}

static void a_ring_of_an_impossible_size_is_not_enabled(void **state)
{
	static const u32 sizes[] = { 0, 3, 255, 2 * FF_QUEUE_SIZE, 0x8000, 0xffff };

	ff_negotiate(*state);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		ff_put(*state, FF_QUEUE_LENGTH, sizes[i]);
		ff_put(*state, FF_QUEUE_ENABLE, 1);
		assert_int_equal(ff_get(*state, FF_QUEUE_ENABLE), 0);
	}
	ff_put(*state, FF_QUEUE_LENGTH, 1);
	ff_put(*state, FF_QUEUE_ENABLE, 1);
	assert_int_equal(ff_get(*state, FF_QUEUE_ENABLE), 1);
}

static void a_ring_is_not_enabled_before_features_ok(void **state)
{
	ff_put(*state, FF_STATUS, DRIVER);
	ff_put(*state, FF_QUEUE_ENABLE, 1);
	assert_int_equal(ff_get(*state, FF_QUEUE_ENABLE), 0);
}

static void a_ring_that_is_not_there_reads_zeros_and_takes_nothing(void **state)
{
	static const u32 selections[] = { 3, 64, 0x100, 0xfffe, 0xffff };
	struct fake_front *ff = *state;
	struct vfront_queue before[VFRONT_QUEUES_MAX];

	ff_negotiate(ff);
	memcpy(before, ff->front.queues, sizeof(before));
	for (u32 i = 0; i < ARRAY_SIZE(selections); i++) {
		ff_put(ff, FF_QUEUE_SEL, selections[i]);
		for (u32 reg = FF_QUEUE_LENGTH; reg <= FF_QUEUE_DEVICE; reg++) {
			ff_put(ff, reg, 1);
			assert_int_equal(ff_get(ff, reg), 0);
		}
	}
	assert_memory_equal(before, ff->front.queues, sizeof(before));
}

/* --- Doorbells -------------------------------------------------------------------------------- */

static void doorbells_are_there_while_the_device_runs_for_the_rings_it_has(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	ff_enable(ff, 0);
	ff_enable(ff, 2);
	assert_int_equal(ff->nr_bells, 0);
	ff_put(ff, FF_STATUS, RUNS);
	assert_int_equal(ff->nr_bells, 2);
	assert_non_null(ff_bell(ff, ff->front.queues[0].kick_fd));
	assert_non_null(ff_bell(ff, ff->front.queues[2].kick_fd));
	ff_put(ff, FF_STATUS, 0);
	assert_int_equal(ff->nr_bells, 0);
}

static void notify(struct fake_front *ff, u32 qi)
{
	if (ff->transport == FF_MMIO)
		ff_out(ff, FF_MMIO_GPA + 0x50, 4, qi);
	else
		ff_out(ff, ff_base(ff) + FF_NOTIFY + 4 * qi, 2, qi);
}

static void a_kick_that_no_doorbell_took_rings_the_same_eventfd(void **state)
{
	struct fake_front *ff = *state;

	ff->bell_status = -ENOSPC;
	ff_start(ff);
	assert_int_equal(ff->nr_bells, 0);
	notify(ff, 1);
	assert_false(ff_rung(ff->front.queues[0].kick_fd));
	assert_true(ff_rung(ff->front.queues[1].kick_fd));
}

static void kicks_of_rings_that_are_not_served_ring_nothing(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	ff_enable(ff, 0);
	notify(ff, 0);
	assert_false(ff_rung(ff->front.queues[0].kick_fd));
	ff_put(ff, FF_STATUS, RUNS);
	notify(ff, 1);
	notify(ff, 3);
	notify(ff, 63);
	for (u32 i = 0; i < 3; i++)
		assert_false(ff_rung(ff->front.queues[i].kick_fd));
}

/* --- Reset ------------------------------------------------------------------------------------ */

static void a_reset_while_it_runs_stops_it_and_forgets_everything(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	notify(ff, 0);
	doorbell_ring(ff->front.queues[1].call_fd);
	ff_put(ff, FF_STATUS, 0);
	assert_int_equal(ff->stops, 1);
	assert_int_equal(ff_get(ff, FF_STATUS), 0);
	assert_false(ff->front.running);
	assert_int_equal(ff->front.features, 0);
	assert_int_equal(ff->front.queues[1].size, FF_QUEUE_SIZE);
	assert_int_equal(ff->front.queues[1].desc_gpa, 0);
	assert_false(ff->front.queues[1].enabled);
	assert_false(ff_rung(ff->front.queues[0].kick_fd));
	assert_false(ff_rung(ff->front.queues[1].call_fd));
	ff_put(ff, FF_STATUS, 0);
	assert_int_equal(ff->stops, 1);
}

/* Should it wait, the alarm ends the test. */
static void eventfds_that_a_back_end_made_block_hold_nobody_up(void **state)
{
	struct fake_front *ff = *state;
	const u64 full = UINT64_MAX - 1;

	ff_start(ff);
	for (u32 qi = 0; qi < 3; qi++) {
		assert_int_equal(fd_set_nonblock(ff->front.queues[qi].kick_fd, false), 0);
		assert_int_equal(fd_set_nonblock(ff->front.queues[qi].call_fd, false), 0);
	}
	assert_int_equal(fd_write(ff->front.queues[1].kick_fd, &full, sizeof(full)), sizeof(full));
	alarm(10);
	vfront_kick(&ff->front, 1);
	ff_put(ff, FF_STATUS, 0);
	alarm(0);
	assert_int_equal(ff_get(ff, FF_STATUS), 0);
}

static void it_runs_again_after_a_reset(void **state)
{
	struct fake_front *ff = *state;

	for (u32 i = 1; i <= 3; i++) {
		ff_start(ff);
		assert_int_equal(ff->starts, i);
		assert_int_equal(ff->nr_bells, 3);
	}
	assert_int_equal(ff->stops, 2);
}

static void a_device_that_cannot_start_needs_a_reset(void **state)
{
	struct fake_front *ff = *state;

	ff->start_status = -EPIPE;
	ff_start(ff);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(ff->nr_bells, 0);
	ff_put(ff, FF_STATUS, RUNS);
	ff_put(ff, FF_QUEUE_SEL, 0);
	ff_put(ff, FF_QUEUE_DESC, 0x123000);
	assert_int_equal(ff->front.queues[0].desc_gpa, 0x10000);
	ff->start_status = 0;
	ff_start(ff);
	assert_int_equal(ff->starts, 2);
	assert_int_equal(ff->stops, 0); /* what never ran need not stop */
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
}

static void a_device_that_broke_says_so_until_it_is_reset(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	vfront_needs_reset(&ff->front, "it is a test");
	vfront_needs_reset(&ff->front, "it is a test");
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(ff->front.isr, VIRTIO_ISR_CONFIG);
	ff_start(ff);
	assert_int_equal(ff->stops, 1);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
	assert_int_equal(ff->front.isr, 0);
}

static void a_report_that_comes_after_the_reset_is_of_no_concern(void **state)
{
	struct fake_front *ff = *state;

	ff_put(ff, FF_STATUS, 0);
	vfront_needs_reset(&ff->front, "too late");
	assert_int_equal(ff_get(ff, FF_STATUS), 0);
}

/* --- Configuration space ---------------------------------------------------------------------- */

static void configuration_is_read_in_every_width_at_every_place(void **state)
{
	u64 gpa = ff_config_gpa(*state);

	assert_int_equal(ff_in(*state, gpa, 1), 1);
	assert_int_equal(ff_in(*state, gpa + 1, 2), 0x0302);
	assert_int_equal(ff_in(*state, gpa + 3, 4), 0x07060504);
	assert_true(ff_in(*state, gpa + 1, 8) == 0x0908070605040302);
	assert_int_equal(ff_in(*state, gpa + 8, 4), 0x0a09); /* over its end */
	assert_int_equal(ff_in(*state, gpa + 9, 8), 0x0a);
	assert_int_equal(ff_in(*state, gpa + 10, 1), 0);
	assert_int_equal(ff_in(*state, gpa + 0xf8, 8), 0);
}

static void configuration_is_written_only_where_there_is_some(void **state)
{
	struct fake_front *ff = *state;
	u64 gpa = ff_config_gpa(ff);

	ff_out(ff, gpa + 10, 1, 0xff);
	ff_out(ff, gpa + 0xf8, 8, 0xff);
	assert_int_equal(ff->config_writes, 0);
	ff_out(ff, gpa + 6, 8, 0x1122334455667788);
	assert_int_equal(ff->config_writes, 1);
	assert_int_equal(ff->config_offset, 6);
	assert_int_equal(ff->config_len, 4);
	assert_int_equal(ff_in(ff, gpa + 6, 4), 0x55667788);
	assert_int_equal(ff->front.config[10], 0);
}

static void the_generation_moves_with_what_the_driver_may_have_seen(void **state)
{
	struct fake_front *ff = *state;
	u8 config[10] = { 42 };
	u32 before = ff_get(ff, FF_GENERATION);

	ff_in(ff, ff_config_gpa(ff), 1);
	assert_int_equal(ff_get(ff, FF_GENERATION), before);
	for (u32 i = 0; i < 256; i++) /* a counter of changes would be where it was */
		vfront_config_changed(&ff->front, config);
	assert_int_equal(ff_in(ff, ff_config_gpa(ff), 1), 42);
	assert_int_not_equal(ff_get(ff, FF_GENERATION), before);
}

static void a_change_interrupts_only_a_driver_that_is_ready(void **state)
{
	struct fake_front *ff = *state;
	u8 config[10] = { 1 };

	ff_negotiate(ff);
	vfront_config_changed(&ff->front, config);
	assert_int_equal(ff->front.isr, 0);
	ff_start(ff);
	vfront_config_changed(&ff->front, config);
	assert_int_equal(ff->front.isr, VIRTIO_ISR_CONFIG);
}

/* --- Accesses of any kind --------------------------------------------------------------------- */

static void no_access_of_any_width_anywhere_does_harm(void **state)
{
	static const u64 values[] = { 0, 1, 0xffff, ~0ull, 0x0101010101010101 };
	struct fake_front *ff = *state;
	u64 base = ff_base(ff);

	for (u32 i = 0; i < ARRAY_SIZE(values); i++)
		for (u32 offset = 0; offset < 0x340; offset++)
			for (u32 len = 1; len <= 8; len++) {
				ff_out(ff, base + offset, len, values[i]);
				ff_in(ff, base + offset, len);
			}
	ff_start(ff);
	assert_int_equal(ff_get(ff, FF_STATUS), RUNS);
}

/* --- Set-up ----------------------------------------------------------------------------------- */

static void a_device_with_too_much_of_anything_is_refused(void **state)
{
	static const struct vfront_ops ops = { 0 };
	struct vfront_device device = { .name = "x", .nr_queues = VFRONT_QUEUES_MAX + 1 };
	struct vfront f;
	struct err e;

	(void)state;
	assert_int_equal(vfront_init(&f, &device, &ops, &e), -EINVAL);
	assert_string_equal(e.text, "x: 65 rings or 0 bytes of configuration: at most 64, 256");
	vfront_destroy(&f);
	device.nr_queues = 1;
	device.config_bytes = VFRONT_CONFIG_BYTES_MAX + 1;
	assert_int_equal(vfront_init(&f, &device, &ops, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test)                                                 \
	{ "mmio: " #test, test, set_up_mmio, tear_down, NULL }, \
		{ "pci: " #test, test, set_up_pci, tear_down, NULL }
		T(version_1_is_always_offered_and_what_no_transport_has_never),
		T(a_driver_that_goes_by_the_book_runs),
		T(features_without_version_1_or_not_offered_are_not_ok),
		T(features_change_only_between_driver_and_features_ok),
		T(driver_ok_without_features_ok_starts_nothing),
		T(status_bits_are_only_added_and_only_a_driver_s_own),
		T(a_driver_that_failed_starts_nothing_before_a_reset),
		T(rings_are_frozen_while_enabled_and_from_driver_ok_to_reset),
		T(an_enabled_ring_cannot_be_changed),
		T(a_ring_of_an_impossible_size_is_not_enabled),
		T(a_ring_is_not_enabled_before_features_ok),
		T(a_ring_that_is_not_there_reads_zeros_and_takes_nothing),
		T(doorbells_are_there_while_the_device_runs_for_the_rings_it_has),
		T(a_kick_that_no_doorbell_took_rings_the_same_eventfd),
		T(kicks_of_rings_that_are_not_served_ring_nothing),
		T(a_reset_while_it_runs_stops_it_and_forgets_everything),
		T(eventfds_that_a_back_end_made_block_hold_nobody_up),
		T(it_runs_again_after_a_reset),
		T(a_device_that_cannot_start_needs_a_reset),
		T(a_device_that_broke_says_so_until_it_is_reset),
		T(a_report_that_comes_after_the_reset_is_of_no_concern),
		T(configuration_is_read_in_every_width_at_every_place),
		T(configuration_is_written_only_where_there_is_some),
		T(the_generation_moves_with_what_the_driver_may_have_seen),
		T(a_change_interrupts_only_a_driver_that_is_ready),
		T(no_access_of_any_width_anywhere_does_harm),
		cmocka_unit_test(a_device_with_too_much_of_anything_is_refused),
	};

	return cmocka_run_group_tests_name("virtio front", tests, NULL, NULL);
}
