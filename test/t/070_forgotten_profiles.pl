# What is remembered of users is not remembered for ever: attributes as long as
# they are left out, and who is who as long as the destination says.

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
my $node = braze_node('main', $braze, options =>
	  "changed_attributes_only 'true', identifiers 'user_id, anonymous_id', identity_delay '0'");

sub run
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	braze_flush($node);
	return;
}

# u1 has attributes, an alias was given to u2, a2 is a visitor of whom no more is known
my $rows = <<'EOS';
SELECT string_agg(concat_ws(' ', substring("user" FROM '"([ua][0-9])"'),
	CASE WHEN sent THEN 'sent' END, CASE WHEN has_alias THEN 'alias' END, CASE WHEN owner IS NOT NULL THEN 'owned' END,
	CASE WHEN attributes IS NOT NULL THEN 'attributes' END), ', ' ORDER BY "user")
FROM braze_profiles WHERE "user" <> ''
EOS

sub becomes
{
	my ($expected, $what) = @_;

	ok($node->poll_query_until('postgres', "SELECT ($rows) IS NOT DISTINCT FROM " . (defined $expected ? "'$expected'" : 'NULL')), $what)
	  or diag($node->safe_psql('postgres', $rows));
	return;
}

run(q{SELECT braze_identify('u1', '{"plan": "pro"}')});
run(q{SELECT braze_track(NULL, 'E', anonymous_id => 'a1')});
run(q{SELECT braze_track('u2', 'E', anonymous_id => 'a1')});
run(q{SELECT braze_track(NULL, 'E', anonymous_id => 'a2')});
becomes('u1 sent attributes, u2 sent alias, a1 alias owned, a2 sent', 'what is remembered');
is($node->safe_psql('postgres', q{SELECT owner FROM braze_profiles WHERE owner IS NOT NULL AND "user" <> ''}), '"external_id":"u2"',
	'the owner of an alias stands there as it is');

# a day before they are sent again anyway, and a day after
$node->safe_psql('postgres', q{UPDATE braze_profiles SET changed_at = now() - interval '29 days'});
run(q{SELECT braze_identify('u3', '{"plan": "pro"}')});
$node->safe_psql('postgres', q{UPDATE braze_profiles SET changed_at = now() - interval '31 days' WHERE "user" LIKE '%u3%'});
becomes('u1 sent attributes, u2 sent alias, u3 sent, a1 alias owned, a2 sent', 'attributes are forgotten once they are sent again anyway');
is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_profiles WHERE changed_at < now() - interval '30 days'}), '1',
	'the row is as old as before');

# a row that somebody holds is passed over, and had later
run(q{SELECT braze_identify('u3', '{"plan": "pro"}')});
run(q{SELECT braze_identify('u1', '{"plan": "pro"}')});
my $session = $node->background_psql('postgres');
$node->safe_psql('postgres', q{UPDATE braze_profiles SET changed_at = now() - interval '29 days'});
$session->query_safe(q{BEGIN; SELECT 1 FROM braze_profiles WHERE "user" LIKE '%u1%' FOR UPDATE});
$node->safe_psql('postgres', q{UPDATE braze_profiles SET changed_at = now() - interval '31 days' WHERE "user" NOT LIKE '%u1%'});
becomes('u1 sent attributes, u2 sent alias, u3 sent, a1 alias owned, a2 sent', 'others are had');
$session->query_safe(q{UPDATE braze_profiles SET changed_at = now() - interval '31 days' WHERE "user" LIKE '%u1%'; COMMIT});
becomes('u1 sent, u2 sent alias, u3 sent, a1 alias owned, a2 sent', 'who is who is kept');

# nobody who was forgotten is joined any more
$node->safe_psql('postgres', q{ALTER SERVER braze OPTIONS (ADD forget_visitors_after '30 d')});
becomes('a1 alias owned', 'and forgotten where the destination says so, but for to whom an alias was given');
run(q{SELECT braze_track('u4', 'E', anonymous_id => 'a2')});
is(scalar(grep { $_->{kind} =~ /identify|merge/ } $braze->log), 1, 'a visitor who comes back is not joined');

# a cached profile is none the worse for it
run(q{SELECT braze_identify('u1', '{"plan": "free"}')});
is($braze->user('u1')->{attributes}{plan}, 'free', 'a user who was forgotten is written anew');
like($node->safe_psql('postgres', $rows), qr/^u1 sent attributes/, 'and remembered');
$session->quit;

done_testing();
