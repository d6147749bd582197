# The page about testing an application, doc/testing.md: its SQL is run as it
# stands there, on a server that delivers nothing, and then with the stand-in
# as "make install" installs it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Temp;
use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# ---- the blocks of SQL, and the requests of curl ----

my $page = slurp_file("$FindBin::RealBin/../../doc/testing.md");
my @sql = $page =~ /^```sql\n(.*?)^```$/msg;
my @requests = $page =~ m{^    curl http://127\.0\.0\.1:8080(\S+)$}mg;

is(scalar @sql, 5, 'the page has its five pieces of SQL');
is(scalar @requests, 2, 'and two requests');

# ---- the stand-in, installed ----

my $prefix = File::Temp->newdir;

command_ok([ 'make', '-s', '-C', "$FindBin::RealBin/../braze", 'install', "prefix=$prefix" ],
	'the stand-in is installed');
ok(-x "$prefix/bin/braze-standin" && -s "$prefix/share/man/man1/braze-standin.1", 'with its manual page');

# ---- without the library preloaded ----

my $braze = StandIn->new;
my $node = braze_server('testing', preload => 0);

$node->safe_psql('postgres', $sql[0]);
is($node->safe_psql('postgres', $sql[1]) =~ s/^\d+\n//r,
	qq(42|Order Placed|{"id": 1, "total": 19.90}\n42|Receipt Mailed|{}),
	'a transaction sees what it queued, by a trigger and by a function');
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders, braze_queue'), '0', 'and leaves nothing behind');
like($node->safe_psql('postgres', $sql[2]), qr/^send\|events\|\{.*"external_id": "42".*"Order Placed"|^send\|events\|\{.*"Order Placed".*"42"/,
	'braze_map shows what becomes of it');
like($node->safe_psql('postgres', $sql[3]), qr/^braze\|Order Placed\|.*\nevents\|\{.*\n1$/s,
	'what was committed is in the queue, and is removed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), '0', 'all of it');

# ---- prepared ----

is($node->safe_psql('postgres', <<'EOS') =~ s/^\d+\n//r, '0', 'what a session has prepared is no longer its own');
BEGIN;
SELECT braze_track('u1', 'Prepared');
PREPARE TRANSACTION 'p';
SELECT count(*) FROM braze_queued();
COMMIT PREPARED 'p';
EOS
$node->safe_psql('postgres', 'SELECT braze_purge(NULL)');

# ---- with delivery ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'segment_braze'");
$node->restart;
my $url = $braze->url;

like($node->safe_psql('postgres', $sql[4] =~ s{http://127\.0\.0\.1:8080}{$url}r), qr/\nt\n1\|0\|$/,
	'with the stand-in it is delivered');
foreach my $request (@requests)
{
	is(HTTP::Tiny->new(proxy => undef)->get($url . $request)->{status}, 200, "$request answers");
}
is($braze->stats->{accepted}{events}, 1, 'the event is there');
$node->stop;

done_testing();
