# A call that is queued after its destination was paused is not sent, however
# the pause was written and however busy the worker is.

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
my $busy = StandIn->new;
my $node = braze_node('main', $braze);
braze_destination($node, 'postgres', 'busy', $busy);

# always something to read for the worker
my $script = PostgreSQL::Test::Utils::tempdir() . '/busy.sql';
append_to_file($script, <<'EOS');
\set user random(1, 100)
SELECT braze_track('u' || :user, 'e', destination => 'busy');
EOS
my $writer = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 2, '-t', 1_000_000, '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', '/dev/null', '2>', '/dev/null');
$busy->wait_for_accepted(1);

$node->safe_psql('postgres', <<'EOS');
CREATE PROCEDURE wait_for_settling(queued bigint) LANGUAGE plpgsql AS $$
BEGIN
	WHILE EXISTS (SELECT FROM braze_queue WHERE id = queued) LOOP
		PERFORM pg_sleep(0.001);
		COMMIT;
	END LOOP;
END
$$
EOS

foreach my $how (
	"SELECT braze_pause('braze')",
	"INSERT INTO braze_paused (destination, reason) VALUES ('braze', 'by hand')")
{
	(my $run = $how) =~ s/^SELECT/PERFORM/;

	# ids are read in their order: when a later call of the other destination is
	# settled, the worker has read the one that must not be sent
	$braze->reset;
	$node->safe_psql('postgres', <<EOS);
DO \$\$
DECLARE
	later bigint;
BEGIN
	FOR i IN 1 .. 100 LOOP
		PERFORM braze_start('braze');
		COMMIT;
		later := braze_track('u1', 'started', destination => 'braze');
		COMMIT;
		CALL wait_for_settling(later);
		$run;
		COMMIT;
		PERFORM braze_track('u1', 'paused', destination => 'braze');
		COMMIT;
		later := braze_track('u1', 'e', destination => 'busy');
		COMMIT;
		CALL wait_for_settling(later);
		DELETE FROM braze_queue WHERE destination = 'braze';
		COMMIT;
	END LOOP;
END
\$\$
EOS
	is_deeply([ grep { $_->{name} ne 'started' } $braze->log ], [], "nothing is sent after: $how");
	is($braze->stats->{requests}, 100, 'but one request before each time');
}

$writer->kill_kill;
ok(braze_flush($node), 'all the rest is delivered');

$node->stop;
done_testing();
