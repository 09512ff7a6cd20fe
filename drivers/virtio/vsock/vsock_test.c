// SPDX-License-Identifier: BSD-3-Clause
// Connections from both sides, their credit and their ends; hosts and guests that do not read, or lie.
// test-sources: drivers/virtio/vsock/vsock.c drivers/virtio/vsock/conn.c drivers/virtio/vsock/open.c drivers/virtio/vsock/vhost.c src/virtio/vhost_kernel.c src/util/unix_socket.c src/util/opt.c fake_guest
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/virtio/vsock/vsock.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

enum {
	CID = 7,
	PORT = 1234,      /* of the host's, where the guest calls */
	GUEST_PORT = 999, /* of the guest's, where the host calls, or from where it calls itself */
	HEADER = sizeof(struct vsock_header),
	GUEST_ALLOC = 262144, /* what the guest says it has room for */
	RX_BUFFER = HEADER + 4096,
	ASKS_MAX = 1024,
};

struct bench {
	struct fake_guest g;
	const struct vdev_class *cls;
	struct vsock_cfg cfg;
	char dir[32], path[64];
	int listen_fd; /* at PATH_PORT, or -1 */
	bool holds_asks;
	u32 nr_asks;
	struct {
		u32 what, cookie;
	} asks[ASKS_MAX];
};

/* A packet as the guest has it. */
struct packet {
	struct vsock_header h;
	u32 len;
	u8 data[RX_BUFFER];
};

static bool seconds_fly; /* a second is a millisecond */
static struct bench *current;

/* Takes the place of the C library's. */
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	struct itimerspec quick = *value;

	if (seconds_fly && value->it_value.tv_sec > 0)
		quick = (struct itimerspec){ { .tv_nsec = 1000000 }, { .tv_nsec = 1000000 } };
	return (int)syscall(SYS_timerfd_settime, fd, flags, &quick, old);
}

/* --- The supervisor --------------------------------------------------------------------------- */

static void answer_ask(struct bench *b, u32 what, u32 cookie)
{
	b->cls->granted(b->g.v, cookie, b->cls->grant(&b->cfg, what));
}

/* The answer comes when the device is back in its loop. */
static void answer_asks(struct bench *b)
{
	u32 nr = b->nr_asks;

	b->nr_asks = 0;
	for (u32 i = 0; i < nr; i++)
		answer_ask(b, b->asks[i].what, b->asks[i].cookie);
}

static int host_ask(struct vdev_host *host, u32 what, u32 cookie)
{
	struct bench *b = current;

	(void)host;
	if (b->nr_asks == ASKS_MAX)
		return -EAGAIN;
	b->asks[b->nr_asks].what = what;
	b->asks[b->nr_asks++].cookie = cookie;
	return 0;
}

/* --- The bench -------------------------------------------------------------------------------- */

/* At PATH, or with `port` at PATH_PORT. */
static struct sockaddr_un socket_address(const struct bench *b, u32 port)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (port)
		snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", b->path, port);
	else
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->path);
	return address;
}

static void host_listens(struct bench *b)
{
	struct sockaddr_un address = socket_address(b, PORT);

	b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(b->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(b->listen_fd, 64), 0);
}

static void bench_make_device(struct bench *b)
{
	struct fdset fds = { 0 };
	struct err e = { 0 };

	b->cfg.cid = CID;
	snprintf(b->cfg.socket, sizeof(b->cfg.socket), "%s", b->path);
	if (b->cls->open(&b->cfg, &fds, &e) < 0)
		fail_msg("%s", e.text);
	fg_create(&b->g, "virtio-vsock", &b->cfg, &fds);
	b->g.host.ask = host_ask;
	fg_start(&b->g);
}

static void give_buffers(struct bench *b, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		fg_chain(&b->g, VSOCK_RX, IN(RX_BUFFER));
	fg_kick(&b->g, VSOCK_RX);
}

static int setup_without_buffers(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	signal(SIGPIPE, SIG_IGN);
	current = b;
	b->listen_fd = -1;
	b->cls = vdev_class_find("virtio-vsock");
	snprintf(b->dir, sizeof(b->dir), "/tmp/kiln-vsock-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/v", b->dir);
	bench_make_device(b);
	*state = b;
	return 0;
}

static int setup(void **state)
{
	struct bench *b;

	setup_without_buffers(state);
	b = *state;
	host_listens(b);
	give_buffers(b, 32);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct sockaddr_un address = socket_address(b, PORT);

	seconds_fly = false;
	fg_destroy(&b->g);
	b->cls->cleanup(&b->cfg);
	fd_close(&b->listen_fd);
	unlink(address.sun_path);
	assert_int_equal(rmdir(b->dir), 0); /* nothing else was left there */
	free(b);
	return 0;
}

static void step(struct bench *b)
{
	if (!b->holds_asks)
		answer_asks(b);
	fg_step(&b->g);
}

/* Turn the loop until `condition`, which may take something, holds. */
#define WAIT(b, condition)                                                \
	do {                                                              \
		u64 end_ns_ = evl_now_ns() + FG_DEADLINE_MS * 1000000ull; \
		bool holds_;                                              \
		while (!(holds_ = (condition)) && evl_now_ns() < end_ns_) \
			step(b);                                          \
		assert_true(holds_);                                      \
	} while (0)

static void settle(struct bench *b)
{
	do {
		fg_settle(&b->g);
		if (!b->holds_asks)
			answer_asks(b);
	} while ((!b->holds_asks && b->nr_asks > 0) || !fg_is_quiet(&b->g));
}

/* --- The guest -------------------------------------------------------------------------------- */

static struct vsock_header header(u16 op, u32 guest_port, u32 host_port)
{
	return (struct vsock_header){
		.src_cid = le64_make(CID),
		.dst_cid = le64_make(VSOCK_CID_HOST),
		.src_port = le32_make(guest_port),
		.dst_port = le32_make(host_port),
		.type = le16_make(VSOCK_TYPE_STREAM),
		.op = le16_make(op),
		.buf_alloc = le32_make(GUEST_ALLOC),
	};
}

/* The device takes what the guest sends at once, if it takes anything. */
static void send_packet(struct bench *b, const struct vsock_header *h, const void *data, u32 len)
{
	fg_chain(&b->g, VSOCK_TX, OUT(h, HEADER), OUT(data, len));
	fg_kick(&b->g, VSOCK_TX);
	fg_wait(&b->g, VSOCK_TX);
}

static void guest_sends(struct bench *b, u16 op, u32 guest_port, u32 host_port)
{
	struct vsock_header h = header(op, guest_port, host_port);

	send_packet(b, &h, NULL, 0);
}

static void guest_writes(struct bench *b, u32 host_port, const void *data, u32 len)
{
	struct vsock_header h = header(VSOCK_OP_RW, GUEST_PORT, host_port);

	h.len = le32_make(len);
	send_packet(b, &h, data, len);
}

