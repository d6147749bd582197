# The status says that a destination waits for Braze's limit, and until when.

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
my $node = braze_node('main', $braze);

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub state_of
{
	return run("SELECT state FROM braze_status WHERE destination = 'braze'");
}

# in how many seconds, as the status says
sub wait_of
{
	my ($until) = state_of() =~ / until (.*)$/;

	return defined $until ? run("SELECT extract(epoch FROM '$until'::timestamptz - clock_timestamp())::int") : -1;
}

run("SELECT braze_track('u0', 'A')");
braze_flush($node);
is(state_of(), 'running', 'before');

# an answer that was accepted, and is the last one for a while
$braze->fault(kind => 'status', status => 201, applied => 'true', count => 1, body => '{"message": "success"}',
	headers => { 'x-ratelimit-remaining' => '0', 'x-ratelimit-reset' => '600' });
run("SELECT braze_track('u1', 'A')");
ok(braze_wait_for_state($node, 'braze', "waiting for Braze''s limit until 20%"), 'the last request of a limit');
cmp_ok(wait_of(), '>', 400, 'the status says until when');
cmp_ok(wait_of(), '<=', 601, 'which is what Braze said');

# options that change begin anew
run("ALTER SERVER braze OPTIONS (ADD max_batch_delay '10')");
ok(braze_wait_for_state($node, 'braze', 'running'), 'and nothing of it when it is over');

# 429
$braze->fault(kind => 'status', status => 429, count => 1, headers => { 'retry-after' => '600' });
run("SELECT braze_track('u2', 'A')");
ok(braze_wait_for_state($node, 'braze', "waiting for Braze''s limit until 20%"), '429 is no fault that is tried again');
run("ALTER SERVER braze OPTIONS (SET max_batch_delay '20')");
braze_flush($node);

# that of an identity endpoint holds up nothing else
$braze->fault(kind => 'status', status => 429, path => '/users/delete', count => 1, headers => { 'retry-after' => '600' });
run("SELECT braze_delete_user('u2')");
ok(braze_wait_for_state($node, 'braze', "running: calls that join, merge or delete users wait for Braze''s limit until 20%"), 'the limit of an identity endpoint');
run("ALTER SERVER braze OPTIONS (SET max_batch_delay '10')");
braze_flush($node);

done_testing();
