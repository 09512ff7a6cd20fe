// SPDX-License-Identifier: BSD-3-Clause
// A hostile guest: it does to each of its virtio devices what no driver would, and looks whether its
// first one, which is left in peace, still works. Words on the kernel's command line: seed=N, rounds=N
// for what is done by chance, cpus=2 for two of them to attack, wait=1 for a key to be waited for before and after.
#include "attack.h"

void hostile_main(void);

static bool has_cpu2;
static struct dev devices[DEVICES_MAX];

static void attack(struct dev *d, u32 rounds)
{
	say_number("slot", d->slot);
	say_number("id", d->id);
	say_number("sizes", attack_sizes(d));
	say_number("addresses", attack_addresses(d));
	say_number("frozen", attack_frozen(d));
	say_number("chains", attack_chains(d));
	say_number("statuses", attack_statuses(d, rounds));
	say_number("negotiations", attack_negotiation(d));
	say_number("resets", attack_resets(d, rounds));
	say_number("haste", attack_haste(d, rounds));
	say_number("bars", attack_bars(d, &devices[0]));
	say_number("chaos", attack_chaos(d, rounds));
	say_number("by two", has_cpu2 ? attack_by_two(d, rounds) : 0);
	say_number("registers", attack_registers(d, rounds * 16));
	say_number("config", attack_pci_config(d, rounds * 16));
	say_end();
	if (!dev_serves(d))
		fail("a device does not work any more, slot", d->slot);
	if (!witness_draws())
		fail("the witness does not work any more, beside slot", d->slot);
}

static void all_serve(u32 nr)
{
	for (u32 i = 1; i < nr; i++)
		if (!dev_serves(&devices[i]))
			fail("a device does not work, slot", devices[i].slot);
	if (!witness_draws())
		fail("the witness does not work, of all devices:", nr);
}

/* Somebody may look at the machine's processes from outside before it goes on. */
static void be_looked_at(const char *phase)
{
	say_number(phase, bare_failures());
	say_end();
	if (bare_option("wait", 0))
		wait_for_key();
}

void hostile_main(void)
{
	const u64 seed = bare_option("seed", 1), rounds = bare_option("rounds", 64);
	const u32 nr = devices_find(devices);

	chance_seed(seed);
	say_number("seed", seed);
	say_number("rounds", rounds);
	say_number("devices", nr);
	say_end();
	if (nr < 2 || devices[0].id != ID_RNG) {
		fail("a virtio-rng and victims are needed, devices:", nr);
		return;
	}
	has_cpu2 = bare_option("cpus", 1) > 1;
	if (has_cpu2)
		attack_with_two_cpus();
	witness_begin(&devices[0]);
	all_serve(nr);
	be_looked_at("ready: failures");
	for (u32 i = 1; i < nr; i++)
		attack(&devices[i], (u32)rounds);
	all_serve(nr);
	be_looked_at("done: failures");
}
