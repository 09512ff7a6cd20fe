#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# The command line of the built binary, $KILN: help, mistakes and their answers, output that fails.
#
# The texts of help are kept in tests/golden. After a wanted change:
#   KILN_GOLDEN_UPDATE=1 KILN=build/kiln tests/cli.t
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use POSIX qw(mkfifo);
use Test::More;

my ($INVALID, $FAILED) = (35, 1);
my $DEADLINE_S = 60;

my $root = abs_path(dirname($0) . '/..');
my $kiln = abs_path($ENV{KILN} || "$root/build/kiln");
BAIL_OUT('no binary: set KILN') unless $kiln && -x $kiln;
my $golden = "$root/tests/golden";

my $dir = tempdir('kiln-cli.XXXXXX', TMPDIR => 1, CLEANUP => 1);
chdir $dir or die "chdir $dir: $!";

# ---- Running it ----------------------------------------------------------------------------------

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!";
	local $/;
	return scalar(<$file>) // '';
}

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
}

# Return: exit status, standard output, standard error. Each may be a path, or undef for closed.
sub run_with {
	my ($out, $err, @command) = @_;
	my $pid = fork() // die "fork: $!";
	if (!$pid) {
		alarm $DEADLINE_S;
		open STDIN, '<', '/dev/null' or die;
		defined $out ? open STDOUT, '>', $out : close STDOUT or die "$!";
		defined $err ? open STDERR, '>', $err : close STDERR or die "$!";
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

sub run {
	my @command = @_;
	my $status = run_with('.out', '.err', @command);
	return ($status, slurp('.out'), slurp('.err'));
}

# ---- What is expected ----------------------------------------------------------------------------

sub shown { return join ' ', 'kiln', map { length > 40 ? substr($_, 0, 40) . '...' : $_ } @_ }

# It fails with one line on standard error, which says $text, and says nothing else.
sub is_refused {
	my ($code, $text, @words) = @_;
	my ($status, $out, $err) = run($kiln, @words);
	my $name = shown(@words);
	subtest "$name is refused" => sub {
		is $status, $code, 'the exit code';
		is $out, '', 'nothing on standard output';
		ref $text ? like $err, $text, 'the words' : is $err, "kiln: $text\n", 'the words';
		is $err =~ tr/\n//, 1, 'one line';
	};
}

# It works and prints what $text says.
sub prints {
	my ($text, @words) = @_;
	my ($status, $out, $err) = run($kiln, @words);
	my $name = shown(@words);
	subtest "$name works" => sub {
		is $status, 0, 'the exit code';
		ref $text ? like $out, $text, 'the text' : is $out, $text, 'the text';
		is $err, '', 'nothing on standard error';
	};
	return $out;
}

# ---- What was built ------------------------------------------------------------------------------

my $config_file = dirname($kiln) . '/.config';
my $config = join '', grep { /^(# )?CONFIG_/ } map { "$_\n" } split /\n/, slurp($config_file);
sub has { return $config =~ /^CONFIG_$_[0]=y$/m }

my ($help) = (run($kiln, 'help'))[1];
my @commands = $help =~ /^  (\w+) +\S/mg;
ok @commands >= 3, 'help lists the commands';

# ---- Help ----------------------------------------------------------------------------------------

my @golden_needs = qw(CMD_DEVICE CMD_DEVICES CMD_DOCTOR CMD_POLICY DEBUGCON HELP_TEXT UART16550 VHOST_USER);

# The version is no part of a text that must not change.
sub is_golden {
	my ($name, $text) = @_;
	my $path = "$golden/$name.txt";
	$text =~ s/^Kiln \d\S*:/Kiln VERSION:/;
	spew($path, $text) if $ENV{KILN_GOLDEN_UPDATE};
	is $text, -e $path ? slurp($path) : '', "the text is that of tests/golden/$name.txt"
		or diag 'to keep the new one: KILN_GOLDEN_UPDATE=1 KILN=build/kiln tests/cli.t';
}

SKIP: {
	my @missing = grep { !has($_) } @golden_needs;
	skip "this binary lacks @missing: its help is another", 1 if @missing;
	subtest 'help is as it was agreed' => sub {
		is_golden('help', $help);
		is_golden("help-$_", (run($kiln, 'help', $_))[1]) for @commands;
	};
}

prints($help, '--help');
prints($help, '-h');
for my $command (@commands) {
	my $text = prints(qr/\AUsage: kiln $command\b.*\n\n\S.*\.\n/, 'help', $command);
	prints($text, $command, '--help');
	prints($text, $command, '-h');
	next unless has('HELP_TEXT');
	my @bare = $text =~ /^ +(?:-\w, )?(--\S+(?: [A-Z]+)?) *(?:\(default.*)?$/mg;
	is "@bare", '', "every option of kiln $command has its line of help";
}
{
	my ($status, $out, $err) = run($kiln);
	is $status, $INVALID, 'kiln alone is no valid command';
	is $err, $help, '... and tells the commands on standard error';
	is $out, '', '... only';
}

# ---- Words that are unknown ----------------------------------------------------------------------

is_refused($INVALID, "unknown command 'rum': did you mean 'run'?", 'rum');
is_refused($INVALID, "unknown command 'vers': did you mean 'version'?", 'vers');
is_refused($INVALID, "unknown command 'frobnicate' (`kiln help` lists them)", 'frobnicate');
is_refused($INVALID, "unknown command 'rnu': did you mean 'run'?", 'help', 'rnu');
is_refused($INVALID, "unknown command '--frobnicate' (`kiln help` lists them)", '--frobnicate');
is_refused($INVALID, "unknown command '' (`kiln help` lists them)", '');
is_refused($INVALID, "run: unknown option '--inird': did you mean '--initrd'?", 'run', '--inird', 'x');
is_refused($INVALID, "run: unknown option '--disable': did you mean '--disable-sandbox'?", 'run',
	'--disable');
is_refused($INVALID, "run: unknown option '--zzzzz'", 'run', '--zzzzz');
is_refused($INVALID, "run: unknown option '-Z'", 'run', '-Z');
is_refused($INVALID, "version: unknown option '--conf': did you mean '--config'?", 'version', '--conf');
is_refused($INVALID, "version: unexpected word 'please'", 'version', 'please');

# ---- Values --------------------------------------------------------------------------------------

my %memory = map { $_ => "run: mem: $_ is out of range (1M to 16T)" }
	qw(0 0M 1K 1023K 17T 999999999999 99999999999999999999 18446744073709551615T);
is_refused($INVALID, $memory{$_}, 'run', '-m', $_) for sort keys %memory;
is_refused($INVALID, "run: mem: '$_' is not a size (a number, or with K, M, G or T)", 'run', "--mem=$_")
	for '', 'lots', '1.5G', '-1', '1P', '512MB', ' 1';
is_refused($INVALID, qr/^kiln: run: cpus: $_ is out of range \(1 to \d+\)$/, 'run', "-c$_")
	for 0, 4097, 100000, 4294967297, '99999999999999999999';
is_refused($INVALID, "run: cpus: '$_' is not a number", 'run', '--cpus', $_) for '', 'two', '-1', '2K';
is_refused($INVALID, "run: boot: unknown word 'lunix': did you mean 'linux'?", 'run', '--boot', 'lunix');
is_refused($INVALID, "run: boot: unknown word 'uefi' (one of auto, linux, pvh)", 'run', '--boot=uefi');
is_refused($INVALID, "run: dry-run is a switch: 'perhaps' is neither true nor false", 'run',
	'--dry-run=perhaps');

if (has('VHOST_USER')) {
	is_refused($INVALID, "run: vhost-user: no type 'bkl' (did you mean 'blk'?): blk, console, fs, net, rng, vsock, or id=N", 'run',
		'--vhost-user', 'bkl,socket=x', 'k');
	is_refused($INVALID, 'run: vhost-user: fs: socket=PATH is needed', 'run', '--vhost-user', 'fs,tag=x', 'k');
	is_refused($INVALID, 'run: vhost-user: rng: queues=2: this type\'s number is fixed', 'run', '--vhost-user',
		'rng,socket=x,queues=2', 'k');
	is_refused($INVALID, 'run: vhost-user: a machine has at most 16 virtio devices', 'run',
		('--vhost-user', 'rng,socket=x') x 17, 'k');
}
is_refused($INVALID, "run: '--mem' is given twice", 'run', '-m', '256', '--mem=256', 'k');
is_refused($INVALID, "run: '--dry-run' is given twice", 'run', '--dry-run', '--dry-run', 'k');
is_refused($INVALID, "run: '--initrd' needs a value: FILE", 'run', 'k', '--initrd');
is_refused($INVALID, "run: '-m' needs a value: SIZE", 'run', '-m');
is_refused($INVALID, 'run: no kernel given: kiln run [OPTIONS] KERNEL', 'run');
is_refused($INVALID, 'run: no kernel given: kiln run [OPTIONS] KERNEL', 'run', '-m', '512M');
is_refused($INVALID, "run: one kernel is enough: 'a' and 'b'", 'run', 'a', 'b');
is_refused($INVALID, "run: the kernel's path has 0 bytes (1 to 4095)", 'run', '');
is_refused($INVALID, "run: the kernel's path has 5000 bytes (1 to 4095)", 'run', 'k' x 5000);
is_refused($INVALID, 'run: initrd: 5000 bytes are too long (at most 4095)', 'run', '-i', 'i' x 5000, 'k');
is_refused($INVALID, qr/^kiln: run: params: the kernel command line is \d+ bytes long \(at most 4095\)$/,
	'run', '-p', 'p' x 4090, 'k');
is_refused($INVALID, qr/^kiln: run: params: the kernel command line is \d+ bytes long \(at most 4095\)$/,
	'run', ('-p', 'p' x 1000) x 5, 'k');

SKIP: {
	skip 'no serial ports in this binary', 6 unless has('UART16550');
	is_refused($INVALID, "run: serial: unknown option 'stdot': did you mean 'stdout'?", 'run',
		'--serial', 'stdot', 'k');
	is_refused($INVALID, 'run: serial: num: 5 is out of range (1 to 4)', 'run', '--serial=num=5', 'k');
	is_refused($INVALID, "run: serial: 'sink' is given twice", 'run', '--serial', 'sink,sink', 'k');
	is_refused($INVALID, "run: serial: unknown option ''", 'run', '--serial', '', 'k');
	is_refused($INVALID, 'run: stdin goes to one port, and both uart16550.0 and uart16550.1 want it', 'run',
		('--serial', 'stdin') x 2, 'kernel');
	is_refused($INVALID, 'run: serial 1 is configured twice', 'run', ('--serial', 'num=1') x 2, 'k');
	is_refused($INVALID, 'run: serial: there are only 4 of them', 'run', ('--serial', 'sink') x 5, 'k');
}

# ---- Files, without a start ----------------------------------------------------------------------

spew('kernel', 'not one, but a file');
spew('initrd', 'i' x 100);
spew('empty', '');
mkdir 'folder' or die "folder: $!";
mkfifo('fifo', 0600) or die "fifo: $!";
spew('large', 'i' x (3 << 20));

is_refused($INVALID, "run: kernel 'missing': No such file or directory", 'run', '--dry-run', 'missing');
is_refused($INVALID, "run: kernel 'kernel/x': Not a directory", 'run', '--dry-run', 'kernel/x');
is_refused($INVALID, "run: kernel 'folder' is a directory, not a file", 'run', '--dry-run', 'folder');
is_refused($INVALID, "run: kernel 'empty' is empty", 'run', '--dry-run', 'empty');
is_refused($INVALID, "run: kernel 'fifo' is a device, pipe or socket, not a file", 'run', '--dry-run',
	'fifo');
is_refused($INVALID, "run: kernel '/dev/null' is a device, pipe or socket, not a file", 'run', '--dry-run',
	'/dev/null');
is_refused($INVALID, "run: initrd 'missing': No such file or directory", 'run', '--dry-run', '-i',
	'missing', 'kernel');
is_refused($INVALID, qr/^kiln: run: mem: 1024 KiB of guest memory: at least \d+ MiB are needed$/, 'run',
	'--dry-run', '-m1', 'kernel');
is_refused($INVALID, "run: initrd 'large' has 3 MiB, the guest's memory 2 MiB: raise --mem", 'run',
	'--dry-run', '-m2', '-ilarge', 'kernel');
SKIP: {
	skip 'no serial ports in this binary', 5 unless has('UART16550');
	is_refused($INVALID, 'run: uart16550.0: unix= and type=file exclude each other', 'run', '--serial',
		'unix=u,type=file', 'kernel');
	is_refused($INVALID, 'run: uart16550.0: open \'none/x\': No such file or directory', 'run', '--serial',
		'file=none/x', 'kernel');
	is_refused($INVALID, 'run: uart16550.1: open \'folder\': Is a directory', 'run', '--serial',
		'num=2,file=folder', 'kernel');
	is_refused($INVALID, 'run: uart16550.0: \'kernel\' exists and is not a socket', 'run', '--serial',
		'unix=kernel', 'kernel');
	run($kiln, 'run', '--dry-run', '--serial', 'file=made', '--serial', 'unix=made-too', 'kernel');
	is join(' ', glob 'made*'), '', 'a start that is only tried makes no files';
	run($kiln, 'run', '-c4096', '--serial', 'unix=made-too', 'kernel');
	is join(' ', glob 'made*'), '', 'a socket goes with the machine that never was';
}

SKIP: {
	skip 'no virtio-console in this binary', 5 unless has('VIRTIO_CONSOLE');
	my @console = ('--device', 'virtio-console,unix=made');
	is_refused($INVALID, 'run: virtio-console.0: stdout and sink exclude each other', 'run', '--dry-run', '--device',
		'virtio-console,stdout,sink', 'kernel');
	is_refused($INVALID, 'run: stdin goes to one port, and both virtio-console.0 and virtio-console.1 want it', 'run',
		('--device', 'virtio-console,stdin') x 2, 'kernel');
	is_refused($INVALID, 'run: the kernel has one console, and both virtio-console.0 and virtio-console.1 are to be it',
		'run', ('--device', 'virtio-console,console') x 2, 'kernel');
	run($kiln, 'run', '--dry-run', @console, 'kernel');
	is join(' ', glob 'made*'), '', 'a start that is only tried makes no socket';
	run($kiln, 'run', '-c254', @console, '--device', 'virtio-console,file=none/x', 'kernel');
	is join(' ', glob 'made*'), '', 'a socket of a virtio device goes with the machine that never was';
}
SKIP: {
	skip 'no virtio-net in this binary', 5 unless has('VIRTIO_NET');
	is_refused($INVALID, 'run: virtio-net.0: ip= and netmask= belong together', 'run', '--host_ip', '192.0.2.1', 'kernel');
	is_refused($INVALID, qr/^kiln: run: virtio-net.0: one of tap=NAME, /, 'run', '--mac', '52:54:00:12:34:56', 'kernel');
	is_refused($INVALID, 'run: netmask: netmask=255.0.255.0: not a mask such as 255.255.255.0', 'run',
		'--host_ip=192.0.2.1', '--netmask=255.0.255.0', 'kernel');
	is_refused($INVALID, 'run: host_ip: ip: given twice', 'run', ('--host_ip', '192.0.2.1') x 2, 'kernel');
	is_refused($INVALID, 'run: virtio-net.0: fd=99: Bad file descriptor', 'run', '--tap-fd', '99', 'kernel');
}

SKIP: {
	skip 'this user cannot open /dev/kvm', 4 unless open my $kvm, '+<', '/dev/kvm';
	prints('', 'run', '--dry-run', 'kernel');
	prints('', 'run', '--dry-run', '--disable-sandbox', '-m', '512M', '-c1', '-iinitrd', '-p', 'quiet',
		'--params=panic=1', '--boot', 'pvh', '--', 'kernel');
	prints('', 'run', 'kernel', '--dry-run');
}

# Exit code 1: the host's fault, and a way out; a mistake in the words still comes first.
subtest 'a host without /dev/kvm is told apart from a mistake' => sub {
	my @hidden = ('unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev && exec "$@"', 'sh');
	plan skip_all => 'this user cannot hide /dev' if $> != 0 || (run(@hidden, 'true'))[0] != 0;
	my ($status, $out, $err) = run(@hidden, $kiln, 'run', '--dry-run', 'kernel');
	is $status, $FAILED, 'the exit code';
	like $err, qr/^kiln: run: open \/dev\/kvm \(load kvm_intel or kvm_amd; .*: No such file or directory\n\z/,
		'the words';
	($status, $out, $err) = run(@hidden, $kiln, 'run', '--dry-run', 'missing');
	is $status, $INVALID, 'a missing kernel is still one';
	($status, $out, $err) = run(@hidden, $kiln, 'doctor', '--probe');
	is $status, $FAILED, 'doctor says no' if has('CMD_DOCTOR');
};

# ---- What it is ----------------------------------------------------------------------------------

prints(qr/\Akiln \d+\.\d+\.\d+ \(\w+\)\nbuild [0-9a-f]{40}\n\z/, 'version');
prints((run($kiln, 'version'))[1], '--version');
SKIP: {
	skip 'no readelf here', 1 if (run('sh', '-c', 'command -v readelf'))[0] != 0;
	my ($id) = (run('readelf', '--notes', $kiln))[1] =~ /Build ID: ([0-9a-f]+)/;
	like((run($kiln, 'version'))[1], qr/^build $id$/m, 'the build id is that of the file');
}
SKIP: {
	if (has('EMBED_CONFIG')) {
		prints($config, 'version', '--config');
	} else {
		is_refused($FAILED,
			'version: this binary holds no configuration (CONFIG_EMBED_CONFIG is off)',
			'version', '--config');
	}
}

SKIP: {
	skip 'no kiln policy in this binary', 1 unless has('CMD_POLICY');
	my %policies = prints(qr/\A(\w+ +\d+ instructions\n)+\z/, 'policy') =~ /^(\w+) +(\d+) /mg;
	ok exists $policies{$_}, "there is a policy $_" for qw(supervisor vm_setup vm_main vcpu);
	for my $name (sort keys %policies) {
		prints(qr/\A(\S.* (?:seccomp|drivers\/\w+\/\w+)\/\w+\.policy:\d+\n)+\z/, 'policy', $name) if has('POLICY_TEXT');
		my $bpf = prints(qr/\A( *\d+  \w+ .*\n)+\z/, 'policy', $name, '--bpf');
		is scalar(() = $bpf =~ /\n/g), $policies{$name}, '... as many lines as instructions';
	}
	is_refused($INVALID, "policy: no policy 'vcpus': did you mean 'vcpu'?", 'policy', 'vcpus');
	is_refused($INVALID, "policy: no policy 'zymurgy' in this binary", 'policy', 'zymurgy');
}

SKIP: {
	skip 'no kiln devices in this binary', 1 unless has('CMD_DEVICES');
	my @devices = prints(qr/\A(\S+ +(\d+|\+)  \S.*\n)*\z/, 'devices') =~ /^(\S+)/mg;
	prints(qr/\A$_: \S.*\nInstances: (\d+|one for each kiln run --device $_\b.*)\n/, 'devices', $_) for @devices;
	prints(qr/^Configured by: kiln run --serial KEY=VALUE,\.\.\.\n.*file=PATH +\S/ms, 'devices', 'uart16550')
		if has('UART16550');
	prints(qr/^Or by: --tap NAME\n.*^ +--host_ip ADDRESS\n.*^  tap=NAME +\S/ms, 'devices', 'virtio-net')
		if has('VIRTIO_NET');
	is_refused($INVALID, "devices: no device 'virtio-nat': did you mean 'virtio-net'?", 'devices', 'virtio-nat')
		if has('VIRTIO_NET');
	is_refused($INVALID, "devices: no device 'pvpanick': did you mean 'pvpanic'?", 'devices', 'pvpanick')
		if has('PVPANIC');
	is_refused($INVALID, "devices: no device 'zymurgy' in this binary", 'devices', 'zymurgy');
}

# ---- Output that fails ---------------------------------------------------------------------------

my @talkative = (['help'], ['help', 'run'], ['run', '--help'], ['version']);
push @talkative, ['version', '--config'] if has('EMBED_CONFIG');
push @talkative, ['policy'], ['policy', 'vm_setup', '--bpf'] if has('CMD_POLICY');
push @talkative, ['devices'] if has('CMD_DEVICES');
for my $words (@talkative) {
	my $name = shown(@$words);
	is run_with('/dev/full', '.err', $kiln, @$words), $FAILED, "$name fails on a full disk";
	is slurp('.err'), "kiln: standard output: No space left on device\n", '... and says so';
	is run_with(undef, '.err', $kiln, @$words), $FAILED, "$name fails without standard output";
	is slurp('.err'), "kiln: standard output: Bad file descriptor\n", '... and says so';
}

SKIP: {
	skip 'no serial ports in this binary', 2 unless has('UART16550');
	is run_with(undef, undef, $kiln, 'run', '-i', 'missing', '--serial', 'file=log', 'kernel'), $INVALID,
		'a mistake is one without anybody to tell';
	run_with(undef, undef, $kiln, 'run', ('--serial', 'file=log', '--serial', 'file=none/x'), 'kernel');
	is slurp('log'), '', 'what is said to nobody is not written to a file of the user';
}

done_testing;
