# A library that is newer than the extension's tables says so, and serves the
# database as soon as they are updated.  A backlog goes through pg_dump with all
# that belongs to it, and its rows alone.

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
my $node = braze_node('main', $braze,
	options => "deduplicate '1 d', changed_attributes_only 'true'");

my @scripts;

END
{
	unlink @scripts;
}

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

sub sql_error
{
	my ($sql, $database) = @_;
	my ($status, $out, $error) = $node->psql($database || 'postgres', $sql);

	return $status == 0 ? 'no error' : $error;
}

# --- tables and columns that an older install script did not have

my %add = (
	braze_notes => <<'EOS',
CREATE TABLE braze_notes (destination text COLLATE "C", outcome text COLLATE "C", note text COLLATE "C", calls bigint NOT NULL,
	last_id bigint NOT NULL, last_at timestamptz NOT NULL, PRIMARY KEY (destination, outcome, note))
EOS
	braze_messages => <<'EOS');
CREATE TABLE braze_messages (destination text COLLATE "C", message_id text COLLATE "C", queued_at timestamptz NOT NULL,
	received boolean NOT NULL, PRIMARY KEY (destination, message_id))
EOS

run('CREATE DATABASE old');
run('CREATE EXTENSION segment_braze', 'old');
braze_destination($node, 'old', 'braze', $braze);
run("SELECT braze_pause('braze'); SELECT braze_track('u1', 'waits')", 'old');
run("SET allow_system_table_mods = on; UPDATE pg_extension SET extversion = '0.0.8' WHERE extname = 'segment_braze'", 'old');
foreach my $table (sort keys %add)
{
	braze_wait_for_worker($node, 'old');
	run("ALTER EXTENSION segment_braze DROP TABLE $table; DROP TABLE $table CASCADE", 'old');
	like(sql_error("SELECT braze_track('u1', 'A')", 'old'),
		qr/extension "segment_braze" is older than its library.*HINT:.*ALTER EXTENSION segment_braze UPDATE/s,
		"without $table: who queues is told to update");
	$node->restart;
	ok(braze_wait_for_state($node, 'braze', 'paused: %', 'old'), "without $table: the status works");
	ok($node->poll_query_until('old', "SELECT braze_worker_state() LIKE '%ALTER EXTENSION segment_braze UPDATE'"),
		"without $table: and names what is to be done");
	like(sql_error("SELECT braze_track('u1', 'A')", 'old'), qr/is older than its library/,
		"without $table: nor after a restart");
	run("$add{$table}; ALTER EXTENSION segment_braze ADD TABLE $table", 'old');
	ok($node->poll_query_until('old', "SELECT braze_worker_state() IS NULL"),
		"with $table again: the worker serves it, without a restart");
}
run("SELECT braze_start('braze')", 'old');
braze_flush($node, 'old');
is($braze->accepted, 1, 'and sends what has waited');
run('DROP DATABASE old');
like(slurp_file($node->logfile), qr/nothing is sent from database "old": extension "segment_braze" is older than its library/, 'the log says so, too');

# --- ALTER EXTENSION UPDATE itself, from a version that the test makes up

my $directory = `pg_config --sharedir`;
chomp $directory;
$directory .= '/extension';
my $version = run("SELECT default_version FROM pg_available_extensions WHERE name = 'segment_braze'");
@scripts = map { "$directory/segment_braze--$_.sql" } '0.0.9', "0.0.9--$version";
SKIP:
{
	skip 'the directory of extensions cannot be written to', 4 unless -w $directory;

	append_to_file($scripts[0], slurp_file("$directory/segment_braze--$version.sql") . "\nDROP TABLE \@extschema\@.braze_notes;\n");
	(my $create = "$add{braze_notes};\n") =~ s/braze_notes/\@extschema\@.braze_notes/;
	append_to_file($scripts[1], $create);
	run('CREATE DATABASE old');
	run("CREATE EXTENSION segment_braze VERSION '0.0.9'", 'old');
	braze_destination($node, 'old', 'braze', $braze, start => 0);
	like(sql_error("SELECT braze_track('u1', 'A')", 'old'), qr/is older than its library/, 'an older version is told to be updated');
	ok(braze_wait_for_state($node, 'braze', '%ALTER EXTENSION segment_braze UPDATE', 'old'), 'by its status, too');
	run('ALTER EXTENSION segment_braze UPDATE', 'old');
	braze_start($node, 'old', 'braze');
	$braze->reset;
	run("SELECT braze_track('u1', 'A')", 'old');
	braze_flush($node, 'old');
	is($braze->accepted, 1, 'and works once it is');
	is(run("SELECT extversion FROM pg_extension WHERE extname = 'segment_braze'", 'old'), $version, 'with the version that it says');
	run('DROP DATABASE old');
}

# a set of columns that the library does not expect must not be filled
run(<<'EOS');
CREATE SCHEMA older;
CREATE FUNCTION older.braze_counters(OUT destination name, OUT state text, OUT requests bigint) RETURNS SETOF record
	AS '$libdir/segment_braze', 'braze_counters' LANGUAGE C;
