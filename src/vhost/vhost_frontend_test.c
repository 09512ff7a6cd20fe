// SPDX-License-Identifier: BSD-3-Clause
// The front-end of vhost-user: against Kiln's back-end on a thread, and against back-ends that are
// plain, silent, gone or talk nonsense.
// test-sources: src/vhost/vhost_frontend.c src/vhost/vhost_backend.c src/vhost/vhost_message.c src/mem/guest_mem.c src/evl/evl.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fd.h"
#include "vhost/vhost_backend.h"
#include "vhost/vhost_frontend.h"
#include "vhost/vhost_message.h"

enum { PAGE = 4096, NR_QUEUES = 2, CONFIG_BYTES = 16, WAIT_MS = 10000, SOON_MS = 1 };

static const u64 DEVICE_FEATURES = 1ull << 32 | 1ull << 29 | 1;

static const struct gmem_range ranges[] = {
	{ .base_gpa = 0, .size_bytes = 16 * PAGE },
	{ .base_gpa = GIB(4), .size_bytes = 16 * PAGE },
};

/* --- A machine and Kiln's back-end on a thread ------------------------------------------------ */

struct ring_seen {
	bool running;
	struct vhost_backend_ring ring;
	int kick_fd, call_fd;
};

/*
 * Owner: the test's thread, but for `backend`, `evl`, `rings` and `refuse`, which are the back-end's
 * thread's; a verb's answer orders what one wrote before what the other reads.
 */
struct bench {
	struct vhost_frontend f;
	struct gmem mem;
	struct err e;
	pthread_t thread;
	bool has_thread;
	int there; /* the other end, when a test plays the back-end */

	struct vhost_backend backend;
	struct evl evl;
	struct ring_seen rings[NR_QUEUES];
	u64 features;
	u32 gone;
	int refuse;
	u8 config[CONFIG_BYTES];
};

static struct bench *bench_of(struct vhost_backend *b)
{
	return container_of(b, struct bench, backend);
}

static u64 device_features(struct vhost_backend *backend)
{
	(void)backend;
	return DEVICE_FEATURES;
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
	(void)backend;
	return true;
}

static int device_memory_changed(struct vhost_backend *backend)
{
	return bench_of(backend)->refuse;
}

static int device_ring_start(struct vhost_backend *backend, u32 qi,
			     const struct vhost_backend_ring *ring, int kick_fd, int call_fd)
{
	bench_of(backend)->rings[qi] = (struct ring_seen){
		.running = true, .ring = *ring, .kick_fd = kick_fd, .call_fd = call_fd
	};
	return bench_of(backend)->refuse;
}

static void device_ring_call(struct vhost_backend *backend, u32 qi, int call_fd)
{
	bench_of(backend)->rings[qi].call_fd = call_fd;
}

static u16 device_ring_stop(struct vhost_backend *backend, u32 qi)
{
	struct ring_seen *seen = &bench_of(backend)->rings[qi];

	seen->running = false;
	return (u16)(seen->ring.base + 5);
}

/* A write of 0xee at 0 is how a test asks for news. */
static int device_config_write(struct vhost_backend *backend, u32 offset, const u8 *src, u32 len)
{
	if (offset > CONFIG_BYTES || len > CONFIG_BYTES - offset)
		return -EINVAL;
	memcpy(bench_of(backend)->config + offset, src, len);
	return src[0] == 0xee ? vhost_backend_config_changed(backend) : 0;
}

static int device_config_read(struct vhost_backend *backend, u32 offset, u8 *dst, u32 len)
{
	if (offset > CONFIG_BYTES || len > CONFIG_BYTES - offset)
		return -EINVAL;
	memcpy(dst, bench_of(backend)->config + offset, len);
	return 0;
}

