# The queue is rewritten while requests are under way, and a destination falls
# behind in it and catches up before the reader comes to calls that it holds:
# these are not read, and not sent, once more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# more than the worker reads at once
my $many = 6000;

my $braze = StandIn->new;
# no nap: only reads that are due count rows below
my $node = braze_node('main', $braze, conf => "segment_braze.nap = '300 s'");

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# what the worker has read of the queue since the server's start
sub rows_read
{
	return run("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'");
}

# a new worker has one request under way until that is settled
run("SELECT braze_track('first', 'e', '{\"seq\": 0}')");
ok(braze_flush($node), 'the first call is delivered');

# one user's first calls are under way, and so is the last of all, another's
$braze->hold;
run(<<EOS);
SELECT count(braze_track('many', 'e', jsonb_build_object('seq', n))) FROM generate_series(1, $many) n;
SELECT braze_track('last', 'e', jsonb_build_object('seq', $many + 1));
EOS
$braze->wait_for_stat('held', 2);

# what waits is dropped, and the destination falls behind in the new table
run("SELECT braze_pause('braze', 'for a moment')");
ok(braze_wait_for_state($node, 'braze', 'paused: %'), 'the destination is paused');
my $read = rows_read();
run('VACUUM FULL braze_queue');
run('SELECT braze_notify_worker(true)');
$node->poll_query_until('postgres', <<EOS) or die 'the new table is not read';
SELECT idx_tup_read >= $read + 5000 FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'
EOS
$read = rows_read();
run("SELECT braze_start('braze')");

# it catches up, and the reader comes by the last call
$node->poll_query_until('postgres', <<EOS) or die 'the rest is not read';
SELECT idx_tup_read >= $read + $many FROM pg_stat_user_indexes WHERE indexrelname = 'braze_queue_pkey'
EOS
$braze->release;
ok(braze_flush($node), 'all is delivered');
is_deeply($braze->order, { distinct => $many + 2, violations => 0, duplicates => 0, repeats => 0 },
	'each call once, in order');
is(run('SELECT count(*) FROM braze_dead_letters'), '0', 'and nothing was refused');

$node->stop;
done_testing();
