// SPDX-License-Identifier: BSD-3-Clause
// Run a vCPU: KVM_RUN and what it returns with (Documentation/virt/kvm/api.rst, section 5).
#include "kvm/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/arch.h"
#include "util/log.h"

/* `what` is "port" or "address". */
static void trace_unanswered(struct kvm_vcpu *cpu, const char *what, u64 where, u32 len,
			     bool is_write)
{
	if (IS_ENABLED(CONFIG_TRACE_IO))
		log_guest(&cpu->trace_limit,
			  "vCPU %u: nobody answers a %s of %u bytes at %s 0x%llx", cpu->index,
			  is_write ? "write" : "read", len, what, (unsigned long long)where);
}

static void run_io(struct kvm_vcpu *cpu, const struct bus *pio)
{
	struct kvm_run *run = cpu->run;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT, answered;
	u8 *data = (u8 *)run + run->io.data_offset;

	/* A string instruction's repetitions come at once; each is an access of its own. */
	for (u32 i = 0; i < run->io.count; i++, data += run->io.size) {
		answered = is_write ? bus_write(pio, run->io.port, data, run->io.size)
				    : bus_read(pio, run->io.port, data, run->io.size);
		if (!answered)
			trace_unanswered(cpu, "port", run->io.port, run->io.size, is_write);
	}
}

static void run_mmio(struct kvm_vcpu *cpu, const struct bus *mmio)
{
	struct kvm_run *run = cpu->run;
	u64 gpa = run->mmio.phys_addr;
	bool answered = run->mmio.is_write ? bus_write(mmio, gpa, run->mmio.data, run->mmio.len)
					   : bus_read(mmio, gpa, run->mmio.data, run->mmio.len);

	if (!answered)
		trace_unanswered(cpu, "address", gpa, run->mmio.len, run->mmio.is_write);
}

static void stop_set(struct kvm_stop *stop, enum kvm_stop_reason reason, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void stop_set(struct kvm_stop *stop, enum kvm_stop_reason reason, const char *fmt, ...)
{
	va_list args;

	stop->reason = reason;
	va_start(args, fmt);
	vsnprintf(stop->text, sizeof(stop->text), fmt, args);
	va_end(args);
}

static void stop_system_event(struct kvm_vcpu *cpu, struct kvm_stop *stop)
{
	switch (cpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		stop_set(stop, KVM_STOP_POWER_OFF, "system event: shutdown");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		stop_set(stop, KVM_STOP_RESET, "system event: reset");
		break;
	default:
		stop_set(stop, KVM_STOP_CRASH, "system event %u", cpu->run->system_event.type);
	}
}

static void stop_internal_error(struct kvm_vcpu *cpu, struct kvm_stop *stop)
{
	u32 suberror = cpu->run->internal.suberror;

	stop_set(stop, KVM_STOP_ERROR, "KVM internal error %u%s at address 0x%llx", suberror,
		 suberror == KVM_INTERNAL_ERROR_EMULATION ? " (it cannot emulate an instruction)"
							  : "",
		 (unsigned long long)arch_vcpu_pc(cpu));
}

/* Return: whether the vCPU may run on. */
static bool run_handle_exit(struct kvm_vcpu *cpu, const struct bus *pio, const struct bus *mmio,
			    struct kvm_stop *stop)
{
	switch (cpu->run->exit_reason) {
	case KVM_EXIT_IO:
		run_io(cpu, pio);
		return true;
	case KVM_EXIT_MMIO:
		run_mmio(cpu, mmio);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN:
		stop_set(stop, KVM_STOP_SHUTDOWN, "triple fault");
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		stop_system_event(cpu, stop);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		stop_internal_error(cpu, stop);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		stop_set(stop, KVM_STOP_ERROR, "the CPU refused to enter the guest (reason 0x%llx)",
			 (unsigned long long)cpu->run->fail_entry.hardware_entry_failure_reason);
		return false;
	default:
		stop_set(stop, KVM_STOP_ERROR, "KVM exit %u is not known to Kiln",
			 cpu->run->exit_reason);
		return false;
	}
}

void kvm_vcpu_run(struct kvm_vcpu *cpu, const struct bus *pio, const struct bus *mmio,
		  struct kvm_stop *stop)
{
	for (;;) {
		if (ioctl(cpu->fd, KVM_RUN, 0) == 0) {
			if (!run_handle_exit(cpu, pio, mmio, stop))
				return;
		} else if (errno == EINTR) {
			stop_set(stop, KVM_STOP_KICKED, "kicked");
			return;
		} else if (errno != EAGAIN) {
			stop_set(stop, KVM_STOP_ERROR, "KVM_RUN: %s", strerror(errno));
			return;
		}
	}
}
