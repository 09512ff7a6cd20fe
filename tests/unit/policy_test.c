// SPDX-License-Identifier: BSD-3-Clause
// The baked seccomp filters, asked call by call; their texts; and one of them in a real kernel.
// test-sources: src/jail/policy.c src/util/err.c tests/lib/bpf_eval.c policies
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "jail/policy.h"
#include "tests/lib/bpf_eval.h"
#include "util/err.h"

#if defined(__x86_64__)
enum { ARCH_OWN = (int)AUDIT_ARCH_X86_64, ARCH_OTHER = (int)AUDIT_ARCH_I386 };
#elif defined(__aarch64__)
enum { ARCH_OWN = (int)AUDIT_ARCH_AARCH64, ARCH_OTHER = (int)AUDIT_ARCH_ARM };
#endif

enum {
	X32 = 0x40000000,
	ADDRESS = 0x7f00000, /* any pointer */
	NR_END = 1024,       /* beyond every system call */
};

/* A system call with the arguments a policy may look at. */
struct call {
	const char *text;
	int nr;
	u64 args[6];
};

#define CALL(name, ...)                                                                        \
	{                                                                                      \
		.text = #name "(" #__VA_ARGS__ ")", .nr = __NR_##name, .args = { __VA_ARGS__ } \
	}
#define IOCTL(request) CALL(ioctl, 3, request, ADDRESS)

/* The threads of the C library, as pthread_create of musl 1.2 asks for them. */
#define THREAD_FLAGS 0x7d0f00
/* musl's ioctl takes an int: requests with the highest bit reach the kernel sign-extended. */
#define AS_MUSL_PASSES(request) ((u64)(s64)(int)(request))

/* ---- what each policy must and must not let through ---- */

static const struct call common_allowed[] = {
	CALL(read, 0, ADDRESS, 1),
	CALL(write, 1, ADDRESS, 1),
	CALL(close, 3),
	CALL(brk, 0),
	CALL(mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (u64)-1, 0),
	CALL(mmap, 0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, (u64)-1, 0),
	CALL(mprotect, ADDRESS, 4096, PROT_READ | PROT_WRITE),
	CALL(mremap, ADDRESS, 4096, 8192, MREMAP_MAYMOVE),
	CALL(munmap, ADDRESS, 4096),
	CALL(futex, ADDRESS, 128, 1),
	CALL(clock_gettime, 1, ADDRESS),
	CALL(rt_sigprocmask, 0, ADDRESS, ADDRESS, 8),
	CALL(rt_sigreturn),
	CALL(restart_syscall),
	CALL(exit, 0),
	CALL(exit_group, 0),
};

/* What no process of Kiln may do once it is confined. */
static const struct call never_allowed[] = {
	CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0),
	CALL(mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	     (u64)-1),
	CALL(mprotect, ADDRESS, 4096, PROT_EXEC),
	CALL(mprotect, ADDRESS, 4096, PROT_READ | PROT_EXEC),
	CALL(mprotect, ADDRESS, 4096, PROT_READ | PROT_WRITE | (1ull << 32)),
	CALL(pkey_mprotect, ADDRESS, 4096, PROT_READ | PROT_EXEC, 0),
	CALL(mremap, ADDRESS, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, ADDRESS),
	CALL(remap_file_pages, ADDRESS, 4096, 0, 0, 0),
	CALL(socket, AF_UNIX, SOCK_STREAM, 0),
	CALL(socket, AF_INET, SOCK_DGRAM, 0),
	CALL(socketpair, AF_INET, SOCK_STREAM, 0, ADDRESS),
	CALL(bind, 3, ADDRESS, 16),
	CALL(listen, 3, 1),
	CALL(sendmsg, 3, ADDRESS, 0),
	CALL(recvmsg, 3, ADDRESS, 0),
	CALL(recvmsg, 3, ADDRESS, MSG_DONTWAIT),
	CALL(sendto, 3, ADDRESS, 1, 0, ADDRESS, 16),
	CALL(openat, (u64)AT_FDCWD, ADDRESS, O_RDONLY),
	CALL(openat2, (u64)AT_FDCWD, ADDRESS, ADDRESS, 24),
	CALL(open_by_handle_at, 3, ADDRESS, O_RDONLY),
	CALL(linkat, (u64)AT_FDCWD, ADDRESS, (u64)AT_FDCWD, ADDRESS, 0),
	CALL(unlinkat, (u64)AT_FDCWD, ADDRESS, AT_REMOVEDIR),
	CALL(execve, ADDRESS, ADDRESS, ADDRESS),
	CALL(execveat, 3, ADDRESS, ADDRESS, ADDRESS, AT_EMPTY_PATH),
	CALL(clone, SIGCHLD),
	CALL(clone, CLONE_VM | CLONE_VFORK | SIGCHLD),
	CALL(clone, THREAD_FLAGS | CLONE_NEWUSER),
	CALL(clone3, ADDRESS, 88),
	CALL(kill, 1, SIGKILL),
	CALL(tgkill, 1, 1, SIGKILL),
	CALL(ptrace, 16, 1),
	CALL(process_vm_readv, 1, ADDRESS, 1, ADDRESS, 1, 0),
	CALL(process_vm_writev, 1, ADDRESS, 1, ADDRESS, 1, 0),
	CALL(pidfd_getfd, 3, 0, 0),
	CALL(prctl, PR_SET_SECCOMP, 2, ADDRESS),
	CALL(prctl, PR_SET_DUMPABLE, 1),
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, ADDRESS),
	CALL(unshare, CLONE_NEWUSER),
	CALL(setns, 3, 0),
	CALL(mount, ADDRESS, ADDRESS, ADDRESS, 0, 0),
	CALL(pivot_root, ADDRESS, ADDRESS),
	CALL(chroot, ADDRESS),
	CALL(setuid, 0),
	CALL(setresuid, 0, 0, 0),
	CALL(capset, ADDRESS, ADDRESS),
	CALL(bpf, 0, ADDRESS, 8),
	CALL(io_uring_setup, 8, ADDRESS),
	CALL(userfaultfd, 0),
	CALL(perf_event_open, ADDRESS, 0, 0, 0, 0),
	CALL(keyctl, 0),
	CALL(init_module, ADDRESS, 1, ADDRESS),
	CALL(kexec_load, 0, 0, 0, 0),
	CALL(reboot, 0, 0, 0, 0),
	IOCTL(TIOCSTI),
	IOCTL(TIOCSCTTY),
};

