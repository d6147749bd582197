# Whenever a worker is killed, what was settled in its last second may be
# missing from the sums, and nothing counts twice.

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
my $queued = 0;

sub run
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', $statement);
}

sub queue
{
	my ($calls) = @_;

	run(qq{SELECT count(braze_track('u' || i % 50, 'Event ' || i % 3)) FROM generate_series(1, $calls) i});
	$queued += $calls;
	return;
}

sub counted
{
	return run(q{SELECT coalesce(sum(objects), 0) FROM braze_activity WHERE kind = 'events'});
}

# all processes of the server go with it
sub kill_worker
{
	my $pid = braze_worker_pid($node);

	kill 'KILL', $pid;
	braze_wait_for_worker($node, 'postgres', $pid);
	return;
}

# what was counted is on disk while the worker lives; what it settled just
# before the kill need not be
foreach my $round (1 .. 3)
{
	my $before = counted();
	my $sums;

	queue(200);
	braze_flush($node);
	ok($node->poll_query_until('postgres', "SELECT sum(objects) = $before + 200 FROM braze_activity WHERE kind = 'events'"),
		"round $round: the sums are written without another settle");
	queue(100);
	braze_flush($node);
	kill_worker();
	braze_flush($node);
	$sums = counted();
	ok($before + 200 <= $sums && $sums <= $before + 300, "round $round: after a kill they lack no more than was settled last ($sums)");

	# answers that were not settled are asked for again, and count once
	$before = $sums;
	$braze->hold(applied => 1);
	queue(100);
	$braze->wait_for_stat('held', 1);
	kill_worker();
	$braze->release;
	braze_flush($node);
	ok($node->poll_query_until('postgres', "SELECT sum(objects) >= $before + 100 FROM braze_activity WHERE kind = 'events'"),
		"round $round: what is sent again is counted");
	is(counted(), $before + 100, "round $round: once");
}

# in the middle of a stream of calls
my $before = counted();
my $first = $queued;
my $least = 0;

StandIn::wait_until(
	sub {
		queue(20);
		$least ||= $queued - $first - run('SELECT count(*) FROM braze_queue');
		return $least > 0 && counted() - $before >= $least;
	},
	'what was settled is counted while more is settled');
kill_worker();
braze_flush($node);
run("SELECT braze_track('last', 'Last')");
braze_flush($node);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM braze_activity WHERE name = 'Last'");

my $sums = counted() - $before - 1;
cmp_ok($sums, '<=', $queued - $first, 'the sums do not exceed what was delivered');
cmp_ok($sums, '>=', $least, 'and lack nothing that was counted before');

$node->stop;
done_testing();
