# What is remembered of attributes counts no longer once anything was sent without
# looking at it, whatever is locked or killed then; and no table is gone through
# before that.

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

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub identify
{
	my ($user, $plan) = @_;

	run(qq{SELECT braze_identify('$user', '{"plan": "$plan"}')});
	return;
}

sub look_first
{
	my ($value) = @_;

	run("ALTER SERVER braze OPTIONS (SET changed_attributes_only '$value')");
	return;
}

# the plan that was sent last; what is left out is not sent
sub sent
{
	return join ' ', map { $_->{object}{plan} } grep { $_->{kind} eq 'attributes' } $braze->log;
}

sub crash
{
	$node->stop('immediate');
	$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
	$node->start;
	return;
}

sub deliver
{
	$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
	$node->reload;
	return;
}

identify('u1', 'pro');
identify('u2', 'pro');
braze_flush($node);

# a restart forgets nothing
crash();
deliver();
$braze->reset;
identify('u1', 'pro');
ok(braze_flush($node), 'after a crash');
is(sent(), '', 'what is remembered still counts');

# a row that somebody holds keeps nothing from being forgotten
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT FROM braze_profiles WHERE "user" LIKE '%u2%' FOR UPDATE;});
look_first('false');
identify('u1', 'gold');
ok(braze_flush($node), 'while a row is locked');
is(sent(), 'gold', 'another value is sent');

# the next worker never sees that the option was off
my $worker = braze_worker_pid($node);
run("BEGIN; ALTER SERVER braze OPTIONS (SET changed_attributes_only 'true'); SELECT pg_terminate_backend($worker); COMMIT");
braze_wait_for_worker($node, 'postgres', $worker);
$holder->query_safe('COMMIT;');
$holder->quit;
$braze->reset;
identify('u1', 'pro');
ok(braze_flush($node), 'of the next worker');
is(sent(), 'pro', 'the value before counts no longer');
identify('u1', 'pro');
ok(braze_flush($node), 'of the new period');
is(sent(), 'pro', 'it is remembered');

# what the table says is not to become untrue
$holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT FROM braze_profiles WHERE "user" = '' FOR UPDATE;});
$braze->reset;
look_first('false');
identify('u1', 'gold');
braze_wait_for_state($node, 'braze', 'waiting: its calls cannot be read: somebody has locked rows of the table braze_profiles%');
is($braze->stats->{requests}, 0, 'nothing is sent while the period cannot be ended');
$holder->query_safe('COMMIT;');
$holder->quit;
ok(braze_flush($node), 'then it goes on');
is(sent(), 'gold', 'with all attributes');

# and those that do not count go when there is time
ok($node->poll_query_until('postgres', 'SELECT count(attributes) = 0 FROM braze_profiles'), 'nothing is left');
is(run(q{SELECT count(*) FROM braze_profiles WHERE "user" = ''}), '0', 'nor is the period');
look_first('true');
$braze->reset;
identify('u1', 'gold');
identify('u1', 'gold');
ok(braze_flush($node), 'it begins again');
is(sent(), 'gold', 'and is sent once');

$node->stop;
done_testing();
