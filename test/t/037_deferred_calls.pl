# Calls of a long backlog of which only the ids were kept, and that need no
# request when their turn comes: each is settled once.

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
	options => "max_objects_per_request '1', identifiers 'user_id, anonymous_id', max_attribute_age '1 s', identity_delay '0 s'");

# more than the eight requests of one object that are held of a user, and most
# of it about two users and too old by then
$braze->hold;
$node->safe_psql('postgres', <<'EOS');
SELECT count(braze_track('u', 'A')) FROM generate_series(1, 10);
SELECT count(braze_identify('u', jsonb_build_object('n' || n, 1), anonymous_id => 'a')) FROM generate_series(1, 100) n;
SELECT count(braze_track(NULL, 'A', anonymous_id => 'a')) FROM generate_series(1, 5);
EOS
$braze->wait_for_stat('held', 1);
$node->poll_query_until('postgres', "SELECT max(queued_at) < now() - interval '2 s' FROM braze_queue");

# one of them cannot be settled for a while
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT FROM braze_queue WHERE call->'traits' ? 'n50' FOR UPDATE;});
$braze->release;
braze_wait_for_count($node, 1, 'braze_queue');
$node->poll_query_until('postgres', 'SELECT delivered + skipped >= 114 FROM braze_status');
is($braze->accepted('events'), 15, 'what is not skipped arrives');
is($node->safe_psql('postgres', 'SELECT delivered, skipped FROM braze_status'), '15|99', 'each call is counted once');
$session->query_safe('COMMIT;');
$session->quit;
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT delivered, skipped, pending FROM braze_status'), '15|100|0',
	'and so is the one that somebody had locked');

$node->stop;
done_testing();
