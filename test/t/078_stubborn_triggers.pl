# A trigger that stands in the way of settling: what was answered is not sent
# again, the status names the trigger, and whoever does not fire it goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);
braze_destination($node, 'postgres', 'b2', $braze);
braze_destination($node, 'postgres', 'once', $braze, options => "delivery 'at_most_once'");
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub applied
{
	my ($user) = @_;
	return scalar grep { $_->{outcome} eq 'accepted' && $_->{user} eq $user } $braze->log;
}

run(<<'EOS');
CREATE ROLE ops;
ALTER TABLE braze_queue OWNER TO ops;
CREATE SEQUENCE tries;
GRANT USAGE ON tries TO ops;
CREATE TABLE seen (ran_as name);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION note_role() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_user);
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		ALTER ROLE ops SUPERUSER;
	END IF;
END
$$;
EOS

# each case: what is created on braze_queue, and what the status says of it
my %cases = (
	'a trigger that raises' => {
		body => q{RAISE 'not today'},
		state => '%trigger "stubborn"%not today%',
	},
	'a trigger that returns null' => {
		body => q{RETURN NULL},
		state => '%trigger "stubborn"%0 rows were written instead of one%',
	},
	'a trigger that defers another' => {
		body => q{SET CONSTRAINTS ALL DEFERRED},
		state => '%trigger "stubborn", trigger "zz_deferred"%cannot fire deferred trigger%',
		also => <<'EOS',
CREATE FUNCTION deferred() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM public.note_role(); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER zz_deferred AFTER DELETE ON braze_queue DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION deferred();
EOS
	},
	'a trigger that sleeps' => {
		body => q{PERFORM pg_sleep(3600)},
		state => '%trigger "stubborn"%it took longer than 10 s%',
	},
	'a trigger that queues a call, by a statement within its own, and sleeps' => {
		body => q{PERFORM public.braze_track('nested', 'A', destination => 'b2'); PERFORM pg_sleep(3600)},
		state => '%trigger "stubborn"%it took longer than 10 s%',
		also => <<'EOS',
CREATE FUNCTION deferred() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER zz_queued BEFORE INSERT ON braze_queue FOR EACH ROW
	WHEN (NEW.destination = 'b2') EXECUTE FUNCTION deferred();
GRANT USAGE ON FOREIGN SERVER b2 TO ops;
EOS
	},
	'an owner without the right' => {
		create => <<'EOS',
CREATE TRIGGER stubborn BEFORE DELETE ON braze_queue FOR EACH ROW
	WHEN (false) EXECUTE FUNCTION suppress_redundant_updates_trigger();
REVOKE DELETE ON braze_queue FROM ops;
EOS
		remove => 'GRANT DELETE ON braze_queue TO ops; DROP TRIGGER stubborn ON braze_queue',
		state => '%as its owner "ops"%permission denied for table braze_queue%',
		everybody => 1,
	},
	'a rule' => {
		create => 'CREATE RULE stubborn AS ON DELETE TO braze_queue DO INSTEAD NOTHING',
		remove => 'DROP RULE stubborn ON braze_queue',
		state => '%a rule%0 rows were written instead of one%',
		everybody => 1,
	});

