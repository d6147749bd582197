# Who locks the queue for a moment, as VACUUM does to shorten it, delays what is
# answered and what is read by no more than that, and the log does not speak of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# a lock of a second is no moment any more
my $longest_ms = 800;
my $braze = StandIn->new;
my $node = braze_node('main', $braze, conf => 'log_min_messages = debug1');

# what the worker says when it found the queue locked for a moment
my $found = qr/a table is locked, it is tried again soon/;
my $told = qr{what was answered cannot be settled|the queue of database .* cannot be read};

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

# holds the queue for a moment each; returns how long it did at most
sub lock_now_and_then
{
	return $node->safe_psql('postgres', <<'EOS');
CREATE TEMPORARY TABLE held (ms float8);
DO $$
DECLARE
	since timestamptz;
	ms float8;
BEGIN
	FOR n IN 1 .. 5 LOOP
		PERFORM braze_track('u' || n, 'brief', '{}');
		COMMIT;
		LOCK TABLE braze_queue;
		since := clock_timestamp();
		PERFORM pg_sleep(0.2);
		ms := 1000 * extract(epoch FROM clock_timestamp() - since);
		INSERT INTO held VALUES (ms);
		COMMIT;
		WHILE EXISTS (SELECT FROM braze_queue) LOOP
			PERFORM pg_sleep(0.01);
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;
SELECT ceil(max(ms)) FROM held;
EOS
}

run("SELECT braze_track('warm up', 'warm up', '{}')");
ok(braze_flush($node), 'it delivers');

# on a busy machine a moment may be long: then it says nothing, and is tried again
my ($brief, $log);
foreach my $try (1 .. 20)
{
	my $from = -s $node->logfile;

	$brief = lock_now_and_then() < $longest_ms;
	braze_flush($node);
	$log = substr(slurp_file($node->logfile), $from);
	last if $brief && $log =~ /$found|$told/;
}
ok($brief, 'the queue was locked for moments');
like($log, $found, 'which the worker met');
unlike($log, $told, 'and has not told of');
is(run('SELECT count(*) FROM braze_queue'), '0', 'all is settled');

# nothing is sent before the worker has looked for calls that were taken out: a
# moment's lock delays that by a moment, too.  It looks when a pause ends.
{
	my $holder = $node->background_psql('postgres');
	my ($worker, $from);

	run(q{SELECT braze_pause('braze', 'test')});
	braze_wait_for_state($node, 'braze', 'paused: test');
	$worker = braze_freeze_worker($node);
	run(q{SELECT braze_start('braze')});
	$holder->query_safe('BEGIN; LOCK TABLE braze_queue;');
	$from = -s $node->logfile;
	kill 'CONT', $worker;
	StandIn::wait_until(
		sub {
			my @lines = grep { /\[$worker\]/ } split /\n/, substr(slurp_file($node->logfile), $from);

			return join("\n", @lines) =~ /taken out of the queue ended after \d+ ms\n[^\n]*$found/;
		},
		'the look for calls that were taken out meets the lock');
	$holder->query_safe('COMMIT;');
	$holder->quit;
	ok(braze_flush($node), 'calls that were taken out are looked for again soon, too');
}

# a lock that lasts is another matter
my $holder = $node->background_psql('postgres');
my $from = -s $node->logfile;
$braze->hold(user => 'u9');
run("SELECT braze_track('u9', 'long', '{}')");
$braze->wait_for_stat('held', 1);
$holder->query_safe('BEGIN; LOCK TABLE braze_queue;');
$braze->release;
$node->wait_for_log(qr/what was answered cannot be settled/, $from);
$holder->query_safe('COMMIT;');
$holder->quit;
$node->wait_for_log(qr/answers are settled again/, $from);
ok(braze_flush($node), 'a lock that lasts is told, and so is its end');

$node->stop;
done_testing();
