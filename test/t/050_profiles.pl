# What is sent of a user depends on what Braze has of him: attributes are
# folded, unchanged ones left out, and the identifiers of one person joined.

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
my $node = braze_node('main', $braze, options =>
	  "changed_attributes_only 'true', identifiers 'user_id, anonymous_id, email', identity_delay '0', delete_calls 'delete'");

# the calls of one transaction, delivered together
sub deliver
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	ok(braze_flush($node), 'settled');
}

# what arrived since the last question: kind and payload without identifier
sub arrived
{
	my @objects;

	foreach my $entry ($braze->log)
	{
		my %object = %{ $entry->{object} };
		my $what = $entry->{kind};

		$what .= " $object{name}" if defined $object{name};
		$what .= " $_=$object{$_}"
		  foreach grep { !/^(name|time|app_id|external_id|user_alias|email|_|prioritization|identifier_)/ }
		  sort keys %object;
		$what .= " ($entry->{user})";
		push @objects, $what;
	}
	$braze->reset;
	return join '; ', @objects;
}

# digits and characters
deliver(q{SELECT braze_track('exact', 'E', '{"price": 19.990, "big": 9007199254740993, "text": "\"quoted\" \u005c \u0001\t \ud83d\ude00 \u00e9"}')});
like($braze->request('GET', 'log', {})->{content}, qr/(?=.*19\.990)(?=.*9007199254740993)/s,
	'numbers keep their digits on their way');
is(($braze->log)[0]{object}{properties}{text}, qq{"quoted" \\ \x01\t \x{1F600} \x{e9}}, 'strings their characters');
$braze->reset;

# folding
deliver(<<EOS);
SELECT braze_identify('u1', '{"plan": "pro", "n": 1}');
SELECT braze_identify('u2', '{"n": 5}');
EOS
arrived();
deliver(<<EOS);
BEGIN;
SELECT braze_identify('u1', '{"plan": "free", "a": 1}');
SELECT braze_identify('u2', '{"n": 6}');
SELECT braze_identify('u1', '{"n": 2, "a": 2}');
SELECT braze_track('u1', 'Played');
COMMIT;
EOS
is(arrived(), 'attributes a=2 n=2 plan=free (u1); attributes n=6 (u2); events Played (u1)',
	'the attributes of a user become one object');

# unchanged attributes
deliver(q{SELECT braze_identify('u1', '{"plan": "free", "n": 3}')});
is(arrived(), 'attributes n=3 (u1)', 'what Braze has is left out');
deliver(q{SELECT braze_identify('u1', '{"plan": "free", "n": 3}')});
is(arrived(), '', 'what says nothing new is not sent');
is($node->safe_psql('postgres', "SELECT unchanged > 0, pending FROM braze_status"), 't|0', 'and counted');
$node->stop('immediate');
$node->start;
deliver(q{SELECT braze_identify('u1', '{"plan": "free", "n": 4}')});
is(arrived(), 'attributes n=4 (u1)', 'what is remembered survives a crash');

# what Braze refuses is not remembered
$braze->fault(kind => 'errors', user => 'u1', array => 'attributes', count => 1);
deliver(q{SELECT braze_identify('u1', '{"plan": "gold"}')});
arrived();
deliver(q{SELECT braze_identify('u1', '{"plan": "gold"}')});
is(arrived(), 'attributes plan=gold (u1)', 'a refused value is sent again');
deliver(q{SELECT braze_identify('u1', '{"n": {"inc": 1}}'); SELECT braze_identify('u1', '{"n": 4}')});
like(arrived(), qr/attributes n=4 \(u1\)$/, 'after an operator the value is unknown');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '1', 'the refused call is a dead letter');

# what is sent while nobody looks at what is remembered makes that out of date
deliver(q{SELECT braze_identify('u9', '{"plan": "gold"}')});
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET changed_attributes_only 'false', SET identifiers 'user_id')");
deliver(q{SELECT braze_identify('u9', '{"plan": "silver"}')});
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET changed_attributes_only 'true', SET identifiers 'user_id, anonymous_id, email')");
arrived();
deliver(q{SELECT braze_identify('u9', '{"plan": "gold"}')});
is(arrived(), 'attributes plan=gold (u9)', 'so it is forgotten when changed_attributes_only is switched off');

