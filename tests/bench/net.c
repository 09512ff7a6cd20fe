// SPDX-License-Identifier: BSD-3-Clause
// net ADDRESS: the guest's half of the network benchmark; net serve: the host's. A connection's first
// byte says what it is for: a byte that comes back at once, bytes to the host, bytes from it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "marks.h"

enum { PORT = 7000, NR_PINGS = 500, CHUNK_BYTES = 64 * 1024, NR_CHUNKS = 256 };

static char chunk[CHUNK_BYTES];

/* Return: whether all of `bytes` went by. */
static int receive(int fd, size_t bytes)
{
	ssize_t got = 1;

	for (; bytes > 0 && got > 0; bytes -= (size_t)got)
		got = read(fd, chunk, bytes < sizeof(chunk) ? bytes : sizeof(chunk));
	return bytes == 0;
}

static int send_chunks(int fd)
{
	int i = 0;

	while (i < NR_CHUNKS && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) == sizeof(chunk))
		i++;
	return i == NR_CHUNKS;
}

static void serve(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(bind(listener, (struct sockaddr *)&any, sizeof(any)) == 0 && listen(listener, 1) == 0,
	     "listen");
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char kind = 0, byte;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (read(fd, &kind, 1) == 1 && kind == 'p')
			while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
				;
		else if (kind == 't' && receive(fd, (size_t)NR_CHUNKS * CHUNK_BYTES))
			must(write(fd, &kind, 1) == 1, "answer");
		else if (kind == 'f')
			send_chunks(fd);
		close(fd);
	}
}

static int call(const char *address, char kind)
{
	struct sockaddr_in host = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	must(inet_pton(AF_INET, address, &host.sin_addr) == 1, address);
	must(connect(fd, (struct sockaddr *)&host, sizeof(host)) == 0, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	must(write(fd, &kind, 1) == 1, "send");
	return fd;
}

int main(int argc, char **argv)
{
	long long start_ns;
	char byte = 0;
	int fd;

	must(argc == 2, "usage: net ADDRESS | serve");
	if (strcmp(argv[1], "serve") == 0)
		serve();
	fd = call(argv[1], 'p');
	start_ns = mark("one byte there and back");
	for (int i = 0; i < NR_PINGS; i++)
		must(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1, "ping");
	took(start_ns, NR_PINGS);
	close(fd); /* the host serves one at a time */
	fd = call(argv[1], 't');
	start_ns = mark("64 KiB to the host");
	must(send_chunks(fd) && read(fd, &byte, 1) == 1, "to the host");
	took(start_ns, NR_CHUNKS);
	close(fd);
	start_ns = mark("64 KiB from the host");
	fd = call(argv[1], 'f');
	must(receive(fd, (size_t)NR_CHUNKS * CHUNK_BYTES), "from the host");
	took(start_ns, NR_CHUNKS);
	mark("end");
	return 0;
}
