# Every database that has the extension is served, without a setting; and the
# worker is in nobody's way, not even while Braze never answers.

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
my $node = braze_server('main');
my $in_transaction = <<'EOS';
SELECT count(*) FROM pg_stat_activity
WHERE backend_type LIKE 'segment_braze %'
	AND (xact_start IS NOT NULL OR backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
EOS

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub make
{
	my ($database) = @_;

	run("CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION segment_braze');

	# what waits for the end of a hanging request waits for longer than the test
	braze_destination($node, $database, 'braze', $braze, options => "request_timeout '1 h'");
	return;
}

sub queue
{
	my ($database, $user) = @_;

	$node->safe_psql($database, "SELECT braze_track('$user', 'A')");
	return;
}

sub arrived
{
	my ($user) = @_;
	return scalar grep { $_->{user} eq $user && $_->{outcome} eq 'accepted' } $braze->log;
}

sub no_worker
{
	my ($database) = @_;

	return $node->poll_query_until('postgres', <<EOS);
SELECT count(*) = 0 FROM pg_stat_activity
WHERE backend_type = 'segment_braze worker' AND datname = '$database'
EOS
}

# two databases, each with the extension later than the server's start
make('one');
make('two');
queue('one', 'of one');
queue('two', 'of two');
braze_flush($node, 'one');
braze_flush($node, 'two');
is(arrived('of one') + arrived('of two'), 2, 'two databases are served without a setting');
ok(no_worker('postgres'), 'a database without the extension has no worker');

# it comes, goes, and comes again
run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'braze', $braze);
queue('postgres', 'of the third');
braze_flush($node);
is(arrived('of the third'), 1, 'CREATE EXTENSION brings a worker');
run('DROP EXTENSION segment_braze CASCADE');
ok(no_worker('postgres'), 'DROP EXTENSION ends it');
run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'braze', $braze);
queue('postgres', 'of the third again');
braze_flush($node);
is(arrived('of the third again'), 1, 'and CREATE EXTENSION brings it again');

# The launcher finds a new database by itself, and may ask it just before its
# extension is there.
my $served = 0;
foreach my $i (1 .. 10)
{
	make("brief$i");
	$served++ if braze_wait_for_worker($node, "brief$i");
	run("DROP DATABASE brief$i");
}
is($served, 10, 'CREATE EXTENSION right after CREATE DATABASE brings a worker');

# Shared memory has places for 1,024 destinations.  Those of a database that was
# dropped are free for others.
foreach my $round (1, 2)
{
	run('CREATE DATABASE many');
	$node->safe_psql('many', <<'EOS');
CREATE EXTENSION segment_braze;
DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		EXECUTE format('CREATE SERVER s%s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter ''US-01'')', i);
	END LOOP;
END $$;
EOS
	ok($node->poll_query_until('many', 'SELECT count(*) = 200 FROM braze_counters()'),
		"200 destinations, all in the status, round $round");
	run('DROP DATABASE many');
}

# a rolled-back DROP EXTENSION changes nothing
run('BEGIN; DROP EXTENSION segment_braze CASCADE; ROLLBACK;');
queue('postgres', 'after the rollback');
braze_flush($node);
is(arrived('after the rollback'), 1, 'a DROP EXTENSION that is rolled back does not end it');

# Each worker sends a request that hangs, again when it is started again.
sub wait_for_hanging
{
	my ($count) = @_;

	return StandIn::wait_until(sub { $braze->stats->{held} == $count },
		"$count requests hang");
}

