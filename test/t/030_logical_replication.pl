# The steps of doc/scaling.md for a node that only delivers: two primaries hand
# their queues over by logical replication, and one of them fails over.  Nothing
# is lost, the order per user and primary is kept, and what the delivery node has
# leaves the primaries.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($version) = `postgres --version` =~ /(\d+)/;
plan skip_all => 'publications have column lists since PostgreSQL 15' if $version < 15;

my $braze = StandIn->new;
my $nap = 60;

# what waited for a nap of the delivery node would be seen below
my $delivery = braze_node('delivery', $braze,
	conf => "segment_braze.nap = '$nap s'",
	allows_streaming => 1,
	options => "max_objects_per_request '10'");

sub run
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub primary
{
	my ($name) = @_;
	my $node = braze_server($name,
		conf => "wal_level = logical\nsegment_braze.deliver = off\nlogical_decoding_work_mem = 64kB",
		allows_streaming => 'logical');

	run($node, 'CREATE EXTENSION segment_braze');
	return $node;
}

sub queue
{
	my ($node, $user, $first, $last) = @_;

	run($node, <<EOS);
SELECT count(braze_track('$user', 'A', jsonb_build_object('seq', n))) FROM generate_series($first, $last) n
EOS
	return;
}

# the steps of the page
sub publish
{
	my ($node) = @_;

	run($node, <<'EOS');
CREATE PUBLICATION braze FOR TABLE braze_queue (destination, call, queued_at, objects)
	WITH (publish = 'insert');
EOS
	return;
}

sub subscribe
{
	my ($name, $node) = @_;
	my $connection = $node->connstr . ' dbname=postgres';

	run($delivery, <<EOS);
CREATE SUBSCRIPTION $name CONNECTION '$connection' PUBLICATION braze
	WITH (copy_data = false, enabled = false, streaming = on);
EOS
	return;
}

sub hand_over
{
	my ($name, $node) = @_;

	is(run($delivery, <<EOS), 't', "the subscription $name has the table");
SELECT count(*) = 1 FROM pg_subscription_rel WHERE srrelid = 'braze_queue'::regclass
	AND srsubid = (SELECT oid FROM pg_subscription WHERE subname = '$name');
EOS
	my $count = run($node, "SELECT braze_hand_over('$name')");

	run($delivery, "ALTER SUBSCRIPTION $name ENABLE");
	return $count;
}

# the primary's queue is empty once the other node has all of it
sub arrive
{
	my ($what, @nodes) = @_;

	foreach my $node (@nodes)
	{
		braze_wait_for_count($node, 0, 'braze_queue')
		  or die $node->name . ' is left with calls that were handed over';
	}
	braze_wait_for_count($delivery, 0, 'braze_queue') or die 'not delivered';
	pass($what);
	return;
}

sub is_once_in_order
{
	my ($count, $what) = @_;

	is_deeply($braze->order, { distinct => $count, violations => 0, duplicates => 0, repeats => 0 }, $what);
	return;
}

sub writers
{
	my ($node, $script, @arguments) = @_;
	my $file = $node->basedir . '/writers.sql';
	my $output = '';
	local %ENV = braze_environment($node);

	unlink $file;
	append_to_file($file, $script);
	return start([ 'pgbench', '-n', @arguments, '-f', $file, 'postgres' ], '<', \undef, '>&', \$output);
}

# --- a primary that has delivered by itself so far, and has a backlog

my $east = primary('east');
braze_destination($east, 'postgres', 'braze', $braze);
$east->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$east->reload;
queue($east, 'u1', 1, 5);
braze_flush($east);
$east->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$east->reload;
braze_wait_for_state($east, 'braze', 'off: %');
queue($east, 'u1', 6, 10);

