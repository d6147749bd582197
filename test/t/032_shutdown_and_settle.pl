# A worker that is told to end settles what Braze has answered; one that cannot
# settle says why, sends nothing more, and goes on when it can; and one that is
# kept away from its database stays away for as long as somebody needs that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish);
use List::Util qw(max sum);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	extra => ['--wal-segsize=1'],
	options => "max_objects_per_request '10', max_requests_in_flight '4'");

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# the first request after a start goes alone
sub warm_up
{
	run("SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	$braze->reset;
	return;
}

sub queue
{
	my ($user, $first, $last) = @_;

	run(<<EOS);
SELECT count(braze_track('$user' || n % 20, 'A', jsonb_build_object('seq', n))) FROM generate_series($first, $last) n
EOS
	return;
}

sub received
{
	my ($event) = @_;
	return scalar grep { $_->{name} eq $event } $braze->log;
}

# --- a fast shutdown, and the end of a worker, wait for answers that are about to
# come.  Not for long, so the worker stands still until both are there.

sub is_told_to_end
{
	my ($pid) = @_;
	my ($pending) = slurp_file("/proc/$pid/status") =~ /^ShdPnd:\s*(\w+)$/m;

	return hex(substr $pending, -8) & 1 << POSIX::SIGTERM - 1;
}

foreach my $what ('a fast shutdown', 'SIGTERM of the worker')
{
	my $worker;
	my $stop;

	warm_up();
	$braze->hold(applied => 1);
	queue('u', 1, 40);
	$braze->wait_for_stat('held', 4);
	$worker = braze_freeze_worker($node);
	if ($what eq 'a fast shutdown')
	{
		$stop = start([ 'pg_ctl', '-D', $node->data_dir, '-m', 'fast', 'stop' ], '>', \my $output);
	}
	else
	{
		kill 'TERM', $worker;
	}
	StandIn::wait_until(sub { is_told_to_end($worker) }, 'the worker is told to end');
	$braze->release;
	kill 'CONT', $worker;
	if ($stop)
	{
		finish($stop);
		$node->_update_pid(0);
		$node->start;
	}
	else
	{
		braze_wait_for_worker($node, 'postgres', $worker);
	}
	braze_flush($node);
	is($braze->order->{distinct}, 40, "$what: nothing is lost");
	is($braze->order->{duplicates}, 0, "$what: what is answered at once is settled, and not sent again");
}

# --- what was answered is settled before more is sent than may be under way

warm_up();
$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
$node->reload;
my $log = -s $node->logfile;
run("ALTER SERVER braze OPTIONS (SET max_objects_per_request '1', SET max_requests_in_flight '2')");
StandIn::wait_until(sub { slurp_file($node->logfile, $log) =~ /read the options, keys and pauses/ }, 'the options are read');
$braze->hold(user => 'held');
run("SELECT braze_track('held', 'A')");
$braze->wait_for_stat('held', 1);
$log = -s $node->logfile;
run("SELECT count(braze_track('u' || n, 'A')) FROM generate_series(1, 300) n");
braze_wait_for_count($node, 1, 'braze_queue');
my @settled;
StandIn::wait_until(
	sub {
		@settled = slurp_file($node->logfile, $log) =~ /settled (\d+) calls/g;
		return (sum(@settled) // 0) >= 300;
	},
	'the log has all of them');
is(sum(@settled), 300, 'while one request hangs, others are answered and settled');
cmp_ok(max(@settled), '<=', 2, 'at most as many at once as may be under way');
$braze->release;
braze_flush($node);
run("ALTER SERVER braze OPTIONS (SET max_objects_per_request '10', SET max_requests_in_flight '4')");
$node->append_conf('postgresql.conf', 'log_min_messages = warning');
$node->reload;

# --- a settle that fails: what could be sent waits until one succeeds

warm_up();
$braze->hold;
run("SELECT braze_track('u1', 'first')");
$braze->wait_for_stat('held', 1);
run("SELECT braze_track('u1', 'second')");
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_queue IN SHARE MODE;');
$braze->release;
ok(braze_wait_for_state($node, 'braze', 'waiting: % somebody has locked the table braze_queue'),
	'a settle that cannot be is in the status');
my %settles;
StandIn::wait_until(
	sub {
		$settles{ run(<<'EOS') } = 1;
SELECT query_start FROM pg_stat_activity
WHERE backend_type = 'segment_braze worker' AND datname = 'postgres' AND query = 'settling calls that are done'
EOS
		return keys %settles > 3;
	},
	'the settle was tried again and again');
is($braze->accepted, 1, 'nothing further is sent meanwhile');
$session->query_safe('COMMIT;');
braze_flush($node);
is($braze->accepted, 2, 'and it goes on when it can');
is(run('SELECT state FROM braze_status'), 'running', 'as the status says');

# --- tables that somebody has locked: who queues does not wait, unless it is for
# the queue itself; the worker does not end, and what it has sent it keeps in mind

warm_up();
my $worker = braze_worker_pid($node);
my @tables = ('braze_queue', 'braze_dead_letters', 'braze_paused', 'braze_notes', 'braze_messages', 'braze_profiles');
$braze->fault(kind => 'errors', user => 'refused');
foreach my $table (@tables)
{
	my $calls = "SELECT braze_track('refused', '$table'), braze_track('u1', '$table')";

	$session->query_safe("BEGIN; LOCK TABLE $table;");
	if ($table eq 'braze_queue')
	{
		$session->query_safe("$calls;");
	}
	else
	{
		run($calls);
		StandIn::wait_until(sub { received($table) == 2 }, "both calls are sent while $table is locked");
	}
	$session->query_safe('COMMIT;');
	braze_flush($node);
	is(received($table), 2, "$table is locked: each call is sent once");
}
is(braze_worker_pid($node), $worker, 'by the same worker');
is(braze_dead_letters($node), join(',', ('refused') x @tables), 'and what was refused is a dead letter');
run('DELETE FROM braze_dead_letters');

# it ends while somebody has locked the extension, which it does not wait for
my $offset = -s $node->logfile;
run("SELECT braze_track('refused', 'A')");
$session->query_safe("BEGIN; SET LOCAL client_min_messages = error; DROP EXTENSION segment_braze CASCADE;");
StandIn::wait_until(sub { slurp_file($node->logfile, $offset) =~ /somebody has locked the extension segment_braze/ }, 'the log says that it is locked');
run("SELECT pg_terminate_backend($worker)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $worker"),
	'a worker that finds the extension locked can be ended');
$session->query_safe('ROLLBACK;');
braze_flush($node);
$braze->clear_faults;

# commands that rewrite or lock tables, while calls pass
foreach my $command (
	'VACUUM FULL braze_queue', 'CLUSTER braze_queue USING braze_queue_pkey', 'REINDEX TABLE braze_queue',
	'VACUUM FULL braze_dead_letters', 'VACUUM (FREEZE) braze_queue', 'ANALYZE braze_queue',
	'CREATE INDEX queued ON braze_queue (queued_at)', 'DROP INDEX queued',
	'CREATE INDEX CONCURRENTLY queued ON braze_queue (queued_at)',
	'REINDEX INDEX CONCURRENTLY braze_queue_pkey', 'DROP INDEX CONCURRENTLY queued',
	'ALTER TABLE braze_queue SET (autovacuum_enabled = off)')
{
	$braze->reset;
	queue('u', 1, 100);
	run($command);
	queue('u', 101, 200);
	braze_flush($node);
	is_deeply($braze->order, { distinct => 200, violations => 0, duplicates => 0, repeats => 0 }, $command);
}

# --- a prepared transaction that is committed after a restart, and a later one of
# the same user

$braze->reset;
run(<<'EOS');
BEGIN;
SELECT braze_track('u1', 'A', '{"seq": 1}');
PREPARE TRANSACTION 'kept';
EOS
$node->restart;
run(q{SELECT braze_track('u2', 'A', '{"seq": 2}')});
braze_flush($node);
is($braze->accepted, 1, 'a prepared transaction is not sent');
run("COMMIT PREPARED 'kept'");
run(q{SELECT braze_track('u1', 'A', '{"seq": 3}')});
ok(braze_wait_for_count($node, 0, 'braze_queue'), 'but after a restart and its commit');
is_deeply($braze->order, { distinct => 3, violations => 0, duplicates => 0, repeats => 0 }, 'in order');

# --- a disk that is full: no file of the server can grow beyond a size

run("SELECT braze_pause('braze')");
$braze->reset;
$node->stop;
system_or_bail('sh', '-c',
	"ulimit -f \$1; shift; exec \"\$@\"", 'sh', 2 * 1100, 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
$node->_update_pid(1);
$braze->fault(kind => 'errors', user => 'refused');
my $text = q{(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 40) WHERE n > 0)};
my $rounds = 0;
run("SELECT braze_start('braze')");
until (run('SELECT state FROM braze_status') =~ /^waiting: /)
{
	die 'the disk does not get full' if ++$rounds > 20;
	run(<<EOS);
SELECT count(braze_track('refused', 'A', jsonb_build_object('seq', $rounds * 1000 + n, 'text', $text)))
FROM generate_series(1, 100) n
EOS
	$node->poll_query_until('postgres',
		"SELECT (SELECT count(*) FROM braze_queue) = 0 OR (SELECT state LIKE 'waiting: %' FROM braze_status)");
	run('VACUUM braze_queue');
}
like(run('SELECT state FROM braze_status'), qr/cannot be settled.*could not extend file/, 'a full disk is in the status');
my $received = scalar $braze->log(user => 'refused');
my $unsettled = run('SELECT count(*) FROM braze_queue');
run("DELETE FROM braze_dead_letters WHERE id IN (SELECT id FROM braze_dead_letters ORDER BY id LIMIT $unsettled + 100)");
run('VACUUM braze_dead_letters');
braze_flush($node);
ok(run('SELECT count(*) FROM braze_queue') == 0, 'with room again all is settled');
is(scalar $braze->log(user => 'refused'), $rounds * 100, 'and nothing was sent twice');
is(run('SELECT state FROM braze_status'), 'running', 'and the status says so');
$braze->clear_faults;
$node->restart;

# --- a database that two sessions need for themselves

run("CREATE DATABASE one; ");
run('CREATE DATABASE two');
foreach my $database ('one', 'two')
{
	run('CREATE EXTENSION segment_braze', $database);
	braze_wait_for_worker($node, $database);
}
$session = $node->background_psql('postgres');
$session->query_safe('BEGIN; ALTER DATABASE one RENAME TO uno;');
is($node->psql('postgres', "SET lock_timeout = '100ms'; DROP DATABASE one"), 3, 'a second session gives up');

# the launcher has looked at all databases once this one is served again
my $pid = braze_wait_for_worker($node, 'two');
run("SELECT pg_terminate_backend($pid)");
braze_wait_for_worker($node, 'two', $pid);
is(run(<<'EOS'), '0', 'and the first is still left alone: nobody tries to connect');
SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND NOT granted
EOS
$session->query_safe('COMMIT;');
ok(braze_wait_for_worker($node, 'uno'), 'until it is through');
$session->quit;

$node->stop;
done_testing();
