// SPDX-License-Identifier: BSD-3-Clause
// ACPI tables of x86_64: RSDP, XSDT, FADT, FACS, MADT, MCFG, DSDT and the drivers' SSDTs (ACPI 6.4,
// section 5.2).
#include <errno.h>

#include "dev/acpi_pm.h"
#include "layout.h"
#include "tables.h"
#include "util/bytes.h"
#include "util/checked.h"

enum {
	ACPI_TABLES_MAX = 32, /* that the XSDT names */
	ACPI_TABLE_ALIGN = 16,
	ACPI_FACS_ALIGN = 64,
	ACPI_SPACE_IO = 1, /* address spaces and access sizes: section 5.2.3.2 */
	ACPI_ACCESS_BYTE = 1,
	ACPI_ACCESS_WORD = 2,
	ACPI_CMOS_CENTURY = 0x32,
};

/* FADT feature flags (table 5.10). */
enum {
	FADT_WBINVD = 1 << 0,
	FADT_PROC_C1 = 1 << 2,         /* HLT works */
	FADT_NO_POWER_BUTTON = 1 << 4, /* in the fixed hardware, that is */
	FADT_NO_SLEEP_BUTTON = 1 << 5,
	FADT_NO_FIXED_RTC = 1 << 6, /* the RTC's alarm does not show in the PM1 registers */
	FADT_RESET_REG = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
};

/* FADT IA-PC boot architecture flags (table 5.11). */
enum {
	FADT_BOOT_LEGACY_DEVICES = 1 << 0,
	FADT_BOOT_NO_VGA = 1 << 2,
	FADT_BOOT_NO_CMOS_RTC = 1 << 5,
};

/* MADT (section 5.2.12). */
enum {
	MADT_PCAT_COMPAT = 1 << 0, /* two 8259 are there as well */
	MADT_LOCAL_APIC = 0,
	MADT_IO_APIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LOCAL_NMI = 4,
	MADT_APIC_ENABLED = 1 << 0,
	MADT_ALL_PROCESSORS = 0xff,
	MADT_LINT1 = 1,
	MADT_ACTIVE_HIGH_LEVEL = 1 | 3 << 2, /* MPS INTI flags (table 5.26) */
};

/* What a processor cannot do: latencies above these mean that C2 and C3 are not there. */
enum { FADT_NO_C2_LATENCY_US = 101, FADT_NO_C3_LATENCY_US = 1001 };

#define ACPI_OEM_ID "KILN\0"
#define ACPI_OEM_TABLE_ID "KILNX86"
#define ACPI_CREATOR_ID "KILN"

struct acpi_header {
	char signature[4];
	le32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	le32 oem_revision;
	char creator_id[4];
	le32 creator_revision;
};

struct acpi_rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	le32 rsdt_gpa;
	le32 length;
	le64 xsdt_gpa;
	u8 extended_checksum;
	u8 reserved[3];
};

struct acpi_register {
	u8 space;
	u8 bits;
	u8 offset_bits;
	u8 access;
	le64 address;
};

struct acpi_facs {
	char signature[4];
	le32 length;
	le32 hardware_signature;
	le32 waking_vector;
	le32 global_lock;
	le32 flags;
	le64 x_waking_vector;
	u8 version;
	u8 reserved[31];
};

struct acpi_fadt {
	struct acpi_header head;
	le32 facs_gpa;
	le32 dsdt_gpa;
	u8 reserved_44;
	u8 pm_profile;
	le16 sci_irq;
	le32 smi_port;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	le32 pm1a_evt_port, pm1b_evt_port;
	le32 pm1a_cnt_port, pm1b_cnt_port;
	le32 pm2_cnt_port, pm_timer_port;
	le32 gpe0_port, gpe1_port;
	u8 pm1_evt_bytes, pm1_cnt_bytes, pm2_cnt_bytes, pm_timer_bytes;
	u8 gpe0_bytes, gpe1_bytes, gpe1_base, cst_cnt;
	le16 c2_latency_us, c3_latency_us;
	le16 flush_size, flush_stride;
	u8 duty_offset, duty_width;
	u8 cmos_day_alarm, cmos_month_alarm, cmos_century;
	le16 boot_flags;
	u8 reserved_111;
	le32 flags;
	struct acpi_register reset;
	u8 reset_value;
	le16 arm_boot_flags;
	u8 minor_revision;
	le64 x_facs_gpa;
	le64 x_dsdt_gpa;
	struct acpi_register x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct acpi_register x_pm2_cnt, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_register sleep_control, sleep_status;
	char hypervisor_vendor[8];
};

