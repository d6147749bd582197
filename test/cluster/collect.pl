# The rounds of dev/cluster --collect: writers queue calls at three origins, each
# two nodes under Patroni, and a delivery node, which is a leader and its standby
# under Patroni as well, collects them.  In each round something of an origin or
# of the delivery node is killed, frozen or moved.  Then what was committed at the
# origins is compared with what the delivery node has queued.  The origins are
# without synchronous_mode if CLUSTER_ASYNCHRONOUS is set.
#
# The environment is that of rounds.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Carp;
use POSIX ();
use Time::HiRes qw(time usleep);

use Dice;
use Patroni;
use StandIn;

my $directory = $ENV{CLUSTER_DIRECTORY};
my ($rounds, $seed, $asynchronous) = @ENV{qw(CLUSTER_ROUNDS CLUSTER_SEED CLUSTER_ASYNCHRONOUS)};
my ($clients, $users) = (3, 20);
my @origins = qw(east west north);
my (%cluster, %killed, %slowest, $done);

# no round begins after that
my $ends = time + $ENV{CLUSTER_SECONDS};

$| = 1;
srand($seed);

# ----- the delivery node, the origins and their writers -----

sub start_clusters
{
	my %common = (
		bin => $ENV{CLUSTER_BIN},
		programs => { map { $_ => $ENV{ 'CLUSTER_' . uc $_ } } qw(etcd haproxy pgbouncer patroni patronictl) },
		nodes => 2,
		pooler => 0);

	$cluster{delivery} = Patroni->new(%common, directory => "$directory/delivery", scope => 'delivery', parameters => { max_worker_processes => 16 });
	foreach my $name (@origins)
	{
		$cluster{$name} = Patroni->new(%common, directory => "$directory/$name", scope => $name, beside => $cluster{delivery},
			parameters => { 'segment_braze.deliver' => "'off'" }, synchronous => !$asynchronous);
	}
	foreach my $cluster (values %cluster)
	{
		$cluster->wait_until_whole;
		$cluster->sql($cluster->leader, 'postgres', "CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE ROLE collector LOGIN PASSWORD 'collector-secret';
			CREATE DATABASE $cluster->{scope} OWNER app") // croak $cluster->{error};
		$cluster->must('CREATE EXTENSION segment_braze', map { "CREATE SERVER $_ FOREIGN DATA WRAPPER segment_braze
			OPTIONS (datacenter 'US-01', app_identifier 'test-app', identifiers 'user_id, anonymous_id', alias_calls 'merge');
			GRANT USAGE ON FOREIGN SERVER $_ TO app" } qw(one two));
	}
	return;
}

# What is queued at the delivery node stays there, to be counted.
sub start_collecting
{
	my $number = 0;

	$cluster{delivery}->must('CREATE EXTENSION postgres_fdw', map { "SELECT braze_start('$_'), braze_pause('$_')" } qw(one two));
	foreach my $name (@origins)
	{
		my @ports = map { $cluster{$name}{node}{$_}{port} } $cluster{$name}->nodes;
		my ($hosts, $ports) = (join(',', map { '127.0.0.1' } @ports), join ',', @ports);

		$number += 1_000_000_000;
		$cluster{$name}->must('GRANT INSERT, SELECT, DELETE ON braze_queue TO app, collector', 'GRANT SELECT ON braze_collect_locks TO collector',
			'GRANT EXECUTE ON FUNCTION braze_trigger TO app',
			'SET SESSION AUTHORIZATION app',
			"\\i $FindBin::RealBin/../torture/setup.sql",
			"\\i $FindBin::RealBin/setup.sql",
			"ALTER SEQUENCE numbers RESTART $number",
			"INSERT INTO users SELECT 'u' || n FROM generate_series(0, $users - 1) n");
		$cluster{delivery}->must(
			"CREATE SERVER $name FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$hosts', port '$ports', dbname '$name', target_session_attrs 'read-write')",
			"CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (user 'collector', password 'collector-secret')",
			"SELECT braze_collect('$name', 'braze_queue')");
		$cluster{$name}->start_program('writers', '/usr/bin/python3', "$FindBin::RealBin/writers.py",
			"host=$hosts port=$ports dbname=$name user=app password=app-secret target_session_attrs=read-write", "$directory/outcomes_$name", $seed, $clients, $users);
	}
	return;
}

sub stop_writers
{
	my ($cluster) = @_;
	my $pid = $cluster->{pid}{writers};

	kill 'TERM', $pid;
	return StandIn::wait_until(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 'the writers end');
}

# undef: it cannot be asked
sub queued
{
	return $cluster{delivery}->sql($cluster{delivery}->leader, 'delivery', 'SELECT last_value FROM braze_queue_id_seq');
}

sub await_queued
{
	my ($more) = @_;
	my $enough = (queued() // 0) + $more;

	return StandIn::wait_until(sub { (queued() // 0) >= $enough }, "$more calls more are queued");
}

# ----- what happens to them -----

# an asynchronous standby of an origin does not get what is queued meanwhile
sub fall_behind
{
	my ($cluster) = @_;
	my @receivers;

	return unless $asynchronous && $cluster->{scope} ne 'delivery';
	@receivers = $cluster->stop_receivers;
	await_queued(200);
	return @receivers;
}

sub kill_leader
{
	my ($cluster, $and_patroni) = @_;
	my $leader = $cluster->leader;
	my @receivers = $and_patroni ? fall_behind($cluster) : ();

	$cluster->kill_node($leader, $and_patroni);
	Patroni::end_stopped(@receivers);
	return unless $and_patroni;
	$cluster->wait_for_leader($leader) if dice(3);
	$cluster->start_patroni($leader);
	return;
}

sub kill_replica
{
	my ($cluster) = @_;
	my ($name) = $cluster->replicas;

	$cluster->kill_node($name, 1);
	usleep(1_000_000 * dice(4));
	$cluster->start_patroni($name);
	return;
}

sub freeze_leader
{
	my ($cluster) = @_;
	my $leader = $cluster->leader;

	$cluster->freeze($leader);
	$cluster->wait_for_leader($leader);
	await_queued(20);
	if (dice(2))
	{
		$cluster->thaw_postgres($leader);
		usleep(3_000_000);
	}
	$cluster->thaw($leader);
	return;
}

sub switch_over
{
	my ($cluster) = @_;

	$cluster->patronictl('switchover', $cluster->{scope}, '--master', $cluster->leader, '--candidate', $cluster->replicas, '--force');
	return;
}

sub kill_collector
{
	my ($cluster, $signal) = @_;
	my @pids = split /\n/, $cluster->must("SELECT pid FROM pg_stat_activity WHERE backend_type = 'segment_braze collector'");
	my $pid = one_of(@pids) // return;

	kill $signal, $pid;
	Patroni::wait_until_gone($pid);
	return;
}

sub kill_etcd
{
	$cluster{delivery}->kill_program('etcd');
	usleep(1_000_000 * dice(10));
	$cluster{delivery}->start_etcd;
	return;
}

my @kinds = (
	(map {
		my $where = $_;
		my $cluster = sub { $cluster{ $where eq 'origin' ? one_of(@origins) : $where } };

		([ "SIGKILL of the leader's postmaster, $where", sub { kill_leader($cluster->(), 0) } ],
			[ "SIGKILL of the leader and its Patroni, $where", sub { kill_leader($cluster->(), 1) } ],
			[ "leader frozen and thawed, $where", sub { freeze_leader($cluster->()) } ],
			[ "SIGKILL of the standby and its Patroni, $where", sub { kill_replica($cluster->()) } ],
			[ "patronictl switchover, $where", sub { switch_over($cluster->()) } ]);
	} qw(delivery origin)),
	[ 'SIGKILL of a collector', sub { kill_collector($cluster{delivery}, 'KILL') } ],
	[ 'SIGTERM of a collector', sub { kill_collector($cluster{delivery}, 'TERM') } ],
	[ 'SIGKILL of etcd', \&kill_etcd ]);

@kinds = grep { $_->[0] =~ /$ENV{CLUSTER_KINDS}/ } @kinds if $ENV{CLUSTER_KINDS};

start_clusters();
start_collecting();
foreach my $round (1 .. $rounds)
{
	last if time > $ends;
	$done = $round;
	my ($what, $act) = @{ in_turn_at_first($round, @kinds) };
	my $began = time;

	print "# $round: $what\n";
	await_queued(20 + dice(100));
	$act->();
	$_->wait_until_whole foreach values %cluster;
	$killed{$what}++;
	$slowest{$what} = time - $began if time - $began > ($slowest{$what} || 0);
	printf "#   %.0f s\n", time - $began;
}

# ----- what was committed, and what is queued -----

stop_writers($cluster{$_}) foreach @origins;
foreach my $name (@origins)
{
	StandIn::wait_until(sub { $cluster{$name}->must('SELECT count(*) FROM braze_queue') == 0 }, "all calls of $name are collected");
}
$cluster{delivery}{options} = '-c statement_timeout=0 -c synchronous_commit=local';
$cluster{delivery}->must('CREATE TABLE outcome_lines (entry jsonb)',
	'CREATE TABLE committed (destination name, number bigint, nonce text, kind text, who text[], parts text[], queued_at timestamptz, origin text)');
foreach my $name (@origins)
{
	$cluster{$name}->must("COPY (SELECT destination, number, nonce, kind, who, parts, queued_at, '$name' FROM committed) TO '$directory/committed_$name'");
	$cluster{delivery}->must("COPY committed FROM '$directory/committed_$name'",
		"COPY outcome_lines FROM '$directory/outcomes_$name' (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')");
}
$cluster{delivery}->must('\set asynchronous ' . ($asynchronous ? 'true' : 'false') . "\n\\i $FindBin::RealBin/collect.sql");
printf "figures\n%-60s %8d\n%s\n", 'rounds', $done,
  $cluster{delivery}->must("SELECT rpad(what, 60) || ' ' || lpad(figure, 8) FROM figures ORDER BY position");
printf "%-60s %8d\n", $_, $killed{$_} foreach sort keys %killed;
printf "%-60s %7.0fs\n", "slowest round: $_", $slowest{$_} foreach sort keys %slowest;
my $violations = $cluster{delivery}->must(q{SELECT what || ': ' || detail
	FROM (SELECT *, row_number() OVER (PARTITION BY what) AS n FROM violations) v WHERE n <= 5 ORDER BY what, n});
print "end of figures\n$violations\n";
exit($violations eq '' ? 0 : 1);
