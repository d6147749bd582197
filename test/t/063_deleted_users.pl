# The deletion of a user takes the user's dead letters along: those of calls
# before it, and of no other destination.

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
my $node = braze_node('main', $braze, options => "delivery 'at_least_once'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub letters
{
	return run('SELECT count(*) FROM braze_dead_letters');
}

# --- 2,000 of them, among 20,000 letters

my $users = 2000;
run(<<EOS);
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT CASE n % 10 WHEN 9 THEN 'another' ELSE 'braze' END,
	jsonb_build_object('type', 'track', CASE n % 2 WHEN 0 THEN 'userId' ELSE 'user_id' END, 'u' || n % 4000, 'event', 'A'),
	'of before', now()
FROM generate_series(1, 20000) n;
INSERT INTO braze_dead_letters (destination, call, call_text, reason, queued_at) VALUES
	('braze', NULL, 'u1', 'of before', now()), ('braze', '[]', NULL, 'of before', now()), ('braze', '{"userId": 1}', NULL, 'of before', now());
EOS
my $others = run(qq{SELECT count(*) FROM braze_dead_letters WHERE destination = 'another'
	OR coalesce(nullif(substr(coalesce(call ->> 'userId', call ->> 'user_id'), 2), '')::int, 4000) NOT BETWEEN 1 AND $users});
run(qq{SELECT count(braze_delete_user('u' || n)) FROM generate_series(1, $users) n});
braze_flush($node);
is($braze->accepted('external_ids'), $users, 'all users are deleted');
is(letters(), $others, 'their letters are gone, and no others');
run("SELECT braze_purge(NULL, 'dead letters')");

# --- a refused call before a deletion, and one after it

# A trigger on new letters has their calls settled each by itself.  It is done
# together with the deletions, since another request is under way all the time.
my $held = StandIn->new;
braze_destination($node, 'postgres', 'held', $held);
$held->hold;
run(q{SELECT braze_track('u1', 'A', destination => 'held')});
$held->wait_for_stat('held', 1);
run(q{ALTER SERVER braze OPTIONS (ADD identity_delay '0 s', ADD max_batch_delay '0 ms')});
run('CREATE FUNCTION alarm() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$');
foreach my $case ([ 'at_least_once', '' ], [ 'at_most_once', '' ], [ 'at_least_once', ' with an alarm' ])
{
	my ($delivery, $alarm) = @$case;

	$braze->reset;
	run("ALTER SERVER braze OPTIONS (SET delivery '$delivery')");
	run('CREATE TRIGGER alarm AFTER INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION alarm()') if $alarm;
	$braze->fault(kind => 'errors', name => 'refused');
	run(<<'EOS');
SELECT count(braze_track(u, 'refused', '{"when": "before"}', destination => 'braze')), count(braze_delete_user(u, destination => 'braze')),
	count(braze_track(u, 'refused', '{"when": "after"}', destination => 'braze'))
FROM (SELECT 'u' || n AS u FROM generate_series(1, 300) n) v;
EOS
	braze_flush($node, 'postgres', 'braze');
	is(run(q{SELECT call -> 'properties' ->> 'when', count(*), count(DISTINCT call ->> 'userId') FROM braze_dead_letters GROUP BY 1}),
		'after|300|300', "$delivery$alarm: the letter of the later call stays");
	run("SELECT braze_purge('braze', 'dead letters')");
}
run('DROP TRIGGER alarm ON braze_dead_letters');
$held->release;

# --- a letter that somebody has locked keeps its own user's deletion alone

$braze->reset;
run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT 'braze', jsonb_build_object('userId', 'u' || n), 'of before', now() FROM generate_series(1, 3) n
EOS
my $locker = $node->background_psql('postgres');
$locker->query_safe(q{BEGIN; SELECT FROM braze_dead_letters WHERE call ->> 'userId' = 'u2' FOR UPDATE;});
run(q{SELECT count(braze_delete_user('u' || n, destination => 'braze')) FROM generate_series(1, 3) n});
ok( braze_wait_for_state($node, 'braze', 'waiting: what was answered cannot be settled: somebody has locked rows of the table braze_dead_letters'),
	'the status names what is locked');
is(run(q{SELECT string_agg(call ->> 'userId', ', ') FROM braze_queue}), 'u2', 'the other users are deleted');
is(run(q{SELECT string_agg(call ->> 'userId', ', ') FROM braze_dead_letters}), 'u2', 'and so are their letters');
$locker->query_safe('COMMIT;');
$locker->quit;
braze_flush($node);
is(letters(), 0, 'once it is free, it is deleted');

# --- at most once: a later call that is under way, and comes back

$braze->reset;
$braze->fault(kind => 'status', status => 429, path => '/users/track', count => 3);
run(<<'EOS');
SELECT count(braze_delete_user(u, destination => 'braze')), count(braze_track(u, 'A', jsonb_build_object('seq', n), destination => 'braze'))
FROM (SELECT n, 'u' || n AS u FROM generate_series(1, 300) n) v;
EOS
braze_flush($node);
is($braze->accepted('events'), 300, 'a later call that is under way when a deletion is settled is not lost');
is(letters(), 0, 'and leaves no letter');

$node->stop;
done_testing();