my $directory = $node->basedir . '/elsewhere';
mkdir $directory or die "$directory: $!";
run("CREATE TABLESPACE elsewhere LOCATION '$directory'");
foreach my $round ('idle', 'hanging')
{
	if ($round eq 'hanging')
	{
		$braze->reset;
		$braze->fault(kind => 'never');
	}

	make('moved');
	queue('moved', 'hanging') if $round eq 'hanging';
	wait_for_hanging(1) if $round eq 'hanging';
	braze_wait_for_worker($node, 'moved');
	run('ALTER DATABASE moved RENAME TO renamed');
	my $pid = braze_wait_for_worker($node, 'renamed');
	ok($pid, "$round: ALTER DATABASE RENAME, and it is served again");

	wait_for_hanging(1) if $round eq 'hanging';
	run("CREATE DATABASE copy TEMPLATE renamed");
	ok(braze_wait_for_worker($node, 'copy'), "$round: CREATE DATABASE TEMPLATE, and the copy is served");
	braze_start($node, 'copy', 'braze');
	ok(braze_wait_for_worker($node, 'renamed'), "$round: and so is the template");

	# two in one transaction change their names
	wait_for_hanging(2) if $round eq 'hanging';
	run(<<'EOS');
BEGIN;
ALTER DATABASE renamed RENAME TO spare;
ALTER DATABASE copy RENAME TO renamed;
ALTER DATABASE spare RENAME TO copy;
COMMIT;
EOS
	ok(braze_wait_for_worker($node, 'copy') && braze_wait_for_worker($node, 'renamed'),
		"$round: two databases exchange their names, and both are served");

	wait_for_hanging(2) if $round eq 'hanging';
	run('ALTER DATABASE copy SET TABLESPACE elsewhere');
	ok(braze_wait_for_worker($node, 'copy'), "$round: ALTER DATABASE SET TABLESPACE, and it is served again");

	wait_for_hanging(2) if $round eq 'hanging';
	run('DROP DATABASE copy');
	wait_for_hanging(1) if $round eq 'hanging';
	run('DROP DATABASE renamed');
	is(run("SELECT count(*) FROM pg_database WHERE datname IN ('copy', 'renamed')"),
		'0', "$round: DROP DATABASE");

	make('dropped');
	queue('dropped', 'hanging') if $round eq 'hanging';
	wait_for_hanging(1) if $round eq 'hanging';
	ok($node->poll_query_until('postgres', $in_transaction, '0'),
		"$round: no worker has a transaction or a snapshot open");
	$node->safe_psql('dropped', 'DROP EXTENSION segment_braze CASCADE');
	ok(no_worker('dropped'), "$round: DROP EXTENSION CASCADE");
	run('DROP DATABASE dropped');
}

# a command that is refused leaves the worker alone
my $pid = braze_worker_pid($node, 'one');
run('CREATE ROLE nobody LOGIN; CREATE ROLE creator LOGIN CREATEDB');
foreach my $sql (
	'DROP DATABASE one', 'ALTER DATABASE one RENAME TO other', 'CREATE DATABASE other TEMPLATE one')
{
	foreach my $role ('nobody', 'creator')
	{
		isnt($node->psql('postgres', $sql, extra_params => [ '-U', $role ]),
			0, "$role: $sql is refused");
	}
}
is(braze_worker_pid($node, 'one'), $pid, 'and the worker has not been stopped');

# a database that cannot be had, since another session is in it
my $session = $node->background_psql('one');
isnt($node->psql('postgres', 'DROP DATABASE one'), 0, 'DROP DATABASE of one in use');
$session->quit;
$braze->clear_faults;
queue('one', 'still served');
braze_flush($node, 'one');
is(arrived('still served'), 1, 'it is served afterwards');

# a server that never answers delays nothing
$braze->reset;
$braze->fault(kind => 'never');
queue('one', 'never answered');
queue('two', 'never answered');
$braze->wait_for_stat('held', 2);
$node->append_conf('postgresql.conf', "segment_braze.deliver = off");
$node->reload;
ok(braze_wait_for_state($node, 'braze', 'off: %', 'one'), 'a reload is obeyed while a request hangs');
ok($node->poll_query_until('postgres', $in_transaction, '0'), 'no transaction or snapshot is open');
$node->safe_psql('one', 'BEGIN; LOCK TABLE braze_queue IN ACCESS EXCLUSIVE MODE; COMMIT;');
pass('nor is a lock held on the queue');
$node->stop('fast');
pass('a fast shutdown ends');

$braze->clear_faults;
$braze->reset;
$node->append_conf('postgresql.conf', "segment_braze.deliver = on");
$node->start;
braze_flush($node, 'one');
braze_flush($node, 'two');
is($braze->accepted, 2, 'what was never answered is sent after the restart');

# more databases than workers that may be had
$node->append_conf('postgresql.conf', "max_worker_processes = 2");
$node->restart;
ok( StandIn::wait_until(
		sub {
			my @states = map {
				$node->safe_psql($_, "SELECT state FROM braze_status WHERE destination = 'braze'")
			} 'one', 'two';
			return grep { /^no worker: .*max_worker_processes/ } @states;
		},
		'a database without a worker says so'),
	'a database that got no worker says so in its status');

$node->stop;
done_testing();
