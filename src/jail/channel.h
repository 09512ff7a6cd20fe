// SPDX-License-Identifier: BSD-3-Clause
// What the supervisor and its processes say to each other: one SOCK_SEQPACKET message at a time.
#pragma once

#include "util/types.h"

enum message_type {
	/* supervisor to vm; a process's setup is its first message and has no header */
	MESSAGE_STOP = 1,
	MESSAGE_BREAK,        /* on the console's line */
	MESSAGE_POWER_BUTTON, /* pressed once */
	/* supervisor to a device, and it to the supervisor: its answer has the ask's cookie */
	MESSAGE_GRANT, /* code: 0, with a descriptor, or -errno */
	MESSAGE_ASK,   /* for a descriptor; code: which, as its class counts them */
	/* a process to the supervisor */
	MESSAGE_READY,  /* jailed, filtered, about to see the guest's first byte */
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
 * channel_ask - ask for descriptor `what`. channel_grant - the answer: `passed_fd` (borrowed), or -1
 * and why not. Both like channel_send. Context: worker; supervisor.
 */
int channel_ask(int fd, u32 what, u32 cookie);
int channel_grant(int fd, u32 cookie, int code, int passed_fd);

/*
 * channel_receive_fd - like channel_receive with MSG_DONTWAIT, and the descriptor that came with the
 * message in *passed_fd, the caller's now; -1 for none. Context: worker.
 */
int channel_receive_fd(int fd, struct message *message, int *passed_fd);
