// SPDX-License-Identifier: BSD-3-Clause
// Keyboard controller 8042 with nothing attached (IBM PS/2 Hardware Technical Reference).
//
// Guests want it for two things: to reset the machine, and to learn quickly that there is neither
// keyboard nor mouse. Linux waits half a second for each reply that does not come, so every command
// is answered at once. The auxiliary port is denied as a controller without one does it: its
// loop-back comes out of the keyboard's side, its port test fails and its clock cannot be enabled.
// Bytes for the keyboard are answered with "resend" and the time-out bit: drivers give up at once.
//
// No .asl: the FADT says that there is no 8042 (IA-PC boot flags), so that kernels with ACPI do not
// probe at all. This is for the others, and for reboots through port 0x64.
#include <pthread.h>
#include <string.h>

#include "dev/dev_class.h"

enum {
	I8042_DATA_PORT = 0x60,
	I8042_COMMAND_PORT = 0x64, /* between them is the timer's port, 0x61 */
	I8042_GSI = 1,
	I8042_RAM_BYTES = 32,

	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04,
	STATUS_COMMAND = 0x08, /* the last write went to the command port */
	STATUS_UNLOCKED = 0x10,
	STATUS_AUX = 0x20, /* the output byte is the auxiliary device's */
	STATUS_TIMEOUT = 0x40,

	CTR_KBD_INTERRUPT = 0x01,
	CTR_SYSTEM = 0x04,
	CTR_KBD_DISABLED = 0x10,
	CTR_AUX_DISABLED = 0x20,
	CTR_TRANSLATE = 0x40,
	CTR_DEFAULT = CTR_KBD_INTERRUPT | CTR_SYSTEM | CTR_AUX_DISABLED | CTR_TRANSLATE,

	OUTPUT_PORT_RUN = 0x01, /* low: the processor is held in reset */
	OUTPUT_PORT_A20 = 0x02,
	OUTPUT_PORT_DEFAULT = 0xcc | OUTPUT_PORT_RUN | OUTPUT_PORT_A20,
	INPUT_PORT_UNLOCKED = 0x80,

	CMD_READ_RAM = 0x20,  /* to 0x3f; byte 0 is the command byte (CTR) */
	CMD_WRITE_RAM = 0x60, /* to 0x7f */
	CMD_AUX_DISABLE = 0xa7,
	CMD_AUX_ENABLE = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_DISABLE = 0xad,
	CMD_KBD_ENABLE = 0xae,
	CMD_READ_INPUT_PORT = 0xc0,
	CMD_READ_OUTPUT_PORT = 0xd0,
	CMD_WRITE_OUTPUT_PORT = 0xd1,
	CMD_KBD_LOOP = 0xd2,
	CMD_AUX_LOOP = 0xd3,
	CMD_AUX_SEND = 0xd4,
	CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf,
	CMD_READ_TEST_INPUTS = 0xe0,
	CMD_PULSE = 0xf0, /* to 0xff: the zeros among the low four bits pulse output lines low */

	REPLY_SELF_TEST_PASSED = 0x55,
	REPLY_KBD_TEST_PASSED = 0x00,
	REPLY_AUX_CLOCK_STUCK = 0x01,
	REPLY_RESEND = 0xfe,
};

struct i8042 {
	struct dev *dev;
	pthread_mutex_t lock;    /* guards what follows and the order of interrupt levels */
	u8 ram[I8042_RAM_BYTES]; /* ram[0] is the CTR */
	u8 output_port;
	u8 output, output_status; /* the byte to be read and its bits of the status register */
	u8 pending;               /* the command that waits for its data byte, or 0 */
	bool last_was_command, irq;
};

static void i8042_power_on(struct i8042 *k)
{
	memset(k->ram, 0, sizeof(k->ram));
	k->ram[0] = CTR_DEFAULT;
	k->output_port = OUTPUT_PORT_DEFAULT;
	k->output = 0;
	k->output_status = 0;
	k->pending = 0;
	k->last_was_command = false;
}

static void i8042_update_irq(struct i8042 *k)
{
	bool level = (k->output_status & STATUS_OUTPUT_FULL) && !(k->output_status & STATUS_AUX) &&
		     (k->ram[0] & CTR_KBD_INTERRUPT);

	if (level == k->irq)
		return;
	k->irq = level;
	k->dev->host->set_irq(k->dev->host, k->dev, I8042_GSI, level);
}

/* There is one output register: a reply replaces what was not read. */
static void i8042_reply(struct i8042 *k, u8 value, u8 status)
{
	k->output = value;
	k->output_status = STATUS_OUTPUT_FULL | status;
}

static void i8042_write_ctr(struct i8042 *k, u8 value)
{
	k->ram[0] = value | CTR_AUX_DISABLED;
}

/* Return: whether the machine is to be reset. */
static bool i8042_write_output_port(struct i8042 *k, u8 value)
{
	k->output_port = value;
	return !(value & OUTPUT_PORT_RUN);
}

static void i8042_self_test(struct i8042 *k)
{
	k->ram[0] |= CTR_SYSTEM | CTR_KBD_DISABLED;
	i8042_reply(k, REPLY_SELF_TEST_PASSED, 0);
}

/* Commands 0x20 to 0x7f: the controller's memory. */
static void i8042_ram_command(struct i8042 *k, u8 command)
{
	if (command < CMD_READ_RAM + I8042_RAM_BYTES)
		i8042_reply(k, k->ram[command % I8042_RAM_BYTES], 0);
	else if (command >= CMD_WRITE_RAM)
		k->pending = command;
}

