// SPDX-License-Identifier: BSD-3-Clause
// End a machine whose vCPUs have all halted with interrupts off: nothing will ever wake them.
//
// That is how a kernel stops that has no way to switch the power off. KVM does not tell of it, so
// once a second every vCPU that made no exit meanwhile is interrupted and looks at itself.
#include <pthread.h>
#include <signal.h>

#include "vm/vm.h"

enum { HALT_PERIOD_MS = 1000 };

static void halt_tick(struct evl_timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, halt_timer);
	bool all_dead = true;

	for (u32 i = 0; i < vm->nr_cpus; i++) {
		struct vm_cpu *cpu = &vm->cpus[i];
		u32 stops = atomic_load(&cpu->nr_stops);

		all_dead &= atomic_load(&cpu->dead);
		if (stops == cpu->stops_before)
			pthread_kill(cpu->thread, VM_KICK_SIGNAL);
		cpu->stops_before = stops;
	}
	if (all_dead)
		vm_end(vm, VM_END_POWER_OFF,
		       "the guest halted: every vCPU sleeps with interrupts off");
}

int vm_halt_watch(struct vm *vm, struct err *e)
{
	int status = evl_timer_create(&vm->evl, &vm->halt_timer, halt_tick);

	if (status < 0)
		return err_errno(e, status, "a timer");
	evl_timer_set(&vm->halt_timer, HALT_PERIOD_MS * 1000000ull, HALT_PERIOD_MS * 1000000ull);
	return 0;
}
