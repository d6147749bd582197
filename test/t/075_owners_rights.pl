# What others add to the extension's tables runs with the rights of the table's
# owner, in the worker as in a session: nobody becomes more than that.

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
	options => "changed_attributes_only 'true', deduplicate '1 h'");
my @tables = qw(braze_queue braze_dead_letters braze_paused braze_notes braze_messages braze_profiles);

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

# ops owns the tables, but nothing else
run(<<'EOS');
CREATE ROLE ops;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ops;
CREATE TABLE seen (ran_as name, relation name, operation text);
GRANT INSERT, SELECT ON seen TO PUBLIC;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_user, TG_TABLE_NAME, TG_OP);
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		ALTER ROLE ops SUPERUSER;
	END IF;
	IF TG_LEVEL = 'STATEMENT' OR TG_WHEN = 'AFTER' THEN
		RETURN NULL;
	ELSIF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
EOS
foreach my $table (@tables)
{
	run(<<EOS);
ALTER TABLE $table OWNER TO ops;
CREATE TRIGGER a_before BEFORE INSERT OR UPDATE OR DELETE ON $table FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER b_after AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER c_statement AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH STATEMENT EXECUTE FUNCTION see();
EOS
}

# every write that there is: calls that are accepted, refused, refused again and
# accepted then, a user who is deleted, what is remembered, a pause, notes
sub write_everything
{
	$braze->fault(kind => 'errors', user => 'refused');
	run(q{SELECT braze_track('refused', 'A', message_id => 'm' || n) FROM generate_series(1, 2) n});
	run(q{SELECT braze_identify('u1', '{"plan": "pro"}'), braze_track('u1', 'A', '{"time": 1, "$a": 1}')});
	braze_flush($node);
	run('SET ROLE ops; SELECT braze_retry()');
	braze_flush($node);
	$braze->clear_faults;
	run('SET ROLE ops; SELECT braze_retry(min(id)) FROM braze_dead_letters');
	braze_flush($node);
	run(q{SELECT braze_delete_user('refused')});
	braze_flush($node);
	run(q{ALTER SERVER braze OPTIONS (SET changed_attributes_only 'false')});
	$node->poll_query_until('postgres', 'SELECT count(attributes) = 0 FROM braze_profiles');
	run(q{ALTER SERVER braze OPTIONS (SET changed_attributes_only 'true')});

	# by Braze's answer, and its end
	$braze->fault(kind => 'status', status => 401, count => 1);
	run(q{SELECT braze_track('u1', 'B')});
	braze_wait_for_state($node, 'braze', 'paused: %');
	run(q{ALTER SERVER braze OPTIONS (ADD default_currency 'EUR')});
	braze_wait_for_state($node, 'braze', 'running');
	$braze->clear_faults;
	run(q{ALTER SERVER braze OPTIONS (DROP default_currency)});
	braze_flush($node);
	$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM braze_notes');
	return;
}

write_everything();
is(run(q{SELECT string_agg(DISTINCT ran_as, ',') FROM seen}), 'ops', 'triggers run as the owner of the table');
is(run(q{SELECT string_agg(DISTINCT relation || ' ' || operation, ', ' ORDER BY relation || ' ' || operation) FROM seen}),
	'braze_dead_letters DELETE, braze_dead_letters INSERT, braze_dead_letters UPDATE, '
	  . 'braze_messages INSERT, braze_messages UPDATE, braze_notes INSERT, braze_notes UPDATE, '
	  . 'braze_paused DELETE, braze_paused INSERT, '
	  . 'braze_profiles DELETE, braze_profiles INSERT, braze_profiles UPDATE, braze_queue DELETE, braze_queue INSERT',
	'and see every write, deletes too');
is(run(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'ops'}), 'f', 'nobody became a superuser');
is(run('SELECT count(*) FROM braze_dead_letters'), '0', 'the dead letters of the deleted user are gone');

# a deferred trigger would run at the commit, when the rights are the worker's again
foreach my $table (@tables)
{
	run(<<EOS);
DROP TRIGGER a_before ON $table;
DROP TRIGGER b_after ON $table;
DROP TRIGGER c_statement ON $table;
CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE OR DELETE ON $table
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see();
EOS
}
like(stderr_of(q{SELECT braze_track('u1', 'A')}),
	qr/cannot fire deferred trigger.*row of table "braze_queue".*trigger "later"/s,
	'in a session it is an error that names it');
run('DROP TRIGGER later ON braze_queue');
run('DROP TRIGGER later ON braze_messages');
run(<<'EOS');
CREATE CONSTRAINT TRIGGER later AFTER UPDATE OR DELETE ON braze_queue
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see();
TRUNCATE seen, braze_notes, braze_messages;
EOS
write_everything();
is(run(q{SELECT string_agg(DISTINCT ran_as, ',') FROM seen}), 'ops', 'in the worker it runs at once, as the owner');
is(run(q{SELECT count(DISTINCT relation) FROM seen}), '5', 'on each table');
is(run(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'ops'}), 'f', 'and nobody became a superuser');

$node->stop;
done_testing();
