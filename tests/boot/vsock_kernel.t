#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Sockets between host and guest through the host kernel's vhost-vsock, where the host has it.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket;
use Kiln::Test;
use Test::More;

my $DEADLINE_S = $ENV{KILN_TEST_DEADLINE} || 240;
my ($AF_VSOCK, $CID, $ANY) = (40, 44, 0xffffffff);
my ($ECHO, $LATE, $HOST_ECHO) = (5000, 5001, 6000);
my ($STREAMS, $BYTES) = (16, 60_000);

# struct sockaddr_vm
sub address { return pack 'S S L L x4', $AF_VSOCK, 0, $_[1], $_[0] }

sub vsock_socket {
	socket my $socket, $AF_VSOCK, SOCK_STREAM, 0 or die "socket: $!";
	return $socket;
}

sub call_guest {
	my ($port) = @_;
	my $socket = vsock_socket();
	return connect($socket, address($CID, $port)) ? $socket : undef;
}

sub listen_at {
	my ($port) = @_;
	my $socket = vsock_socket();
	bind $socket, address($ANY, $port) and listen $socket, 64 or die "listen at $port: $!";
	return $socket;
}

sub accept_from {
	my ($listener) = @_;
	return undef unless IO::Select->new($listener)->can_read($DEADLINE_S);
	my $socket;
	return accept($socket, $listener) ? $socket : undef;
}

# Test: what is written into each comes back, then the end.
sub streams_return {
	my ($sockets, $name) = @_;
	my @sent = map { my $seed = $_; join '', map { pack 'L', ($_ * 2654435761 + $seed * 40503) & 0xffffffff } 1 .. $BYTES / 4 } 1 .. @$sockets;
	my @wrong;
	for my $i (0 .. $#sent) {
		syswrite($sockets->[$i], $sent[$i]) // diag("write: $!");
		shutdown $sockets->[$i], 1;
	}
	for my $i (0 .. $#sent) {
		my $got = '';
		my $select = IO::Select->new($sockets->[$i]);
		1 while $select->can_read($DEADLINE_S) && sysread $sockets->[$i], $got, 65536, length $got;
		push @wrong, "$i: " . length $got if sha256_hex($got) ne sha256_hex($sent[$i]);
	}
	is(join(' ', @wrong), '', $name);
}

if (-e '/dev/vhost-vsock') {
	my $calls = listen_at($HOST_ECHO);
	my $m = boot(initramfs => initramfs('vsock'), more => [ '--cid', $CID ], stdin => 'pipe',
		script => "vsock_peer echo $ECHO & vsock_peer late $LATE & vsock_peer call $HOST_ECHO $STREAMS; echo all-done; wait");
	ok($m->wait_for(qr/listens.*listens/s), 'the guest has its programs');
	my @called = map { accept_from($calls) } 1 .. $STREAMS;
	is(scalar(grep { $_ } @called), $STREAMS, "the guest makes $STREAMS calls");
	streams_return(\@called, '... each carries bytes both ways');
	my @calling = map { call_guest($ECHO) } 1 .. $STREAMS;
	is(scalar(grep { $_ } @calling), $STREAMS, "the host makes $STREAMS calls");
	streams_return(\@calling, '... each carries bytes both ways');
	streams_return([ call_guest($LATE) ], 'what the guest sends after the host said its last arrives');
	ok(!call_guest(4321), 'a port where nobody listens is refused');
	ok($m->wait_for(qr/all-done/), 'the guest\'s calls are over');
	my ($device) = $m->device_pids;
	is(status_field("/proc/$device/status", $_->[0]), $_->[1], "the device's process is jailed: $_->[0]")
		for [ Seccomp => 2 ], [ NoNewPrivs => 1 ], [ CapEff => '0' x 16 ];
	is_refused([ 'run', '--cid', $CID, payload('idle') ], qr/cid=$CID \(another machine has it\)/,
		'a second machine cannot have the same cid');
	$m->signal('TERM');
	is($m->wait_end, 143, 'the machine ends in order');
	is($m->{err}, "kiln: stopped by signal 15 (Terminated)\n", '... without complaint');
	ok(!call_guest($ECHO), '... and nobody answers any more');
} else {
	is_refused([ 'run', '--cid', $CID, payload('idle') ], qr{/dev/vhost-vsock.*load vhost_vsock, or give socket=PATH},
		'a host without vhost-vsock is told what does without');
}

nothing_is_left();
done_testing();
