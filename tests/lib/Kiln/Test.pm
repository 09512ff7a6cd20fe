# SPDX-License-Identifier: BSD-3-Clause
# What the boot tests share: machines that are started, watched, typed to and ended, each wait with a deadline.
#
# scripts/check-boot prepares what the tests need and names it in the environment (KILN_TEST_*). A
# test never sleeps: it waits for output, for a process's end, or, where the kernel announces nothing,
# asks again until the deadline. Whatever a test leaves running ends with it.
package Kiln::Test;
use strict;
use warnings;

use Exporter qw(import);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Pty;
use MIME::Base64 qw(encode_base64);
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

our @EXPORT = qw(
	start run_kiln boot boot_obedient guest_script in_mounts as_nobody
	ends_with is_refused nothing_is_left
	eventually wait_for_end_of children_of comm_of slurp status_field memory_kib guest_memory_mib
	terminal_modes
	kiln payload kernel initramfs prepared scratch is_root
	report_script report_is_clean memory_is complaints
);

# Emulated hosts are slow, and what has to wait for others is slower: a deadline is no measure.
my $DEADLINE_S = $ENV{KILN_TEST_DEADLINE} || 240;
my ($SYS_PRCTL, $SYS_PIDFD_OPEN) = (157, 434); # x86_64
my $PR_SET_CHILD_SUBREAPER = 36;
my $F_SETPIPE_SZ = 1031;

my %running; # pid => machine
my $owner = $$;

# Orphans become children of the test: what Kiln leaves behind is seen here, and ended here.
syscall($SYS_PRCTL, $PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 or BAIL_OUT("prctl: $!");
$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

# A test that was abandoned: its processes go, whatever they are doing.
END {
	if ($$ == $owner) {
		local $?;
		for (;;) {
			kill 'KILL', children_of($$);
			last if waitpid(-1, 0) <= 0;
		}
	}
}

# ---- What scripts/check-boot has prepared -------------------------------------------------------

sub prepared {
	my ($name) = @_;
	return $ENV{"KILN_TEST_$name"} || BAIL_OUT("KILN_TEST_$name is not set: run scripts/check-boot");
}

sub kiln { return prepared('KILN') }
sub kernel { return prepared('KERNEL_' . uc $_[0]) }
sub initramfs { return prepared('INITRAMFS_' . uc $_[0]) }
sub payload { return prepared('PAYLOADS') . "/$_[0].elf" }
sub is_root { return $> == 0 }

# A folder that goes with the test; in memory, where sockets and FIFOs always work.
sub scratch {
	my ($parent) = grep { -d && -w } '/dev/shm', File::Spec->tmpdir;
	my $dir = tempdir('kiln-test.XXXXXX', DIR => $parent, CLEANUP => 1);
	chmod 0755, $dir;
	return $dir;
}

# ---- Processes ------------------------------------------------------------------------------------

sub now_s { return clock_gettime(CLOCK_MONOTONIC) }

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or return '';
	local $/;
	return scalar(<$file>) // '';
}

# The value of a line "Name: value" in a file below /proc.
sub status_field {
	my ($path, $name) = @_;
	return slurp($path) =~ /^\Q$name\E:[ \t]*(.*?)[ \t]*$/m ? $1 : undef;
}

