# What braze_metrics and braze_status say of what waits equals count(*) whenever
# they say that it is exact: while others write, roll back and delete, and after
# a crash.  Dead letters are counted as well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);

# it keeps its calls
braze_destination($node, 'postgres', 'paused', $braze);

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

run("SELECT braze_pause('paused')");

# Nobody writes while the table is locked, and whoever has written has been
# counted by then.  Returns the differences, if the figures say they are exact.
run(<<'EOS');
CREATE FUNCTION difference() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE braze_queue IN SHARE MODE;
	IF EXISTS (SELECT FROM braze_metrics() WHERE name = 'segment_braze_pending_exact' AND value <> 1) THEN
		RETURN 'not exact';
	END IF;
	RETURN coalesce((
		SELECT string_agg(format('%s: %s calls of %s, %s bytes of %s', destination, m.calls, q.calls, m.bytes, q.bytes), '; ')
		FROM (
			SELECT destination::text, sum(value) FILTER (WHERE name = 'segment_braze_pending_calls') AS calls,
				sum(value) FILTER (WHERE name = 'segment_braze_pending_bytes') AS bytes
			FROM braze_metrics() WHERE name LIKE 'segment\_braze\_pending\_%' GROUP BY 1
		) m FULL JOIN (
			SELECT destination, count(*) AS calls, sum(pg_column_size(call)) AS bytes FROM braze_queue GROUP BY 1
		) q USING (destination)
		WHERE coalesce(m.calls, 0) <> coalesce(q.calls, 0) OR coalesce(m.bytes, 0) <> coalesce(q.bytes, 0)
	), 'none');
END
$$;
EOS

sub is_exact
{
	my ($what) = @_;
	my $difference = 'not exact';

	for (my $i = 0; $difference eq 'not exact' && $i < 10 * $PostgreSQL::Test::Utils::timeout_default; $i++)
	{
		select(undef, undef, undef, 0.1) if $i > 0;
		$difference = run('SET lock_timeout = $$60s$$; SELECT difference()');
	}
	return is($difference, 'none', $what);
}

sub is_known_to_be_inexact
{
	my ($what) = @_;
	return is(run("SELECT exact FROM braze_counters() WHERE destination = 'paused'"), 'f', $what);
}

# ----- one after another -----

is_exact('of an empty queue');
run(<<'EOS');
INSERT INTO braze_queue (destination, call)
SELECT 'paused', jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', repeat('A', 30 + n % 3000))
FROM generate_series(1, 20000) n
EOS
is(run('SET lock_timeout = $$60s$$; SELECT difference()'), 'none', 'what is inserted counts at once');
is(run(<<'EOS'), '20000|t|t', 'the status has the same figures, and the oldest call');
SELECT pending, pending_bytes = (SELECT sum(pg_column_size(call)) FROM braze_queue), exact
FROM braze_status WHERE destination = 'paused'
EOS
ok($node->poll_query_until('postgres', <<'EOS'), 'and the oldest call');
SELECT oldest_pending BETWEEN clock_timestamp() - min - interval '1 s' AND clock_timestamp() - min
FROM braze_status, (SELECT min(queued_at) FROM braze_queue) q WHERE destination = 'paused'
EOS
run(<<'EOS');
BEGIN;
SELECT braze_track('u1', 'Large', jsonb_build_object('text', repeat('A', 5000)), destination => 'paused');
SAVEPOINT a;
SELECT braze_track('u1', 'Rolled back', destination => 'paused');
ROLLBACK TO a;
SAVEPOINT b;
SELECT braze_track('u1', 'Kept', destination => 'paused');
RELEASE b;
COMMIT;
BEGIN;
SELECT braze_track('u1', 'Rolled back', destination => 'paused');
ROLLBACK;
EOS
is(run('SET lock_timeout = $$60s$$; SELECT difference()'), 'none', 'what is rolled back does not');

run("DELETE FROM braze_queue WHERE id % 100 = 0");
is_exact('after a DELETE');
run("UPDATE braze_queue SET destination = 'nobody' WHERE id % 100 = 1");
is_exact('after an UPDATE, of a destination without a server');
is(run("SELECT pending, exact FROM braze_status WHERE destination = 'nobody'"),
	run("SELECT count(*), true FROM braze_queue WHERE destination = 'nobody'"), 'which the status knows');
run('VACUUM FULL braze_queue');
is_exact('after VACUUM FULL');
foreach my $id (100, 1000000)
{
	run("INSERT INTO braze_queue (id, destination, call) VALUES ($id, 'paused', '{}')");
	is_exact("with id $id, which nobody drew");
}
run("DELETE FROM braze_queue WHERE id = 1000000");

