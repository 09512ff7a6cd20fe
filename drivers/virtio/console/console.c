// SPDX-License-Identifier: BSD-3-Clause
// virtio-console: one port, the guest's hvc0 (virtio 1.2, section 5.3)
//
// Nothing is dropped on the way: a request for output is kept, and no other one taken, while the
// host does not read (stream.h); input is read from the host only when the guest has a buffer for
// it. So at most one request of each ring is in our hands, the one that was popped last. (Linux waits
// for its output with interrupts off: a vCPU that writes stands still until the host reads.)
#include "console.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "stream/serial_cfg.h"
#include "stream/stream.h"
#include "util/bytes.h"

enum {
	CONSOLE_F_SIZE = 0, /* section 5.3.3 */

	CONSOLE_RX = 0,
	CONSOLE_TX = 1,
	CONSOLE_QUEUES = 2,
	CONSOLE_QUEUE_SIZE = 64,

	CONSOLE_PIECE_BYTES = 1024,  /* copied to the stream at once */
	CONSOLE_TURN_BYTES = 262144, /* of output before others have their turn */
	CONSOLE_REQUEST_COST = 64,   /* what a request takes of a turn beside its bytes */
};

/* Section 5.3.4 */
struct console_config {
	le16 cols, rows;
	le32 max_nr_ports, emerg_wr;
};

/* The first member is what the options store. */
struct console_cfg {
	struct serial_cfg serial;
	u16 cols, rows;
};

/* The request of a ring that is in our hands. */
struct console_request {
	bool held;
	struct virtq_chain chain;
	struct iovec iov[CONSOLE_QUEUE_SIZE];
};

struct console {
	struct vdev *vdev;
	u16 cols, rows;
	struct stream stream;
	struct evl_timer next_turn; /* output goes on after others had theirs */
	struct console_request rx, tx;
};

/* Have a request in hand. Return: 1, 0 when the driver has none, or -EPROTO. */
static int console_hold(struct console *c, u32 qi, struct console_request *r)
{
	int status;

	if (c->vdev->is_broken || r->held)
		return r->held && !c->vdev->is_broken;
	status = vdev_pop(c->vdev, qi, &r->chain, r->iov, ARRAY_SIZE(r->iov));
	r->held = status > 0;
	return status;
}

static void console_return(struct console *c, u32 qi, struct console_request *r, u32 written)
{
	r->held = false;
	virtq_push(vdev_queue(c->vdev, qi), r->chain.head, written);
}

/* --- Output ----------------------------------------------------------------------------------- */

/* Return: whether all of the request is with the stream; if not, `drained` or a turn will come. */
static bool console_send(struct console *c, u32 *turn_bytes)
{
	struct gcur *out = &c->tx.chain.out;
	u8 bytes[CONSOLE_PIECE_BYTES];

	while (gcur_left(out) > 0 && *turn_bytes > 0) {
		u32 len = (u32)MIN(gcur_left(out), (u64)MIN(*turn_bytes, sizeof(bytes)));

		if (!stream_has_room(&c->stream, len) || !gcur_get(out, bytes, len))
			return false;
		stream_put(&c->stream, bytes, len);
		*turn_bytes -= len;
	}
	return gcur_left(out) == 0;
}

static int console_transmit(struct console *c)
{
	u32 turn_bytes = CONSOLE_TURN_BYTES;
	int status;

	while ((status = console_hold(c, CONSOLE_TX, &c->tx)) > 0) {
		if (!console_send(c, &turn_bytes))
			break;
		console_return(c, CONSOLE_TX, &c->tx, 0);
		turn_bytes -= MIN(turn_bytes, (u32)CONSOLE_REQUEST_COST);
		if (turn_bytes == 0)
			break;
	}
	if (turn_bytes == 0)
		evl_timer_set(&c->next_turn, 1, 0);
	virtq_call(vdev_queue(c->vdev, CONSOLE_TX));
	return MIN(status, 0);
}

static void console_next_turn(struct evl_timer *timer)
{
	console_transmit(container_of(timer, struct console, next_turn));
}

static void console_drained(void *opaque)
{
	console_transmit(opaque);
}

/* --- Input ------------------------------------------------------------------------------------ */

/* Buffers without room go back as they came, at most a ring's worth. */
static u32 console_wanted(void *opaque)
{
	struct console *c = opaque;
	u32 left = CONSOLE_QUEUE_SIZE;

	while (left-- > 0 && console_hold(c, CONSOLE_RX, &c->rx) > 0) {
		if (gcur_left(&c->rx.chain.in) > 0)
			return (u32)gcur_left(&c->rx.chain.in);
		console_return(c, CONSOLE_RX, &c->rx, 0);
		virtq_call(vdev_queue(c->vdev, CONSOLE_RX));
	}
	return 0;
}

