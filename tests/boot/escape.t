#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# The sandbox from inside: a device's process that was taken over (tests/escape) tries to get out. Its
# filter kills it at the first such call; in a build without filters, namespaces and the empty root
# alone leave it nothing.
use strict;
use warnings;

use File::Copy qw(copy);
use IO::Socket::UNIX;
use Kiln::Test;
use Test::More;

# Each attempt: the system calls it needs; what a process without a filter is told, where that is the
# jail's doing and not the host's configuration.
my $no_file = qr/No such file or directory/;
my $no_right = qr/Operation not permitted/;
my @attempts = (
	[ 'open', 'open|openat', $no_file ],
	[ 'create', 'open|openat', qr/Read-only file system|Permission denied/ ],
	[ 'climb', 'open|openat', $no_file ],
	[ 'proc', 'open|openat', $no_file ],
	[ 'descriptors', 'openat', qr/Not a directory|Bad file descriptor/ ],
	[ 'exec', 'execve', $no_file ],
	[ 'socket', 'socket', qr/Network (?:is )?unreachable/ ],
	[ 'unix', 'socket', qr/Connection refused/ ],
	[ 'packet', 'socket', $no_right ],
	[ 'ptrace', 'ptrace', qr/No such process/ ],
	[ 'kill', 'kill', qr/No such process/ ],
	[ 'kill-group', 'kill', qr/it got through/ ], # to itself alone: the machine lives
	[ 'fork', 'clone|fork' ],
	[ 'mount', 'mount', $no_right ],
	[ 'umount', 'umount2', $no_right ],
	[ 'chroot', 'chroot', $no_right ],
	[ 'setuid', 'setresuid', $no_right ],
	[ 'capset', 'capset', $no_right ],
	[ 'namespaces', 'clone', qr/$no_right|No space left|Too many users/ ],
	[ 'unshare', 'unshare', $no_right ],
	[ 'terminal', 'ioctl', qr/Not a tty|Bad file descriptor/ ],
	[ 'code', 'mmap' ],
	[ 'io-uring', 'io_uring_setup' ],
	[ 'bpf', 'bpf' ],
	[ 'keys', 'keyctl' ],
	[ 'userfaultfd', 'userfaultfd' ],
	[ 'module', 'init_module' ],
	[ 'blocking', 'fcntl' ],
);

# A machine with a device for each attempt.
sub start_attempts {
	my ($attempts, %opt) = @_;
	my $guest = delete $opt{guest} || payload('idle');
	return start([ 'run', '-m', '4', (map { ('--device', "virtio-escape,attempt=$_") } @$attempts), $guest ], %opt);
}

# ---- Under its filter ------------------------------------------------------------------------------------

for my $case (@attempts) {
	my ($attempt, $calls) = @$case;
	ends_with(start_attempts([ $attempt ], kiln => prepared('ESCAPE')), 1,
		qr/virtio-escape\.0: seccomp policy 'virtio_escape' refused system call \d+ \((?:$calls)\); the process was killed/,
		"a device's process that tries '$attempt' is killed by its filter");
}
# By another entry, or with another architecture's numbers, a call is not even reported.
for my $attempt (qw(other-entry other-numbers)) {
	ends_with(start_attempts([ $attempt ], kiln => prepared('ESCAPE')), 1,
		qr/virtio-escape\.0: its process was killed by signal 31/,
		"a device's process that tries '$attempt' is killed by its filter");
}
nothing_is_left('after processes that were killed nothing is left');

# ---- Without any -----------------------------------------------------------------------------------------

# A listener of the host's without a path, which a process in the host's network would reach.
my $listener = IO::Socket::UNIX->new(Local => "\0kiln-escape", Listen => 1) or BAIL_OUT("abstract socket: $!");

# So many at once as the supervisor prints lines of at once.
sub find_nothing {
	my ($who, $cases, %opt) = @_;
	my @left = @$cases;
	while (my @some = splice @left, 0, 8) {
		my $m = start_attempts([ map { $_->[0] } @some ], kiln => prepared('ESCAPE_UNFILTERED'), %opt);
		ok($m->wait_for(qr/idle/), "$who: a guest runs");
		$m->wait_for_err(qr/(?:escape [a-z-]+: [^\n]*\n.*){@{[ scalar @some ]}}/s);
		for my $case (@some) {
			my ($attempt, undef, $answer) = @$case;
			my ($told) = $m->{err} =~ /escape \Q$attempt\E: ([^\n]*)/;
			like($told, $answer, "$who: a process without a filter that tries '$attempt' finds nothing");
		}
		$m->signal('TERM');
		is($m->wait_end, 143, '... and its machine lives');
	}
}

my @answered = grep { $_->[2] } @attempts;
find_nothing(is_root() ? 'root' : 'a user', \@answered);

SKIP: {
	skip 'needs root to become somebody else', 1 unless is_root();
	my $dir = scratch();
	my %copy = ("$dir/kiln" => prepared('ESCAPE_UNFILTERED'), "$dir/idle" => payload('idle'));
	for my $to (keys %copy) {
		copy($copy{$to}, $to) or die "$to: $!";
		chmod 0755, $to;
	}
	# In the user's own user namespace uid 0 is the user himself, whom setuid gives nothing.
	find_nothing('a user', [ grep { $_->[0] ne 'setuid' } @answered ], kiln => "$dir/kiln", guest => "$dir/idle",
		under => [ as_nobody() ]);
}

nothing_is_left();
done_testing();