# whoever commits it may be any session
run("BEGIN; SELECT braze_track('u1', 'A', destination => 'paused'); DELETE FROM braze_queue WHERE id < 500; PREPARE TRANSACTION 'p'");
is_known_to_be_inexact('not while a transaction is prepared');
run("ROLLBACK PREPARED 'p'");
is_exact('once it is rolled back');
run("BEGIN; SELECT braze_track('u1', 'A', destination => 'paused'); DELETE FROM braze_queue WHERE id < 500; PREPARE TRANSACTION 'p'");
run("COMMIT PREPARED 'p'");
is_exact('and when another is committed');

# the same of one that deletes nothing
run("BEGIN; SELECT braze_track('u1', 'A', destination => 'paused'); PREPARE TRANSACTION 'p'");
is_known_to_be_inexact('nor while one is prepared that has only queued');
run("COMMIT PREPARED 'p'");
is_exact('and what it has queued counts');

# nobody is told, and the statistics show it
run(<<'EOS');
BEGIN;
ALTER TABLE braze_queue DISABLE TRIGGER braze_notify_deleted;
DELETE FROM braze_queue WHERE id % 50 = 0;
ALTER TABLE braze_queue ENABLE ALWAYS TRIGGER braze_notify_deleted;
COMMIT;
EOS
ok($node->poll_query_until('postgres', <<'EOS'), 'and after a DELETE that fires no trigger');
SELECT exact AND pending = (SELECT count(*) FROM braze_queue WHERE destination = 'paused')
FROM braze_counters() WHERE destination = 'paused'
EOS
run('ALTER TABLE braze_queue DISABLE TRIGGER braze_notify_deleted');
ok($node->poll_query_until('postgres', "SELECT NOT exact FROM braze_counters() WHERE destination = 'paused'"),
	'not while a trigger is off');
run('DELETE FROM braze_queue WHERE id % 50 = 1');
run('ALTER TABLE braze_queue ENABLE TRIGGER braze_notify_deleted');
is_exact('once it is on again');

# ----- while a transaction is open that a count has to wait for -----

my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN");
$open->query_safe("SELECT braze_track('u1', 'Open', destination => 'paused')");
run('DELETE FROM braze_queue WHERE id < 600');
$open->query_safe("SELECT braze_track('u1', 'Open', destination => 'paused')");
is_known_to_be_inexact('a count waits for who may insert what it reads');
$open->query_safe("COMMIT");
$open->quit;
is_exact('and has what they inserted before and after it began');

# ----- what is settled while a count comes by -----

run("SELECT braze_track('warm up', 'Settled', destination => 'braze')");
braze_flush($node, 'postgres', 'braze');
$braze->hold;
run("SELECT count(braze_track('u' || n, 'Settled', destination => 'braze')) FROM generate_series(1, 1500) n");
run(<<'EOS');
INSERT INTO braze_queue (destination, call)
SELECT 'paused', '{"type": "track", "userId": "u", "event": "Kept"}' FROM generate_series(1, 30000)
EOS
$braze->wait_for_stat('held', 10);
run("DELETE FROM braze_queue WHERE id = (SELECT max(id) FROM braze_queue)");
$braze->release(count => 1) for 1 .. 20;
$braze->release;
is_exact('what is settled during a count does not count');

# ----- many at once -----

my $directory = $PostgreSQL::Test::Utils::tmp_check;
append_to_file("$directory/write.sql", <<'EOS');
\set n random(1, 1000)
SELECT braze_track('u:n', 'Sent', destination => 'braze');
BEGIN;
SELECT braze_track('u:n', 'Kept', destination => 'paused');
SAVEPOINT a;
SELECT braze_track('u:n', 'Kept, perhaps', destination => 'paused');
\if :n % 2
ROLLBACK TO a;
\endif
INSERT INTO braze_queue (destination, call) VALUES ('paused', '{"type": "track", "userId": "u", "event": "Inserted"}');
\if :n % 3
COMMIT;
\else
ROLLBACK;
\endif
EOS

