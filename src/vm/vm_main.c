// SPDX-License-Identifier: BSD-3-Clause
// The vm process from its first message to its exit code.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/channel.h"
#include "util/fd.h"
#include "util/log.h"
#include "vm/vm.h"

void vm_end(struct vm *vm, enum vm_end end, const char *fmt, ...)
{
	const u64 one = 1;
	va_list args;

	if (atomic_exchange(&vm->ending, true))
		return;
	vm->end = end;
	va_start(args, fmt);
	vsnprintf(vm->end_text, sizeof(vm->end_text), fmt, args);
	va_end(args);
	for (u32 i = 0; i < vm->nr_cpus; i++)
		kvm_vcpu_kick(&vm->cpus[i].cpu);
	fd_write(vm->end_event, &one, sizeof(one));
}

static void end_ready(struct evl_source *source, u32 epoll_events)
{
	struct vm *vm = container_of(source, struct vm, end_source);

	(void)epoll_events;
	evl_stop(&vm->evl);
}

/* The first device that knows the verb: the console's line, the one power button. */
static void vm_break(struct vm *vm)
{
	for (u32 i = 0; i < vm->nr_devices; i++) {
		if (vm->devices[i]->cls->line_break) {
			vm->devices[i]->cls->line_break(vm->devices[i]);
			return;
		}
	}
}

static void vm_press_power_button(struct vm *vm)
{
	for (u32 i = 0; i < vm->nr_devices; i++) {
		if (vm->devices[i]->cls->power_button) {
			vm->devices[i]->cls->power_button(vm->devices[i]);
			return;
		}
	}
	log_warn("this machine has no power button (CONFIG_ACPI_PM)");
}

static void channel_ready(struct evl_source *source, u32 epoll_events)
{
	struct vm *vm = container_of(source, struct vm, channel_source);
	struct message message;
	int got = channel_receive(PROCESS_FD_CHANNEL, &message, MSG_DONTWAIT);

	(void)epoll_events;
	if (got == -EAGAIN)
		return;
	if (got <= 0) {
		vm_end(vm, VM_END_FAILED, "the supervisor is gone");
		evl_remove(&vm->evl, source);
	} else if (message.type == MESSAGE_STOP) {
		vm_end(vm, (enum vm_end)message.code, "%s", message.text);
	} else if (message.type == MESSAGE_BREAK) {
		vm_break(vm);
	} else if (message.type == MESSAGE_POWER_BUTTON) {
		vm_press_power_button(vm);
	}
}

static int vm_create_loop(struct vm *vm, struct err *e)
{
	int status = evl_create(&vm->evl);

	vm->end_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->end_event < 0)
		return err_errno(e, -errno, "eventfd");
	if (status == 0)
		status = evl_add(&vm->evl, &vm->end_source, vm->end_event, EPOLLIN, end_ready);
	if (status == 0)
		status = evl_add(&vm->evl, &vm->channel_source, PROCESS_FD_CHANNEL, EPOLLIN,
				 channel_ready);
	return status < 0 ? err_errno(e, status, "event loop") : 0;
}

static int vm_create_memory(struct vm *vm, struct err *e)
{
	struct gmem_range ranges[GMEM_REGIONS_MAX];
	int nr = arch_mem_layout(vm->setup->mem_bytes, ranges, e);
	int status = nr < 0 ? nr
			    : gmem_create(&vm->mem,
					  vm->setup->nr_vdevs > 0 ? GMEM_SHARED : GMEM_PRIVATE,
					  ranges, (u32)nr, e);

	if (status == 0)
		status = kvm_vm_map_memory(&vm->kvm, &vm->mem, e);
	vm->host.ram = arch_ram_layout(&vm->mem);
	vm->host.ecam_gpa = arch_ecam_gpa();
	arch_pci_window(&vm->host.pci_window_gpa, &vm->host.pci_window_bytes);
	return status;
}

static int vm_create_devices(struct vm *vm, struct fdset *fds, struct err *e)
{
	for (u32 i = 0; i < vm->setup->nr_devices; i++) {
		const struct vm_setup_device *want = &vm->setup->devices[i];
		const struct dev_class *cls = dev_class_find(want->name);

		if (!cls)
			return err_set(e, -ENOENT, "no device class '%s'", want->name);
		vm->devices[i] = dev_create(cls, want->index, i, &vm->host,
					    vm->setup->cfg + want->cfg_offset, fds, e);
		if (!vm->devices[i])
			return e->code;
		vm->nr_devices++;
	}
	return 0;
}

static int vm_create_virtio(struct vm *vm, struct fdset *fds, struct err *e)
{
	return IS_ENABLED(CONFIG_VIRTIO) ? vm_virtio_create(vm, fds, vm->boot.cmdline, e) : 0;
}

