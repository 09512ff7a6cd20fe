// SPDX-License-Identifier: BSD-3-Clause
// What supervisor and vm process say to each other: one SOCK_SEQPACKET message at a time.
#pragma once

#include "dev/dev_class.h"
#include "kvm/arch.h"
#include "util/types.h"

/* The vm process's fixed descriptors; those of the setup's fdset follow. */
enum { VM_FD_CHANNEL, VM_FD_KVM, VM_FD_STDERR, VM_FD_FIRST };

enum {
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

/*
 * Everything the vm process needs to know. Same binary on both sides, so plain memory. The
 * kernel_fd and initrd_fd of `boot` are indices into the fdset.
 */
struct vm_setup {
	u64 mem_bytes;
	u32 nr_cpus, nr_fds, nr_devices, cfg_used;
	bool jailed;
	struct boot_source boot;
	struct vm_setup_device devices[VM_DEVICES_MAX];
	_Alignas(max_align_t) u8 cfg[VM_CFG_BYTES];
};

enum vm_message_type {
	/* supervisor to vm; the setup itself is the first message and has no header */
	VM_MESSAGE_STOP = 1,
	VM_MESSAGE_BREAK,        /* on the console's line */
	VM_MESSAGE_POWER_BUTTON, /* pressed once */
	/* vm to supervisor */
	VM_MESSAGE_READY,  /* jailed, filtered, about to run the guest's first instruction */
	VM_MESSAGE_LOG,    /* code: enum log_level */
	VM_MESSAGE_ENDED,  /* code: the exit code; text: why */
	VM_MESSAGE_DENIED, /* code: system call number; text: the policy's name */
};

struct vm_message {
	u32 type;
	s32 code;
	char text[504];
};

/*
 * channel_send - one message; `text` may be NULL. Does not block and does not raise SIGPIPE.
 * Return: 0, -EAGAIN (the other side does not read), -EPIPE. Context: any thread.
 */
int channel_send(int fd, enum vm_message_type type, s32 code, const char *text);

/*
 * channel_receive - one message, text terminated and printable. Return: 1, 0 at the end (the other side is
 * gone), -EAGAIN when `flags` has MSG_DONTWAIT, or -EPROTO for anything that is not a message.
 */
int channel_receive(int fd, struct vm_message *message, int flags);
