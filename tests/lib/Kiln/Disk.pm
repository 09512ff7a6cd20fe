# SPDX-License-Identifier: BSD-3-Clause
# What the boot tests of disks share: images, looks into ext4, guests whose script lies on a disk, fio's jobs.
package Kiln::Disk;
use strict;
use warnings;

use Digest::SHA;
use Exporter qw(import);
use Kiln::Test;
use POSIX ();
use Test::More;

our @EXPORT = qw(
	make_image copy_of sha256_of output_of sha256_in files_of is_sound
	boot_disk runs_to_its_end says_yes image_folder
	fio_disks fio_script fio_is_content known_bytes
);

$ENV{PATH} .= ':/usr/sbin:/sbin';
my $dir = scratch();

# ---- Images -------------------------------------------------------------------------------------------

sub image_folder { return $dir }

# An image of so many bytes, all holes.
sub make_image {
	my ($name, $bytes) = @_;
	open my $file, '>', "$dir/$name" or die "$dir/$name: $!";
	truncate $file, $bytes or die "$dir/$name: $!";
	chmod 0666, "$dir/$name";
	return "$dir/$name";
}

# A copy with the same holes, for whoever cannot read the user's files.
sub copy_of {
	my ($from, $name) = @_;
	system('cp', '--sparse=always', $from, "$dir/$name") == 0 or die "$dir/$name: cp";
	chmod 0777, "$dir/$name";
	return "$dir/$name";
}

sub sha256_of {
	my ($path) = @_;
	return Digest::SHA->new(256)->addfile($path, 'b')->hexdigest;
}

