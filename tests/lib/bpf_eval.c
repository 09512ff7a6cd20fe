// SPDX-License-Identifier: BSD-3-Clause
// A seccomp filter's answer without the kernel.
#include "tests/lib/bpf_eval.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

/* Without the targets of jumps. */
static bool insn_is_valid(const struct sock_filter *insn)
{
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return insn->k % 4 == 0 && insn->k < sizeof(struct seccomp_data);
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_RET | BPF_K:
		return true;
	default:
		return false;
	}
}

static bool jumps_are_inside(const struct sock_filter *insn, u32 nr_left)
{
	if (BPF_CLASS(insn->code) != BPF_JMP)
		return true;
	if (BPF_OP(insn->code) == BPF_JA)
		return insn->k < nr_left;
	return insn->jt < nr_left && insn->jf < nr_left;
}

bool bpf_is_valid(const struct sock_filter *filter, u32 nr_insns)
{
	if (nr_insns == 0 || nr_insns > BPF_MAXINSNS)
		return false;
	for (u32 i = 0; i < nr_insns; i++)
		if (!insn_is_valid(&filter[i]) || !jumps_are_inside(&filter[i], nr_insns - i - 1))
			return false;
	return filter[nr_insns - 1].code == (BPF_RET | BPF_K);
}

static bool test_holds(const struct sock_filter *insn, u32 a)
{
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return a == insn->k;
	case BPF_JGT:
		return a > insn->k;
	case BPF_JGE:
		return a >= insn->k;
	case BPF_JSET:
		return a & insn->k;
	default:
		abort(); /* bpf_is_valid was not asked */
	}
}

u32 bpf_eval(const struct sock_filter *filter, const struct seccomp_data *data)
{
	u32 a = 0;

	for (const struct sock_filter *insn = filter;; insn++) {
		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			memcpy(&a, (const char *)data + insn->k, sizeof(a));
			break;
		case BPF_ALU:
			a &= insn->k;
			break;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_JA)
				insn += insn->k;
			else
				insn += test_holds(insn, a) ? insn->jt : insn->jf;
			break;
		case BPF_RET:
			return insn->k;
		default:
			abort();
		}
	}
}
