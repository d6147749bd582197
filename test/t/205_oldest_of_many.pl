# While nothing is delivered, one look through the queue finds the oldest call of
# each destination: what it costs does not depend on how many there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $destinations = 60;
my $rows = 5000;
my $braze = StandIn->new;
my $node = braze_server('main', conf => 'log_min_messages = debug1');

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub reads
{
	my @lines = slurp_file($node->logfile) =~ /segment_braze: reading the queue ended/g;

	return scalar @lines;
}

run('CREATE EXTENSION segment_braze');
braze_many_destinations($node, 'postgres', $destinations, $braze);
ok( $node->poll_query_until('postgres', "SELECT count(*) = $destinations FROM braze_status WHERE state LIKE 'not started%'"),
	'no destination is started');

# all are looked for when the calls come, and most have none
run(<<"EOS");
INSERT INTO braze_queue (destination, call, queued_at)
SELECT CASE WHEN n < $rows THEN 'd1' ELSE 'd2' END, '{"type": "track", "userId": "u", "event": "E"}', now() - interval '1 hour' * CASE WHEN n = $rows THEN 2 ELSE 1 END
FROM generate_series(1, $rows) n
EOS
ok( $node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM braze_metrics() WHERE name = 'segment_braze_oldest_call_age_seconds' AND destination IN ($$d1$$, $$d2$$) AND value > 0}),
	'the oldest calls are found');
ok( $node->poll_query_until('postgres', "SELECT idx_tup_read >= $rows FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'"),
	'the queue was looked through');
my $tuples = run("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'");

# others who look at the queue do not do so for each destination either
cmp_ok($tuples, '<=', 5 * $rows * (reads() + 1), 'by each read a few times at most');

run("SELECT braze_start('d2')");
$braze->wait_for_accepted(1, 'events');
ok(braze_wait_for_count($node, 0, 'braze_queue', "destination = 'd2'"), 'one that is started delivers');
is($braze->accepted('events'), 1, 'its own calls');

$node->stop;
done_testing();
