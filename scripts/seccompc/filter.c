// SPDX-License-Identifier: BSD-3-Clause
// seccompc: from checked rules to classic BPF.
//
// libseccomp knows the system calls, but it does not make the filter: version 2.5.4 of its
// generator forgets reloads where rules compare one argument by order beside others, and so allows
// what no rule allows; nor can it compare 32 of an argument's 64 bits by order.
//
// BPF jumps only forwards, so the program is made from its end to its beginning: whatever a jump
// leads to is there already. A label is the index of an instruction in that reversed order, and all
// jumps name both of their labels: nothing depends on what happens to stand behind a jump.
#include "seccompc.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>

enum {
	WORD_NR = offsetof(struct seccomp_data, nr),
	WORD_ARCH = offsetof(struct seccomp_data, arch),
	WORD_NONE = ~0,          /* the accumulator holds no word as it was loaded */
	NR_FOREIGN = 0x40000000, /* from here on: x32's on x86_64, nobody's elsewhere */
	REACH = 250,             /* a conditional jump's, less what it may need in between */
	LEAF_INTERVALS = 4,      /* compared one by one at the end of a binary search */
};

struct prog {
	const struct policy *policy;
	struct sock_filter insns[BPF_MAXINSNS]; /* the last one first */
	size_t nr;
};

/* Words from lo to hi lead to `label`. */
struct interval {
	u32 lo, hi;
	size_t label;
};

/* ---- instructions ---- */

static size_t insn_emit(struct prog *prog, u16 code, u8 jt, u8 jf, u32 k)
{
	if (prog->nr == BPF_MAXINSNS)
		die("%s: the filter passes the %d instructions that kernels take",
		    prog->policy->file, BPF_MAXINSNS);
	prog->insns[prog->nr] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
	return prog->nr++;
}

/* The label of a return within reach: one that is there, or a new one. */
static size_t ret_emit(struct prog *prog, u32 action)
{
	for (size_t i = prog->nr; i > 0 && prog->nr - i < REACH; i--)
		if (prog->insns[i - 1].code == (BPF_RET | BPF_K) && prog->insns[i - 1].k == action)
			return i - 1;
	return insn_emit(prog, BPF_RET | BPF_K, 0, 0, action);
}

static bool label_is_near(const struct prog *prog, size_t label)
{
	return prog->nr - label < REACH;
}

static size_t label_bring_near(struct prog *prog, size_t label)
{
	const struct sock_filter *insn = &prog->insns[label];

	if (label_is_near(prog, label))
		return label;
	if (insn->code == (BPF_RET | BPF_K))
		return ret_emit(prog, insn->k);
	return insn_emit(prog, BPF_JMP | BPF_JA, 0, 0, (u32)(prog->nr - label - 1));
}

/* Where `word` is in the accumulator already, a load of it at the label can be passed over. */
static size_t label_skip_load(const struct prog *prog, size_t label, u32 word)
{
	const struct sock_filter *insn = &prog->insns[label];

	return insn->code == (BPF_LD | BPF_W | BPF_ABS) && insn->k == word ? label - 1 : label;
}

/* `word` is what the accumulator holds at the jump. */
static size_t jump_emit(struct prog *prog, u16 test, u32 k, u32 word, size_t yes, size_t no)
{
	yes = label_skip_load(prog, yes, word);
	no = label_skip_load(prog, no, word);
	if (yes == no)
		return yes;
	yes = label_bring_near(prog, yes);
	no = label_bring_near(prog, no);
	return insn_emit(prog, BPF_JMP | test | BPF_K, (u8)(prog->nr - yes - 1),
			 (u8)(prog->nr - no - 1), k);
}

/* Instructions but jumps and returns go on at what was made last: make that the label. */
static void fall_emit(struct prog *prog, size_t label)
{
	if (label != prog->nr - 1)
		insn_emit(prog, BPF_JMP | BPF_JA, 0, 0, (u32)(prog->nr - label - 1));
}

/* Load `word`, then go on at the label. */
static size_t load_emit(struct prog *prog, u32 word, size_t label)
{
	fall_emit(prog, label);
	return insn_emit(prog, BPF_LD | BPF_W | BPF_ABS, 0, 0, word);
}

