#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Sockets between host and guest: called from either side, many at once, half closed, not read; both transports.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Errno qw(EAGAIN);
use File::Copy qw(copy);
use IO::Select;
use IO::Socket::UNIX;
use Kiln::Test;
use Test::More;
use Time::HiRes qw(time);

my $DEADLINE_S = $ENV{KILN_TEST_DEADLINE} || 240;
my ($STREAMS, $BYTES) = (64, 40_000);
my ($ECHO, $LATE, $STALL, $HOST_ECHO, $HOST_FIRST) = (5000, 5001, 5002, 6000, 6001);
my $FIRST_BYTES = 200_000;

my $dir = scratch();
chmod 0777, $dir;

# ---- The host's side -------------------------------------------------------------------------------

sub connect_to {
	my ($path) = @_;
	return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path);
}

# One line from a socket, byte by byte: what follows is the guest's.
sub read_line {
	my ($socket) = @_;
	my ($line, $select) = ('', IO::Select->new($socket));
	my $end_s = time + $DEADLINE_S;
	while ($line !~ /\n\z/) {
		my $left_s = $end_s - time;
		return $line if $left_s <= 0 || !$select->can_read($left_s);
		sysread($socket, $line, 1, length $line) or return $line;
	}
	return $line;
}

# A connection to a port of the guest's; undef when nobody takes it.
sub call_guest {
	my ($path, $port) = @_;
	my $socket = connect_to($path) or return undef;
	syswrite $socket, "CONNECT $port\n";
	return read_line($socket) =~ /^OK \d+$/ ? $socket : undef;
}

sub listen_at {
	my ($path, $port) = @_;
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => "${path}_$port", Listen => 128)
		or die "${path}_$port: $!";
	chmod 0777, "${path}_$port";
	return $listener;
}

sub accept_from {
	my ($listener) = @_;
	return IO::Select->new($listener)->can_read($DEADLINE_S) ? scalar $listener->accept : undef;
}

sub random_bytes {
	my ($len) = @_;
	open my $file, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
	my $bytes;
	read $file, $bytes, $len;
	return $bytes;
}

# Send each stream its bytes and read until its end, all at once. Return: what came, in order.
sub exchange {
	my ($sockets, $bytes) = @_;
	my ($in, $out) = (IO::Select->new(@$sockets), IO::Select->new(@$sockets));
	my %stream = map { $sockets->[$_] => { left => $bytes->[$_], got => '' } } 0 .. $#$sockets;
	my $end_s = time + $DEADLINE_S;
	$_->blocking(0) for @$sockets;
	while ($in->count && time < $end_s) {
		my ($readable, $writable) = IO::Select->select($in, $out, undef, $end_s - time);
		for my $socket (@{ $writable || [] }) {
			my $stream = $stream{$socket};
			my $put = syswrite $socket, $stream->{left};
			substr $stream->{left}, 0, $put // 0, '';
			next if $stream->{left} ne '' && ($put || $! == EAGAIN);
			$out->remove($socket);
			shutdown $socket, 1;
		}
		for my $socket (@{ $readable || [] }) {
			my $stream = $stream{$socket};
			my $got = sysread $socket, $stream->{got}, 65536, length $stream->{got};
			$in->remove($socket) if defined $got ? $got == 0 : $! != EAGAIN;
		}
	}
	return map { $stream{$_}{got} } @$sockets;
}

# Test: every stream came back as it was sent.
sub streams_return {
	my ($sockets, $name) = @_;
	my @sent = map { random_bytes($BYTES + $_) } 1 .. @$sockets;
	my @got = exchange($sockets, \@sent);
	my @wrong = grep { sha256_hex($sent[$_]) ne sha256_hex($got[$_]) } 0 .. $#sent;
	is(join(' ', map { "$_: " . length($got[$_]) . ' of ' . length($sent[$_]) } @wrong), '', $name);
}

# Write until nothing was taken for two seconds. Return: how many bytes were.
sub fill {
	my ($socket, $bytes) = @_;
	my ($taken, $select) = (0, IO::Select->new($socket));
	$socket->blocking(0);
	while ($taken < length $bytes && $select->can_write(2)) {
		$taken += syswrite($socket, $bytes, length($bytes) - $taken, $taken) // 0;
	}
	return $taken;
}

# ---- What a machine of either kind can do ----------------------------------------------------------

my $peers = join "\n", "vsock_peer echo $ECHO &", "vsock_peer late $LATE &", "vsock_peer stall $STALL &";

sub start_machine {
	my ($path, $script, %opt) = @_;
	my $more = delete $opt{more} || [];
	return boot(initramfs => initramfs('vsock'), script => "$peers\n$script\nwait",
		more => [ '--device', "virtio-vsock,cid=33,socket=$path", @$more ], stdin => 'pipe', %opt);
}

sub one_stream_each_way {
	my ($path, $calls, $name) = @_;
	my $socket = call_guest($path, $ECHO);
	ok($socket, "$name: the host calls a port of the guest's") or return;
	streams_return([ $socket ], '... and bytes go both ways');
	my $called = accept_from($calls);
	ok($called, "$name: the guest calls a port of the host's") or return;
	streams_return([ $called ], '... and bytes go both ways');
}

# ---- PCI: everything --------------------------------------------------------------------------------

