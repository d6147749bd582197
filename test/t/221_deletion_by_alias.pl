# A deletion by an alias that was joined with a user deletes the user: nothing
# of them is remembered, and what is queued later waits for the settle.

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
my $node = braze_node('main', $braze,
	options => "changed_attributes_only 'true', identifiers 'user_id, anonymous_id', identity_delay '0'");

sub deliver
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	ok(braze_flush($node), 'settled');
	return;
}

# somebody browses, and then logs in
sub visit
{
	my ($user, $alias) = @_;

	return qq{SELECT braze_track(NULL::text, 'Seen', anonymous_id => '$alias'); SELECT braze_identify('$user', '{"plan": "paid"}', anonymous_id => '$alias');};
}

# what has arrived since the last forget()
my $forgotten = 0;

sub arrived
{
	my @objects = map { "$_->{kind} $_->{user}" } $braze->log;

	return join '; ', @objects[$forgotten .. $#objects];
}

sub forget
{
	$forgotten = () = $braze->log;
	return;
}

sub remembered
{
	return $node->safe_psql('postgres', q{SELECT count(*) FROM braze_profiles WHERE "user" LIKE '%u1%' OR owner LIKE '%u1%'});
}

my $delete = q{SELECT braze_delete_user(NULL::text, anonymous_id => 'a1')};

foreach my $then ('at once', 'after a restart')
{
	deliver(visit('u1', 'a1') . visit('u1', 'a2'));
	is(remembered(), '3', 'a user with two aliases');
	if ($then eq 'after a restart')
	{
		$node->stop('immediate');
		$node->start;
	}
	deliver($delete);
	is($braze->user('u1'), undef, 'a deletion by the first one deletes the user');
	is(remembered(), '0', "nothing is remembered of them, $then");
	forget();
	deliver(visit('u1', 'a3'));
	is(arrived(), 'events a3; aliases_to_identify u1; attributes u1', 'the next visitor is the user, whose attributes are sent again');
	is($braze->user('u1')->{event_count}, 1, 'and who has what the visitor did');
	deliver(q{SELECT braze_delete_user('u1')});
}

# by one that was merged the user is not deleted
deliver(visit('u1', 'a1') . visit('u1', 'a2'));
deliver(q{SELECT braze_delete_user(NULL::text, anonymous_id => 'a2')});
is($braze->user('u1')->{event_count}, 2, 'a user is there still');
forget();
deliver(visit('u1', 'a1'));
is(arrived(), 'events a1', 'and so is what is remembered of them');

# the row of the user is locked when the deletion is answered
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT FROM braze_profiles WHERE "user" LIKE '%u1%' FOR UPDATE});
forget();
$node->safe_psql('postgres', $delete);
StandIn::wait_until(sub { arrived() =~ /user_aliases/ }, 'Braze has deleted the user');
$node->safe_psql('postgres', q{SELECT braze_identify('u1', '{"plan": "paid"}'); SELECT braze_identify('u2', '{"plan": "paid"}')});
StandIn::wait_until(sub { arrived() =~ /attributes u2/ }, 'others are sent');
unlike(arrived(), qr/attributes u1/, 'but nothing of the user');
$session->query_safe('COMMIT');
ok(braze_flush($node), 'settled');
like(arrived(), qr/attributes u1$/, 'then what came later is sent, though it was known before');
$session->quit;

$node->stop;
done_testing();
