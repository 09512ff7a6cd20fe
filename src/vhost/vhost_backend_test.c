// SPDX-License-Identifier: BSD-3-Clause
// The back-end of vhost-user against front-ends in order, out of order, careless and hostile.
// test-sources: src/vhost/vhost_backend.c src/vhost/vhost_message.c src/mem/guest_mem.c src/evl/evl.c src/util/err.c src/util/fd.c
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "vhost/vhost_backend.h"
#include "vhost/vhost_message.h"

enum {
	PAGE = 4096,
	FILE_PAGES = 32,
	NR_QUEUES = 3,
	CONFIG_BYTES = 24,
	WAIT_MS = 10000,
};

static const u64 DEVICE_FEATURES = 1ull << 32 | 1ull << 29 | 1;
static const u64 USER = 0x7f0000000000; /* where the front-end claims to have its memory */
static const gpa_t GPA = MIB(1);

struct ring_seen {
	bool running;
	u32 starts, stops, calls;
	struct vhost_backend_ring ring;
	int kick_fd, call_fd;
	u16 reached; /* what ring_stop answers */
};

/* Both ends, in one thread: the test sends, turns the loop, and looks. */
struct bench {
	struct vhost_backend backend;
	struct evl evl;
	int front, file_fd, channel;
	struct vhost_message m; /* the last answer */
	u64 features;
	u32 memory_changes, gone, nr_open;
	const char *why;
	int refuse; /* what the next verb of the device that can fail returns */
	bool destroy_when_gone, without_config;
	u8 config[CONFIG_BYTES];
	struct ring_seen rings[NR_QUEUES];
};

/* --- A device --------------------------------------------------------------------------------- */

static struct bench *bench_of(struct vhost_backend *b)
{
	return container_of(b, struct bench, backend);
}

static u64 device_features(struct vhost_backend *backend)
{
	(void)backend;
	return DEVICE_FEATURES | 1ull << 26 | 1ull << 33; /* two that the protocol must hide */
}

static int device_set_features(struct vhost_backend *backend, u64 features)
{
	bench_of(backend)->features = features;
	return bench_of(backend)->refuse;
}

static u32 device_nr_queues(struct vhost_backend *backend)
{
	(void)backend;
	return NR_QUEUES;
}

static bool device_has_config(struct vhost_backend *backend)
{
	return !bench_of(backend)->without_config;
}

static int device_memory_changed(struct vhost_backend *backend)
{
	struct bench *b = bench_of(backend);

	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		assert_false(b->rings[qi].running);
	b->memory_changes++;
	return b->refuse;
}

static int device_ring_start(struct vhost_backend *backend, u32 qi,
			     const struct vhost_backend_ring *ring, int kick_fd, int call_fd)
{
	struct bench *b = bench_of(backend);
	struct ring_seen *seen = &b->rings[qi];

	assert_false(seen->running);
	if (b->refuse)
		return b->refuse;
	seen->running = true;
	seen->starts++;
	seen->ring = *ring;
	seen->kick_fd = kick_fd;
	seen->call_fd = call_fd;
	return 0;
}

static void device_ring_call(struct vhost_backend *backend, u32 qi, int call_fd)
{
	struct ring_seen *seen = &bench_of(backend)->rings[qi];

	assert_true(seen->running);
	if (seen->call_fd >= 0)
		assert_true(fcntl(seen->call_fd, F_GETFD) >= 0); /* the old one lives until now */
	seen->call_fd = call_fd;
	seen->calls++;
}

static u16 device_ring_stop(struct vhost_backend *backend, u32 qi)
{
	struct ring_seen *seen = &bench_of(backend)->rings[qi];

	assert_true(seen->running);
	if (seen->kick_fd >= 0)
		assert_true(fcntl(seen->kick_fd, F_GETFD) >= 0);
	assert_true(backend->mem.nr_regions > 0);
	seen->running = false;
	seen->stops++;
	return seen->reached;
}

static int device_config_read(struct vhost_backend *backend, u32 offset, u8 *dst, u32 len)
{
	if (offset >= CONFIG_BYTES)
		return -EINVAL;
	memcpy(dst, bench_of(backend)->config + offset, MIN(len, CONFIG_BYTES - offset));
	return 0;
}

static int device_config_write(struct vhost_backend *backend, u32 offset, const u8 *src, u32 len)
{
	if (offset > CONFIG_BYTES || len > CONFIG_BYTES - offset)
		return -EINVAL;
	memcpy(bench_of(backend)->config + offset, src, len);
	return 0;
}

static void device_gone(struct vhost_backend *backend, const char *why)
{
	struct bench *b = bench_of(backend);

	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		assert_false(b->rings[qi].running);
	b->gone++;
	b->why = why;
	if (b->destroy_when_gone)
		vhost_backend_destroy(backend);
}

static const struct vhost_backend_ops device = {
	.features = device_features,
	.set_features = device_set_features,
	.nr_queues = device_nr_queues,
	.has_config = device_has_config,
	.memory_changed = device_memory_changed,
	.ring_start = device_ring_start,
	.ring_call = device_ring_call,
	.ring_stop = device_ring_stop,
	.config_read = device_config_read,
	.config_write = device_config_write,
	.gone = device_gone,
};

/* --- A front-end ------------------------------------------------------------------------------ */