static void guest_shuts(struct bench *b, u32 host_port, u32 flags)
{
	struct vsock_header h = header(VSOCK_OP_SHUTDOWN, GUEST_PORT, host_port);

	h.flags = le32_make(flags);
	send_packet(b, &h, NULL, 0);
}

/* The next packet, if there is one; its buffer is offered again. */
static bool guest_takes(struct bench *b, struct packet *p)
{
	struct fg_used used;

	if (!fg_take(&b->g, VSOCK_RX, &used))
		return false;
	assert_in_range(used.written, HEADER, RX_BUFFER);
	memcpy(&p->h, used.in, HEADER);
	p->len = used.written - HEADER;
	memcpy(p->data, used.in + HEADER, p->len);
	assert_int_equal(le32_get(p->h.len), p->len);
	assert_int_equal(le64_get(p->h.dst_cid), CID);
	give_buffers(b, 1);
	return true;
}

static struct packet guest_hears(struct bench *b, u16 op)
{
	struct packet p;

	WAIT(b, guest_takes(b, &p));
	assert_int_equal(le16_get(p.h.op), op);
	return p;
}

static void guest_hears_nothing(struct bench *b)
{
	struct packet p;

	settle(b);
	assert_false(guest_takes(b, &p));
}

/* The host is gone: at once, or first as a reader. */
static void guest_hears_the_end(struct bench *b)
{
	struct packet p = { 0 };

	while (le32_get(p.h.flags) != VSOCK_SHUTDOWN_BOTH)
		p = guest_hears(b, VSOCK_OP_SHUTDOWN);
}

/* --- The host --------------------------------------------------------------------------------- */

static int host_connects(struct bench *b, const char *greeting)
{
	struct sockaddr_un address = socket_address(b, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fd_write(fd, greeting, strlen(greeting)), strlen(greeting));
	return fd;
}

static ssize_t host_reads(struct bench *b, int fd, void *dst, size_t len)
{
	ssize_t got;

	WAIT(b, (got = fd_read(fd, dst, len)) != -EAGAIN);
	return got;
}

static void assert_host_reads(struct bench *b, int fd, const char *text)
{
	char bytes[256] = { 0 };

	assert_int_equal(host_reads(b, fd, bytes, sizeof(bytes)), strlen(text));
	assert_string_equal(bytes, text);
}

static void assert_host_sees_the_end(struct bench *b, int fd)
{
	char byte;

	assert_int_equal(host_reads(b, fd, &byte, 1), 0);
}

/* A connection that the host began. Return: its descriptor, and the host's port. */
static int connect_from_host(struct bench *b, u32 *host_port)
{
	char ok[32], text[32] = { 0 };
	int fd = host_connects(b, "CONNECT 999\n");
	struct packet p = guest_hears(b, VSOCK_OP_REQUEST);

	*host_port = le32_get(p.h.src_port);
	guest_sends(b, VSOCK_OP_RESPONSE, GUEST_PORT, *host_port);
	snprintf(ok, sizeof(ok), "OK %u\n", *host_port);
	assert_int_equal(host_reads(b, fd, text, sizeof(text)), strlen(ok));
	assert_string_equal(text, ok);
	return fd;
}

/* One that the guest began, to PORT. */
static int connect_from_guest(struct bench *b)
{
	int fd;

	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	guest_hears(b, VSOCK_OP_RESPONSE);
	fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static void the_guest_s_cid_stands_in_configuration_space(void **state)
{
	struct bench *b = *state;
	u8 config[VDEV_CONFIG_BYTES_MAX];

	fg_config(&b->g, config);
	assert_memory_equal(config, "\7\0\0\0\0\0\0\0\0", 9);
}

static void a_client_of_the_socket_reaches_the_port_it_names(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONNECT 999\n");
	struct packet p = guest_hears(b, VSOCK_OP_REQUEST);
	u32 host_port = le32_get(p.h.src_port);
	char ok[32];

	assert_int_equal(le64_get(p.h.src_cid), VSOCK_CID_HOST);
	assert_int_equal(le32_get(p.h.dst_port), GUEST_PORT);
	assert_int_equal(le16_get(p.h.type), VSOCK_TYPE_STREAM);
	assert_int_equal(le32_get(p.h.buf_alloc), VSOCK_BUFFER_BYTES);
	assert_int_equal(le32_get(p.h.fwd_cnt), 0);
	assert_true(host_port >= 1 << 30);
	guest_sends(b, VSOCK_OP_RESPONSE, GUEST_PORT, host_port);
	snprintf(ok, sizeof(ok), "OK %u\n", host_port);
	assert_host_reads(b, fd, ok);
	guest_writes(b, host_port, "to host", 7);
	assert_host_reads(b, fd, "to host");
	assert_int_equal(fd_write(fd, "to guest", 8), 8);
	p = guest_hears(b, VSOCK_OP_RW);
	assert_int_equal(p.len, 8);
	assert_memory_equal(p.data, "to guest", 8);
	assert_int_equal(le32_get(p.h.fwd_cnt), 7);
	fd_close(&fd);
}

static void bytes_behind_the_greeting_are_the_guest_s(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONNECT 999\nhello\n");
	u32 host_port = le32_get(guest_hears(b, VSOCK_OP_REQUEST).h.src_port);
	struct packet p;

	guest_hears_nothing(b);
	guest_sends(b, VSOCK_OP_RESPONSE, GUEST_PORT, host_port);
	p = guest_hears(b, VSOCK_OP_RW);
	assert_int_equal(p.len, 6);
	assert_memory_equal(p.data, "hello\n", 6);
	fd_close(&fd);
}

static void a_greeting_may_come_in_pieces(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONN");

	guest_hears_nothing(b);
	assert_int_equal(fd_write(fd, "ECT 4294967294", 14), 14);
	guest_hears_nothing(b);
	assert_int_equal(fd_write(fd, "\n", 1), 1);
	assert_int_equal(le32_get(guest_hears(b, VSOCK_OP_REQUEST).h.dst_port), 4294967294);
	fd_close(&fd);
}

static void other_greetings_are_hung_up_on(void **state)
{
	static const char *const greetings[] = {
		"HELLO 999\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT 9x\n",
		"CONNECT -1\n",
		"CONNECT 0x20\n",
		"connect 999\n",
		"CONNECT 4294967295\n",
		"CONNECT 18446744073709551616\n",
		"CONNECT 999 \n",
		"\n",
		"CONNECT 000000000000000000000000000000000000000000000000000000",
	};
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(greetings); i++) {
		int fd = host_connects(b, greetings[i]);
		char byte;

		assert_true(host_reads(b, fd, &byte, 1) <= 0);
		fd_close(&fd);
	}
	guest_hears_nothing(b);
}

static void a_guest_that_does_not_listen_closes_the_client(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONNECT 999\n");
	u32 host_port = le32_get(guest_hears(b, VSOCK_OP_REQUEST).h.src_port);

	guest_sends(b, VSOCK_OP_RST, GUEST_PORT, host_port);
	assert_host_sees_the_end(b, fd);
	guest_hears_nothing(b);
	fd_close(&fd);
}