foreach my $name (sort keys %cases)
{
	my $case = $cases{$name};
	my $sleeps = $name =~ /sleeps/ ? 'true' : 'false';
	my $began;
	my $worker;

	$braze->reset;
	if ($case->{create})
	{
		run($case->{create});
	}
	else
	{
		# for the calls of one destination only
		run(<<EOS);
CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM public.note_role();
	PERFORM nextval('public.tries') WHERE OLD.call ->> 'event' = 'A' OR $sleeps;
	$case->{body};
	RETURN OLD;
END
\$\$;
CREATE TRIGGER stubborn BEFORE DELETE ON braze_queue FOR EACH ROW
	WHEN (OLD.destination = 'braze') EXECUTE FUNCTION stubborn();
EOS
		run($case->{also}) if $case->{also};
	}
	$worker = braze_worker_pid($node);
	$began = time;
	run("SELECT braze_track('u1', 'A', destination => 'braze')");
	$braze->wait_for_accepted(1);
	ok(braze_wait_for_state($node, 'braze', "waiting: what was answered cannot be settled: $case->{state}"),
		"$name: the status names it")
	  or diag(run('SELECT destination, state FROM braze_status'));
	unless ($case->{everybody})
	{
		run("SELECT braze_track('u2', 'A', destination => 'b2')");
		run("SELECT braze_track('u3', 'A', destination => 'once')");
		foreach my $other ('b2', 'once')
		{
			ok($node->poll_query_until('postgres', "SELECT braze_flush('100 ms', '$other')"),
				"$name: who does not fire it goes on, $other");
		}
	}
	run("SELECT braze_track('u1', 'B', destination => 'braze')");
	pass("$name: nobody who queues waits");
	braze_wait_for_count($node, 2, 'braze_queue', "destination = 'braze'") or die;

	# a call is tried again after 1, 2, 4 s and so on, so its fourth try is 7 s after
	# the first; one that takes 10 s is not tried with another call meanwhile
	unless ($case->{everybody})
	{
		my $tries = $name =~ /sleeps/ ? 2 : 4;

		$node->poll_query_until('postgres', "SELECT last_value >= $tries FROM tries") or die;
		cmp_ok(time - $began, '>=', $tries == 2 ? 11 : 7, "$name: tries come later and later");
		run("SELECT setval('tries', 1, false)");
	}
	is(braze_worker_pid($node), $worker, "$name: the worker is the same");
	run($case->{remove} || 'DROP TRIGGER stubborn ON braze_queue; DROP FUNCTION stubborn() CASCADE');
	run('DROP FUNCTION deferred() CASCADE') if $case->{also};
	braze_flush($node);
	is(applied('u1'), 2, "$name: each call was sent once");
	ok(braze_wait_for_state($node, 'braze', 'running'), "$name: the status is fine again");
}
# one that catches the cancel and goes on ends the worker, again and again
run(<<'EOS');
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note_role();
	PERFORM pg_sleep(3600);
	RETURN OLD;
EXCEPTION WHEN query_canceled THEN
	PERFORM pg_sleep(3600);
	RETURN OLD;
END
$$;
CREATE TRIGGER swallow BEFORE DELETE ON braze_queue FOR EACH ROW
	WHEN (OLD.destination = 'braze') EXECUTE FUNCTION swallow();
EOS
$braze->reset;
my $worker = braze_worker_pid($node);
run("SELECT braze_track('u4', 'A', destination => 'braze')");
braze_wait_for_worker($node, 'postgres', $worker);
pass('a trigger that swallows the cancel ends the worker');
run("SELECT braze_track('u5', 'A', destination => 'b2')");
ok($node->poll_query_until('postgres', "SELECT braze_flush('100 ms', 'b2')"), 'and the next one serves the others');
ok(braze_wait_for_state($node, 'braze', 'waiting: what was answered cannot be settled: a trigger on one of the tables went on %'),
	'the status says what happened');
my $sent = applied('u4');
run('DROP FUNCTION swallow() CASCADE');
braze_flush($node);
cmp_ok(applied('u4'), '<=', $sent + 2, 'the call is settled once the trigger is gone, and was sent again once for each worker');

# nor does one that is fired when a letter has expired, which is about no destination
run(<<'EOS');
ALTER TABLE braze_dead_letters OWNER TO ops;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(3600);
	RETURN OLD;
EXCEPTION WHEN query_canceled THEN
	PERFORM pg_sleep(3600);
	RETURN OLD;
END
$$;
CREATE TRIGGER swallow BEFORE DELETE ON braze_dead_letters FOR EACH ROW
	WHEN (OLD.reason = 'old') EXECUTE FUNCTION swallow();
INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at)
VALUES ('braze', '{}', 'old', now() - interval '10 days', now() - interval '10 days');
EOS
$worker = braze_worker_pid($node);
$node->append_conf('postgresql.conf', "segment_braze.dead_letter_retention = '1d'");
$node->reload;
braze_wait_for_worker($node, 'postgres', $worker);
run("SELECT braze_track('u6', 'A', destination => 'b2')");
ok($node->poll_query_until('postgres', "SELECT braze_flush('100 ms', 'b2')"),
	'a letter that cannot be deleted when it has expired: calls are delivered all the same');
run('DROP FUNCTION swallow() CASCADE');
ok(braze_wait_for_count($node, 0, 'braze_dead_letters', "reason = 'old'"), 'and it goes once the trigger is gone');

is(run(q{SELECT string_agg(DISTINCT ran_as, ',') FROM seen}), 'ops', 'all of them ran as the owner');
is(run(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'ops'}), 'f', 'and nobody became a superuser');

$node->stop;
done_testing();
