// SPDX-License-Identifier: BSD-3-Clause
// What the guest sees of a device whose back-end is somebody else's: rings, features, configuration.
// test-sources: src/vm/remote.c src/vm/remote_types.c src/util/err.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/remote.h"

#define VERSION_1 (1ull << 32)
#define RING_EVENT (1ull << 29)

/* A back-end, and what came of it. */
struct bench {
	struct vm_setup_vdev setup;
	struct vhost_frontend vhost;
	struct vfront_device device;
	u8 config[VFRONT_CONFIG_BYTES_MAX];
	u32 nr_served;
	struct err e;
};

static int config_status; /* what the back-end answers to GET_CONFIG */

int vhost_frontend_get_config(struct vhost_frontend *f, u32 offset, void *dst, u32 len,
			      struct err *e)
{
	assert_true(f->protocol_features & VHOST_USER_PROTOCOL_F_CONFIG);
	assert_int_equal(offset, 0);
	memset(dst, 0xee, len);
	return config_status < 0 ? err_set(e, config_status, "no") : 0;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	config_status = 0;
	b->vhost.features = VERSION_1;
	b->setup.queue_size_max = 64;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* The setup is of this type, which has a name. */
static void is_of_type(struct bench *b, const char *name)
{
	u32 i = 0;

	while (strcmp(remote_type_at(i)->name, name) != 0)
		i++;
	b->setup.remote.type = i;
	b->setup.virtio_id = remote_type_at(i)->virtio_id;
	b->setup.config_bytes = remote_type_at(i)->config_bytes;
}

static int describe(struct bench *b, u32 nr_cpus)
{
	return remote_describe(&b->setup, &b->vhost, nr_cpus, &b->device, b->config, &b->nr_served,
			       &b->e);
}

static void a_disk_has_a_queue_for_each_cpu_if_the_back_end_has(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "blk");
	b->vhost.protocol_features = VHOST_USER_PROTOCOL_F_CONFIG;
	b->vhost.nr_queues_max = 4;
	assert_int_equal(describe(b, 2), 0);
	assert_int_equal(b->device.nr_queues, 2);
	assert_int_equal(b->nr_served, 2);
	assert_int_equal(describe(b, 8), 0);
	assert_int_equal(b->device.nr_queues, 4);
	b->vhost.nr_queues_max = UINT32_MAX;
	assert_int_equal(describe(b, 254), 0);
	assert_int_equal(b->device.nr_queues, VFRONT_QUEUES_MAX);
	b->vhost.nr_queues_max = 0; /* it does not tell */
	assert_int_equal(describe(b, 8), 0);
	assert_int_equal(b->device.nr_queues, 1);
}

static void a_disk_tells_the_queues_it_has_here(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "blk");
	b->vhost.protocol_features = VHOST_USER_PROTOCOL_F_CONFIG;
	b->vhost.nr_queues_max = 4;
	b->setup.remote.queues = 3;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.config_bytes, 60);
	assert_memory_equal(b->config + 32, "\xee\xee\x03\x00\xee", 5);
	memset(b->config, 0x11, sizeof(b->config)); /* news of the back-end's */
	remote_fix_config(&b->setup, 3, b->config);
	assert_memory_equal(b->config + 32, "\x11\x11\x03\x00\x11", 5);
}

static void more_queues_than_the_back_end_has_are_refused(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "fs");
	b->setup.remote.given_bytes = 40;
	b->setup.remote.queues = 2;
	b->vhost.nr_queues_max = 2; /* one is for what has priority */
	assert_int_equal(describe(b, 1), -EINVAL);
	assert_non_null(strstr(b->e.text, "2 rings, and 3"));
	b->setup.remote.queues = 1;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.nr_queues, 2);
}

static void what_the_user_gave_stands_before_what_the_back_end_has(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "fs");
	b->setup.remote.given_bytes = 40;
	memcpy(b->setup.remote.given, "home", 4);
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.config_bytes, 40);
	assert_memory_equal(b->config, "home\0", 5);
	assert_memory_equal(b->config + 36, "\1\0\0\0", 4);
	b->vhost.protocol_features = VHOST_USER_PROTOCOL_F_CONFIG;
	memset(b->config, 0, sizeof(b->config));
	assert_int_equal(describe(b, 1), 0);
	assert_memory_equal(b->config, "home\0", 5);
}

