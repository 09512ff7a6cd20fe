// SPDX-License-Identifier: BSD-3-Clause
// relay: carries a command's input, output and status to and from the host that kvm-host emulates.
//
// One program, two ends of one virtio-serial port:
//   relay run ...    on this machine: starts virtiofsd and QEMU, and stands for the command
//   relay serve ...  in the emulated host, as its process 1: runs the command
// Frames go both ways: one byte of type, three of zero, a little-endian 32-bit size, the payload.
// All buffers are bounded, and nothing is read that cannot be passed on: a command that does not
// read, or a terminal that does not take the output, stops the other side and loses nothing.

#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	BUF_BYTES = 64 * 1024,
	WRITE_MAX_BYTES = 4096, /* what a pipe that polls writable takes without blocking */
	CHILD_FD = 3,           /* what a child gets: virtiofsd its socket, QEMU the port */
	DRAIN_MS = 5000,        /* for killed processes to let go of the command's output */
	GROUPS_MAX = 64,        /* of the user who runs the command */
	TAIL_BYTES = 4096,      /* of the console's log, shown when the host fails */
	STATUS_TIMEOUT = 124,
	STATUS_HOST_FAILED = 125,
};

#define NS_PER_S UINT64_C(1000000000)

enum frame_type {
	FRAME_READY, /* serve: the host is up */
	FRAME_START, /* run: struct start */
	FRAME_IN,    /* run: bytes for the command's stdin; none means its end */
	FRAME_SIZE,  /* run: struct start again, the terminal's size changed */
	FRAME_OUT,   /* serve: bytes of the command's stdout, or of its terminal */
	FRAME_ERR,   /* serve: bytes of the command's stderr */
	FRAME_END,   /* serve: struct end */
	FRAME_TYPES,
};

struct frame_header {
	uint8_t type;
	uint8_t zero[3];
	uint32_t size_bytes;
};

struct start {
	uint64_t time_ns; /* since 1970, so that files made here are not from the future */
	uint16_t rows, cols;
	uint8_t tty;     /* stdin and stdout are a terminal */
	uint8_t tty_err; /* and so is stderr */
	uint8_t zero[2];
};

struct end {
	uint32_t status;
};

/* Bytes on their way; refilled at the end, and from the start once it is empty. */
struct buf {
	size_t head, tail;
	unsigned char data[BUF_BYTES];
};

/* One end of the port. Payloads of a type go to in[type]; a type without a buffer is a mistake. */
struct channel {
	int fd;
	struct frame_header header;
	size_t header_bytes;
	uint32_t left_bytes;
	struct buf *in[FRAME_TYPES];
	struct buf tx;
};

static bool buf_is_empty(const struct buf *b)
{
	return b->head == b->tail;
}

/* buf_fill: reads from @fd, at most @max bytes. Return: bytes, 0 at the end, -errno. */
static ssize_t buf_fill(struct buf *b, int fd, size_t max)
{
	ssize_t n;

	if (buf_is_empty(b))
		b->head = b->tail = 0;
	if (max > sizeof(b->data) - b->tail)
		max = sizeof(b->data) - b->tail;
	n = read(fd, b->data + b->tail, max);
	if (n < 0)
		return -errno;
	b->tail += n;
	return n;
}

/* buf_drain: writes to @fd what it takes, at most @max bytes. Return: 0 or -errno. */
static int buf_drain(struct buf *b, int fd, size_t max)
{
	size_t size = b->tail - b->head;
	ssize_t n;

	n = write(fd, b->data + b->head, size < max ? size : max);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	b->head += n;
	return 0;
}

/* channel_wants: can what the channel delivers next be put anywhere? */
static bool channel_wants(const struct channel *ch)
{
	const struct buf *b = ch->in[ch->header.type];

	return !ch->left_bytes || buf_is_empty(b) || b->tail < sizeof(b->data);
}

static int channel_read_header(struct channel *ch)
{
	unsigned char *p = (unsigned char *)&ch->header;
	ssize_t n;

	n = read(ch->fd, p + ch->header_bytes, sizeof(ch->header) - ch->header_bytes);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	ch->header_bytes += n;
	if (ch->header_bytes < sizeof(ch->header))
		return -EAGAIN;
	ch->left_bytes = le32toh(ch->header.size_bytes);
	if (ch->header.type >= FRAME_TYPES || (ch->left_bytes && !ch->in[ch->header.type]))
		return -EPROTO;
	return 0;
}

