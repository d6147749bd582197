# While nothing is delivered, calls that are taken out of the queue one by one do
# not have all of it searched for the oldest one each time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $rows = 3000;
my $deletes = 20;
my $braze = StandIn->new;
my $node = braze_server('main', conf => "segment_braze.nap = '60 s'\nlog_min_messages = debug1\nautovacuum = off");

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

run('CREATE EXTENSION segment_braze');
for my $name ('d1', 'd2')
{
	braze_destination($node, 'postgres', $name, $braze, start => 0);
}
run(<<"EOS");
INSERT INTO braze_queue (destination, call)
SELECT CASE WHEN n < $rows THEN 'd1' ELSE 'd2' END, '{"type": "track", "userId": "u", "event": "E"}' FROM generate_series(1, $rows) n
EOS

# a new worker searches them once
my $log = -s $node->logfile;
my $pid = braze_worker_pid($node);
run("SELECT pg_terminate_backend($pid)");
braze_wait_for_worker($node, 'postgres', $pid);
ok($node->wait_for_log(qr/segment_braze: looked for the oldest calls, those of 0 destinations/, $log), 'the oldest calls are found');
for my $n (1 .. $deletes)
{
	my $from = -s $node->logfile;

	run(q{DELETE FROM braze_queue WHERE id = (SELECT min(id) FROM braze_queue); SELECT braze_notify_worker(true)});
	$node->wait_for_log(qr/looked for calls that were taken out of the queue/, $from);

	# and a read after it
	$from = -s $node->logfile;
	run('SELECT braze_notify_worker()');
	$node->wait_for_log(qr/reading the queue ended/, $from);
}
my @searches = slurp_file($node->logfile, $log) =~ /segment_braze: looked for the oldest calls/g;
cmp_ok(scalar(@searches), '<', $deletes / 2, 'and not for each of them');

$node->stop;
done_testing();
