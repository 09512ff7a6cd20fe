// SPDX-License-Identifier: BSD-3-Clause
// COM1 to COM4 as Linux's 8250_pnp and others find them; two ports share each interrupt, edge-triggered as on ISA.
DefinitionBlock ("", "SSDT", 2, "KILN", "UART", 1)
{
	Scope (\_SB)
	{
		Device (UAR1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 1, 8)
				IRQ (Edge, ActiveHigh, Shared) {4}
			})
		}

		Device (UAR2)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 2)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x02F8, 0x02F8, 1, 8)
				IRQ (Edge, ActiveHigh, Shared) {3}
			})
		}

		Device (UAR3)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 3)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03E8, 0x03E8, 1, 8)
				IRQ (Edge, ActiveHigh, Shared) {4}
			})
		}

		Device (UAR4)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 4)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x02E8, 0x02E8, 1, 8)
				IRQ (Edge, ActiveHigh, Shared) {3}
			})
		}
	}
}
