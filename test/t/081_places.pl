# Destinations have places in shared memory: found again after they were freed,
# not all for one database, and without one calls are delivered all the same.

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
	conf => "segment_braze.max_destinations = 20\nsegment_braze.nap = '100ms'\nmax_locks_per_transaction = 256");

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub counted
{
	my ($count, $what, $database) = @_;

	return ok($node->poll_query_until($database || 'postgres', "SELECT count(*) = $count FROM braze_counters()"), $what);
}

sub create
{
	my ($first, $last, $database) = @_;

	run(<<EOS, $database);
DO \$\$
BEGIN
	FOR i IN $first .. $last LOOP
		EXECUTE format('CREATE SERVER s%s FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint %L)', i, '${\$braze->url}');
		EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER s%s OPTIONS (rest_api_key ''test-key'')', i);
		PERFORM braze_start('s' || i);
	END LOOP;
END \$\$
EOS
	return;
}

sub drop
{
	my ($first, $last, $database) = @_;

	run("DROP SERVER " . join(', ', map { "s$_" } $first .. $last) . " CASCADE", $database);
	return;
}

# --- servers that come and go

run(q{SELECT braze_track('u1', 'A')});
braze_flush($node);
foreach my $round (0 .. 32)
{
	my ($first, $last) = ($round * 9 + 1, $round * 9 + 9);

	create($first, $last);
	run("SELECT count(braze_track('u$round', 'A', destination => 's' || n)) FROM generate_series($first, $last) n");
	braze_flush($node);
	drop($first, $last);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM braze_counters()")
	  or die "round $round: the places of the servers that are gone are not freed";
}
is($braze->accepted, 1 + 33 * 9, 'almost 300 servers were created, had calls, and were dropped');
is(run('SELECT delivered FROM braze_counters()'), '1', 'another one is counted as before');

# the worker forgets them, too
$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
$node->reload;
run("ALTER SERVER braze OPTIONS (ADD max_batch_delay '20 ms')");
StandIn::wait_until(
	sub {
		my $log = -s $node->logfile;
		my $read = qr/read the options, keys and pauses of (\d+) destinations/;

		run("ALTER SERVER braze OPTIONS (SET max_batch_delay '20 ms')");
		StandIn::wait_until(sub { slurp_file($node->logfile, $log) =~ $read }, 'the destinations are read');
		return slurp_file($node->logfile, $log) =~ $read && $1 == 1;
	},
	'the worker knows the one server that is there');
pass('the worker remembers nothing of servers that are gone');
$node->append_conf('postgresql.conf', 'log_min_messages = warning');
$node->reload;

# those of a transaction that is rolled back, which no worker has seen
foreach my $round (1 .. 3)
{
	run(<<EOS);
BEGIN;
DO \$\$
BEGIN
	FOR i IN 1 .. 9 LOOP
		EXECUTE format('CREATE SERVER r%s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter ''US-01'', max_queue_size ''1 MB'')', i);
		PERFORM braze_track('u', 'A', destination => 'r' || i);
	END LOOP;
END \$\$;
ROLLBACK;
EOS
	counted(1, "servers of a transaction that is rolled back leave nothing, round $round");
}

# --- what is queued, or may be, keeps the place of a server that is gone

create(1, 2);
run("ALTER SERVER s2 OPTIONS (ADD max_queue_size '1 MB')");
run("SELECT braze_pause('s1')");
run("SELECT braze_track('u1', 'A', destination => 's1')");
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT braze_track('u1', 'A', destination => 's2');");
counted(3, 'two more');
drop(1, 2);

# this one shows that those have been looked at, and stay
create(3, 3);
counted(4, 'three more');
drop(3, 3);
counted(3, 'one with a queued call, and one that a transaction has counted on, keep their places');
$session->query_safe('ROLLBACK;');
$session->quit;
counted(2, 'until the transaction ends');
run("DELETE FROM braze_queue");
counted(1, 'or the call is gone');
run("DELETE FROM braze_paused");

# --- a table that is full, for this database

create(1, 12);
counted(10, 'one database has half of the places');
is(run("SELECT count(*) FROM braze_status WHERE state LIKE 'not counted: %increase segment_braze.max_destinations%'"), '3', 'and the status says so of the others');
$braze->reset;
run("SELECT count(braze_track('u' || n, 'A', destination => 's' || n)) FROM generate_series(1, 12) n");
braze_flush($node);
is($braze->accepted, 12, 'whose calls are delivered all the same');
is(run("SELECT count(*) FROM braze_status WHERE state = 'running'"), '10', 'those that are counted are running');
run("ALTER SERVER s$_ OPTIONS (ADD max_queue_size '64 kB')") foreach 1 .. 12;
my ($ret, $out, $err) = $node->psql('postgres', <<'EOS');
SELECT braze_pause('s' || n) FROM generate_series(1, 12) n;
DO $$
BEGIN
	FOR i IN 1 .. 12 LOOP
		BEGIN
			FOR j IN 1 .. 100 LOOP
				PERFORM braze_track('u', 'A', jsonb_build_object('text', (SELECT string_agg(md5((i * 1000 + j * 100 + n)::text), '') FROM generate_series(1, 100) n)), destination => 's' || i);
			END LOOP;
			RAISE 'the queue of s% has no limit', i;
		EXCEPTION WHEN configuration_limit_exceeded THEN
			NULL;
		END;
	END LOOP;
END $$;
EOS
is($ret, 0, 'and whose max_queue_size holds') or diag $err;

# --- another database has its places, and gives them back with the extension

run('CREATE DATABASE other');
run('CREATE EXTENSION segment_braze', 'other');
create(1, 12, 'other');
counted(10, 'another database has the other half', 'other');
run('CREATE DATABASE third');
run('CREATE EXTENSION segment_braze', 'third');
create(1, 1, 'third');
braze_wait_for_worker($node, 'third');
ok(braze_wait_for_state($node, 's1', 'not counted: %', 'third'), 'and for a third none is left');
run("SELECT braze_track('u1', 'A', destination => 's1')", 'third');
ok(braze_flush($node, 'third'), 'but what it sends is sent');
run('DROP EXTENSION segment_braze CASCADE', 'other');
ok(braze_wait_for_state($node, 's1', 'running', 'third'), 'with DROP EXTENSION places are free');
run("SELECT braze_track('u1', 'A', destination => 's1')", 'third');
braze_flush($node, 'third');
is(run("SELECT delivered > 0 FROM braze_status", 'third'), 't', 'and it is counted from now on');

$node->stop;
done_testing();