static void device_gone(struct vhost_backend *backend, const char *why)
{
	(void)why;
	bench_of(backend)->gone++;
	evl_stop(&bench_of(backend)->evl);
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

static void *backend_main(void *opaque)
{
	struct bench *b = opaque;

	evl_run(&b->evl);
	return NULL;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->f = (struct vhost_frontend){ .fd = -1, .channel_fd = -1 };
	b->backend = (struct vhost_backend){ .fd = -1, .channel_fd = -1 };
	b->there = -1;
	assert_int_equal(gmem_create(&b->mem, GMEM_SHARED, ranges, ARRAY_SIZE(ranges), &b->e), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	vhost_frontend_destroy(&b->f);
	vhost_frontend_destroy(&b->f);
	if (b->has_thread) {
		pthread_join(b->thread, NULL);
		assert_int_equal(b->gone, 1);
	}
	vhost_backend_destroy(&b->backend);
	evl_destroy(&b->evl);
	gmem_destroy(&b->mem);
	fd_close(&b->there);
	free(b);
	return 0;
}

/* Greet Kiln's back-end. */
static void meet(struct bench *b)
{
	int ends[2];

	assert_int_equal(evl_create(&b->evl), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vhost_backend_start(&b->backend, &device, &b->evl, &ends[1], &b->e), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, backend_main, b), 0);
	b->has_thread = true;
	assert_int_equal(vhost_frontend_start(&b->f, &ends[0], &b->e), 0);
	assert_int_equal(ends[0], -1);
}

static const struct vhost_ring some_ring = {
	.size = 32,
	.desc_gpa = GIB(4) + PAGE,
	.avail_gpa = GIB(4) + 2 * PAGE,
	.used_gpa = 3 * PAGE,
	.base = 9,
	.call_fd = -1,
};

static int start_ring(struct bench *b, u32 qi, int kick_fd, int call_fd)
{
	struct vhost_ring ring = some_ring;

	ring.kick_fd = kick_fd;
	ring.call_fd = call_fd;
	return vhost_frontend_start_ring(&b->f, qi, &ring, &b->mem, &b->e);
}

static void prepare(struct bench *b)
{
	meet(b);
	assert_int_equal(vhost_frontend_set_features(&b->f, 1ull << 32, &b->e), 0);
	assert_int_equal(vhost_frontend_set_memory(&b->f, &b->mem, &b->e), 0);
}

static void both_sides_agree_on_what_there_is(void **state)
{
	struct bench *b = *state;

	meet(b);
	assert_true(b->f.features == DEVICE_FEATURES);
	assert_true(b->f.has_protocol_features);
	assert_int_equal(b->f.nr_queues_max, NR_QUEUES);
	assert_true(b->f.channel_fd >= 0);
	assert_false(b->f.dead);
	assert_int_equal(vhost_frontend_set_features(&b->f, DEVICE_FEATURES, &b->e), 0);
	assert_true(b->features == DEVICE_FEATURES);
	assert_int_equal(vhost_frontend_set_features(&b->f, 1ull << 5, &b->e), -EINVAL);
	assert_false(b->f.dead);
}

static void a_ring_is_started_with_its_descriptors_and_stopped(void **state)
{
	struct bench *b = *state;
	cleanup_fd int kick_fd = eventfd(0, EFD_CLOEXEC), call_fd = eventfd(0, EFD_CLOEXEC);
	const struct ring_seen *seen = &b->rings[1];
	u64 value = 3;
	u16 base = 0;

	prepare(b);
	assert_int_equal(start_ring(b, 1, kick_fd, call_fd), 0);
	assert_true(seen->running);
	assert_int_equal(seen->ring.size, 32);
	assert_int_equal(seen->ring.base, 9);
	assert_true(seen->ring.desc_gpa == some_ring.desc_gpa);
	assert_true(seen->ring.avail_gpa == some_ring.avail_gpa);
	assert_true(seen->ring.used_gpa == some_ring.used_gpa);
	assert_int_equal(fd_write_all(kick_fd, &value, sizeof(value)), 0);
	assert_int_equal(fd_read(seen->kick_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(fd_write_all(seen->call_fd, &value, sizeof(value)), 0);
	assert_int_equal(fd_read(call_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(vhost_frontend_stop_ring(&b->f, 1, &base, &b->e), 0);
	assert_false(seen->running);
	assert_int_equal(base, 14);
	assert_int_equal(start_ring(b, 1, kick_fd, call_fd),
			 0); /* again, after the driver's reset */
	assert_true(seen->running);
}

static void a_running_ring_s_call_is_replaced(void **state)
{
	struct bench *b = *state;
	cleanup_fd int kick_fd = eventfd(0, EFD_CLOEXEC), call_fd = eventfd(0, EFD_CLOEXEC);
	u64 value = 1;

	prepare(b);
	assert_int_equal(start_ring(b, 0, kick_fd, -1), 0);
	assert_int_equal(b->rings[0].call_fd, -1);
	assert_int_equal(vhost_frontend_set_call(&b->f, 0, call_fd, &b->e), 0);
	assert_int_equal(fd_write_all(b->rings[0].call_fd, &value, sizeof(value)), 0);
	assert_int_equal(fd_read(call_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(vhost_frontend_set_call(&b->f, 0, -1, &b->e), 0);
	assert_int_equal(b->rings[0].call_fd, -1);
}

static void memory_is_the_same_on_both_sides(void **state)
{
	struct bench *b = *state;
	char text[4] = { 0 };

	prepare(b);
	assert_int_equal(gmem_write(&b->mem, GIB(4) + 77, "ask", 3), 0);
	assert_int_equal(gmem_read(&b->backend.mem, GIB(4) + 77, text, 3), 0);
	assert_string_equal(text, "ask");
}

static void configuration_space_goes_both_ways(void **state)
{
	struct bench *b = *state;
	u8 bytes[4] = { 0 };

	meet(b);
	assert_int_equal(vhost_frontend_set_config(&b->f, 4, "\1\2\3\4", 4, &b->e), 0);
	assert_int_equal(vhost_frontend_get_config(&b->f, 5, bytes, 3, &b->e), 0);
	assert_memory_equal(bytes, "\2\3\4", 4);
}

static void news_are_heard_once(void **state)
{
	struct bench *b = *state;

	meet(b);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_NONE);
	assert_int_equal(vhost_frontend_set_config(&b->f, 0, "\356", 1, &b->e), 0);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_CONFIG_CHANGED);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_NONE);
}

static void a_refusal_is_told_and_the_connection_lives(void **state)
{
	struct bench *b = *state;
	u8 bytes[CONFIG_BYTES + 1];

	meet(b);
	assert_int_equal(vhost_frontend_get_config(&b->f, 0, bytes, sizeof(bytes), &b->e),
			 -EREMOTEIO);
	assert_int_equal(vhost_frontend_set_config(&b->f, 16, bytes, 1, &b->e), -EREMOTEIO);
	assert_string_equal(b->e.text, "the vhost-user back-end refused request 25");
	assert_int_equal(start_ring(b, NR_QUEUES, 0, -1), -EREMOTEIO);
	b->refuse = -EINVAL;
	assert_int_equal(vhost_frontend_set_memory(&b->f, &b->mem, &b->e), -EREMOTEIO);
	assert_int_equal(vhost_frontend_set_features(&b->f, 1, &b->e), -EREMOTEIO);
	assert_false(b->f.dead);
	assert_int_equal(vhost_frontend_get_config(&b->f, 0, bytes, 1, &b->e), 0);
}

static void what_cannot_be_said_is_not_sent(void **state)
{
	struct bench *b = *state;
	struct gmem none = { .memfd = -1 };
	struct vhost_ring ring = some_ring;
	u8 bytes[VHOST_CONFIG_BYTES_MAX + 1] = { 0 };
	u16 base;

	prepare(b);
	assert_int_equal(vhost_frontend_set_memory(&b->f, &none, &b->e), -EINVAL);
	assert_int_equal(vhost_frontend_get_config(&b->f, 0, bytes, 0, &b->e), -EINVAL);
	assert_int_equal(vhost_frontend_get_config(&b->f, 0, bytes, 257, &b->e), -EINVAL);
	assert_int_equal(vhost_frontend_set_config(&b->f, 0, bytes, 257, &b->e), -EINVAL);
	assert_int_equal(start_ring(b, 256, -1, -1), -EINVAL);
	assert_int_equal(vhost_frontend_stop_ring(&b->f, 256, &base, &b->e), -EINVAL);
	assert_int_equal(vhost_frontend_set_call(&b->f, 256, -1, &b->e), -EINVAL);
	ring.used_gpa = 16 * PAGE - 6 - 8 * 32 + 1; /* its last byte is outside */
	assert_int_equal(vhost_frontend_start_ring(&b->f, 0, &ring, &b->mem, &b->e), -EINVAL);
	assert_string_equal(b->e.text, "ring 0 of 32 entries does not lie in memory");
	ring.used_gpa -= 1;
	assert_int_equal(vhost_frontend_start_ring(&b->f, 0, &ring, &b->mem, &b->e), 0);
	ring.size = 0;
	assert_int_equal(vhost_frontend_start_ring(&b->f, 0, &ring, &b->mem, &b->e), -EINVAL);
	ring.size = VHOST_RING_SIZE_MAX + 1;
	assert_int_equal(vhost_frontend_start_ring(&b->f, 0, &ring, &b->mem, &b->e), -EINVAL);
	assert_false(b->f.dead);
}

/* --- A test plays the back-end ---------------------------------------------------------------- */

/* The answers are in the socket before they are asked for. */
static int connect_script(struct bench *b)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	b->there = ends[1];
	return ends[0];
}

static void script(struct bench *b, const struct vhost_message *m)
{
	assert_int_equal(vhost_message_send(b->there, m, WAIT_MS), 0);
}

static void script_number(struct bench *b, u32 request, u64 number)
{
	struct vhost_message m;

	vhost_message_init(&m, request, VHOST_USER_REPLY, 8);
	m.payload.number = le64_make(number);
	script(b, &m);
}

/* A back-end that can do configuration space and acknowledgements. */
static void meet_script(struct bench *b)
{
	int fd = connect_script(b);

	script_number(b, VHOST_USER_GET_FEATURES, VHOST_USER_F_PROTOCOL_FEATURES | 7);
	script_number(b, VHOST_USER_GET_PROTOCOL_FEATURES,
		      VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_CONFIG);
	assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), 0);
}

/* What the front-end sent, in order: its next request. */
static u32 next_request(struct bench *b)
{
	struct vhost_message m;
	u32 request;

	assert_int_equal(vhost_message_receive(b->there, &m, 0), 0);
	request = vhost_message_request(&m);
	vhost_message_close_fds(&m);
	return request;
}

static void a_plain_back_end_is_asked_for_nothing_it_lacks(void **state)
{
	struct bench *b = *state;
	int fd = connect_script(b);
	u8 byte;

	script_number(b, VHOST_USER_GET_FEATURES, 7 | 1ull << 26 | 1ull << 33 | 1ull << 34);
	assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), 0);
	assert_int_equal(b->f.features, 7);
	assert_int_equal(b->f.nr_queues_max, 0);
	assert_int_equal(b->f.channel_fd, -1);
	assert_int_equal(vhost_frontend_get_config(&b->f, 0, &byte, 1, &b->e), -EREMOTEIO);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_GONE);
	assert_int_equal(next_request(b), VHOST_USER_SET_OWNER);
	assert_int_equal(next_request(b), VHOST_USER_GET_FEATURES);
	script_number(b, VHOST_USER_GET_FEATURES, 7);
	assert_int_equal(start_ring(b, 0, -1, -1), 0);
	assert_int_equal(next_request(b), VHOST_USER_SET_VRING_NUM);
	assert_int_equal(next_request(b), VHOST_USER_SET_VRING_BASE);
	assert_int_equal(next_request(b), VHOST_USER_SET_VRING_ADDR);
	assert_int_equal(next_request(b), VHOST_USER_SET_VRING_CALL);
	assert_int_equal(next_request(b), VHOST_USER_SET_VRING_KICK);
	assert_int_equal(next_request(b), VHOST_USER_GET_FEATURES); /* waits until all is done */
}

