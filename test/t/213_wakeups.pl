# What a session tells the worker is not lost while that is in the middle of a
# round, and the end of somebody's lock, of which nobody tells, is noticed soon.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# once in a nap the destinations are read, which has the queue read as well
my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	conf => "segment_braze.nap = '60s'\nlog_min_messages = debug1",
	options => "changed_attributes_only 'true'");
my $nap_is_over = qr/reading the destinations ended/;

# a nap may end by itself meanwhile
my $tries = 3;

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub log_since
{
	return slurp_file($node->logfile, $_[0]);
}

sub received
{
	my ($name) = @_;
	return scalar grep { $_->{name} eq $name } $braze->log;
}

# nothing is as expected only if it never is
sub ok_once
{
	my ($body, $name) = @_;
	my $done;

	for (my $i = 1; $i <= $tries && !$done; $i++)
	{
		$done = $body->($i);
	}
	ok($done, $name);
	return;
}

run(q{SELECT braze_track('warm up', 'A')});
braze_flush($node);

# --- A round that waits takes the latch for its own: here a trigger of somebody's,
# which sleeps again and again.  Some time later a timeout that is over sets it,
# but what was delivered is counted before.

my $session = $node->background_psql('postgres');
run(<<'EOS');
CREATE SEQUENCE sleeps;
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT pg_try_advisory_xact_lock(1) LOOP
		PERFORM nextval('public.sleeps'), pg_sleep(0.01);
	END LOOP;
	RETURN NEW;
END $$;
CREATE TRIGGER hold_up BEFORE INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION hold_up();
EOS

# a whole one, from beginning to end
sub wait_for_a_sleep
{
	my $slept = $session->query_safe('SELECT last_value FROM sleeps;');

	StandIn::wait_until(sub { $session->query_safe('SELECT last_value FROM sleeps;') >= $slept + 2 }, 'the trigger sleeps');
	return;
}

ok_once(
	sub {
		my ($try) = @_;
		my $log;

		$session->query_safe('SELECT pg_advisory_lock(1);');
		$session->query_safe(q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "nonsense"}');});
		wait_for_a_sleep();
		$session->query_safe("SELECT braze_track('u', 'Told $try');");
		wait_for_a_sleep();
		$log = -s $node->logfile;
		$session->query_safe('SELECT pg_advisory_unlock(1);');
		StandIn::wait_until(sub { received("Told $try") }, 'the call arrives');
		return log_since($log) =~ /settled 1 calls(?:(?!counting what was delivered ended).)*reading the queue ended/s;
	},
	'what is queued during a round is read after it');
run('DROP FUNCTION hold_up CASCADE');

# --- a table that somebody has locked is read soon after that

ok_once(
	sub {
		my ($try) = @_;
		my $log = -s $node->logfile;

		$session->query_safe('BEGIN; LOCK TABLE braze_profiles;');
		run("SELECT braze_track('u', 'Locked $try')");
		$node->poll_query_until('postgres', q{SELECT state LIKE '%braze_profiles%' FROM braze_status});
		$session->query_safe('ROLLBACK;');
		StandIn::wait_until(sub { received("Locked $try") }, 'the call arrives');
		return log_since($log) !~ $nap_is_over;
	},
	'the end of a lock on braze_profiles is noticed');

# so many naps take longer than anything here is waited for
run(q{SELECT braze_pause('braze', 'test')});
braze_wait_for_state($node, 'braze', 'paused: test');
my $worker = braze_freeze_worker($node);
run(q{SELECT braze_start('braze')});
$session->query_safe('BEGIN; LOCK TABLE braze_started;');
my $log = -s $node->logfile;
kill 'CONT', $worker;
StandIn::wait_until(sub { (() = log_since($log) =~ /$nap_is_over/g) >= 6 }, 'braze_started is tried again');
pass('a start that cannot be read is tried again soon');
$session->query_safe('ROLLBACK;');
run(q{SELECT braze_track('u', 'Started')});
ok(braze_flush($node), 'and then obeyed');

$session->quit;
$node->stop;
done_testing();
