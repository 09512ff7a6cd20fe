#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# `kiln device` of the built binary, $KILN: its socket, one front-end after another, its jail, its end.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(abs_path($0)) . '/lib';
BEGIN { $ENV{KILN_TEST_KILN} ||= abs_path($ENV{KILN} || dirname(abs_path($0)) . '/../build/kiln') }

use Fcntl qw(F_SETFD S_ISSOCK);
use IO::Select;
use IO::Socket::UNIX;
use Kiln::Test;
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::More;

my $DEADLINE_S = 60;
my ($GET_FEATURES, $SET_VRING_NUM) = (1, 8); # vhost-user requests
my $dir = scratch();
my $socket = "$dir/rng.sock";

# `kiln device virtio-rng`, ready. Words and options as for start().
sub serve {
	my ($words, %opt) = @_;
	my $m = start([ 'device', 'virtio-rng', @$words ], %opt);
	$m->wait_for_err(qr/virtio-rng\.0: ready.*\n/);
	return $m;
}

sub connect_to {
	return IO::Socket::UNIX->new(Peer => $socket) || BAIL_OUT("connect: $!");
}

# All that comes: so many bytes, or fewer when the other side closes or stays silent.
sub take {
	my ($front, $len) = @_;
	my $bytes = '';
	while (length $bytes < $len && IO::Select->new($front)->can_read($DEADLINE_S)) {
		sysread $front, $bytes, $len - length $bytes, length $bytes or last;
	}
	return $bytes;
}

sub ask {
	my ($front) = @_;
	return syswrite $front, pack 'VVV', $GET_FEATURES, 1, 0;
}

# Whether the answer to ask() comes, with the features that every device has.
sub is_answered {
	my ($front) = @_;
	my ($request, $flags, $size, $features) = unpack 'VVVQ<', take($front, 20);
	return defined $features && $request == $GET_FEATURES && $flags == 5 && $size == 8
		&& ($features >> 30 & 1) && ($features >> 32 & 1);
}

sub is_served {
	my ($front) = @_;
	ask($front);
	return is_answered($front);
}

# ---- The socket, and one front-end after another -----------------------------------------------------

{
	my $m = serve([ '--socket', $socket ]);
	my @made = stat $socket;
	ok(S_ISSOCK($made[2]), 'there is a socket');
	is($made[2] & 0777, 0600, '... for the user alone');
	is_refused([ 'device', 'virtio-rng', '--socket', $socket ], qr/in use: somebody listens/,
		'a socket in use is refused');

	my ($worker) = $m->device_pids;
	is(status_field("/proc/$worker/status", 'Seccomp'), 2, 'the device is under a filter');
	is(status_field("/proc/$worker/status", 'NoNewPrivs'), 1, '... cannot gain privileges');
	is(status_field("/proc/$worker/status", "Cap$_"), '0' x 16, "... has none in Cap$_") for qw(Inh Prm Eff Bnd Amb);
	is(join(' ', glob "/proc/$worker/root/* /proc/$worker/root/.[a-z]*"), '', '... and an empty root');
	isnt(readlink "/proc/$worker/ns/$_", readlink "/proc/self/ns/$_", "... and its own $_ namespace")
		for qw(mnt pid net ipc uts cgroup);
	is(status_field("/proc/$m->{pid}/status", 'Seccomp'), 2, 'who waits for front-ends is under a filter, too');

	my ($first, $second) = map { connect_to() } 1 .. 2;
	ask($second);
	ok(is_served($first), 'a front-end is served');
	ok(is_served($first), '... and asks again');
	ok(!IO::Select->new($second)->can_read(0), '... while another one waits');
	close $first;
	ok(is_answered($second), '... and is served when the first is gone');

	syswrite $second, pack 'VVV', $SET_VRING_NUM, 1, 0; # too short
	is(take($second, 1), '', 'a front-end that breaks the protocol is left');
	ok($m->wait_for_err(qr/warning: virtio-rng\.0: its front-end broke the protocol: SET_VRING_NUM/), '... with a warning');
	my $third = connect_to();
	ok(is_served($third), '... and the next is served');
	syswrite $third, pack 'VV', 1, 1; # and no more: the end comes in the middle

	$m->signal('TERM');
	is($m->wait_end, 0, 'it ends in order when it is asked to, in the middle of a message, too');
	like($m->{err}, qr/: stopped by signal 15 \(Terminated\)\n\z/, '... and says why');
	ok(!-e $socket, '... and takes its socket along');
}

# ---- What lies in the socket's place -----------------------------------------------------------------

