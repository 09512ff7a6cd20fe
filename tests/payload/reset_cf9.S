/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that resets by the reset control register at its first instructions. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	reset
