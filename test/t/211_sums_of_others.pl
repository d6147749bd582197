# Where nothing is started, the sums of what was delivered are another database's:
# the worker adds nothing up, or a subscriber would count it twice.

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
my $node = braze_server('main', conf => "autovacuum = off\nsegment_braze.nap = '100ms'");

sub run
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', $statement);
}

# rows, the highest id, and what the sequence has drawn
my $sums = 'SELECT count(*), max(id), (SELECT last_value FROM braze_activity_sums_id_seq) FROM braze_activity_sums';
my $users = 'SELECT count(*), max(id), (SELECT last_value FROM braze_activity_users_id_seq) FROM braze_activity_users';

run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'braze', $braze, start => 0);
braze_wait_for_state($node, 'braze', 'not started%');

# each pass begins with the first turn of a worker, and what is old goes after it
run(<<'EOS');
INSERT INTO braze_activity_sums (id, destination, hour, kind, name, calls, objects, requests, data_points, data_points_saved, first_time, last_time)
OVERRIDING SYSTEM VALUE
SELECT 1000 + n, 'braze', date_trunc('hour', now()), 'events', 'Replicated', 1, 1, 0, 1, 0, now(), now() FROM generate_series(1, 3) n;
INSERT INTO braze_activity_users (id, destination, day, kind, name, sketch)
OVERRIDING SYSTEM VALUE
SELECT 1000 + n, 'braze', current_date, 'events', 'Replicated', '\x010041' FROM generate_series(1, 3) n;
EOS

sub worker_has_looked
{
	run(<<'EOS');
INSERT INTO braze_activity_sums (id, destination, hour, kind, name, calls, objects, requests, data_points, data_points_saved, first_time, last_time)
OVERRIDING SYSTEM VALUE
SELECT 900, 'braze', date_trunc('hour', now() - interval '1000 days'), 'events', 'Old', 1, 1, 0, 1, 0, now(), now();
INSERT INTO braze_activity_users (id, destination, day, kind, name, sketch)
OVERRIDING SYSTEM VALUE
SELECT 900, 'braze', current_date - 1000, 'events', 'Old', '\x010041';
EOS
	$node->restart;
	return $node->poll_query_until('postgres', <<'EOS');
SELECT NOT EXISTS (SELECT FROM braze_activity_sums WHERE id = 900) AND NOT EXISTS (SELECT FROM braze_activity_users WHERE id = 900)
EOS
}

ok(worker_has_looked(), 'what is old goes');
is(run($sums), '3|1003|1', 'parts of a sum that came from elsewhere stay');
is(run($users), '3|1003|1', 'and so do those of users');

# from then on some of them are its own
run("SELECT braze_start('braze')");
ok($node->poll_query_until('postgres', <<'EOS'), 'once it is started, they are added up');
SELECT (SELECT count(*) = 1 AND sum(calls) = 3 FROM braze_activity_sums WHERE name = 'Replicated')
	AND (SELECT count(*) = 1 FROM braze_activity_users WHERE name = 'Replicated')
EOS
is(run("SELECT min(id) FROM braze_activity_sums"), '11004', 'with ids past those, and a gap for what may still come');

$node->stop;
done_testing();
