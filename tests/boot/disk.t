#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Disks under Linux by virtio-pci: a root file system that is only read, fio's verification, what the image holds.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Kiln::Disk;
use Kiln::Test;
use Test::More;

my $tools = prepared('ROOT_TOOLS');
my $before = (stat $tools)[9];
my $pattern = make_image('pattern', 4 << 20);
my @words = ('-r', $tools, fio_disks(), '--device', "virtio-blk,path=$pattern,id=pattern");
my $m = boot_disk(fio_script() . <<'EOT', \@words, cpus => 4);
check 'the root is the disk, read-only' grep -q '^/dev/[a-z]* / ext4 ro' /proc/mounts
check 'a read-only disk says so' [ $(cat /sys/block/vda/ro) -eq 1 ]
check 'a read-only disk takes no bytes' eval '! dd if=/dev/zero of=/dev/vda bs=4k count=1 2>/dev/null'
yes 'a line that is known' | dd of=$(vd pattern) bs=64k count=64 iflag=fullblock conv=fsync 2>/dev/null
check 'a pattern is written' [ $? -eq 0 ]
check 'half of it is discarded' blkdiscard -o 2097152 $(vd pattern)
awk '/virtio[0-9]+-req/ { n += $2 + $3 + $4 + $5 > 0 } END { exit n != 13 }' /proc/interrupts
check 'each of 13 queues interrupts' [ $? -eq 0 ] || cat /proc/interrupts
EOT
my $text = runs_to_its_end($m, 'virtio-pci');
fio_is_content($text, 'virtio-pci');
says_yes($text, 'virtio-pci', 'each of 13 queues interrupts', 'the root is the disk, read-only', 'a read-only disk says so',
	'a read-only disk takes no bytes', 'a pattern is written', 'half of it is discarded');
is((stat $tools)[9], $before, 'virtio-pci: nobody wrote to the root file system');
is(sha256_of($pattern), sha256_hex(substr(known_bytes(), 0, 2 << 20), "\0" x (2 << 20)),
	'virtio-pci: the image holds what the guest wrote, and zeroes where it discarded');
cmp_ok((stat $pattern)[12] * 512, '<=', 2 << 20, 'virtio-pci: ... which take no storage');

nothing_is_left();
done_testing();
