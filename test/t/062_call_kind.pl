# What our own functions mean is not read from a call.  A deletion that
# braze_delete_user queued stays one: refused, retried, dumped, restored, sent at
# most once, put back.  A call from outside cannot say that it is one.

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
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub deleted
{
	return join ' ', map { $_->{user} } 
	  grep { $_->{kind} eq 'external_ids' && $_->{outcome} =~ /^(accepted|no effect)$/ } $braze->log;
}

# --- from outside

foreach my $type ('delete_user', 'Delete_User')
{
	my ($status, $out, $error) = $node->psql('postgres', qq{SELECT braze_enqueue('{"type": "$type", "userId": "victim"}')});

	like($error, qr/call would be rejected.*type "$type" is unknown/s, "the type $type is unknown");
}
run(q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "delete_user", "userId": "victim"}')});
run(q{SELECT braze_enqueue('{"type": "delete", "userId": "victim", "call_kind": "delete_user", "kind": "delete_user"}')});
braze_flush($node);
is(deleted(), '', 'a call that comes from outside deletes nobody');
is(run('SELECT state, call_kind FROM braze_dead_letters'), 'rejected|segment', 'it is a dead letter like any other');
run("SELECT braze_purge('braze', 'dead letters')");
is(run('SELECT skipped FROM braze_status'), 1, 'and a delete call obeys the option delete_calls');

# --- refused, and retried

$braze->fault(kind => 'status', status => 400, path => '/users/delete');
run(q{SELECT braze_delete_user('u1')});
braze_flush($node);
$braze->clear_faults;
is(run("SELECT call_kind, state, call ->> 'type' FROM braze_dead_letters"), 'delete_user|rejected|delete', 'a deletion that was refused is one');
is(deleted(), '', 'and has not been done');
run(q{SELECT braze_pause('braze'); SELECT braze_retry(); SELECT braze_delete_user('u2')});
is(run('SELECT outcome, endpoint, kind, payload FROM braze_pending ORDER BY id'),
	join("\n", map { qq{send|/users/delete|external_ids|"$_"} } 'u1', 'u2'), 'braze_pending shows what it will be');

# --- dumped and restored

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'pg_dump');
run('CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'copy' ], 'it is restored');
run("SELECT braze_purge('braze', 'both')");
run("SELECT braze_start('braze')", $_) foreach 'postgres', 'copy';
braze_flush($node, 'copy');
is(deleted(), 'u1 u2', 'both users are deleted');
is(run('SELECT count(*) FROM braze_dead_letters', 'copy'), 0, 'and the letter of the retry is gone');
run('DROP DATABASE copy');

# --- sent at most once: a letter while it is under way, and put back

$braze->reset;
run(q{ALTER SERVER braze OPTIONS (ADD delivery 'at_most_once')});
braze_flush($node);
$braze->hold;
run(q{SELECT braze_delete_user('u3')});
$braze->wait_for_stat('held', 1);
is(run('SELECT call_kind, state FROM braze_dead_letters'), 'delete_user|in flight', 'under way it is a letter of that kind');
$braze->fault(kind => 'status', status => 429);
$braze->release(status => 429);
ok(braze_wait_for_count($node, 1, 'braze_queue', "call_kind = 'delete_user'"), 'refused for the moment it is put back as one');
$braze->clear_faults;
braze_flush($node);
is(deleted(), 'u3', 'and deletes its user');
is(run('SELECT count(*) FROM braze_dead_letters'), 0, 'no letter is left');

$node->stop;
done_testing();
