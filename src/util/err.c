// SPDX-License-Identifier: BSD-3-Clause
// Errors with words.
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list args;

	e->code = code;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list args;
	size_t used;

	e->code = code;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(-code));
	return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char below[ERR_TEXT_BYTES];
	va_list args;
	size_t used;

	memcpy(below, e->text, sizeof(below));
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s", below);
	return e->code;
}
