// SPDX-License-Identifier: BSD-3-Clause
// The event loop: sources that go and come while a batch is handled, timers set by any thread.
// test-sources: src/evl/evl.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "evl/evl.h"
#include "util/fd.h"

#define MS_NS 1000000ull
#define HOUR_NS (3600 * 1000 * MS_NS)

enum { DEADLINE_MS = 10000, MANY = 3 * EVL_BATCH };

/* A pipe that is watched, and what to do when it is readable. */
struct end {
	struct evl_source source;
	struct evl *evl;
	int read_fd, write_fd;
	u32 calls, events;
	struct end *victim; /* what this end's handler acts upon */
};

static void end_open(struct end *end, struct evl *evl, evl_ready_fn *ready)
{
	int ends[2];

	memset(end, 0, sizeof(*end));
	end->evl = evl;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	end->read_fd = ends[0];
	end->write_fd = ends[1];
	assert_int_equal(evl_add(evl, &end->source, end->read_fd, EPOLLIN, ready), 0);
}

static void end_close(struct end *end)
{
	evl_remove(end->evl, &end->source);
	fd_close(&end->read_fd);
	fd_close(&end->write_fd);
}

static void end_poke(struct end *end)
{
	assert_int_equal(fd_write(end->write_fd, "x", 1), 1);
}

static struct end *end_called(struct evl_source *source, u32 epoll_events)
{
	struct end *end = container_of(source, struct end, source);

	end->calls++;
	end->events = epoll_events;
	return end;
}

static void only_count(struct evl_source *source, u32 epoll_events)
{
	end_called(source, epoll_events);
}

static int setup(void **state)
{
	struct evl *evl = calloc(1, sizeof(*evl));

	assert_int_equal(evl_create(evl), 0);
	*state = evl;
	return 0;
}

static int teardown(void **state)
{
	evl_destroy(*state);
	free(*state);
	return 0;
}

/* One turn over what is ready now. */
static void turn(struct evl *evl)
{
	assert_int_equal(evl_run_once(evl, 0), 0);
}

#define WAIT(evl, condition)                                        \
	do {                                                        \
		u64 end_ns = evl_now_ns() + DEADLINE_MS * MS_NS;    \
		while (!(condition) && evl_now_ns() < end_ns)       \
			assert_int_equal(evl_run_once(evl, 20), 0); \
		assert_true(condition);                             \
	} while (0)

/* --- Sources ---------------------------------------------------------------------------------- */

static void a_ready_descriptor_calls_its_handler_until_it_is_read(void **state)
{
	struct evl *evl = *state;
	struct end end;
	char byte;

	end_open(&end, evl, only_count);
	turn(evl);
	assert_int_equal(end.calls, 0);
	end_poke(&end);
	turn(evl);
	turn(evl);
	assert_int_equal(end.calls, 2);
	assert_int_equal(end.events, EPOLLIN);
	assert_int_equal(fd_read(end.read_fd, &byte, 1), 1);
	turn(evl);
	assert_int_equal(end.calls, 2);
	end_close(&end);
}

static void what_cannot_be_watched_is_refused_and_safe_to_remove(void **state)
{
	struct evl *evl = *state;
	cleanup_fd int file = memfd_create("file", MFD_CLOEXEC);
	struct evl_source source = { 0 };
	struct end end;

	assert_int_equal(evl_add(evl, &source, file, EPOLLIN, only_count), -EPERM);
	evl_remove(evl, &source);
	assert_int_equal(evl_add(evl, &source, -1, EPOLLIN, only_count), -EBADF);
	evl_remove(evl, &source);
	end_open(&end, evl, only_count);
	assert_int_equal(evl_add(evl, &source, end.read_fd, EPOLLIN, only_count), -EEXIST);
	evl_remove(evl, &source);
	end_poke(&end);
	turn(evl);
	assert_int_equal(end.calls, 1);
	end_close(&end);
}