{
	my $path = "$dir/pci";
	my ($calls, $firsts) = (listen_at($path, $HOST_ECHO), listen_at($path, $HOST_FIRST));
	my $m = start_machine($path, "vsock_peer call $HOST_ECHO 1; vsock_peer call $HOST_ECHO $STREAMS;"
		. " vsock_peer call 6999 1; vsock_peer first $HOST_FIRST $FIRST_BYTES; echo all-done");

	ok(eventually(sub { -S $path }), 'the socket is there');
	my $early = connect_to($path);
	ok($early, '... before the guest is');
	ok($m->wait_for(qr/listens at @{[ $STALL + 1 ]}/), 'the guest has its programs');
	one_stream_each_way($path, $calls, 'virtio-pci');

	my @called = map { accept_from($calls) } 1 .. $STREAMS;
	is(scalar(grep { $_ } @called), $STREAMS, "the guest makes $STREAMS calls");
	streams_return(\@called, '... each carries random bytes both ways');

	my @calling = map { call_guest($path, $ECHO) } 1 .. $STREAMS;
	is(scalar(grep { $_ } @calling), $STREAMS, "the host makes $STREAMS calls");
	streams_return(\@calling, '... each carries random bytes both ways');

	ok(!call_guest($path, 4321), 'a port of the guest\'s where nobody listens closes the client');
	ok($m->wait_for(qr/vsock_peer: connect: Connection reset/), 'a port of the host\'s where nobody listens is refused');

	# Half a connection closed: the other half goes on.
	my $late = call_guest($path, $LATE);
	streams_return([ $late ], 'what the guest sends after the host said its last arrives');
	my $first = accept_from($firsts);
	my $got = '';
	1 while sysread $first, $got, 65536, length $got;
	is(sha256_hex($got), sha256_hex(join '', map { chr(($_ * 7 + ($_ >> 8)) & 255) } 0 .. $FIRST_BYTES - 1),
		'what the guest sent before its last arrives, then the end');
	my $words = random_bytes(50_000);
	syswrite $first, $words;
	shutdown $first, 1;
	my $account = '50000 ' . unpack('%32C*', $words);
	ok($m->wait_for(qr/peer has read $account/), '... and what the host sends after that');

	# A guest that does not read.
	my $stalled = call_guest($path, $STALL);
	my $pushed = random_bytes(1 << 20);
	$pushed = $pushed x 4;
	my $taken = fill($stalled, $pushed);
	cmp_ok($taken, '>', 0, 'a guest that does not read');
	cmp_ok($taken, '<', 2 << 20, '... holds up who writes to it');
	my $beside = call_guest($path, $ECHO);
	streams_return([ $beside ], '... and nobody else');
	my ($device) = $m->device_pids;
	cmp_ok(memory_kib('Anonymous', $device), '<', 1024, '... nor does it cost memory');
	ok(call_guest($path, $STALL + 1), 'when it reads');
	my ($answer) = exchange([ $stalled ], [ substr $pushed, $taken ]);
	is($answer, length($pushed) . ' ' . unpack('%32C*', $pushed) . "\n", '... it has every byte');

	# A host that does not read.
	my $deaf = call_guest($path, $ECHO);
	my $echoed = fill($deaf, $pushed);
	cmp_ok($echoed, '<', 2 << 20, 'a host that does not read holds up who writes to it in the guest');
	streams_return([ call_guest($path, $ECHO) ], '... and nobody else');
	cmp_ok(memory_kib('Anonymous', $device), '<', 1024, '... and its bytes in the device are bounded');
	my ($back) = exchange([ $deaf ], [ substr $pushed, $echoed ]);
	is(sha256_hex($back), sha256_hex($pushed), '... and when it reads it has every byte');

	ok($m->wait_for(qr/all-done/), 'the guest\'s calls are over');
	syswrite $early, "CONNECT $ECHO\n";
	read_line($early);
	$m->signal('TERM');
	is($m->wait_end, 143, 'the machine ends in order');
	is($m->{err}, "kiln: stopped by signal 15 (Terminated)\n", '... without complaint');
	ok(!-e $path, '... and its socket is gone');
}

# ---- MMIO, and an ordinary user -------------------------------------------------------------------

{
	my $path = "$dir/mmio";
	my $calls = listen_at($path, $HOST_ECHO);
	my %copy = (kiln => kiln(), kernel => kernel('cloud'), initramfs => initramfs('vsock'));
	my %user;
	if (is_root()) {
		for my $name (keys %copy) {
			copy($copy{$name}, "$dir/$name") or die "$dir/$name: $!";
			chmod 0755, "$dir/$name";
		}
		%user = (kiln => "$dir/kiln", kernel => "$dir/kernel", initramfs => "$dir/initramfs", under => [ as_nobody() ]);
	}
	my $m = start_machine($path, "vsock_peer call $HOST_ECHO 1; echo all-done", more => [ '--virtio', 'mmio' ], %user);
	ok($m->wait_for(qr/listens at @{[ $STALL + 1 ]}/), 'virtio-mmio, started by a user: the guest has its programs');
	one_stream_each_way($path, $calls, 'virtio-mmio');
	ok($m->wait_for(qr/all-done/), 'the guest\'s call is over');
	$m->signal('TERM');
	is($m->wait_end, 143, 'the machine ends in order');
}

# ---- Words --------------------------------------------------------------------------------------------

is_refused([ 'run', '--cid', '2', payload('idle') ], qr/cid.*2.*3 to 4294967294/, 'a reserved cid is refused');
is_refused([ 'run', '--device', "virtio-vsock,socket=$dir/" . 'x' x 97, payload('idle') ], qr/socket/,
	'a path without room for a port is refused');

nothing_is_left();
done_testing();
