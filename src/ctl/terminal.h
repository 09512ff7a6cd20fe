// SPDX-License-Identifier: BSD-3-Clause
// The user's terminal: raw while the guest has it, restored on every way out, with an escape key.
#pragma once

#include "util/types.h"

/* terminal_raw - raw mode on standard input if it is a terminal. Return: whether it is one now. */
bool terminal_raw(void);

/*
 * terminal_restore - the mode before terminal_raw; does nothing twice. Context: any, also a signal
 * handler.
 */
void terminal_restore(void);

enum terminal_key {
	TERMINAL_KEY_NONE,  /* the byte is swallowed: first half of an escape */
	TERMINAL_KEY_BYTE,  /* pass *byte on */
	TERMINAL_KEY_QUIT,  /* Ctrl-a x */
	TERMINAL_KEY_BREAK, /* Ctrl-a c */
	TERMINAL_KEY_POWER, /* Ctrl-a p */
	TERMINAL_KEY_HELP,  /* Ctrl-a h, or anything unknown */
};

/* What came before: zero at the start. */
struct terminal_keys {
	bool escaped;
};

/* terminal_key - take one typed byte; Ctrl-a twice passes one Ctrl-a on. */
enum terminal_key terminal_key(struct terminal_keys *keys, u8 *byte);

extern const char terminal_help[];