static void a_client_that_leaves_before_the_answer_takes_its_call_back(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONNECT 999\n");
	u32 host_port = le32_get(guest_hears(b, VSOCK_OP_REQUEST).h.src_port);

	fd_close(&fd);
	assert_int_equal(le32_get(guest_hears(b, VSOCK_OP_RST).h.src_port), host_port);
	fd = host_connects(b, "CONN");
	settle(b);
	fd_close(&fd);
	guest_hears_nothing(b);
}

static void a_client_s_patience_is_not_endless(void **state)
{
	struct bench *b = *state;
	int silent_fd, fd;

	seconds_fly = true;
	silent_fd = host_connects(b, "CONNECT 99");
	fd = host_connects(b, "CONNECT 999\n");
	guest_hears(b, VSOCK_OP_REQUEST);
	guest_hears(b, VSOCK_OP_RST);
	assert_host_sees_the_end(b, silent_fd);
	assert_host_sees_the_end(b, fd);
	settle(b);
	fd_close(&silent_fd);
	fd_close(&fd);
}

static void a_client_waits_for_a_driver_that_comes_late(void **state)
{
	struct bench *b = *state;
	int fd;

	fg_stop(&b->g);
	fd = host_connects(b, "CONNECT 999\n");
	settle(b);
	fg_start(&b->g);
	give_buffers(b, 32);
	guest_hears(b, VSOCK_OP_REQUEST);
	fd_close(&fd);
}

static void a_call_of_the_guest_s_reaches_who_listens_at_its_port(void **state)
{
	struct bench *b = *state;
	struct packet p;
	int fd;

	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	p = guest_hears(b, VSOCK_OP_RESPONSE);
	assert_int_equal(le32_get(p.h.src_port), PORT);
	assert_int_equal(le32_get(p.h.dst_port), GUEST_PORT);
	assert_int_equal(le32_get(p.h.buf_alloc), VSOCK_BUFFER_BYTES);
	fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	guest_writes(b, PORT, "question", 8);
	assert_host_reads(b, fd, "question");
	assert_int_equal(fd_write(fd, "answer", 6), 6);
	assert_memory_equal(guest_hears(b, VSOCK_OP_RW).data, "answer", 6);
	fd_close(&fd);
}

static void a_call_that_nobody_takes_is_reset(void **state)
{
	struct bench *b = *state;
	struct packet p;

	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT + 1);
	p = guest_hears(b, VSOCK_OP_RST);
	assert_int_equal(le32_get(p.h.src_port), PORT + 1);
	assert_int_equal(le32_get(p.h.dst_port), GUEST_PORT);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, UINT32_MAX);
	guest_hears(b, VSOCK_OP_RST);
	guest_sends(b, VSOCK_OP_REQUEST, UINT32_MAX, UINT32_MAX);
	guest_hears(b, VSOCK_OP_RST);
	guest_hears_nothing(b);
}

static void a_full_backlog_is_a_refusal_and_no_wait(void **state)
{
	struct bench *b = *state;
	u32 nr = 0;

	assert_int_equal(listen(b->listen_fd, 1), 0);
	for (; nr < 16; nr++) {
		guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT + nr, PORT);
		WAIT(b, b->nr_asks == 0);
	}
	settle(b);
	for (nr = 0; nr < 16; nr++) {
		struct packet p;

		assert_true(guest_takes(b, &p));
		assert_int_equal(le16_get(p.h.op), nr < 2 ? VSOCK_OP_RESPONSE : VSOCK_OP_RST);
	}
}

static void a_supervisor_that_does_not_listen_is_a_refusal(void **state)
{
	struct bench *b = *state;

	b->holds_asks = true;
	b->nr_asks = ASKS_MAX;
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	guest_hears(b, VSOCK_OP_RST);
	b->nr_asks = 0;
}

static void an_answer_that_comes_too_late_is_closed(void **state)
{
	struct bench *b = *state;
	int fd;
	u8 byte;

	b->holds_asks = true;
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	guest_sends(b, VSOCK_OP_RST, GUEST_PORT, PORT);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	assert_int_equal(b->nr_asks, 2);
	answer_ask(b, b->asks[0].what, b->asks[0].cookie);
	fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_equal(read(fd, &byte, 1), 0);
	guest_hears_nothing(b);
	answer_ask(b, b->asks[1].what, b->asks[1].cookie);
	guest_hears(b, VSOCK_OP_RESPONSE);
	answer_ask(b, PORT, 0xffffffff);
	fd_close(&fd);
	b->nr_asks = 0;
}

static void an_answer_that_never_comes_is_given_up(void **state)
{
	struct bench *b = *state;

	b->holds_asks = true;
	seconds_fly = true;
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	guest_hears(b, VSOCK_OP_RST);
}

/* --- Ending ----------------------------------------------------------------------------------- */

static void a_host_that_stops_sending_can_still_read(void **state)
{
	struct bench *b = *state;
	u32 host_port;
	int fd = connect_from_host(b, &host_port);
	struct packet p;

	assert_int_equal(fd_write(fd, "last", 4), 4);
	shutdown(fd, SHUT_WR);
	assert_int_equal(guest_hears(b, VSOCK_OP_RW).len, 4);
	p = guest_hears(b, VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32_get(p.h.flags), VSOCK_SHUTDOWN_SEND);
	settle(b);
	guest_writes(b, host_port, "reply", 5);
	assert_host_reads(b, fd, "reply");
	guest_shuts(b, host_port, VSOCK_SHUTDOWN_SEND);
	p = guest_hears(b, VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32_get(p.h.flags), VSOCK_SHUTDOWN_BOTH);
	assert_host_sees_the_end(b, fd);
	guest_shuts(b, host_port, VSOCK_SHUTDOWN_BOTH);
	guest_hears(b, VSOCK_OP_RST);
	guest_hears_nothing(b);
	fd_close(&fd);
}

static void a_guest_that_stops_sending_can_still_read(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	guest_writes(b, PORT, "last", 4);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_SEND);
	assert_host_reads(b, fd, "last");
	assert_host_sees_the_end(b, fd);
	assert_int_equal(fd_write(fd, "reply", 5), 5);
	assert_memory_equal(guest_hears(b, VSOCK_OP_RW).data, "reply", 5);
	guest_hears_nothing(b);
	fd_close(&fd);
	guest_hears_the_end(b);
}

static void a_guest_that_stops_reading_for_good_stops_the_host_s_writing(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	guest_shuts(b, PORT, VSOCK_SHUTDOWN_RECEIVE);
	assert_int_equal(fd_write(fd, "x", 1), -EPIPE);
	guest_writes(b, PORT, "more", 4);
	assert_host_reads(b, fd, "more");
	guest_hears_nothing(b);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_SEND); /* flags stay: now it is both */
	guest_hears(b, VSOCK_OP_RST);
	assert_host_sees_the_end(b, fd);
	fd_close(&fd);
}

