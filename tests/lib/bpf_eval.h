// SPDX-License-Identifier: BSD-3-Clause
// A seccomp filter's answer without the kernel: classic BPF over a struct seccomp_data.
#pragma once

#include "util/types.h"

struct seccomp_data;
struct sock_filter;

/*
 * bpf_is_valid - whether a kernel would take the filter (its bpf_check_classic and
 * seccomp_check_filter), with only the instructions that bpf_eval knows.
 */
bool bpf_is_valid(const struct sock_filter *filter, u32 nr_insns);

/* bpf_eval - what a valid filter returns: SECCOMP_RET_*. */
u32 bpf_eval(const struct sock_filter *filter, const struct seccomp_data *data);
