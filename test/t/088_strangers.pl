# A profile is merged into a user only where an identify call says that the two
# are one: what Braze has merged cannot be taken apart again.

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
my $node = braze_node('main', $braze, options => "identifiers 'user_id, email, phone', identity_delay '0'");

# the kinds of the objects that the calls become, and whose they are
sub arrived
{
	my @calls = @_;

	$node->safe_psql('postgres', join '', map { "SELECT braze_enqueue('$_');" } @calls);
	ok(braze_flush($node), 'settled');
	my @objects = map { "$_->{kind} $_->{user}" } $braze->log;
	$braze->reset;
	return join '; ', @objects;
}

my $friend = '"email": "friend@example.com", "phone": "+14155552671"';
my $known = "{\"type\": \"identify\", \"traits\": {$friend}}";

is(arrived($known), 'attributes friend@example.com', 'a friend has a profile');
is( arrived(
		"{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"Friend Invited\", \"properties\": {$friend}}",
		"{\"type\": \"group\", \"userId\": \"u1\", \"groupId\": \"g\", \"traits\": {$friend}}",
		"{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"E\", \"traits\": {$friend}}",
		"{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"E\", \"context\": {\"traits\": {$friend}}}",
		"{\"type\": \"group\", \"userId\": \"u1\", \"groupId\": \"g\", \"context\": {\"traits\": {$friend}}}"),
	'events u1; attributes u1; events u1; events u1; attributes u1',
	'no other call of a user merges it');
is( arrived("{\"type\": \"track\", \"event\": \"E\", \"context\": {\"traits\": {$friend}}}"),
	'events friend@example.com', 'context.traits of an event say whose it is');
is( arrived("{\"type\": \"identify\", \"userId\": \"u2\", \"context\": {\"traits\": {$friend}}}"),
	'emails_to_identify u2; attributes u2', 'an identify call does merge it');

$node->stop;
done_testing();
