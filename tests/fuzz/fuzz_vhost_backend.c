// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: what a hostile vhost-user front-end may say to a back-end.
// test-sources: src/vhost/vhost_backend.c src/vhost/vhost_message.c src/mem/guest_mem.c src/evl/evl.c src/util/err.c src/util/fd.c
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "vhost/vhost_backend.h"
#include "vhost/vhost_message.h"

enum { STEPS_MAX = 256, NR_QUEUES = 4, FILE_BYTES = 64 << 10, CONFIG_BYTES = 32 };

/* One message, as the fuzzer's input spells it; `len` bytes of payload follow. */
struct step {
	u8 request; /* STEP_RAW: the bytes are the message's, header and all */
	u8 flags;   /* VHOST_USER_NEED_REPLY and its like; STEP_TURN: let the back-end work first */
	u8 fds;     /* how many (low half) of which kind (high half) */
	u8 len;
};

enum { STEP_RAW = 0xff, STEP_TURN = 0x80 };

/* What a front-end has to send along. */
struct bench {
	struct vhost_backend backend;
	struct evl evl;
	int front, file_fd, event_fd, null_fd;
	bool gone;
	bool running[NR_QUEUES];
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fuzz_vhost_backend: %s\n", what);
		abort();
	}
}

/* --- A device that minds what it is promised -------------------------------------------------- */

static struct bench *bench_of(struct vhost_backend *b)
{
	return container_of(b, struct bench, backend);
}

static u64 device_features(struct vhost_backend *backend)
{
	(void)backend;
	return 1ull << 32 | 1ull << 29 | 1;
}

