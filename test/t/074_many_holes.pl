# Ids that nobody fills, more than are remembered one by one: nobody waits for
# the transaction that keeps them, nothing is lost and nothing sent twice, and
# they take no memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $many = 10050;
my $braze = StandIn->new;
my $other = StandIn->new;
my $node = braze_node('main', $braze, conf => "autovacuum = off\nsegment_braze.nap = '60s'");

braze_destination($node, 'postgres', 'other', $other);

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub background
{
	my (@statements) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe($_) foreach @statements;
	return $session;
}

sub end
{
	my ($session, $how) = @_;

	$session->query_safe($how);
	$session->quit;
	return;
}

# calls that commit and others that roll back, one after the other
sub alternate
{
	my ($event, $count) = @_;

	run(<<EOS);
DO \$\$
BEGIN
	FOR n IN 1 .. $count LOOP
		PERFORM braze_track('u' || n % 50, '$event', jsonb_build_object('seq', n), destination => 'braze');
		BEGIN
			PERFORM braze_track('u1', 'rolled back', destination => 'braze');
			RAISE EXCEPTION 'never mind';
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
\$\$
EOS
	return;
}

sub resident
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;

	return $kb / 1024;
}

# One transaction stays open, with calls before and between the others.
my $open = background('BEGIN', q{SELECT braze_track('first', 'early', destination => 'braze');});
alternate('a', $many / 2);
$open->query_safe(q{SELECT braze_track('middle', 'early', destination => 'braze');});
alternate('b', $many / 2);
$open->query_safe(q{SELECT braze_track('last', 'early', destination => 'braze');});
alternate('c', $many);
run(q{SELECT braze_track('u', 'innocent', destination => 'other')});
$other->wait_for_accepted(1);
pass('a call of somebody else is sent while a transaction is open beside many that rolled back');
$braze->wait_for_accepted(2 * $many);
is($braze->accepted, 2 * $many, 'so are all that committed, each once');

# it ends while some of them are under way: these are not taken for new
$braze->hold;
alternate('d', 3000);
$braze->wait_for_stat('held', 1);
end($open, 'COMMIT;');
$braze->release;
braze_flush($node);
is_deeply([ map { $braze->user($_)->{event_count} } qw(first middle last) ],
	[ 1, 1, 1 ], 'its own calls are sent when it commits');
is($braze->accepted, 2 * $many + 3000 + 3, 'and no other comes twice');

# A million of them: what is remembered does not grow with their number.
my $pid = braze_worker_pid($node);
$open = background('BEGIN', q{SELECT braze_track('late', 'early', destination => 'braze');});
my $before = resident($pid);
run(<<'EOS');
INSERT INTO braze_queue (id, destination, call)
SELECT (SELECT last_value FROM braze_queue_id_seq) + 2 * n, 'nobody', '{}'
FROM generate_series(1, 1000000) n;
SELECT setval('braze_queue_id_seq', max(id)) FROM braze_queue;
EOS
StandIn::wait_until(
	sub {
		run(q{SELECT braze_track('u', 'seen', destination => 'other')});
		return run(q{SELECT idx_tup_read FROM pg_stat_all_indexes WHERE indexrelname = 'braze_queue_pkey'}) > 1000000;
	},
	'the worker has read them');
cmp_ok((my $grown = resident($pid) - $before), '<', 12, 'a million holes take no memory');
end($open, 'ROLLBACK;');
note "grown by $grown MB";

# A plain VACUUM fills no hole, however long it takes: the worker goes to rest.
my $vacuum = background(q{SET vacuum_cost_delay = '100ms'}, 'SET vacuum_cost_limit = 1');
$vacuum->query_until(qr/begins/, "\\echo begins\nVACUUM (TRUNCATE off, INDEX_CLEANUP off) braze_queue;\n");
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'braze_queue'::regclass AND mode = 'ShareUpdateExclusiveLock'})
  or die 'no VACUUM';
run(q{BEGIN; SELECT braze_track('u', 'rolled back', destination => 'other'); ROLLBACK});
run(q{SELECT braze_track('u', 'behind it', destination => 'other')});
ok( $node->poll_query_until('postgres', <<'EOS'), 'a hole is forgotten while VACUUM runs');
SELECT clock_timestamp() - state_change > '2 s' FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'
EOS
is( run(q{SELECT count(*) FROM pg_stat_progress_vacuum}), '1', 'which still does');
run(q{SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum});

$node->stop;
done_testing();
