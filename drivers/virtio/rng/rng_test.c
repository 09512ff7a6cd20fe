// SPDX-License-Identifier: BSD-3-Clause
// Requests for random bytes, in all shapes and lengths.
// test-sources: drivers/virtio/rng/rng.c fake_guest
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_guest.h"

enum { QUEUE_SIZE = 64, REQUEST_MAX = 65536 };

static int setup(void **state)
{
	struct fake_guest *g = calloc(1, sizeof(*g));

	fg_create(g, "virtio-rng", NULL, NULL);
	fg_start(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	fg_destroy(*state);
	free(*state);
	return 0;
}

static bool is_untouched(const u8 *bytes, u32 len)
{
	for (u32 i = 0; i < len; i++)
		if (bytes[i] != FG_UNTOUCHED)
			return false;
	return true;
}

/* Of 256 random bytes, any value appears more than 32 times once in 10^30 worlds. */
static void assert_random(const u8 *bytes, u32 len)
{
	u32 counts[256] = { 0 };

	assert_true(len >= 256);
	for (u32 i = 0; i < 256; i++)
		assert_true(++counts[bytes[len - 256 + i]] <= 32);
}

static void a_request_is_filled_with_random_bytes(void **state)
{
	struct fg_used used = fg_do(*state, 0, IN(256));

	assert_int_equal(used.written, 256);
	assert_random(used.in, 256);
}

static void two_requests_get_different_bytes(void **state)
{
	u8 first[64];

	memcpy(first, fg_do(*state, 0, IN(64)).in, 64);
	assert_memory_not_equal(fg_do(*state, 0, IN(64)).in, first, 64);
}

static void every_buffer_of_a_request_is_filled(void **state)
{
	struct fg_used used = fg_do(*state, 0, IN(1), IN(300), IN(0), IN(1000));

	assert_int_equal(used.written, 1301);
	assert_random(used.in, 301);
	assert_random(used.in, 1301);
}

static void a_request_of_a_whole_ring_of_buffers_is_filled(void **state)
{
	struct fake_guest *g = *state;
	struct fg_buffer buffers[QUEUE_SIZE];

	for (u32 i = 0; i < QUEUE_SIZE; i++)
		buffers[i] = IN(16);
	assert_int_equal(fg_run(g, 0, buffers, QUEUE_SIZE).written, QUEUE_SIZE * 16);
	fg_submit(g, 0, true, buffers, QUEUE_SIZE);
	fg_kick(g, 0);
	assert_int_equal(fg_wait(g, 0).written, QUEUE_SIZE * 16);
}

static void a_request_of_64_kib_is_filled_whole(void **state)
{
	struct fg_used used = fg_do(*state, 0, IN(REQUEST_MAX));

	assert_int_equal(used.written, REQUEST_MAX);
	assert_random(used.in, REQUEST_MAX);
}

static void a_longer_request_gets_64_kib_and_the_rest_is_left_alone(void **state)
{
	struct fg_used used = fg_do(*state, 0, IN(REQUEST_MAX - 100), IN(4096), IN(MIB(4)));

	assert_int_equal(used.written, REQUEST_MAX);
	assert_random(used.in, REQUEST_MAX);
	assert_true(is_untouched(used.in + REQUEST_MAX, used.in_bytes - REQUEST_MAX));
}

static void bytes_to_read_are_passed_over(void **state)
{
	assert_int_equal(fg_do(*state, 0, OUT("seed", 4), IN(8)).written, 8);
	assert_int_equal(fg_do(*state, 0, OUT("seed", 4)).written, 0);
}

static void a_ring_of_requests_comes_back_in_one_kick(void **state)
{
	struct fake_guest *g = *state;

	for (u32 i = 0; i < QUEUE_SIZE; i++)
		fg_chain(g, 0, IN(8));
	fg_kick(g, 0);
	for (u32 i = 0; i < QUEUE_SIZE; i++)
		assert_int_equal(fg_wait(g, 0).written, 8);
	assert_int_equal(fg_calls(g, 0), 1);
}

static void a_broken_ring_does_no_harm_after_a_reset(void **state)
{
	struct fake_guest *g = *state;

	fg_offer(g, 0, QUEUE_SIZE);
	fg_force_kick(g, 0);
	FG_WAIT(g, g->nr_broken == 1);
	fg_stop(g);
	fg_start(g);
	g->nr_broken = 0;
	assert_int_equal(fg_do(g, 0, IN(8)).written, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_request_is_filled_with_random_bytes),
		T(two_requests_get_different_bytes),
		T(every_buffer_of_a_request_is_filled),
		T(a_request_of_a_whole_ring_of_buffers_is_filled),
		T(a_request_of_64_kib_is_filled_whole),
		T(a_longer_request_gets_64_kib_and_the_rest_is_left_alone),
		T(bytes_to_read_are_passed_over),
		T(a_ring_of_requests_comes_back_in_one_kick),
		T(a_broken_ring_does_no_harm_after_a_reset),
	};

	return cmocka_run_group_tests_name("virtio-rng", tests, NULL, NULL);
}
