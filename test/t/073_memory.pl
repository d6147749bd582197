# The worker's memory has a bound, whatever is queued and whoever answers: with
# calls of up to 1 MB and 128 requests in flight, max_memory and 64 MB.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use Nginx;
use StandIn;

plan skip_all => 'needs nginx' unless Nginx::program();
plan skip_all => 'needs /proc' unless -r '/proc/self/status';

my ($max_memory, $beside) = (32, 64);
my $braze = StandIn->new;
my $front = Nginx->new($braze->port, good => { conf => 'keepalive_requests 100000; http2_max_concurrent_streams 128;' });
my $node = braze_node('main', $braze, conf => <<EOC);
autovacuum = off
max_wal_size = 4GB
segment_braze.max_memory = '${max_memory}MB'
segment_braze.nap = '60s'
EOC

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

if (run('SHOW debug_assertions') eq 'on')
{
	$node->stop;
	plan skip_all => 'a server with assertions takes more';
}

my @destinations = map { "d$_" } 1 .. 8;
my ($url, $ca_file) = ($front->url('good'), $front->ca_file);

foreach my $destination (@destinations)
{
	run(<<EOS);
CREATE SERVER $destination FOREIGN DATA WRAPPER segment_braze
	OPTIONS (custom_api_endpoint '$url', ca_file '$ca_file', app_identifier 'test-app', max_requests_in_flight '16');
CREATE USER MAPPING FOR CURRENT_USER SERVER $destination OPTIONS (rest_api_key 'test-key');
SELECT braze_start('$destination');
EOS
}

# calls of so many kB, to each of the destinations in turn
sub queue
{
	my ($calls, $kb, @to) = @_;
	my $to = join ', ', map { "'$_'" } @to;

	run(<<EOS);
INSERT INTO braze_queue (destination, call)
SELECT d, jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'A', 'properties', p)
FROM (SELECT jsonb_object_agg('p' || i, repeat('x', 200)) AS p FROM generate_series(1, 5 * $kb) i) p,
	generate_series(1, $calls) n, unnest(ARRAY[$to]) d
EOS
	return;
}

sub resident
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;

	return $kb / 1024;
}

sub waiting
{
	return run('SELECT count(*) FROM braze_queue');
}

# until all is sent: how much does it take at most?
sub is_bounded
{
	my ($what) = @_;
	my $pid = braze_worker_pid($node);
	my $most = 0;
	my $left = waiting();

	# each part of it has its time
	while ($left > 0)
	{
		my $before = $left;

		StandIn::wait_until(
			sub {
				my $now = resident($pid);

				$most = $now if $now > $most;
				return ($left = waiting()) < $before;
			},
			"$what: more is sent");
	}
	note sprintf '%s: %.1f MB', $what, $most;
	cmp_ok($most, '<=', $max_memory + $beside, "$what: the memory of the worker has its bound");
	is(run('SELECT count(*) FROM braze_dead_letters'), '0', "$what: nothing is refused");
	is(braze_worker_pid($node), $pid, "$what: the worker lives");
	return;
}

run("SELECT braze_track('warm up', 'warm up', destination => '$_')") foreach @destinations;
braze_flush($node);

# answers that take a while keep 128 requests in flight
$braze->fault(kind => 'slow', delay_ms => 200);
queue(1000, 20, @destinations);
is_bounded('a backlog of several destinations');

# It was inserted by a transaction that ends after another one has queued
# something, as a nightly batch does.
my $late = $node->background_psql('postgres');
$late->query_safe('BEGIN');
$late->query_safe(<<EOS);
INSERT INTO braze_queue (destination, call)
SELECT 'd1', jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'A', 'properties', p)
FROM (SELECT jsonb_object_agg('p' || i, repeat('x', 200)) AS p FROM generate_series(1, 100) i) p, generate_series(1, 8000) n
EOS
run("SELECT braze_track('u1', 'between', destination => 'd1')");
braze_flush($node, 'postgres', 'd1');
$late->query_safe('COMMIT');
$late->quit;
is_bounded('a batch that fills a hole');

# as large as they may be
queue(20, 40, @destinations);
run(<<EOS) foreach 1 .. 8;
INSERT INTO braze_queue (destination, call)
SELECT d, jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'A', 'context', repeat('x', 1000000))
FROM generate_series(1, 8) n, unnest(ARRAY['d1', 'd2']) d
EOS
is_bounded('calls of 1 MB');

# those that become as much as a call may, while others have the memory
queue(500, 20, @destinations);
run(<<EOS);
INSERT INTO braze_queue (destination, call)
SELECT d, jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'Order Completed', 'properties', p)
FROM (SELECT jsonb_object_agg('p' || i, repeat('x', 200)) || jsonb_build_object('products',
		(SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || i, 'price', 1)) FROM generate_series(1, 2000) i)) AS p
	FROM generate_series(1, 200) i) p,
	generate_series(1, 4) n, unnest('{d1,d2}'::text[]) d
EOS
is_bounded('large orders');

# whoever answers does so at length
$braze->clear_faults;
$braze->fault(kind => 'huge', bytes => 3 * 1024 * 1024, count => 32);
queue(1000, 20, @destinations);
is_bounded('answers of 3 MB');

# A worker that could not hold all looks for more when there is room for a good
# part, not after each answer.  What it counted it tells once a second, while it
# has something to do: which is so seldom that it hardly counts.
sub scans
{
	my $deleted = run("SELECT n_tup_del FROM pg_stat_all_tables WHERE relname = 'braze_queue'");

	StandIn::wait_until(
		sub {
			run("SELECT pg_sleep(1), braze_track('warm up', 'warm up', destination => 'd1')");
			braze_flush($node);
			return run("SELECT n_tup_del FROM pg_stat_all_tables WHERE relname = 'braze_queue'") > $deleted;
		},
		'the statistics are there');
	return run("SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelname = 'braze_queue_pkey'");
}

$braze->clear_faults;
my $before = scans();
my $requests = $braze->stats->{requests};
queue(40000, 1, 'd1');
is_bounded('small calls');
my $scans = scans() - $before;
$requests = $braze->stats->{requests} - $requests;
note "$scans scans for $requests requests";
cmp_ok($scans, '<', $requests / 4, 'a worker whose memory is full does not look for more after each answer');

run(<<'EOS');
DO $$
BEGIN
	FOR n IN 1 .. 4000 LOOP
		EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter %L)', 'gone' || n, 'US-01');
	END LOOP;
END
$$;
EOS
run("SELECT braze_track('u1', 'meanwhile', destination => 'd1')");
braze_flush($node);
run(<<'EOS');
DO $$
BEGIN
	FOR n IN 1 .. 4000 LOOP
		EXECUTE format('DROP SERVER %I', 'gone' || n);
	END LOOP;
END
$$;
EOS
queue(1000, 20, 'd1');
ok(braze_flush($node), 'servers that were dropped leave all of the memory to the others');

$node->stop;
done_testing();
