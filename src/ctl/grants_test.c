// SPDX-License-Identifier: BSD-3-Clause
// What a device may ask for: what its class grants, so often, and nothing without one.
// test-sources: src/ctl/grants.c src/jail/channel.c src/util/fd.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ctl/grants.h"
#include "util/fd.h"

struct bench {
	int here, there; /* the supervisor's end and the device's */
	struct grants grants;
	struct plan_vdev planned;
};

/* As if 7 and nothing else were what the configuration names. */
static int grant_seven(const void *cfg, u32 what)
{
	assert_non_null(cfg);
	return what == 7 ? memfd_create("seven", MFD_CLOEXEC) : -ENOENT;
}

static const struct vdev_class asker = { .name = "asker", .grant = grant_seven };
static const struct vdev_class silent = { .name = "silent" };

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	b->here = ends[0];
	b->there = ends[1];
	b->planned.cls = &asker;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fd_close(&b->here);
	fd_close(&b->there);
	free(b);
	return 0;
}

/* Ask for `what` at `now_ns`. Return: 0 with a descriptor, or the error. */
static int asked(struct bench *b, u32 what, u64 now_ns)
{
	const struct message ask = { .type = MESSAGE_ASK, .code = (s32)what, .cookie = what + 1 };
	struct message answer;
	int fd;

	grants_answer(&b->grants, &b->planned, b->here, &ask, now_ns);
	assert_int_equal(channel_receive_fd(b->there, &answer, &fd), 1);
	assert_int_equal(answer.type, MESSAGE_GRANT);
	assert_int_equal(answer.cookie, what + 1);
	assert_int_equal(fd >= 0, answer.code == 0);
	fd_close(&fd);
	return answer.code;
}

static void the_class_decides(void **state)
{
	struct bench *b = *state;

	assert_int_equal(asked(b, 7, 1), 0);
	assert_int_equal(asked(b, 8, 1), -ENOENT);
	assert_int_equal(asked(b, 0xfffffff0, 1), -ENOENT);
}

static void a_class_that_grants_nothing_is_refused(void **state)
{
	struct bench *b = *state;

	b->planned.cls = &silent;
	assert_int_equal(asked(b, 7, 1), -EPERM);
}

static void asks_have_a_rate(void **state)
{
	struct bench *b = *state;
	const u64 second_ns = 1000000000;
	u64 now_ns = 5 * second_ns;

	for (u32 i = 0; i < GRANTS_PER_SECOND; i++)
		assert_int_equal(asked(b, 7, now_ns), 0);
	assert_int_equal(asked(b, 7, now_ns), -EBUSY);
	assert_int_equal(asked(b, 8, now_ns + second_ns - 1), -EBUSY);
	assert_int_equal(asked(b, 7, now_ns + second_ns), 0);
}

static void a_device_that_does_not_read_its_answers_costs_no_descriptors(void **state)
{
	struct bench *b = *state;
	const struct message ask = { .type = MESSAGE_ASK, .code = 7 };
	int fd;

	for (u32 i = 0; i < 10000; i++)
		grants_answer(&b->grants, &b->planned, b->here, &ask, i * 1000000000ull);
	fd = memfd_create("next", MFD_CLOEXEC);
	assert_true(fd >= 0 && fd < 32);
	fd_close(&fd);
}

static void only_a_plan_with_an_asker_wants_grants(void **state)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	(void)state;
	assert_false(grants_wanted(plan));
	plan->nr_vdevs = 2;
	plan->vdevs[0].cls = plan->vdevs[1].cls = &silent;
	assert_false(grants_wanted(plan));
	plan->vdevs[1].cls = NULL; /* another program's */
	assert_false(grants_wanted(plan));
	plan->vdevs[1].cls = &asker;
	assert_true(grants_wanted(plan));
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_class_decides),
		T(a_class_that_grants_nothing_is_refused),
		T(asks_have_a_rate),
		T(a_device_that_does_not_read_its_answers_costs_no_descriptors),
		T(only_a_plan_with_an_asker_wants_grants),
	};

	return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
