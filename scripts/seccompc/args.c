// SPDX-License-Identifier: BSD-3-Clause
// seccompc: how many bits of each argument the kernel reads, per system call.
//
// A filter sees six 64-bit registers; the kernel's functions take ints out of many of them and
// ignore the rest. A condition must look at what the kernel will use: no more (musl passes ioctl's
// request sign-extended), no less ("arg0 != 3" must not be true for 0x100000003 when the kernel
// then takes 3). The facts are the prototypes of linux/syscalls.h; where a function narrows an
// unsigned long at once (clone's flags, the descriptors of mmap, readv, writev), what it uses.
#include "seccompc.h"

#include <string.h>

/* "NAME:" and a letter per argument. i: 32 bits. h: 16 bits (umode_t). l: 64 bits or a pointer. */
static const char signatures[] =
	" "
	"accept:ill accept4:illi access:li acct:l add_key:lllli adjtimex:l alarm:i "
	"arch_prctl:il bind:ili bpf:ili brk:l cachestat:illi capget:ll capset:ll chdir:l "
	"chmod:lh chown:lii chroot:l clock_adjtime:il clock_getres:il clock_gettime:il "
	"clock_nanosleep:iill clock_settime:il clone:illll clone3:ll close:i close_range:iii "
	"connect:ili copy_file_range:ililli creat:lh delete_module:li dup:i dup2:ii dup3:iii "
	"epoll_create:i epoll_create1:i epoll_ctl:iiil epoll_pwait:iliill "
	"epoll_pwait2:ililll epoll_wait:ilii eventfd:i eventfd2:ii execve:lll execveat:illli "
	"exit:i exit_group:i faccessat:ili faccessat2:ilii fadvise64:illi fallocate:iill "
	"fanotify_init:ii fanotify_mark:iilil fchdir:i fchmod:ih fchmodat:ilh fchmodat2:ilhi "
	"fchown:iii fchownat:iliii fcntl:iil fdatasync:i fgetxattr:illl finit_module:ili "
	"flistxattr:ill flock:ii fork: fremovexattr:il fsconfig:iilli fsetxattr:illli "
	"fsmount:iii fsopen:li fspick:ili fstat:il fstatfs:il fsync:i ftruncate:il "
	"futex:liilli futex_requeue:liii futex_wait:lllili futex_waitv:liili futex_wake:llii "
	"futimesat:ill get_mempolicy:lllll get_robust_list:ill getcpu:lll getcwd:ll "
	"getdents:ili getdents64:ili getegid: geteuid: getgid: getgroups:il getitimer:il "
	"getpeername:ill getpgid:i getpgrp: getpid: getppid: getpriority:ii getrandom:lli "
	"getresgid:lll getresuid:lll getrlimit:il getrusage:il getsid:i getsockname:ill "
	"getsockopt:iiill gettid: gettimeofday:ll getuid: getxattr:llll init_module:lll "
	"inotify_add_watch:ili inotify_init: inotify_init1:i inotify_rm_watch:ii "
	"io_cancel:lll io_destroy:l io_getevents:lllll io_pgetevents:llllll io_setup:il "
	"io_submit:lll io_uring_enter:iiiill io_uring_register:iili io_uring_setup:il "
	"ioctl:iil ioperm:lli iopl:i ioprio_get:ii ioprio_set:iii kcmp:iiill "
	"kexec_file_load:iilll kexec_load:llll keyctl:illll kill:ii landlock_add_rule:iili "
	"landlock_create_ruleset:lli landlock_restrict_self:ii lchown:lii lgetxattr:llll "
	"link:ll linkat:ilili listen:ii listxattr:lll llistxattr:lll lookup_dcookie:lll "
	"lremovexattr:ll lseek:ili lsetxattr:lllli lstat:ll madvise:lli map_shadow_stack:lli "
	"mbind:llllli membarrier:iii memfd_create:li memfd_secret:i migrate_pages:illl "
	"mincore:lll mkdir:lh mkdirat:ilh mknod:lhi mknodat:ilhi mlock:ll mlock2:lli "
	"mlockall:i mmap:llllil modify_ldt:ill mount:lllll mount_setattr:ilill "
	"move_mount:ilili move_pages:illlli mprotect:lll mq_getsetattr:ill mq_notify:il "
	"mq_open:lihl mq_timedreceive:illll mq_timedsend:illil mq_unlink:l mremap:lllll "
	"msgctl:iil msgget:ii msgrcv:illli msgsnd:illi msync:lli munlock:ll munlockall: "
	"munmap:ll name_to_handle_at:illli nanosleep:ll newfstatat:illi open:lih "
	"open_by_handle_at:ili open_tree:ili openat:ilih openat2:illl pause: "
	"perf_event_open:liiil personality:i pidfd_getfd:iii pidfd_open:ii "
	"pidfd_send_signal:iili pipe:l pipe2:li pivot_root:ll pkey_alloc:ll pkey_free:i "
	"pkey_mprotect:llli poll:lii ppoll:lilll prctl:illll pread64:illl preadv:illll "
	"preadv2:illlli prlimit64:iill process_madvise:illii process_mrelease:ii "
	"process_vm_readv:illlll process_vm_writev:illlll pselect6:illlll ptrace:llll "
	"pwrite64:illl pwritev:illll pwritev2:illlli quotactl:ilil quotactl_fd:iiil read:ill "
	"readahead:ill readlink:lli readlinkat:illi readv:ill reboot:iiil recvfrom:illill "
	"recvmmsg:iliil recvmsg:ili remap_file_pages:lllll removexattr:ll rename:ll "
	"renameat:ilil renameat2:ilili request_key:llli restart_syscall: "
	"riscv_flush_icache:lll rmdir:l rseq:liii rt_sigaction:illl rt_sigpending:ll "
	"rt_sigprocmask:illl rt_sigqueueinfo:iil rt_sigreturn: rt_sigsuspend:ll "
	"rt_sigtimedwait:llll rt_tgsigqueueinfo:iiil sched_get_priority_max:i "
	"sched_get_priority_min:i sched_getaffinity:iil sched_getattr:ilii sched_getparam:il "
	"sched_getscheduler:i sched_rr_get_interval:il sched_setaffinity:iil "
	"sched_setattr:ili sched_setparam:il sched_setscheduler:iil sched_yield: seccomp:iil "
	"select:illll semctl:iiil semget:iii semop:ili semtimedop:ilil sendfile:iill "
	"sendmmsg:ilii sendmsg:ili sendto:illili set_mempolicy:ill "
	"set_mempolicy_home_node:llll set_robust_list:ll set_tid_address:l setdomainname:li "
	"setfsgid:i setfsuid:i setgid:i setgroups:il sethostname:li setitimer:ill setns:ii "
	"setpgid:ii setpriority:iii setregid:ii setresgid:iii setresuid:iii setreuid:ii "
	"setrlimit:il setsid: setsockopt:iiili settimeofday:ll setuid:i setxattr:lllli "
	"shmat:ili shmctl:iil shmdt:l shmget:ili shutdown:ii sigaltstack:ll signalfd:ill "
	"signalfd4:illi socket:iii socketpair:iiil splice:ililli stat:ll statfs:ll "
	"statx:iliil swapoff:l swapon:li symlink:ll symlinkat:lil sync: sync_file_range:illi "
	"syncfs:i sysfs:ill sysinfo:l syslog:ili tee:iili tgkill:iii time:l timer_create:ill "
	"timer_delete:i timer_getoverrun:i timer_gettime:il timer_settime:iill "
	"timerfd_create:ii timerfd_gettime:il timerfd_settime:iill times:l tkill:ii "
	"truncate:ll umask:i umount2:li uname:l unlink:l unlinkat:ili unshare:l uselib:l "
	"userfaultfd:i ustat:il utime:ll utimensat:illi utimes:ll vfork: vhangup: "
	"vmsplice:illi wait4:ilil waitid:iilil write:ill writev:ill ";

const char *syscall_args(const char *name)
{
	const char *found = strstr(signatures, text_format(" %s:", name));

	if (!found)
		return NULL;
	found = strchr(found, ':') + 1;
	return text_format("%.*s", (int)strcspn(found, " "), found);
}

u64 syscall_arg_mask(const char *args, unsigned arg)
{
	switch (args[arg]) {
	case 'h':
		return UINT16_MAX;
	case 'i':
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}
