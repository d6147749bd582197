# With delivery 'at_most_once' a letter that is in flight is left alone by
# all that removes letters or queues them again, whoever comes at the same time.

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
my $node = braze_node('main', $braze, options => "delivery 'at_most_once'");

# all that is refused becomes letters; returns how many there are
sub refuse
{
	my ($calls) = @_;
	my $fault = $braze->fault(kind => 'errors', reason => 'refused');

	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n))) FROM generate_series(1, $calls) n
EOS
	braze_flush($node);
	$braze->clear_faults($fault);
	is(letters('true'), $calls, 'the calls are dead letters');
	return;
}

sub letters
{
	my ($condition) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM braze_dead_letters WHERE $condition");
}

# A session has chosen its letters, and waits for the first of them, which
# somebody has locked.  Meanwhile another one retries the last, which is sent.
sub meanwhile
{
	my ($what, $statement) = @_;
	my $locker = $node->background_psql('postgres');
	my $session = $node->background_psql('postgres');

	$locker->query_safe('BEGIN; SELECT FROM braze_dead_letters ORDER BY id LIMIT 1 FOR UPDATE;');
	$session->query_until(qr/begins/, "\\echo begins\n$statement;\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
	$braze->hold;
	is($node->safe_psql('postgres', 'SELECT braze_retry(id => max(id)) FROM braze_dead_letters'), 1, "$what: the last letter is retried");
	$braze->wait_for_stat('held', 1);
	$locker->query_safe('COMMIT;');
	$locker->quit;
	$session->quit;
	return;
}

refuse(3);
meanwhile('two retries', 'SELECT braze_retry()');
is($node->safe_psql('postgres', "SELECT retry_id IS NULL FROM braze_dead_letters WHERE state = 'in flight' ORDER BY id DESC LIMIT 1"),
	't', 'what is in flight is not queued again');
$braze->release;
braze_flush($node);
is_deeply($braze->seen, { 1 => 1, 2 => 1, 3 => 1 }, 'each arrives once');
is(letters('true'), 0, 'and no letter is left');

$braze->reset;
refuse(3);
meanwhile('a retry and a purge', "SELECT braze_purge('braze', 'dead letters')");
is(letters("state = 'in flight'"), 1, 'what is in flight is not purged');
$braze->release(status => 503);
braze_flush($node);
is(letters("state = 'in doubt'"), 1, 'so it does not vanish');
is(letters('true'), 1, 'and the others are purged');

# what is retried was rejected long ago
$braze->reset;
$node->safe_psql('postgres', "UPDATE braze_dead_letters SET failed_at = now() - interval '1 h'");
$braze->hold;
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 1, 'an old letter is retried');
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', "INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at) SELECT destination, call, 'old', queued_at, now() - interval '1 h' FROM braze_dead_letters");
$node->append_conf('postgresql.conf', "segment_braze.dead_letter_retention = '10min'");
$node->reload;
braze_wait_for_count($node, 0, 'braze_dead_letters', "reason = 'old'");
is(letters("state = 'in flight' AND reason LIKE 'in doubt, %'"), 1, 'its retention does not end while it is in flight');
my $pid = braze_worker_pid($node);
kill 'KILL', $pid;
$braze->release;
braze_wait_for_worker($node, 'postgres', $pid);
$node->safe_psql('postgres', "INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at) SELECT destination, call, 'old', queued_at, now() - interval '1 h' FROM braze_dead_letters");
braze_wait_for_count($node, 0, 'braze_dead_letters', "reason = 'old'");
is(letters("state = 'in flight' AND reason LIKE 'in doubt, %'"), 1, 'nor when nobody knows what became of it');

# A retry that was in flight when a worker ended may have arrived: the reason of
# the rejection before does not choose it.
$braze->reset;
$node->safe_psql('postgres', 'DELETE FROM braze_dead_letters');
refuse(1);
$braze->hold;
is($node->safe_psql('postgres', "SELECT braze_retry(reason => 'refused')"), 1, 'what was refused is retried by its reason');
$braze->wait_for_stat('held', 1);
$pid = braze_worker_pid($node);
kill 'KILL', $pid;
$braze->release;
braze_wait_for_worker($node, 'postgres', $pid);
is(letters("state = 'in flight' AND reason = 'refused'"), 1, 'nobody knows what became of the retry');
is($node->safe_psql('postgres', "SELECT braze_retry(reason => 'refused')"), '0', 'it is not sent again by its old reason');
is($node->safe_psql('postgres', 'SELECT braze_retry(id => max(id)) FROM braze_dead_letters'), '1', 'but by its id');

$node->stop;
done_testing();
