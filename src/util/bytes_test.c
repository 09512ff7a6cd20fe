// SPDX-License-Identifier: BSD-3-Clause
// Wire fields and unaligned bytes.
// test-sources:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "util/bytes.h"
#include "util/types.h"

static const u8 rising[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09 };

static void wire_fields_are_little_endian_and_have_no_padding(void **state)
{
	struct {
		u8 tag;
		le16 half;
		le32 word;
		le64 wide;
	} wire = { 0, le16_make(0x0201), le32_make(0x06050403), le64_make(0x0e0d0c0b0a090807) };
	const u8 *p = (const u8 *)&wire;

	(void)state;
	assert_int_equal(sizeof(wire), 15);
	for (u32 i = 0; i < sizeof(wire); i++)
		assert_int_equal(p[i], i);
	assert_int_equal(le16_get(wire.half), 0x0201);
	assert_int_equal(le32_get(wire.word), 0x06050403);
	assert_true(le64_get(wire.wide) == 0x0e0d0c0b0a090807);
}

static void bytes_are_read_from_any_address_and_zero_extended(void **state)
{
	(void)state;
	assert_true(bytes_get_le(rising + 1, 0) == 0);
	assert_true(bytes_get_le(rising + 1, 1) == 0x02);
	assert_true(bytes_get_le(rising + 1, 3) == 0x040302);
	assert_true(bytes_get_le(rising + 1, 8) == 0x0908070605040302);
}

static void only_the_bytes_asked_for_are_stored(void **state)
{
	u8 bytes[10];

	(void)state;
	for (size_t len = 0; len <= 8; len++) {
		memset(bytes, 0xee, sizeof(bytes));
		bytes_put_le(bytes + 1, 0x0807060504030201, len);
		assert_memory_equal(bytes + 1, rising, len);
		assert_int_equal(bytes[0], 0xee);
		assert_int_equal(bytes[len + 1], 0xee);
	}
}

static void the_sum_of_bytes_wraps_at_256(void **state)
{
	static const u8 zero_sum[] = { 0xff, 0x80, 0x81 };

	(void)state;
	assert_int_equal(bytes_sum(NULL, 0), 0);
	assert_int_equal(bytes_sum(rising, sizeof(rising)), 45);
	assert_int_equal(bytes_sum(zero_sum, sizeof(zero_sum)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire_fields_are_little_endian_and_have_no_padding),
		cmocka_unit_test(bytes_are_read_from_any_address_and_zero_extended),
		cmocka_unit_test(only_the_bytes_asked_for_are_stored),
		cmocka_unit_test(the_sum_of_bytes_wraps_at_256),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