/* PCI Firmware Specification 3.2, table 4-2: one window, for bus 0 of segment 0. */
struct acpi_mcfg {
	struct acpi_header head;
	u8 reserved[8];
	le64 ecam_gpa;
	le16 segment;
	u8 bus_first, bus_last;
	u8 reserved_end[4];
};

struct madt_head {
	struct acpi_header head;
	le32 lapic_gpa;
	le32 flags;
};

struct madt_local_apic {
	u8 type, length, uid, apic_id;
	le32 flags;
};

struct madt_io_apic {
	u8 type, length, apic_id, reserved;
	le32 gpa;
	le32 gsi_base;
};

struct madt_override {
	u8 type, length, bus, irq;
	le32 gsi;
	le16 flags;
};

struct madt_local_nmi {
	u8 type, length, uid;
	le16 flags;
	u8 lint;
};

struct acpi_madt {
	struct madt_head madt;
	struct madt_io_apic io_apic;
	struct madt_override sci;
	struct madt_local_nmi nmi;
	struct madt_local_apic cpus[LAYOUT_CPUS_MAX]; /* as many as there are */
};

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI");
_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI");
_Static_assert(sizeof(struct acpi_mcfg) == 60, "ACPI");
_Static_assert(sizeof(struct madt_head) == 44, "ACPI");
_Static_assert(sizeof(struct madt_override) == 10, "ACPI");
_Static_assert(sizeof(struct madt_local_nmi) == 6, "ACPI");

/* Where the next table goes, and those that the XSDT will name. */
struct acpi_area {
	const struct gmem *mem;
	gpa_t next_gpa;
	u32 nr_tables;
	le64 tables_gpa[ACPI_TABLES_MAX];
};

/* Write bytes at the next aligned place. Return: 0 with the place, or -ENOSPC with words. */
static int acpi_put(struct acpi_area *area, const void *bytes, u32 len, u32 align, gpa_t *gpa,
		    struct err *e)
{
	*gpa = ALIGN_UP(area->next_gpa, align);
	if (!range_fits(*gpa, len, LAYOUT_MPTABLE_GPA) ||
	    gmem_write(area->mem, *gpa, bytes, len) < 0)
		return err_set(e, -ENOSPC,
			       "the ACPI tables do not fit into the %d KiB from 0x%x on",
			       (LAYOUT_MPTABLE_GPA - LAYOUT_TABLES_GPA) >> 10, LAYOUT_TABLES_GPA);
	area->next_gpa = *gpa + len;
	return 0;
}

/* acpi_put for a table that the XSDT is to name. */
static int acpi_put_listed(struct acpi_area *area, const void *bytes, u32 len, struct err *e)
{
	gpa_t gpa;
	int status;

	if (area->nr_tables == ACPI_TABLES_MAX)
		return err_set(e, -ENOSPC,
			       "more than %d ACPI tables: this build has too many device classes",
			       ACPI_TABLES_MAX);
	status = acpi_put(area, bytes, len, ACPI_TABLE_ALIGN, &gpa, e);
	if (status == 0)
		area->tables_gpa[area->nr_tables++] = le64_make(gpa);
	return status;
}

static struct acpi_header acpi_header_make(const char *signature, u8 revision, u32 length)
{
	struct acpi_header head = {
		.length = le32_make(length),
		.revision = revision,
		.oem_revision = le32_make(1),
		.creator_revision = le32_make(1),
	};

