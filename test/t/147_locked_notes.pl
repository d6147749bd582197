# A note that somebody holds is counted once they let go, and keeps no other note
# from being counted.

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

# one property of this name is left out
sub track
{
	my ($name) = @_;

	$node->safe_psql('postgres', "SELECT braze_track('u1', 'E', jsonb_build_object('$name', repeat('x', 60000)))");
	braze_flush($node);
	return;
}

sub counted
{
	my ($expected, $what) = @_;
	my $counts = q{SELECT string_agg(substring(note FROM 'first|second') || ' ' || calls, ', ' ORDER BY note) FROM braze_notes};

	ok($node->poll_query_until('postgres', "SELECT ($counts) = '$expected'"), $what)
	  or diag($node->safe_psql('postgres', $counts));
	return;
}

track('first');
counted('first 1', 'a note');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM braze_notes FOR UPDATE;');
track('first');
track('second');
counted('first 1, second 1', 'a new one is put while the other is held');
track('second');
counted('first 1, second 2', 'and is counted');
track('first');
$holder->query_safe('COMMIT;');
$holder->quit;
counted('first 3, second 2', 'what was held has lost nothing');
track($_) foreach 'first', 'second';
counted('first 4, second 3', 'nor is anything counted twice');

$node->stop;
done_testing();