static void a_back_end_without_acknowledgements_refuses_by_leaving(void **state)
{
	struct bench *b = *state;
	int fd = connect_script(b);

	script_number(b, VHOST_USER_GET_FEATURES, 7);
	assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), 0);
	shutdown(b->there, SHUT_WR);
	assert_int_equal(vhost_frontend_set_memory(&b->f, &b->mem, &b->e), -EPIPE);
	assert_string_equal(b->e.text, "the vhost-user back-end is gone");
}

static void silence_has_an_end(void **state)
{
	struct bench *b = *state;
	int fd = connect_script(b);

	b->f.reply_ms = SOON_MS;
	assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), -ETIMEDOUT);
	assert_string_equal(b->e.text, "the vhost-user back-end gave no answer in 1 ms");
	assert_true(b->f.dead);
}

static void a_dead_connection_is_asked_nothing_more(void **state)
{
	struct bench *b = *state;
	u16 base;

	meet_script(b);
	b->f.reply_ms = SOON_MS;
	assert_int_equal(vhost_frontend_stop_ring(&b->f, 0, &base, &b->e), -ETIMEDOUT);
	/* Its late answer is not taken for another's. */
	script_number(b, VHOST_USER_SET_FEATURES, 0);
	assert_int_equal(vhost_frontend_set_features(&b->f, 1, &b->e), -EPIPE);
	assert_int_equal(vhost_frontend_stop_ring(&b->f, 0, &base, &b->e), -EPIPE);
}

