# Rows of the activity become few, whatever snapshot is held, and old ones go.

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
my $node = braze_node('main', $braze, conf => "autovacuum = off\nsegment_braze.nap = '100ms'");

sub run
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', $statement);
}

my $sums = "SELECT coalesce(sum(calls), 0), coalesce(sum(objects), 0), coalesce(sum(revenue), 0) FROM braze_activity_sums WHERE kind IN ('events', 'purchases')";
my $users = 'SELECT coalesce(sum(users), 0) FROM braze_event_counts';

# a part each second, while a snapshot is held
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
foreach my $round (1 .. 6)
{
	run(<<EOS);
SELECT count(braze_track('u' || i || '.' || $round % 3, 'Event ' || i % 3)) FROM generate_series(1, 90) i;
SELECT braze_track('u1', 'Order Completed', '{"product_id": "p1", "price": 1.5, "currency": "USD"}');
EOS
	braze_flush($node);
	$node->poll_query_until('postgres', "SELECT sum(objects) = $round * 91 FROM braze_activity WHERE kind IN ('events', 'purchases')");
}
is(run($sums), '546|546|9.0', 'all parts are there');

# 270 users of three events; the sketches are off by a few of a hundred
my $estimate = run($users);
cmp_ok(abs($estimate - 270), '<', 27, "users: $estimate");
ok($node->poll_query_until('postgres', <<'EOS'), 'one row of each event and hour');
SELECT count(*) = count(DISTINCT (destination, hour, kind, name, currency)) FROM braze_activity_sums
EOS
ok($node->poll_query_until('postgres', <<'EOS'), 'one sketch of each event and day');
SELECT count(*) = count(DISTINCT (destination, day, kind, name)) FROM braze_activity_users
EOS
is(run($sums), '546|546|9.0', 'the sums are the same');
is(run($users), $estimate, 'and so are the users');
is($session->query_safe('SELECT count(*) FROM braze_activity_sums;'), '0', 'the old snapshot sees nothing of it');

# a row that somebody holds is left alone, and waited for by nobody
run("SELECT braze_track('u1', 'Held')");
braze_flush($node);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM braze_activity WHERE name = 'Held'");
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT FROM braze_activity_sums WHERE name = 'Held' FOR UPDATE;});
run("SELECT braze_track('u2', 'Held'), braze_track('u1', 'Other')");
braze_flush($node);
$node->poll_query_until('postgres', "SELECT sum(objects) = 2 FROM braze_activity WHERE name = 'Held'");
run("SELECT braze_track('u2', 'Other')");
braze_flush($node);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 AND sum(objects) = 2 FROM braze_activity_sums WHERE name = 'Other'"),
	'others are added up while a row is held');
is(run("SELECT count(*) FROM braze_activity_sums WHERE name = 'Held'"), '2', 'which stays');
$holder->query_safe('COMMIT;');
$holder->quit;
$session->query_safe('COMMIT;');
$session->quit;

# after a restart, what is left of an earlier pass is added up as well
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 AND sum(objects) = 2 FROM braze_activity_sums WHERE name = 'Held'"),
	'a new worker looks at all rows');

# old rows go, and younger ones stay
run(<<'EOS');
INSERT INTO braze_activity_sums (destination, hour, kind, name, calls, objects, requests, data_points, data_points_saved, first_time, last_time)
SELECT 'braze', now() - age, 'events', 'aged ' || age, 1, 1, 0, 1, 0, now() - age, now() - age
FROM unnest(ARRAY['89 days', '91 days', '1000 days']::interval[]) age;
INSERT INTO braze_activity_users (destination, day, kind, name, sketch)
SELECT 'braze', now() - age, 'events', 'aged ' || age, '\x010041'
FROM unnest(ARRAY['89 days', '92 days', '1000 days']::interval[]) age;
EOS
ok($node->poll_query_until('postgres', <<'EOS'), 'rows older than activity_retention go');
SELECT (SELECT string_agg(name, ',') FROM braze_activity_sums WHERE name LIKE 'aged%') = 'aged 89 days'
	AND (SELECT string_agg(name, ',') FROM braze_activity_users WHERE name LIKE 'aged%') = 'aged 89 days'
EOS
is(run("SELECT sum(objects) FROM braze_activity WHERE kind = 'events' AND name LIKE 'Event%'"), '540', 'and no others');

$node->stop;
done_testing();