sub comm_of { return slurp("/proc/$_[0]/comm") =~ s/\n//r }

sub children_of {
	my ($parent) = @_;
	my @children;
	for my $path (glob '/proc/[0-9]*/stat') {
		my ($pid, $ppid) = slurp($path) =~ /^(\d+) \(.*\) \S (\d+) /s or next;
		push @children, $pid if $ppid == $parent;
	}
	return @children;
}

# Memory of processes in KiB, without the guest's, which is marked as not to be dumped ("dd"). The
# field is one of /proc/PID/smaps: Pss, Anonymous.
sub memory_kib {
	my ($field, @pids) = @_;
	my $kib = 0;
	for my $mapping (map { split /^(?=[0-9a-f]+-[0-9a-f]+ )/m, slurp("/proc/$_/smaps") } @pids) {
		next if $mapping =~ /^VmFlags:.*\bdd\b/m;
		$kib += $1 if $mapping =~ /^$field:\s+(\d+) kB/m;
	}
	return $kib;
}

# The guest's memory that the host has given to a machine with virtio devices, in MiB.
sub guest_memory_mib {
	my ($m) = @_;
	my ($memfd) = grep { (readlink || '') =~ m{^/memfd:kiln-guest} } glob '/proc/' . $m->vm_pid . '/fd/*';
	return (stat $memfd)[12] * 512 / (1 << 20);
}

# For what the kernel does not announce: ask until the answer is true. Return: the answer.
sub eventually {
	my ($question) = @_;
	my $end_s = now_s() + $DEADLINE_S;
	for (;;) {
		my $answer = $question->();
		return $answer if $answer || now_s() > $end_s;
		select undef, undef, undef, 0.02;
	}
}

# Return: a descriptor that is readable when the process has ended; undef: there is no such process.
sub pidfd_open {
	my ($pid) = @_;
	my $fd = syscall($SYS_PIDFD_OPEN, $pid + 0, 0);
	return $fd < 0 ? undef : $fd;
}

# Wait until a process, perhaps no child of ours, has ended. Return: whether it has.
sub wait_for_end_of {
	my ($pid) = @_;
	my $fd = pidfd_open($pid) // return 1;
	my $bits = '';
	vec($bits, $fd, 1) = 1;
	my $ended = select($bits, undef, undef, $DEADLINE_S) > 0;
	POSIX::close($fd);
	return $ended;
}

# Processes that the test or its machines left behind: all but machines that still run. What has
# ended already is buried on the way.
sub leftovers {
	return grep { !$running{$_} && waitpid($_, WNOHANG) == 0 } children_of($$);
}

# Test: every process that the test started, and whatever those started, is gone. Who is told to
# end but still does has the deadline's time.
sub nothing_is_left {
	my ($name) = @_;
	my @left;
	while (@left = leftovers()) {
		last if !wait_for_end_of($left[0]);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join(' ', map { "$_ (" . comm_of($_) . ")" } @left, keys %running), '', $name || 'no process is left');
}

# Words before a command: mounts of its own, changed by shell text.
sub in_mounts {
	my ($text) = @_;
	return ('unshare', '--mount', '--propagation', 'private', 'sh', '-ec', "$text; exec \"\$@\"", 'sh');
}

# Words before a command: an ordinary user who may use /dev/kvm.
sub as_nobody {
	my $gid = (stat '/dev/kvm')[5];
	return ('setpriv', '--reuid=65534', "--regid=$gid", '--clear-groups', '--inh-caps=-all');
}

# ---- Machines -----------------------------------------------------------------------------------------

# start(WORDS, OPTIONS): starts "kiln WORDS". Options:
#   kiln        another binary
#   under       words before the command: in_mounts, as_nobody
#   stdin       'null' (default), 'pipe', 'closed', a file's path; 'pty': a terminal, for output, too
#   size        with a terminal: its rows and columns, [ 24, 80 ]
#   stdout      'pipe' (default), or a file handle
#   pipe_bytes  how many bytes the pipe behind stdout holds
sub start {
	my ($words, %opt) = @_;
	my $m = bless {
		words => $words, out => '', err => '', mark => 0, err_mark => 0, handles => {},
	}, 'Kiln::Test::Machine';
	my $stdin = $opt{stdin} // 'null';
	my %child;

	pipe $m->{handles}{err}, $child{2} or die "pipe: $!";
	if ($stdin eq 'pty') {
		$m->{pty} = $m->{in} = $m->{handles}{out} = IO::Pty->new;
		$m->{slave} = $m->{pty}->slave;
		$m->{pty}->blocking(0);
		$m->{slave}->set_winsize(@{ $opt{size} }) if $opt{size};
		$m->{modes} = terminal_modes($m->{slave});
		@child{0, 1} = ($m->{slave}) x 2;
	} elsif ($stdin eq 'pipe') {
		pipe $child{0}, $m->{in} or die "pipe: $!";
		$m->{in}->blocking(0);
	} elsif ($stdin ne 'closed') {
		my $path = $stdin eq 'null' ? '/dev/null' : $stdin;
		open $child{0}, '<', $path or die "$path: $!";
	}
	if ($opt{stdout}) {
		$child{1} = $opt{stdout};
	} elsif (!$child{1}) {
		pipe $m->{handles}{out}, $child{1} or die "pipe: $!";
		fcntl $child{1}, $F_SETPIPE_SZ, $opt{pipe_bytes} if $opt{pipe_bytes};
	}
	$m->{pid} = fork() // die "fork: $!";
	if (!$m->{pid}) {
		$m->{pty}->make_slave_controlling_terminal if $m->{pty};
		become(\%child, @{ $opt{under} || [] }, $opt{kiln} || kiln(), @$words);
	}
	$m->{pidfd} = pidfd_open($m->{pid}) // die "pidfd_open: $!";
	return $running{ $m->{pid} } = $m;
}

# In the child: the descriptors, then the program.
sub become {
	my ($handles, @command) = @_;
	$SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM HUP);
	for my $fd (0 .. 2) {
		if ($handles->{$fd}) {
			POSIX::dup2(fileno($handles->{$fd}), $fd);
		} else {
			POSIX::close($fd);
		}
	}
	no warnings 'exec';
	exec { $command[0] } @command;
	POSIX::_exit(127);
}