static void a_back_end_that_is_gone_is_told_from_a_silent_one(void **state)
{
	struct bench *b = *state;
	u16 base;

	meet_script(b);
	fd_close(&b->there);
	assert_int_equal(vhost_frontend_stop_ring(&b->f, 0, &base, &b->e), -EPIPE);
	assert_true(b->f.dead);
}

/* One answer that makes no sense to a question for ring 1's base. */
struct nonsense {
	u32 request, flags, size, index, num, nr_fds;
};

static void answers_that_make_no_sense_end_the_connection(void **state)
{
	static const u32 right = VHOST_USER_GET_VRING_BASE, reply = VHOST_USER_REPLY;
	const struct nonsense answers[] = {
		{ VHOST_USER_GET_FEATURES, reply, 8, 1, 5, 0 }, /* to another question */
		{ right, 0, 8, 1, 5, 0 },                       /* a question */
		{ right, reply | 2, 8, 1, 5, 0 },               /* version 3 */
		{ right, reply, 0, 0, 0, 0 },
		{ right, reply, 4, 1, 0, 0 },
		{ right, reply, 12, 1, 5, 0 },
		{ right, reply, 8, 0, 5, 0 }, /* of another ring */
		{ right, reply, 8, 1, 65536, 0 },
		{ right, reply, 8, 1, 5, 1 }, /* with a descriptor */
		{ right, reply, 8, 1, 5, 8 },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(answers); i++) {
		struct vhost_message m;
		u16 base = 77;

		meet_script(b);
		vhost_message_init(&m, answers[i].request, answers[i].flags, answers[i].size);
		m.payload.state.index = le32_make(answers[i].index);
		m.payload.state.num = le32_make(answers[i].num);
		for (u32 n = 0; n < answers[i].nr_fds; n++)
			m.fds[m.nr_fds++] = b->there;
		script(b, &m);
		assert_int_equal(vhost_frontend_stop_ring(&b->f, 1, &base, &b->e), -EPROTO);
		assert_int_equal(base, 77);
		assert_true(b->f.dead);
		vhost_frontend_destroy(&b->f);
		fd_close(&b->there);
	}
}

