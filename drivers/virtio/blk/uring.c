// SPDX-License-Identifier: BSD-3-Clause
// A ring of the host's io_uring (io_uring_setup(2), io_uring_register(2), io_uring_enter(2)).
//
// What is done through a ring no seccomp filter sees. So the ring itself is restricted while it is
// set up, to the calls that a disk makes, and cannot be widened afterwards.
#include "uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"

static const u8 allowed_ops[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				  IORING_OP_FALLOCATE };

/* Work that blocks is done by threads of this very process, with its user, limits and end. */
enum { FEATURES = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_NATIVE_WORKERS };

/* --- Making one ------------------------------------------------------------------------------- */

/* Whether the kernel has every call. A struct of the kernel's, with as many entries as it needs. */
static int probe(int ring_fd, struct err *e)
{
	enum { NR = IORING_OP_LAST };
	_Alignas(struct io_uring_probe)
		u8 bytes[sizeof(struct io_uring_probe) + NR * sizeof(struct io_uring_probe_op)] = {
			0
		};
	struct io_uring_probe *p = (struct io_uring_probe *)(void *)bytes;

	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, p, (unsigned)NR) < 0)
		return err_errno(e, -errno, "IORING_REGISTER_PROBE");
	for (u32 i = 0; i < ARRAY_SIZE(allowed_ops); i++)
		if (allowed_ops[i] >= p->ops_len ||
		    !(p->ops[allowed_ops[i]].flags & IO_URING_OP_SUPPORTED))
			return err_set(e, -EOPNOTSUPP, "the host's io_uring lacks call %u",
				       allowed_ops[i]);
	return 0;
}

/* From IORING_REGISTER_ENABLE_RINGS on: these calls, none of their flags, no further registering. */
static int restrict_and_enable(int ring_fd, struct err *e)
{
	struct io_uring_restriction list[ARRAY_SIZE(allowed_ops)] = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(allowed_ops); i++) {
		list[i].opcode = IORING_RESTRICTION_SQE_OP;
		list[i].sqe_op = allowed_ops[i];
	}
	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, list,
		    (unsigned)ARRAY_SIZE(list)) < 0)
		return err_errno(e, -errno, "IORING_REGISTER_RESTRICTIONS");
	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0u) < 0)
		return err_errno(e, -errno, "IORING_REGISTER_ENABLE_RINGS");
	return 0;
}

static void *map(struct uring *u, size_t bytes, off_t what)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->ring_fd,
			what);

	return at == MAP_FAILED ? NULL : at;
}

