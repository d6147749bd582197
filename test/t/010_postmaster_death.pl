# The postmaster is killed with requests under way: its children end by
# themselves, however long Braze takes, and nothing is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($calls, $users, $per_request, $in_flight) = (400, 100, 10, 4);
my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	options => "request_timeout '1 h', max_objects_per_request '$per_request', max_requests_in_flight '$in_flight'");

sub queue
{
	$node->safe_psql('postgres', "SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	$braze->reset;
	$braze->hold(@_);
	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n % $users, 'A', jsonb_build_object('seq', n)))
FROM generate_series(1, $calls) n
EOS
	$braze->wait_for_stat('held', $in_flight);
	return;
}

sub kill_postmaster
{
	my ($what) = @_;
	my @pids = split /\n/, $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'segment_braze%'");
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');

	is(scalar @pids, 2, "$what: launcher and worker are there");
	$node->kill9;
	StandIn::wait_until(sub { !kill 0, $postmaster }, 'the postmaster is gone');
	ok(StandIn::wait_until(sub { !kill 0, @pids }, 'launcher and worker are gone'),
		"$what: they end with the postmaster");
	return;
}

sub check
{
	my ($twice, $what) = @_;
	my $order;

	braze_flush($node);
	$order = $braze->order;
	is($order->{distinct}, $calls, "$what: nothing is lost");
	is($order->{violations}, 0, "$what: in order");
	cmp_ok($order->{duplicates} + $order->{repeats},
		'<=', $twice, "$what: at most $twice are sent twice");
	is($node->safe_psql('postgres',
			'SELECT (SELECT count(*) FROM braze_queue), (SELECT count(*) FROM braze_dead_letters)'),
		'0|0', "$what: nothing is left");
	return;
}

# Braze has not seen them yet
queue();
kill_postmaster('unseen');
$braze->release;
$node->start;
check(0, 'unseen');

# After a start one request goes alone, so that a call that takes the server
# down with it takes no others along, until its settle has committed.
queue();
kill_postmaster('alone');
$braze->release;
$braze->hold;
$node->start;
$braze->wait_for_stat('held', 1);
is($node->safe_psql('postgres', "SELECT braze_flush('500 ms')"), 'f', 'alone: the rest waits');
is($braze->stats->{held}, 1, 'alone: after a start one request goes alone');
$braze->release(count => 1);
ok($braze->wait_for_stat('held', $in_flight), 'alone: then as many as may');
$braze->release;
check(0, 'alone');

# it has, and its answers never come
queue(applied => 1);
kill_postmaster('unanswered');
$braze->release;
$node->start;
check($in_flight * $per_request, 'unanswered');

# three times in a row, each time after some more have passed
queue();
foreach my $part (1 .. 3)
{
	kill_postmaster("kill $part");
	$braze->release;
	$braze->hold(after => 8);
	$node->start;
	braze_wait_for_worker($node);
	$braze->wait_for_stat('held', 1);
}
$braze->release;

# what is answered and not settled is bounded like what is under way
check(3 * 2 * $in_flight * $per_request, 'three kills');

$node->stop;
done_testing();