/* channel_receive: reads some. Return: 1 when a frame (ch->header) is there, 0 before, -errno. */
static int channel_receive(struct channel *ch)
{
	ssize_t n;
	int ret;

	if (ch->header_bytes < sizeof(ch->header)) {
		ret = channel_read_header(ch);
		if (ret)
			return ret == -EAGAIN || ret == -EINTR ? 0 : ret;
	}
	if (!channel_wants(ch))
		return 0;
	if (ch->left_bytes) {
		n = buf_fill(ch->in[ch->header.type], ch->fd, ch->left_bytes);
		if (n <= 0)
			return n == -EAGAIN || n == -EINTR ? 0 : n ? (int)n : -EPIPE;
		ch->left_bytes -= n;
	}
	if (ch->left_bytes)
		return 0;
	ch->header_bytes = 0;
	return 1;
}

/* channel_take: copies a control frame's payload out of its buffer. Return: 0 or -EPROTO. */
static int channel_take(struct channel *ch, enum frame_type type, void *dst, size_t size_bytes)
{
	struct buf *b = ch->in[type];

	if (b->tail - b->head != size_bytes)
		return -EPROTO;
	memcpy(dst, b->data + b->head, size_bytes);
	b->head = b->tail;
	return 0;
}

/* channel_queue: puts a frame into the empty tx buffer; @payload NULL: it is there already. */
static void channel_queue(struct channel *ch, enum frame_type type, const void *payload,
			  size_t size_bytes)
{
	struct frame_header h = { .type = type, .size_bytes = htole32(size_bytes) };

	memcpy(ch->tx.data, &h, sizeof(h));
	if (payload)
		memcpy(ch->tx.data + sizeof(h), payload, size_bytes);
	ch->tx.head = 0;
	ch->tx.tail = sizeof(h) + size_bytes;
}

/* channel_queue_from: fills the empty tx buffer from @fd. Return: bytes, 0 at the end, -errno. */
static ssize_t channel_queue_from(struct channel *ch, enum frame_type type, int fd)
{
	ssize_t n;

	n = read(fd, ch->tx.data + sizeof(struct frame_header),
		 sizeof(ch->tx.data) - sizeof(struct frame_header));
	if (n < 0)
		return -errno;
	if (n > 0)
		channel_queue(ch, type, NULL, n);
	return n;
}

/* channel_flush: waits until all of tx is on its way. Return: 0 or -errno. */
static int channel_flush(struct channel *ch)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLOUT };
	int ret = 0;

	while (!ret && !buf_is_empty(&ch->tx)) {
		poll(&p, 1, -1);
		ret = buf_drain(&ch->tx, ch->fd, sizeof(ch->tx.data));
	}
	return ret;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* until_ms: poll's time-out for @deadline_ms, where INT64_MAX is never. */
static int until_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - now_ms();

	if (deadline_ms == INT64_MAX)
		return -1;
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int open_signals(const int *signals, size_t count)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int usage(void)
{
	fprintf(stderr, "usage: relay run CONSOLE-LOG TIMEOUT-S BOOT-TIMEOUT-S FS-SOCKET "
			"VIRTIOFSD ARG... -- QEMU ARG...\n"
			"       relay serve PORT JOB-DIR\n");
	return 2;
}

/* ---- run: this machine's end ---- */

struct run {
	struct channel ch;
	struct buf out, err, control;
	pid_t fs_pid, qemu_pid;
	int signal_fd;
	const char *console_path;
	int64_t deadline_ms, boot_deadline_ms;
	bool tty, in_open, started, resized, ended;
	int status;
	struct termios tty_modes;
};

/* run_end: the only way out: no child is left, and the terminal is as it was. */
_Noreturn static void run_end(struct run *r, int status)
{
	if (r->qemu_pid > 0)
		kill(r->qemu_pid, SIGKILL);
	if (r->fs_pid > 0)
		kill(r->fs_pid, SIGKILL);
	while (wait(NULL) > 0)
		;
	if (r->tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &r->tty_modes);
	exit(status);
}

