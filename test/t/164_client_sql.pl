# The client in plain SQL: the extension's regression tests of queueing, run
# without the extension, on functions that a role made which is no superuser.
#
# The input is test/sql, the expected output that of the extension.  What stands
# there between "-- only the extension" and "-- the client as well" is left out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;

my $top = "$FindBin::RealBin/../..";
my $client = "$top/client/segment_braze_client.sql";
my $node = braze_server('source', preload => 0);

# in any encoding of the file, which is plain ASCII
sub run
{
	return $node->safe_psql('shop', $_[0]);
}

sub run_as_owner
{
	return $node->safe_psql('shop', $_[0], extra_params => [ '-U', 'owner' ]);
}

# what both need, of input and of output
sub for_client
{
	my ($text) = @_;

	$text =~ s/^-- only the extension\b.*?(?:^-- the client as well\n|\z)//msg;
	$text =~ s/^CREATE EXTENSION segment_braze;\n//mg;
	$text =~ s/^CREATE SERVER \w+ FOREIGN DATA WRAPPER segment_braze .*?;\n//mg;
	$text =~ s/\bbraze_queue\b/braze_outbox/g;
	return $text;
}

# The differences between the two:
sub without_differences
{
	my ($text) = @_;

	# an error has the context of PL/pgSQL, and not that of the extension
	$text =~ s/^CONTEXT:  .*\n(?:(?:trigger "|call \d+ of|PL\/pgSQL function |SQL statement ").*\n)*//mg;
	# the node has what the hint speaks of
	$text =~ s/^HINT:  braze_map shows what .*\n/HINT:  braze_map shows on the delivery node what becomes of a call.  With segment_braze.on_invalid_call = dead_letter such a call is kept in its braze_dead_letters instead.\n/mg;
	# a type is named with its schema
	$text =~ s/^(ERROR:  user_id cannot be of type )public\./$1/mg;
	return $text;
}

$node->safe_psql('postgres', "CREATE ROLE owner LOGIN");
$node->safe_psql('postgres', "CREATE DATABASE shop OWNER owner");
$node->safe_psql('shop', 'REVOKE CREATE ON SCHEMA public FROM PUBLIC; ALTER SCHEMA public OWNER TO owner');
run_as_owner("SET client_min_messages = warning; \\i $client");

# the output is printed as pg_regress has it
$node->safe_psql('postgres', "ALTER DATABASE shop SET $_")
  foreach "timezone = 'America/Los_Angeles'", "datestyle = 'Postgres, MDY'", "intervalstyle = 'postgres_verbose'",
  "lc_messages = 'C'", "bytea_output = 'hex'";

foreach my $test (qw(queueing user_id queued trigger))
{
	my $input = "$PostgreSQL::Test::Utils::tmp_check/$test.sql";
	my $expected = "$PostgreSQL::Test::Utils::tmp_check/$test.expected";
	my $result = "$PostgreSQL::Test::Utils::tmp_check/$test.out";
	my $errors;

	append_to_file($input, for_client(slurp_file("$top/test/sql/$test.sql")));
	append_to_file($expected, without_differences(for_client(slurp_file("$top/expected/$test.out"))));

	# errors between the rows, as they come
	open my $out, '>', $result or die "could not create $result: $!";
	IPC::Run::run([ 'psql', '-X', '-a', '-q', '-v', 'SHOW_CONTEXT=never', '-d', $node->connstr('shop') ], '<', $input, '>&', $out);
	close $out;
	my $found = without_differences(slurp_file($result));
	open $out, '>', $result or die "could not create $result: $!";
	print $out $found;
	close $out;

	my $diff = '';
	IPC::Run::run([ 'diff', '-u', $expected, $result ], '>', \$diff);
	is($diff, '', "$test.sql has the same output");
}

# ---- who may do what ----

# the output of a query as a role, or its error
sub try
{
	my ($role, $sql) = @_;
	my ($result, $out, $err) = $node->psql('shop', $sql, extra_params => [ '-U', $role ]);

	return $err =~ /ERROR:  (.*)/ ? $1 : $out;
}

run_as_owner('SELECT braze_drop_client()');

