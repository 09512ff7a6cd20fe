#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# virtio-net on a tap: queues, ping, TCP in both directions, checksums, reconnects.
use strict;
use warnings;

use Kiln::Net;
use Kiln::Test;
use Test::More;

plan skip_all => 'needs root for networks of its own' unless is_root();

my $RECONNECTS = 1000;
my $GUEST_MAC = '52:54:00:12:34:56';

make_networks();

# ---- A tap of two queues, and two vCPUs ------------------------------------------------------------------

{
	does(qw(ip tuntap add dev tap0 mode tap multi_queue));
	does(qw(ip addr add 10.0.0.1/24 dev tap0));
	does(qw(ip link set tap0 up));
	my $m = boot_obedient(
		initramfs => initramfs('net'), cpus => 2, more => [ '--device', "virtio-net,tap=tap0,queues=2,mac=$GUEST_MAC" ]);
	ok(configure($m, '10.0.0.2', '10.0.0.1'), 'tap: a guest has a network card');
	is($m->guest('cat /sys/class/net/eth0/address'), "$GUEST_MAC\n", 'tap: its address is the one given');
	like($m->guest('ethtool -l eth0'), qr/Current hardware settings:.*Combined:\s+2\n/s, 'tap: it has two pairs of queues');
	host_pings('10.0.0.2', 'tap');
	guest_pings($m, '10.1.0.2', 'tap');

	my $features = $m->guest('ethtool -k eth0');
	like($features, qr/^$_: on/m, "tap: $_ is on") for qw(rx-checksumming tx-checksumming tcp-segmentation-offload);
	sends_all($m, 'tap'); # by nc, which writes 1 KiB at a time
	cmp_ok(frame_bytes($m, 'tx', sub { iperf($m, 'tap', '-n 16M -l 64K') }), '>', 2000, '... by more than an MTU at once');
	cmp_ok(frame_bytes($m, 'rx', sub { receives_all($m, 'tap') }), '>', 2000, '... by more than an MTU at once');
	iperf($m, 'tap', $_) for '-n 32M -l 64K -P 2', '-R -n 32M -l 64K -P 2', '-n 10000 -l 1 -N', '-R -n 10000 -l 1 -N';
	no_checksum_is_wrong($m, 'tap');

	ok($m->guest_does('ethtool -K eth0 tx off sg off tso off gso off'), 'tap: the guest takes no help');
	does(qw(ethtool -K tap0 tx off));
	cmp_ok(frame_bytes($m, 'tx', sub { sends_all($m, 'without offloads') }), '<', 1515, '... in frames of an MTU');
	cmp_ok(frame_bytes($m, 'rx', sub { receives_all($m, 'without offloads') }), '<', 1515, '... in frames of an MTU');
	no_checksum_is_wrong($m, 'without offloads');

	is($m->guest("seq $RECONNECTS | while read -r i; do nc 10.1.0.2 $GREETER </dev/null; done | grep -c hello"),
		"$RECONNECTS\n", "tap: $RECONNECTS connections, one after the other");
	$m->type("poweroff -f\n");
	ends_with($m, 0, qr/powered off/, 'tap: the machine powers off');
	does(qw(ip link del tap0));
}

end_networks();
nothing_is_left();
done_testing();
