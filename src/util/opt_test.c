// SPDX-License-Identifier: BSD-3-Clause
// Options: every kind of value, words and pairs as users write them, and what they are told.
// test-sources: src/util/opt.c src/util/err.c
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/opt.h"

enum { WORDS_MAX = 16, PAIRS_BYTES_MAX = 4095 };

struct options {
	bool flag, other;
	u32 number, wide, choice;
	u64 size;
	char text[8], calls[32], words[32];
};

static int add_call(void *opaque, const struct opt *opt, const char *value, struct err *e)
{
	struct options *o = opaque;
	size_t used = strlen(o->calls);

	if (strcmp(value, "bad") == 0)
		return err_set(e, -EINVAL, "%s: %s", opt->name, (const char *)opt->cookie);
	snprintf(o->calls + used, sizeof(o->calls) - used, "[%s]", value);
	return 0;
}

static int add_word(void *opaque, const char *word, struct err *e)
{
	struct options *o = opaque;
	size_t used = strlen(o->words);

	if (strcmp(word, "bad") == 0)
		return err_set(e, -EINVAL, "a bad word");
	snprintf(o->words + used, sizeof(o->words) - used, "[%s]", word);
	return 0;
}

static const char *const colours[] = { "red", "green", "blue", NULL };

static const struct opt table[] = {
	{ .name = "flag", .letter = 'f', OPT_FLAG(struct options, flag), .help = "a switch" },
	{ .name = "other-flag", .letter = 'o', OPT_FLAG(struct options, other) },
	{ .name = "number",
	  .letter = 'n',
	  OPT_U32(struct options, number, 2, 9),
	  .arg = "N",
	  .def = "5",
	  .help = "from 2 to 9" },
	{ .name = "wide", OPT_U32(struct options, wide, 0, UINT32_MAX), .arg = "N" },
	{ .name = "size",
	  .letter = 's',
	  OPT_BYTES(struct options, size, MIB(1), KIB(4), GIB(2)),
	  .arg = "SIZE",
	  .def = "1536K" },
	{ .name = "text", .letter = 't', OPT_TEXT(struct options, text), .arg = "TEXT" },
	{ .name = "colour",
	  OPT_CHOICE(struct options, choice, colours),
	  .arg = "WHICH",
	  .def = "green",
	  .help = "what it looks like" },
	{ .name = "a-rather-long-option",
	  OPT_CALL(add_call),
	  .arg = "ANYTHING-AT-ALL",
	  .cookie = "the cookie",
	  .help = "may be repeated" },
	{ .name = NULL },
};

