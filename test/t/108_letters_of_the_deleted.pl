# The deletion of a user finds the user's dead letters without looking at those
# of others, whoever has written them and however the user id is spelled.

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
my $node = braze_node('main', $braze, conf => "segment_braze.nap = '60s'\n");
my $long = 'x' x 500;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# letters of calls that Braze refuses, written by the worker
sub refuse
{
	my ($user) = @_;
	my $fault = $braze->fault(kind => 'errors', name => 'refused');

	run("SELECT braze_track($user, 'refused')");
	braze_flush($node);
	$braze->clear_faults($fault);
	return;
}

sub letters
{
	return run('SELECT count(*) FROM braze_dead_letters');
}

sub rows_looked_at
{
	return run("SELECT coalesce(seq_tup_read, 0) FROM pg_stat_user_tables WHERE relname = 'braze_dead_letters'");
}

# --- few letters among many

run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT 'braze', jsonb_build_object('type', 'track', 'userId', 'u' || n, 'event', 'A'), 'of before', now()
FROM generate_series(1, 20000) n
EOS
my $looked_at = rows_looked_at();
my $index = 'pg_stat_user_indexes WHERE indexrelname = \'braze_dead_letters_user\'';
run(q{SELECT count(braze_delete_user('u' || n)) FROM generate_series(1, 20) n});
ok(braze_flush($node), 'twenty users are deleted');
$node->poll_query_until('postgres', "SELECT idx_scan >= 20 FROM $index") or die 'the index was not used';
is(run("SELECT idx_scan, idx_tup_read FROM $index"), '20|20', 'each with a look into the index, at one letter');

# the worker counts them once in a nap at most, and that reads all
cmp_ok(rows_looked_at() - $looked_at, '<', 20 * (20000 - 20), 'and the letters of others were not looked at');
is(letters(), 20000 - 20, 'their letters are gone');
run('DELETE FROM braze_dead_letters');

# --- many letters of the same user, of another destination

my $index = "FROM pg_stat_user_indexes WHERE indexrelname = 'braze_dead_letters_user'";
run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT 'other', '{"userId": "shared"}', 'of before', now() FROM generate_series(1, 1000) n
EOS
my ($scans, $entries) = split /\|/, run("SELECT idx_scan, idx_tup_read $index");
run(q{SELECT braze_delete_user('shared')});
ok(braze_flush($node), 'the user is deleted');
$node->poll_query_until('postgres', "SELECT idx_scan > $scans $index") or die 'the index was not used';
cmp_ok(run("SELECT idx_tup_read $index") - $entries, '<', 100, 'and the letters of the other destination were not looked at');
is(letters(), 1000, 'they stay');
run('DELETE FROM braze_dead_letters');

# --- whoever wrote the letter

foreach my $how ('directly', 'with a trigger', 'without the index')
{
	run(<<'EOS') if $how eq 'with a trigger';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER nothing BEFORE INSERT OR UPDATE ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION nothing();
EOS
	run('DROP TRIGGER nothing ON braze_dead_letters; DROP INDEX braze_dead_letters_user;')
	  if $how eq 'without the index';
	refuse("'deleted'");
	refuse('12345.00::numeric');
	refuse("'$long'");
	refuse("'stays'");

	# a retry that is refused again is rewritten
	my $fault = $braze->fault(kind => 'errors', name => 'refused');
	run('SELECT braze_retry()');
	braze_flush($node);
	$braze->clear_faults($fault);
	is(run('SELECT count(*), sum(attempts) FROM braze_dead_letters'), '4|8', "$how: all are refused twice");
	run(<<EOS);
INSERT INTO braze_dead_letters (destination, call, reason, queued_at) VALUES
	('braze', '{"user_id": "deleted"}', 'by hand', now()),
	('braze', '{"userId": null, "user_id": "deleted"}', 'by hand', now()),
	('braze', '{"userId": 12345}', 'by hand', now()),
	('braze', '{"userId": 12345.0}', 'by hand', now()),
	('braze', '{"userId": "12345"}', 'by hand', now()),
	('braze', '{"userId": "$long"}', 'by hand', now()),
	('braze', '{"userId": "changed"}', 'by hand', now()),
	('braze', '{"userId": "stays", "user_id": "deleted"}', 'by hand', now()),
	('braze', '["deleted"]', 'by hand', now()),
	('other', '{"userId": "deleted"}', 'by hand', now());
UPDATE braze_dead_letters SET call = '{"userId": "deleted"}' WHERE call ->> 'userId' = 'changed';
EOS
	is(run('SELECT count(*) FROM braze_dead_letters WHERE user_hash IS DISTINCT FROM braze_user_hash(call)'),
		'0', 'the worker writes what the table computes');
	run(qq{SELECT braze_delete_user('deleted'), braze_delete_user(12345), braze_delete_user('$long')});
	ok(braze_flush($node), 'the users are deleted');
	is(run("SELECT string_agg(destination || ' ' || coalesce(call ->> 'userId', call::text), ', ' ORDER BY id) FROM braze_dead_letters"),
		'braze stays, braze stays, braze ["deleted"], other deleted', 'and their letters are gone, but no others');
	run('DELETE FROM braze_dead_letters');
}

$node->stop;
done_testing();
