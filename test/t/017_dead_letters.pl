# A dead letter stays while it is queued again: it goes when its call is
# delivered, and is the same row when its call is refused again.

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
	my ($statement, $database) = @_;

	return $node->safe_psql($database || 'postgres', $statement);
}

# one line per letter: number, user, attempts, is its call queued, why
sub letters
{
	return run(<<'EOS', @_);
SELECT d.id, d.call->>'userId', attempts, retried_at IS NOT NULL AND q.id IS NOT NULL,
	substr(reason, strpos(reason, 'no such'))
FROM braze_dead_letters d LEFT JOIN braze_queue q ON q.id = retry_id AND q.dead_letter = d.id
ORDER BY d.id
EOS
}

sub refuse
{
	my ($reason) = @_;

	$braze->clear_faults;
	$braze->fault(kind => 'errors', user => $_, reason => $reason) foreach 'u1', 'u2', 'u3';
	return;
}

refuse('no such thing');
run("SELECT count(braze_track('u' || i, 'A', message_id => 'm' || i)) FROM generate_series(1, 5) i");
braze_flush($node);
is(letters(), "1|u1|1|f|no such thing\n2|u2|1|f|no such thing\n3|u3|1|f|no such thing",
	'what is refused is a dead letter');

# it stays while its call is under way
$braze->clear_faults;
$braze->hold;
is(run('SELECT braze_retry(1)'), '1', 'a letter is queued again');
$braze->wait_for_stat('held', 1);
is(letters(), "1|u1|1|t|no such thing\n2|u2|1|f|no such thing\n3|u3|1|f|no such thing",
	'and stays, with the reason, while its call is under way');
is(run('SELECT braze_retry()'), '2', 'it is not queued a second time');
is(run('SELECT dead_letters FROM braze_status'), '0', 'braze_status counts those that wait for a decision');
$braze->release;
braze_flush($node);
is(letters(), '', 'all go with the delivery of their calls');
is($braze->order->{duplicates}, 0, 'and nothing was sent twice');

# refused again: the same row
refuse('no such thing');
run("SELECT count(braze_track('u' || i, 'A')) FROM generate_series(1, 3) i");
braze_flush($node);
my $history = run('SELECT id, queued_at, call FROM braze_dead_letters ORDER BY id');
refuse('no such luck');
run('SELECT braze_retry()');
braze_flush($node);
is(letters(), "4|u1|2|f|no such luck\n5|u2|2|f|no such luck\n6|u3|2|f|no such luck",
	'what is refused again is the same letter with the new reason');
is(run('SELECT id, queued_at, call FROM braze_dead_letters ORDER BY id'), $history,
	'and with the time at which the call was queued first');

# whatever is killed, there is one letter for one call
foreach my $round (1 .. 4)
{
	my $worker = braze_wait_for_worker($node);

	$braze->hold;
	run('SELECT braze_retry()');
	$braze->wait_for_stat('held', 1);
	kill 'KILL', $worker;
	braze_wait_for_worker($node, undef, $worker);
	$braze->release;
	braze_flush($node);
}
is(letters(), "4|u1|6|f|no such luck\n5|u2|6|f|no such luck\n6|u3|6|f|no such luck",
	'kills lose no letter, and make no second one');

# a letter that somebody has locked is waited for; it holds up nobody
my $session = $node->background_psql('postgres');
$braze->clear_faults;
$session->query_safe('BEGIN');
$session->query_safe('SELECT FROM braze_dead_letters WHERE id = 5 FOR UPDATE');
run('SELECT braze_retry(4)');
braze_flush($node);
$session->query_safe('COMMIT');
run('SELECT braze_retry(5)');
$session->query_safe('BEGIN');
$braze->hold;
run('SELECT braze_retry(6)');
$braze->wait_for_stat('held', 1);
$session->query_safe('SELECT FROM braze_dead_letters WHERE id = 6 FOR UPDATE');
$braze->release;
run("SELECT braze_track('another', 'A')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM braze_queue WHERE dead_letter IS DISTINCT FROM 6"),
	'a letter that is locked holds up nobody');
is(letters(), '6|u3|6|t|no such luck', 'and stays with its call');
$session->query_safe('COMMIT');
$session->quit;
braze_flush($node);
is(letters(), '', 'until the lock is gone');

