-- The types that a user_id may have.
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', track_all_pages 'true');

-- the userId of each call that was queued, and no more of it
CREATE FUNCTION taken(OUT user_id jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM braze_queue RETURNING id, call)
	SELECT call -> 'userId' FROM gone ORDER BY id
$$;

CREATE TYPE mood AS ENUM ('sad', 'very happy');
CREATE DOMAIN customer_id AS int CHECK (VALUE > 0);
CREATE DOMAIN vip_id AS customer_id;
CREATE DOMAIN code AS char(6);
CREATE DOMAIN mood_of_today AS mood;
CREATE DOMAIN document AS jsonb;

-- strings
SELECT braze_identify('a literal') > 0 AND braze_identify('text'::text) > 0 AND braze_identify('varchar'::varchar(20)) > 0 AND
	braze_identify('padded'::char(20)) > 0 AND braze_identify('  inner blanks '::text) > 0 AND
	braze_identify('a name'::name) > 0 AND braze_identify('c'::"char") > 0 AS queued;
SELECT * FROM taken();
-- numbers: zeros of a whole number are cut, others are digits of it
SELECT braze_identify(42::smallint) > 0 AND braze_identify(-1) > 0 AND braze_identify(9007199254740993) > 0 AND
	braze_identify(12345.000::numeric(12, 3)) > 0 AND braze_identify(1200::numeric) > 0 AND braze_identify(1.50) > 0 AND
	braze_identify(1e20) > 0 AND braze_identify(-0.0) > 0 AS queued;
