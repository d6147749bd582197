# The log tells of an outage that lasts a minute, and of its end; of a pause and
# its end; and nothing of a destination that is gone.  The minutes are those of
# a clock that the test sets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use ShiftedClock;
use StandIn;

my $clock = ShiftedClock->new;
plan skip_all => 'there is no C compiler' unless defined $clock;

my $braze = StandIn->new;
my $node = do { local %ENV = $clock->environment; braze_node('main', $braze) };
my $seconds = 0;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub pass_time
{
	my ($more) = @_;

	$seconds += $more;
	$clock->set(monotonic => $seconds);
	return;
}

sub lines
{
	my ($pattern) = @_;
	return scalar(() = slurp_file($node->logfile) =~ /LOG:  segment_braze: $pattern/g);
}

sub wait_for_lines
{
	my ($count, $pattern, $what) = @_;

	StandIn::wait_until(sub { lines($pattern) >= $count }, $what);
	is(lines($pattern), $count, $what);
	return;
}

# the worker has gone through its timetable once more
sub wait_for_look
{
	run("INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at, failed_at) VALUES ('none', '{}', 'rejected', 'old', '2000-01-01', '2000-01-01')");
	braze_wait_for_count($node, 0, 'braze_dead_letters', "destination = 'none'");
	return;
}

my $retrying = qr/destination "braze" in database "postgres" has been retrying for \d+ s/;
my $back = qr/destination "braze" in database "postgres" is back after \d+ s/;

$node->append_conf('postgresql.conf', "segment_braze.dead_letter_retention = '30d'");
$node->reload;
run("SELECT braze_track('u0', 'A')");
braze_flush($node);

# --- away for a while

my $began = time;
$braze->stop;
run("SELECT count(braze_track('u' || n, 'A')) FROM generate_series(1, 200) n");
braze_wait_for_state($node, 'braze', 'retrying%');
wait_for_look();
is(lines($retrying), 0, 'less than a minute is not told');
pass_time(90);
wait_for_lines(1, $retrying, 'a minute is');
like(slurp_file($node->logfile), qr/$retrying\n.*DETAIL:  200 calls wait\. The last error was: .+\n.*HINT: /, 'with what waits, and the last error');
wait_for_look();
pass_time(90);
wait_for_look();
is(lines($retrying), 1, 'once');
$braze->start;
braze_flush($node);
wait_for_lines(1, $back, 'that it is back, too');
my ($away) = slurp_file($node->logfile) =~ /is back after (\d+) s\n.*DETAIL:  \d+ calls? waits?\./;

# that time is what has passed on the clock of the test, and what passed by itself
my $passed = $seconds + time - $began;
ok($away >= $seconds && $away <= $passed + 1, 'with how long it was away, and what waits')
  or diag("$away s of $passed s");

# --- soon again

$braze->stop;
run("SELECT braze_track('u1', 'B')");
braze_wait_for_state($node, 'braze', 'retrying%');
pass_time(90);
wait_for_look();
$braze->start;
braze_flush($node);
is(lines($retrying) . lines($back), '11', 'what comes and goes does not fill the log');

# --- paused or dropped meanwhile

pass_time(600);
foreach my $end ("SELECT braze_pause('braze', 'we look into it')", 'DROP SERVER braze CASCADE')
{
	my $before = lines($back);

	pass_time(600);
	$braze->stop;
	run("SELECT braze_track('u2', 'C')");
	braze_wait_for_state($node, 'braze', 'retrying%');
	pass_time(90);
	wait_for_lines($end =~ /DROP/ ? 3 : 2, $retrying, 'an outage');
	run($end);
	if ($end =~ /DROP/)
	{
		# the worker knows, too: of a new server of that name it would say so
		$node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM braze_counters() WHERE destination = 'braze' AND reason IS DISTINCT FROM 'no such server'");
	}
	else
	{
		braze_wait_for_state($node, 'braze', 'paused%');
	}
	$braze->start;
	if ($end =~ /DROP/)
	{
		braze_destination($node, 'postgres', 'braze', $braze);
	}
	else
	{
		wait_for_lines(1, qr/destination "braze" in database "postgres" is paused\n.*DETAIL:  we look into it\n/, 'a pause is told, with its reason');
		braze_start($node, 'postgres', 'braze');
		wait_for_lines(1, qr/destination "braze" in database "postgres" is not paused any more\n/, 'and its end');
	}
	braze_flush($node);
	is(lines($back), $before, 'which ends by another line, or by none');
}

done_testing();
