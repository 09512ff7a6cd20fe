// SPDX-License-Identifier: BSD-3-Clause
// The MSI-X table: which vectors deliver, what the machine is told and when, accesses of any kind.
// test-sources: src/pci/msix.c src/pci/pci.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* cmocka.h needs those above. */
#include <cmocka.h>

#include "pci/msix.h"

enum { CAPABILITY = 0x40, CONTROL = CAPABILITY + 2, ENABLE = 0x8000, MASK = 0x4000, SOURCE = 24 };

struct bench {
	struct doorbell_host host;
	u32 sources, limit, nr_set;
	u32 last_source;
	struct msi_message last;
	int set_status;
	struct pci_bus bus;
	struct pci_function f;
	struct msix m;
};

static int host_msi_alloc(struct doorbell_host *host)
{
	struct bench *b = container_of(host, struct bench, host);

	return b->sources < b->limit ? SOURCE + (int)b->sources++ : -ENOSPC;
}

static int host_msi_set(struct doorbell_host *host, u32 source, const struct msi_message *msg)
{
	struct bench *b = container_of(host, struct bench, host);

	b->nr_set++;
	b->last_source = source;
	b->last = *msg;
	return b->set_status;
}

static struct bench *bench_create(u32 wanted, u32 limit)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct pci_ids ids = { .vendor = 1 };

	b->host = (struct doorbell_host){ .msi_alloc = host_msi_alloc, .msi_set = host_msi_set };
	b->limit = limit;
	pci_bus_init(&b->bus, 0, 0);
	pci_function_init(&b->f, &ids, NULL);
	msix_create(&b->m, &b->f, &b->host, wanted, 2, 0x1000, 0x1800);
	pci_bus_add(&b->bus, 0, &b->f);
	return b;
}

static int set_up(void **state)
{
	*state = bench_create(4, 100);
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void control(struct bench *b, u32 bits)
{
	pci_ecam_write(&b->bus, CONTROL, 2, bits);
}

static void program(struct bench *b, u32 vector, u64 addr, u32 data, u32 bits)
{
	msix_table_write(&b->m, 16 * vector, 8, addr);
	msix_table_write(&b->m, 16 * vector + 8, 4, data);
	msix_table_write(&b->m, 16 * vector + 12, 4, bits);
}

static void the_capability_says_how_many_and_where(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pci_ecam_read(&b->bus, CAPABILITY, 4), 0x00030011);
	assert_int_equal(pci_ecam_read(&b->bus, CAPABILITY + 4, 4), 0x1002);
	assert_int_equal(pci_ecam_read(&b->bus, CAPABILITY + 8, 4), 0x1802);
	pci_ecam_write(&b->bus, CAPABILITY, 4, ~0u);
	assert_int_equal(pci_ecam_read(&b->bus, CAPABILITY, 4), 0xc0030011);
}

static void vectors_are_masked_until_a_guest_unmasks_them(void **state)
{
	struct bench *b = *state;

	assert_int_equal(msix_table_read(&b->m, 12, 4), 1);
	control(b, ENABLE);
	assert_true(msix_sync(&b->m));
	assert_int_equal(msix_source(&b->m, 0), -1);
	program(b, 1, 0xfee01000, 0x31, 0);
	assert_false(msix_sync(&b->m));
	assert_int_equal(msix_source(&b->m, 1), SOURCE + 1);
	assert_int_equal(b->nr_set, 1);
	assert_int_equal(b->last_source, SOURCE + 1);
	assert_int_equal(b->last.addr, 0xfee01000);
	assert_int_equal(b->last.data, 0x31);
	control(b, ENABLE | MASK);
	assert_false(msix_sync(&b->m));
	assert_int_equal(msix_source(&b->m, 1), -1);
	control(b, 0);
	assert_true(msix_sync(&b->m));
	assert_int_equal(msix_source(&b->m, 1), -1);
}

static void the_machine_hears_of_changes_only(void **state)
{
	struct bench *b = *state;

	control(b, ENABLE);
	program(b, 0, 0xfee00000, 1, 0);
	msix_sync(&b->m);
	msix_sync(&b->m);
	program(b, 0, 0xfee00000, 1, 1);
	msix_sync(&b->m);
	program(b, 0, 0xfee00000, 1, 0);
	msix_sync(&b->m);
	assert_int_equal(b->nr_set, 1);
	program(b, 0, 0xfee00000, 2, 1);
	msix_sync(&b->m);
	assert_int_equal(b->nr_set, 1); /* nobody needs it while it is masked */
	program(b, 0, 0xfee00000, 2, 0);
	msix_sync(&b->m);
	assert_int_equal(b->nr_set, 2);
}

