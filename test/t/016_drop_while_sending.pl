# The extension, or a destination, is dropped while the worker sends what
# others queue: the command succeeds, and the worker ends or goes on in peace.

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
my $node = braze_server('main', conf => "deadlock_timeout = '100ms'");
my $script = $node->basedir . '/queue.sql';
my $rounds = 5;

append_to_file($script, "SELECT braze_track('u' || (random() * 50)::int, 'A');\n");

# sessions that queue for as long as they can
sub writers
{
	my ($transactions) = @_;
	my $output = '';
	local %ENV = braze_environment($node);

	return start([ 'pgbench', '-n', '-c', '4', '-t', $transactions, '-f', $script, 'postgres' ],
		'<', \undef, '>&', \$output);
}

sub create
{
	$node->safe_psql('postgres', 'CREATE EXTENSION segment_braze');
	braze_destination($node, 'postgres', 'braze', $braze, options => "max_objects_per_request '5'");
	$braze->reset;
	return;
}

my $dropped = 0;
my $ended = 0;
foreach my $round (1 .. $rounds)
{
	my $pgbench;

	create();
	my $pid = braze_wait_for_worker($node);
	$pgbench = writers(100_000);
	$braze->wait_for_accepted(100);
	$dropped++ if $node->psql('postgres', 'DROP EXTENSION segment_braze CASCADE') == 0;
	finish($pgbench);
	$ended++ if $node->poll_query_until('template1', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
}
is($dropped, $rounds, 'DROP EXTENSION CASCADE while calls are queued and sent');
is($ended, $rounds, 'ends the worker');

# as soon as it is there, when the worker reads the destinations for the first
# time
foreach (1 .. 40)
{
	$node->safe_psql('postgres', "CREATE EXTENSION segment_braze;
		CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01')");
	$node->safe_psql('postgres', 'DROP EXTENSION segment_braze CASCADE');
}

# a drop that is rolled back, and one of the destination, lose nothing
create();
my $pgbench = writers(500);
$braze->wait_for_accepted(100);
foreach (1 .. $rounds)
{
	$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION segment_braze CASCADE; ROLLBACK;');
}
ok(finish($pgbench), 'a DROP EXTENSION that is rolled back disturbs nobody');
braze_flush($node);
is($braze->accepted, 4 * 500, 'and every call arrives once');

$braze->reset;
$pgbench = writers(2000);
$braze->wait_for_accepted(100);
$node->safe_psql('postgres', 'DROP SERVER braze CASCADE');
finish($pgbench);
braze_destination($node, 'postgres', 'braze', $braze);
braze_flush($node);

# braze_start has drawn one, too
my $calls = $node->safe_psql('postgres', 'SELECT last_value FROM braze_queue_id_seq') - 4 * 500 - 1;
is($braze->accepted, $calls, 'what was queued before DROP SERVER arrives once when it is there again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'none is a dead letter');

unlike(slurp_file($node->logfile), qr/deadlock detected|lock timeout|PANIC|server process .* was terminated/,
	'the log has nothing of deadlocks and crashes');
$node->stop;
done_testing();
