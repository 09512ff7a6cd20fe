// SPDX-License-Identifier: BSD-3-Clause
// x86_64: how RAM lies about the hole below 4 GiB, and what kernels are told of it.
#include "layout.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>

#include "boot.h"

/*
 * Guest physical addresses have as many bits as the host CPU's (SDM volume 2, CPUID leaf
 * 80000008H).
 */
static u64 layout_mem_max(void)
{
	u32 eax, ebx, ecx, edx, address_bits = 36;

	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx) && (eax & 0xff) >= 36)
		address_bits = MIN(eax & 0xff, 52u);
	return MIN(LAYOUT_MEM_MAX_BYTES,
		   (1ull << address_bits) - (LAYOUT_HOLE_END - LAYOUT_HOLE_GPA));
}

int arch_mem_layout(u64 mem_bytes, struct gmem_range *ranges, struct err *e)
{
	u64 max_bytes = layout_mem_max(), low_bytes = MIN(mem_bytes, (u64)LAYOUT_HOLE_GPA);

	if (mem_bytes < LAYOUT_MEM_MIN_BYTES)
		return err_set(e, -EINVAL, "%llu KiB of guest memory: at least %llu MiB are needed",
			       (unsigned long long)(mem_bytes >> 10),
			       (unsigned long long)(LAYOUT_MEM_MIN_BYTES >> 20));
	if (mem_bytes > max_bytes)
		return err_set(e, -EINVAL,
			       "%llu MiB of guest memory: this CPU addresses at most %llu MiB",
			       (unsigned long long)(mem_bytes >> 20),
			       (unsigned long long)(max_bytes >> 20));
	if (mem_bytes % KIB(4) != 0)
		return err_set(e, -EINVAL, "%llu bytes of guest memory: not a multiple of 4 KiB",
			       (unsigned long long)mem_bytes);
	ranges[0] = (struct gmem_range){ .base_gpa = 0, .size_bytes = low_bytes };
	if (mem_bytes == low_bytes)
		return 1;
	ranges[1] = (struct gmem_range){ .base_gpa = LAYOUT_HOLE_END,
					 .size_bytes = mem_bytes - low_bytes };
	return 2;
}

struct dev_ram_layout arch_ram_layout(const struct gmem *mem)
{
	u64 below_4g_bytes = boot_ram_end(mem);

	return (struct dev_ram_layout){ .below_4g_bytes = below_4g_bytes,
					.above_4g_bytes = gmem_size(mem) - below_4g_bytes };
}

u64 arch_ecam_gpa(void)
{
	return LAYOUT_ECAM_GPA;
}

/* As pci.asl tells the guest. */
void arch_pci_window(u64 *gpa, u64 *size_bytes)
{
	*gpa = LAYOUT_HOLE_GPA;
	*size_bytes = LAYOUT_ECAM_GPA - LAYOUT_HOLE_GPA;
}

u32 arch_pci_gsi(u32 slot)
{
	return LAYOUT_PCI_GSI(slot);
}

/*
 * Linux takes the number for an ISA interrupt, which is an edge: those that no device of ours uses.
 * With more devices than these, two share one; both then look into their rings.
 */
struct arch_mmio_place arch_virtio_mmio_place(u32 index)
{
	static const u8 free_isa_irqs[] = { 5, 10, 11, 7, 15, 14, 6, 12 };

	return (struct arch_mmio_place){
		.gpa = LAYOUT_VIRTIO_MMIO_GPA + (u64)index * LAYOUT_VIRTIO_MMIO_BYTES,
		.gsi = free_isa_irqs[index % ARRAY_SIZE(free_isa_irqs)],
	};
}

/* With ACPI the tables tell; else drivers/virtio/virtio_mmio.c in Linux takes size@address:line. */
void arch_virtio_mmio_words(const struct arch_mmio_place *place, char *words, size_t size)
{
	words[0] = '\0';
	if (IS_ENABLED(CONFIG_ACPI))
		return;
	snprintf(words, size, " virtio_mmio.device=4K@0x%llx:%u", (unsigned long long)place->gpa,
		 place->gsi);
}

u64 boot_ram_end(const struct gmem *mem)
{
	return mem->regions[0].size_bytes; /* arch_mem_layout puts it at 0 */
}

u32 boot_memmap(const struct gmem *mem, struct boot_memory *map)
{
	u32 nr = 0;

	map[nr++] = (struct boot_memory){ 0, LAYOUT_LOW_RAM_END, BOOT_MEMORY_RAM };
	map[nr++] = (struct boot_memory){ LAYOUT_EBDA_GPA, LAYOUT_EBDA_END - LAYOUT_EBDA_GPA,
					  BOOT_MEMORY_RESERVED };
	map[nr++] = (struct boot_memory){ LAYOUT_TABLES_GPA, LAYOUT_TABLES_END - LAYOUT_TABLES_GPA,
					  BOOT_MEMORY_RESERVED };
	map[nr++] = (struct boot_memory){ LAYOUT_HIGH_RAM_GPA,
					  boot_ram_end(mem) - LAYOUT_HIGH_RAM_GPA,
					  BOOT_MEMORY_RAM };
	/*
	 * Linux uses the window only if the memory map reserves it (arch/x86/pci/mmconfig-
	 * shared.c).
	 */
	if (IS_ENABLED(CONFIG_PCI_ROOT))
		map[nr++] = (struct boot_memory){ LAYOUT_ECAM_GPA, LAYOUT_ECAM_BYTES,
						  BOOT_MEMORY_RESERVED };
	/* Pages that KVM on Intel hosts keeps for itself: nobody may place a device over them. */
	map[nr++] =
		(struct boot_memory){ LAYOUT_KVM_IDENTITY_MAP_GPA, KIB(16), BOOT_MEMORY_RESERVED };
	for (u32 i = 1; i < mem->nr_regions; i++)
		map[nr++] = (struct boot_memory){ mem->regions[i].base_gpa,
						  mem->regions[i].size_bytes, BOOT_MEMORY_RAM };
	return nr;
}

/*
 * A user's words come later and win. Why each is here:
 * console=ttyS0: messages reach the terminal; a kernel without VGA would have no console.
 * panic=-1: a panic resets at once, which ends the machine with its exit code, instead of hanging.
 * acpi=off: without tables, kernels would search and report "A valid RSDP was not found".
 * Not here: pci=off changes neither what a kernel without a PCI host prints nor how long it takes,
 * and the timer check, the TSC and the keyboard controller are no trouble on KVM.
 */
#define CMDLINE_ALWAYS "panic=-1"
#define CMDLINE_NO_ACPI " acpi=off"

const char *arch_cmdline_base(const char *console)
{
	static char words[64];

	if (!console && IS_ENABLED(CONFIG_UART16550))
		console = "ttyS0";
	snprintf(words, sizeof(words), "%s%s%s%s%s", console ? "console=" : "",
		 console ? console : "", console ? " " : "", CMDLINE_ALWAYS,
		 IS_ENABLED(CONFIG_ACPI) ? "" : CMDLINE_NO_ACPI);
	return words;
}
