// SPDX-License-Identifier: BSD-3-Clause
// seccompc: refuses conditions that can never match and rules that others make pointless.
#include "seccompc.h"

#include <string.h>

/* One alternative of a rule, in the list of all alternatives that one system call has. */
struct ref {
	const struct rule *rule;
	const struct alt *alt;
};

/* ---- one condition ---- */

/*
 * The bits of a constant as the kernel will read them. A negative int comes sign-extended out of
 * the headers and is cut to the argument's width; anything else that is too wide is a mistake.
 */
static u64 bits_narrow(const struct rule *rule, unsigned arg, u64 bits)
{
	u64 width_mask = syscall_arg_mask(rule->args, arg);

	if (bits > width_mask && bits < ~(width_mask >> 1))
		die_at(&rule->pos, "0x%llx does not fit: arg%u of '%s' has %d bits",
		       (unsigned long long)bits, arg, rule->syscall,
		       __builtin_popcountll(width_mask));
	return bits & width_mask;
}

static void cmp_check_arg(const struct rule *rule, const struct cmp *cmp)
{
	if (!rule->args)
		die_at(&rule->pos,
		       "no condition on '%s': its arguments are not listed in "
		       "scripts/seccompc/args.c",
		       rule->syscall);
	if (cmp->arg >= strlen(rule->args))
		die_at(&rule->pos, "no arg%u: '%s' takes %zu argument%s", cmp->arg, rule->syscall,
		       strlen(rule->args), strlen(rule->args) == 1 ? "" : "s");
}

static struct cubes cmp_cubes(const struct rule *rule, struct cmp *cmp)
{
	u64 width_mask = syscall_arg_mask(rule->args, cmp->arg);
	u64 mask = bits_narrow(rule, cmp->arg, cmp->mask.bits);
	u64 value = bits_narrow(rule, cmp->arg, cmp->value.bits);
	struct cubes set = { 0 };

	cmp->mask.bits = mask;
	cmp->value.bits = value;
	switch (cmp->op) {
	case CMP_EQ:
		cubes_add_masked(&set, cmp->arg, width_mask, value);
		break;
	case CMP_MASKED:
		if (!(value & ~mask))
			cubes_add_masked(&set, cmp->arg, mask, value);
		break;
	case CMP_IN:
		cubes_add_masked(&set, cmp->arg, width_mask & ~value, 0);
		break;
	case CMP_LE:
		cubes_add_range(&set, cmp->arg, width_mask, 0, value);
		break;
	case CMP_GE:
		cubes_add_range(&set, cmp->arg, width_mask, value, width_mask);
		break;
	case CMP_NE:
	case CMP_LT:
	case CMP_GT:
		if (cmp->op != CMP_GT && value)
			cubes_add_range(&set, cmp->arg, width_mask, 0, value - 1);
		if (cmp->op != CMP_LT && value != width_mask)
			cubes_add_range(&set, cmp->arg, width_mask, value + 1, width_mask);
		break;
	}
	return set;
}

static void alt_check(const struct rule *rule, struct alt *alt)
{
	for (size_t i = 0; i < alt->nr; i++) {
		struct cubes set;

		cmp_check_arg(rule, &alt->cmps[i]);
		set = cmp_cubes(rule, &alt->cmps[i]);
		if (!set.nr)
			die_at(&rule->pos,
			       "the comparison of arg%u is never true (values are unsigned)",
			       alt->cmps[i].arg);
		if (cubes_full(&set))
			die_at(&rule->pos,
			       "the comparison of arg%u is always true (values are unsigned)",
			       alt->cmps[i].arg);
		if (!i)
			alt->cubes = set;
		else if (!cubes_intersect(&alt->cubes, &set))
			die_at(&rule->pos,
			       "too many ranges joined by &&: write == or masks instead");
		if (!alt->cubes.nr)
			die_at(&rule->pos,
			       "unreachable: the comparisons joined by && contradict each other");
	}
}

