/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that checks what a PVH entry promises, then resets; where it does not hold, it crashes. */
.include "payload.inc"

START_INFO_MAGIC = 0x336ec578
CR0_PE = 0x1
CR0_PG = 0x80000000

	pvh_entry _start

	.globl _start
_start:
	cmpl $START_INFO_MAGIC, (%ebx)
	jne wrong
	cmpl $0, 24(%ebx)		/* cmdline_paddr */
	je wrong
	cmpl $2, 48(%ebx)		/* memmap_entries: low and high RAM at least */
	jb wrong
	movl %cr0, %eax
	andl $(CR0_PG | CR0_PE), %eax
	cmpl $CR0_PE, %eax
	jne wrong
	reset
wrong:
	ud2
