// SPDX-License-Identifier: BSD-3-Clause
// Errors with words: what they keep, what goes before and behind, what happens to long ones.
// test-sources: src/util/err.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "util/err.h"

/* A text that fills `len` bytes of the record. */
static void fill(char *text, size_t len)
{
	memset(text, 'x', len);
	text[len] = '\0';
}

static void words_and_code_are_kept_and_the_code_returned(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, -ERANGE, "mem: %d is too much", 7), -ERANGE);
	assert_int_equal(e.code, -ERANGE);
	assert_string_equal(e.text, "mem: 7 is too much");
}

static void the_last_error_replaces_what_was_there(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, -ERANGE, "a long first text");
	assert_int_equal(err_set(&e, -EINVAL, "short"), -EINVAL);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.text, "short");
}

static void errno_is_told_in_words(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_errno(&e, -ENOENT, "open '%s'", "/x"), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_string_equal(e.text, "open '/x': No such file or directory");
}

static void context_goes_before_and_the_code_stays(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, -EBUSY, "in use");
	assert_int_equal(err_prefix(&e, "port %d", 3), -EBUSY);
	assert_int_equal(err_prefix(&e, "serial"), -EBUSY);
	assert_string_equal(e.text, "serial: port 3: in use");
}

static void a_long_text_is_cut_and_ends(void **state)
{
	char longer[2 * ERR_TEXT_BYTES];
	struct err e = { 0 };

	(void)state;
	fill(longer, sizeof(longer) - 1);
	assert_int_equal(err_set(&e, -EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
	assert_int_equal(err_errno(&e, -ENOENT, "%s", longer), -ENOENT);
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
}

static void a_prefix_cuts_the_end_of_the_text_not_its_beginning(void **state)
{
	char full[ERR_TEXT_BYTES];
	struct err e = { 0 };

	(void)state;
	fill(full, sizeof(full) - 1);
	err_set(&e, -EINVAL, "%s", full);
	err_prefix(&e, "context");
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
	assert_memory_equal(e.text, "context: xxx", 12);
}

static void a_prefix_as_long_as_the_record_leaves_no_room(void **state)
{
	char longer[2 * ERR_TEXT_BYTES];
	struct err e = { 0 };

	(void)state;
	fill(longer, sizeof(longer) - 1);
	err_set(&e, -EINVAL, "lost");
	assert_int_equal(err_prefix(&e, "%s", longer), -EINVAL);
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
	assert_null(strchr(e.text, 'l'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_code_are_kept_and_the_code_returned),
		cmocka_unit_test(the_last_error_replaces_what_was_there),
		cmocka_unit_test(errno_is_told_in_words),
		cmocka_unit_test(context_goes_before_and_the_code_stays),
		cmocka_unit_test(a_long_text_is_cut_and_ends),
		cmocka_unit_test(a_prefix_cuts_the_end_of_the_text_not_its_beginning),
		cmocka_unit_test(a_prefix_as_long_as_the_record_leaves_no_room),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