# What a command prints (e2fsprogs tell their version on standard error), and its status.
sub output_of {
	my (@command) = @_;
	my $pid = open(my $pipe, '-|') // die "fork: $!";
	if (!$pid) {
		open STDERR, '>', '/dev/null';
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	binmode $pipe;
	my $text = do { local $/; <$pipe> };
	close $pipe;
	return ($text // '', $? >> 8);
}

# Of a file inside of an ext4 image.
sub sha256_in {
	my ($image, $path) = @_;
	my ($bytes) = output_of('debugfs', '-R', "cat $path", $image);
	return Digest::SHA::sha256_hex($bytes);
}

# All files of an ext4 image, taken out into a folder. Return: the folder.
sub files_of {
	my ($image) = @_;
	my $folder = "$image.files";
	mkdir $folder or die "$folder: $!";
	output_of('debugfs', '-R', "rdump / $folder", $image);
	return $folder;
}

# Test: after its journal was replayed the file system has nothing that would have to be repaired. Return:
# what e2fsck said about it first.
sub is_sound {
	my ($image, $name) = @_;
	my ($text, $status) = output_of('e2fsck', '-p', $image);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status & ~1, 0, "$name: e2fsck needs no answers") or diag($text);
	my ($rest, $found) = output_of('e2fsck', '-fn', $image);
	is($found, 0, "$name: ... and finds nothing after that") or diag($rest);
	return $text;
}

# ---- Guests ---------------------------------------------------------------------------------------------

# The script of a guest is itself on a disk: what fits into a kernel's command line only starts it. vd
# prints the name of the disk with that serial number, check tells how a command ended.
my $functions = <<'EOT';
vd() { for d in /sys/block/vd*; do [ "$(cat $d/serial)" != "$1" ] || echo /dev/${d##*/}; done; }
check() { name=$1; shift; if "$@"; then echo "yes: $name"; else echo "no: $name"; fi; }
dmesg -n 1
mount -t tmpfs tmp /tmp
EOT
my $starter = 'for d in /sys/block/vd*; do [ "$(cat $d/serial)" != script ] || exec sh /dev/${d##*/}; done; exit 1';

# Linux with these words for kiln, started. Options as for boot().
sub boot_disk {
	my ($script, $words, %opt) = @_;
	my $text = "$functions$script\nexit\n";
	my $path = make_image('script', 0);
	open my $file, '>', $path or die "$path: $!";
	print $file $text, "\n" x (-length($text) % 512);
	close $file or die "$path: $!";
	return boot(initramfs => initramfs('disk'), script => $starter,
		more => [ @$words, '--device', "virtio-blk,path=$path,id=script,ro" ], %opt);
}

# Test: the machine's script ends well and power goes off. Return: what it printed.
sub runs_to_its_end {
	my ($m, $name) = @_;
	my $text = $m->wait_for(qr/kiln-status: \d+/) // '';
	$m->wait_end;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($m->{status}, 0, "$name: power goes off") or diag($m->{err});
	like($text, qr/kiln-status: 0/, "$name: the guest's script ends well") or diag($text);
	return $text;
}

# Test: the guest's checks, by their names.
sub says_yes {
	my ($text, $machine, @names) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($text, qr/^yes: \Q$_\E\r?$/m, "$machine: $_") for @names;
	unlike($text, qr/^no: /m, "$machine: and nothing else fails");
}

# Lines that are known: 4 MiB of them, as `yes 'a line that is known'` prints.
sub known_bytes { return substr "a line that is known\n" x (1 << 18), 0, 4 << 20 }

# ---- fio ------------------------------------------------------------------------------------------------

# Every engine with every number of queues.
my @ids = map { my $engine = $_; map { "$engine$_" } 1, 4 } qw(sync io_uring);

# A disk for each engine with each number of queues, as kiln's words.
sub fio_disks {
	my @words;
	for my $id (@ids) {
		my ($engine, $queues) = $id =~ /^(\D+)(\d)$/;
		my $path = make_image($id, 16 << 20);
		push @words, '--device', "virtio-blk,path=$path,id=$id,engine=$engine,queues=$queues";
	}
	return @words;
}

# Shell text. On all disks at the same time blocks are written and read in random order, with flushes
# between, and blocks elsewhere, which were filled before, are discarded. fio then reads what it wrote and
# compares checksums. A disk with four queues has a thread on each CPU.
sub fio_script {
	my @threads = qw(size=256k numjobs=4 offset_increment=256k cpus_allowed=0-3 cpus_allowed_policy=split);
	my ($fill, $jobs, $look) = ('') x 3;
	for my $id (@ids) {
		my ($queues) = $id =~ /(\d)$/;
		my $size = join "\n", $queues == 4 ? @threads : 'size=1m';
		$fill .= "dd if=/dev/urandom of=\$(vd $id) bs=1M seek=4 count=1 conv=fsync 2>/dev/null\n";
		$jobs .= "[mix-$id]\nfilename=\$(vd $id)\nrw=randrw\nfdatasync=16\n$size\n";
		$jobs .= "[trim-$id]\nfilename=\$(vd $id)\nrw=randtrim\noffset=4m\n$size\n";
		$look .= "check '$id: has its queues' [ \$(ls /sys/block/\$(basename \$(vd $id))/mq | wc -l) -eq $queues ]\n";
		$look .= "dd if=\$(vd $id) bs=1M skip=4 count=1 iflag=direct 2>/dev/null | cmp -n 1048576 - /dev/zero\n";
		$look .= "check '$id: what was discarded is zeroes' [ \$? -eq 0 ]\n";
	}
	return <<EOT;
cd /tmp
$fill
cat >jobs <<EOF
[global]
ioengine=libaio
iodepth=16
direct=1
thread
bs=4k
verify=crc32c
verify_fatal=1
verify_state_save=0
$jobs
EOF
fio --eta=never --output=log jobs
check 'fio verifies all that it wrote' [ \$? -eq 0 ] || cat log
grep -E '^(mix|trim)-.*err=|issued rwts' log
$look
EOT
}

# Test: what fio_script() checks, and that each job did what it is for.
sub fio_is_content {
	my ($text, $machine) = @_;
	my $nr_good = () = $text =~ /^(?:mix|trim)-.*err= 0:/mg;
	# Reads, writes and discards of each job, as letters.
	my %nr;
	$nr{ ($1 ? 'r' : '') . ($2 ? 'w' : '') . ($3 ? 'd' : '') }++ while $text =~ /issued rwts: total=(\d+),(\d+),(\d+),/g;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says_yes($text, $machine, 'fio verifies all that it wrote', 
		map { ("$_: has its queues", "$_: what was discarded is zeroes") } @ids);
	is($nr_good, 20, "$machine: all jobs of fio ran");
	is_deeply(\%nr, { rw => 10, d => 10 }, "$machine: ... and did what they are for");
}

1;