static u32 count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	u32 nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* The descriptors that the back-end holds. */
static u32 count_held(const struct bench *b)
{
	return count_open() - b->nr_open;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err e = { 0 };
	int ends[2];

	b->channel = -1;
	b->file_fd = memfd_create("front-end", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->file_fd, FILE_PAGES * PAGE), 0);
	assert_int_equal(evl_create(&b->evl), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	b->front = ends[0];
	assert_int_equal(vhost_backend_start(&b->backend, &device, &b->evl, &ends[1], &e), 0);
	assert_int_equal(ends[1], -1);
	for (u32 i = 0; i < CONFIG_BYTES; i++)
		b->config[i] = (u8)(i + 1);
	b->nr_open = count_open();
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	vhost_backend_destroy(&b->backend);
	vhost_backend_destroy(&b->backend);
	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		assert_false(b->rings[qi].running);
	evl_destroy(&b->evl);
	fd_close(&b->channel);
	fd_close(&b->front);
	fd_close(&b->file_fd);
	free(b);
	return 0;
}

/* Let the back-end read all there is. */
static void turn(struct bench *b)
{
	struct epoll_event event;

	while (!b->gone && epoll_wait(b->evl.epoll_fd, &event, 1, 0) > 0)
		assert_int_equal(evl_run_once(&b->evl, 0), 0);
}

/* Send; the answer, if there is one, is in b->m. Return: whether there is. */
static bool deliver(struct bench *b, const struct vhost_message *m)
{
	assert_int_equal(vhost_message_send(b->front, m, WAIT_MS), 0);
	turn(b);
	if (vhost_message_receive(b->front, &b->m, 0) < 0)
		return false;
	assert_int_equal(vhost_message_request(&b->m), vhost_message_request(m));
	assert_int_equal(vhost_message_flags(&b->m), VHOST_USER_VERSION | VHOST_USER_REPLY);
	assert_int_equal(b->m.nr_fds, 0);
	return true;
}

/* Send something that has no answer of its own. Return: whether the back-end acknowledged it. */
static bool accepts(struct bench *b, struct vhost_message *m)
{
	m->header.flags = le32_make(vhost_message_flags(m) | VHOST_USER_NEED_REPLY);
	assert_true(deliver(b, m));
	assert_int_equal(vhost_message_size(&b->m), 8);
	assert_int_equal(b->gone, 0);
	return le64_get(b->m.payload.number) == 0;
}

static struct vhost_message bare_message(u32 request)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, 0);
	return m;
}

static struct vhost_message number_message(u32 request, u64 number)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, 8);
	m.payload.number = le64_make(number);
	return m;
}

static struct vhost_message state_message(u32 request, u32 index, u32 num)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, 8);
	m.payload.state.index = le32_make(index);
	m.payload.state.num = le32_make(num);
	return m;
}

static struct vhost_message addr_message(u32 index, u64 desc, u64 avail, u64 used)
{
	struct vhost_message m;

	vhost_message_init(&m, VHOST_USER_SET_VRING_ADDR, 0, 40);
	m.payload.addr.index = le32_make(index);
	m.payload.addr.desc_user = le64_make(desc);
	m.payload.addr.avail_user = le64_make(avail);
	m.payload.addr.used_user = le64_make(used);
	m.payload.addr.log_gpa = le64_make(0x1234567); /* of no meaning */
	return m;
}

static struct vhost_message config_message(u32 request, u32 offset, u32 len)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, VHOST_CONFIG_BYTES + len);
	m.payload.config.offset = le32_make(offset);
	m.payload.config.size = le32_make(len);
	return m;
}

static bool tell(struct bench *b, u32 request)
{
	struct vhost_message m = bare_message(request);

	return accepts(b, &m);
}

static bool tell_number(struct bench *b, u32 request, u64 number)
{
	struct vhost_message m = number_message(request, number);

	return accepts(b, &m);
}

static bool tell_state(struct bench *b, u32 request, u32 index, u32 num)
{
	struct vhost_message m = state_message(request, index, num);

	return accepts(b, &m);
}

static bool tell_addr(struct bench *b, u32 index, u64 desc, u64 avail, u64 used)
{
	struct vhost_message m = addr_message(index, desc, avail, used);

	return accepts(b, &m);
}

/* A kick or call, with an eventfd whose other copy is closed when it has been sent. */
static bool tell_event(struct bench *b, u32 request, u32 index)
{
	struct vhost_message m = number_message(request, index);
	bool accepted;

	m.fds[m.nr_fds++] = eventfd(0, EFD_CLOEXEC);
	accepted = accepts(b, &m);
	vhost_message_close_fds(&m);
	return accepted;
}

static u64 ask_number(struct bench *b, u32 request)
{
	struct vhost_message m = bare_message(request);

	assert_true(deliver(b, &m));
	assert_int_equal(vhost_message_size(&b->m), 8);
	return le64_get(b->m.payload.number);
}

static u16 ask_base(struct bench *b, u32 qi)
{
	struct vhost_message m = state_message(VHOST_USER_GET_VRING_BASE, qi, 0);

	assert_true(deliver(b, &m));
	assert_int_equal(vhost_message_size(&b->m), 8);
	assert_int_equal(le32_get(b->m.payload.state.index), qi);
	return (u16)le32_get(b->m.payload.state.num);
}

static void table_add(struct bench *b, struct vhost_message *m, u64 gpa, u64 size, u64 user, u64 at)
{
	u32 nr = le32_get(m->payload.memory.nr_regions);

	m->payload.memory.regions[nr] = (struct vhost_user_region){
		.base_gpa = le64_make(gpa),
		.size_bytes = le64_make(size),
		.user_addr = le64_make(user),
		.mmap_offset = le64_make(at),
	};
	m->payload.memory.nr_regions = le32_make(nr + 1);
	m->header.size = le32_make(vhost_message_size(m) + 32);
	m->fds[m->nr_fds++] = b->file_fd;
}

static struct vhost_message table_message(void)
{
	struct vhost_message m;

	vhost_message_init(&m, VHOST_USER_SET_MEM_TABLE, 0, VHOST_MEMORY_BYTES);
	return m;
}

