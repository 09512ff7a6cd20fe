// SPDX-License-Identifier: BSD-3-Clause
// The registry of device classes, and instances that come, fail half way and go.
// test-sources: src/dev/dev_class.c src/util/err.c src/util/fd.c src/util/log.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/dev_class.h"
#include "util/log.h"

/* What the classes below saw. */
static struct {
	u32 created, destroyed, lines;
	const void *cfg;
	struct fdset *fds;
	struct dev *dev;
	char line[512];
} seen;

struct state {
	u8 bytes[40];
	max_align_t aligned;
	bool half_made;
};

/* Fails after it made half of itself when the configuration says so. */
static int gadget_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct state *s = dev->priv;

	seen.created++;
	seen.cfg = cfg;
	seen.fds = fds;
	seen.dev = dev;
	for (u32 i = 0; i < sizeof(s->bytes); i++)
		assert_int_equal(s->bytes[i], 0);
	s->half_made = true;
	memset(s->bytes, 0xff, sizeof(s->bytes));
	if (cfg && *(const bool *)cfg)
		return err_set(e, -EBUSY, "the second half is taken");
	return 0;
}

static void gadget_destroy(struct dev *dev)
{
	struct state *s = dev->priv;

	assert_true(s->half_made);
	seen.destroyed++;
}

static const struct dev_class gadget_class = {
	.name = "gadget",
	.nr_instances = 2,
	.priv_bytes = sizeof(struct state),
	.create = gadget_create,
	.destroy = gadget_destroy,
};
DEVICE_CLASS(gadget_class);

static int plain_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	(void)dev;
	(void)fds;
	return cfg ? err_set(e, -ENODEV, "not today") : 0;
}

/* Without private state and without destroy. */
static const struct dev_class plain_class = {
	.name = "gadget-plain",
	.nr_instances = 1,
	.create = plain_create,
};
DEVICE_CLASS(plain_class);

static void record_line(enum log_level level, const char *line, void *opaque)
{
	(void)level;
	(void)opaque;
	seen.lines++;
	snprintf(seen.line, sizeof(seen.line), "%s", line);
}

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	log_set_sink(record_line, NULL);
	return 0;
}

static void a_class_is_found_by_its_whole_name(void **state)
{
	(void)state;
	assert_ptr_equal(dev_class_find("gadget"), &gadget_class);
	assert_ptr_equal(dev_class_find("gadget-plain"), &plain_class);
	assert_null(dev_class_find("gadge"));
	assert_null(dev_class_find("gadgets"));
	assert_null(dev_class_find(""));
}

static void every_class_is_registered_once(void **state)
{
	u32 gadgets = 0, plains = 0, all = 0;

	(void)state;
	dev_class_for_each (p) {
		gadgets += *p == &gadget_class;
		plains += *p == &plain_class;
		all++;
	}
	assert_int_equal(gadgets, 1);
	assert_int_equal(plains, 1);
	assert_int_equal(all, 2);
}

static void an_instance_knows_its_class_number_slot_and_machine(void **state)
{
	struct dev_host host = { 0 };
	struct fdset fds = { 0 };
	struct err e = { 0 };
	const bool fail = false;
	struct dev *dev = dev_create(&gadget_class, 1, 7, &host, &fail, &fds, &e);

	(void)state;
	assert_non_null(dev);
	assert_ptr_equal(dev, seen.dev);
	assert_ptr_equal(dev->cls, &gadget_class);
	assert_int_equal(dev->index, 1);
	assert_int_equal(dev->slot, 7);
	assert_ptr_equal(dev->host, &host);
	assert_ptr_equal(seen.cfg, &fail);
	assert_ptr_equal(seen.fds, &fds);
	assert_int_equal((uintptr_t)dev->priv % _Alignof(max_align_t), 0);
	dev_destroy(dev);
	assert_int_equal(seen.destroyed, 1);
}

static void instances_have_states_of_their_own(void **state)
{
	struct err e = { 0 };
	struct dev *a = dev_create(&gadget_class, 0, 0, NULL, NULL, NULL, &e);
	struct dev *b = dev_create(&gadget_class, 1, 1, NULL, NULL, NULL, &e);

	(void)state;
	assert_true(a && b && a->priv != b->priv && a->log != b->log);
	dev_destroy(a);
	dev_destroy(b);
	assert_int_equal(seen.destroyed, 2);
}

static void a_create_that_fails_half_way_is_destroyed_and_names_the_instance(void **state)
{
	struct err e = { 0 };
	const bool fail = true;

	(void)state;
	assert_null(dev_create(&gadget_class, 1, 0, NULL, &fail, NULL, &e));
	assert_int_equal(seen.created, 1);
	assert_int_equal(seen.destroyed, 1);
	assert_int_equal(e.code, -EBUSY);
	assert_string_equal(e.text, "gadget.1: the second half is taken");
}

static void a_class_without_state_and_destroy_fails_and_goes_alike(void **state)
{
	struct err e = { 0 };
	struct dev *dev = dev_create(&plain_class, 0, 0, NULL, NULL, NULL, &e);

	(void)state;
	assert_non_null(dev);
	dev_destroy(dev);
	assert_null(dev_create(&plain_class, 0, 0, NULL, "", NULL, &e));
	assert_string_equal(e.text, "gadget-plain.0: not today");
}

static void nothing_is_safe_to_destroy(void **state)
{
	(void)state;
	dev_destroy(NULL);
	assert_int_equal(seen.destroyed, 0);
}

static void a_device_s_log_lines_name_it_and_are_limited(void **state)
{
	struct err e = { 0 };
	struct dev *dev = dev_create(&gadget_class, 1, 0, NULL, NULL, NULL, &e);

	(void)state;
	dev_log(dev, "register %u is none", 5);
	assert_int_equal(seen.lines, 1);
	assert_string_equal(seen.line, "gadget.1: register 5 is none");
	for (u32 i = 0; i < 1000; i++)
		dev_log(dev, "again");
	assert_true(seen.lines < 1000);
	dev_destroy(dev);
}

static void a_chatty_device_leaves_the_others_their_lines(void **state)
{
	struct err e = { 0 };
	struct dev *a = dev_create(&gadget_class, 0, 0, NULL, NULL, NULL, &e);
	struct dev *b = dev_create(&gadget_class, 1, 1, NULL, NULL, NULL, &e);

	(void)state;
	for (u32 i = 0; i < 1000; i++)
		dev_log(a, "again");
	dev_log(b, "%0400d", 7);
	assert_memory_equal(seen.line, "gadget.1: 000", 13);
	assert_in_range(strlen(seen.line), 200, sizeof(seen.line) - 2); /* long, and cut */
	dev_destroy(a);
	dev_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup(test, setup)
		T(a_class_is_found_by_its_whole_name),
		T(every_class_is_registered_once),
		T(an_instance_knows_its_class_number_slot_and_machine),
		T(instances_have_states_of_their_own),
		T(a_create_that_fails_half_way_is_destroyed_and_names_the_instance),
		T(a_class_without_state_and_destroy_fails_and_goes_alike),
		T(nothing_is_safe_to_destroy),
		T(a_device_s_log_lines_name_it_and_are_limited),
		T(a_chatty_device_leaves_the_others_their_lines),
	};

	return cmocka_run_group_tests_name("dev_class", tests, NULL, NULL);
}
