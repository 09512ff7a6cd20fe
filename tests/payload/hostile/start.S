/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a bare guest in C begins: Linux's 64-bit entry, with rsi at the zero page. */
	.text
	.globl _start
_start:
	cli
	leaq stack_top(%rip), %rsp
	movq %rsi, %rdi
	call bare_main
hang:
	hlt
	jmp hang

	.bss
	.balign 16
	.skip 32768
stack_top:
	.section .note.GNU-stack, "", @progbits
