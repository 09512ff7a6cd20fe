// SPDX-License-Identifier: BSD-3-Clause
// What the kernel's back end is told, in which order, and what becomes of its refusals.
// test-sources: drivers/virtio/vsock/vsock.c drivers/virtio/vsock/conn.c drivers/virtio/vsock/open.c drivers/virtio/vsock/vhost.c src/virtio/vhost_kernel.c src/util/unix_socket.c src/util/opt.c fake_guest
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drivers/virtio/vsock/vsock.h"
#include "tests/lib/fake_guest.h"
#include "util/fd.h"

#include <errno.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { CID = 7, LOG_BYTES = 1024, STOPPED_AT = 41 };

/* Stands for the kernel. */
static struct kernel {
	int fd;
	u64 features, acked;
	unsigned long refused; /* this request, with EFAULT */
	char log[LOG_BYTES];   /* "owner features? ..." in the order of the requests */
	u32 nr_regions;
	struct vhost_memory_region regions[GMEM_REGIONS_MAX];
	u32 size[2], base[2];
	struct vhost_vring_addr addr[2];
	int kick_fd[2], call_fd[2], err_fd[2];
	bool running;
} kernel;

static void kernel_log(const char *word)
{
	size_t used = strlen(kernel.log);

	snprintf(kernel.log + used, sizeof(kernel.log) - used, "%s%s", used ? " " : "", word);
}

static void kernel_take_table(const struct vhost_memory *memory)
{
	kernel_log("memory");
	assert_true(memory->nregions <= GMEM_REGIONS_MAX);
	kernel.nr_regions = memory->nregions;
	memcpy(kernel.regions, memory->regions, memory->nregions * sizeof(memory->regions[0]));
}

static void kernel_take_ring(unsigned long request, void *argument)
{
	const struct vhost_vring_file *file = argument;
	struct vhost_vring_state *state = argument;
	char word[16];
	u32 i = state->index;

	assert_true(i < 2);
	switch (request) {
	case VHOST_SET_VRING_NUM:
		kernel.size[i] = state->num;
		break;
	case VHOST_SET_VRING_BASE:
		kernel.base[i] = state->num;
		break;
	case VHOST_GET_VRING_BASE:
		assert_false(kernel.running);
		state->num = STOPPED_AT + i;
		break;
	case VHOST_SET_VRING_ADDR:
		kernel.addr[i] = *(struct vhost_vring_addr *)argument;
		break;
	case VHOST_SET_VRING_KICK:
		kernel.kick_fd[i] = file->fd;
		snprintf(word, sizeof(word), "%cring%u", file->fd < 0 ? '-' : '+', i);
		kernel_log(word);
		break;
	case VHOST_SET_VRING_CALL:
		kernel.call_fd[i] = file->fd;
		break;
	case VHOST_SET_VRING_ERR:
		kernel.err_fd[i] = file->fd;
		break;
	default:
		fail_msg("an ioctl that nobody expects: %#lx", request);
	}
}

