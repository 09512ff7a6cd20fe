/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a bare guest in C begins: Linux's 64-bit entry, with rsi at the zero page; and a second CPU. */

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

/*
 * A second CPU begins in real mode at a page below 1 MiB, where bare.c puts a copy of this, and goes the
 * whole way up. From C's side: CPU2_GPA.
 */
CPU2_GPA = 0x10000
CR0_PROTECTED = 0x11
CR0_PROTECTED_PAGED = 0x80000011
CR4_PAE = 0x20
MSR_EFER = 0xc0000080
EFER_LME = 0x100
CODE_32 = 8
DATA = 16
CODE_64 = 24

	.globl cpu2_begin, cpu2_end
	.code16
cpu2_begin:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl cpu2_gdt_pointer - cpu2_begin
	movl $CR0_PROTECTED, %eax
	movl %eax, %cr0
	ljmpl $CODE_32, $(CPU2_GPA + cpu2_32 - cpu2_begin)
	.code32
cpu2_32:
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %ss
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_PROTECTED_PAGED, %eax
	movl %eax, %cr0
	ljmpl $CODE_64, $(CPU2_GPA + cpu2_64 - cpu2_begin)
	.code64
cpu2_64:
	movq $stack2_top, %rsp
	movq $bare_main2, %rax
	call *%rax
	hlt
	.balign 8
cpu2_gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
cpu2_gdt_pointer:
	.word cpu2_gdt_pointer - cpu2_gdt - 1
	.long CPU2_GPA + cpu2_gdt - cpu2_begin
cpu2_end:

	.bss
	.balign 16
	.skip 32768
stack_top:
	.globl stack2
stack2:
	.skip 32768
stack2_top:
	.section .note.GNU-stack, "", @progbits
