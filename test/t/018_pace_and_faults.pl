# When Braze is sent something, and what it takes until a call is given up: a
# call on which Braze fails, a Braze that is down, rate limits, a flood of
# refusals, and an endpoint for which the key has no permission.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new(track_key => 'track-only');
my $node = braze_node('main', $braze, options =>
	  "max_requests_in_flight '2', identifiers 'user_id, anonymous_id', identity_delay '0', delete_calls 'delete'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# the first request after a start goes alone, so one is over before each part
sub begin
{
	$braze->clear_faults;
	run("SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	run('DELETE FROM braze_dead_letters');
	$braze->reset;
	return;
}

# one call each of users u1, u2, ..., in one transaction
sub queue
{
	my ($count, $event) = @_;

	$event ||= "'A'";
	run(<<EOS);
SELECT count(braze_track('u' || n, $event, jsonb_build_object('seq', n)))
FROM generate_series(1, $count) n
EOS
	return;
}

sub applied
{
	my ($user) = @_;
	return join ' ', map { $_->{name} || $_->{kind} }
	  grep { $_->{outcome} =~ /^(accepted|no effect)$/ && $_->{user} eq $user } $braze->log;
}

sub count_dead_letters
{
	return run('SELECT count(*) FROM braze_dead_letters');
}

sub set_option
{
	my ($name, $value) = @_;

	run("ALTER SERVER braze OPTIONS (ADD $name '$value')");
	return;
}

sub drop_option
{
	my ($name) = @_;

	run("ALTER SERVER braze OPTIONS (DROP $name)");
	return;
}

# a call on which Braze fails whenever it is sent, with others in its request
begin();
my $poison = $braze->fault(kind => 'status', status => 500, name => 'Poison', body => '{"message": "oops"}');
run("SELECT braze_pause('braze', 'test')");
braze_wait_for_state($node, 'braze', 'paused: test');
run(<<'EOS');
SELECT count(braze_track('u' || n, CASE n WHEN 30 THEN 'Poison' ELSE 'A' END)) FROM generate_series(1, 60) n;
SELECT braze_track('u30', 'Later');
EOS
run("SELECT braze_start('braze')");
ok(braze_wait_for_count($node, 2, 'braze_queue'), 'all are delivered but the guilty call and the next of its user');
is(braze_dead_letters($node), '', 'no call is blamed yet');

# it takes its time, in which others come and go
StandIn::wait_until(
	sub {
		run("SELECT braze_track('somebody', 'A')");
		return count_dead_letters() > 0;
	},
	'the guilty call is given up');
is(braze_dead_letters($node), 'u30', 'in the end it is a dead letter');
is(run("SELECT http_status, reason LIKE '%oops%8 attempts%' FROM braze_dead_letters"), '500|t', 'which says why');
braze_flush($node);
is(applied('u30'), 'Later', "and its user's next call is delivered");
is(join(' ', sort { $a <=> $b } map { s/\D//gr } grep { /^u\d/ } map { $_->{user} }
		grep { $_->{outcome} eq 'accepted' } $braze->log),
	join(' ', 1 .. 60), 'everybody has arrived once');
cmp_ok($braze->hits($poison), '<=', 30, 'and few requests failed');

# with nothing else around, it waits; what comes then does not wait for it
begin();
$poison = $braze->fault(kind => 'status', status => 500, name => 'Poison');
run("SELECT braze_track('u1', 'Poison')");
StandIn::wait_until(sub { $braze->hits($poison) >= 5 }, 'the call has failed several times');
run("SELECT braze_track('u2', 'A')");
ok(braze_wait_for_count($node, 1, 'braze_queue'), 'a call that comes later passes');
is(applied('u2'), 'A', 'and arrives');
$braze->clear_faults;
braze_flush($node);
is(braze_dead_letters($node), '', 'a call that fails while nothing succeeds is not blamed');

# Braze is down: one request is under way, whatever waits, and none is blamed
begin();
$braze->hold;
run("SELECT braze_track('probe', 'A')");
$braze->wait_for_stat('held', 1);
queue(100);
foreach my $round (1 .. 5)
{
	$braze->release(count => 1, status => 503) while $round == 1 && $braze->stats->{held} > 1;
	$braze->release(count => 1, status => 503);
	$braze->wait_for_stat('held', 1);
	is($braze->stats->{held}, 1, "one request is the probe ($round)") if $round > 1;
}
ok($node->poll_query_until('postgres', 'SELECT in_flight, state FROM braze_status', '1|retrying'), 'and the status says so');
$braze->release;
braze_flush($node);
is(scalar(keys %{ $braze->seen }), 100, 'when Braze is back all arrive');
is($braze->order->{violations} + count_dead_letters(), 0, 'and none was blamed');

# rate limits: a point in time, and the last request that there was room for
foreach my $headers ({ 'x-ratelimit-reset' => time + 4 },
	{ 'x-ratelimit-retry-after' => '3', 'retry-after' => '3600', 'x-ratelimit-reset' => '3600' })
{
	my $began = time;

	begin();
	$braze->fault(kind => 'status', status => 429, count => 1, headers => $headers);
	queue(3);
	braze_flush($node);
	cmp_ok(time - $began, '>=', 2, 'after a 429 nothing is sent before the time that ' . join(', ', sort keys %$headers) . ' says');
	$braze->clear_faults;
}
begin();
$braze->fault(kind => 'status', status => 201, applied => 'true', count => 1, body => '{"message": "success"}',
	headers => { 'x-ratelimit-remaining' => '0', 'x-ratelimit-reset' => '3' });
my $began = time;
run("SELECT braze_track('u1', 'A')");
braze_flush($node);
run("SELECT braze_track('u2', 'A')");
braze_flush($node);
cmp_ok(time - $began, '>=', 2, 'after the last request of a limit the next waits for its reset');
is(applied('u2'), 'A', 'and then goes');

# a rate limit of an identity endpoint is its own
begin();
$braze->fault(kind => 'status', status => 429, path => '/users/delete', count => 1, headers => { 'retry-after' => '3600' });
run("SELECT braze_delete_user('u1')");
StandIn::wait_until(sub { $braze->stats->{answers}{429} }, 'an identity endpoint has its limit');
queue(20);
ok(braze_wait_for_count($node, 2, 'braze_queue'), '/users/track goes on, but for the user who waits');
set_option('max_requests_per_second', '1000');
braze_flush($node);
is(applied('u1'), 'external_ids A', 'changed options begin anew, and the order was kept');

# max_requests_per_second
begin();
set_option('max_objects_per_request', '1');
run("ALTER SERVER braze OPTIONS (SET max_requests_per_second '2')");
$began = time;
queue(6);
braze_flush($node);
cmp_ok(time - $began, '>=', 2, 'six requests, two a second, take two seconds');
run("ALTER SERVER braze OPTIONS (SET max_requests_per_second '0.01')");
queue(3);
$braze->wait_for_accepted(7);
is(run("SELECT braze_flush('1 s')"), 'f', 'one in a hundred seconds');
is($braze->accepted, 7, 'is one');
drop_option('max_requests_per_second');
braze_flush($node);
is($braze->accepted, 9, 'until the option is taken back');
drop_option('max_objects_per_request');

# max_retry_age: calls are given up after a time in which nothing succeeded,
begin();
set_option('max_retry_age', '2 s');
$braze->fault(kind => 'status', status => 503, body => '{"message": "down"}');
queue(3);
ok(braze_wait_for_count($node, 3, 'braze_dead_letters'), 'calls are given up after max_retry_age');
is(run("SELECT DISTINCT reason LIKE 'queued % s ago and not delivered: for % s all attempts have failed, the last with HTTP 503: down: max_retry_age is over', http_status FROM braze_dead_letters"),
	't|503', 'the dead letter says how old it is, for how long, and what Braze answered');
is(run('SELECT bool_and(failed_at - queued_at >= interval $$2 s$$) FROM braze_dead_letters'), 't', 'none was younger');
$braze->clear_faults;
run('SELECT braze_retry()');
braze_flush($node);
is($braze->accepted, 3, 'braze_retry sends them');

# not because they waited for somebody, or for a rate limit
begin();
run("SELECT braze_pause('braze', 'test')");
braze_wait_for_state($node, 'braze', 'paused: test');
queue(3);
$node->poll_query_until('postgres', 'SELECT oldest_pending > interval $$3 s$$ FROM braze_status') or die 'time stands still';
$braze->fault(kind => 'status', status => 503, count => 1);
$braze->fault(kind => 'status', status => 429, count => 1, headers => { 'retry-after' => '3' });
$braze->fault(kind => 'status', status => 503, count => 1);
run("SELECT braze_start('braze')");
braze_flush($node);
is($braze->accepted, 3, 'calls that were old when it began to fail are delivered');
is(count_dead_letters(), '0', 'and not given up');
drop_option('max_retry_age');

# a flood of refusals pauses the destination instead of emptying the queue
begin();
foreach my $time ('once', 'and again, counted anew')
{
	my $before = count_dead_letters();
	my $refused;

	$braze->fault(kind => 'refuse', body => '{"message": "nonsense"}');
	queue(300);
	ok(braze_wait_for_state($node, 'braze', 'paused: over half of the last 100 calls%nonsense%'), "a flood of refusals pauses, $time");
	ok(braze_wait_for_count($node, 1, 'braze_paused', "by_worker AND endpoint = ''"), 'braze_paused has it');
	$node->poll_query_until('postgres',
		"SELECT in_flight = 0 AND dead_letters > $before FROM braze_status") or die 'still under way';
	ok(braze_wait_for_count($node, 300, <<"EOS"), 'nothing is lost');
(SELECT FROM braze_queue UNION ALL (SELECT FROM braze_dead_letters OFFSET $before)) x
EOS
	$refused = count_dead_letters() - $before;
	cmp_ok($refused, '>', 50, 'over half of a hundred were refused');
	cmp_ok($refused, '<=', 53, 'and those that were under way');
	$braze->clear_faults;
	$braze->reset;
	run("SELECT braze_start('braze')");
	braze_flush($node);
	is($braze->accepted, 300 - $refused, 'the others are delivered after braze_start');
}
begin();
$braze->fault(kind => 'refuse', name => 'Bad');
queue(300, "CASE n % 3 WHEN 0 THEN 'Bad' ELSE 'Good' END");
braze_flush($node);
is(count_dead_letters(), '100', 'a third of the calls may be refused');
is($braze->accepted, 200, 'without holding up the others');

# a permission that is missing pauses the endpoint that needs it, and that alone
begin();
run("SELECT braze_track(NULL, 'Visited', anonymous_id => 'a1')");
braze_flush($node);
run("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'track-only')");
run(<<'EOS');
SELECT braze_identify('u1', '{"plan": "pro"}', anonymous_id => 'a1');
SELECT braze_track('u1', 'Played');
SELECT braze_delete_user('u2');
SELECT braze_track('u3', 'Played');
EOS
ok(braze_wait_for_count($node, 3, 'braze_queue'), 'calls that need only /users/track pass');
is(applied('u3'), 'Played', 'and arrive');
ok(braze_wait_for_state($node, 'braze', 'running: calls that need /users/% wait: %403%permission users.%'), 'the status says what waits and why');
ok( $node->poll_query_until('postgres', <<'EOS'), 'so does braze_paused');
SELECT string_agg(endpoint, ' ' ORDER BY endpoint) = '/users/delete /users/identify' AND bool_and(by_worker) FROM braze_paused
EOS
is(braze_dead_letters($node), '', 'no call is refused');
$node->restart;
ok(braze_wait_for_state($node, 'braze', 'running: calls that need /users/%'), 'a restart does not end it');
run("SELECT braze_track('u3', 'Paused')");
ok(braze_wait_for_count($node, 3, 'braze_queue'), 'and /users/track goes on');
is(run("SELECT braze_start('braze')"), 't', 'braze_start finds it paused');
ok(braze_wait_for_count($node, 2, 'braze_paused', 'by_worker'), 'and it is again when nothing was mended');
run("DELETE FROM braze_queue WHERE call ->> 'userId' = 'u2'");
run("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'test-key')");
braze_flush($node);
is(applied('u1'), 'aliases_to_identify attributes Played', 'with a key that may, all goes on in order');
is(applied('u2'), '', 'but for what was deleted meanwhile');
ok(braze_wait_for_state($node, 'braze', 'running'), 'the destination runs');
ok(braze_wait_for_count($node, 0, 'braze_paused'), 'and nothing is paused');

$node->stop;
done_testing();