static const struct call vcpu_allowed[] = {
	CALL(ioctl, 3, KVM_RUN, 0),
	IOCTL(KVM_IRQ_LINE),
#if defined(__x86_64__)
	IOCTL(KVM_GET_REGS),
	IOCTL(AS_MUSL_PASSES(KVM_GET_REGS)),
#endif
	CALL(ioctl, 3, KVM_RUN | 0x500000000, 0), /* the kernel reads 32 bits of a request */
	CALL(timerfd_settime, 3, 0, ADDRESS, 0),
	CALL(sendto, 0, ADDRESS, 280, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
	IOCTL(KVM_IRQFD),
	IOCTL(KVM_IOEVENTFD),
	IOCTL(KVM_SET_GSI_ROUTING),
	CALL(sendmsg, 3, ADDRESS, MSG_NOSIGNAL | MSG_DONTWAIT),
	CALL(recvmsg, 3, ADDRESS, MSG_CMSG_CLOEXEC | MSG_DONTWAIT),
};

static const struct call vcpu_denied[] = {
	CALL(ioctl, 3, KVM_RUN + 1, 0),
	CALL(ioctl, 3, KVM_CREATE_VM, 0),
	CALL(ioctl, 3, KVM_CREATE_VCPU, 0),
	IOCTL(KVM_SET_USER_MEMORY_REGION),
	IOCTL(KVM_CREATE_DEVICE),
#if defined(__x86_64__)
	IOCTL(KVM_SET_REGS),
	IOCTL(KVM_SET_MSRS),
#endif
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, ADDRESS),
	CALL(clone, THREAD_FLAGS),
	CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, ADDRESS),
	CALL(memfd_create, ADDRESS, 0),
	CALL(ftruncate, 3, 0),
	CALL(fcntl, 3, F_GETFL),
	CALL(fcntl, 3, F_ADD_SEALS, 1),
	CALL(pread64, 3, ADDRESS, 1, 0),
	CALL(epoll_ctl, 3, EPOLL_CTL_ADD, 4, ADDRESS),
	CALL(epoll_pwait, 3, ADDRESS, 1, (u64)-1, 0, 8),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(recvfrom, 0, ADDRESS, 1, 0, 0, 0),
	CALL(tkill, 1, SIGUSR1),
	CALL(rt_sigaction, SIGSYS, ADDRESS, 0, 8),
	CALL(prctl, PR_SET_NAME, ADDRESS),
	CALL(timerfd_create, 1, 0),
	CALL(eventfd2, 0, 0),
};

