# What is purged is not sent, whatever the worker holds of it; only what is
# under way ends.

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
my $node = braze_node('main', $braze, options => "max_objects_per_request '5', max_requests_in_flight '4'");

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub queue
{
	my ($event, $count) = @_;

	run("SELECT count(braze_track('u' || i, '$event')) FROM generate_series(1, $count) i");
	return;
}

sub accepted
{
	my ($event) = @_;

	return scalar grep { $_->{outcome} eq 'accepted' && $_->{name} eq $event } $braze->log;
}

# the first request after a start goes alone
sub begin
{
	$braze->clear_faults;
	run("SELECT braze_track('warm up', 'warm up')");
	braze_flush($node);
	$braze->reset;
	return;
}

# some of it under way, some of it in memory: only the former ends
begin();
$braze->hold;
queue('purged', 500);
$braze->wait_for_stat('held', 4);
is(run("SELECT braze_purge('braze')"), '500', 'braze_purge says how many calls it took');
queue('kept', 5);
$braze->release;
braze_flush($node);
is(accepted('purged'), 20, 'of what is purged while it is sent, only what was under way arrives');
is(accepted('kept'), 5, 'what was queued afterwards does');

is(run('SELECT delivered FROM braze_status'), '6', 'and what was purged is not counted as delivered');

# the same by plain SQL
begin();
$braze->hold;
queue('purged', 500);
$braze->wait_for_stat('held', 4);
run('DELETE FROM braze_queue');
queue('kept', 5);
$braze->release;
braze_flush($node);
is(accepted('purged'), 20, 'DELETE is heard of, too');
is(accepted('kept'), 5, 'what was queued afterwards arrives');

# under way, and to be sent again: it is not
begin();
my $fault = $braze->fault(kind => 'status', status => 503);
queue('purged', 20);
StandIn::wait_until(sub { $braze->hits($fault) >= 1 }, 'a request has failed');
run("SELECT braze_purge('braze')");
$braze->clear_faults;
queue('kept', 5);
braze_flush($node);
is(accepted('purged'), 0, 'what failed and was purged is not sent again');
is(accepted('kept'), 5, 'the destination goes on');

# by a prepared transaction, of which the worker hears when it is committed
begin();
run('ALTER SYSTEM SET log_min_messages = debug1');
run('SELECT pg_reload_conf()');
$braze->hold;
queue('purged', 500);
$braze->wait_for_stat('held', 4);
$node->psql('postgres', "BEGIN; SELECT braze_purge('braze'); PREPARE TRANSACTION 'purge'", on_error_die => 1);
my $offset = -s $node->logfile;
run("COMMIT PREPARED 'purge'");
ok($node->wait_for_log(qr/segment_braze: looked for calls that were taken out of the queue/, $offset), 'the worker looks');
$braze->release;
braze_flush($node);
is(accepted('purged'), 20, 'what a prepared transaction purges is not sent either');
run('ALTER SYSTEM RESET log_min_messages');
run('SELECT pg_reload_conf()');

# a paused destination: nothing is sent when it is resumed, not even what failed
foreach my $how ("SELECT braze_purge('braze'); SELECT braze_start('braze')",
	"BEGIN; SELECT braze_purge('braze'); SELECT braze_start('braze'); COMMIT",
	"DELETE FROM braze_queue; SELECT braze_start('braze')",
	"BEGIN; SELECT braze_purge('braze'); PREPARE TRANSACTION 'purge'; COMMIT PREPARED 'purge'; SELECT braze_start('braze')")
{
	begin();
	$fault = $braze->fault(kind => 'status', status => 503);
	queue('purged', 50);
	StandIn::wait_until(sub { $braze->hits($fault) >= 2 }, 'requests have failed');
	run("SELECT braze_pause('braze')");
	$node->poll_query_until('postgres',
		"SELECT state = 'paused' AND in_flight = 0 FROM braze_counters()") or die 'not paused';
	my $hits = $braze->hits($fault);
	$node->psql('postgres', $how, on_error_die => 1);
	queue('kept', 1);
	StandIn::wait_until(sub { $braze->hits($fault) > $hits }, 'the next call is sent');
	$braze->clear_faults;
	braze_flush($node);
	is(accepted('purged'), 0, "nothing purged is sent after a pause: $how");
	is(accepted('kept'), 1, 'what was queued afterwards is');
}

