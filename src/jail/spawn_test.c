// SPDX-License-Identifier: BSD-3-Clause
// Processes of our own: exactly the descriptors given, nothing else of the parent's, failures told.
// test-sources: src/jail/spawn.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail/spawn.h"
#include "util/fd.h"

enum {
	DEADLINE_MS = 10000,
	DEADLINE_S = 30, /* for whoever is left behind: later than the test gives up */
	FD_NUMBERS = 1024,
	STRAY_FD = 300, /* the parent's own descriptors start here */
	NOBODY = 65534,
	EXIT_REFUSED = 77, /* this host has no namespaces for us */
};

/* --- What the new process says of itself ------------------------------------------------------ */

struct report {
	u32 nr_open;
	char marks[SPAWN_FDS_MAX]; /* the first byte of each descriptor's file */
	bool env_is_empty, mask_is_empty, sigpipe_is_default, is_root;
	pid_t pid;
	char word[8]; /* after the role */
};

static u32 count_open_fds(void)
{
	u32 nr = 0;

	for (int fd = 0; fd < FD_NUMBERS; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static bool mask_is_empty(void)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigismember(&set, i) > 0)
			return false;
	return true;
}

/* Descriptor 0 is where the report goes; the others are files with their mark. */
static void role_report(const char *word)
{
	struct sigaction action;
	struct report report = {
		.nr_open = count_open_fds(),
		.env_is_empty = !environ[0],
		.mask_is_empty = mask_is_empty(),
		.is_root = geteuid() == 0,
		.pid = getpid(),
	};

	sigaction(SIGPIPE, NULL, &action);
	report.sigpipe_is_default = action.sa_handler == SIG_DFL;
	snprintf(report.word, sizeof(report.word), "%s", word ? word : "");
	for (int fd = 1; fd < SPAWN_FDS_MAX; fd++)
		if (pread(fd, &report.marks[fd], 1, 0) != 1)
			report.marks[fd] = '-';
	fd_write_all(0, &report, sizeof(report));
}

static int role_main(int argc, char **argv)
{
	alarm(DEADLINE_S); /* whatever goes wrong, nobody is left behind */
	if (strcmp(argv[1], "@report") == 0)
		role_report(argc > 2 ? argv[2] : NULL);
	if (strcmp(argv[1], "@count") == 0)
		_exit((int)count_open_fds());
	if (strcmp(argv[1], "@orphan") == 0) {
		spawn_die_with_parent();
		fd_write_all(0, "r", 1);
		for (;;)
			pause();
	}
	_exit(0);
}

/* --- A parent for it, which may do with its descriptors what it likes ------------------------- */

struct family {
	const int *sources; /* where the parent has its descriptors; the first is the report's */
	u32 nr;
	bool jailed, as_nobody;
	const char *role;
};

static char mark_of(u32 i)
{
	return (char)('A' + i);
}

/* A descriptor far away from everything, with its mark in the file; left open across exec. */
static int make_stray(u32 i, int report_fd)
{
	int fd = i == 0 ? dup(report_fd) : memfd_create("mark", 0), stray;
	char mark = mark_of(i);

	if (i > 0 && write(fd, &mark, 1) != 1)
		abort();
	stray = fcntl(fd, F_DUPFD, STRAY_FD);
	close(fd);
	return stray;
}

static void place_fds(const struct family *family, int report_fd)
{
	int strays[SPAWN_FDS_MAX];

	for (u32 i = 0; i < family->nr; i++)
		strays[i] = make_stray(i, report_fd);
	for (u32 i = 0; i < family->nr; i++)
		if (dup2(strays[i], family->sources[i]) < 0)
			abort();
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		abort();
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as a user's process is: its maps can be written */
}

static bool is_refusal(int error)
{
	return error == -EPERM || error == -ENOSYS || error == -ENOSPC || error == -EACCES;
}

