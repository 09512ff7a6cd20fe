// SPDX-License-Identifier: BSD-3-Clause
// What `--vhost-user` takes: types and their words, devices by id, and everything else refused in words.
// test-sources: src/ctl/remote.c src/vm/remote_types.c src/util/err.c src/util/opt.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/remote.h"
#include "util/bytes.h"
#include "vm/remote.h"

static struct vm_setup_vdev vdev;
static struct err e;

static void type_is(const char *text, const char *type)
{
	const char *found;

	memset(&vdev, 0x55, sizeof(vdev));
	found = remote_parse(text, &vdev, &e);
	if (!found)
		fail_msg("%s: %s", text, e.text);
	assert_string_equal(found, type);
	assert_string_equal(vdev.remote.path, "/s");
	assert_int_equal(vdev.socket_index, -1);
}

static void is_refused(const char *text, const char *words)
{
	if (remote_parse(text, &vdev, &e))
		fail_msg("'%s' is taken", text);
	assert_int_equal(e.code, -EINVAL);
	if (!strstr(e.text, words))
		fail_msg("'%s' is refused with '%s'", text, e.text);
}

static void a_type_decides_what_the_device_is(void **state)
{
	(void)state;
	type_is("blk,socket=/s", "blk");
	assert_int_equal(vdev.virtio_id, 2);
	assert_int_equal(vdev.queue_size_max, 256);
	assert_int_equal(vdev.config_bytes, 60);
	assert_int_equal(vdev.remote.queues, 0);
	assert_int_equal(vdev.remote.given_bytes, 0);
	type_is("rng,socket=/s", "rng");
	assert_int_equal(vdev.virtio_id, 4);
	assert_int_equal(vdev.config_bytes, 0);
	type_is("console,socket=/s", "console");
	assert_int_equal(vdev.virtio_id, 3);
}

static void queues_and_their_size_can_be_said(void **state)
{
	(void)state;
	type_is("blk,queues=4,socket=/s,queue_size=1024", "blk");
	assert_int_equal(vdev.remote.queues, 4);
	assert_int_equal(vdev.queue_size_max, 1024);
	is_refused("blk,socket=/s,queue_size=100", "power of two");
	is_refused("blk,socket=/s,queues=64", "63");
	is_refused("rng,socket=/s,queues=2", "fixed");
}

static void a_tag_becomes_configuration_space(void **state)
{
	(void)state;
	type_is("fs,socket=/s,tag=home", "fs");
	assert_int_equal(vdev.remote.given_bytes, 40);
	assert_memory_equal(vdev.remote.given, "home\0\0\0", 8);
	type_is("fs,socket=/s,tag=123456789012345678901234567890123456", "fs");
	assert_memory_equal(vdev.remote.given + 30, "123456\0\0\0\0", 10);
	is_refused("fs,socket=/s,tag=1234567890123456789012345678901234567", "tag");
	is_refused("blk,socket=/s,tag=home", "only fs");
}

static void a_context_id_becomes_configuration_space(void **state)
{
	(void)state;
	type_is("vsock,socket=/s,cid=258", "vsock");
	assert_int_equal(vdev.remote.given_bytes, 8);
	assert_memory_equal(vdev.remote.given, "\2\1\0\0\0\0\0", 8);
	is_refused("vsock,socket=/s,cid=2", "cid");
	is_refused("vsock,socket=/s,cid=4294967295", "cid");
	is_refused("fs,socket=/s,cid=5", "only vsock");
}

static void a_cards_address_comes_with_its_feature(void **state)
{
	(void)state;
	type_is("net,socket=/s,mac=52:54:00:aB:cD:eF", "net");
	assert_int_equal(vdev.remote.given_bytes, 6);
	assert_memory_equal(vdev.remote.given, "\x52\x54\x00\xab\xcd\xef", 6);
	assert_int_equal(vdev.remote.given_features, 1 << 5);
	is_refused("net,socket=/s,mac=53:54:00:ab:cd:ef", "card's address"); /* of a group */
	is_refused("net,socket=/s,mac=52:54:00:ab:cd", "card's address");
	is_refused("net,socket=/s,mac=52:54:00:ab:cd:eg", "card's address");
	is_refused("net,socket=/s,mac=52:54:00:ab:cd-ef", "card's address");
	is_refused("net,socket=/s,mac=52:54:00:zz:cd:ef", "card's address");
	is_refused("rng,socket=/s,mac=52:54:00:ab:cd:ef", "only net");
}

static void a_device_can_be_named_by_its_id(void **state)
{
	(void)state;
	type_is("id=41,queues=2,socket=/s", "device");
	assert_int_equal(vdev.virtio_id, 41);
	assert_int_equal(vdev.remote.queues, 2);
	assert_int_equal(vdev.config_bytes, 0);
	assert_null(remote_type_at(vdev.remote.type)->name);
	type_is("socket=/s,queues=1,id=26,config_bytes=44", "device");
	assert_int_equal(vdev.config_bytes, 44);
	is_refused("id=41,socket=/s", "queues=N");
	is_refused("queues=1,socket=/s", "id=N");
	is_refused("id=64,queues=1,socket=/s", "63");
	is_refused("id=4,queues=1,socket=/s,config_bytes=257", "256");
	is_refused("blk,id=2,socket=/s", "without a type");
	is_refused("blk,config_bytes=2,socket=/s", "without a type");
}

static void other_words_are_refused_with_the_nearest(void **state)
{
	(void)state;
	is_refused("bkl,socket=/s", "did you mean 'blk'");
	is_refused("gpu,socket=/s", "blk, console, fs");
	is_refused("a-word-that-is-far-too-long,socket=/s", "no type");
	is_refused("blk", "socket=PATH");
	is_refused("", "socket=PATH");
	is_refused("blk,", "");
	is_refused("blk,socket=", "");
	is_refused("blk,soket=/s", "did you mean 'socket'");
}

static void a_path_that_no_socket_can_have_is_refused(void **state)
{
	char text[sizeof("blk,socket=") + UNIX_PATH_BYTES];

	(void)state;
	snprintf(text, sizeof(text), "blk,socket=%0*d", UNIX_PATH_BYTES, 0);
	is_refused(text, "socket");
	text[strlen(text) - 1] = '\0';
	assert_non_null(remote_parse(text, &vdev, &e));
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_type_decides_what_the_device_is),
		T(queues_and_their_size_can_be_said),
		T(a_tag_becomes_configuration_space),
		T(a_context_id_becomes_configuration_space),
		T(a_cards_address_comes_with_its_feature),
		T(a_device_can_be_named_by_its_id),
		T(other_words_are_refused_with_the_nearest),
		T(a_path_that_no_socket_can_have_is_refused),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
