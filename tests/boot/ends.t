#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# How machines end: what the guest does, what signals do, and the exit code and line of each.
use strict;
use warnings;

use Kiln::Test;
use Test::More;

# ---- By the guest ------------------------------------------------------------------------------------

my @guests = (
	[ 'power_off', 0, qr/powered off \(acpi-pm\)/, 'writing S5 into PM1a_CNT powers off: 0' ],
	[ 'reset_cf9', 32, qr/reset \(reset-cf9\)/, 'writing to port 0xcf9 resets: 32' ],
	[ 'reset_i8042', 32, qr/reset \(i8042\)/, 'the keyboard controller\'s pulse resets: 32' ],
	[ 'triple_fault', 33, qr/vCPU 0: triple fault/, 'a triple fault crashes: 33' ],
	[ 'panic', 34, qr/kernel panicked \(pvpanic\)/, 'telling pvpanic is a panic: 34' ],
	[ 'entry_pvh', 32, qr/reset/, 'a PVH note\'s entry begins as Xen\'s start_info.h says' ],
	[ 'entry_linux', 32, qr/reset/, 'an ELF file\'s 64-bit entry begins as Linux\'s boot protocol says' ],
);
for my $guest (@guests) {
	my ($payload, $status, $line, $name) = @$guest;
	ends_with(start([ 'run', '-m', '4', payload($payload) ]), $status, $line, $name);
}
ends_with(start([ 'run', payload('debug_exit') ], kiln => prepared('DEBUG')), 2 * 0x15 + 1, qr/exit code 43 \(debug-exit\)/,
	'a build with debug exit ends with the guest\'s code');
ends_with(start([ 'run', '-c', '4', payload('triple_fault') ]), 33, qr/vCPU 0: triple fault/,
	'a crash ends a machine whose other CPUs wait to be started');
for my $cpus (1, 4) {
	ends_with(start([ 'run', '-c', $cpus, payload('halt') ]), 0, qr/guest halted/,
		"a guest that halts for good ends the machine, $cpus CPUs");
}
nothing_is_left('after machines that ended by themselves no process is left');

# ---- By signals --------------------------------------------------------------------------------------

for my $case ([ 'idle', 'TERM', 143, 'Terminated' ], [ 'idle', 'INT', 130, 'Interrupt' ],
	[ 'spin', 'TERM', 143, 'Terminated' ], [ 'spin', 'INT', 130, 'Interrupt' ], [ 'idle', 'HUP', 129, 'Hangup' ]) {
	my ($payload, $signal, $status, $word) = @$case;
	my $m = start([ 'run', '-m', '4', payload($payload) ]);
	$m->wait_for(qr/ing|idle/);
	$m->signal($signal);
	ends_with($m, $status, qr/stopped by signal \d+ \($word\)/, "SIG$signal ends a guest that does '$payload' in order: $status");
}

# A vm process that cannot answer: the first signal asks it, another one tells it.
{
	my $m = start([ 'run', '-m', '4', payload('idle') ]);
	$m->wait_for(qr/idle/);
	$m->signal('STOP', $m->vm_pid);
	$m->signal('INT');
	my $is_taken = eventually(sub { status_field("/proc/$m->{pid}/status", 'ShdPnd') !~ /[1-9a-f]/ });
	ok($is_taken, 'a first signal is taken');
	is(kill(0, $m->{pid}), 1, '... and waits for a vm process that does not answer');
	$m->insist('INT');
	ends_with($m, 130, qr/stopped at once/, 'a second signal ends the machine at once');
}

# A terminal's Ctrl-C goes to every process of the group.
for my $more ([], [ '--disable-sandbox' ]) {
	my $m = start([ 'run', '-m', '4', @$more, payload('idle') ], under => [ 'setsid' ]);
	$m->wait_for(qr/idle/);
	kill 'INT', -$m->{pid};
	ends_with($m, 130, qr/stopped by signal 2/, join ' ', 'SIGINT to the process group ends in order', @$more);
}

{
	my $m = start([ 'run', '-m', '4', payload('idle') ]);
	$m->wait_for(qr/idle/);
	$m->signal('KILL', $m->vm_pid);
	ends_with($m, 1, qr/vm process was killed by signal 9 \(Killed\)/, 'a killed vm process is Kiln\'s failure: 1');
}
{
	my $m = start([ 'run', '-m', '4', payload('spin') ]);
	$m->wait_for(qr/spinning/);
	my $vm = $m->vm_pid;
	$m->signal('KILL');
	is($m->wait_end, 128 + 9, 'a killed supervisor ends as killed');
	ok(wait_for_end_of($vm), 'its vm process ends with it');
}
nothing_is_left('after signals no process is left');
done_testing();
