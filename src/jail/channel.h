// SPDX-License-Identifier: BSD-3-Clause
// What the supervisor and its processes say to each other: one SOCK_SEQPACKET message at a time.
#pragma once

#include "util/types.h"

enum message_type {
	/* supervisor to a process, whose setup is its first message and has no header. To vm: */
	MESSAGE_STOP = 1,
	MESSAGE_BREAK,        /* on the console's line */
	MESSAGE_POWER_BUTTON, /* pressed once */
	MESSAGE_FRONT_END,    /* with a descriptor, for a device that serves one after another */
	/* to a device */
	MESSAGE_GRANT, /* to its ask, with its cookie; code: 0, with a descriptor, or -errno */
	MESSAGE_TERMINAL_SIZE, /* code: rows << 16 | columns of the terminal its line leads to */
	/* a process to the supervisor */
	/* jailed, filtered, about to see the guest's first byte; again, when it may get the next
	 * front-end */
	MESSAGE_READY,
	MESSAGE_ASK,    /* for a descriptor; code: which, as its class counts them */
	MESSAGE_LOG,    /* code: enum log_level */
	MESSAGE_ENDED,  /* code: the exit code; text: why */
	MESSAGE_DENIED, /* code: system call number; text: the policy's name */
};

struct message {
	u32 type;
	s32 code;
	u32 cookie;
	char text[500];
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

/*
 * channel_send_fd - a message without text that brings a copy of `passed_fd` along.
 * Return: as channel_send.
 */
int channel_send_fd(int fd, enum message_type type, int passed_fd);

/*
 * channel_ask - ask for descriptor `what`. channel_grant - the answer: `passed_fd` (borrowed), or -1
 * and why not. Both like channel_send. Context: worker; supervisor.
 */
int channel_ask(int fd, u32 what, u32 cookie);
int channel_grant(int fd, u32 cookie, int code, int passed_fd);

/*
 * channel_receive_fd - channel_receive, at once, with the one descriptor that may have come along in
 * *passed_fd, the caller's and close-on-exec; -1 for none. Return: as channel_receive.
 */
int channel_receive_fd(int fd, struct message *message, int *passed_fd);
