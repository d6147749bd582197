# Rows that somebody has locked keep their own destination from settling, and
# from sending more than may be under way; they hold up nobody else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# more than a settle takes at once
my $many = 10_500;

my $braze = StandIn->new;
my $node = braze_node('main', $braze, options => "max_requests_in_flight '150'");
braze_destination($node, 'postgres', 'b2', $braze, options => "max_requests_in_flight '8'");

# a tighter bound, which has to hold as well
braze_destination($node, 'postgres', 'b3', $braze, options => "max_requests_in_flight '2'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub queue
{
	my ($destination, $calls) = @_;

	run(<<EOS);
SELECT count(braze_track('$destination' || n, 'A', '{}', destination => '$destination')) FROM generate_series(1, $calls) n
EOS
	return;
}

# how often the calls of a destination were applied
sub applied
{
	my ($destination) = @_;
	return scalar grep { $_->{outcome} eq 'accepted' && $_->{user} =~ /^$destination\D*\d+$/ } $braze->log;
}

run("SELECT braze_pause('braze'), braze_pause('b3')");
queue('braze', $many);
queue('b3', 1000);

# an open purge holds all that is paused, and delivery of it begins elsewhere
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT braze_purge('braze'), braze_purge('b3');");
run("SELECT braze_start('braze'), braze_start('b3')");
braze_wait_for_state($node, 'braze', 'waiting: what was answered cannot be settled: somebody has locked %')
  or die;
pass('the status says why nothing is settled');

queue('b2', 5000);
ok(braze_wait_for_count($node, 0, 'braze_queue', "destination = 'b2'"),
	'calls of another destination are settled meanwhile');
is(run("SELECT state FROM braze_status WHERE destination = 'b2'"), 'running', 'whose state is fine');
is(run("SELECT count(*) FROM braze_queue WHERE destination = 'braze'"), $many, 'and those that are locked are not');

my $worker = braze_worker_pid($node);
StandIn::wait_until(sub { applied('b3') >= 2 * 75 }, 'b3 has sent something');
my $sent_of_b3 = applied('b3');
cmp_ok($sent_of_b3, '>=', 2 * 75, 'a destination with much less allowed has sent as much as it may');
cmp_ok($sent_of_b3, '<', 3 * 75 + 75, 'and no more');

# a kill: what was settled is not sent again, what was not is bounded
kill 'KILL', $worker;
eval { $session->quit };
braze_wait_for_worker($node, 'postgres', $worker);
run("SELECT braze_start('braze'), braze_start('b3')");
braze_flush($node);
is(applied('b2'), 5000, 'after a kill no call of the other destination is sent twice');
cmp_ok(applied('b3'), '<', 1000 + 3 * 75 + 75, 'and of the locked ones no more than may be under way');
cmp_ok(applied('b3'), '>=', 1000, 'none is lost');
is(run('SELECT count(*) FROM braze_queue'), '0', 'all is settled');
is(run("SELECT string_agg(DISTINCT state, ',') FROM braze_status"), 'running', 'and the status says so');

# locked for a moment only: they are settled, once
$braze->reset;
run("SELECT braze_pause('braze')");
queue('braze', 100);
$session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT count(*) FROM (SELECT FROM braze_queue FOR UPDATE) q;");
run("SELECT braze_start('braze')");
$braze->wait_for_accepted(100);
$session->query_safe('COMMIT;');
braze_flush($node);
is(applied('braze'), 100, 'rows that were locked for a while: each call is sent once');

# tables that no accepted call is written to
$session->query_safe('BEGIN; LOCK TABLE braze_dead_letters, braze_profiles;');
queue('braze', 10);
ok(braze_wait_for_count($node, 0, 'braze_queue'), 'who is accepted is settled while the dead letters are locked');
$session->query_safe('COMMIT;');
$session->quit;

$node->stop;
done_testing();
