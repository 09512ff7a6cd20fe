// SPDX-License-Identifier: BSD-3-Clause
// Options, declared once: one table drives parsing, defaults, help and messages.
#pragma once

#include <stdio.h>

#include "util/err.h"
#include "util/types.h"

enum opt_kind {
	OPT_KIND_FLAG,  /* bool; as a key also flag=true, flag=false */
	OPT_KIND_U32,   /* decimal or 0x hexadecimal */
	OPT_KIND_BYTES, /* u64 bytes: number with K, M, G or T; a bare number counts `unit` bytes */
	OPT_KIND_TEXT,  /* char[] field; what does not fit is an error */
	OPT_KIND_CHOICE, /* u32 index into `choices` */
	OPT_KIND_CALL,   /* `call` parses the value; may be given more than once */
};

/*
 * One option. Tables are static const, fields in the order they are shown, and end with an entry
 * whose name is NULL. An option that is not CALL may be given once.
 */
struct opt {
	const char *name; /* the word after "--", or the key in key=value */
	char letter;      /* after a single "-"; 0 for none */
	u8 kind;
	u16 offset, size; /* of the field in the options struct */
	const char *arg;  /* what the value is, as help shows it: "MIB"; NULL for flags */
	const char *def;  /* default as text, parsed like a user's; NULL: the field stays zero */
	const char *help; /* one line */
	union {
		struct {
			u64 min, max; /* inclusive, for U32 and BYTES */
			u64 unit;     /* for BYTES: what a bare number counts */
		};
		const char *const *choices; /* for CHOICE: NULL-terminated */
		struct {
			int (*call)(void *options, const struct opt *opt, const char *value,
				    struct err *e);
			const void *cookie; /* for CALL: whatever its function wants to know */
		};
	};
};

/* Help is left out of binaries that were built without it. */
#define HELP(text) (IS_ENABLED(CONFIG_HELP_TEXT) ? (text) : NULL)

/* So is what only `kiln devices` prints. */
#define SUMMARY(text) (IS_ENABLED(CONFIG_CMD_DEVICES) ? (text) : NULL)

/* The field's offset, and a compile error when its type is not the one that the kind stores. */
#define OPT_FIELD(type, field, ctype)                                                          \
	.offset = offsetof(type, field) +                                                      \
		  0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->field), \
							       ctype)                          \
					  ? 1                                                  \
					  : -1]),                                              \
	.size = sizeof(((type *)0)->field)

#define OPT_FLAG(type, field) .kind = OPT_KIND_FLAG, OPT_FIELD(type, field, bool)
#define OPT_U32(type, field, low, high) \
	.kind = OPT_KIND_U32, OPT_FIELD(type, field, u32), .min = (low), .max = (high)
#define OPT_BYTES(type, field, bare_unit, low, high)                                            \
	.kind = OPT_KIND_BYTES, OPT_FIELD(type, field, u64), .unit = (bare_unit), .min = (low), \
	.max = (high)
#define OPT_TEXT(type, field) \
	.kind = OPT_KIND_TEXT, OPT_FIELD(type, field, char[sizeof(((type *)0)->field)])
#define OPT_CHOICE(type, field, words) \
	.kind = OPT_KIND_CHOICE, OPT_FIELD(type, field, u32), .choices = (words)
#define OPT_CALL(fn) .kind = OPT_KIND_CALL, .call = (fn)

/* opt_defaults - store every default. The tables are ours: a default that does not parse aborts. */
void opt_defaults(const struct opt *table, void *options);

/* Receives each word that is not an option. Return: 0 or -errno with words. */
typedef int opt_positional_fn(void *options, const char *word, struct err *e);

/*
 * opt_parse_words - parse `argc` words (without the command's own name): --name value,
 * --name=value, -c value, -cvalue; "--" ends options. Options may follow positional words.
 * Return: 0, -EINVAL with words that name the nearest known option, or -ECANCELED where --help or
 * -h stands in an option's place.
 */
int opt_parse_words(const struct opt *table, void *options, int argc, char *const *argv,
		    opt_positional_fn *positional, struct err *e);

/* opt_parse_pairs - parse "key=value,flag,key=value". Return: 0 or -EINVAL with words. */
int opt_parse_pairs(const struct opt *table, void *options, const char *text, struct err *e);

/* opt_parse_value - store `value` as option `name`. Return: 0 or -EINVAL with words. */
int opt_parse_value(const struct opt *table, void *options, const char *name, const char *value,
		    struct err *e);

/*
 * opt_help - print the table for people: names, values, help, defaults and choices.
 * opt_help_keys - the same for options that are given as key=value,key=value.
 */
void opt_help(const struct opt *table, FILE *out);
void opt_help_keys(const struct opt *table, FILE *out);

/*
 * opt_parse_bytes - "512M", "0x1000", "3" (times `unit`). Return: 0, -EINVAL (not a number or an
 * unknown suffix), or -ERANGE (more than 64 bits).
 */
int opt_parse_bytes(const char *text, u64 unit, u64 *bytes);

/* opt_parse_u64 - decimal or 0x hexadecimal, the whole text. Return: 0, -EINVAL or -ERANGE. */
int opt_parse_u64(const char *text, u64 *value);

/*
 * word_nearest - the candidate closest to `word` by edit distance if it is close enough to be
 * meant, else NULL. `next(cookie, i)` gives candidate i, or NULL after the last.
 */
const char *word_nearest(const char *word, const char *(*next)(const void *cookie, u32 i),
			 const void *cookie);