static void a_guest_s_close_is_confirmed_and_loses_nothing(void **state)
{
	struct bench *b = *state;
	static u8 bytes[VSOCK_BUFFER_BYTES];
	int fd = connect_from_guest(b), small = 4096;
	u32 got = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	memset(bytes, 'x', sizeof(bytes));
	for (u32 i = 0; i < 8; i++) {
		guest_writes(b, PORT, bytes, sizeof(bytes));
		guest_hears(b, VSOCK_OP_CREDIT_UPDATE);
		if (b->g.nr_broken > 0 || i == 2)
			break; /* the socket's buffer is full, and part of ours */
	}
	guest_writes(b, PORT, "the end", 7);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_BOTH);
	guest_hears(b, VSOCK_OP_RST);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT); /* the ports are free again */
	guest_hears(b, VSOCK_OP_RESPONSE);
	for (ssize_t part; (part = host_reads(b, fd, bytes, sizeof(bytes))) > 0; got += (u32)part)
		if (got + (u32)part == 3 * VSOCK_BUFFER_BYTES + 7)
			assert_memory_equal(bytes + part - 7, "the end", 7);
	assert_int_equal(got, 3 * VSOCK_BUFFER_BYTES + 7);
	fd_close(&fd);
}

static void a_host_s_close_is_told_and_what_is_on_its_way_let_pass(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	assert_int_equal(fd_write(fd, "last", 4), 4);
	fd_close(&fd);
	assert_int_equal(le32_get(guest_hears(b, VSOCK_OP_SHUTDOWN).h.flags),
			 VSOCK_SHUTDOWN_RECEIVE);
	assert_memory_equal(guest_hears(b, VSOCK_OP_RW).data, "last", 4);
	assert_int_equal(le32_get(guest_hears(b, VSOCK_OP_SHUTDOWN).h.flags), VSOCK_SHUTDOWN_BOTH);
	guest_writes(b, PORT, "crossed", 7);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_SEND);
	guest_hears_nothing(b);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_BOTH);
	guest_hears(b, VSOCK_OP_RST);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	guest_hears(b, VSOCK_OP_RESPONSE);
}

static void ports_the_host_is_done_with_can_be_called_again(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	fd_close(&fd);
	WAIT(b, vsock_conns_are_full(b->g.v->priv) ||
			fg_used_idx(&b->g, VSOCK_RX) >= 2); /* both parts may be one packet */
	settle(b);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	for (struct packet p = { 0 }; le16_get(p.h.op) != VSOCK_OP_RESPONSE;)
		WAIT(b, guest_takes(b, &p));
}

static void a_reset_by_the_guest_ends_the_client(void **state)
{
	struct bench *b = *state;
	u32 host_port;
	int fd = connect_from_host(b, &host_port);

	guest_writes(b, host_port, "ab", 2);
	guest_sends(b, VSOCK_OP_RST, GUEST_PORT, host_port);
	assert_host_reads(b, fd, "ab");
	assert_host_sees_the_end(b, fd);
	guest_hears_nothing(b);
	fd_close(&fd);
}

/* --- Credit ----------------------------------------------------------------------------------- */

/* Write until the device says no more credit comes. Return: bytes. */
static u32 guest_fills(struct bench *b, u32 host_port)
{
	static const u8 bytes[4096];
	u32 sent = 0, fwd_cnt = 0;
	struct packet p;

	for (;;) {
		while (sent - fwd_cnt + sizeof(bytes) <= VSOCK_BUFFER_BYTES) {
			guest_writes(b, host_port, bytes, sizeof(bytes));
			sent += (u32)sizeof(bytes);
			while (guest_takes(b, &p))
				fwd_cnt = le32_get(p.h.fwd_cnt);
		}
		settle(b);
		if (!guest_takes(b, &p))
			return sent;
		fwd_cnt = le32_get(p.h.fwd_cnt);
	}
}

static void a_host_that_does_not_read_holds_the_guest_up(void **state)
{
	struct bench *b = *state;
	static u8 bytes[65536];
	u32 host_port, sent, got = 0;
	int fd = connect_from_host(b, &host_port);
	struct packet p;

	sent = guest_fills(b, host_port);
	assert_true(sent >= VSOCK_BUFFER_BYTES && sent <= MIB(1));
	assert_true(fg_is_quiet(&b->g));
	while (got < sent) {
		ssize_t part = host_reads(b, fd, bytes, sizeof(bytes));

		assert_true(part > 0);
		got += (u32)part;
	}
	settle(b);
	for (p.h.fwd_cnt = le32_make(0); guest_takes(b, &p);)
		assert_int_equal(le16_get(p.h.op), VSOCK_OP_CREDIT_UPDATE);
	assert_true(sent - le32_get(p.h.fwd_cnt) <= VSOCK_BUFFER_BYTES / 2);
	guest_writes(b, host_port, "more", 4);
	assert_host_reads(b, fd, "more");
	fd_close(&fd);
}

static void who_sends_more_than_its_credit_is_reset(void **state)
{
	struct bench *b = *state;
	u32 host_port;
	int fd = connect_from_host(b, &host_port);
	struct packet p;

	guest_fills(b, host_port);
	guest_writes(b, host_port, NULL, 4096);
	for (p.h.op = le16_make(0); le16_get(p.h.op) != VSOCK_OP_RST;)
		WAIT(b, guest_takes(b, &p));
	fd_close(&fd);
	guest_hears_nothing(b);
}

static void a_reader_that_leaves_frees_the_guest(void **state)
{
	struct bench *b = *state;
	u32 host_port;
	int fd = connect_from_host(b, &host_port);
	struct packet p;

	guest_fills(b, host_port);
	fd_close(&fd);
	WAIT(b, guest_takes(b, &p));
	assert_int_equal(le16_get(p.h.op), VSOCK_OP_SHUTDOWN);
	settle(b);
	assert_true(fg_is_quiet(&b->g));
}

static void a_guest_that_does_not_read_holds_the_host_up(void **state)
{
	struct bench *b = *state;
	static u8 bytes[65536];
	int fd = connect_from_guest(b);
	u32 written = 0, read = 0, nr_asked = 0;
	struct vsock_header h = header(VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, PORT);
	struct packet p;

	while (read < GUEST_ALLOC || nr_asked == 0) {
		ssize_t put = fd_write(fd, bytes, sizeof(bytes));

		written += put > 0 ? (u32)put : 0;
		step(b);
		while (guest_takes(b, &p)) {
			read += p.len;
			nr_asked += le16_get(p.h.op) == VSOCK_OP_CREDIT_REQUEST;
		}
	}
	assert_int_equal(read, GUEST_ALLOC);
	while (fd_write(fd, bytes, sizeof(bytes)) > 0)
		;
	send_packet(b, &h, NULL, 0); /* an answer that brings no room is not asked for again */
	guest_hears_nothing(b);
	assert_true(fg_is_quiet(&b->g));
	assert_true(written < MIB(2));
	h.fwd_cnt = le32_make(100);
	send_packet(b, &h, NULL, 0);
	p = guest_hears(b, VSOCK_OP_RW);
	assert_int_equal(p.len, 100);
	fd_close(&fd);
}

