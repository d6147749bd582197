# Syncs by their timetable: each run is a process of its own, connected as the
# sync's owner, which holds up no delivery, can be cancelled, and may be killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# logical replication has one process, the launcher one, and the worker one
my $braze = StandIn->new;
my $node = braze_node('main', $braze, conf => <<EOC);
max_worker_processes = 5
max_parallel_workers = 0
segment_braze.max_sync_workers = 3
EOC

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub wait_for_status
{
	my ($sync, $status, $database) = @_;

	return $node->poll_query_until($database || 'postgres',
		"SELECT status LIKE '$status' FROM braze_syncs WHERE name = '$sync'")
	  || diag(run('SELECT name, status, next_run, pid FROM braze_syncs', $database));
}

# now, and not when its time has come
sub run_soon
{
	my ($sync) = @_;
	return run("UPDATE braze_syncs SET next_run = now(), status = 'to run' WHERE name = '$sync'");
}

sub lines
{
	my ($text) = @_;
	return scalar grep { index($_, $text) >= 0 } split /\n/, slurp_file($node->logfile);
}

sub said_once
{
	my ($text, $what) = @_;

	StandIn::wait_until(sub { lines($text) > 0 }, "the log has: $text");
	return is(lines($text), 1, $what);
}

# --- a process of its own, with the rights of the owner and no others

run(<<'EOS');
CREATE ROLE app LOGIN;
CREATE ROLE nobody;
GRANT nobody TO app;
GRANT USAGE ON FOREIGN SERVER braze TO app, nobody;
GRANT CREATE ON SCHEMA public TO app;
EOS
my $psql = $node->psql('postgres', <<'EOS', extra_params => [ '-U', 'app' ]);
SELECT braze_create_sync('who', $$SELECT 'who' AS id, session_user::text AS session, current_user::text AS role, backend_type AS process
	FROM pg_stat_activity WHERE pid = pg_backend_pid()$$, 'id', every => '1 h');
EOS
is($psql, 0, 'a sync is created by its owner');
wait_for_status('who', 'finished');
braze_flush($node);
my $who = $braze->user('who')->{attributes};
is("$who->{session} $who->{role} $who->{process}", 'app app segment_braze sync', 'it runs as its owner, in a process of its own');
is(run(q(SELECT added || ' ' || (next_run > now() + interval '50 min') FROM braze_syncs JOIN braze_sync_runs ON sync = name)),
	'1 true', 'once, and again when its time has come');

# --- an owner who may not log in

my ($error);
$node->psql('postgres', q(SELECT braze_create_sync('no', 'SELECT 1 AS id', 'id', every => '1 h', owner => 'nobody')),
	stderr => \$error);
if ($node->pg_version < 17)
{
	like($error, qr/cannot run as role "nobody", which may not log in.*owner => a role/s,
		'an owner who may not log in is refused, with what to do');
}
else
{
	is($error, '', 'an owner who may not log in is allowed');
	wait_for_status('no', 'finished');
	run(q(SELECT braze_drop_sync('no')));
}

# --- a query that takes long holds up nothing; it is cancelled, and has a time limit

run(<<'EOS');
SELECT braze_create_sync('slow', 'SELECT ''slow'' AS id, pg_sleep(3600)::text', 'id', every => '1 h', owner => 'app');
EOS
wait_for_status('slow', 'reading');
run(q(SELECT count(braze_track('u' || n, 'Live')) FROM generate_series(1, 10000) n));
braze_flush($node);
is($braze->accepted('events'), 10000, 'calls are delivered while it sleeps');
is(run(q(SELECT status FROM braze_syncs WHERE name = 'slow')), 'reading', 'and it does still');
$node->psql('postgres', q(CALL braze_run_sync('slow')), stderr => \$error);
like($error, qr/sync "slow" is running already.*pg_cancel_backend/s, 'it does not run twice, and the error says how to end it');
$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM braze_syncs WHERE name = 'slow'), extra_params => [ '-U', 'app' ]);
wait_for_status('slow', 'failed: canceling statement due to user request');
is(run(q(SELECT error FROM braze_sync_runs WHERE sync = 'slow')), 'canceling statement due to user request', 'its owner cancels it');
run(q(ALTER ROLE app SET statement_timeout = '100ms'));
foreach (1 .. 2)
{
	run_soon('slow');
	wait_for_status('slow', 'failed: canceling statement due to statement timeout');
}
said_once('sync "slow" in database "postgres" failed: canceling statement due to statement timeout', 'the role\'s statement_timeout counts; the log says so once');
run(q(ALTER ROLE app RESET statement_timeout; UPDATE braze_syncs SET query = 'SELECT ''slow'' AS id, 1 AS sleep' WHERE name = 'slow'));
run_soon('slow');
wait_for_status('slow', 'finished');
said_once('sync "slow" in database "postgres" runs again', 'and once that it works again');