/* Runs in a process of its own. Return: its exit status: that of the spawned one, or why none. */
static int parent_main(const struct family *family, int report_fd)
{
	struct spawn_request request = { .role = family->role,
					 .fds = family->sources,
					 .nr_fds = family->nr,
					 .jailed = family->jailed };
	struct spawn_child child;
	struct err e = { 0 };
	sigset_t set;
	int status;

	setenv("SECRET", "not for children", 1);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	place_fds(family, report_fd);
	if (family->as_nobody)
		become_nobody();
	if (spawn_process(&request, &child, &e) < 0)
		return family->jailed && is_refusal(e.code) ? EXIT_REFUSED : 1;
	waitpid(child.pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* Return: the parent's exit status; the report's bytes in *report. */
static int run_family(const struct family *family, struct report *report)
{
	int ends[2], status;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		alarm(DEADLINE_S);
		_exit(parent_main(family, ends[1]));
	}
	fd_close(&ends[1]);
	while (fd_read(ends[0], report, sizeof(*report)) > 0)
		;
	fd_close(&ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

static void arrive_in_order(const int *sources, u32 nr)
{
	const struct family family = { .sources = sources, .nr = nr, .role = "@report" };
	struct report report;

	assert_int_equal(run_family(&family, &report), 0);
	assert_int_equal(report.nr_open, nr);
	for (u32 i = 1; i < SPAWN_FDS_MAX; i++)
		assert_int_equal(report.marks[i], i < nr ? mark_of(i) : '-');
}

static void descriptors_arrive_in_order_from_any_numbers(void **state)
{
	static const int sources[][6] = {
		{ 0, 1, 2, 3, 4, 5 },       { 5, 4, 3, 2, 1, 0 },       { 1, 2, 3, 4, 5, 0 },
		{ 5, 0, 1, 2, 3, 4 },       { 1, 0, 3, 2, 5, 4 },       { 3, 4, 5, 6, 7, 8 },
		{ 8, 7, 6, 5, 4, 3 },       { 6, 7, 8, 9, 10, 11 },     { 50, 0, 49, 1, 51, 2 },
		{ 47, 48, 49, 50, 51, 52 }, { 52, 51, 50, 49, 48, 47 }, { 200, 0, 100, 5, 50, 1 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sources); i++)
		arrive_in_order(sources[i], 6);
}

/* Each of the 24 orders of four numbers, by the digits of its place in the factorial system. */
static void descriptors_arrive_in_order_from_any_permutation(void **state)
{
	(void)state;
	for (u32 n = 0; n < 24; n++) {
		int left[] = { 0, 1, 2, 3 }, sources[4];
		u32 rest = n;

		for (u32 i = 0; i < 4; i++) {
			u32 at = rest % (4 - i);

			rest /= 4 - i;
			sources[i] = left[at];
			left[at] = left[3 - i];
		}
		arrive_in_order(sources, 4);
	}
}

static void as_many_descriptors_as_allowed_arrive(void **state)
{
	int sources[SPAWN_FDS_MAX];

	(void)state;
	for (int i = 0; i < SPAWN_FDS_MAX; i++)
		sources[i] = SPAWN_FDS_MAX - 1 - i;
	arrive_in_order(sources, SPAWN_FDS_MAX);
	for (int i = 0; i < SPAWN_FDS_MAX; i++)
		sources[i] = SPAWN_FDS_MAX / 2 + i;
	arrive_in_order(sources, SPAWN_FDS_MAX);
}

static void one_descriptor_may_be_given_twice(void **state)
{
	static const int sources[] = { 7, 3, 3 };
	const struct family family = { .sources = sources, .nr = 3, .role = "@report" };
	struct report report;

	(void)state;
	assert_int_equal(run_family(&family, &report), 0);
	assert_int_equal(report.nr_open, 3);
	assert_int_equal(report.marks[1], mark_of(2));
	assert_int_equal(report.marks[2], mark_of(2));
}

static void a_process_may_be_given_nothing(void **state)
{
	const struct family family = { .role = "@count" };
	struct report report;

	(void)state;
	assert_int_equal(run_family(&family, &report), 0); /* descriptors are open */
}

/* --- The rest of the new process -------------------------------------------------------------- */

static const int one_source[] = { 9 };

static void environment_and_signals_are_not_inherited(void **state)
{
	const struct family family = { .sources = one_source, .nr = 1, .role = "@report" };
	struct report report;

	(void)state;
	assert_int_equal(run_family(&family, &report), 0);
	assert_true(report.env_is_empty);
	assert_true(report.mask_is_empty);
	assert_true(report.sigpipe_is_default);
	assert_string_equal(report.word, "");
}

static void a_jailed_process_is_the_first_of_its_namespace(void **state)
{
	const struct family family = {
		.sources = one_source, .nr = 1, .role = "@report", .jailed = true
	};
	struct report report;
	int status = run_family(&family, &report);

	(void)state;
	if (status == EXIT_REFUSED)
		skip();
	assert_int_equal(status, 0);
	assert_int_equal(report.pid, 1);
	assert_true(report.is_root);
	assert_string_equal(report.word, geteuid() == 0 ? "" : SPAWN_USER_NS);
}

static void a_user_s_jailed_process_is_root_in_a_namespace_and_told_so(void **state)
{
	const struct family family = {
		.sources = one_source, .nr = 1, .role = "@report", .jailed = true, .as_nobody = true
	};
	struct report report;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip(); /* that is the test before this one */
	status = run_family(&family, &report);
	if (status == EXIT_REFUSED)
		skip();
	assert_int_equal(status, 0);
	assert_int_equal(report.pid, 1);
	assert_true(report.is_root);
	assert_string_equal(report.word, SPAWN_USER_NS);
	assert_int_equal(report.nr_open, 1);
}

/* Wait for a byte, or for the end when there is none. Return: what fd_read says. */
static ssize_t read_within_deadline(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
	return fd_read(fd, &byte, 1);
}

static void a_process_that_asked_for_it_dies_with_its_parent(void **state)
{
	const struct family family = { .sources = one_source, .nr = 1, .role = "@orphan" };
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		alarm(DEADLINE_S);
		_exit(parent_main(&family, ends[1]));
	}
	fd_close(&ends[1]);
	assert_int_equal(read_within_deadline(ends[0]), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read_within_deadline(ends[0]), 0);
	fd_close(&ends[0]);
}

/* --- In the supervisor ------------------------------------------------------------------------ */

static int spawn(const char *role, const int *fds, u32 nr, struct spawn_child *child, struct err *e)
{
	return spawn_process(&(struct spawn_request){ .role = role, .fds = fds, .nr_fds = nr },
			     child, e);
}

static void the_end_of_a_process_is_seen_through_its_descriptor(void **state)
{
	u32 before = count_open_fds();
	struct spawn_child child;
	struct pollfd ready;
	struct err e = { 0 };
	int status;

	(void)state;
	assert_int_equal(spawn("@count", NULL, 0, &child, &e), 0);
	ready = (struct pollfd){ .fd = child.pid_fd, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
	assert_true(fcntl(child.pid_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	fd_close(&child.pid_fd);
	assert_int_equal(count_open_fds(), before);
}

static void fails(const char *role, const int *fds, u32 nr, int code, const char *text)
{
	u32 before = count_open_fds();
	struct spawn_child child;
	struct err e = { 0 };

	assert_int_equal(spawn(role, fds, nr, &child, &e), code);
	assert_int_equal(e.code, code);
	assert_string_equal(e.text, text);
	assert_int_equal(waitpid(-1, NULL, 0), -1); /* nobody is left */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_open_fds(), before);
}

static void a_failing_exec_is_told(void **state)
{
	size_t bytes = 1 << 20; /* more than one word may have */
	char *role = malloc(bytes);

	(void)state;
	memset(role, '@', bytes - 1);
	role[bytes - 1] = '\0';
	fails(role, NULL, 0, -E2BIG, "start this program again: Argument list too long");
	free(role);
}

static void a_descriptor_that_is_none_is_told(void **state)
{
	static const int fds[] = { 0, -1 }, closed[] = { FD_NUMBERS - 1 };
	const char *text = "arrange the descriptors of a new process: Bad file descriptor";

	(void)state;
	fails("@count", fds, 2, -EBADF, text);
	fails("@count", closed, 1, -EBADF, text);
}

static void too_many_descriptors_are_told_with_the_limit(void **state)
{
	const int fds[SPAWN_FDS_MAX + 1] = { 0 };

	(void)state;
	fails("@count", fds, SPAWN_FDS_MAX + 1, -EMFILE,
	      "65 descriptors for a process: at most 64");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_arrive_in_order_from_any_numbers),
		cmocka_unit_test(descriptors_arrive_in_order_from_any_permutation),
		cmocka_unit_test(as_many_descriptors_as_allowed_arrive),
		cmocka_unit_test(one_descriptor_may_be_given_twice),
		cmocka_unit_test(a_process_may_be_given_nothing),
		cmocka_unit_test(environment_and_signals_are_not_inherited),
		cmocka_unit_test(a_jailed_process_is_the_first_of_its_namespace),
		cmocka_unit_test(a_user_s_jailed_process_is_root_in_a_namespace_and_told_so),
		cmocka_unit_test(a_process_that_asked_for_it_dies_with_its_parent),
		cmocka_unit_test(the_end_of_a_process_is_seen_through_its_descriptor),
		cmocka_unit_test(a_failing_exec_is_told),
		cmocka_unit_test(a_descriptor_that_is_none_is_told),
		cmocka_unit_test(too_many_descriptors_are_told_with_the_limit),
	};

	if (argc > 1 && argv[1][0] == '@')
		return role_main(argc, argv);
	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