sub start_writers
{
	return IPC::Run::start(
		[ 'pgbench', '-n', '-c', '6', '-t', '100000', @_, '-f', "$directory/write.sql", '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \my $out, '2>', \my $errors);
}

my $writers = start_writers();
ok($node->poll_query_until('postgres', "SELECT count(*) > 100 FROM braze_queue WHERE call ->> 'event' = 'Kept'"), 'writers');
for my $i (1 .. 8)
{
	run($i % 4 ? 'DELETE FROM braze_queue WHERE id IN (SELECT id FROM braze_queue ORDER BY id LIMIT 10)' : 'TRUNCATE braze_queue');
	is_exact("while others write, $i");
}

# ----- a trigger that the worker fires -----

# It makes deletions slow.  A worker that falls behind would never catch up: the
# search for the lowest id passes all that its own transaction has deleted.
$writers->signal('TERM');
$writers->finish;
is(run(q{SELECT braze_flush('180 s', 'braze')}), 't', 'the worker has caught up');
$writers = start_writers('-R', '300');

run(<<'EOS');
CREATE FUNCTION others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.braze_queue (destination, call) VALUES ('paused', '{"type": "track", "userId": "u", "event": "Of a trigger"}');
	PERFORM public.braze_track('u1', 'Of a trigger', destination => 'paused');
	DELETE FROM public.braze_queue WHERE id = (SELECT min(id) FROM public.braze_queue WHERE destination = 'paused');
	RETURN NULL;
END
$$;
CREATE TRIGGER others AFTER DELETE ON braze_queue FOR EACH ROW WHEN (OLD.destination = 'braze') EXECUTE FUNCTION others();
SELECT braze_track('u' || n, 'Sent', destination => 'braze') FROM generate_series(1, 20) n;
EOS
is_exact('what a trigger inserts and deletes, in the worker as well');
ok($node->poll_query_until('postgres',
	"SELECT count(*) >= 20 FROM braze_queue WHERE call ->> 'event' = 'Of a trigger'"), 'which it did');
is_exact('and after it');
run('DROP TRIGGER others ON braze_queue');

# ----- after a crash -----

kill 'KILL', braze_worker_pid($node);
$writers->finish;
braze_wait_for_worker($node);
is_exact('after a crash');
run("SELECT braze_track('u1', 'A', destination => 'paused')");
is_exact('and what is queued since');

# ----- a queue that is empty -----

run("SELECT braze_start('paused')");
braze_flush($node);
run("DELETE FROM braze_queue");
is_exact('of a queue that was sent');
is(run("SELECT sum(value) FROM braze_metrics() WHERE name = 'segment_braze_pending_calls'"), '0', 'nothing waits');
run("SELECT braze_pause('paused'); TRUNCATE braze_queue RESTART IDENTITY; SELECT braze_track('u1', 'A', destination => 'paused')");
is_exact('after TRUNCATE with ids that begin anew');

# ----- many destinations in one transaction, parts of which are rolled back -----

sub insert_for
{
	my ($first, $last) = @_;

	return <<EOS;
INSERT INTO braze_queue (destination, call)
SELECT 'many' || n, '{"type": "track", "userId": "u", "event": "E"}' FROM generate_series($first, $last) n;
EOS
}

run('BEGIN;' . insert_for(1, 200)
	  . 'SAVEPOINT a;' . insert_for(101, 300)
	  . 'SAVEPOINT b;' . insert_for(1, 400) . 'ROLLBACK TO b;'
	  . 'SAVEPOINT c; SAVEPOINT d;' . insert_for(250, 400) . 'RELEASE d; RELEASE c;' . insert_for(1, 10)
	  . 'RELEASE a;' . insert_for(1, 20) . 'COMMIT;');
is(run(q{SELECT count(*), count(DISTINCT destination) FROM braze_queue WHERE destination LIKE 'many%'}), '581|400', 'of many destinations');
is_exact('which are counted');
run('BEGIN;' . insert_for(1, 400) . 'SAVEPOINT a;' . insert_for(1, 400) . 'ROLLBACK;' . insert_for(1, 400));
is_exact('in a later transaction, too');
run("DELETE FROM braze_queue WHERE destination LIKE 'many%'");
is_exact('and once they are gone');

# ----- dead letters -----

run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT CASE WHEN n % 4 > 0 THEN 'paused' END, jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', repeat('A', 100)), 'r', now()
FROM generate_series(1, 20000) n
EOS
ok($node->poll_query_until('postgres', <<'EOS'), 'of many dead letters');
SELECT dead_letters = (SELECT count(*) FROM braze_dead_letters WHERE destination = 'paused') AND NOT braze_is_small(true)
FROM braze_status WHERE destination = 'paused'
EOS
run('SELECT braze_retry(id) FROM braze_dead_letters WHERE destination = $$paused$$ LIMIT 100');
ok($node->poll_query_until('postgres', <<'EOS'), 'of which some are queued again');
SELECT dead_letters = 14900 AND pending = 101 FROM braze_status WHERE destination = 'paused'
EOS

done_testing();