static void a_source_that_was_never_added_is_safe_to_remove(void **state)
{
	struct evl_source never = { 0 };
	struct end end;

	end_open(&end, *state, only_count);
	evl_remove(*state, &never);
	evl_remove(*state, &end.source);
	evl_remove(*state, &end.source);
	end_poke(&end);
	turn(*state);
	assert_int_equal(end.calls, 0);
	end_close(&end);
}

static void remove_myself(struct evl_source *source, u32 epoll_events)
{
	struct end *end = end_called(source, epoll_events);

	evl_remove(end->evl, source);
}

static void a_source_may_remove_itself(void **state)
{
	struct end end;

	end_open(&end, *state, remove_myself);
	end_poke(&end);
	turn(*state);
	turn(*state);
	assert_int_equal(end.calls, 1);
	end_close(&end);
}

static void remove_victim(struct evl_source *source, u32 epoll_events)
{
	struct end *end = end_called(source, epoll_events);

	evl_remove(end->evl, &end->victim->source);
}

static void a_source_removed_by_another_in_the_same_batch_is_not_called(void **state)
{
	struct end a, b;

	end_open(&a, *state, remove_victim);
	end_open(&b, *state, remove_victim);
	a.victim = &b;
	b.victim = &a;
	end_poke(&a);
	end_poke(&b);
	turn(*state);
	assert_int_equal(a.calls + b.calls, 1);
	turn(*state);
	assert_int_equal(a.calls + b.calls, 2); /* the one that is left */
	assert_true(a.calls == 0 || b.calls == 0);
	end_close(&a);
	end_close(&b);
}

static struct end *survivor;

static void free_victim(struct evl_source *source, u32 epoll_events)
{
	survivor = end_called(source, epoll_events);
	end_close(survivor->victim);
	free(survivor->victim);
}

static void a_source_freed_by_another_in_the_same_batch_is_not_touched(void **state)
{
	struct end *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	end_open(a, *state, free_victim);
	end_open(b, *state, free_victim);
	a->victim = b;
	b->victim = a;
	end_poke(a);
	end_poke(b);
	turn(*state); /* the sanitizer watches */
	assert_int_equal(survivor->calls, 1);
	end_close(survivor);
	free(survivor);
}

static void replace_victim(struct evl_source *source, u32 epoll_events)
{
	struct end *end = end_called(source, epoll_events), *victim = end->victim;

	if (!victim)
		return;
	evl_remove(end->evl, &victim->source);
	assert_int_equal(evl_add(end->evl, &victim->source, victim->read_fd, EPOLLIN, only_count),
			 0);
	victim->victim = NULL;
	end->victim = NULL;
}

static void a_source_added_anew_is_called_for_what_comes_after(void **state)
{
	struct end a, b;

	end_open(&a, *state, replace_victim);
	end_open(&b, *state, replace_victim);
	a.victim = &b;
	b.victim = &a;
	end_poke(&a);
	end_poke(&b);
	turn(*state);
	assert_int_equal(a.calls + b.calls, 1);
	turn(*state);
	assert_int_equal(a.calls + b.calls, 3);
	end_close(&a);
	end_close(&b);
}

static void a_source_watched_for_nothing_is_quiet_until_it_is_watched_again(void **state)
{
	struct evl *evl = *state;
	struct end end;

	end_open(&end, evl, only_count);
	end_poke(&end);
	assert_int_equal(evl_modify(evl, &end.source, 0), 0);
	turn(evl);
	assert_int_equal(end.calls, 0);
	assert_int_equal(evl_modify(evl, &end.source, 0), 0);
	assert_int_equal(evl_modify(evl, &end.source, EPOLLIN), 0);
	turn(evl);
	assert_int_equal(end.calls, 1);
	end_close(&end);
}

static void a_source_watched_for_nothing_still_hears_of_a_hang_up(void **state)
{
	struct evl *evl = *state;
	struct end end;

	end_open(&end, evl, only_count);
	assert_int_equal(evl_modify(evl, &end.source, 0), 0);
	fd_close(&end.write_fd);
	turn(evl);
	assert_int_equal(end.calls, 1);
	assert_int_equal(end.events, EPOLLHUP);
	end_close(&end);
}

