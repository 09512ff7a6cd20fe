// SPDX-License-Identifier: BSD-3-Clause
// seccompc: the policy language (seccomp/README.md), from text to rules.
#include "seccompc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_MARK };

struct token {
	enum token_kind kind;
	char text[LINE_BYTES + 1]; /* a string's without its quotes */
};

/* A file being read; `from` is the file whose @include led here. */
struct source {
	const struct source *from;
	struct policy *policy;
	const char *root;
	struct pos pos;
	const char *rest;   /* of the current line */
	struct token token; /* the current one */
};

static void file_parse(struct policy *policy, const char *root, const char *path, const char *name,
		       const struct source *from);

/* ---- tokens ---- */

static const char *const marks[] = { "&&", "||", "==", "!=", "<=", ">=", "<", ">",
				     "&",  "|",  ":",  "[",  "]",  "@",  "-" };

static void token_take(struct source *src, enum token_kind kind, const char *from, size_t len)
{
	src->token.kind = kind;
	memcpy(src->token.text, from, len);
	src->token.text[len] = '\0';
}

static void token_take_word(struct source *src)
{
	enum token_kind kind = isdigit((u8)src->rest[0]) ? TOKEN_NUMBER : TOKEN_WORD;
	size_t len = 0;

	while (isalnum((u8)src->rest[len]) || src->rest[len] == '_')
		len++;
	token_take(src, kind, src->rest, len);
	src->rest += len;
}

static void token_take_string(struct source *src)
{
	const char *end = strchr(src->rest + 1, '"');

	if (!end)
		die_at(&src->pos, "the string has no closing '\"'");
	token_take(src, TOKEN_STRING, src->rest + 1, (size_t)(end - src->rest - 1));
	src->rest = end + 1;
}

static void token_next(struct source *src)
{
	src->rest += strspn(src->rest, " \t");
	if (*src->rest == '\0' || *src->rest == '#') {
		token_take(src, TOKEN_END, "end of line", strlen("end of line"));
		return;
	}
	if (isalnum((u8)*src->rest) || *src->rest == '_') {
		token_take_word(src);
		return;
	}
	if (*src->rest == '"') {
		token_take_string(src);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		size_t len = strlen(marks[i]);

		if (strncmp(src->rest, marks[i], len) == 0) {
			token_take(src, TOKEN_MARK, src->rest, len);
			src->rest += len;
			return;
		}
	}
	if (*src->rest == '(')
		die_at(&src->pos,
		       "there are no parentheses: write each alternative out, joined by ||");
	die_at(&src->pos, "stray '%c'", *src->rest);
}

static bool token_is(const struct source *src, const char *text)
{
	return (src->token.kind == TOKEN_MARK || src->token.kind == TOKEN_WORD) &&
	       strcmp(src->token.text, text) == 0;
}

static bool token_accept(struct source *src, const char *text)
{
	if (!token_is(src, text))
		return false;
	token_next(src);
	return true;
}

static _Noreturn void token_unexpected(const struct source *src, const char *wanted)
{
	const char *quote = src->token.kind == TOKEN_END ? "" : "'";

	die_at(&src->pos, "expected %s, found %s%s%s", wanted, quote, src->token.text, quote);
}

static char *token_accept_kind(struct source *src, enum token_kind kind, const char *wanted)
{
	char *text;

	if (src->token.kind != kind)
		token_unexpected(src, wanted);
	text = text_format("%s", src->token.text);
	token_next(src);
	return text;
}

/* ---- conditions ---- */

static struct term term_parse_number(struct source *src, bool negative)
{
	struct term term = { 0 };
	char *digits = token_accept_kind(src, TOKEN_NUMBER, "a number");
	char *end;

	errno = 0;
	term.number = strtoull(digits, &end, 0);
	if (*end)
		die_at(&src->pos, "'%s' is not a number", digits);
	if (errno == ERANGE || (negative && term.number > (u64)INT64_MAX))
		die_at(&src->pos, "%s%s does not fit into 64 bits", negative ? "-" : "", digits);
	if (negative)
		term.number = -term.number;
	term.text = text_format("%s%s", negative ? "-" : "", digits);
	return term;
}

static struct term term_parse(struct source *src)
{
	struct term term = { .named = true };

	if (token_accept(src, "-"))
		return term_parse_number(src, true);
	if (src->token.kind == TOKEN_NUMBER)
		return term_parse_number(src, false);
	if (src->token.kind != TOKEN_WORD)
		token_unexpected(src, "a constant or a number");
	if (strlen(src->token.text) >= CONSTANT_NAME_BYTES)
		die_at(&src->pos, "the constant '%s' has more than %d characters", src->token.text,
		       CONSTANT_NAME_BYTES - 1);
	term.text = token_accept_kind(src, TOKEN_WORD, "a constant");
	return term;
}

static void expr_parse(struct source *src, struct expr *expr, char **text)
{
	do {
		if (expr->nr == EXPR_TERMS)
			die_at(&src->pos, "more than %d constants joined by |", EXPR_TERMS);
		if (expr->nr)
			text_append(text, "|");
		expr->terms[expr->nr] = term_parse(src);
		text_append(text, "%s", expr->terms[expr->nr].text);
		expr->nr++;
	} while (token_accept(src, "|"));
}