static void credit_is_told_to_who_asks(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);
	struct packet p;

	guest_writes(b, PORT, "abc", 3);
	guest_hears_nothing(b);
	guest_sends(b, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, PORT);
	p = guest_hears(b, VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(le32_get(p.h.fwd_cnt), 3);
	assert_int_equal(le32_get(p.h.buf_alloc), VSOCK_BUFFER_BYTES);
	fd_close(&fd);
}

static void numbers_that_make_no_sense_are_no_credit(void **state)
{
	static const struct {
		u32 alloc, fwd, credit;
	} lies[] = {
		{ 0, 0, 0 },          { 100, 1, 0 },         { 100, 0x80000000, 0 },
		{ 0xffffffff, 1, 0 }, { 10, 0xfffffffa, 4 }, { 0xffffffff, 0, 4096 },
	};
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
		struct vsock_header h = header(VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, PORT);
		u8 bytes[4096] = { 0 };
		struct packet p;
		u32 got = 0;

		h.buf_alloc = le32_make(lies[i].alloc);
		h.fwd_cnt = le32_make(lies[i].fwd);
		send_packet(b, &h, NULL, 0);
		fd_write(fd, bytes, sizeof(bytes));
		settle(b);
		while (guest_takes(b, &p))
			got += p.len;
		assert_true(lies[i].credit == 4096 ? got >= 4096 : got == lies[i].credit);
	}
	fd_close(&fd);
}

/* --- Packets that should not be --------------------------------------------------------------- */

static void packets_that_belong_to_nothing_are_reset(void **state)
{
	struct bench *b = *state;

	for (u16 op = 0; op < 12; op++) {
		struct packet p;

		if (op == VSOCK_OP_REQUEST || op == VSOCK_OP_RST)
			continue;
		guest_sends(b, op, GUEST_PORT + op, PORT);
		p = guest_hears(b, VSOCK_OP_RST);
		assert_int_equal(le32_get(p.h.dst_port), GUEST_PORT + op);
		assert_int_equal(le32_get(p.h.src_port), PORT);
	}
	guest_sends(b, VSOCK_OP_RST, GUEST_PORT, PORT);
	guest_hears_nothing(b);
}

static void packets_of_unknown_types_and_to_other_hosts_are_reset(void **state)
{
	struct bench *b = *state;
	struct vsock_header h = header(VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	struct packet p;

	h.type = le16_make(2);
	send_packet(b, &h, NULL, 0);
	assert_int_equal(le16_get(guest_hears(b, VSOCK_OP_RST).h.type), 2);
	h = header(VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	h.dst_cid = le64_make(0x100000002);
	send_packet(b, &h, NULL, 0);
	p = guest_hears(b, VSOCK_OP_RST);
	assert_int_equal(le64_get(p.h.src_cid), 0x100000002);
	h.op = le16_make(VSOCK_OP_RST);
	send_packet(b, &h, NULL, 0);
	guest_hears_nothing(b);
}

static void packets_from_somebody_else_are_dropped(void **state)
{
	struct bench *b = *state;
	struct vsock_header h = header(VSOCK_OP_REQUEST, GUEST_PORT, PORT);

	h.src_cid = le64_make(CID + 1);
	send_packet(b, &h, NULL, 0);
	h.src_cid = le64_make(CID | 1ull << 32);
	send_packet(b, &h, NULL, 0);
	guest_hears_nothing(b);
	assert_int_equal(b->nr_asks, 0);
	assert_int_equal(b->g.nr_lines, 2);
}

static void packets_without_a_whole_header_are_dropped(void **state)
{
	struct bench *b = *state;
	struct vsock_header h = header(VSOCK_OP_RW, GUEST_PORT, PORT);

	fg_do(&b->g, VSOCK_TX, OUT(&h, HEADER - 1));
	fg_do(&b->g, VSOCK_TX, IN(HEADER));
	fg_do(&b->g, VSOCK_TX, OUT(NULL, 0));
	guest_hears_nothing(b);
	fg_do(&b->g, VSOCK_TX, OUT(&h, 1), OUT((u8 *)&h + 1, 20), OUT((u8 *)&h + 21, HEADER - 21));
	guest_hears(b, VSOCK_OP_RST);
}

static void a_length_beyond_the_buffer_ends_the_connection(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);
	struct vsock_header h = header(VSOCK_OP_RW, GUEST_PORT, PORT);

	h.len = le32_make(5);
	send_packet(b, &h, "four", 4);
	guest_hears(b, VSOCK_OP_RST);
	assert_host_sees_the_end(b, fd);
	fd_close(&fd);
	h.len = le32_make(0xffffffff);
	send_packet(b, &h, "four", 4);
	guest_hears(b, VSOCK_OP_RST);
}

static void bytes_behind_the_length_do_not_count(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);
	struct vsock_header h = header(VSOCK_OP_RW, GUEST_PORT, PORT);

	h.len = le32_make(3);
	send_packet(b, &h, "three", 5);
	assert_host_reads(b, fd, "thr");
	h.len = le32_make(0);
	send_packet(b, &h, "three", 5);
	guest_hears_nothing(b);
	fd_close(&fd);
}

static void operations_out_of_place_end_the_connection(void **state)
{
	static const u16 ops[] = { VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 0, 8, 0xffff };
	struct bench *b = *state;

	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = connect_from_guest(b);

		guest_sends(b, ops[i], GUEST_PORT, PORT);
		guest_hears(b, VSOCK_OP_RST);
		assert_host_sees_the_end(b, fd);
		fd_close(&fd);
	}
	guest_hears_nothing(b);
}

static void bytes_before_an_answer_or_after_the_last_end_the_connection(void **state)
{
	struct bench *b = *state;
	int fd = host_connects(b, "CONNECT 999\n");
	u32 host_port = le32_get(guest_hears(b, VSOCK_OP_REQUEST).h.src_port);

	guest_writes(b, host_port, "x", 1);
	guest_hears(b, VSOCK_OP_RST);
	assert_host_sees_the_end(b, fd);
	fd_close(&fd);
	fd = connect_from_guest(b);
	guest_shuts(b, PORT, VSOCK_SHUTDOWN_SEND);
	guest_writes(b, PORT, "x", 1);
	guest_hears(b, VSOCK_OP_RST);
	assert_host_sees_the_end(b, fd);
	fd_close(&fd);
}

static void an_answer_to_a_call_that_was_not_made_yet_is_none(void **state)
{
	struct bench *b = *state; /* without receive buffers */
	int fd = host_connects(b, "CONNECT 999\n");

	settle(b);
	guest_sends(b, VSOCK_OP_RESPONSE, GUEST_PORT, 1 << 30);
	assert_host_sees_the_end(b, fd);
	fd_close(&fd);
}

