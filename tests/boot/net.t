#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# virtio-net on taps and on passt: ping, TCP in both directions, checksums, queues, reconnects.
#
# The host's side is a network of the test's own, with a second one, the peer, behind it:
#
#   guest 10.0.0.2 --- tap0 10.0.0.1 (here) veth0 10.1.0.1 --- veth1 10.1.0.2 (peer)
#
# A tap's frames may lack their checksums and be segments of 64 KiB. veth0 cannot pass such frames on,
# so the kernel completes them by what the guest said of them, and the peer checks the result.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Fcntl qw(F_SETFD);
use File::Copy qw(copy);
use IO::Socket::INET;
use Kiln::Test;
use Test::More;

plan skip_all => 'needs root for networks of its own' unless is_root();

my ($SYS_UNSHARE, $SYS_SETNS, $CLONE_NEWNET) = (272, 308, 0x40000000); # x86_64
my ($TUNSETIFF, $IFF_TAP, $IFF_NO_PI, $IFF_VNET_HDR) = (0x400454ca, 0x2, 0x1000, 0x4000);
my ($SINK, $SOURCE, $GREETER, $INBOUND) = (7001 .. 7004);
my $BYTES = 8 << 20;
my $RECONNECTS = 1000;
my $GUEST_MAC = '52:54:00:12:34:56';

my $dir = scratch();
my $source = `head -c $BYTES /dev/urandom`;

# ---- The networks ------------------------------------------------------------------------------------

sub does { system(@_) == 0 or BAIL_OUT("'@_' ended with $?") }

sub go_apart { syscall($SYS_UNSHARE, $CLONE_NEWNET) == 0 or BAIL_OUT("cannot make a network: $!") }

# Run code in a process of its own, in the peer's network if one is given. Return: the process.
sub spawn {
	my ($code, $net) = @_;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	if ($net) {
		open my $ns, '<', "/proc/$net/ns/net" or die "network of $net: $!";
		syscall($SYS_SETNS, fileno $ns, 0) == 0 or die "setns: $!";
	}
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
	$code->();
	POSIX::_exit(0);
}

sub make_peer {
	pipe my $ready, my $done or die "pipe: $!";
	my $peer = spawn(sub { go_apart(); close $done; select undef, undef, undef, undef });
	close $done;
	sysread $ready, my $byte, 1; # its end
	return $peer;
}

# A server for one client after the other.
sub serve {
	my ($net, $port, $client) = @_;
	pipe my $ready, my $done or die "pipe: $!";
	my $pid = spawn(sub {
		my $listener = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "port $port: $!";
		close $done;
		while (my $socket = $listener->accept) {
			$client->($socket);
			close $socket;
		}
	}, $net);
	close $done;
	sysread $ready, my $byte, 1;
	return $pid;
}

sub read_all {
	my ($socket) = @_;
	my $bytes = '';
	1 while sysread $socket, $bytes, 65536, length $bytes;
	return $bytes;
}

sub write_all {
	my ($socket, $bytes) = @_;
	my $sent = 0;
	while ($sent < length $bytes) {
		$sent += syswrite($socket, $bytes, 65536, $sent) || return;
	}
}

go_apart();
my $peer = make_peer();
my @in_peer = ('nsenter', '-t', $peer, '-n');
does(qw(ip link set lo up));
does(qw(ip link add veth0 type veth peer name veth1 netns), $peer);
does(qw(ip addr add 10.1.0.1/24 dev veth0));
does(qw(ip link set veth0 up));
does(qw(ip route add default via 10.1.0.2));
does('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 65534 >/proc/sys/net/ipv4/ping_group_range');
does(@in_peer, qw(ip link set lo up));
does(@in_peer, qw(ip addr add 10.1.0.2/24 dev veth1));
does(@in_peer, qw(ip link set veth1 up));
does(@in_peer, qw(ip route add default via 10.1.0.1));
does(qw(ethtool -K veth0 tx off));
does(@in_peer, qw(ethtool -K veth1 rx off));
my @servers = (
	serve($peer, $SINK, sub { my $bytes = read_all($_[0]); write_all($_[0], sha256_hex($bytes) . "\n") }),
	serve($peer, $SOURCE, sub { write_all($_[0], $source) }),
	serve($peer, $GREETER, sub { write_all($_[0], "hello\n") }),
	spawn(sub { open STDOUT, '>', '/dev/null'; exec @in_peer, qw(iperf3 -s) }),
);

# ---- What is tried -------------------------------------------------------------------------------------

sub counter {
	my ($text, $name) = @_;
	my ($names, $values) = $text =~ /^Tcp: (.*\D.*)\nTcp: (.*)$/m or return -1;
	my %counters;
	@counters{ split ' ', $names } = split ' ', $values;
	return $counters{$name};
}

