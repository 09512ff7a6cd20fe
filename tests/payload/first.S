/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest for both entries, 64-bit and PVH, whose first instruction is its last (benchmarks). */
	.include "payload.inc"
	.text
	.globl _start
_start:
	ud2
	pvh_entry _start