# a schema of its own, with a name that needs quotes, and default privileges that
# give all away
$node->safe_psql('shop', <<'EOS');
CREATE ROLE app LOGIN;
CREATE ROLE writer LOGIN;
CREATE ROLE collector LOGIN;
CREATE SCHEMA "My Shop" AUTHORIZATION owner;
GRANT USAGE ON SCHEMA "My Shop" TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT ALL ON TABLES TO app, PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT ALL ON SEQUENCES TO app, PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT ALL ON FUNCTIONS TO app, PUBLIC;
ALTER DATABASE shop SET search_path = "My Shop";
EOS

# where nobody else can create
foreach my $to ('PUBLIC', 'app', 'group, whose name is "quoted"')
{
	my $role = $to =~ /group/ ? '"group"' : $to;

	run("CREATE ROLE \"group\" IN ROLE pg_monitor; GRANT \"group\" TO app, owner") if $to =~ /group/;
	run(qq{GRANT CREATE ON SCHEMA "My Shop" TO $role});
	my ($result, $out, $err) = $node->psql('shop', "\\i $client", extra_params => [ '-U', 'owner' ]);
	my $who = $to =~ /group/ ? 'app' : $to;
	like($err, qr/ERROR:  the client cannot be made in schema "My Shop", in which $who may create objects/, "refused, where $to may create");
	like($err, qr/HINT:  Run REVOKE CREATE ON SCHEMA "My Shop" FROM $role, or/, 'with the remedy');
	run(qq{REVOKE CREATE ON SCHEMA "My Shop" FROM $role});
}
run(q{REVOKE "group" FROM app; GRANT CREATE ON SCHEMA "My Shop" TO "group"});
is($node->safe_psql('shop', "SELECT count(*) FROM pg_class c, pg_proc p WHERE c.relname LIKE 'braze%' OR p.proname LIKE 'braze%'"),
	'0', 'the client is removed');
run_as_owner("\\i $client");
my $nobody = run(<<'EOS');
SELECT count(*) FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
WHERE p.pronamespace = '"My Shop"'::regnamespace AND a.grantee <> p.proowner
UNION ALL
SELECT count(*) FROM pg_class c, aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a
WHERE c.relnamespace = '"My Shop"'::regnamespace AND a.grantee <> c.relowner
EOS
is($nobody, "0\n0", 'nothing is given to anybody');

run_as_owner(<<'EOS');
GRANT EXECUTE ON FUNCTION braze_track, braze_enqueue_batch TO app;
GRANT SELECT, DELETE ON braze_outbox TO collector;
GRANT SELECT ON braze_collect_locks TO collector;
EOS
run_as_owner("\\i $client");
is(try('app', "SELECT braze_track(42, 'e', destination => 'other') > 0"), 't', 'an application queues, also after an upgrade');
is(try('app', q{SELECT count(*) FROM braze_enqueue_batch('[{"type": "identify", "userId": 1}, {"type": "identify", "userId": 2}]')}),
	'2', 'many calls at once');
like(try('app', $_), qr/^permission denied for/, "but not: $_")
  foreach 'SELECT count(*) FROM braze_outbox', 'DELETE FROM braze_outbox', q{UPDATE braze_outbox SET destination = 'x'},
  q{INSERT INTO braze_outbox (call) VALUES ('{}')}, q{SELECT nextval('braze_outbox_id_seq')}, 'TRUNCATE braze_outbox',
  'SELECT braze_drop_client(true)', q{SELECT braze_client_put('{}', 'segment', 'braze', NULL)}, q{SELECT braze_identify(1)};
is(run('SELECT destination, call_kind, objects, call ->> \'userId\' FROM braze_outbox ORDER BY id'),
	"other|segment||42\nbraze|segment||1\nbraze|segment||2", 'the rows are as those of braze_queue');
is(run(<<'EOS'), '', 'with the columns of braze_queue');
SELECT attname FROM pg_attribute WHERE attrelid = 'braze_outbox'::regclass AND attnum > 0
EXCEPT SELECT unnest('{id,destination,call,queued_at,objects,dead_letter,call_kind}'::text[])
EOS
like(try('owner', 'SELECT braze_drop_client()'), qr/has calls that were not collected/, 'calls are not removed by mistake');
is(try('collector', 'DELETE FROM braze_outbox RETURNING call ->> \'userId\''), "42\n1\n2", 'the collecting role takes them');

# ---- who may still queue ----

my @views = map { slurp_file("$top/$_") =~ /VIEW \@extschema\@\.braze_collect_locks AS\n(.*?;\n)/s }
  'sql/segment_braze--0.1.0.sql', 'client/segment_braze_client.sql';
