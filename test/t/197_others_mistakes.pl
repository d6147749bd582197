# What somebody leaves open, or writes into our tables by mistake, costs nobody
# else anything, and is told once.

use strict;
use warnings;

use FindBin;
use List::Util 'sum0';
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze, conf => 'log_min_messages = debug1');
my $holder = $node->background_psql('postgres');

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub log_since
{
	return substr slurp_file($node->logfile), $_[0];
}

# the worker has read the options since, and what it has to write was tried
sub refreshed
{
	my ($name) = @_;

	run("ALTER SERVER braze OPTIONS (SET app_identifier '$name')");
	StandIn::wait_until(
		sub {
			run("SELECT braze_track('fine', 'E', destination => 'braze')");
			return grep { $_->{user} eq 'fine' && $_->{object}{app_id} eq $name } $braze->log;
		},
		'the options of now are used');
	return;
}

# ----- a pause that is not committed keeps others from being written down -----

braze_destination($node, 'postgres', "denied$_", $braze) foreach 1 .. 5;
braze_flush($node);
my $from = -s $node->logfile;
$holder->query_safe("BEGIN; SELECT braze_pause('braze');");
$braze->fault(kind => 'status', status => 401, user => 'denied');
run("SELECT braze_track('denied', 'E', destination => 'denied' || n) FROM generate_series(1, 5) n");
ok($node->poll_query_until('postgres',
	"SELECT count(*) = 5 FROM braze_counters() WHERE state = 'paused' AND reason LIKE '%401%'"),
	'five destinations are refused');
refreshed("a$_") foreach 1 .. 3;
is(scalar(() = log_since($from) =~ /waiting a moment for whoever has locked braze_paused/g), 1,
	'the worker has waited once, and not for each at each refresh');
$holder->query_safe('ROLLBACK;');
ok(braze_wait_for_count($node, 5, 'braze_paused', 'by_worker'), 'their pauses are written down afterwards');
$braze->clear_faults;
run("SELECT braze_start('denied' || n) FROM generate_series(1, 5) n");
ok(braze_flush($node), 'and end');

# ----- DROP EXTENSION that is not committed -----

$from = -s $node->logfile;
$holder->query_safe('BEGIN; SET LOCAL client_min_messages = warning; DROP EXTENSION segment_braze CASCADE;');
$node->wait_for_log(qr/the queue of database "postgres" cannot be read/, $from);
like(log_since($from), qr/DETAIL:  somebody has locked the extension segment_braze/, 'what is dropped cannot be read');
$holder->query_safe('ROLLBACK;');
$node->wait_for_log(qr/the queue of database "postgres" is read again/, $from);
run("SELECT braze_track('after', 'E', destination => 'braze')");
ok(braze_flush($node), 'until it is not dropped after all');
unlike(log_since($from), qr/ERROR:|lock timeout/, 'no round has failed');
is(scalar(() = log_since($from) =~ /cannot be read/g), 1, 'and it was told once');

# ----- many rows with ids that the worker has passed -----

$braze->reset;
run(q{INSERT INTO braze_queue (id, destination, call) VALUES (1000000, 'braze', '{"type": "track", "userId": "last", "event": "E"}')});
braze_flush($node);
$from = -s $node->logfile;
run(<<'EOS');
INSERT INTO braze_queue (id, destination, call)
SELECT 500000 + n, 'braze', '{"type": "track", "userId": "late", "event": "E"}' FROM generate_series(1, 1000) n
EOS
ok(braze_wait_for_count($node, 0, 'braze_queue'), 'calls with low ids are sent');
is($braze->accepted, 1001, 'all of them');
my @told = log_since($from) =~ /(\d+) calls? in database "postgres" (?:was|were) queued with (?:an id|ids) far below/g;
is(sum0(@told), 1000, 'the log counts each');
cmp_ok(scalar @told, '<', 100, 'and has few lines for them');

# ----- a sequence that gives each session many ids at once -----

$braze->reset;
run('ALTER SEQUENCE braze_queue_id_seq CACHE 100');
$holder->query_safe("SELECT braze_track('first', 'E', destination => 'braze');");
run("SELECT braze_track('second', 'E', destination => 'braze')");
ok(braze_flush($node), 'the ids of one session are behind those of another');
$holder->query_safe("SELECT braze_track('third', 'E', destination => 'braze');");
ok(braze_wait_for_count($node, 0, 'braze_queue'), 'what it queues then');
is($braze->accepted, 3, 'is sent all the same');
run('ALTER SEQUENCE braze_queue_id_seq CACHE 1');

# ----- the numbers of a call's objects, changed while it is sent at most once -----

braze_destination($node, 'postgres', 'once', $braze, options => "delivery 'at_most_once', max_requests_in_flight '1'");
run('ALTER TABLE braze_queue ALTER objects SET COMPRESSION pglz; ALTER TABLE braze_dead_letters ALTER objects SET COMPRESSION pglz');
$braze->reset;
$braze->hold;
run("SELECT braze_track('first', 'E', destination => 'once')");
$braze->wait_for_stat('held', 1);
my $pid = braze_worker_pid($node);
$from = -s $node->logfile;
run("SELECT braze_track('second', 'E', destination => 'once')");
$node->wait_for_log(qr/read 1 calls, up to id/, $from);
run("UPDATE braze_queue SET objects = array_fill(0, ARRAY[25000000]) WHERE destination = 'once'");
run("UPDATE braze_dead_letters SET objects = array_fill(0, ARRAY[25000000]) WHERE state = 'in flight'");
$braze->release(count => 1, status => 400);
$braze->wait_for_stat('held', 1);
is(run('SELECT string_agg(state, chr(10) ORDER BY id) FROM braze_dead_letters WHERE objects IS NULL'), "rejected\nin flight",
	'neither letter has the array');
$braze->release;
ok(braze_flush($node), 'and all is settled');
cmp_ok((slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/)[0], '<', 150_000, 'the worker has read none of them');
is(braze_worker_pid($node), $pid, 'and is the same');

# ----- tables without their CHECK constraints -----

$braze->reset;
run(<<'EOS');
ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_call_kind_check;
ALTER TABLE braze_dead_letters DROP CONSTRAINT braze_dead_letters_call_kind_check, DROP CONSTRAINT braze_dead_letters_state_check;
INSERT INTO braze_queue (destination, call, call_kind) VALUES ('braze', '{"type": "track", "userId": "odd", "event": "E"}', 'odd');
INSERT INTO braze_dead_letters (destination, call, call_kind, state, reason, queued_at) VALUES ('braze', '{"userId": "odd"}', 'odd', 'odd', 'odd', now());
SELECT braze_track('fine', 'E', destination => 'braze'), braze_delete_user('odd', destination => 'braze');
EOS
ok(braze_flush($node), 'a kind that nobody knows holds up nothing');
is($braze->accepted('events'), 2, 'such a call is sent');
is(run(q{SELECT count(*) FROM braze_dead_letters WHERE state = 'odd'}), '0', 'and a letter in such a state is deleted with its user');

$holder->quit;
$node->stop;
done_testing();
