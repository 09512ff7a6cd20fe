// SPDX-License-Identifier: BSD-3-Clause
// Firmware tables of x86_64: those that the configuration chose.
#include "tables.h"

int arch_tables_write(const struct arch_machine *machine, struct err *e)
{
	int status = 0;

	if (IS_ENABLED(CONFIG_ACPI))
		status = acpi_write(machine, e);
	if (status == 0 && IS_ENABLED(CONFIG_MPTABLE))
		status = mptable_write(machine, e);
	return status;
}