# a refused folded object costs the guilty call alone
$node->safe_psql('postgres', "DELETE FROM braze_dead_letters");
$braze->fault(kind => 'errors', user => 'u3', array => 'attributes', count => 2);
deliver(<<EOS);
BEGIN;
SELECT braze_identify('u3', '{"first": 1}');
SELECT braze_identify('u3', '{"second": 2}');
SELECT braze_identify('u3', '{"third": 3}');
COMMIT;
EOS
like(arrived(), qr/attributes first=1 second=2 third=3 \(u3\); attributes first=1 \(u3\); attributes second=2 \(u3\); attributes third=3 \(u3\)/,
	'what was refused folded is sent object by object');
is($node->safe_psql('postgres', q{SELECT call -> 'traits' FROM braze_dead_letters}), '{"first": 1}', 'and the guilty one is refused');

# Braze has a value of which nothing could be settled: what is remembered is older
deliver(q{SELECT braze_identify('u3', '{"plan": "gold"}')});
$braze->hold(applied => 1);
$node->safe_psql('postgres', q{SELECT braze_identify('u3', '{"plan": "silver"}')});
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', q{SELECT braze_identify('u3', '{"plan": "gold"}')});
my $worker = braze_worker_pid($node);
kill 'KILL', $worker;
braze_wait_for_worker($node, 'postgres', $worker);
$braze->release;
braze_flush($node);
is($braze->user('u3')->{attributes}{plan}, 'gold', 'after a kill the last value stands, whatever is remembered');
arrived();

# anonymous visitors
deliver(<<EOS);
SELECT braze_track(NULL, 'Looked', anonymous_id => 'v1');
SELECT braze_track('u5', 'Signed Up', anonymous_id => 'v1');
SELECT braze_track('u5', 'Played', anonymous_id => 'v1');
EOS
is(arrived(), 'events Looked (v1); aliases_to_identify (u5); events Signed Up (u5); events Played (u5)',
	'a visitor becomes the user before anything later of his is sent, once');
deliver(<<EOS);
SELECT braze_track(NULL, 'Looked', anonymous_id => 'v2');
SELECT braze_track('u5', 'Logged In', anonymous_id => 'v2');
SELECT braze_track('u6', 'Logged In', anonymous_id => 'v2');
EOS
is(arrived(), 'events Looked (v2); merge_updates (v2); events Logged In (u5); events Logged In (u6)',
	'a further alias of a user is merged, and not given to another');
deliver(<<EOS);
SELECT braze_track(NULL, 'Looked', anonymous_id => 'v2');
SELECT braze_track('u6', 'Logged In', anonymous_id => 'v2');
EOS
is(arrived(), 'events Looked (v2); events Logged In (u6)', 'not even when more was sent to it');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM braze_notes WHERE note LIKE '%joined with another user%'}),
	'which is noted');
deliver(q{SELECT braze_track('u7', 'Logged In', anonymous_id => 'v3')});
is(arrived(), 'events Logged In (u7)', 'a visitor to whom nothing was sent needs no merge');

# email
deliver(<<EOS);
SELECT braze_identify(NULL, '{"email": "a\@example.com", "from": "form"}');
SELECT braze_identify('u8', '{"email": "a\@example.com", "x": 1}');
SELECT braze_identify('u8', '{"email": "a\@example.com", "x": 2}');
EOS
is(arrived(), 'attributes from=form (a@example.com); emails_to_identify (u8); attributes x=1 (u8); attributes x=2 (u8)',
	'so does somebody who was known by email, once');

# deletion takes along what is remembered, and the dead letters
$node->safe_psql('postgres', q{INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at)
	VALUES ('braze', '{"type": "track", "userId": "u1", "event": "e"}', 'r', now(), now())});
deliver(q{SELECT braze_delete_user('u1')});
$braze->reset;
is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_profiles WHERE "user" = '"external_id":"u1"'}), '0', 'a deleted user is forgotten');
is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_dead_letters WHERE call ->> 'userId' = 'u1'}), '0', 'with his dead letters');
deliver(q{SELECT braze_identify('u1', '{"plan": "gold"}')});
is(arrived(), 'attributes plan=gold (u1)', 'and begins anew');

$node->stop;
done_testing();
