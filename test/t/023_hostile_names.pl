# Servers, schemas, tables, columns, events and roles with names that somebody
# chose to break what handles them: each arrives as it is.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Encode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_server('main');

# PostgreSQL lets no extension into a schema with quotes, backslashes, dollars or
# newlines in its name
my %schemas = (
	space => 'a schema',
	keyword => 'select',
	statement => 'x; DROP TABLE y; x',
	long => 'ü' x 31 . 's',
	percent => '%s%n');

my @names = (
	q{it's "quoted"},
	"two\nlines\r\tand a tab",
	q{'; DROP TABLE braze_queue; --},
	q{back\\slash and \\'},
	'%s%n%999d',
	'{"json": [1]}',
	'x $1 $$ $body$',
	'ünïcödé 日本語 😀',
	"right\x{202E}to left",
	'x' x 63,
	'é' x 31 . 'x',
	'select',
	'now() FROM pg_catalog.pg_authid');

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	return "E'$text'";
}

sub identifier
{
	my ($text) = @_;

	$text =~ s/"/""/g;
	return qq{"$text"};
}

sub sql
{
	my ($database, $sql) = @_;

	return decode('UTF-8', $node->safe_psql($database, encode('UTF-8', $sql)));
}

foreach my $kind (sort keys %schemas)
{
	my $schema = identifier($schemas{$kind});
	my $literal = literal($schema);

	$node->safe_psql('postgres', "CREATE DATABASE $kind");
	sql($kind, "CREATE SCHEMA $schema; CREATE EXTENSION segment_braze SCHEMA $schema");
	braze_destination($node, $kind, 'braze', $braze);
	$braze->reset;
	is(sql($kind, <<EOS), 't', "the extension in a schema \"$kind\"");
SELECT $schema.braze_track('u1', 'A', message_id => 'm1') IS NOT NULL;
EOS
	$braze->wait_for_accepted(1);
	is( sql($kind, <<EOS), 't|1', 'settles, pauses, resumes and retries');
SET search_path = pg_catalog;
DO \$\$ BEGIN PERFORM $schema.braze_flush('3 min'); END \$\$;
DO \$\$ BEGIN PERFORM $schema.braze_pause('braze'); END \$\$;
INSERT INTO $schema.braze_dead_letters (destination, call, reason, queued_at)
	VALUES ('braze', '{"type": "track", "userId": "u2", "event": "A"}', 'why', now());
SELECT $schema.braze_start('braze'), $schema.braze_retry();
EOS
	$braze->wait_for_accepted(2);
	$node->safe_psql('postgres', "DROP DATABASE $kind");
}

# destinations, all in one database, each with its calls
$node->safe_psql('postgres', 'CREATE EXTENSION segment_braze');
$braze->reset;
my $endpoint = $braze->url;
my $number = 0;
my $has_roles_of_lines = $node->safe_psql('postgres', 'SHOW server_version_num') < 190000;
foreach my $name (@names)
{
	my $quoted = identifier($name);
	my $role = identifier($has_roles_of_lines ? $name : $name =~ s/[\r\n]/ /gr);
	my $literal = literal($name);
	my $bytes = length encode('UTF-8', $name);
	my $shown = $name =~ s/([^ -~])/sprintf '\\x%x', ord $1/ger;

	$number++;

	# a role that may send and do nothing else; a table of its own, whose columns are called the same
	sql('postgres', <<EOS);
CREATE ROLE $role;
CREATE SERVER $quoted FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '$endpoint', app_identifier 'app');
ALTER SERVER $quoted OWNER TO $role;
CREATE USER MAPPING FOR $role SERVER $quoted OPTIONS (rest_api_key 'test-key');
SELECT braze_start($literal);
CREATE SCHEMA $quoted AUTHORIZATION $role;
GRANT EXECUTE ON FUNCTION braze_trigger TO $role;
SET ROLE $role;
CREATE TABLE $quoted.$quoted ($quoted text, id text);
EOS
	sql('postgres', <<EOS);
SET ROLE $role;
DO \$do_it\$
BEGIN
	EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I.%I FOR EACH ROW EXECUTE FUNCTION public.braze_trigger(%L, %L, %L, %L, %L, %L, %L, %L)',
		$literal, $literal, $literal, 'user_id', 'id', 'event', $literal, 'properties', $literal, 'destination', $literal);
END
\$do_it\$;
INSERT INTO $quoted.$quoted VALUES ($literal, 'by trigger $number');
SELECT braze_track('by call $number', $literal, jsonb_build_object($literal, $literal), destination => $literal);
EOS
	is(sql('postgres', "SELECT braze_flush('3 min', $literal)"), 't', "$bytes bytes, <$shown>: settled");

	my @log = grep { $_->{user} =~ / $number$/ } $braze->log;
	is(join('|', map { "$_->{outcome} $_->{reason}" } grep { $_->{outcome} ne 'accepted' } @log), '', 'nothing is refused');
	is(scalar(grep { $_->{name} eq $name } @log), 2, 'its events arrive by their name');
	ok($node->poll_query_until('postgres', encode('UTF-8', "SELECT state, delivered FROM braze_status WHERE destination = $literal"), 'running|2'),
		'the status knows it');
	is(sql('postgres', <<EOS), 't|t|0', 'it is paused, resumed, and has nothing to retry');
DO \$do_it\$ BEGIN PERFORM braze_pause($literal, $literal); END \$do_it\$;
SELECT state = 'paused: ' || $literal, braze_start($literal), braze_retry(destination => $literal)
FROM braze_status WHERE destination = $literal
EOS
}

# what is wrong is said of them as well, and a hint can be run as it stands
foreach my $name (@names)
{
	my $literal = literal($name);
	my ($status, undef, $stderr) = $node->psql('postgres',
		encode('UTF-8', "SET ROLE pg_monitor; SELECT braze_track('u', 'A', destination => $literal)"));

	$stderr = decode('UTF-8', $stderr);
	my ($hint) = $stderr =~ /Its owner can run: (GRANT .*)\.\s*\z/s;
	is($status, 3, 'who has no USAGE may not send');
	is(sql('postgres', "$hint; REVOKE USAGE ON FOREIGN SERVER " . identifier($name) . ' FROM pg_monitor; SELECT 1'), 1,
		'and the GRANT in the hint is one');
}

# all of it survives a dump
my $dump = $node->basedir . '/dump.sql';
$node->safe_psql('postgres', "SELECT braze_pause(srvname) FROM pg_foreign_server");
sql('postgres', join ";\n", map { my $l = literal($_); "SELECT braze_track('restored', 'A', destination => $l)" } @names);
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'and restore');
is($node->safe_psql('restored', 'SELECT count(*), count(DISTINCT destination) FROM braze_queue'),
	@names . '|' . @names, 'bring the backlog of each');

is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'none became a dead letter');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|syntax error/, 'and nothing stumbled');
$node->stop;
done_testing();
