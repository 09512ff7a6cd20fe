#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
# The terminal: typing to the guest's shell, the keys behind Ctrl-a, and modes that come back on every way out.
use strict;
use warnings;

use Kiln::Test;
use POSIX qw(ECHO ICANON ISIG);
use Test::More;

# ---- A shell in the guest ---------------------------------------------------------------------------

{
	my $m = boot(stdin => 'pty', params => 'kiln.shell kiln.size=33x101', initramfs => initramfs('modules'));
	my $t = POSIX::Termios->new;
	ok($m->wait_for(qr/ # /), 'a guest\'s shell prompts on the terminal');
	$t->getattr(fileno $m->{slave});
	is($t->getlflag & (ECHO | ICANON | ISIG), 0, 'the terminal is raw while the guest runs');

	$m->type("echo sum-\$((6 * 7))\r");
	ok($m->wait_for(qr/\nsum-42\r+\n.* # /s), 'what is typed reaches the shell, and its answer comes back');
	$m->type("stty size\r");
	ok($m->wait_for(qr/\n33 101\r+\n.* # /s), 'the shell\'s window has the size it was told');
	$m->type("sh -c \"echo g''o; exec cat\"\r");
	$m->wait_for(qr/go\r+\n/);
	$m->type("\x03");
	$m->wait_for(qr/\^C.* # /s);
	$m->type("echo alive-\$((1 + 1))\r");
	ok($m->wait_for(qr/\nalive-2\r+\n.* # /s), 'Ctrl-C goes to the guest, and ends a program there');
	$m->type("echo g''o; read -r key; echo -n \"\$key\" | od -An -tx1\r");
	$m->wait_for(qr/go\r+\n/);
	$m->type("\x01a\r");
	ok($m->wait_for(qr/\n +01\r+\n.* # /s), 'Ctrl-a a sends a Ctrl-a');
	$m->type("\x01h");
	ok($m->wait_for_err(qr/Ctrl-a x .*\n.*Ctrl-a c /), 'Ctrl-a h tells the keys');

	# The kernel counts the breaks of a line; the key behind one is its own (SysRq).
	$m->type("until grep -q brk: /proc/tty/driver/serial; do :; done; echo bro''ken\r");
	$m->wait_for(qr/ken\r+\n/);
	$m->type("\x01c");
	ok($m->wait_for(qr/broken\r+\n/), 'Ctrl-a c sends a break');
	$m->type('h');
	ok($m->wait_for(qr/sysrq: HELP/), 'the key behind a break is the kernel\'s: SysRq help');

	# The kernel counts presses of ACPI's fixed power button once its driver is loaded.
	$m->type("until grep -q '^ *1 ' /sys/firmware/acpi/interrupts/ff_pwr_btn; do :; done; echo pres''sed\r");
	$m->wait_for(qr/sed\r+\n/);
	$m->type("\x01p");
	ok($m->wait_for(qr/pressed\r+\n/), 'Ctrl-a p presses the power button');

	$m->type("\x01x");
	is($m->wait_end, 0, 'Ctrl-a x ends the machine with 0');
	like($m->{err}, qr/\nkiln: the user ended the machine \(Ctrl-a x\)\n\z/, '... and a line says so');
	is(terminal_modes($m->{slave}), $m->{modes}, '... and the terminal\'s modes are back');
}

# ---- Ways out ------------------------------------------------------------------------------------------

sub start_on_terminal {
	my ($payload, $pattern, @more) = @_;
	my $m = start([ 'run', '-m', '4', @more, payload($payload) ], stdin => 'pty');
	$m->wait_for($pattern);
	eventually(sub { terminal_modes($m->{slave}) ne $m->{modes} });
	return $m;
}

my @ways = (
	[ 'the guest\'s own end', 'echo', 32, qr/reset/, sub { $_[0]->type('q') } ],
	[ 'SIGTERM', 'idle', 143, qr/signal 15/, sub { $_[0]->signal('TERM') } ],
	[ 'SIGINT', 'idle', 130, qr/signal 2/, sub { $_[0]->signal('INT') } ],
	[ 'SIGKILL of the vm process', 'idle', 1, qr/signal 9/, sub { $_[0]->signal('KILL', $_[0]->vm_pid) } ],
	# In a process namespace of its own the vm process is the first one, whom no crash signal from outside reaches.
	[ 'a crash of the vm process', 'idle', 1, qr/signal 11/, sub { $_[0]->signal('SEGV', $_[0]->vm_pid) }, '--disable-sandbox' ],
);
for my $way (@ways) {
	my ($what, $payload, $status, $line, $act, @more) = @$way;
	my $m = start_on_terminal($payload, qr/ready|idle/, @more);
	isnt(terminal_modes($m->{slave}), $m->{modes}, "$what: before it the terminal is raw");
	$act->($m);
	ends_with($m, $status, $line, "$what ends the machine: $status");
	is(terminal_modes($m->{slave}), $m->{modes}, "$what: the terminal's modes are back");
}
{
	my $m = start_on_terminal('idle', qr/idle/);
	$m->signal('SEGV');
	is($m->wait_end, 128 + 11, 'a crash of the supervisor ends as such');
	is(terminal_modes($m->{slave}), $m->{modes}, '... and gives the terminal back first');
}
{
	my $m = start_on_terminal('idle', qr/idle/);
	delete @$m{qw(in slave)};
	delete $m->{handles}{out};
	close delete $m->{pty};
	is($m->wait_end, 129, 'a terminal that hangs up ends the machine in order: 129');
}

nothing_is_left();
done_testing();
