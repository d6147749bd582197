# A read that fails half-way: what it had taken is on disk before Braze hears of
# it, and a fault of the machine is not held against the call that met it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# random text: it is stored out of line
my $large = <<'EOS';
(SELECT string_agg(md5(n::text || random()), '') FROM generate_series(1, 500) n)
EOS
my $braze = StandIn->new;
my $node = braze_node('main', $braze, conf => <<EOC);
autovacuum = off
wal_writer_delay = 10s
segment_braze.nap = '60s'
EOC

sub run
{
	return $node->safe_psql('postgres', $_[0]);
}

sub deliver
{
	my ($value) = @_;

	run("ALTER SYSTEM SET segment_braze.deliver = $value");
	$node->reload;
	return;
}

SKIP:
{
	my ($early, %sent, %there);

	skip 'needs pg_surgery', 2
	  unless run("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'");

	# Five calls, and one that cannot be read, of one transaction.  All but its
	# commit is flushed by another one, and that by nobody but the worker.
	run('CREATE EXTENSION pg_surgery');
	run("SELECT braze_track('warm up', 'warm up')");
	braze_flush($node);
	$braze->reset;
	$early = $node->background_psql('postgres');
	$early->query_safe(<<EOS);
BEGIN;
SET LOCAL synchronous_commit = off;
SELECT count(braze_track('u' || n, 'early')) FROM generate_series(1, 5) n;
SELECT braze_track('u6', 'unreadable', jsonb_build_object('large', $large));
@{[ braze_destroy_toast() ]}
EOS
	run('CREATE TABLE flushes_wal ()');
	$braze->hold;
	$early->query_safe('COMMIT;');
	$early->quit;
	$braze->wait_for_stat('held', 1);
	$node->stop('immediate');
	$braze->release;
	%sent = map { $_->{user} => 1 } $braze->log;
	cmp_ok(scalar keys %sent, '>', 0, 'calls reach Braze although the read that took them failed');
	$node->append_conf('postgresql.auto.conf', 'segment_braze.deliver = off');
	$node->start;
	%there = map { $_ => 1 } split /\n/, run(q{SELECT call->>'userId' FROM braze_queue ORDER BY id LIMIT 5});
	is_deeply([ grep { !$there{$_} } sort keys %sent ],
		[], 'each of them is in the queue after a crash, synchronous_commit = off');
	run('TRUNCATE braze_queue');
	deliver('on');
	braze_flush($node);
	$braze->reset;
	run('TRUNCATE braze_dead_letters');
}

# A file that cannot be opened, as under a disk that fails: the read waits for
# it, and no call becomes a dead letter.
deliver('off');
braze_wait_for_state($node, 'braze', 'off: %');
run("SELECT braze_track('u1', 'later', jsonb_build_object('large', $large))");
my $file = $node->data_dir . '/'
  . run(q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'braze_queue'::regclass});
$node->stop;
rename $file, "$file.away" or die "$file: $!";
$node->append_conf('postgresql.auto.conf', 'segment_braze.deliver = on');
$node->start;
StandIn::wait_until(
	sub {
		my @tried = slurp_file($node->logfile) =~ /ERROR: +could not open file/g;
		return @tried >= 5;
	},
	'the read was tried five times');
like(run("SELECT state FROM braze_status WHERE destination = 'braze'"),
	qr/^waiting: the queue cannot be read.*could not open file/,
	'what the read waits for is in the status');
rename "$file.away", $file or die "$file: $!";
braze_flush($node);
is(run('SELECT delivered, dead_letters FROM braze_status'), '1|0',
	'when the disk is back the call is sent, and no dead letter was made of it');

# of a lock, too, behind which the view itself would wait
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE braze_queue;');
run('SELECT braze_notify_worker()');
ok( $node->poll_query_until('postgres',
		q{SELECT braze_worker_state() LIKE 'waiting: the queue cannot be read, %locked the table braze_queue'}),
	'that the queue is locked is said');
$lock->query_safe('COMMIT;');
$lock->quit;
ok(braze_wait_for_state($node, 'braze', 'running'), 'until the lock is gone');

# Files: what curl opens leaves room for the server's own.
$node->append_conf('postgresql.conf', 'max_files_per_process = 100');
$node->restart;
braze_wait_for_worker($node);
run("ALTER SERVER braze OPTIONS (ADD max_objects_per_request '1')");
run("SELECT braze_track('warm up', 'warm up')");
braze_flush($node);
$braze->reset;
$braze->hold;
run("SELECT count(braze_track('u' || n, 'file')) FROM generate_series(1, 200) n");
$braze->wait_for_stat('held', 5);
my $pid = braze_worker_pid($node);
run("SELECT count(braze_track('u' || n, 'file')) FROM generate_series(1, 200) n");
cmp_ok(scalar(grep { (readlink($_) // '') =~ /^socket/ } glob "/proc/$pid/fd/*"), '<', 40,
	'a worker opens no more sockets than a third of the files');
$braze->release;
braze_flush($node);
is($braze->accepted, 400, 'and all is sent with these');
is(run(q{SELECT last_error FROM braze_status WHERE last_error LIKE '%files%'}), '', 'without an error');

$node->stop;
done_testing();
