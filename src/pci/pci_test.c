// SPDX-License-Identifier: BSD-3-Clause
// Functions on a bus: BARs that guests size and move, capabilities, the line's bits, who is called.
// test-sources: src/pci/pci.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "pci/pci.h"

#define WINDOW_GPA 0xc0000000ull
#define WINDOW_BYTES 0x100000ull

enum { LARGE = 0x4000, SMALL = 0x100 };

/* Two functions with a BAR of each width. */
struct bench {
	struct pci_bus bus;
	struct pci_function f[2];
	u32 reads, writes, written;
	u64 offset, value;
	u32 reg, len;
};

static u64 note_read(void *opaque, u64 offset, u32 len)
{
	struct bench *b = opaque;

	b->reads++;
	b->offset = offset;
	b->len = len;
	return 0x5a;
}

static void note_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct bench *b = opaque;

	b->writes++;
	b->offset = offset;
	b->len = len;
	b->value = value;
}

static const struct bus_ops bar_ops = { .read = note_read, .write = note_write };

static void note_written(struct pci_function *f, u32 reg, u32 len)
{
	struct bench *b = container_of(f, struct bench, f[f->slot]);

	/* The bus is not locked: this would stand still otherwise. */
	pci_config_get(f, reg, len);
	b->written++;
	b->reg = reg;
	b->len = len;
}

static void note_reading(struct pci_function *f, u32 reg, u32 len)
{
	if (reg <= 0xf0 && reg + len > 0xf0)
		pci_config_put(f, 0xf0, 1, 0x77);
}

static const struct pci_function_ops function_ops = { .reading = note_reading,
						      .written = note_written };

static int set_up(void **state)
{
	static const struct pci_ids ids = { .vendor = 0x1234,
					    .device = 0x5678,
					    .subsystem_vendor = 0x9abc,
					    .subsystem = 0xdef0,
					    .class_code = 0x018000,
					    .revision = 7 };
	struct bench *b = calloc(1, sizeof(*b));

	pci_bus_init(&b->bus, WINDOW_GPA, WINDOW_BYTES);
	for (u32 i = 0; i < 2; i++) {
		pci_function_init(&b->f[i], &ids, &function_ops);
		pci_add_bar(&b->f[i], 0, LARGE, true, &bar_ops, b);
		pci_add_bar(&b->f[i], 2, SMALL, false, &bar_ops, b);
		if (pci_bus_add(&b->bus, PCI_SLOT_NEXT, &b->f[i]) < 0)
			return -1;
	}
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static u64 cfg_in(struct bench *b, u32 slot, u32 reg, u32 len)
{
	return pci_ecam_read(&b->bus, slot << 15 | reg, len);
}

static void cfg_out(struct bench *b, u32 slot, u32 reg, u32 len, u64 value)
{
	pci_ecam_write(&b->bus, slot << 15 | reg, len, value);
}

static void decode(struct bench *b, u32 slot, bool on)
{
	cfg_out(b, slot, PCI_COMMAND, 2, on ? PCI_COMMAND_MEMORY : 0);
}

/* How many accesses reach a function for one read of a byte there. */
static u32 answers(struct bench *b, u64 gpa)
{
	b->reads = 0;
	if (gpa >= WINDOW_GPA && gpa < WINDOW_GPA + WINDOW_BYTES)
		pci_window_read(&b->bus, gpa - WINDOW_GPA, 1);
	return b->reads;
}

/* --- Slots ------------------------------------------------------------------------------------ */

static void slots_are_given_in_the_order_of_creation(void **state)
{
	struct bench *b = *state;
	struct pci_function more[PCI_SLOTS] = { 0 };

	assert_int_equal(b->f[0].slot, 0);
	assert_int_equal(b->f[1].slot, 1);
	assert_int_equal(pci_bus_add(&b->bus, 1, &more[0]), -EEXIST);
	assert_int_equal(pci_bus_add(&b->bus, PCI_SLOTS + 1, &more[0]), -EINVAL);
	assert_int_equal(pci_bus_add(&b->bus, 3, &more[3]), 0);
	assert_int_equal(pci_bus_add(&b->bus, PCI_SLOT_NEXT, &more[2]), 0);
	assert_int_equal(more[2].slot, 2);
	for (u32 i = 4; i < PCI_SLOTS; i++)
		assert_int_equal(pci_bus_add(&b->bus, PCI_SLOT_NEXT, &more[i]), 0);
	assert_int_equal(pci_bus_add(&b->bus, PCI_SLOT_NEXT, &more[0]), -ENOSPC);
}

static void ids_are_where_a_guest_looks(void **state)
{
	assert_int_equal(cfg_in(*state, 0, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(cfg_in(*state, 0, PCI_CLASS_REVISION, 4), 0x01800007);
	assert_int_equal(cfg_in(*state, 0, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	cfg_out(*state, 0, PCI_VENDOR_ID, 4, 0);
	assert_int_equal(cfg_in(*state, 0, PCI_VENDOR_ID, 4), 0x56781234);
}

/* --- BARs ------------------------------------------------------------------------------------- */

static void bars_have_places_in_the_window_from_the_start(void **state)
{
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0, 4), WINDOW_GPA | 4);
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0 + 4, 4), 0);
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0 + 8, 4), WINDOW_GPA + LARGE);
	assert_int_equal(cfg_in(*state, 1, PCI_BAR0, 4), (WINDOW_GPA + 2 * LARGE) | 4);
	assert_int_equal(answers(*state, WINDOW_GPA), 0); /* nobody decodes yet */
}

