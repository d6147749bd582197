# What deduplicate leaves out is counted when its transaction commits, and what
# it remembers is forgotten in time.  max_attribute_age looks at the clock when
# the turn of a call comes.

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
	options => "deduplicate '1 d', max_attribute_age '1 h'");
my $play = "SELECT braze_track('u1', 'Song Played', message_id => 'm1')";

sub duplicates
{
	return $node->safe_psql('postgres',
		"SELECT duplicates FROM braze_status WHERE destination = 'braze'");
}

$node->safe_psql('postgres', $play);
is(duplicates(), '0', 'a first call is no duplicate');
$node->safe_psql('postgres', "$play; $play");
is(duplicates(), '2', 'each one that is left out counts');

$node->safe_psql('postgres', "BEGIN; $play; ROLLBACK");
is(duplicates(), '2', 'what is rolled back does not count');

$node->safe_psql('postgres', <<EOS);
BEGIN;
SAVEPOINT a; $play; ROLLBACK TO SAVEPOINT a;
SAVEPOINT b; $play; RELEASE SAVEPOINT b;
SAVEPOINT c; SAVEPOINT d; $play; RELEASE SAVEPOINT d; ROLLBACK TO SAVEPOINT c;
SAVEPOINT e; $play; SAVEPOINT f; $play; RELEASE SAVEPOINT f; RELEASE SAVEPOINT e;
COMMIT;
EOS
is(duplicates(), '5', 'nor does what is rolled back to a savepoint');

$node->safe_psql('postgres', <<EOS);
DO \$\$
BEGIN
	FOR i IN 1 .. 10 LOOP
		BEGIN
			PERFORM braze_track('u1', 'Song Played', message_id => 'm1');
			IF i % 2 = 0 THEN
				RAISE 'no';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
\$\$;
EOS
is(duplicates(), '10', 'nor what a block with an exception undid');

braze_flush($node);
is(scalar(grep { $_->{kind} eq 'events' } $braze->log), 1, 'Braze got the event once');

# the worker forgets what has expired, and nothing else
$node->safe_psql('postgres', <<'EOS');
INSERT INTO braze_messages
SELECT 'braze', 'old' || i, now() - interval '25 hours' FROM generate_series(1, 20000) i;
INSERT INTO braze_messages
SELECT 'braze', 'new' || i, now() - interval '23 hours' FROM generate_series(1, 1000) i;
INSERT INTO braze_messages VALUES ('gone', 'old', now() - interval '25 hours'), ('gone', 'new', now());
EOS
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM braze_messages WHERE message_id LIKE 'old%'"),
	'what has expired is forgotten');
is($node->safe_psql('postgres', <<'EOS'), "braze|1001\ngone|1", 'the rest is remembered');
SELECT destination, count(*) FROM braze_messages GROUP BY 1 ORDER BY 1
EOS

# what came in from a library is remembered for a day, however short the option is
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET deduplicate '1 s')");
$node->safe_psql('postgres', <<'EOS');
UPDATE braze_messages SET queued_at = now() - interval '1 minute';
INSERT INTO braze_messages
VALUES ('braze', 'received', now() - interval '23 hours', true), ('braze', 'long ago', now() - interval '25 hours', true);
EOS
ok($node->poll_query_until('postgres',
		"SELECT string_agg(message_id, ' ') = 'received' FROM braze_messages WHERE destination = 'braze'"),
	'a short time to remember is obeyed, but for what was received');

# the age of an identify is that at its delivery
$node->safe_psql('postgres', <<'EOS');
SELECT braze_identify('young', '{"plan": "pro"}', at => now() - interval '50 minutes');
SELECT braze_identify('old', '{"plan": "pro"}', at => now() - interval '70 minutes');
SELECT braze_track('old', 'Song Played', at => now() - interval '70 minutes');
EOS
braze_flush($node);
is(join(' ', sort map { "$_->{user}:$_->{kind}" } grep { $_->{user} ne 'u1' } $braze->log),
	'old:events young:attributes', 'an identify that is too old is skipped, an event is not');
is($node->safe_psql('postgres', "SELECT skipped FROM braze_status WHERE destination = 'braze'"),
	'1', 'and counted');

$node->safe_psql('postgres', 'SELECT braze_pause(\'braze\')');
$node->safe_psql('postgres', <<'EOS');
SELECT braze_identify('later', '{"plan": "pro"}');
EOS
is($node->safe_psql('postgres', 'SELECT outcome FROM braze_pending'), 'send', 'one is young enough');
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET max_attribute_age '1 s')");
ok($node->poll_query_until('postgres', "SELECT outcome = 'skip' FROM braze_pending"),
	'until it is not');
$node->safe_psql('postgres', 'SELECT braze_start(\'braze\')');
braze_flush($node);
is($braze->user('later'), undef, 'and is skipped when its turn comes');

done_testing();
