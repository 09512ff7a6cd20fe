// SPDX-License-Identifier: BSD-3-Clause
// KVM's ioeventfds, irqfds and interrupt routes (Linux, Documentation/virt/kvm/api.rst).
#include "kvm/event.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "kvm/arch.h"

void kvm_routes_init(struct kvm_routes *routes)
{
	pthread_mutex_init(&routes->lock, NULL);
	routes->nr_fixed = arch_irq_routes(routes->table.entries, KVM_ROUTES_MAX - MSI_ROUTES_MAX);
	routes->nr_msis = 0;
}

int kvm_routes_add_msi(struct kvm_routes *routes)
{
	if (routes->nr_msis >= MSI_ROUTES_MAX)
		return -ENOSPC;
	/* A source without a message yet has no route: nothing is to be raised by it. */
	return (int)(arch_irq_lines() + routes->nr_msis++);
}

/* The source's place in the table, or the first free one. */
static u32 find_route(const struct kvm_routes *routes, u32 gsi)
{
	u32 i = routes->nr_fixed;

	while (i < routes->table.head.nr && routes->table.entries[i].gsi != gsi)
		i++;
	return i;
}

/* The table goes to KVM as a whole: an entry that it refuses must not stay, or it refuses all. */
static int put_route(struct kvm_vm *vm, struct kvm_routes *routes,
		     const struct kvm_irq_routing_entry *entry)
{
	struct kvm_irq_routing *head = &routes->table.head;
	u32 at = find_route(routes, entry->gsi), nr_before = head->nr;
	struct kvm_irq_routing_entry before = routes->table.entries[at];
	int status;

	routes->table.entries[at] = *entry;
	head->nr = MAX(nr_before, at + 1);
	status = ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, head) < 0 ? -errno : 0;
	if (status < 0) {
		routes->table.entries[at] = before;
		head->nr = nr_before;
	}
	return status;
}

int kvm_routes_set_msi(struct kvm_vm *vm, struct kvm_routes *routes, u32 gsi,
		       const struct msi_message *msg)
{
	const struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (u32)msg->addr,
			   .address_hi = (u32)(msg->addr >> 32),
			   .data = msg->data },
	};
	int status;

	if (gsi < arch_irq_lines() || gsi - arch_irq_lines() >= routes->nr_msis)
		return -EINVAL;
	pthread_mutex_lock(&routes->lock);
	if (routes->table.head.nr == 0)
		routes->table.head.nr = routes->nr_fixed;
	status = put_route(vm, routes, &entry);
	pthread_mutex_unlock(&routes->lock);
	return status;
}

int kvm_bind_doorbell(struct kvm_vm *vm, const struct doorbell *bell, int fd, bool bound)
{
	const struct kvm_ioeventfd request = {
		.addr = bell->addr,
		.len = bell->len,
		.datamatch = bell->value,
		.fd = fd,
		.flags = (bell->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
			 (bound ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return ioctl(vm->vm_fd, KVM_IOEVENTFD, &request) < 0 ? -errno : 0;
}

int kvm_bind_irq(struct kvm_vm *vm, u32 gsi, int fd, bool bound)
{
	const struct kvm_irqfd request = {
		.fd = (u32)fd,
		.gsi = gsi,
		.flags = bound ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return ioctl(vm->vm_fd, KVM_IRQFD, &request) < 0 ? -errno : 0;
}
