# A relay of bytes to a port of this machine, whose connections can fall silent
# as behind a firewall that has forgotten them: they stay open, and nothing goes
# through them any more.  New ones are not concerned.
#
#	my $relay = Relay->new($front->port('good'));
#	... custom_api_endpoint => 'https://127.0.0.1:' . $relay->port
#	$relay->silence;
#
# It ends with the object, or with the test.

package Relay;

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::INET;

use Child;

# copies what a socket has to its peer; false at its end
sub copy
{
	my ($from, $to) = @_;

	sysread($from, my $bytes, 65536) or return;
	while (length $bytes)
	{
		my $written = syswrite $to, $bytes or return;
		substr($bytes, 0, $written) = '';
	}
	return 1;
}

sub relay
{
	my ($listener, $port) = @_;
	my $readable = IO::Select->new($listener);
	my (%peer, @silent);
	my $silence = 0;

	local $SIG{USR1} = sub { $silence = 1 };
	local $SIG{PIPE} = 'IGNORE';
	while (1)
	{
		my @ready = $readable->can_read;

		if ($silence)
		{
			push @silent, map { $_->[1] } values %peer;
			$readable->remove($_->[1]) foreach values %peer;
			%peer = ();
			$silence = 0;
			next;
		}
		foreach my $socket (@ready)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or next;

				$peer{$client} = [ $server, $client ];
				$peer{$server} = [ $client, $server ];
				$readable->add($client, $server);
			}
			elsif ($peer{$socket} && !copy($socket, $peer{$socket}[0]))
			{
				my $other = $peer{$socket}[0];

				$readable->remove($socket, $other);
				delete @peer{ $socket, $other };
				close $_ foreach $socket, $other;
			}
		}
	}
	return;
}

sub new
{
	my ($class, $port) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or croak "listen: $!";

	# what a test does at SIGTERM the copy of it must not do
	my $child = Child->new(sub { relay($listener, $port) }, signal => 'KILL');

	return bless { port => $listener->sockport, child => $child }, $class;
}

sub port
{
	my ($self) = @_;
	return $self->{port};
}

sub silence
{
	my ($self) = @_;
	kill 'USR1', $self->{child}->pid or croak "kill: $!";
	return;
}

1;
