// SPDX-License-Identifier: BSD-3-Clause
// Who answers for an address: claims that clash or nest, edges, straddling accesses, nobody there.
// test-sources: src/bus/bus.c src/util/err.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus/bus.h"

/* A device that notes its last access and answers with what the test gave it. */
struct device {
	u32 reads, writes, len;
	u64 offset, value, answer;
};

static u64 device_read(void *opaque, u64 offset, u32 len)
{
	struct device *device = opaque;

	device->reads++;
	device->offset = offset;
	device->len = len;
	return device->answer;
}

static void device_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct device *device = opaque;

	device->writes++;
	device->offset = offset;
	device->len = len;
	device->value = value;
}

static const struct bus_ops ops = { .read = device_read, .write = device_write };

struct bench {
	struct bus bus;
	struct device device[4];
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->bus.name = "port I/O";
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int claim(struct bench *b, u64 base, u64 len, u32 device)
{
	return bus_add(&b->bus, base, len, &ops, &b->device[device], &b->e);
}

static u64 read_bytes(struct bench *b, u64 addr, u32 len)
{
	u64 value = 0;

	bus_read(&b->bus, addr, &value, len);
	return value;
}

static bool write_bytes(struct bench *b, u64 addr, u64 value, u32 len)
{
	return bus_write(&b->bus, addr, &value, len);
}

/* --- Claims ----------------------------------------------------------------------------------- */

static void claims_that_cross_an_end_of_another_are_refused(void **state)
{
	static const struct {
		u64 base, len;
	} taken[] = { { 0x100, 16 }, { 0xff, 2 }, { 0xf0, 31 }, { 0x10f, 64 }, { 0x101, 16 } };
	struct bench *b = *state;

	assert_int_equal(claim(b, 0x100, 16, 0), 0);
	for (u32 i = 0; i < ARRAY_SIZE(taken); i++)
		assert_int_equal(claim(b, taken[i].base, taken[i].len, 1), -EEXIST);
	assert_string_equal(b->e.text, "port I/O: range 0x101 + 0x10 is taken");
	assert_int_equal(b->bus.nr_regions, 1);
}

static void neighbours_are_welcome(void **state)
{
	struct bench *b = *state;

	assert_int_equal(claim(b, 0x100, 16, 0), 0);
	assert_int_equal(claim(b, 0x110, 16, 1), 0);
	assert_int_equal(claim(b, 0xff, 1, 2), 0);
	assert_int_equal(b->bus.nr_regions, 3);
}

static void empty_and_wrapping_claims_are_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(claim(b, 0x100, 0, 0), -EINVAL);
	assert_string_equal(b->e.text, "port I/O: range 0x100 + 0x0 is empty or wraps");
	assert_int_equal(claim(b, UINT64_MAX, 2, 0), -EINVAL);
	assert_int_equal(claim(b, 2, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(claim(b, UINT64_MAX - 1, 1, 0), 0);
}

static void claims_are_sorted_in_whatever_order_they_come(void **state)
{
	static const u64 bases[] = { 0x300, 0x100, 0x500, 0x200, 0x400, 0x000 };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bases); i++)
		assert_int_equal(claim(b, bases[i], 0x100, i % 4), 0);
	for (u32 i = 0; i < ARRAY_SIZE(bases); i++)
		assert_int_equal(b->bus.regions[i].base, 0x100 * i);
	for (u32 i = 0; i < ARRAY_SIZE(bases); i++) {
		struct device *device = &b->device[i % 4];

		read_bytes(b, bases[i] + 7, 1);
		assert_int_equal(device->offset, 7);
		device->offset = 0;
	}
}

/* Which device answers for one byte; none: -1. */
static int owner_of(struct bench *b, u64 addr)
{
	for (u32 i = 0; i < ARRAY_SIZE(b->device); i++)
		b->device[i].reads = 0;
	read_bytes(b, addr, 1);
	for (u32 i = 0; i < ARRAY_SIZE(b->device); i++)
		if (b->device[i].reads > 0)
			return (int)i;
	return -1;
}

static void a_claim_inside_another_answers_there_in_whatever_order_they_come(void **state)
{
	static const struct {
		u64 base, len;
	} nest[] = { { 0x100, 16 }, { 0x104, 8 }, { 0x104, 2 }, { 0x10b, 1 } };
	static const u32 orders[][4] = {
		{ 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 2, 0, 3, 1 }, { 1, 3, 0, 2 }
	};
	static const int owners[] = { 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1, 3, 0, 0, 0, 0 };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(orders); i++) {
		b->bus.nr_regions = 0;
		for (u32 j = 0; j < 4; j++) {
			u32 n = orders[i][j];

			assert_int_equal(claim(b, nest[n].base, nest[n].len, n), 0);
		}
		for (u32 at = 0; at < ARRAY_SIZE(owners); at++)
			assert_int_equal(owner_of(b, 0x100 + at), owners[at]);
		assert_int_equal(owner_of(b, 0xff), -1);
		assert_int_equal(owner_of(b, 0x110), -1);
	}
}

static void an_access_that_an_inner_claim_cannot_hold_goes_to_the_outer(void **state)
{
	struct bench *b = *state;

	claim(b, 0xcf8, 8, 0);
	claim(b, 0xcf9, 1, 1);
	assert_true(write_bytes(b, 0xcf9, 0x06, 1));
	assert_true(write_bytes(b, 0xcf8, 0x80000000, 4));
	assert_true(write_bytes(b, 0xcf9, 0x0606, 2));
	assert_int_equal(b->device[1].writes, 1);
	assert_int_equal(b->device[0].writes, 2);
	assert_int_equal(b->device[0].offset, 1);
}

