// SPDX-License-Identifier: BSD-3-Clause
// vCPU threads: started behind a gate, run until the machine ends, stopped by signal.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "vm/vm.h"

enum { VCPU_STACK_BYTES = 64 * 1024 };

/* The signal only interrupts KVM_RUN: its handler has nothing to do. */
static void kick_handler(int signal_number)
{
	(void)signal_number;
}

static enum vm_end vm_end_of_stop(enum kvm_stop_reason reason)
{
	switch (reason) {
	case KVM_STOP_POWER_OFF:
		return VM_END_POWER_OFF;
	case KVM_STOP_RESET:
		return VM_END_RESET;
	case KVM_STOP_SHUTDOWN:
	case KVM_STOP_CRASH:
	case KVM_STOP_ERROR:
	case KVM_STOP_KICKED:
		return VM_END_CRASH;
	}
	return VM_END_FAILED;
}

void vm_gate_decide(struct vm *vm, bool run)
{
	vm->gate.open = run;
	pthread_mutex_unlock(&vm->gate.lock);
}

/* Return: whether the guest is to run. */
static bool gate_wait(struct vm_gate *gate)
{
	bool run;

	pthread_mutex_lock(&gate->lock);
	run = gate->open;
	pthread_mutex_unlock(&gate->lock);
	return run;
}

static void *cpu_thread(void *opaque)
{
	struct vm_cpu *self = opaque;
	struct vm *vm = self->vm;
	struct kvm_stop stop;
	struct err e;

	prctl(PR_SET_NAME, "kiln-vcpu", 0, 0, 0);
	if (vm_filter(vm, "vcpu", &e) < 0)
		vm_end(vm, VM_END_FAILED, "vCPU %u: %s", self->cpu.index, e.text);
	if (!gate_wait(&vm->gate))
		return NULL;
	while (!atomic_load(&vm->ending)) {
		kvm_vcpu_run(&self->cpu, &vm->pio, &vm->mmio, &stop);
		atomic_fetch_add(&self->nr_stops, 1);
		if (IS_ENABLED(CONFIG_HALT_WATCH))
			atomic_store(&self->dead, arch_vcpu_is_dead(&self->cpu));
		if (stop.reason != KVM_STOP_KICKED)
			vm_end(vm, vm_end_of_stop(stop.reason), "vCPU %u: %s", self->cpu.index,
			       stop.text);
	}
	return NULL;
}

int vm_cpus_create(struct vm *vm, const struct boot_entry *entry, struct err *e)
{
	const struct arch_machine machine = { .mem = &vm->mem, .nr_cpus = vm->setup->nr_cpus };

	vm->cpus = calloc(machine.nr_cpus, sizeof(*vm->cpus));
	if (!vm->cpus)
		return err_set(e, -ENOMEM, "no memory for %u vCPUs", machine.nr_cpus);
	while (vm->nr_cpus < machine.nr_cpus) {
		struct vm_cpu *self = &vm->cpus[vm->nr_cpus];
		int status = kvm_vcpu_create(&vm->kvm, &self->cpu, vm->nr_cpus, e);

		if (status < 0)
			return status;
		self->vm = vm;
		vm->nr_cpus++;
		status = arch_vcpu_setup(&vm->kvm, &self->cpu, &machine, entry, e);
		if (status < 0)
			return status;
	}
	return 0;
}

int vm_cpus_start(struct vm *vm, struct err *e)
{
	struct sigaction kick = { .sa_handler = kick_handler };
	pthread_attr_t attr;
	int status = 0;

	sigaction(VM_KICK_SIGNAL, &kick, NULL);
	pthread_mutex_init(&vm->gate.lock, NULL);
	pthread_mutex_lock(&vm->gate.lock);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_BYTES);
	for (u32 i = 0; i < vm->nr_cpus && status == 0; i++) {
		status = pthread_create(&vm->cpus[i].thread, &attr, cpu_thread, &vm->cpus[i]);
		vm->cpus[i].started = status == 0;
	}
	pthread_attr_destroy(&attr);
	return status ? err_errno(e, -status,
				  "start the threads of %u vCPUs (is the number of processes "
				  "limited?)",
				  vm->nr_cpus)
		      : 0;
}

void vm_cpus_stop(struct vm *vm)
{
	for (u32 i = 0; i < vm->nr_cpus; i++) {
		kvm_vcpu_kick(&vm->cpus[i].cpu);
		if (vm->cpus[i].started)
			pthread_kill(vm->cpus[i].thread, VM_KICK_SIGNAL);
	}
	for (u32 i = 0; i < vm->nr_cpus; i++) {
		if (vm->cpus[i].started)
			pthread_join(vm->cpus[i].thread, NULL);
		vm->cpus[i].started = false;
	}
}