is($views[1], $views[0], 'the view that the delivery node asks is that of the extension');

my $writing = $node->background_psql('shop', on_error_stop => 1);
$writing->query_safe("BEGIN; SELECT braze_track('u1', 'e')");
run("BEGIN; SELECT braze_track('u2', 'e'); PREPARE TRANSACTION 'p'");
is(try('collector', q{SELECT count(session), count(DISTINCT holder) FROM braze_collect_locks WHERE session IS NOT NULL OR schema_name = 'My Shop' AND table_name = 'braze_outbox'}),
	'1|2', 'the collecting role sees who may still queue, a prepared transaction as well');
run("COMMIT PREPARED 'p'");
$writing->query_safe('COMMIT');
$writing->quit;

# ---- triggers ----

run_as_owner(<<'EOS');
DELETE FROM braze_outbox;
CREATE TABLE users (id int PRIMARY KEY, name text, secret text, doc json);
CREATE TRIGGER to_braze AFTER INSERT OR UPDATE ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'except', 'secret');
REVOKE ALL ON users FROM app, PUBLIC;
GRANT INSERT, UPDATE, SELECT ON users TO writer;
EOS
is(try('writer', q{SET segment_braze.destination = 'elsewhere'; INSERT INTO users VALUES (1, 'Ada', 's')}), '',
	'who writes to the table needs no right');
is(run_as_owner(q{SELECT destination, call -> 'traits' FROM braze_outbox}), 'braze|{"name": "Ada"}',
	'and does not choose the destination');

# a row that no jsonb can have
like(try('writer', q{INSERT INTO users VALUES (2, 'Bob', 's', '"\u0000"')}), qr/unsupported Unicode escape sequence/, 'a bad row is an error');
is(try('writer', q{SET segment_braze.on_invalid_call = dead_letter; INSERT INTO users VALUES (2, 'Bob', 's', '"\u0000"')}), '',
	'unless it is to become a dead letter');
run_as_owner(q{SET segment_braze.on_invalid_call = dead_letter;
	SELECT braze_identify('u1', jsonb_build_object('t', repeat('x', 2000000))), braze_identify(NULL), braze_enqueue('7')});
my @kept = split /\n/, run_as_owner(q{SELECT CASE jsonb_typeof(call) WHEN 'array' THEN call ->> 0 WHEN 'object' THEN (call - '{timestamp,messageId}'::text[])::text ELSE call::text END FROM braze_outbox ORDER BY id OFFSET 1});
like($kept[0], qr/^What the call was to contain cannot be stored as jsonb/, 'what is to become one is queued: a row that cannot be a call');
like($kept[1], qr/^The call has 20\d+ bytes, and segment_braze.max_call_size is 1024 kB/, 'a call that is too large, without its text');
is($kept[2], '{"type": "identify", "traits": {}}', 'a call without a user');
is($kept[3], '7', 'what is no call');
is(run_as_owner('SELECT max(pg_column_size(call)) < 200000 FROM braze_outbox'), 't', 'not the whole text of a large one');

# ---- code of others, with the rights of the owner ----

