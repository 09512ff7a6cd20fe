/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that says so and sleeps, open to interrupts that nobody sends. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	say "idle"
	sti
sleep:
	hlt
	jmp sleep
