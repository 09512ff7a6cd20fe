// SPDX-License-Identifier: BSD-3-Clause
// KVM: the ioctls that every architecture uses (Documentation/virt/kvm/api.rst).
#include "kvm/kvm.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"

int kvm_api_version(int kvm_fd)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	return version < 0 ? -errno : version;
}

int kvm_capability(int kvm_fd, u32 capability)
{
	int value = ioctl(kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

	return MAX(value, 0);
}

u32 kvm_vcpus_max(int kvm_fd)
{
	int max = kvm_capability(kvm_fd, KVM_CAP_MAX_VCPUS);

	if (max <= 0)
		max = kvm_capability(kvm_fd, KVM_CAP_NR_VCPUS);
	/* api.rst, KVM_CREATE_VCPU: a host that tells neither supports 4. */
	return max > 0 ? (u32)max : 4;
}

static int kvm_check(struct kvm_vm *vm, struct err *e)
{
	int version = kvm_api_version(vm->kvm_fd);
	int bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (version != KVM_API_VERSION)
		return err_set(e, -ENOTSUP, "/dev/kvm speaks API version %d, not %d", version,
			       KVM_API_VERSION);
	if (bytes < (int)sizeof(struct kvm_run))
		return err_set(e, -ENOTSUP, "/dev/kvm tells a vCPU area of %d bytes: too small",
			       bytes);
	vm->run_bytes = (u32)bytes;
	return 0;
}

int kvm_vm_create(struct kvm_vm *vm, int kvm_fd, struct err *e)
{
	int status;

	*vm = (struct kvm_vm){ .kvm_fd = kvm_fd, .vm_fd = -1 };
	status = kvm_check(vm, e);
	if (status < 0)
		return status;
	do {
		vm->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (vm->vm_fd < 0 && errno == EINTR);
	return vm->vm_fd < 0 ? err_errno(e, -errno, "KVM_CREATE_VM") : 0;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	fd_close(&vm->vm_fd);
	fd_close(&vm->kvm_fd);
}

int kvm_vm_map_memory(struct kvm_vm *vm, const struct gmem *mem, struct err *e)
{
	for (u32 i = 0; i < mem->nr_regions; i++) {
		const struct gmem_region *region = &mem->regions[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = region->base_gpa,
			.memory_size = region->size_bytes,
			.userspace_addr = (u64)(uintptr_t)region->host,
		};
		int status = kvm_vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot,
					  "KVM_SET_USER_MEMORY_REGION", e);

		if (status < 0)
			return status;
	}
	return 0;
}

static int kvm_ioctl(int fd, unsigned long request, const void *arg, const char *what,
		     struct err *e)
{
	if (ioctl(fd, request, arg) < 0)
		return err_errno(e, -errno, "%s", what);
	return 0;
}

int kvm_vm_ioctl(struct kvm_vm *vm, unsigned long request, const void *arg, const char *what,
		 struct err *e)
{
	return kvm_ioctl(vm->vm_fd, request, arg, what, e);
}

void kvm_vm_set_irq(struct kvm_vm *vm, u32 gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	/* Fails only for a line that does not exist: a driver's mistake, not a guest's. */
	if (ioctl(vm->vm_fd, KVM_IRQ_LINE, &line) < 0)
		log_err("interrupt line %u cannot be driven: errno %d", gsi, errno);
}

int kvm_vcpu_create(struct kvm_vm *vm, struct kvm_vcpu *cpu, u32 index, struct err *e)
{
	void *run;

	*cpu = (struct kvm_vcpu){ .index = index, .fd = -1 };
	cpu->fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (cpu->fd < 0)
		return err_errno(e, -errno, "vCPU %u: KVM_CREATE_VCPU", index);
	run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (run == MAP_FAILED) {
		err_errno(e, -errno, "vCPU %u: map its shared area", index);
		fd_close(&cpu->fd);
		return e->code;
	}
	cpu->run = run;
	return 0;
}

void kvm_vcpu_destroy(struct kvm_vm *vm, struct kvm_vcpu *cpu)
{
	if (cpu->run)
		munmap(cpu->run, vm->run_bytes);
	cpu->run = NULL;
	fd_close(&cpu->fd);
}

int kvm_vcpu_ioctl(struct kvm_vcpu *cpu, unsigned long request, const void *arg, const char *what,
		   struct err *e)
{
	if (kvm_ioctl(cpu->fd, request, arg, what, e) < 0)
		return err_prefix(e, "vCPU %u", cpu->index);
	return 0;
}
