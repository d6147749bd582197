# The rounds of dev/cluster: writers queue calls through pgbouncer, and in each
# round something of the cluster is killed, frozen, restarted or moved. Then what
# the writers know of their transactions and what the database has is compared
# with what the stand-ins were sent, and by which node.
#
# In the environment: CLUSTER_DIRECTORY, CLUSTER_BIN (PostgreSQL's), one for each
# program, CLUSTER_ROUNDS, CLUSTER_SEED, CLUSTER_SECONDS, CLUSTER_ASYNCHRONOUS, and
# CLUSTER_KINDS, a pattern, to have only some of what may happen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Carp;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(time usleep);

use Dice;
use Patroni;
use StandIn;

my $directory = $ENV{CLUSTER_DIRECTORY};
my ($rounds, $seed, $asynchronous) = @ENV{qw(CLUSTER_ROUNDS CLUSTER_SEED CLUSTER_ASYNCHRONOUS)};
my ($clients, $users, $in_flight, $timeout) = (6, 30, 8, 3);
my %options = (one => '', two => ", changed_attributes_only 'true'");
my @faults = (
	[ kind => 'refuse', name => 'Malformed' ],
	[ kind => 'errors', name => 'Poison' ],
	[ kind => 'errors', name => 'poison' ],
	[ kind => 'status', status => 503, probability => 0.01 ],
	[ kind => 'close', probability => 0.01, applied => 1 ],
	[ kind => 'slow', probability => 0.3, delay_ms => 60 ]);
my $for_good = 3;
my (%standin, $cluster, $first_leader, $round, $what, %slowest);

# no round begins after that
my $ends = time + $ENV{CLUSTER_SECONDS};

$| = 1;
srand($seed);

# ----- the cluster, its destinations and the writers -----

sub start_cluster
{
	my $json = JSON::PP->new->canonical;

	foreach my $name (sort keys %options)
	{
		my $file = "$directory/faults_$name";

		open my $faults, '>', $file or croak "$file: $!";
		print $faults $json->encode({ @$_, seed => dice(1_000_000) }) . "\n" foreach @faults;
		close $faults;
		$standin{$name} = StandIn->new(ledger => "$directory/ledger_$name", faults => $file,
			key => join ',', map { "key-of-shop-node$_" } 1 .. 3);
	}
	$cluster = Patroni->new(
		directory => "$directory/cluster",
		bin => $ENV{CLUSTER_BIN},
		programs => { map { $_ => $ENV{ 'CLUSTER_' . uc $_ } } qw(etcd haproxy pgbouncer patroni patronictl) },
		synchronous => !$asynchronous);
	$first_leader = $cluster->wait_until_whole;
	$cluster->sql($cluster->leader, 'postgres', q{CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE DATABASE shop OWNER app})
	  // croak $cluster->{error};
	$cluster->must('CREATE EXTENSION segment_braze');

	# each node has a key of its own, as if the file were on a machine of its own:
	# so the stand-in knows which node it hears
	foreach my $name (sort keys %options)
	{
		my $url = $standin{$name}->url;

		$cluster->must(<<"EOS");
CREATE SERVER $name FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '$url', app_identifier 'test-app',
	identifiers 'user_id, anonymous_id', alias_calls 'merge', identity_delay '10 ms', request_timeout '$timeout s',
	max_requests_in_flight '$in_flight', max_objects_per_request '10'$options{$name});
CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (rest_api_key_file '/proc/self/cwd/../key');
GRANT USAGE ON FOREIGN SERVER $name TO app;
SELECT braze_start('$name');
EOS
	}
	$cluster->must('GRANT INSERT ON braze_queue TO app',
		'GRANT EXECUTE ON FUNCTION braze_trigger TO app',
		'SET SESSION AUTHORIZATION app',
		"\\i $FindBin::RealBin/../torture/setup.sql",
		"\\i $FindBin::RealBin/setup.sql",
		"INSERT INTO users SELECT 'u' || n FROM generate_series(0, $users - 1) n");
	return;
}

