#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Bad input: one clear line, the right exit code, nothing printed, nothing left behind.
use strict;
use warnings;

use Kiln::Test;
use POSIX qw(mkfifo);
use Test::More;

my $dir = scratch();

sub make_file {
	my ($name, $bytes) = @_;
	open my $file, '>:raw', "$dir/$name" or die "$dir/$name: $!";
	print $file $bytes;
	close $file or die "$dir/$name: $!";
	return "$dir/$name";
}

sub make_sparse {
	my ($name, $size_bytes) = @_;
	my $path = make_file($name, "\x07");
	truncate $path, $size_bytes or die "$path: $!";
	return $path;
}

# The same bytes each time, and no header of any kind among them.
sub noise {
	my ($size_bytes) = @_;
	my ($state, $bytes) = (12345, '');
	while (length $bytes < $size_bytes) {
		$state = ($state * 1103515245 + 12345) & 0x7fffffff;
		$bytes .= pack 'n', $state >> 8 & 0xffff;
	}
	return $bytes;
}

sub first_bytes {
	my ($path, $size_bytes) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	read $file, my ($bytes), $size_bytes;
	return $bytes;
}

# ---- Kernels -----------------------------------------------------------------------------------------

my $bzimage = first_bytes(kernel('cloud'), -s kernel('cloud'));
my ($setup_sects, $syssize) = (unpack('C', substr $bzimage, 0x1f1), unpack('V', substr $bzimage, 0x1f4));
my $body_end = ($setup_sects + 1) * 512 + $syssize * 16;
my $vmlinux = first_bytes(kernel('vmlinux'), 4 << 20);
my $elf = first_bytes(payload('idle'), 65536);

mkdir "$dir/directory";
mkfifo("$dir/fifo", 0600);
is_refused([ 'run', "$dir/missing" ], qr/'\Q$dir\E\/missing': No such file/, 'a missing kernel is refused');
is_refused([ 'run', make_file('empty', '') ], qr/empty/, 'an empty kernel is refused');
is_refused([ 'run', "$dir/directory" ], qr/directory/, 'a directory is no kernel');
is_refused([ 'run', "$dir/fifo" ], qr/not a file/, 'a FIFO is no kernel, and is not waited for');
is_refused([ 'run', '/dev/zero' ], qr/not a file/, 'a device is no kernel');
for my $size (1, 0x1f1, 0x202, 0x206, 0x264, 0x290, 4096, $body_end >> 1, $body_end - 1) {
	is_refused([ 'run', '-m', '512', make_file('cut', substr $bzimage, 0, $size) ], qr/kernel: /,
		"a bzImage cut to $size bytes is refused");
}
for my $size (4, 20, 63, 64, 100, 4096, 1 << 20) {
	is_refused([ 'run', '-m', '512', make_file('cut', substr $vmlinux, 0, $size) ], qr/kernel: /,
		"a vmlinux cut to $size bytes is refused");
}
is_refused([ 'run', make_file('noise', noise(1 << 20)) ], qr/no kernel/, 'random bytes are refused');
is_refused([ 'run', make_file('gz', "\x1f\x8b\x08" . noise(5000)) ], qr/gzip/, 'a gzip file is named as such');
is_refused([ 'run', make_file('arm', 'MZ' . "\0" x 54 . "ARM\x64" . noise(5000)) ], qr/aarch64/,
	'an aarch64 Image is named as such');
is_refused([ 'run', make_file('arm.elf', substr($vmlinux, 0, 18) . pack('v', 183) . substr($vmlinux, 20)) ],
	qr/aarch64/, 'an ELF file for aarch64 is named as such');
is_refused([ 'run', make_file('msb', substr($vmlinux, 0, 5) . "\2" . substr($vmlinux, 6)) ],
	qr/little-endian/, 'a big-endian ELF file is named as such');
is_refused([ 'run', make_file('rel', substr($vmlinux, 0, 16) . pack('v', 1) . substr($vmlinux, 18)) ],
	qr/object file/, 'an ELF object file is named as such');
is_refused([ 'run', kiln() ], qr/kernel: /, 'a program for this host is no kernel');
is_refused([ 'run', make_file('no-note', $elf =~ s/Xen\0/Xon\0/r) ], qr/PVH note/,
	'a 32-bit ELF file without a PVH note is refused');
is_refused([ 'run', '--boot', 'pvh', kernel('cloud') ], qr/no PVH entry/, 'a bzImage has no PVH entry');
is_refused([ 'run', '-m', '8', kernel('cloud') ], qr/needs at least \d+ MiB/, 'too little memory for the kernel: the line says how much');

# ---- Initrds -------------------------------------------------------------------------------------------

is_refused([ 'run', '-i', "$dir/missing", kernel('cloud') ], qr/initrd .*No such file/, 'a missing initrd is refused');
is_refused([ 'run', '-i', "$dir/empty", kernel('cloud') ], qr/initrd .*empty/, 'an empty initrd is refused');
is_refused([ 'run', '-i', "$dir/directory", kernel('cloud') ], qr/initrd .*directory/, 'a directory is no initrd');
is_refused([ 'run', '-i', make_sparse('large', 300 << 20), kernel('cloud') ], qr/initrd .*300 MiB.*256 MiB/,
	'an initrd larger than memory is refused, with both sizes');
