# What Braze accepted and refused is added up by hour, kind and name, without
# loss, also when the worker ends; a kill loses the last second at most, and
# nothing counts twice.

use strict;
use warnings;

use Encode ();
use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);

sub run
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', $statement);
}

# events and purchases by name, and attributes objects, as the stand-in has them
sub accepted
{
	my %sums;

	foreach my $entry ($braze->log)
	{
		my $object = $entry->{object};

		next unless $entry->{outcome} eq 'accepted' || $entry->{outcome} eq 'no effect';
		if ($entry->{kind} eq 'events')
		{
			$sums{"events $object->{name}"}++;
		}
		elsif ($entry->{kind} eq 'purchases')
		{
			my $key = "purchases $object->{product_id} $object->{currency}";

			$sums{$key}++;
			$sums{"$key quantity"} += $object->{quantity};
			$sums{"$key revenue"} += $object->{quantity} * $object->{price};
		}
		elsif ($entry->{kind} eq 'attributes')
		{
			$sums{attributes}++;
		}
		else
		{
			$sums{"identity $entry->{kind}"}++;
		}
	}
	return join "\n", sort map { Encode::encode_utf8("$_ ") . sprintf('%.2f', $sums{$_}) } keys %sums;
}

# the same of the sums
sub counted
{
	return run(<<'EOS');
SELECT key || ' ' || to_char(n, 'FM9999999990.00')
FROM braze_activity a, LATERAL (
	SELECT concat_ws(' ', kind, nullif(name, ''), currency) AS key, objects::numeric AS n
	UNION ALL
	SELECT concat_ws(' ', kind, name, currency, 'quantity'), quantity WHERE kind = 'purchases'
	UNION ALL
	SELECT concat_ws(' ', kind, name, currency, 'revenue'), revenue WHERE kind = 'purchases') s
WHERE kind IN ('events', 'purchases', 'identity') OR kind = 'attributes' AND name = ''
ORDER BY key || ' ' COLLATE "C"
EOS
}

# all is written, a second after the last settle at most
sub wait_for_sums
{
	my ($calls) = @_;

	return $node->poll_query_until('postgres', <<EOS);
SELECT coalesce(sum(calls), 0) = $calls FROM braze_activity
WHERE kind IN ('events', 'purchases', 'refused', 'skipped', 'identity') OR kind = 'attributes' AND name = ''
EOS
}

# of each kind some, no two attributes of one user, which would be folded
run(<<'EOS');
SELECT count(braze_track('u' || i % 60, 'Event ' || i % 7)) FROM generate_series(1, 1000) i;
SELECT count(braze_track('u' || i % 50, 'Order Completed', jsonb_build_object('currency', c, 'products', jsonb_build_array(
	jsonb_build_object('product_id', 'p' || i % 5, 'price', 19.99, 'quantity', i % 4 + 1)))))
FROM generate_series(1, 300) i, (VALUES ('USD'), ('EUR')) c (c);
SELECT count(braze_identify('i' || i, '{"plan": "pro", "email_subscribe": "opted_in", "tags": [1, 2]}')) FROM generate_series(1, 400) i;
SELECT count(braze_page('u1', 'Home')) FROM generate_series(1, 5) i;
SELECT braze_track('u1', E'with "quotes", \\ and \u00e9');
SELECT braze_delete_user('nobody');
EOS
braze_flush($node);
wait_for_sums(1000 + 600 + 400 + 5 + 1 + 1);
is(counted(), accepted(), 'the sums are what Braze has accepted');
is(run("SELECT calls FROM braze_activity WHERE kind = 'skipped'"), '5', 'calls that are skipped');
is(run(<<'EOS'), 't', 'requests are those that were sent');
SELECT sum(a.requests) = (SELECT requests FROM braze_status) AND sum(a.objects) FILTER (WHERE kind = 'request')
	= sum(a.objects) FILTER (WHERE kind IN ('events', 'purchases', 'identity') OR kind = 'attributes' AND name = '')
FROM braze_activity a
EOS
is(run("SELECT sum(data_points) FROM braze_activity WHERE kind = 'attributes'"), '800', 'two data points of each identify');
is(run("SELECT sum(data_points) FROM braze_throughput"), 800 + 1001 + 1500, 'and those of the others');
is(run("SELECT count(*) FROM braze_event_counts WHERE users BETWEEN 54 AND 66"), '7', 'users of events are estimated');
is(run("SELECT sum(count) FROM braze_event_counts"), '1001', 'and events counted by day');
is(run("SELECT count(*) > 0 FROM braze_activity WHERE first_time < date_trunc('hour', first_time) OR first_time > last_time OR hour <> date_trunc('hour', last_time)"),
	'f', 'the times are those of the hour');

