// SPDX-License-Identifier: BSD-3-Clause
// Firmware of x86_64: the tables that the configuration chose, and the reset vector.
#include "tables.h"

#include <errno.h>

#include "dev/acpi_pm.h"
#include "layout.h"

/*
 * Some kernels restart by jumping to the BIOS: Linux with reboot=bios, and always when the ACPI
 * tables are hardware-reduced ones. Real mode; what is there of the two reset devices ends it.
 */
static const u8 reset_code[] = {
	0xba,
	ACPI_RESET_PORT & 0xff,
	ACPI_RESET_PORT >> 8, /* mov dx, ACPI_RESET_PORT */
	0xb0,
	ACPI_RESET_VALUE, /* mov al, ACPI_RESET_VALUE */
	0xee,             /* out dx, al */
	0xb0,
	0xfe, /* mov al, 0xfe: the keyboard controller pulses its reset line */
	0xe6,
	0x64, /* out 0x64, al */
	0xf4, /* hlt */
	0xeb,
	0xfd, /* jmp to the hlt */
};

_Static_assert(LAYOUT_RESET_VECTOR_GPA + sizeof(reset_code) <= LAYOUT_TABLES_END, "reset vector");

int arch_tables_write(const struct arch_machine *machine, struct err *e)
{
	int status = 0;

	if (gmem_write(machine->mem, LAYOUT_RESET_VECTOR_GPA, reset_code, sizeof(reset_code)) < 0)
		return err_set(e, -EFAULT, "guest memory has no room for the reset vector");
	if (IS_ENABLED(CONFIG_ACPI))
		status = acpi_write(machine, e);
	if (status == 0 && IS_ENABLED(CONFIG_MPTABLE))
		status = mptable_write(machine, e);
	return status;
}
