/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that writes 32 KiB to the first serial port, whether it takes them or not, then resets. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	movl $32768, %ecx
	movw $COM1, %dx
	movb $'.', %al
next:
	outb %al, %dx
	decl %ecx
	jnz next
	reset
