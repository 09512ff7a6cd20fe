// SPDX-License-Identifier: BSD-3-Clause
// Where a device's bytes go on the host: options that serial ports and debug consoles share.
#pragma once

#include "stream/stream.h"
#include "util/fdset.h"
#include "util/opt.h"
#include "util/unix_socket.h"

enum { SERIAL_PATH_BYTES = 1024 };

enum serial_type {
	SERIAL_SINK,   /* output is dropped */
	SERIAL_STDOUT, /* the standard output of whoever started Kiln */
	SERIAL_FILE,   /* appended to a file, or written to a FIFO or terminal */
	SERIAL_UNIX,   /* a socket that listens at `path`: both directions, one client at a time */
};

/* Plain data: the supervisor fills it, serial_cfg_open completes it, the device reads it. */
struct serial_cfg {
	u32 type;                /* enum serial_type */
	u32 num;                 /* the port the user named, from 1; 0 for the next free one */
	u32 path_type;           /* file= or unix= as a type, SERIAL_SINK when neither was given */
	bool type_given;         /* by type= */
	bool as_stdout, as_sink; /* the bare words, until serial_cfg_open makes a type of them */
	bool wants_stdin;        /* the supervisor hands standard input over through in_fd_index */
	bool console;            /* the kernel's console; of the serial ports the first one is */
	int in_fd_index, out_fd_index, listen_fd_index; /* into the fdset; -1 for none */
	struct unix_id socket_id; /* which socket serial_cfg_cleanup may remove */
	char path[SERIAL_PATH_BYTES];
};

/* Options of serial ports (stdout, sink, file=, unix=, type=, path=, num=, stdin, console). */
extern const struct opt serial_opts[];

/* Options of a line that is no numbered port (stdout, sink, file=, unix=, type=, path=, stdin,
 * console). */
extern const struct opt serial_line_opts[];

/* Options of a console without input: stdout, sink, file=. */
extern const struct opt serial_output_opts[];

/* serial_cfg_instance - a class's cfg_instance: num - 1, or UINT32_MAX for the next free port. */
u32 serial_cfg_instance(const void *cfg);

/*
 * serial_line_resolve - of serial_line_opts: make one type of what was said, standard output of
 * nothing; may be called again. Return: 0, or -EINVAL with the words that clash.
 */
int serial_line_resolve(struct serial_cfg *cfg, struct err *e);

/*
 * serial_cfg_open - a class's open: check that the options make sense together and open what they
 * name. in_fd_index stays -1: where wants_stdin is set, the supervisor fills it.
 * Return: 0 or -errno with words. Context: supervisor.
 */
int serial_cfg_open(void *cfg, u32 index, struct fdset *fds, struct err *e);

/* serial_cfg_cleanup - a class's cleanup: remove the socket if it is still the one we made. */
void serial_cfg_cleanup(const void *cfg, u32 index);

/* serial_cfg_take - the descriptors that were handed over. Context: vm main, worker. */
struct stream_fds serial_cfg_take(const struct serial_cfg *cfg, struct fdset *fds);