static int device_set_features(struct vhost_backend *backend, u64 features)
{
	expect(!(features & ~device_features(backend)), "features that were not offered");
	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		expect(!bench_of(backend)->running[qi], "features change under a ring");
	return 0;
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

/* The memory is there, to its last byte. */
static int device_memory_changed(struct vhost_backend *backend)
{
	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		expect(!bench_of(backend)->running[qi], "memory changes under a ring");
	for (u32 i = 0; i < backend->mem.nr_regions; i++) {
		const struct gmem_region *region = &backend->mem.regions[i];
		u8 last;

		expect(gmem_read(&backend->mem, region->base_gpa + region->size_bytes - 1, &last,
				 1) == 0,
		       "a region without its end");
	}
	return 0;
}

/* Writes into the whole of the used ring. */
static int device_ring_start(struct vhost_backend *backend, u32 qi,
			     const struct vhost_backend_ring *ring, int kick_fd, int call_fd)
{
	struct bench *b = bench_of(backend);
	u8 *used = gmem_ptr(&backend->mem, ring->used_gpa, vhost_used_bytes(ring->size));

	expect(qi < NR_QUEUES && !b->running[qi], "a ring starts twice");
	expect(gmem_ptr(&backend->mem, ring->desc_gpa, vhost_desc_bytes(ring->size)) &&
		       gmem_ptr(&backend->mem, ring->avail_gpa, vhost_avail_bytes(ring->size)) &&
		       used,
	       "a ring outside of memory");
	expect(kick_fd < 0 || (fcntl(kick_fd, F_GETFL) & O_NONBLOCK), "a kick that blocks");
	expect(call_fd < 0 || fcntl(call_fd, F_GETFD) >= 0, "a call that is closed");
	memset(used, 0x5a, vhost_used_bytes(ring->size));
	b->running[qi] = ring->size % 8 != 3; /* some, a device does not like */
	return b->running[qi] ? 0 : -1;
}

static void device_ring_call(struct vhost_backend *backend, u32 qi, int call_fd)
{
	expect(qi < NR_QUEUES && bench_of(backend)->running[qi], "a call for a ring at rest");
	expect(call_fd < 0 || fcntl(call_fd, F_GETFD) >= 0, "a call that is closed");
}

static u16 device_ring_stop(struct vhost_backend *backend, u32 qi)
{
	expect(qi < NR_QUEUES && bench_of(backend)->running[qi], "a ring stops twice");
	bench_of(backend)->running[qi] = false;
	return (u16)qi;
}

static int device_config_read(struct vhost_backend *backend, u32 offset, u8 *dst, u32 len)
{
	(void)backend;
	memset(dst, 1, len);
	return offset > CONFIG_BYTES ? -1 : 0;
}

static int device_config_write(struct vhost_backend *backend, u32 offset, const u8 *src, u32 len)
{
	u8 copy[VHOST_CONFIG_BYTES_MAX];

	expect(len > 0 && len <= sizeof(copy), "a configuration space without bounds");
	memcpy(copy, src, len);
	vhost_backend_config_changed(backend);
	return offset > CONFIG_BYTES ? -1 : 0;
}

static void device_gone(struct vhost_backend *backend, const char *why)
{
	struct bench *b = bench_of(backend);

	(void)why;
	expect(!b->gone, "it is gone twice");
	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		expect(!b->running[qi], "a ring outlives its front-end");
	b->gone = true;
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

static void bench_open(struct bench *b)
{
	struct err e = { 0 };
	int ends[2];

	memset(b, 0, sizeof(*b));
	b->file_fd = memfd_create("fuzz", MFD_CLOEXEC);
	b->event_fd = eventfd(0, EFD_CLOEXEC);
	b->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	expect(ftruncate(b->file_fd, FILE_BYTES) == 0 && evl_create(&b->evl) == 0 &&
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
	       "no descriptors");
	b->front = ends[0];
	expect(vhost_backend_start(&b->backend, &device, &b->evl, &ends[1], &e) == 0, "no start");
}

static void bench_close(struct bench *b)
{
	vhost_backend_destroy(&b->backend);
	for (u32 qi = 0; qi < NR_QUEUES; qi++)
		expect(!b->running[qi], "a ring outlives its back-end");
	evl_destroy(&b->evl);
	fd_close(&b->front);
	fd_close(&b->file_fd);
	fd_close(&b->event_fd);
	fd_close(&b->null_fd);
}

/* Nothing is left to read, then. What the back-end answers is thrown away. */
static void bench_turn(struct bench *b)
{
	struct epoll_event event;
	u8 answers[4096];

	for (u32 i = 0; !b->gone && epoll_wait(b->evl.epoll_fd, &event, 1, 0) > 0; i++) {
		expect(i <= 64 * STEPS_MAX, "the loop spins");
		expect(evl_run_once(&b->evl, 0) == 0, "the loop fails");
		while (recv(b->front, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
	}
}

static void step_put_fds(const struct bench *b, const struct step *step, struct msghdr *msg,
			 struct cmsghdr *control)
{
	const int kinds[] = { b->file_fd, b->event_fd, b->null_fd, b->front };
	u32 nr = step->fds % 16, kind = step->fds / 16 % ARRAY_SIZE(kinds);

	if (nr == 0)
		return;
	*control = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				     .cmsg_type = SCM_RIGHTS,
				     .cmsg_len = CMSG_LEN(nr * sizeof(int)) };
	for (u32 i = 0; i < nr; i++)
		memcpy(CMSG_DATA(control) + i * sizeof(int), &kinds[kind], sizeof(int));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(nr * sizeof(int));
}

/* What does not fit into the socket is lost. */
static void step_send(const struct bench *b, const struct step *step, const u8 *payload, size_t len)
{
	_Alignas(struct cmsghdr) u8 control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct vhost_message m;
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m.header) + len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	vhost_message_init(&m, step->request, step->flags & VHOST_USER_NEED_REPLY, (u32)len);
	if (step->request == STEP_RAW)
		iov = (struct iovec){ .iov_base = &m.payload, .iov_len = len };
	memcpy(&m.payload, payload, len);
	if (iov.iov_len == 0)
		return;
	step_put_fds(b, step, &msg, (void *)control);
	sendmsg(b->front, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	struct step step;
	bool raw = false;

	bench_open(&b);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(step) && !b.gone; i++) {
		size_t len;

		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		len = MIN((size_t)step.len, size);
		step_send(&b, &step, data, len);
		/* The back-end would wait for the rest of what is no whole message. */
		raw |= step.request == STEP_RAW;
		if ((step.flags & STEP_TURN) && !raw)
			bench_turn(&b);
		data += len;
		size -= len;
	}
	shutdown(b.front, SHUT_WR);
	bench_turn(&b);
	expect(b.gone, "the end was not seen");
	bench_close(&b);
	return 0;
}
