# A call that was claimed and not sent goes back to the queue, also when that was
# not possible at first, and when the worker ends before its turn came.

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
my $node = braze_node('main', $braze, options => "delivery 'at_most_once'");

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub where_calls_are
{
	return run('SELECT (SELECT count(*) FROM braze_queue) || \' queued, \' || (SELECT count(*) FROM braze_dead_letters) || \' letters\'');
}

sub deliver
{
	$node->append_conf('postgresql.conf', "segment_braze.deliver = $_[0]");
	$node->reload;
	return;
}

run(q{SELECT braze_track('warm up', 'E')});
braze_flush($node);

# --- parts of a refused request, whose turn does not come

$braze->reset;
$braze->hold;
run(q{SELECT braze_track('first', 'E')});
$braze->wait_for_stat('held', 1);
run(q{SELECT braze_track('bad' || n, 'E') FROM generate_series(1, 16) n});
$braze->release(count => 1);
$braze->wait_for_stat('requests', 2);
$braze->wait_for_stat('held', 1);
deliver('off');
ok(braze_wait_for_state($node, 'braze', 'off: %'), 'delivery is off, with a request under way');
$braze->release(status => 400);
is(run("SELECT braze_flush('1 s')"), 'f', 'what was refused is not settled');
my $worker = braze_freeze_worker($node);
kill 'TERM', $worker;
kill 'CONT', $worker;
braze_wait_for_worker($node, 'postgres', $worker);
is(where_calls_are(), '16 queued, 0 letters', 'what was not sent is in the queue when the worker has ended');
deliver('on');
ok(braze_flush($node), 'then it is sent');
is($braze->accepted('events'), 17, 'each of them once');

# --- a trigger keeps a call from going back, for a while

run(<<'EOS');
CREATE SEQUENCE attempts;
CREATE TABLE forbidden ();
INSERT INTO forbidden DEFAULT VALUES;
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('public.attempts');
	IF EXISTS (SELECT FROM public.forbidden) THEN
		RAISE EXCEPTION 'not now';
	END IF;
	RETURN OLD;
END $$;
CREATE TRIGGER forbid BEFORE DELETE ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION forbid();
EOS
$braze->stop;
run(q{SELECT braze_track('u1', 'E')});
ok($node->poll_query_until('postgres', 'SELECT is_called FROM attempts'), 'a call that was not sent is to go back');
run(q{SELECT braze_pause('braze')});
ok(braze_wait_for_state($node, 'braze', 'paused: %'), 'nothing more is tried');
is(where_calls_are(), '0 queued, 1 letters', 'it could not go back');
run('TRUNCATE forbidden');
ok(braze_wait_for_count($node, 1, 'braze_queue', 'true'), 'later it does');
is(where_calls_are(), '1 queued, 0 letters', 'and is no letter any more');

$node->stop;
done_testing();