static void a_source_that_is_gone_cannot_be_modified(void **state)
{
	struct end end;

	end_open(&end, *state, only_count);
	evl_remove(*state, &end.source);
	assert_int_equal(evl_modify(*state, &end.source, EPOLLOUT), -EBADF);
	end_close(&end);
}

static void drain_and_count(struct evl_source *source, u32 epoll_events)
{
	struct end *end = end_called(source, epoll_events);
	char byte;

	assert_int_equal(fd_read(end->read_fd, &byte, 1), 1);
}

static void more_sources_than_a_batch_are_all_served(void **state)
{
	struct end *ends = calloc(MANY, sizeof(*ends));
	struct evl *evl = *state;

	for (u32 i = 0; i < MANY; i++) {
		end_open(&ends[i], evl, drain_and_count);
		end_poke(&ends[i]);
	}
	for (u32 i = 0; i < MANY / EVL_BATCH; i++)
		turn(evl);
	for (u32 i = 0; i < MANY; i++) {
		assert_int_equal(ends[i].calls, 1);
		end_close(&ends[i]);
	}
	free(ends);
}

/* --- The loop --------------------------------------------------------------------------------- */

static void stop_loop(struct evl_source *source, u32 epoll_events)
{
	struct end *end = end_called(source, epoll_events);

	evl_stop(end->evl);
}

static void a_stopped_loop_ends_after_the_batch(void **state)
{
	struct end a, b;

	end_open(&a, *state, stop_loop);
	end_open(&b, *state, stop_loop);
	end_poke(&a);
	end_poke(&b);
	assert_int_equal(evl_run(*state), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(evl_run(*state), 0); /* it stays stopped */
	assert_int_equal(a.calls, 1);
	end_close(&a);
	end_close(&b);
}

static volatile sig_atomic_t ticks;

static void count_tick(int signal_number)
{
	(void)signal_number;
	if (++ticks > DEADLINE_MS)
		abort();
}

static void a_signal_is_an_empty_turn(void **state)
{
	const struct itimerval each = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = count_tick };
	int status;

	ticks = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &each, NULL);
	status = evl_run_once(*state, -1);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(status, 0);
	assert_true(ticks > 0);
}

static void a_loop_that_is_broken_tells_and_does_not_spin(void **state)
{
	struct evl *evl = *state;
	int fd = evl->epoll_fd;

	evl->epoll_fd = -1;
	assert_int_equal(evl_run_once(evl, 0), -EBADF);
	assert_int_equal(evl_run(evl), -EBADF);
	evl->epoll_fd = fd;
}

static void a_loop_that_was_never_created_is_safe_to_destroy(void **state)
{
	struct evl evl = { 0 };
	int before = fcntl(0, F_GETFD);

	(void)state;
	evl_destroy(&evl);
	assert_int_equal(fcntl(0, F_GETFD), before);
	assert_int_equal(evl_create(&evl), 0);
	assert_true(fcntl(evl.epoll_fd, F_GETFD) & FD_CLOEXEC);
	evl_destroy(&evl);
	evl_destroy(&evl);
}

/* --- Timers ----------------------------------------------------------------------------------- */

struct clock {
	struct evl_timer timer;
	atomic_uint fired;
	u64 again_ns;         /* set by the handler; 0 leaves the timer alone */
	u32 stop_at;          /* the handler stops a periodic timer at this count */
	struct clock *victim; /* stopped by the handler */
};

static void clock_fired(struct evl_timer *timer)
{
	struct clock *clock = container_of(timer, struct clock, timer);

	clock->fired++;
	if (clock->again_ns)
		evl_timer_set(timer, clock->again_ns, 0);
	if (clock->fired == clock->stop_at)
		evl_timer_set(timer, 0, 0);
	if (clock->victim)
		evl_timer_set(&clock->victim->timer, 0, 0);
}

