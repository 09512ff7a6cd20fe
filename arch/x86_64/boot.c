// SPDX-License-Identifier: BSD-3-Clause
// x86_64: kernel, initrd and command line into guest memory, by the plan of the format's parser.
#include "boot.h"

#include <errno.h>
#include <string.h>

#include "layout.h"
#include "util/checked.h"
#include "util/fd.h"

int boot_check_place(gpa_t start_gpa, u64 size_bytes, u64 ram_end_gpa, struct err *e)
{
	u64 end_gpa;

	if (!checked_add(start_gpa, size_bytes, &end_gpa) || end_gpa > LAYOUT_HOLE_GPA ||
	    start_gpa < LAYOUT_HIGH_RAM_GPA || size_bytes == 0)
		return err_set(
			e, -ENOEXEC,
			"it wants 0x%llx bytes at 0x%llx: kernels can lie from 0x%x to 0x%x only",
			(unsigned long long)size_bytes, (unsigned long long)start_gpa,
			LAYOUT_HIGH_RAM_GPA, LAYOUT_HOLE_GPA);
	if (end_gpa > ram_end_gpa)
		return err_set(e, -EINVAL,
			       "it needs at least %llu MiB of memory to start, and the machine has "
			       "%llu MiB: give more (-m)",
			       (unsigned long long)((end_gpa + MIB(1) - 1) >> 20),
			       (unsigned long long)(ram_end_gpa >> 20));
	return 0;
}

int boot_read(const struct boot_file *file, void *dst, size_t len, u64 offset, struct err *e)
{
	int status = fd_pread_all(file->fd, dst, len, offset);

	if (status == -ENODATA)
		return err_set(e, status, "the file became shorter while it was read");
	if (status < 0)
		return err_errno(e, status, "read");
	return 0;
}

static int boot_not_built(const char *format, const char *symbol, struct err *e)
{
	return err_set(e, -EINVAL, "it is %s, and this kiln was built without %s", format, symbol);
}

static int boot_plan_by_format(const struct boot_file *file, enum boot_protocol wanted,
			       u64 ram_end_gpa, struct boot_plan *plan, struct err *e)
{
	if (bzimage_is(file)) {
		if (!IS_ENABLED(CONFIG_BOOT_BZIMAGE))
			return boot_not_built("a bzImage", "CONFIG_BOOT_BZIMAGE", e);
		if (wanted == BOOT_PVH)
			return err_set(e, -EINVAL,
				       "a bzImage has no PVH entry: give the ELF vmlinux");
		return bzimage_plan(file, ram_end_gpa, plan, e);
	}
	if (elf_is(file)) {
		if (!IS_ENABLED(CONFIG_BOOT_ELF))
			return boot_not_built("an ELF file", "CONFIG_BOOT_ELF", e);
		return elf_plan(file, wanted, ram_end_gpa, plan, e);
	}
	return boot_stranger(file, e);
}

static int boot_plan_kernel(const struct boot_source *source, u64 ram_end_gpa,
			    struct boot_plan *plan, struct err *e)
{
	struct boot_file file = { .fd = source->kernel_fd,
				  .size_bytes = source->kernel_bytes,
				  .head_bytes =
					  (u32)MIN(source->kernel_bytes, BOOT_HEAD_BYTES + 0u) };
	int status;

	if (file.size_bytes == 0)
		return err_set(e, -ENOEXEC, "the file is empty");
	status = boot_read(&file, file.head, file.head_bytes, 0, e);
	if (status < 0)
		return status;
	return boot_plan_by_format(&file, source->protocol, ram_end_gpa, plan, e);
}

/* The highest page-aligned base of `size_bytes` that end by `end_max`; 0 if there is none. */
static u64 boot_place_below(u64 end_max, u64 size_bytes)
{
	u64 base;

	return checked_sub(end_max, size_bytes, &base) ? ALIGN_DOWN(base, KIB(4)) : 0;
}

/* As high as possible, so that the kernel finds its low memory in one piece. */
static int boot_plan_initrd(const struct boot_source *source, u64 ram_end_gpa,
			    struct boot_plan *plan, struct err *e)
{
	const struct gmem_range *kernel = &plan->kernel;
	u64 size_bytes = source->initrd_bytes, end_max = MIN(ram_end_gpa, plan->initrd_end_max_gpa);
	u64 base;

