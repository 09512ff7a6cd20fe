#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# A hundred starts in a row: nothing is left behind.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use Kiln::Test;
use Test::More;

my $STARTS = 100;
my ($SYS_UNSHARE, $CLONE_NEWNS, $CLONE_NEWNET) = (272, 0x20000, 0x40000000); # x86_64
my @places = qw(/tmp /var/tmp /run /dev/shm);

# Where only this test writes: fresh file systems over the usual places, all else read-only, a network
# of its own. /mnt gets the files that the places may hide. Needs root.
sub go_private {
	syscall($SYS_UNSHARE, $CLONE_NEWNS | $CLONE_NEWNET) == 0 or return 0;
	my ($kiln, $guest) = ('/mnt/kiln', '/mnt/guest.elf');
	system('mount', '--make-rprivate', '/') == 0 && system('mount', '-t', 'tmpfs', 'mnt', '/mnt') == 0 or return 0;
	copy(kiln(), $kiln) && copy(payload('triple_fault'), $guest) or return 0;
	chmod 0755, $kiln, $guest;
	for my $place (@places) {
		system('mount', '-t', 'tmpfs', '-o', 'mode=1777', 'private', $place) == 0 or return 0;
	}
	system('mount', '-o', 'remount,bind,ro', '/') == 0 or return 0;
	return ($kiln, $guest);
}

sub files_below {
	my @found;
	find({ wanted => sub { push @found, $File::Find::name }, no_chdir => 1 }, @_);
	return join "\n", sort @found;
}

# What processes can leave behind that outlives them.
my %traces = (
	'mounts' => sub { slurp('/proc/self/mountinfo') },
	'sockets' => sub { my @lines = split /\n/, slurp('/proc/net/unix'); scalar @lines },
	'files' => sub { files_below(@places, '/mnt') },
	'System V IPC objects' => sub { join '', map { slurp("/proc/sysvipc/$_") } qw(shm sem msg) },
	'cgroups' => sub { -d '/sys/fs/cgroup' ? join "\n", grep { -d } split /\n/, files_below('/sys/fs/cgroup') : '' },
	'descriptors of this test' => sub { my @fds = glob '/proc/self/fd/*'; scalar @fds },
	'children of this test' => sub { join ' ', children_of($$) },
);

my ($kiln, $guest) = is_root() ? go_private() : ();
BAIL_OUT("cannot make mounts of this test's own: $!") if is_root() && !$kiln;
my @watched = sort $kiln ? keys %traces : grep { !/mounts|sockets|files/ } keys %traces;
$kiln ||= kiln();
$guest ||= payload('triple_fault');

my %before = map { $_ => $traces{$_}->() } @watched;
my $good = 0;
for my $i (1 .. $STARTS) {
	my $m = run_kiln([ 'run', '-m', '4', $guest ], kiln => $kiln);
	last unless is_right($m);
	$good++;
}

sub is_right {
	my ($m) = @_;
	return 1 if $m->{status} == 33 && $m->{err} eq "kiln: vCPU 0: triple fault\n" && $m->{out} eq '';
	diag("status $m->{status}, stderr: $m->{err}");
	return 0;
}

is($good, $STARTS, "$STARTS machines in a row start and end");
is($traces{$_}->(), $before{$_}, "$_: as before them") for @watched;
nothing_is_left();
done_testing();
