// SPDX-License-Identifier: BSD-3-Clause
// The PC/AT real-time clock at ports 0x70 and 0x71, interrupt 8.
DefinitionBlock ("", "SSDT", 2, "KILN", "RTC", 1)
{
	Scope (\_SB)
	{
		Device (RTC0)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () {8}
			})
		}
	}
}
