// SPDX-License-Identifier: BSD-3-Clause
// The vm process: one machine, from its setup to its end.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "dev/dev_class.h"
#include "evl/evl.h"
#include "jail/process.h"
#include "kvm/arch.h"
#include "kvm/event.h"
#include "kvm/run.h"
#include "mem/guest_mem.h"
#include "vm/setup.h"

struct vm;

enum {
	VM_IRQ_LINES = 24,        /* the I/O APIC's pins */
	VM_LINE_USERS_MAX = 64,   /* platform devices from 0, virtio devices from VM_DEVICES_MAX */
	VM_KICK_SIGNAL = SIGUSR1, /* makes a vCPU thread leave KVM_RUN */
};

/*
 * vCPU threads, each under its filter, wait here until the main thread is under its own: it holds
 * the lock from before their start until it has decided.
 */
struct vm_gate {
	pthread_mutex_t lock;
	bool open; /* guarded by lock: the guest is to run */
};

/* Owner: its thread; `cpu` is read by vm_end, the last fields belong to src/vm/halt.c. */
struct vm_cpu {
	struct vm *vm;
	struct kvm_vcpu cpu;
	pthread_t thread;
	bool started;
	atomic_bool dead;     /* halted with interrupts off when it last looked */
	_Atomic u32 nr_stops; /* returns from kvm_vcpu_run: signs of life */
	u32 stops_before;     /* nr_stops at the last look; the main thread's */
};

/*
 * Owner: the main thread. vCPU threads read what was set up before they began, and call vm_end
 * and the device host's verbs.
 */
struct vm {
	const struct vm_setup *setup;
	struct boot_source
		boot; /* the setup's, with the words that devices add to the command line */
	struct evl evl;
	struct gmem mem;
	struct kvm_vm kvm;
	struct bus pio, mmio;
	struct dev_host host;
	struct dev *devices[VM_DEVICES_MAX];
	u32 nr_devices, nr_cpus;
	struct vm_cpu *cpus;

	pthread_mutex_t irq_lock; /* guards irq_levels and the order in which KVM hears of them */
	u64 irq_levels[VM_IRQ_LINES]; /* for each line, a bit for each device that asserts it */
	struct kvm_routes routes;
	struct doorbell_host doorbells;
	struct vm_virtio_devices *virtio; /* src/vm/virtio.c; NULL without any */

	struct vm_gate gate;

	atomic_bool ending;
	enum vm_end end; /* written once, by whoever set `ending`, before end_event */
	char end_text[256];
	int end_event; /* eventfd: wakes the main thread */
	struct evl_source end_source, channel_source;
	struct evl_timer halt_timer;
};

/* vm_process_main - the vm process from its first message to its exit code. `user_ns` as in
 * jail_enter. Context: fresh process. */
int vm_process_main(bool user_ns);

/*
 * vm_end - end the machine: the first caller's reason counts. Every vCPU stops before its guest's
 * next instruction. Context: any thread; returns at once.
 */
void vm_end(struct vm *vm, enum vm_end end, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* vm_host_init - the verbs that devices call (src/vm/host.c). Context: vm main. */
void vm_host_init(struct vm *vm);

/* vm_doorbells_init - the verbs that virtio transports call (src/vm/doorbell.c). Context: vm main. */
void vm_doorbells_init(struct vm *vm);

/*
 * vm_set_line - drive interrupt line `gsi` for user `slot` (below VM_LINE_USERS_MAX): a line is high
 * while any user holds it; KVM hears of changes only. Context: any thread.
 */
void vm_set_line(struct vm *vm, u32 gsi, u32 slot, bool level);

/*
 * vm_virtio_create - greet the device processes and put their devices on the machine's transport;
 * words for the kernel's command line are added to `cmdline` (ARCH_CMDLINE_BYTES). Return: 0 or
 * -errno with words. vm_virtio_destroy - reset and remove them; vCPUs are stopped. Context: vm main.
 */
int vm_virtio_create(struct vm *vm, struct fdset *fds, char *cmdline, struct err *e);
void vm_virtio_destroy(struct vm *vm);

/* vm_gate_decide - let the vCPU threads run the guest, or end. Context: vm main, once. */
void vm_gate_decide(struct vm *vm, bool run);

/*
 * vm_cpus_create, vm_cpus_start, vm_cpus_stop - vCPUs set up; their threads filtered and waiting
 * at the gate; their threads ended and joined. Return: 0 or -errno with words. Context: vm main.
 */
int vm_cpus_create(struct vm *vm, const struct boot_entry *entry, struct err *e);
int vm_cpus_start(struct vm *vm, struct err *e);
void vm_cpus_stop(struct vm *vm);

/* vm_halt_watch - end the machine once all vCPUs have halted for good (CONFIG_HALT_WATCH). */
int vm_halt_watch(struct vm *vm, struct err *e);

/* vm_filter - confine the calling thread to a baked policy, if this machine is jailed. */
static inline int vm_filter(const struct vm *vm, const char *policy, struct err *e)
{
	return vm->setup->jailed ? process_filter(policy, e) : 0;
}
