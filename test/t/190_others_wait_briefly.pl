# What is expensive in the queue of one destination keeps the others waiting for
# a moment, and takes no memory beyond what the worker may have.

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
braze_destination($node, 'postgres', 'other', $braze);

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# the numbers of a call's objects may be any array: one that is too large is
# not read
run('ALTER TABLE braze_queue ALTER objects SET COMPRESSION pglz');
run(q{SELECT braze_track('u1', 'A', destination => 'other')});
braze_flush($node);
my $pid = braze_worker_pid($node);
run(<<'EOS');
INSERT INTO braze_queue (destination, call, objects)
SELECT 'braze', '{"type": "track", "userId": "u1", "event": "A"}', array_fill(0, ARRAY[25000000]) FROM generate_series(1, 2)
EOS
braze_flush($node);
is(run('SELECT string_agg(DISTINCT reason, chr(10)) FROM braze_dead_letters'),
	'The numbers of its objects take up more than segment_braze.max_call_size, 1024 kB.', 'such a call is refused');
is(run('SELECT count(*) FROM braze_dead_letters WHERE objects IS NULL'), '2', 'and its letter is without the array');
cmp_ok((slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/)[0], '<', 150_000, 'the worker has not read the array');
is(braze_worker_pid($node), $pid, 'and is the same');

# calls of many keys take a while to map; those of another destination come
# after them in the queue, and do not wait for all of them
run(q{SELECT braze_pause('braze')});
run(<<'EOS');
SELECT count(braze_track('u' || n, 'A', context => c, destination => 'braze'))
FROM (SELECT jsonb_object_agg('key' || k, k) AS c FROM generate_series(1, 25000) k) s, generate_series(1, 1000) n
EOS
run(q{SELECT braze_start('braze'), braze_track('u1', 'B', destination => 'other')});
braze_flush($node);
is($braze->accepted, 1002, 'all are sent');
my @events = $braze->log(kind => 'events', limit => 1002);
my ($place) = grep { $events[$_]{name} eq 'B' } 0 .. $#events;
cmp_ok($place, '<', $#events, 'and the call of another destination did not wait for all of them');

$node->stop;
done_testing();
