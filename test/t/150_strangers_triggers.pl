# TRIGGER on one of the extension's tables gives nobody the rights of its owner.

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
my $node = braze_node('main', $braze, conf => "segment_braze.nap = '100ms'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub stderr_of
{
	my ($sql) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $sql);
	return $error;
}

sub is_harmless
{
	my ($what) = @_;
	is(run(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'ops'}), 'f', "$what: nobody became a superuser");
	return;
}

run(<<'EOS');
CREATE ROLE ops LOGIN;
GRANT USAGE ON FOREIGN SERVER braze TO ops;
GRANT CREATE ON SCHEMA public TO ops;
GRANT TRIGGER ON braze_queue, braze_dead_letters TO ops;
SET ROLE ops;
CREATE FUNCTION climb() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		ALTER ROLE ops SUPERUSER;
	END IF;
	RETURN true;
END
$$;
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.climb();
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
CREATE FUNCTION evil_definer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION is_checked(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN public.climb(); END$$;
CREATE DOMAIN checked AS text CHECK (public.is_checked(VALUE));
RESET ROLE;
CREATE FUNCTION good() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
EOS

# how a trigger could run what ops has written, and what is said of it
my %triggers = (
	'its function' =>
	  [ 'FOR EACH ROW EXECUTE FUNCTION evil()', qr/trigger "stranger" on table "braze_queue" runs a function of role "ops".*ALTER FUNCTION public\.evil\(\) OWNER TO postgres/s ],
	'a function that is SECURITY DEFINER, for now' => [ 'FOR EACH ROW EXECUTE FUNCTION evil_definer()', qr/runs a function of role "ops"/ ],
	'for each statement' => [ 'FOR EACH STATEMENT EXECUTE FUNCTION evil()', qr/runs a function of role "ops"/ ],
	'its condition' =>
	  [ 'FOR EACH ROW WHEN (climb()) EXECUTE FUNCTION good()', qr/runs a function of role "ops".*public\.climb\(\)/s ],
	'SQL in its condition' => [
		q{FOR EACH ROW WHEN (query_to_xml('SELECT public.climb()', true, true, '') IS NOT NULL) EXECUTE FUNCTION good()},
		qr/the WHEN condition of trigger "stranger" on table "braze_queue" is not allowed.*query_to_xml/s ],
	'a domain in its condition' =>
	  [ q{FOR EACH ROW WHEN (NEW.destination::text::checked <> '') EXECUTE FUNCTION good()}, qr/the WHEN condition of trigger "stranger"/ ],
);

# with the library, as each session has it, the command fails
foreach my $name (sort keys %triggers)
{
	my ($what, $error) = @{ $triggers{$name} };
	like(stderr_of("SET ROLE ops; CREATE TRIGGER stranger BEFORE INSERT ON braze_queue $what"), $error, "$name: not created");
	is_harmless($name);
}
like(
	stderr_of(q{SET ROLE ops; CREATE TRIGGER stranger BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION good('x')}),
	qr/trigger "stranger" on table "braze_queue" cannot have arguments/,
	'the arguments of a function of the owner are not chosen by others');

# without it: what is in the catalog is not run.  The trigger is created while its
# function is that of a superuser, and harmless.
sub with_stranger
{
	my ($name, $event, $what, $check, $table) = @_;
	$table ||= 'braze_queue';
	run(<<EOS);
ALTER ROLE ops SUPERUSER;
ALTER FUNCTION climb() IMMUTABLE;
SET ROLE ops;
CREATE TRIGGER stranger BEFORE $event ON $table $what;
RESET ROLE;
ALTER FUNCTION climb() VOLATILE;
ALTER ROLE ops NOSUPERUSER;
EOS
	$check->();
	is_harmless($name);
	run("DROP TRIGGER stranger ON $table");
	return;
}

foreach my $name ('its function', 'a function that is SECURITY DEFINER, for now', 'for each statement', 'its condition')
{
	my ($what, $error) = @{ $triggers{$name} };
	with_stranger($name, 'INSERT', $what,
		sub { like(stderr_of(q{SET ROLE ops; SELECT braze_track('u1', 'A')}), $error, "$name: not run"); });
}
is(run('SELECT count(*) FROM braze_queue'), '0', 'nothing was queued');

# nor one that has the name of a trigger of ours, which another table has
run('CREATE TRIGGER audit BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION good()');
run(q{SELECT braze_track('u1', 'A')});
braze_flush($node);
run(<<'EOS');
ALTER ROLE ops SUPERUSER;
SET ROLE ops;
CREATE TRIGGER braze_notify_paused BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION evil();
RESET ROLE;
ALTER ROLE ops NOSUPERUSER;
EOS
like(stderr_of(q{SELECT braze_track('u1', 'A')}), qr/trigger "braze_notify_paused" on table "braze_queue" runs a function of role "ops"/,
	'a trigger with the name of one of ours');
run('DROP TRIGGER braze_notify_paused ON braze_queue; DROP TRIGGER audit ON braze_queue');

# in the worker it is what keeps calls from being settled, until it is trusted or gone
with_stranger(
	'in the worker', 'DELETE', 'FOR EACH ROW EXECUTE FUNCTION evil()',
	sub {
		run(q{SELECT braze_track('u1', 'A')});
		ok( braze_wait_for_state($node, 'braze',
				'waiting: what was answered cannot be settled: %trigger "stranger"%runs a function of role "ops"%'),
			'in the worker: the status names it')
		  or diag(run('SELECT state FROM braze_status'));
	});
braze_flush($node);
ok(braze_wait_for_state($node, 'braze', 'running'), 'once it is gone, calls are settled');

# REFERENCES on it is as much: the triggers of the table that refers to ours
foreach my $action ('CASCADE', 'SET NULL', 'SET DEFAULT')
{
	run(<<EOS);
GRANT REFERENCES ON braze_queue TO ops;
SET ROLE ops;
CREATE TABLE refers (id bigint DEFAULT NULL REFERENCES braze_queue ON DELETE $action);
CREATE TRIGGER climbs AFTER UPDATE OR DELETE ON refers FOR EACH ROW EXECUTE FUNCTION evil();
BEGIN;
SELECT braze_track('u1', 'A');
INSERT INTO refers SELECT max(id) FROM braze_queued();
COMMIT;
EOS
	ok( braze_wait_for_state($node, 'braze',
			'waiting: what was answered cannot be settled: %foreign key "refers_id_fkey" of table "refers" would write to that table%'),
		"ON DELETE $action: the status names the foreign key")
	  or diag(run('SELECT state FROM braze_status'));
	is_harmless("ON DELETE $action");
	run('DROP TABLE refers');
	braze_flush($node);
	ok(braze_wait_for_state($node, 'braze', 'running'), "ON DELETE $action: once it is gone, calls are settled");
}
run(<<'EOS');
SET ROLE ops;
CREATE TABLE refers (id bigint REFERENCES braze_queue);
CREATE TRIGGER climbs AFTER UPDATE OR DELETE ON refers FOR EACH ROW EXECUTE FUNCTION evil();
SELECT braze_track('u1', 'A');
EOS
braze_flush($node);
is(run('SELECT count(*) FROM braze_queue'), '0', 'one that only checks keeps nothing from being settled');
run('DROP TABLE refers');

# the statement that adds up rows of the activity deletes as well
with_stranger(
	'in a WITH', 'DELETE', 'FOR EACH STATEMENT EXECUTE FUNCTION evil()',
	sub {
		my $offset = -s $node->logfile;

		run(q{SELECT braze_track('u1', 'A')});
		braze_flush($node);
		ok($node->wait_for_log(qr/trigger "stranger" on table "braze_activity_sums" runs a function of role "ops"/, $offset),
			'in a WITH: not run');
	},
	'braze_activity_sums');

# those of the owner run, and so does the condition that everybody writes
run(<<'EOS');
CREATE TABLE seen (n int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen VALUES (1); RETURN NEW; END$$;
GRANT EXECUTE ON FUNCTION note() TO ops;
SET ROLE ops;
CREATE TRIGGER fine BEFORE INSERT ON braze_queue FOR EACH ROW
	WHEN (NEW.destination = 'braze' AND NEW.call ->> 'event' IN ('A', 'B') AND pg_trigger_depth() = 0 AND NEW.queued_at >= now())
	EXECUTE FUNCTION note();
EOS
run(q{SET ROLE ops; SELECT braze_track('u1', 'A'), braze_track('u1', 'C')});
is(run('SELECT count(*) FROM seen'), '1', 'a function of the owner runs');
braze_flush($node);
run('DROP TRIGGER fine ON braze_queue');

# nor does ops lose what it owns: the table's own owner is whose rights count
run(<<'EOS');
ALTER TABLE braze_dead_letters OWNER TO ops;
SET ROLE ops;
CREATE TRIGGER own BEFORE INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION evil();
EOS
$braze->fault(kind => 'errors', user => 'refused');
run(q{SELECT braze_track('refused', 'A')});
ok(braze_wait_for_count($node, 1, 'braze_dead_letters'), "a function of the table's owner runs");
is_harmless('as the owner');

$node->stop;
done_testing();
