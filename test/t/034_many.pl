# Many databases, many destinations with one that hangs among them, and fewer
# background workers than databases: each is served, or the status says why not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($databases, $destinations) = (12, 40);
my $braze = StandIn->new;
my $hanging = StandIn->new;
my $node = braze_server('main', conf => "max_worker_processes = 20\nsegment_braze.max_memory = '4MB'");
my @names = map { "d$_" } 1 .. $databases;

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# --- databases

run('CREATE DATABASE model');
run('CREATE EXTENSION segment_braze', 'model');
braze_destination($node, 'model', 'braze', $braze);
foreach my $name (@names)
{
	run("CREATE DATABASE $name TEMPLATE model");
	braze_start($node, $name, 'braze');
	run("SELECT count(braze_track('$name ' || n % 2, 'A', jsonb_build_object('seq', n))) FROM generate_series(1, 20) n", $name);
}
braze_flush($node, $_) foreach @names;
is_deeply($braze->order,
	{ distinct => 20 * $databases, violations => 0, duplicates => 0, repeats => 0 },
	"$databases databases are served, each call of each once");
is(run("SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'"),
	$databases + 1, 'each by a worker of its own');

# fewer workers than databases: what is not served says so, and is served when
# another one makes room
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '6');
$node->restart;
$braze->reset;
run("SELECT braze_track('late $_', 'A')", $_) foreach @names;

sub unserved
{
	return grep { run('SELECT braze_worker_state()', $_) =~ /^no worker: no background worker is free, increase max_worker_processes/ } @_;
}
my $waiting = 0;
StandIn::wait_until(
	sub {
		my $served = run("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'");

		$waiting = unserved(@names, 'model');
		return $waiting + $served == $databases + 1;
	},
	'each database has a worker or says that it has none');
cmp_ok($waiting, '>', 0, 'databases that got no worker say so in their status');
like(slurp_file($node->logfile), qr/no background worker is free for database ".+".*HINT:\s+Increase max_worker_processes/s, 'and the log does');
my @remaining = @names;
while (@remaining)
{
	# one that is only starting may still find no room
	my %unserved = map { $_ => 1 } grep { run('SELECT braze_worker_state()', $_) ne '' } @remaining;
	my @served = grep { !$unserved{$_} } @remaining;

	if (@served)
	{
		braze_flush($node, $_) foreach @served;
		run("DROP DATABASE $_") foreach @served;
		@remaining = grep { $unserved{$_} } @remaining;
	}
	else
	{
		# the launcher has not tried again yet
		select undef, undef, undef, 0.2;
	}
}
is($braze->accepted, $databases, 'and are served, one after the other, when there is room');

# --- destinations

$node->adjust_conf('postgresql.conf', 'max_worker_processes', '20');
$node->restart;
$braze->reset;
my $url = $braze->url;
my $hanging_url = $hanging->url;
$hanging->fault(kind => 'never');
run(<<EOS, 'model');
DO \$\$
BEGIN
	FOR i IN 1 .. $destinations LOOP
		EXECUTE format('CREATE SERVER s%s FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint %L, app_identifier %L, request_timeout %L)',
			i, CASE i WHEN 7 THEN '$hanging_url' ELSE '$url' END, 'app ' || i, '1 h');
		EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER s%s OPTIONS (rest_api_key %L)', i, 'test-key');
		PERFORM braze_start('s' || i);
	END LOOP;
END \$\$;
EOS
my $calls = 400;
run(<<EOS, 'model');
SELECT count(braze_track('s' || i || ' ' || n % 4, 'A', jsonb_build_object('seq', i * 1000 + n, 'text', repeat('x', 1000)),
	destination => 's' || i))
FROM generate_series(1, $calls) n, generate_series(1, $destinations) i
EOS
foreach my $i (grep { $_ != 7 } 1 .. $destinations)
{
	braze_flush($node, 'model', "s$i");
}
is_deeply($braze->order,
	{ distinct => $calls * ($destinations - 1), violations => 0, duplicates => 0, repeats => 0 },
	"$destinations destinations: each has its calls, in order, while one hangs");
is(run("SELECT count(*), sum(delivered) FROM braze_status WHERE destination LIKE 's%' AND pending = 0 AND delivered = $calls", 'model'),
	($destinations - 1) . '|' . $calls * ($destinations - 1), 'as their status says');
is(run("SELECT pending FROM braze_status WHERE destination = 's7'", 'model'), $calls, 'what hangs keeps its calls');
$hanging->clear_faults;
$hanging->reset;
braze_flush($node, 'model');
is($hanging->order->{distinct}, $calls, 'and sends them when it can');
is($hanging->order->{violations}, 0, 'in order');

$node->stop;
done_testing();
