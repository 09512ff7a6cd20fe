#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# A hostile guest (tests/payload/hostile) against every class of virtio device, on both transports: the
# monitor lives, the devices work afterwards, one that is left in peace works all the time, and the
# machine's processes are what they were.
use strict;
use warnings;

use Digest::SHA;
use File::Copy qw(copy);
use Kiln::Test;
use Test::More;

my $dir = scratch();
my $DISK_BYTES = 8 << 20;

# A disk, half of it empty.
sub make_disk {
	my ($path) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file 'unchanged ' x ($DISK_BYTES / 20);
	truncate $file, $DISK_BYTES;
	close $file or die "$path: $!";
	chmod 0666, $path;
	return $path;
}

sub digest_of { return Digest::SHA->new(256)->addfile($_[0])->hexdigest }

mkdir "$dir/sockets" or die "$dir/sockets: $!";
chmod 0777, "$dir/sockets";
my @victims = ('virtio-blk,path=' . make_disk("$dir/written") . ',queues=4', 'virtio-blk,ro,path=' . make_disk("$dir/read"),
	'virtio-balloon', 'virtio-console,sink', 'virtio-rng', "virtio-vsock,socket=$dir/sockets/vsock");

my $digest = digest_of("$dir/read");

sub start_hostile {
	my ($params, $victims, $more, %opt) = @_;
	my $payload = delete $opt{payload} || payload('hostile');
	my @devices = map { ('--device', $_) } 'virtio-rng', @$victims;
	return start([ 'run', '-m', '32', '-c', 2, '-p', $params, @devices, @$more, $payload ], stdin => 'pipe', %opt);
}

# What a process holds: descriptors, threads, anonymous memory.
sub belongings {
	my ($pid) = @_;
	my @descriptors = glob "/proc/$pid/fd/*";
	my @threads = glob "/proc/$pid/task/*";
	return { descriptors => scalar @descriptors, threads => scalar @threads, kib => memory_kib('Anonymous', $pid) };
}

# Frames from the host to a card in the machine's network namespace, all the time. Return: the process.
sub send_frames {
	my ($m) = @_;
	my $flood = 'use IO::Socket::INET; my $s = IO::Socket::INET->new(Proto => "udp", Broadcast => 1,'
		. ' PeerAddr => "192.0.2.255", PeerPort => 9) or die $!;'
		. ' for (;;) { $s->send("x" x 1400); select undef, undef, undef, 0.01 }';
	my $pid = fork() // die "fork: $!";
	exec 'nsenter', '-t', $m->{pid}, '-n', 'perl', '-e', $flood or POSIX::_exit(127) if !$pid;
	return $pid;
}

# One attack on all victims.
sub survives {
	my ($name, $params, $victims, $more, %opt) = @_;
	my $has_net = grep { /^virtio-net/ } @$victims;
	my $m = start_hostile("wait=1 $params", $victims, $more, %opt);
	ok($m->wait_for(qr/^hostile: ready: failures 0\n/m), "$name: the devices work before the attack") or return;

	my @pids = ($m->vm_pid, $m->device_pids);
	is(scalar @pids, 2 + @$victims, '... each in a process of its own');
	my %before = map { $_ => belongings($_) } @pids;
	my $frames = $has_net ? send_frames($m) : 0;
	$m->type("\n");
	my $text = $m->wait_for(qr/^hostile: done: failures \d+\n/m) // '';
	like($text, qr/done: failures 0\n/, "$name: what must be refused is, and all devices work after the attack");
	is(scalar(() = $text =~ /^hostile: slot \d+ id \d+ .* config \d+$/mg), scalar @$victims, '... on every device');
	note $text;
	if ($frames) {
		kill 'KILL', $frames;
		waitpid $frames, 0;
	}

	my %after = map { $_ => belongings($_) } @pids;
	for my $kind (qw(descriptors threads)) {
		is_deeply([ map { $after{$_}{$kind} } @pids ], [ map { $before{$_}{$kind} } @pids ],
			"$name: each process has as many $kind as before");
	}
	my @grown = map { $after{$_}{kib} - $before{$_}{kib} } @pids;
	note "anonymous memory grew by KiB: @grown";
	is(scalar(grep { $_ > 512 } @grown), 0, "$name: no process has grown by more than 512 KiB");
	$m->type("\n");
	is($m->wait_end, 0, "$name: the guest powers the machine off");
	like($m->{err}, qr/^kiln: the guest powered off \(acpi-pm\)\n\z/m, '... which is the last that is told');
	cmp_ok(scalar(() = $m->{err} =~ /\n/g), '<', 1000, '... and not too much before');
	is(digest_of("$dir/read"), $digest, '... a disk given for reading is as it was');
	is(-s "$dir/written", $DISK_BYTES, '... and the other as large');
	is(join(' ', glob "$dir/sockets/*"), '', '... and no socket is left');
	nothing_is_left("$name: no process is left");
}

# ---- Every class, as whoever runs the tests ------------------------------------------------------------

my @net = is_root() ? 'virtio-net,ip=192.0.2.1,netmask=255.255.255.0' : ();
my @own_net = is_root() ? (under => [ 'unshare', '--net' ]) : ();
survives('virtio-pci', 'seed=1 rounds=6 cpus=2', [ @victims, @net ], [ '--virtio', 'pci' ], @own_net);
survives('virtio-mmio', 'seed=2 rounds=6 cpus=2', [ @victims, @net ], [ '--virtio', 'mmio' ], @own_net);

# ---- As an ordinary user --------------------------------------------------------------------------------

SKIP: {
	skip 'needs root to become somebody else', 1 unless is_root();
	copy(kiln(), "$dir/kiln") or die "$dir/kiln: $!";
	chmod 0755, "$dir/kiln";
	copy(payload('hostile'), "$dir/hostile.elf") or die "$dir/hostile.elf: $!";
	survives('a user\'s machine', 'seed=3 rounds=2', \@victims, [], kiln => "$dir/kiln", payload => "$dir/hostile.elf",
		under => [ as_nobody() ]);
}

# ---- A machine that is ended in the middle of it -------------------------------------------------------

for my $signal (qw(TERM KILL)) {
	my $m = start_hostile('seed=3 rounds=100000', [ "virtio-blk,path=$dir/written" ], []);
	$m->wait_for(qr/ready/);
	$m->wait_for(qr/frozen 3/);
	my @pids = ($m->vm_pid, $m->device_pids);
	$m->signal($signal);
	is($m->wait_end, $signal eq 'TERM' ? 143 : 137, "SIG$signal ends a machine in the middle of an attack");
	ok(wait_for_end_of($_), '... and each of its processes') for @pids;
	nothing_is_left('... and nothing stays');
}

# ---- A device that stands still ------------------------------------------------------------------------

# It may have the guest's memory in its hands: the guest must not go on as after a reset.
{
	my $m = start_hostile('seed=4 rounds=100000', [ 'virtio-rng' ], []);
	$m->wait_for(qr/chains/);
	my @devices = $m->device_pids;
	$m->signal('STOP', $_) for @devices;
	is($m->wait_end, 1, 'a device that stands still while its guest resets it ends the machine');
	like($m->{err}, qr/^kiln: virtio-rng\.[01]: the vhost-user back-end gave no answer in \d+ ms\n\z/m, '... with a line that names it');
	nothing_is_left('... and nothing stays');
}

done_testing();
