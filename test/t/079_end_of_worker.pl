# A worker that is told to end settles what Braze has answered, and ends: soon,
# whatever is locked, hangs or fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use Braze;
use StandIn;

# with such a nap, nothing but the end itself can end it within a test
my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	conf => "segment_braze.nap = '60s'",
	options => "changed_attributes_only 'true', request_timeout '600 s'");
my $ended = qr/FATAL:  terminating background worker "segment_braze worker/;
my $tries = 3;

# far from the second that it may take, and from the nap
my $soon = 40;

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub log_since
{
	my ($offset) = @_;
	return slurp_file($node->logfile, $offset);
}

# the first request after a start goes alone
sub warm_up
{
	run("SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	$braze->reset;
	return;
}

# one call that Braze refuses and two that it takes, each answered after a release
sub send_and_hold
{
	my ($database) = @_;

	$braze->fault(kind => 'errors', user => 'refused');
	$braze->hold(applied => 1);
	run(<<'EOS', $database);
SELECT braze_track('refused', 'A', '{"seq": 1}'), braze_track('u1', 'A', '{"seq": 2}'),
	braze_identify('u2', jsonb_build_object('now', clock_timestamp()))
EOS
	$braze->wait_for_stat('held', 1);
	return;
}

# waits until the process is gone; returns the seconds
sub seconds_until_gone
{
	my ($pid) = @_;
	my $start = time;

	StandIn::wait_until(sub { !kill 0, $pid }, "process $pid is gone");
	return time - $start;
}

# stops the server, releasing what is held meanwhile; true if it has stopped
sub stops_soon
{
	my ($release) = @_;
	my $log = -s $node->logfile;
	my $stop = start(
		[ 'pg_ctl', '-D', $node->data_dir, '-m', 'fast', '-t', $soon, 'stop' ],
		'>', \my $output, '2>', \my $errors);
	my $stopped;

	StandIn::wait_until(sub { log_since($log) =~ /received fast shutdown request/ }, 'the server shuts down');
	$braze->release if $release;
	$stopped = finish($stop);
	system_log('pg_ctl', '-D', $node->data_dir, '-m', 'immediate', 'stop') unless $stopped;
	$braze->release unless $release;
	$node->_update_pid(0);

	# what held it up is still there
	$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
	$node->start;
	return $stopped;
}

sub is_settled
{
	my ($what) = @_;

	braze_flush($node);
	is(run(q{SELECT count(*) FROM braze_dead_letters WHERE call->>'userId' = 'refused'}), '1', "$what: what was refused is a dead letter");
	cmp_ok(scalar $braze->log(user => 'u1'), '>', 0, "$what: what was accepted is at Braze");
	run('DELETE FROM braze_dead_letters');
	$braze->clear_faults;
	return;
}

# --- A trigger of somebody's looks at interrupts while the worker settles: only
# the one that told it to end is taken back.

run(<<'EOS');
CREATE FUNCTION look_on() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN FOR i IN 1 .. 10 LOOP PERFORM i; END LOOP; RETURN NEW; END';
CREATE TRIGGER look_on BEFORE INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION look_on();
EOS
my ($killed, $twice);
my $session = $node->background_psql('postgres');
warm_up();
send_and_hold();
$session->query_safe('BEGIN; LOCK TABLE braze_queue IN SHARE MODE;');
$braze->release;
ok(braze_wait_for_state($node, 'braze', 'waiting: %'), 'answers are there that cannot be settled');
my $worker = braze_freeze_worker($node);
$session->query_safe('COMMIT;');
$session->quit;
my $log = -s $node->logfile;
kill 'TERM', $worker;
kill 'CONT', $worker;
seconds_until_gone($worker);
unlike(log_since($log), $ended, 'SIGTERM: the worker ends by itself');
is(run('SELECT count(*) FROM braze_dead_letters'), 1, 'after it has settled what was refused');
braze_wait_for_worker($node, 'postgres', $worker);
is_settled('a trigger');
is($braze->order->{duplicates}, 0, 'and what was accepted, which is not sent again');
run('DROP TRIGGER look_on ON braze_dead_letters');

# --- a settle that fails does not keep it

my $before = run("SELECT nextval(pg_get_serial_sequence('braze_dead_letters', 'id'))");
warm_up();
$worker = braze_worker_pid($node);
send_and_hold();
run(<<EOS);
CREATE TABLE taken AS SELECT * FROM braze_dead_letters;
INSERT INTO braze_dead_letters (id, destination, call, reason, queued_at)
OVERRIDING SYSTEM VALUE
SELECT $before + n, 'braze', '{}', 'taken', now() FROM generate_series(1, 1000) n
EOS
$braze->release;
ok(braze_wait_for_state($node, 'braze', 'waiting: %duplicate key%'), 'answers cannot be settled');
run("SELECT pg_terminate_backend($worker)");
cmp_ok(seconds_until_gone($worker), '<', $soon, 'the worker ends all the same');
run('DELETE FROM braze_dead_letters');
is_settled('a settle that fails');

# --- nor does a lock that nobody gives back, a trigger that does not come back, or
# an endpoint that hangs

sub stops
{
	my ($what, $sql, $undo) = @_;

	warm_up();
	send_and_hold();
	run($sql) if defined $sql;
	ok(stops_soon(defined $sql), "$what: a fast shutdown is through soon");
	run($undo) if defined $undo;
	$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
	$node->reload;
	is_settled($what);
	return;
}

foreach my $statement (
	'LOCK braze_profiles IN SHARE MODE', 'LOCK braze_profiles', 'LOCK braze_dead_letters', 'LOCK braze_queue',
	'DROP EXTENSION segment_braze CASCADE')
{
	stops($statement, "BEGIN; $statement; PREPARE TRANSACTION 'kept'", "ROLLBACK PREPARED 'kept'");
}
foreach my $body (
	'BEGIN PERFORM pg_sleep(600); RETURN NEW; END',
	'BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END')
{
	# it is not fired if the answer comes too late, so there are further tries
	foreach (1 .. $tries)
	{
		my $log = -s $node->logfile;

		stops($body, <<EOS, 'DROP FUNCTION hold_up CASCADE');
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS '$body';
CREATE TRIGGER hold_up BEFORE INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION hold_up();
EOS
		$killed = (log_since($log) =~ $ended);
		last if $killed;
	}
	ok($killed, "$body: the worker ends before the statement's own time is over");
}
stops('a request without an answer');

# --- a second SIGTERM ends it the ordinary way, which is at once.  One that comes
# before the first was seen is none.

foreach (1 .. $tries)
{
	my $log;

	warm_up();
	send_and_hold();
	$worker = braze_worker_pid($node);
	$log = -s $node->logfile;
	kill 'TERM', $worker;
	usleep(50_000);
	kill 'TERM', $worker;
	seconds_until_gone($worker);
	$killed = (log_since($log) =~ $ended);
	$braze->release;
	braze_wait_for_worker($node, 'postgres', $worker);
	is_settled('a second SIGTERM');
	last if $killed;
}
ok($killed, 'a second SIGTERM ends the worker at once');

# --- who needs the database for himself tells it once

run('CREATE DATABASE one');
run('CREATE EXTENSION segment_braze', 'one');
braze_destination($node, 'one', 'braze', $braze);
foreach (1 .. $tries)
{
	my ($psql, $log);

	$worker = braze_wait_for_worker($node, 'one');
	run("SELECT braze_track('warm up', 'A')", 'one');
	braze_flush($node, 'one');
	$braze->reset;
	send_and_hold('one');
	$log = -s $node->logfile;
	$psql = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'ALTER DATABASE one RENAME TO two; ALTER DATABASE two RENAME TO one' ]);
	usleep(50_000);
	$braze->release;
	finish($psql);
	$killed = (log_since($log) =~ $ended);
	braze_wait_for_worker($node, 'one', $worker);
	braze_flush($node, 'one');
	$twice = $braze->order->{duplicates};
	$braze->clear_faults;
	last unless $killed || $twice;
}
ok(!$killed, 'ALTER DATABASE: the worker ends by itself');
is($twice, 0, 'and what was accepted is not sent again');

$node->stop;
done_testing();
