/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that resets by the keyboard controller. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	movb $0xfe, %al			/* pulse the line that leads to the processor's reset */
	outb %al, $0x64
halt:
	hlt
	jmp halt