/* Two regions: 8 pages, and, elsewhere for everybody, 4 more. */
static bool tell_memory(struct bench *b)
{
	struct vhost_message m = table_message();

	table_add(b, &m, GPA, 8 * PAGE, USER, 0);
	table_add(b, &m, GIB(4), 4 * PAGE, USER + GIB(1), 16 * PAGE);
	return accepts(b, &m);
}

static const u64 PROTOCOL_FEATURES =
	VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_CONFIG |
	VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_RESET_DEVICE;

static void agree(struct bench *b)
{
	assert_true(tell_number(b, VHOST_USER_SET_PROTOCOL_FEATURES, PROTOCOL_FEATURES));
}

/* Everything up to the rings. */
static void greet(struct bench *b)
{
	agree(b);
	assert_true(tell_number(b, VHOST_USER_SET_FEATURES,
				1ull << 32 | VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(tell_memory(b));
}

static void describe_ring(struct bench *b, u32 qi)
{
	assert_true(tell_state(b, VHOST_USER_SET_VRING_NUM, qi, 64));
	assert_true(tell_state(b, VHOST_USER_SET_VRING_BASE, qi, 7));
	assert_true(tell_addr(b, qi, USER + PAGE, USER + 2 * PAGE, USER + GIB(1) + PAGE));
	assert_true(tell_event(b, VHOST_USER_SET_VRING_CALL, qi));
}

static void start_ring(struct bench *b, u32 qi)
{
	describe_ring(b, qi);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, qi, 1));
	assert_false(b->rings[qi].running);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, qi));
	assert_true(b->rings[qi].running);
}

/* --- Greeting --------------------------------------------------------------------------------- */

static void the_device_s_features_are_offered_without_those_the_protocol_lacks(void **state)
{
	struct bench *b = *state;

	assert_true(ask_number(b, VHOST_USER_GET_FEATURES) ==
		    (DEVICE_FEATURES | VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(ask_number(b, VHOST_USER_GET_PROTOCOL_FEATURES) ==
		    (PROTOCOL_FEATURES | VHOST_USER_PROTOCOL_F_MQ));
	assert_int_equal(ask_number(b, VHOST_USER_GET_QUEUE_NUM), NR_QUEUES);
}

static void a_device_without_configuration_space_offers_none(void **state)
{
	struct bench *b = *state;

	b->without_config = true;
	assert_true(ask_number(b, VHOST_USER_GET_PROTOCOL_FEATURES) ==
		    (VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |
		     VHOST_USER_PROTOCOL_F_RESET_DEVICE));
	assert_true(
		tell_number(b, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_REPLY_ACK));
	assert_false(tell_number(b, VHOST_USER_SET_PROTOCOL_FEATURES, PROTOCOL_FEATURES));
}

static void features_that_were_offered_can_be_chosen_and_no_others(void **state)
{
	struct bench *b = *state;

	agree(b);
	assert_false(tell_number(b, VHOST_USER_SET_FEATURES, 1ull << 26));
	assert_false(tell_number(b, VHOST_USER_SET_FEATURES, 1ull << 40));
	assert_false(tell_number(b, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 63));
	assert_true(tell_number(b, VHOST_USER_SET_FEATURES,
				DEVICE_FEATURES | VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(b->features == DEVICE_FEATURES);
	b->refuse = -EINVAL;
	assert_false(tell_number(b, VHOST_USER_SET_FEATURES, 0));
}

static void acknowledgements_are_given_when_agreed_on_and_asked_for(void **state)
{
	struct bench *b = *state;
	struct vhost_message owner = bare_message(VHOST_USER_SET_OWNER);
	struct vhost_message asking = owner;

	asking.header.flags = le32_make(VHOST_USER_VERSION | VHOST_USER_NEED_REPLY);
	assert_false(deliver(b, &asking));
	agree(b);
	assert_true(deliver(b, &asking));
	assert_false(deliver(b, &owner));
	assert_int_equal(b->gone, 0);
}

static void an_owner_may_say_so_twice(void **state)
{
	struct bench *b = *state;

	agree(b);
	assert_true(tell(b, VHOST_USER_SET_OWNER));
	assert_true(tell(b, VHOST_USER_SET_OWNER));
}

/* --- Rings ------------------------------------------------------------------------------------ */

static void a_ring_starts_with_its_addresses_translated(void **state)
{
	struct bench *b = *state;
	const struct ring_seen *seen = &b->rings[1];
	u64 one = 1;

	greet(b);
	start_ring(b, 1);
	assert_int_equal(seen->starts, 1);
	assert_int_equal(seen->ring.size, 64);
	assert_int_equal(seen->ring.base, 7);
	assert_true(seen->ring.desc_gpa == GPA + PAGE);
	assert_true(seen->ring.avail_gpa == GPA + 2 * PAGE);
	assert_true(seen->ring.used_gpa == GIB(4) + PAGE);
	assert_int_equal(fd_read(seen->kick_fd, &one, sizeof(one)), -EAGAIN); /* nonblocking */
	assert_int_equal(fd_write(seen->call_fd, &one, sizeof(one)), sizeof(one));
	assert_false(b->rings[0].running || b->rings[2].running);
}

static void the_last_thing_said_starts_the_ring_whichever_it_is(void **state)
{
	struct bench *b = *state;

	agree(b);
	for (u32 last = 0; last < 6; last++) {
		u32 starts = b->rings[0].starts;

		for (u32 i = 1; i <= 6; i++) {
			assert_int_equal(b->rings[0].starts, starts);
			switch ((last + i) % 6) {
			case 0:
				assert_true(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, 8));
				break;
			case 1:
				assert_true(tell_addr(b, 0, USER, USER + PAGE, USER + 2 * PAGE));
				break;
			case 2:
				assert_true(tell_state(b, VHOST_USER_SET_VRING_BASE, 0, 0));
				break;
			case 3:
				assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
				break;
			case 4:
				assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
				break;
			case 5:
				if (b->backend.mem.nr_regions == 0)
					assert_true(tell_memory(b));
				assert_true(tell_number(b, VHOST_USER_SET_FEATURES,
							VHOST_USER_F_PROTOCOL_FEATURES));
				break;
			}
		}
		assert_int_equal(b->rings[0].starts, starts + 1);
		assert_true(tell(b, VHOST_USER_RESET_DEVICE));
		assert_false(b->rings[0].running);
		assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 0));
	}
}

static void without_protocol_features_a_ring_starts_enabled(void **state)
{
	struct bench *b = *state;

	agree(b);
	assert_true(tell_number(b, VHOST_USER_SET_FEATURES, 1ull << 32));
	assert_true(tell_memory(b));
	describe_ring(b, 0);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(b->rings[0].running);
}

static void with_protocol_features_a_ring_starts_disabled(void **state)
{
	struct bench *b = *state;

	greet(b);
	describe_ring(b, 0);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_false(b->rings[0].running);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(b->rings[0].running);
}

/* Before anything else, as QEMU does: calls, then features and enabling, then the memory. */
static void qemu_s_order_is_served(void **state)
{
	struct bench *b = *state;

	agree(b);
	assert_true(tell(b, VHOST_USER_SET_OWNER));
	ask_number(b, VHOST_USER_GET_FEATURES);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_CALL, 0));
	assert_true(tell_event(b, VHOST_USER_SET_VRING_ERR, 0));
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(tell_number(b, VHOST_USER_SET_FEATURES, VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(tell_memory(b));
	describe_ring(b, 0);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(b->rings[0].running);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_CALL, 0));
	assert_int_equal(b->rings[0].calls, 1);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 0));
	b->rings[0].reached = 0; /* stopped already: not asked again */
	assert_int_equal(ask_base(b, 0), 0);
	assert_int_equal(b->rings[0].stops, 1);
}