run(<<'EOS');
DELETE FROM braze_outbox;
GRANT CREATE ON SCHEMA "My Shop" TO app;
GRANT EXECUTE ON FUNCTION braze_trigger TO app;
EOS
$node->safe_psql('shop', <<'EOS', extra_params => [ '-U', 'app' ]);
CREATE SEQUENCE ran;
GRANT ALL ON SEQUENCE ran TO PUBLIC;
CREATE TYPE mood AS ENUM ('sad');
CREATE FUNCTION steal(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('"My Shop".ran'); RETURN '1'; END $$;
CREATE FUNCTION steal_text(mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('"My Shop".ran'); RETURN '1'; END $$;
CREATE CAST (mood AS json) WITH FUNCTION steal(mood);
CREATE CAST (mood AS text) WITH FUNCTION steal_text(mood) AS IMPLICIT;
CREATE TYPE pair AS (a int, m mood[]);
CREATE DOMAIN pairs AS pair;
CREATE TABLE trap (id int, p pairs);
CREATE TRIGGER t AFTER INSERT ON trap FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'id');
CREATE FUNCTION "My Shop".concat(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted'; END $$;
CREATE FUNCTION "My Shop".equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted'; END $$;
CREATE OPERATOR "My Shop".= (LEFTARG = text, RIGHTARG = text, FUNCTION = "My Shop".equal);
EOS
# beside every helper, one for whatever other types it could be called with
run_as_owner('GRANT CREATE ON SCHEMA "My Shop" TO app; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "My Shop" TO app');
$node->safe_psql('shop', <<'EOS', extra_params => [ '-U', 'app' ]);
DO $do$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT oid, proname, proargtypes::oid[] AS types, pg_get_function_result(oid) AS result FROM pg_proc
		WHERE pronamespace = '"My Shop"'::regnamespace AND proname LIKE 'braze\_client\_%'
	LOOP
		FOR i IN 0 .. cardinality(f.types) - 1 LOOP
			FOR t IN 1 .. 7 LOOP
				BEGIN
					EXECUTE format('CREATE FUNCTION %I(%s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN RAISE ''planted %%'', current_user; END $$',
						f.proname, (SELECT string_agg(CASE WHEN n = i + 1 THEN ('{text,int,jsonb,name,varchar,trap,mood}'::text[])[t]
							ELSE a::regtype::text END, ', ' ORDER BY n) FROM unnest(f.types) WITH ORDINALITY u (a, n)), f.result);
				EXCEPTION WHEN duplicate_function THEN
					NULL;
				END;
			END LOOP;
		END LOOP;
	END LOOP;
END
$do$;
EOS
cmp_ok(run(q{SELECT count(*) FROM pg_proc WHERE prosrc LIKE '%planted%' AND proname LIKE 'braze%'}), '>', 100, 'functions are planted beside the helpers');
foreach my $call (q{braze_enqueue('{"type": "identify", "userId": "u1"}')}, q{braze_identify('u1'::varchar)}, q{braze_track('u1'::text, 'e')},
	q{braze_page(1, 'n')}, q{braze_screen(1.5, 'n')}, q{braze_group('"u1"'::jsonb, 'g')}, q{braze_alias('sad'::mood, 'p')}, q{braze_delete_user('u1'::name)})
{
	is(try('app', "SELECT $call > 0"), 't', "none of these is called by $call");
}
unlike(try('app', $_), qr/planted/, "nor by $_")
  foreach 'SELECT braze_track(NULL::text, NULL)', 'SELECT braze_identify(1.5::float8)', q{SELECT braze_identify('NaN'::numeric)},
  q{SELECT braze_identify('[]'::jsonb)}, 'SELECT braze_identify(row(1))';
run_as_owner('DELETE FROM braze_outbox');
$node->safe_psql('shop', <<'EOS', extra_params => [ '-U', 'app' ]);
CREATE TABLE plain (id int, doc jsonb, secret text GENERATED ALWAYS AS ('x') STORED);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
EOS
is(try('app', q{INSERT INTO plain VALUES (1, '{}'), (2, NULL); UPDATE plain SET doc = NULL}), '', 'nor by the trigger');
like(try('app', qq{CREATE OR REPLACE TRIGGER u BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION braze_trigger($_); INSERT INTO plain VALUES (3)}), qr/braze_trigger/,
	"nor by one with the arguments $_")
  foreach q{'type'}, q{'typ', 'identify'}, q{'type', 'identifi'}, q{'type', 'identify', 'user_id', 'ids'}, q{'type', 'track'},
  q{'type', 'identify', 'only_changed', 'x'}, q{'type', 'identify', 'traits', 'doc, doc'}, q{'type', 'identify', 'context', 'id'},
  q{'type', 'identify', 'properties', 'doc'}, q{'type', 'identify', 'names', '[]'};
run_as_owner('DELETE FROM braze_outbox');

is(try('app', q{INSERT INTO trap VALUES (1, row(1, '{sad}'))}), '', 'a value whose cast to json would run code');
is(run_as_owner(q{DELETE FROM braze_outbox RETURNING call -> 'properties'}), '{"p": {"a": 1, "m": ["sad"]}}', 'is as if there were no cast');

# what to_jsonb has without such casts
$node->safe_psql('shop', <<'EOS', extra_params => [ '-U', 'app' ]);
CREATE TYPE feeling AS ENUM ('glad, "very"', 'NULL');
CREATE TYPE spot AS (x int, f feeling, "a b" timestamptz);
CREATE DOMAIN feelings AS feeling[];
CREATE DOMAIN small AS numeric CHECK (VALUE < 10);
CREATE DOMAIN place AS spot;
CREATE TYPE span AS RANGE (SUBTYPE = feeling);
CREATE TYPE nothing AS ();
CREATE TYPE nest AS (s place, ss spot[], n nothing, fs feelings);
CREATE TABLE odd (id int, e feeling, es feeling[], d feelings, sm small, sms small[], s spot, ss spot[], sp span, n nest, ns nest[],
	doc json, "to_jsonb" jsonb, r text, name text, value int);
CREATE TRIGGER t AFTER INSERT ON odd FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'id');
INSERT INTO odd VALUES (1, 'NULL', '{"NULL",NULL,"glad, \"very\""}', '[2:3]={"NULL","NULL"}', 1.50, '{1.50,NULL}', row(1, 'NULL', '2026-01-02 03:04:05+00'),
	ARRAY[row(1, NULL, NULL), NULL, row(NULL, NULL, NULL)]::spot[], '["glad, \"very\"",)', row(row(1, 'NULL', NULL), '{}', row(), '{{"NULL"},{NULL}}'),
	ARRAY[row(NULL, ARRAY[row(1, 'NULL', NULL)::spot], NULL, NULL)]::nest[], 'null', '[1]', 'r', 'n', 2);
INSERT INTO odd VALUES (2);
EOS
is(run_as_owner(q{SELECT call ->> 'userId', call -> 'properties' FROM braze_outbox ORDER BY id}),
	run(q{SELECT id, CASE id WHEN 1 THEN to_jsonb(o) - 'id' ELSE '{}' END FROM odd o ORDER BY id}), 'types of all kinds');
run_as_owner('DELETE FROM braze_outbox');

# the transaction sees the catalogs as they were before the types, the columns and
# the fields that the row has
foreach my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	run(q{SET ROLE app; CREATE TYPE later AS (a int, "to_jsonb" int); CREATE TABLE late (id int, "to_jsonb" int, was int, l later);
		CREATE TRIGGER t AFTER INSERT ON late FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'id')});
	my $session = $node->background_psql('shop', on_error_stop => 0);
	$session->query("SET ROLE app; BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM pg_class");
	run(q{SET ROLE app; CREATE TABLE newest (id int, m mood);
		CREATE TRIGGER t AFTER INSERT ON newest FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'id');
		ALTER TABLE late ADD m mood; ALTER TABLE late ALTER was TYPE mood USING 'sad'});
	$session->query(q{SAVEPOINT s; INSERT INTO newest VALUES (1, 'sad'); ROLLBACK TO s});
	$session->query(q{SAVEPOINT s; INSERT INTO late VALUES (1, 2, 'sad', row(1, 2), 'sad'); ROLLBACK TO s});
	run(q{SET ROLE app; ALTER TYPE later ADD ATTRIBUTE m mood});
	$session->query(q{SAVEPOINT s; INSERT INTO late VALUES (1, 2, 'sad', row(1, 2, 'sad'), 'sad'); ROLLBACK TO s});
	run(q{SET ROLE app; ALTER TYPE later DROP ATTRIBUTE "to_jsonb"});
	$session->query(q{SAVEPOINT s; INSERT INTO late VALUES (1, 2, 'sad', row(1, 'sad'), 'sad'); ROLLBACK TO s});
	run(q{SET ROLE app; ALTER TABLE late DROP "to_jsonb"});
	$session->query(q{SAVEPOINT s; INSERT INTO late VALUES (1, 'sad', row(1, 'sad'), 'sad'); ROLLBACK TO s});
	$session->query('COMMIT');
	$session->quit;
	run('DROP TABLE late, newest; DROP TYPE later');
}
is(try('app', q{SET search_path = "My Shop", pg_catalog; SELECT braze_track('sad'::mood, 'e') > 0}), 't', 'an enum is a user id, by its label');
is(run(q{SELECT string_agg(call ->> 'userId', ',') FROM braze_outbox}), 'sad', 'and nothing else');
is(run('SELECT is_called FROM ran'), 'f', 'nobody has run anything as the owner');

# ---- where it does not belong ----

$node->safe_psql('postgres', 'CREATE DATABASE extended');
$node->safe_psql('extended', 'CREATE EXTENSION segment_braze');
like(($node->psql('extended', "SET search_path = public; \\i $client"))[2],
	qr/the extension segment_braze is installed in this database/, 'a database with the extension is left alone');
run_as_owner('SELECT braze_drop_client(true)');
is(run(q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), '0', 'removed, with the triggers');

$node->stop;
done_testing();
