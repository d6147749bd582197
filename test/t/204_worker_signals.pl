# pg_cancel_backend() of the worker ends what it is doing, and not the worker; at
# its end all that was answered is settled.

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
my $node = braze_node('main', $braze, options => "max_requests_in_flight '1000'", conf => 'log_min_messages = debug1');

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

# --- a cancel, with an answer to come

run(q{SELECT braze_track('warm up', 'E')});
braze_flush($node);
$braze->hold;
run(q{SELECT braze_track('u1', 'E')});
$braze->wait_for_stat('held', 1);
my $worker = braze_freeze_worker($node);
run("SELECT pg_cancel_backend($worker)");
kill 'CONT', $worker;
run(q{SELECT braze_track('u2', 'E')});
$braze->wait_for_stat('held', 2);
$braze->release;
ok(braze_flush($node), 'calls are delivered');
is(braze_worker_pid($node), $worker, 'by the same worker');
is($braze->accepted('events'), 3, 'each of them once');

# --- the end, with more answers than one settle takes

$braze->hold;
run(q{SELECT count(braze_track('u' || n, 'E')) FROM generate_series(1, 10500) n});
$braze->wait_for_stat('held', 140);
$worker = braze_freeze_worker($node);
$braze->release;
my $from = -s $node->logfile;
kill 'TERM', $worker;
run(q{DO $$ BEGIN RAISE LOG 'told to end'; END $$});
kill 'CONT', $worker;
braze_wait_for_worker($node, 'postgres', $worker);

my $log = substr(slurp_file($node->logfile), $from);
my ($taken, $settled) = (0, 0);
$taken += $1 while $log =~ /\[$worker\] DEBUG:  segment_braze: destination "braze": request \d+ of (\d+) calls: accepted/g;
$settled += $1 while $log =~ /\[$worker\] DEBUG:  segment_braze: settled (\d+) calls/g;

# milliseconds of the hour, from the stop to what the worker said last
my ($told, $last) = map { ($_->[0] * 60 + $_->[1]) * 1000 + $_->[2] }
  ([ $log =~ /:(\d\d):(\d\d)\.(\d{3}) .*told to end/ ], [ $log =~ /.*^\S+ \d\d:(\d\d):(\d\d)\.(\d{3}) .*\[$worker\]/ms ]);
my $ms = ($last - $told) % 3_600_000;

# the worker has a second; one that needs a large part of it may have to leave some
ok($settled == $taken || $ms > 300, 'what was answered is settled')
  or diag("$settled of $taken calls are, after $ms ms");
ok(braze_flush($node), 'and the others are delivered');

$node->stop;
done_testing();
