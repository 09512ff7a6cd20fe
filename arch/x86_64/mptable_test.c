// SPDX-License-Identifier: BSD-3-Clause
// The MP table, found and read as a kernel does it.
// test-sources: arch/x86_64/mptable.c src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "layout.h"
#include "tables.h"
#include "util/bytes.h"

enum { POINTER_BYTES = 16, HEADER_BYTES = 44, ENTRY_TYPES = 5, EXTINT = 3, NMI = 1 };

struct fixture {
	struct gmem mem;
	struct arch_machine machine;
	struct err err;
	u8 table[8192];
	u32 table_bytes;
};

static int setup(void **state)
{
	static struct fixture f;
	struct gmem_range range = { 0, MIB(2) };

	memset(&f, 0, sizeof(f));
	assert_int_equal(gmem_create(&f.mem, GMEM_PRIVATE, &range, 1, &f.err), 0);
	f.machine.mem = &f.mem;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gmem_destroy(&f->mem);
	return 0;
}

/* Write the table for so many CPUs and read it back by its floating pointer. */
static void write_table(struct fixture *f, u32 nr_cpus)
{
	u8 pointer[POINTER_BYTES];
	gpa_t gpa;

	f->machine.nr_cpus = nr_cpus;
	if (mptable_write(&f->machine, &f->err) < 0)
		fail_msg("refused: %s", f->err.text);
	assert_int_equal(gmem_read(&f->mem, LAYOUT_MPTABLE_GPA, pointer, sizeof(pointer)), 0);
	assert_memory_equal(pointer, "_MP_", 4);
	assert_int_equal(pointer[8], 1); /* paragraphs */
	assert_int_equal(pointer[9], 4);
	assert_int_equal(bytes_sum(pointer, sizeof(pointer)), 0);
	gpa = bytes_get_le(pointer + 4, 4);
	assert_int_equal(gmem_read(&f->mem, gpa, f->table, HEADER_BYTES), 0);
	assert_memory_equal(f->table, "PCMP", 4);
	f->table_bytes = (u32)bytes_get_le(f->table + 4, 2);
	assert_in_range(f->table_bytes, HEADER_BYTES, sizeof(f->table));
	assert_true(gpa + f->table_bytes <= LAYOUT_TABLES_END);
	assert_int_equal(gmem_read(&f->mem, gpa, f->table, f->table_bytes), 0);
	assert_int_equal(bytes_sum(f->table, f->table_bytes), 0);
	assert_int_equal(bytes_get_le(f->table + 36, 4), LAYOUT_LAPIC_GPA);
}

static void check_cpu(const u8 *entry, u32 index)
{
	assert_int_equal(entry[1], index);
	assert_int_equal(entry[3], index == 0 ? 3 : 1);
}

static void check_interrupt(const u8 *entry, u8 apic_id)
{
	assert_int_equal(entry[1], 0);
	assert_int_equal(bytes_get_le(entry + 2, 2), 0);
	assert_int_equal(entry[6], apic_id);
	assert_int_equal(entry[7], entry[5]); /* the pin is the ISA interrupt's number */
}

/* Walk the entries: types in rising order, as many of each as there should be. */
static void check_table(struct fixture *f, u32 nr_cpus)
{
	u32 nr_of_type[ENTRY_TYPES] = { 0 }, at = HEADER_BYTES, last_type = 0, nr = 0;

	write_table(f, nr_cpus);
	while (at < f->table_bytes) {
		const u8 *entry = f->table + at;
		u32 type = entry[0];

		assert_in_range(type, last_type, ENTRY_TYPES - 1);
		if (type == 0)
			check_cpu(entry, nr_of_type[type]);
		if (type == 2)
			assert_int_equal(entry[1], nr_cpus);
		if (type == 3)
			check_interrupt(entry, (u8)nr_cpus);
		nr_of_type[type]++;
		nr++;
		last_type = type;
		at += type == 0 ? 20 : 8;
	}
	assert_int_equal(at, f->table_bytes);
	assert_int_equal(bytes_get_le(f->table + 34, 2), nr);
	assert_int_equal(nr_of_type[0], nr_cpus);
	assert_int_equal(nr_of_type[1], 1);
	assert_int_equal(nr_of_type[2], 1);
	assert_int_equal(nr_of_type[3], 15);
	assert_int_equal(nr_of_type[4], 2);
}

static void the_table_is_right_for_any_number_of_cpus(void **state)
{
	struct fixture *f = *state;

	check_table(f, 1);
	check_table(f, 4);
	check_table(f, LAYOUT_CPUS_MAX);
}

static void the_local_interrupts_are_extint_and_nmi(void **state)
{
	struct fixture *f = *state;
	const u8 *extint, *nmi;

	write_table(f, 2);
	extint = f->table + f->table_bytes - 16;
	nmi = f->table + f->table_bytes - 8;
	assert_int_equal(extint[0], 4);
	assert_int_equal(extint[1], EXTINT);
	assert_int_equal(extint[7], 0); /* LINT0 */
	assert_int_equal(nmi[1], NMI);
	assert_int_equal(nmi[6], 0xff);
	assert_int_equal(nmi[7], 1); /* LINT1 */
}

static void the_cascade_is_no_interrupt(void **state)
{
	struct fixture *f = *state;

	write_table(f, 1);
	for (u32 at = HEADER_BYTES + 20; at < f->table_bytes; at += 8)
		assert_false(f->table[at] == 3 && f->table[at + 5] == 2);
}

static void no_cpu_and_too_many_cpus_are_refused(void **state)
{
	struct fixture *f = *state;

	f->machine.nr_cpus = 0;
	assert_int_equal(mptable_write(&f->machine, &f->err), -EINVAL);
	f->machine.nr_cpus = LAYOUT_CPUS_MAX + 1;
	assert_int_equal(mptable_write(&f->machine, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "255 CPUs: the MP table describes 1 to 254"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_table_is_right_for_any_number_of_cpus),
		T(the_local_interrupts_are_extint_and_nmi),
		T(the_cascade_is_no_interrupt),
		T(no_cpu_and_too_many_cpus_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
