# A collector that is killed, ended or held up at each of its steps: each call is
# queued exactly once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Carp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $origin = braze_server('origin', conf => 'segment_braze.deliver = off');
my $node = braze_node('node', $braze, conf => "wal_level = replica\nmax_wal_senders = 2");

sub wait_for
{
	my ($where, $condition) = @_;

	$where->poll_query_until('postgres', "SELECT $condition") or croak "in vain: $condition";
	return;
}

sub queue_calls
{
	my ($first, $last) = @_;

	$origin->safe_psql('postgres', "SELECT braze_track('u1', 'e' || i) FROM generate_series($first, $last) i");
	return;
}

# the numbers that were queued here, in order, and what is left there
sub is_collected
{
	my ($last, $what) = @_;

	wait_for($origin, 'count(*) = 0 FROM braze_queue');
	is($node->safe_psql('postgres', q{SELECT string_agg(call->>'event', ',' ORDER BY id) FROM braze_queue}),
		join(',', map { "e$_" } 1 .. $last), $what);
	return;
}

# a lock that is held until it is given back; the collector waits behind it
sub lock_queue
{
	my ($where, $mode) = @_;
	my $session = $where->background_psql('postgres');

	$session->query_safe("BEGIN; LOCK TABLE braze_queue IN $mode MODE");
	return $session;
}

# calls that the collector may read but not delete: it stands still until both are so
sub queue_under_lock
{
	my ($session, $name, $first, $last) = @_;
	my $collector = braze_freeze_collector($node);

	$session->query_safe(<<"EOS");
BEGIN; SELECT braze_track('u1', '$name' || i) FROM generate_series($first, $last) i; COMMIT; BEGIN; LOCK TABLE braze_queue IN SHARE MODE
EOS
	kill 'CONT', $collector;
	return;
}

my $collector_waits = q{count(*) > 0 FROM pg_stat_activity a JOIN pg_locks l USING (pid)
	WHERE NOT l.granted AND a.application_name LIKE 'segment_braze collector%'};

sub kill_and_wait
{
	my ($pid) = @_;

	kill 'KILL', $pid;
	StandIn::wait_until(sub { !kill 0, $pid }, 'the process is gone');
	return;
}

$node->safe_psql('postgres', "SELECT braze_pause('braze')");
$origin->safe_psql('postgres', q{CREATE EXTENSION segment_braze;
	CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01')});
my ($host, $port) = ($origin->host, $origin->port);
$node->safe_psql('postgres', <<"EOS");
CREATE EXTENSION postgres_fdw;
CREATE SERVER shop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR PUBLIC SERVER shop;
SELECT braze_collect('shop', 'braze_queue');
EOS

# ----- before the commit here -----

queue_calls(1, 3);
is_collected(3, 'nothing is killed yet');
my $lock = lock_queue($node, 'SHARE');
queue_calls(4, 6);
wait_for($node, $collector_waits);
kill_and_wait(braze_collector_pid($node));
wait_for($origin, 'count(*) = 3 FROM braze_queue');
eval { $lock->quit; };
is_collected(6, 'SIGKILL before the commit: the calls are still there');

# ----- after the commit here, before they are deleted there -----

$lock = $origin->background_psql('postgres');
queue_under_lock($lock, 'e', 7, 9);
wait_for($origin, $collector_waits);
wait_for($node, 'count(*) = 9 FROM braze_queue');
kill_and_wait(braze_collector_pid($node));
$lock->query_safe('COMMIT');
is_collected(9, 'SIGKILL after the commit: what is noted is deleted there, and not queued again');

queue_under_lock($lock, 'e', 10, 12);
wait_for($origin, $collector_waits);
$origin->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'segment_braze collector%'});
wait_for($origin, $collector_waits);
$lock->query_safe('COMMIT');
is_collected(12, 'the connection is ended meanwhile');

# ----- an end that is asked for while the origin does not answer -----

queue_under_lock($lock, 'e', 13, 15);
wait_for($origin, $collector_waits);
is($node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . braze_collector_pid($node) . ', 20000)'), 't', 'a collector that waits is terminated');
wait_for($origin, $collector_waits);
$node->safe_psql('template1', 'ALTER DATABASE postgres RENAME TO renamed; ALTER DATABASE renamed RENAME TO postgres');
wait_for($origin, $collector_waits);

# the origin's own process stands still: neither a cancel nor an end reaches it
my $stopped = $origin->safe_psql('postgres', q{SELECT max(pid) FROM pg_stat_activity WHERE application_name LIKE 'segment_braze collector%' AND state = 'active'});
kill 'STOP', $stopped;
ok($node->stop('fast', fail_ok => 1), 'a server whose collector waits for an origin that hangs shuts down');
kill 'CONT', $stopped;
$node->start;
$lock->query_safe('COMMIT');
is_collected(15, 'and nothing is lost');

# an answer is waited for as long as the role's statement_timeout says
$node->safe_psql('postgres', q{ALTER ROLE CURRENT_USER SET statement_timeout = '2s'});
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . braze_collector_pid($node) . ', 20000)');
queue_under_lock($lock, 'e', 16, 18);
wait_for($node, q{state LIKE 'retrying: the origin did not answer in time: %' FROM braze_origins});
$lock->query_safe('COMMIT');
is_collected(18, 'an origin that hangs for a while');

# ----- the node and the origin -----

queue_calls(19, 21);
$node->stop('immediate');
$node->start;
is_collected(21, 'immediate shutdown of the node');
$origin->stop('immediate');
$origin->start;
queue_calls(22, 24);
is_collected(24, 'immediate shutdown of the origin');

# ----- an end of collecting leaves nothing there that is here -----

