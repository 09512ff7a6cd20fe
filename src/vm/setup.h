// SPDX-License-Identifier: BSD-3-Clause
// A machine as the supervisor describes it to the vm process: the first message of its channel.
#pragma once

#include "dev/dev_class.h"
#include "jail/process.h"
#include "kvm/arch.h"
#include "util/types.h"
#include "util/unix_socket.h"

enum { VM_FD_KVM = PROCESS_FD_OWN };

enum {
	VM_VDEVS_MAX = 16,    /* virtio devices */
	VM_DEVICES_MAX = 32,  /* one bit each in an interrupt line's OR */
	VM_CFG_BYTES = 32768, /* all devices' configurations */
};

/* How a machine ended. The numbers are exit codes of `kiln run`. */
enum vm_end {
	VM_END_POWER_OFF = 0, /* also: stopped by the user in order */
	VM_END_FAILED = 1,    /* something of Kiln's own or of the host */
	VM_END_RESET = 32,
	VM_END_CRASH = 33,
	VM_END_PANIC = 34,
	VM_END_INVALID = 35, /* arguments, or a file they name, make no machine */
	VM_END_WATCHDOG = 36,
};

/* A device instance: class by name, configuration bytes at `cfg_offset` of the setup. */
struct vm_setup_device {
	char name[24];
	u32 index, cfg_offset, cfg_bytes;
};

/* The transport of the machine's virtio devices. */
enum vm_virtio {
	VM_VIRTIO_AUTO, /* PCI where it is built in */
	VM_VIRTIO_PCI,
	VM_VIRTIO_MMIO,
};

/* Of a device whose vhost-user back-end is somebody else's: src/vm/remote.h. */
struct vm_setup_remote {
	char path[UNIX_PATH_BYTES]; /* where it listens; "": the back-end is a process of ours */
	u32 type;                   /* index of its remote_type */
	u32 queues;                 /* 0: as the type has it */
	u32 given_bytes;            /* of configuration space, from its start: the user's words */
	u8 given[48];
	u64 given_features; /* go with it: the back-end need not have them */
};

/* A virtio device: how the guest sees it; what it does is behind a vhost-user socket. */
struct vm_setup_vdev {
	char name[32]; /* "virtio-rng.0" */
	u16 virtio_id, queue_size_max;
	u32 nr_queues, config_bytes; /* a remote's number of rings is found out */
	int socket_index;            /* of the fdset */
	struct vm_setup_remote remote;
};

/*
 * Everything the vm process needs to know. Same binary on both sides, so plain memory. The
 * kernel_fd and initrd_fd of `boot` are indices into the fdset.
 */
struct vm_setup {
	u64 mem_bytes;
	u32 nr_cpus, nr_fds, nr_devices, cfg_used;
	bool jailed;
	enum vm_virtio virtio;
	u32 nr_vdevs;
	struct vm_setup_vdev vdevs[VM_VDEVS_MAX];
	struct boot_source boot;
	struct vm_setup_device devices[VM_DEVICES_MAX];
	_Alignas(max_align_t) u8 cfg[VM_CFG_BYTES];
};
