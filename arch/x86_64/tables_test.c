// SPDX-License-Identifier: BSD-3-Clause
// The firmware as a whole: every table at once, and the reset vector.
// test-sources: arch/x86_64/tables.c arch/x86_64/acpi.c arch/x86_64/layout.c arch/x86_64/mptable.c aml:arch/x86_64/dsdt.asl aml:arch/x86_64/pci.asl src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dev/acpi_pm.h"
#include "layout.h"
#include "tables.h"
#include "util/bytes.h"

/* What a CPU does that starts at the vector: the few instructions that the code there may have. */
struct real_mode {
	u16 dx;
	u8 al;
	u32 nr_outs;
	struct {
		u16 port;
		u8 value;
	} outs[4];
};

static void run_until_halt(struct real_mode *cpu, const u8 *code, size_t len)
{
	for (size_t at = 0; at < len && code[at] != 0xf4; at++) {
		assert_true(cpu->nr_outs < ARRAY_SIZE(cpu->outs));
		switch (code[at]) {
		case 0xba:
			cpu->dx = (u16)bytes_get_le(code + at + 1, 2);
			at += 2;
			break;
		case 0xb0:
			cpu->al = code[++at];
			break;
		case 0xee:
			cpu->outs[cpu->nr_outs].port = cpu->dx;
			cpu->outs[cpu->nr_outs++].value = cpu->al;
			break;
		case 0xe6:
			cpu->outs[cpu->nr_outs].port = code[++at];
			cpu->outs[cpu->nr_outs++].value = cpu->al;
			break;
		default:
			fail_msg("unknown instruction 0x%02x", code[at]);
		}
	}
}

static void a_jump_to_the_bios_resets_the_machine(void **state)
{
	struct gmem_range range = { 0, MIB(2) };
	struct gmem mem;
	struct arch_machine machine = { .mem = &mem, .nr_cpus = 1 };
	struct real_mode cpu = { 0 };
	struct err e;
	u8 code[16];

	(void)state;
	assert_int_equal(gmem_create(&mem, GMEM_PRIVATE, &range, 1, &e), 0);
	assert_int_equal(arch_tables_write(&machine, &e), 0);
	assert_int_equal(gmem_read(&mem, 0xffff0, code, sizeof(code)), 0);
	run_until_halt(&cpu, code, sizeof(code));
	assert_int_equal(cpu.nr_outs, 2);
	assert_int_equal(cpu.outs[0].port, ACPI_RESET_PORT);
	assert_int_equal(cpu.outs[0].value, ACPI_RESET_VALUE);
	assert_int_equal(cpu.outs[1].port, 0x64);
	assert_int_equal(cpu.outs[1].value, 0xfe);
	gmem_destroy(&mem);
}

static void both_kinds_of_tables_are_there_at_once(void **state)
{
	struct gmem_range range = { 0, MIB(2) };
	struct gmem mem;
	struct arch_machine machine = { .mem = &mem, .nr_cpus = LAYOUT_CPUS_MAX };
	struct err e;
	char rsdp[8], mp[4];

	(void)state;
	assert_int_equal(gmem_create(&mem, GMEM_PRIVATE, &range, 1, &e), 0);
	assert_int_equal(arch_tables_write(&machine, &e), 0);
	assert_int_equal(gmem_read(&mem, LAYOUT_TABLES_GPA, rsdp, sizeof(rsdp)), 0);
	assert_int_equal(gmem_read(&mem, LAYOUT_MPTABLE_GPA, mp, sizeof(mp)), 0);
	assert_memory_equal(rsdp, "RSD PTR ", sizeof(rsdp));
	assert_memory_equal(mp, "_MP_", sizeof(mp));
	gmem_destroy(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jump_to_the_bios_resets_the_machine),
		cmocka_unit_test(both_kinds_of_tables_are_there_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
