# Servers that do not deliver: without the library in shared_preload_libraries,
# with delivery switched off, standbys, and copies made by pg_dump.

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

sub queue
{
	my ($node, $count) = @_;

	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n)))
FROM generate_series(1, $count) n
EOS
	return;
}

sub state
{
	my ($node) = @_;
	return $node->safe_psql('postgres', "SELECT state FROM braze_status WHERE destination = 'braze'");
}

sub processes
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'segment_braze%'");
}

# without preloading
my $node = braze_node('main', $braze,
	preload => 0,
	allows_streaming => 1);
queue($node, 3);
is($node->safe_psql('postgres', <<'EOS'), 'send|events|A', 'mapping works without preloading');
SELECT outcome, kind, payload->>'name'
FROM braze_map('{"type": "track", "userId": "u1", "event": "A"}')
EOS
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_pending'), '3', 'queueing, too');
like(state($node), qr/^no worker: .*shared_preload_libraries/, 'the status says what is missing');
like($node->safe_psql('postgres', "SELECT string_agg(found, '|') FROM braze_test('braze') WHERE NOT coalesce(ok, false)"),
	qr/^no worker: .*shared_preload_libraries.*\|not asked/, 'and so does braze_test');
is($node->safe_psql('postgres', "SELECT pending, delivered FROM braze_status"), '3|0', 'and counts');
is($node->safe_psql('postgres', "SELECT braze_flush('10 ms')"), 'f', 'braze_flush waits in vain');
is(processes($node), '0', 'nobody delivers');
$node->safe_psql('postgres', "SELECT braze_pause('braze'), braze_start('braze')");
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION segment_braze; DROP EXTENSION segment_braze');
$node->safe_psql('postgres', 'DROP DATABASE other');

# preloaded, switched off
$node->append_conf('postgresql.conf', <<EOC);
shared_preload_libraries = 'segment_braze'
segment_braze.nap = '200ms'
segment_braze.deliver = off
EOC
$node->restart;
ok(braze_wait_for_state($node, 'braze', 'off: %segment_braze.deliver%'),
	'segment_braze.deliver = off: the status says so');
queue($node, 3);
is($node->safe_psql('postgres', "SELECT braze_flush('300 ms')"), 'f', 'braze_flush waits in vain');
is($braze->stats->{requests}, 0, 'nothing was sent');

# a standby
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$standby->start;
queue($node, 4);
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), '10', 'the queue is replicated');
is(processes($standby), '0', 'a standby has neither launcher nor worker');
like(state($standby), qr/^no worker: this server is a standby/, 'and its status says why');
isnt($standby->psql('postgres', "SELECT braze_track('u1', 'A')"), 0, 'nothing can be queued on it');
is($braze->stats->{requests}, 0, 'nothing was sent');
$standby->promote;
braze_flush($standby);
is($braze->accepted, 10, 'it delivers after its promotion');
queue($standby, 1);
braze_flush($standby);
is($braze->accepted, 11, 'and what is queued then');
$standby->stop;

# a copy of the backlog.  Its sequences must go on behind it.
$braze->reset;
$node->safe_psql('postgres', <<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
VALUES ('braze', '{"type": "track", "userId": "dead", "event": "A"}', 'test', now());
INSERT INTO braze_paused VALUES ('braze', 'on purpose', now(), false);
EOS
my $file = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $file, 'postgres' ], 'pg_dump');
my $copy = braze_server('copy', conf => 'segment_braze.deliver = off');
$copy->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $file, 'postgres' ], 'restore');
my $tables = <<'EOS';
SELECT q::text FROM braze_queue q UNION ALL SELECT d::text FROM braze_dead_letters d
ORDER BY 1
EOS
is($copy->safe_psql('postgres', $tables),
	$node->safe_psql('postgres', $tables), 'queue and dead letters are the same');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM braze_paused'), '0', 'a pause is not carried');
queue($copy, 1);
is($copy->safe_psql('postgres', <<'EOS'), 't', 'a call that is queued on the copy comes last');
SELECT max(id) > (SELECT max(id) FROM braze_queue WHERE id < (SELECT max(id) FROM braze_queue))
	AND count(*) = 11 FROM braze_queue
EOS
is($braze->stats->{requests}, 0, 'the copy sends nothing');
$copy->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$copy->reload;
ok($copy->poll_query_until('postgres', "SELECT state = 'not started here' FROM braze_counters()"), 'nobody has started it there');
ok(braze_wait_for_state($copy, 'braze', 'not started here: %run SELECT braze_start(%braze%)'), 'and the status says so');
is($copy->safe_psql('postgres', "SELECT braze_flush('300 ms')"), 'f', 'still nothing is sent');
$copy->safe_psql('postgres', "SELECT braze_start('braze')");
braze_flush($copy);
is($braze->accepted, 11, 'and all when it is meant to');
is($copy->safe_psql('postgres', 'SELECT braze_retry()'), '1', 'braze_retry works on the copy');
braze_flush($copy);
is($braze->accepted, 12, 'and delivers');
$copy->stop;

# the original has not been touched, and delivers when it is switched on
$braze->reset;
$node->safe_psql('postgres', "SELECT braze_start('braze')");
$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$node->reload;
braze_flush($node);
is($braze->accepted, 10, 'a reload is enough to switch delivery on');

# ALTER DATABASE, for one database alone
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET segment_braze.deliver = off');
my $pid = braze_worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
braze_wait_for_worker($node, 'postgres', $pid);
queue($node, 2);
is($node->safe_psql('postgres', "SELECT braze_flush('300 ms')"), 'f',
	'ALTER DATABASE SET switches it off as well');
is($braze->accepted, 10, 'nothing was sent');

$node->stop;
done_testing();