static void asking_for_the_base_stops_the_ring_until_the_next_kick(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	b->rings[0].reached = 65535;
	assert_int_equal(ask_base(b, 0), 65535);
	assert_false(b->rings[0].running);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_false(b->rings[0].running);
	assert_int_equal(ask_base(b, 0), 65535);
	assert_int_equal(ask_base(b, 2), 0); /* never began */
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(b->rings[0].running);
	assert_int_equal(b->rings[0].ring.base, 65535);
}

static void a_ring_disabled_and_enabled_goes_on_where_it_was(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 2);
	b->rings[2].reached = 123;
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 2, 0));
	assert_false(b->rings[2].running);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 2, 1));
	assert_int_equal(b->rings[2].ring.base, 123);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 2, 1));
	assert_int_equal(b->rings[2].starts, 2);
}

static void polled_rings_have_no_descriptors(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	assert_true(tell_number(b, VHOST_USER_SET_VRING_KICK, VHOST_RING_NO_FD | 0));
	assert_true(b->rings[0].running);
	assert_int_equal(b->rings[0].starts, 2);
	assert_int_equal(b->rings[0].kick_fd, -1);
	assert_true(tell_number(b, VHOST_USER_SET_VRING_CALL, VHOST_RING_NO_FD | 0));
	assert_int_equal(b->rings[0].call_fd, -1);
	assert_true(tell_number(b, VHOST_USER_SET_VRING_ERR, VHOST_RING_NO_FD | 0));
}

static void a_running_ring_keeps_its_place_size_and_features(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	assert_false(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, 128));
	assert_false(tell_state(b, VHOST_USER_SET_VRING_BASE, 0, 1));
	assert_false(tell_addr(b, 0, USER, USER + 2 * PAGE, USER + GIB(1) + PAGE));
	assert_false(tell_number(b, VHOST_USER_SET_FEATURES, 0));
	/* What changes nothing is welcome. */
	assert_true(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, 64));
	assert_true(tell_addr(b, 0, USER + PAGE, USER + 2 * PAGE, USER + GIB(1) + PAGE));
	assert_true(tell_number(b, VHOST_USER_SET_FEATURES,
				1ull << 32 | VHOST_USER_F_PROTOCOL_FEATURES));
	assert_int_equal(b->rings[0].starts, 1);
	assert_int_equal(b->rings[0].stops, 0);
}

static void a_ring_the_device_refuses_does_not_run(void **state)
{
	struct bench *b = *state;

	greet(b);
	describe_ring(b, 0);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	b->refuse = -EINVAL;
	assert_false(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_int_equal(ask_base(b, 0), 7);
	assert_int_equal(b->rings[0].stops, 0);
}

static void rings_that_do_not_exist_are_refused(void **state)
{
	static const u32 rings[] = { NR_QUEUES, 64, 255, 256, 0x7fffffff, UINT32_MAX };
	struct bench *b = *state;

	greet(b);
	for (u32 i = 0; i < ARRAY_SIZE(rings); i++) {
		assert_false(tell_state(b, VHOST_USER_SET_VRING_NUM, rings[i], 64));
		assert_false(tell_state(b, VHOST_USER_SET_VRING_BASE, rings[i], 0));
		assert_false(tell_state(b, VHOST_USER_SET_VRING_ENABLE, rings[i], 1));
		assert_false(tell_addr(b, rings[i], USER, USER, USER));
	}
	assert_false(tell_event(b, VHOST_USER_SET_VRING_KICK, NR_QUEUES));
	assert_false(tell_event(b, VHOST_USER_SET_VRING_CALL, 255));
	assert_false(tell_event(b, VHOST_USER_SET_VRING_ERR, NR_QUEUES));
	assert_false(tell_event(b, VHOST_USER_SET_VRING_KICK, 1u << 9)); /* ring 0 and a bit */
	assert_int_equal(count_held(b), 0);
}

static void numbers_out_of_range_are_refused(void **state)
{
	struct bench *b = *state;

	greet(b);
	assert_false(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, 0));
	assert_false(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, VHOST_RING_SIZE_MAX + 1));
	assert_false(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, UINT32_MAX));
	assert_true(tell_state(b, VHOST_USER_SET_VRING_NUM, 0, VHOST_RING_SIZE_MAX));
	assert_false(tell_state(b, VHOST_USER_SET_VRING_BASE, 0, 65536));
	assert_false(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 2));
}

