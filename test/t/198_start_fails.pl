# A database whose worker cannot start is tried less and less often.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# seconds from one line of the log that matches to the next
sub gaps
{
	my ($log, $line) = @_;
	my @times = map { $_->[0] * 3600 + $_->[1] * 60 + $_->[2] } map { /^\S+ (\d+):(\d+):([\d.]+)/ ? [ $1, $2, $3 ] : () }
	  grep { $_ =~ $line } split /\n/, $log;

	# over midnight as well
	return map { $times[$_] - $times[ $_ - 1 ] + ($times[$_] < $times[ $_ - 1 ] ? 86400 : 0) } 1 .. $#times;
}

my $braze = StandIn->new;
my $node = braze_node('main', $braze);
my $tablespace = PostgreSQL::Test::Utils::tempdir;
my $line = qr/FATAL:  database "lost" does not exist/;

$node->safe_psql('postgres', "CREATE TABLESPACE lost LOCATION '$tablespace'");
$node->safe_psql('postgres', 'CREATE DATABASE lost TABLESPACE lost');
$node->safe_psql('lost', 'CREATE EXTENSION segment_braze');
my $pid = braze_wait_for_worker($node, 'lost');

rename $tablespace, "$tablespace.away" or die $!;
my $from = -s $node->logfile;
kill 'TERM', $pid;
StandIn::wait_until(
	sub { scalar(gaps(substr(slurp_file($node->logfile), $from), $line)) >= 2 },
	'its worker fails at each start');
my @gaps = gaps(substr(slurp_file($node->logfile), $from), $line);

# a launcher that is slow starts it later, and never sooner
cmp_ok($gaps[1], '>=', 9, 'the third start waits for twice as long as the second');

$node->safe_psql('postgres', "SELECT braze_track('u1', 'E')");
ok(braze_flush($node), 'other databases are served meanwhile');
rename "$tablespace.away", $tablespace or die $!;
ok(braze_wait_for_worker($node, 'lost'), 'it is served again once it can be');

# one that has served is no failure
$pid = braze_worker_pid($node, 'lost');
$from = -s $node->logfile;
kill 'TERM', $pid;
ok(braze_wait_for_worker($node, 'lost', $pid), 'and started again after it has served');

$node->stop;
done_testing();
