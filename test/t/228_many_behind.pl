# Destinations that fell behind read the queue together: the rows that are read
# for them do not depend on how many they are.  Wherever each of them is full, its
# calls go in their order, and it stops nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $destinations = 30;
my $calls = 200;				# of each
my $rows = $destinations * $calls;
my $braze = StandIn->new;
my $slow = StandIn->new;

# hardly a nap: only reads that are due count rows below
my $node = braze_node('main', $braze, conf => <<EOC);
segment_braze.nap = '60 s'
autovacuum = off
EOC

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

# what has been read of the queue: what a worker has read is known when it ends
sub rows_read
{
	my $pid = braze_worker_pid($node);

	run("SELECT pg_terminate_backend($pid)");
	braze_wait_for_worker($node, 'postgres', $pid);
	return run("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'");
}

my $all = "SELECT %s('d' || n) FROM generate_series(1, $destinations) n";

# the calls of all of them lie between each other; the reader passes over these
# to that of one that is not paused
sub fill
{
	my ($text) = @_;
	my $before = rows_read();

	# none is behind yet: each falls behind at its own first call
	run(sprintf($all, 'braze_start'));
	run("SELECT count(braze_track('before', 'e', destination => 'd' || d)) FROM generate_series(1, $destinations) d");
	braze_flush($node);
	run(sprintf($all, 'braze_pause'));
	run(<<"EOS");
SELECT count(braze_track('d' || d, 'e', jsonb_build_object('seq', n, 'text', $text), destination => 'd' || d))
FROM generate_series(1, $calls) n, generate_series(1, $destinations) d
EOS
	$braze->reset;
	run(q{SELECT braze_track('u', 'e', '{"seq": 1}', destination => 'braze')});
	$braze->wait_for_accepted(1);
	return $before;
}

sub drain
{
	my ($what) = @_;

	run(sprintf($all, 'braze_start'));
	ok(braze_flush($node), "$what: all is delivered");
	is_deeply($braze->order, { distinct => $rows + 1, violations => 0, duplicates => 0, repeats => 0 },
		'each call once, in order');
	return;
}

braze_many_destinations($node, 'postgres', $destinations, $braze);

my $before = fill(q{''});
drain('small calls');
my $read = rows_read() - $before;
cmp_ok($read, '>=', $rows, 'the rows were read');
cmp_ok($read, '<=', 6 * $rows, 'a few times at most');

# they take up several times the memory there is, and each is full elsewhere
$node->append_conf('postgresql.conf', "segment_braze.max_memory = '4MB'");
$node->reload;
fill(q{repeat('x', d * 100)});
drain('calls of any size');

# one more holds what it can, and no answer comes
braze_destination($node, 'postgres', 'slow', $slow);
fill(q{''});
run(q{SELECT braze_pause('slow')});
run(<<'EOS');
SELECT count(braze_track('slow', 'e', jsonb_build_object('seq', n, 'text', repeat('x', 2000)), destination => 'slow'))
FROM generate_series(1, 3000) n
EOS
$slow->hold;
run(q{SELECT braze_start('slow')});
$slow->wait_for_stat('held', 1);
run(sprintf($all, 'braze_start'));
ok(braze_wait_for_count($node, 0, 'braze_queue', "destination <> 'slow'"), 'the others are delivered past a full one');
is(run(q{SELECT count(*) FROM braze_queue}), '3000', 'and none of its calls');
$slow->release;
ok(braze_flush($node), 'it goes on');
is_deeply($slow->order, { distinct => 3000, violations => 0, duplicates => 0, repeats => 0 }, 'each of its calls once, in order');

$node->stop;
done_testing();
