// SPDX-License-Identifier: BSD-3-Clause
// What is virtio-pci's own: where its structures are, both kinds of interrupts, a BAR that moves.
// test-sources: src/virtio/front.c src/virtio/mmio.c src/virtio/pci.c src/pci/pci.c src/pci/msix.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/log.c tests/lib/fake_front.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "tests/lib/fake_front.h"

enum {
	NR_QUEUES = 3,
	CAP_VENDOR = 0x09,
	CAP_MSIX = 0x11,
	MSIX_ENABLE = 0x8000,
	MSIX_MASK = 0x4000,
	CONFIG_VECTOR = 0x10,
	QUEUE_VECTOR = 0x1a,
};

static int set_up(void **state)
{
	static struct fake_front ff;

	ff_create(&ff, FF_PCI, NR_QUEUES, 8);
	*state = &ff;
	return 0;
}

static int tear_down(void **state)
{
	ff_destroy(*state);
	return 0;
}

static u64 in(struct fake_front *ff, u32 offset, u32 len)
{
	return ff_in(ff, ff_base(ff) + offset, len);
}

static void out(struct fake_front *ff, u32 offset, u32 len, u64 value)
{
	ff_out(ff, ff_base(ff) + offset, len, value);
}

/* --- What a driver finds ---------------------------------------------------------------------- */

