# Calls under way: other sessions lock, delete, change or retry them; one user's
# trouble is his own; and braze_flush waits for what was there when it began.

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

# the first request after a start goes alone, so one is over before each part
sub begin
{
	run("SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	$braze->reset;
	return;
}

sub applied
{
	return join ' ', map { "$_->{user}:$_->{name}" }
	  grep { $_->{outcome} eq 'accepted' } $braze->log;
}

sub queue_is
{
	my ($count, $what) = @_;
	return ok(braze_wait_for_count($node, $count, 'braze_queue'), $what);
}

# braze_flush: a later call is not waited for, even one that is under way
begin();
$braze->hold;
run("SELECT braze_track('u1', 'first')");
$braze->wait_for_stat('held', 1);
my $session = $node->background_psql('postgres');
$session->query_until(qr/began/, "\\echo began\nSELECT braze_flush('1 h');\n");
$node->poll_query_until('postgres', <<'EOS') or die 'braze_flush does not wait';
SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%braze\_flush%' AND wait_event_type = 'Extension'
	AND backend_type = 'client backend'
EOS
run("SELECT braze_track('u2', 'second')");
$braze->wait_for_stat('held', 2);
is($braze->release(count => 1), 1, 'the first call is answered');
like($session->query_until(qr/^[tf]$/m, ''), qr/^t$/m,
	'braze_flush does not wait for a call that was queued after it began');
is($braze->stats->{held}, 1, 'which is still under way');
is(run('SELECT count(*) FROM braze_queue'), '1', 'and in the queue');

# it ends like any other statement
is($node->psql('postgres', "SET statement_timeout = '50 ms'; SELECT braze_flush('1 h')"),
	3, 'a braze_flush that waits can be cancelled');
$braze->release;
braze_flush($node);
is(applied(), 'u1:first u2:second', 'both have arrived');
$session->quit;

# a user whose request hangs: the calls of others pass, his wait in their order
begin();
$braze->hold(user => 'u1');
run("SELECT braze_track('u1', 'first')");
$braze->wait_for_stat('held', 1);
run(<<'EOS');
SELECT braze_track('u1', 'second');
SELECT count(braze_track('u' || n % 50 + 2, 'A')) FROM generate_series(1, 500) n;
SELECT braze_track('u1', 'third');
EOS
queue_is(3, 'a user whose request hangs does not hold up others');
is($braze->stats->{held}, 1, 'none of his calls overtakes it');
$braze->release;
braze_flush($node);
is(join(' ', grep { /^u1:/ } split / /, applied()),
	'u1:first u1:second u1:third', 'and they arrive in their order');
is($braze->stats->{overlaps}, 0, 'one after the other');

# a user whose calls fail for a while
begin();
my $fault = $braze->fault(kind => 'status', status => 503, user => 'u1');
run("SELECT braze_track('u1', 'first')");
StandIn::wait_until(sub { $braze->hits($fault) >= 2 }, 'the call has failed twice');
$braze->clear_faults;
run("SELECT braze_track('u1', 'second'), braze_track('u2', 'A')");
braze_flush($node);
is(join(' ', sort { $a cmp $b } split / /, applied()), 'u1:first u1:second u2:A', 'a passing fault loses nothing');

# a row that somebody has locked cannot be settled: it waits, and so do the rows of
# later calls of its user, which are sent
begin();
$braze->hold;
run("SELECT braze_track('u1', 'first'); SELECT braze_track('u2', 'first')");
$braze->wait_for_stat('held', 1);
$session = $node->background_psql('postgres');
$session->query_safe(
	"BEGIN; SELECT FROM braze_queue WHERE call->>'userId' = 'u1' FOR UPDATE;");
$braze->release;
queue_is(1, 'what is delivered is settled, but for a row that is locked');
run("SELECT braze_track('u1', 'second'), braze_track('u2', 'second')");
StandIn::wait_until(sub { return applied() =~ /u1:second/ && applied() =~ /u2:second/ }, 'later calls are accepted');
queue_is(2, 'later calls of the same user are sent, and are settled after it');
$session->query_safe('COMMIT;');
queue_is(0, 'and it is settled when the lock is gone');
is(join(' ', sort { $a cmp $b } split / /, applied()), 'u1:first u1:second u2:first u2:second', 'none was sent twice');

# deleted by somebody else while it is under way, in a transaction that rolls
# back, and in one that commits
foreach my $end ('ROLLBACK', 'COMMIT')
{
	begin();
	$braze->hold;
	run("SELECT braze_track('u1', 'first'); SELECT braze_track('u2', 'first')");
	$braze->wait_for_stat('held', 1);
	$session->query_safe("BEGIN; DELETE FROM braze_queue WHERE call->>'userId' = 'u1';");
	$braze->release;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM braze_queue WHERE call->>'userId' = 'u2'");
	$session->query_safe("$end;");
	queue_is(0, "deleted while under way, $end: the queue is empty");
	run("SELECT braze_track('u1', 'second')");
	braze_flush($node);
	is(applied(), 'u1:first u2:first u1:second', 'none was sent twice');
}

# refused, and deleted meanwhile: whoever deleted it wants it gone
begin();
$braze->fault(kind => 'errors', user => 'u1');
$braze->hold;
run("SELECT braze_track('u1', 'first')");
$braze->wait_for_stat('held', 1);
run('DELETE FROM braze_queue');
$braze->release;
run("SELECT braze_track('u2', 'second')");
braze_flush($node);
is(braze_dead_letters($node), '', 'a call that was deleted while it was refused is no dead letter');

# changed while it is under way: it has been sent, and is settled
begin();
$braze->hold;
run("SELECT braze_track('u1', 'first')");
$braze->wait_for_stat('held', 1);
run(q{UPDATE braze_queue SET call = call || '{"changed": true}'});
$braze->release;
queue_is(0, 'a row that is changed while it is under way is settled');
is(applied(), 'u1:first', 'and was sent once');

# deleted before it is sent
begin();
run("SELECT braze_pause('braze')");
run("SELECT braze_track('u1', 'purged'), braze_track('u2', 'kept')");
run("DELETE FROM braze_queue WHERE call->>'event' = 'purged'");
run("SELECT braze_start('braze')");
braze_flush($node);
is(applied(), 'u2:kept', 'what is deleted while its destination is paused is never sent');

# the same when requests are under way while the pause comes
begin();
run("ALTER SERVER braze OPTIONS (ADD max_requests_in_flight '1', ADD max_objects_per_request '1')");
$braze->hold;
run("SELECT braze_track('u1', 'under way'); SELECT braze_track('u2', 'purged'), braze_track('u3', 'kept');");
$braze->wait_for_stat('held', 1);
run("SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
$node->poll_query_until('postgres', "SELECT state = 'paused' FROM braze_counters()");
run("DELETE FROM braze_queue WHERE call->>'event' = 'purged'");
$braze->release;
queue_is(1, 'a call that was under way when the pause came is settled');
run("SELECT braze_start('braze')");
braze_flush($node);
is(applied(), 'u1:under way u3:kept', 'and of the others only what was not deleted is sent');

# moved to another destination, since its own is gone
my $other = StandIn->new;
begin();
run("INSERT INTO braze_queue (destination, call) SELECT 'gone', "
	  . q{jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'moved') FROM generate_series(1, 20) n});
run("SELECT braze_track('u1', 'A')");
braze_flush($node, 'postgres', 'braze');
braze_destination($node, 'postgres', 'other', $other);
run("UPDATE braze_queue SET destination = 'other' WHERE destination = 'gone'");
queue_is(0, 'calls that are moved to another destination are settled');
is($other->accepted, 20, 'and have been sent to it, each once');

is(run('SELECT count(*) FROM braze_dead_letters'), '0', 'nothing has become a dead letter');
$node->stop;
done_testing();