	memcpy(head.signature, signature, sizeof(head.signature));
	memcpy(head.oem_id, ACPI_OEM_ID, sizeof(head.oem_id));
	memcpy(head.oem_table_id, ACPI_OEM_TABLE_ID, sizeof(head.oem_table_id));
	memcpy(head.creator_id, ACPI_CREATOR_ID, sizeof(head.creator_id));
	return head;
}

static struct acpi_register acpi_io_register(u16 port, u8 bytes, u8 access)
{
	return (struct acpi_register){ .space = ACPI_SPACE_IO,
				       .bits = (u8)(bytes * 8),
				       .access = access,
				       .address = le64_make(port) };
}

/* The fixed hardware that drivers/acpi/pm answers, power button and all. */
static void fadt_set_fixed_hardware(struct acpi_fadt *fadt)
{
	fadt->sci_irq = le16_make(ACPI_SCI_GSI);
	fadt->pm1a_evt_port = le32_make(ACPI_PM1_EVT_PORT);
	fadt->pm1a_cnt_port = le32_make(ACPI_PM1_CNT_PORT);
	fadt->pm1_evt_bytes = ACPI_PM1_EVT_LEN;
	fadt->pm1_cnt_bytes = ACPI_PM1_CNT_LEN;
	fadt->x_pm1a_evt = acpi_io_register(ACPI_PM1_EVT_PORT, ACPI_PM1_EVT_LEN, ACPI_ACCESS_WORD);
	fadt->x_pm1a_cnt = acpi_io_register(ACPI_PM1_CNT_PORT, ACPI_PM1_CNT_LEN, ACPI_ACCESS_WORD);
}

static u16 fadt_boot_flags(void)
{
	/*
	 * The keyboard controller's bit stays clear: it is there to reset, and probing it is slow.
	 */
	u16 flags = FADT_BOOT_LEGACY_DEVICES | FADT_BOOT_NO_VGA;

	if (!IS_ENABLED(CONFIG_CMOS_RTC))
		flags |= FADT_BOOT_NO_CMOS_RTC;
	return flags;
}

static int acpi_put_fadt(struct acpi_area *area, gpa_t facs_gpa, gpa_t dsdt_gpa, struct err *e)
{
	u32 flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC;
	struct acpi_fadt fadt = {
		.head = acpi_header_make("FACP", 6, sizeof(fadt)),
		.facs_gpa = le32_make((u32)facs_gpa),
		.dsdt_gpa = le32_make((u32)dsdt_gpa),
		.x_facs_gpa = le64_make(facs_gpa),
		.x_dsdt_gpa = le64_make(dsdt_gpa),
		.c2_latency_us = le16_make(FADT_NO_C2_LATENCY_US),
		.c3_latency_us = le16_make(FADT_NO_C3_LATENCY_US),
		.boot_flags = le16_make(fadt_boot_flags()),
		.minor_revision = 4,
		.hypervisor_vendor = "Kiln",
	};

	if (IS_ENABLED(CONFIG_CMOS_RTC))
		fadt.cmos_century = ACPI_CMOS_CENTURY;
	/* Without the PM1 registers the tables must say so, or kernels report them as missing. */
	if (IS_ENABLED(CONFIG_ACPI_PM))
		fadt_set_fixed_hardware(&fadt);
	else
		flags |= FADT_HW_REDUCED | FADT_NO_POWER_BUTTON;
	if (IS_ENABLED(CONFIG_RESET_CF9)) {
		flags |= FADT_RESET_REG;
		fadt.reset = acpi_io_register(ACPI_RESET_PORT, 1, ACPI_ACCESS_BYTE);
		fadt.reset_value = ACPI_RESET_VALUE;
	}
	fadt.flags = le32_make(flags);
	fadt.head.checksum = (u8)-bytes_sum(&fadt, sizeof(fadt));
	return acpi_put_listed(area, &fadt, sizeof(fadt), e);
}

