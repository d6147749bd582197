# What doc/operations.md says of copies for tests, of point-in-time recovery, of
# templates, and of the removal of the extension.

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
my $node = braze_server('main', has_archiving => 1, allows_streaming => 1);

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'braze', $braze);
run(<<'EOS');
CREATE TABLE people (id int, name text);
CREATE TRIGGER people_identify AFTER INSERT ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
EOS

# --- a copy without production's calls and keys of users

run("SELECT braze_pause('braze')");
run("INSERT INTO people VALUES (1, 'Ada')");
run('CREATE DATABASE staging');
my $dump = $node->basedir . '/staging.dump';
$node->command_ok([ 'pg_dump', '-Fc', '--exclude-table-data=braze_*', '-f', $dump, $node->connstr('postgres') ], 'pg_dump --exclude-table-data');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('staging'), $dump ], 'restored');
is(run('SELECT count(*) FROM braze_queue', 'staging'), '0', 'a staging copy without the data of our tables has no calls');
is(run('SELECT count(*) FROM people', 'staging'), '1', 'but those of the application');
run("INSERT INTO people VALUES (2, 'Bob')", 'staging');
is(run('SELECT count(*) FROM braze_queue', 'staging'), '1', 'its trigger queues');
ok(braze_wait_for_state($node, 'braze', 'not started here%', 'staging'), 'and nothing is sent from it');

# --- templates

run('ALTER DATABASE staging IS_TEMPLATE true');
run('CREATE DATABASE from_template TEMPLATE staging');
ok(braze_wait_for_state($node, 'braze', 'not started here%', 'from_template'), 'a database made from a template is served, and sends nothing');
is(run('SELECT count(*) FROM braze_queue', 'from_template'), '1', 'with the calls of the template');

# --- point-in-time recovery

$node->backup('base');
run("SELECT braze_track('u1', 'before the point')");
run("SELECT pg_create_restore_point('here')");
run("SELECT braze_start('braze')");
braze_flush($node);
my $accepted = $braze->accepted;
is($accepted, 2, 'production has sent its calls');
run('SELECT pg_switch_wal()');
$node->poll_query_until('postgres', 'SELECT last_archived_wal IS NOT NULL FROM pg_stat_archiver');
my $walfile = run('SELECT pg_walfile_name(pg_current_wal_lsn())');
$node->poll_query_until('postgres', "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) OR last_archived_wal < '$walfile' FROM pg_stat_archiver");
$node->stop;

my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', <<'EOC');
recovery_target_name = 'here'
recovery_target_action = 'promote'
segment_braze.deliver = off
EOC
$recovered->start;
$recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($recovered->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), '2', 'after the recovery the calls that were sent since are in the queue again');
ok(braze_wait_for_state($recovered, 'braze', 'paused%'), 'with the pause of that time');
is($braze->accepted, $accepted, 'nothing is sent while delivery is off');
$recovered->safe_psql('postgres', "SELECT braze_start('braze')");
$recovered->safe_psql('postgres', q(ALTER SYSTEM SET segment_braze.deliver = on));
$recovered->reload;
braze_flush($recovered);
is($braze->accepted, $accepted + 2, 'with it on, they are sent a second time');

# --- removing the extension

my ($status, $out, $error) = $recovered->psql('postgres', 'DROP EXTENSION segment_braze');
like($error, qr/cannot drop extension segment_braze because other objects depend on it/, 'DROP EXTENSION names what depends on it');
like($error, qr/trigger people_identify on table people/, 'triggers');
like($error, qr/server braze/, 'and servers');
$recovered->safe_psql('postgres', 'DROP EXTENSION segment_braze CASCADE');
$recovered->safe_psql('postgres', "INSERT INTO people VALUES (3, 'Eve')");
is($recovered->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname LIKE 'braze%')), '0', 'CASCADE leaves nothing behind, and the application works');
$recovered->stop;

done_testing();
