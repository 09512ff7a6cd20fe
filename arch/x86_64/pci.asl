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
	}
}