static void all_ones_tell_a_bar_s_size(void **state)
{
	for (u32 i = 0; i < PCI_BARS; i++)
		cfg_out(*state, 0, PCI_BAR0 + 4 * i, 4, 0xffffffff);
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0, 4), (u32) ~(LARGE - 1) | 4);
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0 + 4, 4), 0xffffffff);
	assert_int_equal(cfg_in(*state, 0, PCI_BAR0 + 8, 4), (u32) ~(SMALL - 1));
	for (u32 i = 3; i < PCI_BARS; i++)
		assert_int_equal(cfg_in(*state, 0, PCI_BAR0 + 4 * i, 4), 0);
}

static void a_bar_answers_while_memory_is_decoded(void **state)
{
	struct bench *b = *state;

	decode(b, 0, true);
	assert_int_equal(answers(b, WINDOW_GPA + LARGE - 1), 1);
	assert_int_equal(b->offset, LARGE - 1);
	assert_int_equal(answers(b, WINDOW_GPA + LARGE), 1);
	assert_int_equal(b->offset, 0);
	assert_int_equal(answers(b, WINDOW_GPA + LARGE + SMALL), 0);
	pci_window_write(&b->bus, 8, 8, 0x1122334455667788);
	assert_int_equal(b->writes, 1);
	assert_true(b->value == 0x1122334455667788);
	decode(b, 0, false);
	assert_int_equal(answers(b, WINDOW_GPA), 0);
	assert_int_equal(pci_bar_gpa(&b->f[0], 0), 0);
}

static void an_access_over_a_bar_s_end_reaches_nobody(void **state)
{
	struct bench *b = *state;

	decode(b, 0, true);
	b->reads = 0;
	assert_true(pci_window_read(&b->bus, LARGE - 4, 8) == ~0ull);
	assert_int_equal(pci_window_read(&b->bus, LARGE + SMALL - 1, 2), 0xffff);
	pci_window_write(&b->bus, LARGE - 1, 2, 0);
	assert_int_equal(b->reads + b->writes, 0);
	assert_int_equal(pci_window_read(&b->bus, LARGE - 8, 8), 0x5a);
}

static void a_bar_answers_where_the_guest_moved_it(void **state)
{
	struct bench *b = *state;
	u64 gpa = WINDOW_GPA + WINDOW_BYTES - LARGE;

	decode(b, 0, true);
	cfg_out(b, 0, PCI_BAR0, 4, gpa);
	assert_int_equal(answers(b, WINDOW_GPA), 0);
	assert_int_equal(answers(b, gpa), 1);
	assert_true(pci_bar_gpa(&b->f[0], 0) == gpa);
	assert_int_equal(b->reg, PCI_BAR0);
}