/* --- Bounds ----------------------------------------------------------------------------------- */

static void without_receive_buffers_the_transmit_ring_waits(void **state)
{
	struct bench *b = *state;
	struct vsock_header h = header(VSOCK_OP_RW, GUEST_PORT, PORT);
	struct fg_used used;
	struct packet p;

	for (u32 i = 0; i < VSOCK_RESETS_MAX; i++)
		send_packet(b, &h, NULL, 0);
	for (u32 i = 0; i < 16; i++)
		fg_chain(&b->g, VSOCK_TX, OUT(&h, HEADER));
	fg_kick(&b->g, VSOCK_TX);
	settle(b);
	assert_false(fg_take(&b->g, VSOCK_TX, &used));
	give_buffers(b, 4);
	for (u32 i = 0; i < VSOCK_RESETS_MAX + 16; i++)
		guest_hears(b, VSOCK_OP_RST);
	while (b->g.queues[VSOCK_TX].nr_busy > 0)
		fg_wait(&b->g, VSOCK_TX);
	settle(b);
	assert_false(guest_takes(b, &p));
}

static void more_connections_than_there_is_room_for_are_refused(void **state)
{
	struct bench *b = *state;
	int fds[VSOCK_CONNS_MAX], fd;

	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++) {
		guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT + i, PORT);
		guest_hears(b, VSOCK_OP_RESPONSE);
		fds[i] = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		assert_true(fds[i] >= 0);
	}
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT - 1, PORT);
	guest_hears(b, VSOCK_OP_RST);
	fd = host_connects(b, "CONNECT 5\n"); /* waits until there is room */
	guest_hears_nothing(b);
	assert_true(fg_is_quiet(&b->g));
	guest_sends(b, VSOCK_OP_RST, GUEST_PORT + 17, PORT);
	guest_hears(b, VSOCK_OP_REQUEST);
	for (u32 i = 0; i < VSOCK_CONNS_MAX; i++)
		fd_close(&fds[i]);
	fd_close(&fd);
	settle(b);
}

static void what_only_the_guest_still_knows_makes_room(void **state)
{
	struct bench *b = *state;

	for (u32 i = 0; i < VSOCK_CONNS_MAX + 100; i++) {
		struct packet p = { 0 };
		int fd;

		guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT + i, PORT);
		while (le16_get(p.h.op) != VSOCK_OP_RESPONSE)
			WAIT(b, guest_takes(b, &p));
		fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		fd_close(&fd); /* which the guest is told, and never confirms */
		while (le32_get(p.h.flags) != VSOCK_SHUTDOWN_BOTH)
			WAIT(b, guest_takes(b, &p));
	}
}

static void a_receive_buffer_too_small_for_a_packet_breaks_the_ring(void **state)
{
	struct bench *b = *state;

	fg_chain(&b->g, VSOCK_RX, IN(HEADER));
	guest_sends(b, VSOCK_OP_RW, GUEST_PORT, PORT);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
	assert_int_equal(b->g.broken_qi, VSOCK_RX);
}

static void packets_are_cut_to_the_guest_s_buffers(void **state)
{
	struct bench *b = *state;
	struct fg_used used;
	int fd;

	host_listens(b);
	give_buffers(b, 1);
	guest_sends(b, VSOCK_OP_REQUEST, GUEST_PORT, PORT);
	WAIT(b, fg_take(&b->g, VSOCK_RX, &used));
	fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_equal(fd_write(fd, "abcdef", 6), 6);
	settle(b);
	fg_chain(&b->g, VSOCK_RX, IN(20), IN(HEADER - 20 + 2), IN(1));
	fg_chain(&b->g, VSOCK_RX, IN(HEADER + 1));
	fg_chain(&b->g, VSOCK_RX, IN(HEADER), IN(100));
	fg_kick(&b->g, VSOCK_RX);
	used = fg_wait(&b->g, VSOCK_RX);
	assert_int_equal(used.written, HEADER + 3);
	assert_memory_equal(used.in + HEADER, "abc", 3);
	used = fg_wait(&b->g, VSOCK_RX);
	assert_memory_equal(used.in + HEADER, "d", 1);
	used = fg_wait(&b->g, VSOCK_RX);
	assert_int_equal(used.written, HEADER + 2);
	assert_memory_equal(used.in + HEADER, "ef", 2);
	fd_close(&fd);
}

static void descriptors_a_client_sends_along_are_not_taken(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b), ends[2];
	u8 byte = 'x';
	union {
		struct cmsghdr header;
		u8 bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	assert_int_equal(pipe(ends), 0);
	memcpy(CMSG_DATA(&control.header), &ends[1], sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, 0), 1);
	fd_close(&ends[1]);
	assert_int_equal(guest_hears(b, VSOCK_OP_RW).len, 1);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody holds the other end */
	fd_close(&ends[0]);
	fd_close(&fd);
}

/* --- Rings ------------------------------------------------------------------------------------ */

static void a_reset_of_the_device_ends_its_connections(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);
	struct fg_used used;

	guest_writes(b, PORT, "kept", 4);
	fg_stop(&b->g);
	settle(b);
	fg_start(&b->g);
	give_buffers(b, 32);
	assert_host_reads(b, fd, "kept");
	assert_host_sees_the_end(b, fd);
	used = fg_do(&b->g, VSOCK_EVENT, IN(8));
	assert_int_equal(used.written, 4);
	assert_memory_equal(used.in, "\0\0\0\0", 4);
	fd_close(&fd);
	fd = connect_from_guest(b);
	fg_chain(&b->g, VSOCK_EVENT, IN(8));
	fg_kick(&b->g, VSOCK_EVENT);
	guest_hears_nothing(b);
	assert_int_equal(fg_used_idx(&b->g, VSOCK_EVENT), 1);
	fd_close(&fd);
}

static void rings_that_go_on_keep_their_connections(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	int fd = connect_from_guest(b);
	struct err e;

	for (u32 qi = 0; qi < VSOCK_RINGS; qi++) {
		u16 base = vdev_queue_stop(g->v, qi);

		assert_int_equal(vdev_queue_start(g->v, qi, &g->queues[qi].config, base, &e), 0);
	}
	fg_force_kick(g, VSOCK_RX);
	guest_writes(b, PORT, "on", 2);
	assert_host_reads(b, fd, "on");
	assert_int_equal(fd_write(fd, "and on", 6), 6);
	assert_int_equal(guest_hears(b, VSOCK_OP_RW).len, 6);
	fd_close(&fd);
}

