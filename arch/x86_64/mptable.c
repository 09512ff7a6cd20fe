// SPDX-License-Identifier: BSD-3-Clause
// The MP table: CPUs and interrupt wiring for kernels without ACPI (Intel MultiProcessor
// Specification 1.4, chapter 4).
#include <errno.h>

#include "layout.h"
#include "tables.h"
#include "util/bytes.h"

enum {
	MP_REVISION = 4,
	MP_ENTRY_CPU = 0,
	MP_ENTRY_BUS = 1,
	MP_ENTRY_IOAPIC = 2,
	MP_ENTRY_IO_INTERRUPT = 3,
	MP_ENTRY_LOCAL_INTERRUPT = 4,
	MP_CPU_ENABLED = 1 << 0,
	MP_CPU_BOOT = 1 << 1,
	MP_CPU_FEATURES = 0x201, /* FPU, APIC: kernels ask CPUID for the rest */
	MP_CPU_SIGNATURE = 0x600,
	MP_LAPIC_VERSION = 0x14,
	MP_IOAPIC_VERSION = 0x11,
	MP_IOAPIC_ENABLED = 1 << 0,
	MP_INTERRUPT_INT = 0,
	MP_INTERRUPT_NMI = 1,
	MP_INTERRUPT_EXTINT = 3,
	MP_ALL_LAPICS = 0xff,
	MP_ISA_BUS = 0,
	MP_ISA_IRQS = 16,
	MP_ISA_CASCADE = 2, /* of the second 8259: no device */
};

struct mp_pointer {
	char signature[4];
	le32 table_gpa;
	u8 paragraphs; /* length of this structure */
	u8 revision;
	u8 checksum;
	u8 features[5];
};

struct mp_header {
	char signature[4];
	le16 length;
	u8 revision;
	u8 checksum;
	char oem_id[8];
	char product_id[12];
	le32 oem_table;
	le16 oem_table_bytes;
	le16 nr_entries;
	le32 lapic_gpa;
	le16 extended_bytes;
	u8 extended_checksum;
	u8 reserved;
};

struct mp_cpu {
	u8 entry_type;
	u8 apic_id;
	u8 apic_version;
	u8 flags;
	le32 signature;
	le32 features;
	le32 reserved[2];
};

struct mp_bus {
	u8 entry_type;
	u8 bus_id;
	char name[6];
};

struct mp_ioapic {
	u8 entry_type;
	u8 apic_id;
	u8 apic_version;
	u8 flags;
	le32 gpa;
};

struct mp_interrupt {
	u8 entry_type;
	u8 interrupt_type;
	le16 flags; /* 0: polarity and trigger as the bus has them */
	u8 bus_id;
	u8 bus_irq;
	u8 apic_id;
	u8 pin;
};

_Static_assert(sizeof(struct mp_pointer) == 16, "MP table");
_Static_assert(sizeof(struct mp_header) == 44, "MP table");
_Static_assert(sizeof(struct mp_cpu) == 20, "MP table");

/* Every entry there can be, entries in order of type as the specification wants them. */
struct mp_table {
	struct mp_pointer pointer;
	struct mp_header header;
	u8 entries[LAYOUT_CPUS_MAX * sizeof(struct mp_cpu) + sizeof(struct mp_bus) +
		   sizeof(struct mp_ioapic) + (MP_ISA_IRQS + 2) * sizeof(struct mp_interrupt)];
	u32 entry_bytes, nr_entries;
};

_Static_assert(LAYOUT_MPTABLE_GPA + sizeof(struct mp_table) <= LAYOUT_RESET_VECTOR_GPA, "MP table");

static void mptable_add(struct mp_table *table, const void *entry, u32 len)
{
	memcpy(table->entries + table->entry_bytes, entry, len);
	table->entry_bytes += len;
	table->nr_entries++;
}

static void mptable_add_cpus(struct mp_table *table, u32 nr_cpus)
{
	for (u32 i = 0; i < nr_cpus; i++) {
		const struct mp_cpu cpu = {
			.entry_type = MP_ENTRY_CPU,
			.apic_id = (u8)i,
			.apic_version = MP_LAPIC_VERSION,
			.flags = MP_CPU_ENABLED | (i == 0 ? MP_CPU_BOOT : 0),
			.signature = le32_make(MP_CPU_SIGNATURE),
			.features = le32_make(MP_CPU_FEATURES),
		};

		mptable_add(table, &cpu, sizeof(cpu));
	}
}

