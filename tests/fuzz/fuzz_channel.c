// SPDX-License-Identifier: BSD-3-Clause
// Fuzz target: what a vm process or a device that was taken over may say to the supervisor.
// test-sources: src/jail/channel.c src/ctl/grants.c src/ctl/member.c src/ctl/terminal.c src/ctl/user.c src/dev/dev_class.c src/evl/evl.c src/jail/policy.c src/jail/spawn.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c policies
#include <sys/mman.h>

#include "ctl/supervisor.c"
#include "util/bytes.h"

enum { STEPS_MAX = 512, LINE_BYTES_MAX = 1024 };

/* One datagram, as the fuzzer's input spells it; its bytes follow. */
struct step {
	u8 kind; /* from KIND_RAW on bytes as they come, below a message of that type */
	u8 len;
	le32 code;
};

enum { KIND_RAW = 0x80, KIND_HANG_UP = 0xff, RAW_FACTOR = 5 };

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The machine of this target has no serial port; nobody asks. */
bool plan_stdin_line(struct plan *plan, struct plan_line *line)
{
	(void)plan;
	(void)line;
	return false;
}

static void expect(bool holds, const char *what);

/* A device that may ask for even numbers. */
static int grant_even(const void *cfg, u32 what)
{
	(void)cfg;
	return what % 2 ? -EACCES : memfd_create("granted", MFD_CLOEXEC);
}

static const struct vdev_class asker = { .name = "virtio-asker", .grant = grant_even };
static const struct plan_vdev planned_asker = { .cls = &asker };

/* The device reads its answers: descriptors come with the asks that were granted, and no others. */
static void take_answers(int fd)
{
	struct message message;
	int passed_fd;

	while (channel_receive_fd(fd, &message, &passed_fd) == 1) {
		expect(message.type == MESSAGE_GRANT, "an answer that is none");
		expect((message.code == 0) == (passed_fd >= 0), "a wrong descriptor");
		fd_close(&passed_fd);
	}
}

static void expect(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fuzz_channel: %s\n", what);
		abort();
	}
}

/* What reaches the user's terminal. */
static void check_text(const char *text, size_t size_max)
{
	size_t len = strnlen(text, size_max);

	expect(len < size_max, "a text without an end");
	for (size_t i = 0; i < len; i++)
		expect(text[i] >= ' ' && text[i] <= '~', "a text that steers the terminal");
}

static void check_line(enum log_level level, const char *line, void *opaque)
{
	(void)opaque;
	expect(level >= LOG_ERR && level <= LOG_DEBUG, "a level that is none");
	check_text(line, LINE_BYTES_MAX);
}

/* Return: how many bytes of the input were used; what does not fit into the socket is lost. */
static size_t send_step(int fd, const struct step *step, const u8 *data, size_t size)
{
	struct message message = { .type = step->kind, .code = (s32)le32_get(step->code) };
	size_t len = MIN((size_t)step->len * RAW_FACTOR, size);

	if (step->kind >= KIND_RAW) {
		send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		return len;
	}
	memcpy(message.text, data, MIN(len, sizeof(message.text)));
	send(fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
	return len;
}

/* A supervisor with one process to listen to: the vm process, or a device's. */
static struct member *supervisor_open(struct supervisor *sup, int channel_fd, bool is_device)
{
	struct member *member = is_device ? &sup->devices[0] : &sup->vm;

	memset(sup, 0, sizeof(*sup));
	sup->input.pipe_fd = -1;
	member_init(&sup->vm, sup, NULL);
	member_init(member, sup, is_device ? "virtio-asker.0" : NULL);
	member->planned = is_device ? &planned_asker : NULL;
	member->channel_fd = channel_fd;
	expect(evl_create(&sup->evl) == 0 && evl_add(&sup->evl, &member->channel_source, channel_fd,
						     EPOLLIN, channel_ready) == 0,
	       "no event loop");
	return member;
}

/* Everything that was sent is read, one message a turn; then the loop has nothing to do. */
static void supervisor_listen(struct supervisor *sup)
{
	struct epoll_event event;

	for (u32 i = 0; i <= 2 * STEPS_MAX; i++) {
		if (epoll_wait(sup->evl.epoll_fd, &event, 1, 0) == 0)
			return;
		expect(evl_run_once(&sup->evl, 0) == 0, "the loop fails");
	}
	expect(false, "the loop spins");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct supervisor sup;
	struct member *member;
	struct step step;
	size_t len;
	int ends[2];

	log_set_sink(check_line, NULL);
	log_set_level(LOG_DEBUG);
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "no socket");
	member = supervisor_open(&sup, ends[0], size % 2);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		if (step.kind == KIND_HANG_UP)
			shutdown(ends[1], SHUT_WR);
		if (step.code.raw % 4 == 3)
			supervisor_listen(&sup);
		if (step.code.raw % 8 == 7)
			take_answers(ends[1]);
		len = send_step(ends[1], &step, data, size);
		data += len;
		size -= len;
	}
	fd_close(&ends[1]);
	supervisor_listen(&sup);
	expect(member->channel_source.fd < 0, "the end was not seen");
	check_text(sup.reason, sizeof(sup.reason));
	check_text(member->reason, sizeof(member->reason));
	evl_destroy(&sup.evl);
	fd_close(&ends[0]);
	return 0;
}
