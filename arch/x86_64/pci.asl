// SPDX-License-Identifier: BSD-3-Clause
// The PCI root as ACPI has it: addresses are those of arch/x86_64/layout.h, the driver is drivers/pci/root.
DefinitionBlock ("", "SSDT", 2, "KILN", "PCI", 1)
{
	Device (\_SB.PCI0)
	{
		Name (_HID, EisaId ("PNP0A08"))
		Name (_CID, EisaId ("PNP0A03"))
		Name (_SEG, 0)
		Name (_BBN, 0)
		Name (_UID, 0)
		Name (_CRS, ResourceTemplate ()
		{
			WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
			IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
			// I/O BARs: above every port that a device of the PC has.
			WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x1000, 0xffff, 0, 0xf000)
			// Memory BARs: from the end of low RAM to the ECAM window (LAYOUT_HOLE_GPA to LAYOUT_ECAM_GPA).
			DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
				0, 0xc0000000, 0xdfffffff, 0, 0x20000000)
		})
		// INTA of slot n is pin 16 + n % 8 of the I/O APIC (LAYOUT_PCI_GSI). Functions use no other pin.
		Name (_PRT, Package ()
		{
			Package () { 0x0001FFFF, 0, 0, 17 },
			Package () { 0x0002FFFF, 0, 0, 18 },
			Package () { 0x0003FFFF, 0, 0, 19 },
			Package () { 0x0004FFFF, 0, 0, 20 },
			Package () { 0x0005FFFF, 0, 0, 21 },
			Package () { 0x0006FFFF, 0, 0, 22 },
			Package () { 0x0007FFFF, 0, 0, 23 },
			Package () { 0x0008FFFF, 0, 0, 16 },
			Package () { 0x0009FFFF, 0, 0, 17 },
			Package () { 0x000AFFFF, 0, 0, 18 },
			Package () { 0x000BFFFF, 0, 0, 19 },
			Package () { 0x000CFFFF, 0, 0, 20 },
			Package () { 0x000DFFFF, 0, 0, 21 },
			Package () { 0x000EFFFF, 0, 0, 22 },
			Package () { 0x000FFFFF, 0, 0, 23 },
			Package () { 0x0010FFFF, 0, 0, 16 },
			Package () { 0x0011FFFF, 0, 0, 17 },
			Package () { 0x0012FFFF, 0, 0, 18 },
			Package () { 0x0013FFFF, 0, 0, 19 },
			Package () { 0x0014FFFF, 0, 0, 20 },
			Package () { 0x0015FFFF, 0, 0, 21 },
			Package () { 0x0016FFFF, 0, 0, 22 },
			Package () { 0x0017FFFF, 0, 0, 23 },
			Package () { 0x0018FFFF, 0, 0, 16 },
			Package () { 0x0019FFFF, 0, 0, 17 },
			Package () { 0x001AFFFF, 0, 0, 18 },
			Package () { 0x001BFFFF, 0, 0, 19 },
			Package () { 0x001CFFFF, 0, 0, 20 },
			Package () { 0x001DFFFF, 0, 0, 21 },
			Package () { 0x001EFFFF, 0, 0, 22 },
			Package () { 0x001FFFFF, 0, 0, 23 }
		})
	}
}
