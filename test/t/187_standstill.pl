# A server that was frozen, while a standby was promoted or went away: its worker
# sends nothing before a synchronous standby has confirmed a commit.  Meanwhile
# it settles, and holds up nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use Braze;
use StandIn;

# A turn of the loop that takes over a second is a standstill, and doubles what
# the next one may take: this is enough if a busy machine has caused two.
my $standstill = 4.5;

my $waiting = 'waiting: the worker stood still, and no synchronous standby%';
my ($per_request, $in_flight) = (10, 2);
my $braze = StandIn->new;
my $primary = braze_node('primary', $braze,
	conf => "wal_keep_size = '256MB'",
	options => "max_objects_per_request '$per_request', max_requests_in_flight '$in_flight'",
	allows_streaming => 1);
my $queued = 0;

# without waiting for a standby
sub run
{
	my ($node, $sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', "SET synchronous_commit = local; $sql");
}

sub queue
{
	my ($calls) = @_;
	my ($first, $last) = ($queued + 1, $queued + $calls);

	run($primary, "SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n))) FROM generate_series($first, $last) n");
	$queued = $last;
	return;
}

sub names
{
	my ($names) = @_;

	run($primary, "ALTER SYSTEM SET synchronous_standby_names = '$names'");
	run($primary, 'SELECT pg_reload_conf()');
	return;
}

sub wait_for_standby
{
	$primary->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication")
	  or die 'the standby is not synchronous';
	return;
}

# what happens while processes are stopped
sub frozen
{
	my ($pids, $meanwhile) = @_;
	my $end = time + $standstill;

	kill('STOP', @$pids) == @$pids or die "not all are there: @$pids";
	$meanwhile->();
	sleep 0.1 while time < $end;
	kill 'CONT', reverse @$pids;
	return;
}

sub sent
{
	my $order = $braze->order;
	return { distinct => $order->{distinct}, again => $order->{duplicates} + $order->{repeats} };
}

queue(1);
braze_flush($primary);

# ----- nobody to ask -----

my $worker = braze_worker_pid($primary);
frozen([$worker], sub { queue(25) });
braze_flush($primary);
is_deeply(sent(), { distinct => $queued, again => 0 }, 'without a standby it goes on');

# ----- the standby goes while the worker stands still, and comes back -----

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby1');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
names('standby1');
wait_for_standby();
frozen([$worker], sub { queue(25) });
braze_flush($primary);
is_deeply(sent(), { distinct => $queued, again => 0 }, 'with one that confirms as well');
run($primary, "SELECT pg_terminate_backend($worker)");
$worker = braze_wait_for_worker($primary, 'postgres', $worker);
queue(1);
braze_flush($primary);

$braze->hold(applied => 1);
queue($per_request * $in_flight);
$braze->wait_for_stat('held', $in_flight);
my $requests = $braze->stats->{requests};
frozen([$worker], sub {
	queue(25);
	$standby->stop;
});
ok(braze_wait_for_state($primary, 'braze', $waiting), 'the status says what it waits for');
$braze->release;
ok(braze_wait_for_count($primary, 25, 'braze_queue'), 'what was under way is answered and settled');
$primary->psql('template1', 'SET synchronous_commit = local; CREATE DATABASE copy TEMPLATE postgres; DROP DATABASE copy', on_error_die => 1);
my $second = braze_wait_for_worker($primary, 'postgres', $worker);
isnt($second, $worker, 'who needs the database for themselves gets it');
ok(braze_wait_for_state($primary, 'braze', $waiting), 'the next worker waits as well');
is($braze->stats->{requests}, $requests, 'nothing is sent');
$standby->start;
wait_for_standby();
braze_flush($primary);
is_deeply(sent(), { distinct => $queued, again => 0 }, 'once the standby is back, each call arrives once');

# ----- a request that is on its way to a server that takes no connection -----

# Its queue of connections is full, so that of the worker is not taken, and not
# refused either.
my $busy = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
my $port = $busy->sockport;
my @fillers = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Blocking => 0) } 1 .. 8;

sub connecting
{
	return grep { /^\s*\d+: \S+ 0100007F:${\sprintf '%04X', $port} 02 / } split /\n/, slurp_file('/proc/net/tcp');
}