static void clock_create(struct evl *evl, struct clock *clock)
{
	memset(clock, 0, sizeof(*clock));
	assert_int_equal(evl_timer_create(evl, &clock->timer, clock_fired), 0);
}

/* Wait until the timer's time has come, without running its handler. */
static void await_expiry(const struct clock *clock)
{
	struct evl evl = { 0 };
	struct evl_source source;
	struct epoll_event event;

	assert_int_equal(evl_create(&evl), 0);
	assert_int_equal(evl_add(&evl, &source, clock->timer.source.fd, EPOLLIN, only_count), 0);
	assert_int_equal(epoll_wait(evl.epoll_fd, &event, 1, DEADLINE_MS), 1);
	evl_destroy(&evl);
}

static void a_timer_fires_once_and_not_before_its_time(void **state)
{
	u64 began_ns = evl_now_ns();
	struct clock clock;

	clock_create(*state, &clock);
	turn(*state);
	assert_int_equal(clock.fired, 0); /* created, not set */
	evl_timer_set(&clock.timer, 5 * MS_NS, 0);
	WAIT(*state, clock.fired > 0);
	assert_true(evl_now_ns() - began_ns >= 5 * MS_NS);
	turn(*state);
	assert_int_equal(clock.fired, 1);
	evl_timer_destroy(&clock.timer);
}

static void a_periodic_timer_fires_until_its_handler_stops_it(void **state)
{
	struct clock clock;

	clock_create(*state, &clock);
	clock.stop_at = 3;
	evl_timer_set(&clock.timer, 1, MS_NS);
	WAIT(*state, clock.fired == 3);
	assert_int_equal(evl_run_once(*state, 10), 0);
	assert_int_equal(clock.fired, 3);
	evl_timer_destroy(&clock.timer);
}

static void a_handler_may_set_its_timer_again(void **state)
{
	struct clock clock;

	clock_create(*state, &clock);
	clock.again_ns = 1;
	evl_timer_set(&clock.timer, 1, 0);
	WAIT(*state, clock.fired >= 5);
	evl_timer_destroy(&clock.timer);
}

static void setting_a_timer_again_replaces_its_time(void **state)
{
	struct clock clock;

	clock_create(*state, &clock);
	evl_timer_set(&clock.timer, 1, 0);
	await_expiry(&clock);
	evl_timer_set(&clock.timer, HOUR_NS, 0);
	turn(*state);
	assert_int_equal(clock.fired, 0);
	evl_timer_set(&clock.timer, 1, 0);
	WAIT(*state, clock.fired == 1);
	evl_timer_destroy(&clock.timer);
}

static void a_stopped_timer_does_not_fire_though_its_time_had_come(void **state)
{
	struct clock clock;

	clock_create(*state, &clock);
	evl_timer_set(&clock.timer, 1, 0);
	await_expiry(&clock);
	evl_timer_set(&clock.timer, 0, 0);
	turn(*state);
	assert_int_equal(clock.fired, 0);
	evl_timer_destroy(&clock.timer);
}

static void a_timer_stopped_by_another_in_the_same_batch_does_not_fire(void **state)
{
	struct clock a, b;

	clock_create(*state, &a);
	clock_create(*state, &b);
	a.victim = &b;
	b.victim = &a;
	evl_timer_set(&a.timer, 1, 0);
	evl_timer_set(&b.timer, 1, 0);
	await_expiry(&a);
	await_expiry(&b);
	turn(*state);
	assert_int_equal(a.fired + b.fired, 1);
	turn(*state);
	assert_int_equal(a.fired + b.fired, 1);
	evl_timer_destroy(&a.timer);
	evl_timer_destroy(&b.timer);
}

static void *restless(void *opaque)
{
	struct clock *clock = opaque;

	for (u32 i = 0; i < 20000; i++)
		evl_timer_set(&clock->timer, i % 3 ? 1 : HOUR_NS, i % 2 ? 1 : 0);
	evl_timer_set(&clock->timer, 1, 0);
	return NULL;
}

