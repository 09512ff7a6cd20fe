// SPDX-License-Identifier: BSD-3-Clause
// Options: one table drives parsing, defaults, help and messages.
#include "util/opt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

enum { OPT_PAIR_BYTES = 4096, WORD_BYTES_MAX = 63 };

/* What a letter counts as a hexadecimal digit; UINT8_MAX for what is none. */
static int digit_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : UINT8_MAX;
}

/* The number that `text` begins with; *end is what follows it, also when it is too large. */
static int parse_digits(const char *text, const char **end, u64 *value)
{
	u64 base = 10, sum = 0;
	int status = 0, digit;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	if (text[0] == '0' && (text[1] | 0x20) == 'x' && digit_value(text[2]) < 16) {
		base = 16;
		text += 2;
	}
	for (; (digit = digit_value(*text)) < (int)base; text++) {
		if (!checked_mul(sum, base, &sum) || !checked_add(sum, (u64)digit, &sum))
			status = -ERANGE;
	}
	*end = text;
	*value = sum;
	return status;
}

int opt_parse_u64(const char *text, u64 *value)
{
	const char *end;
	int status = parse_digits(text, &end, value);

	return status != -EINVAL && *end ? -EINVAL : status;
}

static u64 suffix_unit(char letter)
{
	switch (letter | 0x20) {
	case 'k':
		return KIB(1);
	case 'm':
		return MIB(1);
	case 'g':
		return GIB(1);
	case 't':
		return GIB(1) << 10;
	}
	return 0;
}

int opt_parse_bytes(const char *text, u64 unit, u64 *bytes)
{
	const char *end;
	u64 count;
	int status = parse_digits(text, &end, &count);

	if (status == -EINVAL)
		return status;
	if (*end) {
		unit = suffix_unit(*end);
		if (unit == 0 || end[1])
			return -EINVAL;
	}
	return status == 0 && checked_mul(count, unit, bytes) ? 0 : -ERANGE;
}

/* Levenshtein distance of two short words, by rows. */
static u32 word_distance(const char *a, const char *b)
{
	u32 row[WORD_BYTES_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_BYTES_MAX || b_len > WORD_BYTES_MAX)
		return UINT32_MAX;
	for (u32 j = 0; j <= b_len; j++)
		row[j] = j;
	for (u32 i = 1; i <= a_len; i++) {
		u32 diagonal = row[0];

		row[0] = i;
		for (u32 j = 1; j <= b_len; j++) {
			u32 above = row[j];
			u32 best = diagonal + (a[i - 1] != b[j - 1]);

			best = MIN(best, above + 1);
			row[j] = MIN(best, row[j - 1] + 1);
			diagonal = above;
		}
	}
	return row[b_len];
}

const char *word_nearest(const char *word, const char *(*next)(const void *cookie, u32 i),
			 const void *cookie)
{
	const char *best = NULL, *candidate;
	u32 best_distance = 1 + (u32)strlen(word) / 3;

	for (u32 i = 0; (candidate = next(cookie, i)) != NULL; i++) {
		u32 distance = word_distance(word, candidate);

		/* Half a word is meant as the whole: "init" for "initrd". */
		if (strlen(word) >= 3 && strncmp(word, candidate, strlen(word)) == 0)
			distance = 1;
		if (distance <= best_distance && (!best || distance < best_distance)) {
			best = candidate;
			best_distance = distance;
		}
	}
	return best;
}

static const struct opt *opt_find(const struct opt *table, const char *name, size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct opt *opt_find_letter(const struct opt *table, char letter)
{
	for (; table->name; table++)
		if (table->letter == letter)
			return table;
	return NULL;
}

static const char *opt_nth_name(const void *cookie, u32 i)
{
	const struct opt *table = cookie;

	return table[i].name; /* the word list ends where the table does */
}

static const char *opt_nth_choice(const void *cookie, u32 i)
{
	const char *const *choices = cookie;

	return choices[i];
}

static int opt_unknown(const struct opt *table, const char *dashes, const char *name, size_t len,
		       struct err *e)
{
	char word[WORD_BYTES_MAX + 1];
	const char *nearest;

	len = MIN(len, sizeof(word) - 1);
	memcpy(word, name, len);
	word[len] = '\0';
	nearest = word_nearest(word, opt_nth_name, table);
	if (nearest)
		return err_set(e, -EINVAL, "unknown option '%s%s': did you mean '%s%s'?", dashes,
			       word, dashes, nearest);
	return err_set(e, -EINVAL, "unknown option '%s%s'", dashes, word);
}

static int store_flag(const struct opt *opt, bool *field, const char *value, struct err *e)
{
	if (!value || strcmp(value, "true") == 0 || strcmp(value, "on") == 0)
		*field = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "off") == 0)
		*field = false;
	else
		return err_set(e, -EINVAL, "%s is a switch: '%s' is neither true nor false",
			       opt->name, value);
	return 0;
}

