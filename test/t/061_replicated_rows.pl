# Rows that logical replication inserts into braze_queue wake the worker and are
# delivered in the order of the commits, with ids of this database.

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

my $node = braze_node('main', $braze,
	conf => "wal_level = logical\nlogical_decoding_work_mem = 64kB\nsegment_braze.nap = '60s'\nlog_min_messages = debug1",
	allows_streaming => 'logical');

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub queue
{
	my ($first, $last) = @_;

	run(<<EOS, 'origin');
INSERT INTO braze_queue (destination, call)
SELECT 'braze', jsonb_build_object('type', 'track', 'userId', 'u' || n % 3, 'event', 'A',
	'properties', jsonb_build_object('seq', n))
FROM generate_series($first, $last) n
EOS
	return;
}

# the publisher's table has no ids: those of the subscriber's own sequence count
run('CREATE DATABASE origin');
run(<<'EOS', 'origin');
CREATE TABLE braze_queue (destination text NOT NULL, call jsonb NOT NULL);
CREATE PUBLICATION braze FOR TABLE braze_queue WITH (publish = 'insert');
EOS
run("SELECT pg_create_logical_replication_slot('braze', 'pgoutput')", 'origin');
my $connection = $node->connstr . ' dbname=origin';
run(<<EOS);
CREATE SUBSCRIPTION braze CONNECTION '$connection' PUBLICATION braze
	WITH (create_slot = false, slot_name = 'braze', copy_data = false, streaming = on)
EOS
braze_wait_for_worker($node);

# at the end of a nap the destinations are read as well; it may come meanwhile
my $woken = 0;
foreach my $row (1 .. 10)
{
	my $from = -s $node->logfile;

	queue($row, $row);
	$braze->wait_for_accepted($row);
	$woken++ unless slurp_file($node->logfile, $from) =~ /reading the destinations ended/;
}
cmp_ok($woken, '>', 0, 'a replicated row wakes the worker');

# one transaction so large that it is streamed before it commits, beside calls
# that are queued here
run(q{SELECT count(braze_track('own', 'A', jsonb_build_object('seq', n))) FROM generate_series(1, 10) n});
queue(11, 3000);
$braze->wait_for_accepted(3010);
is_deeply($braze->order, { distinct => 3010, violations => 0, duplicates => 0, repeats => 0 },
	'each call is delivered once, in order');
ok(braze_wait_for_count($node, 0, 'braze_queue'), 'and leaves the queue');

run('ALTER SUBSCRIPTION braze DISABLE');
run('ALTER SUBSCRIPTION braze SET (slot_name = NONE)');
run('DROP SUBSCRIPTION braze');
$node->stop;
done_testing();