static void it_says_what_it_is(void **state)
{
	assert_int_equal(ff_cfg_in(*state, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(ff_cfg_in(*state, PCI_CLASS_REVISION, 4), 0xff000001);
	assert_int_equal(ff_cfg_in(*state, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(ff_cfg_in(*state, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(ff_cfg_in(*state, PCI_INTERRUPT_LINE, 1), FF_LINE);
	assert_int_equal(ff_cfg_in(*state, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
}

static void capabilities_lead_to_every_structure(void **state)
{
	static const struct {
		u8 type, len;
		u32 offset, length, extra;
	} wanted[] = {
		{ 1, 16, 0, 0x38, 0 },   { 2, 20, FF_NOTIFY, 4 * NR_QUEUES, 4 },
		{ 3, 16, FF_ISR, 4, 0 }, { 4, 16, FF_DEVICE, 8, 0 },
		{ 5, 20, 0, 0, 0 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
		u32 at = ff_capability(*state, CAP_VENDOR, wanted[i].type);

		assert_int_not_equal(at, 0);
		assert_int_equal(ff_cfg_in(*state, at + 2, 1), wanted[i].len);
		assert_int_equal(ff_cfg_in(*state, at + 4, 4), 0);
		assert_int_equal(ff_cfg_in(*state, at + 8, 4), wanted[i].offset);
		assert_int_equal(ff_cfg_in(*state, at + 12, 4), wanted[i].length);
		if (wanted[i].type == 2)
			assert_int_equal(ff_cfg_in(*state, at + 16, 4), wanted[i].extra);
	}
}

static void msix_has_a_vector_for_every_ring_and_one_for_the_configuration(void **state)
{
	u32 at = ff_capability(*state, CAP_MSIX, 0);

	assert_int_equal(ff_cfg_in(*state, at + 2, 2), NR_QUEUES);
	assert_int_equal(ff_cfg_in(*state, at + 4, 4), FF_TABLE);
	assert_int_equal(ff_cfg_in(*state, at + 8, 4), FF_PBA);
}

static void common_fields_read_in_every_width(void **state)
{
	struct fake_front *ff = *state;

	ff_put(ff, FF_STATUS, 1);
	ff_put(ff, FF_QUEUE_SEL, 2);
	assert_int_equal(in(ff, 0x12, 2), NR_QUEUES);
	assert_int_equal(in(ff, 0x14, 4), 0x00020001); /* status, generation, selection */
	assert_true(in(ff, 0x18, 8) == (0x00020000ffff0000 | FF_QUEUE_SIZE));
	assert_int_equal(in(ff, 0x1e, 1), 2);
	assert_int_equal(in(ff, 0x34, 8), 0); /* over the end */
	assert_int_equal(in(ff, 0x38, 4), 0);
}

static void fields_take_writes_of_their_own_width_only(void **state)
{
	struct fake_front *ff = *state;

	out(ff, 0x14, 2, 1);
	out(ff, 0x14, 4, 1);
	out(ff, 0x13, 2, 0x100);
	assert_int_equal(ff->front.status, 0);
	ff_negotiate(ff);
	out(ff, 0x20, 1, 0xff);
	out(ff, 0x20, 2, 0xff);
	out(ff, 0x22, 4, ~0u);
	out(ff, 0x24, 8, ~0ull);
	assert_int_equal(ff->front.queues[0].desc_gpa, 0);
	out(ff, 0x20, 8, 0x1122334455667788);
	out(ff, 0x2c, 4, 0x9);
	assert_true(ff->front.queues[0].desc_gpa == 0x1122334455667788);
	assert_true(ff->front.queues[0].avail_gpa == 0x900000000);
	assert_int_equal(ff->front.queues[0].used_gpa, 0);
	assert_true(in(ff, 0x20, 8) == 0x1122334455667788);
}

static void a_ring_is_not_disabled_by_writing_zero(void **state)
{
	ff_negotiate(*state);
	ff_enable(*state, 0);
	ff_put(*state, FF_QUEUE_ENABLE, 0);
	assert_int_equal(ff_get(*state, FF_QUEUE_ENABLE), 1);
}

/* --- The BAR ---------------------------------------------------------------------------------- */

static void move(struct fake_front *ff, u64 gpa)
{
	ff_cfg_out(ff, PCI_BAR0, 4, (u32)gpa);
	ff_cfg_out(ff, PCI_BAR0 + 4, 4, (u32)(gpa >> 32));
}

static void doorbells_move_with_the_bar(void **state)
{
	struct fake_front *ff = *state;
	int kick_fd = ff->front.queues[1].kick_fd;

	ff_start(ff);
	assert_int_equal(ff_bell(ff, kick_fd)->addr, ff_base(ff) + FF_NOTIFY + 4);
	assert_int_equal(ff_bell(ff, kick_fd)->len, 0);
	assert_false(ff_bell(ff, kick_fd)->match);
	move(ff, FF_WINDOW_GPA + 0x4000);
	assert_int_equal(ff_bell(ff, kick_fd)->addr, FF_WINDOW_GPA + 0x4000 + FF_NOTIFY + 4);
	assert_int_equal(ff->nr_bells, NR_QUEUES);
	ff_cfg_out(ff, PCI_COMMAND, 2, 0);
	assert_int_equal(ff->nr_bells, 0);
	ff_cfg_out(ff, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(ff->nr_bells, NR_QUEUES);
	move(ff, 0x1000000); /* RAM */
	assert_int_equal(ff->nr_bells, 0);
	assert_int_equal(ff->front.running, true);
	move(ff, FF_WINDOW_GPA);
	assert_int_equal(ff_get(ff, FF_STATUS), 15);
}

static void what_is_nobody_s_in_the_bar_reads_zero(void **state)
{
	static const u32 nobodys[] = { 0x40, 0x7c, 0x84, 0x300, 0xffc, 0x1410, 0x1808, 0x1ff8 };

	for (u32 i = 0; i < ARRAY_SIZE(nobodys); i++) {
		out(*state, nobodys[i], 4, ~0u);
		assert_int_equal(in(*state, nobodys[i], 4), 0);
	}
	assert_int_equal(in(*state, 0x1ffe, 4), 0xffffffff); /* over the end: nobody at all */
}

/* --- The interrupt line ----------------------------------------------------------------------- */

static void without_msix_used_buffers_raise_the_line_until_isr_is_read(void **state)
{
	struct fake_front *ff = *state;
	int fd = ff->front.transport->call_fd(&ff->front, 0);

	ff_start(ff);
	assert_int_equal(ff->front.transport->call_fd(&ff->front, 1), fd);
	doorbell_ring(fd);
	evl_run_once(&ff->evl, 1000);
	assert_true(ff->lines[FF_LINE]);
	assert_int_equal(ff_cfg_in(ff, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES | PCI_STATUS_INTX);
	assert_int_equal(in(ff, FF_ISR, 1), VIRTIO_ISR_QUEUE);
	assert_false(ff->lines[FF_LINE]);
	assert_int_equal(in(ff, FF_ISR, 1), 0);
	assert_int_equal(ff_cfg_in(ff, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
}

static void a_changed_configuration_raises_the_line(void **state)
{
	struct fake_front *ff = *state;
	u8 config[8] = { 0 };

	ff_start(ff);
	vfront_config_changed(&ff->front, config);
	assert_true(ff->lines[FF_LINE]);
	assert_int_equal(in(ff, FF_ISR, 1), VIRTIO_ISR_CONFIG);
	assert_false(ff->lines[FF_LINE]);
}

static void a_disabled_line_stays_low_and_rises_when_it_is_enabled(void **state)
{
	struct fake_front *ff = *state;
	u8 config[8] = { 0 };

	ff_start(ff);
	ff_cfg_out(ff, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	vfront_config_changed(&ff->front, config);
	assert_false(ff->lines[FF_LINE]);
	assert_true(ff_cfg_in(ff, PCI_STATUS, 2) & PCI_STATUS_INTX);
	ff_cfg_out(ff, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(ff->lines[FF_LINE]);
}

static void a_reset_lowers_the_line(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	vfront_needs_reset(&ff->front, "it is a test");
	assert_true(ff->lines[FF_LINE]);
	ff_put(ff, FF_STATUS, 0);
	assert_false(ff->lines[FF_LINE]);
}

static void a_used_buffer_after_the_reset_raises_nothing(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	doorbell_ring(ff->front.transport->call_fd(&ff->front, 0));
	ff_put(ff, FF_STATUS, 0);
	evl_run_once(&ff->evl, 0);
	assert_false(ff->lines[FF_LINE]);
}

/* --- Messages --------------------------------------------------------------------------------- */

static void msix_control(struct fake_front *ff, u32 bits)
{
	ff_cfg_out(ff, ff_capability(ff, CAP_MSIX, 0) + 2, 2, bits);
}

static void program(struct fake_front *ff, u32 vector, u32 data, bool masked)
{
	u32 entry = FF_TABLE + 16 * vector;

	out(ff, entry, 4, 0xfee00000);
	out(ff, entry + 4, 4, 0);
	out(ff, entry + 8, 4, data);
	out(ff, entry + 12, 4, masked);
}

static void map_ring(struct fake_front *ff, u32 qi, u32 vector)
{
	ff_put(ff, FF_QUEUE_SEL, qi);
	out(ff, QUEUE_VECTOR, 2, vector);
}

/* Vector 0 is the configuration's, vector n + 1 ring n's, all of them unmasked. */
static void start_with_msix(struct fake_front *ff)
{
	ff_negotiate(ff);
	msix_control(ff, MSIX_ENABLE);
	for (u32 i = 0; i <= NR_QUEUES; i++)
		program(ff, i, 0x40 + i, false);
	out(ff, CONFIG_VECTOR, 2, 0);
	for (u32 i = 0; i < NR_QUEUES; i++) {
		map_ring(ff, i, i + 1);
		ff_enable(ff, i);
	}
	ff_put(ff, FF_STATUS, 15);
}

static void with_msix_each_ring_has_its_own_interrupt(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	for (u32 i = 0; i < NR_QUEUES; i++) {
		int fd = ff->front.transport->call_fd(&ff->front, i);

		assert_int_equal(fd, ff->front.queues[i].call_fd);
		assert_int_equal(ff_irq(ff, fd), FF_SOURCE_FIRST + i + 1);
		assert_int_equal(ff->messages[i + 1].data, 0x41 + i);
		assert_int_equal(ff->messages[i + 1].addr, 0xfee00000);
	}
	assert_int_equal(ff_irq(ff, ff->as_pci.config_fd), FF_SOURCE_FIRST);
	vfront_needs_reset(&ff->front, "it is a test");
	assert_true(ff_rung(ff->as_pci.config_fd));
	assert_false(ff->lines[FF_LINE]);
}

static void rings_may_share_a_vector(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	map_ring(ff, 0, 2);
	map_ring(ff, 2, 2);
	for (u32 i = 0; i < NR_QUEUES; i++)
		assert_int_equal(ff_irq(ff, ff->front.queues[i].call_fd), FF_SOURCE_FIRST + 2);
	program(ff, 2, 0x42, true);
	for (u32 i = 0; i < NR_QUEUES; i++)
		assert_int_equal(ff_irq(ff, ff->front.queues[i].call_fd), -1);
}

static void a_masked_vector_s_events_are_pending_until_it_is_unmasked(void **state)
{
	struct fake_front *ff = *state;
	int fd = ff->front.queues[1].call_fd;

	start_with_msix(ff);
	program(ff, 2, 0x42, true);
	assert_int_equal(ff_irq(ff, fd), -1);
	assert_int_equal(in(ff, FF_PBA, 8), 0);
	doorbell_ring(fd);
	assert_int_equal(in(ff, FF_PBA, 8), 4);
	assert_int_equal(in(ff, FF_PBA, 4), 4);
	assert_int_equal(in(ff, FF_PBA + 4, 4), 0);
	program(ff, 2, 0x55, false);
	assert_int_equal(ff->messages[2].data, 0x55);
	assert_int_equal(ff_irq(ff, fd), FF_SOURCE_FIRST + 2);
	assert_int_equal(in(ff, FF_PBA, 8), 0);
}

static void the_function_s_mask_holds_every_vector_back(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	assert_int_equal(ff->nr_irqs, NR_QUEUES + 1);
	msix_control(ff, MSIX_ENABLE | MSIX_MASK);
	assert_int_equal(ff->nr_irqs, 0);
	assert_int_equal(ff->calls_changed, 0);
	msix_control(ff, MSIX_ENABLE);
	assert_int_equal(ff->nr_irqs, NR_QUEUES + 1);
}

static void a_ring_without_a_vector_interrupts_nobody(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	map_ring(ff, 0, VIRTIO_PCI_NO_VECTOR);
	out(ff, CONFIG_VECTOR, 2, VIRTIO_PCI_NO_VECTOR);
	assert_int_equal(ff_irq(ff, ff->front.queues[0].call_fd), -1);
	vfront_needs_reset(&ff->front, "it is a test");
	assert_false(ff_rung(ff->as_pci.config_fd));
	assert_false(ff->lines[FF_LINE]);
}

static void a_vector_that_is_not_there_reads_back_as_none(void **state)
{
	static const u32 vectors[] = { NR_QUEUES + 1, 64, 0x7ff, 0xfffe };
	struct fake_front *ff = *state;

	for (u32 i = 0; i < ARRAY_SIZE(vectors); i++) {
		map_ring(ff, 0, 1);
		assert_int_equal(in(ff, QUEUE_VECTOR, 2), 1);
		map_ring(ff, 0, vectors[i]);
		assert_int_equal(in(ff, QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
		out(ff, CONFIG_VECTOR, 2, vectors[i]);
		assert_int_equal(in(ff, CONFIG_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	}
	map_ring(ff, NR_QUEUES, 1);
	assert_int_equal(in(ff, QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
}

static void a_reset_unmaps_vectors_and_unbinds_them(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	ff_put(ff, FF_STATUS, 0);
	assert_int_equal(ff->nr_irqs, 0);
	assert_int_equal(in(ff, CONFIG_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	assert_int_equal(in(ff, QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	start_with_msix(ff);
	assert_int_equal(ff->nr_irqs, NR_QUEUES + 1);
	assert_int_equal(ff->nr_bells, NR_QUEUES);
}

static void a_device_that_runs_hears_of_a_change_of_interrupts(void **state)
{
	struct fake_front *ff = *state;

	ff_start(ff);
	msix_control(ff, MSIX_ENABLE);
	assert_int_equal(ff->calls_changed, 1);
	assert_true(ff_rung(ff->front.queues[0].call_fd)); /* whatever the line lost */
	msix_control(ff, 0);
	assert_int_equal(ff->calls_changed, 2);
	evl_run_once(&ff->evl, 1000);
	assert_true(ff->lines[FF_LINE]);
	msix_control(ff, MSIX_ENABLE);
	assert_false(ff->lines[FF_LINE]);
}

static void a_machine_without_sources_gives_a_device_without_msix(void **state)
{
	struct fake_front *ff = *state;
	const struct virtio_pci_place place = {
		.bus = &ff->pci, .host = &ff->host, .evl = &ff->evl, .slot = 7, .gsi = FF_LINE
	};
	static struct virtio_pci v;
	struct err e;

	ff->sources_left = 0;
	assert_int_equal(virtio_pci_create(&v, &ff->front, &place, &e), 0);
	assert_int_equal(v.msix.nr_vectors, 0);
	pci_ecam_write(&ff->pci, 7 << 15 | PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(ff_in(ff, pci_bar_gpa(&v.function, 0) + FF_TABLE, 4), 0);
	virtio_pci_destroy(&v);
	ff->front.transport_opaque = &ff->as_pci;
}

static void a_slot_that_is_taken_is_an_error_with_words(void **state)
{
	struct fake_front *ff = *state;
	const struct virtio_pci_place place = {
		.bus = &ff->pci, .host = &ff->host, .evl = &ff->evl, .slot = 1
	};
	static struct virtio_pci v;
	struct err e;

	assert_int_equal(virtio_pci_create(&v, &ff->front, &place, &e), -EEXIST);
	assert_string_equal(e.text, "virtio-fake.0: PCI slot 1: File exists");
	virtio_pci_destroy(&v);
}

/* --- The window in configuration space -------------------------------------------------------- */

static u32 aim(struct fake_front *ff, u32 bar, u32 offset, u32 len)
{
	u32 at = ff_capability(ff, CAP_VENDOR, 5);

	ff_cfg_out(ff, at + 4, 1, bar);
	ff_cfg_out(ff, at + 8, 4, offset);
	ff_cfg_out(ff, at + 12, 4, len);
	return at + 16;
}

static void the_window_reaches_registers_without_a_bar(void **state)
{
	struct fake_front *ff = *state;
	u32 data;

	ff_cfg_out(ff, PCI_COMMAND, 2, 0);
	data = aim(ff, 0, 0x12, 2);
	assert_int_equal(ff_cfg_in(ff, data, 2), NR_QUEUES);
	data = aim(ff, 0, 0x14, 1);
	ff_cfg_out(ff, data, 1, 1);
	assert_int_equal(ff->front.status, 1);
	data = aim(ff, 0, FF_DEVICE, 4);
	assert_int_equal(ff_cfg_in(ff, data, 4), 0x04030201);
}

static void the_window_shows_nothing_else(void **state)
{
	static const struct {
		u32 bar, offset, len;
	} wrong[] = {
		{ 1, 0x14, 1 },        { 0xff, 0x14, 1 },      { 0, 0x14, 0 },
		{ 0, 0x14, 3 },        { 0, 0x14, 8 },         { 0, 0x13, 2 },
		{ 0, FF_TABLE, 4 },    { 0, FF_BAR_BYTES, 4 }, { 0, 0xfffffffc, 4 },
		{ 0, 0x14, 1u << 31 }, { 0, 0x300, 1 },
	};
	struct fake_front *ff = *state;

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		u32 data = aim(ff, wrong[i].bar, wrong[i].offset, wrong[i].len);

		ff_cfg_out(ff, data, 4, 0x01010101);
		assert_int_equal(ff_cfg_in(ff, data, 4), 0x01010101);
		assert_int_equal(ff->front.status, 0);
	}
}

static void a_machine_s_reset_stops_the_device_and_its_bar(void **state)
{
	struct fake_front *ff = *state;

	start_with_msix(ff);
	virtio_pci_reset(&ff->as_pci);
	assert_int_equal(ff->stops, 1);
	assert_int_equal(ff->nr_bells, 0);
	assert_int_equal(ff->nr_irqs, 0);
	assert_int_equal(ff_base(ff), 0);
	assert_int_equal(ff_cfg_in(ff, ff_capability(ff, CAP_MSIX, 0) + 2, 2), NR_QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(it_says_what_it_is),
		T(capabilities_lead_to_every_structure),
		T(msix_has_a_vector_for_every_ring_and_one_for_the_configuration),
		T(common_fields_read_in_every_width),
		T(fields_take_writes_of_their_own_width_only),
		T(a_ring_is_not_disabled_by_writing_zero),
		T(doorbells_move_with_the_bar),
		T(what_is_nobody_s_in_the_bar_reads_zero),
		T(without_msix_used_buffers_raise_the_line_until_isr_is_read),
		T(a_changed_configuration_raises_the_line),
		T(a_disabled_line_stays_low_and_rises_when_it_is_enabled),
		T(a_reset_lowers_the_line),
		T(a_used_buffer_after_the_reset_raises_nothing),
		T(with_msix_each_ring_has_its_own_interrupt),
		T(rings_may_share_a_vector),
		T(a_masked_vector_s_events_are_pending_until_it_is_unmasked),
		T(the_function_s_mask_holds_every_vector_back),
		T(a_ring_without_a_vector_interrupts_nobody),
		T(a_vector_that_is_not_there_reads_back_as_none),
		T(a_reset_unmaps_vectors_and_unbinds_them),
		T(a_device_that_runs_hears_of_a_change_of_interrupts),
		T(a_machine_without_sources_gives_a_device_without_msix),
		T(a_slot_that_is_taken_is_an_error_with_words),
		T(the_window_reaches_registers_without_a_bar),
		T(the_window_shows_nothing_else),
		T(a_machine_s_reset_stops_the_device_and_its_bar),
	};

	return cmocka_run_group_tests_name("virtio-pci", tests, NULL, NULL);
}