static int store_u32(const struct opt *opt, u32 *field, const char *value, struct err *e)
{
	u64 number = 0;
	int status = opt_parse_u64(value, &number);

	if (status == -EINVAL)
		return err_set(e, -EINVAL, "%s: '%s' is not a number", opt->name, value);
	if (status < 0 || number < opt->min || number > opt->max)
		return err_set(e, -EINVAL, "%s: %s is out of range (%llu to %llu)", opt->name,
			       value, (unsigned long long)opt->min, (unsigned long long)opt->max);
	*field = (u32)number;
	return 0;
}

/* "64K", "2M": the largest suffix that divides the number. */
static const char *bytes_text(u64 bytes, char *text, size_t size)
{
	static const char suffixes[] = { 'K', 'M', 'G', 'T' };
	int shift = 0;

	while (shift < 4 && bytes >= KIB(1) && bytes % KIB(1) == 0) {
		bytes /= KIB(1);
		shift++;
	}
	if (shift == 0)
		snprintf(text, size, "%llu", (unsigned long long)bytes);
	else
		snprintf(text, size, "%llu%c", (unsigned long long)bytes, suffixes[shift - 1]);
	return text;
}

static int store_bytes(const struct opt *opt, u64 *field, const char *value, struct err *e)
{
	char low[24], high[24];
	u64 bytes = 0;
	int status = opt_parse_bytes(value, opt->unit, &bytes);

	if (status == -EINVAL)
		return err_set(e, -EINVAL,
			       "%s: '%s' is not a size (a number, or with K, M, G or T)", opt->name,
			       value);
	if (status < 0 || bytes < opt->min || bytes > opt->max)
		return err_set(e, -EINVAL, "%s: %s is out of range (%s to %s)", opt->name, value,
			       bytes_text(opt->min, low, sizeof(low)),
			       bytes_text(opt->max, high, sizeof(high)));
	*field = bytes;
	return 0;
}

static int store_text(const struct opt *opt, char *field, const char *value, struct err *e)
{
	size_t len = strlen(value);

	if (len >= opt->size)
		return err_set(e, -EINVAL, "%s: %zu bytes are too long (at most %d)", opt->name,
			       len, opt->size - 1);
	memcpy(field, value, len + 1);
	return 0;
}

static int store_choice(const struct opt *opt, u32 *field, const char *value, struct err *e)
{
	const char *nearest;
	char all[128] = "";
	size_t used = 0;

	for (u32 i = 0; opt->choices[i]; i++) {
		if (strcmp(opt->choices[i], value) == 0) {
			*field = i;
			return 0;
		}
		used = strlen(all);
		snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", opt->choices[i]);
	}
	nearest = word_nearest(value, opt_nth_choice, opt->choices);
	if (nearest)
		return err_set(e, -EINVAL, "%s: unknown word '%s': did you mean '%s'?", opt->name,
			       value, nearest);
	return err_set(e, -EINVAL, "%s: unknown word '%s' (one of %s)", opt->name, value, all);
}

/* `value` is NULL for a flag that stands alone. */
static int opt_store(const struct opt *opt, void *options, const char *value, struct err *e)
{
	void *field = (char *)options + opt->offset;

	switch ((enum opt_kind)opt->kind) {
	case OPT_KIND_FLAG:
		return store_flag(opt, field, value, e);
	case OPT_KIND_U32:
		return store_u32(opt, field, value, e);
	case OPT_KIND_BYTES:
		return store_bytes(opt, field, value, e);
	case OPT_KIND_TEXT:
		return store_text(opt, field, value, e);
	case OPT_KIND_CHOICE:
		return store_choice(opt, field, value, e);
	case OPT_KIND_CALL:
		return opt->call(options, opt, value, e);
	}
	return -EINVAL;
}

void opt_defaults(const struct opt *table, void *options)
{
	struct err e;

	for (; table->name; table++)
		if (table->def && opt_store(table, options, table->def, &e) < 0)
			abort();
}

int opt_parse_value(const struct opt *table, void *options, const char *name, const char *value,
		    struct err *e)
{
	const struct opt *opt = opt_find(table, name, strlen(name));

	if (!opt)
		return opt_unknown(table, "", name, strlen(name), e);
	if (!value && opt->kind != OPT_KIND_FLAG)
		return err_set(e, -EINVAL, "%s needs a value: %s=%s", name, name, opt->arg);
	return opt_store(opt, options, value, e);
}

/* Which options were given: all but CALL may be given once. */
struct opt_seen {
	u64 bits;
};

