// SPDX-License-Identifier: BSD-3-Clause
// Guest RAM.
#include "mem/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/fd.h"

enum { GMEM_HUGE_BYTES = 2 << 20 };

/*
 * Reserve addresses such that host and guest agree modulo 2 MiB: only then can one entry of the
 * nested page table cover a huge page. Return: the place, or MAP_FAILED.
 */
static void *gmem_reserve(const struct gmem_range *range)
{
	u64 slack = GMEM_HUGE_BYTES, skip;
	u8 *area = mmap(NULL, range->size_bytes + slack, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return MAP_FAILED;
	skip = (range->base_gpa - (u64)(uintptr_t)area) & (GMEM_HUGE_BYTES - 1);
	if (skip > 0)
		munmap(area, skip);
	if (slack > skip)
		munmap(area + skip + range->size_bytes, slack - skip);
	return area + skip;
}

static int gmem_map_region(struct gmem *mem, const struct gmem_range *range, u64 fd_offset,
			   struct err *e)
{
	struct gmem_region *region = &mem->regions[mem->nr_regions];
	int sharing = mem->memfd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *place = gmem_reserve(range);
	void *host = place == MAP_FAILED ? MAP_FAILED
					 : mmap(place, range->size_bytes, PROT_READ | PROT_WRITE,
						sharing | MAP_FIXED | MAP_NORESERVE, mem->memfd,
						(off_t)fd_offset);

	if (host == MAP_FAILED && place != MAP_FAILED)
		munmap(place, range->size_bytes);
	if (host == MAP_FAILED)
		return err_errno(e, -ENOMEM, "map %llu MiB of guest memory",
				 (unsigned long long)(range->size_bytes >> 20));
	/* A crash of ours must not write the guest's memory to the host's disk. */
	madvise(host, range->size_bytes, MADV_DONTDUMP);
	madvise(host, range->size_bytes, MADV_HUGEPAGE);
	*region = (struct gmem_region){
		.base_gpa = range->base_gpa,
		.size_bytes = range->size_bytes,
		.fd_offset = fd_offset,
		.host = host,
	};
	mem->nr_regions++;
	return 0;
}

static int gmem_make_memfd(u64 size_bytes, struct err *e)
{
	cleanup_fd int fd = memfd_create("kiln-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(e, -errno, "create the memory file of the guest");
	if (ftruncate(fd, (off_t)size_bytes) < 0)
		return err_errno(e, -errno, "give the guest %llu MiB of memory",
				 (unsigned long long)(size_bytes >> 20));
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, -errno, "seal the memory file of the guest");
	return fd_take(&fd);
}

int gmem_create(struct gmem *mem, enum gmem_backing backing, const struct gmem_range *ranges,
		u32 nr, struct err *e)
{
	u64 total = 0, offset = 0;
	int status;

	*mem = (struct gmem){ .memfd = -1 };
	if (nr == 0 || nr > GMEM_REGIONS_MAX)
		return err_set(e, -EINVAL, "%u memory regions: 1 to %d are possible", nr,
			       GMEM_REGIONS_MAX);
	for (u32 i = 0; i < nr; i++)
		total += ranges[i].size_bytes;
	if (backing == GMEM_SHARED) {
		mem->memfd = gmem_make_memfd(total, e);
		if (mem->memfd < 0)
			return mem->memfd;
	}
	for (u32 i = 0; i < nr; i++) {
		status = gmem_map_region(mem, &ranges[i], offset, e);
		if (status < 0) {
			gmem_destroy(mem);
			return status;
		}
		offset += ranges[i].size_bytes;
	}
	return 0;
}

/* Whether a new region at [gpa, gpa + size_bytes) has a place beside the others. */
static int gmem_check_place(const struct gmem *mem, gpa_t gpa, u64 size_bytes, struct err *e)
{
	gpa_t end;

	if (mem->nr_regions == GMEM_REGIONS_MAX)
		return err_set(e, -ENOSPC, "more than %d memory regions", GMEM_REGIONS_MAX);
	if (size_bytes == 0 || !checked_add(gpa, size_bytes, &end))
		return err_set(e, -EINVAL, "memory region 0x%llx + 0x%llx is empty or wraps",
			       (unsigned long long)gpa, (unsigned long long)size_bytes);
	for (u32 i = 0; i < mem->nr_regions; i++)
		if (ranges_overlap(gpa, size_bytes, mem->regions[i].base_gpa,
				   mem->regions[i].size_bytes))
			return err_set(e, -EEXIST, "memory region 0x%llx + 0x%llx is taken",
				       (unsigned long long)gpa, (unsigned long long)size_bytes);
	return 0;
}

/* Whether the file has these bytes; a mapping that reached past its end would kill who touches it. */
static int gmem_check_file(int fd, u64 size_bytes, u64 fd_offset, struct err *e)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return err_errno(e, -errno, "look at the file of a memory region");
	if (!S_ISREG(file.st_mode))
		return err_set(e, -EINVAL, "the file of a memory region is none of memory");
	if (!range_fits(fd_offset, size_bytes, (u64)file.st_size))
		return err_set(e, -EINVAL,
			       "memory region 0x%llx + 0x%llx of a file of 0x%llx bytes",
			       (unsigned long long)fd_offset, (unsigned long long)size_bytes,
			       (unsigned long long)file.st_size);
	return 0;
}

