#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Small builds boot stock kernels as well: tiny_defconfig, and allnoconfig with the least that boots (least_config).
use strict;
use warnings;

use Kiln::Test;
use Test::More;

# Without ACPI the MP table tells the CPUs. Debian's generic kernel reads it, its cloud kernel does not.
{
	my $m = boot(kiln => prepared('TINY'), kernel => kernel('generic'), cpus => 2,
		script => report_script() . 'reboot -f');
	report_is_clean($m, 2, 'tiny_defconfig', qr/PCI: Fatal: No config space access/); # it has no PCI
	ends_with($m, 32, qr/reset/, 'tiny_defconfig: a reboot ends with 32');
}
{
	my $m = boot(kiln => prepared('LEAST'), script => 'echo "cpus: $(nproc)"; reboot -f');
	ok($m->wait_for(qr/cpus: 1\r?\n/), 'the least that boots runs a command');
	ends_with($m, 32, qr/reset/, 'the least that boots: a reboot ends with 32');
}

# Nothing can switch such a machine off: the kernel halts its CPUs, and that is the end.
{
	my $m = boot(kiln => prepared('TINY'), script => 'poweroff -f');
	ends_with($m, 0, qr/guest halted/, 'tiny_defconfig: a power off ends with 0');
}

is_refused([ 'run', payload('idle') ], qr/without CONFIG_BOOT_ELF/, 'a format that was not built in is named',
	kiln => prepared('LEAST'));
nothing_is_left();
done_testing();
