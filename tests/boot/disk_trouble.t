#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Disks in trouble: a guest killed while it writes, hosts whose storage is full or fails. Nothing else is lost.
use strict;
use warnings;

use Kiln::Disk;
use Kiln::Test;
use Test::More;

my @engines = qw(sync io_uring);

# ---- A guest that is killed while it writes ------------------------------------------------------------

# Everything that was said to be safe is, after the journal was replayed. Beside it others write without
# waiting, so that there is always something in flight.
{
	my (%image, @words);
	for my $engine (@engines) {
		$image{$engine} = make_image($engine, 32 << 20);
		my ($text, $status) = output_of('mke2fs', '-q', '-t', 'ext4', $image{$engine});
		is($status, 0, "$engine: a file system is made");
		push @words, '--device', "virtio-blk,path=$image{$engine},id=$engine,engine=$engine";
	}
	my $m = boot_disk(<<'EOT', \@words);
write() {
	while i=$((i + 1)); do
		dd if=/dev/urandom of=$1/$i bs=1k count=$((i % 40 + 1)) conv=fsync 2>/dev/null || continue
		echo "safe: ${1##*/} /$i $(sha256sum <$1/$i)"
	done
}
noise() { while :; do cp /bin/busybox $1/noise; mv $1/noise $1/more; done; }
for engine in sync io_uring; do
	mkdir /tmp/$engine
	mount -t ext4 $(vd $engine) /tmp/$engine || exit
	write /tmp/$engine &
	noise /tmp/$engine &
done
wait
EOT
	ok($m->wait_for(qr{^safe: $_ /(?:[2-9]\d|\d{3,}) [^\n]*\n}m), "$_: files are written") for @engines;
	my @pids = ($m->vm_pid, $m->device_pids);
	$m->signal('KILL');
	$m->wait_end;
	ok(wait_for_end_of($_), 'a process of a killed machine ends') for @pids;
	for my $engine (@engines) {
		like(is_sound($image{$engine}, "$engine: killed in the middle"), qr/recovering journal/,
			"$engine: ... there was something to replay");
		my %safe = $m->{out} =~ m{^safe: $engine (/\d+) ([0-9a-f]{64})  -\r?\n}mg;
		my $files = files_of($image{$engine});
		my @lost = grep { !-f "$files$_" || sha256_of("$files$_") ne $safe{$_} } sort keys %safe;
		cmp_ok(scalar keys %safe, '>=', 20, "$engine: so many files were safe");
		is("@lost", '', "$engine: and all of them are there");
	}
}

# ---- Storage that is full, storage that fails -------------------------------------------------------------

# Block devices of the host's, in memory, with bad blocks: 8 KiB from the first MiB on.
my $configfs = '/sys/kernel/config';
my @bad;

