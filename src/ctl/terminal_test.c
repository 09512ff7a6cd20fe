// SPDX-License-Identifier: BSD-3-Clause
// The terminal's escape key, and modes that are given back.
// test-sources: src/ctl/terminal.c
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/terminal.h"

enum { CTRL_A = 1 };

/* --- Keys ------------------------------------------------------------------------------------- */

/* What one byte means after a Ctrl-a. */
static enum terminal_key after_escape(u8 *byte)
{
	struct terminal_keys keys = { 0 };
	u8 escape = CTRL_A;

	assert_int_equal(terminal_key(&keys, &escape), TERMINAL_KEY_NONE);
	return terminal_key(&keys, byte);
}

static void every_byte_but_the_escape_passes_unchanged(void **state)
{
	struct terminal_keys keys = { 0 };

	(void)state;
	for (u32 i = 0; i < 256; i++) {
		u8 byte = (u8)i;

		if (byte == CTRL_A)
			continue;
		assert_int_equal(terminal_key(&keys, &byte), TERMINAL_KEY_BYTE);
		assert_int_equal(byte, i);
	}
}

static void the_escape_and_a_letter_are_commands(void **state)
{
	static const struct {
		u8 letter;
		enum terminal_key key;
	} commands[] = {
		{ 'x', TERMINAL_KEY_QUIT },
		{ 'c', TERMINAL_KEY_BREAK },
		{ 'p', TERMINAL_KEY_POWER },
		{ 'h', TERMINAL_KEY_HELP },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
		u8 byte = commands[i].letter;

		assert_int_equal(after_escape(&byte), commands[i].key);
	}
}

static void the_escape_itself_is_sent_by_a_second_one_or_a_letter(void **state)
{
	u8 twice = CTRL_A, letter = 'a';

	(void)state;
	assert_int_equal(after_escape(&twice), TERMINAL_KEY_BYTE);
	assert_int_equal(twice, CTRL_A);
	assert_int_equal(after_escape(&letter), TERMINAL_KEY_BYTE);
	assert_int_equal(letter, CTRL_A);
}

static void every_other_byte_after_the_escape_asks_for_help(void **state)
{
	(void)state;
	for (u32 i = 0; i < 256; i++) {
		u8 byte = (u8)i;

		if (!memchr("xcpa\001", byte, 5))
			assert_int_equal(after_escape(&byte), TERMINAL_KEY_HELP);
	}
}

static void an_escape_lasts_for_one_byte(void **state)
{
	struct terminal_keys keys = { 0 };
	u8 bytes[] = { CTRL_A, 'c', 'x', CTRL_A, CTRL_A, 'x', CTRL_A, 'x' };
	static const enum terminal_key want[] = {
		TERMINAL_KEY_NONE, TERMINAL_KEY_BREAK, TERMINAL_KEY_BYTE, TERMINAL_KEY_NONE,
		TERMINAL_KEY_BYTE, TERMINAL_KEY_BYTE,  TERMINAL_KEY_NONE, TERMINAL_KEY_QUIT,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bytes); i++)
		assert_int_equal(terminal_key(&keys, &bytes[i]), want[i]);
}

/* --- Modes ------------------------------------------------------------------------------------ */

/*
 * Run `act` in a process whose standard input is a new terminal. Return: how it ended, as waitpid
 * tells; the terminal's modes before and after in `before` and `after`.
 */
static int on_a_terminal(int (*act)(void), struct termios *before, struct termios *after)
{
	const struct rlimit no_core = { 0 };
	int master, slave, status;
	pid_t pid;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, before), 0);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(slave, STDIN_FILENO);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(tcgetattr(slave, after), 0);
	close(master);
	close(slave);
	return status;
}

static bool same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static int only_raw(void)
{
	return terminal_raw() ? 0 : 1;
}

static int raw_and_back(void)
{
	if (!terminal_raw())
		return 1;
	terminal_restore();
	terminal_restore();
	return 0;
}

static int raw_and_crash(void)
{
	if (!terminal_raw())
		return 1;
	raise(SIGSEGV);
	return 2;
}

static void raw_mode_passes_keys_at_once_and_starts_lines_at_the_left(void **state)
{
	struct termios before, after;

	(void)state;
	assert_int_equal(on_a_terminal(only_raw, &before, &after), 0);
	assert_int_equal(after.c_lflag & (ICANON | ECHO | ISIG), 0);
	assert_int_equal(after.c_iflag & (ICRNL | IXON), 0);
	assert_int_equal(after.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
}

static void the_modes_are_given_back(void **state)
{
	struct termios before, after;

	(void)state;
	assert_int_equal(on_a_terminal(raw_and_back, &before, &after), 0);
	assert_true(same_modes(&before, &after));
}

static void a_crash_gives_the_modes_back_and_is_a_crash(void **state)
{
	struct termios before, after;
	int status;

	(void)state;
	status = on_a_terminal(raw_and_crash, &before, &after);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_true(same_modes(&before, &after));
}

static void what_is_no_terminal_is_left_alone(void **state)
{
	int saved = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool raw;

	(void)state;
	dup2(null, STDIN_FILENO);
	raw = terminal_raw();
	terminal_restore();
	if (saved >= 0)
		dup2(saved, STDIN_FILENO);
	close(saved);
	close(null);
	assert_false(raw);
}

static void the_help_names_every_command(void **state)
{
	(void)state;
	assert_non_null(strstr(terminal_help, "Ctrl-a x"));
	assert_non_null(strstr(terminal_help, "Ctrl-a c"));
	assert_non_null(strstr(terminal_help, "Ctrl-a a"));
	assert_non_null(strstr(terminal_help, "Ctrl-a h"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_but_the_escape_passes_unchanged),
		cmocka_unit_test(the_escape_and_a_letter_are_commands),
		cmocka_unit_test(the_escape_itself_is_sent_by_a_second_one_or_a_letter),
		cmocka_unit_test(every_other_byte_after_the_escape_asks_for_help),
		cmocka_unit_test(an_escape_lasts_for_one_byte),
		cmocka_unit_test(raw_mode_passes_keys_at_once_and_starts_lines_at_the_left),
		cmocka_unit_test(the_modes_are_given_back),
		cmocka_unit_test(a_crash_gives_the_modes_back_and_is_a_crash),
		cmocka_unit_test(what_is_no_terminal_is_left_alone),
		cmocka_unit_test(the_help_names_every_command),
	};

	return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