/* Load word & mask, then go on at the label. */
static size_t load_masked_emit(struct prog *prog, u32 word, u32 mask, size_t label)
{
	fall_emit(prog, label);
	insn_emit(prog, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	return insn_emit(prog, BPF_LD | BPF_W | BPF_ABS, 0, 0, word);
}

/* ---- comparisons ---- */

static u32 word_lo(unsigned arg)
{
	return (u32)offsetof(struct seccomp_data, args) + 8 * arg;
}

static u32 word_hi(unsigned arg)
{
	return word_lo(arg) + 4;
}

/* Load `word` and test (word & mask) == value. */
static size_t masked_word_emit(struct prog *prog, u32 word, u32 mask, u32 value, size_t yes,
			       size_t no)
{
	if (!mask)
		return yes;
	if (mask == UINT32_MAX)
		return load_emit(prog, word, jump_emit(prog, BPF_JEQ, value, word, yes, no));
	if (!value)
		return load_emit(prog, word, jump_emit(prog, BPF_JSET, mask, word, no, yes));
	if (value == mask && !(mask & (mask - 1)))
		return load_emit(prog, word, jump_emit(prog, BPF_JSET, mask, word, yes, no));
	return load_masked_emit(prog, word, mask,
				jump_emit(prog, BPF_JEQ, value, WORD_NONE, yes, no));
}

/* Test (arg & mask) == value. */
static size_t masked_emit(struct prog *prog, unsigned arg, u64 mask, u64 value, size_t yes,
			  size_t no)
{
	yes = masked_word_emit(prog, word_lo(arg), (u32)mask, (u32)value, yes, no);
	return masked_word_emit(prog, word_hi(arg), (u32)(mask >> 32), (u32)(value >> 32), yes, no);
}

/* Test arg > value, or >= with `test` BPF_JGE, of an argument as wide as width_mask. */
static size_t order_emit(struct prog *prog, unsigned arg, u64 width_mask, u16 test, u64 value,
			 size_t yes, size_t no)
{
	u32 hi = word_hi(arg), lo = word_lo(arg), value_hi = (u32)(value >> 32);
	size_t label;

	if (width_mask < UINT32_MAX)
		return load_masked_emit(prog, lo, (u32)width_mask,
					jump_emit(prog, test, (u32)value, WORD_NONE, yes, no));
	label = load_emit(prog, lo, jump_emit(prog, test, (u32)value, lo, yes, no));
	if (width_mask == UINT32_MAX)
		return label;
	label = jump_emit(prog, BPF_JEQ, value_hi, hi, label, no);
	return load_emit(prog, hi, jump_emit(prog, BPF_JGT, value_hi, hi, yes, label));
}

static size_t cmp_emit(struct prog *prog, const struct rule *rule, const struct cmp *cmp,
		       size_t yes, size_t no)
{
	u64 width_mask = syscall_arg_mask(rule->args, cmp->arg), value = cmp->value.bits;

	switch (cmp->op) {
	case CMP_EQ:
		return masked_emit(prog, cmp->arg, width_mask, value, yes, no);
	case CMP_NE:
		return masked_emit(prog, cmp->arg, width_mask, value, no, yes);
	case CMP_MASKED:
		return masked_emit(prog, cmp->arg, cmp->mask.bits, value, yes, no);
	case CMP_IN:
		return masked_emit(prog, cmp->arg, width_mask & ~value, 0, yes, no);
	case CMP_GT:
		return order_emit(prog, cmp->arg, width_mask, BPF_JGT, value, yes, no);
	case CMP_GE:
		return order_emit(prog, cmp->arg, width_mask, BPF_JGE, value, yes, no);
	case CMP_LT:
		return order_emit(prog, cmp->arg, width_mask, BPF_JGE, value, no, yes);
	case CMP_LE:
		return order_emit(prog, cmp->arg, width_mask, BPF_JGT, value, no, yes);
	}
	die("no such comparison");
}

/* ---- searches ---- */

static int interval_order(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Sort, and join neighbours that lead to one label. Return: how many are left. */
static size_t intervals_normalise(struct interval *list, size_t nr)
{
	size_t kept = 0;

	if (!nr)
		return 0;
	qsort(list, nr, sizeof(*list), interval_order);
	for (size_t i = 0; i < nr; i++) {
		struct interval *last = kept ? &list[kept - 1] : NULL;

		if (!last || last->label != list[i].label ||
		    (last->hi != UINT32_MAX && list[i].lo > last->hi + 1))
			list[kept++] = list[i];
		else if (list[i].hi > last->hi)
			last->hi = list[i].hi;
	}
	return kept;
}

static size_t interval_emit(struct prog *prog, const struct interval *interval, u32 word, size_t no)
{
	size_t yes = interval->label;

	if (interval->lo == interval->hi)
		return jump_emit(prog, BPF_JEQ, interval->lo, word, yes, no);
	if (interval->hi != UINT32_MAX)
		yes = jump_emit(prog, BPF_JGT, interval->hi, word, no, yes);
	return interval->lo ? jump_emit(prog, BPF_JGE, interval->lo, word, yes, no) : yes;
}

/* With `word` loaded: go where the interval leads that holds it, or to `miss`. */
static size_t search_emit(struct prog *prog, const struct interval *list, size_t nr, u32 word,
			  size_t miss)
{
	size_t label = miss, above;

	if (nr <= LEAF_INTERVALS) {
		for (size_t i = nr; i > 0; i--)
			label = interval_emit(prog, &list[i - 1], word, label);
		return label;
	}
	above = search_emit(prog, list + nr / 2, nr - nr / 2, word, miss);
	label = search_emit(prog, list, nr / 2, word, miss);
	return jump_emit(prog, BPF_JGE, list[nr / 2].lo, word, above, label);
}

/* ---- rules ---- */

/* Whether the alternative is one comparison of an int by value or order: intervals of one word. */
static bool alt_is_searchable(const struct rule *rule, const struct alt *alt)
{
	const struct cmp *cmp = &alt->cmps[0];

	return alt->nr == 1 && cmp->op != CMP_MASKED && cmp->op != CMP_IN &&
	       syscall_arg_mask(rule->args, cmp->arg) == UINT32_MAX;
}

/* The words for which a searchable comparison is true: at most two intervals, put into out[]. */
static size_t cmp_intervals(const struct cmp *cmp, size_t label, struct interval out[2])
{
	u32 value = (u32)cmp->value.bits;
	bool below = cmp->op == CMP_LT || cmp->op == CMP_LE || cmp->op == CMP_NE;
	bool above = cmp->op == CMP_GT || cmp->op == CMP_GE || cmp->op == CMP_NE;
	bool itself = cmp->op == CMP_EQ || cmp->op == CMP_LE || cmp->op == CMP_GE;
	size_t nr = 0;

	if (itself)
		out[nr++] = (struct interval){ .lo = value, .hi = value, .label = label };
	if (below && value)
		out[nr++] = (struct interval){ .lo = 0, .hi = value - 1, .label = label };
	if (above && value != UINT32_MAX)
		out[nr++] = (struct interval){ .lo = value + 1, .hi = UINT32_MAX, .label = label };
	return nr;
}

/* The argument most alternatives of the system call `nr` can be searched by. */
static unsigned search_arg(const struct policy *policy, int nr)
{
	unsigned counts[SYSCALL_ARGS] = { 0 }, best = 0;

	for (size_t i = 0; i < policy->nr_rules; i++) {
		const struct rule *rule = &policy->rules[i];

		for (size_t j = 0; rule->nr == nr && j < rule->nr_alts; j++)
			if (alt_is_searchable(rule, &rule->alts[j]))
				counts[rule->alts[j].cmps[0].arg]++;
	}
	for (unsigned arg = 1; arg < SYSCALL_ARGS; arg++)
		if (counts[arg] > counts[best])
			best = arg;
	return best;
}

/* The alternatives on `nr` that a search by `arg` leaves over, one after the other. */
static size_t chain_emit(struct prog *prog, int nr, unsigned arg, size_t miss)
{
	const struct policy *policy = prog->policy;

	for (size_t i = policy->nr_rules; i > 0; i--) {
		const struct rule *rule = &policy->rules[i - 1];

		for (size_t j = rule->nr == nr ? rule->nr_alts : 0; j > 0; j--) {
			const struct alt *alt = &rule->alts[j - 1];
			size_t label;

			if (alt_is_searchable(rule, alt) && alt->cmps[0].arg == arg)
				continue;
			label = ret_emit(prog, SECCOMP_RET_ALLOW);
			for (size_t k = alt->nr; k > 0; k--)
				label = cmp_emit(prog, rule, &alt->cmps[k - 1], label, miss);
			miss = label;
		}
	}
	return miss;
}

/* All conditions on the system call `nr`: first a search by one argument, then the others in turn.
 */
static size_t conditions_emit(struct prog *prog, int nr, size_t miss)
{
	const struct policy *policy = prog->policy;
	unsigned arg = search_arg(policy, nr);
	size_t nr_list = 0, allow;
	struct interval *list = NULL;

	miss = chain_emit(prog, nr, arg, miss);
	allow = ret_emit(prog, SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < policy->nr_rules; i++) {
		const struct rule *rule = &policy->rules[i];

		for (size_t j = 0; rule->nr == nr && j < rule->nr_alts; j++) {
			const struct cmp *cmp = &rule->alts[j].cmps[0];
			struct interval found[2];
			size_t nr_found;

			if (!alt_is_searchable(rule, &rule->alts[j]) || cmp->arg != arg)
				continue;
			nr_found = cmp_intervals(cmp, allow, found);
			for (size_t k = 0; k < nr_found; k++)
				list_push(list, nr_list, found[k]);
		}
	}
	if (!nr_list)
		return miss;
	nr_list = intervals_normalise(list, nr_list);
	return load_emit(prog, word_lo(arg), search_emit(prog, list, nr_list, word_lo(arg), miss));
}

static bool rule_is_first(const struct policy *policy, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (policy->rules[i].nr == policy->rules[index].nr)
			return false;
	return true;
}

/* With the number loaded: go to what the rules say for it. */
static size_t syscalls_emit(struct prog *prog, u32 default_action)
{
	const struct policy *policy = prog->policy;
	size_t allow = ret_emit(prog, SECCOMP_RET_ALLOW), nr_list = 0;
	size_t miss = ret_emit(prog, default_action);
	struct interval *list = NULL;

	for (size_t i = 0; i < policy->nr_rules; i++) {
		const struct rule *rule = &policy->rules[i];
		struct interval interval = { .lo = (u32)rule->nr, .hi = (u32)rule->nr };

		if (!rule_is_first(policy, i))
			continue;
		if (rule->nr_alts)
			interval.label = conditions_emit(prog, rule->nr, miss);
		else if (rule->action == ACTION_ERRNO)
			interval.label =
				ret_emit(prog, SECCOMP_RET_ERRNO | (u32)rule->errno_term.number);
		else
			interval.label = allow;
		list_push(list, nr_list, interval);
	}
	nr_list = intervals_normalise(list, nr_list);
	return search_emit(prog, list, nr_list, WORD_NR, miss);
}

struct sock_filter *filter_make(const struct policy *policy, const struct arch *arch,
				bool default_traps, size_t *nr_insns)
{
	struct prog *prog = calloc(1, sizeof(*prog));
	struct sock_filter *filter;
	size_t label;

	if (!prog)
		die("out of memory");
	prog->policy = policy;
	label = syscalls_emit(prog, default_traps ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_PROCESS);
	label = jump_emit(prog, BPF_JGE, NR_FOREIGN, WORD_NR,
			  ret_emit(prog, SECCOMP_RET_KILL_PROCESS), label);
	label = load_emit(prog, WORD_NR, label);
	label = jump_emit(prog, BPF_JEQ, arch->token, WORD_ARCH, label,
			  ret_emit(prog, SECCOMP_RET_KILL_PROCESS));
	load_emit(prog, WORD_ARCH, label);
	filter = calloc(prog->nr, sizeof(*filter));
	if (!filter)
		die("out of memory");
	for (size_t i = 0; i < prog->nr; i++)
		filter[i] = prog->insns[prog->nr - 1 - i];
	*nr_insns = prog->nr;
	free(prog);
	return filter;
}
