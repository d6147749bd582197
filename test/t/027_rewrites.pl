# Tables that are rewritten while calls are delivered: to a snapshot from before
# such a command all rows are gone, and none may be taken for settled therefore.

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
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'");
my $calls = 3000;

# so that there is always an answer to settle
$braze->fault(kind => 'slow', delay_ms => 100);

$node->safe_psql('postgres', 'CREATE SEQUENCE seq');
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
append_to_file($script, <<'EOS');
\set user :client_id * 50 + random(1, 50)
SELECT nextval('seq') AS seq \gset
SELECT braze_track('u' || :user, 'e', jsonb_build_object('seq', :seq));
SELECT braze_identify('u' || :user, '{"plan": "pro"}');
EOS
my $writer = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 3, '-t', $calls / 3, '-R', 400, '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', '/dev/null', '2>', '/dev/null');

my $rewrites = 0;
while ($node->safe_psql('postgres', 'SELECT last_value FROM seq') < $calls)
{
	foreach my $table ('braze_queue', 'braze_profiles')
	{
		# one after the other at once: the worker looks the table up again, and waits
		$node->safe_psql('postgres', <<EOS);
ALTER TABLE $table ADD COLUMN extra int;
BEGIN;
ALTER TABLE $table ALTER extra TYPE bigint;
SELECT pg_sleep(0.2);
COMMIT;
ALTER TABLE $table DROP COLUMN extra;
EOS
		$rewrites++;
	}
}
ok($writer->finish, 'the writers end');
ok($rewrites >= 2, "the tables were rewritten $rewrites times");

ok(braze_flush($node), 'all is delivered');
my $order = $braze->order;
is("$order->{distinct} calls, $order->{duplicates} duplicates, $order->{violations} out of order",
	"$calls calls, 0 duplicates, 0 out of order", 'each once, in order');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0',
	'and nothing was refused');

$node->stop;
done_testing();
