# pg_stat_activity says by name what each process waits for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($version) = `pg_config --version` =~ /^PostgreSQL (\d+)/;
plan skip_all => 'every wait of an extension is called Extension before PostgreSQL 17' if $version < 17;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);

sub waits_for
{
	my ($who, $name, $what) = @_;

	return ok($node->poll_query_until('template1', <<EOS), $what);
SELECT count(*) = 1 FROM pg_stat_activity
WHERE $who AND wait_event_type = 'Extension' AND wait_event = '$name'
EOS
}

my $launcher = "backend_type = 'segment_braze launcher'";
my $worker = "backend_type = 'segment_braze worker'";

waits_for($launcher, 'SegmentBrazeLauncherNap', 'the launcher, between two looks');
waits_for($worker, 'SegmentBrazeWorkerNap', 'a worker that has nothing to do');

$braze->hold;
$node->safe_psql('postgres', "SELECT braze_track('u1', 'A')");
$braze->wait_for_stat('held', 1);
waits_for($worker, 'SegmentBrazeWorkerAnswer', 'a worker that waits for an answer');

my $session = $node->background_psql('postgres');
$session->query_until(qr/began/, "\\echo began\nSELECT braze_flush('1 h');\n");
waits_for("backend_type = 'client backend' AND query LIKE '%braze\\_flush%'", 'SegmentBrazeFlush', 'braze_flush');
$braze->release;
like($session->query_until(qr/^[tf]$/m, ''), qr/^t$/m, 'which ends');
$session->quit;

$braze->hold;
$session = $node->background_psql('postgres');
$session->query_until(qr/began/, "\\echo began\nSELECT count(*) > 0 FROM braze_test('braze');\n");
waits_for("backend_type = 'client backend' AND query LIKE '%braze\\_test%'", 'SegmentBrazeTest', 'braze_test');
$braze->release;
like($session->query_until(qr/^[tf]$/m, ''), qr/^t$/m, 'which ends');
$session->quit;

$node->safe_psql('postgres', <<'EOS');
CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO users VALUES (1), (2);
CREATE TRIGGER to_braze AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
EOS
$braze->hold;
$session = $node->background_psql('postgres');
$session->query_until(qr/began/, "\\echo began\nCALL braze_backfill('users', 'to_braze', rows_per_part => 1);\n\\echo ended\n");
waits_for("backend_type = 'client backend' AND query LIKE '%braze\\_backfill%'", 'SegmentBrazeParts', 'braze_backfill');
$braze->release;
like($session->query_until(qr/^ended$/m, ''), qr/^ended$/m, 'which ends');
$session->quit;

is($node->safe_psql('postgres', <<'EOS'), '', 'all of them are in pg_wait_events');
SELECT name FROM unnest('{SegmentBrazeLauncherNap,SegmentBrazeWorkerNap,SegmentBrazeWorkerAnswer,SegmentBrazeFlush,SegmentBrazeTest,SegmentBrazeParts}'::text[]) AS name
EXCEPT SELECT name FROM pg_wait_events WHERE type = 'Extension'
EOS

# longer than the test takes; it obeys a reload meanwhile
$node->append_conf('postgresql.conf', "segment_braze.restart_delay = '1 h'");
$node->reload;
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $worker");
kill 'KILL', $pid;
waits_for($launcher, 'SegmentBrazeLauncherRestartDelay', 'the launcher, after a crash of the server');

$node->stop;
done_testing();