static int opt_once(const struct opt *table, const struct opt *opt, struct opt_seen *seen,
		    const char *dashes, struct err *e)
{
	u64 bit = 1ull << (opt - table);

	if (opt->kind != OPT_KIND_CALL && (seen->bits & bit))
		return err_set(e, -EINVAL, "'%s%s' is given twice", dashes, opt->name);
	seen->bits |= bit;
	return 0;
}

/*
 * One option word. Return: 1 when the next word was taken as its value, 0 when not, or -EINVAL.
 */
static int opt_parse_word(const struct opt *table, void *options, struct opt_seen *seen,
			  const char *word, const char *next, struct err *e)
{
	bool is_long = word[1] == '-';
	const char *dashes = is_long ? "--" : "-", *name = word + (is_long ? 2 : 1);
	size_t name_len = is_long ? strcspn(name, "=") : 1;
	const char *attached = is_long ? (name[name_len] ? name + name_len + 1 : NULL)
				       : (name[1] ? name + 1 : NULL);
	const struct opt *opt = is_long ? opt_find(table, name, name_len)
					: opt_find_letter(table, name[0]);
	int status;

	if (!opt && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
		return err_set(e, -ECANCELED, "help was asked for");
	if (!opt)
		return opt_unknown(table, dashes, name, name_len, e);
	status = opt_once(table, opt, seen, "--", e);
	if (status < 0)
		return status;
	if (opt->kind == OPT_KIND_FLAG) {
		if (attached && !is_long)
			return err_set(e, -EINVAL, "'-%c' is a switch and takes no value",
				       opt->letter);
		return opt_store(opt, options, attached, e);
	}
	if (!attached && !next)
		return err_set(e, -EINVAL, "'%s%.*s' needs a value: %s", dashes, (int)name_len,
			       name, opt->arg);
	status = opt_store(opt, options, attached ? attached : next, e);
	return status < 0 ? status : !attached;
}

int opt_parse_words(const struct opt *table, void *options, int argc, char *const *argv,
		    opt_positional_fn *positional, struct err *e)
{
	struct opt_seen seen = { 0 };
	bool only_positional = false;

	for (int i = 0; i < argc; i++) {
		int status;

		if (!only_positional && strcmp(argv[i], "--") == 0) {
			only_positional = true;
			continue;
		}
		if (!only_positional && argv[i][0] == '-' && argv[i][1]) {
			status = opt_parse_word(table, options, &seen, argv[i],
						i + 1 < argc ? argv[i + 1] : NULL, e);
			i += status > 0;
		} else if (positional) {
			status = positional(options, argv[i], e);
		} else {
			status = err_set(e, -EINVAL, "unexpected word '%s'", argv[i]);
		}
		if (status < 0)
			return status;
	}
	return 0;
}

int opt_parse_pairs(const struct opt *table, void *options, const char *text, struct err *e)
{
	struct opt_seen seen = { 0 };
	char copy[OPT_PAIR_BYTES], *rest = copy, *pair;

	if (strlen(text) >= sizeof(copy))
		return err_set(e, -EINVAL, "%zu bytes of options are too long (at most %d)",
			       strlen(text), OPT_PAIR_BYTES - 1);
	memcpy(copy, text, strlen(text) + 1);
	while ((pair = strsep(&rest, ",")) != NULL) {
		char *value = strchr(pair, '=');
		const struct opt *opt;
		int status;

		if (value)
			*value++ = '\0';
		opt = opt_find(table, pair, strlen(pair));
		status = opt ? opt_once(table, opt, &seen, "", e) : 0;
		if (status == 0)
			status = opt_parse_value(table, options, pair, value, e);
		if (status < 0)
			return status;
	}
	return 0;
}

/* `left` is the option as it is typed. */
static void opt_help_line(const struct opt *opt, const char *left, FILE *out)
{
	fprintf(out, "%-30s", left);
	if (strlen(left) > 29)
		fprintf(out, "\n%-30s", "");
	fprintf(out, "%s", opt->help ? opt->help : "");
	for (u32 i = 0; opt->kind == OPT_KIND_CHOICE && opt->choices[i]; i++)
		fprintf(out, "%s%s", i ? ", " : ": ", opt->choices[i]);
	if (opt->def)
		fprintf(out, " (default %s)", opt->def);
	fputc('\n', out);
}

void opt_help(const struct opt *table, FILE *out)
{
	char left[64];

	for (; table->name; table++) {
		char letter[8] = "    ";

		if (table->letter)
			snprintf(letter, sizeof(letter), "-%c, ", table->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, table->name,
			 table->arg ? " " : "", table->arg ? table->arg : "");
		opt_help_line(table, left, out);
	}
}

void opt_help_keys(const struct opt *table, FILE *out)
{
	char left[64];

	for (; table->name; table++) {
		snprintf(left, sizeof(left), "  %s%s%s", table->name, table->arg ? "=" : "",
			 table->arg ? table->arg : "");
		opt_help_line(table, left, out);
	}
}