/* ---- rules against each other ---- */

static void rules_compare(const struct rule *old, const struct rule *new)
{
	const char *syscall = new->syscall;

	if (old->nr_alts && new->nr_alts)
		return;
	if (old->nr_alts)
		die_at(&new->pos,
		       "this makes the condition at %s:%u unreachable: '%s' has no condition here",
		       old->pos.file, old->pos.line, syscall);
	if (new->nr_alts)
		die_at(&new->pos, "unreachable: '%s' has no condition at %s:%u", syscall,
		       old->pos.file, old->pos.line);
	if (strcmp(old->text, new->text) == 0)
		die_at(&new->pos, "duplicate: '%s' stands at %s:%u already", new->text,
		       old->pos.file, old->pos.line);
	die_at(&new->pos, "'%s' contradicts '%s' at %s:%u", new->text, old->text, old->pos.file,
	       old->pos.line);
}

/* Whether the alternatives refs[0..nr) but refs[skip] hold all of refs[skip]. */
static bool ref_is_covered(const struct ref *refs, size_t nr, size_t skip)
{
	const struct cubes **by = NULL;
	size_t nr_by = 0;

	for (size_t i = 0; i < nr; i++)
		if (i != skip)
			list_push(by, nr_by, &refs[i].alt->cubes);
	return nr_by && cubes_covered(&refs[skip].alt->cubes, by, nr_by);
}

/* What the last of `refs` does to those before it. */
static void ref_check(const struct ref *refs, size_t nr)
{
	const struct rule *new = refs[nr - 1].rule;
	const struct cubes *new_cubes = &refs[nr - 1].alt->cubes;

	for (size_t i = 0; i < nr - 1; i++) {
		const struct cubes *old_cubes = &refs[i].alt->cubes;

		if (cubes_covered(new_cubes, &old_cubes, 1))
			die_at(&new->pos, "%s: '%s' at %s:%u %s",
			       cubes_covered(old_cubes, &new_cubes, 1) ? "duplicate"
								       : "unreachable",
			       refs[i].rule->text, refs[i].rule->pos.file, refs[i].rule->pos.line,
			       cubes_covered(old_cubes, &new_cubes, 1) ? "says the same"
								       : "covers it already");
	}
	if (ref_is_covered(refs, nr, nr - 1))
		die_at(&new->pos, "unreachable: other rules for '%s' together cover it already",
		       new->syscall);
	for (size_t i = 0; i < nr - 1; i++)
		if (ref_is_covered(refs, nr, i))
			die_at(&new->pos, "this makes '%s' at %s:%u unreachable",
			       refs[i].rule->text, refs[i].rule->pos.file, refs[i].rule->pos.line);
}

static void rule_check(const struct policy *policy, size_t index)
{
	const struct rule *new = &policy->rules[index];
	struct ref *refs = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < index; i++) {
		const struct rule *old = &policy->rules[i];

		if (old->nr != new->nr)
			continue;
		rules_compare(old, new);
		for (size_t j = 0; j < old->nr_alts; j++) {
			struct ref ref = { .rule = old, .alt = &old->alts[j] };

			list_push(refs, nr, ref);
		}
	}
	for (size_t j = 0; j < new->nr_alts; j++) {
		struct ref ref = { .rule = new, .alt = &new->alts[j] };

		list_push(refs, nr, ref);
		ref_check(refs, nr);
	}
}

void policy_check(struct policy *policy)
{
	for (size_t i = 0; i < policy->nr_rules; i++) {
		struct rule *rule = &policy->rules[i];

		if (rule->action == ACTION_ERRNO &&
		    (rule->errno_term.number < 1 || rule->errno_term.number > ERRNO_MAX))
			die_at(&rule->pos, "errno %s is not within 1 to %d", rule->errno_term.text,
			       ERRNO_MAX);
		for (size_t j = 0; j < rule->nr_alts; j++)
			alt_check(rule, &rule->alts[j]);
		rule_check(policy, i);
	}
}
