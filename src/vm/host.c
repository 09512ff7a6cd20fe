// SPDX-License-Identifier: BSD-3-Clause
// The machine as its devices see it.
#include <time.h>

#include "util/log.h"
#include "vm/vm.h"

static struct vm *vm_of(struct dev_host *host)
{
	return container_of(host, struct vm, host);
}

void vm_set_line(struct vm *vm, u32 gsi, u32 slot, bool level)
{
	u64 bit = 1ull << slot, before;

	if (gsi >= VM_IRQ_LINES)
		return;
	pthread_mutex_lock(&vm->irq_lock);
	before = vm->irq_levels[gsi];
	vm->irq_levels[gsi] = level ? before | bit : before & ~bit;
	if (!before != !vm->irq_levels[gsi])
		kvm_vm_set_irq(&vm->kvm, gsi, level);
	pthread_mutex_unlock(&vm->irq_lock);
}

static void host_set_irq(struct dev_host *host, struct dev *dev, u32 gsi, bool level)
{
	vm_set_line(vm_of(host), gsi, dev->slot, level);
}

static void host_event(struct dev_host *host, struct dev *dev, enum dev_event event, u32 value)
{
	struct vm *vm = vm_of(host);
	const char *name = dev->cls->name;

	switch (event) {
	case DEV_EVENT_POWER_OFF:
		vm_end(vm, VM_END_POWER_OFF, "the guest powered off (%s)", name);
		break;
	case DEV_EVENT_RESET:
		vm_end(vm, VM_END_RESET, "the guest asked for a reset (%s)", name);
		break;
	case DEV_EVENT_PANIC:
		vm_end(vm, VM_END_PANIC, "the guest's kernel panicked (%s)", name);
		break;
	case DEV_EVENT_CRASH_LOADED:
		dev_log(dev, "the guest's kernel panicked and starts its crash kernel");
		break;
	case DEV_EVENT_EXIT_CODE:
		vm_end(vm, (enum vm_end)value, "the guest ended with exit code %u (%s)", value,
		       name);
		break;
	}
}

static u64 host_realtime_ns(struct dev_host *host)
{
	struct timespec now;

	(void)host;
	clock_gettime(CLOCK_REALTIME, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void vm_host_init(struct vm *vm)
{
	pthread_mutex_init(&vm->irq_lock, NULL);
	vm->pio.name = "port I/O";
	vm->mmio.name = "MMIO";
	vm->host = (struct dev_host){
		.evl = &vm->evl,
		.pio = &vm->pio,
		.mmio = &vm->mmio,
		.set_irq = host_set_irq,
		.event = host_event,
		.realtime_ns = host_realtime_ns,
	};
}
