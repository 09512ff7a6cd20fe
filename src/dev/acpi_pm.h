// SPDX-License-Identifier: BSD-3-Clause
// ACPI fixed hardware: the port numbers that the device answers and the FADT announces (ACPI 6.4,
// section 4.8.3).
#pragma once

enum {
	ACPI_PM1_EVT_PORT = 0x600, /* status at +0, enable at +2 */
	ACPI_PM1_EVT_LEN = 4,
	ACPI_PM1_CNT_PORT = 0x604,
	ACPI_PM1_CNT_LEN = 2,
	ACPI_SCI_GSI = 9,
	ACPI_S5_SLP_TYP = 5,     /* what \_S5 in the DSDT tells the guest to write */
	ACPI_RESET_PORT = 0xcf9, /* FADT reset register, answered by drivers/isa/reset_cf9 */
	ACPI_RESET_VALUE = 0x06,
};
