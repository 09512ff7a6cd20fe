// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic that tells when it wraps.
// test-sources:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "util/checked.h"
#include "util/types.h"

static void sums_differences_and_products_that_fit_are_stored(void **state)
{
	u64 sum, difference, product;

	(void)state;
	assert_true(checked_add(UINT64_MAX - 1, (u64)1, &sum));
	assert_true(checked_sub((u64)7, (u64)7, &difference));
	assert_true(checked_mul(UINT64_MAX / 3, (u64)3, &product));
	assert_true(sum == UINT64_MAX && difference == 0 && product == UINT64_MAX);
}

static void what_wraps_is_refused(void **state)
{
	u64 wide;

	(void)state;
	assert_false(checked_add(UINT64_MAX, (u64)1, &wide));
	assert_false(checked_sub((u64)7, (u64)8, &wide));
	assert_false(checked_mul(UINT64_MAX / 3 + 1, (u64)3, &wide));
}

static void the_type_of_the_result_counts_not_that_of_the_operands(void **state)
{
	u32 narrow;
	u64 wide;

	(void)state;
	assert_false(checked_add((u64)UINT32_MAX, (u64)1, &narrow));
	assert_true(checked_add(UINT32_MAX, 1u, &wide));
	assert_true(wide == (u64)UINT32_MAX + 1);
	assert_false(checked_add(-1, 0u, &narrow));
}

static void a_range_fits_up_to_its_limit_and_not_beyond(void **state)
{
	(void)state;
	assert_true(range_fits(0, 16, 16));
	assert_true(range_fits(15, 1, 16));
	assert_true(range_fits(16, 0, 16));
	assert_false(range_fits(0, 17, 16));
	assert_false(range_fits(16, 1, 16));
	assert_false(range_fits(17, 0, 16));
}

static void a_range_that_wraps_does_not_fit(void **state)
{
	(void)state;
	assert_false(range_fits(UINT64_MAX, 1, UINT64_MAX));
	assert_false(range_fits(1, UINT64_MAX, UINT64_MAX));
	assert_false(range_fits(UINT64_MAX, UINT64_MAX, UINT64_MAX));
	assert_true(range_fits(UINT64_MAX - 1, 1, UINT64_MAX));
}

static void neighbours_do_not_overlap_and_shared_bytes_do(void **state)
{
	(void)state;
	assert_false(ranges_overlap(0, 16, 16, 16));
	assert_false(ranges_overlap(16, 16, 0, 16));
	assert_true(ranges_overlap(0, 17, 16, 16));
	assert_true(ranges_overlap(31, 1, 16, 16));
	assert_true(ranges_overlap(0, 64, 16, 1));
	assert_true(ranges_overlap(16, 1, 0, 64));
}

static void alignment_rounds_to_the_next_boundary_and_stays_on_one(void **state)
{
	(void)state;
	assert_true(ALIGN_UP(0, 16) == 0 && ALIGN_UP(1, 16) == 16 && ALIGN_UP(16, 16) == 16);
	assert_true(ALIGN_DOWN(15, 16) == 0 && ALIGN_DOWN(16, 16) == 16);
	assert_true(ALIGN_DOWN(UINT64_MAX, 4096) == UINT64_MAX - 4095);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_differences_and_products_that_fit_are_stored),
		cmocka_unit_test(what_wraps_is_refused),
		cmocka_unit_test(the_type_of_the_result_counts_not_that_of_the_operands),
		cmocka_unit_test(a_range_fits_up_to_its_limit_and_not_beyond),
		cmocka_unit_test(a_range_that_wraps_does_not_fit),
		cmocka_unit_test(neighbours_do_not_overlap_and_shared_bytes_do),
		cmocka_unit_test(alignment_rounds_to_the_next_boundary_and_stays_on_one),
	};

	return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}
