# Nothing that is set for a database or a role, no schema and no encoding
# changes what the worker does.

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
my $node = braze_server('main');

sub run
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# --- settings of the database, of the worker's role, and of both

run(<<'EOS');
CREATE DATABASE odd;
CREATE ROLE nobody;
EOS
run(<<'EOS', 'odd');
CREATE EXTENSION segment_braze;
CREATE SCHEMA evil;
CREATE FUNCTION evil.fail(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'evil operator'; END $$;
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.fail);
CREATE FUNCTION evil.fail(name, name) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'evil operator'; END $$;
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.fail);
CREATE TABLE evil.braze_queue (id bigint);
CREATE FUNCTION evil.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'evil function'; END $$;
EOS
braze_destination($node, 'odd', 'braze', $braze, options => "deduplicate '1 d', changed_attributes_only 'true'");
run(<<'EOS');
ALTER DATABASE odd SET default_transaction_isolation = 'serializable';
ALTER DATABASE odd SET default_transaction_read_only = on;
ALTER DATABASE odd SET default_transaction_deferrable = on;
ALTER DATABASE odd SET search_path = evil, pg_catalog;
ALTER DATABASE odd SET "TimeZone" = 'Asia/Kathmandu';
ALTER DATABASE odd SET "DateStyle" = 'German';
ALTER DATABASE odd SET "IntervalStyle" = 'sql_standard';
ALTER DATABASE odd SET bytea_output = 'escape';
ALTER DATABASE odd SET extra_float_digits = -15;
ALTER DATABASE odd SET statement_timeout = '1ms';
ALTER DATABASE odd SET lock_timeout = '1ms';
ALTER DATABASE odd SET idle_in_transaction_session_timeout = '1ms';
ALTER DATABASE odd SET row_security = on;
ALTER DATABASE odd SET check_function_bodies = off;
ALTER DATABASE odd SET session_replication_role = 'replica';
ALTER DATABASE odd SET enable_indexscan = off;
ALTER DATABASE odd SET synchronous_commit = 'remote_apply';
ALTER DATABASE odd SET log_min_messages = 'debug1';
ALTER DATABASE odd SET session_authorization = 'nobody';
ALTER DATABASE odd SET role = 'nobody';
EOS
my $version = run('SHOW server_version_num');
my $has_transaction_timeout = $version >= 170000;
run("ALTER DATABASE odd SET transaction_timeout = '1ms'") if $has_transaction_timeout;
run('ALTER DATABASE odd SET standard_conforming_strings = off') if $version < 190000;
my $superuser = run('SELECT current_user');
run(qq{ALTER ROLE "$superuser" SET default_transaction_isolation = 'repeatable read'});
run(qq{ALTER ROLE "$superuser" IN DATABASE odd SET default_transaction_isolation = 'serializable'});
$node->restart;
braze_wait_for_worker($node, 'odd');

# this test's own sessions do without
sub odd
{
	my ($sql) = @_;
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'role=none', 'search_path=public',
	  'statement_timeout=0', 'lock_timeout=0', 'idle_in_transaction_session_timeout=0',
	  'default_transaction_read_only=off', 'default_transaction_isolation=read\\ committed',
	  'synchronous_commit=local', $has_transaction_timeout ? 'transaction_timeout=0' : ();

	return run($sql, 'odd');
}

sub settled
{
	my ($what) = @_;

	return ok(
		StandIn::wait_until(sub { odd('SELECT count(*) FROM braze_queue') eq '0' }, 'the queue is empty'),
		$what);
}

odd(<<'EOS');
SELECT braze_track('u1', 'A', '{"seq": 1}', at => '2026-01-02 03:04:05.678+00', message_id => 'm1');
SELECT braze_identify('u1', '{"plan": "pro", "birthday": "1991-09-26", "height": 1.23456789012345678}');
INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "eventless"}')
EOS
settled('settings of the database do not keep calls from being settled');
is(odd("SELECT call->>'userId' FROM braze_dead_letters"), 'eventless', 'nor from becoming dead letters');
my ($event) = grep { $_->{kind} eq 'events' } $braze->log;
is($event->{object}{time}, '2026-01-02T03:04:05.678Z', 'times are what they are');
is($braze->user('u1')->{attributes}{dob}, '1991-09-26', 'and dates');
ok(StandIn::wait_until(sub { odd("SELECT last_success > now() - interval '1 d' FROM braze_status") eq 't' }, 'there was a success'),
	'the status is right');
odd('SELECT braze_delete_user(\'u1\')');
settled('what the worker does by SQL works, too');
$braze->fault(kind => 'status', status => 403, count => 1);
odd(q{SELECT braze_track('u1', 'B')});
ok(StandIn::wait_until(sub { odd('SELECT by_worker FROM braze_paused') eq 't' }, 'the pause is stored'),
	'a pause is stored');
odd("SELECT braze_start('braze')");
settled('and lifted');
run('DROP DATABASE odd');
run(qq{ALTER ROLE "$superuser" RESET ALL});

# --- settings of the whole server