/* Both rings lie in one mapping, the calls in another. The queue's order is that of `sqes`. */
static int map_rings(struct uring *u, const struct io_uring_params *p, struct err *e)
{
	size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(u32);
	size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	u8 *rings;
	u32 *array;

	u->rings_bytes = MAX(sq_bytes, cq_bytes);
	u->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
	u->rings = map(u, u->rings_bytes, (off_t)IORING_OFF_SQ_RING);
	u->sqes = map(u, u->sqes_bytes, (off_t)IORING_OFF_SQES);
	if (!u->rings || !u->sqes)
		return err_errno(e, -errno, "map the rings");
	rings = u->rings;
	u->sq_head = (u32 *)(void *)(rings + p->sq_off.head);
	u->sq_tail = (u32 *)(void *)(rings + p->sq_off.tail);
	u->cq_head = (u32 *)(void *)(rings + p->cq_off.head);
	u->cq_tail = (u32 *)(void *)(rings + p->cq_off.tail);
	u->cq_mask = p->cq_entries - 1;
	u->cqes = (const struct io_uring_cqe *)(const void *)(rings + p->cq_off.cqes);
	array = (u32 *)(void *)(rings + p->sq_off.array);
	for (u32 i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return 0;
}

int uring_create(struct uring *u, u32 entries, struct err *e)
{
	struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
	int status;

	*u = (struct uring){ .entries = entries };
	u->ring_fd = (int)syscall(SYS_io_uring_setup, entries, &p);
	if (u->ring_fd < 0)
		return err_errno(e, -errno, "io_uring_setup");
	if ((p.features & FEATURES) != FEATURES || p.sq_entries != entries)
		status = err_set(e, -EOPNOTSUPP, "the host's io_uring is too old (Linux 5.12)");
	else
		status = probe(u->ring_fd, e);
	if (status == 0)
		status = map_rings(u, &p, e);
	if (status == 0)
		status = restrict_and_enable(u->ring_fd, e);
	if (status < 0)
		uring_destroy(u);
	return status;
}

void uring_destroy(struct uring *u)
{
	if (u->sqes)
		munmap(u->sqes, u->sqes_bytes);
	if (u->rings)
		munmap(u->rings, u->rings_bytes);
	u->sqes = NULL;
	u->rings = NULL;
	fd_close(&u->ring_fd);
}

/* --- Calls ------------------------------------------------------------------------------------ */

static struct io_uring_sqe *sqe_next(const struct uring *u, u8 opcode, u64 tag, int fd)
{
	struct io_uring_sqe *sqe = &u->sqes[*u->sq_tail & (u->entries - 1)];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->user_data = tag;
	return sqe;
}

/* The kernel looks at the tail when it is entered by us: what was written before is there. */
static void sqe_queue(struct uring *u)
{
	__atomic_store_n(u->sq_tail, *u->sq_tail + 1, __ATOMIC_RELEASE);
}

void uring_move(struct uring *u, u64 tag, bool is_write, int fd, const struct iovec *iov, u32 nr,
		u64 offset)
{
	struct io_uring_sqe *sqe =
		sqe_next(u, is_write ? IORING_OP_WRITEV : IORING_OP_READV, tag, fd);

	sqe->addr = (uintptr_t)iov;
	sqe->len = nr;
	sqe->off = offset;
	sqe_queue(u);
}

void uring_flush(struct uring *u, u64 tag, int fd)
{
	sqe_next(u, IORING_OP_FSYNC, tag, fd)->fsync_flags = IORING_FSYNC_DATASYNC;
	sqe_queue(u);
}

/* The length stands where others have an address, the mode where they have a length. */
void uring_allocate(struct uring *u, u64 tag, int fd, int mode, u64 offset, u64 len)
{
	struct io_uring_sqe *sqe = sqe_next(u, IORING_OP_FALLOCATE, tag, fd);

	sqe->off = offset;
	sqe->addr = len;
	sqe->len = (u32)mode;
	sqe_queue(u);
}

u32 uring_queued(const struct uring *u)
{
	return *u->sq_tail - __atomic_load_n(u->sq_head, __ATOMIC_ACQUIRE);
}

u64 uring_take_back(struct uring *u)
{
	u32 last = *u->sq_tail - 1;

	__atomic_store_n(u->sq_tail, last, __ATOMIC_RELEASE);
	return u->sqes[last & (u->entries - 1)].user_data;
}

static int enter(struct uring *u, u32 to_submit, u32 min_complete, u32 flags)
{
	long n = syscall(SYS_io_uring_enter, u->ring_fd, to_submit, min_complete, flags, NULL,
			 (size_t)0);

	return n < 0 ? -errno : (int)n;
}

int uring_begin(struct uring *u)
{
	u32 queued;

	while ((queued = uring_queued(u)) > 0) {
		int n = enter(u, queued, 0, 0);

		if (n == 0)
			return -EAGAIN;
		if (n < 0 && n != -EINTR)
			return n;
	}
	return 0;
}

int uring_wait(struct uring *u)
{
	int n;

	do {
		n = enter(u, 0, 1, IORING_ENTER_GETEVENTS);
	} while (n == -EINTR);
	return n < 0 ? n : 0;
}

bool uring_next(struct uring *u, struct uring_done *done)
{
	u32 head = *u->cq_head;
	const struct io_uring_cqe *cqe = &u->cqes[head & u->cq_mask];

	if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*done = (struct uring_done){ .tag = cqe->user_data, .result = cqe->res };
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}
