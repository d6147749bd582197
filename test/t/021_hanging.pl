# A network that hangs, in each of the places where it can: nobody who works
# with the database or the server waits for it, and no other destination does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use Braze;
use StandIn;

# In seconds.  What waited for what hangs would do so for ten, which is how long
# a connection may take, or for the time of a request.  A slow machine has three
# tries.
my $limit = 8;
my $tries = 3;

my $silent = StandIn->new;
my $healthy = StandIn->new;
my $node;
my $place;

$silent->fault(kind => 'never');

# takes no connection: its backlog is full
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "socket: $!";
my @waiting = map {
	IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0)
} 1 .. 8;

# takes connections, and says nothing
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 100) or die "socket: $!";

my %endpoints = (
	'the name server' => 'https://braze.hangs.invalid',
	'the connection' => 'https://127.0.0.1:' . $full->sockport,
	'the TLS handshake' => 'https://127.0.0.1:' . $mute->sockport,
	'the answer' => $silent->url);

{
	my $library = PostgreSQL::Test::Utils::tempdir() . '/hanging_resolver.so';

	system_or_bail($ENV{CC} || 'cc', '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', $library,
		"$FindBin::RealBin/../preload/hanging_resolver.c", '-ldl');
	$node = braze_server('main');
	$ENV{LD_PRELOAD} = $library;
	$node->restart;
}

sub exists_database
{
	my ($database) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$database'");
}

# a call of this database is under way, and hangs; returns the worker's pid
sub hang
{
	my ($database) = @_;
	my $pid;

	$node->safe_psql('postgres', "CREATE DATABASE $database") unless exists_database($database);
	unless ($node->safe_psql($database, "SELECT count(*) FROM pg_extension WHERE extname = 'segment_braze'"))
	{
		$node->safe_psql($database, <<EOS);
CREATE EXTENSION segment_braze;
CREATE SERVER hangs FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '$endpoints{$place}', request_timeout '1 h');
CREATE USER MAPPING FOR CURRENT_USER SERVER hangs OPTIONS (rest_api_key 'test-key');
SELECT braze_track('u1', 'A', destination => 'hangs');
EOS
	}
	braze_start($node, $database, 'hangs');
	$pid = braze_wait_for_worker($node, $database);
	$node->poll_query_until($database, "SELECT in_flight = 1 FROM braze_status WHERE destination = 'hangs'")
	  or die "nothing is under way in $database";
	return $pid;
}

# the best time of what act does, each time after prepare
sub quick
{
	my ($what, $prepare, $act) = @_;
	my $best;

	foreach (1 .. $tries)
	{
		my $prepared = $prepare->();
		my $began = time;
		my $took;

		$act->($prepared);
		$took = time - $began;
		$best = $took if !defined $best || $took < $best;
		last if $best < $limit;
	}
	cmp_ok($best, '<', $limit, "$place hangs: $what");
	return;
}

sub drop
{
	my ($database) = @_;

	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $database");
	return;
}

# what is open while the worker waits would be open in every look
sub holds_nothing
{
	my ($pid) = @_;

	foreach (1 .. 20)
	{
		return 1 if $node->safe_psql('postgres', <<EOS) eq 't';
SELECT xact_start IS NULL AND backend_xid IS NULL AND backend_xmin IS NULL
	AND NOT EXISTS (SELECT FROM pg_locks WHERE pid = $pid AND locktype <> 'advisory')
FROM pg_stat_activity WHERE pid = $pid
EOS
		usleep(20_000);
	}
	return 0;
}

sub threads
{
	my ($pid) = @_;
	return scalar(() = glob "/proc/$pid/task/*");
}

# the worker that has this pid has read the configuration anew, twice
sub reload
{
	my ($pid) = @_;

	foreach my $setting ('off', 'on')
	{
		$node->append_conf('postgresql.conf', "track_activities = $setting");
		$node->reload;
		StandIn::wait_until(
			sub {
				my $is = $setting eq 'off' ? '=' : '<>';
				return $node->safe_psql('postgres', "SELECT state $is 'disabled' FROM pg_stat_activity WHERE pid = $pid") eq 't';
			},
			'the worker has seen the reload');
	}
	return;
}

foreach (sort keys %endpoints)
{
	$place = $_;

	my $pid = hang('shop');
	StandIn::wait_until(sub { threads($pid) > 1 }, 'the resolver has a thread')
	  if $place eq 'the name server';
	ok(holds_nothing($pid), "$place hangs: no transaction, snapshot or lock is held");

	# this worker has settled nothing yet, so it is careful
	$healthy->reset;
	braze_destination($node, 'shop', 'healthy', $healthy);
	$node->safe_psql('shop', "SELECT braze_track('u1', 'A', destination => 'healthy')");
	braze_flush($node, 'shop', 'healthy');
	is($healthy->accepted, 1, "$place hangs: another destination has its calls");
	ok($node->poll_query_until('shop', "SELECT in_flight = 1 AND delivered = 0 FROM braze_status WHERE destination = 'hangs'"), 'meanwhile');

	quick('reload', sub { hang('shop') }, \&reload);
	quick('CREATE DATABASE with its database as the template',
		sub { drop('copy'); hang('shop') },
		sub { $node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop') });
	quick('DROP DATABASE',
		sub { hang('copy') },
		sub { drop('copy') });
	quick('CREATE DATABASE with another as the template',
		sub { drop('copy'); hang('shop') },
		sub { $node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template1') });
	drop('copy');
	quick('ALTER DATABASE RENAME',
		sub {
			$node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO shop') if exists_database('renamed');
			hang('shop');
		},
		sub { $node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO renamed') });
	quick('DROP EXTENSION',
		sub { hang('renamed') },
		sub { $node->safe_psql('renamed', 'DROP EXTENSION segment_braze CASCADE') });
	quick('DROP SERVER',
		sub { hang('renamed') },
		sub { $node->safe_psql('renamed', 'DROP SERVER hangs CASCADE') });
	drop('renamed');
	quick('fast shutdown',
		sub { $node->start unless defined $node->{_pid}; hang('shop') },
		sub { $node->stop('fast') });
	$node->start;
	quick('immediate shutdown',
		sub { $node->start unless defined $node->{_pid}; hang('shop') },
		sub { $node->stop('immediate') });
	$node->start;
	drop('shop');
}

unlike(slurp_file($node->logfile), qr/PANIC|FATAL:  terminating connection because of crash|was terminated by signal/,
	'no process crashed');
$node->stop;
done_testing();
