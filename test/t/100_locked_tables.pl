# Somebody has locked one of our tables, or rows of it.  What needs none of that
# is delivered and settled meanwhile, the status names what is waited for, and
# after the release everything has arrived exactly once.

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

# "braze" needs the queue alone, unless a call is refused; "known" remembers
# users; the calls of "once" are dead letters while they are under way
my $node = braze_node('main', $braze);
braze_destination($node, 'postgres', 'known', $braze,
	options => "changed_attributes_only 'true', delete_calls 'delete', max_requests_in_flight '20', max_objects_per_request '10'");
braze_destination($node, 'postgres', 'once', $braze, options => "delivery 'at_most_once'");
$braze->fault(kind => 'errors', user => 'refused');

my $holder;
my $worker;
my $step = 'warm up';
my %sent;
my $notes = 0;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# an event of this step; each has to arrive once
sub track
{
	my ($destination, $user) = @_;

	run("SELECT braze_track('$user', '$step', '{}', destination => '$destination')");
	$sent{$user}++;
	return;
}

# one of whose properties is left out
sub track_with_note
{
	run("SELECT braze_track('n1', '$step', jsonb_build_object('big', repeat('x', 60000)), destination => 'braze')");
	$sent{n1}++;
	$notes++;
	return;
}

# an attribute that changes with each step
sub identify
{
	my ($user) = @_;

	run(qq{SELECT braze_identify('$user', '{"step": "$step"}', destination => 'known')});
	$sent{$user}++;
	return;
}

# reads no table that may be locked
sub wait_for_status
{
	my ($destination, $text) = @_;

	ok($node->poll_query_until('postgres',
		"SELECT state || ': ' || reason LIKE '$text' FROM braze_counters() WHERE destination = '$destination'"),
		"$step: $destination is \"$text\"");
	return;
}

sub wait_until_settled
{
	my ($what, $condition) = @_;

	ok(braze_wait_for_count($node, 0, 'braze_queue', $condition), "$step: $what settled meanwhile");
	return;
}

# who is in the queue still; a lock on one table must not make this wait
sub queued
{
	return run(q{SELECT coalesce(string_agg(call->>'userId', ' ' ORDER BY call->>'userId'), '') FROM braze_queue});
}

# whatever somebody has locked, this destination goes on, and its options change
sub others_go_on
{
	run("ALTER SERVER braze OPTIONS (SET app_identifier '$step')");
	track('braze', "fine$_") foreach 1 .. 3;
	wait_until_settled('calls that need nothing of it are', "destination = 'braze' AND call->>'userId' LIKE 'fine%'");
	my ($object) = map { $_->{object} } grep { $_->{user} eq 'fine3' && $_->{name} eq $step } $braze->log;
	is($object->{app_id}, $step, "$step: by the options of now");
	return;
}

sub hold
{
	my ($name, $sql) = @_;

	braze_flush($node);
	$braze->reset;
	$braze->fault(kind => 'errors', user => 'refused');
	%sent = ();
	$step = $name;
	$holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; $sql");
	return;
}

sub let_go
{
	my %times;

	$holder->query_safe('COMMIT;');
	$holder->quit;
	ok(braze_flush($node), "$step: after the release all is settled");
	$times{ $_->{user} }++ foreach $braze->log;
	is_deeply(\%times, \%sent, "$step: and each call was sent once");
	ok($node->poll_query_until('postgres',
		"SELECT bool_and(state = 'running') FROM braze_counters() WHERE destination IN ('braze', 'known', 'once')"),
		"$step: as the status says");
	is(braze_worker_pid($node), $worker, "$step: by the same worker");
	return;
}

# after a start one request goes alone until it is settled; the letter is to be
# locked later
track('braze', 'refused');
braze_flush($node);
$worker = braze_worker_pid($node);
is(braze_dead_letters($node), 'refused', 'a dead letter');

# --- whole tables, and an index as REINDEX holds it

foreach my $lock ('LOCK TABLE braze_dead_letters', 'CREATE INDEX refused ON braze_dead_letters (failed_at)',
	'REINDEX INDEX refused', 'ALTER SEQUENCE braze_dead_letters_id_seq CACHE 2')
{
	hold((split / /, lc $lock)[0] . ' letters', "$lock;");
	track('braze', 'refused');
	track('once', 'o1');
	track('known', 'k1');
	others_go_on();
	wait_until_settled('those of a destination that remembers users are', "call->>'userId' = 'k1'");
	is(queued(), 'o1 refused', "$step: what has to be a letter waits");
	wait_for_status('braze', 'waiting: %somebody has locked the table braze_dead_letters');
	wait_for_status('once', 'waiting: %somebody has locked the table braze_dead_letters');
	let_go();
}

