// SPDX-License-Identifier: BSD-3-Clause
// Firmware tables of x86_64.
#pragma once

#include "kvm/arch.h"

/* The DSDT, compiled from dsdt.asl by the build. */
extern const struct dev_aml dsdt_aml, pci_aml;

/* acpi_write - ACPI tables from LAYOUT_TABLES_GPA on. Return: 0, or -ENOSPC with words. */
int acpi_write(const struct arch_machine *machine, struct err *e);

/* mptable_write - the MP table at LAYOUT_MPTABLE_GPA. Return: 0, or -ENOSPC with words. */
int mptable_write(const struct arch_machine *machine, struct err *e);