	if (source->initrd_fd < 0)
		return 0;
	if (size_bytes == 0)
		return err_set(e, -EINVAL, "the file is empty");
	base = boot_place_below(end_max, size_bytes);
	if (base && ranges_overlap(base, size_bytes, kernel->base_gpa, kernel->size_bytes))
		base = boot_place_below(kernel->base_gpa, size_bytes);
	if (base < LAYOUT_HIGH_RAM_GPA)
		return err_set(e, -EINVAL,
			       "its %llu KiB do not fit below 0x%llx beside the kernel (0x%llx "
			       "bytes at 0x%llx): make it smaller, or give more memory (-m)",
			       (unsigned long long)((size_bytes + 1023) >> 10),
			       (unsigned long long)end_max, (unsigned long long)kernel->size_bytes,
			       (unsigned long long)kernel->base_gpa);
	plan->initrd = (struct gmem_range){ base, size_bytes };
	return 0;
}

static int boot_plan_cmdline(const struct boot_source *source, struct boot_plan *plan,
			     struct err *e)
{
	u32 max_bytes = MIN(plan->cmdline_max_bytes, ARCH_CMDLINE_BYTES - 1u);

	plan->cmdline_bytes = (u32)strnlen(source->cmdline, sizeof(source->cmdline));
	if (plan->cmdline_bytes > max_bytes)
		return err_set(e, -EINVAL, "%u bytes: this kernel takes at most %u",
			       plan->cmdline_bytes, max_bytes);
	return 0;
}

/* Guest memory is fresh: what a piece does not fill from the file is zero already. */
static int boot_load_kernel(const struct gmem *mem, const struct boot_source *source,
			    const struct boot_plan *plan, struct err *e)
{
	for (u32 i = 0; i < plan->nr_pieces; i++) {
		const struct boot_piece *piece = &plan->pieces[i];
		int status;

		if (piece->file_bytes == 0)
			continue;
		status = gmem_load(mem, piece->gpa, source->kernel_fd, piece->offset,
				   piece->file_bytes);
		if (status == -ENODATA)
			return err_set(e, status, "the file became shorter while it was read");
		if (status < 0)
			return err_errno(e, status, "load");
	}
	return 0;
}

static int boot_load_initrd(const struct gmem *mem, const struct boot_source *source,
			    const struct boot_plan *plan, struct err *e)
{
	int status;

	if (source->initrd_fd < 0)
		return 0;
	status = gmem_load(mem, plan->initrd.base_gpa, source->initrd_fd, 0,
			   plan->initrd.size_bytes);
	if (status == -ENODATA)
		return err_set(e, status, "the file became shorter while it was read");
	if (status < 0)
		return err_errno(e, status, "load");
	return 0;
}

static int boot_write_info(const struct gmem *mem, const struct boot_source *source,
			   const struct boot_plan *plan, struct err *e)
{
	static const char nul = '\0';
	int status = 0;

	if (plan->cmdline_bytes > 0)
		status = gmem_write(mem, LAYOUT_CMDLINE_GPA, source->cmdline, plan->cmdline_bytes);
	if (status == 0)
		status = gmem_write(mem, LAYOUT_CMDLINE_GPA + plan->cmdline_bytes, &nul, 1);
	if (status == 0)
		status = IS_ENABLED(CONFIG_BOOT_PVH) && plan->protocol == BOOT_PVH
				 ? pvh_write_start_info(mem, plan)
				 : zero_page_write(mem, plan);
	if (status < 0)
		return err_errno(e, status, "write the boot information");
	return 0;
}

/* Everything is checked before the first byte is loaded. */
static int boot_make_plan(const struct boot_source *source, u64 ram_end_gpa, struct boot_plan *plan,
			  struct err *e)
{
	if (boot_plan_kernel(source, ram_end_gpa, plan, e) < 0)
		return err_prefix(e, "kernel");
	if (boot_plan_initrd(source, ram_end_gpa, plan, e) < 0)
		return err_prefix(e, "initrd");
	if (boot_plan_cmdline(source, plan, e) < 0)
		return err_prefix(e, "kernel command line");
	return 0;
}

int arch_boot_load(const struct arch_machine *machine, const struct boot_source *source,
		   struct boot_entry *entry, struct err *e)
{
	const struct gmem *mem = machine->mem;
	struct boot_plan plan = { 0 };
	int status = boot_make_plan(source, boot_ram_end(mem), &plan, e);

	if (status < 0)
		return status;
	if (boot_load_kernel(mem, source, &plan, e) < 0)
		return err_prefix(e, "kernel");
	if (boot_load_initrd(mem, source, &plan, e) < 0)
		return err_prefix(e, "initrd");
	status = boot_write_info(mem, source, &plan, e);
	if (status < 0)
		return status;
	*entry = (struct boot_entry){ .protocol = plan.protocol,
				      .entry_gpa = plan.entry_gpa,
				      .info_gpa = LAYOUT_ZERO_PAGE_GPA };
	return 0;
}
