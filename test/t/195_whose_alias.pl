# Whose an alias is: the user's own is not joined with them again, what is sent
# under it changes their profile, and a deletion of them gives it back.

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
	options => "changed_attributes_only 'true', identifiers 'user_id, anonymous_id, email', identity_delay '0', alias_calls 'identify', delete_calls 'delete'");

# the calls of one transaction, delivered together
sub deliver
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	ok(braze_flush($node), 'settled');
	return;
}

sub restart
{
	$node->stop('immediate');
	$node->start;
	return;
}

# what arrived since the last question, with the attributes
sub arrived
{
	my @objects;

	foreach my $entry ($braze->log)
	{
		my $object = ref $entry->{object} ? $entry->{object} : {};

		push @objects, join ' ', $entry->{kind}, (map { defined $object->{$_} ? $object->{$_} : () } 'name', 'plan'), "($entry->{user})";
	}
	$braze->reset;
	return join '; ', @objects;
}

# somebody browses, and then logs in
sub visit
{
	my ($user, $alias) = @_;

	return qq{SELECT braze_track(NULL::text, 'Seen', anonymous_id => '$alias'); SELECT braze_track('$user', 'Came', anonymous_id => '$alias');};
}

# ----- the user's own alias -----

deliver(visit('u1', 'a1'));
is(arrived(), 'events Seen (a1); aliases_to_identify (u1); events Came (u1)', 'the first alias of a user is identified');
deliver(visit('u1', 'a1'));
is(arrived(), 'events Seen (a1); events Came (u1)', 'it is theirs, and not merged into them after a logout');
restart();
deliver(visit('u1', 'a1'));
is(arrived(), 'events Seen (a1); events Came (u1)', 'nor after a restart');
deliver(q{SELECT braze_alias('u1', 'a1')});
unlike(arrived(), qr/merge/, 'nor by an alias call');
deliver(visit('u1', 'a2') . visit('u1', 'a2'));
is(arrived(), 'events Seen (a2); merge_updates (a2); events Came (u1); events Seen (a2); merge_updates (a2); events Came (u1)',
	'of a further one Braze makes a profile each time, which is merged each time');

# ----- attributes under an alias -----

sub identify
{
	my ($plan, $user, $alias) = @_;

	deliver(qq{SELECT braze_identify($user, '{"plan": "$plan"}', anonymous_id => $alias)});
	return;
}

foreach my $then ('at once', 'after a restart')
{
	identify('free', q{'u1'}, 'NULL');
	identify('free', q{'u1'}, 'NULL');
	arrived();
	identify('paid', 'NULL::text', q{'a1'});
	restart() if $then eq 'after a restart';
	identify('free', q{'u1'}, 'NULL');
	is(arrived(), 'attributes paid (a1); attributes free (u1)', "what was sent under an alias has changed the user, $then");
	identify('free', q{'u1'}, 'NULL');
	is(arrived(), '', 'and then is unchanged');
}

# ----- a deletion -----

sub owned_by
{
	my ($user) = @_;

	return $node->safe_psql('postgres', qq{SELECT string_agg("user", ', ' ORDER BY "user") FROM braze_profiles WHERE owner LIKE '%$user%'});
}

deliver(q{SELECT braze_identify(NULL::text, '{"email": "u3@example.com"}'); SELECT braze_identify('u1', '{"email": "u3@example.com"}')});
deliver(visit('u2', 'a3'));
like(owned_by('u1'), qr/u3\@.*a1.*a2/, 'what was given to a user');
restart();
deliver(visit('u1', 'a1'));
arrived();
deliver(q{SELECT braze_delete_user('u1')});
is(owned_by('u1'), '', 'a deletion gives it back, whether it is in memory or not');
like(owned_by('u2'), qr/a3/, 'and what is others\' stays theirs');
arrived();
deliver(visit('u2', 'a1'));
is(arrived(), 'events Seen (a1); merge_updates (a1); events Came (u2)', 'to another user, then');
deliver(visit('u4', 'a2'));
is(arrived(), 'events Seen (a2); aliases_to_identify (u4); events Came (u4)', 'or to a new one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_notes WHERE note LIKE '%joined with another user%'}), '0',
	'of whom nobody is told that it was joined before');

# who deletes themselves with somebody else's alias at hand leaves that alone
deliver(q{SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'a3')});
deliver(q{SELECT braze_enqueue('{"type": "delete", "userId": "u4", "anonymousId": "a3"}'::jsonb, 'braze')});
like(owned_by('u2'), qr/a3/, 'an alias of another user stays theirs');

# an identifier that is too long for the key of the table
my $long = '"' x 600;
deliver(visit($long, 'a6'));
isnt(owned_by('""'), '', 'a long identifier');
deliver(qq{SELECT braze_delete_user('$long')});
is(owned_by('""'), '', 'a deletion of it');

# ----- an alias call before anything is known of the visitor -----

arrived();
deliver(q{SELECT braze_alias('u6', 'a6')});
deliver(visit('u6', 'a6'));
is($braze->user('u6')->{event_count}, 2, 'the user has what the visitor did later');
is(arrived(), 'aliases_to_identify (u6); events Seen (a6); aliases_to_identify (u6); events Came (u6)', 'who is joined then');
deliver(q{SELECT braze_track('u7', 'Came'); SELECT braze_alias('u7', 'a7')});
deliver(visit('u7', 'a7'));
is($braze->user('u7')->{event_count}, 3, 'so has a user whom Braze knew');
is(arrived(), 'events Came (u7); aliases_to_identify (u7); events Seen (a7); merge_updates (a7); events Came (u7)', 'with whom the visitor is merged');

# ----- somebody else takes the device of a user who was deleted -----

deliver(visit('u8', 'a8') . q{SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'a8')});
deliver(q{SELECT braze_delete_user('u8')});
arrived();
deliver(q{SELECT braze_track('u9', 'Came', anonymous_id => 'a8')});
is(arrived(), 'events Came (u9)', 'what was sent under the alias of a deleted user is deleted, and nothing is joined');
deliver(visit('u9', 'a8'));
is(arrived(), 'events Seen (a8); aliases_to_identify (u9); events Came (u9)', 'until something is sent under it again');

# The join and the deletion are settled by one transaction: both are due when the
# worker goes on.
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_profiles IN SHARE MODE');
arrived();
$node->safe_psql('postgres', visit('u5', 'a5') . q{SELECT braze_delete_user('u5')});
StandIn::wait_until(sub { grep { $_->{kind} eq 'external_ids' } $braze->log }, 'the deletion was sent');
ok($node->poll_query_until('postgres', q{SELECT state LIKE '%locked%' FROM braze_status}), 'nothing can be settled');
my $worker = braze_worker_pid($node);
kill 'STOP', $worker;
$session->query_safe('COMMIT');
sleep 2;
kill 'CONT', $worker;
ok(braze_flush($node), 'settled');
is(owned_by('u5'), '', 'what was joined and deleted at once is forgotten');
$session->quit;

$node->stop;
done_testing();
