# braze_start: what says that it is missing, what ends it, and the sequences.

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
my $node = braze_server('main');
my $lines = 'destination "braze" is not started in database "postgres"';

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub error
{
	my ($sql) = @_;
	my ($status, $out, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	return $error;
}

sub log_lines
{
	my ($pattern) = @_;
	return scalar(() = slurp_file($node->logfile) =~ /$pattern/g);
}

sub is_noted
{
	return run("SELECT count(*) FROM braze_started WHERE destination = 'braze'");
}

# --- before

run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'braze', $braze, start => 0);
braze_wait_for_worker($node);
is(error("SELECT braze_track('u1', 'A', '{\"seq\": 1}')"), '', 'a call is queued, and nothing is said');
ok(braze_wait_for_state($node, 'braze', "not started here: %run SELECT braze_start(''braze'')"), 'the status says that it waits');
ok($node->poll_query_until('postgres', "SELECT state = 'not started here' FROM braze_counters()"), 'as the worker does');
like(error("SELECT braze_flush('200 ms')"), qr/^psql:.*WARNING:  55000: calls wait for destination "braze", which is not started here\nHINT: .*SELECT braze_start\('braze'\)/m,
	'braze_flush warns');
is(scalar(() = error("SELECT braze_flush('200 ms', 'braze')") =~ /WARNING/g), 1, 'once');
is(error("SELECT braze_flush('200 ms', 'another')"), '', 'and not of calls that it does not wait for');
is(run("SELECT braze_flush('200 ms')"), 'f', 'it waits all the same');
$node->reload;
run("ALTER SERVER braze OPTIONS (ADD max_batch_delay '10')");
run("SELECT braze_flush('500 ms')");
is(log_lines($lines), 1, 'the log says it once');
is($braze->stats->{requests}, 0, 'nothing is sent');

# --- started

is(run("SELECT braze_start('braze')"), 't', 'braze_start');
braze_flush($node);
is($braze->accepted, 1, 'begins to deliver');
is(run("SELECT braze_start('braze')"), 'f', 'and says that it was delivering');
like(error("SELECT braze_start('brase')"), qr/ERROR:  42704: destination "brase" does not exist/, 'a destination that is none');
like(error('SELECT braze_start(NULL)'), qr/ERROR:  42704: destination must not be null/, 'or null');
$node->restart;
run("SELECT braze_track('u1', 'A', '{\"seq\": 2}')");
braze_flush($node);
is($braze->accepted, 2, 'it survives a restart');

# --- paused

run("SELECT braze_pause('braze', 'for lunch')");
is(is_noted(), 0, 'braze_pause takes the note away');
ok(braze_wait_for_state($node, 'braze', 'paused: for lunch'), 'its reason goes before');
run("SELECT braze_track('u1', 'A', '{\"seq\": 3}')");
unlike(error("SELECT braze_flush('200 ms')"), qr/WARNING/, 'so braze_flush does not warn');
run('DELETE FROM braze_paused');
ok(braze_wait_for_state($node, 'braze', 'not started here: %'), 'without its row the destination is not started');
StandIn::wait_until(sub { log_lines($lines) >= 2 }, 'the log says so');
is(log_lines($lines), 2, 'as the log says again');
run("SELECT braze_start('braze')");
braze_flush($node);
is($braze->accepted, 3, 'it goes on after braze_start');

# by hand, which is obeyed at once
run('DELETE FROM braze_started');
run("SELECT braze_track('u1', 'A', '{\"seq\": 4}')");
is(run("SELECT braze_flush('300 ms')"), 'f', 'rows that are deleted by hand count');
run(q{INSERT INTO braze_started SELECT 'braze', system_identifier + 1, database FROM braze_here()});
run(q{INSERT INTO braze_started SELECT 'braze', system_identifier, 1 FROM braze_here()});
is(run("SELECT braze_flush('300 ms')"), 'f', "and others' do not");
is(run("SELECT system_identifier = (pg_control_system()).system_identifier, database = (SELECT oid FROM pg_database WHERE datname = current_database()) FROM braze_here()"),
	't|t', 'braze_here shows what those have');
run("SELECT braze_start('braze'); SELECT braze_pause('braze')");
is(is_noted(), 2, 'braze_pause leaves them alone');
run("SELECT braze_start('braze')");
braze_flush($node);

# --- paused by an answer

$braze->set_key('another-key');
run("SELECT braze_track('u1', 'A', '{\"seq\": 5}')");
ok(braze_wait_for_state($node, 'braze', 'paused: %401%'), 'an answer of Braze pauses it');
is(is_noted(), 3, 'and leaves the note');
run("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'another-key')");
braze_flush($node);
is($braze->accepted, 5, 'so it goes on by itself with a new key');

# --- who may

run('CREATE ROLE operator LOGIN');
run('GRANT EXECUTE ON FUNCTION braze_start, braze_pause TO operator');
my $as_operator = 'SET ROLE operator';
like(error("$as_operator; SELECT braze_start('braze')"), qr/ERROR:  42501: permission denied for table braze_paused/, 'the tables are not open to all');
like(error("$as_operator; SELECT braze_pass_ids()"), qr/ERROR:  42501: permission denied for table braze_started/, 'nor are the sequences');
like(error("$as_operator; SELECT braze_lock_destination('braze')"), qr/ERROR:  42501: permission denied for table braze_paused/, 'nor is the lock');
run('GRANT SELECT, INSERT, UPDATE, DELETE ON braze_paused TO operator; GRANT SELECT, INSERT, DELETE ON braze_started TO operator');
is(error("$as_operator; SELECT braze_pause('braze'); SELECT braze_start('braze')"), '', 'who may write them may start and pause, without a right on a sequence');