static void a_driver_of_another_device_s_is_told_that_its_connections_are_gone(void **state)
{
	struct bench *b = *state;
	struct fake_guest *g = &b->g;
	u32 host_port;
	struct err e;
	int fd = connect_from_host(b, &host_port);
	struct bench *other;
	void *fresh;

	vdev_queue_stop(g->v, VSOCK_RX);
	setup_without_buffers(&fresh);
	other = fresh;
	vdev_queue_stop(other->g.v, VSOCK_RX);
	/* As if the rings had moved here with their guest. */
	assert_int_equal(
		vdev_queue_start(other->g.v, VSOCK_RX, &other->g.queues[VSOCK_RX].config, 5, &e),
		0);
	assert_int_equal(fg_do(&other->g, VSOCK_EVENT, IN(4)).written, 4);
	teardown(&fresh);
	current = b;
	fd_close(&fd);
}

static void an_event_buffer_that_holds_none_breaks_the_ring(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b);

	fg_stop(&b->g);
	fg_start(&b->g);
	fg_chain(&b->g, VSOCK_EVENT, IN(3));
	fg_kick(&b->g, VSOCK_EVENT);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
	fd_close(&fd);
}

static void broken_rings_leave_the_loop_in_peace(void **state)
{
	struct bench *b = *state;
	int fd = connect_from_guest(b), other_fd;
	struct sockaddr_un address = socket_address(b, 0);

	fg_offer(&b->g, VSOCK_TX, VSOCK_RING_MAX);
	fg_force_kick(&b->g, VSOCK_TX);
	FG_WAIT(&b->g, b->g.nr_broken == 1);
	assert_int_equal(fd_write(fd, "x", 1), 1);
	other_fd = host_connects(b, "CONNECT 999\n");
	fg_settle(&b->g);
	fd_close(&fd);
	fg_settle(&b->g);
	assert_true(fg_is_quiet(&b->g));
	assert_int_equal(address.sun_family, AF_UNIX);
	fd_close(&other_fd);
}

/* --- Options ---------------------------------------------------------------------------------- */

static int parse(const struct vdev_class *cls, const char *text, struct vsock_cfg *cfg,
		 struct err *e)
{
	*cfg = (struct vsock_cfg){ 0 };
	opt_defaults(cls->opts, cfg);
	return opt_parse_pairs(cls->opts, cfg, text, e);
}

static void options_are_checked(void **state)
{
	const struct vdev_class *cls = vdev_class_find("virtio-vsock");
	char text[128] = "socket=";
	struct fdset fds = { 0 };
	struct vsock_cfg cfg;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cls->cfg_bytes, sizeof(cfg));
	assert_int_equal(parse(cls, "socket=/a", &cfg, &e), 0);
	assert_int_equal(cfg.cid, 3);
	assert_int_equal(parse(cls, "cid=0xfffffffe", &cfg, &e), 0);
	assert_int_equal(cfg.cid, 0xfffffffe);
	assert_int_equal(parse(cls, "cid=2", &cfg, &e), -EINVAL);
	assert_int_equal(parse(cls, "cid=0xffffffff", &cfg, &e), -EINVAL);
	memset(text + 7, 'p', 96);
	assert_int_equal(parse(cls, text, &cfg, &e), 0);
	memset(text + 7, 'p', 97);
	assert_int_equal(parse(cls, text, &cfg, &e), -EINVAL);
	assert_int_equal(parse(cls, "cid=4,backend=user", &cfg, &e), 0);
	assert_int_equal(cls->open(&cfg, &fds, &e), -EINVAL);
	assert_non_null(strstr(e.text, "socket=PATH"));
}

static void a_socket_in_use_is_not_taken_over(void **state)
{
	struct bench *b = *state;
	struct vsock_cfg cfg = b->cfg;
	struct fdset fds = { 0 };
	struct err e = { 0 };
	struct stat st;

	cfg.listener = (struct unix_id){ 0 };
	assert_int_equal(b->cls->open(&cfg, &fds, &e), -EADDRINUSE);
	b->cls->cleanup(&cfg);
	assert_int_equal(lstat(b->path, &st), 0); /* the other one's stays */
}

/* --- Streams ---------------------------------------------------------------------------------- */

enum { STREAMS = 64, STREAM_BYTES = 300000, CHUNK = 3000 };

/* Pseudo-random bytes, and what came of them at the other end. */
struct flow {
	u64 state;
	u32 bytes; /* so far */
	u64 hash;
};

static u8 flow_next(struct flow *f)
{
	f->state ^= f->state << 13;
	f->state ^= f->state >> 7;
	f->state ^= f->state << 17;
	return (u8)(f->state >> 32);
}

static void flow_hash(struct flow *f, const u8 *bytes, u32 len)
{
	for (u32 i = 0; i < len; i++)
		f->hash = (f->hash ^ bytes[i]) * 1099511628211ull;
	f->bytes += len;
}

struct stream {
	int fd;
	u32 host_port, guest_port;
	u32 fwd_cnt; /* that the device told */
	u32 unread;  /* since the guest told its credit */
	struct flow host_in, host_out, guest_in, guest_out;
	u8 chunk[CHUNK];
	u32 chunk_len, chunk_at; /* of the host's, not yet written */
	bool host_ended, guest_ended;
};

static void stream_host(struct stream *s)
{
	u8 bytes[CHUNK];
	ssize_t moved;

	if (s->chunk_at == s->chunk_len && s->host_out.bytes < STREAM_BYTES) {
		s->chunk_len = MIN((u32)CHUNK, STREAM_BYTES - s->host_out.bytes);
		s->chunk_at = 0;
		for (u32 i = 0; i < s->chunk_len; i++)
			s->chunk[i] = flow_next(&s->host_out);
		flow_hash(&s->host_out, s->chunk, s->chunk_len);
	}
	moved = fd_write(s->fd, s->chunk + s->chunk_at, s->chunk_len - s->chunk_at);
	s->chunk_at += moved > 0 ? (u32)moved : 0;
	if (s->host_out.bytes == STREAM_BYTES && s->chunk_at == s->chunk_len && !s->host_ended) {
		shutdown(s->fd, SHUT_WR);
		s->host_ended = true;
	}
	moved = fd_read(s->fd, bytes, sizeof(bytes));
	if (moved > 0)
		flow_hash(&s->host_in, bytes, (u32)moved);
}

static struct vsock_header stream_header(const struct stream *s, u16 op)
{
	struct vsock_header h = header(op, s->guest_port, s->host_port);

	h.fwd_cnt = le32_make(s->guest_in.bytes);
	return h;
}

static void stream_guest(struct bench *b, struct stream *s)
{
	struct vsock_header h = stream_header(s, VSOCK_OP_RW);
	u8 bytes[CHUNK];
	u32 credit = VSOCK_BUFFER_BYTES - (s->guest_out.bytes - s->fwd_cnt);
	u32 len = MIN(MIN((u32)CHUNK, credit), STREAM_BYTES - s->guest_out.bytes);

	for (u32 i = 0; i < len; i++)
		bytes[i] = flow_next(&s->guest_out);
	flow_hash(&s->guest_out, bytes, len);
	h.len = le32_make(len);
	if (len > 0)
		send_packet(b, &h, bytes, len);
	if (s->unread > GUEST_ALLOC / 4) {
		h = stream_header(s, VSOCK_OP_CREDIT_UPDATE);
		send_packet(b, &h, NULL, 0);
		s->unread = 0;
	}
	if (s->guest_out.bytes == STREAM_BYTES && !s->guest_ended) {
		h = stream_header(s, VSOCK_OP_SHUTDOWN);
		h.flags = le32_make(VSOCK_SHUTDOWN_SEND);
		send_packet(b, &h, NULL, 0);
		s->guest_ended = true;
	}
}

