# What was committed arrives, whichever way it was queued; what was rolled back
# never does.

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
	options => "track_all_pages 'true', alias_calls 'merge'");

# user, kind and name of what was applied, sorted
sub arrived
{
	return join "\n", sort map {
		join ' ', grep { defined } $_->{user}, $_->{kind}, $_->{name}
	  } grep { $_->{outcome} eq 'accepted' } $braze->log;
}

sub users
{
	return join ' ', sort map { $_->{value} } $braze->users;
}

# every function
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric);
CREATE TRIGGER order_placed AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'Order Placed', 'user_id', 'customer');
BEGIN;
SELECT braze_identify('identified', '{"firstName": "Ada", "plan": "pro"}');
SELECT braze_track('tracked', 'Song Played', '{"title": "Roar"}');
SELECT braze_track('buyer', 'Completed Order', '{"products": [{"product_id": "p1", "price": 19.99}]}');
SELECT braze_page('reader', 'Home');
SELECT braze_screen('viewer', 'Main');
SELECT braze_group('member', 'group-1');
SELECT braze_enqueue('{"type": "track", "userId": "enqueued", "event": "Clicked"}');
INSERT INTO orders VALUES (1, 'customer', 12.5);
SELECT braze_identify('old'), braze_identify('new'), braze_identify('gone');
COMMIT;
EOS
braze_flush($node);
$node->safe_psql('postgres', <<'EOS');
SELECT braze_alias('new', 'old');
SELECT braze_delete_user('gone');
EOS
braze_flush($node);
is(arrived(), <<'EOS' =~ s/\n\z//r, 'the call of every function arrives, and nothing else');
buyer purchases p1
customer events Order Placed
enqueued events Clicked
gone attributes
gone external_ids
identified attributes
member attributes
new attributes
old attributes
old merge_updates
reader events Viewed Home Page
tracked events Song Played
viewer events Viewed Main Screen
EOS
is($braze->user('gone'), undef, 'the deleted user is gone');
is($braze->user('identified')->{attributes}{plan}, 'pro', 'traits become attributes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'),
	'0', 'nothing is left in the queue');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'),
	'0', 'nor in the dead letters');

# rolled back, as a whole or in part.  The last call comes after them in the
# queue's ids, so whatever was to be sent before it has been.
$braze->reset;
$node->safe_psql('postgres', <<'EOS');
BEGIN;
SELECT braze_track('rolled back', 'A');
ROLLBACK;
BEGIN;
SELECT braze_track('before savepoint', 'B');
SAVEPOINT one;
SELECT braze_track('rolled back to', 'C');
INSERT INTO orders VALUES (2, 'rolled back to', 1);
ROLLBACK TO one;
SAVEPOINT two;
SELECT braze_track('released', 'D');
RELEASE two;
DO $$
BEGIN
	PERFORM braze_track('in a failed block', 'E');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	PERFORM braze_track('in the handler', 'F');
END $$;
COMMIT;
EOS
$node->psql('postgres', "BEGIN; SELECT braze_track('failed', 'G'); SELECT 1/0; COMMIT;");
$node->safe_psql('postgres', "SELECT braze_track('last', 'H')");
braze_flush($node);
is(users(), 'before savepoint in the handler last released',
	'what was rolled back is never sent, what is around it is');

# two-phase commit
$braze->reset;
$node->safe_psql('postgres', <<'EOS');
BEGIN;
SELECT braze_track('prepared and committed', 'A');
PREPARE TRANSACTION 'good';
BEGIN;
SELECT braze_track('prepared and rolled back', 'A');
PREPARE TRANSACTION 'bad';
SELECT braze_track('meanwhile', 'A');
EOS
braze_flush($node);
is(users(), 'meanwhile', 'a prepared transaction is not sent and holds up nobody');
$node->safe_psql('postgres', "COMMIT PREPARED 'good'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'bad'");
$node->safe_psql('postgres', "SELECT braze_track('afterwards', 'A')");
braze_flush($node);
is(users(), 'afterwards meanwhile prepared and committed',
	'COMMIT PREPARED is sent, ROLLBACK PREPARED is not');

# past the functions: nothing wakes the worker but its nap, or braze_flush
$braze->reset;
$node->safe_psql('postgres', <<'EOS');
INSERT INTO braze_queue (destination, call)
VALUES ('braze', '{"type": "track", "userId": "inserted", "event": "A"}');
EOS
$braze->wait_for_accepted(1);
$node->safe_psql('postgres', <<'EOS');
COPY braze_queue (destination, call) FROM stdin;
braze	{"type": "track", "userId": "copied", "event": "A"}
braze	{"type": "identify", "userId": "copied too"}
\.
EOS
$braze->wait_for_accepted(3);
is(users(), 'copied copied too inserted', 'COPY and a plain INSERT are sent');

# braze_flush
$braze->hold;
$node->safe_psql('postgres', "SELECT braze_track('held', 'A')");
$braze->wait_for_stat('held', 1);
is($node->safe_psql('postgres', "SELECT braze_flush('50 ms')"),
	'f', 'braze_flush returns false at the timeout');
is($node->safe_psql('postgres', "SELECT braze_flush('50 ms', 'another')"),
	't', 'and does not wait for the calls of another destination');
ok($node->poll_query_until('postgres',
		'SELECT state, pending, pending_bytes > 0, oldest_pending > interval \'0\', in_flight, '
		  . 'dead_letters FROM braze_status',
		'running|1|t|t|1|0'), 'braze_status shows the call under way');
$braze->release;
is($node->safe_psql('postgres', "SELECT braze_flush('1 min')"),
	't', 'braze_flush returns true when all is settled');
is($node->safe_psql('postgres', <<'EOS'), 't', 'it does not wait for its own transaction');
BEGIN;
SELECT braze_track('own', 'A') \g /dev/null
SELECT braze_flush('1 h');
COMMIT;
EOS
braze_flush($node);

# what is counted: a skipped call, and a rejected one
$node->safe_psql('postgres', <<'EOS');
ALTER SERVER braze OPTIONS (DROP track_all_pages);
SELECT braze_page('skipped', 'Home');
INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "eventless"}');
EOS
braze_flush($node);
ok( $node->poll_query_until('postgres', <<'EOS'), 'braze_status counts');
SELECT (state, pending, pending_bytes, oldest_pending, in_flight, skipped, rejected, dead_letters, retries)
		IS NOT DISTINCT FROM ('running', 0::bigint, 0::bigint, NULL::interval, 0, 1::bigint, 1::bigint, 1::bigint, 0::bigint)
	AND delivered = 25 AND requests > 0 AND last_success <= clock_timestamp() AND last_error IS NULL
FROM braze_status
EOS
is(braze_dead_letters($node), 'eventless', 'the rejected call is a dead letter');

$node->stop;
done_testing();
