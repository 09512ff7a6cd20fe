#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Linux takes its virtio devices apart while they work, and puts them together again: drivers unbound
# and bound with I/O in flight, functions removed and found again, BARs elsewhere than Kiln put them.
# And what `lspci -n` shows of a machine with one of each (tests/golden/lspci.txt). What the guest does is in tests/guest/rebind.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Kiln::Test;
use Test::More;

my $dir = scratch();
my $DISK_BYTES = 4 << 20;
my $ROUNDS = 4; # as in tests/guest/rebind

# A disk of bytes that are not alike anywhere, and what it holds.
sub make_disk {
	my ($path) = @_;
	my $content = join '', map { pack 'L>4', $_, $_ * 2654435761 & 0xffffffff, ~$_ & 0xffffffff, 0x6b696c6e } 1 .. $DISK_BYTES / 16;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
	return sha256_hex($content);
}

# Unbound and bound with I/O in flight, the disk is what it was, the generator draws.
sub rebinds {
	my ($text, $digest, $name) = @_;
	is(scalar(() = $text =~ /^round \d+: $digest\r?$/mg), $ROUNDS, "$name: a disk that was unbound in the middle of I/O reads as it was");
	like($text, qr/^disk: $digest\r?$/m, '... at the end, too');
	like($text, qr/^draw: 512\r?$/m, "$name: a generator that was unbound draws");
	like($text, qr/^status: (?:0x0*f )+\r?$/m, "$name: all devices are driven again and none needs a reset");
}

# ---- virtio-pci, one of each ------------------------------------------------------------------------------

SKIP: {
	skip 'needs root for a tap', 1 unless is_root();
	my $digest = make_disk("$dir/pci");
	# In this order: Kiln gives slots as devices are asked for. The kernel is told to put two BARs
	# elsewhere, each in a mebibyte of its own.
	my @devices = map { ('--device', $_) } 'virtio-rng', "virtio-blk,path=$dir/pci", 'virtio-net,ip=192.0.2.1,netmask=255.255.255.0',
		'virtio-console,sink', 'virtio-balloon', 'virtio-rng';
	my $m = boot(initramfs => initramfs('rebind'), script => 'sh /bin/rebind pci', more => [ '--virtio', 'pci', @devices ],
		params => 'pci=resource_alignment=20@00:02.0;20@00:03.0', under => [ 'unshare', '--net' ]);
	my $text = $m->wait_for(qr/kiln-status: \d+/) // '';
	$text =~ s/\r//g;
	ends_with($m, 0, qr/powered off/, 'virtio-pci: the machine powers off');
	rebinds($text, $digest, 'virtio-pci');

	my $found = join '', map { "$_\n" } $text =~ /^lspci (.*)$/mg;
	my $golden = 'tests/golden/lspci.txt';
	if ($ENV{KILN_GOLDEN_UPDATE}) {
		open my $file, '>', $golden or die "$golden: $!";
		print $file $found;
	}
	is($found, slurp($golden), 'slots are in the order in which devices were asked for, and what they are is golden');

	my @bars = $text =~ /^bar (0x[0-9a-f]+)$/mg;
	is(scalar(grep { hex($_) % (1 << 20) == 0 } @bars[1, 2]), 2, 'the kernel has put BARs elsewhere, and the devices follow');
	my @again = grep { hex } $text =~ /^again (0x[0-9a-f]+)$/mg;
	is(scalar @again, scalar @bars, '... again for functions that were removed and found anew');
	note "BARs: @bars, then @again";
	like($text, qr/^left: 0$/m, '... all of them');
	is(scalar(() = $text =~ /^net: up$/mg), 3, 'the network is up: at first, after its driver was unbound, after its card was removed');
	is(scalar(() = $text =~ /^disk: $digest$/mg), 2, 'the disk is what it was, also after it was removed');
	is(scalar(() = $text =~ /^draw: 512$/mg), 2, '... and the generator draws');
	like($text, qr/^console: written$/m, 'a console whose driver was unbound takes what is written');
	is(sha256_hex(slurp("$dir/pci")), $digest, 'on the host the image is what the guest wrote');
}

# ---- virtio-mmio -----------------------------------------------------------------------------------------

{
	my $digest = make_disk("$dir/mmio");
	my $m = boot(initramfs => initramfs('rebind'), script => 'sh /bin/rebind mmio',
		more => [ '--virtio', 'mmio', '--device', 'virtio-rng', '--device', "virtio-blk,path=$dir/mmio" ]);
	my $text = $m->wait_for(qr/kiln-status: \d+/) // '';
	ends_with($m, 0, qr/powered off/, 'virtio-mmio: the machine powers off');
	rebinds($text, $digest, 'virtio-mmio');
	is(sha256_hex(slurp("$dir/mmio")), $digest, 'on the host the image is what the guest wrote');
}

nothing_is_left();
done_testing();
