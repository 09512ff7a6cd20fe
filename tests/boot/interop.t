#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# vhost-user with others: QEMU drives our devices; our machines use QEMU's disk export and its virtiofsd.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Kiln::Test;
use Test::More;

my $DEADLINE_S = 120;
my $MIB = 1 << 20;
my ($HOST_IP, $GUEST_IP, $PORT) = ('192.0.2.1', '192.0.2.2', 5000);
my ($GUEST_ECHO, $HOST_ECHO, $STREAM_BYTES) = (5000, 6000, 20_000); # ports of vsock
my $dir = scratch();

sub random_bytes {
	my ($len) = @_;
	open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
	read($random, my $bytes, $len) == $len or die "/dev/urandom: $!";
	return $bytes;
}

sub spew {
	my ($path, $bytes) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $bytes;
	close $file or die "$path: $!";
	return $path;
}

sub hash_of { return sha256_hex(slurp($_[0])) }

# The hash that a guest printed behind a word.
sub hash_in {
	my ($text, $word) = @_;
	return $text =~ /^$word ([0-9a-f]{64})\b/m ? $1 : "no hash behind '$word'";
}

# Start `kiln device` with a socket; it is ready when this returns.
sub serve {
	my ($device, $socket) = @_;
	my $m = start([ 'device', $device, '--socket', "$dir/$socket" ]);
	ok($m->wait_for_err(qr/ready at '\Q$dir\E\/$socket'\n/), "kiln device serves $device");
	return $m;
}

# Start somebody else's back-end, which makes this socket.
sub start_backend {
	my ($socket, $program, @words) = @_;
	my $m = start(\@words, kiln => $program);
	ok(eventually(sub { -S "$dir/$socket" }), "$program listens");
	return $m;
}

# The next client of a listening socket. Return: it, or undef after the deadline.
sub next_client {
	my ($listener) = @_;
	return IO::Select->new($listener)->can_read($DEADLINE_S) ? $listener->accept : undef;
}

# All that a client sends.
sub read_all {
	my ($client) = @_;
	my $bytes = '';
	while (IO::Select->new($client)->can_read($DEADLINE_S)) {
		sysread $client, $bytes, 65536, length $bytes or last;
	}
	return $bytes;
}

sub write_all {
	my ($client, $bytes) = @_;
	my $put = 0;
	while ($put < length $bytes && IO::Select->new($client)->can_write($DEADLINE_S)) {
		$put += syswrite($client, $bytes, 65536, $put) // last;
	}
	shutdown $client, 1;
	return $put;
}

# ---- Sockets between host and guest -------------------------------------------------------------------

my $peers = "vsock_peer echo $GUEST_ECHO & vsock_peer call $HOST_ECHO 1";

# Whether bytes come back as they were sent.
sub is_echoed {
	my ($socket) = @_;
	my $bytes = random_bytes($STREAM_BYTES);
	return write_all($socket, $bytes) == $STREAM_BYTES && read_all($socket) eq $bytes;
}

# Tests: the guest, which runs $peers, is called and calls. Return: what it printed up to then.
sub vsock_works {
	my ($m, $calls, $name) = @_;
	my $text = $m->wait_for(qr/listens at $GUEST_ECHO/) // '';
	my $called = next_client($calls);
	my $calling = IO::Socket::UNIX->new(Peer => "$dir/host") || die "$dir/host: $!";
	syswrite $calling, "CONNECT $GUEST_ECHO\n";
	my $answer = '';
	1 while $answer !~ /\n/ && IO::Select->new($calling)->can_read($DEADLINE_S)
		&& sysread $calling, $answer, 1, length $answer;
	like($answer, qr/^OK \d+\n/, "$name: the host calls a port of the guest's");
	ok(is_echoed($calling), '... and bytes come back');
	ok($called && is_echoed($called), '... and so they do where the guest calls');
	return $text;
}

# ---- QEMU's machine with our devices -----------------------------------------------------------------

my $disk = spew("$dir/disk.img", random_bytes(2 * $MIB));
my $disk_hash = hash_of($disk);
my $blk = serve("virtio-blk,path=$disk", 'blk');
my $rng = serve('virtio-rng', 'rng');
my $net = serve("virtio-net,ip=$HOST_IP,netmask=255.255.255.0", 'net');
my $vsock = serve("virtio-vsock,cid=33,socket=$dir/host", 'vsock');
my @served = ($blk, $rng, $net, $vsock);
my $calls = IO::Socket::UNIX->new(Local => "$dir/host_$HOST_ECHO", Listen => 4) or die "$dir/host_$HOST_ECHO: $!";

