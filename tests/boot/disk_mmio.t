#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Disks under Linux by virtio-mmio: a root file system that is written, fio's verification; started by an ordinary user.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Kiln::Disk;
use Kiln::Test;
use Test::More;

my $root = copy_of(prepared('ROOT_TOOLS'), 'root');
my %as = is_root() ? (kiln => copy_of(kiln(), 'kiln'), under => [ as_nobody() ],
	kernel => copy_of(kernel('cloud'), 'kernel'), initramfs => copy_of(initramfs('disk'), 'initramfs')) : ();
my $m = boot_disk(fio_script() . <<'EOT', [ '--rwroot', $root, '--virtio', 'mmio', fio_disks() ], cpus => 4, %as);
check 'the root is the disk' grep -q '^/dev/[a-z]* / ext4 rw' /proc/mounts
yes 'a line that is known' | dd of=/known bs=64k count=64 iflag=fullblock 2>/dev/null
mount -o remount,ro /
check 'the root is written' [ $? -eq 0 ]
EOT
my $text = runs_to_its_end($m, 'virtio-mmio');
fio_is_content($text, 'virtio-mmio');
says_yes($text, 'virtio-mmio', 'the root is the disk', 'the root is written');
is_sound($root, 'virtio-mmio');
is(sha256_in($root, '/known'), sha256_hex(known_bytes()), 'virtio-mmio: the file that the guest wrote is there');

nothing_is_left();
done_testing();
