// SPDX-License-Identifier: BSD-3-Clause
// Serial ports COM1 to COM4: 16550A UARTs (PC16550D data sheet, 1995; sections are its own).
//
// The line has no speed: a byte written is sent at once, a byte from the host arrives when there is
// room for it. What a real line's slowness gives to drivers is kept:
// - The transmitter shows itself full while the host does not take output (stream.h): nothing is
//   lost and no vCPU waits.
// - A driver that refills the transmitter at each THRE interrupt would stay in its handler as long
//   as it has data (Linux gives up after 512 rounds, and the edge-triggered line stays high for
//   ever). After BURST_INTERRUPTS without a quiet moment the next one waits for a tick.
// - The interrupt line rises a tick after a write. Drivers that look at IIR again before they leave
//   their handler find the empty transmitter there at once, and no second interrupt comes for it.
// - Bytes that the guest clears out of the receiver's FIFO unread come back a tick later: kernels
//   clear it several times before they listen, and what a user piped in must not be lost to that.
//   For the same reason the line stays silent until the guest listens.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "dev/byte_io.h"
#include "dev/dev_class.h"
#include "stream/serial_cfg.h"
#include "stream/stream.h"

enum {
	UART_PORTS = 8,
	FIFO_BYTES = 16,
	BURST_INTERRUPTS = 128,
	POLLS_TO_LISTEN = 64, /* reads of LSR without a write: a guest that polls for input */

	/* 8.4 and table II; some serve another purpose while LCR_DLAB is set or on writes */
	REG_DATA = 0, /* RBR, THR, divisor's low byte */
	REG_IER = 1,  /* divisor's high byte */
	REG_IIR_FCR = 2,
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,

	IER_RX = 0x01,
	IER_TX = 0x02,
	IER_LINE_STATUS = 0x04,
	IER_MODEM_STATUS = 0x08,
	IER_WRITABLE = 0x0f,

	IIR_NONE = 0x01,
	IIR_MODEM_STATUS = 0x00,
	IIR_TX = 0x02,
	IIR_RX = 0x04,
	IIR_LINE_STATUS = 0x06,
	IIR_RX_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0,

	FCR_ENABLE = 0x01,
	FCR_CLEAR_RX = 0x02,
	FCR_TRIGGER_SHIFT = 6,

	LCR_BREAK = 0x40,
	LCR_DLAB = 0x80,

	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08, /* on a PC: the gate of the interrupt line */
	MCR_LOOP = 0x10,
	MCR_WRITABLE = 0x1f,

	LSR_DATA_READY = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_FRAMING = 0x08,
	LSR_BREAK = 0x10,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,
	LSR_FIFO_ERROR = 0x80,

	MSR_DELTA_CTS = 0x01,
	MSR_DELTA_DSR = 0x02,
	MSR_TRAILING_RI = 0x04,
	MSR_DELTA_DCD = 0x08,
	MSR_DELTAS = 0x0f,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
	MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD,

	/* what we remember of a byte in the receiver */
	RX_FROM_HOST = 0x01,
	RX_ERRORS = LSR_FRAMING | LSR_BREAK,
};

#define TICK_NS 500000 /* about four characters at 115200 baud and a bit: 8.10.1's time-out */

static const struct {
	u16 port;
	u8 gsi;
} uart_places[] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

DEVICE_AML(uart16550);

struct uart {
	struct dev *dev;
	u32 gsi;
	struct stream stream;
	struct evl_timer tick;

	/* Guards what follows and the order of interrupt levels; the stream's lock nests inside. */
	pthread_mutex_t lock;
	u8 ier, fcr, lcr, mcr, msr, scr;
	u8 divisor[2];
	bool overrun, tx_full;
	bool thre_pending; /* as IIR shows it */
	bool thre_quiet;   /* but the line does not rise for it before the next tick */
	bool tx_deferred;  /* IIR does not show it before the next tick, either */
	bool rx_timed_out, rx_touched, listening, tick_armed, irq;
	u32 burst, polls;
	u32 rx_count, held_count;
	u8 rx[FIFO_BYTES], rx_flags[FIFO_BYTES]; /* the receiver's FIFO, oldest first */
	u8 held[FIFO_BYTES];                     /* cleared out unread: still on the line */
};

/* --- State that several registers show. All of this runs with the lock held. ----------------- */