/* Takes the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	assert_int_equal(fd, kernel.fd);
	if (request == kernel.refused) {
		errno = EFAULT;
		return -1;
	}
	switch (request) {
	case VHOST_SET_OWNER:
		kernel_log("owner");
		return 0;
	case VHOST_GET_FEATURES:
		*(u64 *)argument = kernel.features;
		return 0;
	case VHOST_SET_FEATURES:
		kernel.acked = *(u64 *)argument;
		kernel_log("features");
		return 0;
	case VHOST_SET_MEM_TABLE:
		kernel_take_table(argument);
		return 0;
	case VHOST_VSOCK_SET_RUNNING:
		kernel.running = *(int *)argument;
		kernel_log(kernel.running ? "run" : "stop");
		return 0;
	}
	kernel_take_ring(request, argument);
	return 0;
}

static bool try_create(struct fake_guest *g, struct err *e)
{
	struct vsock_cfg cfg = { .cid = CID, .backend = VSOCK_VHOST, .listen_index = -1 };
	struct fdset fds = { 0 };
	int fd = memfd_create("vhost-vsock", MFD_CLOEXEC);

	kernel.fd = fd;
	cfg.vhost_index = fdset_put(&fds, &fd);
	return fg_try(g, "virtio-vsock", &cfg, &fds, e);
}

static int setup(void **state)
{
	struct fake_guest *g = calloc(1, sizeof(*g));
	struct err e = { 0 };

	kernel = (struct kernel){ .features = 1ull << 32 | 1 << 29 | 1 << 28 | 1 << 26 | 3 };
	if (!try_create(g, &e))
		fail_msg("%s", e.text);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	fg_destroy(*state);
	free(*state);
	return 0;
}

static void the_driver_is_offered_what_both_can(void **state)
{
	struct fake_guest *g = *state;

	assert_int_equal(g->v->features_offered, 1ull << 32 | 1 << 29 | 1 << 28 | 1 << 1);
	assert_string_equal(kernel.log, "owner");
}

static void the_kernel_runs_once_it_has_both_rings(void **state)
{
	struct fake_guest *g = *state;

	fg_start(g);
	assert_string_equal(kernel.log, "owner features memory +ring0 +ring1 run");
	assert_int_equal(kernel.acked, g->features);
	for (u32 i = 0; i < 2; i++) {
		struct virtq *q = &g->v->queues[i];

		assert_int_equal(kernel.size[i], VSOCK_RING_MAX);
		assert_int_equal(kernel.base[i], 0);
		assert_true(kernel.addr[i].desc_user_addr == (uintptr_t)q->desc);
		assert_true(kernel.addr[i].avail_user_addr == (uintptr_t)q->avail);
		assert_true(kernel.addr[i].used_user_addr == (uintptr_t)q->used);
		assert_int_equal(kernel.kick_fd[i], q->kick_fd);
		assert_int_equal(kernel.call_fd[i], q->call_fd);
	}
}

static void the_memory_table_is_the_guest_s(void **state)
{
	struct fake_guest *g = *state;

	fg_start(g);
	assert_int_equal(kernel.nr_regions, g->mem.nr_regions);
	for (u32 i = 0; i < kernel.nr_regions; i++) {
		assert_int_equal(kernel.regions[i].guest_phys_addr, g->mem.regions[i].base_gpa);
		assert_int_equal(kernel.regions[i].memory_size, g->mem.regions[i].size_bytes);
		assert_true(kernel.regions[i].userspace_addr == (uintptr_t)g->mem.regions[i].host);
		assert_int_equal(kernel.regions[i].flags_padding, 0);
	}
}

static void kicks_are_left_for_the_kernel(void **state)
{
	struct fake_guest *g = *state;
	u64 count;

	fg_start(g);
	fg_force_kick(g, VSOCK_TX);
	vdev_kick(g->v, VSOCK_TX);
	assert_int_equal(fd_read(g->v->queues[VSOCK_TX].kick_fd, &count, sizeof(count)), 8);
}

static void a_stopped_ring_goes_on_where_the_kernel_left_it(void **state)
{
	struct fake_guest *g = *state;
	struct err e;

	fg_start(g);
	assert_int_equal(vdev_queue_stop(g->v, VSOCK_TX), STOPPED_AT + 1);
	assert_string_equal(kernel.log, "owner features memory +ring0 +ring1 run stop -ring1");
	assert_int_equal(
		vdev_queue_start(g->v, VSOCK_TX, &g->queues[VSOCK_TX].config, STOPPED_AT + 1, &e),
		0);
	assert_int_equal(kernel.base[1], STOPPED_AT + 1);
	assert_true(kernel.running);
	fg_stop(g);
	assert_false(kernel.running);
	fg_start(g);
	assert_string_equal(kernel.log, "owner features memory +ring0 +ring1 run stop -ring1 "
					"+ring1 run stop -ring0 -ring1 features memory +ring0 "
					"+ring1 run");
}

static void interrupts_can_go_elsewhere(void **state)
{
	struct fake_guest *g = *state;
	struct virtq *q = &g->v->queues[VSOCK_RX];
	int old_fd;

	fg_start(g);
	old_fd = q->call_fd;
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->v->cls->queue_call(g->v, VSOCK_RX);
	assert_int_equal(kernel.call_fd[0], q->call_fd);
	g->v->cls->queue_call(g->v, VSOCK_EVENT);
	fd_close(&old_fd);
}

static void a_fault_in_a_ring_asks_for_a_reset(void **state)
{
	struct fake_guest *g = *state;
	const u64 one = 1;

	fg_start(g);
	assert_int_equal(fd_write(kernel.err_fd[1], &one, sizeof(one)), 8);
	FG_WAIT(g, g->nr_broken == 1);
	assert_int_equal(g->broken_qi, VSOCK_TX);
}

static void what_the_kernel_refuses_does_not_start(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_VSOCK_SET_RUNNING,
	};
	struct fake_guest *g = *state;
	struct err e;

	fg_start(g);
	vdev_queue_stop(g->v, VSOCK_RX);
	for (u32 i = 0; i < ARRAY_SIZE(requests); i++) {
		vdev_queue_stop(g->v, VSOCK_TX);
		assert_int_equal(
			vdev_queue_start(g->v, VSOCK_RX, &g->queues[VSOCK_RX].config, 0, &e), 0);
		vdev_queue_stop(g->v, VSOCK_RX);
		if (requests[i] == VHOST_VSOCK_SET_RUNNING)
			vdev_queue_start(g->v, VSOCK_RX, &g->queues[VSOCK_RX].config, 0, &e);
		kernel.refused = requests[i];
		assert_int_equal(
			vdev_queue_start(g->v, VSOCK_TX, &g->queues[VSOCK_TX].config, 0, &e),
			-EFAULT);
		kernel.refused = 0;
		assert_false(g->v->queues[VSOCK_TX].enabled);
	}
}

static void a_kernel_that_does_not_take_us_is_an_error_with_words(void **state)
{
	struct fake_guest *g = calloc(1, sizeof(*g));
	struct err e = { 0 };

	(void)state;
	kernel = (struct kernel){ .refused = VHOST_SET_OWNER };
	assert_false(try_create(g, &e));
	assert_non_null(strstr(e.text, "virtio-vsock.0: the kernel's vhost: Bad address"));
	fg_destroy(g);
	free(g);
}

static void back_ends_have_options_of_their_own(void **state)
{
	const struct vdev_class *cls = vdev_class_find("virtio-vsock");
	struct vsock_cfg cfg = { .cid = CID, .backend = VSOCK_USER };
	struct fdset fds = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cls->open(&cfg, &fds, &e), -EINVAL);
	assert_non_null(strstr(e.text, "needs socket=PATH"));
	cfg = (struct vsock_cfg){ .cid = CID, .backend = VSOCK_VHOST, .socket = "/tmp/x" };
	assert_int_equal(cls->open(&cfg, &fds, &e), -EINVAL);
	assert_non_null(strstr(e.text, "belongs to backend=user"));
	assert_int_equal(cls->grant(&cfg, 1), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(the_driver_is_offered_what_both_can),
		T(the_kernel_runs_once_it_has_both_rings),
		T(the_memory_table_is_the_guest_s),
		T(kicks_are_left_for_the_kernel),
		T(a_stopped_ring_goes_on_where_the_kernel_left_it),
		T(interrupts_can_go_elsewhere),
		T(a_fault_in_a_ring_asks_for_a_reset),
		T(what_the_kernel_refuses_does_not_start),
		cmocka_unit_test(a_kernel_that_does_not_take_us_is_an_error_with_words),
		cmocka_unit_test(back_ends_have_options_of_their_own),
	};

	return cmocka_run_group_tests_name("virtio-vsock by vhost", tests, NULL, NULL);
}
