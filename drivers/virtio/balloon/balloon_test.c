// SPDX-License-Identifier: BSD-3-Clause
// A balloon's rings: pages that are given back, pages that must not be, reports and their lengths.
// test-sources: drivers/virtio/balloon/balloon.c fake_guest
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/virtio/balloon/balloon.h"
#include "tests/lib/fake_guest.h"
#include "util/bytes.h"

enum {
	INFLATE,
	DEFLATE,
	STATS,
	REPORTING,
	PAGE = 4096,
	PFNS_MAX = 4096, /* of one request */
	F_STATS = 1,
	F_REPORTING = 5,
};

/* Where tests have pages to give: behind the fake guest's own buffers. */
#define PAGES_GPA (FG_SEAM_GPA - MIB(4))
#define PFN(gpa) ((u32)((gpa) / PAGE))

/* Every piece of memory that was given back. */
static struct {
	u32 nr;
	struct {
		u8 *at;
		size_t len;
	} piece[16];
} released;

/* Takes the place of the C library's. */
int madvise(void *at, size_t len, int advice)
{
	if (advice == MADV_REMOVE && released.nr < ARRAY_SIZE(released.piece)) {
		released.piece[released.nr].at = at;
		released.piece[released.nr++].len = len;
	}
	return (int)syscall(SYS_madvise, at, len, advice);
}

struct balloon_cfg {
	u64 size_bytes;
};

/* The same regions, but in a file, as devices in processes of their own have it. */
static void share_memory(struct fake_guest *g)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	struct gmem old = g->mem;
	struct err e;

	for (u32 i = 0; i < old.nr_regions; i++)
		ranges[i] =
			(struct gmem_range){ old.regions[i].base_gpa, old.regions[i].size_bytes };
	assert_int_equal(gmem_create(&g->mem, GMEM_SHARED, ranges, old.nr_regions, &e), 0);
	g->v->mem = g->mem;
	gmem_destroy(&old);
}

static int setup(void **state)
{
	const struct balloon_cfg cfg = { .size_bytes = MIB(3) };
	struct fake_guest *g = calloc(1, sizeof(*g));

	fg_create(g, "virtio-balloon", &cfg, NULL);
	share_memory(g);
	fg_start(g);
	memset(&released, 0, sizeof(released));
	*state = g;
	return 0;
}

