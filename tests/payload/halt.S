/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that says so and halts with interrupts off: nothing wakes it. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	cli
	say "halted"
halt:
	hlt
	jmp halt
