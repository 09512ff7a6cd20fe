// SPDX-License-Identifier: BSD-3-Clause
// What is virtio-mmio's own: its registers, its one interrupt, its doorbells.
// test-sources: src/virtio/front.c src/virtio/mmio.c src/virtio/pci.c src/pci/pci.c src/pci/msix.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/log.c tests/lib/fake_front.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "tests/lib/fake_front.h"

static int set_up(void **state)
{
	static struct fake_front ff;

	ff_create(&ff, FF_MMIO, 2, 8);
	*state = &ff;
	return 0;
}

static int tear_down(void **state)
{
	ff_destroy(*state);
	return 0;
}

static u32 in(struct fake_front *ff, u32 offset)
{
	return (u32)ff_in(ff, FF_MMIO_GPA + offset, 4);
}

static void out(struct fake_front *ff, u32 offset, u32 value)
{
	ff_out(ff, FF_MMIO_GPA + offset, 4, value);
}

static void it_says_what_it_is(void **state)
{
	assert_int_equal(in(*state, 0x000), 0x74726976);
	assert_int_equal(in(*state, 0x004), 2);
	assert_int_equal(in(*state, 0x008), 4);
	assert_int_equal(in(*state, 0x034), FF_QUEUE_SIZE);
}

static void registers_answer_aligned_dwords_only(void **state)
{
	struct fake_front *ff = *state;
	static const u32 lens[] = { 1, 2, 8 };

	for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
		assert_int_equal(ff_in(ff, FF_MMIO_GPA, lens[i]), 0);
		ff_out(ff, FF_MMIO_GPA + 0x70, lens[i], 1);
	}
	assert_int_equal(ff_in(ff, FF_MMIO_GPA + 1, 4), 0);
	ff_out(ff, FF_MMIO_GPA + 0x6e, 4, ~0u);
	assert_int_equal(ff->front.status, 0);
}

static void registers_that_are_not_there_read_zero_and_shared_memory_none(void **state)
{
	static const u32 nobodys[] = { 0x00c + 0x0c, 0x028, 0x03c, 0x0c0, 0x0f8 };

	for (u32 i = 0; i < ARRAY_SIZE(nobodys); i++)
		assert_int_equal(in(*state, nobodys[i]), 0);
	for (u32 reg = 0x0b0; reg <= 0x0bc; reg += 4)
		assert_int_equal(in(*state, reg), UINT32_MAX);
	assert_int_equal(ff_in(*state, FF_MMIO_GPA + 0xffc, 4), 0);
	assert_int_equal(ff_in(*state, FF_MMIO_GPA + 0xffe, 4), UINT32_MAX); /* over the end */
}

static void ring_addresses_have_two_halves(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	out(ff, 0x30, 1);
	for (u32 reg = 0x80; reg <= 0xa0; reg += 0x10) {
		out(ff, reg, 0x1000 + reg);
		out(ff, reg + 4, reg);
		out(ff, reg + 8, ~0u);
		out(ff, reg + 12, ~0u);
	}
	assert_int_equal(ff->front.queues[1].desc_gpa, 0x8000001080);
	assert_int_equal(ff->front.queues[1].avail_gpa, 0x9000001090);
	assert_int_equal(ff->front.queues[1].used_gpa, 0xa0000010a0);
	assert_int_equal(ff->front.queues[0].desc_gpa, 0);
}

static void a_size_with_high_bits_is_not_cut_to_a_good_one(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	out(ff, 0x38, 0x10080);
	out(ff, 0x44, 1);
	assert_int_equal(in(ff, 0x44), 0);
}

static void a_ring_can_be_taken_back_before_the_device_runs(void **state)
{
	struct fake_front *ff = *state;

	ff_negotiate(ff);
	ff_enable(ff, 0);
	out(ff, 0x44, 0);
	assert_int_equal(in(ff, 0x44), 0);
	out(ff, 0x80, 0x5000);
	assert_int_equal(ff->front.queues[0].desc_gpa, 0x5000);
}

static void all_rings_and_the_configuration_share_the_line_s_eventfd(void **state)
{
	struct fake_front *ff = *state;
	u8 config[8] = { 0 };
	int fd = ff->front.transport->call_fd(&ff->front, 0);

	assert_int_equal(ff->front.transport->call_fd(&ff->front, 1), fd);
	assert_int_equal(ff_irq(ff, fd), FF_LINE);
	ff_start(ff);
	assert_false(ff_rung(fd));
	vfront_config_changed(&ff->front, config);
	assert_true(ff_rung(fd));
}

static void interrupt_status_always_shows_the_rings_while_the_device_runs(void **state)
{
	struct fake_front *ff = *state;
	u8 config[8] = { 0 };

	assert_int_equal(in(ff, 0x60), 0);
	ff_start(ff);
	assert_int_equal(in(ff, 0x60), VIRTIO_ISR_QUEUE);
	vfront_config_changed(&ff->front, config);
	assert_int_equal(in(ff, 0x60), VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	out(ff, 0x64, 1);
	assert_int_equal(in(ff, 0x60), VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	out(ff, 0x64, 3);
	assert_int_equal(in(ff, 0x60), VIRTIO_ISR_QUEUE);
	vfront_config_changed(&ff->front, config);
	out(ff, 0x70, 0);
	assert_int_equal(in(ff, 0x60), 0);
}

static void doorbells_are_writes_of_the_ring_s_number_to_one_register(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	for (u32 i = 0; i < 2; i++) {
		const struct doorbell *bell = ff_bell(ff, ff->front.queues[i].kick_fd);

		assert_non_null(bell);
		assert_int_equal(bell->addr, FF_MMIO_GPA + 0x50);
		assert_int_equal(bell->len, 4);
		assert_true(bell->match);
		assert_int_equal(bell->value, i);
	}
}

static void two_devices_cannot_have_one_place(void **state)
{
	struct fake_front *ff = *state;
	struct virtio_mmio other;
	struct err e;

	ff->abort_on_misuse = false;
	assert_int_equal(virtio_mmio_create(&other, &ff->front, &ff->mmio, FF_MMIO_GPA + 0x800,
					    FF_LINE, &ff->host, &e),
			 -EEXIST);
	assert_string_equal(e.text, "virtio-fake.0: MMIO: range 0xd0000800 + 0x1000 is taken");
	virtio_mmio_destroy(&other);
	ff->front.transport_opaque = &ff->as_mmio;
}

static void a_machine_s_reset_stops_the_device(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	virtio_mmio_reset(&ff->as_mmio);
	assert_int_equal(ff->stops, 1);
	assert_int_equal(ff->nr_bells, 0);
	ff_start(ff);
	assert_int_equal(ff->nr_bells, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(it_says_what_it_is),
		T(registers_answer_aligned_dwords_only),
		T(registers_that_are_not_there_read_zero_and_shared_memory_none),
		T(ring_addresses_have_two_halves),
		T(a_size_with_high_bits_is_not_cut_to_a_good_one),
		T(a_ring_can_be_taken_back_before_the_device_runs),
		T(all_rings_and_the_configuration_share_the_line_s_eventfd),
		T(interrupt_status_always_shows_the_rings_while_the_device_runs),
		T(doorbells_are_writes_of_the_ring_s_number_to_one_register),
		T(two_devices_cannot_have_one_place),
		T(a_machine_s_reset_stops_the_device),
	};

	return cmocka_run_group_tests_name("virtio-mmio", tests, NULL, NULL);
}
