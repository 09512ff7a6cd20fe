/* SPDX-License-Identifier: BSD-3-Clause */
/* A bare guest whose first instruction is its last: an invalid one, without anybody to handle it. */
.include "payload.inc"

	pvh_entry _start

	.globl _start
_start:
	ud2