static void a_bar_outside_the_window_answers_nothing(void **state)
{
	static const u64 outside[] = {
		0,
		0x1000000,
		WINDOW_GPA - LARGE,
		WINDOW_GPA + WINDOW_BYTES,
		0xffffc000,
		WINDOW_GPA | 1ull << 32,
		0xffffffffffffc000,
	};
	struct bench *b = *state;

	decode(b, 0, true);
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		cfg_out(b, 0, PCI_BAR0, 4, (u32)outside[i]);
		cfg_out(b, 0, PCI_BAR0 + 4, 4, outside[i] >> 32);
		assert_int_equal(pci_bar_gpa(&b->f[0], 0), 0);
		assert_int_equal(answers(b, WINDOW_GPA), 0);
	}
	cfg_out(b, 0, PCI_BAR0, 4, WINDOW_GPA);
	cfg_out(b, 0, PCI_BAR0 + 4, 4, 0);
	assert_int_equal(answers(b, WINDOW_GPA), 1);
}

static void a_bar_over_another_answers_nothing_and_the_other_goes_on(void **state)
{
	struct bench *b = *state;
	u64 first = WINDOW_GPA, second = WINDOW_GPA + 2 * LARGE;

	decode(b, 0, true);
	decode(b, 1, true);
	cfg_out(b, 1, PCI_BAR0, 4, first);
	assert_int_equal(pci_bar_gpa(&b->f[1], 0), 0);
	assert_true(pci_bar_gpa(&b->f[0], 0) == first);
	assert_int_equal(answers(b, first), 1);
	assert_int_equal(answers(b, second), 0);
	cfg_out(b, 1, PCI_BAR0 + 8, 4, first + SMALL); /* inside of the other */
	assert_int_equal(pci_bar_gpa(&b->f[1], 2), 0);
	cfg_out(b, 0, PCI_BAR0, 4, second);
	assert_int_equal(answers(b, first), 0); /* not before it is written again */
	cfg_out(b, 1, PCI_BAR0, 4, first);
	assert_int_equal(answers(b, first), 1);
}

static void a_function_s_own_bars_do_not_overlap_either(void **state)
{
	struct bench *b = *state;

	decode(b, 0, true);
	cfg_out(b, 0, PCI_BAR0 + 8, 4, WINDOW_GPA + SMALL);
	assert_int_equal(pci_bar_gpa(&b->f[0], 2), 0);
	assert_int_equal(answers(b, WINDOW_GPA + SMALL), 1);
	assert_int_equal(b->offset, SMALL);
}

static void a_bar_for_which_the_window_has_no_room_has_no_place(void **state)
{
	struct bench *b = *state;
	struct pci_function big = { 0 };

	pci_add_bar(&big, 0, 0x80000000u, true, &bar_ops, b);
	pci_add_bar(&big, 2, SMALL, false, &bar_ops, b);
	assert_int_equal(pci_bus_add(&b->bus, 2, &big), 0);
	assert_int_equal(cfg_in(b, 2, PCI_BAR0, 4), 4);
	assert_int_not_equal(cfg_in(b, 2, PCI_BAR0 + 8, 4), 0);
}

/* --- Capabilities and the line ---------------------------------------------------------------- */

