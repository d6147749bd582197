# A call that raises an error when it is read becomes a dead letter after some
# attempts, and until then only the calls of its own destination wait.

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
my $node = braze_node('main', $braze, conf => "autovacuum = off\nlog_min_messages = debug1");
my $attempts = 3;
my $calls = 4;

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

unless (run("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'"))
{
	$node->stop;
	plan skip_all => 'needs pg_surgery';
}
run('CREATE EXTENSION pg_surgery');
braze_destination($node, 'postgres', 'other', $braze);
run(q{SELECT braze_track('warm up', 'A', destination => 'braze'), braze_track('warm up', 'A', destination => 'other')});
braze_flush($node);
$braze->reset;

# several of one destination, the call of another, and one of that as well
my $log = -s $node->logfile;
run(<<EOS);
BEGIN;
SELECT count(braze_track('u' || n, 'Unreadable', destination => 'braze',
	properties => (SELECT jsonb_build_object('large', string_agg(md5(m::text || random()), '')) FROM generate_series(1, 500) m)))
FROM generate_series(1, $calls) n;
SELECT braze_track('u1', 'Readable', destination => 'other');
SELECT braze_track('u2', 'Unreadable', destination => 'other',
	properties => (SELECT jsonb_build_object('large', string_agg(md5(m::text || random()), '')) FROM generate_series(1, 500) m));
SELECT braze_track('u1', 'Later', destination => 'braze');
@{[ braze_destroy_toast() ]}
COMMIT;
EOS
braze_flush($node);
my ($before) = slurp_file($node->logfile, $log) =~ /^(.*)destination "other": request/s;
my $errors = () = $before =~ /ERROR: +missing chunk/g;
cmp_ok($errors, '<', $attempts * $calls, 'the call of another destination does not wait for all attempts');
is(run('SELECT destination, count(*), count(DISTINCT reason) > 0 FROM braze_dead_letters GROUP BY destination ORDER BY destination'),
	"braze|$calls|t\nother|1|t", 'what cannot be read becomes a dead letter');
is(join(' ', sort map { $_->{name} } grep { $_->{outcome} eq 'accepted' } $braze->log), 'Later Readable', 'and all others arrive');
is(run(q{SELECT string_agg(DISTINCT state, ' ') FROM braze_status}), 'running', 'the destinations go on');

$node->stop;
done_testing();
