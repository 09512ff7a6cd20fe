#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# virtio-balloon: memory that the guest gives is the host's again, and the guest's when it wants it back.
use strict;
use warnings;

use Kiln::Test;
use Test::More;

my $BALLOON_MIB = 96;
my $FILES_MIB = 240;
my $driver = '/sys/bus/virtio/drivers/virtio_balloon';

my $m = boot_obedient(
	initramfs => initramfs('balloon'), mem => 512, more => [ '--device', "virtio-balloon,size=$BALLOON_MIB" ]);

# Guest memory that the host has given, in MiB.
sub given_mib {
	my ($when) = @_;
	my $mib = guest_memory_mib($m);
	note sprintf '%s: the host has given %.0f MiB', $when, $mib;
	return $mib;
}

# Test: the host gets memory back. Return: what it still gives.
sub shrinks_to {
	my ($limit_mib, $name) = @_;
	ok(eventually(sub { guest_memory_mib($m) <= $limit_mib }), $name);
	return given_mib($name);
}

# Test: so many MiB went into balloons, or came out of them, since the guest's boot.
sub balloon_does {
	my ($way, $mib, $name) = @_;
	my $pages = $mib << 8;
	my $done = sub { $m->guest('grep ^balloon_ /proc/vmstat') =~ /^balloon_$way (\d+)$/m && $1 };
	ok(eventually(sub { $done->() >= $pages }), $name) || diag("$way: " . $done->() . " pages of $pages");
}

sub write_file { my ($byte, $mib) = @_; return "tr '\\0' $byte </dev/zero | head -c " . ($mib << 20) }

# ---- At the start, the balloon fills itself -------------------------------------------------------------

my ($features) = $m->guest('cat /sys/bus/virtio/devices/virtio0/features') =~ /^([01]+)/;
is(substr($features // '', 1, 2), '11', 'the guest\'s driver has statistics and DEFLATE_ON_OOM');
is(substr($features // '', 5, 1), '1', '... and reports free pages');
balloon_does('inflate', $BALLOON_MIB, 'the balloon takes what it was asked for');

# ---- Free pages are reported ----------------------------------------------------------------------------

$m->guest_does('mkdir /mnt && mount -t tmpfs -o size=90% tmpfs /mnt && cd /mnt && ' . write_file('y', $BALLOON_MIB) . ' >file');
my $filled_mib = given_mib('memory in use');
$m->guest_does('rm file');
shrinks_to($filled_mib - 0.8 * $BALLOON_MIB, 'memory that the guest used and freed is the host\'s again');

# ---- The balloon's memory is the host's -----------------------------------------------------------------
# Linux wipes pages that it hands out, so a balloon costs memory that was never touched before it saves
# it. What it saves is seen with memory that was used: a file of which every second 64 KiB are freed,
# too scattered to be reported (Linux reports 2 MiB at once).

$m->guest_does("echo virtio0 >$driver/unbind");
balloon_does('deflate', $BALLOON_MIB, 'a driver that goes gives the balloon\'s memory to the guest');
$m->guest_does("scatter pieces $FILES_MIB");
my $before = $m->guest('md5sum <pieces');
my $scattered_mib = given_mib('memory in use, and scattered free memory');
cmp_ok($scattered_mib, '>=', $FILES_MIB, 'memory in use, and scattered free memory, are the guest\'s');
$m->guest_does("echo virtio0 >$driver/bind");
balloon_does('inflate', 2 * $BALLOON_MIB, 'a driver that comes fills the balloon');
my $saved_mib = shrinks_to($scattered_mib - 0.8 * $BALLOON_MIB, '... and its memory is the host\'s again');
is($m->guest('md5sum <pieces'), $before, '... and what is between its pages is as it was');

# ---- ... and the guest's ----------------------------------------------------------------------------------

$m->guest_does("echo virtio0 >$driver/unbind");
balloon_does('deflate', 2 * $BALLOON_MIB, 'the balloon empties itself');
$m->guest_does(write_file('z', $BALLOON_MIB) . ' >file');
cmp_ok(given_mib('memory that came back'), '>=', $saved_mib + 0.8 * $BALLOON_MIB, '... and the host gives its memory again');
is($m->guest('tr -d z <file | wc -c; wc -c <file'), "0\n" . ($BALLOON_MIB << 20) . "\n",
	'... which holds what the guest writes');
$m->type("poweroff -f\n");
ends_with($m, 0, qr/powered off/, 'the machine powers off');

nothing_is_left();
done_testing();