my $fillers = connecting();
run($primary, <<"EOS");
CREATE SERVER once FOREIGN DATA WRAPPER segment_braze
	OPTIONS (custom_api_endpoint 'http://127.0.0.1:$port', app_identifier 'test-app', delivery 'at_most_once');
CREATE USER MAPPING FOR CURRENT_USER SERVER once OPTIONS (rest_api_key 'test-key');
SELECT braze_start('once'), braze_track('u1', 'Once', destination => 'once');
EOS
StandIn::wait_until(sub { connecting() > $fillers }, 'the worker connects');
frozen([$second], sub { $standby->stop });
ok(braze_wait_for_state($primary, 'once', $waiting), 'a request that was connecting waits');
StandIn::wait_until(sub { connecting() == $fillers }, 'its connection is given up');
is(run($primary, 'SELECT state FROM braze_dead_letters'), 'in flight', 'its call is claimed once');
undef @fillers;
my $connection;
my $length = 0;
my $request = '';
{
	my $end = time + 1;

	# those that filled the queue have said nothing
	$busy->blocking(0);
	while (time < $end)
	{
		$connection = $busy->accept or sleep 0.1, next;
		$connection->blocking(1);
		$request .= $_ while <$connection>;
	}
}
is($request, '', 'it is not sent');
$standby->start;
wait_for_standby();
$busy->blocking(1);
$connection = $busy->accept;
$request = <$connection>;
like($request, qr{^POST /users/track}, 'with the standby it is');
while (defined(my $line = <$connection>))
{
	$length = $1 if $line =~ /^Content-Length: (\d+)/i;
	last if $line eq "\r\n";
}
read $connection, $request, $length;
print $connection qq(HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n{"message":"success","events_processed":1});
$connection->flush;
braze_flush($primary, 'postgres', 'once');
is(run($primary, q{SELECT delivered FROM braze_status WHERE destination = 'once'}), '1', 'once');
run($primary, 'DROP SERVER once CASCADE');
run($primary, "SELECT pg_terminate_backend($second)");
$second = braze_wait_for_worker($primary, 'postgres', $second);
queue(1);
braze_flush($primary);

# ----- or is not wanted any more -----

$requests = $braze->stats->{requests};
frozen([$second], sub {
	queue(25);
	$standby->stop;
});
ok(braze_wait_for_state($primary, 'braze', $waiting), 'it waits for another standby');
is($braze->stats->{requests}, $requests, 'and sends nothing');
names('');
braze_flush($primary);
is_deeply(sent(), { distinct => $queued, again => 0 }, 'with no name in synchronous_standby_names it goes on');
my $log = slurp_file($primary->logfile);
cmp_ok(() = $log =~ /before a synchronous standby has confirmed a commit/g, '>=', 4, 'the log says when it waits');
cmp_ok(() = $log =~ /calls are sent again from database "postgres"/g, '>=', 3, 'and when no more');

# ----- an old primary -----

$standby->start;
names('standby1');
wait_for_standby();
run($primary, "SELECT pg_terminate_backend($second)");
braze_wait_for_worker($primary, 'postgres', $second);
queue(1);
braze_flush($primary);
my $before = sent();
$braze->hold(applied => 1);
queue($per_request * $in_flight + 25);
$braze->wait_for_stat('held', $in_flight);
$primary->wait_for_catchup($standby);
my ($postmaster) = split /\n/, slurp_file($primary->data_dir . '/postmaster.pid');
frozen([ $postmaster, split ' ', `ps -o pid= --ppid $postmaster` ], sub {
	$standby->promote;
	$braze->release;
	braze_flush($standby);
	$requests = $braze->stats->{requests};
});
ok(braze_wait_for_state($primary, 'braze', $waiting), 'an old primary waits for the standby that was promoted');
ok(braze_wait_for_count($primary, 25, 'braze_queue'), 'and settles what it had sent before');
is($braze->stats->{requests}, $requests, 'it sends nothing');
is_deeply(sent(), { distinct => $queued, again => $per_request * $in_flight },
	'no more was sent twice than the old primary had under way');
ok($primary->stop('fast', fail_ok => 1), 'a shutdown is not held up');
is($braze->stats->{requests}, $requests, 'nor does it send anything at its end');

$standby->stop;
done_testing();