# a call in several requests, the first of which is under way
begin();
$braze->hold;
run(<<'EOS');
SELECT braze_track('u1', 'Completed Order', jsonb_build_object('products',
	(SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || i, 'price', 1)) FROM generate_series(1, 30) i)))
EOS
$braze->wait_for_stat('held', 1);
run("SELECT braze_purge('braze')");
run("SELECT braze_track('u1', 'kept')");
$braze->release;
braze_flush($node);
is($braze->accepted('purchases'), 5, 'of a call in several requests no further one is sent');
is(accepted('kept'), 1, "and the user's next call follows");

# a purge that is rolled back
begin();
$braze->hold;
queue('kept', 40);
$braze->wait_for_stat('held', 4);
run("BEGIN; SELECT braze_purge('braze'); ROLLBACK");
$braze->release;
braze_flush($node);
is(accepted('kept'), 40, 'a purge that is rolled back is none');
is($braze->order->{duplicates}, 0, 'and nothing is sent twice');

# while the queue is locked nothing is sent that may be purged
begin();
$fault = $braze->fault(kind => 'status', status => 503);
queue('purged', 20);
StandIn::wait_until(sub { $braze->hits($fault) >= 1 }, 'a request has failed');
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT braze_purge('braze'); LOCK TABLE braze_queue; COMMIT; BEGIN; LOCK TABLE braze_queue");
$braze->clear_faults;
$session->query_safe('COMMIT');
$session->quit;
queue('kept', 1);
braze_flush($node);
is(accepted('purged'), 0, 'a lock on the queue lets nothing slip through');

# the worker is told when it is not the worker that was: nothing is held
begin();
$braze->hold;
queue('purged', 40);
$braze->wait_for_stat('held', 4);
my $worker = braze_worker_pid($node);
run("ALTER SYSTEM SET segment_braze.deliver = off");
$node->reload;
run("SELECT pg_terminate_backend($worker)");
braze_wait_for_worker($node, undef, $worker);
run("SELECT braze_purge('braze')");
$braze->release;
run("ALTER SYSTEM RESET segment_braze.deliver");
$node->reload;
queue('kept', 1);
braze_flush($node);
is(accepted('kept'), 1, 'a purge between two workers');
cmp_ok(accepted('purged'), '<=', 20, 'leaves what was under way');

# a retried call takes its letter along; another stays
begin();
$braze->fault(kind => 'errors', user => 'u1', reason => 'no such thing');
$braze->fault(kind => 'errors', user => 'u2', reason => 'no such luck');
queue('letters', 2);
braze_flush($node);
run("SELECT braze_pause('braze'); SELECT braze_retry(reason => '%luck%')");
is(run("SELECT braze_purge('braze', 'dead letters', '%luck%')"), '0', 'a letter that is queued again is not purged as a letter');
is(run("SELECT braze_purge('braze')"), '1', 'but with the queue');
is(run("SELECT string_agg(call->>'userId', ' ') FROM braze_dead_letters"), 'u1', 'another one stays');

# of a server that is gone
run("SELECT braze_retry(); SELECT braze_start('braze'); DROP SERVER braze CASCADE");
run('INSERT INTO braze_queue (destination, call) '
	  . q{VALUES ('braze', '{"type": "track", "userId": "later", "event": "A"}')});
is(run("SELECT braze_purge('braze', 'both')"), '2', 'calls of a server that is gone');
is(run('SELECT count(*) FROM braze_status'), '0', 'leave nothing behind');

$node->stop;
done_testing();