# --- no place

run(sprintf(q(SELECT braze_create_sync('sleep%d', 'SELECT 1 AS id, pg_sleep(3600)::text', 'id', every => '1 h', owner => 'app')), $_)) foreach 1, 2;
wait_for_status("sleep$_", 'reading') foreach 1, 2;
run_soon('who');
wait_for_status('who', 'waiting: no background worker is free;%');
$node->append_conf('postgresql.conf', 'segment_braze.max_sync_workers = 2');
$node->reload;
wait_for_status('who', 'waiting: 2 syncs are running, as many as segment_braze.max_sync_workers');
run(<<'EOS');
CREATE ROLE modest LOGIN;
GRANT USAGE ON FOREIGN SERVER braze TO modest;
SELECT braze_create_sync('modest', 'SELECT ''modest'' AS id, 1 AS n', 'id', every => '1 h', owner => 'modest');
EOS
ok(wait_for_status('modest', 'finished'), 'a role that had all places leaves one to others');
ok(wait_for_status('who', 'waiting: 1 syncs of its owner are running; the last place%'), 'and does not take it again');
run(q(SELECT braze_drop_sync('modest'); SELECT braze_drop_sync('sleep1')));
run(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'segment_braze sync "sleep1"'));
wait_for_status('who', 'finished');
said_once('no background worker is free for sync', 'the log says once that there is no place');
said_once('syncs of database "postgres" have background workers again', 'and once that there is one again');
run(q(SELECT braze_drop_sync('sleep2')));
run(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'segment_braze sync "sleep2"'));

# a process that collects has no part in max_sync_workers
run(<<'EOS');
CREATE EXTENSION postgres_fdw;
CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere;
SELECT braze_collect('nowhere', 'outbox');
EOS
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'segment_braze collector'")
  or die 'nothing is collected';
$node->append_conf('postgresql.conf', 'segment_braze.max_sync_workers = 1');
$node->reload;
my $finished = q{SELECT count(*) FROM braze_sync_runs WHERE sync = 'who' AND finished IS NOT NULL};
my $before = run($finished);
run_soon('who');
ok($node->poll_query_until('postgres', "SELECT ($finished) > $before"), 'a sync runs beside a collector where there is one place');
run(q(SELECT braze_stop_collecting('nowhere', 'outbox', force => true)));
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'segment_braze collector'")
  or die 'the collector does not end';
$node->append_conf('postgresql.conf', 'segment_braze.max_sync_workers = 2');
$node->reload;

# --- what is wrong with one sync is nothing to the others

run(<<'EOS');
SELECT braze_create_sync('faulty', 'SELECT 1 AS id', 'id', every => '1 h', owner => 'app');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'by a trigger'; END$$;
CREATE TRIGGER refuse BEFORE UPDATE ON braze_syncs FOR EACH ROW WHEN (NEW.name = 'faulty' AND NEW.status LIKE 'starting%') EXECUTE FUNCTION refuse();
EOS
run_soon('faulty');
wait_for_status('faulty', 'not running: %by a trigger');
run_soon('who');
wait_for_status('who', 'finished');
said_once('sync "faulty" in database "postgres" cannot be run:', 'the log says once that a sync cannot be run, and another is');
run('DROP TRIGGER refuse ON braze_syncs');
run_soon('faulty');
wait_for_status('faulty', 'finished');
said_once('sync "faulty" in database "postgres" can be run again', 'and once that it can');

# --- a run that never begins, and a clock that was ahead

