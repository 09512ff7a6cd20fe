// SPDX-License-Identifier: BSD-3-Clause
// Errors with words: set where it happens, given context on the way up, printed once.
#pragma once

#include "util/types.h"

enum { ERR_TEXT_BYTES = 512 };

struct err {
	int code; /* -errno, 0 while nothing went wrong */
	char text[ERR_TEXT_BYTES];
};

/*
 * err_set - record `code` (-errno) and the text, which names value, limit and way out.
 * Replaces what was there. Return: code. Context: any.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* err_errno - err_set with ": " and the words of errno value `code` appended. Return: code. */
int err_errno(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* err_prefix - put "context: " before the text recorded so far. Return: e->code. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
