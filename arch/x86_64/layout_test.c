// SPDX-License-Identifier: BSD-3-Clause
// How RAM is laid out for sizes small and large.
// test-sources: arch/x86_64/layout.c src/mem/guest_mem.c src/util/err.c src/util/fd.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "boot.h"
#include "layout.h"

static void ram_up_to_3_gib_is_one_range(void **state)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	struct err e;

	(void)state;
	assert_int_equal(arch_mem_layout(GIB(3), ranges, &e), 1);
	assert_int_equal(ranges[0].base_gpa, 0);
	assert_int_equal(ranges[0].size_bytes, GIB(3));
}

static void ram_beyond_3_gib_goes_on_at_4_gib(void **state)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	struct err e;

	(void)state;
	assert_int_equal(arch_mem_layout(GIB(3) + KIB(4), ranges, &e), 2);
	assert_int_equal(ranges[0].size_bytes, GIB(3));
	assert_int_equal(ranges[1].base_gpa, GIB(4));
	assert_int_equal(ranges[1].size_bytes, KIB(4));
}

static void sizes_that_no_machine_can_have_are_refused(void **state)
{
	static const u64 sizes[] = {
		0, MIB(2) - KIB(4), MIB(2) + 1, GIB(8192) + KIB(4), 999999999ull << 20, UINT64_MAX
	};
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(arch_mem_layout(sizes[i], ranges, &e), -EINVAL);
		assert_int_equal(e.code, -EINVAL);
		assert_true(e.text[0] != '\0');
	}
}

static void the_memory_map_rises_and_holds_all_ram_above_1_mib(void **state)
{
	struct gmem mem = { .nr_regions = 2,
			    .regions = { { 0, GIB(3), 0, NULL }, { GIB(4), GIB(7), 0, NULL } } };
	struct boot_memory map[BOOT_MEMMAP_MAX];
	u32 nr = boot_memmap(&mem, map);
	u64 end = 0, ram_bytes = 0;

	(void)state;
	for (u32 i = 0; i < nr; i++) {
		assert_true(map[i].base_gpa >= end);
		end = map[i].base_gpa + map[i].size_bytes;
		if (map[i].type == BOOT_MEMORY_RAM && map[i].base_gpa >= MIB(1))
			ram_bytes += map[i].size_bytes;
	}
	assert_int_equal(ram_bytes, GIB(10) - MIB(1));
}

static void firmware_devices_learn_both_parts_of_ram(void **state)
{
	struct gmem mem = { .nr_regions = 2,
			    .regions = { { 0, GIB(3), 0, NULL }, { GIB(4), GIB(7), 0, NULL } } };
	struct dev_ram_layout layout = arch_ram_layout(&mem);

	(void)state;
	assert_int_equal(layout.below_4g_bytes, GIB(3));
	assert_int_equal(layout.above_4g_bytes, GIB(7));
}

static void the_command_line_starts_with_the_console(void **state)
{
	(void)state;
	assert_string_equal(arch_cmdline_base(NULL), "console=ttyS0 panic=-1");
	assert_string_equal(arch_cmdline_base("hvc0"), "console=hvc0 panic=-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_up_to_3_gib_is_one_range),
		cmocka_unit_test(ram_beyond_3_gib_goes_on_at_4_gib),
		cmocka_unit_test(sizes_that_no_machine_can_have_are_refused),
		cmocka_unit_test(the_memory_map_rises_and_holds_all_ram_above_1_mib),
		cmocka_unit_test(firmware_devices_learn_both_parts_of_ram),
		cmocka_unit_test(the_command_line_starts_with_the_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