$node->append_conf('postgresql.conf', <<'EOC');
default_transaction_isolation = 'serializable'
default_transaction_read_only = on
statement_timeout = '1ms'
EOC
$braze->reset;
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0';

	run('CREATE EXTENSION segment_braze');
	braze_destination($node, 'postgres', 'braze', $braze);
	$node->restart;
	run("SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n))) FROM generate_series(1, 100) n");
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_queue') or die 'not settled';
	is($braze->order->{distinct}, 100, 'nor do those of the whole server');
	$node->reload;
	run("SELECT braze_track('u1', 'A', '{\"seq\": 101}')");
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_queue') or die 'not settled';
	is($braze->order->{distinct}, 101, 'not even after a reload');
}
$node->append_conf('postgresql.conf', <<'EOC');
default_transaction_isolation = 'read committed'
default_transaction_read_only = off
statement_timeout = 0
EOC

# --- synchronous replication, with nobody there to confirm anything

$node->append_conf('postgresql.conf', <<'EOC');
synchronous_standby_names = 'nobody'
EOC
$node->restart;
$braze->reset;
run("SET synchronous_commit = local; SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n))) FROM generate_series(1, 100) n");

# but for one that a busy machine has held up for a second: see 187_standstill
until (run("SELECT braze_flush('5 s')") eq 't')
{
	next unless run('SELECT braze_worker_state()') =~ /^waiting: the worker stood still/;
	run("SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = ''");
	run('SELECT pg_reload_conf()');
	braze_flush($node);
	run('ALTER SYSTEM RESET synchronous_standby_names');
	run('SELECT pg_reload_conf()');
}
pass('a standby that is missing does not hold up the worker');
is_deeply($braze->order, { violations => 0, distinct => 100, duplicates => 0, repeats => 0 }, 'each call arrives once');
my $pid = braze_worker_pid($node);
run("SELECT pg_terminate_backend($pid)");
ok(braze_wait_for_worker($node, 'postgres', $pid), 'it ends and starts');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->restart;

# --- another schema

run('CREATE DATABASE schemas');
run(<<'EOS', 'schemas');
CREATE SCHEMA "of Braze";
CREATE EXTENSION segment_braze SCHEMA "of Braze";
EOS
braze_destination($node, 'schemas', '"a ""b"" ü"', $braze, options => "deduplicate '1 d', changed_attributes_only 'true'");
$braze->reset;
run(<<'EOS', 'schemas');
SET search_path = "of Braze";
SELECT braze_track('u1', 'A', message_id => 'm1');
SELECT braze_identify('u2', '{"plan": "pro"}');
INSERT INTO braze_queue (destination, call) VALUES ('a "b" ü', '{"type": "track", "userId": "eventless"}');
SELECT braze_flush('1 min') AS flushed \gset
SELECT braze_delete_user('u2');
SELECT braze_pause('a "b" ü');
SELECT braze_start('a "b" ü');
SELECT braze_flush('1 min') AS flushed \gset
EOS
is($braze->accepted, 3, 'any schema will do');
ok($node->poll_query_until('schemas', q{SELECT pending, delivered, dead_letters, state FROM "of Braze".braze_status}, '0|3|1|running'),
	'and any name of a destination');
is(run(q{SET search_path = "of Braze"; SELECT braze_retry(); SELECT braze_flush('1 min')}, 'schemas'),
	"1\nt", 'braze_retry finds its tables');

# --- encodings

foreach my $encoding ('LATIN1', 'EUC_JP')
{
	my $name = $encoding eq 'LATIN1' ? 'Zoë' : '日本';

	run("CREATE DATABASE encoded TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	run('CREATE EXTENSION segment_braze', 'encoded');
	braze_destination($node, 'encoded', 'braze', $braze);
	$braze->reset;
	$braze->fault(kind => 'errors', user => 'refused', reason => 'Größe ≠ 日本');
	run(<<EOS, 'encoded');
SET client_encoding = 'UTF8';
SELECT braze_track('$name', '$name', '{"$name": "$name"}');
SELECT braze_track('refused', 'A');
EOS
	braze_flush($node, 'encoded');
	my ($object) = grep { $_->{outcome} eq 'accepted' } $braze->log;
	utf8::decode(my $decoded = $name);
	is_deeply(
		[ $object->{user}, $object->{name}, $object->{object}{properties} ],
		[ $decoded, $decoded, { $decoded => $decoded } ],
		"$encoding: Braze gets UTF-8");
	is(braze_dead_letters($node, 'encoded'), 'refused', "$encoding: its words may be of any kind");
	like(run('SELECT reason FROM braze_dead_letters', 'encoded'), qr/Gr.*e/, "$encoding: and are kept as far as possible");
	run('DROP DATABASE encoded');
}
run("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
run('CREATE EXTENSION segment_braze', 'bytes');
my ($status, $out, $error) = $node->psql('bytes',
	"CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01')");
isnt($status, 0, 'SQL_ASCII, which does not say what its bytes mean, has no destinations');
like($error, qr/SQL_ASCII/, 'and the error names it');

$node->stop;
done_testing();
