# However a database came about that has another one's queue: nothing is sent
# from it before braze_start, and each call once afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($calls, $paused_calls) = (40_000, 10_000);
my $braze = StandIn->new;
my $other = StandIn->new;
my $node = braze_server('main');

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub trigger_state
{
	my ($database) = @_;
	return run("SELECT tgenabled FROM pg_trigger WHERE tgname = 'braze_notify_replicated'", $database);
}

sub pg_restore
{
	my ($what, $database, @options) = @_;

	$node->command_ok([ 'pg_restore', '--exit-on-error', @options, '-d', $node->connstr($database), $node->basedir . '/dump' ], $what);
	return;
}

sub new_database
{
	my ($database) = @_;

	run("CREATE DATABASE $database");
	return;
}

# what has one destination that delivers and one that is paused is restored, and
# tells what it is
sub delivers_once_started
{
	my ($what, $database) = @_;

	is(run('SELECT count(*) FROM braze_queue', $database), $calls + $paused_calls, "$what: the queue is there");
	braze_wait_for_worker($node, $database);
	ok($node->poll_query_until($database, "SELECT count(*) = 2 AND bool_and(state = 'not started here') FROM braze_counters()"),
		"$what: the worker knows that nobody has started it there");
	ok($node->poll_query_until($database,
			"SELECT count(*) = 2 FROM braze_status WHERE state LIKE 'not started here: %run SELECT braze_start(' || quote_literal(destination) || ')'"),
		"$what: so does the status");
	run("SELECT braze_track('new', 'A', '{\"seq\": 1}', destination => 'braze')", $database);
	is($braze->stats->{requests} + $other->stats->{requests}, 0, "$what: nothing was sent");

	is(run("SELECT braze_start('braze')", $database), 't', "$what: braze_start");
	braze_flush($node, $database, 'braze');
	is_deeply($braze->order, { distinct => $calls + 1, violations => 0, duplicates => 0, repeats => 0 }, "$what: each call is sent once, in order");
	is($other->stats->{requests}, 0, "$what: and nothing to the other destination");
	run("SELECT braze_start('other')", $database);
	braze_flush($node, $database);
	is_deeply($other->order, { distinct => $paused_calls, violations => 0, duplicates => 0, repeats => 0 }, "$what: until it is started as well");
	is(run('SELECT count(*) FROM braze_dead_letters', $database), 0, "$what: none is a dead letter");
	run("DROP DATABASE $database");
	$_->reset foreach $braze, $other;
	return;
}

# --- the origin: what it has is only queued

run('CREATE DATABASE origin');
run('ALTER DATABASE origin SET segment_braze.deliver = off');
run('CREATE EXTENSION segment_braze', 'origin');
braze_destination($node, 'origin', 'braze', $braze);
braze_destination($node, 'origin', 'other', $other);
run("SELECT braze_pause('other', 'for the night')", 'origin');
run(<<EOS, 'origin');
INSERT INTO braze_queue (destination, call)
SELECT CASE WHEN n % 5 = 0 THEN 'other' ELSE 'braze' END,
	jsonb_build_object('type', 'track', 'userId', 'u' || n % 997, 'event', 'A', 'properties', jsonb_build_object('seq', n))
FROM generate_series(1, $calls + $paused_calls) n
EOS
$node->command_ok([ 'pg_dump', '-Fd', '-f', $node->basedir . '/dump', $node->connstr('origin') ], 'pg_dump');

# --- restores

new_database('jobs');
pg_restore('pg_restore -j4', 'jobs', '-j4');
is(run('SELECT count(*) FROM braze_started', 'jobs') + run('SELECT count(*) FROM braze_paused', 'jobs'), 0, 'neither starts nor pauses are restored');
is(trigger_state('jobs'), 'R', 'and the triggers are as they were');
delivers_once_started('pg_restore -j4', 'jobs');

new_database('data');
pg_restore('pg_restore -s', 'data', '-s');
pg_restore('pg_restore -a', 'data', '-a');
delivers_once_started('pg_restore -a', 'data');

# the extension is in no schema, so it has to be there, with its servers
new_database('schema');
run('CREATE EXTENSION segment_braze', 'schema');
braze_destination($node, 'schema', 'braze', $braze, start => 0);
braze_destination($node, 'schema', 'other', $other, start => 0);
pg_restore('pg_restore -n public', 'schema', '-n', 'public');
delivers_once_started('pg_restore -n public', 'schema');

new_database('triggers');
pg_restore('pg_restore -s', 'triggers', '-s');
braze_wait_for_worker($node, 'triggers');
pg_restore('pg_restore -a --disable-triggers', 'triggers', '-a', '--disable-triggers', '-j4');
ok($node->poll_query_until('triggers', "SELECT string_agg(tgenabled::text, '' ORDER BY tgname) = 'AR' FROM pg_trigger WHERE tgname IN ('braze_notify_deleted', 'braze_notify_replicated')"),
	'pg_restore --disable-triggers: the worker puts the triggers for replicated rows right');
is(run("SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgname LIKE 'braze\\_%' AND tgenabled = 'O'", 'triggers'),
	'braze_notify_paused braze_notify_queued braze_notify_started', 'and no other');
like(slurp_file($node->logfile), qr/trigger "braze_notify_replicated" fires for replicated rows again/, 'the log says so');
delivers_once_started('pg_restore -a --disable-triggers', 'triggers');

# --- a template; the origin has a worker

braze_wait_for_worker($node, 'origin');
run('CREATE DATABASE copy TEMPLATE origin');
is(run('SELECT count(*) FROM braze_started', 'copy'), 1, 'CREATE DATABASE ... TEMPLATE: the start of the origin is there');
ok(braze_wait_for_state($node, 'other', 'paused: for the night', 'copy'), 'and its pause, which goes before');
run('DELETE FROM braze_paused', 'copy');
delivers_once_started('CREATE DATABASE ... TEMPLATE', 'copy');
is(run('SELECT count(*) FROM braze_queue', 'origin'), $calls + $paused_calls, 'the origin has kept all');

# --- one that is renamed is the same

run('ALTER DATABASE origin RESET segment_braze.deliver');
run('ALTER DATABASE origin RENAME TO renamed');
braze_flush($node, 'renamed', 'braze');
is_deeply($braze->order, { distinct => $calls, violations => 0, duplicates => 0, repeats => 0 }, 'ALTER DATABASE RENAME: delivery goes on');

$node->stop;
done_testing();
