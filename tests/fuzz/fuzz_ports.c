// SPDX-License-Identifier: BSD-3-Clause
// Random port accesses over every platform device; input, output, resets, a clock that jumps.
// test-sources: drivers/isa/uart16550/uart16550.c drivers/isa/cmos_rtc/cmos_rtc.c drivers/isa/i8042/i8042.c drivers/isa/reset_cf9/reset_cf9.c drivers/isa/pvpanic/pvpanic.c drivers/isa/debugcon/debugcon.c drivers/isa/debug_exit/debug_exit.c drivers/acpi/pm/pm.c src/stream/stream.c src/stream/serial_cfg.c src/stream/unix_listen.c src/dev/dev_class.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c src/util/opt.c tests/lib/fake_machine.c
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/serial_cfg.h"
#include "tests/lib/fake_machine.h"
#include "util/fd.h"

enum { PORTS_MAX = 256, STEPS_MAX = 4096 };

/* One step of a run, as the fuzzer's input spells it. */
struct step {
	u8 verb, where, low, high;
};

enum verb {
	VERB_OUT_BYTE = 0, /* to 5 */
	VERB_OUT_WORD = 6,
	VERB_OUT_LONG = 7,
	VERB_IN_BYTE = 8, /* to 10 */
	VERB_IN_WORD = 11,
	VERB_IN_LONG = 12,
	VERB_CLOCK = 13,
	VERB_HOST = 14,
	VERB_DEVICE = 15,
};

struct bench {
	struct fake_machine fm;
	int to_guest, from_guest;
	u16 ports[PORTS_MAX];
	u32 nr_ports;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first serial port gets pipes for input and output; all others are as nobody set them. */
static void add_instance(struct bench *b, const struct dev_class *cls, u32 index)
{
	struct serial_cfg cfg = { 0 };
	struct fdset fds = { 0 };
	struct err e = { 0 };
	int in[2], out[2];

	if (cls->cfg_bytes > sizeof(cfg) || (cls->open && cls->open(&cfg, index, &fds, &e) < 0))
		abort();
	if (cls->line_break && index == 0) {
		if (pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
			abort();
		b->to_guest = in[1];
		b->from_guest = out[0];
		cfg.in_fd_index = fdset_put(&fds, &in[0]);
		cfg.out_fd_index = fdset_put(&fds, &out[1]);
	}
	fm_add(&b->fm, cls->name, index, &cfg, &fds);
}

static void bench_create(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->to_guest = -1;
	b->from_guest = -1;
	fm_create(&b->fm);
	dev_class_for_each (p)
		for (u32 i = 0; i < (*p)->nr_instances; i++)
			add_instance(b, *p, i);
	for (u32 i = 0; i < b->fm.pio.nr_regions; i++)
		for (u64 n = 0; n < b->fm.pio.regions[i].len && b->nr_ports < PORTS_MAX; n++)
			b->ports[b->nr_ports++] = (u16)(b->fm.pio.regions[i].base + n);
}

static void host_step(struct bench *b, const struct step *s)
{
	static u8 bytes[65536];

	switch (s->where % 4) {
	case 0:
		evl_run_once(&b->fm.evl, 0);
		break;
	case 1:
		memset(bytes, s->high, s->low);
		if (b->to_guest >= 0)
			fd_write(b->to_guest, bytes, s->low);
		break;
	case 2:
		fd_read(b->from_guest, bytes, sizeof(bytes));
		break;
	case 3:
		fd_close(&b->to_guest);
		break;
	}
}

static void device_step(struct bench *b, const struct step *s)
{
	struct dev *dev = b->fm.devices[s->where % b->fm.nr_devices];

	if (s->low % 3 == 0 && dev->cls->reset)
		dev->cls->reset(dev);
	if (s->low % 3 == 1 && dev->cls->line_break)
		dev->cls->line_break(dev);
	if (s->low % 3 == 2 && dev->cls->power_button)
		dev->cls->power_button(dev);
}

static void run_step(struct bench *b, const struct step *s)
{
	u16 port = b->ports[s->where % b->nr_ports];
	u32 value = s->low | (u32)s->high << 8 | (u32)s->where << 16;
	int verb = s->verb % 16;

	if (verb < VERB_OUT_WORD)
		fm_out(&b->fm, port, value, 1);
	else if (verb == VERB_OUT_WORD || verb == VERB_OUT_LONG)
		fm_out(&b->fm, port, value, verb == VERB_OUT_WORD ? 2 : 4);
	else if (verb < VERB_IN_WORD)
		fm_in(&b->fm, port, 1);
	else if (verb == VERB_IN_WORD || verb == VERB_IN_LONG)
		fm_in(&b->fm, port, verb == VERB_IN_WORD ? 2 : 4);
	else if (verb == VERB_CLOCK)
		b->fm.realtime_ns += ((u64)s->low | (u64)s->high << 8) << (s->where % 40);
	else if (verb == VERB_HOST)
		host_step(b, s);
	else
		device_step(b, s);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct bench b;
	struct step s;

	bench_create(&b);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		run_step(&b, &s);
	}
	fd_close(&b.from_guest); /* nobody waits for the last output */
	fd_close(&b.to_guest);
	fm_destroy(&b.fm);
	return 0;
}
