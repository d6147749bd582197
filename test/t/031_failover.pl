# The steps of doc/scaling.md for a standby: the primary is killed while it
# delivers, with replay on the standby paused; the standby is promoted.  With
# synchronous replication nothing is lost, and Braze has nothing that the standby
# lacks.  The old primary comes back without sending anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my ($per_request, $in_flight) = (10, 4);
my $primary = braze_node('primary', $braze,
	conf => "wal_log_hints = on\nwal_keep_size = '256MB'",
	options => "max_objects_per_request '$per_request', max_requests_in_flight '$in_flight'",
	allows_streaming => 1);

sub run
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub processes
{
	my ($node) = @_;
	return run($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'segment_braze%'");
}

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby1');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
run($primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby1'");
run($primary, 'SELECT pg_reload_conf()');
$primary->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication")
  or die 'the standby is not synchronous';

# Numbers are drawn while the user's row is locked, so they are in order.
run($primary, <<'EOS');
CREATE TABLE users (id int PRIMARY KEY, seq bigint);
INSERT INTO users SELECT n, n * 1000000 FROM generate_series(1, 40) n;
CREATE TABLE committed (seq bigint PRIMARY KEY);
CREATE FUNCTION queue(userid int) RETURNS void LANGUAGE sql AS $$
	UPDATE users SET seq = seq + 1 WHERE id = userid;
	INSERT INTO committed SELECT seq FROM users WHERE id = userid;
	SELECT braze_track('u' || id, 'A', jsonb_build_object('seq', seq)) FROM users WHERE id = userid;
$$;
EOS
my $file = $primary->basedir . '/queue.sql';
append_to_file($file, "\\set user random(1, 40)\nSELECT queue(:user);\n");
my $output = '';
my $pgbench;
{
	local %ENV = braze_environment($primary);
	$pgbench = start([ 'pgbench', '-n', '-c', 8, '-t', 1_000_000, '-f', $file, 'postgres' ],
		'<', \undef, '>&', \$output);
}

# replay stands still from here on, and nothing is lost for that
$braze->wait_for_accepted(500);
run($standby, 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', "SELECT pg_is_wal_replay_paused()")
  or die 'replay is not paused';
$braze->wait_for_accepted(1000);
is(processes($standby), '0', 'a standby whose replay is paused has no worker');

# requests that Braze has applied and not answered are under way at the kill
$braze->hold(applied => 1);
$braze->wait_for_stat('held', $in_flight);
my $lsn = run($primary, 'SELECT pg_current_wal_lsn()');
$primary->poll_query_until('postgres', "SELECT flush_lsn >= '$lsn' FROM pg_stat_replication")
  or die 'the standby does not get WAL';
my $worker = braze_worker_pid($primary);
my ($postmaster) = split /\n/, slurp_file($primary->data_dir . '/postmaster.pid');

# the worker first: a machine that is gone has none that could send any more
kill 'KILL', $worker;
$primary->kill9;
StandIn::wait_until(sub { !kill 0, $postmaster }, 'the primary is gone');
finish($pgbench);
$standby->promote;
$braze->release;

# nobody calls braze_start there: it is the database that it was
braze_flush($standby);

my %committed = map { $_ => 1 } split /\n/, run($standby, 'SELECT seq FROM committed');
my $seen = $braze->seen;
is(join(' ', grep { !$seen->{$_} } sort { $a <=> $b } keys %committed), '', 'nothing is lost');
is(join(' ', grep { !$committed{$_} } sort { $a <=> $b } keys %$seen), '', 'Braze has nothing that the new primary lacks');
my $order = $braze->order;
is($order->{violations}, 0, 'in order per user');
is($braze->stats->{overlaps}, 0, 'no user was in two requests at the same time');

# what was under way, and what may have been answered and not settled
cmp_ok($order->{duplicates} + $order->{repeats}, '<=', 2 * $in_flight * $per_request, 'no more arrive twice than the page says');
is(run($standby, 'SELECT count(*) FROM braze_dead_letters'), '0', 'none is a dead letter');
run($standby, 'SELECT queue(1)');
braze_flush($standby);
is($braze->order->{distinct}, $order->{distinct} + 1, 'the new primary delivers what is queued on it');

# the old primary: looked at, it sends nothing
my $requests = $braze->stats->{requests};
$primary->append_conf('postgresql.conf', "segment_braze.deliver = off\nsynchronous_standby_names = ''");
$primary->start;
ok(braze_wait_for_state($primary, 'braze', 'off: segment_braze.deliver%'), 'the old primary, with delivery off');
cmp_ok(run($primary, 'SELECT count(*) FROM braze_queue'), '>', 0, 'has calls in its queue');
is($braze->stats->{requests}, $requests, 'and sends none');
$primary->stop;

# and comes back as a standby
run($standby, 'CHECKPOINT');
$primary->command_ok([
		'pg_rewind', '--no-sync', '--source-server', $standby->connstr('postgres'),
		'--target-pgdata', $primary->data_dir
	], 'pg_rewind');
$primary->append_conf('postgresql.conf', 'port = ' . $primary->port . "\nsegment_braze.deliver = on");
$primary->enable_streaming($standby);
$primary->set_standby_mode;
$primary->start;
run($standby, "SELECT braze_pause('braze'); SELECT queue(n) FROM generate_series(1, 10) n");
$standby->wait_for_catchup($primary);
is(processes($primary), '0', 'as a standby it has no worker');
is(run($primary, 'SELECT count(*) FROM braze_queue'), run($standby, 'SELECT count(*) FROM braze_queue'),
	'and the queue of the new primary');
run($standby, "SELECT braze_start('braze')");
braze_flush($standby);
is($braze->order->{distinct}, $order->{distinct} + 11, 'which goes on');

$primary->stop;
$standby->stop;
done_testing();
