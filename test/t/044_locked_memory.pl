# Somebody locks the table of what is remembered of users for longer than the
# worker waits: no call is to blame, and none becomes a dead letter for it.

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

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_profiles');
$node->safe_psql('postgres', <<'EOS');
SELECT count(braze_identify('u' || i, '{"plan": "pro"}')) FROM generate_series(1, 20) i;
EOS

# a call to blame is one after three attempts
StandIn::wait_until(
	sub {
		my @timeouts = slurp_file($node->logfile) =~ /canceling statement due to lock timeout/g;
		return @timeouts >= 5;
	},
	'the worker has given up waiting five times');
$session->query_safe('COMMIT');
$session->quit;

ok(braze_flush($node), 'once the lock is gone all is delivered');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'and nothing was given up');
is($braze->accepted('attributes'), 20, 'each user is at Braze');

$node->stop;
done_testing();
