# What Braze says of a key or an endpoint that is not used any more pauses
# nothing, however late its answer comes.

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
my $other = StandIn->new(key => 'newer-key');
my $node = braze_node('main', $braze, options => "alias_calls 'merge'", conf => 'log_min_messages = debug1');

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

# runs it, and waits until the worker has taken the change over
sub change
{
	my ($statement) = @_;
	my $from = -s $node->logfile;

	run($statement);
	StandIn::wait_until(
		sub { substr(slurp_file($node->logfile), $from) =~ /segment_braze: read the options, keys and pauses/ },
		'the worker has read the change');
	return;
}

sub pauses
{
	my ($from) = @_;
	my @lines = grep { /LOG:  segment_braze: destination "braze" .*is paused/ } split /\n/, substr(slurp_file($node->logfile), $from);

	return scalar @lines;
}

run(q{SELECT braze_track('warm up', 'E')});
braze_flush($node);

# --- the key is replaced while a request with the old one is under way

my $from = -s $node->logfile;
$braze->hold;
run(q{SELECT braze_track('u1', 'E')});
$braze->wait_for_stat('held', 1);
change(q{ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'new-key')});
$braze->set_key('new-key');
$braze->release(status => 401);
ok(braze_flush($node), 'a request with the old key was refused, and its calls are sent with the new one');
is($braze->accepted('events'), 2, 'once');
is(pauses($from), 0, 'and nothing is paused');

# --- the same of an endpoint's permission

$from = -s $node->logfile;
$braze->hold(path => '/users/merge');
run(q{SELECT braze_alias('u3', 'u2')});
$braze->wait_for_stat('held', 1);
change(q{ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'newer-key')});
$braze->set_key('newer-key');
$braze->release(status => 401);
ok(braze_flush($node), 'a call for which the old key had no permission is sent with the new one');
is(pauses($from), 0, 'and nothing is paused');

# --- the endpoint is replaced

$from = -s $node->logfile;
$braze->hold;
run(q{SELECT braze_track('u4', 'E')});
$braze->wait_for_stat('held', 1);
change("ALTER SERVER braze OPTIONS (SET custom_api_endpoint '" . $other->url . "')");
$braze->release(status => 404);
ok(braze_flush($node), 'a request to the old endpoint was refused, and its calls are sent to the new one');
is($other->accepted('events'), 1, 'once');
is(pauses($from), 0, 'and nothing is paused');

# --- what the key in use is told counts

$other->fault(kind => 'status', status => 401, count => 1);
run(q{SELECT braze_track('u5', 'E')});
ok(braze_wait_for_state($node, 'braze', 'paused: %'), 'a refusal of the key in use pauses the destination');

$node->stop;
done_testing();
