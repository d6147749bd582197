# pg_cancel_backend() of the worker ends what it is doing, and not the worker.

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
my $node = braze_node('main', $braze);

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

run(q{SELECT braze_track('warm up', 'E')});
braze_flush($node);

# with an answer to come
$braze->hold;
run(q{SELECT braze_track('u1', 'E')});
$braze->wait_for_stat('held', 1);
my $worker = braze_freeze_worker($node);
run("SELECT pg_cancel_backend($worker)");
kill 'CONT', $worker;
run(q{SELECT braze_track('u2', 'E')});
$braze->wait_for_stat('held', 2);
$braze->release;
ok(braze_flush($node), 'calls are delivered');
is(braze_worker_pid($node), $worker, 'by the same worker');
is($braze->accepted('events'), 3, 'each of them once');

$node->stop;
done_testing();
