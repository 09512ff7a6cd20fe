// SPDX-License-Identifier: BSD-3-Clause
// The whole user space of a benchmark guest: /init that asks for a restart at once.
	.globl	_start
_start:
	mov	$169, %eax		// reboot(LINUX_REBOOT_MAGIC1, MAGIC2, CMD_RESTART)
	mov	$0xfee1dead, %edi
	mov	$672274793, %esi
	mov	$0x01234567, %edx
	syscall
	ud2
