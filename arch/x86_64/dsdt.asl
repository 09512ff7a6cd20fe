// SPDX-License-Identifier: BSD-3-Clause
// DSDT: what the machine has that no driver owns; drivers bring SSDTs of their own (ACPI 6.4, section 5.2.11.1).
DefinitionBlock ("", "DSDT", 2, "KILN", "KILNDSDT", 1)
{
	// Soft off: the value of ACPI_S5_SLP_TYP in src/dev/acpi_pm.h, for PM1a_CNT and PM1b_CNT.
	Name (\_S5, Package () { 5, 5, 0, 0 })
}
