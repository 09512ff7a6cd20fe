// SPDX-License-Identifier: BSD-3-Clause
// What supervisor and vm process say to each other.
#include "jail/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int channel_send(int fd, enum message_type type, s32 code, const char *text)
{
	struct message message = { .type = type, .code = code };
	ssize_t sent;

	if (text)
		snprintf(message.text, sizeof(message.text), "%s", text);
	do {
		sent = send(fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* The other side may have been taken over: what it says must not steer the user's terminal. */
static void text_make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int channel_receive(int fd, struct message *message, int flags)
{
	ssize_t got;

	/* What the other side said before its end comes after the news that it ended unheard. */
	do {
		got = recv(fd, message, sizeof(*message), flags | MSG_TRUNC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	if (got == 0)
		return 0;
	if (got != (ssize_t)sizeof(*message))
		return -EPROTO;
	text_make_printable(message->text, sizeof(message->text));
	return 1;
}
