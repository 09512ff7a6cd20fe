#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# virtio-net on taps that the host's kernel serves, that are made, and that are given, the latter over virtio-mmio.
use strict;
use warnings;

use Fcntl qw(F_SETFD);
use Kiln::Net;
use Kiln::Test;
use Test::More;

plan skip_all => 'needs root for networks of its own' unless is_root();

my ($TUNSETIFF, $IFF_TAP, $IFF_NO_PI, $IFF_VNET_HDR) = (0x400454ca, 0x2, 0x1000, 0x4000);
my $GUEST_MAC = '52:54:00:12:34:56';

make_networks();

# ---- Frames by the host's kernel ---------------------------------------------------------------------------

{
	does(qw(ip tuntap add dev tap0 mode tap multi_queue));
	does(qw(ip addr add 10.0.0.1/24 dev tap0));
	does(qw(ip link set tap0 up));
	my $m = boot_obedient(
		initramfs => initramfs('net'), cpus => 2, more => [ '--device', "virtio-net,tap=tap0,queues=2,vhost" ]);
	ok(configure($m, '10.0.0.2', '10.0.0.1'), 'vhost: a guest has a network card');
	host_pings('10.0.0.2', 'vhost');
	sends_all($m, 'vhost');
	receives_all($m, 'vhost');
	ok($m->guest_does('echo virtio0 >/sys/bus/virtio/drivers/virtio_net/unbind && echo virtio0 >/sys/bus/virtio/drivers/virtio_net/bind'),
		'vhost: a driver that goes comes back');
	ok(configure($m, '10.0.0.2', '10.0.0.1'), 'vhost: ... to its network card');
	guest_pings($m, '10.1.0.2', 'vhost');
	sends_all($m, 'vhost, again');
	no_checksum_is_wrong($m, 'vhost');
	$m->type("poweroff -f\n");
	ends_with($m, 0, qr/powered off/, 'vhost: the machine powers off');
	does(qw(ip link del tap0));
}

# ---- A tap that is made, and one that is given, over virtio-mmio -----------------------------------------------

{
	does(qw(ip tuntap add dev tap1 mode tap));
	does(qw(ip addr add 10.3.0.1/24 dev tap1));
	does(qw(ip link set tap1 up));
	open my $tap, '+<', '/dev/net/tun' or BAIL_OUT("/dev/net/tun: $!");
	ioctl $tap, $TUNSETIFF, pack('a16 S x22', 'tap1', $IFF_TAP | $IFF_NO_PI | $IFF_VNET_HDR) or BAIL_OUT("tap1: $!");
	fcntl $tap, F_SETFD, 0;
	my $m = boot_obedient(
		initramfs => initramfs('net'),
		more => [
			'--virtio', 'mmio', '--host_ip', '10.2.0.1', '--netmask', '255.255.255.0', '--mac', $GUEST_MAC,
			'--tap-fd', fileno $tap,
		]);
	close $tap;
	$m->guest('for i in /sys/class/net/eth*; do read -r mac <$i/address; case $mac in'
		. " $GUEST_MAC) made=\${i##*/};; *) given=\${i##*/};; esac; done");
	ok($m->guest_does('ip addr add 10.2.0.2/24 dev $made && ip link set $made up'), 'made tap: the guest finds it by its address');
	ok($m->guest_does('ip addr add 10.3.0.2/24 dev $given && ip link set $given up'), 'given tap: the guest has it, too');
	host_pings('10.2.0.2', 'made tap');
	guest_pings($m, '10.2.0.1', 'made tap');
	host_pings('10.3.0.2', 'given tap');
	guest_pings($m, '10.3.0.1', 'given tap');
	$m->type("poweroff -f\n");
	ends_with($m, 0, qr/powered off/, 'the machine powers off');
	unlike(scalar `ip -o link`, qr/kiln0/, 'made tap: goes with the machine');
}

end_networks();
nothing_is_left();
done_testing();