# Run "kiln WORDS" to its end. Return: the machine; its {status}, {out} and {err} are there.
sub run_kiln {
	my $m = start(@_);
	$m->wait_end;
	return $m;
}

# A word for the guest's command line that makes images/guest-init run shell text.
sub guest_script {
	my ($text) = @_;
	return 'kiln.sh=' . encode_base64($text, '');
}

# boot(OPTIONS): starts Linux. Options: kernel (path), initramfs (path), cpus, mem, script (shell
# text), params (words for its command line), more (words for kiln), and those of start().
sub boot {
	my (%opt) = @_;
	my @params = ('quiet', $opt{params} || (), $opt{script} ? guest_script($opt{script}) : ());
	my @words = ('run', '-m', $opt{mem} || 256, '-c', $opt{cpus} || 1,
		'-i', $opt{initramfs} || initramfs('plain'), '-p', "@params", @{ $opt{more} || [] },
		$opt{kernel} || kernel('cloud'));
	delete @opt{qw(kernel initramfs cpus mem script params more)};
	return start(\@words, %opt);
}

# boot_obedient(OPTIONS): starts Linux that does what it is told through guest() on its serial port.
# Options as for boot(), but script and stdin.
sub boot_obedient {
	my $m = boot(@_, stdin => 'pipe', script => 'exec </dev/ttyS0; stty -echo; echo obeys-$?;'
		. 'while read -r line; do eval "$line" </dev/null; echo "did-$?"; done');
	$m->wait_for(qr/^obeys-0\r?\n/m);
	return $m;
}

# ---- Tests of a machine's end -------------------------------------------------------------------------

sub is_one_line {
	my ($text, $pattern) = @_;
	return $text =~ /\Akiln: [^\n]*\n\z/ && $text =~ $pattern;
}

# Test: the machine ends with this status, and one line on its standard error says why.
sub ends_with {
	my ($m, $status, $pattern, $name) = @_;
	my $found = $m->wait_end;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($found == $status && is_one_line($m->{err}, $pattern), $name)
		|| diag("expected status $status and one line like $pattern, found status $found and:\n$m->{err}");
}

# Test: "kiln WORDS" is refused with one line, nothing on standard output and no process left. The
# status is 35 (words and files) unless the options, which are start()'s, name another.
sub is_refused {
	my ($words, $pattern, $name, %opt) = @_;
	my $status = delete $opt{status} // 35;
	my $m = run_kiln($words, %opt);
	my @left = leftovers();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($m->{status} == $status && is_one_line($m->{err}, $pattern) && $m->{out} eq '' && !@left, $name)
		|| diag("expected status $status and one line like $pattern, found status $m->{status} and:\n"
			. "$m->{err}stdout: '" . substr($m->{out}, 0, 200) . "' processes left: @left");
}

