// SPDX-License-Identifier: BSD-3-Clause
// Guest RAM: private or shared regions, and the only way from a guest address to a pointer.
#pragma once

#include "util/err.h"
#include "util/types.h"

enum { GMEM_REGIONS_MAX = 8 };

/*
 * [base_gpa, base_gpa + size_bytes) is mapped at `host`; shared: from `fd_offset` of the memfd on.
 */
struct gmem_region {
	gpa_t base_gpa;
	u64 size_bytes, fd_offset;
	u8 *host;
};

struct gmem {
	int memfd; /* -1 for private memory */
	u32 nr_regions;
	struct gmem_region regions[GMEM_REGIONS_MAX];
};

/* A piece of RAM an architecture asks for. */
struct gmem_range {
	gpa_t base_gpa;
	u64 size_bytes;
};

enum gmem_backing {
	/*
	 * Anonymous memory for a machine whose devices all live in one process. Transparent huge
	 * pages serve it, which spares a boot tens of thousands of page faults.
	 */
	GMEM_PRIVATE,
	/* A memfd, sealed against shrinking and growing, that other processes can map too. */
	GMEM_SHARED,
};

/*
 * gmem_create - allocate RAM for `nr` page-aligned ranges in rising order that do not overlap.
 * Return: 0 or -errno with words in `e`.
 */
int gmem_create(struct gmem *mem, enum gmem_backing backing, const struct gmem_range *ranges,
		u32 nr, struct err *e);
void gmem_destroy(struct gmem *mem);

/*
 * gmem_attach - add a region of memory that another process made: `size_bytes` of the regular file
 * `fd` (borrowed) from `fd_offset` on, mapped shared. `mem` is memory without a memfd, empty
 * (memfd -1) or attached to before. The numbers may come from a stranger. Should the file's owner
 * shrink it later, touching what is gone kills us: nothing but a seal could prevent that.
 * Return: 0 or -errno with words: -EINVAL for a range that is empty, wraps, is not page-aligned or
 * lies outside of the file, -EEXIST over another region, -ENOSPC after GMEM_REGIONS_MAX.
 */
int gmem_attach(struct gmem *mem, int fd, gpa_t gpa, u64 size_bytes, u64 fd_offset, struct err *e);

/* gmem_size - bytes of RAM in all regions. */
u64 gmem_size(const struct gmem *mem);

/*
 * gmem_ptr - the host address of [gpa, gpa + len), or NULL if any byte of it lies outside of one
 * single region. len 0 is refused. The memory is shared with a running guest: copy, then check.
 */
void *gmem_ptr(const struct gmem *mem, gpa_t gpa, u64 len);

/* gmem_write, gmem_read - copy into and out of guest memory. Return: 0, or -EFAULT if outside. */
int gmem_write(const struct gmem *mem, gpa_t gpa, const void *src, u64 len);
int gmem_read(const struct gmem *mem, gpa_t gpa, void *dst, u64 len);

/*
 * gmem_load - read exactly `len` bytes of a file at `offset` into guest memory.
 * Return: 0, -EFAULT (outside RAM), -ENODATA (file ends early) or -errno.
 */
int gmem_load(const struct gmem *mem, gpa_t gpa, int fd, u64 offset, u64 len);
