# A destination becomes one of delivery 'at_most_once' while a request is under
# way: what is sent of it after that leaves the queue first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze, options => "request_timeout '120 s'");

# userIds of what is in the queue, and of what was taken out of it to be sent
sub where
{
	return $node->safe_psql('postgres', <<'EOS');
SELECT (SELECT string_agg(call->>'userId', ' ' ORDER BY id) FROM braze_queue),
	(SELECT string_agg(call->>'userId', ' ' ORDER BY id) FROM braze_dead_letters)
EOS
}

# after a start one request goes alone until it is settled
$node->safe_psql('postgres', q{SELECT braze_track('first', 'E')});
braze_flush($node);
$braze->reset;

$braze->hold;
$node->safe_psql('postgres', "SELECT count(braze_track('u' || n, 'E')) FROM generate_series(1, 4) n");
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (ADD delivery 'at_most_once')");

# that the worker knows of it shows in what it sends after that
$node->safe_psql('postgres', "SELECT braze_track('later', 'E')");
$braze->wait_for_stat('held', 2);
is(where(), 'u1 u2 u3 u4|later', 'what was under way is in the queue still');

my $received = $braze->stats->{requests};
is($braze->release(count => 1, status => 400), 1, 'four calls are refused as a whole');
$braze->wait_for_stat('requests', $received + 1);
is(where(), '|later u1 u2 u3 u4', 'their first half has left the queue before it is sent');
$braze->release;
braze_flush($node);
is(where(), '|', 'all is settled');
is(scalar $braze->accepted('events'), 5, 'and was sent');
is(join(' ', map { $_->{user} } $braze->log), 'u1 u2 u3 u4 later u1 u2 u3 u4', 'again what was refused as a whole');

done_testing();
