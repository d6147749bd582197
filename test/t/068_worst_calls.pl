# Calls that were made to keep the worker busy: it is done with each in a moment,
# and nobody else's calls wait.  The bounds are far off, so that they hold on a
# slow machine, and of the worker's own time, so that who else is busy there does
# not count; work that grows with the square takes minutes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

plan skip_all => 'needs /proc' unless -r '/proc/self/stat';

use constant BOUND => 5;

my $braze = StandIn->new(keep => 10000);
my $node = braze_node('main', $braze);

# what looks at no token takes no time for it
my $fast = StandIn->new(fast => undef);
braze_destination($node, 'postgres', 'fast', $fast);

sub used_by
{
	my ($pid) = @_;
	my ($stat) = slurp_file("/proc/$pid/stat") =~ /.*\) (.*)/s;
	my ($user, $system) = (split ' ', $stat)[ 11, 12 ];

	return ($user + $system) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# how much of the processor it takes until what the statements queue is settled
sub seconds
{
	my ($what, $sql) = @_;
	my $worker = braze_worker_pid($node);
	my $before = used_by($worker);

	$node->safe_psql('postgres', "SET segment_braze.destination = 'braze'; $sql");
	braze_flush($node);
	my $used = used_by($worker) - $before;
	note("$what: $used s");
	cmp_ok($used, '<', BOUND, "$what: settled in less than @{[BOUND]} s");
	return;
}

seconds('45,000 properties of one event', <<'EOS');
SELECT braze_track('u1', 'E', (SELECT jsonb_object_agg('p' || n, 1) FROM generate_series(1, 45000) n))
EOS

seconds('30,000 properties of an order of 300 products', <<'EOS');
SELECT braze_track('u1', 'Order Completed',
	(SELECT jsonb_object_agg('p' || n, 1) FROM generate_series(1, 30000) n) || jsonb_build_object('products',
		(SELECT jsonb_agg(jsonb_build_object('sku', 's' || n, 'price', 1)) FROM generate_series(1, 300) n)))
EOS

seconds('33 calls of 2,800 push tokens each, in one request', <<'EOS');
SET segment_braze.destination = 'fast';
SELECT braze_identify('u1', jsonb_build_object('push_tokens',
	(SELECT jsonb_agg(jsonb_build_object('app_id', 'a', 'token', 't' || c || '_' || n)) FROM generate_series(1, 2800) n)))
FROM generate_series(1, 33) c
EOS
# two values that collide under a hash without a key, see test/unit/collide.h
$node->safe_psql('postgres', q{ALTER SERVER braze OPTIONS (ADD changed_attributes_only 'true')});
foreach my $plan ('aaaabBb2#r*!N5>', 'bbbbbuj5YK8?.FB')
{
	$node->safe_psql('postgres', qq{SET segment_braze.destination = 'braze'; SELECT braze_identify('u2', '{"plan": "$plan"}')});
	braze_flush($node);
	is($braze->user('u2')->{attributes}{plan}, $plan, "the attribute is now $plan");
}
$node->safe_psql('postgres', q{SET segment_braze.destination = 'braze'; SELECT braze_identify('u3', '{"plan": "aaaabBb2#r*!N5>"}')});
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT count(DISTINCT substr(attributes, 1, 8)), count(DISTINCT substr(attributes, 9)) FROM braze_profiles'),
	'2|2', 'each row has a salt of its own');

is($node->safe_psql('postgres', "SELECT delivered FROM braze_status WHERE destination = 'fast'"), '33', 'all were sent');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'nothing was refused');

done_testing();
