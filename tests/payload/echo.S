/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that sends back what the first serial port brings, and resets at a 'q'. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	say "ready"
next:
	movw $COM1_LSR, %dx
	inb %dx, %al
	testb $LSR_DATA_READY, %al
	jz next
	movw $COM1, %dx
	inb %dx, %al
	movb %al, %cl
	put %cl
	cmpb $'q', %cl
	jne next
	reset