foreach my $lock ('LOCK TABLE braze_profiles', 'REINDEX INDEX braze_profiles_pkey')
{
	# one is answered, the other has yet to be read
	hold((split / /, lc $lock)[0] . ' profiles', 'SELECT 1;');
	$braze->hold(user => 'k1');
	identify('k1');
	$braze->wait_for_stat('held', 1);
	$holder->query_safe("$lock;");
	$braze->release;
	identify('k2');
	track('once', 'o1');
	track('braze', 'refused');
	others_go_on();
	wait_until_settled('those of other destinations are', "destination <> 'known'");
	is(queued(), 'k1 k2', "$step: a destination that remembers users waits");
	wait_for_status('known', 'waiting: what was answered cannot be settled: somebody has locked the table braze_profiles');
	is($braze->user('k2'), undef, "$step: and falls behind");
	let_go();

	hold($step . ' only read', "$lock;");
	identify('k2');
	wait_for_status('known', 'waiting: its calls cannot be read: somebody has locked the table braze_profiles');
	others_go_on();
	let_go();
}

# nothing of it is read any more: that comes with the next step
foreach my $table ('paused', 'started')
{
	foreach my $lock ("LOCK TABLE braze_$table", "REINDEX INDEX braze_${table}_pkey")
	{
		hold((split / /, lc $lock)[0] . " $table", "$lock;");
		track($_->[0], $_->[1]) foreach [ 'once', 'o1' ], [ 'known', 'k1' ], [ 'braze', 'refused' ];
		others_go_on();
		wait_until_settled('calls of all destinations are', 'true');

		# of a server that is new nobody knows whether it was started
		braze_destination($node, 'postgres', 'fresh', $braze, start => 0);
		run("SELECT braze_track('f1', '$step', '{}', destination => 'fresh')");
		wait_for_status('fresh', "paused: whether it is $table cannot be read: somebody has locked the table braze_$table");
		others_go_on();
		is(queued(), 'f1', "$step: it is not started");
		run("SELECT braze_purge('fresh'); DROP SERVER fresh CASCADE");
		let_go();
	}
}

foreach my $table ('notes', 'messages', 'write_keys')
{
	hold($table, "LOCK TABLE braze_$table;");
	track_with_note();
	track($_->[0], $_->[1]) foreach [ 'once', 'o1' ], [ 'known', 'k1' ], [ 'braze', 'refused' ];
	others_go_on();
	wait_until_settled('all is', 'true');
	let_go();
}

# --- rows

hold('row of a letter', 'SELECT FROM braze_dead_letters FOR UPDATE;');
track('braze', 'refused');
track('once', 'o1');
others_go_on();
wait_until_settled('new letters are', 'true');
let_go();

# of a user who is deleted
$step = 'letter of a deleted user';
run(<<'EOS');
INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at)
VALUES ('known', '{"userId": "k9"}', 'rejected', 'for the test', now())
EOS
hold($step, 'SELECT FROM braze_dead_letters FOR UPDATE;');
run("SELECT braze_delete_user('k9', destination => 'known')");
$braze->wait_for_stat('requests', 1);
track('known', 'k1');
others_go_on();
wait_until_settled('all others are', "call->>'userId' <> 'k9'");
is(queued(), 'k9', "$step: and the deletion is not");
$sent{k9}++;
let_go();
is(braze_dead_letters($node) =~ /k9/, '', "$step: and the letter is gone");

foreach my $how ('SELECT FROM braze_profiles WHERE "user" LIKE \'%"k1"%\' FOR UPDATE',
	'UPDATE braze_profiles SET changed_at = now() WHERE "user" LIKE \'%"k1"%\'',
	'DELETE FROM braze_profiles WHERE "user" LIKE \'%"k1"%\'',
	'INSERT INTO braze_profiles ("user", destination, sent, has_alias, changed_at) VALUES (\'"external_id":"k5"\', \'known\', true, false, now())')
{
	my $user = $how =~ /INSERT/ ? 'k5' : 'k1';

	hold('row of profiles: ' . lc((split / /, $how)[0]), "$how;");
	identify($user);
	identify('k2');
	others_go_on();
	wait_until_settled('who is not locked is', "call->>'userId' <> '$user'");
	is(queued(), $user, "$step: who is locked waits");
	wait_for_status('known', 'waiting: what was answered cannot be settled: somebody has locked rows of the table braze_profiles');
	let_go();
	$step .= ' again';
	%sent = ();
	$braze->reset;
	identify($user);
	braze_flush($node);
	is($braze->user($user)->{attributes}{step}, $step, "$step: and what changes is sent");
}

hold('row of notes', "SELECT FROM braze_notes FOR UPDATE;");
track_with_note();
others_go_on();
wait_until_settled('all is', 'true');
let_go();

hold('row of the queue', 'SELECT 1;');
run("SELECT braze_pause('once')");
track('once', 'o1');
$holder->query_safe('SELECT FROM braze_queue FOR UPDATE;');
run("SELECT braze_start('once')");
others_go_on();
is(queued(), 'o1', "$step: what is locked waits");
wait_for_status('once', 'waiting: %somebody has locked rows of the table braze_queue');
let_go();

ok($node->poll_query_until('postgres', "SELECT sum(calls) = $notes FROM braze_notes WHERE note LIKE '%big%'"),
	'no note is lost');

$node->stop;
done_testing();