# refused objects, and a call that cannot be anything
$braze->fault(kind => 'errors', name => 'Bad Event', reason => 'no such thing');
run(q{SELECT count(braze_track('u' || i, 'Bad Event')) FROM generate_series(1, 3) i});
run(q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "nothing"}')});
braze_flush($node);
wait_for_sums(2007 + 4);
is(run("SELECT name, calls, objects FROM braze_activity WHERE kind = 'refused' ORDER BY name"), "|1|0\nevents|3|3", 'what is refused');
is(run('SELECT sum(refused) FROM braze_throughput'), '4', 'and in the view');
$braze->clear_faults;

# the worker ends at once after a settle: it writes the sums first
run(q{SELECT count(braze_track('u1', 'Last Words')) FROM generate_series(1, 50) i});
braze_flush($node);
my $worker = braze_freeze_worker($node);
kill 'TERM', $worker;
kill 'CONT', $worker;
braze_wait_for_worker($node, 'postgres', $worker);
is(run("SELECT sum(objects) FROM braze_activity WHERE name = 'Last Words'"), '50', 'an end of the worker loses nothing');

# somebody has the table locked, then it has a trigger that fails: calls go on
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_activity_sums;');
run(q{SELECT count(braze_track('u1', 'Locked Out')) FROM generate_series(1, 50) i});
braze_flush($node);
sleep 2;
run(q{SELECT count(braze_track('u1', 'Locked Out')) FROM generate_series(1, 50) i});
braze_flush($node);
$session->query_safe('COMMIT');
$node->poll_query_until('postgres', "SELECT sum(objects) = 100 FROM braze_activity WHERE name = 'Locked Out'");
is(run("SELECT sum(objects) FROM braze_activity WHERE name = 'Locked Out'"), '100',
	'a lock on the table stops nothing, and loses nothing');
$session->quit;
run(<<'EOS');
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON braze_activity_users FOR EACH ROW EXECUTE FUNCTION fail();
EOS
run(q{SELECT count(braze_track('someone', 'Trigger')) FROM generate_series(1, 50) i});
braze_flush($node);
sleep 2;
run(q{SELECT count(braze_track('someone else', 'Trigger')) FROM generate_series(1, 50) i});
braze_flush($node);
run('DROP TRIGGER fail ON braze_activity_users');
$node->poll_query_until('postgres', "SELECT sum(objects) = 100 FROM braze_activity WHERE name = 'Trigger'");
is(run("SELECT count, users FROM braze_event_counts WHERE event = 'Trigger'"), '100|2', 'nor does a trigger that fails');

# changed_attributes_only: what is left out is counted as saved
run("ALTER SERVER braze OPTIONS (ADD changed_attributes_only 'true')");
run(q{SELECT braze_identify('saver', '{"plan": "pro", "level": 1}')});
braze_flush($node);
foreach (1 .. 3)
{
	run(q{SELECT braze_identify('saver', '{"plan": "pro", "level": 2}')});
	braze_flush($node);
}
$node->poll_query_until('postgres', 'SELECT sum(data_points_saved) >= 5 FROM braze_activity');
is(run("SELECT sum(objects), sum(data_points), sum(data_points_saved) FROM braze_activity WHERE kind = 'attributes' AND name = ''"),
	'402|803|5', 'what need not be sent is saved');

# a name that is not as long in UTF-8, in a database of another encoding
run("CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0");
$node->safe_psql('latin1', 'CREATE EXTENSION segment_braze');
braze_destination($node, 'latin1', 'other', $braze);
$node->safe_psql('latin1', <<'EOS');
SET client_encoding = 'UTF8';
SELECT braze_track(E'\u00fc\u00fc', E'\u00e9t\u00e9'), braze_track(E'\u00fc\u00fc', E'na\u00efve');
SELECT braze_track(E'\u00fc', 'Order Completed', jsonb_build_object('product_id', E'\u00e9', 'price', 2, 'quantity', 3, 'currency', 'EUR'));
EOS
braze_flush($node, 'latin1');
$node->poll_query_until('latin1', 'SELECT count(*) = 3 FROM braze_activity WHERE calls > 0');
is($node->safe_psql('latin1', <<'EOS'), "events ete 1\nevents naive 1\npurchases e 1 6", 'names in LATIN1');
SELECT concat_ws(' ', kind, translate(name, E'\u00e9\u00ef', 'ei'), calls, revenue::int)
FROM braze_activity WHERE calls > 0 ORDER BY 1
EOS

$node->stop;
done_testing();
