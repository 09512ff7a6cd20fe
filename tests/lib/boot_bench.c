// SPDX-License-Identifier: BSD-3-Clause
// A bench for x86_64 kernel loaders.
#include "boot_bench.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/fd.h"

static void bench_expect(bool ok, const char *what, const struct err *e)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, e ? e->text : "");
	abort();
}

static void bench_create_memory(struct boot_bench *b, u64 mem_bytes)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	int nr = arch_mem_layout(mem_bytes, ranges, &b->err);

	bench_expect(nr > 0, "memory layout", &b->err);
	bench_expect(gmem_create(&b->mem, GMEM_PRIVATE, ranges, (u32)nr, &b->err) == 0, "memory",
		     &b->err);
}

void bench_create(struct boot_bench *b, u64 mem_bytes)
{
	memset(b, 0, sizeof(*b));
	b->source.kernel_fd = b->source.initrd_fd = -1;
	bench_create_memory(b, mem_bytes);
	b->machine = (struct arch_machine){ .mem = &b->mem, .nr_cpus = 1 };
	snprintf(b->source.cmdline, sizeof(b->source.cmdline), "console=ttyS0");
}

void bench_destroy(struct boot_bench *b)
{
	fd_close(&b->source.kernel_fd);
	fd_close(&b->source.initrd_fd);
	gmem_destroy(&b->mem);
}

static int bench_make_file(const void *bytes, size_t len)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);

	bench_expect(fd >= 0 && ftruncate(fd, (off_t)len) == 0, "memory file", NULL);
	if (bytes)
		bench_expect(fd_write_all(fd, bytes, len) == 0, "memory file", NULL);
	return fd;
}

void bench_set_kernel(struct boot_bench *b, const void *bytes, size_t len)
{
	fd_close(&b->source.kernel_fd);
	b->source.kernel_fd = bench_make_file(bytes, len);
	b->source.kernel_bytes = len;
}

void bench_set_initrd(struct boot_bench *b, const void *bytes, size_t len)
{
	fd_close(&b->source.initrd_fd);
	b->source.initrd_fd = bench_make_file(bytes, len);
	b->source.initrd_bytes = len;
}

int bench_load(struct boot_bench *b)
{
	u64 mem_bytes = gmem_size(&b->mem);

	gmem_destroy(&b->mem);
	bench_create_memory(b, mem_bytes);
	memset(&b->err, 0, sizeof(b->err));
	return arch_boot_load(&b->machine, &b->source, &b->entry, &b->err);
}

void image_put(struct image *image, size_t offset, size_t size, u64 value)
{
	bench_expect(offset + size <= sizeof(image->bytes), "image too small", NULL);
	bytes_put_le(image->bytes + offset, value, size);
}

void image_make_bzimage(struct image *image)
{
	const size_t setup_bytes = 6 * 512, body_bytes = 4096;

	memset(image, 0, sizeof(*image));
	image->len = setup_bytes + body_bytes;
	memset(image->bytes + setup_bytes, 0xb0, body_bytes);
	memcpy(image->bytes, "MZ", 2);
	image_put(image, 0x1f1, 1, 5);               /* setup_sects */
	image_put(image, 0x1f4, 4, body_bytes / 16); /* syssize */
	image_put(image, 0x1fe, 2, 0xaa55);          /* boot_flag */
	image_put(image, 0x200, 2, 0x6aeb);          /* jump: the header ends at 0x26c */
	memcpy(image->bytes + 0x202, "HdrS", 4);
	image_put(image, 0x206, 2, 0x020f);     /* version */
	image_put(image, 0x211, 1, 0x01);       /* loadflags */
	image_put(image, 0x22c, 4, 0x7fffffff); /* initrd_addr_max */
	image_put(image, 0x230, 4, 0x200000);   /* kernel_alignment */
	image_put(image, 0x234, 1, 1);          /* relocatable_kernel */
	image_put(image, 0x236, 2, 0x3f);       /* xloadflags */
	image_put(image, 0x238, 4, 2047);       /* cmdline_size */
	image_put(image, 0x248, 4, 0x300);      /* payload_offset */
	image_put(image, 0x24c, 4, 0x400);      /* payload_length */
	image_put(image, 0x258, 8, 0x1000000);  /* pref_address */
	image_put(image, 0x260, 4, 0x800000);   /* init_size */
	image_put(image, 0x268, 4, 0x55aa55aa); /* kernel_info_offset */
	image_put(image, 0x26c, 4, 0xdeadbeef); /* code after the header */
}

static void image_put_note(struct image *image, size_t offset, const char *name, u32 type,
			   size_t value_bytes, u64 value)
{
	image_put(image, offset, 4, 4);
	image_put(image, offset + 4, 4, value_bytes);
	image_put(image, offset + 8, 4, type);
	memcpy(image->bytes + offset + 12, name, 4);
	image_put(image, offset + 16, value_bytes, value);
}

static void image_put_notes(struct image *image)
{
	image_put_note(image, IMAGE_ELF_NOTES_OFFSET, "GNU", 3, 8, 0x1122334455667788);
	image_put_note(image, IMAGE_ELF_PVH_NOTE, "Xen", 18, 8, 0x1000100);
}

static void image_put_data(struct image *image)
{
	image->len = 0x1900;
	memset(image->bytes + 0x400, 0xe1, 0x1000);
	memset(image->bytes + 0x1400, 0xe2, 0x100);
	image_put_notes(image);
}

void image_make_elf(struct image *image)
{
	const Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0x1000000,
		.e_phoff = IMAGE_ELF_PHDRS,
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	const Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_offset = 0x400,
		  .p_vaddr = 0xffffffff81000000,
		  .p_paddr = 0x1000000,
		  .p_filesz = 0x1000,
		  .p_memsz = 0x1000,
		  .p_align = 0x200000 },
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_W,
		  .p_offset = 0x1400,
		  .p_vaddr = 0xffffffff81002000,
		  .p_paddr = 0x1002000,
		  .p_filesz = 0x100,
		  .p_memsz = 0x2000,
		  .p_align = 0x200000 },
		{ .p_type = PT_NOTE,
		  .p_flags = PF_R,
		  .p_offset = IMAGE_ELF_NOTES_OFFSET,
		  .p_filesz = IMAGE_ELF_NOTES_BYTES,
		  .p_memsz = IMAGE_ELF_NOTES_BYTES,
		  .p_align = 4 },
	};

	memset(image, 0, sizeof(*image));
	memcpy(image->bytes, &header, sizeof(header));
	memcpy(image->bytes + IMAGE_ELF_PHDRS, segments, sizeof(segments));
	image_put_data(image);
}

void image_make_elf_32(struct image *image)
{
	const Elf32_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = 0x1000000,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 2,
	};
	const Elf32_Phdr segments[] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_offset = 0x400,
		  .p_vaddr = 0x1000000,
		  .p_paddr = 0x1000000,
		  .p_filesz = 0x1000,
		  .p_memsz = 0x1000,
		  .p_align = 0x1000 },
		{ .p_type = PT_NOTE,
		  .p_flags = PF_R,
		  .p_offset = IMAGE_ELF_NOTES_OFFSET,
		  .p_filesz = IMAGE_ELF_NOTES_BYTES,
		  .p_memsz = IMAGE_ELF_NOTES_BYTES,
		  .p_align = 4 },
	};

	memset(image, 0, sizeof(*image));
	memcpy(image->bytes, &header, sizeof(header));
	memcpy(image->bytes + sizeof(header), segments, sizeof(segments));
	image_put_data(image);
}