$lock = $origin->background_psql('postgres');
queue_under_lock($lock, 'stop ', 1, 3);
wait_for($origin, $collector_waits);
wait_for($node, q{count(*) = 3 FROM braze_queue WHERE call->>'event' LIKE 'stop %'});
is($node->safe_psql('postgres', q{SELECT braze_stop_collecting('shop', 'braze_queue')}), 't', 'collecting is to stop');
like($node->safe_psql('postgres', 'SELECT state FROM braze_origins'), qr/^stopping/, 'which takes until they are deleted there');
$lock->query_safe(q{SELECT braze_track('u1', 'stop 4'); COMMIT});
wait_for($node, 'count(*) = 0 FROM braze_origins');
is($origin->safe_psql('postgres', q{SELECT string_agg(call->>'event', ',') FROM braze_queue}), 'stop 4', 'and nothing more is collected');
$node->safe_psql('postgres', q{SELECT braze_collect('shop', 'braze_queue')});
wait_for($origin, 'count(*) = 0 FROM braze_queue');

# one that does not get as far is ended by force, and what is noted is deleted when it is collected again
queue_under_lock($lock, 'stop ', 5, 6);
wait_for($origin, $collector_waits);
wait_for($node, q{count(*) = 6 FROM braze_queue WHERE call->>'event' LIKE 'stop %'});
$node->safe_psql('postgres', q{SELECT braze_stop_collecting('shop', 'braze_queue')});
wait_for($node, q{state LIKE 'stopping; retrying: %' FROM braze_origins});
$node->safe_psql('postgres', q{SELECT braze_stop_collecting('shop', 'braze_queue', force => true)});
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_origins'), 0, 'force');
$lock->query_safe('COMMIT');
$lock->quit;
$node->safe_psql('postgres', q{SELECT braze_collect('shop', 'braze_queue')});
wait_for($origin, 'count(*) = 0 FROM braze_queue');
is($node->safe_psql('postgres', q{SELECT string_agg(call->>'event', ',' ORDER BY id) FROM braze_queue WHERE call->>'event' LIKE 'stop %'}),
	'stop 1,stop 2,stop 3,stop 4,stop 5,stop 6', 'each was queued once');

# ----- what a trigger refuses here does not hold up the others -----

$node->safe_psql('postgres', <<'EOS');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.call->>'event' = 'e26' THEN
		RAISE 'not this one';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER refuse BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION refuse();
EOS
queue_calls(25, 27);
wait_for($node, q{state ~ 'collecting; some calls stay there: the call with id \d+: not this one' FROM braze_origins});
is($node->safe_psql('postgres', q{SELECT string_agg(call->>'event', ',' ORDER BY id) FROM braze_queue WHERE call->>'event' ~ 'e2[567]'}),
	'e25,e27', 'a call that a trigger refuses stays there alone');

# ----- what is not safe here is not deleted there -----

sub set_and_reload
{
	my ($setting) = @_;

	$node->append_conf('postgresql.conf', $setting);
	$node->reload;
	return;
}

sub queue_event
{
	my ($event) = @_;

	$origin->safe_psql('postgres', "SELECT braze_track('u1', '$event')");
	return;
}

# a trigger says what the collector's settings are, before a reload and after it
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE seen (setting text, reloaded text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_setting('synchronous_commit'), current_setting('my.reloaded', true));
	RETURN NEW;
END
$$;
CREATE TRIGGER look BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION look();
EOS
set_and_reload("synchronous_commit = off\nmy.reloaded = yes");
my $round = 0;
do
{
	queue_event('reload ' . ++$round);
	wait_for($node, "count(*) = 1 FROM braze_queue WHERE call->>'event' = 'reload $round'");
} until $node->safe_psql('postgres', q{SELECT count(*) FROM seen WHERE reloaded = 'yes'}) > 0;
is($node->safe_psql('postgres', 'SELECT DISTINCT setting FROM seen'), 'on', 'a reload does not lower synchronous_commit');

my $is_there = q{count(*) = 1 FROM braze_queue WHERE call->>'event' = 'unconfirmed'};
my $waits_for_standby = q{wait_event = 'SyncRep' AND backend_type = 'segment_braze collector'};
$lock = lock_queue($node, 'SHARE');
queue_event('unconfirmed');
wait_for($node, $collector_waits);
set_and_reload("synchronous_standby_names = 'nobody'");
$lock->quit;
$node->poll_query_until('postgres', <<"EOS") or croak 'the wait for a standby goes on';
SELECT count(pg_cancel_backend(pid)) >= 0 AND (SELECT state LIKE 'retrying: it is not known whether a synchronous standby%' FROM braze_origins)
FROM pg_stat_activity WHERE $waits_for_standby
EOS
wait_for($node, $is_there);
is($origin->safe_psql('postgres', "SELECT $is_there"), 't', 'a wait for a standby that was cancelled is no confirmation');
is($node->safe_psql('postgres', 'SET statement_timeout = 0; SELECT pg_terminate_backend(' . braze_collector_pid($node) . ', 20000)'), 't', 'a collector that waits for a standby ends');
wait_for($node, "count(*) = 1 FROM pg_stat_activity WHERE $waits_for_standby");
is($origin->safe_psql('postgres', "SELECT $is_there"), 't', 'nor is the end of the process');
set_and_reload("synchronous_standby_names = ''");
wait_for($origin, q{count(*) = 0 FROM braze_queue WHERE call->>'event' = 'unconfirmed'});
is($node->safe_psql('postgres', "SELECT $is_there"), 't', 'it is deleted there in the end, and was queued once');

# ----- the extension goes -----

$node->safe_psql('postgres', 'DROP EXTENSION segment_braze CASCADE');
wait_for($node, q{count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'segment_braze collector'});
is($origin->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), 1, 'and its collectors end');

done_testing();
