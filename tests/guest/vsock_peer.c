// SPDX-License-Identifier: BSD-3-Clause
// In a guest: the other end of the connections that tests/boot/vsock.t makes and takes.
//
//	vsock_peer echo PORT          sends back what it reads, on any number of connections
//	vsock_peer call PORT COUNT    the same on COUNT connections to the host's PORT, then ends
//	vsock_peer late PORT          sends back what it read once nothing more comes
//	vsock_peer first PORT BYTES   sends, says that it will send no more, then reads to the end
//	vsock_peer stall PORT         reads nothing before somebody connects to PORT + 1
//
// The last two answer with a line "COUNT SUM" of what they read.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	AF_VSOCK_NUMBER = 40, /* musl has it only in newer versions */
	CONNS_MAX = 512,
	BUFFER_BYTES = 1 << 20,
	ECHO_BYTES = 8192,
};

/* <linux/vm_sockets.h>, which musl does not bring */
struct vm_address {
	sa_family_t family;
	uint16_t reserved;
	uint32_t port, cid;
	uint8_t zero[4];
};

struct conn {
	int fd; /* -1: unused */
	uint32_t at, len;
	int ended; /* nothing more comes */
	uint8_t bytes[ECHO_BYTES];
};

static struct conn conns[CONNS_MAX];

static void fail(const char *what)
{
	printf("vsock_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int vsock_socket(void)
{
	int fd = socket(AF_VSOCK_NUMBER, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int vsock_listen(uint32_t port)
{
	struct vm_address address = { .family = AF_VSOCK_NUMBER, .port = port, .cid = UINT32_MAX };
	int fd = vsock_socket();

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
		fail("listen");
	printf("peer listens at %u\n", port);
	fflush(stdout);
	return fd;
}

static int vsock_connect(uint32_t port)
{
	struct vm_address address = { .family = AF_VSOCK_NUMBER, .port = port, .cid = 2 };
	int fd = vsock_socket();

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

static int vsock_accept(int listen_fd)
{
	int fd = accept(listen_fd, NULL, NULL);

	if (fd < 0)
		fail("accept");
	return fd;
}

static void write_all(int fd, const void *bytes, size_t len)
{
	for (const char *at = bytes; len > 0;) {
		ssize_t put = write(fd, at, len);

		if (put < 0)
			fail("write");
		at += put;
		len -= (size_t)put;
	}
}

/* --- Many at once ----------------------------------------------------------------------------- */

static void conn_begin(int fd)
{
	for (int i = 0; i < CONNS_MAX; i++) {
		if (conns[i].fd >= 0)
			continue;
		conns[i] = (struct conn){ .fd = fd };
		fcntl(fd, F_SETFL, O_NONBLOCK);
		return;
	}
	close(fd);
}

static void conn_end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
}

/* Who hangs up in the middle loses its own bytes. */
static void conn_move(struct conn *c)
{
	ssize_t moved;

	if (c->at == c->len && !c->ended) {
		moved = read(c->fd, c->bytes, sizeof(c->bytes));
		c->at = 0;
		c->len = moved > 0 ? (uint32_t)moved : 0;
		c->ended = moved == 0 || (moved < 0 && errno != EAGAIN);
	}
	if (c->at < c->len) {
		moved = write(c->fd, c->bytes + c->at, c->len - c->at);
		if (moved > 0)
			c->at += (uint32_t)moved;
		else if (moved < 0 && errno != EAGAIN)
			c->at = c->len = c->ended = 1;
	}
	if (c->ended && c->at == c->len)
		conn_end(c);
}

/* Until no connection is left, if none can come from `listen_fd`. */
static void echo(int listen_fd)
{
	struct pollfd fds[CONNS_MAX + 1];
	struct conn *of[CONNS_MAX + 1];

	for (;;) {
		nfds_t nr = 0;

		if (listen_fd >= 0)
			fds[nr++] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
		for (int i = 0; i < CONNS_MAX; i++) {
			if (conns[i].fd < 0)
				continue;
			of[nr] = &conns[i];
			fds[nr++] = (struct pollfd){
				.fd = conns[i].fd,
				.events = conns[i].at < conns[i].len ? POLLOUT : POLLIN,
			};
		}
		if (nr == 0)
			return;
		if (poll(fds, nr, -1) < 0)
			fail("poll");
		for (nfds_t i = 0; i < nr; i++) {
			if (!fds[i].revents)
				continue;
			if (fds[i].fd == listen_fd)
				conn_begin(vsock_accept(listen_fd));
			else
				conn_move(of[i]);
		}
	}
}

static void call(uint32_t port, int count)
{
	for (int i = 0; i < count; i++)
		conn_begin(vsock_connect(port));
	echo(-1);
	printf("peer has no calls left\n");
}

/* --- One after the other ---------------------------------------------------------------------- */

static void late(uint32_t port)
{
	static uint8_t bytes[BUFFER_BYTES];
	int listen_fd = vsock_listen(port);

	for (;;) {
		int fd = vsock_accept(listen_fd);
		size_t len = 0;
		ssize_t got;

		while ((got = read(fd, bytes + len, sizeof(bytes) - len)) > 0)
			len += (size_t)got;
		write_all(fd, bytes, len);
		close(fd);
	}
}

/* Read to the end and answer with how much it was, and its sum. */
static void account(int fd, int answer_fd)
{
	uint8_t bytes[ECHO_BYTES];
	uint32_t count = 0, sum = 0;
	char line[32];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			sum += bytes[i];
		count += (uint32_t)got;
	}
	snprintf(line, sizeof(line), "%u %u\n", count, sum);
	write_all(answer_fd, line, strlen(line));
}

static void first(uint32_t port, size_t len)
{
	int fd = vsock_connect(port);
	uint8_t *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	write_all(fd, bytes, len);
	free(bytes);
	shutdown(fd, SHUT_WR);
	printf("peer has read ");
	fflush(stdout);
	account(fd, STDOUT_FILENO);
	close(fd);
}

static void stall(uint32_t port)
{
	int listen_fd = vsock_listen(port), go_fd = vsock_listen(port + 1);

	for (;;) {
		int fd = vsock_accept(listen_fd);

		close(vsock_accept(go_fd));
		account(fd, fd);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint32_t port = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;
	int number = argc > 3 ? atoi(argv[3]) : 0;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < CONNS_MAX; i++)
		conns[i].fd = -1;
	if (strcmp(what, "echo") == 0)
		echo(vsock_listen(port));
	else if (strcmp(what, "call") == 0)
		call(port, number);
	else if (strcmp(what, "late") == 0)
		late(port);
	else if (strcmp(what, "first") == 0)
		first(port, (size_t)number);
	else if (strcmp(what, "stall") == 0)
		stall(port);
	else
		return 2;
	return 0;
}
