// SPDX-License-Identifier: BSD-3-Clause
// ACPI tables: found and summed as a kernel does it, and disassembled by iasl.
// test-sources: arch/x86_64/acpi.c arch/x86_64/layout.c aml:arch/x86_64/dsdt.asl aml:arch/x86_64/pci.asl src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/acpi_pm.h"
#include "layout.h"
#include "tables.h"
#include "util/bytes.h"
#include "util/fd.h"

enum { HEADER_BYTES = 36, FADT_BYTES = 276, TABLE_MAX = 0x10000 };

/* The one SSDT of the one device class in this program: a header and what a test puts behind it. */
static u8 ssdt_bytes[TABLE_MAX];
static struct dev_aml ssdt_aml = { ssdt_bytes, HEADER_BYTES };
static const struct dev_class fake_class = { .name = "fake", .ssdt = &ssdt_aml };
DEVICE_CLASS(fake_class);
static const struct dev_class bare_class = { .name = "bare" };
DEVICE_CLASS(bare_class);

struct fixture {
	struct gmem mem;
	struct arch_machine machine;
	struct err err;
	u8 table[TABLE_MAX]; /* the one that find_table or read_table found */
	u32 table_bytes;
};

static void set_ssdt_size(u32 len)
{
	memset(ssdt_bytes, 0xa3, sizeof(ssdt_bytes)); /* NoopOp */
	memset(ssdt_bytes, 0, HEADER_BYTES);
	memcpy(ssdt_bytes, "SSDT", 4);
	memcpy(ssdt_bytes + 10, "KILN\0\0KILNTEST\1\0\0\0INTL\1\0\0\0", 26);
	bytes_put_le(ssdt_bytes + 4, len, 4);
	ssdt_bytes[8] = 2;
	ssdt_bytes[9] = (u8)-bytes_sum(ssdt_bytes, len);
	ssdt_aml.len = len;
}

static int setup(void **state)
{
	static struct fixture f;
	struct gmem_range range = { 0, MIB(2) };

	memset(&f, 0, sizeof(f));
	set_ssdt_size(HEADER_BYTES + 4);
	assert_int_equal(gmem_create(&f.mem, GMEM_PRIVATE, &range, 1, &f.err), 0);
	f.machine = (struct arch_machine){ .mem = &f.mem, .nr_cpus = 2 };
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gmem_destroy(&f->mem);
	return 0;
}

static void write_tables(struct fixture *f, u32 nr_cpus)
{
	f->machine.nr_cpus = nr_cpus;
	if (acpi_write(&f->machine, &f->err) < 0)
		fail_msg("refused: %s", f->err.text);
}

static u64 guest_value(struct fixture *f, gpa_t gpa, size_t size)
{
	u64 value = 0;

	assert_int_equal(gmem_read(&f->mem, gpa, &value, size), 0);
	return value;
}

/* Read the table at `gpa` whole; its place and its sum are right. */
static void read_table(struct fixture *f, gpa_t gpa)
{
	f->table_bytes = (u32)guest_value(f, gpa + 4, 4);
	assert_in_range(gpa, LAYOUT_TABLES_GPA, LAYOUT_MPTABLE_GPA - HEADER_BYTES);
	assert_in_range(f->table_bytes, HEADER_BYTES, LAYOUT_MPTABLE_GPA - gpa);
	assert_int_equal(gmem_read(&f->mem, gpa, f->table, f->table_bytes), 0);
	if (memcmp(f->table, "FACS", 4) != 0)
		assert_int_equal(bytes_sum(f->table, f->table_bytes), 0);
}

static u64 table_value(const struct fixture *f, u32 offset, size_t size)
{
	assert_true(offset + size <= f->table_bytes);
	return bytes_get_le(f->table + offset, size);
}

static gpa_t xsdt_gpa(struct fixture *f)
{
	u8 rsdp[36];

	assert_int_equal(gmem_read(&f->mem, LAYOUT_TABLES_GPA, rsdp, sizeof(rsdp)), 0);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(bytes_sum(rsdp, 20), 0);
	assert_int_equal(bytes_sum(rsdp, 36), 0);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(bytes_get_le(rsdp + 20, 4), 36);
	return bytes_get_le(rsdp + 24, 8);
}

static u32 nr_listed(struct fixture *f)
{
	read_table(f, xsdt_gpa(f));
	assert_memory_equal(f->table, "XSDT", 4);
	return (f->table_bytes - HEADER_BYTES) / 8;
}

static gpa_t listed_gpa(struct fixture *f, u32 index)
{
	return guest_value(f, xsdt_gpa(f) + HEADER_BYTES + index * 8, 8);
}

static void find_table(struct fixture *f, const char *signature)
{
	u32 nr = nr_listed(f);

	for (u32 i = 0; i < nr; i++) {
		read_table(f, listed_gpa(f, i));
		if (memcmp(f->table, signature, 4) == 0)
			return;
	}
	fail_msg("no %s", signature);
}

