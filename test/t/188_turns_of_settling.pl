# Calls of one destination that leave the queue slowly keep those of others
# waiting for no longer than their turn takes; and no more of them is sent than
# may be sent again after a kill.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $slow = StandIn->new;
my $quick = StandIn->new;
my $node = braze_node('main', $slow, options => "delivery 'at_least_once'");
braze_destination($node, 'postgres', 'quick', $quick, options => "delivery 'at_least_once'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub left
{
	my ($destination) = @_;
	return run("SELECT count(*) FROM braze_queue WHERE destination = '$destination'");
}

# each deletion takes a quarter of a second
sub begin_slowness
{
	run('CREATE TRIGGER sleep BEFORE DELETE ON braze_queue FOR EACH ROW EXECUTE FUNCTION sleep()');
	return;
}

sub end_slowness
{
	run('DROP TRIGGER sleep ON braze_queue');
	braze_flush($node);
	return;
}

sub queue_slow
{
	my ($calls) = @_;
	run("SELECT count(braze_track('u' || n, 'A', destination => 'braze')) FROM generate_series(1, $calls) n");
	return;
}

sub is_settled_early
{
	my ($what) = @_;
	ok(braze_wait_for_count($node, 0, 'braze_queue', q{destination = 'quick'}), "$what is settled");
	cmp_ok(left('braze'), '>', 100, "$what: while many of another destination wait");
	return;
}

run(<<'EOS2');
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.destination = 'braze' THEN
		PERFORM pg_catalog.pg_sleep(0.25);
	END IF;
	RETURN OLD;
END
$$;
EOS2

# --- a call that could not be settled before, and one that is new

my $locker = $node->background_psql('postgres');
$quick->hold;
run(q{SELECT braze_track('u1', 'A', destination => 'quick')});
$quick->wait_for_stat('held', 1);
$locker->query_safe(q{BEGIN; SELECT FROM braze_queue WHERE destination = 'quick' FOR UPDATE;});
$quick->release;
ok(braze_wait_for_state($node, 'quick', 'waiting: %locked rows%'), 'a call cannot be settled');
begin_slowness();
queue_slow(300);
StandIn::wait_until(sub { return $slow->accepted('events') == 300 }, 'all of the slow ones are answered');
$locker->query_safe('COMMIT;');
$locker->quit;
is_settled_early('what was stuck');
run(q{SELECT braze_track('u1', 'B', destination => 'quick')});
is_settled_early('what is new');
end_slowness();

# --- what a kill would have sent again

$slow->reset;
run(q{ALTER SERVER braze OPTIONS (ADD max_requests_in_flight '2', ADD max_objects_per_request '10')});
begin_slowness();
queue_slow(300);
$node->poll_query_until('postgres', 'SELECT count(*) <= 276 FROM braze_queue') or die 'nothing is settled';
my $accepted = $slow->accepted('events');
cmp_ok($accepted - (300 - left('braze')), '<=', 2 * 2 * 10,
	'what is answered and not settled, and what is under way, are twice max_requests_in_flight together');
end_slowness();
is($slow->accepted('events'), 300, 'all is sent once');

# --- what is written for no call at all

run('CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_catalog.pg_sleep(0.2); RETURN NEW; END$$');
run('CREATE TRIGGER nap BEFORE INSERT ON braze_notes FOR EACH ROW EXECUTE FUNCTION nap()');
run(q{SELECT count(braze_track('u1', 'A', jsonb_build_object('$' || n, 1), destination => 'quick')) FROM generate_series(1, 100) n});

# only until they are settled: the notes come after that
run(q{SELECT braze_flush('180 s')});
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM braze_notes') or die 'no notes';
run(q{SELECT braze_track('u1', 'C', destination => 'quick')});
is(run(q{SELECT braze_flush('180 s')}), 't', 'calls go on meanwhile');
cmp_ok(run('SELECT count(*) FROM braze_notes'), '<', 100, 'many notes keep no call waiting until all are written');
run('DROP TRIGGER nap ON braze_notes');
ok(braze_wait_for_count($node, 100, 'braze_notes'), 'and all are written in the end');

$node->stop;
done_testing();
