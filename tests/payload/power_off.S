/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest that powers off as ACPI says: sleep type 5 and sleep enable into PM1a_CNT. */
.include "payload.inc"

PM1A_CNT = 0x604			/* src/dev/acpi_pm.h; a kernel reads it from the FADT */
SLP_TYP_5 = 5 << 10
SLP_EN = 1 << 13

	pvh_entry _start

	.globl _start
_start:
	movw $PM1A_CNT, %dx
	movw $(SLP_TYP_5 | SLP_EN), %ax
	outw %ax, %dx
halt:
	hlt
	jmp halt
