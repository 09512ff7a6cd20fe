// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: what a hostile vhost-user back-end may answer to a front-end, and tell of itself.
// test-sources: src/vhost/vhost_frontend.c src/vhost/vhost_message.c src/mem/guest_mem.c src/evl/evl.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "vhost/vhost_frontend.h"
#include "vhost/vhost_message.h"

enum { STEPS_MAX = 64, VERBS_MAX = 32, PAGE = 4096 };

/* One message, as the fuzzer's input spells it; `len` bytes of payload follow. */
struct step {
	u8 request; /* STEP_RAW: the bytes are the message's, header and all */
	u8 flags;   /* of the header; STEP_NEWS: over the channel */
	u8 nr_fds;
	u8 len;
};

enum { STEP_RAW = 0xff, STEP_NEWS = 0x80 };

struct bench {
	struct vhost_frontend f;
	struct gmem mem;
	int back, news[2]; /* the back-end's ends; news[1] is the front-end's */
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void expect(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fuzz_vhost_frontend: %s\n", what);
		abort();
	}
}

/* What does not fit into the socket is lost. */
static void step_send(const struct bench *b, const struct step *step, const u8 *payload, size_t len)
{
	int fd = step->flags & STEP_NEWS ? b->news[0] : b->back;
	struct vhost_message m;

	vhost_message_init(&m, step->request, step->flags & ~(u32)STEP_NEWS, (u32)len);
	memcpy(&m.payload, payload, len);
	while (m.nr_fds < step->nr_fds % (VHOST_FDS_MAX + 1))
		m.fds[m.nr_fds++] = b->back;
	if (step->request == STEP_RAW)
		send(fd, payload, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		vhost_message_send(fd, &m, 0);
}

/* All answers lie ready before the first question; then comes the end, not silence. */
static void bench_open(struct bench *b, const u8 **data, size_t *size)
{
	static const struct gmem_range range = { .base_gpa = 0, .size_bytes = 4 * PAGE };
	struct err e = { 0 };
	struct step step;
	int ends[2];

	memset(b, 0, sizeof(*b));
	expect(gmem_create(&b->mem, GMEM_SHARED, &range, 1, &e) == 0 &&
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 &&
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->news) == 0,
	       "no descriptors");
	b->back = ends[1];
	for (u32 i = 0; i < STEPS_MAX && *size >= sizeof(step); i++) {
		size_t len;

		memcpy(&step, *data, sizeof(step));
		len = MIN((size_t)step.len, *size - sizeof(step));
		step_send(b, &step, *data + sizeof(step), len);
		*data += sizeof(step) + len;
		*size -= sizeof(step) + len;
	}
	shutdown(b->back, SHUT_WR);
	shutdown(b->news[0], SHUT_WR);
	b->f.fd = ends[0];
}

static void bench_close(struct bench *b)
{
	vhost_frontend_destroy(&b->f);
	gmem_destroy(&b->mem);
	fd_close(&b->back);
	fd_close(&b->news[0]);
	fd_close(&b->news[1]);
}

static int run_config(struct vhost_frontend *f, u32 n, struct err *e)
{
	u8 bytes[VHOST_CONFIG_BYTES_MAX];
	u32 len = n % 3 ? n % 61 : VHOST_CONFIG_BYTES_MAX;

	memset(bytes, 0, sizeof(bytes));
	if (n & 1)
		return vhost_frontend_get_config(f, n % 7, bytes, len, e);
	return vhost_frontend_set_config(f, n % 7, bytes, len, e);
}

/* The n-th thing a machine asks for. */
static int run_verb(struct bench *b, u32 n, struct err *e)
{
	const struct vhost_ring ring = { .size = 16,
					 .desc_gpa = 0,
					 .avail_gpa = PAGE,
					 .used_gpa = 2 * PAGE,
					 .kick_fd = b->back,
					 .call_fd = -1 };
	u16 base;

	switch (n % 6) {
	case 0:
		return vhost_frontend_set_features(&b->f, b->f.features, e);
	case 1:
		return vhost_frontend_set_memory(&b->f, &b->mem, e);
	case 2:
		return vhost_frontend_start_ring(&b->f, n / 6, &ring, &b->mem, e);
	case 3:
		return vhost_frontend_set_call(&b->f, n / 6, b->back, e);
	case 4:
		return vhost_frontend_stop_ring(&b->f, n / 6, &base, e);
	default:
		return run_config(&b->f, n, e);
	}
}

/* What the header promises of a verb's result. */
static void check_status(const struct vhost_frontend *f, int status, const struct err *e)
{
	expect(status <= 0, "a status that is none");
	if (status == 0)
		return;
	expect(e->code == status && e->text[0], "an error without words");
	expect(f->dead || status == -EREMOTEIO || status == -EINVAL, "an error that is not final");
	expect(status != -ETIMEDOUT, "an end taken for silence");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	enum vhost_news news = VHOST_NEWS_NONE;
	int fd, status;

	bench_open(&b, &data, &size);
	fd = b.f.fd;
	for (u32 n = 0; n < VERBS_MAX; n++) {
		struct err e = { 0 };

		status = n == 0 ? vhost_frontend_start(&b.f, &fd, &e) : run_verb(&b, n - 1, &e);
		check_status(&b.f, status, &e);
		expect(!(b.f.features & VHOST_USER_F_PROTOCOL_FEATURES), "a bit of the protocol's");
		if (b.f.dead)
			break;
	}
	fd_close(&b.f.channel_fd);
	b.f.channel_fd = fd_take(&b.news[1]);
	for (u32 i = 0; i <= STEPS_MAX * 32 && news != VHOST_NEWS_GONE; i++)
		news = vhost_frontend_news(&b.f);
	expect(news == VHOST_NEWS_GONE, "the end of the news was not seen");
	bench_close(&b);
	return 0;
}