static int acpi_put_madt(struct acpi_area *area, u32 nr_cpus, struct err *e)
{
	u32 len =
		(u32)(offsetof(struct acpi_madt, cpus) + nr_cpus * sizeof(struct madt_local_apic));
	struct acpi_madt madt = {
		.madt.head = acpi_header_make("APIC", 5, len),
		.madt.lapic_gpa = le32_make(LAYOUT_LAPIC_GPA),
		.madt.flags = le32_make(MADT_PCAT_COMPAT),
		.io_apic = { .type = MADT_IO_APIC,
			     .length = sizeof(madt.io_apic),
			     .apic_id = (u8)LAYOUT_IOAPIC_ID(nr_cpus),
			     .gpa = le32_make(LAYOUT_IOAPIC_GPA) },
		/* ISA interrupts are edges unless this says otherwise. */
		.sci = { .type = MADT_OVERRIDE,
			 .length = sizeof(madt.sci),
			 .irq = ACPI_SCI_GSI,
			 .gsi = le32_make(ACPI_SCI_GSI),
			 .flags = le16_make(MADT_ACTIVE_HIGH_LEVEL) },
		.nmi = { .type = MADT_LOCAL_NMI,
			 .length = sizeof(madt.nmi),
			 .uid = MADT_ALL_PROCESSORS,
			 .lint = MADT_LINT1 },
	};

	for (u32 i = 0; i < nr_cpus; i++)
		madt.cpus[i] = (struct madt_local_apic){ .type = MADT_LOCAL_APIC,
							 .length = sizeof(madt.cpus[i]),
							 .uid = (u8)i,
							 .apic_id = (u8)i,
							 .flags = le32_make(MADT_APIC_ENABLED) };
	madt.madt.head.checksum = (u8)-bytes_sum(&madt, len);
	return acpi_put_listed(area, &madt, len, e);
}

/* The PCI root: its configuration window, and the SSDT that names it and its address windows. */
static int acpi_put_pci(struct acpi_area *area, struct err *e)
{
	struct acpi_mcfg mcfg = { .head = acpi_header_make("MCFG", 1, sizeof(mcfg)),
				  .ecam_gpa = le64_make(LAYOUT_ECAM_GPA) };
	int status;

	mcfg.head.checksum = (u8)-bytes_sum(&mcfg, sizeof(mcfg));
	status = acpi_put_listed(area, &mcfg, sizeof(mcfg), e);
	return status < 0 ? status : acpi_put_listed(area, pci_aml.bytes, pci_aml.len, e);
}

/* What drivers describe in ASL; the order carries no meaning. */
static int acpi_put_ssdts(struct acpi_area *area, struct err *e)
{
	dev_class_for_each (p) {
		const struct dev_aml *ssdt = (*p)->ssdt;
		int status;

		if (!ssdt)
			continue;
		status = acpi_put_listed(area, ssdt->bytes, ssdt->len, e);
		if (status < 0)
			return status;
	}
	return 0;
}

/*
 * One virtio-mmio device in AML (ACPI 6.4, section 20.2): Linux knows it by LNRO0005. Written here and
 * not in ASL because a machine has as many as it was asked for.
 */
struct aml_virtio_mmio {
	u8 device_op[2];
	u8 device_bytes[2]; /* PkgLength of two bytes (section 20.2.4) */
	char device_name[4];
	u8 hid_op;
	char hid_name[4];
	u8 hid_string_op;
	char hid[9];
	u8 uid_op;
	char uid_name[4];
	u8 uid_byte_op, uid;
	u8 crs_op;
	char crs_name[4];
	u8 buffer_op, buffer_bytes, buffer_size_op, buffer_size;
	struct aml_resources {
		u8 memory_tag; /* 32-bit fixed memory (section 6.4.3.4) */
		le16 memory_bytes;
		u8 memory_is_writable;
		le32 memory_base, memory_size;
		u8 interrupt_tag; /* extended interrupt (section 6.4.3.6) */
		le16 interrupt_bytes;
		u8 interrupt_flags, nr_interrupts;
		le32 interrupt;
		u8 end_tag, end_sum;
	} __attribute__((packed)) resources;
} __attribute__((packed));

