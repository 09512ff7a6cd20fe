#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# virtio-console: long output and input without loss, a socket, and a terminal with its size and keys.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Socket::UNIX;
use Kiln::Test;
use Test::More;

my $dir = scratch();

# ---- Bytes -------------------------------------------------------------------------------------------

my $LONG_OUTPUT = 10 << 20;
my $LONG_INPUT = 1 << 20;

# Bytes that differ everywhere, so that a piece that is lost, doubled or moved is seen.
sub pattern {
	my ($len) = @_;
	my $bytes = '';
	for (my $i = 0; length $bytes < $len; $i++) {
		$bytes .= Digest::SHA::sha256("pattern $i");
	}
	return substr $bytes, 0, $len;
}

# Send to somebody who echoes. Return: what came back, as many bytes or fewer.
sub echo_of {
	my ($socket, $bytes) = @_;
	my ($sent, $back) = (0, '');
	$socket->blocking(0);
	eventually(sub {
		my $put = syswrite $socket, substr $bytes, $sent, 65536;
		$sent += $put || 0;
		1 while sysread $socket, $back, 65536, length $back;
		return length $back >= length $bytes;
	});
	return $back;
}

my $script = <<'EOT';
exec 3<>/dev/hvc0 4<>/dev/hvc1
stty raw -echo <&3
stty raw -echo <&4
cat <&4 >&4 &
echo ready
echo "input $(head -c 1048576 <&3 | sha256sum)"
head -c 10485760 /dev/urandom >/tmp/long
echo "output $(sha256sum </tmp/long)"
dd if=/tmp/long bs=64k >&3
EOT

{
	my $m = boot(
		initramfs => initramfs('console'), script => $script, stdin => 'pipe',
		more => [
			'--serial', "file=$dir/serial", '--device', 'virtio-console,stdout',
			'--device', "virtio-console,unix=$dir/port",
		]);
	ok(eventually(sub { slurp("$dir/serial") =~ /ready/ }), 'a guest has hvc0 and hvc1');

	# Before the long output: Linux waits for a console that nobody reads with interrupts off.
	for my $client ('a client', 'the next one') {
		my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "$dir/port");
		ok($socket, "$client connects to the socket of hvc1") || diag("$dir/port: $!");
		my $bytes = pattern(65536) . $client;
		my $back = $socket ? echo_of($socket, $bytes) : '';
		ok($back eq $bytes, '... and gets back the 64 KiB it sends') || diag(length($back) . ' bytes came');
	}

	my $input = pattern($LONG_INPUT);
	is($m->type($input), $LONG_INPUT, '1 MiB are typed to hvc0, which has standard input as no serial port has it');
	ok(eventually(sub { slurp("$dir/serial") =~ /input ([0-9a-f]{64})/ }), '... and reach a program in the guest');
	is(slurp("$dir/serial") =~ /input ([0-9a-f]{64})/ ? $1 : '', sha256_hex($input), '... nothing lost or doubled');

	ends_with($m, 0, qr/powered off/, 'the guest writes 10 MiB to hvc0 and powers off');
	is(length $m->{out}, $LONG_OUTPUT, '... all of it comes out of standard output');
	is(sha256_hex($m->{out}), slurp("$dir/serial") =~ /output ([0-9a-f]{64})/ ? $1 : '', '... nothing lost or doubled');
	ok(!-e "$dir/port", 'the socket goes with the machine');
}

# ---- The terminal ------------------------------------------------------------------------------------

{
	my $m = boot(
		initramfs => initramfs('console'), params => 'kiln.shell', stdin => 'pty', size => [ 33, 101 ],
		more => [ '--virtio', 'mmio', '--device', 'virtio-console,console' ]);
	ok($m->wait_for(qr/ # /), 'a shell prompts on the console, which is hvc0');
	$m->type("tty; cat /sys/class/tty/console/active\r");
	ok($m->wait_for(qr{\n/dev/hvc0\r+\nhvc0\r+\n.* # }s), '... and the kernel has no other');
	$m->type("stty size\r");
	ok($m->wait_for(qr/\n33 101\r+\n.* # /s), 'it has the size of the terminal that Kiln was started on');
	$m->type("until [ \"\$(stty size)\" = '50 132' ]; do :; done; echo res''ized\r");
	$m->wait_for(qr/ized\r+\n/);
	$m->{slave}->set_winsize(50, 132);
	ok($m->wait_for(qr/resized\r+\n.* # /s), '... and hears when that changes');
	$m->type("echo '<3>the kernel speaks' >/dev/kmsg\r");
	ok($m->wait_for(qr/\] the kernel speaks\r+\n/), 'the kernel\'s messages come this way');
	$m->type("\x01x");
	is($m->wait_end, 0, 'Ctrl-a x ends the machine');
	is(terminal_modes($m->{slave}), $m->{modes}, '... and the terminal\'s modes are back');
}

nothing_is_left();
done_testing();
