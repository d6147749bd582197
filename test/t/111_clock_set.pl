# The clock is set back and ahead by eight hours while the server runs: nothing
# waits longer for it, and nothing expires by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use ShiftedClock;
use StandIn;

my $clock = ShiftedClock->new;
plan skip_all => 'there is no C compiler' unless defined $clock;

my $braze = StandIn->new;
my $node = do
{
	local %ENV = $clock->environment;
	braze_node('main', $braze, options => "deduplicate '3600', changed_attributes_only 'true', resend_unchanged_after '2 h'");
};
my $worker;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# the worker has looked for what has expired
sub wait_for_expiry
{
	run("INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at, failed_at) VALUES ('none', '{}', 'rejected', 'old', '2000-01-01', '2000-01-01')");
	braze_wait_for_count($node, 0, 'braze_dead_letters', "destination = 'none' AND queued_at < '2001-01-01'");
	return;
}

sub queue_message
{
	my ($id) = @_;

	run(qq{SELECT braze_enqueue('{"type": "track", "event": "Once", "userId": "m", "messageId": "$id"}')});
	return;
}

$node->append_conf('postgresql.conf', <<EOC);
segment_braze.dead_letter_retention = '1h'
segment_braze.restart_delay = '1s'
EOC
$node->reload;

foreach my $hours (-8, 0, 8)
{
	my $name = $hours < 0 ? 'set back' : $hours > 0 ? 'set ahead' : 'set right';
	my $before = $braze->accepted('events');
	my $began;

	# what is there when the clock is set
	run("INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at) VALUES ('kept', '{}', 'rejected', '$name', now())");
	queue_message("before $name");
	run("SELECT braze_identify('u', '{\"color\": \"blue\"}')");
	braze_flush($node);
	is($braze->accepted('events'), $before + 1, "$name: a call arrives before");
	run("SELECT braze_pause('braze', 'a while')");
	braze_wait_for_state($node, 'braze', 'paused%');
	run("SELECT braze_track('waits', 'A')");

	$clock->set(wall => $hours * 3600);
	is(run("SELECT oldest_pending >= interval '0' FROM braze_status"), 't', "$name: oldest_pending is not negative");
	$began = time;
	is(run("SELECT braze_flush('1 s')"), 'f', "$name: braze_flush ends");
	cmp_ok(time - $began, '<', 60, "$name: in time");
	braze_start($node, 'postgres', 'braze');
	braze_flush($node);
	is($braze->accepted('events'), $before + 2, "$name: delivery goes on");

	# nothing expires
	wait_for_expiry();
	is(run("SELECT count(*) FROM braze_dead_letters WHERE reason = '$name'"), '1', "$name: a new dead letter stays");
	queue_message("before $name");
	run("SELECT braze_identify('u', '{\"color\": \"blue\"}')");
	braze_flush($node);
	is($braze->accepted('events'), $before + 2, "$name: a messageId is remembered");
	is(run("SELECT unchanged > 0 FROM braze_status"), 't', "$name: so is an attribute");

	# an error is shown, whatever time the last one had
	$braze->fault(kind => 'status', status => 503, body => "{\"message\": \"$name\"}", count => 1);
	run("SELECT braze_track('fails', 'A')");
	braze_flush($node);
	like(run('SELECT last_error FROM braze_status'), qr/$name/, "$name: the status has the last error");
	is(run('SELECT last_success > last_error_at FROM braze_status'), 't', "$name: and the last success");

	# processes are started again
	$worker = braze_wait_for_worker($node);
	run("SELECT pg_terminate_backend($worker)");
	$worker = braze_wait_for_worker($node, 'postgres', $worker);
	ok($worker, "$name: a worker that was ended is started again");
	kill 'KILL', $worker;
	ok(braze_wait_for_worker($node, 'postgres', $worker), "$name: after a crash restart_delay ends");
	run("SELECT braze_track('after', 'A')");
	braze_flush($node);
	is($braze->accepted('events'), $before + 4, "$name: and delivery goes on");
}

done_testing();
