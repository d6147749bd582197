# The figures of braze_metrics: against what the stand-in has accepted, while a
# destination is paused, fails and is limited, and without a worker.

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
my $node = braze_node('main', $braze);

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# the sum of a number's series, of those that have these labels
sub metric
{
	my ($name, $labels, $destination) = @_;

	$labels ||= '{}';
	$destination ||= 'braze';
	return run(<<EOS);
SELECT sum(value) FROM braze_metrics()
WHERE name = 'segment_braze_$name' AND labels \@> '$labels' AND coalesce(destination, 'braze') = '$destination'
EOS
}

sub wait_for_metric
{
	my ($name, $condition, $labels) = @_;

	$labels ||= '{}';
	return $node->poll_query_until('postgres', <<EOS);
SELECT coalesce(sum(value) $condition, false) FROM braze_metrics()
WHERE name = 'segment_braze_$name' AND labels \@> '$labels'
EOS
}

sub state
{
	return run(<<'EOS');
SELECT string_agg(labels ->> 'state', ' ') FROM braze_metrics()
WHERE name = 'segment_braze_destination_state' AND value = 1
EOS
}

# ----- against the stand-in's own count, with several writers -----

my $script = "$PostgreSQL::Test::Utils::tmp_check/metrics.sql";
# different users: attributes of the same one go as one object
append_to_file($script, <<'EOS');
\set user random(1, 9000000000000)
SELECT braze_track('u:user', 'Seen', jsonb_build_object('n', :user));
SELECT braze_identify('u:user', jsonb_build_object('plan', :user));
EOS
$node->command_ok([ 'pgbench', '-n', '-c', '4', '-t', '200', '-f', $script, 'postgres' ], 'writers');
run(<<'EOS');
BEGIN;
SELECT braze_track('u1', 'Never');
SAVEPOINT s;
SELECT braze_track('u1', 'Never');
RELEASE s;
ROLLBACK;
BEGIN;
SELECT braze_track('u1', 'Kept');
SAVEPOINT s;
SELECT braze_track('u1', 'Never');
ROLLBACK TO s;
SAVEPOINT t;
SELECT braze_track('u1', 'Kept');
COMMIT;
SELECT braze_page('u1', 'Skipped');
SELECT braze_alias('u2', 'anonymous 2');
SELECT braze_track(NULL, 'Joined', anonymous_id => 'a3');
SELECT braze_identify('u3', '{}', anonymous_id => 'a3');
EOS
braze_flush($node);

my $queued = 4 * 200 * 2 + 6;
my $stats = $braze->stats;
is(metric('queued_calls_total'), $queued, 'what was committed was queued');
is(metric('delivered_calls_total') + metric('skipped_calls_total') + metric('rejected_calls_total'),
	$queued, 'and has come to an end');
foreach my $kind ('attributes', 'events', 'purchases')
{
	is(metric('accepted_objects_total', qq({"kind": "$kind"})), $stats->{accepted}{$kind} || 0, "$kind");
}
is(metric('accepted_objects_total'), $stats->{accepted}{total}, 'all objects');
is(metric('requests_total', '{"status": "2xx"}'), metric('requests_total'), 'each request was accepted');
is(metric('requests_total'), run("SELECT requests FROM braze_status"), 'as many as the status has');
is(metric('request_duration_seconds_count'), metric('requests_total'), 'each took its time');
is(metric('request_duration_seconds_bucket', '{"le": "+Inf"}'), metric('requests_total'), 'in a bucket');
is(metric('delivery_duration_seconds_count'), metric('delivered_calls_total'), 'and so did each call');
cmp_ok(metric('delivery_duration_seconds_sum'), '<', 600 * $queued, 'a plausible one');
cmp_ok(metric('request_body_bytes_total'), '>', 100 * 4 * 200, 'bytes');
is(metric('held_calls'), 0, 'nothing is held');
is(metric('oldest_call_id'), '', 'and nothing waits');
cmp_ok(metric('last_success_age_seconds'), '<', 600, 'a success not long ago');
is(state(), 'running', 'it runs');
is(metric('worker_running'), 1, 'and so does the worker');

# the buckets are cumulative
is(run(<<'EOS'), '0', 'no bucket has less than the one before');
SELECT count(*) FROM (
	SELECT value < lag(value) OVER (PARTITION BY destination, name ORDER BY (labels ->> 'le')::float8) AS less
	FROM (SELECT * FROM braze_metrics() WHERE name LIKE '%\_bucket' OFFSET 0) b) b
WHERE less
EOS

# ----- refused, failed, limited -----

my $refused = metric('requests_total', '{"status": "4xx"}');
$braze->fault(kind => 'status', status => 400, count => 1, body => '{"message": "no"}');
run("SELECT braze_track('u1', 'Refused')");
braze_flush($node);
is(metric('requests_total', '{"status": "4xx", "endpoint": "/users/track"}') - $refused, 1, 'a request that was refused');
is(metric('rejected_calls_total'), 1, 'and its call');
is(metric('delivery_duration_seconds_count'), metric('delivered_calls_total'), 'which took no time to be accepted');

