# A worker that is told to end in the middle of a round saves what it alone knows:
# the sums of what was delivered, and which calls were claimed and not sent.

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

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

run(q{SELECT braze_track('warm up', 'E')});
braze_flush($node);

# sums that cannot be written for now
my $sums = $node->background_psql('postgres');
$sums->query_safe('BEGIN; LOCK TABLE braze_activity_sums;');
run(q{SELECT braze_track('u1', 'Counted')});
braze_flush($node);

# half of a refused request is under way, and the other half waits for its turn
$braze->reset;
$braze->hold;
run(q{SELECT braze_track('first', 'E')});
$braze->wait_for_stat('held', 1);
run(q{SELECT braze_track('bad' || n, 'E') FROM generate_series(1, 16) n});
$braze->release(count => 1);
$braze->wait_for_stat('requests', 2);
$braze->wait_for_stat('held', 1);
$braze->release(count => 1, status => 400);
$braze->wait_for_stat('requests', 3);
$braze->wait_for_stat('held', 1);
is(run('SELECT count(*) FROM braze_dead_letters'), '16', 'all of them are claimed');

# A round that waits: for a transaction with the same new id as a letter.  The
# lock_timeout ends it each second, so the worker stands still before it is told.
my $letters = $node->background_psql('postgres');
$letters->query_safe('BEGIN;');
$letters->query_safe(<<'EOS');
INSERT INTO braze_dead_letters (id, destination, call, state, reason, queued_at)
OVERRIDING SYSTEM VALUE
SELECT nextval('braze_dead_letters_id_seq') + 1, 'braze', '{}', 'rejected', 'mine', now();
EOS
run(q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "nonsense"}')});
my $worker = braze_worker_pid($node);
StandIn::wait_until(
	sub {
		my $waits;

		kill 'STOP', $worker;
		$waits = run("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $worker") eq 't';
		kill 'CONT', $worker unless $waits;
		return $waits;
	},
	'the worker waits in a round');
my $log = -s $node->logfile;
kill 'TERM', $worker;

# the next one is to send nothing
$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('segment_braze.deliver') = 'off'});
$sums->query_safe('ROLLBACK;');
$letters->query_safe('ROLLBACK;');
kill 'CONT', $worker;
braze_wait_for_worker($node, 'postgres', $worker);

is(run(q{SELECT calls FROM braze_activity WHERE kind = 'events' AND name = 'Counted'}), '1', 'what was delivered is counted');
is(run(q{SELECT count(*) FROM braze_queue WHERE call ->> 'userId' LIKE 'bad%'}), '8', 'what was not sent is back in the queue');
is(run(q{SELECT count(*), min(state), max(state) FROM braze_dead_letters WHERE call ->> 'userId' LIKE 'bad%'}),
	'8|in doubt|in doubt', 'and what Braze may have is not');
is(run(q{SELECT count(*) FROM braze_dead_letters WHERE call ->> 'type' = 'nonsense'}), '1', 'what was done is settled');

# but of the lock_timeout, if that is over as well
unlike(slurp_file($node->logfile, $log), qr/FATAL|ERROR:(?! +canceling statement due to lock timeout)/, 'and the log tells of no error');

$braze->release;
$sums->quit;
$letters->quit;
$node->stop;
done_testing();
