# Writers that roll back, commits that the server has not flushed, faults of
# Braze, and kills of everything, all at once: what arrives is exactly what was
# committed, in order per user.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	conf => "wal_writer_delay = 10s\nsegment_braze.max_memory = '4MB'",
	options => "request_timeout '2 s', max_requests_in_flight '16'");

# Numbers are drawn while the user's row is locked, so they are in the order of
# the ids.  What a crash undoes takes the number along with the call.
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO users SELECT generate_series(0, 59);
CREATE TABLE committed (seq bigint PRIMARY KEY);
CREATE SEQUENCE seq CACHE 1;
CREATE FUNCTION queue(userid int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('seq');
BEGIN
	INSERT INTO committed VALUES (n);
	IF n % 5 = 0 THEN
		PERFORM braze_track('w' || userid, 'Order Completed', jsonb_build_object('products',
			jsonb_build_array(jsonb_build_object('product_id', 'p1', 'price', 1, 'seq', n))));
	ELSE
		PERFORM braze_track('w' || userid, 'Written', jsonb_build_object('seq', n));
	END IF;
END $$;
EOS
my @arguments;
my %script = (
	flushed => [ 'on', 'SELECT queue(:user)', 'COMMIT' ],
	unflushed => [ 'off', 'SELECT queue(:user)', 'COMMIT' ],
	part => [ 'off', 'SAVEPOINT s', 'SELECT queue(:user)', 'ROLLBACK TO s', 'SELECT queue(:user)', 'COMMIT' ],
	none => [ 'on', 'SELECT queue(:user)', 'ROLLBACK' ]);
foreach my $name (sort keys %script)
{
	my $file = $node->basedir . "/$name.sql";
	my ($commit, @statements) = @{ $script{$name} };

	append_to_file($file, join '', map { "$_\n" }
		'\set user random(0, 59)',
		'BEGIN;',
		"SET LOCAL synchronous_commit = $commit;",
		'SELECT FROM users WHERE id = :user FOR UPDATE;',
		map { "$_;" } @statements);
	push @arguments, '-f', $file;
}

# a worker is killed, and the server stays up or comes up again
sub replace
{
	my ($signal) = @_;
	my $pid = braze_wait_for_worker($node);

	kill $signal, $pid;
	braze_wait_for_worker($node, 'postgres', $pid);
	return;
}

my @disruptions = (
	[ 'SIGTERM of the worker', sub { replace('TERM') } ],
	[ 'SIGKILL of the worker', sub { replace('KILL') } ],
	[ 'an immediate shutdown', sub { $node->stop('immediate'); $node->start; } ],
	[ 'a Braze that is away', sub { $braze->fault(kind => 'close', count => 20); } ],
	[ 'a lock on the queue', sub { $node->safe_psql('postgres', 'VACUUM FULL braze_queue') } ],
	[ 'an option that changes', sub {
			$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (ADD max_objects_per_request '20')") } ],
	[ 'a pause', sub { $node->safe_psql('postgres', "SELECT braze_pause('braze')");
			braze_wait_for_state($node, 'braze', 'paused: %');
			$node->safe_psql('postgres', "SELECT braze_start('braze')") } ],
	[ 'a second immediate shutdown', sub { $node->stop('immediate'); $node->start; } ]);

my $accepted = 0;
foreach my $disruption (@disruptions)
{
	my ($what, $do) = @$disruption;
	my ($output, $pgbench);

	# what Braze has applied is lost on the way back, or fails, now and then
	$braze->clear_faults;
	$braze->fault(kind => 'cut', probability => 0.05, seed => 7);
	$braze->fault(kind => 'status', status => 503, probability => 0.05, seed => 8);
	$braze->fault(kind => 'slow', delay_ms => 30, probability => 0.3, seed => 9);
	{
		local %ENV = braze_environment($node);

		$pgbench = start([ 'pgbench', '-n', '-c', '8', '-t', '120', @arguments, 'postgres' ],
			'<', \undef, '>&', \$output);
	}

	# in the midst of it
	$braze->wait_for_accepted($braze->accepted + 50);
	$do->();
	finish($pgbench);
	braze_poll_while_restarting($node, 'postgres', 'SELECT true') or die "no server after $what";
	cmp_ok($braze->accepted, '>', $accepted, "calls arrive until $what");
	$accepted = $braze->accepted;
}
$braze->clear_faults;
braze_flush($node);

my $committed = $node->safe_psql('postgres', 'SELECT seq FROM committed ORDER BY seq');
my %committed = map { $_ => 1 } split /\n/, $committed;
my $seen = $braze->seen;
is(join(' ', grep { !$seen->{$_} } sort { $a <=> $b } keys %committed), '', 'nothing that was committed is lost');
is(join(' ', grep { !$committed{$_} } sort { $a <=> $b } keys %$seen), '', 'nothing else has arrived');
my $order = $braze->order;
is($order->{violations}, 0, 'in order per user');
cmp_ok($order->{distinct}, '>', 1000, 'that was a lot');
note("duplicates: $order->{duplicates}");
is($braze->stats->{overlaps}, 0, 'no user was in two requests at the same time');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM braze_queue), (SELECT count(*) FROM braze_dead_letters)'),
	'0|0', 'nothing is left');
unlike(slurp_file($node->logfile), qr/far below the last one/, 'and the sweep has not found what the reader missed');

$node->stop;
done_testing();
