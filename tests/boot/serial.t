#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# Four serial ports at once: the terminal, a file, a socket and nothing.
use strict;
use warnings;

use Digest::SHA;
use IO::Socket::UNIX;
use Kiln::Test;
use Test::More;

my $KIB = 256;
my $dir = scratch();
my ($file, $socket) = ("$dir/port2", "$dir/port3");

# The file gets the bytes while the socket's client and the guest talk.
my $script = <<"EOT";
for port in 1 2 3; do stty -F /dev/ttyS\$port raw -echo; done
dd if=/dev/urandom of=/tmp/bytes bs=1k count=$KIB 2>/dev/null
echo "sum \$(sha256sum </tmp/bytes)"
cat /tmp/bytes >/dev/ttyS1 &
echo nowhere >/dev/ttyS3 && echo "the sink took it"
exec 3<>/dev/ttyS2
echo listening
while read -r line <&3; do
	echo "got \$line" >&3
	[ "\$line" != bye ] || break
done
wait
EOT

sub connect_client {
	return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket);
}

# Send a line, read the guest's answer. Return: its line.
sub ask {
	my ($client, $line) = @_;
	print $client "$line\n";
	$client->flush;
	local $SIG{ALRM} = sub { die "no answer from the guest\n" };
	alarm 240;
	my $answer = eval { <$client> } // '';
	alarm 0;
	return $answer;
}

my $m = boot(script => $script, more => [ '--serial', "file=$file,num=2", '--serial', "unix=$socket,num=3",
	'--serial', 'sink,num=4' ]);
my ($sum) = ($m->wait_for(qr/sum [0-9a-f]{64}/) // '') =~ /sum (\w+)/;
ok($m->wait_for(qr/the sink took it/), 'a port that leads nowhere takes output');
$m->wait_for(qr/listening/);

is((stat $socket)[2] & 0777, 0600, 'only the user may connect to a port\'s socket');
my $client = connect_client();
is(ask($client, 'one'), "got one\n", 'a client of the socket talks with the guest');
is(ask($client, 'two'), "got two\n", '... again');
close $client;
$client = connect_client();
is(ask($client, 'three'), "got three\n", 'after a client has gone, another one talks with the guest');
is_refused([ 'run', '--serial', "unix=$socket", payload('idle') ], qr/\Q$socket\E.* in use/,
	'a socket in use is refused to another machine');
ok(-S $socket, '... and stays where it is');
is(ask($client, 'bye'), "got bye\n", '... and its client is not disturbed');

ends_with($m, 0, qr/powered off/, 'the guest ends as usual');
is(-s $file, $KIB * 1024, "a file behind a port has all of $KIB KiB");
is(Digest::SHA->new(256)->addfile($file, 'b')->hexdigest, $sum, '... with the guest\'s checksum');
ok(!-e $socket, 'the socket goes with the machine');

# Sockets of machines that were killed are stale; other files are nobody's to remove.
{
	my $killed = start([ 'run', '--serial', 'stdout', '--serial', "unix=$socket", payload('idle') ]);
	$killed->wait_for(qr/idle/);
	$killed->signal('KILL');
	$killed->wait_end;
	ok(-S $socket, 'a killed supervisor leaves its socket');
	my $next = start([ 'run', '--serial', 'stdout', '--serial', "unix=$socket", payload('idle') ]);
	ok($next->wait_for(qr/idle/), '... which the next machine replaces');
	$next->signal('TERM');
	ends_with($next, 143, qr/signal 15/, '... and ends in order');
	ok(!-e $socket, '... and removes');
}
is_refused([ 'run', '--serial', "unix=$file", payload('idle') ], qr/exists and is not a socket/,
	'a file in the socket\'s place is not removed');
is(-s $file, $KIB * 1024, '... nor changed');

nothing_is_left();
done_testing();