static void another_thread_may_set_a_timer_at_any_time(void **state)
{
	struct clock clock;
	pthread_t thread;
	u32 before;

	clock_create(*state, &clock);
	assert_int_equal(pthread_create(&thread, NULL, restless, &clock), 0);
	WAIT(*state, clock.fired >= 3);
	assert_int_equal(pthread_join(thread, NULL), 0);
	await_expiry(&clock);
	before = clock.fired;
	WAIT(*state, clock.fired == before + 1); /* its last word counts */
	turn(*state);
	assert_int_equal(clock.fired, before + 1);
	evl_timer_destroy(&clock.timer);
}

static void a_timer_stopped_by_another_thread_is_quiet_from_then_on(void **state)
{
	struct clock clock;
	pthread_t thread;

	clock_create(*state, &clock);
	assert_int_equal(pthread_create(&thread, NULL, restless, &clock), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	await_expiry(&clock);
	evl_timer_set(&clock.timer, 0, 0);
	turn(*state);
	assert_int_equal(clock.fired, 0);
	evl_timer_destroy(&clock.timer);
}

static void destroy_myself(struct evl_timer *timer)
{
	container_of(timer, struct clock, timer)->fired++;
	evl_timer_destroy(timer);
}

static void a_timer_may_be_destroyed_in_its_handler_and_again(void **state)
{
	struct clock clock = { 0 };

	evl_timer_destroy(&clock.timer); /* never created */
	assert_int_equal(evl_timer_create(*state, &clock.timer, destroy_myself), 0);
	evl_timer_set(&clock.timer, 1, 1);
	WAIT(*state, clock.fired == 1);
	turn(*state);
	assert_int_equal(clock.fired, 1);
	evl_timer_destroy(&clock.timer);
}

static void the_longest_delay_is_no_error(void **state)
{
	struct clock clock;

	clock_create(*state, &clock);
	evl_timer_set(&clock.timer, 1, 0);
	await_expiry(&clock);
	evl_timer_set(&clock.timer, UINT64_MAX, UINT64_MAX);
	turn(*state);
	assert_int_equal(clock.fired, 0);
	evl_timer_destroy(&clock.timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(a_ready_descriptor_calls_its_handler_until_it_is_read),
		T(what_cannot_be_watched_is_refused_and_safe_to_remove),
		T(a_source_that_was_never_added_is_safe_to_remove),
		T(a_source_may_remove_itself),
		T(a_source_removed_by_another_in_the_same_batch_is_not_called),
		T(a_source_freed_by_another_in_the_same_batch_is_not_touched),
		T(a_source_added_anew_is_called_for_what_comes_after),
		T(a_source_watched_for_nothing_is_quiet_until_it_is_watched_again),
		T(a_source_watched_for_nothing_still_hears_of_a_hang_up),
		T(a_source_that_is_gone_cannot_be_modified),
		T(more_sources_than_a_batch_are_all_served),
		T(a_stopped_loop_ends_after_the_batch),
		T(a_signal_is_an_empty_turn),
		T(a_loop_that_is_broken_tells_and_does_not_spin),
		T(a_loop_that_was_never_created_is_safe_to_destroy),
		T(a_timer_fires_once_and_not_before_its_time),
		T(a_periodic_timer_fires_until_its_handler_stops_it),
		T(a_handler_may_set_its_timer_again),
		T(setting_a_timer_again_replaces_its_time),
		T(a_stopped_timer_does_not_fire_though_its_time_had_come),
		T(a_timer_stopped_by_another_in_the_same_batch_does_not_fire),
		T(another_thread_may_set_a_timer_at_any_time),
		T(a_timer_stopped_by_another_thread_is_quiet_from_then_on),
		T(a_timer_may_be_destroyed_in_its_handler_and_again),
		T(the_longest_delay_is_no_error),
	};

	return cmocka_run_group_tests_name("evl", tests, NULL, NULL);
}