SELECT * FROM taken();
-- uuid, enums, domains, also over domains
SELECT braze_identify('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid) > 0 AND braze_identify('very happy'::mood) > 0 AND
	braze_identify(7::customer_id) > 0 AND braze_identify(8::vip_id) > 0 AND braze_identify('ab'::code) > 0 AND
	braze_identify('sad'::mood_of_today) > 0 AS queued;
SELECT * FROM taken();
-- jsonb: what is in it; its null is no user_id, as in braze_enqueue
SELECT braze_identify('"with \"quotes\""'::jsonb) > 0 AND braze_identify('42'::jsonb) > 0 AND braze_identify('42.0'::jsonb) > 0 AND
	braze_identify('"42.0"'::jsonb) > 0 AND braze_identify('{"id": "u1"}'::jsonb -> 'id') > 0 AND braze_identify('"d"'::document) > 0 AND
	braze_identify('null'::jsonb, anonymous_id => 'an') > 0 AND braze_identify('{}'::jsonb -> 'id', anonymous_id => 'an') > 0 AS queued;
SELECT * FROM taken();

-- a value from a column of its own size, compressed or not
CREATE TABLE customers (id bigint, code char(8), key uuid, doc jsonb, long text);
INSERT INTO customers VALUES (1, 'c1', '00000000-0000-4000-8000-000000000001', '{"id": 17, "name": "Ada"}', repeat('x', 900));
SELECT count(braze_identify(id)), count(braze_identify(code)), count(braze_identify(key)), count(braze_identify(doc -> 'id')),
	count(braze_identify(doc -> 'name')), count(braze_identify(id % 10 + 0.5)), count(braze_identify(long)) FROM customers;
SELECT left(user_id::text, 50) AS user_id, length(user_id::text) FROM taken();
SELECT braze_identify(repeat('x', 2000000), at => '2026-01-01 00:00:00Z', message_id => 'm') IS NOT NULL AS queued;

-- every function, in both notations
SELECT braze_identify(1) > 0 AND braze_track(1, 'e') > 0 AND braze_page(1) > 0 AND braze_screen(1, 'n') > 0 AND braze_group(1, 'g') > 0 AND
	braze_alias(1, 'p') > 0 AND braze_delete_user(1) > 0 AS queued;
SELECT braze_identify(user_id => 1) > 0 AND braze_track(event => 'e', user_id => 1, at => now()) > 0 AND
	braze_page(name => 'n', user_id => 1) > 0 AND braze_screen(user_id => 1) > 0 AND braze_group(group_id => 'g', user_id => 1) > 0 AND
	braze_alias(previous_id => 'p', user_id => 1) > 0 AND braze_delete_user(anonymous_id => 'a', user_id => 1) > 0 AS queued;
SELECT count(*), user_id FROM taken() GROUP BY 2;

-- the other ids are text
\set VERBOSITY terse
SELECT braze_group(1, 2);
\set VERBOSITY default
SELECT braze_group(1, 2::text) > 0 AND braze_alias(1, 2::text, anonymous_id => 3::text) > 0 AS queued;
DELETE FROM braze_queue;

-- null of any type that is allowed is no user_id
SELECT braze_track(NULL, 'e', anonymous_id => 'an') > 0 AND braze_track(NULL::int, 'e', anonymous_id => 'an') > 0 AND
	braze_track(NULL::numeric, 'e', anonymous_id => 'an') > 0 AND braze_track(NULL::jsonb, 'e', anonymous_id => 'an') > 0 AND
	braze_track(NULL::uuid, 'e', anonymous_id => 'an') > 0 AND braze_track(NULL::mood, 'e', anonymous_id => 'an') > 0 AS queued;
SELECT count(*), user_id FROM taken() GROUP BY 2;
SELECT braze_track(NULL::int, 'e');
SELECT braze_track(NULL::date, 'e', anonymous_id => 'an');

-- parameters: one without a type is text
PREPARE untyped AS SELECT braze_track($1, 'e', $2) > 0 AS queued;
SELECT name, parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
EXECUTE untyped('u1', '{}');
EXECUTE untyped(42, '{}');
PREPARE typed(bigint) AS SELECT braze_track($1, 'e') > 0 AS queued;
EXECUTE typed(43);
PREPARE named(uuid) AS SELECT braze_track(user_id => $1, event => 'e') > 0 AS queued;
EXECUTE named('00000000-0000-4000-8000-000000000002');
SELECT * FROM taken();
DEALLOCATE ALL;

-- PL/pgSQL: variables, fields, nulls, EXECUTE ... USING, dynamic SQL
DO $$
DECLARE
	i int := 1;
	t text := 't';
	u uuid := '00000000-0000-4000-8000-000000000003';
	nothing int;
	r record;
	c customers;
BEGIN
	PERFORM braze_track(i, 'e');
	PERFORM braze_track(t, 'e');
	PERFORM braze_track(u, 'e');
	PERFORM braze_track(nothing, 'e', anonymous_id => 'an');
	PERFORM braze_track(NULL, 'e', anonymous_id => 'an');
	SELECT 2::bigint AS id INTO r;
	PERFORM braze_track(r.id, 'e');
	SELECT * INTO c FROM customers;
	PERFORM braze_track(c.id, 'e', c.doc);
	EXECUTE 'SELECT braze_track($1, $2)' USING i, t;
	EXECUTE 'SELECT braze_track($1, ''e'')' USING u;
	EXECUTE format('SELECT braze_track(%L, ''e'')', 42);
END
$$;
SELECT * FROM taken();

-- functions and views that use one; each asks for the type of its own call
CREATE FUNCTION sold(who anyelement) RETURNS bigint LANGUAGE sql AS $$ SELECT braze_track(who, 'Sold') $$;
CREATE FUNCTION sold_later(who anyelement) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN braze_track(who, 'Sold'); END $$;
SELECT sold(1) > 0 AND sold('a'::text) > 0 AND sold_later(2) > 0 AND sold_later('00000000-0000-4000-8000-000000000004'::uuid) > 0 AND sold_later(3) > 0 AS queued;
SELECT sold_later(true);
SELECT * FROM taken();
CREATE VIEW greeted AS
	SELECT braze_track('u1', 'Greeted') AS literal, braze_track(id, 'Greeted', at => now()) AS number, braze_track(code, 'Greeted') AS padded FROM customers;
SELECT replace(pg_get_viewdef('greeted', true), 'customers.', '') AS definition;
SELECT literal > 0 AND number > 0 AND padded > 0 AS queued FROM greeted;
SELECT * FROM taken();

-- PostgREST takes arguments from a record of the declared types, so that it can
-- call braze_enqueue alone
SELECT braze_track(user_id => a.user_id, event => a.event) FROM json_to_record('{"user_id": "u1", "event": "e"}') AS a(user_id anycompatible, event text);
SELECT braze_enqueue(call => a.call) > 0 AS queued
FROM json_to_record('{"call": {"type": "track", "userId": "u1", "event": "Song Played", "properties": {"title": "Roar"}}}') AS a(call jsonb);
SELECT * FROM taken();

-- all else is an error that names the type and says what to do
\set VERBOSITY sqlstate
SELECT braze_identify(true);
SELECT braze_identify('true'::jsonb);
\set VERBOSITY default
SELECT braze_identify(1.5::float8);
SELECT braze_identify(1::real);
SELECT braze_identify('"u1"'::json);
SELECT braze_identify(('{"id": "u1"}'::json) -> 'id');
SELECT braze_identify(now());
SELECT braze_identify('2026-01-02'::date);
SELECT braze_identify('1 day'::interval);
SELECT braze_identify('\x01'::bytea);
SELECT braze_identify(1::money);
SELECT braze_identify(1::oid);
SELECT braze_identify('braze_queue'::regclass);
SELECT braze_identify(ARRAY['u1']);
SELECT braze_identify(ARRAY[1]::int[]);
SELECT braze_identify(int4range(1, 2));
SELECT braze_identify('127.0.0.1'::inet);
SELECT braze_identify(c) FROM customers c;
SELECT braze_identify(row('u1'));
CREATE DOMAIN born AS date;
SELECT braze_identify('2026-01-02'::born);
SELECT braze_track(true, 'e'), braze_page(true), braze_screen(true), braze_group(true, 'g'), braze_alias(true, 'p'), braze_delete_user(true);
SELECT braze_delete_user(true);

-- jsonb that is neither a string nor a number
SELECT braze_identify('{"id": "u1"}'::jsonb);
SELECT braze_identify('["u1"]'::jsonb, anonymous_id => 'an');
SELECT braze_identify('true'::jsonb);
SELECT braze_identify('null'::jsonb);
-- what the mapping takes for no id
SELECT braze_identify('NaN'::numeric);
SELECT braze_identify('Infinity'::numeric);
SELECT braze_track('-Infinity'::numeric, 'e');
SELECT braze_identify(1e1000);
SELECT braze_identify('""'::jsonb);

-- a type is an error at any setting; a value is a dead letter, whole
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT braze_identify(true);
SELECT braze_identify('{"id": "u1"}'::jsonb) IS NULL AND braze_track('true'::jsonb, 'e') IS NULL AND braze_identify('NaN'::numeric) IS NULL AND braze_identify('Infinity'::numeric) IS NULL AND
	braze_identify(jsonb_build_object('t', repeat('x', 2000))) IS NULL AS dead;
-- only the extension: dead letters
SELECT left((call -> 'userId')::text, 40) AS user_id, reason FROM braze_dead_letters ORDER BY id;
-- the client as well

DELETE FROM braze_queue;

-- a type of strings that somebody made
CREATE TYPE word;
CREATE FUNCTION word_in(cstring) RETURNS word LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION word_out(word) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE word (INPUT = word_in, OUTPUT = word_out, LIKE = text, CATEGORY = 'S');
SELECT braze_identify('w1'::word) > 0 AS queued;
SELECT * FROM taken();
ROLLBACK;