sub start_writers
{
	my $dsn = "host=127.0.0.1 port=$cluster->{port}{pgbouncer} dbname=shop user=app password=app-secret";

	$cluster->start_program('writers', '/usr/bin/python3', "$FindBin::RealBin/writers.py", $dsn, "$directory/outcomes", $seed, $clients, $users);
	return;
}

sub stop_writers
{
	my $pid = $cluster->{pid}{writers};

	kill 'TERM', $pid;
	StandIn::wait_until(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 'the writers end');
	return;
}

sub accepted
{
	my $accepted = 0;

	$accepted += $_->accepted foreach values %standin;
	return $accepted;
}

sub mark
{
	my ($text) = @_;

	$_->mark($text) foreach values %standin;
	return;
}

# what a process sent before it died is read before these are answered
sub killed
{
	accepted() foreach 1 .. 3;
	mark("after $round");
	return;
}

sub await_accepted
{
	my ($more) = @_;
	my $enough = accepted() + $more;

	return StandIn::wait_until(sub { accepted() >= $enough }, "$more objects more were accepted");
}

# ----- what happens to it -----

sub kill_leader
{
	my ($and_patroni) = @_;
	my $leader = $cluster->leader;
	my @receivers;

	mark("before $round $what");

	# the new leader lacks what is acknowledged and sent meanwhile
	if ($and_patroni && $asynchronous)
	{
		@receivers = $cluster->stop_receivers;
		await_accepted(100);
	}
	$cluster->kill_node($leader, $and_patroni);
	Patroni::end_stopped(@receivers);
	killed();
	if ($and_patroni)
	{
		$cluster->wait_for_leader($leader) if dice(3);
		$cluster->start_patroni($leader);
	}
	return;
}

sub kill_worker
{
	my $pid;

	StandIn::wait_until(sub {
		$pid = $cluster->must("SELECT pid FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'");
	}, 'there is a worker');
	mark("before $round $what");
	kill 'KILL', $pid;
	Patroni::wait_until_gone($pid);
	killed();
	return;
}

sub kill_replica
{
	my $name = one_of($cluster->replicas);

	mark("before $round $what");
	$cluster->kill_node($name, 1);
	killed();
	usleep(1_000_000 * dice(4));
	$cluster->start_patroni($name);
	return;
}

sub kill_etcd
{
	mark("before $round $what");
	$cluster->kill_program('etcd');
	usleep(1_000_000 * dice(12));
	$cluster->start_etcd;
	killed();
	return;
}

# It has calls to send when it is frozen, and some under way.
sub freeze_leader
{
	my $leader = $cluster->leader;
	my @slow = map { [ $_, $standin{$_}->fault(kind => 'slow', delay_ms => 1500) ] } sort keys %standin;
	my $patience = time + 20;

	StandIn::wait_until(sub { $cluster->must('SELECT count(*) FROM braze_queue') > 200 || time > $patience }, 'there is a backlog');
	mark("before $round $what");
	$cluster->freeze($leader);

	# what it had sent is judged, answered or not
	usleep(1_700_000);
	killed();
	mark("frozen $round $leader");
	$standin{ $_->[0] }->clear_faults($_->[1]) foreach @slow;
	$cluster->wait_for_leader($leader);
	await_accepted(20);
	mark("thawed $round $leader");
	if (dice(2))
	{
		$cluster->thaw_postgres($leader);
		usleep(3_000_000);
	}
	$cluster->thaw($leader);
	$cluster->wait_until_whole;
	mark("back $round $leader");
	return;
}

# what Patroni is asked for; a settled call is one on the standby as well then
sub ask_patroni
{
	my (@arguments) = @_;

	mark("before $round $what");
	$cluster->patronictl(@arguments);
	killed();
	return;
}