is_refused([ 'run', '-i', make_sparse('large', 250 << 20), kernel('cloud') ], qr/initrd: .*do not fit/,
	'an initrd that does not fit beside the kernel is refused');
is_refused([ 'run', '-m', '6G', '-i', make_sparse('large', 4 << 30), kernel('cloud') ], qr/initrd/,
	'an initrd larger than what lies below 4 GiB is refused');

# ---- Words ---------------------------------------------------------------------------------------------

my $guest = payload('idle');
for my $mem (qw(0 1 999999999 16000G 99999999999999999999 -1 12Q), '', '1.5G') {
	is_refused([ 'run', '-m', $mem, $guest ], qr/mem/, "-m '$mem' is refused");
}
for my $cpus (qw(0 100000 4294967297 -1 two), '') {
	is_refused([ 'run', '-c', $cpus, $guest ], qr/cpus/, "-c '$cpus' is refused");
}
is_refused([ 'run', '-c', '4096', $guest ], qr/cpus: 4096 is out of range \(1 to \d+\)/, 'more CPUs than a machine has are refused, with the limit');
is_refused([ 'run', '-p', 'x' x 5000, $guest ], qr/command line is \d+ bytes long \(at most 4095\)/,
	'a command line beyond Kiln\'s limit is refused, with the limit');
is_refused([ 'run', ('-p', 'x' x 1000) x 5, $guest ], qr/command line is \d+ bytes long \(at most 4095\)/,
	'... also when it comes in pieces');
is_refused([ 'run', '-p', 'x' x 3000, kernel('cloud') ], qr/command line: \d+ bytes: this kernel takes at most 2047/,
	'a command line beyond the kernel\'s limit is refused, with the limit');
is_refused([ 'run', '--mme', '64', $guest ], qr/'--mme'.*'--mem'/, 'an unknown option is answered with the nearest');
is_refused([ 'run', '--frobnicate', $guest ], qr/'--frobnicate'/, 'an option like no other is named');
is_refused([ 'run', '--boot', 'phv', $guest ], qr/'phv'.*'pvh'/, 'an unknown choice is answered with the nearest');
is_refused([ 'run', '-m', '4', '-m', '8', $guest ], qr/twice/, 'an option given twice is refused');
is_refused([ 'run', '-m' ], qr/'-m' needs a value/, 'an option without its value is refused');
is_refused([ 'run' ], qr/no kernel/, 'no kernel at all is refused');
is_refused([ 'run', $guest, $guest ], qr/one kernel/, 'two kernels are refused');
is_refused([ 'rnu', $guest ], qr/'rnu'.*'run'/, 'an unknown command is answered with the nearest');
is_refused([ 'run', '--serial', 'fiel=x', $guest ], qr/'fiel'.*'file'/, 'an unknown word of --serial is answered with the nearest');
is_refused([ 'run', '--serial', "file=$dir/missing/log", $guest ], qr/No such file/, 'a serial file in no directory is refused');
is_refused([ 'run', '--serial', "unix=$dir/" . 'x' x 120, $guest ], qr/too long \(at most 107\)/,
	'a socket\'s path beyond the kernel\'s limit is refused, with the limit');
is_refused([ 'run', ('--serial', 'sink') x 5, $guest ], qr/there are only 4/, 'a fifth serial port is refused');

# ---- The host ------------------------------------------------------------------------------------------

SKIP: {
	skip 'needs root', 5 unless is_root();
	my ($group, $gid) = (getgrgid 5)[0, 2];
	my $node = "mkdir $dir/dev && mount -t tmpfs dev $dir/dev && mknod $dir/dev/kvm c";
	my $use = "mount --bind $dir/dev/kvm /dev/kvm";
	is_refused([ 'run', $guest ], qr{/dev/kvm \(.*\): No such file}, 'no /dev/kvm: the line says what to load',
		status => 1, under => [ in_mounts('mount -t tmpfs dev /dev') ]);
	is_refused([ 'run', "$dir/missing" ], qr/No such file/, 'without /dev/kvm, mistakes in files are still told',
		under => [ in_mounts('mount -t tmpfs dev /dev') ]);
	is_refused([ 'run', $guest ], qr{/dev/kvm.*: No such device}, 'a /dev/kvm without a driver',
		status => 1, under => [ in_mounts("$node 10 250; $use") ]);
	rmdir "$dir/dev";
	is_refused([ 'run', $guest ], qr{/dev/kvm \(.*group $group.*\): Permission denied},
		'a /dev/kvm that the user may not open: the line names the group', status => 1,
		under => [ in_mounts("$node 10 232; chown 0:$gid $dir/dev/kvm; chmod 660 $dir/dev/kvm; $use"),
			'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups' ]);
	rmdir "$dir/dev";
	is_refused([ 'run', $guest ], qr/API version|ioctl|KVM/, 'a /dev/kvm that is something else', status => 1,
		under => [ in_mounts('mount --bind /dev/null /dev/kvm') ]);
}

is(join(' ', glob "$dir/*.sock $dir/dev/*"), '', 'no file is left');
nothing_is_left();
done_testing();
