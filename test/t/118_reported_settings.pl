# Settings that the server reports to the client when they change: what a pooler
# follows to keep them with its client.  Read from the connection itself, as
# a pooler does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_STREAM);
use Test::More;

use Braze;

my $node = braze_server('main');
my @names = ('segment_braze.destination', 'segment_braze.on_invalid_call');

my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $node->host . '/.s.PGSQL.' . $node->port)
	or plan skip_all => 'the server has no Unix-domain socket';
my %reported;

sub take
{
	my ($length) = @_;
	my $bytes = '';

	while (length $bytes < $length)
	{
		my $got = sysread $socket, $bytes, $length - length $bytes, length $bytes;
		die 'the server has closed the connection' unless $got;
	}
	return $bytes;
}

# until the server is ready for a query; returns the SQLSTATEs of errors
sub answers
{
	my @errors;

	while (1)
	{
		my ($type, $length) = unpack 'a N', take(5);
		my $body = take($length - 4);

		if ($type eq 'S')
		{
			my ($name, $value) = unpack 'Z* Z*', $body;
			push @{ $reported{$name} }, $value;
		}
		push @errors, $body =~ /\0C(.{5})/s if $type eq 'E';
		die "the server wants a password" if $type eq 'R' && unpack('N', $body) != 0;
		die "no connection: $body" if $type eq 'E' && !%reported;
		return @errors if $type eq 'Z';
	}
}

# what a statement has the server report of our settings, in the order of @names
sub reports
{
	my ($sql, @expected) = @_;
	my @errors;

	%reported = (none => 1);
	print {$socket} pack('a N', 'Q', 5 + length $sql), $sql, "\0";
	$socket->flush;
	@errors = answers();
	is("@errors", $expected[2] // '', "$sql: " . ($expected[2] ? 'an error' : 'no error'));
	is_deeply([ map { $reported{$_} } @names ], [ map { defined $_ ? [$_] : undef } @expected[ 0, 1 ] ], "$sql: what is reported");
	return;
}

my $user = $node->safe_psql('postgres', 'SELECT current_user');
my $startup = pack 'N (Z*)*', 196608, 'user', $user, 'database', 'postgres', '';
print {$socket} pack('N', 4 + length $startup), $startup;
$socket->flush;
answers();
is_deeply([ map { $reported{$_} } @names ], [ [''], ['error'] ], 'a new connection is told both');

reports(q(SET segment_braze.destination = 'braze'), 'braze', undef);
reports(q(SET segment_braze.on_invalid_call = 'dead_letter'), undef, 'dead_letter');
reports(q(SET segment_braze.destination = 'braze'), undef, undef);
reports(q(SET segment_braze.on_invalid_call = 'nonsense'), undef, undef, '22023');
reports('RESET ALL', '', 'error');

# within a transaction, and back at its end
reports('BEGIN');
reports(q(SET LOCAL segment_braze.destination = 'other'), 'other', undef);
reports('COMMIT', '', undef);

# a role's setting is there from its first moment
$node->safe_psql('postgres', qq(ALTER ROLE "$user" SET segment_braze.destination = 'of the role'));
%reported = ();
$socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "$!";
print {$socket} pack('N', 4 + length $startup), $startup;
$socket->flush;
answers();
is_deeply([ map { $reported{$_} } @names ], [ ['of the role'], ['error'] ], 'a connection of a role with a setting is told that');
close $socket;

$node->stop;
done_testing();