static void the_xsdt_lists_fadt_madt_mcfg_and_each_ssdt(void **state)
{
	struct fixture *f = *state;

	write_tables(f, 2);
	assert_int_equal(nr_listed(f), 5);
	find_table(f, "FACP");
	find_table(f, "APIC");
	find_table(f, "SSDT");
	find_table(f, "MCFG");
	assert_int_equal(table_value(f, 44, 8), LAYOUT_ECAM_GPA);
	assert_int_equal(table_value(f, 54, 2), 0); /* bus 0 to bus 0 */
}

static void the_fadt_describes_the_fixed_hardware(void **state)
{
	struct fixture *f = *state;

	write_tables(f, 1);
	find_table(f, "FACP");
	assert_int_equal(f->table_bytes, FADT_BYTES);
	assert_int_equal(table_value(f, 46, 2), ACPI_SCI_GSI);
	assert_int_equal(table_value(f, 48, 4), 0); /* always in ACPI mode */
	assert_int_equal(table_value(f, 56, 4), ACPI_PM1_EVT_PORT);
	assert_int_equal(table_value(f, 64, 4), ACPI_PM1_CNT_PORT);
	assert_int_equal(table_value(f, 88, 1), ACPI_PM1_EVT_LEN);
	assert_int_equal(table_value(f, 89, 1), ACPI_PM1_CNT_LEN);
	/* The 64-bit fields say the same: space, bits, offset, access, address. */
	assert_int_equal(table_value(f, 148, 4), 1 | 32 << 8 | 2 << 24);
	assert_int_equal(table_value(f, 152, 8), ACPI_PM1_EVT_PORT);
	assert_int_equal(table_value(f, 172, 4), 1 | 16 << 8 | 2 << 24);
	assert_int_equal(table_value(f, 176, 8), ACPI_PM1_CNT_PORT);
	/* Not hardware-reduced, with a power button and without a sleep button. */
	assert_int_equal(table_value(f, 112, 4) & (1 << 20 | 1 << 4 | 1 << 5), 1 << 5);
}

static void the_fadt_has_the_reset_register(void **state)
{
	struct fixture *f = *state;

	write_tables(f, 1);
	find_table(f, "FACP");
	assert_int_equal(table_value(f, 112, 4) & 1 << 10, 1 << 10);
	assert_int_equal(table_value(f, 116, 4), 1 | 8 << 8 | 1 << 24);
	assert_int_equal(table_value(f, 120, 8), ACPI_RESET_PORT);
	assert_int_equal(table_value(f, 128, 1), ACPI_RESET_VALUE);
}

static void the_fadt_says_what_a_pc_has_and_this_machine_lacks(void **state)
{
	struct fixture *f = *state;

	write_tables(f, 1);
	find_table(f, "FACP");
	assert_int_equal(table_value(f, 109, 2),
			 1 << 0 | 1 << 2);              /* ISA devices; no i8042, no VGA */
	assert_int_equal(table_value(f, 108, 1), 0x32); /* century */
}

static void the_fadt_leads_to_facs_and_dsdt(void **state)
{
	struct fixture *f = *state;
	gpa_t facs, dsdt;

	write_tables(f, 1);
	find_table(f, "FACP");
	facs = table_value(f, 36, 4);
	dsdt = table_value(f, 40, 4);
	assert_int_equal(table_value(f, 132, 8), facs);
	assert_int_equal(table_value(f, 140, 8), dsdt);
	assert_int_equal(facs % 64, 0);
	read_table(f, facs);
	assert_memory_equal(f->table, "FACS", 4);
	assert_int_equal(f->table_bytes, 64);
	read_table(f, dsdt);
	assert_memory_equal(f->table, "DSDT", 4);
	assert_int_equal(f->table_bytes, dsdt_aml.len);
}

/* Name (_S5, Package () { SLP_TYPa, SLP_TYPb, ...}) in machine language (section 20.2). */
static void the_dsdt_switches_off_by_the_value_the_device_knows(void **state)
{
	static const u8 s5[] = {
		0x08,           '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, ACPI_S5_SLP_TYP, 0x0a,
		ACPI_S5_SLP_TYP
	};

	(void)state;
	assert_non_null(memmem(dsdt_aml.bytes, dsdt_aml.len, s5, sizeof(s5)));
}