static const struct call vm_main_allowed[] = {
	CALL(epoll_ctl, 3, EPOLL_CTL_ADD, 4, ADDRESS),
	CALL(epoll_pwait, 3, ADDRESS, 1, (u64)-1, 0, 8),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(recvfrom, 0, ADDRESS, 280, MSG_DONTWAIT, 0, 0),
	CALL(sendto, 0, ADDRESS, 280, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
#if defined(__x86_64__)
	CALL(poll, ADDRESS, 1, 0),
#else
	CALL(ppoll, ADDRESS, 1, 0, 0, 8),
#endif
	CALL(tkill, 12, SIGUSR1),
	CALL(timerfd_settime, 3, 0, ADDRESS, 0),
	IOCTL(KVM_IRQ_LINE),
};

static const struct call vm_main_denied[] = {
	CALL(ioctl, 3, KVM_RUN, 0),
	CALL(ioctl, 3, KVM_CREATE_VM, 0),
	CALL(ioctl, 3, KVM_CREATE_VCPU, 0),
	IOCTL(KVM_SET_USER_MEMORY_REGION),
	IOCTL(TCSETS),
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, ADDRESS),
	CALL(clone, THREAD_FLAGS),
	CALL(prctl, PR_SET_NAME, ADDRESS),
	CALL(tkill, 12, SIGKILL),
	CALL(tkill, 12, SIGUSR1 + 1),
	CALL(accept4, 3, ADDRESS, ADDRESS, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(accept4, 3, 0, 0, 0),
	CALL(recvfrom, 0, ADDRESS, 1, 0, ADDRESS, ADDRESS),
	CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, ADDRESS),
	CALL(memfd_create, ADDRESS, 0),
	CALL(pread64, 3, ADDRESS, 1, 0),
	CALL(fcntl, 3, F_SETFL, O_NONBLOCK),
	CALL(rt_sigaction, SIGSYS, ADDRESS, 0, 8),
};

static const struct call vm_setup_allowed[] = {
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, ADDRESS),
	CALL(clone, THREAD_FLAGS, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
	CALL(prctl, PR_SET_NAME, ADDRESS),
	CALL(rt_sigaction, SIGUSR1, ADDRESS, 0, 8),
	CALL(epoll_create1, EPOLL_CLOEXEC),
	CALL(eventfd2, 0, 0x80800),
	CALL(timerfd_create, 1, 0x80800),
	CALL(fcntl, 3, F_GETFL),
	CALL(fstat, 3, ADDRESS),
	CALL(mmap, 0, 1 << 28, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, 3, 0),
	CALL(madvise, ADDRESS, 1 << 28, MADV_DONTDUMP),
	CALL(pread64, 3, ADDRESS, 4096, 0),
	CALL(ioctl, 3, KVM_GET_API_VERSION, 0),
	CALL(ioctl, 3, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS),
	CALL(ioctl, 3, KVM_GET_VCPU_MMAP_SIZE, 0),
	CALL(ioctl, 3, KVM_CREATE_VM, 0),
	CALL(ioctl, 3, KVM_CREATE_VCPU, 0),
	IOCTL(KVM_SET_USER_MEMORY_REGION),
#if defined(__x86_64__)
	CALL(ioctl, 3, KVM_SET_TSS_ADDR, 0xfffbd000),
	IOCTL(KVM_SET_IDENTITY_MAP_ADDR),
	CALL(ioctl, 3, KVM_CREATE_IRQCHIP, 0),
	IOCTL(KVM_CREATE_PIT2),
	IOCTL(AS_MUSL_PASSES(KVM_GET_SUPPORTED_CPUID)),
	IOCTL(KVM_SET_CPUID2),
	IOCTL(KVM_SET_MSRS),
	IOCTL(AS_MUSL_PASSES(KVM_GET_LAPIC)),
	IOCTL(KVM_SET_LAPIC),
	IOCTL(AS_MUSL_PASSES(KVM_GET_SREGS)),
	IOCTL(KVM_SET_SREGS),
	IOCTL(KVM_SET_REGS),
#endif
};

static const struct call vm_setup_denied[] = {
	CALL(seccomp, SECCOMP_SET_MODE_STRICT, 0, 0),
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ADDRESS),
	CALL(clone, THREAD_FLAGS & ~CLONE_THREAD),
	CALL(fcntl, 3, F_SETFL, O_NONBLOCK),
	CALL(fcntl, 3, F_DUPFD_CLOEXEC, 0),
	CALL(madvise, ADDRESS, 4096, MADV_DOFORK),
	CALL(rt_sigaction, SIGSYS, ADDRESS, 0, 8),
	CALL(prctl, PR_SET_MM, 0),
	IOCTL(KVM_SET_SIGNAL_MASK),
	IOCTL(TCSETS),
};

