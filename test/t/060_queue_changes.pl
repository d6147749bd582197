# What happens to the queue's table and its ids under a running worker:
# nothing is lost and nothing sent twice.

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

sub queue_events
{
	my ($user, $first, $last) = @_;

	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('$user', 'e', jsonb_build_object('seq', i))) FROM generate_series($first, $last) i
EOS
	return;
}

# how often each number from first to last was applied, in short
sub applied
{
	my ($first, $last) = @_;
	my $seen = $braze->seen;
	my %times;

	$times{ $seen->{$_} || 0 }++ foreach $first .. $last;
	return join ', ', map { "$times{$_} x $_" } sort keys %times;
}

queue_events('u1', 1, 100);
ok(braze_flush($node), 'the queue is delivered');

# another queue of the same name, whose ids begin anew
$node->safe_psql('postgres', <<EOS);
BEGIN;
DROP EXTENSION segment_braze CASCADE;
CREATE EXTENSION segment_braze;
COMMIT;
EOS
braze_destination($node, 'postgres', 'braze', $braze);
queue_events('u1', 101, 150);
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM braze_queue")
  or die 'the new queue is not delivered';
is(applied(101, 150), '50 x 1', 'an extension that is dropped and created again gets a worker of its own');

# VACUUM FULL moves the rows of calls that are under way
$braze->hold;
queue_events('u2', 201, 280);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', 'DELETE FROM braze_queue WHERE id IN (SELECT id FROM braze_queue ORDER BY id DESC LIMIT 1)');
$node->safe_psql('postgres', 'VACUUM FULL braze_queue');
queue_events('u3', 281, 290);
$braze->release;
ok(braze_flush($node), 'after VACUUM FULL all is settled');
is(applied(201, 279), '79 x 1', 'and nothing was sent twice');
is(applied(281, 290), '10 x 1', 'what was queued since is sent');

# TRUNCATE RESTART IDENTITY gives ids of calls under way to others; their answers
# come when those are there, and must not settle them
$node->safe_psql('postgres', 'TRUNCATE braze_queue RESTART IDENTITY');
$braze->hold;
queue_events('u4', 301, 310);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', 'TRUNCATE braze_queue RESTART IDENTITY');
queue_events('u5', 311, 330);
is($node->safe_psql('postgres', 'SELECT min(id), max(id) FROM braze_queue'), '1|20', 'the ids are those of calls under way');
$braze->release;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM braze_queue")
  or die 'the truncated queue is not delivered';
is(applied(311, 330), '20 x 1', 'an id that begins anew is another call');

# ids that move backwards
queue_events('u6', 401, 440);
ok(braze_flush($node), 'the queue is delivered');
$node->safe_psql('postgres', "SELECT setval('braze_queue_id_seq', 3, false)");
queue_events('u6', 441, 450);
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM braze_queue")
  or die 'calls with lower ids are not delivered';
is(applied(441, 450), '10 x 1', 'a sequence that is set back loses nothing');

is($braze->stats->{overlaps}, 0, 'no user was in two requests at the same time');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'nothing was refused');

$node->stop;
done_testing();