int gmem_attach(struct gmem *mem, int fd, gpa_t gpa, u64 size_bytes, u64 fd_offset, struct err *e)
{
	u64 page_mask = (u64)getauxval(AT_PAGESZ) - 1;
	int status = gmem_check_place(mem, gpa, size_bytes, e);
	void *host;

	if (status == 0 && ((gpa | size_bytes | fd_offset) & page_mask))
		status = err_set(e, -EINVAL, "memory region 0x%llx + 0x%llx is not page-aligned",
				 (unsigned long long)gpa, (unsigned long long)size_bytes);
	if (status == 0)
		status = gmem_check_file(fd, size_bytes, fd_offset, e);
	if (status < 0)
		return status;
	host = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		    (off_t)fd_offset);
	if (host == MAP_FAILED)
		return err_errno(e, -errno, "map %llu MiB of guest memory",
				 (unsigned long long)(size_bytes >> 20));
	madvise(host, size_bytes, MADV_DONTDUMP);
	mem->regions[mem->nr_regions++] = (struct gmem_region){
		.base_gpa = gpa,
		.size_bytes = size_bytes,
		.fd_offset = fd_offset,
		.host = host,
	};
	return 0;
}

void gmem_destroy(struct gmem *mem)
{
	for (u32 i = 0; i < mem->nr_regions; i++)
		munmap(mem->regions[i].host, mem->regions[i].size_bytes);
	mem->nr_regions = 0;
	fd_close(&mem->memfd);
}

u64 gmem_size(const struct gmem *mem)
{
	u64 total = 0;

	for (u32 i = 0; i < mem->nr_regions; i++)
		total += mem->regions[i].size_bytes;
	return total;
}

void *gmem_ptr(const struct gmem *mem, gpa_t gpa, u64 len)
{
	if (len == 0)
		return NULL;
	for (u32 i = 0; i < mem->nr_regions; i++) {
		const struct gmem_region *region = &mem->regions[i];
		u64 offset;

		if (checked_sub(gpa, region->base_gpa, &offset) &&
		    range_fits(offset, len, region->size_bytes))
			return region->host + offset;
	}
	return NULL;
}

int gmem_write(const struct gmem *mem, gpa_t gpa, const void *src, u64 len)
{
	void *host = gmem_ptr(mem, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(host, src, len);
	return 0;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *dst, u64 len)
{
	const void *host = gmem_ptr(mem, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(dst, host, len);
	return 0;
}

int gmem_load(const struct gmem *mem, gpa_t gpa, int fd, u64 offset, u64 len)
{
	void *host = gmem_ptr(mem, gpa, len);

	return host ? fd_pread_all(fd, host, len, offset) : -EFAULT;
}