static void acknowledgements_of_another_size_end_the_connection(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;

	meet_script(b);
	vhost_message_init(&m, VHOST_USER_SET_FEATURES, VHOST_USER_REPLY, 4);
	script(b, &m);
	assert_int_equal(vhost_frontend_set_features(&b->f, 1, &b->e), -EPROTO);
}

static void greetings_that_make_no_sense_are_refused(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;
	int fd = connect_script(b);

	vhost_message_init(&m, VHOST_USER_GET_FEATURES, VHOST_USER_REPLY, 12);
	script(b, &m);
	assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), -EPROTO);
	for (u64 nr = 0; nr <= 1ull << 32; nr += 1ull << 32) {
		vhost_frontend_destroy(&b->f);
		fd_close(&b->there);
		fd = connect_script(b);
		script_number(b, VHOST_USER_GET_FEATURES, VHOST_USER_F_PROTOCOL_FEATURES);
		script_number(b, VHOST_USER_GET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_MQ);
		script_number(b, VHOST_USER_GET_QUEUE_NUM, nr);
		assert_int_equal(vhost_frontend_start(&b->f, &fd, &b->e), -EPROTO);
	}
}

static void script_config(struct bench *b, u32 offset, u32 len, u32 payload_bytes)
{
	struct vhost_message m;

	vhost_message_init(&m, VHOST_USER_GET_CONFIG, VHOST_USER_REPLY, payload_bytes);
	m.payload.config.offset = le32_make(offset);
	m.payload.config.size = le32_make(len);
	memset(m.payload.config.bytes, 0xab, sizeof(m.payload.config.bytes));
	script(b, &m);
}

