# Whatever stands in braze_queue, by INSERT or COPY, ends as delivered, skipped
# or a dead letter, and holds up nobody.

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
my $node = braze_node('main', $braze);

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# puts something between two calls that must arrive; afterwards all is settled
my $number = 0;

sub between
{
	my ($insert) = @_;

	$number++;
	$braze->reset;
	run(<<EOS);
DELETE FROM braze_dead_letters;
BEGIN;
SELECT braze_track('u$number', 'before');
$insert;
SELECT braze_track('u$number', 'after');
COMMIT;
EOS
	braze_flush($node, 'postgres', 'braze');
	return;
}

# what was applied, sorted
sub events
{
	return join ' ', sort map { $_->{name} // 'attributes' } grep { $_->{outcome} eq 'accepted' } $braze->log;
}

sub refused
{
	my ($what, $call, $reason) = @_;

	between("INSERT INTO braze_queue (destination, call) VALUES ('braze', $call)");
	is(events(), 'after before', "$what: its neighbours arrive");
	like(run('SELECT reason FROM braze_dead_letters'), $reason, "$what: a dead letter with the reason");
	return;
}

# calls that are none
refused('a string', q{'"track"'}, qr/object/);
refused('null', q{'null'}, qr/object/);
refused('an array', q{'[{"type": "track", "userId": "u", "event": "e"}]'}, qr/object/);
refused('no type', q{'{"userId": "u", "event": "e"}'}, qr/type/);
refused('an unknown type', q{'{"type": "trak", "userId": "u", "event": "e"}'}, qr/type/);
refused('nobody', q{'{"type": "track", "event": "e"}'}, qr/identif|user/);
refused('no event', q{'{"type": "track", "userId": "u"}'}, qr/event/);

# size
refused('a call that is too large',
	q{jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'e', 'context', repeat('x', 3000000))},
	qr/max_call_size/);
refused('a compressed one that is too large',
	q{jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'e', 'context', repeat('x', 1100000))},
	qr/max_call_size/);
between(<<'EOS');
INSERT INTO braze_queue (destination, call) SELECT 'braze',
	jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'large', 'context', repeat('x', 1000000))
EOS
is(events(), 'after before large', 'one that is as large as it may be is sent');

# depth: as deep as jsonb lets it be
between(<<'EOS');
INSERT INTO braze_queue (destination, call) SELECT 'braze', jsonb_build_object('type', 'track', 'userId', 'u',
	'event', 'deep', 'properties', (repeat('{"a":', n) || '1' || repeat('}', n))::jsonb)