static void mptable_add_interrupt(struct mp_table *table, u8 entry_type, u8 interrupt_type,
				  u8 bus_irq, u8 apic_id, u8 pin)
{
	const struct mp_interrupt interrupt = {
		.entry_type = entry_type,
		.interrupt_type = interrupt_type,
		.bus_id = MP_ISA_BUS,
		.bus_irq = bus_irq,
		.apic_id = apic_id,
		.pin = pin,
	};

	mptable_add(table, &interrupt, sizeof(interrupt));
}

static void mptable_add_interrupts(struct mp_table *table, u8 ioapic_id)
{
	for (u32 irq = 0; irq < MP_ISA_IRQS; irq++)
		if (irq != MP_ISA_CASCADE)
			mptable_add_interrupt(table, MP_ENTRY_IO_INTERRUPT, MP_INTERRUPT_INT,
					      (u8)irq, ioapic_id, (u8)irq);
	mptable_add_interrupt(table, MP_ENTRY_LOCAL_INTERRUPT, MP_INTERRUPT_EXTINT, 0, 0, 0);
	mptable_add_interrupt(table, MP_ENTRY_LOCAL_INTERRUPT, MP_INTERRUPT_NMI, 0, MP_ALL_LAPICS,
			      1);
}

static void mptable_fill(struct mp_table *table, u32 nr_cpus)
{
	const struct mp_bus bus = { .entry_type = MP_ENTRY_BUS,
				    .bus_id = MP_ISA_BUS,
				    .name = { 'I', 'S', 'A', ' ', ' ', ' ' } };
	const struct mp_ioapic ioapic = {
		.entry_type = MP_ENTRY_IOAPIC,
		.apic_id = (u8)LAYOUT_IOAPIC_ID(nr_cpus),
		.apic_version = MP_IOAPIC_VERSION,
		.flags = MP_IOAPIC_ENABLED,
		.gpa = le32_make(LAYOUT_IOAPIC_GPA),
	};

	mptable_add_cpus(table, nr_cpus);
	mptable_add(table, &bus, sizeof(bus));
	mptable_add(table, &ioapic, sizeof(ioapic));
	mptable_add_interrupts(table, ioapic.apic_id);
}

static void mptable_seal(struct mp_table *table)
{
	const u8 *bytes = (const u8 *)table + offsetof(struct mp_table, header);
	u32 len = (u32)sizeof(table->header) + table->entry_bytes;

	table->header = (struct mp_header){
		.signature = { 'P', 'C', 'M', 'P' },
		.length = le16_make((u16)len),
		.revision = MP_REVISION,
		.oem_id = { 'K', 'I', 'L', 'N', ' ', ' ', ' ', ' ' },
		.product_id = { 'X', '8', '6', '_', '6', '4', ' ', ' ', ' ', ' ', ' ', ' ' },
		.nr_entries = le16_make((u16)table->nr_entries),
		.lapic_gpa = le32_make(LAYOUT_LAPIC_GPA),
	};
	table->header.checksum = (u8)-bytes_sum(bytes, len);
	table->pointer = (struct mp_pointer){
		.signature = { '_', 'M', 'P', '_' },
		.table_gpa = le32_make(LAYOUT_MPTABLE_GPA + sizeof(table->pointer)),
		.paragraphs = sizeof(table->pointer) / 16,
		.revision = MP_REVISION,
	};
	table->pointer.checksum = (u8)-bytes_sum(&table->pointer, sizeof(table->pointer));
}

int mptable_write(const struct arch_machine *machine, struct err *e)
{
	struct mp_table table = { 0 };

	if (machine->nr_cpus < 1 || machine->nr_cpus > LAYOUT_CPUS_MAX)
		return err_set(e, -EINVAL, "%u CPUs: the MP table describes 1 to %d",
			       machine->nr_cpus, LAYOUT_CPUS_MAX);
	mptable_fill(&table, machine->nr_cpus);
	mptable_seal(&table);
	if (gmem_write(machine->mem, LAYOUT_MPTABLE_GPA, &table,
		       offsetof(struct mp_table, entries) + table.entry_bytes) < 0)
		return err_set(e, -EFAULT, "guest memory has no room for the MP table");
	return 0;
}
