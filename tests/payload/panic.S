/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that tells pvpanic that it panicked. */
.include "payload.inc"

PVPANIC = 0x505
PANICKED = 0x01

	pvh_entry _start

	.globl _start
_start:
	movw $PVPANIC, %dx
	movb $PANICKED, %al
	outb %al, %dx
halt:
	hlt
	jmp halt
