#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# The policy compiler: what it refuses and how it says so, and what its filters answer, by an
# evaluator and a reading of the rules of this test's own.
use strict;
use warnings;
no warnings 'portable'; # 64-bit numbers

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $root = abs_path(dirname($0) . '/..');
my $seccompc = abs_path($ENV{SECCOMPC} || "$root/build/seccompc");
my $cc = $ENV{HOSTCC} || 'gcc';
BAIL_OUT("no policy compiler: set SECCOMPC") unless $seccompc && -x $seccompc;

my $dir = tempdir(CLEANUP => 1);
chdir $dir or die "chdir $dir: $!";

my ($ALLOW, $KILL, $TRAP, $ERRNO) = (0x7fff0000, 0x80000000, 0x00030000, 0x00050000);
my %audit = (x86_64 => 0xc000003e, aarch64 => 0xc00000b7, riscv64 => 0xc00000f3);
my %nr = (
	x86_64 => {
		read => 0, write => 1, close => 3, mmap => 9, ioctl => 16, madvise => 28, socket => 41,
		fcntl => 72, fchmod => 91, openat => 257,
	},
	aarch64 => { read => 63, write => 64, ioctl => 29, openat => 56 },
);

# ---- running the compiler, and its filters ----

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
}

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!";
	local $/;
	return scalar <$file>;
}

# Return: exit status, standard output, standard error.
sub run {
	my @command = @_;
	my $pid = fork() // die "fork: $!";
	if (!$pid) {
		open STDOUT, '>', 'stdout' or die;
		open STDERR, '>', 'stderr' or die;
		exec @command or die "exec $command[0]: $!";
	}
	waitpid $pid, 0;
	return ($? & 127 ? 128 + ($? & 127) : $? >> 8, slurp('stdout'), slurp('stderr'));
}

# Compile a policy's text. Options: arch, default, and more words for the command line.
sub compile {
	my ($text, %opt) = @_;
	spew('p.policy', $text);
	return run($seccompc, '--arch', $opt{arch} || 'x86_64', '--default', $opt{default} || 'kill',
		'--name', 'p', @{ $opt{more} || [] }, 'p.policy');
}

sub instructions {
	my ($source) = @_;
	my @filter;
	push @filter, [ hex $1, $2, $3, hex $4 ]
		while $source =~ /\{ 0x(\w\w), (\d+), (\d+), 0x(\w{8}) \}/g;
	return \@filter;
}

sub filter_of {
	my ($text, %opt) = @_;
	my ($status, $out, $err) = compile($text, %opt);
	die "unexpected: $err" if $status;
	return instructions($out);
}

