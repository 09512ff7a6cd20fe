/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that checks what Linux's 64-bit entry promises, then resets; where it does not hold, it crashes. */
.include "payload.inc"

HEADER_MAGIC = 0x53726448		/* "HdrS" */
ZERO_PAGE_E820_ENTRIES = 0x1e8
ZERO_PAGE_MAGIC = 0x202
ZERO_PAGE_CMD_LINE_PTR = 0x228
MSR_EFER = 0xc0000080
EFER_LMA = 1 << 10

	.globl _start
_start:
	cmpl $HEADER_MAGIC, ZERO_PAGE_MAGIC(%rsi)
	jne wrong
	cmpb $2, ZERO_PAGE_E820_ENTRIES(%rsi)
	jb wrong
	cmpl $0, ZERO_PAGE_CMD_LINE_PTR(%rsi)
	je wrong
	movl $MSR_EFER, %ecx
	rdmsr
	testl $EFER_LMA, %eax
	jz wrong
	movl $0xffc00000, %edi		/* below 4 GiB all is mapped, RAM or not */
	movq (%rdi), %rax
	reset
wrong:
	ud2