static void rings_outside_of_memory_are_refused(void **state)
{
	static const u64 bad[] = { 0,          USER - 1, USER + 8 * PAGE, USER + GIB(1) + 4 * PAGE,
				   UINT64_MAX, GPA };
	struct bench *b = *state;
	u64 last = USER + 8 * PAGE - 1; /* begins inside */

	greet(b);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(tell_addr(b, 0, bad[i], USER, USER));
		assert_false(tell_addr(b, 0, USER, bad[i], USER));
		assert_false(tell_addr(b, 0, USER, USER, bad[i]));
	}
	describe_ring(b, 0);
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(tell_addr(b, 0, last, USER, USER));
	assert_false(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_false(tell_addr(b, 0, USER, last, USER));
	assert_false(tell_addr(b, 0, USER, USER, last));
	assert_int_equal(b->rings[0].starts, 0);
	assert_true(tell_addr(b, 0, USER, USER, USER));
	assert_int_equal(b->rings[0].starts, 1);
}

static void descriptors_that_are_missing_or_too_many_are_refused(void **state)
{
	static const u32 requests[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					VHOST_USER_SET_VRING_ERR };
	struct bench *b = *state;
	struct vhost_message m;

	greet(b);
	for (u32 i = 0; i < ARRAY_SIZE(requests); i++) {
		assert_false(tell_number(b, requests[i], 0));
		m = number_message(requests[i], VHOST_RING_NO_FD);
		m.fds[m.nr_fds++] = b->front;
		assert_false(accepts(b, &m));
		m = number_message(requests[i], 0);
		m.fds[m.nr_fds++] = b->front;
		m.fds[m.nr_fds++] = b->front;
		assert_false(accepts(b, &m));
	}
	m = state_message(VHOST_USER_SET_VRING_NUM, 0, 64);
	m.fds[m.nr_fds++] = b->front;
	assert_false(accepts(b, &m));
	assert_false(tell(b, VHOST_USER_SET_BACKEND_REQ_FD));
	assert_int_equal(count_held(b), 0);
}

static void descriptors_are_closed_when_replaced_and_at_the_end(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	start_ring(b, 1);
	assert_int_equal(count_held(b), 4);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_CALL, 0));
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_int_equal(count_held(b), 4);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_ERR, 0));
	assert_true(tell_event(b, VHOST_USER_SET_VRING_ERR, 0));
	assert_int_equal(count_held(b), 5);
	ask_base(b, 0);
	assert_int_equal(count_held(b), 4);
	vhost_backend_destroy(&b->backend);
	assert_int_equal(b->rings[1].stops, 1);
	assert_int_equal(count_open(), b->nr_open - 1); /* its socket */
	assert_int_equal(b->gone, 0);
}

