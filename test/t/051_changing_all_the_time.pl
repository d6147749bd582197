# A user whose attributes change all the time: what is remembered of him is
# written when he is left alone, and until then the table claims nothing.

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
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'", conf => "segment_braze.nap = '100ms'");
my $row = q{SELECT attributes IS NOT NULL FROM braze_profiles WHERE "user" = '"external_id":"u1"'};

# one call, settled by itself; returns the plans that arrived
sub set_plan
{
	my ($plan) = @_;

	$braze->reset;
	$node->safe_psql('postgres', qq{SELECT braze_identify('u1', '{"plan": "$plan", "team": "red"}')});
	braze_flush($node);
	return join ' ', map { $_->{object}{plan} // '-' } $braze->log;
}

# forty calls, each settled by itself, in one session; returns where his row was
sub change_often
{
	my $script = '';

	$script .= sprintf(<<'EOS', $_ % 2 ? 'a' : 'b') foreach 1 .. 40;
SELECT braze_identify('u1', '{"plan": "%s"}') IS NULL;
SELECT NOT braze_flush('60 s');
SELECT ctid FROM braze_profiles WHERE "user" = '"external_id":"u1"';
EOS
	return grep { /,/ } split(/\n/, $node->safe_psql('postgres', $script));
}

sub kill_worker
{
	my $pid = braze_worker_pid($node);

	kill 'KILL', $pid;
	braze_wait_for_worker($node, 'postgres', $pid);
	return;
}

is(set_plan('start'), 'start', 'the first one is sent');
is($node->safe_psql('postgres', $row), 't', 'and remembered');

my %versions = map { $_ => 1 } change_often();
my $versions = keys %versions;
cmp_ok($versions, '<', 20, 'not every change is written');
is($node->safe_psql('postgres', $row), 'f', 'the table does not know his attributes');
is(set_plan('b'), '', 'the worker does');
is(set_plan('a'), 'a', 'and sends what has changed');

# what the table had before the last changes must not be taken for the truth
kill_worker();
is(set_plan('start'), 'start', 'after a kill the first value is sent again, though it was remembered once');
is(set_plan('start'), '', 'and known from then on');

# left alone, he is remembered across a kill
change_often();
is($node->safe_psql('postgres', $row), 'f', 'he changes all the time again');
ok($node->poll_query_until('postgres', $row), 'left alone, he is written');
kill_worker();
is(set_plan('b'), '', 'and what Braze has is not sent again after a kill');
is(set_plan('c'), 'c', 'but what it has not');

$node->stop;
done_testing();
