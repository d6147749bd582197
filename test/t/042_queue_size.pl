# max_queue_size with a worker: what is delivered makes room, whatever else
# happens to the queue, and what is counted is right again after a crash.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new(fast => undef);
my $node = braze_node('main', $braze, options => "max_queue_size '1 MB'");
my $limit = 1024 * 1024;

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

# of about 1 kB each; the SQLSTATE when the queue is full
sub queue
{
	my ($calls) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', <<EOS, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
SELECT count(braze_track('u' || i, 'e', jsonb_build_object('x', repeat('x', 900)))) FROM generate_series(1, $calls) i
EOS
	return $stdout if $status == 0;
	return $stderr =~ /(53400)/ ? $1 : $stderr;
}

sub pending
{
	return run("SELECT coalesce(sum(pending_bytes), 0) FROM braze_status WHERE destination = 'braze'");
}

# one by one until it is full: as many as there is room for
sub fill
{
	run(<<'EOS');
DO $$
BEGIN
	LOOP
		BEGIN
			PERFORM braze_track('u1', 'e', jsonb_build_object('x', repeat('x', 900)));
		EXCEPTION WHEN configuration_limit_exceeded THEN
			EXIT;
		END;
	END LOOP;
END
$$
EOS
	return;
}

# many times its size goes through the queue, and leaves dead rows behind
$node->safe_psql('postgres', 'ALTER TABLE braze_queue SET (autovacuum_enabled = off)');
foreach my $round (1 .. 20)
{
	my $queued = queue(600);

	is($queued, '600', "round $round") if $queued ne '600' || $round == 20;
	braze_flush($node);
}
cmp_ok(run("SELECT pg_relation_size('braze_queue')"), '>', 10 * $limit, 'dead rows take more than the limit');

# paused: it fills up, and no further
run("SELECT braze_pause('braze')");
is(queue(10000), '53400', 'what does not fit is an error');
is(pending(), '0', 'and its transaction is rolled back');
is(queue(900), '900', 'which makes room');
is(queue(900), '53400', 'for so many calls');
like(queue(30), qr/^30$/, 'for a few more there is');
my $full = pending();
cmp_ok($full, '<=', $limit, 'the limit is kept');

# sessions at the same time
run("SELECT braze_purge('braze')");
my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 4;
$_->query_safe('BEGIN') foreach @sessions;
foreach my $round (1 .. 3)
{
	foreach my $session (@sessions)
	{
		$session->query(<<'EOS');
SAVEPOINT a;
SELECT count(braze_track('u' || i, 'e', jsonb_build_object('x', repeat('x', 900)))) FROM generate_series(1, 100) i;
EOS
		$session->query('ROLLBACK TO a') if $session->{stderr} =~ /full/;
		$session->{stderr} = '';
	}
}
$_->query('COMMIT') foreach @sessions;
$_->quit foreach @sessions;
cmp_ok(pending(), '<=', $limit, 'transactions at the same time keep it together');
cmp_ok(pending(), '>', $limit * 8 / 10, 'and use it');

# a prepared transaction counts
run("SELECT braze_purge('braze')");
is(queue(500), '500', 'half of it');
run(<<'EOS');
BEGIN;
SELECT count(braze_track('u' || i, 'e', jsonb_build_object('x', repeat('x', 900)))) FROM generate_series(1, 400) i;
PREPARE TRANSACTION 'p';
EOS
is(queue(400), '53400', 'what is prepared counts');
run("COMMIT PREPARED 'p'");
is(queue(400), '53400', 'and when it is committed, too');
cmp_ok(pending(), '<=', $limit, 'the limit is kept');

# a restart and a crash: it is counted anew
$node->restart;
is(queue(400), '53400', 'it is full after a restart');
my $worker = braze_wait_for_worker($node);
kill 'KILL', $worker;
braze_wait_for_worker($node, 'postgres', $worker);
is(queue(400), '53400', 'and after a crash');

# delivered: there is room
run("SELECT braze_start('braze')");
braze_flush($node);
is(queue(900), '900', 'what is delivered makes room');
braze_flush($node);

# rows that nobody counted, delivered: it does not get out of step
run(<<'EOS');
INSERT INTO braze_queue (destination, call)
SELECT 'braze', jsonb_build_object('type', 'track', 'userId', i, 'event', 'e', 'properties', jsonb_build_object('x', repeat('x', 900)))
FROM generate_series(1, 5000) i
EOS
braze_flush($node);
is(queue(900), '900', 'plain rows do not count twice');
run("SELECT braze_pause('braze')");
fill();
cmp_ok(pending(), '<=', $limit, 'nor do they count as less than nothing');
cmp_ok(pending(), '>', $limit * 9 / 10, 'all of it is used');

# what is deleted by hand
run('DELETE FROM braze_queue');
is(queue(900), '900', 'what is deleted by hand makes room at once');
run('TRUNCATE braze_queue');
is(queue(900), '900', 'and so does what is truncated');

# rows that nobody counted, and that it hears nothing of
run("INSERT INTO braze_queue (destination, call) SELECT destination, call FROM braze_queue LIMIT 300");
run('ALTER TABLE braze_queue DISABLE TRIGGER USER; DELETE FROM braze_queue; ALTER TABLE braze_queue ENABLE TRIGGER USER');
ok($node->poll_query_until('postgres', <<'EOS'), 'what was deleted past the triggers makes room in time');
SELECT braze_track('u1', 'e', jsonb_build_object('x', repeat('x', 200000 + (random() * 100)::int))) IS NOT NULL
EOS

# dropped, and counted where the transaction commits
run("SELECT braze_purge('braze')");
run("ALTER SERVER braze OPTIONS (ADD on_full 'drop')");
my $queued = queue(2000);
cmp_ok($queued, '<', 1024, 'calls are dropped');
is(run('SELECT dropped FROM braze_status'), 2000 - $queued, 'and counted');
run("BEGIN; SELECT count(braze_track('u' || i, 'e')) FROM generate_series(1, 10000) i; ROLLBACK");
is(run('SELECT dropped FROM braze_status'), 2000 - $queued, 'not those of a transaction that is rolled back');
run("SELECT braze_start('braze')");
braze_flush($node);
is(queue(100), '100', 'none is dropped when there is room');
is(run('SELECT dropped FROM braze_status'), 2000 - $queued, 'nor counted');

# a retry has room, and counts
braze_flush($node);
run("SELECT braze_pause('braze'); ALTER SERVER braze OPTIONS (SET on_full 'error')");
run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT 'braze', jsonb_build_object('type', 'track', 'userId', i, 'event', 'e', 'properties', jsonb_build_object('x', repeat('x', 900))), 'r', now()
FROM generate_series(1, 2000) i
EOS
is(run('SELECT braze_retry()'), '2000', 'a retry is not held to it');
is(queue(1), '53400', 'but counts');

# without the library in shared_preload_libraries it holds as well
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->append_conf('postgresql.conf', "log_min_messages = warning");
$node->restart;
is(queue(1), '53400', 'without shared memory it is full, too');
run("SELECT braze_purge('braze')");
is(queue(600), '600', 'and has room');
is(queue(600), '53400', 'but not for more');
fill();
cmp_ok(pending(), '<=', $limit, 'the limit is kept');

$node->stop;
done_testing();