{
	my $m = serve([ '--socket', $socket ]);
	my ($worker) = $m->device_pids;
	$m->signal('KILL');
	$m->wait_end;
	ok(wait_for_end_of($worker), 'who is killed takes the device along');
	ok(-S $socket, '... and leaves a socket behind');
	$m = serve([ '--socket', $socket ]);
	ok(is_served(connect_to()), '... which is replaced');
	$m->signal('INT');
	is($m->wait_end, 0, '... and SIGINT ends in order, too');
}
{
	open my $file, '>', $socket or die "$socket: $!";
	close $file;
	is_refused([ 'device', 'virtio-rng', '--socket', $socket ], qr/exists and is not a socket/, 'a file is refused');
	ok(-f $socket, '... and stays');
	unlink $socket;
}
{
	my $m = serve([ '--socket', $socket ]);
	rename $socket, "$socket.moved";
	my $mine = IO::Socket::UNIX->new(Local => $socket, Listen => 1);
	$m->signal('TERM');
	is($m->wait_end, 0, 'a device whose path is somebody else\'s now ends');
	ok(-S $socket, '... and leaves it there');
	unlink $socket, "$socket.moved";
}

# ---- Once; sockets that are given; ends that are none ------------------------------------------------

{
	my $m = serve([ '--socket', $socket, '--once' ]);
	my $front = connect_to();
	ok(is_served($front), '--once serves a front-end');
	close $front;
	is($m->wait_end, 0, '... and ends with it');
	like($m->{err}, qr/: its front-end is gone\n\z/, '... and says why');
	ok(!-e $socket, '... and takes its socket along');
}
{
	my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 4);
	fcntl $listener, F_SETFD, 0;
	my $m = serve([ '--socket-fd', fileno $listener ]);
	ok(is_served(connect_to()), 'a listening socket that is given serves a front-end');
	ok(is_served(connect_to()), '... and the next');
	$m->signal('TERM');
	is($m->wait_end, 0, '... and ends in order');
	ok(-S $socket, '... and the socket stays, which is somebody else\'s');
	unlink $socket;
}
{
	socketpair my $front, my $given, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
	fcntl $given, F_SETFD, 0;
	my $m = serve([ '--socket-fd', fileno $given ]);
	close $given;
	ok(is_served($front), 'a front-end\'s socket that is given is served');
	close $front;
	is($m->wait_end, 0, '... and its end is the end');
}
{
	my $m = serve([ '--socket', $socket ]);
	$m->signal('KILL', $m->device_pids);
	is($m->wait_end, 1, 'a device that is killed is a failure');
	like($m->{err}, qr/virtio-rng\.0: its process was killed by signal 9 \(Killed\)\n\z/, '... which is named');
	ok(!-e $socket, '... and the socket is gone');
}
{
	my $m = serve([ '--socket', $socket, '--disable-sandbox' ]);
	ok(is_served(connect_to()), 'it works without a sandbox');
	$m->signal('TERM');
	is($m->wait_end, 0, '... and ends in order');
}

# ---- Words -------------------------------------------------------------------------------------------

is_refused([ 'device', '--socket', $socket ], qr/no device given/, 'no device is refused');
is_refused([ 'device', 'virtio-rgn', '--socket', $socket ], qr/did you mean 'virtio-rng'/, 'an unknown device is, with the nearest');
is_refused([ 'device', 'virtio-rng,speed=1', '--socket', $socket ], qr/virtio-rng: .*no options/, 'its unknown options are');
is_refused([ 'device', ('virtio-rng') x 2, '--socket', $socket ], qr/one device at a time/, 'two devices are');
is_refused([ 'device', 'virtio-rng' ], qr/one of --socket PATH and --socket-fd N is needed/, 'no socket is');
is_refused([ 'device', 'virtio-rng', '--socket', $socket, '--socket-fd', 0 ], qr/one of --socket/, 'two sockets are');
is_refused([ 'device', 'virtio-rng', '--socket-fd', 0 ], qr/socket-fd: descriptor 0/, 'what is no socket is');
is_refused([ 'device', 'virtio-rng', '--socket-fd', 77 ], qr/socket-fd: descriptor 77: Bad file/, 'what is not open is');
is_refused([ 'device', 'virtio-rng', '--socket', "$dir/no/x" ], qr/No such file/, 'a folder that is not there is');
is_refused([ 'device', 'virtio-blk,path=/nowhere', '--socket', $socket ], qr/virtio-blk\.0: .*nowhere/, 'a disk that is not there is');
ok(!-e $socket, '... and no socket is left');

nothing_is_left();
done_testing();