/* Commands that are done without data and without a reply. Return: whether to reset. */
static bool i8042_silent_command(struct i8042 *k, u8 command)
{
	switch (command) {
	case CMD_AUX_DISABLE:
	case CMD_AUX_ENABLE:
		break; /* it stays disabled: there is none */
	case CMD_KBD_DISABLE:
		k->ram[0] |= CTR_KBD_DISABLED;
		break;
	case CMD_KBD_ENABLE:
		k->ram[0] &= (u8)~CTR_KBD_DISABLED;
		break;
	case CMD_A20_OFF:
		k->output_port &= (u8)~OUTPUT_PORT_A20;
		break;
	case CMD_A20_ON:
		k->output_port |= OUTPUT_PORT_A20;
		break;
	}
	return command >= CMD_PULSE && !(command & OUTPUT_PORT_RUN);
}

/* Return: whether the machine is to be reset. */
static bool i8042_command(struct i8042 *k, u8 command)
{
	k->pending = 0;
	switch (command) {
	case CMD_READ_RAM ... CMD_WRITE_RAM + I8042_RAM_BYTES - 1:
		i8042_ram_command(k, command);
		break;
	case CMD_AUX_TEST:
		i8042_reply(k, REPLY_AUX_CLOCK_STUCK, 0);
		break;
	case CMD_SELF_TEST:
		i8042_self_test(k);
		break;
	case CMD_KBD_TEST:
		i8042_reply(k, REPLY_KBD_TEST_PASSED, 0);
		break;
	case CMD_READ_INPUT_PORT:
		i8042_reply(k, INPUT_PORT_UNLOCKED, 0);
		break;
	case CMD_READ_OUTPUT_PORT:
		i8042_reply(k, k->output_port, 0);
		break;
	case CMD_READ_TEST_INPUTS:
		i8042_reply(k, 0, 0);
		break;
	case CMD_WRITE_OUTPUT_PORT:
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP:
	case CMD_AUX_SEND:
		k->pending = command;
		break;
	default:
		return i8042_silent_command(k, command);
	}
	return false;
}

/* Return: whether the machine is to be reset. */
static bool i8042_data(struct i8042 *k, u8 value)
{
	u8 command = k->pending;

	k->pending = 0;
	switch (command) {
	case CMD_WRITE_RAM:
		i8042_write_ctr(k, value);
		break;
	case CMD_WRITE_RAM + 1 ... CMD_WRITE_RAM + I8042_RAM_BYTES - 1:
		k->ram[command % I8042_RAM_BYTES] = value;
		break;
	case CMD_WRITE_OUTPUT_PORT:
		return i8042_write_output_port(k, value);
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP:
		i8042_reply(k, value, 0);
		break;
	case CMD_AUX_SEND:
		i8042_reply(k, REPLY_RESEND, STATUS_AUX | STATUS_TIMEOUT);
		break;
	default: /* for the keyboard, which is not there */
		i8042_reply(k, REPLY_RESEND, STATUS_TIMEOUT);
		break;
	}
	return false;
}

static u64 i8042_data_read(void *opaque, u64 offset, u32 len)
{
	struct i8042 *k = opaque;
	u8 value;

	(void)offset;
	(void)len;
	pthread_mutex_lock(&k->lock);
	value = k->output;
	k->output_status = 0;
	i8042_update_irq(k);
	pthread_mutex_unlock(&k->lock);
	return value;
}

static u64 i8042_status_read(void *opaque, u64 offset, u32 len)
{
	struct i8042 *k = opaque;
	u8 value;

	(void)offset;
	(void)len;
	pthread_mutex_lock(&k->lock);
	value = STATUS_UNLOCKED | k->output_status;
	value |= k->ram[0] & CTR_SYSTEM ? STATUS_SYSTEM : 0;
	value |= k->last_was_command ? STATUS_COMMAND : 0;
	pthread_mutex_unlock(&k->lock);
	return value;
}

static void i8042_write(struct i8042 *k, u8 value, bool is_command)
{
	bool reset;

	pthread_mutex_lock(&k->lock);
	k->last_was_command = is_command;
	reset = is_command ? i8042_command(k, value) : i8042_data(k, value);
	i8042_update_irq(k);
	pthread_mutex_unlock(&k->lock);
	if (reset)
		k->dev->host->event(k->dev->host, k->dev, DEV_EVENT_RESET, 0);
}

static void i8042_data_write(void *opaque, u64 offset, u32 len, u64 value)
{
	(void)offset;
	(void)len;
	i8042_write(opaque, (u8)value, false);
}

static void i8042_command_write(void *opaque, u64 offset, u32 len, u64 value)
{
	(void)offset;
	(void)len;
	i8042_write(opaque, (u8)value, true);
}

static const struct bus_ops i8042_data_ops = {
	.read = i8042_data_read,
	.write = i8042_data_write,
};

static const struct bus_ops i8042_command_ops = {
	.read = i8042_status_read,
	.write = i8042_command_write,
};

static int i8042_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct i8042 *k = dev->priv;
	int status;

	(void)cfg;
	(void)fds;
	k->dev = dev;
	pthread_mutex_init(&k->lock, NULL);
	i8042_power_on(k);
	status = bus_add(dev->host->pio, I8042_DATA_PORT, 1, &i8042_data_ops, k, e);
	if (status < 0)
		return status;
	return bus_add(dev->host->pio, I8042_COMMAND_PORT, 1, &i8042_command_ops, k, e);
}

static void i8042_reset(struct dev *dev)
{
	struct i8042 *k = dev->priv;

	pthread_mutex_lock(&k->lock);
	i8042_power_on(k);
	i8042_update_irq(k);
	pthread_mutex_unlock(&k->lock);
}

static const struct dev_class i8042_class = {
	.name = "i8042",
	.summary = SUMMARY("keyboard controller without keyboard and mouse; resets the machine"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct i8042),
	.create = i8042_create,
	.reset = i8042_reset,
};

DEVICE_CLASS(i8042_class);