# one that somebody deletes while its call is queued
refuse('no such thing');
run("SELECT braze_track('u1', 'A')");
braze_flush($node);
$braze->hold;
run('SELECT braze_retry()');
$braze->wait_for_stat('held', 1);
run('DELETE FROM braze_dead_letters');
$braze->release;
braze_flush($node);
is(run('SELECT count(*), min(attempts) FROM braze_dead_letters'), '1|1', 'a letter that was deleted meanwhile is a new one when its call is refused');

# of a call that was refused in part, no more than that is refused as a whole
run('DELETE FROM braze_dead_letters');
$braze->clear_faults;
$braze->fault(kind => 'errors', name => 'p2', reason => 'no such product');
run(<<'EOS');
SELECT braze_track('buyer', 'Completed Order',
	jsonb_build_object('note', repeat('x', 2000),
		'products', '[{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]'::jsonb))
EOS
braze_flush($node);
is(run('SELECT objects, attempts FROM braze_dead_letters'), '{2}|1', 'a part of a call is refused');
$node->append_conf('postgresql.conf', "segment_braze.max_call_size = '1kB'");
$node->reload;
run('SELECT braze_retry()');
ok($node->poll_query_until('postgres', 'SELECT attempts = 2 FROM braze_dead_letters'),
	'and refused again before it is sent');
is(run("SELECT objects, http_status, reason LIKE '%max_call_size%' FROM braze_dead_letters"), '{2}||t',
	'the letter is still about that part');
$node->append_conf('postgresql.conf', "segment_braze.max_call_size = '1MB'");
$node->reload;

# a dump has both rows, and a restored retry ends as any
run("SELECT braze_pause('braze'); SELECT braze_retry()");
my $dump = $node->backup_dir . '/dump.sql';
mkdir $node->backup_dir;
$node->command_ok([ 'pg_dump', '--file', $dump, 'postgres' ], 'dump');
run('CREATE DATABASE restored');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, 'restored' ],
	'restore');
is(letters('restored'), letters(), 'a restored letter is queued again, as it was');
is(run('SELECT braze_retry()', 'restored'), '0', 'and not queued twice');
$braze->reset;
$braze->clear_faults;
run("SELECT braze_start('braze')", 'restored');
braze_flush($node, 'restored');
is(letters('restored'), '', 'it ends with its delivery');
is(join(' ', map { $_->{name} } $braze->log), 'p2', 'and only the part that was refused was sent');

# to another destination
my $other = StandIn->new;
braze_destination($node, 'postgres', 'other', $other);
run("DELETE FROM braze_queue; SELECT braze_start('braze')");
is(run("SELECT braze_retry(to_destination => 'other')"), '1',
	'a letter whose call was deleted from the queue may be retried');
braze_flush($node);
is($other->accepted, 1, 'at another destination');
is(letters(), '', 'and is a letter no more');

# segment_braze.dead_letter_retention: by age, but not what is queued again
sub letter_users
{
	return run("SELECT string_agg(call->>'userId', ' ' ORDER BY call->>'userId') FROM braze_dead_letters");
}

run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at)
SELECT CASE WHEN i % 2 = 0 THEN 'braze' END, jsonb_build_object('type', 'identify', 'userId', 'many'), 'old', now(),
	now() - interval '100 days' FROM generate_series(1, 20000) i;
INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at)
SELECT 'braze', jsonb_build_object('type', 'identify', 'userId', name), 'no such thing', now(), now() - age
FROM (VALUES ('old', interval '91 days'), ('young', '89 days'), ('queued', '91 days'), ('unqueued', '91 days')) v(name, age);
SELECT braze_pause('braze');
SELECT braze_retry(id) FROM braze_dead_letters WHERE call->>'userId' LIKE '%queued';
DELETE FROM braze_queue WHERE call->>'userId' = 'unqueued';
EOS
$session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT FROM braze_dead_letters WHERE call->>'userId' = 'old' FOR UPDATE");
$node->append_conf('postgresql.conf', "segment_braze.dead_letter_retention = '90d'");
$node->reload;
ok($node->poll_query_until('postgres',
		"SELECT string_agg(call->>'userId', ' ' ORDER BY call->>'userId') = 'old queued young' FROM braze_dead_letters"),
	'dead letters that are older than the setting go, but not one that is locked');
$session->query_safe('COMMIT');
$session->quit;
ok($node->poll_query_until('postgres',
		"SELECT string_agg(call->>'userId', ' ' ORDER BY call->>'userId') = 'queued young' FROM braze_dead_letters"),
	'which goes later; what is queued again stays');
is(run("SELECT braze_start('braze')"), 't', 'until it is delivered');
braze_flush($node);
is(letter_users(), 'young', 'and goes then');

$node->stop;
done_testing();