static void a_device_without_the_configuration_it_needs_is_refused(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "fs");
	assert_int_equal(describe(b, 1), -EINVAL);
	assert_non_null(strstr(b->e.text, "give tag="));
	is_of_type(b, "blk");
	assert_int_equal(describe(b, 1), -EINVAL);
	assert_null(strstr(b->e.text, "give"));
	b->vhost.protocol_features = VHOST_USER_PROTOCOL_F_CONFIG;
	config_status = -EREMOTEIO;
	assert_int_equal(describe(b, 1), -EREMOTEIO);
}

static void features_that_change_our_registers_are_withheld(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "rng");
	b->vhost.features = ~0ull;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.features, 0xfffc000000000000ull | 1ull << 35 | VERSION_1 |
						     RING_EVENT | 1 << 28 | 0xffffff);
}

static void a_back_end_from_before_virtio_1_is_refused(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "rng");
	b->vhost.features = RING_EVENT;
	assert_int_equal(describe(b, 1), -EINVAL);
	assert_non_null(strstr(b->e.text, "too old"));
}

static void a_card_without_configuration_space_has_one_pair_and_no_control_ring(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "net");
	b->vhost.features = VERSION_1 | 0xffffff;
	b->vhost.nr_queues_max = 1; /* pairs */
	assert_int_equal(describe(b, 4), 0);
	assert_int_equal(b->device.nr_queues, 2);
	assert_int_equal(b->device.config_bytes, 0);
	assert_int_equal(b->device.features >> 16 & 0xff, 0);
	assert_int_equal(b->device.features & 0x2c, 0);
	b->setup.remote.given_bytes = 6;
	b->setup.remote.given_features = 1 << 5;
	assert_int_equal(describe(b, 4), 0);
	assert_int_equal(b->device.config_bytes, 6);
	assert_int_equal(b->device.features & 0x2c, 0x20);
}

static void a_card_with_configuration_space_has_all_its_rings(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "net");
	b->vhost.features = VERSION_1 | 0xffffff;
	b->vhost.protocol_features = VHOST_USER_PROTOCOL_F_CONFIG;
	b->vhost.nr_queues_max = 7;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.nr_queues, 7);
	assert_int_equal(b->nr_served, 7);
	assert_int_equal(b->device.features & 0xffffff, 0xffffff);
	b->vhost.nr_queues_max = 1000;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->device.nr_queues, VFRONT_QUEUES_MAX);
}

static void the_event_ring_of_vsock_may_be_ours(void **state)
{
	struct bench *b = *state;

	is_of_type(b, "vsock");
	b->setup.remote.given_bytes = 8;
	for (u32 offered = 2; offered <= 4; offered++) {
		b->vhost.nr_queues_max = offered;
		assert_int_equal(describe(b, 1), 0);
		assert_int_equal(b->device.nr_queues, 3);
		assert_int_equal(b->nr_served, MIN(offered, 3u));
	}
	b->vhost.nr_queues_max = 1;
	assert_int_equal(describe(b, 1), -EINVAL);
	b->vhost.nr_queues_max = 0;
	assert_int_equal(describe(b, 1), 0);
	assert_int_equal(b->nr_served, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_disk_has_a_queue_for_each_cpu_if_the_back_end_has),
		T(a_disk_tells_the_queues_it_has_here),
		T(more_queues_than_the_back_end_has_are_refused),
		T(what_the_user_gave_stands_before_what_the_back_end_has),
		T(a_device_without_the_configuration_it_needs_is_refused),
		T(features_that_change_our_registers_are_withheld),
		T(a_back_end_from_before_virtio_1_is_refused),
		T(a_card_without_configuration_space_has_one_pair_and_no_control_ring),
		T(a_card_with_configuration_space_has_all_its_rings),
		T(the_event_ring_of_vsock_may_be_ours),
	};

	return cmocka_run_group_tests_name("remote devices", tests, NULL, NULL);
}
