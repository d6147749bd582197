# Whatever is killed, no committed call is lost, and only calls that were under
# way or not yet settled are sent twice.

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
	options => "max_objects_per_request '10', max_requests_in_flight '4'");
my ($calls, $users, $per_request, $in_flight) = (400, 100, 10, 4);

# After a start, one request goes alone until it is settled, so one is.
sub warm_up
{
	$node->safe_psql('postgres', "SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	$braze->reset;
	return;
}

sub queue
{
	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n % $users, 'A', jsonb_build_object('seq', n)))
FROM generate_series(1, $calls) n
EOS
	return;
}

# all arrived in order, the given number of them at most twice
sub check
{
	my ($twice, $what) = @_;
	my $order = $braze->order;

	is($order->{distinct}, $calls, "$what: nothing is lost");
	is($order->{violations}, 0, "$what: in order");
	cmp_ok($order->{duplicates} + $order->{repeats},
		'<=', $twice, "$what: at most $twice are sent twice");
	is($node->safe_psql('postgres',
			'SELECT (SELECT count(*) FROM braze_queue), (SELECT count(*) FROM braze_dead_letters)'),
		'0|0', "$what: nothing is left");
	return;
}

# SIGTERM, with requests under way that Braze has not seen yet
warm_up();
$braze->hold;
queue();
$braze->wait_for_stat('held', $in_flight);
my $pid = braze_worker_pid($node);
kill 'TERM', $pid;
braze_wait_for_worker($node, 'postgres', $pid);
$braze->release;
braze_flush($node);
check(0, 'SIGTERM of the worker');

# SIGKILL takes all processes of the server with it
warm_up();
$braze->hold;
queue();
$braze->wait_for_stat('held', $in_flight);
$pid = braze_worker_pid($node);
kill 'KILL', $pid;
braze_wait_for_worker($node, 'postgres', $pid);
$braze->release;
braze_flush($node);
check(0, 'SIGKILL of the worker');

# the same, with requests that Braze has applied and not answered
warm_up();
$braze->hold(applied => 1);
queue();
$braze->wait_for_stat('held', $in_flight);
$pid = braze_worker_pid($node);
kill 'KILL', $pid;
braze_wait_for_worker($node, 'postgres', $pid);
$braze->release;
braze_flush($node);
check($in_flight * $per_request, 'SIGKILL before the answers');

# the launcher
warm_up();
my $launcher = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'segment_braze launcher'");
$pid = braze_worker_pid($node);
kill 'TERM', $launcher;
$node->poll_query_until('postgres', <<EOS);
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'segment_braze launcher' AND pid <> $launcher
EOS
queue();
braze_flush($node);
is(braze_worker_pid($node), $pid, 'the worker outlives its launcher');
kill 'TERM', $pid;
braze_wait_for_worker($node, 'postgres', $pid);
check(0, 'SIGTERM of the launcher');

# an immediate shutdown
warm_up();
$braze->hold(applied => 1);
queue();
$braze->wait_for_stat('held', $in_flight);
$node->stop('immediate');
$braze->release;
$node->start;
braze_flush($node);
check($in_flight * $per_request, 'immediate shutdown before the answers');

# Answers that cannot be settled, since somebody has locked the queue: as many
# calls as that are sent again, and no more are sent meanwhile.
warm_up();
$braze->hold;
queue();
$braze->wait_for_stat('held', $in_flight);
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_queue IN SHARE MODE;');
$braze->release;
$braze->wait_for_accepted($in_flight * $per_request);
$node->poll_query_until('postgres', 'SELECT in_flight = 0 FROM braze_status');
$node->stop('immediate');
$session->{run}->finish;
my $unsettled = $braze->accepted;
cmp_ok($unsettled, '<=', 2 * $in_flight * $per_request,
	'no more are unsettled than twice those that may be under way');
$node->start;
braze_flush($node);
check($unsettled, 'immediate shutdown before the settle');

# A fast shutdown waits for the answers that come at once, and settles them.
warm_up();
queue();
braze_flush($node);
$node->restart;
braze_flush($node);
check(0, 'fast shutdown');

# Commits that the server has not flushed.  The WAL writer is too slow to do it,
# so a call that reaches Braze is safe only if the worker flushes it first.
warm_up();
$node->append_conf('postgresql.conf', <<EOC);
wal_writer_delay = 10s
synchronous_commit = off
EOC
$node->restart;
warm_up();
$braze->hold;
queue();
$braze->wait_for_stat('held', 1);
$node->stop('immediate');
$braze->release;
my %sent = map { $_->{object}{properties}{seq} => 1 } $braze->log;
cmp_ok(scalar keys %sent, '>', 0, 'calls have reached Braze');
$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$node->start;
my %there = map { $_ => 1 } split /\n/,
  $node->safe_psql('postgres', "SELECT call->'properties'->>'seq' FROM braze_queue");
is_deeply([ grep { !$there{$_} } sort keys %sent ],
	[], 'each of them is in the queue after a crash, synchronous_commit = off');

$node->stop;
done_testing();
