# A request whose answer never came, and whose calls are then taken out of the
# queue: what Braze may have of it is not forgotten.  And who is who after alias
# calls.

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
	options => "changed_attributes_only 'true', identifiers 'user_id, anonymous_id', identity_delay '0', alias_calls 'identify'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub plan_is
{
	my ($user, $plan) = @_;
	return run(qq{SELECT braze_identify('$user', '{"plan": "$plan"}')});
}

sub plans
{
	my ($user) = @_;
	return join ' ', map { $_->{object}{plan} } grep { ($_->{kind} || '') eq 'attributes' && $_->{user} eq $user } $braze->log;
}

# Braze takes it, and says so to nobody; then it is deleted
sub taken_out
{
	my ($queue, $user) = @_;
	my $fault = $braze->fault(kind => 'close', applied => \1);

	$queue->();
	StandIn::wait_until(sub { $braze->hits($fault) > 0 }, 'Braze has it');
	my $before = run(qq{SELECT coalesce(max(p::text), '') FROM braze_profiles p WHERE "user" LIKE '%$user%'});
	run('DELETE FROM braze_queue');
	ok($node->poll_query_until('postgres', qq{SELECT max(p::text) <> '$before' FROM braze_profiles p WHERE "user" LIKE '%$user%'}),
		"$user: the table says so");
	$braze->clear_faults($fault);
	return;
}

foreach my $way ('options', 'restart', 'others')
{
	plan_is($way, 'free');
	braze_flush($node);
	taken_out(sub { plan_is($way, 'paid') }, $way);
	run("ALTER SERVER braze OPTIONS (ADD max_batch_delay '30')") if $way eq 'options';
	if ($way eq 'restart')
	{
		$node->stop('immediate');
		$node->start;
	}
	if ($way eq 'others')
	{
		run(qq{SELECT braze_identify('$way', '{"other": true}')});
		braze_flush($node);
	}
	plan_is($way, 'free');
	braze_flush($node);
	is((split / /, plans($way))[-1], 'free', "$way: it is sent again, since Braze has another");
	cmp_ok(scalar(split / /, plans($way)), '>=', 3, "$way: and after that");
}

# the server is killed meanwhile, and the next worker has not come to the call when
# it is taken out: an earlier one of another user is tried first
run("ALTER SERVER braze OPTIONS (ADD max_objects_per_request '1')");
plan_is('killed', 'free');
braze_flush($node);
$braze->hold(applied => \1);
run(q{SELECT braze_track('first', 'Came'); SELECT braze_identify('killed', '{"plan": "paid"}')});
$braze->wait_for_stat('held', 2);
$node->stop('immediate');
$braze->release;
my $down = $braze->fault(kind => 'status', status => 503);
$node->start;
StandIn::wait_until(sub { $braze->hits($down) > 0 }, 'it is tried again');
run('DELETE FROM braze_queue');
$braze->clear_faults($down);
plan_is('killed', 'free');
braze_flush($node);
is($braze->user('killed')->{attributes}{plan}, 'free', 'what the worker that was killed has sent is not forgotten');
run("ALTER SERVER braze OPTIONS (DROP max_objects_per_request)");

# a visitor of whom Braze has something is joined, although nobody was told
sub identity_objects
{
	return join ', ', map { "$_->{kind} $_->{outcome}" } grep { ($_->{kind} || '') =~ /identify|merge/ } $braze->log;
}

taken_out(sub { run(q{SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'a1')}) }, 'a1');
run(q{SELECT braze_track('u1', 'Came', anonymous_id => 'a1')});
braze_flush($node);
is(identity_objects(), 'aliases_to_identify accepted', 'a visitor whose call was taken out is joined');

# alias calls are remembered as what an anonymousId does
$braze->reset;
run(<<'EOS');
SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'b1');
SELECT braze_alias('u2', 'b1');
SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'b2');
SELECT braze_track('u2', 'Came', anonymous_id => 'b2');
SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'b3');
SELECT braze_alias('u2', 'b3');
EOS
braze_flush($node);
is(identity_objects(), 'aliases_to_identify accepted, merge_updates accepted, merge_updates accepted',
	'Braze keeps one alias: the others are merged');

# an alias stands for the whole profile of whom it was given to, which must not
# become part of that of the next one who says that it was theirs
$braze->reset;
run(<<'EOS');
SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'c1');
SELECT braze_alias('owner', 'c1');
SELECT braze_track('owner', 'Paid');
SELECT braze_track('new', 'Came');
SELECT braze_alias('new', 'c1');
SELECT braze_track(NULL::text, 'Seen', anonymous_id => 'c2');
SELECT braze_alias('other', 'c2');
SELECT braze_alias('other', 'c1');
SELECT braze_track('other', 'Came');
SELECT braze_alias('owner', 'c1');
EOS
braze_flush($node);
is(identity_objects(), 'aliases_to_identify accepted, aliases_to_identify accepted, aliases_to_identify no effect',
	'an alias is given to one user');
is(join(', ', map { join ' ', $_, map { $_->{name} } @{ $braze->user($_)->{events} } } 'owner', 'new', 'other'),
	'owner Seen Paid, new Came, other Seen Came', 'each of them has what is theirs');
ok($node->poll_query_until('postgres', q{SELECT sum(calls) = 2 FROM braze_notes WHERE note LIKE '%joined with another user before.'}),
	'notes say why');

# where the table cannot be written, nobody else waits for that
my $other = StandIn->new;

braze_destination($node, 'postgres', 'other', $other);
run(q{SELECT braze_identify('blocked', '{"plan": "free"}', destination => 'braze')});
braze_flush($node);
run(<<'EOS');
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not today''; END';
CREATE TRIGGER fails BEFORE UPDATE ON braze_profiles FOR EACH ROW EXECUTE FUNCTION fails();
EOS
my $fault = $braze->fault(kind => 'close', applied => \1);
run(q{SELECT braze_identify('blocked', '{"plan": "paid"}', destination => 'braze')});
StandIn::wait_until(sub { $braze->hits($fault) > 0 }, 'Braze has it');
run('DELETE FROM braze_queue');
StandIn::wait_until(sub { slurp_file($node->logfile) =~ /not today/ }, 'the table cannot be written');
run('DELETE FROM braze_queue');
run(q{SELECT braze_track('someone'::text, 'Came', destination => 'other')});
ok(braze_flush($node, 'postgres', 'other'), 'another destination goes on');
$braze->clear_faults($fault);
run('DROP TRIGGER fails ON braze_profiles');
ok($node->poll_query_until('postgres', q{SELECT attributes IS NULL FROM braze_profiles WHERE "user" LIKE '%blocked%'}),
	'it is written later');

$node->stop;
done_testing();
