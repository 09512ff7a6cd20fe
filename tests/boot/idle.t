#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# A stock kernel that idles: what Kiln costs beside the guest's memory, and what doctor says meanwhile.
use strict;
use warnings;

use JSON::PP qw(decode_json);
use Kiln::Test;
use Test::More;

my $PSS_MAX_KIB = 1024;

my $m = boot(cpus => 2, mem => 256, script => 'echo idle; cat /dev/ttyS3');
ok($m->wait_for(qr/idle/), 'a stock kernel idles');
my @pids = ($m->{pid}, $m->vm_pid);
my $kib = memory_kib('Pss', @pids);
cmp_ok($kib, '<=', $PSS_MAX_KIB, "Kiln's processes take at most $PSS_MAX_KIB KiB beside the guest's memory");
cmp_ok($kib, '>', 50, '... by a measure that sees them');
note "Pss: $kib KiB";
is(join(' ', sort { $a <=> $b } children_of($m->{pid})), $m->vm_pid, 'a machine is a supervisor and a vm process');

# ---- kiln doctor, while a machine runs ---------------------------------------------------------------

my $doctor = run_kiln([ 'doctor' ]);
is($doctor->{status}, 0, 'doctor finds that machines run here');
is($doctor->{err}, '', '... without a word on standard error');
like($doctor->{out}, qr/^ok\s+guest\s.*\nok\s+jail\s.*\n\nMachines run here\.\n\z/m, '... and says so');

$doctor = run_kiln([ 'doctor', '--json' ]);
is($doctor->{status}, 0, 'doctor --json has the same status');
like($doctor->{out}, qr/\A[^\n]+\n\z/, '... in one line');
my $report = eval { decode_json($doctor->{out}) };
is($@, '', '... that is JSON');
ok($report->{ok}, '... and says that machines run here');
cmp_ok($report->{loops_per_second}, '>', 0, '... and how fast');
my %state = map { $_->{name} => $_->{state} } @{ $report->{findings} };
is_deeply([ @state{qw(kernel kvm capabilities cpus guest jail)} ], [ ('ok') x 6 ], '... with each finding');
is(run_kiln([ 'doctor', '--probe' ])->{out}, '', 'doctor --probe prints nothing');

SKIP: {
	skip 'needs root', 2 unless is_root();
	my @hidden = (under => [ in_mounts('mount -t tmpfs dev /dev') ]);
	$doctor = run_kiln([ 'doctor' ], @hidden);
	is($doctor->{status}, 1, 'without /dev/kvm, doctor fails');
	like($doctor->{out}, qr{^BAD\s+kvm\s+.*/dev/kvm.*\n(?s:.*)^Machines will not run here\.$}m, '... and says why');
}

$m->signal('TERM');
ends_with($m, 143, qr/signal 15/, 'the machine ends in order');
nothing_is_left();
done_testing();
