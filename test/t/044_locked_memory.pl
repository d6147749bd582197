# Somebody locks what a call cannot be read without: no call is to blame, and none
# becomes a dead letter for it, however often the worker tries.

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

braze_wait_for_state($node, 'braze', 'waiting: its calls cannot be read: somebody has locked the table braze_profiles')
  or die;

# a call to blame is one after three attempts
my %reads;
StandIn::wait_until(
	sub {
		$reads{ $node->safe_psql('postgres', <<'EOS') } = 1;
SELECT query_start FROM pg_stat_activity
WHERE backend_type = 'segment_braze worker' AND datname = 'postgres' AND query = 'reading the queue'
EOS
		return keys %reads > 5;
	},
	'the worker has looked five times');
is($braze->stats->{requests}, 0, 'it sends nothing of whom it cannot look up');
$session->query_safe('COMMIT');
ok(braze_flush($node), 'once the lock is gone all is delivered');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'and nothing was given up');
is($braze->accepted('attributes'), 20, 'each user is at Braze');

# where large calls are stored
my $toast = $node->safe_psql('postgres', <<'EOS');
SELECT indexrelid::regclass FROM pg_index
WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'braze_queue'::regclass)
EOS
$node->safe_psql('postgres', <<'EOS');
SELECT braze_pause('braze');
SELECT braze_track('large', 'E', jsonb_build_object('text', string_agg(md5(n::text), ''))) FROM generate_series(1, 300) n;
EOS
$session->query_safe("BEGIN; REINDEX INDEX $toast");
$node->safe_psql('postgres', "SELECT braze_start('braze')");
StandIn::wait_until(
	sub {
		my @timeouts = slurp_file($node->logfile) =~ /canceling statement due to lock timeout/g;
		return @timeouts >= 5;
	},
	'the worker has given up waiting five times');
$session->query_safe('COMMIT');
$session->quit;
ok(braze_flush($node), 'a call that could not be read is delivered later');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'and was not given up');
is($braze->accepted('events'), 1, 'but has arrived');

$node->stop;
done_testing();
