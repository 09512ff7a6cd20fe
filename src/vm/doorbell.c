// SPDX-License-Identifier: BSD-3-Clause
// The machine's doorbells and interrupts as virtio transports see them.
#include "bus/doorbell.h"

#include <errno.h>

#include "vm/vm.h"

static struct vm *vm_of(struct doorbell_host *host)
{
	return container_of(host, struct vm, doorbells);
}

static int host_bind_doorbell(struct doorbell_host *host, const struct doorbell *bell, int fd,
			      bool bound)
{
	return kvm_bind_doorbell(&vm_of(host)->kvm, bell, fd, bound);
}

static int host_msi_alloc(struct doorbell_host *host)
{
	return kvm_routes_add_msi(&vm_of(host)->routes);
}

static int host_msi_set(struct doorbell_host *host, u32 source, const struct msi_message *msg)
{
	struct vm *vm = vm_of(host);

	return kvm_routes_set_msi(&vm->kvm, &vm->routes, source, msg);
}

static int host_bind_irq(struct doorbell_host *host, u32 gsi, int fd, bool bound)
{
	return kvm_bind_irq(&vm_of(host)->kvm, gsi, fd, bound);
}

static void host_set_line(struct doorbell_host *host, u32 gsi, u32 slot, bool level)
{
	vm_set_line(vm_of(host), gsi, slot, level);
}

void vm_doorbells_init(struct vm *vm)
{
	kvm_routes_init(&vm->routes);
	vm->doorbells = (struct doorbell_host){
		.bind_doorbell = host_bind_doorbell,
		.msi_alloc = host_msi_alloc,
		.msi_set = host_msi_set,
		.bind_irq = host_bind_irq,
		.set_line = host_set_line,
	};
}
