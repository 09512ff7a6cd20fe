#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Standard input and output that are no terminal: pipes and files, slow, closed, at their end, too much at once.
use strict;
use warnings;

use Kiln::Test;
use Test::More;

my $dir = scratch();

sub make_file {
	my ($name, $bytes) = @_;
	open my $file, '>:raw', "$dir/$name" or die "$dir/$name: $!";
	print $file $bytes;
	close $file or die "$dir/$name: $!";
	return "$dir/$name";
}

# Pipes that the supervisor has open, its standard streams left out: input on its way to the guest.
sub inner_pipes {
	my ($m) = @_;
	return scalar grep { !m{/[012]$} && (readlink || '') =~ /^pipe:/ } glob "/proc/$m->{pid}/fd/*";
}

# ---- Input -------------------------------------------------------------------------------------------

{
	my $m = start([ 'run', '-m', '4', payload('echo') ], stdin => make_file('words', "words from a file\nq"));
	ends_with($m, 32, qr/reset/, 'a guest reads a file as standard input');
	is($m->{out}, "ready\nwords from a file\nq", '... all of it');
}
{
	my $words = join '', map { chr 33 + ($_ * 7 + ($_ >> 5)) % 79 } 1 .. 4096; # no 'q'
	my $m = start([ 'run', '-m', '4', payload('echo') ], stdin => 'pipe');
	$m->type($words);
	my $echo = $m->wait_for(qr/\n.{4096}/s) // '';
	ok($echo eq "ready\n$words", 'nothing is lost of 4 KiB that a guest reads byte by byte');
	$m->close_stdin;
	ok(eventually(sub { inner_pipes($m) == 0 }), 'the end of a pipe as standard input is noticed');
	$m->signal('TERM');
	ends_with($m, 143, qr/signal 15/, '... and does not end the machine');
}
{
	my $m = start([ 'run', '-m', '4', payload('echo') ], stdin => 'closed');
	ok($m->wait_for(qr/ready/), 'a machine starts without standard input');
	$m->signal('TERM');
	ends_with($m, 143, qr/signal 15/, '... and ends in order');
}

# Input that piles up would be anonymous memory of Kiln's processes.
{
	my $m = start([ 'run', '-m', '4', payload('idle') ], stdin => 'pipe');
	$m->wait_for(qr/idle/);
	my @pids = ($m->{pid}, $m->vm_pid);
	my $before_kib = memory_kib('Anonymous', @pids);
	my $typed = $m->type('x' x (1 << 20), 2);
	cmp_ok($typed, '<', 256 << 10, 'of 1 MiB typed to a guest that does not read, less than 256 KiB are taken');
	cmp_ok($typed, '>', 0, '... but not nothing');
	cmp_ok(memory_kib('Anonymous', @pids), '<=', $before_kib + 64, '... and Kiln\'s memory does not grow');
	$m->signal('TERM');
	ends_with($m, 143, qr/signal 15/, '... and the machine ends in order');
}
{
	my $m = start([ 'run', '-m', '4', payload('idle') ], stdin => make_file('large', 'x' x (1 << 20)));
	$m->wait_for(qr/idle/);
	cmp_ok(memory_kib('Anonymous', $m->{pid}, $m->vm_pid), '<', 512, 'nor does a file of 1 MiB pile up');
	$m->signal('INT');
	ends_with($m, 130, qr/signal 2/, '... and the machine ends in order');
}

# ---- Output ------------------------------------------------------------------------------------------

{
	my $m = run_kiln([ 'run', '-m', '4', payload('chatter') ]);
	is($m->{status}, 32, 'a guest that writes without looking ends as usual');
	is(length $m->{out}, 32768, '... and a reader gets all of it');
}
{
	my $m = start([ 'run', '-m', '4', payload('chatter') ], pipe_bytes => 4096);
	$m->hold_stdout;
	ends_with($m, 32, qr/reset/, 'a pipe that nobody reads does not hold a guest up');
}
{
	my $m = start([ 'run', '-m', '4', payload('chatter') ]);
	$m->close_stdout;
	is($m->wait_end, 32, 'a pipe that nobody has open does not end a guest');
	like($m->{err}, qr/\Akiln: warning: [^\n]*output is dropped[^\n]*\nkiln: [^\n]*reset[^\n]*\n\z/, '... one line says that output is lost');
}
{
	open my $full, '>', '/dev/full' or die "/dev/full: $!";
	my $m = start([ 'run', '-m', '4', payload('chatter') ], stdout => $full);
	is($m->wait_end, 32, 'a full disk behind standard output does not end a guest');
}

# A kernel waits for its console, other ports go on; what waited is complete when somebody reads again.
{
	my $script = 'echo begin; head -c 30000 /dev/zero | tr "\0" x & echo alive >/dev/ttyS1; wait; echo end;'
		. ' echo read >/dev/ttyS1; head -c 10000 /dev/zero | tr "\0" y; echo closed >/dev/ttyS1';
	my $m = boot(script => $script, more => [ '--serial', "file=$dir/port2,num=2" ], pipe_bytes => 4096);
	$m->wait_for(qr/begin/);
	$m->hold_stdout;
	ok(eventually(sub { slurp("$dir/port2") =~ /alive/ }), 'while nobody reads the console, the guest lives');
	unlike(slurp("$dir/port2"), qr/read/, '... and what writes to the console waits');
	$m->resume_stdout;
	my $text = $m->wait_for(qr/end/) // '';
	is($text =~ tr/x//, 30000, '... and it is complete when it is read at last');
	eventually(sub { slurp("$dir/port2") =~ /read/ });
	$m->close_stdout;
	is($m->wait_end, 0, 'when the console\'s reader goes, the guest runs to its end');
	like(slurp("$dir/port2"), qr/closed/, '... its own one');
}

nothing_is_left();
done_testing();