static unsigned arg_parse(struct source *src)
{
	const char *text = src->token.text;
	unsigned arg;

	if (src->token.kind != TOKEN_WORD || strncmp(text, "arg", 3) != 0)
		token_unexpected(src, "1, errno or a condition on arg0 to arg5");
	if (text[3] < '0' || text[3] >= '0' + SYSCALL_ARGS || text[4])
		die_at(&src->pos, "no argument '%s': they are arg0 to arg5", text);
	arg = (unsigned)(text[3] - '0');
	token_next(src);
	return arg;
}

static const struct {
	const char *text;
	enum cmp_op op;
} operators[] = {
	{ "==", CMP_EQ }, { "!=", CMP_NE }, { "<=", CMP_LE }, { ">=", CMP_GE },
	{ "<", CMP_LT },  { ">", CMP_GT },  { "in", CMP_IN },
};

static enum cmp_op operator_parse(struct source *src, char **text)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		if (token_accept(src, operators[i].text)) {
			text_append(text, " %s ", operators[i].text);
			return operators[i].op;
		}
	}
	token_unexpected(src, "==, !=, <, <=, >, >=, in or &");
}

static void cmp_parse(struct source *src, struct cmp *cmp, char **text)
{
	cmp->arg = arg_parse(src);
	text_append(text, "arg%u", cmp->arg);
	if (token_accept(src, "&")) {
		text_append(text, " & ");
		cmp->op = CMP_MASKED;
		expr_parse(src, &cmp->mask, text);
		if (!token_accept(src, "=="))
			token_unexpected(src, "== behind the mask");
		text_append(text, " == ");
	} else {
		cmp->op = operator_parse(src, text);
	}
	expr_parse(src, &cmp->value, text);
}

static void condition_parse(struct source *src, struct rule *rule)
{
	do {
		struct alt alt = { 0 };

		if (rule->nr_alts)
			text_append(&rule->text, " || ");
		do {
			if (alt.nr == ALT_CMPS)
				die_at(&src->pos, "more than %d comparisons joined by &&",
				       ALT_CMPS);
			if (alt.nr)
				text_append(&rule->text, " && ");
			cmp_parse(src, &alt.cmps[alt.nr++], &rule->text);
		} while (token_accept(src, "&&"));
		list_push(rule->alts, rule->nr_alts, alt);
	} while (token_accept(src, "||"));
}

/* ---- lines ---- */

static u32 tag_parse(struct source *src)
{
	u32 mask = 0;

	do {
		char *name = token_accept_kind(src, TOKEN_WORD, "an architecture");
		const struct arch *arch = arch_find(name);

		if (!arch) {
			char *known = NULL;

			for (size_t i = 0; i < nr_archs; i++)
				text_append(&known, "%s%s", i ? ", " : "", archs[i].name);
			die_at(&src->pos, "unknown architecture '%s': there are %s", name, known);
		}
		mask |= arch_bit(arch);
	} while (!token_is(src, "]"));
	token_next(src);
	return mask;
}

static void rule_parse(struct source *src, u32 tag)
{
	struct rule rule = { .pos = src->pos, .tagged = tag != 0 };

	rule.archs = tag ? tag : (1u << nr_archs) - 1;
	rule.syscall = token_accept_kind(src, TOKEN_WORD, "the name of a system call");
	if (!token_accept(src, ":"))
		token_unexpected(src, "':' behind the system call");
	text_append(&rule.text, "%s: ", rule.syscall);
	if (src->token.kind == TOKEN_NUMBER && strcmp(src->token.text, "1") == 0) {
		token_next(src);
		text_append(&rule.text, "1");
	} else if (token_accept(src, "errno")) {
		rule.action = ACTION_ERRNO;
		rule.errno_term = term_parse(src);
		text_append(&rule.text, "errno %s", rule.errno_term.text);
	} else {
		condition_parse(src, &rule);
	}
	list_push(src->policy->rules, src->policy->nr_rules, rule);
}

static char *path_join(const char *root, const char *name)
{
	return strcmp(root, ".") == 0 ? text_format("%s", name) : text_format("%s/%s", root, name);
}

static void include_parse(struct source *src, u32 tag)
{
	char *name = token_accept_kind(src, TOKEN_STRING, "a path in quotes");

	if (tag)
		die_at(&src->pos, "an @include takes no architecture: tag the rules in '%s'", name);
	file_parse(src->policy, src->root, path_join(src->root, name), name, src);
}

static void header_parse(struct source *src, u32 tag)
{
	struct policy *policy = src->policy;
	struct header header = { .archs = tag ? tag : (1u << nr_archs) - 1 };

	header.name = token_accept_kind(src, TOKEN_STRING, "a header in quotes");
	list_push(policy->headers, policy->nr_headers, header);
}