static const struct call supervisor_allowed[] = {
	CALL(epoll_ctl, 3, EPOLL_CTL_MOD, 4, ADDRESS),
	CALL(epoll_pwait, 3, ADDRESS, 1, (u64)-1, 0, 8),
	CALL(recvfrom, 3, ADDRESS, 280, MSG_DONTWAIT, 0, 0),
	CALL(sendto, 3, ADDRESS, 280, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
	CALL(pidfd_send_signal, 3, SIGKILL, 0, 0),
	CALL(waitid, 1, 12, ADDRESS, WEXITED, 0),
	CALL(ioctl, 0, TCSETS, ADDRESS),
	CALL(ioctl, 1, TIOCGWINSZ, ADDRESS),
	CALL(tkill, 12, SIGSEGV),
#if defined(__x86_64__)
	CALL(poll, ADDRESS, 1, 0),
	CALL(lstat, ADDRESS, ADDRESS),
	CALL(unlink, ADDRESS),
#else
	CALL(ppoll, ADDRESS, 1, 0, 0, 8),
	CALL(newfstatat, (u64)AT_FDCWD, ADDRESS, ADDRESS, AT_SYMLINK_NOFOLLOW),
	CALL(unlinkat, (u64)AT_FDCWD, ADDRESS, 0),
#endif
};

static const struct call supervisor_denied[] = {
	CALL(ioctl, 3, KVM_RUN, 0),
	CALL(ioctl, 3, KVM_CREATE_VM, 0),
	IOCTL(KVM_IRQ_LINE),
	CALL(ioctl, 1, TIOCSWINSZ, ADDRESS),
	CALL(pidfd_send_signal, 3, SIGSTOP, 0, 0),
	CALL(prctl, PR_SET_NAME, ADDRESS),
	CALL(memfd_create, ADDRESS, 0),
	CALL(pread64, 3, ADDRESS, 1, 0),
	CALL(clone, THREAD_FLAGS),
	CALL(rt_sigaction, SIGSEGV, ADDRESS, 0, 8),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
};

static const struct call serve_allowed[] = {
	CALL(ioctl, 1, TIOCGWINSZ, ADDRESS),
	CALL(epoll_ctl, 3, EPOLL_CTL_MOD, 4, ADDRESS),
	CALL(epoll_pwait, 3, ADDRESS, 1, (u64)-1, 0, 8),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC),
	CALL(sendmsg, 3, ADDRESS, MSG_NOSIGNAL | MSG_DONTWAIT),
	CALL(recvfrom, 3, ADDRESS, 280, MSG_DONTWAIT, 0, 0),
	CALL(sendto, 3, ADDRESS, 280, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
	CALL(pidfd_send_signal, 3, SIGKILL, 0, 0),
	CALL(waitid, 1, 12, ADDRESS, WEXITED, 0),
#if defined(__x86_64__)
	CALL(poll, ADDRESS, 1, 0),
	CALL(lstat, ADDRESS, ADDRESS),
	CALL(unlink, ADDRESS),
#else
	CALL(ppoll, ADDRESS, 1, 0, 0, 8),
	CALL(newfstatat, (u64)AT_FDCWD, ADDRESS, ADDRESS, AT_SYMLINK_NOFOLLOW),
	CALL(unlinkat, (u64)AT_FDCWD, ADDRESS, 0),
#endif
};

static const struct call serve_denied[] = {
	CALL(accept4, 3, ADDRESS, ADDRESS, SOCK_CLOEXEC),
	CALL(accept4, 3, 0, 0, 0),
	CALL(sendto, 3, ADDRESS, 1, 0, ADDRESS, 16),
	CALL(pidfd_send_signal, 3, SIGSTOP, 0, 0),
	CALL(ioctl, 0, TCSETS, ADDRESS),
	CALL(tkill, 12, SIGSEGV),
	CALL(memfd_create, ADDRESS, 0),
	CALL(clone, THREAD_FLAGS),
	CALL(rt_sigaction, SIGSEGV, ADDRESS, 0, 8),
};

static const struct call connects[] = {
	CALL(connect, 3, ADDRESS, 16),
	CALL(connect, 3, ADDRESS, 110),
};

/* What a device's class may do in the supervisor while the guest runs. */
static const struct call grants[] = {
	CALL(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	CALL(connect, 3, ADDRESS, 110),
	CALL(sendmsg, 3, ADDRESS, MSG_NOSIGNAL | MSG_DONTWAIT),
};

static const struct call grants_denied[] = {
	CALL(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), /* its connect would wait */
	CALL(socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	CALL(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	CALL(socket, AF_NETLINK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
};

static const struct call vsock_allowed[] = {
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(sendmsg, 3, ADDRESS, MSG_NOSIGNAL | MSG_DONTWAIT),
	CALL(recvmsg, 3, ADDRESS, MSG_CMSG_CLOEXEC | MSG_DONTWAIT),
	CALL(shutdown, 3, SHUT_RD),
	CALL(shutdown, 3, SHUT_WR),
	CALL(madvise, ADDRESS, 65536, MADV_DONTNEED),
	IOCTL(VHOST_SET_FEATURES),
	IOCTL(VHOST_SET_MEM_TABLE),
	IOCTL(VHOST_SET_VRING_NUM),
	IOCTL(VHOST_SET_VRING_BASE),
	IOCTL(VHOST_SET_VRING_ADDR),
	IOCTL(VHOST_SET_VRING_ERR),
	IOCTL(VHOST_SET_VRING_CALL),
	IOCTL(VHOST_SET_VRING_KICK),
	IOCTL(AS_MUSL_PASSES(VHOST_GET_VRING_BASE)),
	IOCTL(VHOST_VSOCK_SET_RUNNING),
};

static const struct call vsock_denied[] = {
	CALL(accept4, 3, ADDRESS, ADDRESS, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(madvise, ADDRESS, 65536, MADV_DOFORK),
	IOCTL(VHOST_SET_OWNER),
	IOCTL(VHOST_VSOCK_SET_GUEST_CID),
	IOCTL(VHOST_SET_LOG_BASE),
	IOCTL(KVM_RUN),
};

/* The processes of virtio devices: all of them, then each beside what all may do. */
static const char *const workers[] = { "virtio_rng", "virtio_blk", "virtio_net", "virtio_console",
				       "virtio_balloon" };

static const struct call worker_allowed[] = {
	CALL(epoll_ctl, 3, EPOLL_CTL_ADD, 4, ADDRESS),
	CALL(epoll_pwait, 3, ADDRESS, 1, (u64)-1, 0, 8),
	CALL(recvmsg, 1, ADDRESS, MSG_CMSG_CLOEXEC | MSG_DONTWAIT),
	CALL(sendmsg, 1, ADDRESS, MSG_NOSIGNAL | MSG_DONTWAIT),
	CALL(recvfrom, 0, ADDRESS, 512, MSG_DONTWAIT | MSG_TRUNC, 0, 0),
	CALL(sendto, 0, ADDRESS, 512, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
	CALL(fstat, 3, ADDRESS),
	CALL(mmap, 0, 1 << 28, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, 3, 0),
	CALL(madvise, ADDRESS, 1 << 28, MADV_DONTDUMP),
	CALL(timerfd_settime, 3, 0, ADDRESS, 0),
};

static const struct call worker_denied[] = {
	CALL(ioctl, 3, KVM_RUN, 0),
	CALL(ioctl, 3, KVM_CREATE_VM, 0),
	IOCTL(TUNSETIFF),
	IOCTL(TUNSETPERSIST),
	IOCTL(TCSETS),
	CALL(recvfrom, 0, ADDRESS, 1, 0, ADDRESS, ADDRESS),
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, ADDRESS),
	CALL(clone, THREAD_FLAGS),
	CALL(tkill, 1, SIGUSR1),
	CALL(rt_sigaction, SIGSYS, ADDRESS, 0, 8),
	CALL(prctl, PR_SET_NAME, ADDRESS),
	CALL(memfd_create, ADDRESS, 0),
	CALL(ftruncate, 3, 0),
	CALL(fcntl, 3, F_DUPFD_CLOEXEC, 0),
	CALL(fcntl, 3, F_ADD_SEALS, 1),
};

static const struct call net_allowed[] = {
	CALL(readv, 3, ADDRESS, 2), CALL(writev, 3, ADDRESS, 2), IOCTL(TUNSETOFFLOAD),
	IOCTL(TUNSETQUEUE),         IOCTL(VHOST_SET_MEM_TABLE),  IOCTL(VHOST_NET_SET_BACKEND),
};

static const struct call net_denied[] = {
	IOCTL(TUNSETVNETHDRSZ),
	IOCTL(TUNSETSNDBUF),
	IOCTL(TUNSETOWNER),
	IOCTL(TUNATTACHFILTER),
	IOCTL(VHOST_SET_OWNER),
	IOCTL(VHOST_SET_LOG_BASE),
	IOCTL(VHOST_VSOCK_SET_RUNNING),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(madvise, ADDRESS, 4096, MADV_REMOVE),
};

static const struct call console_allowed[] = {
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
};

static const struct call console_denied[] = {
	CALL(accept4, 3, ADDRESS, ADDRESS, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(accept4, 3, 0, 0, 0),
	CALL(readv, 3, ADDRESS, 2),
	IOCTL(TIOCGWINSZ),
	IOCTL(TIOCSWINSZ),
};

static const struct call balloon_allowed[] = {
	CALL(madvise, ADDRESS, 4096, MADV_REMOVE),
	CALL(madvise, ADDRESS, 4096, MADV_DONTNEED),
};

static const struct call balloon_denied[] = {
	CALL(madvise, ADDRESS, 4096, MADV_DOFORK),
	CALL(madvise, ADDRESS, 4096, MADV_DODUMP),
	CALL(fallocate, 3, 3, 0, 4096),
	CALL(accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
};

/* ---- asking ---- */

static u32 ask(const struct policy *policy, u32 arch, u32 nr, const u64 args[6])
{
	struct seccomp_data data = { .nr = (int)nr, .arch = arch };

	memcpy(data.args, args, sizeof(data.args));
	return bpf_eval(policy->filter, &data);
}

static bool allows(const struct policy *policy, const struct call *call)
{
	return ask(policy, (u32)ARCH_OWN, (u32)call->nr, call->args) == SECCOMP_RET_ALLOW;
}

static const struct policy *policy_named(const char *name)
{
	const struct policy *policy = policy_find(name);

	if (!policy)
		fail_msg("there is no policy '%s'", name);
	return policy;
}

static void assert_allows(const char *name, const struct call *calls, size_t nr)
{
	const struct policy *policy = policy_named(name);

	for (size_t i = 0; i < nr; i++)
		if (!allows(policy, &calls[i]))
			fail_msg("%s denies %s", name, calls[i].text);
}

static void assert_denies(const char *name, const struct call *calls, size_t nr)
{
	const struct policy *policy = policy_named(name);

	for (size_t i = 0; i < nr; i++) {
		u32 action = ask(policy, (u32)ARCH_OWN, (u32)calls[i].nr, calls[i].args);

		/* The build chooses: to kill, or to trap and report. */
		if (action != SECCOMP_RET_KILL_PROCESS && action != SECCOMP_RET_TRAP)
			fail_msg("%s answers %s with 0x%08x", name, calls[i].text, action);
	}
}

#define ASSERT_ALLOWS(name, calls) assert_allows(name, calls, ARRAY_SIZE(calls))
#define ASSERT_DENIES(name, calls) assert_denies(name, calls, ARRAY_SIZE(calls))

static void the_supervisor_can_watch_end_and_bury_the_machine(void **state)
{
	(void)state;
	ASSERT_ALLOWS("supervisor", supervisor_allowed);
	ASSERT_ALLOWS("supervisor", common_allowed);
}

static void the_supervisor_can_do_nothing_else(void **state)
{
	(void)state;
	ASSERT_DENIES("supervisor", supervisor_denied);
}

static void who_serves_a_device_can_accept_hand_on_and_bury(void **state)
{
	(void)state;
	ASSERT_ALLOWS("serve", serve_allowed);
	ASSERT_ALLOWS("serve", common_allowed);
}

static void who_serves_a_device_can_do_nothing_else(void **state)
{
	(void)state;
	ASSERT_DENIES("serve", serve_denied);
}

static void the_supervisor_grants_connections_only_where_a_device_may_ask(void **state)
{
	(void)state;
	ASSERT_ALLOWS("supervisor_grants", supervisor_allowed);
	ASSERT_ALLOWS("supervisor_grants", common_allowed);
	ASSERT_ALLOWS("supervisor_grants", grants);
	ASSERT_DENIES("supervisor_grants", grants_denied);
	ASSERT_DENIES("supervisor_grants", supervisor_denied);
	ASSERT_DENIES("supervisor", grants);
	ASSERT_ALLOWS("serve_grants", serve_allowed);
	ASSERT_ALLOWS("serve_grants", grants);
	ASSERT_DENIES("serve_grants", grants_denied);
	ASSERT_DENIES("serve_grants", serve_denied);
}

static void nobody_else_connects_anywhere(void **state)
{
	(void)state;
	policy_for_each (p)
		if (strcmp((*p)->name, "supervisor_grants") != 0 &&
		    strcmp((*p)->name, "serve_grants") != 0)
			ASSERT_DENIES((*p)->name, connects);
}

static void the_vm_process_can_build_its_machine(void **state)
{
	(void)state;
	ASSERT_ALLOWS("vm_setup", vm_setup_allowed);
	ASSERT_ALLOWS("vm_setup", common_allowed);
}

static void the_vm_process_can_do_nothing_else_while_it_builds(void **state)
{
	(void)state;
	ASSERT_DENIES("vm_setup", vm_setup_denied);
}

static void the_event_loop_can_serve_the_machine(void **state)
{
	(void)state;
	ASSERT_ALLOWS("vm_main", vm_main_allowed);
	ASSERT_ALLOWS("vm_main", common_allowed);
}

static void the_event_loop_can_neither_change_the_machine_nor_run_it(void **state)
{
	(void)state;
	ASSERT_DENIES("vm_main", vm_main_denied);
}

static void a_vcpu_can_run_its_guest_and_drive_devices(void **state)
{
	(void)state;
	ASSERT_ALLOWS("vcpu", vcpu_allowed);
	ASSERT_ALLOWS("vcpu", common_allowed);
}

static void a_vcpu_can_do_nothing_else(void **state)
{
	(void)state;
	ASSERT_DENIES("vcpu", vcpu_denied);
}

static void a_vsock_can_move_bytes_and_drive_the_kernel_s(void **state)
{
	(void)state;
	ASSERT_ALLOWS("virtio_vsock", vsock_allowed);
	ASSERT_DENIES("virtio_vsock", vsock_denied);
}

static void every_virtio_device_can_serve_its_rings_and_nothing_of_the_machine(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		ASSERT_ALLOWS(workers[i], worker_allowed);
		ASSERT_ALLOWS(workers[i], common_allowed);
		ASSERT_DENIES(workers[i], worker_denied);
	}
}

static void a_network_card_moves_frames_and_leaves_its_tap_as_it_is(void **state)
{
	(void)state;
	ASSERT_ALLOWS("virtio_net", net_allowed);
	ASSERT_DENIES("virtio_net", net_denied);
}

static void a_console_takes_clients_and_leaves_terminals_alone(void **state)
{
	(void)state;
	ASSERT_ALLOWS("virtio_console", console_allowed);
	ASSERT_DENIES("virtio_console", console_denied);
}

static void a_balloon_gives_memory_back_and_does_nothing_else_to_it(void **state)
{
	(void)state;
	ASSERT_ALLOWS("virtio_balloon", balloon_allowed);
	ASSERT_DENIES("virtio_balloon", balloon_denied);
}

static void nobody_opens_makes_or_becomes_anything(void **state)
{
	(void)state;
	policy_for_each (p)
		ASSERT_DENIES((*p)->name, never_allowed);
}

static void every_filter_is_one_that_kernels_take(void **state)
{
	u32 seen = 0;

	(void)state;
	policy_for_each (p) {
		if (!bpf_is_valid((*p)->filter, (*p)->nr_insns))
			fail_msg("%s is no valid filter", (*p)->name);
		seen++;
	}
	assert_true(seen >= 4);
}

static void other_architectures_calls_kill_under_every_policy(void **state)
{
	const u64 none[6] = { 0 };

	(void)state;
	policy_for_each (p)
		for (u32 nr = 0; nr < NR_END; nr++)
			assert_int_equal(ask(*p, (u32)ARCH_OTHER, nr, none),
					 SECCOMP_RET_KILL_PROCESS);
}

static void x32_calls_kill_under_every_policy(void **state)
{
	const u64 none[6] = { 0 };

	(void)state;
	policy_for_each (p) {
		for (u32 nr = 0; nr < NR_END; nr++)
			assert_int_equal(ask(*p, (u32)ARCH_OWN, X32 | nr, none),
					 SECCOMP_RET_KILL_PROCESS);
		assert_int_equal(ask(*p, (u32)ARCH_OWN, UINT32_MAX, none),
				 SECCOMP_RET_KILL_PROCESS);
	}
}

static void calls_that_do_not_exist_yet_are_denied(void **state)
{
	const u64 none[6] = { 0 };

	(void)state;
	policy_for_each (p)
		for (u32 nr = 600; nr < NR_END; nr++)
			assert_int_not_equal(ask(*p, (u32)ARCH_OWN, nr, none), SECCOMP_RET_ALLOW);
}

static void assert_holds_calls(const struct policy *all, const struct policy *part,
			       const struct call *calls, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (allows(part, &calls[i]) && !allows(all, &calls[i]))
			fail_msg("%s allows %s, %s does not", part->name, calls[i].text, all->name);
}

/* Filters add up: what the first one lacks, no later one gives back. */
static void vm_setup_holds_what_its_threads_policies_hold(void **state)
{
	const struct policy *all = policy_named("vm_setup");
	const char *const parts[] = { "vm_main", "vcpu" };
	const u64 none[6] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct policy *part = policy_named(parts[i]);

		for (u32 nr = 0; nr < NR_END; nr++)
			if (ask(part, (u32)ARCH_OWN, nr, none) == SECCOMP_RET_ALLOW &&
			    ask(all, (u32)ARCH_OWN, nr, none) != SECCOMP_RET_ALLOW)
				fail_msg("%s allows call %u, vm_setup does not", part->name, nr);
		assert_holds_calls(all, part, common_allowed, ARRAY_SIZE(common_allowed));
		assert_holds_calls(all, part, vm_main_allowed, ARRAY_SIZE(vm_main_allowed));
		assert_holds_calls(all, part, vcpu_allowed, ARRAY_SIZE(vcpu_allowed));
	}
}

static void a_name_that_no_policy_has_is_not_found(void **state)
{
	(void)state;
	assert_null(policy_find("vcpus"));
	assert_null(policy_find(""));
}

/* ---- for people ---- */

struct lines {
	u32 nr;
	char first[512], last[512];
	const char *wanted; /* counted in nr_wanted where a line has it */
	u32 nr_wanted;
};

static void lines_add(void *arg, const char *line)
{
	struct lines *lines = arg;

	if (lines->nr++ == 0)
		snprintf(lines->first, sizeof(lines->first), "%s", line);
	snprintf(lines->last, sizeof(lines->last), "%s", line);
	lines->nr_wanted += strstr(line, lines->wanted) != NULL;
}

static void each_rule_is_told_with_its_place(void **state)
{
	struct lines lines = { .wanted = "ioctl: arg1 == KVM_RUN  " };

	(void)state;
	policy_print_rules(policy_named("vcpu"), lines_add, &lines);
	assert_int_equal(lines.nr_wanted, 1);
	assert_non_null(strstr(lines.first, "seccomp/common.policy:"));
	assert_non_null(strstr(lines.last, "seccomp/vcpu.policy:"));
}

static void a_policy_without_text_has_no_rules_to_tell(void **state)
{
	const struct policy silent = { .name = "silent" };
	struct policy_rule rule = { 0 };

	(void)state;
	assert_false(policy_rule_next(&silent, &rule));
}

static void rules_come_one_by_one_and_end(void **state)
{
	const struct policy policy = { .text = "@a\0007 read: 1\0@b/c\00012 ioctl: arg1 == X\0" };
	struct policy_rule rule = { 0 };

	(void)state;
	assert_true(policy_rule_next(&policy, &rule));
	assert_string_equal(rule.file, "a");
	assert_int_equal(rule.line, 7);
	assert_string_equal(rule.text, "read: 1");
	assert_true(policy_rule_next(&policy, &rule));
	assert_string_equal(rule.file, "b/c");
	assert_int_equal(rule.line, 12);
	assert_string_equal(rule.text, "ioctl: arg1 == X");
	assert_false(policy_rule_next(&policy, &rule));
	assert_false(policy_rule_next(&policy, &rule));
}

static void instructions_are_told_with_names_of_calls(void **state)
{
	const struct policy *policy = policy_named("vcpu");
	struct lines lines = { .wanted = "; ioctl" };

	(void)state;
	policy_print_bpf(policy, lines_add, &lines);
	assert_int_equal(lines.nr, policy->nr_insns);
	assert_string_equal(lines.first, "   0  ld   arch");
	assert_int_equal(lines.nr_wanted, 1);
	assert_non_null(strstr(lines.last, "ret  "));
}

static void calls_have_names_and_gaps_have_none(void **state)
{
	(void)state;
	assert_string_equal(policy_syscall_name(__NR_read), "read");
	assert_string_equal(policy_syscall_name(__NR_openat), "openat");
	assert_string_equal(policy_syscall_name(__NR_clone3), "clone3");
	assert_null(policy_syscall_name(-1));
	assert_null(policy_syscall_name(NR_END));
	assert_null(policy_syscall_name(400)); /* between the common numbers and the old ones */
}

/* ---- the real thing ---- */

enum { CHILD_LIVED = 7, CHILD_NO_SECCOMP = 8, CHILD_BAD = 9 };

/* Run `body` under a policy in a process of its own. Return: its wait status. */
static int under_policy(const char *name, void (*body)(void))
{
	const struct policy *policy = policy_named(name);
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (policy_install(policy, &e) < 0)
			_exit(e.code == -ENOSYS || e.code == -EINVAL ? CHILD_NO_SECCOMP
								     : CHILD_BAD);
		body();
		syscall(SYS_exit_group, CHILD_LIVED); /* _exit() of a sanitizer does more */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_SECCOMP)
		skip();
	return status;
}

static void do_nothing(void)
{
}

static void ask_for_the_parent(void)
{
	syscall(SYS_getppid);
}

static void a_process_lives_under_a_policy_that_has_its_calls(void **state)
{
	int status = under_policy("vcpu", do_nothing);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_LIVED);
}

static void a_call_that_the_policy_lacks_ends_the_process(void **state)
{
	int status = under_policy("vcpu", ask_for_the_parent);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void a_process_can_end_itself_by_its_policy(void **state)
{
	int status = under_policy("supervisor", policy_kill_self);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void a_filter_the_kernel_refuses_is_an_error_with_its_name(void **state)
{
	const struct policy empty = { .name = "empty", .filter = policy_named("vcpu")->filter };
	struct err e = { 0 };

	(void)state;
	assert_int_not_equal(policy_install(&empty, &e), 0);
	assert_non_null(strstr(e.text, "'empty'"));
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_supervisor_can_watch_end_and_bury_the_machine),
		T(the_supervisor_can_do_nothing_else),
		T(who_serves_a_device_can_accept_hand_on_and_bury),
		T(who_serves_a_device_can_do_nothing_else),
		T(the_supervisor_grants_connections_only_where_a_device_may_ask),
		T(nobody_else_connects_anywhere),
		T(the_vm_process_can_build_its_machine),
		T(the_vm_process_can_do_nothing_else_while_it_builds),
		T(the_event_loop_can_serve_the_machine),
		T(the_event_loop_can_neither_change_the_machine_nor_run_it),
		T(a_vcpu_can_run_its_guest_and_drive_devices),
		T(a_vcpu_can_do_nothing_else),
		T(a_vsock_can_move_bytes_and_drive_the_kernel_s),
		T(every_virtio_device_can_serve_its_rings_and_nothing_of_the_machine),
		T(a_network_card_moves_frames_and_leaves_its_tap_as_it_is),
		T(a_console_takes_clients_and_leaves_terminals_alone),
		T(a_balloon_gives_memory_back_and_does_nothing_else_to_it),
		T(nobody_opens_makes_or_becomes_anything),
		T(every_filter_is_one_that_kernels_take),
		T(other_architectures_calls_kill_under_every_policy),
		T(x32_calls_kill_under_every_policy),
		T(calls_that_do_not_exist_yet_are_denied),
		T(vm_setup_holds_what_its_threads_policies_hold),
		T(a_name_that_no_policy_has_is_not_found),
		T(each_rule_is_told_with_its_place),
		T(a_policy_without_text_has_no_rules_to_tell),
		T(rules_come_one_by_one_and_end),
		T(instructions_are_told_with_names_of_calls),
		T(calls_have_names_and_gaps_have_none),
		T(a_process_lives_under_a_policy_that_has_its_calls),
		T(a_call_that_the_policy_lacks_ends_the_process),
		T(a_process_can_end_itself_by_its_policy),
		T(a_filter_the_kernel_refuses_is_an_error_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
