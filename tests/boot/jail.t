#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# The jail and the filters, looked at from outside while a guest runs: as root, as a user, without a sandbox.
use strict;
use warnings;

use File::Copy qw(copy);
use JSON::PP qw(decode_json);
use Kiln::Test;
use Test::More;

# An idle machine with every port in use. Options as for start().
sub start_idle {
	my ($more, %opt) = @_;
	my $m = start([ 'run', '-m', '4', '-c', '2', @$more, delete $opt{guest} || payload('idle') ], stdin => 'pipe', %opt);
	ok($m->wait_for(qr/idle/), 'a guest runs');
	return $m;
}

# Our own: newer kernels have KVM's worker for huge pages beside them.
sub threads_of { return grep { slurp("$_/comm") =~ /^kiln/ } glob "/proc/$_[0]/task/*" }

# What the descriptors of a process are: each kind once, without numbers.
sub descriptor_kinds {
	my ($pid) = @_;
	my %kinds = map { (readlink($_) // '?') =~ s/:?\[\d+\]$//r =~ s/:\d+$//r => 1 } glob "/proc/$pid/fd/*";
	return join ' ', sort keys %kinds;
}

# A process of a machine's, with so many threads and these descriptors.
sub is_confined {
	my ($vm, $uid, $name, $nr_threads, $descriptors) = @_;
	my $status = "/proc/$vm/status";
	my @threads = threads_of($vm);

	is(scalar @threads, $nr_threads, "$name: its threads");
	for my $field ([ Seccomp => 2, 'under a filter' ], [ NoNewPrivs => 1, 'without a way to gain privileges' ]) {
		my %found = map { status_field("$_/status", $field->[0]) => 1 } @threads;
		is(join(' ', keys %found), $field->[1], "$name: each thread is $field->[2]");
	}
	for my $set (qw(CapInh CapPrm CapEff CapBnd CapAmb)) {
		my %found = map { status_field("$_/status", $set) => 1 } @threads;
		is(join(' ', keys %found), '0' x 16, "$name: $set is empty in each thread");
	}
	is(status_field($status, 'Uid'), join("\t", ($uid) x 4), "$name: its user is $uid");
	is(status_field($status, 'Groups'), '', "$name: it has no further groups") if is_root();
	is(slurp("/proc/$vm/environ"), '', "$name: its environment is empty");
	my @mounts = split /\n/, slurp("/proc/$vm/mountinfo");
	is(scalar @mounts, 1, "$name: it sees one mount");
	like($mounts[0], qr{ / / ro,nosuid,nodev,noexec,.* - tmpfs }, '... a read-only tmpfs as root');
	is(join(' ', glob "/proc/$vm/root/* /proc/$vm/root/.[a-z]*"), '', '... which is empty');
	is(readlink "/proc/$vm/cwd", '/', '... and its working directory');
	is((slurp("/proc/$vm/stat") =~ /^\d+ \(.*\) \S (?:\d+ ){2}(\d+) 0 /s)[0], $vm, "$name: a session of its own, without a terminal");
	for my $ns (qw(mnt pid net ipc uts cgroup)) {
		isnt(readlink "/proc/$vm/ns/$ns", readlink "/proc/self/ns/$ns", "$name: it has its own $ns namespace");
	}
	my $net = slurp("/proc/$vm/net/dev");
	unlike($net, qr/^\s*(?!lo:)\w+:/m, '... and no network but lo');
	like(slurp("/proc/$vm/limits"), qr/^Max core file size\s+0\s+0\s/m, "$name: no core file of guest memory");
	is(descriptor_kinds($vm), $descriptors, "$name: its descriptors are those it needs");
}

# A machine with a virtio device: all its processes.
sub machine_is_confined {
	my ($m, $uid, $name) = @_;
	my ($device) = $m->device_pids;
	my $vm_descriptors = '/dev/kvm /dev/null /memfd:kiln-guest (deleted) anon_inode:[eventfd] anon_inode:[eventpoll]'
		. ' anon_inode:[timerfd] anon_inode:kvm-vcpu anon_inode:kvm-vm pipe socket';

	is_confined($m->vm_pid, $uid, "$name: vm process", 3, $vm_descriptors);
	is_confined($device, $uid, "$name: device", 1, '/dev/null anon_inode:[eventpoll] socket');
	is(status_field("/proc/$m->{pid}/status", 'Seccomp'), 2, "$name: the supervisor is under a filter, too");
	is(status_field("/proc/$m->{pid}/status", 'NoNewPrivs'), 1, '... and cannot gain privileges');
}

# A device that is served to other monitors, in a folder where its user may make a socket.
sub served_device_is_confined {
	my ($dir, $uid, $name, @options) = @_;
	my $m = start([ 'device', 'virtio-rng', '--socket', "$dir/rng.sock" ], @options);
	ok($m->wait_for_err(qr/ready at/), "$name: a device is served");
	is_confined($m->device_pids, $uid, "$name: served device", 1, '/dev/null anon_inode:[eventpoll] socket');
	is(status_field("/proc/$m->{pid}/status", 'Seccomp'), 2, "$name: who serves it is under a filter, too");
	$m->signal('TERM');
	is($m->wait_end, 0, '... and ends in order');
}

# ---- As whoever runs the tests ----------------------------------------------------------------------

{
	my $m = start_idle([ '--device', 'virtio-rng' ]);
	machine_is_confined($m, is_root() ? 65534 : $>, is_root() ? 'started by root' : 'started by a user');
	my @pids = ($m->vm_pid, $m->device_pids);
	$m->signal('KILL');
	$m->wait_end;
	ok(wait_for_end_of($_), 'a process of a killed supervisor ends') for @pids;
	nothing_is_left('... and nothing stays');
}
served_device_is_confined(scratch(), is_root() ? 65534 : $>, 'started by whoever tests');
{
	my $m = start_idle([ '--disable-sandbox' ]);
	my @seccomp = map { status_field("$_/status", 'Seccomp') } threads_of($m->vm_pid), "/proc/$m->{pid}";
	is(join(' ', @seccomp), '0 0 0 0', '--disable-sandbox: no filter');
	is(readlink '/proc/' . $m->vm_pid . '/ns/mnt', readlink '/proc/self/ns/mnt', '--disable-sandbox: no namespaces');
	$m->signal('TERM');
	ends_with($m, 143, qr/signal 15/, '--disable-sandbox: ends in order');
}

# ---- Every class of device ------------------------------------------------------------------------------

{
	my $dir = scratch();
	open my $image, '>', "$dir/image" or die "$dir/image: $!";
	truncate $image, 1 << 20;
	close $image;
	chmod 0666, "$dir/image";
	my $loop = 'anon_inode:[eventpoll]';
	my @classes = (
		[ "virtio-blk,path=$dir/image", "$dir/image /dev/null $loop socket" ],
		[ "virtio-vsock,socket=$dir/vsock", "/dev/null $loop anon_inode:[timerfd] socket" ],
		[ 'virtio-balloon', "/dev/null $loop socket" ],
		[ 'virtio-console,sink', "/dev/null $loop anon_inode:[timerfd] socket" ],
		[ "virtio-console,file=$dir/console", "$dir/console /dev/null $loop anon_inode:[timerfd] socket" ],
		[ "virtio-console,unix=$dir/socket", "/dev/null $loop anon_inode:[timerfd] socket" ],
		is_root() ? [ 'virtio-net,ip=192.0.2.1,netmask=255.255.255.0', "/dev/net/tun /dev/null $loop anon_inode:[timerfd] socket" ] : (),
	);
	for my $case (@classes) {
		my ($device, $descriptors) = @$case;
		my $m = start_idle([ '--device', $device ], is_root() ? (under => [ 'unshare', '--net' ]) : ());
		my ($pid) = $m->device_pids;
		is_confined($pid, is_root() ? 65534 : $>, $device, 1, join ' ', sort split / (?!\(deleted)/, $descriptors);
		$m->signal('TERM');
		is($m->wait_end, 143, "$device: its machine ends in order");
	}
	is(join(' ', glob "$dir/*"), "$dir/console $dir/image", 'only files that were asked for are left');
}

# ---- As an ordinary user, who started as root cannot read the user's files: a copy is made --------------

SKIP: {
	skip 'needs root to become somebody else', 1 unless is_root();
	my $dir = scratch();
	my %copy = (kiln => kiln(), idle => payload('idle'), kernel => kernel('cloud'), initramfs => initramfs('plain'));
	for my $name (keys %copy) {
		copy($copy{$name}, "$dir/$name") or die "$dir/$name: $!";
		chmod 0755, "$dir/$name";
	}
	my @user = (kiln => "$dir/kiln", under => [ as_nobody() ]);
	my $m = start_idle([ '--device', 'virtio-rng' ], guest => "$dir/idle", @user);
	machine_is_confined($m, 65534, 'started by a user');
	isnt(readlink '/proc/' . $m->vm_pid . '/ns/user', readlink '/proc/self/ns/user', 'started by a user: a user namespace of its own');
	$m->signal('TERM');
	ends_with($m, 143, qr/signal 15/, 'started by a user: ends in order');
	chmod 0777, $dir;
	served_device_is_confined($dir, 65534, 'started by a user', @user);
	chmod 0755, $dir;

	# A whole kernel, and in it Kiln again: the guest runs from its initramfs, where pivot_root is refused.
	$m = boot(kernel => "$dir/kernel", initramfs => "$dir/initramfs", script => 'kiln doctor --json; echo "doctor: $?"', @user);
	my $text = $m->wait_for(qr/doctor: \d+/) // '';
	ends_with($m, 0, qr/powered off/, 'started by a user: a stock kernel boots and powers off');
	my $report = eval { decode_json($text =~ /^(\{.*\})\r?$/m ? $1 : '') } || {};
	my %state = map { $_->{name} => "$_->{state}: $_->{text}" } @{ $report->{findings} || [] };
	like($state{jail}, qr/^ok: /, 'in an initramfs, doctor finds that the jail works');
	like($state{kvm}, qr{^bad: .*/dev/kvm}, '... and that there is no KVM');
	like($text, qr/doctor: 1/, '... which is a failure');
}

nothing_is_left();
done_testing();
