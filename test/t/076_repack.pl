# pg_repack copies a table, and then replays what its trigger saw meanwhile: what
# the worker writes has to be among it, or settled calls come back.

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

chomp(my $bindir = `pg_config --bindir`);
plan skip_all => "there is no pg_repack in $bindir" unless -x "$bindir/pg_repack";

my $braze = StandIn->new;
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'");
my $calls = 3000;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub queue
{
	my ($first, $last) = @_;

	run(<<EOS);
SELECT count(braze_track('u' || n % 500, 'A', jsonb_build_object('seq', n))),
	count(braze_identify('u' || n % 500, jsonb_build_object('plan', n))),
	count(braze_track('refused' || n, 'B'))
FROM generate_series($first, $last) n
EOS
	return;
}

# a repack of the table; copied: run when it has copied all there is; it ends no
# earlier than afterwards
sub repack
{
	my ($table, $copied) = @_;
	my $session = $node->background_psql('postgres');
	my $output = PostgreSQL::Test::Utils::tempdir() . "/$table.log";
	my $repack;

	# it waits for whoever may not know of its trigger
	$session->query_safe('BEGIN; SELECT pg_current_xact_id();');
	$repack = start([ "$bindir/pg_repack", '--no-order', '--no-kill-backend', '-t', "public.$table",
			'-h', $node->host, '-p', $node->port, '-d', 'postgres' ], '>', $output, '2>&1');
	StandIn::wait_until(sub { slurp_file($output) =~ /Waiting for 1 transaction/ }, "$table is copied");
	$copied->();
	$session->query_safe('COMMIT;');
	ok(finish($repack), "$table is repacked") or diag(slurp_file($output));
	$session->quit;
	return;
}

run('CREATE EXTENSION pg_repack');
$braze->fault(kind => 'errors', name => 'B');

foreach my $delivery ('at_least_once', 'at_most_once')
{
	if ($delivery eq 'at_most_once')
	{
		run("ALTER SERVER braze OPTIONS (SET changed_attributes_only 'false', ADD delivery 'at_most_once')");
	}
	foreach my $table ('braze_queue', 'braze_dead_letters', 'braze_profiles')
	{
		my $profiles = 'SELECT count(*), md5(string_agg(p::text, E\'\n\' ORDER BY p::text)) FROM braze_profiles p';
		my $what = "$delivery, $table";
		my $before;

		$braze->reset;
		$braze->fault(kind => 'errors', name => 'B');
		run('DELETE FROM braze_dead_letters');
		run("SELECT braze_pause('braze')");
		queue(1, $calls / 2);
		repack(
			$table,
			sub {
				run("SELECT braze_start('braze')");
				queue($calls / 2 + 1, $calls);
				braze_flush($node);
				is(run("SELECT count(*), count(DISTINCT call ->> 'userId') FROM braze_dead_letters"),
					"$calls|$calls", "$what: all is settled while it is repacked");

				# letters are deleted and rewritten as well
				run('SELECT braze_retry(id) FROM braze_dead_letters ORDER BY id LIMIT 100');
				run('SELECT count(*) FROM (SELECT braze_purge(NULL, \'dead letters\', before => now() - interval \'1 day\')) p');
				braze_flush($node);
				$before = run($profiles);
			});
		braze_flush($node);
		is(run('SELECT count(*) FROM braze_queue'), '0', "$what: no call came back");
		is_deeply($braze->order, { distinct => $calls, violations => 0, duplicates => 0, repeats => 0 },
			"$what: none is lost, none is sent twice");
		is(run("SELECT count(*), count(DISTINCT call ->> 'userId'), count(*) FILTER (WHERE attempts = 2) FROM braze_dead_letters"),
			"$calls|$calls|100", "$what: the dead letters are as they were");
		is(run($profiles), $before, "$what: and what is remembered is");
	}
}

$node->stop;
done_testing();