enum {
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_STRING = 0x0d,
	AML_BUFFER = 0x11,
	ACPI_INTERRUPT_CONSUMER = 1 << 0,
	ACPI_INTERRUPT_EDGE = 1 << 1,
	ACPI_INTERRUPT_SHARED = 1 << 3,
	VIRTIO_MMIO_DEVICES_MAX = 32,
};

static struct aml_virtio_mmio aml_virtio_mmio_make(u32 index)
{
	const struct arch_mmio_place place = arch_virtio_mmio_place(index);
	const u32 device_bytes = sizeof(struct aml_virtio_mmio) - 2; /* all behind the opcode */
	const u32 buffer_bytes = sizeof(struct aml_resources) + 3;

	return (struct aml_virtio_mmio){
		.device_op = { 0x5b, 0x82 },
		.device_bytes = { (u8)(0x40 | (device_bytes & 0xf)), (u8)(device_bytes >> 4) },
		.device_name = { 'V', 'I', (char)('A' + index / 16), (char)('A' + index % 16) },
		.hid_op = AML_NAME,
		.hid_name = { '_', 'H', 'I', 'D' },
		.hid_string_op = AML_STRING,
		.hid = "LNRO0005",
		.uid_op = AML_NAME,
		.uid_name = { '_', 'U', 'I', 'D' },
		.uid_byte_op = AML_BYTE,
		.uid = (u8)index,
		.crs_op = AML_NAME,
		.crs_name = { '_', 'C', 'R', 'S' },
		.buffer_op = AML_BUFFER,
		.buffer_bytes = (u8)buffer_bytes,
		.buffer_size_op = AML_BYTE,
		.buffer_size = sizeof(struct aml_resources),
		.resources = { .memory_tag = 0x86,
			       .memory_bytes = le16_make(9),
			       .memory_is_writable = 1,
			       .memory_base = le32_make((u32)place.gpa),
			       .memory_size = le32_make(LAYOUT_VIRTIO_MMIO_BYTES),
			       .interrupt_tag = 0x89,
			       .interrupt_bytes = le16_make(6),
			       .interrupt_flags = ACPI_INTERRUPT_CONSUMER | ACPI_INTERRUPT_EDGE |
						  ACPI_INTERRUPT_SHARED,
			       .nr_interrupts = 1,
			       .interrupt = le32_make(place.gsi),
			       .end_tag = 0x79 },
	};
}

/* An SSDT: Scope (\_SB) { Device (VIAA) {...} ... } */
static int acpi_put_virtio_mmio(struct acpi_area *area, u32 nr, struct err *e)
{
	struct {
		struct acpi_header head;
		u8 scope_op, scope_bytes[3]; /* PkgLength of three bytes */
		char scope_name[5];
		struct aml_virtio_mmio devices[VIRTIO_MMIO_DEVICES_MAX];
	} __attribute__((packed)) ssdt;
	const u32 devices_bytes = nr * (u32)sizeof(ssdt.devices[0]);
	const u32 scope_bytes = 8 + devices_bytes; /* all behind the opcode */
	const u32 len = (u32)sizeof(ssdt.head) + 1 + scope_bytes;

	if (nr > VIRTIO_MMIO_DEVICES_MAX)
		return err_set(e, -EINVAL, "%u virtio-mmio devices: the tables describe %d", nr,
			       VIRTIO_MMIO_DEVICES_MAX);
	ssdt.head = acpi_header_make("SSDT", 2, len);
	ssdt.scope_op = 0x10;
	ssdt.scope_bytes[0] = (u8)(0x80 | (scope_bytes & 0xf));
	ssdt.scope_bytes[1] = (u8)(scope_bytes >> 4);
	ssdt.scope_bytes[2] = (u8)(scope_bytes >> 12);
	memcpy(ssdt.scope_name, "\\_SB_", sizeof(ssdt.scope_name));
	for (u32 i = 0; i < nr; i++)
		ssdt.devices[i] = aml_virtio_mmio_make(i);
	ssdt.head.checksum = (u8)-bytes_sum(&ssdt, len);
	return acpi_put_listed(area, &ssdt, len, e);
}

