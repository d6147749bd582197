# A server is replaced by another one that had everything by logical
# replication: doc/upgrading.md, step by step.

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

my ($waiting, $later) = (20_000, 40_000);
my $braze = StandIn->new;
my $old = braze_server('old', allows_streaming => 'logical', conf => 'wal_level = logical');
my $new = braze_server('new');

sub run
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub caught_up
{
	$old->wait_for_catchup('upgrade');
	$new->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')")
	  or die 'the tables are not synchronized';
	return;
}

# --- the old server, which has delivered some and has a dead letter

run($old, <<'EOS');
CREATE EXTENSION segment_braze;
CREATE TABLE orders (id int PRIMARY KEY, customer text, seq int);
CREATE TRIGGER to_braze AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'track', 'event', 'Order Placed', 'user_id', 'customer');
EOS
braze_destination($old, 'postgres', 'braze', $braze);
$braze->fault(kind => 'errors', user => 'refused');
run($old, <<'EOS');
INSERT INTO orders SELECT n, 'early ' || n % 7, n FROM generate_series(1, 100) n;
INSERT INTO orders SELECT -n, 'refused', 0 FROM generate_series(1, 3) n;
EOS
braze_flush($old);
is(run($old, 'SELECT count(*) FROM braze_dead_letters'), '3', 'calls were refused');

# --- the new one subscribes

my $schema = $old->basedir . '/schema.sql';
$old->command_ok([ 'pg_dump', '--schema-only', '-f', $schema, $old->connstr('postgres') ], 'pg_dump --schema-only');
$new->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $schema, $new->connstr('postgres') ], 'psql');
run($old, 'CREATE PUBLICATION upgrade FOR ALL TABLES');
my $connection = $old->connstr . ' dbname=postgres';
run($new, "CREATE SUBSCRIPTION upgrade CONNECTION '$connection' PUBLICATION upgrade");
caught_up();
braze_wait_for_worker($new);
is(run($new, 'SELECT count(*) FROM braze_started'), '1', 'the start of the old server is replicated');
ok(braze_wait_for_state($new, 'braze', 'not started here: %'), 'and does not count');

# delivered by the old one while the new one has the calls, too
run($old, q{INSERT INTO orders SELECT n, 'both ' || n % 7, n FROM generate_series(101, 1100) n});
braze_flush($old);
caught_up();
is($braze->order->{distinct}, 1100, 'the old server delivers');
is($braze->order->{duplicates}, 0, 'alone');
is(run($new, 'SELECT count(*) FROM braze_queue'), '0', 'and what it has delivered leaves the other queue as well');

# --- pause on the old one

run($old, "SELECT braze_pause('braze', 'moves')");
$old->poll_query_until('postgres', "SELECT in_flight = 0 FROM braze_status") or die 'requests are under way';
my $requests = $braze->stats->{requests};
run($old, "INSERT INTO orders SELECT n, 'u' || n % 997, n FROM generate_series(2001, 2000 + $waiting) n");
caught_up();
is(run($new, 'SELECT count(*) FROM braze_queue'), $waiting, 'what waits is replicated');
ok(braze_wait_for_state($new, 'braze', 'paused: moves'), 'as is the pause');
is(run($new, "SELECT last_value FROM braze_queue_id_seq"), '1', 'and no sequence');
is($braze->stats->{requests}, $requests, 'nothing is sent by either');

# --- start on the new one, and switch the application

is(run($new, "SELECT braze_start('braze')"), 't', 'braze_start');
my $log = slurp_file($new->logfile);
my $highest = run($old, 'SELECT max(id) FROM braze_queue');
is(() = $log =~ /the sequence of table "braze_queue" was moved from 1 to $highest$/mg, 1, 'has moved the sequence, as the log says');
is(() = $log =~ /the sequence of table "braze_dead_letters" was moved from 1 to 3$/mg, 1, 'and that of the dead letters');

my @writers;
foreach my $writer (0 .. 3)
{
	my $output = '';
	my $sql = join ";\n", map { my $first = 30_001 + $_ * 1000; "INSERT INTO orders SELECT n, 'u' || n % 997, n FROM generate_series($first, $first + 999) n" }
	  grep { $_ % 4 == $writer } 0 .. $later / 1000 - 1;
	my $file = $new->basedir . "/writer$writer.sql";

	append_to_file($file, "$sql;\n");
	push @writers, start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $new->connstr('postgres') ], '<', \undef, '>&', \$output);
}
is(scalar(grep { !finish($_) } @writers), 0, 'the application queues, without an error');
run($new, "INSERT INTO orders VALUES (-4, 'refused', 0)");
braze_flush($new);
my $order = $braze->order;
is($order->{distinct}, 1100 + $waiting + $later, 'each call has arrived');
is($order->{duplicates} + $order->{repeats}, 0, 'once');
is(run($new, 'SELECT count(*), count(DISTINCT id) FROM braze_dead_letters'), '4|4', 'but for those that were refused');

# Orders of several writers are in no order; each writer's are, and what waited
# came before all of them.
my %last;
my $violations = 0;
foreach my $entry (grep { $_->{outcome} eq 'accepted' && $_->{kind} eq 'events' } $braze->log)
{
	my $seq = $entry->{object}{properties}{seq};
	my $of = $entry->{user} . ($seq > 30_000 ? ' ' . int(($seq - 30_001) / 1000) % 4 : '');

	$violations++ if $seq > 2000 && defined $last{$of} && $last{$of} > $seq;
	$violations++ if $seq <= 2000 + $waiting && grep { defined $last{"$entry->{user} $_"} } 0 .. 3;
	$last{$of} = $seq;
}
is($violations, 0, 'in order');
$log = slurp_file($new->logfile);
unlike($log, qr/far below the last one|duplicate key/, 'no id was drawn twice or came late');

# --- a call that came from the old server after all, and what that adds up late

$new->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM braze_$_ WHERE id > " . run($old, "SELECT max(id) FROM braze_$_") . ')')
  or die 'the new server adds nothing up'
  foreach 'activity_sums', 'activity_users';
run($old, <<'EOS');
BEGIN;
INSERT INTO orders VALUES (100001, 'late', 100001);
UPDATE braze_queue SET id = 1000000 WHERE call ->> 'userId' = 'late';
INSERT INTO braze_activity_sums (destination, hour, kind, name, calls, objects, requests, data_points, data_points_saved, first_time, last_time)
	SELECT destination, hour, kind, name, 0, 0, 0, 0, 0, first_time, last_time FROM braze_activity_sums;
INSERT INTO braze_activity_users (destination, day, kind, name, sketch)
	SELECT destination, day, kind, name, sketch FROM braze_activity_users;
COMMIT;
EOS
caught_up();
is(run($new, "SELECT braze_start('braze')"), 'f', 'braze_start again');
run($new, "INSERT INTO orders VALUES (100002, 'late', 100002)");
braze_flush($new);
is(join(' ', map { $_->{object}{properties}{seq} } grep { $_->{user} eq 'late' } $braze->log), '100001 100002', 'moves the sequence again');

run($new, 'DROP SUBSCRIPTION upgrade');
is(run($old, 'SELECT state FROM braze_status'), 'paused: moves', 'the old server stays paused');
$old->stop;
$new->stop;
done_testing();