FROM unnest('{100,1000,5000}'::int[]) n
EOS
like(events(), qr/^after before( deep)*$/, 'calls with deep properties: the neighbours arrive');
is(run(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'}), '1',
	'and the worker is alive');
between(<<'EOS');
INSERT INTO braze_queue (destination, call) SELECT 'braze', jsonb_build_object('type', 'identify', 'userId', 'u',
	'traits', jsonb_build_object('deep', (repeat('[', n) || '1' || repeat(']', n))::jsonb))
FROM unnest('{100,1000,5000}'::int[]) n
EOS
like(events(), qr/^after( attributes)* before$/, 'so do those of deep traits');

# numbers that take more room as text than as jsonb
between(<<'EOS');
INSERT INTO braze_queue (destination, call) SELECT 'braze', jsonb_build_object('type', 'track', 'userId', 'u',
	'event', 'numbers', 'properties', jsonb_object_agg('n' || n, '1e131071'::numeric)) FROM generate_series(1, 250) n
EOS
is(events(), 'after before numbers', 'numbers that are long when written out');

# objects: what a retried call is limited to
foreach my $case (
	[ q{'{}'}, 'after before', 'none' ],
	[ q{'{7}'}, 'after before', 'one that the call does not have', 1 ],
	[ q{'{-1}'}, 'after before', 'one that no call has', 1 ],
	[ q{'{NULL}'}, 'after before', 'null' ],
	[ q{'{0}'}, 'after before', 'an event, which it does not become', 1 ],
	[ q{'{1}'}, 'after before p1', 'the first' ],
	[ q{'{NULL,2,2}'}, 'after before p2', 'one twice' ],
	[ q{'{{1,2},{2,1}}'}, 'after before p1 p2', 'two dimensions' ],
	[ q{'[5:6]={2,1}'}, 'after before p1 p2', 'another lower bound' ])
{
	my ($objects, $arrive, $what, $dead_letters) = @$case;

	between(<<EOS);
INSERT INTO braze_queue (destination, call, objects) VALUES ('braze', '{"type": "track", "userId": "u", "event": "Order Completed",
	"properties": {"products": [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]}}', $objects)
EOS
	is(events(), $arrive, "objects: $what");
	is(run('SELECT count(*) FROM braze_dead_letters'), $dead_letters || 0, 'and a dead letter if nothing is left of it');
	run("SELECT braze_pause('braze')");
	run("INSERT INTO braze_queue (destination, call, objects) "
		  . qq{VALUES ('braze', '{"type": "track", "userId": "u", "event": "e"}', $objects)});
	is($node->psql('postgres', 'SELECT * FROM braze_pending'), 0, 'braze_pending can be read');
	run("SELECT braze_start('braze')");
	braze_flush($node);
}

# times
foreach my $time ('infinity', '-infinity', '4713-01-01 BC', '294276-12-31', 'epoch')
{
	between("INSERT INTO braze_queue (destination, call, queued_at) "
		  . qq{VALUES ('braze', '{"type": "track", "userId": "u", "event": "timely"}', '$time')});
	is(events(), 'after before timely', "queued_at $time");
	like(run('SELECT oldest_pending IS NULL FROM braze_status'), qr/^t$/, 'the status can be read');
	$node->safe_psql('postgres', "SELECT braze_pause('braze')");
	run("INSERT INTO braze_queue (destination, call, queued_at) "
		  . qq{VALUES ('braze', '{"type": "track", "userId": "u", "event": "timely"}', '$time')});
	is($node->psql('postgres', 'SELECT * FROM braze_status'), 0, 'with the call in the queue, too');
	is($node->psql('postgres', 'SELECT * FROM braze_pending'), 0, 'and what is pending');
	$node->safe_psql('postgres', "SELECT braze_start('braze')");
	braze_flush($node);
}

# braze_pending shows what is sent, the time too
run("SELECT braze_pause('braze')");
$braze->reset;
run("INSERT INTO braze_queue (destination, call, queued_at) "
	  . q{VALUES ('braze', '{"type": "track", "userId": "u", "event": "e"}', '2026-01-02 03:04:05.678+00')});
my $shown = run("SELECT payload->>'time' FROM braze_pending");
run("SELECT braze_start('braze')");
braze_flush($node);
is($shown, '2026-01-02T03:04:05.678Z', 'a call without a time has that of its queueing in braze_pending');
is([ $braze->log ]->[0]{object}{time}, $shown, 'and at Braze');

# destinations that are not there
between(<<'EOS');
INSERT INTO braze_queue (destination, call) VALUES
	('', '{"type": "track", "userId": "u", "event": "e"}'),
	('"', '{"type": "track", "userId": "u", "event": "e"}'),
	('template1', '{"type": "track", "userId": "u", "event": "e"}');
DELETE FROM braze_queue WHERE destination = 'template1'
EOS
is(events(), 'after before', 'destinations that are not there: the neighbours arrive');
is(run("SELECT count(*) FROM braze_status WHERE state LIKE 'no such server%'"), '2', 'the status shows them');
run('DELETE FROM braze_queue');

# ids: the first one that there is, and calls after one that is far ahead
$braze->reset;
foreach my $id (0, -5, '-9223372036854775808')
{
	isnt($node->psql('postgres', "INSERT INTO braze_queue (id, destination, call) "
		  . qq{VALUES ($id, 'braze', '{"type": "track", "userId": "u", "event": "e"}')}),
		0, "an id of $id, which no sequence gives, is refused");
}
foreach my $id ('10000000', '1000000000000', '9223372036854775807')
{
	between("INSERT INTO braze_queue (id, destination, call) "
		  . qq{VALUES ($id, 'braze', '{"type": "track", "userId": "u", "event": "ahead"}')});
	is(events(), 'after ahead before', "an id of $id");
	between("SELECT braze_track('u', 'later')");
	is(events(), 'after before later', 'and calls after it, whose ids are below');
}

# more distinct notes than are counted one by one, of two destinations, before and
# after a restart of the worker
braze_destination($node, 'postgres', 'b2', $braze);
foreach my $round (1, 2)
{
	run(<<EOS);
INSERT INTO braze_queue (destination, call)
SELECT d, jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'e', 'properties', jsonb_build_object('\$p' || n, 1))
FROM generate_series($round * 1000, $round * 1000 + 899) n, unnest('{braze,b2}'::text[]) d
EOS
	braze_flush($node);
	foreach my $destination ('braze', 'b2')
	{
		ok($node->poll_query_until('postgres', "SELECT sum(calls) >= 900 * $round FROM braze_notes WHERE destination = '$destination'"),
			"$destination: notes are counted");
	}
	my $worker = braze_worker_pid($node);
	run("SELECT pg_terminate_backend($worker)") if $round == 1;
	braze_wait_for_worker($node, 'postgres', $worker) if $round == 1;
}
ok($node->poll_query_until('postgres', "SELECT sum(calls) = 1800 FROM braze_notes WHERE destination = 'b2' AND note LIKE '%\$p%' OR destination = 'b2' AND note LIKE 'Further%'"),
	'all of them');