static void streams_receive(struct bench *b, struct stream *streams)
{
	struct packet p;

	while (guest_takes(b, &p)) {
		for (u32 i = 0; i < STREAMS; i++) {
			struct stream *s = &streams[i];

			if (le32_get(p.h.dst_port) != s->guest_port ||
			    le32_get(p.h.src_port) != s->host_port)
				continue;
			assert_int_not_equal(le16_get(p.h.op), VSOCK_OP_RST);
			s->fwd_cnt = le32_get(p.h.fwd_cnt);
			flow_hash(&s->guest_in, p.data, p.len);
			s->unread += p.len;
		}
	}
}

static bool streams_are_over(const struct stream *streams)
{
	for (u32 i = 0; i < STREAMS; i++)
		if (streams[i].host_in.bytes < STREAM_BYTES ||
		    streams[i].guest_in.bytes < STREAM_BYTES)
			return false;
	return true;
}

/* Half of them begun by the host. */
static void streams_connect(struct bench *b, struct stream *streams)
{
	for (u32 i = 0; i < STREAMS; i++) {
		struct stream *s = &streams[i];

		s->host_out.state = 0x9e3779b97f4a7c15 * (i + 1);
		s->guest_out.state = 0xbf58476d1ce4e5b9 * (i + 1);
		s->guest_port = GUEST_PORT;
		if (i % 2) {
			s->fd = connect_from_host(b, &s->host_port);
			continue;
		}
		s->guest_port = GUEST_PORT + 1 + i;
		s->host_port = PORT;
		guest_sends(b, VSOCK_OP_REQUEST, s->guest_port, PORT);
		guest_hears(b, VSOCK_OP_RESPONSE);
		s->fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
}

static void sixty_four_streams_carry_random_bytes_both_ways(void **state)
{
	struct bench *b = *state;
	struct stream *streams = calloc(STREAMS, sizeof(*streams));
	u64 end_ns = evl_now_ns() + 60 * 1000000000ull;

	streams_connect(b, streams);
	while (!streams_are_over(streams)) {
		assert_true(evl_now_ns() < end_ns);
		for (u32 i = 0; i < STREAMS; i++) {
			stream_host(&streams[i]);
			stream_guest(b, &streams[i]);
		}
		if (!fg_is_quiet(&b->g))
			step(b);
		streams_receive(b, streams);
	}
	for (u32 i = 0; i < STREAMS; i++) {
		assert_int_equal(streams[i].host_in.bytes, STREAM_BYTES);
		assert_int_equal(streams[i].guest_in.bytes, STREAM_BYTES);
		assert_true(streams[i].host_in.hash == streams[i].guest_out.hash);
		assert_true(streams[i].guest_in.hash == streams[i].host_out.hash);
		assert_host_sees_the_end(b, streams[i].fd);
		fd_close(&streams[i].fd);
	}
	free(streams);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define T_NO_BUFFERS(test) cmocka_unit_test_setup_teardown(test, setup_without_buffers, teardown)
		T(the_guest_s_cid_stands_in_configuration_space),
		T(a_client_of_the_socket_reaches_the_port_it_names),
		T(bytes_behind_the_greeting_are_the_guest_s),
		T(a_greeting_may_come_in_pieces),
		T(other_greetings_are_hung_up_on),
		T(a_guest_that_does_not_listen_closes_the_client),
		T(a_client_that_leaves_before_the_answer_takes_its_call_back),
		T(a_client_s_patience_is_not_endless),
		T(a_client_waits_for_a_driver_that_comes_late),
		T(a_call_of_the_guest_s_reaches_who_listens_at_its_port),
		T(a_call_that_nobody_takes_is_reset),
		T(a_full_backlog_is_a_refusal_and_no_wait),
		T(a_supervisor_that_does_not_listen_is_a_refusal),
		T(an_answer_that_comes_too_late_is_closed),
		T(an_answer_that_never_comes_is_given_up),
		T(a_host_that_stops_sending_can_still_read),
		T(a_guest_that_stops_sending_can_still_read),
		T(a_guest_that_stops_reading_for_good_stops_the_host_s_writing),
		T(a_guest_s_close_is_confirmed_and_loses_nothing),
		T(a_host_s_close_is_told_and_what_is_on_its_way_let_pass),
		T(ports_the_host_is_done_with_can_be_called_again),
		T(a_reset_by_the_guest_ends_the_client),
		T(a_host_that_does_not_read_holds_the_guest_up),
		T(who_sends_more_than_its_credit_is_reset),
		T(a_reader_that_leaves_frees_the_guest),
		T(a_guest_that_does_not_read_holds_the_host_up),
		T(credit_is_told_to_who_asks),
		T(numbers_that_make_no_sense_are_no_credit),
		T(packets_that_belong_to_nothing_are_reset),
		T(packets_of_unknown_types_and_to_other_hosts_are_reset),
		T(packets_from_somebody_else_are_dropped),
		T(packets_without_a_whole_header_are_dropped),
		T(a_length_beyond_the_buffer_ends_the_connection),
		T(bytes_behind_the_length_do_not_count),
		T(operations_out_of_place_end_the_connection),
		T(bytes_before_an_answer_or_after_the_last_end_the_connection),
		T_NO_BUFFERS(an_answer_to_a_call_that_was_not_made_yet_is_none),
		T_NO_BUFFERS(without_receive_buffers_the_transmit_ring_waits),
		T(more_connections_than_there_is_room_for_are_refused),
		T(what_only_the_guest_still_knows_makes_room),
		T_NO_BUFFERS(a_receive_buffer_too_small_for_a_packet_breaks_the_ring),
		T_NO_BUFFERS(packets_are_cut_to_the_guest_s_buffers),
		T(descriptors_a_client_sends_along_are_not_taken),
		T(a_reset_of_the_device_ends_its_connections),
		T(rings_that_go_on_keep_their_connections),
		T(a_driver_of_another_device_s_is_told_that_its_connections_are_gone),
		T(an_event_buffer_that_holds_none_breaks_the_ring),
		T(broken_rings_leave_the_loop_in_peace),
		cmocka_unit_test(options_are_checked),
		T(a_socket_in_use_is_not_taken_over),
		T(sixty_four_streams_carry_random_bytes_both_ways),
	};

	return cmocka_run_group_tests_name("virtio-vsock", tests, NULL, NULL);
}
