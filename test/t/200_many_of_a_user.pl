# What is known of a user who is deleted may be any number of rows: others do not
# wait for all of them, and none is overlooked.

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
	conf => "log_min_messages = debug1\n",
	options => "identifiers 'user_id, anonymous_id', identity_delay '0', alias_calls 'identify', delete_calls 'delete'");

# how often a settle has left the deletion for another time
sub rounds_left
{
	my ($from) = @_;
	my $log = substr slurp_file($node->logfile), $from;
	my @left = $log =~ /settled \d+ calls, 1 cannot be settled now/g;

	return scalar @left;
}

sub delete_user
{
	my ($user) = @_;

	$node->safe_psql('postgres', "SELECT braze_delete_user('$user')");
	ok(braze_flush($node), "$user is deleted");
	return;
}

sub given_to
{
	my ($user) = @_;

	return $node->safe_psql('postgres', qq{SELECT count(*) FROM braze_profiles WHERE owner = '"external_id":"$user"'});
}

sub give
{
	my ($user, $count) = @_;

	$node->safe_psql('postgres', <<EOS);
INSERT INTO braze_profiles (destination, "user", sent, has_alias, owner, changed_at)
SELECT 'braze', format('"user_alias":{"alias_name":"%s","alias_label":"of $user"}', i), i % 2 = 0, false, '"external_id":"$user"', now()
FROM generate_series(1, $count) i
EOS
	return;
}

# ----- identifiers -----

give('guest', 5000);
give('other', 3);
my $from = -s $node->logfile;
delete_user('guest');
is(given_to('guest'), '0', 'nothing is given to them any more');
is(given_to('other'), '3', 'but to others');
is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_profiles WHERE "user" LIKE '%of guest%'}), '2500',
	'where nothing was sent, nothing is left');
cmp_ok(rounds_left($from), '>=', 2, 'it took several settles');
is($node->safe_psql('postgres', 'SELECT state FROM braze_status'), 'running', 'and the status tells of it no more');

# an index in the order of a language is no help
my $ordered = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'});

SKIP:
{
	skip 'no collations of ICU', 3 unless $ordered eq '1';
	$node->safe_psql('postgres', <<'EOS');
DROP INDEX braze_profiles_owner;
CREATE INDEX ON braze_profiles (owner COLLATE "en-x-icu");
EOS
	give($_, 1) foreach map { ("a$_", "B$_", "c$_", "D-$_", "e_$_") } 1 .. 40;
	delete_user('B20');
	is(given_to('B20'), '0', 'found without an index that has another order');
	delete_user('D-3');
	is(given_to('D-3'), '0', 'wherever the name is in it');
}

# ----- dead letters -----

# those of another destination with the same user are not even looked at
$node->safe_psql('postgres', <<'EOS');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT CASE n WHEN 1 THEN 'braze' ELSE 'elsewhere' END, '{"type": "track", "event": "e", "userId": "everywhere"}', 'r', now()
FROM generate_series(1, 1000) n
EOS
my $read = q{SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'braze_dead_letters_user'};
my $before = $node->safe_psql('postgres', $read);
delete_user('everywhere');
is($node->safe_psql('postgres', 'SELECT destination, count(*) FROM braze_dead_letters GROUP BY 1'), 'elsewhere|999',
	'the dead letter of a user is deleted, and none of another destination');
$node->poll_query_until('postgres', "SELECT ($read) > $before") or die 'nothing was read by the index';
cmp_ok($node->safe_psql('postgres', $read) - $before, '<', 500, 'nor are these read');
$node->safe_psql('postgres', 'TRUNCATE braze_dead_letters');

$node->safe_psql('postgres', <<'EOS');
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(0.03);
	RETURN OLD;
END $$;
CREATE TRIGGER slow BEFORE DELETE ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION slow();
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
SELECT 'braze', format('{"type": "track", "event": "e", "userId": "%s"}', u)::jsonb, 'r', now()
FROM unnest(ARRAY['u1', 'u2']) u, generate_series(1, 20);
EOS
$from = -s $node->logfile;
delete_user('u1');
is($node->safe_psql('postgres', q{SELECT call->>'userId', count(*) FROM braze_dead_letters GROUP BY 1}), 'u2|20',
	'the dead letters of a user are deleted');
cmp_ok(rounds_left($from), '>=', 2, 'some at a time');

$node->stop;
done_testing;
