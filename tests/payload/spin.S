/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that says so and never leaves its CPU again. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	cli
	say "spinning"
spin:
	jmp spin
