# While the destinations cannot be read, a pause by an answer of Braze's holds,
# though it cannot be written either, and the worker does not try all the time.

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
my $node = braze_node('main', $braze, conf => "segment_braze.nap = '1s'");
braze_destination($node, 'postgres', 'other', $braze, options => "alias_calls 'merge'");

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub failures
{
	my ($from) = @_;
	my @lines = grep { /ERROR: .*rest_api_key/ } split /\n/, substr(slurp_file($node->logfile), $from);

	return scalar @lines;
}

# more refreshes than one have failed since
sub wait_for_failures
{
	my ($from) = (-s $node->logfile);

	StandIn::wait_until(sub { failures($from) > 2 }, 'reading the destinations has failed');
	return;
}

# a mapping without the value of its option cannot be read; it is of the server
# that is read last
sub damage
{
	my ($options) = @_;

	run(<<EOS);
SET allow_system_table_mods = on;
UPDATE pg_user_mapping SET umoptions = '{$options}'
WHERE umserver = (SELECT oid FROM pg_foreign_server WHERE srvname = 'zone');
EOS
	return;
}

braze_destination($node, 'postgres', 'zone', $braze, start => 0);
run(q{SELECT braze_track('warm up', 'E', destination => d) FROM unnest('{braze,other}'::text[]) d});
braze_flush($node, 'postgres', 'braze');
braze_flush($node, 'postgres', 'other');

damage('rest_api_key');
wait_for_failures();
$braze->fault(kind => 'status', status => 401, user => 'u1');
$braze->fault(kind => 'status', status => 401, path => '/users/merge');
run(q{SELECT braze_alias('u3', 'u2', destination => 'other')});
run(q{SELECT braze_track('u1', 'E', destination => 'braze')});
ok($node->poll_query_until('postgres', q{SELECT state = 'paused' FROM braze_counters() WHERE destination = 'braze'}),
	'an answer pauses its destination');
ok($node->poll_query_until('postgres', q{SELECT reason LIKE '%/users/merge%' FROM braze_counters() WHERE destination = 'other'}),
	'and one an endpoint');
wait_for_failures();
$braze->clear_faults;
is(run('SELECT count(*) FROM braze_paused'), '0', 'neither can be written');
wait_for_failures();

# --- each of these turns of the worker reads the queue, and settles

my $from = -s $node->logfile;
my $began = time;
run(<<'EOS');
DO $$
BEGIN
	FOR n IN 1..50 LOOP
		PERFORM braze_track('u5', 'E', destination => 'other');
		COMMIT;
		WHILE EXISTS (SELECT FROM braze_queue WHERE call->>'userId' = 'u5') LOOP
			PERFORM pg_sleep(0.001);
		END LOOP;
	END LOOP;
END $$;
EOS
my $failures = failures($from);

# a machine may need long for them, and it is tried again after a second
cmp_ok($failures, '<', 50 + time - $began, 'it is not tried in each turn');

is(run(q{SELECT string_agg(destination, ' ' ORDER BY destination) FROM braze_queue}), 'braze other', 'and what was refused is not sent again');

# --- the pauses are written once that is possible, and end as any other

damage('rest_api_key=test-key');
ok(braze_wait_for_count($node, 2, 'braze_paused', 'by_worker'), 'both pauses are written');
run(q{SELECT braze_start(d) FROM unnest('{braze,other}'::text[]) d});
ok(braze_flush($node), 'and end when somebody starts the destinations');
is($braze->accepted('events'), 53, 'each event arrives once');

$node->stop;
done_testing();
