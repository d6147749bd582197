# What the processes say names the database and the destination; an error says
# what the worker was doing; and a worker that makes room for a command, or is
# shut down, is no error.

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
my $start = 0;
my $worker;

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# what was logged since the last call of restart_log
sub log_text
{
	return slurp_file($node->logfile, $start);
}

sub restart_log
{
	$start = -s $node->logfile;
	return;
}

sub logged
{
	my ($pattern, $what) = @_;

	StandIn::wait_until(sub { log_text() =~ $pattern }, $what);
	like(log_text(), $pattern, $what);
	return;
}

sub title
{
	my ($pid) = @_;
	my $title = slurp_file("/proc/$pid/cmdline");

	$title =~ s/\0.*//s;
	return $title;
}

# --- names

run('CREATE DATABASE shop');
run('CREATE EXTENSION segment_braze', 'shop');
braze_destination($node, 'shop', 'braze', $braze, start => 0);
$worker = braze_wait_for_worker($node, 'shop');
logged(qr/LOG:  segment_braze: destination "braze" is not started in database "shop"/, 'a destination that was not started');
like(title($worker), qr/segment_braze worker for "shop"/, 'the title of the process');
is(run("SELECT application_name FROM pg_stat_activity WHERE pid = $worker"),
	'segment_braze worker for "shop"', 'application_name');

braze_start($node, 'shop', 'braze');
$braze->fault(kind => 'status', status => 401);
run("SELECT braze_track('u1', 'A')", 'shop');
logged(qr/LOG:  segment_braze: destination "braze" in database "shop" is paused\s.*DETAIL:.*401/s, 'one that is paused');
$braze->clear_faults;
braze_start($node, 'shop', 'braze');
braze_flush($node, 'shop');

# --- what it was doing

# where large dead letters are stored
my $toast = run(<<'EOS', 'shop');
SELECT indexrelid::regclass FROM pg_index
WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'braze_dead_letters'::regclass)
EOS
foreach my $case (
	[ 'LOCK TABLE pg_foreign_server', 'SELECT braze_notify_worker(false)', 'reading the destinations' ],
	[ "REINDEX INDEX $toast", <<'EOS', 'settling calls that are done, destination "braze"' ])
INSERT INTO braze_queue (destination, call)
SELECT 'braze', jsonb_build_object('text', string_agg(md5(n::text), '')) FROM generate_series(1, 300) n
EOS
{
	my ($lock, $command, $doing) = @$case;
	my $session = $node->background_psql('shop');

	restart_log();
	$session->query_safe("BEGIN; $lock;");
	run($command, 'shop');
	logged(qr/ERROR:  canceling statement due to lock timeout\s.*CONTEXT: .*segment_braze worker of database "shop", \Q$doing\E/s,
		"$doing: the error says what the worker was doing");
	$session->query_safe('COMMIT;');
	$session->quit;
	braze_flush($node, 'shop');
}

run(<<'EOS', 'shop');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '%', 'no' || repeat(U&'\20AC', 200); END $$;
CREATE TRIGGER refuse BEFORE DELETE ON braze_queue FOR EACH ROW EXECUTE FUNCTION refuse();
EOS
run("SELECT braze_track('u1', 'A')", 'shop');
logged(qr/LOG:  segment_braze: calls of destination "braze" in database "shop" that were answered cannot be settled/, 'a trigger');
braze_wait_for_state($node, 'braze', 'waiting: %', 'shop');
is(run(q{SELECT convert_to(state, 'UTF8') IS NOT NULL FROM braze_status WHERE destination = 'braze'}, 'shop'), 't',
	'the status has whole characters of what it says');
run('DROP TRIGGER refuse ON braze_queue', 'shop');
braze_flush($node, 'shop');

# --- no error

restart_log();
foreach my $command (
	'CREATE DATABASE copy TEMPLATE shop',
	'ALTER DATABASE shop RENAME TO store',
	'DROP DATABASE copy')
{
	$worker = braze_wait_for_worker($node, $command =~ /copy$/ ? 'copy' : 'shop');
	$node->poll_query_until('template1', "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $worker");
	run($command);
}
$worker = braze_wait_for_worker($node, 'store');
like(title($worker), qr/segment_braze worker for "store"/, 'a database that was renamed has its new name in the title');
is(run("SELECT application_name FROM pg_stat_activity WHERE pid = $worker"),
	'segment_braze worker for "store"', 'and in application_name');
run("SELECT braze_track('u2', 'A')", 'store');
braze_flush($node, 'store');

my $faults = qr/FATAL:(?!  the database system is)|segment_braze worker.* exited with exit code/;

unlike(log_text(), $faults, 'a command that needs the database is no error of ours');

# A shutdown in the middle of a round is an error, as it is for others.  So the
# worker is stopped in a long nap, when all that it puts off for less is done.
run(q{ALTER SYSTEM SET segment_braze.nap = '60s'});
run('SELECT pg_reload_conf()');
$worker = braze_wait_for_worker($node, 'store');
$node->poll_query_until('template1', <<EOS) or die 'the worker is never idle';
SELECT state = 'idle' AND wait_event_type = 'Extension' AND state_change < clock_timestamp() - interval '3 s'
FROM pg_stat_activity WHERE pid = $worker
EOS
restart_log();
$node->stop('fast');
unlike(log_text(), $faults, 'nor is a shutdown');

done_testing();