$braze->fault(kind => 'status', status => 503, count => 1);
run("SELECT braze_track('u1', 'Again')");
braze_flush($node);
is(metric('requests_total', '{"status": "5xx"}'), 1, 'one that has failed');
is(metric('retried_requests_total'), 1, 'and is tried again');

$braze->fault(kind => 'cut', count => 1);
run("SELECT braze_track('u1', 'Without an answer')");
braze_flush($node);
is(metric('requests_total', '{"status": "none"}'), 1, 'one without an answer');

$braze->fault(kind => 'status', status => 201, applied => 'true', count => 1, body => '{"message": "success"}',
	headers => { 'x-ratelimit-remaining' => '0', 'x-ratelimit-reset' => '600' });
run("SELECT braze_track('u1', 'The last one')");
ok(wait_for_metric('rate_limit_wait_seconds', '> 400', '{"service": "track"}'), 'how long the limit lasts');
is(metric('rate_limit_remaining_requests', '{"service": "track"}'), 0, 'there is no room');
is(state(), 'rate_limited', 'and the state says so');
run("ALTER SERVER braze OPTIONS (ADD max_batch_delay '10')");
ok(wait_for_metric('rate_limit_wait_seconds', '= 0'), 'another limit');
is(metric('rate_limit_remaining_requests'), '', 'of which nothing is known');
$braze->fault(kind => 'status', status => 429, count => 1, headers => { 'retry-after' => '600' });
run("SELECT braze_track('u1', 'Too many')");
ok(wait_for_metric('requests_total', '= 1', '{"status": "429"}'), 'too many requests');

# ----- what is held, and what it has passed over -----

ok(wait_for_metric('held_calls', '= 1'), 'a call is held');
my $held = run('SELECT min(id) FROM braze_queue');
ok(wait_for_metric('oldest_call_id', "= $held"), 'it is the oldest');
cmp_ok(metric('held_bytes'), '>', 0, 'and takes memory');
cmp_ok(metric('oldest_call_age_seconds'), '<', 600, 'and is not old');

run("SELECT braze_pause('braze')");
ok(wait_for_metric('destination_state', '= 1', '{"state": "paused"}'), 'it is paused');
run("SELECT braze_track('u' || n, 'Waits') FROM generate_series(1, 100) n");
ok(wait_for_metric('oldest_call_id', "= $held"), 'the call that was held is the oldest');
ok(wait_for_metric('behind', '= 1'), 'it is behind');
run("DELETE FROM braze_queue WHERE id < $held + 50");
my $left = run('SELECT min(id) FROM braze_queue');
ok(wait_for_metric('oldest_call_id', "= $left"), 'the oldest of those that are left');
ok($node->poll_query_until('postgres',
	"SELECT value = (SELECT count(*) FROM braze_queue) FROM braze_metrics() WHERE name = 'segment_braze_queue_rows'"),
	'the statistics have the number of rows');

# ----- without a worker -----

my $worker = braze_worker_pid($node);
$node->safe_psql('template1', "SELECT pg_terminate_backend($worker)");
ok(braze_wait_for_worker($node, 'postgres', $worker), 'another worker');
ok(wait_for_metric('oldest_call_id', "= $left"), 'which finds the same call');
run("SELECT braze_start('braze')");
braze_flush($node);
ok(wait_for_metric('held_calls', '= 0'), 'nothing is held');
is(metric('oldest_call_id'), '', 'and nothing waits');
is(metric('accepted_objects_total'), $braze->stats->{accepted}{total} - 1, 'the objects of both workers, that of the lost answer once');

# ----- without a worker, after a crash -----

$node->append_conf('postgresql.conf', "segment_braze.restart_delay = '1 h'");
$node->reload;
$worker = braze_worker_pid($node);
kill 'KILL', $worker;
ok(braze_poll_while_restarting($node, 'postgres',
	"SELECT value = 0 FROM braze_metrics() WHERE name = 'segment_braze_worker_running'"), 'no worker');
run("SELECT braze_track('u1', 'After a crash')");
is(metric('queued_calls_total'), 1, 'the numbers begin anew');
is(state(), 'no_worker', 'and say that it is missing');
$node->append_conf('postgresql.conf', 'segment_braze.restart_delay = 0');
$node->reload;
braze_wait_for_worker($node);
braze_flush($node);
is(metric('delivered_calls_total'), 1, 'what was queued is delivered, and counts');
is(state(), 'running', 'it runs');

# ----- each is documented -----

my $page = slurp_file("$FindBin::RealBin/../../doc/monitoring.md");
my %documented = map { $_ => 1 } $page =~ /^\| `(segment_braze_\w+)` \| (?:gauge|counter|histogram) \|/mg;
my @names = split /\n/, run(<<'EOS');
SELECT DISTINCT regexp_replace(name, '_seconds_(bucket|sum|count)$', '_seconds') FROM braze_metrics()
EOS
is(join("\n", grep { !$documented{$_} } @names), '', 'each number is in the documentation');
my %counters = map { $_ => 1 } $page =~ /^\| `(segment_braze_\w+)` \| counter \|/mg;
is(join("\n", grep { ($_ =~ /_total$/) != exists $counters{$_} } @names), '', 'and those that only grow are counters');

done_testing();
