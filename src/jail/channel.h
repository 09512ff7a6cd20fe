// SPDX-License-Identifier: BSD-3-Clause
// What the supervisor and its processes say to each other: one SOCK_SEQPACKET message at a time.
#pragma once

#include "util/types.h"

enum message_type {
	/* supervisor to a process, whose setup is its first message and has no header. To vm: */
	MESSAGE_STOP = 1,
	MESSAGE_BREAK,        /* on the console's line */
	MESSAGE_POWER_BUTTON, /* pressed once */
	/* to a device */
	MESSAGE_TERMINAL_SIZE, /* code: rows << 16 | columns of the terminal its line leads to */
	/* a process to the supervisor */
	MESSAGE_READY,  /* jailed, filtered, about to see the guest's first byte */
	MESSAGE_LOG,    /* code: enum log_level */
	MESSAGE_ENDED,  /* code: the exit code; text: why */
	MESSAGE_DENIED, /* code: system call number; text: the policy's name */
};

struct message {
	u32 type;
	s32 code;
	char text[504];
};

/*
 * channel_send - one message; `text` may be NULL. Does not block and does not raise SIGPIPE.
 * Return: 0, -EAGAIN (the other side does not read), -EPIPE. Context: any thread.
 */
int channel_send(int fd, enum message_type type, s32 code, const char *text);

/*
 * channel_receive - one message, text terminated and printable. Return: 1, 0 at the end (the other
 * side is gone), -EAGAIN when `flags` has MSG_DONTWAIT, or -EPROTO for anything that is not a
 * message. Context: any thread.
 */
int channel_receive(int fd, struct message *message, int flags);
