# A deletion that Braze has accepted and that cannot be settled yet: what is
# queued later of the user waits for that, and nobody else does.

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
my $node = braze_node('main', $braze, options => "identifiers 'user_id, anonymous_id', identity_delay '0'");

sub run
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	return;
}

# the events, joins and deletions that have arrived, in their order
sub arrived
{
	return join '; ', map { "$_->{kind} $_->{user}" } $braze->log;
}

sub wait_for
{
	my ($what, $name) = @_;

	StandIn::wait_until(sub { arrived() =~ $what }, $name);
	return;
}

# u1 has the alias a1, whose row somebody locks; then u1 is deleted
sub delete_late
{
	my $session = $node->background_psql('postgres');

	run(q{SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'a1'); SELECT braze_track('u1', 'Came', anonymous_id => 'a1')});
	ok(braze_flush($node), 'a user has an alias');
	$session->query_safe(q{BEGIN; SELECT FROM braze_profiles WHERE "user" LIKE '%a1%' FOR UPDATE});
	$braze->reset;
	run(q{SELECT braze_delete_user('u1')});
	wait_for(qr/external_ids/, 'Braze has deleted the user');
	run(q{SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'a1'); SELECT braze_track('u1', 'Came', anonymous_id => 'a1')});
	run(q{SELECT braze_track('u2', 'Came', anonymous_id => 'a2'); SELECT braze_track('u3', 'Came')});
	wait_for(qr/events u2.*events u3|events u3.*events u2/, 'others are sent');
	wait_for(qr/events a1/, 'and what comes under the alias');
	unlike(arrived(), qr/events u1/, 'but nothing of the user');
	return $session;
}

sub is_joined
{
	my ($then) = @_;

	ok(braze_flush($node), "settled, $then");
	like(arrived(), qr/events a1.*aliases_to_identify u1; events u1$/, 'the user is joined with what came under the alias after the deletion');
	is($braze->user('u1')->{event_count}, 2, 'and has it');
	is($node->safe_psql('postgres', q{SELECT owner LIKE '%u1%' AND has_alias FROM braze_profiles WHERE "user" LIKE '%a1%'}), 't', 'whose the alias is, is known');
	run(q{SELECT braze_delete_user('u1')});
	ok(braze_flush($node), 'the user is deleted');
	return;
}

my $session = delete_late();
$session->query_safe('COMMIT');
is_joined('when nobody has locked the row any more');
$session->quit;

$session = delete_late();
run(q{SELECT braze_pause('braze')});
$session->query_safe('COMMIT');
run(q{SELECT braze_start('braze')});
is_joined('after a pause');
$session->quit;

# the worker ends meanwhile, and another one sends the deletion again
$session = delete_late();
my $worker = braze_worker_pid($node);
run(qq{SELECT pg_terminate_backend($worker)});
wait_for(qr/external_ids.*external_ids/, 'the deletion comes again');
unlike(arrived(), qr/events u1/, 'and nothing of the user');
$session->query_safe('COMMIT');
ok(braze_flush($node), 'settled by another worker');
like(arrived(), qr/external_ids u1;.* events u1$/, 'the user begins anew after it');
cmp_ok($braze->user('u1')->{event_count}, '>=', 1, 'with what was queued later');
$session->quit;

$node->stop;
done_testing();