# --- a worker that cannot find out yet

run("SELECT braze_pause('braze')");
run('DELETE FROM braze_paused');
run("SELECT braze_track('unknown', 'A')");
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE braze_started');
my $sent = $braze->stats->{requests};
my $former = braze_wait_for_worker($node);
run("SELECT pg_terminate_backend($former, 60000)");
$former = braze_wait_for_worker($node, 'postgres', $former);
ok( $node->poll_query_until('postgres',
		"SELECT reason LIKE 'whether it is started cannot be read: %' FROM braze_counters()"),
	'the worker has tried to read braze_started');
is($braze->stats->{requests}, $sent, 'a worker that cannot read braze_started sends nothing');
$lock->query_safe('COMMIT');
$lock->quit;
ok($node->poll_query_until('postgres', "SELECT state = 'not started here' FROM braze_counters()"), 'until it can, and knows');
run("SELECT braze_start('braze')");
braze_flush($node);
is($braze->stats->{requests}, $sent + 1, 'and is started');

# --- sequences that are behind

sub highest { return run('SELECT max(id) FROM braze_queue'); }

sub insert_ahead
{
	my ($id) = @_;

	run("INSERT INTO braze_queue (id, destination, call) VALUES ($id, 'nobody', '{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"A\"}')");
	return;
}

sub next_id
{
	return run("SELECT braze_track('u1', 'A', '{\"seq\": 0}')");
}

my $before = next_id();
insert_ahead(300_000);
run("SELECT braze_start('braze')");
is(next_id(), 300_001, 'ids are drawn until they are past the highest');
like(slurp_file($node->logfile), qr/the sequence of table "braze_queue" was moved from @{[ $before + 1 ]} to 300000$/m, 'with a line in the log');

# a row that is gone, and that the worker has read: what comes below it is late
run(q{INSERT INTO braze_queue (id, destination, call) VALUES (400000, 'braze', '{"type": "track", "userId": "u1", "event": "A"}')});
braze_flush($node, 'postgres', 'braze');
is(highest(), 300_000, 'the highest one has been delivered');
run("SELECT braze_start('braze')");
is(next_id(), 400_001, 'and counts as well');

# rows of a transaction that is open, and nobody waits
my $open = $node->background_psql('postgres');
$open->query_safe(q{BEGIN; INSERT INTO braze_queue (id, destination, call) VALUES (500000, 'nobody', '{"type": "track", "userId": "u1", "event": "A"}')});
run("SET statement_timeout = '60 s'; SELECT braze_start('braze')");
is(next_id(), 500_001, 'so do rows that are not committed');
$open->query_safe("ROLLBACK; BEGIN; SELECT braze_start('braze')");
is(run("SET statement_timeout = '60 s'; SELECT braze_track('u1', 'A') IS NOT NULL"), 't', 'who queues does not wait for an open transaction that started');
$open->query_safe('COMMIT');

# so far behind that ids are not drawn
run("SELECT braze_pause('braze', 'far')");
insert_ahead(50_000_000);
$open->query_safe("BEGIN; SELECT braze_track('u1', 'A')");
like(error("SET statement_timeout = '60 s'; SELECT braze_start('braze')"),
	qr/ERROR:  55P03: the sequence of table "braze_queue" cannot be set from \d+ to 50000000 now\nDETAIL:.*\nHINT:  Call braze_start again/,
	'a gap of over ten million while an id is drawn is an error');
is(is_noted() . run("SELECT count(*) FROM braze_paused WHERE reason = 'far'"), '21', 'that notes nothing');
is(run("SET statement_timeout = '60 s'; SELECT braze_track('u1', 'A') < 1000000"), 't', 'and has nobody wait');
$open->query_safe('COMMIT');
my $starting = $node->background_psql('postgres');
$starting->query_safe("BEGIN; SET ROLE operator; SELECT braze_start('braze')");
is(run("SET statement_timeout = '60 s'; SELECT braze_track('u1', 'A')"), 50_000_001, 'else the sequence is set, and nobody waits for the commit');
$starting->query_safe('COMMIT');
like(slurp_file($node->logfile), qr/the sequence of table "braze_queue" was moved from \d+ to 50000000$/m, 'the log has both numbers');
braze_flush($node, 'postgres', 'braze');
$open->quit;
$starting->quit;

# an id after which there is none
insert_ahead('9223372036854775807');
is(run("SELECT braze_start('braze')"), 'f', 'the last of all ids does not keep a destination from starting');
is(next_id(), 50_000_002, 'nor anybody from queueing');

# --- the trigger for replicated rows, while somebody has queued and not committed

my $session = $node->background_psql('postgres');
my $worker = braze_wait_for_worker($node);
run("SELECT pg_terminate_backend($worker, 60000)");
run('ALTER TABLE braze_queue ENABLE TRIGGER ALL');
$session->query_safe("BEGIN; SELECT braze_track('u1', 'A')");
braze_wait_for_worker($node, 'postgres', $worker);
ok($node->poll_query_until('postgres', "SELECT tgenabled = 'R' FROM pg_trigger WHERE tgname = 'braze_notify_replicated'"),
	'an ordinary trigger is put right while somebody queues');
$session->query_safe('COMMIT');
$session->quit;
run('ALTER TABLE braze_queue DISABLE TRIGGER braze_notify_replicated');
run("SELECT braze_flush('500 ms')");
is(run("SELECT tgenabled FROM pg_trigger WHERE tgname = 'braze_notify_replicated'"), 'D', 'one that somebody disabled is left alone');

$node->stop;
done_testing();
