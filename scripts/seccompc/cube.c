// SPDX-License-Identifier: BSD-3-Clause
// seccompc: sets of argument values as unions of cubes, that is of masked equalities.
//
// Every comparison of the language is such a union: a range splits into the aligned blocks it is
// made of. So one algebra tells contradictions, duplicates and rules that others cover, exactly.
#include "seccompc.h"

void cubes_add_masked(struct cubes *set, unsigned arg, u64 mask, u64 value)
{
	struct cube cube = { 0 };

	cube.mask[arg] = mask;
	cube.value[arg] = value & mask;
	list_push(set->items, set->nr, cube);
}

void cubes_add_range(struct cubes *set, unsigned arg, u64 width_mask, u64 lo, u64 hi)
{
	for (;;) {
		u64 span = 0; /* the largest aligned block that starts at lo and ends by hi */

		while (span != width_mask) {
			u64 wider = span << 1 | 1;

			if ((lo & wider) || (lo | wider) > hi)
				break;
			span = wider;
		}
		cubes_add_masked(set, arg, width_mask & ~span, lo);
		if ((lo | span) >= hi)
			return;
		lo = (lo | span) + 1;
	}
}

static bool cube_meets(const struct cube *a, const struct cube *b)
{
	for (unsigned i = 0; i < SYSCALL_ARGS; i++)
		if ((a->value[i] ^ b->value[i]) & a->mask[i] & b->mask[i])
			return false;
	return true;
}

bool cubes_intersect(struct cubes *set, const struct cubes *other)
{
	struct cubes both = { 0 };

	for (size_t i = 0; i < set->nr; i++) {
		for (size_t j = 0; j < other->nr; j++) {
			struct cube cube = set->items[i];

			if (!cube_meets(&cube, &other->items[j]))
				continue;
			for (unsigned k = 0; k < SYSCALL_ARGS; k++) {
				cube.mask[k] |= other->items[j].mask[k];
				cube.value[k] |= other->items[j].value[k];
			}
			if (both.nr == CUBES_MAX)
				return false;
			list_push(both.items, both.nr, cube);
		}
	}
	*set = both;
	return true;
}

bool cubes_full(const struct cubes *set)
{
	for (size_t i = 0; i < set->nr; i++) {
		u64 fixed = 0;

		for (unsigned k = 0; k < SYSCALL_ARGS; k++)
			fixed |= set->items[i].mask[k];
		if (!fixed)
			return true;
	}
	return false;
}

/*
 * Whether the cubes behind *by hold all of `cube`: what the first one leaves over, split along the
 * bits it fixes and `cube` does not, has to be in the rest. `steps` bounds the work; a set too
 * tangled to tell counts as not covered, which only costs a missed warning.
 */
static bool cube_covered(struct cube cube, const struct cube *const *by, size_t nr, unsigned *steps)
{
	while (nr && !cube_meets(&cube, by[0])) {
		by++;
		nr--;
	}
	if (!nr || !*steps)
		return false;
	--*steps;
	for (unsigned k = 0; k < SYSCALL_ARGS; k++) {
		for (u64 open = by[0]->mask[k] & ~cube.mask[k]; open; open &= open - 1) {
			u64 bit = open & -open;
			struct cube rest = cube;

			rest.mask[k] |= bit;
			rest.value[k] |= ~by[0]->value[k] & bit;
			if (!cube_covered(rest, by + 1, nr - 1, steps))
				return false;
			cube.mask[k] |= bit;
			cube.value[k] |= by[0]->value[k] & bit;
		}
	}
	return true;
}

bool cubes_covered(const struct cubes *set, const struct cubes *const *by, size_t nr)
{
	const struct cube **flat = NULL;
	size_t nr_flat = 0;
	unsigned steps = 1000000;

	for (size_t i = 0; i < nr; i++)
		for (size_t j = 0; j < by[i]->nr; j++)
			list_push(flat, nr_flat, &by[i]->items[j]);
	for (size_t i = 0; i < set->nr; i++)
		if (!cube_covered(set->items[i], flat, nr_flat, &steps))
			return false;
	return true;
}