my $in_qemu = <<"EOT";
echo "disk \$(sha256sum </dev/vda)"
head -c $MIB /dev/urandom >/tmp/new
dd if=/tmp/new of=/dev/vda bs=4096 seek=256 conv=fsync 2>/dev/null
echo "new \$(sha256sum </tmp/new)"
echo "drawn \$(dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | wc -c) from \$(cat /sys/class/misc/hw_random/rng_current)"
ifconfig eth0 $GUEST_IP up
ping -c 2 -W 10 $HOST_IP | grep received
nc $HOST_IP $PORT </dev/null >/tmp/down
echo "down \$(sha256sum </tmp/down)"
nc $HOST_IP $PORT </tmp/new >/dev/null
$peers
EOT

sub device_words {
	my ($socket, @words) = @_;
	return ('-chardev', "socket,id=$socket,path=$dir/$socket", @words);
}

{
	my $listener = IO::Socket::INET->new(LocalAddr => $HOST_IP, LocalPort => $PORT, Listen => 4, ReuseAddr => 1)
		or BAIL_OUT("listen at $HOST_IP: $!");
	my $qemu = start([ qw(-no-user-config -nodefaults -display none -no-reboot -serial stdio -enable-kvm -cpu host),
		'-machine', 'q35,memory-backend=memory', '-m', 256,
		'-object', 'memory-backend-memfd,id=memory,size=256M,share=on',
		'-kernel', kernel('cloud'), '-initrd', initramfs('interop'),
		'-append', 'console=ttyS0 quiet ' . guest_script($in_qemu),
		device_words('blk', '-device', 'vhost-user-blk-pci,chardev=blk'),
		device_words('rng', '-device', 'vhost-user-rng-pci,chardev=rng'),
		device_words('net', '-netdev', 'vhost-user,id=net0,chardev=net',
			'-device', 'virtio-net-pci,netdev=net0,romfile='),
		device_words('vsock', '-device', 'vhost-user-vsock-pci,chardev=vsock'),
	], kiln => 'qemu-system-x86_64');
	my $down = random_bytes(2 * $MIB);
	my $text = $qemu->wait_for(qr/ received.*\n/) // '';
	is(hash_in($text, 'disk'), $disk_hash, 'a guest of QEMU reads our disk');
	like($text, qr/^drawn 16384 from virtio_rng\.0/m, '... draws from our random number generator');
	like($text, qr/^2 packets transmitted, 2 packets received/m, '... reaches the host through our network card');
	my $client = next_client($listener);
	is($client && write_all($client, $down), length $down, '... is sent 2 MiB');
	read_all($client) if $client;
	$client = next_client($listener);
	my $up = $client ? read_all($client) : '';
	close $client if $client;
	$text .= vsock_works($qemu, $calls, '... has sockets');
	$text .= $qemu->wait_for(qr/kiln-status: \d+/) // '';
	is(hash_in($text, 'down'), sha256_hex($down), '... which arrive whole');
	is(hash_in($text, 'new'), sha256_hex($up), '... and sends 1 MiB that arrives whole');
	is($qemu->wait_end, 0, '... and powers off');
	ok(substr(slurp($disk), $MIB, $MIB) eq $up, '... and what it wrote to our disk is there');
	diag($qemu->{err}) if $qemu->{status};
}
for my $device (@served) {
	is($device->{err} =~ tr/\n//, 1, "$device->{words}[1]: had nothing to complain of");
}

# ---- Our machine with other programs' devices, and with ours over their sockets -----------------------

mkdir "$dir/home" or die "$dir/home: $!";
spew("$dir/home/hello", random_bytes($MIB));
my $other_disk = spew("$dir/other.img", random_bytes(2 * $MIB));
my $storage = start_backend('storage', 'qemu-storage-daemon',
	'--blockdev', "driver=file,node-name=file,filename=$other_disk",
	'--blockdev', 'driver=raw,node-name=disk,file=file',
	'--export', "type=vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=2,addr.type=unix,addr.path=$dir/storage");
my $fs = start_backend('fs', '/usr/lib/qemu/virtiofsd', '-o', "source=$dir/home,sandbox=chroot", '-o', 'log_level=warn',
	"--socket-path=$dir/fs");

my $in_kiln = <<"EOT";
echo "ours \$(sha256sum </dev/vda)"
echo "other \$(sha256sum </dev/vdb)"
head -c $MIB /dev/urandom >/tmp/new
echo "new \$(sha256sum </tmp/new)"
dd if=/tmp/new of=/dev/vdb bs=64k seek=16 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo "again \$(dd if=/dev/vdb bs=64k skip=16 count=16 2>/dev/null | sha256sum)"
echo "drawn \$(dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | wc -c)"
mkdir /tmp/home
mount -t virtiofs home /tmp/home
echo "hello \$(sha256sum </tmp/home/hello)"
mkdir /tmp/home/folder
cp /tmp/new /tmp/home/folder/copy
mv /tmp/home/folder/copy /tmp/home/folder/moved
ln -s moved /tmp/home/folder/link
echo "link \$(sha256sum </tmp/home/folder/link)"
rm /tmp/home/hello
umount /tmp/home
echo "queues: \$(ls /sys/block/vdb/mq | wc -l)"
echo all-done
$peers
while :; do dd if=/dev/vdb of=/dev/null bs=64k iflag=direct 2>/dev/null; done
EOT

{
	my ($ours, $other, $hello) = map { hash_of($_) } $disk, $other_disk, "$dir/home/hello";
	my $m = boot(cpus => 2, initramfs => initramfs('interop'), script => $in_kiln, more => [ map { ('--vhost-user', $_) }
		"blk,socket=$dir/blk", "blk,socket=$dir/storage", "fs,socket=$dir/fs,tag=home", "rng,socket=$dir/rng",
		"vsock,socket=$dir/vsock" ]);
	my $text = $m->wait_for(qr/all-done/) // '';
	is(hash_in($text, 'ours'), $ours, 'our machine reads the disk of a device that served another one');
	is(hash_in($text, 'other'), $other, '... and the disk of qemu-storage-daemon');
	like($text, qr/^queues: 2\r?$/m, '... through a queue for each CPU');
	my $new = hash_in($text, 'new');
	is(hash_in($text, 'again'), $new, '... which has what was written to it');
	is(sha256_hex(substr slurp($other_disk), $MIB, $MIB), $new, '... also on the host');
	like($text, qr/^drawn 16384\r?$/m, '... draws random numbers');
	is(hash_in($text, 'hello'), $hello, '... mounts the folder of virtiofsd and reads a file');
	is(hash_in($text, 'link'), $new, '... reads what it wrote, through a symbolic link');
	is(hash_of("$dir/home/folder/moved"), $new, '... which is on the host, under its second name');
	ok(!-e "$dir/home/hello", '... and what it removed is gone');

	vsock_works($m, $calls, '... has sockets');

	$storage->signal('KILL');
	ends_with($m, 1, qr/vhost-user-blk\.1: '\Q$dir\E\/storage': the vhost-user back-end is gone/,
		'a back-end that is killed ends the machine, with a line that names it');
	$storage->wait_end;
	is($fs->wait_end, 0, 'virtiofsd ends with its one machine');
}

# ---- Back-ends that are none ---------------------------------------------------------------------------

# A back-end that answers the first requests with these bytes, one after the other, and then waits for
# the end. The machine that meets it ends with status 1 and one line.
sub is_told_from_a_back_end {
	my ($name, $pattern, @answers) = @_;
	my $path = "$dir/false";
	unlink $path;
	my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "$path: $!";
	my $m = start([ 'run', '-m', 4, '--vhost-user', "rng,socket=$path", payload('idle') ]);
	my $front = next_client($listener);
	while ($front && @answers && IO::Select->new($front)->can_read($DEADLINE_S)) {
		# A request that has no answer: SET_OWNER, SET_FEATURES and the like.
		my $request = unpack 'V', read_message($front);
		syswrite $front, shift @answers if $request =~ /^(?:1|15|17|11)$/;
	}
	close $front if $front && $name =~ /closes/;
	ends_with($m, 1, qr/\Akiln: vhost-user-rng\.0: '\Q$path\E': $pattern/, "a back-end that $name ends the machine");
}

sub read_message {
	my ($front) = @_;
	sysread $front, my $header, 12;
	my $size = (unpack 'VVV', $header)[2] // 0;
	sysread $front, my $payload, $size if $size;
	return $header;
}

sub answer {
	my ($request, $number) = @_;
	return pack 'VVVQ<', $request, 5, 8, $number;
}

my $version_1 = 1 << 32;
my $nonsense = qr/the vhost-user back-end's answer makes no sense/;
is_told_from_a_back_end('is too old', qr/the back-end is too old: it lacks virtio 1\.0/, answer(1, 0), answer(1, 0));
is_told_from_a_back_end('answers another question', $nonsense, answer(2, $version_1));
is_told_from_a_back_end('answers too much', $nonsense, pack('VVV', 1, 5, 4096) . 'x' x 4096);
is_told_from_a_back_end('answers too little', $nonsense, pack('VVVV', 1, 5, 4, 0));
is_told_from_a_back_end('asks where it should answer', $nonsense, pack('VVVQ<', 1, 1, 8, $version_1));
is_told_from_a_back_end('closes', qr/the vhost-user back-end is gone/, answer(1, $version_1), answer(1, $version_1));
is_refused([ 'run', '-m', 4, '--vhost-user', "rng,socket=$dir/nobody", payload('idle') ],
	qr/vhost-user-rng\.0: connect to '\Q$dir\E\/nobody': No such file/, 'a socket that is not there is refused');

# ---- The end of our devices ---------------------------------------------------------------------------

for my $device (@served) {
	$device->signal('TERM');
	is($device->wait_end, 0, "$device->{words}[1]: ends in order");
	like($device->{err}, qr/: stopped by signal 15 \(Terminated\)\n\z/, '... and says why');
	ok(!-e $device->{words}[3], '... and takes its socket along');
}
nothing_is_left();
done_testing();