static void a_full_bus_takes_no_more(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < BUS_REGIONS_MAX; i++)
		assert_int_equal(claim(b, (BUS_REGIONS_MAX - i) * 0x10, 0x10, 0), 0);
	assert_int_equal(claim(b, 0, 0x10, 0), -ENOSPC);
	assert_string_equal(b->e.text, "port I/O: more than 64 regions");
	for (u32 i = 1; i <= BUS_REGIONS_MAX; i++) {
		read_bytes(b, i * 0x10 + 15, 1);
		assert_int_equal(b->device[0].reads, i);
	}
}

/* --- Accesses --------------------------------------------------------------------------------- */

static void the_first_and_the_last_byte_belong_to_the_device(void **state)
{
	struct bench *b = *state;

	claim(b, 0x100, 16, 0);
	assert_true(write_bytes(b, 0x100, 0xab, 1));
	assert_int_equal(b->device[0].offset, 0);
	assert_true(write_bytes(b, 0x10f, 0xcd, 1));
	assert_int_equal(b->device[0].offset, 15);
	assert_int_equal(b->device[0].value, 0xcd);
	assert_false(write_bytes(b, 0xff, 0xee, 1));
	assert_false(write_bytes(b, 0x110, 0xee, 1));
	assert_int_equal(b->device[0].writes, 2);
}

static void an_access_that_straddles_an_end_reaches_nobody(void **state)
{
	static const struct {
		u64 addr;
		u32 len;
	} straddling[] = { { 0xff, 2 }, { 0x10f, 2 }, { 0x10d, 4 }, { 0x109, 8 }, { 0xf9, 8 } };
	struct bench *b = *state;

	claim(b, 0x100, 16, 0);
	claim(b, 0x110, 16, 1);
	for (u32 i = 0; i < ARRAY_SIZE(straddling); i++) {
		u32 len = straddling[i].len;
		u64 ones = len == 8 ? UINT64_MAX : (1ull << 8 * len) - 1;

		assert_true(read_bytes(b, straddling[i].addr, len) == ones);
		assert_false(write_bytes(b, straddling[i].addr, 0, len));
	}
	assert_int_equal(b->device[0].reads + b->device[0].writes, 0);
	assert_int_equal(b->device[1].reads + b->device[1].writes, 0);
}

static void addresses_of_nobody_read_all_ones(void **state)
{
	struct bench *b = *state;
	u8 bytes[10];

	memset(bytes, 0x11, sizeof(bytes));
	assert_false(bus_read(&b->bus, 0x100, bytes + 1, 4)); /* an empty bus */
	assert_memory_equal(bytes, "\x11\xff\xff\xff\xff\x11", 6);
	claim(b, 0x200, 16, 0);
	assert_false(bus_read(&b->bus, 0x100, bytes + 1, 8));
	assert_int_equal(bytes[8], 0xff);
	assert_int_equal(bytes[9], 0x11);
	assert_true(read_bytes(b, UINT64_MAX, 8) == UINT64_MAX);
	assert_true(read_bytes(b, 0x210, 1) == 0xff);
}

static void an_access_of_eight_bytes_is_one_access(void **state)
{
	struct bench *b = *state;

	claim(b, 0x100, 16, 0);
	b->device[0].answer = 0x8877665544332211;
	assert_true(read_bytes(b, 0x108, 8) == 0x8877665544332211);
	assert_true(write_bytes(b, 0x108, 0x0102030405060708, 8));
	assert_int_equal(b->device[0].reads, 1);
	assert_int_equal(b->device[0].writes, 1);
	assert_int_equal(b->device[0].offset, 8);
	assert_int_equal(b->device[0].len, 8);
	assert_true(b->device[0].value == 0x0102030405060708);
}

static void a_device_s_answer_is_cut_to_the_width_of_the_access(void **state)
{
	struct bench *b = *state;
	u8 bytes[4] = { 0x11, 0x11, 0x11, 0x11 };

	claim(b, 0x100, 16, 0);
	b->device[0].answer = 0x8877665544332211;
	assert_true(bus_read(&b->bus, 0x101, bytes + 1, 2));
	assert_memory_equal(bytes, "\x11\x11\x22\x11", 4);
	assert_true(write_bytes(b, 0x101, 0x8877665544332211, 2));
	assert_true(b->device[0].value == 0x2211);
}

static void an_access_wider_than_eight_bytes_reaches_nobody(void **state)
{
	struct bench *b = *state;
	u8 bytes[17] = { 0 };

	claim(b, 0x100, 64, 0);
	assert_false(bus_read(&b->bus, 0x100, bytes, 16));
	assert_int_equal(bytes[15], 0xff);
	assert_int_equal(bytes[16], 0);
	assert_false(bus_write(&b->bus, 0x100, bytes, 9));
	assert_int_equal(b->device[0].reads + b->device[0].writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(claims_that_cross_an_end_of_another_are_refused),
		T(neighbours_are_welcome),
		T(empty_and_wrapping_claims_are_refused),
		T(claims_are_sorted_in_whatever_order_they_come),
		T(a_claim_inside_another_answers_there_in_whatever_order_they_come),
		T(an_access_that_an_inner_claim_cannot_hold_goes_to_the_outer),
		T(a_full_bus_takes_no_more),
		T(the_first_and_the_last_byte_belong_to_the_device),
		T(an_access_that_straddles_an_end_reaches_nobody),
		T(addresses_of_nobody_read_all_ones),
		T(an_access_of_eight_bytes_is_one_access),
		T(a_device_s_answer_is_cut_to_the_width_of_the_access),
		T(an_access_wider_than_eight_bytes_reaches_nobody),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
