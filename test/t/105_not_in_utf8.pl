# Calls in a database of another encoding, with characters that UTF-8 does not
# have: each is rejected at once, and holds up nobody.

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
my $node = braze_server('main');

$node->safe_psql('postgres',
	"CREATE DATABASE japan TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('japan', 'CREATE EXTENSION segment_braze');
braze_destination($node, 'japan', 'b1', $braze);
braze_destination($node, 'japan', 'b2', $braze);
braze_wait_for_worker($node, 'japan');

# between good calls: bad ones in an event's name, a property, a user's name
my $began = time;
$node->safe_psql('japan', <<'EOS');
SET client_encoding = 'EUC_JP';
SELECT braze_track('good', 'e', jsonb_build_object('seq', n), destination => d),
	braze_track('good', E'\xa9\xa1', '{}', destination => d),
	braze_track('good', 'e', jsonb_build_object('text', E'\xa9\xa1'), destination => d),
	braze_track(E'bad \xa9\xa1', 'e', '{}', destination => d),
	braze_identify('good', jsonb_build_object('plan', E'\xa9\xa1'), destination => d)
FROM generate_series(1, 5) n, unnest('{b1,b2}'::text[]) d
EOS
$braze->wait_for_accepted(10);
ok($node->poll_query_until('japan', 'SELECT count(*) = 0 FROM braze_queue'), 'all leave the queue');

# three tries of each, a second apart, would take two minutes
cmp_ok(time - $began, '<', 60, 'without waiting for any of them');
is($node->safe_psql('japan', 'SELECT state, reason, count(*) FROM braze_dead_letters GROUP BY 1, 2'),
	"rejected|The call has a character of the database's encoding EUC_JP that cannot be converted to UTF-8, which Braze reads.|40",
	'and the dead letters say why');

# limits count the bytes that Braze gets, here two of each character
$node->safe_psql('postgres',
	"CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('latin', 'CREATE EXTENSION segment_braze');
is($node->safe_psql('latin', <<'EOS'), "493|send\n494|reject", 'a user id is measured as it is sent');
SET client_encoding = 'LATIN1';
SELECT n, outcome FROM unnest('{493,494}'::int[]) n,
	braze_map(jsonb_build_object('type', 'track', 'userId', repeat(E'\xe9', n), 'event', 'e'))
EOS

# and so do those of properties, in all, and of an attribute
is($node->safe_psql('latin', <<'EOS'), "purchases|{a,c}\nevents|{a,c,products}\nattributes|{a,external_id}", 'properties and attributes are, too');
SET client_encoding = 'LATIN1';
SELECT kind, (SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(CASE kind WHEN 'attributes' THEN payload ELSE payload->'properties' END) key)
FROM (VALUES (1, '{"type": "track", "userId": "u", "event": "Order Completed"}', 15), (2, '{"type": "track", "userId": "u", "event": "e"}', 30),
		(3, '{"type": "identify", "userId": "u"}', 50)) calls (n, call, thousands),
	jsonb_build_object('a', repeat(E'\xe9', thousands * 1000), 'b', repeat(E'\xe9', thousands * 1100)) texts,
	braze_map(call::jsonb || jsonb_build_object('traits', texts, 'properties', texts || '{"c": 1, "products": [{"id": "p", "price": 1}]}')) map
WHERE map.outcome = 'send' ORDER BY n
EOS

$node->stop;
done_testing();
