# segment_braze.deliver = off is obeyed by a worker that holds calls already.

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
my $node = braze_node('main', $braze,
	options => "max_requests_in_flight '1', max_objects_per_request '1'");

# one is under way, and the others wait for it
$braze->hold;
$node->safe_psql('postgres', "SELECT braze_track('u' || i, 'e') FROM generate_series(1, 3) i");
$braze->wait_for_stat('held', 1);
$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$node->reload;
ok(braze_wait_for_state($node, 'braze', 'off: %'), 'delivery is off');
$braze->release;
ok($node->poll_query_until('postgres', 'SELECT count(*) <= 2 FROM braze_queue'), 'what was under way is settled');

# the worker has time to send more: what it does not send cannot be waited for
is($node->safe_psql('postgres', "SELECT braze_flush('1 s')"), 'f', 'the others stay');
is($braze->stats->{requests}, 1, 'and were not sent');

$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$node->reload;
ok(braze_flush($node), 'until delivery is on');
is($braze->accepted, 3, 'and all have arrived');

$node->stop;
done_testing();
