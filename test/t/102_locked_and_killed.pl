# What is remembered of a user cannot be written, since somebody has locked the
# row, and the worker is killed: nothing is taken for what Braze has that it has
# not.  And a request that is sent in parts stops when nothing is to be sent.

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
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'");
my $holder = $node->background_psql('postgres');

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub set_plan
{
	my ($plan) = @_;

	run(qq{SELECT braze_identify('u1', '{"plan": "$plan"}')});
	return;
}

sub plans
{
	return join ' ', map { $_->{object}{plan} } grep { $_->{user} eq 'u1' } $braze->log;
}

foreach my $lock ('SELECT FROM braze_profiles FOR UPDATE', 'LOCK TABLE braze_profiles')
{
	my $worker;

	set_plan('a');
	braze_flush($node);
	$braze->reset;
	$braze->hold;
	set_plan('b');
	$braze->wait_for_stat('held', 1);
	$holder->query_safe("BEGIN; $lock;");
	$braze->release;
	ok($node->poll_query_until('postgres',
		"SELECT reason LIKE 'what was answered cannot be settled: somebody has locked %braze_profiles' FROM braze_counters()"),
		"$lock: the new value is not written");
	is(run('SELECT count(*) FROM braze_queue'), '1', "$lock: so that its call stays");
	$worker = braze_worker_pid($node);
	kill 'KILL', $worker;
	eval { $holder->quit };
	braze_wait_for_worker($node, 'postgres', $worker);
	$holder = $node->background_psql('postgres');
	braze_flush($node);
	is(plans(), 'b b', "$lock: and is sent again after a kill");
	$braze->reset;
	set_plan('b');
	braze_flush($node);
	is(plans(), '', "$lock: then it is remembered");
	set_plan('a');
	braze_flush($node);
	is($braze->user('u1') && $braze->user('u1')->{attributes}{plan}, 'a', "$lock: and the value before is sent");
}

# --- in parts: all that has 'bad' in it is refused as a whole, and halved

sub wait_for_parts
{
	my ($parts) = @_;

	$braze->wait_for_stat('held', $parts);
	return;
}

run(q{ALTER SERVER braze OPTIONS (SET changed_attributes_only 'false')});
braze_flush($node);
$braze->reset;
$braze->hold;
run(q{SELECT braze_track('first', 'E')});
$braze->wait_for_stat('held', 1);
run(q{SELECT braze_track('bad' || n, 'E') FROM generate_series(1, 16) n});
$braze->release(count => 1);
$braze->wait_for_stat('requests', 2);
wait_for_parts(1);
$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$node->reload;
ok(braze_wait_for_state($node, 'braze', 'off: %'), 'delivery is off, with a request under way');
$braze->release(status => 400);

# the worker has time to send the halves: what it does not send cannot be waited for
is(run("SELECT braze_flush('1 s')"), 'f', 'what was refused is not settled');
is($braze->stats->{requests}, 2, 'and its parts are not sent');
$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$node->reload;
ok(braze_flush($node), 'until delivery is on');
is($braze->accepted('events'), 17, 'then each of them arrives');

$holder->quit;
$node->stop;
done_testing();
