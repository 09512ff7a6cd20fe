// SPDX-License-Identifier: BSD-3-Clause
// The user's terminal.
#include "ctl/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_A = 0x01 };

const char terminal_help[] = "\r\nCtrl-a x  end the machine\r\n"
			     "Ctrl-a c  send a break to the console\r\n"
			     "Ctrl-a p  press the power button\r\n"
			     "Ctrl-a a  send a Ctrl-a\r\n"
			     "Ctrl-a h  this help\r\n";

/* One terminal for one process: a signal handler has no other way to find it. */
static struct {
	struct termios before;
	volatile sig_atomic_t raw;
} terminal;

void terminal_restore(void)
{
	if (terminal.raw) {
		/* What a guest made the terminal answer is not for the shell that comes after. */
		tcflush(STDIN_FILENO, TCIFLUSH);
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
	}
	terminal.raw = 0;
}

/* A signal that ends the supervisor: give the terminal back, then die of the same signal. */
static void restore_and_die(int signal_number)
{
	terminal_restore();
	raise(signal_number); /* SA_RESETHAND put the default action back */
}

/* Signals that do not end a process, or that nobody can catch, or that the supervisor takes. */
static bool is_not_fatal(int signal_number)
{
	static const int others[] = { SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
				      SIGCONT, SIGCHLD, SIGURG,  SIGPIPE, SIGWINCH,
				      SIGINT,  SIGTERM, SIGHUP,  SIGQUIT };

	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i] == signal_number)
			return true;
	return false;
}

static void restore_when_killed(void)
{
	struct sigaction action = { .sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND };

	for (int i = 1; i < NSIG; i++)
		if (!is_not_fatal(i))
			sigaction(i, &action, NULL); /* the C library keeps a few to itself */
}

bool terminal_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
		return false;
	raw = terminal.before;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST | ONLCR; /* our own messages still start at the left edge */
	terminal.raw = 1;
	restore_when_killed();
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		terminal.raw = 0;
	return terminal.raw;
}

enum terminal_key terminal_key(struct terminal_keys *keys, u8 *byte)
{
	if (!keys->escaped) {
		keys->escaped = *byte == CTRL_A;
		return keys->escaped ? TERMINAL_KEY_NONE : TERMINAL_KEY_BYTE;
	}
	keys->escaped = false;
	switch (*byte) {
	case 'x':
		return TERMINAL_KEY_QUIT;
	case 'c':
		return TERMINAL_KEY_BREAK;
	case 'p':
		return TERMINAL_KEY_POWER;
	case 'a':
	case CTRL_A:
		*byte = CTRL_A;
		return TERMINAL_KEY_BYTE;
	default:
		return TERMINAL_KEY_HELP;
	}
}