struct bench {
	struct options o;
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	opt_defaults(table, &b->o);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* Words as a shell splits them: at spaces; "_" stands for an empty one. */
static int parse_words(struct bench *b, const char *line, opt_positional_fn *positional)
{
	char copy[256], *rest = copy, *word, *argv[WORDS_MAX];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (*line && (word = strsep(&rest, " ")) != NULL) {
		assert_in_range(argc, 0, WORDS_MAX - 1);
		argv[argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
	}
	return opt_parse_words(table, &b->o, argc, argv, positional, &b->e);
}

static void words_work(struct bench *b, const char *line)
{
	assert_int_equal(parse_words(b, line, add_word), 0);
}

static void words_fail(struct bench *b, const char *line, const char *text)
{
	assert_int_equal(parse_words(b, line, add_word), -EINVAL);
	assert_int_equal(b->e.code, -EINVAL);
	assert_string_equal(b->e.text, text);
}

static int parse_pairs(struct bench *b, const char *text)
{
	return opt_parse_pairs(table, &b->o, text, &b->e);
}

static void pairs_fail(struct bench *b, const char *pairs, const char *text)
{
	assert_int_equal(parse_pairs(b, pairs), -EINVAL);
	assert_string_equal(b->e.text, text);
}

/* --- Numbers and sizes ------------------------------------------------------------------------ */

static void numbers_are_decimal_or_hexadecimal(void **state)
{
	static const struct {
		const char *text;
		u64 value;
	} good[] = {
		{ "0", 0 },
		{ "7", 7 },
		{ "010", 10 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0x0", 0 },
		{ "0xfF", 255 },
		{ "0Xff", 255 },
		{ "0xffffffffffffffff", UINT64_MAX },
		{ "00000000000000000000000000000000000000007", 7 },
	};
	u64 value;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(opt_parse_u64(good[i].text, &value), 0);
		assert_true(value == good[i].value);
	}
}

static void what_is_not_wholly_a_number_is_none(void **state)
{
	static const char *const bad[] = {
		"",    " 1", "1 ",   "-1",  "+1",  "x1",   "0x",
		"0xg", "1a", "0x-1", "1.5", "1,2", "0x 1", "99999999999999999999999x",
	};
	u64 value;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(opt_parse_u64(bad[i], &value), -EINVAL);
}

static void numbers_beyond_64_bits_are_out_of_range(void **state)
{
	u64 value;

	(void)state;
	assert_int_equal(opt_parse_u64("18446744073709551616", &value), -ERANGE);
	assert_int_equal(opt_parse_u64("0x10000000000000000", &value), -ERANGE);
	assert_int_equal(opt_parse_u64("99999999999999999999999999999999999999", &value), -ERANGE);
}

static void sizes_count_units_or_what_their_letter_says(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {
		{ "3", MIB(3) },
		{ "0", 0 },
		{ "5k", KIB(5) },
		{ "5K", KIB(5) },
		{ "512M", MIB(512) },
		{ "2g", GIB(2) },
		{ "1T", GIB(1024) },
		{ "0x10K", KIB(16) },
		{ "0T", 0 },
		{ "16777215T", 16777215ull << 40 },
		{ "18014398509481983K", UINT64_MAX - 1023 },
		{ "0000000000000000000000000000001K", KIB(1) },
	};
	u64 bytes;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(opt_parse_bytes(good[i].text, MIB(1), &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
	assert_int_equal(opt_parse_bytes("18446744073709551615", 1, &bytes), 0);
	assert_true(bytes == UINT64_MAX);
}

static void sizes_that_overflow_are_out_of_range(void **state)
{
	static const char *const bad[] = {
		"16777216T",
		"18014398509481984K",
		"17592186044416",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999999999999K",
	};
	u64 bytes;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(opt_parse_bytes(bad[i], MIB(1), &bytes), -ERANGE);
	assert_int_equal(opt_parse_bytes("18446744073709551616", 1, &bytes), -ERANGE);
}

static void what_is_not_a_size_is_none(void **state)
{
	static const char *const bad[] = {
		"",   "K",   "1KB", "1 K", "1.5G",
		"1P", "-1M", "+1M", " 1M", "1MM",
		"0x", "0xK", "M1",  "1e3", "many-many-many-many-many-bytes",
	};
	u64 bytes;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(opt_parse_bytes(bad[i], 1, &bytes), -EINVAL);
}

/* --- Values of each kind ---------------------------------------------------------------------- */

static void defaults_are_stored_and_the_rest_stays_zero(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->o.number, 5);
	assert_true(b->o.size == KIB(1536));
	assert_int_equal(b->o.choice, 1);
	assert_false(b->o.flag);
	assert_int_equal(b->o.wide, 0);
	assert_string_equal(b->o.text, "");
}

static void a_default_that_does_not_parse_ends_the_process(void **state)
{
	static const struct opt wrong[] = {
		{ .name = "number", OPT_U32(struct options, number, 2, 9), .def = "10" },
		{ .name = NULL },
	};
	const struct rlimit no_core = { 0 };
	struct bench *b = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		opt_defaults(wrong, &b->o);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_switch_needs_no_value_and_takes_one_when_attached(void **state)
{
	struct bench *b = *state;

	words_work(b, "--flag --other-flag=on");
	assert_true(b->o.flag && b->o.other);
	words_work(b, "--flag=false --other-flag=off");
	assert_false(b->o.flag || b->o.other);
	words_work(b, "--flag=true");
	assert_true(b->o.flag);
	words_fail(b, "--flag=maybe", "flag is a switch: 'maybe' is neither true nor false");
	words_fail(b, "--flag=", "flag is a switch: '' is neither true nor false");
	words_work(b, "--flag false"); /* a word of its own */
	assert_string_equal(b->o.words, "[false]");
}

static void numbers_are_taken_from_the_lowest_to_the_highest(void **state)
{
	struct bench *b = *state;

	words_work(b, "--number 2");
	assert_int_equal(b->o.number, 2);
	words_work(b, "--number 0x9 --wide 4294967295");
	assert_int_equal(b->o.number, 9);
	assert_int_equal(b->o.wide, UINT32_MAX);
}

static void a_number_out_of_range_is_told_with_its_limits(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--number 1", "number: 1 is out of range (2 to 9)");
	words_fail(b, "--number 10", "number: 10 is out of range (2 to 9)");
	words_fail(b, "--number 99999999999999999999",
		   "number: 99999999999999999999 is out of range (2 to 9)");
	words_fail(b, "--wide 4294967296", "wide: 4294967296 is out of range (0 to 4294967295)");
	words_fail(b, "--wide -1", "wide: '-1' is not a number");
	words_fail(b, "--wide _", "wide: '' is not a number");
	assert_int_equal(b->o.number, 5);
	assert_int_equal(b->o.wide, 0);
}

static void sizes_are_taken_from_the_lowest_to_the_highest(void **state)
{
	struct bench *b = *state;

	words_work(b, "--size 4K");
	assert_true(b->o.size == KIB(4));
	words_work(b, "--size 2048");
	assert_true(b->o.size == GIB(2));
}

static void a_size_out_of_range_is_told_with_its_limits(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--size 3K", "size: 3K is out of range (4K to 2G)");
	words_fail(b, "--size 0", "size: 0 is out of range (4K to 2G)");
	words_fail(b, "--size 2049", "size: 2049 is out of range (4K to 2G)");
	words_fail(b, "--size 18446744073709551615T",
		   "size: 18446744073709551615T is out of range (4K to 2G)");
	words_fail(b, "--size lots", "size: 'lots' is not a size (a number, or with K, M, G or T)");
	assert_true(b->o.size == KIB(1536));
}

static void text_fits_or_is_refused_whole(void **state)
{
	struct bench *b = *state;

	words_work(b, "--text 1234567");
	assert_string_equal(b->o.text, "1234567");
	words_fail(b, "--text 12345678", "text: 8 bytes are too long (at most 7)");
	assert_string_equal(b->o.text, "1234567");
	words_work(b, "--text _");
	assert_string_equal(b->o.text, "");
}

static void a_choice_is_one_of_its_words(void **state)
{
	struct bench *b = *state;

	words_work(b, "--colour red");
	assert_int_equal(b->o.choice, 0);
	words_work(b, "--colour=blue");
	assert_int_equal(b->o.choice, 2);
	words_fail(b, "--colour grene", "colour: unknown word 'grene': did you mean 'green'?");
	words_fail(b, "--colour purple", "colour: unknown word 'purple' (one of red, green, blue)");
	words_fail(b, "--colour _", "colour: unknown word '' (one of red, green, blue)");
	words_fail(b, "--colour Red", "colour: unknown word 'Red': did you mean 'red'?");
	assert_int_equal(b->o.choice, 2);
}

static void a_call_may_be_repeated_and_its_words_are_passed_on(void **state)
{
	struct bench *b = *state;

	words_work(b, "--a-rather-long-option one --a-rather-long-option=two=2");
	assert_string_equal(b->o.calls, "[one][two=2]");
	words_fail(b, "--a-rather-long-option bad", "a-rather-long-option: the cookie");
}

/* --- Words ------------------------------------------------------------------------------------ */

static void values_are_attached_or_the_next_word(void **state)
{
	static const char *const same[] = { "--number 7 --text abc", "--number=7 --text=abc",
					    "-n 7 -t abc", "-n7 -tabc" };

	for (u32 i = 0; i < ARRAY_SIZE(same); i++) {
		struct bench *b = *state;

		memset(&b->o, 0, sizeof(b->o));
		words_work(b, same[i]);
		assert_int_equal(b->o.number, 7);
		assert_string_equal(b->o.text, "abc");
	}
}

static void a_value_may_look_like_an_option(void **state)
{
	struct bench *b = *state;

	words_work(b, "--text --flag --a-rather-long-option -- -n3");
	assert_string_equal(b->o.text, "--flag");
	assert_false(b->o.flag);
	assert_string_equal(b->o.calls, "[--]");
	assert_int_equal(b->o.number, 3);
}

static void two_dashes_end_options_and_one_dash_is_a_word(void **state)
{
	struct bench *b = *state;

	words_work(b, "- --flag -- --flag -n -- _");
	assert_true(b->o.flag);
	assert_string_equal(b->o.words, "[-][--flag][-n][--][]");
}

static void options_may_follow_words(void **state)
{
	struct bench *b = *state;

	words_work(b, "one --flag two -n 3");
	assert_true(b->o.flag);
	assert_int_equal(b->o.number, 3);
	assert_string_equal(b->o.words, "[one][two]");
}

static void words_nobody_wants_are_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(parse_words(b, "--flag stray", NULL), -EINVAL);
	assert_string_equal(b->e.text, "unexpected word 'stray'");
	words_fail(b, "bad", "a bad word");
}

static void no_words_change_nothing(void **state)
{
	struct bench *b = *state;
	struct options before = b->o;

	words_work(b, "");
	assert_memory_equal(&before, &b->o, sizeof(before));
}

static void an_option_given_twice_is_refused_by_its_long_name(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--number 3 --number 3", "'--number' is given twice");
	words_fail(b, "-n3 --number=4", "'--number' is given twice");
	words_fail(b, "-f -f", "'--flag' is given twice");
	words_fail(b, "--flag --flag=false", "'--flag' is given twice");
}

static void a_missing_value_is_told_with_what_it_should_be(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--number", "'--number' needs a value: N");
	words_fail(b, "-s", "'-s' needs a value: SIZE");
	words_fail(b, "--number=", "number: '' is not a number");
}

static void a_letter_that_is_a_switch_takes_nothing_behind_it(void **state)
{
	words_fail(*state, "-fo", "'-f' is a switch and takes no value");
}

static void an_unknown_option_is_answered_with_the_nearest(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--nubmer 3", "unknown option '--nubmer': did you mean '--number'?");
	words_fail(b, "--numb=3", "unknown option '--numb': did you mean '--number'?");
	words_fail(b, "--colou", "unknown option '--colou': did you mean '--colour'?");
	words_fail(b, "--otherflag", "unknown option '--otherflag': did you mean '--other-flag'?");
}

static void an_option_like_no_other_is_unknown(void **state)
{
	struct bench *b = *state;

	words_fail(b, "--zymurgy", "unknown option '--zymurgy'");
	words_fail(b, "-z", "unknown option '-z'");
	words_fail(b, "-zflag", "unknown option '-z'");
	words_fail(b, "--=3", "unknown option '--'");
	words_fail(b, "---", "unknown option '---'");
	words_fail(b, "--Flagg-and-more", "unknown option '--Flagg-and-more'");
}

static void a_very_long_unknown_option_is_cut_in_the_answer(void **state)
{
	char word[301] = "--", *const argv[] = { word };
	struct bench *b = *state;

	memset(word + 2, 'q', sizeof(word) - 3);
	assert_int_equal(opt_parse_words(table, &b->o, 1, argv, NULL, &b->e), -EINVAL);
	assert_int_equal(strlen(b->e.text), strlen("unknown option '--'") + 63);
}

/* --- Pairs ------------------------------------------------------------------------------------ */

static void pairs_are_keys_with_values_and_switches(void **state)
{
	struct bench *b = *state;

	assert_int_equal(parse_pairs(b, "number=7,flag,other-flag=off,text=a=b"), 0);
	assert_int_equal(b->o.number, 7);
	assert_true(b->o.flag && !b->o.other);
	assert_string_equal(b->o.text, "a=b");
	assert_int_equal(parse_pairs(b, "flag"), 0);
	assert_int_equal(parse_pairs(b, "text="), 0);
	assert_string_equal(b->o.text, "");
}

static void empty_parts_of_pairs_are_unknown_options(void **state)
{
	static const char *const bad[] = { "", ",", "flag,", ",flag", "number=7,,flag", "=7" };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		pairs_fail(*state, bad[i], "unknown option ''");
}

static void letters_are_not_keys(void **state)
{
	pairs_fail(*state, "n=7", "unknown option 'n'");
}

static void a_key_without_its_value_is_told_how_to_give_one(void **state)
{
	pairs_fail(*state, "number", "number needs a value: number=N");
	pairs_fail(*state, "flag,size", "size needs a value: size=SIZE");
}

static void a_key_given_twice_is_refused_unless_it_may_be_repeated(void **state)
{
	struct bench *b = *state;

	pairs_fail(b, "number=3,flag,number=3", "'number' is given twice");
	pairs_fail(b, "flag,flag", "'flag' is given twice");
	assert_int_equal(parse_pairs(b, "a-rather-long-option=1,a-rather-long-option=2"), 0);
	assert_string_equal(b->o.calls, "[1][2]");
}

static void an_unknown_key_is_answered_with_the_nearest(void **state)
{
	pairs_fail(*state, "sise=3", "unknown option 'sise': did you mean 'size'?");
	pairs_fail(*state, "whatever=3", "unknown option 'whatever'");
}

static void pairs_are_refused_when_they_are_too_long(void **state)
{
	char text[PAIRS_BYTES_MAX + 2];
	struct bench *b = *state;

	memset(text, 'x', sizeof(text));
	memcpy(text, "a-rather-long-option=", 21);
	text[PAIRS_BYTES_MAX + 1] = '\0';
	pairs_fail(b, text, "4096 bytes of options are too long (at most 4095)");
	text[PAIRS_BYTES_MAX] = '\0';
	assert_int_equal(parse_pairs(b, text), 0);
	assert_memory_equal(b->o.calls, "[xxx", 4);
}

static void one_value_is_stored_by_name(void **state)
{
	struct bench *b = *state;

	assert_int_equal(opt_parse_value(table, &b->o, "size", "8K", &b->e), 0);
	assert_true(b->o.size == KIB(8));
	assert_int_equal(opt_parse_value(table, &b->o, "flag", NULL, &b->e), 0);
	assert_true(b->o.flag);
	assert_int_equal(opt_parse_value(table, &b->o, "size", NULL, &b->e), -EINVAL);
	assert_int_equal(opt_parse_value(table, &b->o, "siz", "8K", &b->e), -EINVAL);
	assert_string_equal(b->e.text, "unknown option 'siz': did you mean 'size'?");
}

/* --- Help and near words ---------------------------------------------------------------------- */

static void help_shows_letters_names_values_choices_and_defaults(void **state)
{
	static const char expected[] = "  -f, --flag                  a switch\n"
				       "  -o, --other-flag            \n"
				       "  -n, --number N              from 2 to 9 (default 5)\n"
				       "      --wide N                \n"
				       "  -s, --size SIZE              (default 1536K)\n"
				       "  -t, --text TEXT             \n"
				       "      --colour WHICH          what it looks like: red, "
				       "green, blue (default green)\n"
				       "      --a-rather-long-option ANYTHING-AT-ALL\n"
				       "                              may be repeated\n";
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	opt_help(table, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static const char *nth(const void *cookie, u32 i)
{
	return ((const char *const *)cookie)[i];
}

static void the_nearest_word_is_close_or_begins_alike(void **state)
{
	static const char *const words[] = { "run", "version", "help", "policy", "policies", NULL };

	(void)state;
	assert_string_equal(word_nearest("run", nth, words), "run");
	assert_string_equal(word_nearest("rnu", nth, (const char *const[]){ "rn", NULL }), "rn");
	assert_string_equal(word_nearest("rum", nth, words), "run");
	assert_string_equal(word_nearest("halp", nth, words), "help");
	assert_string_equal(word_nearest("ver", nth, words), "version");
	assert_string_equal(word_nearest("polici", nth, words), "policy");
	assert_null(word_nearest("start", nth, words));
	assert_null(word_nearest("ve", nth, words));
	assert_null(word_nearest("", nth, words));
	assert_null(word_nearest("run", nth, (const char *const[]){ NULL }));
}

static void very_long_words_are_near_to_nothing(void **state)
{
	const char *words[] = { NULL, NULL };
	char word[200], candidate[200];

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	memset(candidate, 'c', sizeof(candidate) - 1);
	candidate[sizeof(candidate) - 1] = '\0';
	words[0] = candidate;
	assert_null(word_nearest(word, nth, words));
	assert_null(word_nearest("short", nth, words));
	words[0] = "short";
	assert_null(word_nearest(word, nth, words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(numbers_are_decimal_or_hexadecimal),
		T(what_is_not_wholly_a_number_is_none),
		T(numbers_beyond_64_bits_are_out_of_range),
		T(sizes_count_units_or_what_their_letter_says),
		T(sizes_that_overflow_are_out_of_range),
		T(what_is_not_a_size_is_none),
		T(defaults_are_stored_and_the_rest_stays_zero),
		T(a_default_that_does_not_parse_ends_the_process),
		T(a_switch_needs_no_value_and_takes_one_when_attached),
		T(numbers_are_taken_from_the_lowest_to_the_highest),
		T(a_number_out_of_range_is_told_with_its_limits),
		T(sizes_are_taken_from_the_lowest_to_the_highest),
		T(a_size_out_of_range_is_told_with_its_limits),
		T(text_fits_or_is_refused_whole),
		T(a_choice_is_one_of_its_words),
		T(a_call_may_be_repeated_and_its_words_are_passed_on),
		T(values_are_attached_or_the_next_word),
		T(a_value_may_look_like_an_option),
		T(two_dashes_end_options_and_one_dash_is_a_word),
		T(options_may_follow_words),
		T(words_nobody_wants_are_refused),
		T(no_words_change_nothing),
		T(an_option_given_twice_is_refused_by_its_long_name),
		T(a_missing_value_is_told_with_what_it_should_be),
		T(a_letter_that_is_a_switch_takes_nothing_behind_it),
		T(an_unknown_option_is_answered_with_the_nearest),
		T(an_option_like_no_other_is_unknown),
		T(a_very_long_unknown_option_is_cut_in_the_answer),
		T(pairs_are_keys_with_values_and_switches),
		T(empty_parts_of_pairs_are_unknown_options),
		T(letters_are_not_keys),
		T(a_key_without_its_value_is_told_how_to_give_one),
		T(a_key_given_twice_is_refused_unless_it_may_be_repeated),
		T(an_unknown_key_is_answered_with_the_nearest),
		T(pairs_are_refused_when_they_are_too_long),
		T(one_value_is_stored_by_name),
		T(help_shows_letters_names_values_choices_and_defaults),
		T(the_nearest_word_is_close_or_begins_alike),
		T(very_long_words_are_near_to_nothing),
	};

	return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