/* run_fail: ends with what the console last said. */
_Noreturn static void run_fail(struct run *r, const char *why)
{
	char tail[TAIL_BYTES];
	ssize_t n = 0;
	off_t size;
	int fd;

	fd = open(r->console_path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = lseek(fd, 0, SEEK_END);
		n = pread(fd, tail, sizeof(tail), size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	}
	if (r->tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &r->tty_modes);
	fprintf(stderr, "kvm-host: %s; its console's last words:\n", why);
	fwrite(tail, 1, n > 0 ? n : 0, stderr);
	fprintf(stderr, "%s\nkvm-host: %s\n", n > 0 ? "" : "(none)", why);
	run_end(r, STATUS_HOST_FAILED);
}

static const char *run_death(const struct run *r)
{
	return r->started ? "the emulated host ended before the command did"
			  : "the emulated host did not come up";
}

/* run_spawn: starts a program that ends with us, has @fd as CHILD_FD, and logs to the console's. */
static pid_t run_spawn(const struct run *r, char **argv, int fd)
{
	int null_fd, log_fd;
	sigset_t none;
	pid_t pid;

	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* the terminal's signals are for us */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_fd = open(r->console_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(null_fd, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	if (fd == CHILD_FD)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, CHILD_FD);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* run_start_fs: virtiofsd on a socket that listens already, so that QEMU may connect at once. */
static int run_start_fs(struct run *r, const char *socket_path, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		return -errno;
	r->fs_pid = run_spawn(r, argv, fd);
	close(fd);
	return r->fs_pid < 0 ? -errno : 0;
}

static int run_start_qemu(struct run *r, char **argv)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	r->qemu_pid = run_spawn(r, argv, pair[1]);
	close(pair[1]);
	r->ch.fd = pair[0];
	set_nonblocking(r->ch.fd);
	return r->qemu_pid < 0 ? -errno : 0;
}

static struct start run_terminal(const struct run *r)
{
	struct winsize size = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (r->tty)
		ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	return (struct start){ .time_ns = htole64(now.tv_sec * NS_PER_S + now.tv_nsec),
			       .rows = htole16(size.ws_row),
			       .cols = htole16(size.ws_col),
			       .tty = r->tty,
			       .tty_err = r->tty && isatty(STDERR_FILENO) };
}

static void run_handle_ready(struct run *r)
{
	struct start start = run_terminal(r);
	struct termios raw;

	if (r->tty) {
		raw = r->tty_modes;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	r->started = true;
	r->in_open = true;
	channel_queue(&r->ch, FRAME_START, &start, sizeof(start));
}

/* run_handle_end: the command has ended and all of its output is here, if not passed on yet. */
static void run_handle_end(struct run *r)
{
	struct end end = { 0 };

	if (channel_take(&r->ch, FRAME_END, &end, sizeof(end)))
		run_fail(r, "the emulated host sent what is no end");
	r->status = le32toh(end.status) & 255;
	r->in_open = false;
	r->ended = true;
}

static void run_handle_channel(struct run *r)
{
	int ret = channel_receive(&r->ch);

	if (ret < 0)
		run_fail(r, run_death(r));
	if (ret != 1)
		return;
	if (r->ch.header.type == FRAME_READY && !r->started)
		run_handle_ready(r);
	else if (r->ch.header.type == FRAME_END)
		run_handle_end(r);
}

static void run_handle_input(struct run *r)
{
	ssize_t n = channel_queue_from(&r->ch, FRAME_IN, STDIN_FILENO);

	if (n > 0 || n == -EAGAIN || n == -EINTR)
		return;
	if (r->tty)
		run_end(r, 128 + SIGHUP); /* the terminal went away */
	channel_queue(&r->ch, FRAME_IN, NULL, 0);
	r->in_open = false;
}

static void run_handle_signal(struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			r->resized = true;
		else if (info.ssi_signo != SIGCHLD)
			run_end(r, 128 + info.ssi_signo);
		else if (!r->ended)
			run_fail(r, (pid_t)info.ssi_pid == r->fs_pid ? "virtiofsd has ended"
								     : run_death(r));
	}
}

static void run_output(struct run *r, struct buf *b, int fd, const struct pollfd *p)
{
	if (p->revents && buf_drain(b, fd, WRITE_MAX_BYTES))
		run_end(r, 128 + SIGPIPE);
}

/* run_step: waits for one event and handles it. */
static void run_step(struct run *r)
{
	bool tx_idle = buf_is_empty(&r->ch.tx);
	int64_t deadline_ms = r->deadline_ms;
	struct start start;
	struct pollfd p[] = {
		{ .fd = r->signal_fd, .events = POLLIN },
		{ .fd = r->ended ? -1 : r->ch.fd,
		  .events = (channel_wants(&r->ch) ? POLLIN : 0) | (tx_idle ? 0 : POLLOUT) },
		{ .fd = r->in_open && tx_idle ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = buf_is_empty(&r->out) ? -1 : STDOUT_FILENO, .events = POLLOUT },
		{ .fd = buf_is_empty(&r->err) ? -1 : STDERR_FILENO, .events = POLLOUT },
	};

	if (!r->started && r->boot_deadline_ms < deadline_ms)
		deadline_ms = r->boot_deadline_ms;
	if (poll(p, sizeof(p) / sizeof(p[0]), until_ms(deadline_ms)) < 0 && errno != EINTR)
		run_fail(r, "poll failed");
	if (now_ms() >= r->deadline_ms) {
		fprintf(stderr, "kvm-host: time is up\n");
		run_end(r, STATUS_TIMEOUT);
	}
	if (now_ms() >= deadline_ms)
		run_fail(r, "the emulated host did not come up in time");
	run_handle_signal(r);
	run_output(r, &r->out, STDOUT_FILENO, &p[3]);
	run_output(r, &r->err, STDERR_FILENO, &p[4]);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR) && channel_wants(&r->ch))
		run_handle_channel(r);
	if (r->ended)
		return;
	if (!tx_idle && buf_drain(&r->ch.tx, r->ch.fd, BUF_BYTES))
		run_fail(r, run_death(r));
	if (tx_idle && buf_is_empty(&r->ch.tx) && r->started && r->resized) {
		r->resized = false;
		start = run_terminal(r);
		channel_queue(&r->ch, FRAME_SIZE, &start, sizeof(start));
	} else if (tx_idle && buf_is_empty(&r->ch.tx) && p[2].revents) {
		run_handle_input(r);
	}
}

