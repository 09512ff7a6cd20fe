// SPDX-License-Identifier: BSD-3-Clause
// The in-kernel interrupt controllers (two 8259, I/O APIC, local APICs) and the 8254 timer of
// x86_64.
#include "kvm/arch.h"

#include "layout.h"

int arch_irqchip_create(struct kvm_vm *vm, struct err *e)
{
	const u64 identity_map_gpa = LAYOUT_KVM_IDENTITY_MAP_GPA;
	/*
	 * The dummy speaker answers port 0x61, which kernels read while they calibrate their
	 * clocks.
	 */
	const struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int status;

	/*
	 * Real-mode helpers of KVM on Intel hosts: both must be out of RAM's way (api.rst 4.21,
	 * 4.34).
	 */
	status = kvm_vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map_gpa,
			      "KVM_SET_IDENTITY_MAP_ADDR", e);
	if (status == 0)
		status = kvm_vm_ioctl(vm, KVM_SET_TSS_ADDR, (const void *)LAYOUT_KVM_TSS_GPA,
				      "KVM_SET_TSS_ADDR", e);
	if (status == 0)
		status = kvm_vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP", e);
	if (status == 0)
		status = kvm_vm_ioctl(vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2", e);
	return status;
}

u32 arch_irq_lines(void)
{
	return LAYOUT_IOAPIC_PINS;
}

/* As KVM has it before anybody asks: line n to pin n of the I/O APIC and, for ISA's, of the 8259s. */
u32 arch_irq_routes(struct kvm_irq_routing_entry *routes, u32 max)
{
	u32 nr = 0;

	for (u32 gsi = 0; gsi < LAYOUT_IOAPIC_PINS && nr + 2 <= max; gsi++) {
		routes[nr++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi },
		};
		if (gsi >= LAYOUT_ISA_IRQS)
			continue;
		routes[nr++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER
							  : KVM_IRQCHIP_PIC_SLAVE,
				       .pin = gsi % 8 },
		};
	}
	return nr;
}

u32 arch_vcpus_max(void)
{
	return LAYOUT_CPUS_MAX;
}
