// SPDX-License-Identifier: BSD-3-Clause
// KVM's ioeventfds, irqfds and interrupt routes: the machine's doorbells (bus/doorbell.h).
#pragma once

#include <pthread.h>

#include "bus/doorbell.h"
#include "kvm/kvm.h"

enum { KVM_ROUTES_MAX = 64 + MSI_ROUTES_MAX };

/* `lock` guards the routes; the first `nr_fixed` are the interrupt controllers' own. */
struct kvm_routes {
	pthread_mutex_t lock;
	u32 nr_fixed, nr_msis;
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[KVM_ROUTES_MAX];
	} table;
};

/* kvm_routes_init - the controllers' routes; KVM has them already. Context: vm main. */
void kvm_routes_init(struct kvm_routes *routes);

/* kvm_routes_add_msi - one more source. Return: its GSI, or -ENOSPC. Context: vm main. */
int kvm_routes_add_msi(struct kvm_routes *routes);

/* kvm_routes_set_msi - tell KVM what source `gsi` sends. Return: 0 or -errno. Context: any. */
int kvm_routes_set_msi(struct kvm_vm *vm, struct kvm_routes *routes, u32 gsi,
		       const struct msi_message *msg);

/* kvm_bind_doorbell, kvm_bind_irq - as doorbell_host's. Return: 0 or -errno. Context: any. */
int kvm_bind_doorbell(struct kvm_vm *vm, const struct doorbell *bell, int fd, bool bound);
int kvm_bind_irq(struct kvm_vm *vm, u32 gsi, int fd, bool bound);
