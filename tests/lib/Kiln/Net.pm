# SPDX-License-Identifier: BSD-3-Clause
# Networks for the tests of virtio-net.
#
# The host's side is a network of the test's own, with a second one, the peer, behind it:
#
#   guest 10.0.0.2 --- tap0 10.0.0.1 (here) veth0 10.1.0.1 --- veth1 10.1.0.2 (peer)
#
# A tap's frames may lack their checksums and be segments of 64 KiB. veth0 cannot pass such frames on,
# so the kernel completes them by what the guest said of them, and the peer checks the result.
package Kiln::Net;
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Exporter qw(import);
use IO::Socket::INET;
use Kiln::Test;
use Test::More;

our @EXPORT = qw(
	make_networks end_networks does spawn serve write_all $peer $source $BYTES $GREETER
	no_checksum_is_wrong frame_bytes sends_all receives_all iperf host_pings guest_pings configure
);

my ($SYS_UNSHARE, $SYS_SETNS, $CLONE_NEWNET) = (272, 308, 0x40000000); # x86_64
our ($SINK, $SOURCE, $GREETER) = (7001 .. 7003);
our $BYTES = 8 << 20;

our $source = `head -c $BYTES /dev/urandom`;

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

our ($peer, @in_peer, @servers);

# Make both networks and the peer's servers; this process is in the first of them from now on.
sub make_networks {
	go_apart();
	$peer = make_peer();
	@in_peer = ('nsenter', '-t', $peer, '-n');
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
	@servers = (
		serve($peer, $SINK, sub { my $bytes = read_all($_[0]); write_all($_[0], sha256_hex($bytes) . "\n") }),
		serve($peer, $SOURCE, sub { write_all($_[0], $source) }),
		serve($peer, $GREETER, sub { write_all($_[0], "hello\n") }),
		spawn(sub { open STDOUT, '>', '/dev/null'; exec @in_peer, qw(iperf3 -s) }),
	);
}

sub end_networks { kill 'TERM', @servers, $peer }

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
	is(counter(scalar $m->guest('cat /proc/net/snmp'), 'InCsumErrors'), 0, "$name: every checksum is right in the guest");
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

1;
