# Calls that are taken out of the queue by plain SQL, in whatever way, are not
# sent, and the others stay where they are.

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
my $node = braze_node('main', $braze, conf => <<EOC);
autovacuum = off
segment_braze.nap = '60s'
EOC

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub queue
{
	my ($event, $count) = @_;

	run("SELECT count(braze_track('u' || i, '$event')) FROM generate_series(1, $count) i");
	return;
}

sub accepted
{
	my ($event) = @_;

	return scalar grep { $_->{outcome} eq 'accepted' && $_->{name} eq $event } $braze->log;
}

# they wait for another attempt when they are taken out
sub while_braze_is_down
{
	my ($event, $how, $what) = @_;
	my $fault;

	$braze->reset;
	run("SELECT braze_track('warm up', 'warm up')");
	braze_flush($node);
	$fault = $braze->fault(kind => 'status', status => 503);
	queue($event, 20);
	StandIn::wait_until(sub { $braze->hits($fault) > 0 }, 'Braze is down');
	run($how);
	$braze->clear_faults;
	queue('after', 1);
	braze_flush($node);
	is(accepted($event), 0, "$what: nothing is sent");
	is(accepted('after'), 1, "$what: what is queued afterwards is");
	is(run(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'}),
		'1', "$what: and the worker goes on");
	return;
}

while_braze_is_down('deleted', 'DELETE FROM braze_queue', 'DELETE');
while_braze_is_down('truncated', 'TRUNCATE braze_queue', 'TRUNCATE');
while_braze_is_down('begun anew', 'TRUNCATE braze_queue RESTART IDENTITY', 'TRUNCATE RESTART IDENTITY');

# without a trigger, as where logical replication applies it
while_braze_is_down('replicated', 'SET session_replication_role = replica; TRUNCATE braze_queue',
	'a replicated TRUNCATE');
while_braze_is_down('as a replica', 'SET session_replication_role = replica; DELETE FROM braze_queue',
	'a DELETE with session_replication_role = replica');

# One call of many is deleted by hand: the others are not read again.  What the
# worker says of its reads counts, since it also counts the queue anew after each
# DELETE, for which it reads the index and takes nothing.  So few calls are all
# read while the first request has no answer.
my $calls = 5000;

sub log_text
{
	return slurp_file($node->logfile);
}

sub reads
{
	my $log = log_text();
	my $sum = 0;

	$sum += $1 while $log =~ /segment_braze: read (\d+) calls/g;
	return $sum;
}

sub looks
{
	return scalar(() = log_text() =~ /segment_braze: looked for calls that were taken out/g);
}

$braze->reset;
run("SELECT braze_track('warm up', 'warm up')");
braze_flush($node);
run("ALTER SERVER braze OPTIONS (ADD request_timeout '1 h')");
run('ALTER SYSTEM SET log_min_messages = debug1');
$node->restart;
braze_wait_for_worker($node);
$braze->hold;
queue('held', $calls);
StandIn::wait_until(sub { reads() >= $calls }, 'all calls are read');
foreach (1 .. 20)
{
	my $before = looks();

	run('DELETE FROM braze_queue WHERE id = (SELECT max(id) FROM braze_queue)');
	StandIn::wait_until(sub { looks() > $before }, 'the worker looks for the call that is gone');
}
$braze->release;
braze_flush($node);
is(accepted('held'), $calls - 20, 'of many calls one is deleted, again and again: the others are sent');
is(reads(), $calls, 'and each was read once');

$node->stop;
done_testing();
