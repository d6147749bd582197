# A backlog that is larger than the memory that the worker may use: all of it
# is delivered, in order, and none of it twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($calls, $users) = (30000, 500);
my $braze = StandIn->new;
my $other = StandIn->new;
my $node = braze_node('main', $braze, conf => "segment_braze.max_memory = '4MB'");

sub queue
{
	my ($destination) = @_;

	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n % $users, 'A',
	jsonb_build_object('seq', n, 'padding', repeat('x', 300)), destination => '$destination'))
FROM generate_series(1, $calls) n
EOS
	return;
}

sub check
{
	my ($standin, $what) = @_;

	is_deeply(
		$standin->order,
		{ violations => 0, distinct => $calls, duplicates => 0, repeats => 0 },
		"$what: all are delivered, in order, none twice");
	is($standin->stats->{overlaps}, 0, "$what: no user is in two requests at the same time");
	cmp_ok($standin->stats->{objects_per_request}{max}, '<=', 75, "$what: no request is too large");
	return;
}

# it piled up while nothing was sent
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
queue('braze');
cmp_ok($node->safe_psql('postgres', 'SELECT pending_bytes FROM braze_status'),
	'>', 8 * 1024 * 1024, 'the backlog is larger than the memory');
$node->safe_psql('postgres', "SELECT braze_start('braze')");
braze_flush($node);
check($braze, 'after a pause');
is($node->safe_psql('postgres', 'SELECT delivered, pending, dead_letters FROM braze_status'),
	"$calls|0|0", 'and counted');

# A destination that hangs has the memory full; another one goes on, and what
# the first could not hold is read again for it.
$braze->reset;
braze_destination($node, 'postgres', 'other', $other);
$braze->hold;
queue('braze');
$braze->wait_for_stat('held', 1);
queue('other');
braze_flush($node, 'postgres', 'other');
check($other, 'beside one that hangs');
is($braze->accepted, 0, 'which has had nothing yet');
$braze->release;
braze_flush($node);
check($braze, 'after it hung');

# One user's backlog is larger than the memory, and his first request hangs:
# others are queued behind it, and do not wait.
$braze->reset;
$braze->hold(user => 'busy');
$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('busy', 'A', jsonb_build_object('seq', n, 'padding', repeat('x', 300)), destination => 'braze'))
FROM generate_series(1, $calls) n
EOS
$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', $calls + n), destination => 'braze'))
FROM generate_series(1, $users) n
EOS
$braze->wait_for_accepted($users);
is($braze->stats->{held}, 1, 'the calls of others pass by a user with a long backlog');
$braze->release;
braze_flush($node);
is_deeply(
	$braze->order,
	{ violations => 0, distinct => $calls + $users, duplicates => 0, repeats => 0 },
	'and his are all delivered, in order, none twice');
is($braze->stats->{overlaps}, 0, 'he is never in two requests at the same time');

# the worker starts again in the midst of it
$braze->reset;
queue('braze');
$braze->wait_for_accepted(1000);
my $pid = braze_worker_pid($node);
kill 'TERM', $pid;
braze_wait_for_worker($node, 'postgres', $pid);
braze_flush($node);
my $order = $braze->order;
is($order->{distinct}, $calls, 'across a restart of the worker nothing is lost');
is($order->{violations}, 0, 'and all is in order');

# A snapshot is held for the whole of a run, so no dead row can be removed, and
# a call that had its id before all others commits last.
$braze->reset;
my $snapshot = $node->background_psql('postgres');
my $late = $node->background_psql('postgres');
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM braze_queue;');
$late->query_safe(q{BEGIN; SELECT braze_track('late', 'A', '{"seq": 0}', destination => 'braze');});
queue('braze') foreach 1 .. 3;
braze_flush($node);
is($braze->order->{distinct}, $calls, 'all that is committed is delivered beside an open snapshot');
$node->safe_psql('postgres', 'VACUUM braze_queue');
cmp_ok($node->safe_psql('postgres', q{SELECT pg_relation_size('braze_queue')}), '>', 3 * $calls * 300,
	'while none of its rows can be removed');
is($braze->user('late'), undef, 'and without what is not committed');
$late->query_safe('COMMIT;');
braze_flush($node);
is($braze->user('late')->{event_count}, 1, 'the first id of all commits last, and its call is delivered');
is($braze->accepted, 3 * $calls + 1, 'none is delivered twice');
is($node->safe_psql('postgres', 'SELECT sum(pending) FROM braze_status'), '0', 'nothing is left');
$snapshot->query_safe('COMMIT;');
$_->quit foreach $snapshot, $late;

$node->stop;
done_testing();