/* run: relay run CONSOLE-LOG TIMEOUT-S BOOT-TIMEOUT-S FS-SOCKET VIRTIOFSD ARG... -- QEMU ARG... */
static int run(char **argv)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGCHLD };
	static struct run r;
	int64_t timeout_s = strtoll(argv[1], NULL, 10);
	char **qemu = argv + 4;
	int ret;

	while (*qemu && strcmp(*qemu, "--"))
		qemu++;
	if (!*qemu)
		return usage();
	*qemu++ = NULL;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	r.console_path = argv[0];
	r.deadline_ms = timeout_s ? now_ms() + timeout_s * 1000 : INT64_MAX;
	r.boot_deadline_ms = now_ms() + strtoll(argv[2], NULL, 10) * 1000;
	r.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
		tcgetpgrp(STDIN_FILENO) == getpgrp() && !tcgetattr(STDIN_FILENO, &r.tty_modes);
	r.ch.in[FRAME_OUT] = &r.out;
	r.ch.in[FRAME_ERR] = &r.err;
	r.ch.in[FRAME_END] = &r.control;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	r.signal_fd = open_signals(signals, sizeof(signals) / sizeof(signals[0]));
	ret = r.signal_fd < 0 ? -errno : run_start_fs(&r, argv[3], argv + 4);
	if (!ret)
		ret = run_start_qemu(&r, qemu);
	if (ret) {
		fprintf(stderr, "kvm-host: cannot start the emulated host: %s\n", strerror(-ret));
		run_end(&r, STATUS_HOST_FAILED);
	}
	while (!r.ended || !buf_is_empty(&r.out) || !buf_is_empty(&r.err))
		run_step(&r);
	run_end(&r, r.status);
}

/* ---- serve: the emulated host's end ---- */

struct serve {
	struct channel ch;
	struct buf in, control;
	struct start start;
	int signal_fd;
	int in_fd, out_fd, err_fd; /* our ends; with a terminal, the first two are its master */
	pid_t child;
	bool ended;
	int status;
	int64_t deadline_ms;
};