static int vm_load(struct vm *vm, struct fdset *fds, struct boot_entry *entry, struct err *e)
{
	const struct vm_setup *setup = vm->setup;
	const struct arch_machine machine = {
		.mem = &vm->mem,
		.nr_cpus = setup->nr_cpus,
		.nr_virtio_mmio = setup->virtio == VM_VIRTIO_MMIO ? setup->nr_vdevs : 0,
	};
	struct boot_source source = vm->boot;
	cleanup_fd int kernel_fd = fdset_take(fds, source.kernel_fd);
	cleanup_fd int initrd_fd = fdset_take(fds, source.initrd_fd);
	int status;

	source.kernel_fd = kernel_fd;
	source.initrd_fd = initrd_fd;
	status = arch_boot_load(&machine, &source, entry, e);
	if (status < 0) {
		vm->end = VM_END_INVALID; /* a file the user named, not the host, is at fault */
		return status;
	}
	return arch_tables_write(&machine, e);
}

/* Everything up to the vCPUs' threads, in the jail and under the set-up's filter. */
static int vm_build(struct vm *vm, struct fdset *fds, struct err *e)
{
	struct boot_entry entry = { 0 };
	int status = vm_filter(vm, "vm_setup", e);

	if (status == 0)
		status = vm_create_loop(vm, e);
	if (status == 0)
		status = kvm_vm_create(&vm->kvm, VM_FD_KVM, e);
	if (status == 0)
		status = vm_create_memory(vm, e);
	if (status == 0)
		status = arch_irqchip_create(&vm->kvm, e);
	if (status == 0)
		status = vm_create_devices(vm, fds, e);
	if (status == 0)
		status = vm_create_virtio(vm, fds, e);
	if (status == 0)
		status = vm_load(vm, fds, &entry, e);
	if (status == 0)
		status = vm_cpus_create(vm, &entry, e);
	if (status == 0 && IS_ENABLED(CONFIG_HALT_WATCH))
		status = vm_halt_watch(vm, e);
	return status;
}

/* From here the guest runs: each thread under its own filter before the first instruction. */
static int vm_run(struct vm *vm, struct err *e)
{
	int status = vm_cpus_start(vm, e);

	if (status == 0)
		status = vm_filter(vm, "vm_main", e);
	if (status < 0) {
		vm_gate_decide(vm, false);
		return status;
	}
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_READY, 0, NULL);
	vm_gate_decide(vm, true);
	status = evl_run(&vm->evl);
	if (status < 0)
		vm_end(vm, VM_END_FAILED, "event loop: %s", strerror(-status));
	return 0;
}

/*
 * Stop the guest and let devices write out what they hold: the last output is the most wanted.
 * The rest is left to the process's end: KVM takes a machine down in half the time once the
 * memory map is gone, because it then skips its own memory slots, each a wait for all readers.
 */
static void vm_finish(struct vm *vm)
{
	vm_cpus_stop(vm);
	if (IS_ENABLED(CONFIG_VIRTIO))
		vm_virtio_destroy(vm);
	while (vm->nr_devices > 0)
		dev_destroy(vm->devices[--vm->nr_devices]);
}

static int vm_receive_setup(struct vm_setup *setup, struct fdset *fds)
{
	ssize_t got = recv(PROCESS_FD_CHANNEL, setup, sizeof(*setup), 0);

	if (got < (ssize_t)offsetof(struct vm_setup, cfg) ||
	    got != (ssize_t)(offsetof(struct vm_setup, cfg) + setup->cfg_used))
		return -EPROTO;
	fds->count = setup->nr_fds;
	for (u32 i = 0; i < setup->nr_fds; i++)
		fds->fds[i] = PROCESS_FD_FIRST + (int)i;
	return 0;
}

int vm_process_main(bool user_ns)
{
	struct vm_setup *setup = calloc(1, sizeof(*setup));
	struct vm *vm = calloc(1, sizeof(*vm));
	struct err e = { 0 };
	struct fdset fds;
	int status;

	process_begin("kiln-vm");
	if (!setup || !vm || vm_receive_setup(setup, &fds) < 0) {
		free(setup);
		free(vm);
		return VM_END_FAILED;
	}
	*vm = (struct vm){ .setup = setup,
			   .boot = setup->boot,
			   .end = VM_END_FAILED,
			   .end_event = -1,
			   .mem.memfd = -1,
			   .kvm = { .kvm_fd = -1, .vm_fd = -1 } };
	vm_host_init(vm);
	status = IS_ENABLED(CONFIG_JAIL) && setup->jailed ? process_enter_jail(user_ns, &e) : 0;
	if (status == 0)
		status = vm_build(vm, &fds, &e);
	if (status == 0)
		status = vm_run(vm, &e);
	vm_finish(vm);
	channel_send(PROCESS_FD_CHANNEL, MESSAGE_ENDED, (s32)vm->end,
		     status < 0 ? e.text : vm->end_text);
	return (int)vm->end;
}
