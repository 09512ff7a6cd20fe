#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Virtio devices in processes of their own: both transports, and whoever dies first.
use strict;
use warnings;

use Kiln::Test;
use Test::More;

my $draw = 'dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | sha256sum; cat /proc/interrupts';

# A stock kernel that reads 16 KiB from its virtio-rng.
sub draws {
	my ($name, $interrupt, @more) = @_;
	my $m = boot(initramfs => initramfs('modules'), script => $draw, more => [ '--device', 'virtio-rng', @more ]);
	my $text = $m->wait_for(qr/kiln-status: \d+/) // '';

	ends_with($m, 0, qr/powered off/, "$name: the machine powers off");
	like($text, qr/kiln-status: 0/, "$name: the guest reads its random numbers");
	like($text, $interrupt, "$name: its interrupts");
	return $text =~ /^([0-9a-f]{64}) /m ? $1 : '';
}

my %seen;
$seen{ draws('virtio-pci', qr/[1-9]\d* +PCI-MSI \d+-edge +virtio0-input/) }++;
$seen{ draws('virtio-pci without MSI', qr/[1-9]\d* +IO-APIC +17-fasteoi +virtio0/, '-p', 'pci=nomsi') }++;
$seen{ draws('virtio-mmio', qr/[1-9]\d* +IO-APIC +5-edge +virtio0/, '--virtio', 'mmio') }++;
$seen{ draws('without a jail', qr/[1-9]\d* +PCI-MSI \d+-edge +virtio0-input/, '--disable-sandbox') }++;
is(scalar grep({ /^[0-9a-f]{64}$/ } keys %seen), 4, 'no two machines drew the same');

# ---- Whoever dies first ------------------------------------------------------------------------------

sub start_idle {
	my $m = start([ 'run', '-m', '4', ('--device', 'virtio-rng') x 3, payload('idle') ], stdin => 'pipe');
	ok($m->wait_for(qr/idle/), 'a machine with three devices runs');
	is(scalar $m->device_pids, 3, '... each in a process of its own');
	return $m;
}

{
	my $m = start_idle();
	# In a process namespace of its own only SIGKILL reaches the first process from outside.
	$m->signal("KILL", ($m->device_pids)[1]);
	ends_with($m, 1, qr/virtio-rng\.[0-2]: its process was killed by signal 9 \(Killed\)/,
		"a device that is killed ends the machine, with a line that names it");
	nothing_is_left("... and no process stays");
}
for my $who (qw(vm supervisor)) {
	my $m = start_idle();
	my @pids = ($m->vm_pid, $m->device_pids);
	$m->signal('KILL', $who eq 'vm' ? $m->vm_pid : $m->{pid});
	$m->wait_end;
	ok(wait_for_end_of($_), "after a killed $who no other process stays") for @pids;
	nothing_is_left("... $who: nothing stays");
}

# ---- Words -------------------------------------------------------------------------------------------

is_refused([ 'run', '--device', 'virtio-rgn', payload('idle') ], qr/no device 'virtio-rgn': did you mean 'virtio-rng'\?/,
	'an unknown device is answered with the nearest');
is_refused([ 'run', '--device', 'virtio-rng,speed=11', payload('idle') ], qr/virtio-rng: .*no options/,
	'a device without options takes none');
is_refused([ 'run', ('--device', 'virtio-rng') x 17, payload('idle') ], qr/at most 16 virtio devices/,
	'more devices than a machine has room for are refused');

nothing_is_left();
done_testing();