static void resets_stop_the_rings(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	assert_true(tell(b, VHOST_USER_RESET_OWNER));
	assert_false(b->rings[0].running);
	start_ring(b, 0);
	assert_true(tell(b, VHOST_USER_RESET_DEVICE));
	assert_false(b->rings[0].running);
	assert_true(tell_event(b, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(tell_state(b, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_false(b->rings[0].running); /* nothing was said of it since */
	greet(b);
	describe_ring(b, 0);
	assert_true(b->rings[0].running);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void the_front_end_s_memory_is_mapped(void **state)
{
	struct bench *b = *state;
	char text[4] = { 0 };

	greet(b);
	assert_int_equal(b->memory_changes, 1);
	assert_int_equal(gmem_size(&b->backend.mem), 12 * PAGE);
	assert_int_equal(pwrite(b->file_fd, "ask", 3, 16 * PAGE + 5), 3);
	assert_int_equal(gmem_read(&b->backend.mem, GIB(4) + 5, text, 3), 0);
	assert_string_equal(text, "ask");
	assert_int_equal(count_held(b), 0); /* mapped, not kept open */
}

static void eight_regions_fit_a_table(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = table_message();

	agree(b);
	for (u32 i = 0; i < VHOST_REGIONS_MAX; i++)
		table_add(b, &m, 2 * i * PAGE, PAGE, USER + 3 * i * PAGE, i * PAGE);
	assert_true(accepts(b, &m));
	assert_int_equal(b->backend.mem.nr_regions, VHOST_REGIONS_MAX);
	m = table_message();
	assert_true(accepts(b, &m));
	assert_int_equal(b->backend.mem.nr_regions, 0);
}

static void impossible_tables_are_refused_and_the_old_one_stays(void **state)
{
	static const struct {
		u64 gpa, size, user, at;
	} bad[] = {
		{ GPA + 7 * PAGE, PAGE, USER + GIB(2), 0 },     /* over the other's place */
		{ GPA - PAGE, 16 * PAGE, USER + GIB(2), 0 },    /* around it */
		{ 0, PAGE, USER + 7 * PAGE, 0 },                /* the user's */
		{ 0, PAGE, USER - 1, 0 },                       /* by a byte */
		{ 0, PAGE, 0 - (u64)PAGE, 0 },                  /* up to 2^64 */
		{ 0 - (u64)PAGE, PAGE, USER + GIB(2), 0 },      /* the guest's, too */
		{ 0, 0, USER + GIB(2), 0 },                     /* nothing */
		{ 0, UINT64_MAX & ~4095ull, USER + GIB(2), 0 }, /* everything */
		{ 0, PAGE, USER + GIB(2), FILE_PAGES * PAGE },  /* behind the file */
		{ 0, 2 * PAGE, USER + GIB(2), (FILE_PAGES - 1) * PAGE }, /* over its end */
		{ GIB(8), GIB(1ull << 20), USER + (1ull << 45), 0 },     /* huge */
		{ 0, 2 * PAGE, USER + GIB(2), 0 - (u64)PAGE },           /* its end wraps */
		{ 0, PAGE, USER + GIB(2), 1 },                           /* between pages */
		{ 0, PAGE + 1, USER + GIB(2), 0 },
		{ 1, PAGE, USER + GIB(2), 0 },
	};
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vhost_message m = table_message();

		table_add(b, &m, GPA, 8 * PAGE, USER, 0);
		table_add(b, &m, bad[i].gpa, bad[i].size, bad[i].user, bad[i].at);
		assert_false(accepts(b, &m));
		assert_int_equal(b->backend.mem.nr_regions, 2);
	}
	assert_int_equal(b->rings[0].stops, 0);
	assert_int_equal(b->memory_changes, 1);
}

static void tables_that_do_not_fit_their_message_are_refused(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;

	agree(b);
	m = table_message(); /* a region without its descriptor */
	table_add(b, &m, GPA, PAGE, USER, 0);
	m.nr_fds = 0;
	assert_false(accepts(b, &m));
	m = table_message(); /* a descriptor without its region */
	table_add(b, &m, GPA, PAGE, USER, 0);
	m.fds[m.nr_fds++] = b->file_fd;
	assert_false(accepts(b, &m));
	m = table_message(); /* more regions than bytes */
	table_add(b, &m, GPA, PAGE, USER, 0);
	m.payload.memory.nr_regions = le32_make(2);
	m.fds[m.nr_fds++] = b->file_fd;
	assert_false(accepts(b, &m));
	m = table_message(); /* more bytes than regions */
	table_add(b, &m, GPA, PAGE, USER, 0);
	m.header.size = le32_make(8 + 2 * 32);
	assert_false(accepts(b, &m));
	m = table_message(); /* more than there can be */
	for (u32 i = 0; i < VHOST_REGIONS_MAX; i++)
		table_add(b, &m, i * PAGE, PAGE, USER + i * PAGE, 0);
	m.payload.memory.nr_regions = le32_make(UINT32_MAX);
	assert_false(accepts(b, &m));
	m.payload.memory.nr_regions =
		le32_make((1u << 27) + VHOST_REGIONS_MAX); /* times 32 wraps */
	assert_false(accepts(b, &m));
	m = table_message(); /* an eventfd in place of a file */
	table_add(b, &m, GPA, PAGE, USER, 0);
	m.fds[0] = b->front;
	assert_false(accepts(b, &m));
	assert_int_equal(b->backend.mem.nr_regions, 0);
	assert_int_equal(count_held(b), 0);
}

static void running_rings_are_stopped_around_a_change_of_memory(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = table_message();

	greet(b);
	start_ring(b, 0);
	start_ring(b, 1);
	b->rings[1].reached = 50;
	table_add(b, &m, GIB(2), 8 * PAGE, USER, 8 * PAGE); /* moved, as the guest sees it */
	table_add(b, &m, GIB(4), 4 * PAGE, USER + GIB(1), 16 * PAGE);
	assert_true(accepts(b, &m));
	assert_int_equal(b->memory_changes, 2);
	for (u32 qi = 0; qi < 2; qi++) {
		assert_int_equal(b->rings[qi].stops, 1);
		assert_int_equal(b->rings[qi].starts, 2);
		assert_true(b->rings[qi].ring.desc_gpa == GIB(2) + PAGE);
	}
	assert_int_equal(b->rings[1].ring.base, 50);
}

static void a_ring_that_new_memory_does_not_hold_stays_stopped(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = table_message();

	greet(b);
	start_ring(b, 0);
	table_add(b, &m, GPA, PAGE, USER, 0);
	assert_false(accepts(b, &m));
	assert_false(b->rings[0].running);
	assert_int_equal(b->backend.mem.nr_regions, 1);
	assert_int_equal(ask_base(b, 0), 0);
	assert_true(tell_memory(b));
}

/* --- Configuration space, channel ------------------------------------------------------------- */

static void configuration_space_is_read_and_written(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = config_message(VHOST_USER_GET_CONFIG, 4, 3);

	agree(b);
	assert_true(deliver(b, &m));
	assert_int_equal(vhost_message_size(&b->m), VHOST_CONFIG_BYTES + 3);
	assert_int_equal(le32_get(b->m.payload.config.offset), 4);
	assert_int_equal(le32_get(b->m.payload.config.size), 3);
	assert_memory_equal(b->m.payload.config.bytes, "\5\6\7", 3);
	m = config_message(VHOST_USER_SET_CONFIG, 22, 2);
	memcpy(m.payload.config.bytes, "xy", 2);
	assert_true(accepts(b, &m));
	assert_memory_equal(b->config + 22, "xy", 2);
}

static void what_the_device_does_not_fill_reads_zero(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = config_message(VHOST_USER_GET_CONFIG, 0, VHOST_CONFIG_BYTES_MAX);

	agree(b);
	memset(m.payload.config.bytes, 0xff, sizeof(m.payload.config.bytes));
	assert_true(deliver(b, &m));
	assert_int_equal(vhost_message_size(&b->m), VHOST_CONFIG_BYTES + VHOST_CONFIG_BYTES_MAX);
	assert_int_equal(b->m.payload.config.bytes[CONFIG_BYTES - 1], CONFIG_BYTES);
	assert_int_equal(b->m.payload.config.bytes[CONFIG_BYTES], 0);
	assert_int_equal(b->m.payload.config.bytes[VHOST_CONFIG_BYTES_MAX - 1], 0);
}

static void configuration_space_that_is_not_there_is_refused_and_the_guest_lives(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = config_message(VHOST_USER_GET_CONFIG, CONFIG_BYTES, 1);

	agree(b);
	assert_true(deliver(b, &m));
	assert_int_equal(vhost_message_size(&b->m), 0);
	m = config_message(VHOST_USER_SET_CONFIG, CONFIG_BYTES, 1);
	assert_false(deliver(b, &m)); /* a guest's own fault, and nobody waits for an answer */
	assert_int_equal(b->gone, 0);
	assert_false(accepts(b, &m));
	m = config_message(VHOST_USER_SET_CONFIG, 0, 1);
	m.payload.config.flags = le32_make(1); /* migration */
	assert_false(accepts(b, &m));
	m = config_message(VHOST_USER_SET_CONFIG, 0, 1);
	m.payload.config.size = le32_make(2);
	assert_false(accepts(b, &m));
}

static void a_config_request_of_another_length_than_it_says_ends_the_connection(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = config_message(VHOST_USER_GET_CONFIG, 0, 4);

	agree(b);
	m.payload.config.size = le32_make(UINT32_MAX);
	assert_false(deliver(b, &m));
	assert_int_equal(b->gone, 1);
	assert_string_equal(b->why, "GET_CONFIG was refused");
}

static void what_was_not_agreed_on_is_refused(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = config_message(VHOST_USER_SET_CONFIG, 0, 1);

	assert_true(
		tell_number(b, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_REPLY_ACK));
	assert_false(accepts(b, &m));
	assert_false(tell(b, VHOST_USER_RESET_DEVICE));
	m = bare_message(VHOST_USER_SET_BACKEND_REQ_FD);
	m.fds[m.nr_fds++] = b->front;
	assert_false(accepts(b, &m));
	assert_int_equal(vhost_backend_config_changed(&b->backend), -ENOTCONN);
	assert_int_equal(count_held(b), 0);
}

static void give_channel(struct bench *b)
{
	struct vhost_message m = bare_message(VHOST_USER_SET_BACKEND_REQ_FD);
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	m.fds[m.nr_fds++] = ends[1];
	assert_true(accepts(b, &m));
	fd_close(&ends[1]);
	fd_close(&b->channel);
	b->channel = ends[0];
}

static void news_of_the_configuration_go_over_the_channel(void **state)
{
	struct bench *b = *state;

	agree(b);
	assert_int_equal(vhost_backend_config_changed(&b->backend), -ENOTCONN);
	give_channel(b);
	give_channel(b);                    /* in place of the first */
	assert_int_equal(count_held(b), 2); /* both ends of it */
	assert_int_equal(vhost_backend_config_changed(&b->backend), 0);
	assert_int_equal(vhost_message_receive(b->channel, &b->m, WAIT_MS), 0);
	assert_int_equal(vhost_message_request(&b->m), VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_int_equal(vhost_message_flags(&b->m), VHOST_USER_VERSION);
	assert_int_equal(vhost_message_size(&b->m), 0);
}

static void news_wait_for_nobody(void **state)
{
	struct bench *b = *state;
	int status = 0;

	agree(b);
	give_channel(b);
	for (u32 i = 0; i < 1000000 && status == 0; i++)
		status = vhost_backend_config_changed(&b->backend);
	assert_int_equal(status, -EAGAIN);
	fd_close(&b->channel);
	assert_int_equal(vhost_backend_config_changed(&b->backend), -EPIPE);
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void a_front_end_that_leaves_finds_its_rings_stopped(void **state)
{
	struct bench *b = *state;

	greet(b);
	start_ring(b, 0);
	start_ring(b, 2);
	fd_close(&b->front);
	turn(b);
	assert_int_equal(b->gone, 1);
	assert_null(b->why);
	assert_int_equal(b->rings[0].stops + b->rings[2].stops, 2);
}

static void whoever_hears_of_the_end_may_destroy_the_back_end(void **state)
{
	struct bench *b = *state;

	b->destroy_when_gone = true;
	greet(b);
	start_ring(b, 0);
	fd_close(&b->front);
	turn(b);
	assert_int_equal(b->gone, 1);
	assert_null(b->backend.vrings);
}

static void an_end_in_the_middle_of_a_message_is_seen(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = table_message();

	table_add(b, &m, GPA, PAGE, USER, 0);
	m.nr_fds = 0;
	assert_int_equal(send(b->front, &m, 30, 0), 30);
	fd_close(&b->front);
	turn(b);
	assert_int_equal(b->gone, 1);
	assert_string_equal(b->why, "it ended in the middle of a message");
}

static void bytes_that_are_no_message_end_the_connection(void **state)
{
	struct bench *b = *state;

	assert_int_equal(send(b->front, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	turn(b);
	assert_int_equal(b->gone, 1);
	assert_string_equal(b->why, "what it sent is no message");
}

static void an_answer_in_place_of_a_request_ends_the_connection(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = bare_message(VHOST_USER_SET_OWNER);

	m.header.flags = le32_make(VHOST_USER_VERSION | VHOST_USER_REPLY);
	assert_false(deliver(b, &m));
	assert_string_equal(b->why, "an answer that nobody asked for");
}

static void requests_that_are_not_known_are_refused(void **state)
{
	static const u32 requests[] = { 0,  6,  7,  19, 20, 22,   23,        26,
					31, 33, 35, 36, 39, 1000, UINT32_MAX };
	struct bench *b = *state;
	struct vhost_message m = bare_message(6);

	agree(b);
	for (u32 i = 0; i < ARRAY_SIZE(requests); i++)
		assert_false(tell(b, requests[i]));
	assert_false(deliver(b, &m));
	assert_string_equal(b->why, "a request that is not known");
}

static void a_refusal_that_nobody_would_hear_ends_the_connection(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = state_message(VHOST_USER_SET_VRING_NUM, NR_QUEUES, 64);

	assert_false(deliver(b, &m));
	assert_int_equal(b->gone, 1);
	assert_string_equal(b->why, "SET_VRING_NUM was refused");
}

/* Every known request with every size but its own: refused, and the next one is still understood. */
static void payloads_of_another_size_are_refused(void **state)
{
	static const struct {
		u32 request, size;
	} told[] = {
		{ VHOST_USER_SET_FEATURES, 8 },    { VHOST_USER_SET_OWNER, 0 },
		{ VHOST_USER_RESET_OWNER, 0 },     { VHOST_USER_SET_VRING_NUM, 8 },
		{ VHOST_USER_SET_VRING_ADDR, 40 }, { VHOST_USER_SET_VRING_BASE, 8 },
		{ VHOST_USER_SET_VRING_KICK, 8 },  { VHOST_USER_SET_VRING_CALL, 8 },
		{ VHOST_USER_SET_VRING_ERR, 8 },   { VHOST_USER_SET_PROTOCOL_FEATURES, 8 },
		{ VHOST_USER_RESET_DEVICE, 0 },    { VHOST_USER_SET_VRING_ENABLE, 8 },
		{ VHOST_USER_SET_CONFIG, 13 },     { VHOST_USER_SET_MEM_TABLE, 8 },
	};
	struct bench *b = *state;

	agree(b);
	for (u32 i = 0; i < ARRAY_SIZE(told); i++)
		for (u32 size = 0; size <= sizeof(union vhost_user_payload); size++) {
			struct vhost_message m;

			if (size == told[i].size)
				continue;
			vhost_message_init(&m, told[i].request, 0, size);
			if (told[i].request == VHOST_USER_SET_CONFIG)
				m.payload.config.size = le32_make(1);
			assert_false(accepts(b, &m));
		}
	assert_int_equal(ask_number(b, VHOST_USER_GET_QUEUE_NUM), NR_QUEUES);
}

static void a_question_of_another_size_ends_the_connection(void **state)
{
	struct bench *b = *state;
	struct vhost_message m = number_message(VHOST_USER_GET_FEATURES, 0);

	assert_false(deliver(b, &m));
	assert_string_equal(b->why, "GET_FEATURES was refused");
}

static u32 too_many_queues(struct vhost_backend *backend)
{
	(void)backend;
	return VHOST_BACKEND_RINGS_MAX + 1;
}

static void a_device_with_too_many_queues_is_not_served(void **state)
{
	struct bench *b = *state;
	struct vhost_backend_ops ops = device;
	struct vhost_backend backend;
	struct err e = { 0 };
	int ends[2];

	ops.nr_queues = too_many_queues;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vhost_backend_start(&backend, &ops, &b->evl, &ends[1], &e), -EINVAL);
	assert_string_equal(e.text, "vhost-user: 65 queues: 1 to 64 are possible");
	fd_close(&ends[0]);
	assert_int_equal(count_held(b), 0);
	vhost_backend_destroy(&backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_device_s_features_are_offered_without_those_the_protocol_lacks),
		T(a_device_without_configuration_space_offers_none),
		T(features_that_were_offered_can_be_chosen_and_no_others),
		T(acknowledgements_are_given_when_agreed_on_and_asked_for),
		T(an_owner_may_say_so_twice),
		T(a_ring_starts_with_its_addresses_translated),
		T(the_last_thing_said_starts_the_ring_whichever_it_is),
		T(without_protocol_features_a_ring_starts_enabled),
		T(with_protocol_features_a_ring_starts_disabled),
		T(qemu_s_order_is_served),
		T(asking_for_the_base_stops_the_ring_until_the_next_kick),
		T(a_ring_disabled_and_enabled_goes_on_where_it_was),
		T(polled_rings_have_no_descriptors),
		T(a_running_ring_keeps_its_place_size_and_features),
		T(a_ring_the_device_refuses_does_not_run),
		T(rings_that_do_not_exist_are_refused),
		T(numbers_out_of_range_are_refused),
		T(rings_outside_of_memory_are_refused),
		T(descriptors_that_are_missing_or_too_many_are_refused),
		T(descriptors_are_closed_when_replaced_and_at_the_end),
		T(resets_stop_the_rings),
		T(the_front_end_s_memory_is_mapped),
		T(eight_regions_fit_a_table),
		T(impossible_tables_are_refused_and_the_old_one_stays),
		T(tables_that_do_not_fit_their_message_are_refused),
		T(running_rings_are_stopped_around_a_change_of_memory),
		T(a_ring_that_new_memory_does_not_hold_stays_stopped),
		T(configuration_space_is_read_and_written),
		T(what_the_device_does_not_fill_reads_zero),
		T(configuration_space_that_is_not_there_is_refused_and_the_guest_lives),
		T(a_config_request_of_another_length_than_it_says_ends_the_connection),
		T(what_was_not_agreed_on_is_refused),
		T(news_of_the_configuration_go_over_the_channel),
		T(news_wait_for_nobody),
		T(a_front_end_that_leaves_finds_its_rings_stopped),
		T(whoever_hears_of_the_end_may_destroy_the_back_end),
		T(an_end_in_the_middle_of_a_message_is_seen),
		T(bytes_that_are_no_message_end_the_connection),
		T(an_answer_in_place_of_a_request_ends_the_connection),
		T(requests_that_are_not_known_are_refused),
		T(a_refusal_that_nobody_would_hear_ends_the_connection),
		T(payloads_of_another_size_are_refused),
		T(a_question_of_another_size_ends_the_connection),
		T(a_device_with_too_many_queues_is_not_served),
	};

	return cmocka_run_group_tests_name("vhost_backend", tests, NULL, NULL);
}
