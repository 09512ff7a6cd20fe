// SPDX-License-Identifier: BSD-3-Clause
// A guest of a few instructions.
#include "kvm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "evl/evl.h"
#include "kvm/arch.h"
#include "util/fd.h"

enum {
	PROBE_MEM_BYTES = 0x10000,
	PROBE_EXITS = 2000,
	PROBE_LOOPS_FIRST = 100000,
	PROBE_LOOPS_MAX = 100000000,
};

static const u64 probe_enough_ns = 20000000; /* 20 ms: long against a clock's and an exit's grain */

struct probe {
	struct kvm_vm vm;
	struct kvm_vcpu cpu;
	struct gmem mem;
};

static int probe_create(struct probe *probe, int kvm_fd, struct err *e)
{
	const struct gmem_range range = { .base_gpa = 0, .size_bytes = PROBE_MEM_BYTES };
	int fd = fcntl(kvm_fd, F_DUPFD_CLOEXEC, 0);
	int status = fd < 0 ? err_errno(e, -errno, "duplicate /dev/kvm")
			    : kvm_vm_create(&probe->vm, fd, e);

	if (status == 0)
		status = gmem_create(&probe->mem, GMEM_PRIVATE, &range, 1, e);
	if (status == 0)
		status = kvm_vm_map_memory(&probe->vm, &probe->mem, e);
	if (status == 0)
		status = kvm_vcpu_create(&probe->vm, &probe->cpu, 0, e);
	if (status == 0)
		status = gmem_write(&probe->mem, 0, arch_probe_code, arch_probe_code_bytes);
	return status;
}

static void probe_destroy(struct probe *probe)
{
	kvm_vcpu_destroy(&probe->vm, &probe->cpu);
	kvm_vm_destroy(&probe->vm);
	gmem_destroy(&probe->mem);
}

/* Run to the next exit, which the guest makes after `loops` turns. */
static int probe_turn(struct probe *probe, u64 loops, u64 *elapsed_ns, struct err *e)
{
	u64 start;
	int status = arch_probe_start(&probe->cpu, loops, e);

	if (status < 0)
		return status;
	start = evl_now_ns();
	do {
		status = ioctl(probe->cpu.fd, KVM_RUN, 0);
	} while (status < 0 && (errno == EINTR || errno == EAGAIN));
	*elapsed_ns = evl_now_ns() - start;
	if (status < 0)
		return err_errno(e, -errno, "KVM_RUN of a small guest");
	if (probe->cpu.run->exit_reason != KVM_EXIT_IO &&
	    probe->cpu.run->exit_reason != KVM_EXIT_MMIO)
		return err_set(e, -EIO, "a small guest stopped with KVM exit %u",
			       probe->cpu.run->exit_reason);
	return 0;
}

static int probe_measure(struct probe *probe, struct probe_result *result, struct err *e)
{
	u64 ns = 0, total_ns = 0;
	int status = 0;

	for (u64 loops = PROBE_LOOPS_FIRST; status == 0 && loops <= PROBE_LOOPS_MAX; loops *= 10) {
		status = probe_turn(probe, loops, &ns, e);
		result->loops_per_second = loops * 1000000000 / MAX(ns, 1u);
		if (ns >= probe_enough_ns)
			break;
	}
	for (u32 i = 0; status == 0 && i < PROBE_EXITS; i++) {
		status = probe_turn(probe, 1, &ns, e);
		total_ns += ns;
		if (total_ns >= 10 * probe_enough_ns) {
			result->exit_ns = total_ns / (i + 1);
			return 0;
		}
	}
	result->exit_ns = total_ns / PROBE_EXITS;
	return status;
}

int probe_guest(int kvm_fd, struct probe_result *result, struct err *e)
{
	struct probe probe = { .vm = { .kvm_fd = -1, .vm_fd = -1 },
			       .cpu = { .fd = -1 },
			       .mem = { .memfd = -1 } };
	int status = probe_create(&probe, kvm_fd, e);

	if (status == 0)
		status = probe_measure(&probe, result, e);
	probe_destroy(&probe);
	return status;
}