static int acpi_put_xsdt(struct acpi_area *area, gpa_t *xsdt_gpa, struct err *e)
{
	u32 entry_bytes = area->nr_tables * (u32)sizeof(area->tables_gpa[0]);
	struct {
		struct acpi_header head;
		le64 tables_gpa[ACPI_TABLES_MAX];
	} xsdt = { .head = acpi_header_make("XSDT", 1, (u32)sizeof(xsdt.head) + entry_bytes) };

	memcpy(xsdt.tables_gpa, area->tables_gpa, entry_bytes);
	xsdt.head.checksum = (u8)-bytes_sum(&xsdt, sizeof(xsdt.head) + entry_bytes);
	return acpi_put(area, &xsdt, (u32)sizeof(xsdt.head) + entry_bytes, ACPI_TABLE_ALIGN,
			xsdt_gpa, e);
}

/* Last of all, in the place that was left for it: kernels find the rest from here. */
static int acpi_write_rsdp(const struct gmem *mem, gpa_t xsdt_gpa)
{
	struct acpi_rsdp rsdp = {
		.revision = 2,
		.length = le32_make(sizeof(rsdp)),
		.xsdt_gpa = le64_make(xsdt_gpa),
	};

	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, ACPI_OEM_ID, sizeof(rsdp.oem_id));
	rsdp.checksum = (u8)-bytes_sum(&rsdp, offsetof(struct acpi_rsdp, length));
	rsdp.extended_checksum = (u8)-bytes_sum(&rsdp, sizeof(rsdp));
	return gmem_write(mem, LAYOUT_TABLES_GPA, &rsdp, sizeof(rsdp));
}

int acpi_write(const struct arch_machine *machine, struct err *e)
{
	struct acpi_area area = { .mem = machine->mem,
				  .next_gpa = LAYOUT_TABLES_GPA + sizeof(struct acpi_rsdp) };
	const struct acpi_facs facs = { .signature = { 'F', 'A', 'C', 'S' },
					.length = le32_make(sizeof(facs)),
					.version = 2 };
	gpa_t facs_gpa = 0, dsdt_gpa = 0, xsdt_gpa = 0;
	int status;

	if (machine->nr_cpus < 1 || machine->nr_cpus > LAYOUT_CPUS_MAX)
		return err_set(e, -EINVAL, "%u CPUs: the ACPI tables describe 1 to %d",
			       machine->nr_cpus, LAYOUT_CPUS_MAX);
	status = acpi_put(&area, &facs, sizeof(facs), ACPI_FACS_ALIGN, &facs_gpa, e);
	if (status == 0)
		status = acpi_put(&area, dsdt_aml.bytes, dsdt_aml.len, ACPI_TABLE_ALIGN, &dsdt_gpa,
				  e);
	if (status == 0)
		status = acpi_put_fadt(&area, facs_gpa, dsdt_gpa, e);
	if (status == 0)
		status = acpi_put_madt(&area, machine->nr_cpus, e);
	if (status == 0 && IS_ENABLED(CONFIG_PCI_ROOT))
		status = acpi_put_pci(&area, e);
	if (status == 0)
		status = acpi_put_ssdts(&area, e);
	if (status == 0 && machine->nr_virtio_mmio > 0)
		status = acpi_put_virtio_mmio(&area, machine->nr_virtio_mmio, e);
	if (status == 0)
		status = acpi_put_xsdt(&area, &xsdt_gpa, e);
	if (status < 0)
		return status;
	if (acpi_write_rsdp(machine->mem, xsdt_gpa) < 0)
		return err_set(e, -EFAULT, "guest memory has no room for the ACPI tables");
	return 0;
}
