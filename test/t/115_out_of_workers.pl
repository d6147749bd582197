# More databases than background workers: those that have the extension are
# named in the log, once, and once when they have got a worker; the others are
# counted.  And what the status says of a server that has no room, of a
# template, and of the wait after a crash.

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

sub state_of
{
	my ($database) = @_;
	return $node->safe_psql($database, q(SELECT state FROM braze_status WHERE destination = 'braze'));
}

sub lines
{
	my ($text) = @_;
	return scalar grep { index($_, $text) >= 0 } split /\n/, slurp_file($node->logfile);
}

sub wait_for_line
{
	my ($text) = @_;
	return StandIn::wait_until(sub { lines($text) > 0 }, "the log has: $text");
}

foreach my $database ('one', 'two')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION segment_braze');
	braze_destination($node, $database, 'braze', $braze);
	braze_wait_for_worker($node, $database);
}
$node->safe_psql('postgres', "CREATE DATABASE plain$_") foreach 1 .. 3;

# logical replication has one worker, the launcher one, and one is free
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
my %other = (one => 'two', two => 'one');
my $served;
StandIn::wait_until(
	sub {
		($served) = grep { state_of($_) eq 'running' } 'one', 'two';
		return $served && state_of($other{$served}) =~ /^no worker: no background worker is free/;
	},
	'one has a worker, the other says that it has none');
my $left = $other{$served};
my $named = qq(no background worker is free for database "$left");

ok(wait_for_line($named), 'the log names the database without a worker');
ok(wait_for_line('could not be looked at'), 'and says of how many others nothing is known');
is(lines($named), 1, 'it is named once');
is(lines(qq(no background worker is free for database "plain)),
	0, 'a database that may not have the extension is not named');

# room again
$node->safe_psql($served, 'DROP EXTENSION segment_braze CASCADE');
ok(braze_wait_for_worker($node, $left), 'the other database is served once there is room');
ok(wait_for_line(qq(database "$left" has got a background worker)), 'and the log says so');
is(lines(qq(database "$left" has got a background worker)), 1, 'once');

# the launcher has no room itself
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
like(state_of($left), qr/^no worker: the launcher was not started.*max_worker_processes/,
	'a server without room for the launcher says what to do');

# a template
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->safe_psql('postgres', "ALTER DATABASE $left IS_TEMPLATE true");
$node->restart;
like(state_of($left), qr/^no worker: this database is a template/, 'a template says so');
$node->safe_psql('postgres', "ALTER DATABASE $left IS_TEMPLATE false");
ok(braze_wait_for_worker($node, $left), 'and is served when it is none any more');

# after a crash
$node->append_conf('postgresql.conf', "segment_braze.restart_delay = '1 h'");
$node->reload;
my $pid = braze_worker_pid($node, $left);
kill KILL => $pid;
ok( StandIn::wait_until(
		sub { (eval { state_of($left) } // '') =~ /^starting: the server has crashed, nothing is sent before \d{4}-/ },
		'the status says until when'),
	'the wait after a crash is in the status');
# rounded up to a whole second
my $until = $node->safe_psql($left, <<'EOS');
SELECT substring(state FROM 'before (.*);')::timestamptz BETWEEN now() + interval '30 min' AND now() + interval '61 min'
FROM braze_status
EOS
is($until, 't', 'with its end');
$node->append_conf('postgresql.conf', "segment_braze.restart_delay = 0");
$node->reload;
ok(braze_wait_for_worker($node, $left), 'a reload of the delay is obeyed');

$node->stop;
done_testing();
