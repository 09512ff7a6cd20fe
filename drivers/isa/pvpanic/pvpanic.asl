// SPDX-License-Identifier: BSD-3-Clause
// pvpanic as Linux's pvpanic-mmio driver finds it: by _HID, with one port in _CRS.
DefinitionBlock ("", "SSDT", 2, "KILN", "PVPANIC", 1)
{
	Scope (\_SB)
	{
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0505, 0x0505, 1, 1)
			})
		}
	}
}