# ---- What a Linux guest tells of its machine ----------------------------------------------------------

# Complaints about the platform, as extended regular expressions, case ignored.
my @COMPLAINTS = (
	'firmware (bug|warn)', 'bios (bug|error)', 'acpi bios', 'acpi.*(error|exception|warning)', 'valid rsdp',
	'unchecked msr', 'pci: fatal', 'warning:', 'bug:', 'call trace', 'nobody cared', 'spurious',
	'i8042.*(time|fail|error|no controller)', 'rtc.*(broken|unable|error|fail)', 'too much work for irq',
	'tsc.*(warp|fail)', 'mtrr.*(bug|wrong)', 'apic.*(error|fail|mismatch)', 'not connected to io-apic',
);

# What the exception below is known by.
my @MARKS = ('\[ cut here \]', '-\[ end trace', 'xsave consistency problem');

# Shell text for the guest that prints what report_is_clean() and memory_is() read.
sub report_script {
	my $pattern = join '|', @COMPLAINTS, @MARKS;
	return qq(echo "cpus: \$(nproc) online: \$(cat /sys/devices/system/cpu/online)"
grep MemTotal /proc/meminfo
dmesg | grep ' Memory: '
dmesg | grep -niE "$pattern" | sed 's/^/dmesg:/'
echo report-end
stty -F /dev/console onlcr # returns when the console has sent it: a crash may come next
);
}