/* Walk the MADT: every CPU once, one I/O APIC with an id of its own, the SCI, the NMI. */
static void check_madt(struct fixture *f, u32 nr_cpus)
{
	u32 nr_of_type[5] = { 0 }, at = 44;

	write_tables(f, nr_cpus);
	find_table(f, "APIC");
	assert_int_equal(table_value(f, 36, 4), LAYOUT_LAPIC_GPA);
	for (; at < f->table_bytes; at += (u32)table_value(f, at + 1, 1)) {
		u32 type = (u32)table_value(f, at, 1), seen;

		assert_true(type < ARRAY_SIZE(nr_of_type));
		assert_true(table_value(f, at + 1, 1) >= 6);
		seen = nr_of_type[type]++;
		if (type == 0) {
			assert_int_equal(table_value(f, at + 2, 1), seen);
			assert_int_equal(table_value(f, at + 3, 1), seen);
			assert_int_equal(table_value(f, at + 4, 4), 1);
		} else if (type == 1) {
			assert_int_equal(table_value(f, at + 2, 1), nr_cpus);
			assert_int_equal(table_value(f, at + 4, 4), LAYOUT_IOAPIC_GPA);
			assert_int_equal(table_value(f, at + 8, 4), 0);
		} else if (type == 2) {
			assert_int_equal(table_value(f, at + 3, 1), ACPI_SCI_GSI);
			assert_int_equal(table_value(f, at + 4, 4), ACPI_SCI_GSI);
			assert_int_equal(table_value(f, at + 8, 2), 0xd);
		} else {
			assert_int_equal(table_value(f, at + 2, 4), 0x010000ff);
		}
	}
	assert_int_equal(at, f->table_bytes);
	assert_int_equal(nr_of_type[0], nr_cpus);
	assert_int_equal(nr_of_type[1], 1);
	assert_int_equal(nr_of_type[2], 1);
	assert_int_equal(nr_of_type[4], 1);
}

static void the_madt_is_right_for_any_number_of_cpus(void **state)
{
	struct fixture *f = *state;

	check_madt(f, 1);
	check_madt(f, 4);
	check_madt(f, LAYOUT_CPUS_MAX);
}

static void no_cpu_and_too_many_cpus_are_refused(void **state)
{
	struct fixture *f = *state;

	f->machine.nr_cpus = 0;
	assert_int_equal(acpi_write(&f->machine, &f->err), -EINVAL);
	f->machine.nr_cpus = LAYOUT_CPUS_MAX + 1;
	assert_int_equal(acpi_write(&f->machine, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "255 CPUs: the ACPI tables describe 1 to 254"));
}

static void tables_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;

	set_ssdt_size(sizeof(ssdt_bytes));
	assert_int_equal(acpi_write(&f->machine, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.text, "the 64 KiB from 0xe0000 on"));
	/* Nothing was announced, and nothing lies beyond. */
	assert_int_equal(guest_value(f, LAYOUT_TABLES_GPA, 8), 0);
	assert_int_equal(guest_value(f, LAYOUT_MPTABLE_GPA, 8), 0);
}

static bool have_iasl(void)
{
	return system("iasl -v >/dev/null 2>&1") == 0;
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
	close(fd);
}

static void run(const char *fmt, const char *folder)
{
	char command[512];
	int status;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
	"-Wformat-nonliteral" /* the formats are those of the callers below */
	snprintf(command, sizeof(command), fmt, folder);
#pragma GCC diagnostic pop
	status = system(command);
	if (status != 0)
		fail_msg("failed: %s", command);
}

static void write_listed_files(struct fixture *f, const char *folder)
{
	u32 nr = nr_listed(f);
	gpa_t facs, dsdt;

	write_file(folder, "xsdt.dat", f->table, f->table_bytes);
	for (u32 i = 0; i < nr; i++) {
		char name[32];

		read_table(f, listed_gpa(f, i));
		snprintf(name, sizeof(name), "%.4s%u.dat", (const char *)f->table, i);
		write_file(folder, name, f->table, f->table_bytes);
	}
	find_table(f, "FACP");
	facs = table_value(f, 36, 4);
	dsdt = table_value(f, 40, 4);
	read_table(f, facs);
	write_file(folder, "facs.dat", f->table, f->table_bytes);
	read_table(f, dsdt);
	write_file(folder, "dsdt.dat", f->table, f->table_bytes);
}

static void iasl_finds_no_fault_in_the_tables(void **state)
{
	struct fixture *f = *state;
	char folder[] = "/tmp/kiln-acpi.XXXXXX";

	if (!have_iasl())
		skip();
	assert_non_null(mkdtemp(folder));
	write_tables(f, LAYOUT_CPUS_MAX);
	write_listed_files(f, folder);
	run("cd %s && for t in *.dat; do iasl -d \"$t\" >>log 2>&1 || exit 1; done", folder);
	/* It exits with 0 whatever it finds: what counts is what it says, here and in its output.
	 */
	run("cd %s && ! grep -iE 'error|warning|invalid|unknown|incorrect|mismatch' log *.dsl >&2",
	    folder);
	run("cd %s && test \"$(ls *.dsl | wc -l)\" = 8", folder);
	run("rm -r %s", folder);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_xsdt_lists_fadt_madt_mcfg_and_each_ssdt),
		T(the_fadt_describes_the_fixed_hardware),
		T(the_fadt_has_the_reset_register),
		T(the_fadt_says_what_a_pc_has_and_this_machine_lacks),
		T(the_fadt_leads_to_facs_and_dsdt),
		T(the_dsdt_switches_off_by_the_value_the_device_knows),
		T(the_madt_is_right_for_any_number_of_cpus),
		T(no_cpu_and_too_many_cpus_are_refused),
		T(tables_that_do_not_fit_are_refused),
		T(iasl_finds_no_fault_in_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
