# A user's calls leave the queue in the order in which they were queued, also
# when one of them cannot be settled: what is left is sent again by the next
# worker, and what came after it must be, too.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);

sub plan_at_braze
{
	my $user = $braze->user('u');

	return $user ? $user->{attributes}{plan} : 'nobody';
}

# behind a deletion nothing of the user is sent before that is settled
foreach my $case (
	[ 'an older value', q{braze_identify('u', '{"plan": "first"}')}, sub { return plan_at_braze() eq 'second' } ],
	[ 'a deletion', q{braze_delete_user('u')}, sub { return $braze->accepted('external_ids') == 1 } ])
{
	my ($what, $first, $is_accepted) = @$case;

	$braze->reset;
	$braze->hold;
	$node->safe_psql('postgres', "SELECT $first");
	$braze->wait_for_stat('held', 1);

	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; SELECT FROM braze_queue FOR UPDATE;');
	$node->safe_psql('postgres', q{SELECT braze_identify('u', '{"plan": "second"}')});
	$braze->release;

	StandIn::wait_until($is_accepted, 'what can be sent is accepted');

	# what is done after them is settled after them
	$node->safe_psql('postgres', q{SELECT braze_track('somebody', 'Later')});
	braze_wait_for_count($node, 0, 'braze_queue', q{call->>'userId' = 'somebody'});
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), 2, "$what: the second call stays behind the first");

	is(plan_at_braze(), 'nobody', "$what: nor is it sent") if $what eq 'a deletion';

	my $pid = braze_worker_pid($node);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	braze_wait_for_worker($node, 'postgres', $pid);
	$locker->query_safe('COMMIT;');
	$locker->quit;
	braze_flush($node);
	is(plan_at_braze(), 'second', "$what: it is sent again, and so is what came after it");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), 0, "$what: all is settled");
}

$node->stop;
done_testing();