# Complaints in a report: lines of the guest's dmesg.
#
# One exception. QEMU's TCG does not intercept XSETBV of a nested guest (SVM), so that the size in
# CPUID leaf 0xd is the host's and Linux warns when it starts: "XSAVE consistency problem", at
# fpu/xstate.c. QEMU's own nested guests say the same. There, exactly this block is left out.
sub complaints {
	my ($report) = @_;
	my $is_tcg = slurp('/proc/cpuinfo') =~ /^model name\s*:.*QEMU TCG/m;
	my @lines = $report =~ /^dmesg:\d+:(.*?)\r?$/mg;
	my @kept;
	while (defined(my $line = shift @lines)) {
		if ($is_tcg && @lines > 1 && $line =~ /\[ cut here \]/
			&& $lines[0] =~ /XSAVE consistency problem/
			&& $lines[1] =~ m{WARNING: .* arch/x86/kernel/fpu/xstate\.c}) {
			1 while @lines && shift(@lines) !~ /-\[ end trace/;
		} elsif ($line !~ /\[ cut here \]|-\[ end trace/) {
			push @kept, $line;
		}
	}
	return @kept;
}

# Test: the guest, which runs report_script(), has its CPUs online and no complaint, but for one that
# the test expects.
sub report_is_clean {
	my ($m, $cpus, $name, $expected) = @_;
	my $online = $cpus == 1 ? '0' : '0-' . ($cpus - 1);
	$m->{report} = $m->wait_for(qr/^cpus: .*^report-end\r?\n/sm) // '';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($m->{report}, qr/^cpus: $cpus online: $online\r?$/m, "$name: its CPUs are online ($cpus)");
	my @found = grep { !$expected || !/$expected/ } complaints($m->{report});
	is(join("\n", @found), '', "$name: no complaint about the platform");
}

# Test: the guest found all of its memory, within 5 %: in its memory map and by MemTotal. That leaves out
# the kernel's image, whose size the kernel tells and which is added, and its first tables: a small
# machine may miss 8 MiB.
sub memory_is {
	my ($m, $mib, $name) = @_;
	my ($map_kib, $image) = $m->{report} =~ m{ Memory: \d+K/(\d+)K available \((.*?), \d+K reserved};
	my ($total_kib) = $m->{report} =~ /^MemTotal:\s*(\d+) kB/m;
	my $image_kib = 0;
	$image_kib += $_ for ($image // '') =~ /(\d+)K (?:kernel code|rwdata|rodata|bss)/g;
	note sprintf '%s: memory map %.1f MiB, MemTotal %.1f MiB, image %.1f MiB', $name,
		map { ($_ // 0) / 1024 } $map_kib, $total_kib, $image_kib;
	my $slack_mib = 0.05 * $mib > 8 ? 0.05 * $mib : 8;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	cmp_ok(abs(($map_kib // 0) / 1024 - $mib), '<=', 0.05 * $mib, "$name: its memory map has $mib MiB within 5 %");
	cmp_ok(abs((($total_kib // 0) + $image_kib) / 1024 - $mib), '<=', $slack_mib,
		"$name: MemTotal and the kernel's image are $mib MiB within $slack_mib MiB");
}

# ---- The terminal ---------------------------------------------------------------------------------------

# The modes of a terminal, as text to compare.
sub terminal_modes {
	my ($handle) = @_;
	my $t = POSIX::Termios->new;
	$t->getattr(fileno $handle) // die "getattr: $!";
	return join ' ', 'iflag', $t->getiflag, 'oflag', $t->getoflag, 'cflag', $t->getcflag, 'lflag', $t->getlflag,
		'cc', map { $t->getcc($_) } 0 .. 16;
}

# ---- A machine ----------------------------------------------------------------------------------------------

package Kiln::Test::Machine;

use Errno qw(EAGAIN EINTR);
use POSIX qw(WNOHANG);
use Test::More;

# One wait for output, for room in stdin if there is something to type, or for the end. Return:
# false when the deadline has passed.
sub pump {
	my ($m, $end_s, $is_typing) = @_;
	my ($in, $out) = ('', '');
	my $left_s = $end_s - Kiln::Test::now_s();
	return 0 if $left_s <= 0;
	vec($in, fileno $_, 1) = 1 for values %{ $m->{handles} };
	vec($in, $m->{pidfd}, 1) = 1 if defined $m->{pidfd};
	vec($out, fileno $m->{in}, 1) = 1 if $is_typing;
	my $ready = select $in, $out, undef, $left_s;
	return $! == EINTR if $ready < 0;
	for my $name (keys %{ $m->{handles} }) {
		$m->take($name) if vec($in, fileno $m->{handles}{$name}, 1);
	}
	$m->reap if defined $m->{pidfd} && vec($in, $m->{pidfd}, 1);
	return 1;
}

# Read what there is. Return: whether there may be more. A terminal that nobody has open any more
# answers with an error: an end, too.
sub take {
	my ($m, $name) = @_;
	my $got = sysread $m->{handles}{$name}, my $bytes, 65536;
	if ($got) {
		$m->{$name} .= $bytes;
		return 1;
	}
	delete $m->{handles}{$name} if defined $got || $! != EAGAIN;
	return 0;
}

sub reap {
	my ($m) = @_;
	return if waitpid($m->{pid}, WNOHANG) != $m->{pid};
	$m->{status} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	POSIX::close(delete $m->{pidfd});
	delete $running{ $m->{pid} };
	# We hold the terminal open ourselves: it does not end, but what there was is there now.
	if ($m->{pty} && $m->{handles}{out}) {
		1 while $m->{handles}{out} && $m->take('out');
		delete $m->{handles}{out};
	}
}

# wait_for(PATTERN): until the output behind what was waited for before matches. Return: that text
# up to the end of the match, or undef when the machine ended or the deadline passed first.
sub wait_for {
	my ($m, $pattern) = @_;
	return $m->expect('out', 'mark', $pattern);
}

sub wait_for_err {
	my ($m, $pattern) = @_;
	return $m->expect('err', 'err_mark', $pattern);
}

sub expect {
	my ($m, $stream, $mark, $pattern) = @_;
	my $end_s = Kiln::Test::now_s() + $DEADLINE_S;
	for (;;) {
		my $fresh = substr $m->{$stream}, $m->{$mark};
		if ($fresh =~ $pattern) {
			my $end = $+[0];
			$m->{$mark} += $end;
			return substr $fresh, 0, $end;
		}
		last if !$m->{handles}{$stream} || !$m->pump($end_s);
	}
	diag("no $pattern in std$stream, which ends with:\n" . substr($m->{$stream}, -2000) . "\nstderr:\n$m->{err}");
	return undef;
}

# Type, and read meanwhile; give up when nothing was taken for so many seconds. Return: bytes taken.
sub type {
	my ($m, $bytes, $patience_s) = @_;
	my $typed = 0;
	my $end_s = Kiln::Test::now_s() + ($patience_s || $DEADLINE_S);
	while ($typed < length $bytes) {
		my $put = syswrite $m->{in}, substr $bytes, $typed, 4096;
		if ($put) {
			$typed += $put;
			$end_s = Kiln::Test::now_s() + ($patience_s || $DEADLINE_S);
		} elsif ($! != EAGAIN || !$m->pump($end_s, 1)) {
			last;
		}
	}
	return $typed;
}

# Have a machine of boot_obedient() run a line of shell. Return: its output, and its status (undef: none).
sub guest {
	my ($m, $line) = @_;
	$m->type("$line\n");
	my $text = ($m->wait_for(qr/^did-\d+\r?\n/m) // '') =~ s/\r//gr;
	my $status = $text =~ s/^did-(\d+)\n\z//m ? $1 : undef;
	return wantarray ? ($text, $status) : $text;
}

# The same: whether it worked. What it said is shown when it did not.
sub guest_does {
	my ($m, $line) = @_;
	my ($text, $status) = $m->guest($line);
	return 1 if defined $status && $status == 0;
	diag("in the guest, '$line' ends with " . ($status // 'nothing') . " and says:\n$text");
	return 0;
}

sub close_stdin {
	my ($m) = @_;
	close delete $m->{in};
}

sub close_stdout {
	my ($m) = @_;
	delete $m->{held};
	delete $m->{handles}{out};
}

# Stop reading: what the machine writes stays in the pipe.
sub hold_stdout {
	my ($m) = @_;
	$m->{held} = delete $m->{handles}{out};
}

sub resume_stdout {
	my ($m) = @_;
	$m->{handles}{out} = delete $m->{held};
}

sub signal {
	my ($m, $signal, $pid) = @_;
	return kill $signal, $pid || $m->{pid};
}

# Signal again and again, as somebody would who waits at a terminal, until the process has ended.
sub insist {
	my ($m, $signal) = @_;
	my $end_s = Kiln::Test::now_s() + $DEADLINE_S;
	while (defined $m->{pidfd} && Kiln::Test::now_s() < $end_s) {
		$m->signal($signal);
		$m->pump(Kiln::Test::now_s() + 0.1);
	}
}

# Until the process and everybody else who writes to the same pipes have ended. Return: its exit
# status, 128 + N when signal N killed it, -1 when the deadline passed.
sub wait_end {
	my ($m) = @_;
	my $end_s = Kiln::Test::now_s() + $DEADLINE_S;
	while (defined $m->{pidfd} || %{ $m->{handles} }) {
		next if $m->pump($end_s);
		diag("kiln @{ $m->{words} } does not end; stdout ends with:\n" . substr($m->{out}, -2000)
			. "\nstderr:\n$m->{err}");
		$m->signal('KILL');
		return $m->{status} = -1;
	}
	return $m->{status};
}

# The processes of its virtio devices, in no order.
sub device_pids {
	my ($m) = @_;
	return grep { Kiln::Test::comm_of($_) eq 'kiln-device' } Kiln::Test::children_of($m->{pid});
}

# The process that runs the guest, once it is Kiln's and not a copy of the supervisor any more.
sub vm_pid {
	my ($m) = @_;
	return $m->{vm_pid} //= Kiln::Test::eventually(sub {
		my ($vm) = grep { Kiln::Test::comm_of($_) eq 'kiln-vm' } Kiln::Test::children_of($m->{pid});
		return $vm;
	});
}

1;