static u32 uart_fifo_size(const struct uart *u)
{
	return u->fcr & FCR_ENABLE ? FIFO_BYTES : 1;
}

static u32 uart_rx_trigger(const struct uart *u)
{
	static const u8 levels[] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? levels[u->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/* The highest of the pending and enabled interrupts (table V). */
static u8 uart_interrupt_id(const struct uart *u)
{
	bool error = u->overrun || (u->rx_count > 0 && (u->rx_flags[0] & RX_ERRORS));

	if ((u->ier & IER_LINE_STATUS) && error)
		return IIR_LINE_STATUS;
	if ((u->ier & IER_RX) && u->rx_count >= uart_rx_trigger(u))
		return IIR_RX;
	if ((u->ier & IER_RX) && u->rx_count > 0 && u->rx_timed_out)
		return IIR_RX_TIMEOUT;
	if ((u->ier & IER_TX) && u->thre_pending)
		return IIR_TX;
	if ((u->ier & IER_MODEM_STATUS) && (u->msr & MSR_DELTAS))
		return IIR_MODEM_STATUS;
	return IIR_NONE;
}

/* In loopback the OUT2 pin is inactive, whatever its bit says (8.6.4). */
static void uart_update_irq(struct uart *u)
{
	u8 id = uart_interrupt_id(u);
	bool pending = id != IIR_NONE && !(id == IIR_TX && u->thre_quiet);
	bool level = pending && (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP);

	if (level == u->irq)
		return;
	u->irq = level;
	u->dev->host->set_irq(u->dev->host, u->dev, u->gsi, level);
}

static void uart_arm_tick(struct uart *u)
{
	if (u->tick_armed)
		return;
	u->tick_armed = true;
	evl_timer_set(&u->tick, TICK_NS, 0);
}

/* How much the line may bring now. */
static u32 uart_rx_room(const struct uart *u)
{
	u32 used = u->rx_count + u->held_count;

	if (!u->listening || (u->mcr & MCR_LOOP) || u->burst >= BURST_INTERRUPTS)
		return 0;
	return used < uart_fifo_size(u) ? uart_fifo_size(u) - used : 0;
}

/* A byte arrives. Without room it is lost, but without FIFOs it replaces the last one (8.6.3). */
static void uart_receive(struct uart *u, u8 byte, u8 flags)
{
	if (u->rx_count < uart_fifo_size(u)) {
		u->rx_count++;
	} else {
		u->overrun = true;
		if (u->fcr & FCR_ENABLE)
			return;
	}
	u->rx[u->rx_count - 1] = byte;
	u->rx_flags[u->rx_count - 1] = flags;
	u->rx_timed_out = true; /* the line was silent long before the host's byte */
}

static void uart_rx_drop_first(struct uart *u)
{
	u->rx_count--;
	memmove(u->rx, u->rx + 1, u->rx_count);
	memmove(u->rx_flags, u->rx_flags + 1, u->rx_count);
}

/* Empty the receiver; what came from the host goes back to the line, before what is there already.
 */
static void uart_clear_rx(struct uart *u)
{
	u8 line[2 * FIFO_BYTES];
	u32 len = 0;

	for (u32 i = 0; i < u->rx_count; i++)
		if (u->rx_flags[i] & RX_FROM_HOST)
			line[len++] = u->rx[i];
	memcpy(line + len, u->held, u->held_count);
	u->held_count = MIN(len + u->held_count, (u32)FIFO_BYTES);
	memcpy(u->held, line, u->held_count);
	u->rx_count = 0;
	u->rx_timed_out = false;
	if (u->held_count > 0)
		uart_arm_tick(u);
}

static void uart_receive_held(struct uart *u)
{
	u32 taken = 0;

	while (taken < u->held_count && u->rx_count < uart_fifo_size(u))
		uart_receive(u, u->held[taken++], RX_FROM_HOST);
	u->held_count -= taken;
	memmove(u->held, u->held + taken, u->held_count);
}

/* The transmitter's FIFO ran empty: at once, as the line has no speed, if the host takes output. */
static void uart_tx_empty(struct uart *u)
{
	u->tx_full = !stream_has_room(&u->stream, FIFO_BYTES);
	u->thre_pending = !u->tx_full && u->burst < BURST_INTERRUPTS;
	u->thre_quiet = false;
	if (!u->tx_full && !u->thre_pending) {
		u->tx_deferred = true;
		uart_arm_tick(u);
	}
}

static void uart_listen(struct uart *u)
{
	if (u->listening)
		return;
	u->listening = true;
	stream_kick_input(&u->stream);
}

/* Probes try all of IER's bits, but only a guest that listens lets interrupts out, too. */
static void uart_check_listening(struct uart *u)
{
	if ((u->ier & IER_RX) && (u->mcr & MCR_OUT2))
		uart_listen(u);
}

/* --- Registers, with the lock held ----------------------------------------------------------- */

static u8 uart_read_rbr(struct uart *u)
{
	u8 byte;

	if (u->rx_count == 0)
		return 0;
	byte = u->rx[0];
	uart_rx_drop_first(u);
	u->rx_timed_out = false;
	u->rx_touched = true;
	if (u->rx_count > 0 ? u->rx_count < uart_rx_trigger(u) : u->held_count > 0)
		uart_arm_tick(u);
	if (u->rx_count == 0)
		stream_kick_input(&u->stream);
	return byte;
}

/* Drivers send only while LSR lets them; what is written in spite of it is lost, as on a line. */
static void uart_write_thr(struct uart *u, u8 byte)
{
	u->polls = 0;
	if (u->mcr & MCR_LOOP)
		uart_receive(u, byte, 0);
	else
		stream_put(&u->stream, &byte, 1);
	uart_tx_empty(u);
	if (u->thre_pending && (u->ier & IER_TX)) {
		u->thre_quiet = true;
		uart_arm_tick(u);
	}
}

static void uart_write_ier(struct uart *u, u8 value)
{
	u8 rising = (u8)(value & ~u->ier);

	u->ier = value & IER_WRITABLE;
	if (rising & IER_TX) /* enabling it with an empty transmitter raises it (8.7) */
		uart_tx_empty(u);
	uart_check_listening(u);
}

static u8 uart_read_iir(struct uart *u)
{
	u8 id = uart_interrupt_id(u);

	if (id == IIR_TX)
		u->thre_pending = false;
	if (id != IIR_NONE) {
		if (++u->burst >= BURST_INTERRUPTS)
			uart_arm_tick(u);
	} else if (u->burst > 0) {
		u->burst = 0;
		stream_kick_input(&u->stream);
	}
	return id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

/* The transmitter's FIFO is always empty here: its clear bit has nothing to do. */
static void uart_write_fcr(struct uart *u, u8 value)
{
	bool toggles = (value ^ u->fcr) & FCR_ENABLE;

	if (toggles || (value & FCR_CLEAR_RX))
		uart_clear_rx(u);
	u->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT) : 0;
	stream_kick_input(&u->stream);
}

static void uart_write_lcr(struct uart *u, u8 value)
{
	bool break_begins = value & ~u->lcr & LCR_BREAK;

	u->lcr = value;
	if (break_begins && (u->mcr & MCR_LOOP))
		uart_receive(u, 0, LSR_BREAK | LSR_FRAMING);
}

/* The modem's lines: a modem that is always ready, or in loopback our own outputs (8.6.4). */
static u8 uart_modem_lines(const struct uart *u)
{
	u8 lines = 0;

	if (!(u->mcr & MCR_LOOP))
		return MSR_CONNECTED;
	lines |= u->mcr & MCR_RTS ? MSR_CTS : 0;
	lines |= u->mcr & MCR_DTR ? MSR_DSR : 0;
	lines |= u->mcr & MCR_OUT1 ? MSR_RI : 0;
	lines |= u->mcr & MCR_OUT2 ? MSR_DCD : 0;
	return lines;
}

static void uart_update_modem(struct uart *u)
{
	u8 lines = uart_modem_lines(u), changed = (u8)(lines ^ u->msr);

	u->msr = (u->msr & MSR_DELTAS) | lines;
	u->msr |= changed & MSR_CTS ? MSR_DELTA_CTS : 0;
	u->msr |= changed & MSR_DSR ? MSR_DELTA_DSR : 0;
	u->msr |= changed & ~lines & MSR_RI ? MSR_TRAILING_RI : 0;
	u->msr |= changed & MSR_DCD ? MSR_DELTA_DCD : 0;
}

static void uart_write_mcr(struct uart *u, u8 value)
{
	u->mcr = value & MCR_WRITABLE;
	uart_check_listening(u);
	uart_update_modem(u);
	if (u->held_count > 0)
		uart_arm_tick(u);
	stream_kick_input(&u->stream); /* loopback had cut the line */
}

static u8 uart_read_msr(struct uart *u)
{
	u8 value = u->msr;

	u->msr &= (u8)~MSR_DELTAS;
	return value;
}

static u8 uart_read_lsr(struct uart *u)
{
	u8 value = u->tx_full ? 0 : LSR_THRE | LSR_TEMT;

	if (u->overrun)
		value |= LSR_OVERRUN;
	if (u->rx_count > 0)
		value |= LSR_DATA_READY | (u->rx_flags[0] & RX_ERRORS);
	for (u32 i = 0; i < u->rx_count && (u->fcr & FCR_ENABLE); i++)
		if (u->rx_flags[i] & RX_ERRORS)
			value |= LSR_FIFO_ERROR;
	u->overrun = false;
	if (u->rx_count > 0)
		u->rx_flags[0] &= (u8)~RX_ERRORS;
	if (++u->polls >= POLLS_TO_LISTEN)
		uart_listen(u);
	return value;
}

static u8 uart_read_byte(void *opaque, u32 offset)
{
	struct uart *u = opaque;

	if ((u->lcr & LCR_DLAB) && offset <= REG_IER)
		return u->divisor[offset];
	switch (offset) {
	case REG_DATA:
		return uart_read_rbr(u);
	case REG_IER:
		return u->ier;
	case REG_IIR_FCR:
		return uart_read_iir(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return uart_read_lsr(u);
	case REG_MSR:
		return uart_read_msr(u);
	case REG_SCR:
		return u->scr;
	}
	return 0xff;
}

static void uart_write_byte(void *opaque, u32 offset, u8 value)
{
	struct uart *u = opaque;

	if ((u->lcr & LCR_DLAB) && offset <= REG_IER) {
		u->divisor[offset] = value;
		return;
	}
	switch (offset) {
	case REG_DATA:
		uart_write_thr(u, value);
		break;
	case REG_IER:
		uart_write_ier(u, value);
		break;
	case REG_IIR_FCR:
		uart_write_fcr(u, value);
		break;
	case REG_LCR:
		uart_write_lcr(u, value);
		break;
	case REG_MCR:
		uart_write_mcr(u, value);
		break;
	case REG_LSR: /* for factory tests */
	case REG_MSR:
		break;
	case REG_SCR:
		u->scr = value;
		break;
	}
}

static u64 uart_read(void *opaque, u64 offset, u32 len)
{
	struct uart *u = opaque;
	u64 value;

	pthread_mutex_lock(&u->lock);
	value = byte_io_read(uart_read_byte, u, offset, len);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
	return value;
}

static void uart_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct uart *u = opaque;

	pthread_mutex_lock(&u->lock);
	byte_io_write(uart_write_byte, u, offset, len, value);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static const struct bus_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
};

/* --- The loop's thread ----------------------------------------------------------------------- */

static u32 uart_wanted(void *opaque)
{
	struct uart *u = opaque;
	u32 room;

	pthread_mutex_lock(&u->lock);
	room = uart_rx_room(u);
	pthread_mutex_unlock(&u->lock);
	return room;
}

/* The guest may have shrunk the FIFO since `wanted`: what does not fit waits on the line. */
static void uart_input(void *opaque, const u8 *bytes, u32 len)
{
	struct uart *u = opaque;

	pthread_mutex_lock(&u->lock);
	for (u32 i = 0; i < len; i++) {
		if (uart_rx_room(u) > 0 && u->held_count == 0)
			uart_receive(u, bytes[i], RX_FROM_HOST);
		else if (u->held_count < FIFO_BYTES)
			u->held[u->held_count++] = bytes[i];
	}
	if (u->held_count > 0)
		uart_arm_tick(u);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static void uart_drained(void *opaque)
{
	struct uart *u = opaque;

	pthread_mutex_lock(&u->lock);
	if (u->tx_full)
		uart_tx_empty(u);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static const struct stream_ops uart_stream_ops = {
	.wanted = uart_wanted,
	.input = uart_input,
	.drained = uart_drained,
};

/* A time-out needs a whole tick without a read (8.10.1). */
static void uart_tick_receiver(struct uart *u)
{
	if (u->held_count > 0 && !(u->mcr & MCR_LOOP))
		uart_receive_held(u);
	if (u->rx_count == 0 || u->rx_timed_out)
		return;
	if (u->rx_touched) {
		u->rx_touched = false;
		uart_arm_tick(u);
	} else {
		u->rx_timed_out = true;
	}
}

static void uart_tick(struct evl_timer *timer)
{
	struct uart *u = container_of(timer, struct uart, tick);

	pthread_mutex_lock(&u->lock);
	u->tick_armed = false;
	u->burst = 0;
	u->thre_quiet = false;
	if (u->tx_deferred) {
		u->tx_deferred = false;
		u->thre_pending = !u->tx_full;
	}
	uart_tick_receiver(u);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
	stream_kick_input(&u->stream);
}

static void uart_line_break(struct dev *dev)
{
	struct uart *u = dev->priv;

	pthread_mutex_lock(&u->lock);
	if (!(u->mcr & MCR_LOOP))
		uart_receive(u, 0, LSR_BREAK | LSR_FRAMING);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* Table III, and what else a machine that was just switched on has. */
static void uart_power_on(struct uart *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
	u->msr = MSR_CONNECTED;
	u->divisor[0] = 12; /* 9600 baud */
	u->divisor[1] = 0;
	u->overrun = u->thre_pending = u->thre_quiet = u->tx_deferred = false;
	u->rx_timed_out = u->rx_touched = u->listening = false;
	u->burst = u->polls = 0;
	u->rx_count = u->held_count = 0;
	u->tx_full = !stream_has_room(&u->stream, FIFO_BYTES);
}

static int uart_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct dev_host *host = dev->host;
	struct uart *u = dev->priv;
	char name[STREAM_NAME_BYTES];
	int status;

	u->dev = dev;
	u->gsi = uart_places[dev->index].gsi;
	pthread_mutex_init(&u->lock, NULL);
	snprintf(name, sizeof(name), "%s.%u", dev->cls->name, dev->index);
	status = stream_create(&u->stream, name, host->evl, serial_cfg_take(cfg, fds),
			       &uart_stream_ops, u, e);
	if (status < 0)
		return status;
	status = evl_timer_create(host->evl, &u->tick, uart_tick);
	if (status < 0)
		return err_errno(e, status, "timer");
	uart_power_on(u);
	return bus_add(host->pio, uart_places[dev->index].port, UART_PORTS, &uart_ops, u, e);
}

static void uart_destroy(struct dev *dev)
{
	struct uart *u = dev->priv;

	evl_timer_destroy(&u->tick);
	stream_destroy(&u->stream);
}

static void uart_reset(struct dev *dev)
{
	struct uart *u = dev->priv;

	pthread_mutex_lock(&u->lock);
	uart_power_on(u);
	uart_update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

/* The first port is the terminal. */
static void uart_cfg_default(void *opaque, u32 index)
{
	struct serial_cfg *cfg = opaque;

	cfg->type = index == 0 ? SERIAL_STDOUT : SERIAL_SINK;
	cfg->wants_stdin = index == 0;
}

static struct serial_cfg *uart_serial(void *cfg)
{
	return cfg;
}

static const struct dev_class uart16550_class = {
	.name = "uart16550",
	.summary = SUMMARY("serial ports COM1 to COM4 (16550A)"),
	.nr_instances = ARRAY_SIZE(uart_places),
	.priv_bytes = sizeof(struct uart),
	.cfg_bytes = sizeof(struct serial_cfg),
	.opts = serial_opts,
	.shorthand = "serial",
	.shorthand_help = HELP("the next serial port: stdout, sink, file=PATH, unix=PATH, ..."),
	.ssdt = &uart16550_aml,
	.cfg_default = uart_cfg_default,
	.cfg_instance = serial_cfg_instance,
	.open = serial_cfg_open,
	.serial = uart_serial,
	.cleanup = serial_cfg_cleanup,
	.create = uart_create,
	.destroy = uart_destroy,
	.reset = uart_reset,
	.line_break = uart_line_break,
};

DEVICE_CLASS(uart16550_class);