run('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
run_soon('who');
wait_for_status('who', 'starting;%');
is(run(q(SELECT next_run < now() + interval '6 min' FROM braze_syncs WHERE name = 'who')), 't', 'a run that never begins is started again soon');
$node->wait_for_log(qr/permission denied for database "postgres"/);
run('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
run(q(UPDATE braze_syncs SET next_run = now() + interval '300 days', status = 'to run' WHERE name = 'who'));
ok(wait_for_status('who', 'finished'), 'a next run that is further ahead than the clock can have put it is now');

# --- parts, and a kill between them

run('CREATE TABLE users AS SELECT \'b\' || n AS id, n FROM generate_series(1, 25000) n; GRANT SELECT ON users TO app');
$braze->hold;
run(q(SELECT braze_create_sync('big', 'SELECT * FROM users', 'id', every => '1 h', owner => 'app')));
$node->poll_query_until('postgres', q(SELECT rows_queued = 10000 FROM braze_syncs WHERE name = 'big' AND status = 'queueing'));
is(run(q(SELECT count(*) FROM braze_sync_state t JOIN braze_syncs s ON s.id = t.sync WHERE s.name = 'big')), 10000,
	'the second part waits for the first');
run(q(SELECT pg_cancel_backend(pid) FROM braze_syncs WHERE name = 'big'));
wait_for_status('big', 'failed: canceling statement due to user request');
run_soon('big');
$node->poll_query_until('postgres', q(SELECT rows_queued = 10000 AND rows_to_queue = 15000 FROM braze_syncs WHERE name = 'big' AND status = 'queueing'));
my $pid = run(q(SELECT pid FROM braze_syncs WHERE name = 'big'));
my $worker = braze_worker_pid($node);
kill 'KILL', $pid;
$braze->release;
braze_wait_for_worker($node, 'postgres', $worker);
wait_for_status('big', 'its last run ended before it had finished;%');
run_soon('big');
wait_for_status('big', 'finished');
is(run(q(SELECT string_agg(coalesce(added || ' added, ' || unchanged || ' unchanged', error), '; ' ORDER BY started) FROM braze_sync_runs WHERE sync = 'big')),
	'canceling statement due to user request; its process ended before it had finished; 5000 added, 20000 unchanged',
	'after a cancel and a kill the next run does what is left');
braze_flush($node);
is(scalar(grep { defined $braze->user($_)->{attributes}{n} } 'b1', 'b10000', 'b10001', 'b25000'), 4, 'Braze has all of them');

# --- a user who is deleted

run(q(SELECT braze_create_sync('brace', 'SELECT ''{b7}'' AS id, 1 AS n', 'id')));
run(q(CALL braze_run_sync('brace')));
run(q(SELECT braze_delete_user('b7'), braze_delete_user('{b7}')));
braze_flush($node);
is(run(q(SELECT count(*) FROM braze_sync_state WHERE key ~ 'b7' AND key !~ 'b7[0-9]')), 0,
	'the deletion of a user takes their state along');
run(q(SELECT braze_drop_sync('brace')));
run_soon('big');
wait_for_status('big', 'finished');
is(run(q(SELECT added || ' ' || unchanged FROM braze_sync_runs WHERE sync = 'big' ORDER BY started DESC LIMIT 1)), '1 24999',
	'so the next run sends who is still there');

# --- a destination that takes nothing keeps no place

braze_flush($node);
$braze->fault(kind => 'status', status => 503);
run(q(CREATE TABLE more AS SELECT 'c' || n AS id, n FROM generate_series(1, 25000) n; GRANT SELECT ON more TO app));
run(q(SELECT braze_create_sync('more', 'SELECT * FROM more', 'id', every => '1 h', owner => 'app')));
wait_for_status('more', 'failed: destination "braze" takes no calls: retrying%');
my $queued = run('SELECT count(*) FROM braze_queue');
is($queued, 10000, 'a run ends when its destination takes nothing');
is(run(q(SELECT next_run < now() + interval '6 min' FROM braze_syncs WHERE name = 'more')), 't', 'and the next one is soon');
run_soon('more');
wait_for_status('more', 'failed: destination "braze" takes no calls: retrying%');
is(run('SELECT count(*) FROM braze_queue'), $queued, 'which queues no further part');
$braze->clear_faults;
braze_flush($node);
run_soon('more');
wait_for_status('more', 'finished');
is(run(q(SELECT added FROM braze_sync_runs WHERE sync = 'more' ORDER BY started DESC LIMIT 1)), 15000, 'until it takes calls again');
run(q(SELECT braze_drop_sync('more')));

# --- a copy of the database runs nothing, and is dropped while a sync of it runs

run('UPDATE braze_syncs SET next_run = now()');
wait_for_status($_, 'finished') foreach 'who', 'slow', 'big';
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a dump');
run('CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'is restored');
run('UPDATE braze_syncs SET next_run = now()', 'copy');
wait_for_status('big', 'not running here: destination "braze" is not started; to deliver from this database, run SELECT braze_start(%', 'copy');
run(q(SELECT braze_drop_sync('big'); SELECT braze_drop_sync('slow'); UPDATE braze_syncs SET query = 'SELECT 1 AS id, pg_sleep(3600)::text' WHERE name = 'who'), 'copy');
braze_start($node, 'copy', 'braze');
wait_for_status('who', 'reading', 'copy');
run('DROP DATABASE copy');
is(run(q(SELECT count(*) FROM pg_database WHERE datname = 'copy')), 0, 'a database is dropped while a sync of it runs');

done_testing();