static void console_input(void *opaque, const u8 *bytes, u32 len)
{
	struct console *c = opaque;

	if (!c->rx.held || !gcur_put(&c->rx.chain.in, bytes, len))
		return;
	console_return(c, CONSOLE_RX, &c->rx, len);
	virtq_call(vdev_queue(c->vdev, CONSOLE_RX));
}

static const struct stream_ops console_stream_ops = {
	.wanted = console_wanted,
	.input = console_input,
	.drained = console_drained,
};

/* --- Rings ------------------------------------------------------------------------------------ */

static int console_kick(struct vdev *v, u32 qi)
{
	struct console *c = v->priv;
	int status;

	if (qi == CONSOLE_TX)
		return console_transmit(c);
	status = console_hold(c, qi, &c->rx);
	if (status > 0)
		stream_kick_input(&c->stream);
	return MIN(status, 0);
}

/* Linux looks at the size only when it is told that it changed. */
static int console_queue_start(struct vdev *v, u32 qi)
{
	const struct console *c = v->priv;

	if (qi == CONSOLE_TX && (c->cols > 0 || c->rows > 0) && vdev_has(v, CONSOLE_F_SIZE))
		v->host->config_changed(v->host, v);
	return 0;
}

/*
 * What is in our hands goes back into the ring unseen: a reset forgets it, and whoever starts the
 * ring again where it stopped has it once more. (The part of an output that had room comes twice
 * then, rather than that the rest never comes.)
 */
static void console_queue_stop(struct vdev *v, u32 qi)
{
	struct console *c = v->priv;
	struct console_request *r = qi == CONSOLE_TX ? &c->tx : &c->rx;

	if (!r->held)
		return;
	r->held = false;
	virtq_unpop(vdev_queue(v, qi));
}

/* --- Configuration space ---------------------------------------------------------------------- */

static void console_config_read(struct vdev *v, u8 *config)
{
	const struct console *c = v->priv;
	const struct console_config all = {
		.cols = le16_make(c->cols),
		.rows = le16_make(c->rows),
	};

	memcpy(config, &all, sizeof(all));
}

void console_set_size(struct vdev *v, u16 cols, u16 rows)
{
	struct console *c = v->priv;

	if (cols == c->cols && rows == c->rows)
		return;
	c->cols = cols;
	c->rows = rows;
	v->host->config_changed(v->host, v);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int console_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct console_cfg *cfg = opaque;
	int status = serial_line_resolve(&cfg->serial, e);
	struct winsize size;

	if (status == 0)
		status = serial_cfg_open(&cfg->serial, 0, fds, e);
	if (status == 0 && cfg->serial.type == SERIAL_STDOUT &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		cfg->cols = size.ws_col;
		cfg->rows = size.ws_row;
	}
	return status;
}

static struct serial_cfg *console_serial(void *cfg)
{
	return &((struct console_cfg *)cfg)->serial;
}

static void console_cleanup(const void *cfg)
{
	serial_cfg_cleanup(&((const struct console_cfg *)cfg)->serial, 0);
}

static int console_start(struct vdev *v, const void *opaque, struct fdset *fds, struct err *e)
{
	const struct console_cfg *cfg = opaque;
	struct console *c = v->priv;
	int status;

	c->vdev = v;
	c->cols = cfg->cols;
	c->rows = cfg->rows;
	status = evl_timer_create(v->evl, &c->next_turn, console_next_turn);
	if (status < 0)
		return err_errno(e, status, "timer");
	return stream_create(&c->stream, v->name, v->evl, serial_cfg_take(&cfg->serial, fds),
			     &console_stream_ops, c, e);
}

static void console_destroy(struct vdev *v)
{
	struct console *c = v->priv;

	evl_timer_destroy(&c->next_turn);
	stream_destroy(&c->stream);
}

static const struct vdev_class console_class = {
	.name = "virtio-console",
	.summary = SUMMARY("console hvc0: output and input by the buffer"),
	.virtio_id = 3,
	.queue_size_max = CONSOLE_QUEUE_SIZE,
	.nr_queues = CONSOLE_QUEUES,
	.features = 1 << CONSOLE_F_SIZE,
	.config_bytes = sizeof(struct console_config),
	.priv_bytes = sizeof(struct console),
	.cfg_bytes = sizeof(struct console_cfg),
	.opts = serial_line_opts,
	.policy = "virtio_console",
	.open = console_open,
	.serial = console_serial,
	.cleanup = console_cleanup,
	.start = console_start,
	.destroy = console_destroy,
	.kick = console_kick,
	.queue_start = console_queue_start,
	.queue_stop = console_queue_stop,
	.config_read = console_config_read,
	.terminal_size = console_set_size,
};

VDEV_CLASS(console_class);