static void capabilities_are_a_list_in_the_order_they_were_added(void **state)
{
	struct bench *b = *state;
	u8 bytes[5] = { 0xff, 0xff, 1, 2, 3 };

	assert_int_equal(cfg_in(b, 0, PCI_CAPABILITIES, 1), 0);
	assert_int_equal(cfg_in(b, 0, PCI_STATUS, 2), 0);
	assert_int_equal(pci_add_capability(&b->f[0], 9, bytes, 5), 0x40);
	assert_int_equal(pci_add_capability(&b->f[0], 0x11, bytes, 4), 0x48);
	assert_int_equal(cfg_in(b, 0, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
	assert_int_equal(cfg_in(b, 0, PCI_CAPABILITIES, 1), 0x40);
	assert_int_equal(cfg_in(b, 0, 0x40, 4), 0x02014809);
	assert_int_equal(cfg_in(b, 0, 0x48, 4), 0x02010011);
	cfg_out(b, 0, 0x40, 4, 0);
	assert_int_equal(cfg_in(b, 0, 0x40, 4), 0x02014809);
}

static void capabilities_that_do_not_fit_are_left_out(void **state)
{
	struct bench *b = *state;
	u8 bytes[128] = { 0 };

	assert_int_equal(pci_add_capability(&b->f[0], 9, bytes, 128), 0x40);
	assert_int_equal(pci_add_capability(&b->f[0], 9, bytes, 65), 0);
	assert_int_equal(pci_add_capability(&b->f[0], 9, bytes, 60), 0xc0);
	assert_int_equal(pci_add_capability(&b->f[0], 9, bytes, 2), 0);
	assert_int_equal(cfg_in(b, 0, 0xc1, 1), 0);
}

static void the_line_shows_in_status_even_while_it_is_disabled(void **state)
{
	struct bench *b = *state;

	assert_true(pci_set_intx(&b->f[0], true));
	assert_int_equal(cfg_in(b, 0, PCI_STATUS, 2), PCI_STATUS_INTX);
	cfg_out(b, 0, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(pci_set_intx(&b->f[0], true));
	assert_int_equal(cfg_in(b, 0, PCI_STATUS, 2), PCI_STATUS_INTX);
	assert_false(pci_set_intx(&b->f[0], false));
	assert_int_equal(cfg_in(b, 0, PCI_STATUS, 2), 0);
}

static void functions_hear_of_writes_and_may_answer_reads(void **state)
{
	struct bench *b = *state;

	cfg_out(b, 1, 0xe0, 2, 5);
	assert_int_equal(b->written, 1);
	assert_int_equal(b->reg, 0xe0);
	assert_int_equal(b->len, 2);
	assert_int_equal(cfg_in(b, 1, 0xf0, 4), 0x77);
	cfg_out(b, 1, 0x100, 4, 5); /* extended: there is none */
	cfg_out(b, 5, 0, 4, 5);
	assert_int_equal(b->written, 1);
	pci_port_write(&b->bus, 0, 4, 0x80000000 | 1 << 11 | 4);
	pci_port_write(&b->bus, 4, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b->written, 2);
	assert_int_equal(pci_port_read(&b->bus, 4, 2), PCI_COMMAND_MEMORY);
	assert_int_not_equal(pci_bar_gpa(&b->f[1], 0), 0);
}

static void no_access_of_any_width_anywhere_does_harm(void **state)
{
	struct bench *b = *state;

	for (u32 len = 1; len <= 8; len++)
		for (u64 offset = 0; offset < 2 << 15;
		     offset += offset % 0x1000 < 0x104 ? 1 : 0x7f) {
			pci_ecam_write(&b->bus, offset, len, ~0ull);
			pci_ecam_read(&b->bus, offset, len);
		}
	for (u32 len = 1; len <= 8; len++)
		for (u32 offset = 0; offset < 8; offset++) {
			pci_port_write(&b->bus, offset, len, ~0u);
			pci_port_read(&b->bus, offset, len);
		}
	assert_true(pci_ecam_read(&b->bus, ~0ull & ~7ull, 8) == ~0ull);
	assert_int_equal(cfg_in(b, 0, PCI_VENDOR_ID, 4), 0x56781234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(slots_are_given_in_the_order_of_creation),
		T(ids_are_where_a_guest_looks),
		T(bars_have_places_in_the_window_from_the_start),
		T(all_ones_tell_a_bar_s_size),
		T(a_bar_answers_while_memory_is_decoded),
		T(an_access_over_a_bar_s_end_reaches_nobody),
		T(a_bar_answers_where_the_guest_moved_it),
		T(a_bar_outside_the_window_answers_nothing),
		T(a_bar_over_another_answers_nothing_and_the_other_goes_on),
		T(a_function_s_own_bars_do_not_overlap_either),
		T(a_bar_for_which_the_window_has_no_room_has_no_place),
		T(capabilities_are_a_list_in_the_order_they_were_added),
		T(capabilities_that_do_not_fit_are_left_out),
		T(the_line_shows_in_status_even_while_it_is_disabled),
		T(functions_hear_of_writes_and_may_answer_reads),
		T(no_access_of_any_width_anywhere_does_harm),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