sub no_checksum_is_wrong {
	my ($m, $name) = @_;
	is(counter($m->guest('cat /proc/net/snmp'), 'InCsumErrors'), 0, "$name: every checksum is right in the guest");
	is(counter(scalar `@in_peer cat /proc/net/snmp`, 'InCsumErrors'), 0, '... and behind the host');
}

# Bytes of a frame as the guest counts them, on the average, while it does something.
sub frame_bytes {
	my ($m, $way, $act) = @_;
	my $count = "cat /sys/class/net/eth0/statistics/${way}_bytes /sys/class/net/eth0/statistics/${way}_packets";
	my ($bytes, $frames) = split ' ', $m->guest($count);
	$act->();
	my ($bytes_now, $frames_now) = split ' ', $m->guest($count);
	return ($bytes_now - $bytes) / ($frames_now - $frames || 1);
}

sub sends_all {
	my ($m, $name) = @_;
	my $sums = $m->guest("sha256sum </tmp/bytes; nc 10.1.0.2 $SINK </tmp/bytes");
	like($sums, qr/^([0-9a-f]{64})  -\n\1\n\z/, "$name: 8 MiB go out as they are");
}

sub receives_all {
	my ($m, $name) = @_;
	is($m->guest("nc 10.1.0.2 $SOURCE </dev/null | sha256sum"), sha256_hex($source) . "  -\n", "$name: 8 MiB come in as they are");
}

sub iperf {
	my ($m, $name, $words) = @_;
	my ($text, $status) = $m->guest("iperf3 -f m -c 10.1.0.2 $words 2>&1");
	my ($rate) = reverse $text =~ /^.*receiver$/mg;
	note "$name: $words: $rate" if $rate;
	ok(defined $status && $status == 0, "$name: iperf3 $words") || diag($text);
}

sub host_pings {
	my ($address, $name) = @_;
	my $text = `ping -q -c 100 -i 0.01 -W 5 $address 2>&1`;
	like($text, qr/ 0% packet loss/, "$name: no ping of the host's is lost") || diag($text);
}

sub guest_pings {
	my ($m, $address, $name) = @_;
	like($m->guest("ping -q -c 3 -W 5 $address"), qr/ 0% packet loss/, "$name: no ping of the guest's is lost");
}

sub configure {
	my ($m, $address, $gateway) = @_;
	return $m->guest_does("ip addr add $address/24 dev eth0 && ip link set eth0 up && ip route add default via $gateway"
		. " && head -c $BYTES /dev/urandom >/tmp/bytes");
}

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
	cmp_ok(frame_bytes($m, 'tx', sub { sends_all($m, 'tap') }), '>', 2000, '... by more than an MTU at once');
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

# ---- passt, as an ordinary user ----------------------------------------------------------------------------

{
	my %copy = (kiln => kiln(), kernel => kernel('cloud'), initramfs => initramfs('net'));
	for my $name (keys %copy) {
		copy($copy{$name}, "$dir/$name") or die "$dir/$name: $!";
		chmod 0755, "$dir/$name";
	}
	mkdir "$dir/run" and chown 65534, 65534, "$dir/run" or die "$dir/run: $!";
	my $socket = "$dir/run/passt";
	my $passt = spawn(sub {
		open STDERR, '>', "$dir/passt.log";
		exec as_nobody(), qw(passt --foreground --no-map-gw --tcp-ports), $INBOUND, '--socket', $socket;
	});
	ok(eventually(sub { -S $socket }), 'passt: runs as a user') || diag(slurp("$dir/passt.log"));
	my $m = boot_obedient(
		kiln => "$dir/kiln", kernel => "$dir/kernel", initramfs => "$dir/initramfs", under => [ as_nobody() ],
		more => [ '--passt', $socket ]);
	ok(configure($m, '10.1.0.1', '10.1.0.2'), 'passt: a guest of that user has a network card') || diag(slurp("$dir/passt.log"));
	guest_pings($m, '10.1.0.2', 'passt');
	sends_all($m, 'passt');
	receives_all($m, 'passt');
	iperf($m, 'passt', $_) for '-n 16M -l 64K', '-R -n 16M -l 64K', '-n 2000 -l 1 -N', '-R -n 2000 -l 1 -N';

	my $sender = spawn(sub {
		my $to;
		eventually(sub { $to = IO::Socket::INET->new(PeerAddr => '10.1.0.1', PeerPort => $INBOUND) });
		write_all($to, $source) if $to;
	}, $peer);
	is($m->guest("nc -l -p $INBOUND </dev/null | sha256sum"), sha256_hex($source) . "  -\n",
		'passt: 8 MiB of somebody who connects to the guest come in as they are');
	waitpid $sender, 0;
	no_checksum_is_wrong($m, 'passt');
	$m->type("poweroff -f\n");
	ends_with($m, 0, qr/powered off/, 'passt: the machine powers off');
	kill 'TERM', $passt;
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

kill 'TERM', @servers, $peer;
nothing_is_left();
done_testing();