my ($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('east')");
like($error, qr/replication slot "east" does not exist.*HINT:.*CREATE SUBSCRIPTION/s,
	'there is no slot before the subscription');
run($east, "SELECT pg_create_logical_replication_slot('early', 'pgoutput')");
($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('early')");
like($error, qr/no publication has what is inserted into braze_queue/, 'nor is there a publication');
run($east, "CREATE PUBLICATION wrong FOR TABLE braze_queue WITH (publish = 'delete')");
($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('early')");
like($error, qr/no publication has what is inserted/, 'one that leaves out what is inserted is none');
run($east, "ALTER PUBLICATION wrong SET (publish = 'insert')");
($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('early')");
like($error, qr/a publication has the column id.*HINT:.*numbers the calls itself/s, 'and the ids are not to be published');
run($east, "DROP PUBLICATION wrong; SELECT pg_drop_replication_slot('early')");
is(run($east, 'SELECT count(*) FROM braze_replication'), '0', 'nothing was handed over');
publish($east);
subscribe('east', $east);
run($east, "SELECT pg_create_physical_replication_slot('physical')");
($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('physical')");
like($error, qr/replication slot "physical" is not a logical one of this database/, 'a slot of another kind is refused');
run($east, "SELECT pg_drop_replication_slot('physical')");
($status, $out, $error) = $east->psql('postgres',
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT braze_hand_over('east')");
like($error, qr/needs the transaction isolation level read committed/, 'and an old snapshot');

# the application goes on all the while, each user in a transaction of its own
run($east, <<'EOS');
CREATE TABLE users (id int PRIMARY KEY, seq bigint);
INSERT INTO users SELECT n, n * 1000000 FROM generate_series(1, 20) n;
CREATE FUNCTION next_call(userid int, count int DEFAULT 1) RETURNS void BEGIN ATOMIC
	UPDATE users SET seq = seq + count WHERE id = userid;
	SELECT count(braze_track('e' || id, 'A', jsonb_build_object('seq', seq - count + n)))
	FROM users, generate_series(1, count) n WHERE id = userid;
END;
EOS
my $script = <<'EOS';
\set user random(1, 20)
SELECT next_call(:user);
EOS
my $pgbench = writers($east, $script, '-c', 4, '-t', 200);
$east->poll_query_until('postgres', 'SELECT count(*) > 30 FROM braze_queue');
cmp_ok(hand_over('east', $east), '>', 30, 'the backlog is handed over while the application queues');
ok(finish($pgbench), 'and does not fail');
arrive('all leaves the primary and is delivered', $east);
is_once_in_order(10 + 4 * 200, 'each call once, in order');
like(run($east, "SELECT state FROM braze_status WHERE destination = 'braze'"),
	qr/^off: another node delivers, by the replication slot "east"/, 'the status says who delivers');
($status, $out, $error) = $east->psql('postgres', "SELECT braze_hand_over('east')");
like($error, qr/replication slot "east" is active.*HINT:.*enabled = false/s, 'a slot in use is refused');

# switched on by mistake, it still does not deliver
$east->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$east->restart;
queue($east, 'u1', 11, 20);
arrive('what is handed over is not sent from here, whatever segment_braze.deliver says', $east);
is_once_in_order(20 + 4 * 200, 'nor twice');
$east->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$east->reload;

# --- a second primary, without a key, from its first call on

my $west = primary('west');
braze_destination($west, 'postgres', 'braze', $braze, key => undef);
publish($west);
subscribe('west', $west);
is(hand_over('west', $west), '0', 'a second primary joins');

$braze->reset;
run($east, "UPDATE users SET seq = id * 1000000");
run($west, <<'EOS');
CREATE TABLE users (id int PRIMARY KEY, seq bigint);
INSERT INTO users SELECT n, n * 1000000 FROM generate_series(1, 20) n;
CREATE FUNCTION next_call(userid int, count int DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET seq = seq + count WHERE id = userid;
	INSERT INTO braze_queue (destination, call)
	SELECT 'braze', jsonb_build_object('type', 'track', 'userId', 'w' || id, 'event', 'A',
		'properties', jsonb_build_object('seq', seq - count + n))
	FROM users, generate_series(1, count) n WHERE id = userid ORDER BY n;
END $$;
EOS
$script = <<'EOS';
\set user random(1, 20)
\set many random(1, 3)
BEGIN;
SAVEPOINT s;
SELECT next_call(:user, :many);
ROLLBACK TO s;
SELECT next_call(:user, :many);
COMMIT;
BEGIN;
SELECT next_call(:user, :many);
ROLLBACK;
EOS
my $began = time;
my @pgbench = map { writers($_, $script, '-c', 4, '-t', 100) } $east, $west;

# one so large that it is streamed before it commits
run($east, 'BEGIN; SELECT next_call(7, 3000); COMMIT');
finish($_) foreach @pgbench;
arrive('two primaries, with rollbacks and large transactions', $east, $west);
cmp_ok(time - $began, '<', $nap, 'without waiting for a nap of the delivery node');
my $expected = 0;
$expected += run($_, 'SELECT sum(seq - id * 1000000) FROM users') foreach $east, $west;
is_once_in_order($expected, 'each committed call once, in order per user');
is(run($delivery, 'SELECT count(*) FROM braze_dead_letters'), '0', 'none was refused');

# --- ids that move backwards on a primary, and a table that is rewritten

$braze->reset;
run($west, "SELECT setval('braze_queue_id_seq', 3, false)");
queue($west, 'u9', 1, 10);
run($west, 'VACUUM FULL braze_queue');
queue($west, 'u9', 11, 20);
run($west, 'TRUNCATE braze_queue RESTART IDENTITY');
queue($west, 'u9', 21, 30);
arrive('what moves on the primary leaves it', $west);
is_once_in_order(30, 'and is delivered: what is truncated on a primary is on its way');

# --- a call that was refused on a primary when it was queued is retried there

$braze->reset;
run($west, q{SET segment_braze.on_invalid_call = dead_letter; SELECT braze_track('u1', '')});
is(run($west, q{UPDATE braze_dead_letters SET call = call || '{"event": "A"}'; SELECT braze_retry()}), '1',
	'a dead letter of a primary is queued again');
arrive('it is delivered', $west);
is($braze->accepted, 1, 'once');
is(run($_, 'SELECT count(*) FROM braze_dead_letters'), '0', 'and is no dead letter any more on ' . $_->name)
  foreach $west, $delivery;

# --- one that Braze refuses becomes one on the node that delivers

$braze->fault(kind => 'errors', user => 'refused', count => 1);
run($east, "SELECT braze_track('refused', 'A')");
arrive('a refused call leaves the primary, too', $east);
is(braze_dead_letters($delivery) . '|' . braze_dead_letters($east), 'refused|', 'and is a dead letter where it was sent');
run($delivery, 'SELECT braze_retry()');
braze_flush($delivery);
is($braze->accepted, 2, 'from where it can be sent again');

# --- the network between them fails, and the delivery node crashes

$braze->reset;
run($delivery, 'ALTER SUBSCRIPTION west DISABLE');
$west->poll_query_until('postgres', 'SELECT NOT active FROM pg_replication_slots');
queue($west, 'u2', 1, 50);
ok(braze_wait_for_state($west, 'braze', 'off: no other node is connected%'), 'a node that is away shows in the status');
is(run($west, "SELECT braze_flush('300 ms'), count(*) FROM braze_queue"), 'f|50', 'its calls wait on the primary');
queue($east, 'u3', 51, 60);
$braze->wait_for_accepted(10);
$braze->hold;
$delivery->stop('immediate');
$braze->release;
queue($east, 'u3', 61, 70);
$delivery->start;
run($delivery, 'ALTER SUBSCRIPTION west ENABLE');
arrive('they arrive when it is back', $east, $west);
is($braze->order->{distinct}, 70, 'all of them');
is($braze->order->{violations}, 0, 'in order');

# what is on disk only here is not taken for confirmed after a crash
queue($west, 'u2', 71, 80);
$west->stop('immediate');
$west->start;
arrive('a crash of a primary', $west);
is($braze->order->{distinct}, 80, 'loses nothing');

# --- failover of a primary: its slot does not come along

$east->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($east, 'backup', has_streaming => 1);
$standby->start;
$east->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'");
$east->reload;
$east->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication WHERE application_name = 'standby'")
  or die 'the standby is not synchronous';
$braze->reset;
queue($east, 'u4', 101, 110);
arrive('with a standby', $east);
run($delivery, 'ALTER SUBSCRIPTION east DISABLE');
$east->poll_query_until('postgres', "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'east'");
queue($east, 'u4', 111, 120);
$east->stop('immediate');
$standby->promote;
ok(braze_wait_for_state($standby, 'braze', 'off: segment_braze.deliver is off%'),
	'the promoted standby neither delivers nor hands over');
queue($standby, 'u4', 121, 130);
ok(braze_wait_for_count($standby, 0, 'braze_replication'), 'the slot is forgotten');
run($delivery, <<'EOS');
ALTER SUBSCRIPTION east SET (slot_name = NONE);
DROP SUBSCRIPTION east;
EOS
subscribe('east', $standby);
queue($standby, 'u4', 131, 140);
is(run($standby, 'SELECT count(*) FROM braze_queue'), '30', 'all wait for the hand-over');
is(hand_over('east', $standby), '30', 'which takes them all');
arrive('and all are delivered', $standby);
is_once_in_order(40, 'each once, in order');
is($braze->stats->{overlaps}, 0, 'no user was in two requests at the same time');

# --- failover of the delivery node: its standby has what was confirmed

run($delivery, "ALTER SUBSCRIPTION $_ SET (synchronous_commit = on)") foreach 'east', 'west';
$delivery->backup('backup');
my $second = PostgreSQL::Test::Cluster->new('second');
$second->init_from_backup($delivery, 'backup', has_streaming => 1);
$second->start;
$delivery->append_conf('postgresql.conf', "synchronous_standby_names = 'second'");
$delivery->reload;
$delivery->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication WHERE application_name = 'second'")
  or die 'the standby of the delivery node is not synchronous';
$braze->reset;
$braze->hold(applied => 1);
queue($west, 'u5', 201, 230);
queue($standby, 'u6', 231, 260);
$braze->wait_for_stat('held', 1);
braze_wait_for_count($_, 0, 'braze_queue') or die 'not handed over' foreach $west, $standby;
$delivery->stop('immediate');
queue($west, 'u5', 261, 270);
$second->promote;
$braze->release;
$delivery = $second;
arrive('another node delivers', $west, $standby);
is($braze->order->{distinct}, 70, 'nothing is lost');
is($braze->order->{violations}, 0, 'in order');

# dropped in earnest: the primary delivers again
run($delivery, 'DROP SUBSCRIPTION east');
ok(braze_wait_for_state($standby, 'braze', 'off: segment_braze.deliver is off%'), 'without a subscription nothing is sent');
my $accepted = $braze->accepted;
queue($standby, 'u4', 141, 150);
$standby->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$standby->reload;
braze_flush($standby);
is($braze->accepted, $accepted + 10, 'until the primary is to deliver itself again');

$_->stop foreach $standby, $west, $delivery;
done_testing();
