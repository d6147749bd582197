# pg_upgrade starts the old server and the new one, and nothing is sent by
# either meanwhile; the new one sends the queue once it is started there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $old = braze_node('old', $braze);
my $new = braze_server('new');
$new->stop;

$braze->hold;
$old->safe_psql('postgres', <<'EOS');
SELECT count(braze_track('u' || i % 5, 'e', jsonb_build_object('seq', i))) FROM generate_series(1, 100) i;
EOS
$braze->wait_for_stat('held', 1);
$old->stop('immediate');
$old->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$old->start;
$old->safe_psql('postgres', q{INSERT INTO braze_paused (destination, reason) VALUES ('braze', 'for the night')});
$old->stop;
$old->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$braze->reset;

my $bin = $old->config_data('--bindir');
my $directory = PostgreSQL::Test::Utils::tempdir();
my $before = getcwd();
chdir $directory or die "chdir $directory: $!";
command_ok(
	[   'pg_upgrade',
		'--old-datadir', $old->data_dir, '--new-datadir', $new->data_dir,
		'--old-bindir', $bin, '--new-bindir', $bin,
		'--old-port', $old->port, '--new-port', $new->port,
		'--socketdir', $new->host ],
	'pg_upgrade');
chdir $before or die "chdir $before: $!";
is($braze->stats->{requests}, 0, 'nothing was sent meanwhile');

$new->start;
ok(braze_wait_for_state($new, 'braze', 'paused: for the night'), 'the pause came along');
$new->safe_psql('postgres', 'DELETE FROM braze_paused');
ok($new->poll_query_until('postgres', q{SELECT state = 'not started here' FROM braze_counters()}), 'the start did not');
is($new->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE NOT (braze_started.system_identifier = here.system_identifier)) FROM braze_started, braze_here() here}),
	'1|1', 'since its row is about the old server');
is($new->safe_psql('postgres', "SELECT braze_flush('300 ms')"), 'f', 'nothing is delivered');
is($braze->stats->{requests}, 0, 'nor sent');
is($new->safe_psql('postgres', "SELECT braze_start('braze')"), 't', 'before braze_start');
ok(braze_flush($new), 'the new server delivers the queue');
my $order = $braze->order;
is("$order->{distinct} $order->{duplicates} $order->{violations}", '100 0 0', 'each call once, in order');

$new->stop;
done_testing();