static void configuration_space_of_another_length_or_place_is_not_taken(void **state)
{
	static const struct {
		u32 offset, len, payload_bytes;
	} bad[] = {
		{ 8, 4, 12 + 5 }, { 8, 4, 12 + 256 }, { 8, 5, 12 + 5 }, { 8, 4, 12 + 3 },
		{ 8, 3, 12 + 4 }, { 8, 4, 12 },       { 9, 4, 12 + 4 }, { 8, 4, 1 },
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		u8 bytes[4] = { 1, 2, 3, 4 };

		meet_script(b);
		script_config(b, bad[i].offset, bad[i].len, bad[i].payload_bytes);
		assert_int_equal(vhost_frontend_get_config(&b->f, 8, bytes, 4, &b->e), -EPROTO);
		assert_memory_equal(bytes, "\1\2\3\4", 4);
		vhost_frontend_destroy(&b->f);
		fd_close(&b->there);
	}
}

static void both_ways_to_refuse_configuration_space_are_known(void **state)
{
	struct bench *b = *state;
	u8 byte;

	meet_script(b);
	script_config(b, 8, 0, 12);
	script_config(b, 0, 0, 0);
	assert_int_equal(vhost_frontend_get_config(&b->f, 8, &byte, 1, &b->e), -EREMOTEIO);
	assert_int_equal(vhost_frontend_get_config(&b->f, 8, &byte, 1, &b->e), -EREMOTEIO);
	assert_false(b->f.dead);
}

/* --- News from a back-end that a test plays --------------------------------------------------- */

/* A channel whose other end is b->there. */
static void meet_channel(struct bench *b)
{
	int ends[2];

	meet_script(b);
	fd_close(&b->there);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	b->f.channel_fd = ends[0];
	b->there = ends[1];
}

static void tell_news(struct bench *b, u32 request, u32 flags, u32 size)
{
	struct vhost_message m;

	vhost_message_init(&m, request, flags, size);
	m.fds[m.nr_fds++] = b->there; /* not wanted, and closed */
	script(b, &m);
}

static void news_are_answered_when_asked_for(void **state)
{
	struct bench *b = *state;
	struct vhost_message m;

	meet_channel(b);
	tell_news(b, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_NEED_REPLY, 0);
	tell_news(b, 3, VHOST_USER_NEED_REPLY, 24); /* a host notifier: not served */
	tell_news(b, 1, 0, 40);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_CONFIG_CHANGED);
	assert_int_equal(vhost_message_receive(b->there, &m, 0), 0);
	assert_int_equal(vhost_message_request(&m), VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_int_equal(vhost_message_flags(&m), VHOST_USER_VERSION | VHOST_USER_REPLY);
	assert_int_equal(le64_get(m.payload.number), 0);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_NONE);
	assert_int_equal(vhost_message_receive(b->there, &m, 0), 0);
	assert_int_equal(le64_get(m.payload.number), 1);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_NONE);
	assert_int_equal(vhost_message_receive(b->there, &m, 0), -EAGAIN);
}

static void news_that_are_none_end_the_listening(void **state)
{
	struct bench *b = *state;

	meet_channel(b);
	tell_news(b, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_REPLY, 0);
	tell_news(b, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 8);
	tell_news(b, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 2, 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_GONE);
	assert_int_equal(send(b->there, "half", 4, 0), 4);
	fd_close(&b->there);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_GONE);
	assert_int_equal(vhost_frontend_news(&b->f), VHOST_NEWS_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(both_sides_agree_on_what_there_is),
		T(a_ring_is_started_with_its_descriptors_and_stopped),
		T(a_running_ring_s_call_is_replaced),
		T(memory_is_the_same_on_both_sides),
		T(configuration_space_goes_both_ways),
		T(news_are_heard_once),
		T(a_refusal_is_told_and_the_connection_lives),
		T(what_cannot_be_said_is_not_sent),
		T(a_plain_back_end_is_asked_for_nothing_it_lacks),
		T(a_back_end_without_acknowledgements_refuses_by_leaving),
		T(silence_has_an_end),
		T(a_dead_connection_is_asked_nothing_more),
		T(a_back_end_that_is_gone_is_told_from_a_silent_one),
		T(answers_that_make_no_sense_end_the_connection),
		T(acknowledgements_of_another_size_end_the_connection),
		T(greetings_that_make_no_sense_are_refused),
		T(configuration_space_of_another_length_or_place_is_not_taken),
		T(both_ways_to_refuse_configuration_space_are_known),
		T(news_are_answered_when_asked_for),
		T(news_that_are_none_end_the_listening),
	};

	return cmocka_run_group_tests_name("vhost_frontend", tests, NULL, NULL);
}