sub answer {
	my ($filter, $arch, $nr, @args) = @_;
	my %word = (0 => $nr, 4 => $arch);
	for my $i (0 .. 5) {
		my $arg = $args[$i] // 0;
		$word{ 16 + 8 * $i } = $arg & 0xffffffff;
		$word{ 20 + 8 * $i } = $arg >> 32;
	}
	my $a = 0;
	for (my $pc = 0; $pc < @$filter;) {
		my ($code, $jt, $jf, $k) = @{ $filter->[ $pc++ ] };
		if ($code == 0x20) { $a = $word{$k} // die "load of $k" }
		elsif ($code == 0x54) { $a &= $k }
		elsif ($code == 0x06) { return $k }
		elsif ($code == 0x05) { $pc += $k }
		elsif ($code == 0x15) { $pc += $a == $k ? $jt : $jf }
		elsif ($code == 0x25) { $pc += $a > $k ? $jt : $jf }
		elsif ($code == 0x35) { $pc += $a >= $k ? $jt : $jf }
		elsif ($code == 0x45) { $pc += $a & $k ? $jt : $jf }
		else { die sprintf 'instruction 0x%02x', $code }
	}
	die 'the filter runs past its end';
}

# Whether the filter of x86_64 lets the call through.
sub allows {
	my ($filter, $call, @args) = @_;
	return answer($filter, $audit{x86_64}, $nr{x86_64}{$call}, @args) == $ALLOW ? 1 : 0;
}

# ---- refusals ----

my $long = 'x' x 250;
my @refused = (
	[ 'an unknown system call', 'reed: 1', q(p.policy:1: unknown system call 'reed': did you mean 'read'?) ],
	[ 'an unknown system call like no other', 'frobnicate: 1', q(p.policy:1: unknown system call 'frobnicate') ],
	[ 'swapped letters', "read: 1\nioclt: 1", q(p.policy:2: unknown system call 'ioclt': did you mean 'ioctl'?) ],
	[ 'a call the target lacks', 'open: 1', q(p.policy:1: 'open' does not exist on aarch64: tag the rule [x86_64]),
		arch => 'aarch64' ],
	[ 'a call the tagged architecture lacks', "read: 1\n[x86_64 aarch64] open: 1",
		q(p.policy:2: 'open' does not exist on aarch64: tag the rule [x86_64]) ],
	[ 'a call of no architecture of ours', 'socketcall: 1', q(p.policy:1: 'socketcall' exists on no architecture of Kiln's) ],
	[ 'an unknown architecture', '[mips] read: 1', q(p.policy:1: unknown architecture 'mips': there are x86_64, aarch64, riscv64) ],
	[ 'an empty tag', '[] read: 1', q(p.policy:1: expected an architecture, found ']') ],
	[ 'a rule twice', "read: 1\n\nread: 1", q(p.policy:3: duplicate: 'read: 1' stands at p.policy:1 already) ],
	[ 'a rule twice under different tags', "[x86_64] read: 1\n[x86_64 aarch64] read: 1",
		q(p.policy:2: duplicate: 'read: 1' stands at p.policy:1 already) ],
	[ 'a condition beside none', "ioctl: 1\nioctl: arg1 == 2", q(p.policy:2: unreachable: 'ioctl' has no condition at p.policy:1) ],
	[ 'none beside a condition', "ioctl: arg1 == 2\nioctl: 1",
		q(p.policy:2: this makes the condition at p.policy:1 unreachable: 'ioctl' has no condition here) ],
	[ 'a condition twice', "ioctl: arg1 == 5\nioctl: arg1 == 0x5",
		q(p.policy:2: duplicate: 'ioctl: arg1 == 5' at p.policy:1 says the same) ],
	[ 'a condition twice in one rule', 'ioctl: arg1 == 5 || arg1 == 5',
		q(p.policy:1: duplicate: 'ioctl: arg1 == 5 || arg1 == 5' at p.policy:1 says the same) ],
	[ 'one condition in other words', "ioctl: arg1 < 8\nioctl: arg1 in 7",
		q(p.policy:2: duplicate: 'ioctl: arg1 < 8' at p.policy:1 says the same) ],
	[ 'a condition within another', "ioctl: arg1 < 9\nioctl: arg1 == 7 && arg2 == 1",
		q(p.policy:2: unreachable: 'ioctl: arg1 < 9' at p.policy:1 covers it already) ],
	[ 'a condition within two others', "ioctl: arg1 < 5\nioctl: arg1 >= 5 && arg1 < 9\nioctl: arg1 > 2 && arg1 < 7",
		q(p.policy:3: unreachable: other rules for 'ioctl' together cover it already) ],
	[ 'a condition that swallows an earlier one', "ioctl: arg1 == 7\nioctl: arg1 < 9",
		q(p.policy:2: this makes 'ioctl: arg1 == 7' at p.policy:1 unreachable) ],
	[ 'a contradiction', 'ioctl: arg1 == 1 && arg1 == 2', q(p.policy:1: unreachable: the comparisons joined by && contradict each other) ],
	[ 'a contradiction of order', 'ioctl: arg1 < 5 && arg1 > 7', q(p.policy:1: unreachable: the comparisons joined by && contradict each other) ],
	[ 'a contradiction of masks', 'ioctl: arg1 & 6 == 2 && arg1 in 4', q(p.policy:1: unreachable: the comparisons joined by && contradict each other) ],
	[ 'less than nothing', 'ioctl: arg1 < 0', q(p.policy:1: the comparison of arg1 is never true (values are unsigned)) ],
	[ 'more than 32 bits hold', 'ioctl: arg1 > 0xffffffff', q(p.policy:1: the comparison of arg1 is never true (values are unsigned)) ],
	[ 'bits outside of the mask', 'ioctl: arg1 & 4 == 8', q(p.policy:1: the comparison of arg1 is never true (values are unsigned)) ],
	[ 'what is always true', 'ioctl: arg1 >= 0', q(p.policy:1: the comparison of arg1 is always true (values are unsigned)) ],
	[ 'an empty mask', 'ioctl: arg1 & 0 == 0', q(p.policy:1: the comparison of arg1 is always true (values are unsigned)) ],
	[ 'a value wider than its argument', 'ioctl: arg1 == 0x100000001', q(p.policy:1: 0x100000001 does not fit: arg1 of 'ioctl' has 32 bits) ],
	[ 'a negative value wider than its argument', 'ioctl: arg1 == 0xffffffff00000001',
		q(p.policy:1: 0xffffffff00000001 does not fit: arg1 of 'ioctl' has 32 bits) ],
	[ 'a value wider than 64 bits', 'mmap: arg0 == 0x10000000000000000', q(p.policy:1: 0x10000000000000000 does not fit into 64 bits) ],
	[ 'an argument the call does not have', 'ioctl: arg3 == 1', q(p.policy:1: no arg3: 'ioctl' takes 3 arguments) ],
	[ 'an argument no call has', 'ioctl: arg6 == 1', q(p.policy:1: no argument 'arg6': they are arg0 to arg5) ],
	[ 'a contradicting errno', "open: 1\nopen: errno 2", q(p.policy:2: 'open: errno 2' contradicts 'open: 1' at p.policy:1) ],
	[ 'an errno of 0', 'open: errno 0', q(p.policy:1: errno 0 is not within 1 to 4095) ],
	[ 'an errno above all', 'open: errno 4096', q(p.policy:1: errno 4096 is not within 1 to 4095) ],
	[ 'a constant without a table', 'ioctl: arg1 == FIONREAD', q(p.policy:1: the constant 'FIONREAD' needs --constants FILE) ],
	[ 'parentheses', 'ioctl: (arg1 == 1)', q(p.policy:1: there are no parentheses: write each alternative out, joined by ||) ],
	[ 'a missing colon', 'read 1', q(p.policy:1: expected ':' behind the system call, found '1') ],
	[ 'another action', 'read: 0', q(p.policy:1: expected 1, errno or a condition on arg0 to arg5, found '0') ],
	[ 'more than a rule', 'read: 1 1', q(p.policy:1: expected the end of the line, found '1') ],
	[ 'a condition without value', 'ioctl: arg1 ==', q(p.policy:1: expected a constant or a number, found end of line) ],
	[ 'an unknown operator', 'ioctl: arg1 = 1', q(p.policy:1: stray '=') ],
	[ 'a mask without ==', 'ioctl: arg1 & 1 != 1', q(p.policy:1: expected == behind the mask, found '!=') ],
	[ 'digits that are no number', 'ioctl: arg1 == 0x12g', q(p.policy:1: '0x12g' is not a number) ],
	[ 'a line too long', "# $long\nread: 1 # $long", q(p.policy:2: the line has 260 bytes, at most 256 are allowed) ],
	[ 'a carriage return', "read: 1\r\n", q(p.policy:1: control character 0x0d in the line) ],
	[ 'a NUL', "read: 1\0\n", q(p.policy:1: control character 0x00 in the line) ],
	[ 'a stray character', 'read: 1;', q(p.policy:1: stray ';') ],
	[ 'an unknown directive', '@define "x"', q(p.policy:1: expected @include or @header, found 'define') ],
	[ 'an include that is not there', '@include "no.policy"', q(p.policy:1: open 'no.policy': No such file or directory) ],
	[ 'an include without quotes', '@include no', q(p.policy:1: expected a path in quotes, found 'no') ],
	[ 'an open string', '@include "no', q(p.policy:1: the string has no closing '"') ],
	[ 'an include outside of the root', '@include "../p.policy"', q(p.policy:1: '../p.policy' is no plain path from the project's root) ],
	[ 'an include for one architecture', '[x86_64] @include "p.policy"',
		q(p.policy:1: an @include takes no architecture: tag the rules in 'p.policy') ],
	[ 'an include of itself', '@include "p.policy"', q(p.policy:1: include loop: p.policy -> p.policy) ],
	[ 'a policy without rules', '# nothing', q(seccompc: p.policy: no rule for x86_64) ],
	[ 'a policy without rules for the target', '[aarch64] read: 1', q(seccompc: p.policy: no rule for x86_64) ],
	[ 'a condition on a call of unknown arguments', "read: 1\ntuxcall: arg0 == 1",
		q(p.policy:2: no condition on 'tuxcall': its arguments are not listed in scripts/seccompc/args.c) ],
	[ 'ranges without end', 'mmap: arg0 != 1 && arg1 != 1 && arg2 != 1',
		q(p.policy:1: too many ranges joined by &&: write == or masks instead) ],
);

for my $case (@refused) {
	my ($what, $text, $words, %opt) = @$case;
	my ($status, $out, $err) = compile($text, %opt);
	is("$status $out$err", "1 $words\n", "$what is refused in one line");
}

sub refused_command {
	my ($what, $words, @arguments) = @_;
	my ($status, $out, $err) = run($seccompc, @arguments);
	is("$status $out$err", "1 seccompc: $words\n", "$what is refused in one line");
}

spew('p.policy', "read: 1\n");
refused_command('a command without target', '--arch is missing (try --help)', '--names', 'p.policy');
refused_command('an unknown target', "--arch is x86_64, aarch64 or riscv64, not 'vax'", '--arch', 'vax');
refused_command('an unknown default', "--default is kill or trap, not 'log'", '--arch', 'x86_64', '--default', 'log');
refused_command('a name that would break the source', q(--name 'a"b': only letters, digits and _-. can be in a name),
	'--arch', 'x86_64', '--default', 'kill', '--name', 'a"b', 'p.policy');
refused_command('a policy that is not there', q(open 'q.policy': No such file or directory),
	'--arch', 'x86_64', '--names', 'q.policy');
refused_command('an output that cannot be', q(open 'no/out.c' for writing: No such file or directory),
	'--arch', 'x86_64', '--names', '-o', 'no/out.c', 'p.policy');

{
	spew('a.policy', qq(read: 1\n\@include "b.policy"\n));
	spew('b.policy', qq(\@include "c.policy"\n));
	spew('c.policy', qq(\n\@include "a.policy"\n));
	my ($status, undef, $err) = run($seccompc, qw(--arch x86_64 --names a.policy));
	is("$status $err", "1 c.policy:2: include loop: a.policy -> b.policy -> c.policy -> a.policy\n",
		'a loop of includes is told with its way');

	spew('out.c', 'old');
	spew('p.policy', "reed: 1\n");
	run($seccompc, qw(--arch x86_64 --default kill --name p -o out.c p.policy));
	is(slurp('out.c'), 'old', 'a mistake leaves the output alone');
}

# ---- what filters answer ----

{
	my $filter = filter_of("read: 1\nopenat: errno 2\n");
	my $arch = $audit{x86_64};
	is(answer($filter, $arch, $nr{x86_64}{read}), $ALLOW, 'a call with a rule is allowed');
	is(answer($filter, $arch, $nr{x86_64}{write}), $KILL, 'a call without a rule kills the process');
	is(answer($filter, $arch, $nr{x86_64}{openat}), $ERRNO | 2, 'errno answers with it');
	is(answer($filter, 0x40000003, $nr{x86_64}{read}), $KILL, 'a 32-bit call kills the process');
	is(answer($filter, $arch, 0x40000000), $KILL, 'an x32 call kills the process');

	$filter = filter_of("read: 1\n", default => 'trap');
	is(answer($filter, $arch, $nr{x86_64}{write}), $TRAP, 'with --default trap a call without a rule traps');
	is(answer($filter, 0x40000003, $nr{x86_64}{read}), $KILL, '... but a 32-bit call kills');
	is(answer($filter, $arch, 0x40000000), $KILL, '... and an x32 call too');
	is(answer($filter, $arch, 0xffffffff), $KILL, '... and the number -1');

	my $text = "read: 1\nioctl: arg1 == 5\n[x86_64] close: 1\n[aarch64 riscv64] write: 1\n";
	$filter = filter_of($text, arch => 'aarch64');
	my @asked = map { answer($filter, $audit{aarch64}, @$_) }
		([63], [29, 3, 5], [29, 3, 6], [57], [64]);
	is("@asked", "$ALLOW $ALLOW $KILL $KILL $ALLOW", 'one text makes the filter of aarch64');
	is(answer($filter, $audit{x86_64}, 0), $KILL, '... in which calls of x86_64 kill');
	$filter = filter_of($text);
	@asked = map { answer($filter, $audit{x86_64}, @$_) } ([0], [16, 3, 5], [16, 3, 6], [3], [1]);
	is("@asked", "$ALLOW $ALLOW $KILL $ALLOW $KILL", '... and that of x86_64');
}

# Conditions: the values for which each is true, of those asked.
my @asked32 = (0, 4, 5, 6, 0x7fffffff, 0x80000000, 0xffffffff);
my @asked64 = (@asked32, 0x100000000, 0x100000004, 0x100000005, 0x100000006, 0x8000000000000000, ~0);
my @conditions = (
	[ 'ioctl: arg1 == 5', 1, \@asked32, [5] ],
	[ 'ioctl: arg1 != 5', 1, \@asked32, [ 0, 4, 6, 0x7fffffff, 0x80000000, 0xffffffff ] ],
	[ 'ioctl: arg1 < 5', 1, \@asked32, [ 0, 4 ] ],
	[ 'ioctl: arg1 <= 5', 1, \@asked32, [ 0, 4, 5 ] ],
	[ 'ioctl: arg1 > 5', 1, \@asked32, [ 6, 0x7fffffff, 0x80000000, 0xffffffff ] ],
	[ 'ioctl: arg1 >= 5', 1, \@asked32, [ 5, 6, 0x7fffffff, 0x80000000, 0xffffffff ] ],
	[ 'ioctl: arg1 & 6 == 4', 1, \@asked32, [ 4, 5 ] ],
	[ 'ioctl: arg1 in 1|4', 1, \@asked32, [ 0, 4, 5 ] ],
	[ 'ioctl: arg1 == -1', 1, \@asked32, [0xffffffff] ],
	[ 'ioctl: arg1 == 4|1', 1, \@asked32, [5] ],
	[ 'ioctl: arg1 == 0 || arg1 > 5 && arg1 < 0x80000000', 1, \@asked32, [ 0, 6, 0x7fffffff ] ],
	[ 'mmap: arg1 == 5', 1, \@asked64, [5] ],
	[ 'mmap: arg1 == 0x100000005', 1, \@asked64, [0x100000005] ],
	[ 'mmap: arg1 != 5', 1, \@asked64, [ grep { $_ != 5 } @asked64 ] ],
	[ 'mmap: arg1 < 0x100000005', 1, \@asked64, [ grep { $_ < 0x100000005 } @asked64 ] ],
	[ 'mmap: arg1 <= 0x100000005', 1, \@asked64, [ grep { $_ <= 0x100000005 } @asked64 ] ],
	[ 'mmap: arg1 > 0x100000005', 1, \@asked64, [ grep { $_ > 0x100000005 } @asked64 ] ],
	[ 'mmap: arg1 >= 0x100000005', 1, \@asked64, [ grep { $_ >= 0x100000005 } @asked64 ] ],
	[ 'mmap: arg1 & 0x100000001 == 0x100000000', 1, \@asked64, [ 0x100000000, 0x100000004, 0x100000006 ] ],
	[ 'mmap: arg1 in 7', 1, \@asked64, [ 0, 4, 5, 6 ] ],
	[ 'mmap: arg1 == -1', 1, \@asked64, [ ~0 ] ],
);
for my $case (@conditions) {
	my ($text, $arg, $asked, $wanted) = @$case;
	my $filter = filter_of("$text\n");
	my ($call) = $text =~ /^(\w+)/;
	my @true = grep { allows($filter, $call, (0) x $arg, $_) } @$asked;
	is("@true", "@$wanted", "'$text' is true where it says");
}

{
	my $filter = filter_of("ioctl: arg1 == 0x8090ae81\nfchmod: arg1 == 0644\nsocket: arg0 != 16\n");
	ok(allows($filter, 'ioctl', 3, 0xffffffff8090ae81), 'a request that was sign-extended is the same request');
	ok(allows($filter, 'ioctl', 3, 0x123458090ae81 & ~0xffff00000000 | 0x8090ae81), '... and so with any upper half');
	ok(!allows($filter, 'ioctl', 3, 0x8090ae80), '... but no other lower half');
	ok(!allows($filter, 'socket', 0x100000010), '!= cannot be passed by bits the kernel ignores');
	ok(allows($filter, 'fchmod', 3, 0xffff01a4), 'of a mode 16 bits count');
}

# Jumps of BPF reach 255 instructions: a filter that is longer needs steps in between.
{
	my $text = join '', map { sprintf "ioctl: arg1 == %d && arg2 == %d\n", 7 * $_, $_ } 1 .. 300;
	$text .= join '', map { sprintf "fcntl: arg1 == %d\n", 3 * $_ } 1 .. 200;
	my $filter = filter_of($text . "read: 1\nwrite: 1\nclose: errno 9\n");
	cmp_ok(scalar @$filter, '>', 1000, 'a large policy makes a long filter');
	my $bad = 0;
	for my $i (0 .. 301) {
		$bad++ if allows($filter, 'ioctl', 3, 7 * $i, $i) != ($i >= 1 && $i <= 300 ? 1 : 0);
		$bad++ if allows($filter, 'ioctl', 3, 7 * $i, $i + 1);
	}
	$bad++ for grep { allows($filter, 'fcntl', 3, $_) != ($_ && $_ % 3 == 0 && $_ <= 600 ? 1 : 0) } 0 .. 610;
	$bad++ unless allows($filter, 'read') && allows($filter, 'write') && !allows($filter, 'openat');
	is($bad, 0, '... that answers every call right');

	my ($status, $out, $err) = compile(join '', map { sprintf "mmap: arg0 == %d && arg1 == %d\n", 7 * $_, $_ } 1 .. 600);
	is("$status $out$err", "1 seccompc: p.policy: the filter passes the 4096 instructions that kernels take\n",
		'a policy too large for a filter is refused');
}

# ---- random policies against a reading of their rules ----

my %args = (ioctl => 'iil', mmap => 'llllil', fchmod => 'ih', fcntl => 'iil', madvise => 'lli', openat => 'ilih');
my %width = (i => 0xffffffff, h => 0xffff, l => ~0);
my @calls = sort keys %args;

sub random_value {
	my ($width) = @_;
	my @some = (0 .. 4, 7, 8, 15, 16, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~0,
		int rand 16, int rand 2**32, int(rand 2**20) << int rand 40);
	return $some[ rand @some ] & $width;
}

sub random_cmp {
	my ($call) = @_;
	my $arg = int rand length $args{$call};
	my $width = $width{ substr $args{$call}, $arg, 1 };
	my $op = (qw(== == == & & in != < <= > >=))[ rand 11 ];
	my ($value, $mask) = (random_value($width), 0);
	if ($op eq '&') {
		$mask = random_value($width) || 1;
		$value &= $mask;
	}
	return { arg => $arg, op => $op, value => $value, mask => $mask, width => $width };
}

sub cmp_text {
	my ($cmp) = @_;
	return sprintf 'arg%d & 0x%x == 0x%x', @{$cmp}{qw(arg mask value)} if $cmp->{op} eq '&';
	return sprintf 'arg%d %s 0x%x', @{$cmp}{qw(arg op value)};
}

sub cmp_holds {
	my ($cmp, @args) = @_;
	my ($op, $value) = @{$cmp}{qw(op value)};
	my $arg = $args[ $cmp->{arg} ] & $cmp->{width};
	return $op eq '==' ? $arg == $value
		: $op eq '!=' ? $arg != $value
		: $op eq '<' ? $arg < $value
		: $op eq '<=' ? $arg <= $value
		: $op eq '>' ? $arg > $value
		: $op eq '>=' ? $arg >= $value
		: $op eq '&' ? ($arg & $cmp->{mask}) == $value
		: ($arg & ~$value) == 0;
}

sub rule_holds {
	my ($rule, $call, @args) = @_;
	return 0 if $rule->{call} ne $call;
	for my $alt (@{ $rule->{alts} }) {
		return 1 unless grep { !cmp_holds($_, @args) } @$alt;
	}
	return 0;
}

sub random_rule {
	my $call = $calls[ rand @calls ];
	my @alts = map { [ map { random_cmp($call) } 0 .. rand 3 ] } 0 .. rand 3;
	my $text = "$call: " . join ' || ', map { join ' && ', map { cmp_text($_) } @$_ } @alts;
	return { call => $call, alts => \@alts, text => $text };
}

# Arguments near those the rules speak of.
sub random_args {
	my ($rules, $call) = @_;
	my @args = map { random_value(~0) } 0 .. 5;
	for my $rule (grep { $_->{call} eq $call } @$rules) {
		for my $cmp (map { @$_ } @{ $rule->{alts} }) {
			next if rand() < .5;
			my $value = $cmp->{value};
			$value = (0, $value, $value, $value, $value ^ 1, $value ^ (1 << int rand 64), $value | 1 << 40,
				$value + ($value < 2**62 ? 1 : 0))[ rand 8 ];
			$args[ $cmp->{arg} ] = $value;
		}
	}
	return @args;
}

{
	srand 20240613;
	my ($compiled, $asked, $wrong, $let_through, $covered_wrongly) = (0) x 5;
	for (1 .. 60) {
		my (@rules, $filter);
		for (0 .. rand 8) {
			my $rule = random_rule();
			my ($status, $out, $err) = compile(join "\n", map { $_->{text} } @rules, $rule);
			if ($status == 0) {
				push @rules, $rule;
				$filter = instructions($out);
				$compiled++;
			} elsif ($err =~ /p\.policy:\d+: unreachable: (?:other|.*covers)/ && @{ $rule->{alts} } == 1) {
				# The rule is said to add nothing: then it lets nothing new through.
				for (1 .. 200) {
					my @args = random_args([ @rules, $rule ], $rule->{call});
					$covered_wrongly++ if rule_holds($rule, $rule->{call}, @args) &&
						!grep { rule_holds($_, $rule->{call}, @args) } @rules;
				}
			} elsif ($err !~ /unreachable|duplicate|never true|always true|too many ranges|at most 256/) {
				diag $err;
				$wrong++;
			}
		}
		next unless $filter;
		for my $call (@calls) {
			for (1 .. 100) {
				my @args = random_args(\@rules, $call);
				my $wanted = grep({ rule_holds($_, $call, @args) } @rules) ? 1 : 0;
				$asked++;
				$let_through += $wanted;
				next if allows($filter, $call, @args) == $wanted;
				diag join "\n", "$call(@args)", map { $_->{text} } @rules unless $wrong++;
			}
		}
	}
	cmp_ok($compiled, '>', 100, 'random rules compile');
	cmp_ok($let_through, '>', $asked / 50, 'some of their calls are allowed');
	is($wrong, 0, 'their filters answer as a reading of the rules does');
	is($covered_wrongly, 0, 'what is refused as covered is covered');
}

# ---- includes, constants, outputs ----

{
	mkdir 'sub';
	spew('sub/base.policy', "read: 1\n");
	spew('sub/left.policy', qq(\@include "sub/base.policy"\nwrite: 1\n));
	spew('sub/top.policy', qq(# top\n\@include "sub/left.policy"\n\@include "sub/base.policy"\nclose: 1 # end));
	my @words = (qw(--arch x86_64 --default kill --name top -o out.c -M out.d));
	my ($status, undef, $err) = run($seccompc, @words, 'sub/top.policy');
	is("$status$err", '0', 'a file that two others include counts once');
	my $source = slurp('out.c');
	my $filter = instructions($source);
	ok(allows($filter, 'read') && allows($filter, 'write') && allows($filter, 'close'), '... and all rules count');
	my ($text) = $source =~ /policy_text\[\] =\n(.*?)\t;/s;
	is($text, join('', map { "\t\"$_\\0\"\n" } '@sub/base.policy', '1 read: 1', '@sub/left.policy', '2 write: 1',
		'@sub/top.policy', '4 close: 1'), 'rules are told with file and line');
	my $deps = slurp('out.d');
	like($deps, qr{\Aout\.c: sub/top\.policy sub/left\.policy sub/base\.policy\n}, 'make learns of every file');
	like($deps, qr{^sub/base\.policy:$}m, '... and goes on when one is gone');

	run($seccompc, @words, 'sub/top.policy');
	is(slurp('out.c'), $source, 'the same policy makes the same bytes');
	chdir 'sub' or die;
	run($seccompc, '--root', $dir, @words, "$dir/sub/top.policy");
	is(slurp('out.c'), $source, '... from any folder');
	chdir $dir or die;

	(undef, my $out) = compile("ioctl:arg1==0x5|2&&arg2 &  3==1||arg1<4   # why\n");
	like($out, qr{"1 ioctl: arg1 == 0x5\|2 && arg2 & 3 == 1 \|\| arg1 < 4\\0"}, 'a rule is told in one spelling');
}

sub constants {
	my ($text, $arch) = @_;
	spew('k.policy', $text);
	my ($status, undef, $err) = run($seccompc, '--arch', $arch || 'x86_64', '--names', '-o', 'k.c', 'k.policy');
	die $err if $status;
	($status, undef, $err) = run($cc, qw(-Wall -Wextra -Werror -c k.c -o k.o));
	die $err if $status;
	return 'k.o';
}

sub compile_with_constants {
	my ($text, %opt) = @_;
	my $object = constants($opt{older} // $text, $opt{constants_arch});
	return compile($text, %opt, more => [ '--constants', $object ]);
}

{
	my $text = <<'END';
@header "sys/ioctl.h"
@header "sys/socket.h"
@header "fcntl.h"
@header "sys/mman.h"
[aarch64] @header "no/such/header.h"
ioctl: arg1 == FIONREAD || arg1 == TIOCGWINSZ
socket: arg0 == AF_UNIX && arg1 in SOCK_STREAM|SOCK_CLOEXEC
openat: arg0 == AT_FDCWD
mmap: arg2 in PROT_READ|PROT_WRITE && arg4 == -1
open: errno ENOENT
[aarch64] ioctl: arg1 == NOT_HERE
END
	my ($status, $out, $err) = compile_with_constants($text);
	is("$status$err", '0', 'constants come from the headers named');
	my $filter = instructions($out);
	ok(allows($filter, 'ioctl', 3, 0x541b), '... with their values');
	ok(!allows($filter, 'ioctl', 3, 0x541c), '... and no others');
	ok(allows($filter, 'socket', 1, 0x80001, 0) && !allows($filter, 'socket', 1, 0x80801, 0), '... joined by |');
	ok(allows($filter, 'openat', 0xffffff9c) && allows($filter, 'openat', 0xffffffffffffff9c), '... negative ones too');
	is(answer($filter, $audit{x86_64}, 2), $ERRNO | 2, '... and errors by name');

	run('objcopy', qw(-O binary --only-section=seccomp_constants k.o k.bin));
	my ($same_status, $same) = compile($text, more => [qw(--constants k.bin)]);
	is($same, $out, 'a table taken out by objcopy serves as well');

	($status, undef, $err) = compile_with_constants("\@header \"sys/ioctl.h\"\nioctl: arg1 == FIONREAD\nioctl: arg1 == FIONRAED\n");
	is($err, "p.policy:3: unknown constant 'FIONRAED', not in errno.h, sys/ioctl.h for x86_64:"
		. " did you mean 'FIONREAD'?\n", 'an unknown constant is told with the headers and the nearest name');
	($status, undef, $err) = compile_with_constants("open: errno ENOSUCH\n");
	is($err, "p.policy:1: unknown constant 'ENOSUCH', not in errno.h for x86_64: is a \@header missing?\n",
		'... and with a hint where no name is near');
	($status, undef, $err) = compile_with_constants("open: errno EPERM\n", older => "open: errno ENOENT\n");
	is($err, "p.policy:1: 'EPERM' is not in the constants given: they are older than the policy\n",
		'a stale table is told');
	($status, undef, $err) = compile_with_constants("read: 1\n", constants_arch => 'aarch64');
	is($err, "seccompc: 'k.o' has no constants for x86_64: another architecture's, or compiled with -flto?\n",
		q(another architecture's table is refused));
	spew('k.o', substr(slurp(constants("open: errno ENOENT\n")), 0, 150));
	($status, undef, $err) = compile("open: errno ENOENT\n", more => [qw(--constants k.o)]);
	like($err, qr/^seccompc: .*k\.o/, 'a table cut short is refused');
}

# ---- names of system calls ----

for my $arch (qw(x86_64 aarch64)) {
	my ($status, $out) = run($seccompc, '--arch', $arch, '--syscall-names');
	my $blob = join '', map { s/\\0/\0/r } $out =~ /^\t"(.*)"$/mg;
	my ($offsets) = $out =~ /policy_syscall_offsets\[\] = \{(.*?)\}/s;
	my @offsets = $offsets =~ /\d+/g;
	my ($count) = $out =~ /policy_nr_syscalls = (\d+);/;
	is(scalar @offsets, $count, "the table of $arch is as long as it says");
	my @wrong = grep { substr($blob, $offsets[ $nr{$arch}{$_} ]) !~ /^$_\0/ } sort keys %{ $nr{$arch} };
	is("@wrong", '', '... and names calls right');
}

# ---- the project's own ----

my @policies = sort map { substr $_, length "$root/" } glob "$root/seccomp/*.policy $root/src/*/*.policy $root/drivers/*/*/*.policy";
cmp_ok(scalar @policies, '>=', 5, 'the project has policies');
for my $arch (qw(x86_64 aarch64)) {
	for my $policy (@policies) {
		my ($status, undef, $err) = run($seccompc, '--arch', $arch, '--root', $root, '--names', "$root/$policy");
		is("$status$err", '0', "$policy holds for $arch");
	}
}

done_testing();
