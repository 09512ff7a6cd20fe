// SPDX-License-Identifier: BSD-3-Clause
// seccompc: compiles Kiln's seccomp policies (seccomp/README.md) to filters; what its parts share.
//
// The tool runs once per policy and ends: what it allocates, it leaves to its exit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	SYSCALL_ARGS = 6,
	LINE_BYTES = 256,         /* longest line of a policy, without its newline */
	CONSTANT_NAME_BYTES = 48, /* with the terminating NUL */
	EXPR_TERMS = 12,          /* constants joined by | */
	ALT_CMPS = 8,             /* comparisons joined by && */
	ERRNO_MAX = 4095,
};

/* ---- source.c: files, positions, messages ---- */

struct pos {
	const char *file; /* relative to the project's root */
	unsigned line;
};

/* die_at - print "FILE:LINE: words" and end with status 1. */
__attribute__((noreturn, format(printf, 2, 3))) void die_at(const struct pos *pos, const char *fmt,
							    ...);
/* die - print "seccompc: words" and end with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);

/* list_room - make room for one more item behind `nr`. Return: the items, perhaps moved. */
void *list_room(void *items, size_t nr, size_t item_bytes);
#define list_push(items, nr, item)                                    \
	do {                                                          \
		(items) = list_room((items), (nr), sizeof(*(items))); \
		(items)[(nr)++] = (item);                             \
	} while (0)

char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* text_append - *text becomes *text + the formatted words; a NULL *text is "". */
void text_append(char **text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* text_distance - insertions, deletions, substitutions, swaps that turn `a` into `b`. */
unsigned text_distance(const char *a, const char *b);
/* text_is_near - whether a typo explains `distance` in a word as long as `word`. */
bool text_is_near(const char *word, unsigned distance);

/* output_write - write a whole file, or nothing of it; "-" is standard output. */
void output_write(const char *path, const char *bytes, size_t size_bytes);

/* ---- arch.c: architectures and their system calls ---- */

struct arch {
	const char *name;
	u32 token; /* AUDIT_ARCH_*, which libseccomp calls SCMP_ARCH_* */
};

extern const struct arch archs[];
extern const size_t nr_archs;

const struct arch *arch_find(const char *name);
/* arch_bit - the architecture's bit in rule.archs. */
u32 arch_bit(const struct arch *arch);
/* syscall_nr - number of a system call. Return: the number, or -1 where the call is unknown. */
int syscall_nr(const struct arch *arch, const char *name);
/* syscall_is_known - whether any architecture, ours or not, has a call of that name. */
bool syscall_is_known(const char *name);
/* syscall_nearest - the name that was probably meant, or NULL. */
const char *syscall_nearest(const struct arch *arch, const char *name);
/* syscall_archs - the names of our architectures that have the call, "" for none. */
const char *syscall_archs(const char *name);
/* syscall_names_write - C source of the table behind policy_syscall_name(). */
void syscall_names_write(const struct arch *arch, FILE *out);

/* ---- args.c: what the kernel reads of each argument ---- */

/* syscall_args - one letter per argument (i, h, l as in args.c), or NULL where not recorded. */
const char *syscall_args(const char *name);
/* syscall_arg_mask - the bits of the argument that reach the kernel's function. */
u64 syscall_arg_mask(const char *args, unsigned arg);

/* ---- cube.c: sets of argument values ---- */

/* All argument vectors v with (v[i] & mask[i]) == value[i] for each i. value is within mask. */
struct cube {
	u64 mask[SYSCALL_ARGS], value[SYSCALL_ARGS];
};

/* A union of cubes. */
struct cubes {
	struct cube *items;
	size_t nr;
};

enum { CUBES_MAX = 4096 }; /* what one alternative of a condition may need */

/* cubes_add_range - add: the bits `width_mask` of argument `arg` lie in lo..hi (inclusive). */
void cubes_add_range(struct cubes *set, unsigned arg, u64 width_mask, u64 lo, u64 hi);
/* cubes_add_masked - add: (arg & mask) == value. */
void cubes_add_masked(struct cubes *set, unsigned arg, u64 mask, u64 value);
/* cubes_intersect - set = set and other. Return: false where the result passes CUBES_MAX. */
bool cubes_intersect(struct cubes *set, const struct cubes *other);
/* cubes_covered - whether every vector of `set` is in one of `by[0..nr)`. */
bool cubes_covered(const struct cubes *set, const struct cubes *const *by, size_t nr);
/* cubes_full - whether the set holds every vector. */
bool cubes_full(const struct cubes *set);

/* ---- parse.c: the language ---- */

struct term {
	const char *text; /* as written */
	bool named;       /* a constant of the target's headers; else `number` is it */
	u64 number;
};

/* Terms joined by |. */
struct expr {
	struct term terms[EXPR_TERMS];
	size_t nr;
	u64 bits; /* once resolved */
};

enum cmp_op { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_MASKED, CMP_IN };

struct cmp {
	unsigned arg;
	enum cmp_op op;
	struct expr mask; /* CMP_MASKED only */
	struct expr value;
};

/* Comparisons joined by &&. */
struct alt {
	struct cmp cmps[ALT_CMPS];
	size_t nr;
	struct cubes cubes; /* once checked */
};

enum action { ACTION_ALLOW, ACTION_ERRNO };

struct rule {
	struct pos pos;
	const char *syscall;
	u32 archs; /* arch_bit of each; all of them when untagged */
	bool tagged;
	enum action action;
	struct term errno_term; /* ACTION_ERRNO only */
	struct alt *alts;       /* joined by ||; none: unconditional */
	size_t nr_alts;
	char *text; /* normalised: "ioctl: arg1 == FIONREAD" */
	int nr;     /* system call number, once checked */
	const char *args;
};

struct header {
	const char *name;
	u32 archs;
};

struct policy {
	const char *file; /* the policy's own, relative to the root */
	struct rule *rules;
	size_t nr_rules;
	struct header *headers;
	size_t nr_headers;
	char **deps; /* every file read, as opened */
	size_t nr_deps;
};

/*
 * policy_parse - read the file `path` and what it includes, which is named relative to `root`.
 * Rules of all architectures are kept, constants unresolved. Ends the program on the first mistake.
 */
void policy_parse(struct policy *policy, const char *root, const char *path);
/* policy_select - keep only what `arch` has, after checking every name on the rule's own archs. */
void policy_select(struct policy *policy, const struct arch *arch);

/* ---- constants.c: numbers from the target's headers ---- */

/* constants_write - C source whose object file holds the value of every constant named. */
void constants_write(const struct policy *policy, const struct arch *arch, FILE *out);
/* constants_resolve - fill in every expr's bits from such an object file (NULL: none given). */
void constants_resolve(struct policy *policy, const struct arch *arch, const char *path);

/* ---- check.c: duplicates and rules without effect ---- */

/* policy_check - build each alternative's cubes; end on what can never or need never match. */
void policy_check(struct policy *policy);

/* ---- filter.c: rules to BPF ---- */

struct sock_filter;

/*
 * filter_make - the filter of checked rules. A call that no rule allows kills the process or, by
 * `default_traps`, raises SIGSYS; one of another architecture or with a number from 0x40000000 up
 * (x32's on x86_64) kills it always.
 */
struct sock_filter *filter_make(const struct policy *policy, const struct arch *arch,
				bool default_traps, size_t *nr_insns);

/* ---- emit.c: C source ---- */

/* policy_write - C source that defines and registers the filter as `struct policy` of `name`. */
void policy_write(const struct policy *policy, const struct arch *arch, const char *name,
		  bool default_traps, FILE *out);
