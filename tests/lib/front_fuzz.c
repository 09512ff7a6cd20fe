// SPDX-License-Identifier: BSD-3-Clause
// A hostile driver: accesses of every width at every place, and a device and machine that fail.
#include "tests/lib/front_fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

enum { STEPS_MAX = 2048, NR_QUEUES = 3, CONFIG_BYTES = 21 };

/* One step of a run, as the fuzzer's input spells it. */
struct step {
	u8 verb; /* low half: enum verb; high half: the width of an access, less one */
	u8 extra;
	le16 where;
	le64 value;
} __attribute__((packed));

enum verb {
	VERB_WRITE = 0,        /* to 5: the device's registers */
	VERB_READ = 6,         /* to 7 */
	VERB_CONFIG_WRITE = 8, /* and 9: PCI configuration space */
	VERB_CONFIG_READ = 10,
	VERB_WINDOW = 11, /* anywhere in the BARs' window */
	VERB_DEVICE = 12, /* the device has something to say */
	VERB_FAIL = 13,   /* verbs fail from now on, or no longer */
	VERB_LOOP = 14,
	VERB_RESET = 15,
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What must be true whatever a driver did. */
static void check(struct fake_front *ff, struct vfront_queue *frozen)
{
	const struct vfront *f = &ff->front;
	u32 nr_enabled = 0;

	require(ff->nr_bells <= NR_QUEUES && (f->running || ff->nr_bells == 0));
	require(!f->running || (f->status & VIRTIO_STATUS_DRIVER_OK));
	require(!(f->status & VIRTIO_STATUS_FEATURES_OK) || !(f->features & ~f->features_offered));
	for (u32 i = 0; i < NR_QUEUES; i++) {
		const struct vfront_queue *q = &f->queues[i];

		nr_enabled += q->enabled;
		require(q->size <= f->queue_size_max && !(q->size & (q->size - 1)));
		require(!q->enabled || q->size > 0);
		if (f->running && frozen[0].kick_fd >= 0)
			require(q->size == frozen[i].size && q->enabled == frozen[i].enabled &&
				q->desc_gpa == frozen[i].desc_gpa &&
				q->avail_gpa == frozen[i].avail_gpa &&
				q->used_gpa == frozen[i].used_gpa);
	}
	require(ff->nr_bells <= nr_enabled);
	memcpy(frozen, f->queues, NR_QUEUES * sizeof(*frozen));
	if (!f->running)
		frozen[0].kick_fd = -1;
}

static void device_step(struct fake_front *ff, const struct step *s)
{
	u8 config[VFRONT_CONFIG_BYTES_MAX];
	u32 qi = s->extra % NR_QUEUES;

	memset(config, s->extra, sizeof(config));
	switch (le16_get(s->where) % 3) {
	case 0:
		vfront_config_changed(&ff->front, config);
		break;
	case 1:
		vfront_needs_reset(&ff->front, "the fuzzer says so");
		break;
	case 2:
		if (ff->front.running && ff->front.queues[qi].enabled)
			doorbell_ring(ff->front.transport->call_fd(&ff->front, qi));
		break;
	}
}

static void fail_step(struct fake_front *ff, const struct step *s)
{
	ff->start_status = s->extra & 1 ? -EPIPE : 0;
	ff->bell_status = s->extra & 2 ? -ENOSPC : 0;
	ff->msi_status = s->extra & 4 ? -EINVAL : 0;
}

static void reset_step(struct fake_front *ff)
{
	if (ff->transport == FF_MMIO)
		virtio_mmio_reset(&ff->as_mmio);
	else
		virtio_pci_reset(&ff->as_pci);
}

static void run_step(struct fake_front *ff, const struct step *s)
{
	u32 verb = s->verb & 15, len = (s->verb >> 4 & 7) + 1, where = le16_get(s->where);
	u64 base = ff_base(ff), value = le64_get(s->value);

	if (verb < VERB_READ && base)
		ff_out(ff, base + where % 0x2100, len, value);
	else if (verb < VERB_CONFIG_WRITE && base)
		ff_in(ff, base + where % 0x2100, len);
	else if (verb == VERB_CONFIG_WRITE || verb == VERB_CONFIG_WRITE + 1)
		ff_cfg_out(ff, where % 0x140, len, (u32)value);
	else if (verb == VERB_CONFIG_READ)
		ff_cfg_in(ff, where % 0x140, len);
	else if (verb == VERB_WINDOW && s->extra & 1)
		ff_out(ff, FF_WINDOW_GPA + value % FF_WINDOW_BYTES, len, where);
	else if (verb == VERB_WINDOW)
		ff_in(ff, FF_WINDOW_GPA + value % FF_WINDOW_BYTES, len);
	else if (verb == VERB_DEVICE)
		device_step(ff, s);
	else if (verb == VERB_FAIL)
		fail_step(ff, s);
	else if (verb == VERB_LOOP)
		evl_run_once(&ff->evl, 0);
	else if (verb == VERB_RESET)
		reset_step(ff);
}

void front_fuzz(enum ff_transport transport, const u8 *data, size_t size)
{
	static struct fake_front ff;
	struct vfront_queue frozen[NR_QUEUES] = { { .kick_fd = -1 } };
	struct step s;

	ff_create(&ff, transport, NR_QUEUES, CONFIG_BYTES);
	for (u32 i = 0; i < STEPS_MAX && size >= sizeof(s); i++) {
		u32 resets = ff.stops;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		run_step(&ff, &s);
		if (ff.stops != resets)
			frozen[0].kick_fd = -1;
		check(&ff, frozen);
	}
	ff_destroy(&ff);
	require(ff.stops <= ff.starts);
}
