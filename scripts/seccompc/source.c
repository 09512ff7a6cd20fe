// SPDX-License-Identifier: BSD-3-Clause
// seccompc: messages, texts, output.
#include "seccompc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void die_at(const struct pos *pos, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%u: ", pos->file, pos->line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void die(const char *fmt, ...)
{
	va_list args;

	fputs("seccompc: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *list_room(void *items, size_t nr, size_t item_bytes)
{
	if (nr & (nr - 1)) /* lists grow when full: at the powers of two, and at 0 */
		return items;
	items = reallocarray(items, nr ? nr * 2 : 1, item_bytes);
	if (!items)
		die("out of memory");
	return items;
}

static char *text_format_list(const char *fmt, va_list args)
{
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		die("out of memory");
	return text;
}

char *text_format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = text_format_list(fmt, args);
	va_end(args);
	return text;
}

void text_append(char **text, const char *fmt, ...)
{
	va_list args;
	char *tail, *whole;

	va_start(args, fmt);
	tail = text_format_list(fmt, args);
	va_end(args);
	whole = text_format("%s%s", *text ? *text : "", tail);
	free(tail);
	free(*text);
	*text = whole;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

unsigned text_distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	unsigned row[3][LONGEST + 1]; /* distances of b's prefixes to a's last three prefixes */
	unsigned *before = row[0], *above = row[1], *now = row[2], *spare;
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > LONGEST || b_len > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = min3(above[j] + 1, now[j - 1] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		spare = before;
		before = above;
		above = now;
		now = spare;
	}
	return above[b_len];
}

bool text_is_near(const char *word, unsigned distance)
{
	size_t len = strlen(word);

	return distance <= (len < 6 ? 1 : len / 3);
}

void output_write(const char *path, const char *bytes, size_t size_bytes)
{
	bool to_stdout = strcmp(path, "-") == 0;
	FILE *file = to_stdout ? stdout : fopen(path, "we");
	bool bad;
	int err;

	if (!file)
		die("open '%s' for writing: %s", path, strerror(errno));
	bad = fwrite(bytes, 1, size_bytes, file) != size_bytes;
	bad |= fflush(file) != 0;
	err = errno;
	if (!to_stdout && fclose(file) && !bad) {
		bad = true;
		err = errno;
	}
	if (!bad)
		return;
	if (!to_stdout)
		unlink(path);
	die("write '%s': %s", path, strerror(err));
}
