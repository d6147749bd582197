# An index that somebody has locked alone, as ALTER INDEX does, holds up what is to
# be written to its table, and nothing else.

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
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'");

braze_destination($node, 'postgres', 'other', $braze);
$node->safe_psql('postgres', q{SELECT braze_track('u1', 'A', destination => d) FROM unnest(ARRAY['braze', 'other']) d});
braze_flush($node);

my $n = 0;

foreach my $index (qw(braze_profiles_pkey braze_profiles_owner braze_dead_letters_pkey braze_dead_letters_user))
{
	my $session = $node->background_psql('postgres');

	$n++;
	$session->query_safe("BEGIN; ALTER INDEX $index SET TABLESPACE pg_default");

	# one that is remembered, one that becomes a letter, and one of another destination
	$node->safe_psql('postgres', <<EOS);
SELECT braze_identify('u1', '{"plan": "$n"}', destination => 'braze');
INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "nothing"}');
SELECT braze_track('u1', 'B', destination => 'other');
EOS
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM braze_queue WHERE destination = 'other'}),
		"$index is locked, and others' calls are settled");
	$session->query_safe('COMMIT');
	$session->quit;
	ok(braze_flush($node), 'then it is settled as well');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM braze_dead_letters}), $n, 'once');
}

$node->stop;
done_testing;