CREATE FUNCTION older.braze_map(call jsonb, destination name, OUT outcome text, OUT payload jsonb) RETURNS SETOF record
	AS '$libdir/segment_braze', 'braze_map' LANGUAGE C;
EOS
foreach my $select ('older.braze_counters()', q{older.braze_map('{"type": "track", "userId": "u", "event": "A"}', NULL)})
{
	like(sql_error("SELECT * FROM $select"), qr/is older than its library/, "other columns of $select are an error");
}
run('DROP SCHEMA older CASCADE');

# --- a backlog with all that belongs to it

$braze->reset;
$braze->fault(kind => 'errors', user => 'refused');
run(<<'EOS');
SELECT braze_identify('u1', '{"plan": "pro", "$odd": 1}', message_id => 'm1');
SELECT braze_track('u1', 'A', message_id => 'm2');
SELECT braze_track('refused', 'A', message_id => 'm3');
EOS
braze_flush($node);
$braze->clear_faults;
run("SELECT braze_pause('braze', 'for the dump')");
run(q{SELECT count(braze_track('u' || n % 3, 'backlog', jsonb_build_object('seq', n))) FROM generate_series(1, 60) n});
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM braze_notes') or die 'there are no notes';

my @tables = ('braze_queue', 'braze_dead_letters', 'braze_messages', 'braze_notes', 'braze_profiles');
my $contents = join ' UNION ALL ', map { "SELECT '$_: ' || t::text FROM $_ t" } @tables;
my $before = run("$contents ORDER BY 1");
foreach my $table (@tables)
{
	like($before, qr/^$table: /m, "$table has something to be dumped");
}

sub restore_into
{
	my ($database, @files) = @_;

	run("CREATE DATABASE $database");
	foreach my $file (@files)
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $database ], "$database: $file is restored");
	}
	return;
}

sub goes_on
{
	my ($database, $what) = @_;

	is(run("$contents ORDER BY 1", $database), $before, "$what: all tables are the same");
	is(run(q{SELECT braze_track('u1', 'A', message_id => 'm2') IS NULL}, $database), 't', "$what: a messageId is remembered");
	run(q{SELECT braze_track('u1', 'backlog', '{"seq": 61}')}, $database);
	braze_wait_for_worker($node, $database);
	ok(braze_wait_for_state($node, 'braze', 'not started here: %', $database), "$what: nobody has started it there");
	is($braze->stats->{requests}, 0, "$what: so nothing is sent");
	run("SELECT braze_start('braze')", $database);
	run(q{SELECT braze_identify('u1', '{"plan": "pro"}')}, $database);
	braze_flush($node, $database);
	is_deeply($braze->order, { distinct => 61, violations => 0, duplicates => 0, repeats => 0 }, "$what: the backlog arrives, in order");
	is(scalar(grep { $_->{kind} eq 'attributes' } $braze->log), 0, "$what: what Braze has is not sent again");
	run("DROP DATABASE $database");
	return;
}

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'pg_dump');
$braze->reset;
restore_into('copy', $dump);
goes_on('copy', 'a dump');

# in parts: the schema, and the rows
my ($schema, $data) = map { $node->basedir . "/$_.sql" } 'schema', 'data';
$node->command_ok([ 'pg_dump', '--schema-only', '-f', $schema, 'postgres' ], 'pg_dump --schema-only');
$node->command_ok([ 'pg_dump', '--data-only', '-f', $data, 'postgres' ], 'pg_dump --data-only');
$braze->reset;
restore_into('parts', $schema, $data);
goes_on('parts', 'schema and data');

# --- a role without rights gets no calls and no keys

run('CREATE ROLE plain LOGIN');
my ($stdout, $stderr) = ('', '');
my $connection = $node->connstr('postgres') . ' user=plain';
my $status = PostgreSQL::Test::Utils::run_log([ 'pg_dump', '-d', $connection ], '>', \$stdout, '2>', \$stderr);
ok(!$status, 'pg_dump by a plain role fails');
like($stderr, qr/permission denied for (table|sequence) braze_|lack SELECT privilege on the sequence/, 'for want of rights');
unlike($stdout . $stderr, qr/test-key|backlog/, 'and shows neither calls nor keys');
PostgreSQL::Test::Utils::run_log([ 'pg_dump', '--schema-only', '-d', $connection ], '>', \$stdout, '2>', \$stderr);
unlike($stdout . $stderr, qr/test-key/, 'nor does one of the schema');
($stdout, $stderr) = ('', '');
PostgreSQL::Test::Utils::run_log([ 'psql', '-XAt', '-d', $connection, '-c', 'SELECT umoptions FROM pg_user_mappings' ], '>', \$stdout, '2>', \$stderr);
unlike($stdout . $stderr, qr/test-key/, 'nor the catalogs');

$node->stop;
done_testing();
