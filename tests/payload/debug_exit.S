/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that ends with an exit code of its own, by the debug exit at port 0xf4: 2 * 0x15 + 1. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	movb $0x15, %al
	outb %al, $0xf4
halt:
	hlt
	jmp halt