/* serve_fail: process 1 ends, so the kernel panics and its console tells why. */
_Noreturn static void serve_fail(const char *what)
{
	dprintf(STDERR_FILENO, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* read_words: the NUL-terminated words of the job's file @name, as a vector that ends with NULL. */
static char **read_words(const char *job, const char *name)
{
	char path[PATH_MAX], *text, **words;
	size_t count = 0, i;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", job, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		serve_fail(path);
	text = calloc(st.st_size + 1, 1);
	words = calloc(st.st_size + 1, sizeof(*words));
	if (!text || !words || read(fd, text, st.st_size) != st.st_size)
		serve_fail(path);
	close(fd);
	for (i = 0; i < (size_t)st.st_size; i += strlen(text + i) + 1)
		words[count++] = text + i;
	return words;
}

/* serve_become_user: the job's file user has the user's number, the group's, and all groups'. */
static int serve_become_user(const char *job, const int fd[3])
{
	char **word = read_words(job, "user");
	uid_t uid = strtoul(word[0], NULL, 10);
	gid_t groups[GROUPS_MAX];
	size_t count = 0;

	for (size_t i = 1; word[i] && count < GROUPS_MAX; i++)
		groups[count++] = strtoul(word[i], NULL, 10);
	for (int i = 0; i < 3; i++)
		if (fchown(fd[i], uid, -1))
			return -1;
	return setgroups(count, groups) || setgid(groups[0]) || setuid(uid);
}

_Noreturn static void serve_exec(const char *job, char **argv, char **env, const int fd[3],
				 bool tty)
{
	struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 }; /* a Debian host's */
	char **cwd = read_words(job, "cwd");
	sigset_t none;
	int status;

	setsid();
	if (tty)
		ioctl(fd[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		dup2(fd[i], i);
	setrlimit(RLIMIT_NOFILE, &files);
	if (serve_become_user(job, fd)) {
		dprintf(STDERR_FILENO, "kvm-host: cannot become your user: %s\n", strerror(errno));
		_exit(126);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir(cwd[0])) {
		dprintf(STDERR_FILENO, "kvm-host: %s: %s\n", cwd[0], strerror(errno));
		_exit(126);
	}
	environ = env;
	execvp(argv[0], argv);
	status = errno == ENOENT ? 127 : 126;
	dprintf(STDERR_FILENO, "kvm-host: %s: %s\n", argv[0], strerror(errno));
	_exit(status);
}

/* serve_open_tty: a terminal of the size told. Return: its slave; in_fd, out_fd are its master. */
static int serve_open_tty(struct serve *s)
{
	struct winsize size = { .ws_row = le16toh(s->start.rows),
				.ws_col = le16toh(s->start.cols) };

	s->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	s->out_fd = fcntl(s->in_fd, F_DUPFD_CLOEXEC, 0);
	if (s->out_fd < 0 || grantpt(s->in_fd) || unlockpt(s->in_fd))
		return -1;
	ioctl(s->in_fd, TIOCSWINSZ, &size);
	return open(ptsname(s->in_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static void serve_set_clock(const struct serve *s)
{
	uint64_t ns = le64toh(s->start.time_ns);
	struct timespec now = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	clock_settime(CLOCK_REALTIME, &now);
}

/* serve_start: starts the command of the job with a terminal or pipes. */
static void serve_start(struct serve *s, const char *job)
{
	char **argv = read_words(job, "argv"), **env = read_words(job, "env");
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int slave = -1, fd[3];

	s->err_fd = -1;
	if (s->start.tty) {
		slave = serve_open_tty(s);
	} else if (!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC)) {
		s->in_fd = in[1];
		s->out_fd = out[0];
	}
	if (!s->start.tty_err && !pipe2(err, O_CLOEXEC))
		s->err_fd = err[0];
	fd[0] = s->start.tty ? slave : in[0];
	fd[1] = s->start.tty ? slave : out[1];
	fd[2] = s->start.tty_err ? slave : err[1];
	s->child = fork();
	if (!s->child)
		serve_exec(job, argv, env, fd, s->start.tty);
	close(slave);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	set_nonblocking(s->in_fd);
}

/* serve_reap: collects the dead; with the command, everything else it left has to go. */
static void serve_reap(struct serve *s)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != s->child)
			continue;
		s->ended = true;
		s->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		s->deadline_ms = now_ms() + DRAIN_MS;
		kill(-1, SIGKILL);
	}
}

static void serve_handle_frame(struct serve *s)
{
	struct winsize size = { 0 };

	if (s->ch.header.type == FRAME_IN && !le32toh(s->ch.header.size_bytes)) {
		close(s->in_fd);
		s->in_fd = -1;
	} else if (s->ch.header.type == FRAME_SIZE &&
		   !channel_take(&s->ch, FRAME_SIZE, &s->start, sizeof(s->start))) {
		size.ws_row = le16toh(s->start.rows);
		size.ws_col = le16toh(s->start.cols);
		ioctl(s->in_fd, TIOCSWINSZ, &size);
	}
}

/* serve_output: passes on what the command wrote; at the end closes the descriptor. */
static void serve_output(struct serve *s, enum frame_type type, int *fd)
{
	ssize_t n = channel_queue_from(&s->ch, type, *fd);

	if (n > 0 || n == -EAGAIN || n == -EINTR)
		return;
	close(*fd);
	*fd = -1;
}

/* serve_step: waits for one event and handles it. */
static void serve_step(struct serve *s)
{
	bool tx_idle = buf_is_empty(&s->ch.tx), in_idle = buf_is_empty(&s->in);
	bool listen = !s->ended && s->in_fd >= 0 && in_idle;
	struct pollfd p[] = {
		{ .fd = s->signal_fd, .events = POLLIN },
		{ .fd = listen || !tx_idle ? s->ch.fd : -1,
		  .events = (listen ? POLLIN : 0) | (tx_idle ? 0 : POLLOUT) },
		{ .fd = in_idle ? -1 : s->in_fd, .events = POLLOUT },
		{ .fd = tx_idle ? s->out_fd : -1, .events = POLLIN },
		{ .fd = tx_idle ? s->err_fd : -1, .events = POLLIN },
	};

	poll(p, sizeof(p) / sizeof(p[0]), s->ended ? until_ms(s->deadline_ms) : -1);
	serve_reap(s);
	if (!tx_idle)
		buf_drain(&s->ch.tx, s->ch.fd, BUF_BYTES);
	if (listen && p[1].revents & POLLIN && channel_receive(&s->ch) == 1)
		serve_handle_frame(s);
	if (p[2].revents && buf_drain(&s->in, s->in_fd, BUF_BYTES)) {
		close(s->in_fd); /* the command closed its stdin: nothing more is wanted */
		s->in_fd = -1;
	}
	if (p[3].revents && buf_is_empty(&s->ch.tx))
		serve_output(s, FRAME_OUT, &s->out_fd);
	if (p[4].revents && buf_is_empty(&s->ch.tx))
		serve_output(s, FRAME_ERR, &s->err_fd);
}

/* serve: relay serve PORT JOB-DIR; process 1, so it never returns. */
static int serve(char **argv)
{
	static const int signals[] = { SIGCHLD };
	static struct serve s;
	struct end end;

	s.ch.fd = open(argv[0], O_RDWR | O_CLOEXEC);
	if (s.ch.fd < 0)
		serve_fail(argv[0]);
	s.ch.in[FRAME_IN] = &s.in;
	s.ch.in[FRAME_START] = &s.control;
	s.ch.in[FRAME_SIZE] = &s.control;
	signal(SIGPIPE, SIG_IGN);
	s.signal_fd = open_signals(signals, 1);
	channel_queue(&s.ch, FRAME_READY, NULL, 0);
	channel_flush(&s.ch);
	while (channel_receive(&s.ch) != 1)
		;
	if (channel_take(&s.ch, FRAME_START, &s.start, sizeof(s.start)))
		return 1;
	set_nonblocking(s.ch.fd);
	serve_set_clock(&s);
	serve_start(&s, argv[1]);
	while (!s.ended || ((s.out_fd >= 0 || s.err_fd >= 0) && now_ms() < s.deadline_ms) ||
	       !buf_is_empty(&s.ch.tx))
		serve_step(&s);
	sync();
	end.status = htole32(s.status);
	channel_queue(&s.ch, FRAME_END, &end, sizeof(end));
	channel_flush(&s.ch);
	for (;;)
		pause(); /* the other end switches the machine off */
}

int main(int argc, char **argv)
{
	while (open("/dev/null", O_RDWR | O_CLOEXEC) <= STDERR_FILENO)
		; /* a standard descriptor that was closed stays out of use */
	if (argc > 6 && !strcmp(argv[1], "run"))
		return run(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv + 2);
	return usage();
}