static void a_message_that_the_machine_refuses_delivers_nothing(void **state)
{
	struct bench *b = *state;

	control(b, ENABLE);
	b->set_status = -EINVAL;
	program(b, 0, 0x123400000000, 1, 0);
	msix_sync(&b->m);
	msix_sync(&b->m);
	assert_int_equal(b->nr_set, 1);
	assert_int_equal(msix_source(&b->m, 0), -1);
	b->set_status = 0;
	program(b, 0, 0xfee00000, 1, 0);
	msix_sync(&b->m);
	assert_int_equal(msix_source(&b->m, 0), SOURCE);
}

static void vectors_that_are_not_there_deliver_nothing(void **state)
{
	struct bench *b = *state;

	control(b, ENABLE);
	program(b, 4, 0xfee00000, 1, 0);
	msix_sync(&b->m);
	assert_int_equal(msix_source(&b->m, 4), -1);
	assert_int_equal(msix_source(&b->m, 0xffff), -1);
	assert_int_equal(msix_source(&b->m, UINT32_MAX), -1);
	assert_int_equal(msix_table_read(&b->m, 64, 4), 0);
}

static void the_table_takes_aligned_dwords_and_pairs_of_them(void **state)
{
	struct bench *b = *state;

	for (u32 offset = 0; offset < 32; offset++)
		for (u32 len = 1; len <= 8; len++) {
			if ((len == 4 || len == 8) && offset % len == 0)
				continue;
			msix_table_write(&b->m, offset, len, ~0ull);
		}
	assert_int_equal(msix_table_read(&b->m, 0, 8), 0);
	msix_table_write(&b->m, 60, 8, ~0ull); /* over the end */
	msix_table_write(&b->m, ~0ull, 8, ~0ull);
	assert_int_equal(msix_table_read(&b->m, 60, 4), 1);
	assert_int_equal(msix_table_read(&b->m, 60, 8), 0);
	program(b, 3, 0x1122334455667788, 0x99aabbcc, 1);
	assert_true(msix_table_read(&b->m, 48, 8) == 0x1122334455667788);
	assert_int_equal(msix_table_read(&b->m, 57, 2), 0xaabb);
}

static void a_machine_with_few_sources_gives_few_vectors(void **state)
{
	struct bench *few = bench_create(4, 2), *none = bench_create(4, 0);
	struct bench *many = bench_create(1000, 1000);

	(void)state;
	assert_int_equal(pci_ecam_read(&few->bus, CONTROL, 2), 1);
	assert_int_equal(pci_ecam_read(&none->bus, PCI_CAPABILITIES, 1), 0);
	assert_false(msix_sync(&none->m));
	assert_int_equal(msix_source(&none->m, 0), -1);
	assert_int_equal(msix_table_read(&none->m, 0, 4), 0);
	msix_reset(&none->m);
	assert_int_equal(pci_ecam_read(&many->bus, CONTROL, 2), MSIX_VECTORS_MAX - 1);
	free(few);
	free(none);
	free(many);
}

static void a_reset_masks_and_disables(void **state)
{
	struct bench *b = *state;

	control(b, ENABLE | MASK);
	program(b, 0, 0xfee00000, 1, 0);
	msix_sync(&b->m);
	msix_reset(&b->m);
	assert_true(msix_sync(&b->m));
	assert_int_equal(pci_ecam_read(&b->bus, CONTROL, 2), 3);
	assert_int_equal(msix_table_read(&b->m, 12, 4), 1);
	assert_int_equal(msix_table_read(&b->m, 0, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(the_capability_says_how_many_and_where),
		T(vectors_are_masked_until_a_guest_unmasks_them),
		T(the_machine_hears_of_changes_only),
		T(a_message_that_the_machine_refuses_delivers_nothing),
		T(vectors_that_are_not_there_deliver_nothing),
		T(the_table_takes_aligned_dwords_and_pairs_of_them),
		cmocka_unit_test(a_machine_with_few_sources_gives_few_vectors),
		T(a_reset_masks_and_disables),
	};

	return cmocka_run_group_tests_name("msix", tests, NULL, NULL);
}