static void line_parse(struct source *src)
{
	u32 tag = 0;

	token_next(src);
	if (src->token.kind == TOKEN_END)
		return;
	if (token_accept(src, "["))
		tag = tag_parse(src);
	if (!token_accept(src, "@")) {
		rule_parse(src, tag);
	} else if (token_is(src, "include")) {
		token_next(src);
		include_parse(src, tag);
	} else if (token_is(src, "header")) {
		token_next(src);
		header_parse(src, tag);
	} else {
		token_unexpected(src, "@include or @header");
	}
	if (src->token.kind != TOKEN_END)
		token_unexpected(src, "the end of the line");
}

/* ---- files ---- */

static void loop_check(const struct source *from, const char *name)
{
	char *chain = text_format("%s", name);

	for (const struct source *src = from; src; src = src->from) {
		char *longer = text_format("%s -> %s", src->pos.file, chain);

		if (strcmp(src->pos.file, name) == 0)
			die_at(&from->pos, "include loop: %s", longer);
		chain = longer;
	}
}

/* Of the ways to write a path, one is allowed: so a file is known by its name. */
static void name_check(const struct source *from, const char *name)
{
	char *framed = text_format("/%s/", name);

	if (strstr(framed, "//") || strstr(framed, "/./") || strstr(framed, "/../"))
		die_at(&from->pos, "'%s' is no plain path from the project's root", name);
}

static void line_check(const struct source *src, const char *line, size_t len)
{
	if (len > LINE_BYTES)
		die_at(&src->pos, "the line has %zu bytes, at most %d are allowed", len,
		       LINE_BYTES);
	for (size_t i = 0; i < len; i++)
		if ((u8)line[i] < ' ' && line[i] != '\t')
			die_at(&src->pos, "control character 0x%02x in the line", (u8)line[i]);
}

static void file_parse(struct policy *policy, const char *root, const char *path, const char *name,
		       const struct source *from)
{
	struct source src = { .from = from, .policy = policy, .root = root, .pos.file = name };
	char *line = NULL, *dep = text_format("%s", path);
	size_t room = 0;
	ssize_t len;
	FILE *file;

	if (from) {
		name_check(from, name);
		loop_check(from, name);
	}
	for (size_t i = 0; i < policy->nr_deps; i++)
		if (strcmp(policy->deps[i], path) == 0)
			return; /* two includes may share a third */
	list_push(policy->deps, policy->nr_deps, dep);
	file = fopen(path, "re");
	if (!file && from)
		die_at(&from->pos, "open '%s': %s", path, strerror(errno));
	if (!file)
		die("open '%s': %s", path, strerror(errno));
	while ((len = getline(&line, &room, file)) >= 0) {
		src.pos.line++;
		if (len && line[len - 1] == '\n')
			line[--len] = '\0';
		line_check(&src, line, (size_t)len);
		src.rest = line;
		line_parse(&src);
	}
	if (ferror(file))
		die("read '%s': %s", path, strerror(errno));
	fclose(file);
	free(line);
}

void policy_parse(struct policy *policy, const char *root, const char *path)
{
	size_t root_len = strlen(root);
	const char *name = path;

	if (strncmp(path, root, root_len) == 0 && path[root_len] == '/')
		name = path + root_len + 1;
	policy->file = name;
	file_parse(policy, root, path, name, NULL);
}

/* ---- what one architecture sees ---- */

static void rule_check_names(const struct rule *rule, const struct arch *target)
{
	const char *near;

	if (!syscall_is_known(rule->syscall)) {
		near = syscall_nearest(target, rule->syscall);
		die_at(&rule->pos, "unknown system call '%s'%s%s%s", rule->syscall,
		       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	for (size_t i = 0; i < nr_archs; i++) {
		const char *have;

		/* An untagged rule is held to the target only: it may be for a target's own device.
		 */
		if (!(rule->archs & arch_bit(&archs[i])) ||
		    (!rule->tagged && &archs[i] != target) ||
		    syscall_nr(&archs[i], rule->syscall) >= 0)
			continue;
		have = syscall_archs(rule->syscall);
		if (!*have)
			die_at(&rule->pos, "'%s' exists on no architecture of Kiln's",
			       rule->syscall);
		die_at(&rule->pos, "'%s' does not exist on %s: tag the rule [%s]", rule->syscall,
		       archs[i].name, have);
	}
}

void policy_select(struct policy *policy, const struct arch *arch)
{
	size_t nr_rules = 0, nr_headers = 0;

	for (size_t i = 0; i < policy->nr_rules; i++) {
		struct rule *rule = &policy->rules[i];

		rule_check_names(rule, arch);
		rule->nr = syscall_nr(arch, rule->syscall);
		rule->args = syscall_args(rule->syscall);
		if (rule->archs & arch_bit(arch))
			policy->rules[nr_rules++] = *rule;
	}
	policy->nr_rules = nr_rules;
	for (size_t i = 0; i < policy->nr_headers; i++)
		if (policy->headers[i].archs & arch_bit(arch))
			policy->headers[nr_headers++] = policy->headers[i];
	policy->nr_headers = nr_headers;
	if (!nr_rules)
		die("%s: no rule for %s", policy->file, arch->name);
}
