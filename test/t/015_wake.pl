# Nothing that a transaction of ours leaves to do waits for a nap of the worker
# or of the launcher.  The nap is a minute here; whoever waited for it would take
# one for the second time, and one more for the third.

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
my $node = braze_node('main', $braze, conf => "segment_braze.nap = '1 min'");
my $nap = 60;

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# three times: by naps alone the second and the third would take a whole one each
sub thrice
{
	my ($what, $do) = @_;
	my $began = time;

	$do->($_) foreach 1 .. 3;
	cmp_ok(time - $began, '<', 2 * $nap, $what);
	return;
}

# queues nothing itself, and does not wake the worker as braze_flush would
sub arrive
{
	my ($count) = @_;

	$braze->wait_for_accepted($count);
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_queue') or die 'not settled';
	$braze->reset;
	return;
}

sub one
{
	my ($sql) = @_;

	return sub { run($sql); arrive(1); };
}

run("SELECT braze_track('u', 'A')");
arrive(1);
thrice('a call is sent when it is committed', one("SELECT braze_track('u', 'A')"));
thrice('and so is one of a savepoint', one(<<'EOS'));
BEGIN;
SAVEPOINT s;
SELECT braze_track('u', 'A');
RELEASE s;
COMMIT;
EOS

run(<<'EOS');
CREATE TABLE orders (id int, customer text);
CREATE TRIGGER order_placed AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'Order Placed', 'user_id', 'customer');
EOS
thrice('a call of a trigger', one("INSERT INTO orders VALUES (1, 'u')"));
thrice('one of a session that queues again and again', sub {
	my $session = $node->background_psql('postgres');

	foreach (1 .. 3)
	{
		$session->query_safe("SELECT braze_track('u', 'A');");
		arrive(1);
	}
	$session->quit;
});
thrice('one that commits late', sub {
	my $session = $node->background_psql('postgres');

	$session->query_safe("BEGIN; SELECT braze_track('u', 'late');");
	run("SELECT braze_track('u', 'early')");
	arrive(1);
	$session->query_safe('COMMIT;');
	arrive(1);
	$session->quit;
});
my $row = q{'braze', '{"type": "track", "userId": "u", "event": "A"}'};
thrice('a plain INSERT', one("INSERT INTO braze_queue (destination, call) VALUES ($row)"));
thrice('COPY', one(<<'EOS'));
COPY braze_queue (destination, call) FROM STDIN;
braze	{"type": "track", "userId": "u", "event": "A"}
\.
EOS
thrice('braze_flush sends what was inserted past the functions and the triggers', sub {
	run('ALTER TABLE braze_queue DISABLE TRIGGER USER');
	run(q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "u", "event": "A"}')});
	braze_flush($node);
	run('ALTER TABLE braze_queue ENABLE TRIGGER braze_notify_queued, ENABLE REPLICA TRIGGER braze_notify_replicated');
});
$braze->reset;
thrice('braze_retry', sub {
	$braze->fault(kind => 'errors', count => 1);
	run("SELECT braze_track('u', 'A')");
	braze_wait_for_count($node, 1, 'braze_dead_letters');
	run('SELECT braze_retry()');
	arrive(1);
});
thrice('braze_pause and braze_start', sub {
	run("SELECT braze_pause('braze')");
	$node->poll_query_until('postgres', "SELECT state = 'paused' FROM braze_counters()");
	run("SELECT braze_track('u', 'A')");
	run("SELECT braze_start('braze')");
	arrive(1);
});
# a dump is restored like that: the pauses first, then the queue
my $other = StandIn->new;
braze_destination($node, 'postgres', 'other', $other);
run("SELECT braze_track('u', 'A', destination => 'other')");
$other->wait_for_accepted(1);
thrice('a pause that is inserted counts for what is queued after it', sub {
	$other->reset;
	run("INSERT INTO braze_paused (destination, reason) VALUES ('braze', 'restored')");
	run("INSERT INTO braze_queue (destination, call) VALUES ($row), ($row)");
	run("SELECT braze_track('u', 'A', destination => 'other')");
	$other->wait_for_accepted(1);
	is($braze->stats->{accepted}{total}, 0, 'nothing is sent during the pause');
	run('DELETE FROM braze_paused');
	arrive(2);
});
run('DROP SERVER other CASCADE');
thrice('an option counts for what is queued after it', sub {
	my ($i) = @_;

	run("ALTER SERVER braze OPTIONS (SET app_identifier 'app $i')");
	run("SELECT braze_track('u', 'A')");
	$braze->wait_for_accepted(1);
	is([ $braze->log ]->[0]{object}{app_id}, "app $i", "option $i");
	arrive(1);
});
thrice('what failed is sent again by the clock of its destination', sub {
	$braze->fault(kind => 'status', status => 503, count => 1);
	run("SELECT braze_track('u', 'A')");
	arrive(1);
});
thrice('a worker that was stopped comes again', sub {
	my $pid = braze_wait_for_worker($node);

	run("SELECT pg_terminate_backend($pid)");
	braze_wait_for_worker($node, 'postgres', $pid);
});
thrice('CREATE EXTENSION brings a worker', sub {
	my ($i) = @_;

	run("CREATE DATABASE d$i");
	run('CREATE EXTENSION segment_braze', "d$i");
	braze_wait_for_worker($node, "d$i");
});
thrice('a database that was renamed has it again', sub {
	my ($i) = @_;

	run("ALTER DATABASE d$i RENAME TO e$i");
	braze_wait_for_worker($node, "e$i");
});
thrice('and one that could not be dropped', sub {
	my ($i) = @_;
	my $session = $node->background_psql("e$i");

	is($node->psql('postgres', "DROP DATABASE e$i"), 3, "e$i is in use");
	braze_wait_for_worker($node, "e$i");
	$session->quit;
});

$node->stop;
done_testing();
