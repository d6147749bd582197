# A destination that holds all that it may, and whose answers do not come, costs
# nothing: there is no look at the queue after the other for it.  When it has much
# room, it takes what it left.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $calls = 30_000;
my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	conf => "segment_braze.max_memory = '4MB'\nsegment_braze.nap = '60s'\nautovacuum = off",
	options => "max_requests_in_flight '2'");

# each look of the worker is one; this test's own are few
sub transactions
{
	return $node->safe_psql('postgres', q{SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'});
}

# after a start one request goes alone until it is settled
$node->safe_psql('postgres', "SELECT braze_track('first', 'e')");
braze_flush($node);
$braze->hold;
$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || i, 'e', jsonb_build_object('seq', i, 'text', repeat('x', 300))))
FROM generate_series(1, $calls) i
EOS
$braze->wait_for_stat('held', 2);

# it reads until it is full, and then it waits; each look takes a second
my ($before, $after, $looks) = (-100, transactions(), 0);
while ($after > $before + 20 && $looks++ < 30)
{
	$before = $after;
	$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
	$after = transactions();
}
cmp_ok($after, '<=', $before + 20, 'the worker does not look while there is no room');

# nor for each answer: it takes many calls at once, when there is much room
$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
$node->reload;
my $log = -s $node->logfile;
$braze->release;
ok(braze_flush($node), 'all is delivered');
is($braze->accepted, $calls + 1, 'each call once');
my @read = slurp_file($node->logfile, $log) =~ /read (\d+) calls, up to id/g;
cmp_ok(scalar(@read), '<=', 100, 'in few reads');

$node->stop;
done_testing();