my @kinds = (
	[ 'SIGKILL of the leader\'s postmaster', sub { kill_leader(0) } ],
	[ 'SIGKILL of the leader and its Patroni', sub { kill_leader(1) } ],
	[ 'leader frozen and thawed', \&freeze_leader ],
	[ 'SIGKILL of the worker', \&kill_worker ],
	[ 'SIGKILL of a replica and its Patroni', \&kill_replica ],
	[ 'SIGKILL of etcd', \&kill_etcd ],
	[ 'patronictl switchover', sub {
		ask_patroni('switchover', $cluster->{scope}, '--master', $cluster->leader, '--candidate', one_of($asynchronous ? $cluster->replicas : $cluster->standby), '--force')
	} ],
	[ 'patronictl restart', sub { ask_patroni('restart', $cluster->{scope}, one_of($cluster->nodes), '--force') } ],
	[ 'patronictl reinit', sub { ask_patroni('reinit', $cluster->{scope}, one_of($cluster->replicas), '--force') } ],
	[ 'SIGKILL of pgbouncer', sub {
		mark("before $round $what");
		$cluster->kill_program('pgbouncer');
		usleep(100_000 * dice(20));
		$cluster->start_pgbouncer;
		killed();
	} ]);

@kinds = grep { $_->[0] =~ /$ENV{CLUSTER_KINDS}/ } @kinds if $ENV{CLUSTER_KINDS};

sub round
{
	my ($kind, $act) = @{ in_turn_at_first($round, @kinds) };
	my $began = time;

	$what = $kind;
	printf "# %d: %s (%s leads)\n", $round, $what, $cluster->leader;
	await_accepted(20 + dice(100));
	$act->();
	$cluster->wait_until_whole;
	mark('leads ' . $cluster->leader);
	$slowest{$what} = time - $began if time - $began > ($slowest{$what} || 0);
	printf "#   %.0f s\n", time - $began;
	return;
}

# ----- the oracle -----

# Braze is well again, and all that is queued is settled.
sub end
{
	stop_writers();
	foreach my $name (sort keys %standin)
	{
		$standin{$name}->clear_faults($_->{id}) foreach grep { $_->{id} > $for_good } $standin{$name}->faults;
		$cluster->must("SELECT braze_start('$name')");
	}
	$cluster->must("SELECT braze_flush('90 s')") eq 't' or croak 'the queue was not settled: ' . $cluster->must('SELECT * FROM braze_status');
	return;
}

sub judge
{
	my @led = ($first_leader, $cluster->history);
	my @tables = map { ; "ALTER TABLE lines ALTER destination SET DEFAULT '$_'",
		"COPY lines (entry) FROM '$directory/ledger_$_' (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')" } sort keys %standin;

	$cluster->{options} = '-c statement_timeout=0 -c synchronous_commit=local';
	$cluster->must(
		'\set in_flight ' . $in_flight . "\n" . '\set timeout ' . "${timeout}000\n" . '\set asynchronous ' . ($asynchronous ? 'true' : 'false') . "\n"
		. 'CREATE TABLE lines (destination name, position bigint GENERATED ALWAYS AS IDENTITY, entry jsonb)', @tables,
		'CREATE TABLE outcome_lines (entry jsonb)',
		"COPY outcome_lines FROM '$directory/outcomes' (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')",
		'CREATE TABLE led (place int GENERATED ALWAYS AS IDENTITY, node text)',
		(map { "INSERT INTO led (node) VALUES ('$_')" } @led),
		"\\i $FindBin::RealBin/../torture/oracle.sql",
		"\\i $FindBin::RealBin/oracle.sql");
	return;
}

start_cluster();
start_writers();
foreach (1 .. $rounds)
{
	last if time > $ends;
	$round = $_;
	round();
}
end();
judge();
printf "figures\n%-60s %8d\n%s\n", 'rounds', $round,
  $cluster->must("SELECT rpad(what, 60) || ' ' || lpad(figure, 8) FROM figures ORDER BY position");
printf "%-60s %7.0fs\n", "slowest round: $_", $slowest{$_} foreach sort keys %slowest;
my $violations = $cluster->must(q{SELECT what || ' (' || coalesce(destination, '') || '): ' || detail
	FROM (SELECT *, row_number() OVER (PARTITION BY what) AS n FROM violations) v WHERE n <= 5 ORDER BY what, n});
print "end of figures\n$violations\n";
exit($violations eq '' ? 0 : 1);