sub make_bad_disk {
	my ($name) = @_;
	my $folder = "$configfs/nullb/$name";
	mkdir $folder or die "$folder: $!";
	push @bad, $folder;
	set("$folder/size", 4);
	set("$folder/blocksize", 512);
	set("$folder/badblocks", '+2048-2063');
	set("$folder/$_", 1) for qw(memory_backed discard power);
	# Linux before 6.0 had names of its own.
	return (grep { -b } "/dev/$name", '/dev/nullb' . slurp("$folder/index") =~ s/\s//gr)[0] // die "no /dev/$name";
}

sub set {
	my ($path, $value) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $value;
	close $file or die "$path: $!";
}

END {
	rmdir for @bad;
}

# A file system of 4 MiB, which only this test sees, with an image of 16 MiB.
sub make_full_disk {
	my ($name) = @_;
	my $folder = image_folder() . "/$name";
	mkdir $folder;
	system('mount', '-t', 'tmpfs', '-o', 'size=4m', 'full', $folder) == 0 or die 'mount';
	return make_image("$name/image", 16 << 20);
}

my $script = '';
for my $engine (@engines) {
	$script .= "engine=$engine\n" . <<'EOT';
full=$(vd full-$engine)
bad=$(vd bad-$engine)
good=$(vd good-$engine)
# error COMMAND: whether it fails, and for the reason that it had an I/O error.
error() { ! "$@" 2>/tmp/error && grep -q 'Input/output error' /tmp/error; }
# same DISK BLOCK COUNT: whether these blocks of 64 KiB hold what they should.
same() {
	[ "$(dd if=$1 bs=64k skip=$2 count=$3 iflag=direct 2>/dev/null | sha256sum)" = \
		"$(dd if=/tmp/random bs=64k skip=$2 count=$3 2>/dev/null | sha256sum)" ]
}

check "$engine: its disks are there" [ -b "$full" -a -b "$bad" -a -b "$good" ]
check "$engine: a full host is an error" error dd if=/tmp/random of=$full bs=64k oflag=direct
blocks=$(sed -n 's/+.*records out//p' /tmp/error)
check "$engine: ... once it is full" [ "$blocks" -ge 56 -a "$blocks" -le 64 ]
check "$engine: ... and what went before is there" same $full 0 "$blocks"
check "$engine: ... after a flush, too" sync -d $full
check "$engine: a disk of the same machine is not affected" dd if=/tmp/random of=$good bs=64k conv=fsync
check "$engine: ... and holds it all" same $good 0 128
check "$engine: what is discarded makes room" blkdiscard -o 0 -l 1048576 $full
check "$engine: ... for other blocks" dd if=/tmp/random of=$full bs=64k seek=$blocks skip=$blocks count=8 oflag=direct
check "$engine: ... which hold it" same $full $blocks 8
check "$engine: ... beside those that were there" same $full 16 $((blocks - 16))

check "$engine: blocks before bad ones are written" dd if=/tmp/random of=$bad bs=64k count=16 oflag=direct
check "$engine: a bad block cannot be written" error dd if=/tmp/random of=$bad bs=4k seek=256 count=1 oflag=direct
check "$engine: a bad block cannot be read" error dd if=$bad of=/dev/null bs=4k skip=257 count=1 iflag=direct
check "$engine: a request over good and bad blocks fails" error dd if=$bad of=/dev/null bs=64k skip=16 count=1 iflag=direct
check "$engine: blocks behind bad ones are written" dd if=/tmp/random of=$bad bs=64k seek=17 skip=17 count=47 oflag=direct
check "$engine: blocks before bad ones hold it" same $bad 0 16
check "$engine: blocks behind bad ones hold it" same $bad 17 47
EOT
}

SKIP: {
	skip 'needs root to make storage that is full or fails', 1 unless is_root();
	my ($SYS_UNSHARE, $CLONE_NEWNS) = (272, 0x20000); # x86_64
	syscall($SYS_UNSHARE, $CLONE_NEWNS) == 0 && system('mount', '--make-rprivate', '/') == 0 or die "unshare: $!";
	system('modprobe', 'null_blk', 'nr_devices=0') == 0 or die 'modprobe null_blk';
	-d "$configfs/nullb" or system('mount', '-t', 'configfs', 'configfs', $configfs) == 0 or die 'mount';
	my (@words, %bad);
	for my $engine (@engines) {
		my %path = (full => make_full_disk("full-$engine"), good => make_image("good-$engine", 8 << 20));
		push @words, '--device', "virtio-blk,path=$path{$_},id=$_-$engine,engine=$engine" for sort keys %path;
		$bad{$engine} = make_bad_disk("kiln-bad-$engine");
		push @words, '--device', "virtio-blk,path=$bad{$engine},id=bad-$engine,engine=$engine,direct=on";
	}
	my $m = boot_disk("dd if=/dev/urandom of=/tmp/random bs=64k count=128 2>/dev/null\n$script", \@words);
	my $text = runs_to_its_end($m, 'trouble');
	my @names = $script =~ /^check "\$engine: (.*?)"/mg;
	for my $engine (@engines) {
		says_yes($text, 'trouble', map { "$engine: $_" } @names[0 .. $#names / 2]);
		my ($full, $bad) = $engine eq $engines[0] ? (0, 2) : (3, 5); # in the order of @words
		like($m->{err}, qr/^kiln: warning: virtio-blk\.$full: write, \d+ bytes at \d+: No space left on device$/m,
			"trouble: $engine: the log says what is full");
		like($m->{err}, qr/^kiln: warning: virtio-blk\.$bad: write, \d+ bytes at \d+: I\/O error$/m,
			"trouble: $engine: ... and what failed");
		system('umount', image_folder() . "/full-$engine") == 0 or diag('umount');
	}
}

nothing_is_left();
done_testing();