foreach my $destination ('braze', 'b2')
{
	my $notes = run("SELECT count(*) FROM braze_notes WHERE destination = '$destination'");

	cmp_ok($notes, '<=', 1000, "no more than 1,000 of $destination one by one");
	cmp_ok($notes, '>', 990, 'but so many');
}
run('DROP SERVER b2 CASCADE');

# a row that cannot be read: pieces of its value are gone
SKIP:
{
	skip 'there is no pg_surgery', 7
	  unless run("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'");
	my $letters = run('SELECT coalesce(max(id), 0) FROM braze_dead_letters');
	my $toast;

	run('CREATE EXTENSION pg_surgery');
	run("SELECT braze_pause('braze')");
	$braze->reset;
	run(<<'EOS');
SELECT braze_track('u', 'before');
SELECT braze_track('unreadable', 'e', jsonb_build_object('text', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n)));
SELECT braze_track('u', 'after');
EOS
	$toast = run("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'braze_queue'::regclass");
	run("SELECT heap_force_kill('$toast'::regclass, ARRAY(SELECT ctid FROM $toast))");
	isnt($node->psql('postgres', 'SELECT call::text FROM braze_queue'), 0, 'a call cannot be read');
	run("SELECT braze_start('braze')");
	braze_flush($node);
	is(events(), 'after before', 'a row that cannot be read: its neighbours arrive');
	is(run("SELECT call IS NULL, call_text IS NULL, state FROM braze_dead_letters WHERE id > $letters"), 't|t|rejected',
		'it has become a dead letter without the call');
	like(run("SELECT reason FROM braze_dead_letters WHERE id > $letters"), qr/missing chunk/, 'which says why');
	is($node->psql('postgres', 'SELECT * FROM braze_dead_letters'), 0, 'and the letters can be read');
	run('SELECT braze_retry()');
	braze_flush($node);
	is(run("SELECT count(*) FROM braze_dead_letters WHERE id > $letters"), '1', 'braze_retry leaves it alone');
	ok($node->poll_query_until('postgres', "SELECT state = 'running' FROM braze_status WHERE destination = 'braze'"), 'and the worker goes on');
}

$node->stop;
done_testing();
