#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Stock kernels: each way in, CPU counts and memory sizes; what the guest finds, and how it ends.
use strict;
use warnings;

use Kiln::Test;
use Test::More;

# name, kernel, CPUs, MiB, words for kiln, what the guest does at last, exit status and its line
my $off = [ 'poweroff -f', 0, qr/powered off/ ];
my $reset = [ 'reboot -f', 32, qr/asked for a reset/ ];
my $panic = [ 'echo c >/proc/sysrq-trigger', 34, qr/kernel panicked \(pvpanic\)/ ];
my @boots = (
	[ 'cloud bzImage', 'cloud', 1, 128, [], $off ],
	[ 'cloud bzImage', 'cloud', 4, 1024, [], $reset ],
	[ 'generic bzImage', 'generic', 2, 5120, [], $off ],
	[ 'vmlinux by its 64-bit entry', 'vmlinux', 2, 1024, [ '--boot', 'linux' ], $panic, 'modules' ],
	[ 'vmlinux by its PVH note', 'vmlinux', 4, 5120, [ '--boot', 'pvh' ], $reset ],
);

for my $boot (@boots) {
	my ($kind, $kernel, $cpus, $mib, $more, $end, $initramfs) = @$boot;
	my ($last, $status, $line) = @$end;
	my $name = "$kind, $cpus CPUs, $mib MiB";
	my $m = boot(kernel => kernel($kernel), cpus => $cpus, mem => $mib, more => $more,
		initramfs => initramfs($initramfs || 'plain'), script => report_script() . $last);

	report_is_clean($m, $cpus, $name);
	memory_is($m, $mib, $name);
	ends_with($m, $status, $line, "$name: '$last' ends with $status");
}

# The search for complaints finds what it is there for, and its exception is no wider than it says.
my $xsave = join '', map { "dmesg:$_" } "7:[ 2.0] ------------[ cut here ]------------\r\n",
	"8:[ 2.0] XSAVE consistency problem: size 2696 != kernel_size 576\r\n",
	"9:[ 2.0] WARNING: CPU: 0 PID: 0 at arch/x86/kernel/fpu/xstate.c:606 fpu__init_system_xstate+0x85a/0xb19\r\n",
	"20:[ 2.0] Call Trace:\r\n", "27:[ 2.0] ---[ end trace 0000000000000000 ]---\r\n";
my $other = "dmesg:30:[ 3.0] [Firmware Bug]: TSC_DEADLINE disabled due to Errata\r\n";
is_deeply([ complaints($other) ], [ '[ 3.0] [Firmware Bug]: TSC_DEADLINE disabled due to Errata' ],
	'a complaint in a report is found');
is(scalar(complaints($xsave =~ s/xstate/xsave/gr)), 3, 'another warning than the excepted one is found');
SKIP: {
	skip 'this CPU is not QEMU\'s', 1 unless slurp('/proc/cpuinfo') =~ /QEMU TCG/;
	is(scalar(complaints($xsave . $other)), 1, 'behind the excepted block, complaints are found');
}

nothing_is_left();
done_testing();
