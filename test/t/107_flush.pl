# braze_flush returns true only when all is settled that was committed when it
# began, whatever happens to the calls and to the queue's table meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $braze = StandIn->new;
my $node = braze_node('main', $braze, options => "delivery 'at_most_once'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

run('CREATE TABLE flushed (name text, settled boolean, left_over bigint)');

# A session that calls braze_flush and notes how much was left in the queue and
# under way then.  It has begun to wait when this returns.
sub begin_flush
{
	my ($name) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_until(qr/begins/, <<EOS);
SET application_name = '$name';
\\echo begins
DO \$\$
DECLARE
	settled boolean := braze_flush('$timeout s');
BEGIN
	INSERT INTO flushed SELECT '$name', settled, count(*)
	FROM (SELECT id FROM braze_queue UNION ALL SELECT id FROM braze_dead_letters) s;
END
\$\$;
EOS
	$node->poll_query_until('postgres', <<EOS) or die "$name does not wait";
SELECT count(*) = 1 FROM pg_stat_activity
WHERE application_name = '$name' AND state = 'active' AND wait_event_type IN ('Extension', 'Lock')
EOS
	return $session;
}

# the destination delivers again, and only then the session is done
sub end_flush
{
	my ($name, $session) = @_;

	is(run("SELECT count(*) FROM flushed WHERE name = '$name'"), '0', "$name: braze_flush waits");
	run("SELECT braze_start('braze')");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM flushed WHERE name = '$name'")
	  or die "$name: braze_flush does not return";
	is(run("SELECT settled, left_over FROM flushed WHERE name = '$name'"), 't|0',
		"$name: and returns when all is settled");
	$session->quit;
	return;
}

# what is held is refused for its key, so that all goes back to the queue
sub refuse_key
{
	$braze->release(status => 401);
	braze_wait_for_state($node, 'braze', 'paused: %401%');
	braze_wait_for_count($node, 1, 'braze_queue');
	return;
}

sub rewrite
{
	return 'ALTER TABLE braze_queue ADD added float DEFAULT random(); ALTER TABLE braze_queue DROP added;';
}

run(q{SELECT braze_track('u', 'e', '{"seq": 0}')});
ok(braze_flush($node), 'the first call is delivered');

# the worker has not read the call yet when the wait begins
{
	my $worker = braze_worker_pid($node);
	my $session;

	kill 'STOP', $worker;
	run(q{SELECT braze_track('u', 'e', '{"seq": 1}')});
	$session = begin_flush('unread');
	$braze->hold;
	kill 'CONT', $worker;
	$braze->wait_for_stat('held', 1);
	refuse_key();
	end_flush('unread', $session);
}

# the call is claimed, and then the queue is read from its beginning
{
	my $session;
	my $scans = "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'";
	my $before;

	$braze->hold;
	run(q{SELECT braze_track('u', 'e', '{"seq": 2}')});
	$braze->wait_for_stat('held', 1);
	run('VACUUM FULL braze_queue');
	$before = run($scans);
	run('SELECT braze_notify_worker(true)');
	$node->poll_query_until('postgres', "SELECT ($scans) > $before") or die 'the queue is not read again';
	$session = begin_flush('claimed');
	refuse_key();
	end_flush('claimed', $session);
}

# the rows of the rewritten table are younger than the wait
{
	my $session;

	run("SELECT braze_pause('braze', 'test')");
	run(q{SELECT braze_track('u', 'e', '{"seq": 3}')});
	$session = begin_flush('rewritten');
	run(rewrite());
	end_flush('rewritten', $session);
}

# the table is being rewritten when the wait begins
{
	my $session;
	my $rewriter = $node->background_psql('postgres');

	run("SELECT braze_pause('braze', 'test')");
	run(q{SELECT braze_track('u', 'e', '{"seq": 4}')});
	$rewriter->query_safe('BEGIN; ' . rewrite());
	is(run("SET statement_timeout = '60s'; SELECT braze_flush('0')"), 'f', 'a look at a locked queue is over at once');
	$session = begin_flush('locked');
	$rewriter->query_safe('COMMIT;');
	$rewriter->quit;
	end_flush('locked', $session);
}

# a row far ahead was read, and the call behind it was not
{
	my $worker;
	my $session;

	run(<<'EOS');
INSERT INTO braze_queue (id, destination, call)
VALUES (9000000000000000000, 'braze',
	'{"type": "track", "userId": "u", "event": "e", "properties": {"seq": 5}}')
EOS
	ok(braze_flush($node), 'a call with an id far ahead is delivered');
	$worker = braze_worker_pid($node);
	kill 'STOP', $worker;
	run(q{SELECT braze_track('u', 'e', '{"seq": 6}')});
	is(run("SELECT braze_flush('0')"), 'f', 'braze_flush waits for one that was not read');
	kill 'CONT', $worker;
	ok(braze_flush($node), 'until it is delivered');
}

is_deeply($braze->seen, { map { ($_ => 1) } 0 .. 6 }, 'each arrives once');
is(run('SELECT count(*) FROM braze_dead_letters'), '0', 'and no letter is left');

$node->stop;
done_testing();