static int setup_private(void **state)
{
	const struct balloon_cfg cfg = { 0 };
	struct fake_guest *g = calloc(1, sizeof(*g));

	fg_create(g, "virtio-balloon", &cfg, NULL);
	fg_start(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	fg_destroy(*state);
	free(*state);
	return 0;
}

static void fill(struct fake_guest *g, gpa_t gpa, u64 len)
{
	memset(fg_ptr(g, gpa, len), 0x5a, len);
}

static void assert_all(struct fake_guest *g, gpa_t gpa, u64 len, u8 value)
{
	const u8 *bytes = fg_ptr(g, gpa, len);

	for (u64 i = 0; i < len; i++)
		assert_int_equal(bytes[i], value);
}

static void inflate(struct fake_guest *g, const u32 *pfns, u32 nr)
{
	assert_int_equal(fg_do(g, INFLATE, OUT(pfns, nr * sizeof(*pfns))).written, 0);
}

static void assert_released(struct fake_guest *g, u32 i, gpa_t gpa, u64 len)
{
	assert_true(i < released.nr);
	assert_ptr_equal(released.piece[i].at, fg_ptr(g, gpa, len));
	assert_int_equal(released.piece[i].len, len);
}

/* --- Configuration ---------------------------------------------------------------------------- */

struct config {
	u32 num_pages, actual, hint, poison;
};

static struct config config_of(struct fake_guest *g)
{
	u8 bytes[VDEV_CONFIG_BYTES_MAX];
	struct config config;

	fg_config(g, bytes);
	memcpy(&config, bytes, sizeof(config));
	return config;
}

static void the_first_target_stands_in_configuration_space(void **state)
{
	assert_int_equal(config_of(*state).num_pages, MIB(3) / PAGE);
	assert_int_equal(config_of(*state).actual, 0);
}

static void a_new_target_is_told_to_the_driver(void **state)
{
	struct fake_guest *g = *state;

	balloon_set_target(g->v, MIB(8) + PAGE - 1);
	assert_int_equal(config_of(g).num_pages, MIB(8) / PAGE);
	assert_int_equal(g->nr_config_changes, 1);
	balloon_set_target(g->v, MIB(8));
	assert_int_equal(g->nr_config_changes, 1);
	balloon_set_target(g->v, UINT64_MAX);
	assert_int_equal(config_of(g).num_pages, UINT32_MAX);
}

static void the_driver_says_how_much_it_gave_and_changes_nothing_else(void **state)
{
	struct fake_guest *g = *state;
	u8 all[16];

	fg_config_write(g, 4, "\x34\x12\0\0", 4);
	assert_int_equal(balloon_actual_bytes(g->v), 0x1234 * PAGE);
	fg_config_write(g, 6, "\x01", 1);
	assert_int_equal(config_of(g).actual, 0x11234);
	memset(all, 0xff, sizeof(all));
	fg_config_write(g, 0, all, sizeof(all));
	assert_int_equal(config_of(g).num_pages, MIB(3) / PAGE);
	assert_int_equal(config_of(g).hint, 0);
	assert_int_equal(balloon_actual_bytes(g->v), (u64)UINT32_MAX * PAGE);
}

/* --- Inflation -------------------------------------------------------------------------------- */

static void inflated_pages_leave_the_file_and_read_as_zeros(void **state)
{
	struct fake_guest *g = *state;
	struct stat before, after;
	u32 pfns[64];

	for (u32 i = 0; i < 64; i++)
		pfns[i] = PFN(PAGES_GPA) + 1 + i;
	fill(g, PAGES_GPA, 66 * PAGE);
	fstat(g->mem.memfd, &before);
	inflate(g, pfns, 64);
	fstat(g->mem.memfd, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_all(g, PAGES_GPA, PAGE, 0x5a);
	assert_all(g, PAGES_GPA + PAGE, 64 * PAGE, 0);
	assert_all(g, PAGES_GPA + 65 * PAGE, PAGE, 0x5a);
}

static void private_memory_is_given_back_too(void **state)
{
	struct fake_guest *g = *state;
	const u32 pfns[] = { PFN(PAGES_GPA + PAGE) };

	fill(g, PAGES_GPA, 3 * PAGE);
	inflate(g, pfns, 1);
	assert_all(g, PAGES_GPA, PAGE, 0x5a);
	assert_all(g, PAGES_GPA + PAGE, PAGE, 0);
	assert_all(g, PAGES_GPA + 2 * PAGE, PAGE, 0x5a);
	assert_int_equal(g->nr_lines, 0);
}

static void pages_in_a_row_are_given_back_at_once(void **state)
{
	struct fake_guest *g = *state;
	u32 up[600], down[600];

	for (u32 i = 0; i < 600; i++) {
		up[i] = PFN(PAGES_GPA) + i;
		down[i] = PFN(PAGES_GPA) + 599 - i;
	}
	inflate(g, up, 600);
	inflate(g, down, 600);
	assert_int_equal(released.nr, 2);
	assert_released(g, 0, PAGES_GPA, 600 * PAGE);
	assert_released(g, 1, PAGES_GPA, 600 * PAGE);
}

static void a_gap_between_pages_stays(void **state)
{
	struct fake_guest *g = *state;
	const u32 first = PFN(PAGES_GPA), pfns[] = { first + 5, first, first + 1, first + 4 };

	fill(g, PAGES_GPA, 6 * PAGE);
	inflate(g, pfns, 4);
	assert_all(g, PAGES_GPA, 2 * PAGE, 0);
	assert_all(g, PAGES_GPA + 2 * PAGE, 2 * PAGE, 0x5a);
	assert_all(g, PAGES_GPA + 4 * PAGE, 2 * PAGE, 0);
	assert_int_equal(released.nr, 3);
}

static void a_run_ends_where_its_region_ends(void **state)
{
	struct fake_guest *g = *state;
	const u32 seam = PFN(FG_SEAM_GPA), pfns[] = { seam - 1, seam, seam + 1 };
	const u32 last = PFN(FG_HOLE_GPA) - 1, over[] = { last, last + 1 };

	inflate(g, pfns, 3);
	assert_released(g, 0, FG_SEAM_GPA - PAGE, PAGE);
	assert_released(g, 1, FG_SEAM_GPA, 2 * PAGE);
	assert_int_equal(g->nr_lines, 0);
	inflate(g, over, 2);
	assert_released(g, 2, FG_HOLE_GPA - PAGE, PAGE);
	assert_int_equal(released.nr, 3);
	assert_string_equal(g->log, "virtio-balloon.0: 1 pages given to the balloon are no RAM");
}

static void pages_that_are_no_ram_are_passed_over(void **state)
{
	struct fake_guest *g = *state;
	const u32 pfns[] = {
		0,
		PFN(FG_LOW_GPA) - 1,
		PFN(FG_HOLE_GPA),
		PFN(FG_TOP_GPA),
		PFN(PAGES_GPA) + (1u << 20), /* PAGES_GPA in 32 bits */
		UINT32_MAX,
		PFN(PAGES_GPA),
	};

	inflate(g, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(released.nr, 1);
	assert_released(g, 0, PAGES_GPA, PAGE);
	assert_string_equal(g->log, "virtio-balloon.0: 6 pages given to the balloon are no RAM");
	assert_int_equal(g->nr_broken, 0);
}

static void pages_above_4_gib_are_found(void **state)
{
	const u32 pfns[] = { PFN(FG_HIGH_GPA), PFN(FG_TOP_GPA) - 1 };

	inflate(*state, pfns, 2);
	assert_released(*state, 0, FG_HIGH_GPA, PAGE);
	assert_released(*state, 1, FG_TOP_GPA - PAGE, PAGE);
}

static void an_array_may_be_cut_into_buffers_anywhere(void **state)
{
	struct fake_guest *g = *state;
	const u32 pfns[] = { PFN(PAGES_GPA), PFN(PAGES_GPA) + 7 };
	const u8 *bytes = (const u8 *)pfns;

	fg_do(g, INFLATE, OUT(bytes, 1), OUT(bytes + 1, 5), OUT(bytes + 6, 2));
	assert_released(g, 0, PAGES_GPA, PAGE);
	assert_released(g, 1, PAGES_GPA + 7 * PAGE, PAGE);
}

static void half_a_page_number_is_ignored(void **state)
{
	struct fake_guest *g = *state;
	const u32 pfns[] = { PFN(PAGES_GPA), UINT32_MAX };

	fg_do(g, INFLATE, OUT(pfns, 7));
	fg_do(g, INFLATE, OUT(pfns, 3));
	fg_do(g, INFLATE, IN(64));
	assert_int_equal(released.nr, 1);
	assert_int_equal(g->nr_lines, 2);
}

static void one_request_gives_so_many_pages_and_no_more(void **state)
{
	struct fake_guest *g = *state;
	u32 *pfns = malloc((PFNS_MAX + 1) * sizeof(*pfns));

	for (u32 i = 0; i <= PFNS_MAX; i++)
		pfns[i] = i < PFNS_MAX ? PFN(PAGES_GPA) : PFN(PAGES_GPA) + 1;
	fill(g, PAGES_GPA, 2 * PAGE);
	inflate(g, pfns, PFNS_MAX + 1);
	assert_all(g, PAGES_GPA, PAGE, 0);
	assert_all(g, PAGES_GPA + PAGE, PAGE, 0x5a);
	free(pfns);
}

static void a_guest_that_gives_its_rings_away_harms_only_itself(void **state)
{
	struct fake_guest *g = *state;
	u32 pfns[FG_RING_BYTES / PAGE];

	for (u32 i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = PFN(FG_LOW_GPA) + i;
	fg_chain(g, INFLATE, OUT(pfns, sizeof(pfns)));
	fg_kick(g, INFLATE);
	fg_settle(g);
	assert_released(g, 0, FG_LOW_GPA, FG_RING_BYTES);
	fg_stop(g);
	g->nr_broken = 0;
	fg_start(g);
	inflate(g, pfns, 0);
}

static void deflated_pages_are_merely_taken_note_of(void **state)
{
	struct fake_guest *g = *state;
	const u32 pfns[] = { PFN(PAGES_GPA), UINT32_MAX };

	fill(g, PAGES_GPA, PAGE);
	assert_int_equal(fg_do(g, DEFLATE, OUT(pfns, sizeof(pfns))).written, 0);
	assert_all(g, PAGES_GPA, PAGE, 0x5a);
	assert_int_equal(released.nr, 0);
}

/* --- Statistics ------------------------------------------------------------------------------- */

/* 10 bytes for each entry. */
static const char two_stats[] = "\x05\0\x00\x00\x00\x10\0\0\0\0"
				"\x04\0\x88\x77\x66\x55\x44\x33\x22\x11";

static void offer_stats(struct fake_guest *g, const void *bytes, u32 len)
{
	fg_chain(g, STATS, OUT(bytes, len));
	fg_kick(g, STATS);
	fg_settle(g);
}

static void the_driver_s_buffer_stays_until_statistics_are_asked_for(void **state)
{
	struct fake_guest *g = *state;
	struct fg_used used;

	offer_stats(g, two_stats, 20);
	assert_false(fg_take(g, STATS, &used));
	balloon_ask_stats(g->v);
	assert_true(fg_take(g, STATS, &used));
	balloon_ask_stats(g->v); /* in vain: the driver is at it */
	assert_false(fg_take(g, STATS, &used));
	offer_stats(g, two_stats, 20);
	assert_int_equal(balloon_stats(g->v)->nr_reports, 2);
	assert_int_equal(fg_calls(g, STATS), 1);
}

static void statistics_are_known_by_tag_in_any_order(void **state)
{
	struct fake_guest *g = *state;
	const struct balloon_stats *stats = balloon_stats(g->v);

	offer_stats(g, two_stats, 20);
	assert_int_equal(stats->known, 1 << BALLOON_STAT_TOTAL | 1 << BALLOON_STAT_FREE);
	assert_true(stats->values[BALLOON_STAT_TOTAL] == 0x10000000);
	assert_true(stats->values[BALLOON_STAT_FREE] == 0x1122334455667788);
	balloon_ask_stats(g->v);
	offer_stats(g, two_stats, 10);
	assert_int_equal(stats->known, 1 << BALLOON_STAT_TOTAL);
}

static void unknown_tags_are_ignored(void **state)
{
	struct fake_guest *g = *state;

	offer_stats(g,
		    "\x0a\0AAAAAAAA\xff\xff"
		    "AAAAAAAA\x00\x00\x07\0\0\0\0\0\0\0",
		    30);
	assert_int_equal(balloon_stats(g->v)->known, 1 << BALLOON_STAT_SWAP_IN);
	assert_int_equal(balloon_stats(g->v)->values[BALLOON_STAT_SWAP_IN], 7);
}

static void reports_of_any_length_do_no_harm(void **state)
{
	struct fake_guest *g = *state;

	for (u32 len = 0; len <= 20; len++) {
		u32 known = (len >= 10 ? 1 << BALLOON_STAT_TOTAL : 0) |
			    (len >= 20 ? 1 << BALLOON_STAT_FREE : 0);

		offer_stats(g, two_stats, len);
		assert_int_equal(balloon_stats(g->v)->known, known);
		balloon_ask_stats(g->v);
		fg_wait(g, STATS);
	}
	offer_stats(g, NULL, 65537);
	assert_int_equal(balloon_stats(g->v)->known, 1 << BALLOON_STAT_SWAP_IN);
}

static void a_second_buffer_gives_the_first_one_back(void **state)
{
	struct fake_guest *g = *state;
	u16 first = fg_chain(g, STATS, OUT(two_stats, 10));

	offer_stats(g, two_stats, 20);
	assert_int_equal(fg_wait(g, STATS).head, first);
	assert_int_equal(balloon_stats(g->v)->nr_reports, 2);
	balloon_ask_stats(g->v);
	fg_wait(g, STATS);
}

static void a_stopped_ring_has_the_buffer_back(void **state)
{
	struct fake_guest *g = *state;
	struct err e;

	offer_stats(g, two_stats, 20);
	balloon_ask_stats(g->v);
	fg_wait(g, STATS);
	offer_stats(g, two_stats, 20);
	assert_int_equal(vdev_queue_stop(g->v, STATS), 1);
	balloon_ask_stats(g->v); /* nothing is held */
	assert_int_equal(vdev_queue_start(g->v, STATS, &g->queues[STATS].config, 1, &e), 0);
	fg_force_kick(g, STATS);
	fg_settle(g);
	assert_int_equal(balloon_stats(g->v)->nr_reports, 3);
	balloon_ask_stats(g->v);
	fg_wait(g, STATS);
}

static void a_reset_forgets_the_buffer_whatever_the_features_are_by_then(void **state)
{
	struct fake_guest *g = *state;

	offer_stats(g, two_stats, 20);
	g->v->features = 0;
	fg_stop(g);
	fg_start(g);
	balloon_ask_stats(g->v);
	assert_int_equal(fg_used_idx(g, STATS), 0);
}

/* --- Free page reporting ---------------------------------------------------------------------- */

/* Offer [gpa, gpa + len) itself, as Linux does. */
static void report(struct fake_guest *g, u32 qi, gpa_t gpa, u32 len)
{
	u16 before = fg_used_idx(g, qi);

	fg_desc(g, qi, 0, gpa, len, VIRTQ_DESC_F_WRITE, 0);
	fg_offer(g, qi, 0);
	fg_force_kick(g, qi);
	FG_WAIT(g, fg_used_idx(g, qi) == before + 1);
}

static void restart_with(struct fake_guest *g, u64 features)
{
	fg_stop(g);
	g->features = features;
	fg_start(g);
}

static void reported_pages_are_given_back(void **state)
{
	struct fake_guest *g = *state;

	fill(g, PAGES_GPA, MIB(2) + PAGE);
	report(g, REPORTING, PAGES_GPA, MIB(2));
	assert_all(g, PAGES_GPA, MIB(2), 0);
	assert_all(g, PAGES_GPA + MIB(2), PAGE, 0x5a);
	assert_int_equal(released.nr, 1);
}

static void a_report_of_parts_of_pages_leaves_those_alone(void **state)
{
	struct fake_guest *g = *state;

	fill(g, PAGES_GPA, 4 * PAGE);
	report(g, REPORTING, PAGES_GPA + 1, 3 * PAGE - 2);
	assert_all(g, PAGES_GPA, PAGE, 0x5a);
	assert_all(g, PAGES_GPA + PAGE, PAGE, 0);
	assert_all(g, PAGES_GPA + 2 * PAGE, 2 * PAGE, 0x5a);
	report(g, REPORTING, PAGES_GPA + 2 * PAGE, PAGE - 1);
	report(g, REPORTING, PAGES_GPA + 2 * PAGE + 1, PAGE);
	report(g, REPORTING, PAGES_GPA + 2 * PAGE + 8, 8);
	assert_all(g, PAGES_GPA + 2 * PAGE, 2 * PAGE, 0x5a);
	assert_int_equal(released.nr, 1);
}

static void reported_pages_with_a_poison_keep_it(void **state)
{
	struct fake_guest *g = *state;

	fill(g, PAGES_GPA, PAGE);
	fg_config_write(g, 12, "\0\0\0\xaa", 4);
	report(g, REPORTING, PAGES_GPA, PAGE);
	assert_all(g, PAGES_GPA, PAGE, 0x5a);
	fg_config_write(g, 12, "\0\0\0\0", 4);
	report(g, REPORTING, PAGES_GPA, PAGE);
	assert_all(g, PAGES_GPA, PAGE, 0);
}

static void the_ring_of_reports_is_found_however_it_is_numbered(void **state)
{
	struct fake_guest *g = *state;
	const u64 all = g->features;

	report(g, 4, PAGES_GPA, PAGE); /* the specification's number */
	restart_with(g, all & ~(1ull << F_STATS));
	report(g, 2, PAGES_GPA, PAGE); /* Linux's, without statistics */
	assert_int_equal(released.nr, 2);
}

static void reports_that_were_not_negotiated_break_the_device(void **state)
{
	struct fake_guest *g = *state;

	restart_with(g, g->features & ~(1ull << F_REPORTING));
	fg_force_kick(g, REPORTING);
	FG_WAIT(g, g->nr_broken == 1);
	assert_string_equal(g->log, "virtio-balloon.0: ring 3 belongs to a feature not negotiated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_first_target_stands_in_configuration_space),
		T(a_new_target_is_told_to_the_driver),
		T(the_driver_says_how_much_it_gave_and_changes_nothing_else),
		T(inflated_pages_leave_the_file_and_read_as_zeros),
		cmocka_unit_test_setup_teardown(private_memory_is_given_back_too, setup_private,
						teardown),
		T(pages_in_a_row_are_given_back_at_once),
		T(a_gap_between_pages_stays),
		T(a_run_ends_where_its_region_ends),
		T(pages_that_are_no_ram_are_passed_over),
		T(pages_above_4_gib_are_found),
		T(an_array_may_be_cut_into_buffers_anywhere),
		T(half_a_page_number_is_ignored),
		T(one_request_gives_so_many_pages_and_no_more),
		T(a_guest_that_gives_its_rings_away_harms_only_itself),
		T(deflated_pages_are_merely_taken_note_of),
		T(the_driver_s_buffer_stays_until_statistics_are_asked_for),
		T(statistics_are_known_by_tag_in_any_order),
		T(unknown_tags_are_ignored),
		T(reports_of_any_length_do_no_harm),
		T(a_second_buffer_gives_the_first_one_back),
		T(a_stopped_ring_has_the_buffer_back),
		T(a_reset_forgets_the_buffer_whatever_the_features_are_by_then),
		T(reported_pages_are_given_back),
		T(a_report_of_parts_of_pages_leaves_those_alone),
		T(reported_pages_with_a_poison_keep_it),
		T(the_ring_of_reports_is_found_however_it_is_numbered),
		T(reports_that_were_not_negotiated_break_the_device),
	};

	return cmocka_run_group_tests_name("virtio-balloon", tests, NULL, NULL);
}
