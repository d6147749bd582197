-- braze_trigger: rows that change become calls.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL TimeZone = 'UTC';
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', track_all_pages 'true', delete_calls 'delete');

-- the calls queued since the last look, without what differs from run to run
CREATE FUNCTION queued() RETURNS SETOF jsonb LANGUAGE sql AS $$
	WITH taken AS (DELETE FROM braze_queue RETURNING id, call)
	SELECT CASE WHEN length(call ->> 'messageId') = 36 THEN call - 'messageId' ELSE call END
		- CASE WHEN (call ->> 'timestamp')::timestamptz >= now() THEN 'timestamp' ELSE '' END
	FROM taken ORDER BY id
$$;

-- orders: an event per row that is inserted
CREATE TABLE orders (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id text,
	total numeric(10, 2),
	currency text DEFAULT 'EUR',
	products jsonb,
	internal_note text,
	placed_at timestamptz
);
CREATE TRIGGER order_completed AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'track', 'event', 'Order Completed',
		'user_id', 'customer_id', 'at', 'placed_at', 'except', 'internal_note',
		'names', '{"id": "order_id"}');
INSERT INTO orders (customer_id, total, products, internal_note, placed_at) VALUES
	('c1', 19.90, '[{"product_id": "p1", "price": 19.90}]', 'fragile', '2026-03-04 05:06:07.89+00'),
	('c2', 5, NULL, NULL, NULL);
-- only the extension: the mapping
SELECT kind, payload - 'time' AS payload FROM braze_pending ORDER BY id;
-- the client as well
SELECT queued();
UPDATE orders SET total = 1;
DELETE FROM orders WHERE customer_id = 'c2';
SELECT queued();

-- users: traits follow the row; what an update removes is removed at Braze
CREATE TABLE users (
	id int PRIMARY KEY,
	email text,
	plan_type text,
	logins int DEFAULT 0,
	password_hash text,
	seen_at timestamptz
);
CREATE TRIGGER users_identify AFTER INSERT OR UPDATE ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id',
		'traits', 'email, plan_type', 'names', '{"plan_type": "plan"}', 'only_changed', 'true');
CREATE TRIGGER users_delete AFTER DELETE ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'delete', 'user_id', 'id');
INSERT INTO users (id, email, plan_type) VALUES (1, 'ada@example.com', 'free'), (2, NULL, NULL);
SELECT queued();
UPDATE users SET logins = logins + 1, seen_at = now();
SELECT queued();
UPDATE users SET plan_type = 'pro' WHERE id = 1;
UPDATE users SET email = NULL, plan_type = NULL;
UPDATE users SET plan_type = NULL;
SELECT queued();
UPDATE users SET id = 3 WHERE id = 2;
DELETE FROM users WHERE id = 1;
SELECT queued();

-- without traits or properties all other columns go; a NULL is absent, in a
-- track call on UPDATE too
CREATE TABLE everything (
	u text, b bool, i2 int2, i4 int4, i8 int8, n numeric, f4 float4, f8 float8, t text, v varchar(10), c char(4),
	d date, ts timestamp, tz timestamptz, iv interval, id uuid, j json, jb jsonb, a int[], ta text[], x bytea,
	e pg_lsn, r int4range, gone int
);
ALTER TABLE everything DROP COLUMN gone;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
ALTER TABLE everything ADD dom positive, ADD m mood, ADD p pair;
CREATE TRIGGER all_columns AFTER INSERT OR UPDATE ON everything FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'E', 'user_id', 'u');
INSERT INTO everything VALUES ('u1', true, -1, 2147483647, 9223372036854775807, 12.3400, 0.1, 1e300, E'"q"\n', 'v', 'c',
	'2026-01-02', '2026-01-02 03:04:05.6', '2026-01-02 03:04:05.6+02', '1 day', '00000000-0000-4000-8000-000000000001',
	'{"k": 1.0,  "k2": null}', '[1, "a", null]', '{1,NULL,3}', '{a,"b c"}', '\x00ff', '1/12345678', '[1,5)', 7, 'happy', '(1,b)');
INSERT INTO everything (u, n, f8, jb) VALUES ('u2', 'NaN', 'Infinity', '"scalar"'), ('u3', NULL, '-0', 'null');
UPDATE everything SET t = NULL, n = 1 WHERE u = 'u1';
SELECT queued();
-- as to_jsonb has it
INSERT INTO everything SELECT * FROM everything WHERE u = 'u1';
SELECT call -> 'properties' = jsonb_strip_nulls(to_jsonb(row) - '{u,j,jb}'::text[])
		|| jsonb_build_object('j', row.j, 'jb', row.jb) AS same
FROM braze_queue, (SELECT * FROM everything WHERE u = 'u1' LIMIT 1) row;
SELECT queued() IS NOT NULL AS queued;

-- every argument
CREATE TABLE calls (
	uid text, anon text, mid text, at timestamptz, what text, title text, section text, g text, prev text,
	ctx jsonb, integ json, payload jsonb, x int, y int
);
CREATE FUNCTION try(VARIADIC arguments text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE format('CREATE TRIGGER one AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION braze_trigger(%s)',
		(SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY a(a, n)));
	INSERT INTO calls VALUES ('u', 'an', 'm', '2026-01-02 03:04:05+00', 'Event', 'Title', 'Section', 'g', 'p',
		'{"ip": "::1"}', '{"Braze": true}', '{"k": [1]}', 1, NULL);
	DROP TRIGGER one ON calls;
	RETURN QUERY SELECT queued()::text;
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN NEXT SQLSTATE || ': ' || SQLERRM;
	RETURN NEXT '-> ' || hint;
END
$$;
SELECT try('type', 'track', 'user_id', 'uid', 'anonymous_id', 'anon', 'message_id', 'mid', 'at', 'at', 'event', 'Fixed',
	'context', 'ctx', 'integrations', 'integ', 'properties', 'payload', 'destination', 'braze', 'only_changed', 'off');
SELECT try('type', 'TRACK', 'user_id', 'uid', 'at', 'at', 'event_column', 'what', 'properties', 'x, y ,payload');
SELECT try('type', 'track', 'user_id', 'uid', 'at', 'at', 'event', 'e', 'properties', '');
SELECT try('type', 'track', 'user_id', 'uid', 'at', 'at', 'event', 'e', 'properties', 'x', 'names', '{"x": "y"}');
SELECT try('type', 'identify', 'user_id', 'uid', 'at', 'at', 'traits', 'payload');
SELECT try('type', 'identify', 'user_id', 'uid', 'at', 'at', 'except', 'mid,anon,what,title,section,g,prev,ctx,integ,payload');
SELECT try('type', 'page', 'user_id', 'uid', 'at', 'at', 'name', 'Fixed', 'category_column', 'section', 'properties', 'x');
SELECT try('type', 'screen', 'user_id', 'uid', 'at', 'at', 'name_column', 'title', 'category', 'Fixed', 'properties', 'x');
SELECT try('type', 'group', 'user_id', 'uid', 'at', 'at', 'group_id', 'g', 'traits', 'x');
SELECT try('type', 'alias', 'user_id', 'uid', 'at', 'at', 'previous_id', 'prev');
SELECT try('type', 'delete', 'user_id', 'uid', 'at', 'at');

-- arguments that make no sense
SELECT try('type', 'track');
SELECT try('type', 'track', 'event');
SELECT try('event', 'No Type Needed', 'user_id', 'uid', 'at', 'at', 'properties', 'x');
SELECT try('type', 'trak', 'user_id', 'uid');
SELECT try('type', 'transaction', 'user_id', 'uid');
SELECT try('type', 'track', 'event', 'e', 'userid', 'uid');
SELECT try('type', 'track', 'event', 'e', 'colour', 'uid');
SELECT try('type', 'track', 'event', 'e', 'user_id', 'uid', 'user_id', 'anon');
SELECT try('type', 'track', 'user_id', 'uid');
SELECT try('type', 'track', 'event', 'e', 'event_column', 'what');
SELECT try('type', 'page', 'name', 'n', 'name_column', 'title');
SELECT try('type', 'group', 'user_id', 'uid');
SELECT try('type', 'alias', 'user_id', 'uid');
SELECT try('type', 'identify', 'user_id', 'u_id');
SELECT try('type', 'identify', 'user_id', 'customer');
SELECT try('type', 'identify', 'user_id', 'uid', 'traits', 'x, z');
SELECT try('type', 'identify', 'user_id', 'uid', 'traits', 'x, x');
SELECT try('type', 'identify', 'user_id', 'uid', 'traits', 'x,');
SELECT try('type', 'identify', 'user_id', 'uid', 'properties', 'x');
SELECT try('type', 'track', 'event', 'e', 'user_id', 'uid', 'traits', 'x');
SELECT try('type', 'identify', 'user_id', 'uid', 'event', 'e');
SELECT try('type', 'delete', 'user_id', 'uid', 'except', 'x');
SELECT try('type', 'identify', 'user_id', 'uid', 'traits', 'x', 'except', 'y');
SELECT try('type', 'identify', 'user_id', 'uid', 'context', 'x');
SELECT try('type', 'identify', 'user_id', 'uid', 'only_changed', 'perhaps');
SELECT try('type', 'identify', 'user_id', 'uid', 'names', '{"x": 1}');
SELECT try('type', 'identify', 'user_id', 'uid', 'names', '{"z": "x"}');
SELECT try('type', 'identify', 'user_id', 'uid', 'names', '["x"]');
SELECT try('type', 'identify', 'user_id', 'uid', 'traits', 'x, y', 'names', '{"x": "y"}');
-- only the extension: the arguments are read when a trigger is created
CREATE TRIGGER t AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION braze_trigger();
CREATE TRIGGER t AFTER INSERT ON calls EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'uid');
CREATE TRIGGER t AFTER INSERT ON calls FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'user', 'destination', 'not yet');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'calls'::regclass;
SELECT braze_trigger();

-- a fault of the arguments is found in whatever way the trigger is created
CREATE SCHEMA made CREATE TABLE t (id int) CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW
	EXECUTE FUNCTION public.braze_trigger('event', 'e', 'user_id', 'uid');
CREATE TRIGGER t AFTER INSERT ON calls FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'uid', 'destination', 'not yet');
CREATE OR REPLACE TRIGGER t AFTER INSERT ON calls FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'user');
INSERT INTO calls (uid) VALUES ('u1');
DROP TRIGGER t ON calls;
-- the client as well

-- BEFORE triggers and INSTEAD OF triggers leave the row alone
CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON calls FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'uid', 'properties', 'x', 'at', 'at');
TRUNCATE calls;
INSERT INTO calls (uid, x, at) VALUES ('u1', 1, '2026-01-02 03:04:05+00') RETURNING uid, x;
UPDATE calls SET x = 2 RETURNING uid, x;
DELETE FROM calls RETURNING uid, x;
SELECT count(*) FROM calls;
SELECT queued();
CREATE VIEW orders_view AS SELECT id, customer_id FROM orders;
CREATE TRIGGER t INSTEAD OF DELETE ON orders_view FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'Deleted', 'user_id', 'customer_id');
DELETE FROM orders_view RETURNING customer_id;
SELECT count(*) FROM orders;
SELECT queued();

-- partitions, and rows that move between them
CREATE TABLE parts (id int, uid text) PARTITION BY LIST (id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 (uid text, junk int, id int);
ALTER TABLE parts2 DROP COLUMN junk;
ALTER TABLE parts ATTACH PARTITION parts2 FOR VALUES IN (2);
CREATE TRIGGER t AFTER INSERT ON parts FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'uid');
INSERT INTO parts VALUES (1, 'u1'), (2, 'u2');
SELECT queued();

-- the right that counts is that of the table on which the trigger was created,
-- not of a partition's owner
CREATE ROLE regress_braze_partitions;
CREATE TABLE parts3 PARTITION OF parts FOR VALUES IN (3, 4) PARTITION BY LIST (id);
CREATE TABLE parts4 PARTITION OF parts3 FOR VALUES IN (4);
ALTER TABLE parts2 OWNER TO regress_braze_partitions;
ALTER TABLE parts4 OWNER TO regress_braze_partitions;
INSERT INTO parts VALUES (2, 'u3'), (4, 'u4');
INSERT INTO parts4 VALUES (4, 'u5');
SELECT queued();

-- a generated column has no value in a BEFORE trigger, and is not removed by
-- that either
CREATE TABLE generated (id int, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON generated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
INSERT INTO generated VALUES (1, 1);
UPDATE generated SET a = 2;
UPDATE generated SET a = NULL;
UPDATE generated SET a = 3;
DELETE FROM generated;
SELECT queued();
DROP TRIGGER t ON generated;
-- only the extension: the arguments are read when a trigger is created
CREATE TRIGGER t BEFORE UPDATE ON generated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'only_changed', 'true');
-- the client as well
CREATE TRIGGER t BEFORE UPDATE ON generated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'except', 'twice', 'only_changed', 'true');
DROP TRIGGER t ON generated;
CREATE TRIGGER t AFTER INSERT OR UPDATE ON generated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'only_changed', 'true');
INSERT INTO generated VALUES (1, 1);
UPDATE generated SET a = 2;
UPDATE generated SET a = 2;
UPDATE generated SET a = NULL;
SELECT queued();

-- the table changes under the session's feet
ALTER TABLE calls RENAME COLUMN x TO z;
INSERT INTO calls (uid) VALUES ('u1');
DROP TRIGGER t ON calls;
CREATE TRIGGER t BEFORE INSERT ON calls FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'uid');
INSERT INTO calls (uid, z) VALUES ('u1', 5);
ALTER TABLE calls ADD added text DEFAULT 'new', ALTER z TYPE text;
INSERT INTO calls (uid, z) VALUES ('u1', 5);
ALTER TABLE calls DROP COLUMN z;
INSERT INTO calls (uid) VALUES ('u1');
SELECT queued();
DROP TRIGGER t ON calls;

-- only the extension: casts are run a conversion that queues by a trigger of
-- its own, and makes the session forget both plans
CREATE TABLE log (line text);
CREATE TRIGGER t AFTER INSERT ON log FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event_column', 'line', 'user_id', 'line', 'properties', '');
CREATE TABLE loud (m mood, u text, v text, w text);
CREATE TRIGGER t AFTER INSERT ON loud FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'outer', 'user_id', 'u', 'names', '{"w": "renamed"}');
CREATE FUNCTION noisy(mood) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	GRANT SELECT ON loud, log TO PUBLIC;
	INSERT INTO log VALUES ('inner');
	REVOKE SELECT ON loud, log FROM PUBLIC;
	INSERT INTO log VALUES ('inner');
	RETURN to_json($1::text);
END
$$;
CREATE CAST (mood AS json) WITH FUNCTION noisy(mood);
INSERT INTO loud VALUES ('sad', 'u1', 'v', 'w'), ('happy', 'u2', 'v', 'w');
SELECT queued();
-- the client as well

-- a call that would be rejected is an error, or a dead letter
INSERT INTO orders (customer_id) VALUES (NULL);
-- only the extension: dead letters
SET LOCAL segment_braze.on_invalid_call = dead_letter;
INSERT INTO orders (customer_id, internal_note) VALUES (NULL, 'not in the call') RETURNING customer_id;
SELECT destination, call - '{timestamp,messageId}'::text[] #- '{properties,order_id}' AS call, reason FROM braze_dead_letters;
DELETE FROM braze_dead_letters;

-- a value that is too large is not even read
INSERT INTO users (id, email) VALUES (4, repeat('x', 1100000)), (5, repeat('x', 1048400));
SELECT call, call_text::jsonb - '{timestamp,messageId}'::text[] AS call_text, reason FROM braze_dead_letters WHERE call IS NULL;
SELECT length(call::text) > 1048400 AS complete, regexp_replace(reason, '1048\d{3} bytes', '(many) bytes') AS reason
FROM braze_dead_letters WHERE length(call::text) > 1000;
RESET segment_braze.on_invalid_call;
INSERT INTO users (id, email) VALUES (6, repeat('x', 1100000));
DELETE FROM braze_dead_letters;
SELECT queued();
-- the client as well

-- what replication applies fires a trigger that is meant for it
CREATE TABLE replicated (u text PRIMARY KEY);
CREATE TRIGGER t AFTER INSERT ON replicated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'u');
SET LOCAL session_replication_role = replica;
INSERT INTO replicated VALUES ('origin');
ALTER TABLE replicated ENABLE REPLICA TRIGGER t;
INSERT INTO replicated VALUES ('replica');
ALTER TABLE replicated ENABLE ALWAYS TRIGGER t;
INSERT INTO replicated VALUES ('always');
SET LOCAL session_replication_role = origin;
INSERT INTO replicated VALUES ('always here');
SELECT queued();

-- a row that is dropped has been seen by a BEFORE trigger, and not by an AFTER
-- one
INSERT INTO replicated VALUES ('always') ON CONFLICT DO NOTHING;
SELECT queued();
DROP TRIGGER t ON replicated;
CREATE TRIGGER t BEFORE INSERT ON replicated FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'u');
INSERT INTO replicated VALUES ('always') ON CONFLICT DO NOTHING;
SELECT queued();

-- only the extension: rights on destinations
-- the right that counts is that of the table's owner
CREATE ROLE regress_braze_owner;
CREATE ROLE regress_braze_writer;
CREATE TABLE owned (u text);
CREATE TRIGGER t AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'u');
ALTER TABLE owned OWNER TO regress_braze_owner;
GRANT INSERT ON owned TO regress_braze_writer;
SET ROLE regress_braze_writer;
INSERT INTO owned VALUES ('u1');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_writer;
SET ROLE regress_braze_writer;
INSERT INTO owned VALUES ('u1');
SET LOCAL segment_braze.on_invalid_call = dead_letter;
INSERT INTO owned VALUES ('u1');
RESET ROLE;
-- without a destination, lest a retry sends what nobody had a right to send
SELECT destination, call ->> 'userId' AS user_id, reason FROM braze_dead_letters;
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_writer;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_owner;
SET ROLE regress_braze_writer;
INSERT INTO owned VALUES ('u1');
RESET ROLE;
SELECT queued();

-- TRIGGER on somebody's table is not their USAGE, whether or not the
-- destination is named
CREATE ROLE regress_braze_intruder;
GRANT INSERT, TRIGGER ON owned TO regress_braze_intruder;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
RESET ROLE;
GRANT EXECUTE ON FUNCTION braze_trigger TO regress_braze_intruder;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u', 'destination', 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_intruder;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
RESET ROLE;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'owned'::regclass ORDER BY tgname;
DROP TRIGGER intruder ON owned;

-- nor when the session's setting, or a choice among several, leaves it open
-- which one it will be
CREATE SERVER elsewhere FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-02');
GRANT USAGE ON FOREIGN SERVER elsewhere TO regress_braze_owner;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
SET segment_braze.destination = 'braze';
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
SET segment_braze.destination = 'missing';
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
RESET segment_braze.destination;
RESET ROLE;
-- nor before the owner may use any
REVOKE USAGE ON FOREIGN SERVER braze, elsewhere FROM regress_braze_owner;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
RESET ROLE;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'owned'::regclass ORDER BY tgname;
-- whoever may use all of them, or has the owner's rights, may create it
GRANT USAGE ON FOREIGN SERVER braze, elsewhere TO regress_braze_owner;
GRANT USAGE ON FOREIGN SERVER elsewhere TO regress_braze_intruder;
SET ROLE regress_braze_intruder;
CREATE TRIGGER intruder AFTER INSERT ON owned FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
RESET ROLE;
DROP TRIGGER intruder ON owned;

-- who may insert does not choose among the owner's destinations
SET ROLE regress_braze_writer;
SET segment_braze.destination = 'elsewhere';
INSERT INTO owned VALUES ('u1');
SET LOCAL segment_braze.on_invalid_call = error;
INSERT INTO owned VALUES ('u1');
SET LOCAL segment_braze.on_invalid_call = dead_letter;
RESET ROLE;
SELECT destination, reason FROM braze_dead_letters WHERE reason LIKE '%setting%';
DELETE FROM braze_dead_letters WHERE reason LIKE '%setting%';
-- but among those that it may use itself
GRANT USAGE ON FOREIGN SERVER elsewhere TO regress_braze_writer;
SET ROLE regress_braze_writer;
INSERT INTO owned VALUES ('u2');
RESET ROLE;
RESET segment_braze.destination;
SELECT destination, call ->> 'userId' AS user_id FROM braze_queue;
DELETE FROM braze_queue;
REVOKE USAGE ON FOREIGN SERVER elsewhere FROM regress_braze_owner, regress_braze_intruder, regress_braze_writer;
DROP SERVER elsewhere;

-- what is checked is the trigger that was made, not that of a table which has
-- the name by then
CREATE TABLE shadowed (u text);
CREATE FUNCTION shadow() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN CREATE TEMPORARY TABLE shadowed (u text); END$$;
CREATE EVENT TRIGGER shadow ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION shadow();
CREATE TRIGGER t AFTER INSERT ON shadowed FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'nobody');
DROP EVENT TRIGGER shadow;

-- also when it replaces one, when the function has settings, and when there is
-- no such destination
CREATE TRIGGER t AFTER INSERT ON shadowed FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u', 'destination', 'later');
CREATE OR REPLACE TRIGGER t AFTER INSERT ON shadowed FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'nobody');
CREATE TRIGGER t2 AFTER INSERT ON shadowed FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'nobody', 'destination', 'later');
ALTER FUNCTION braze_trigger SET search_path = pg_catalog;
CREATE TRIGGER t2 AFTER INSERT ON shadowed FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'nobody');
ALTER FUNCTION braze_trigger RESET ALL;

-- the functions of others are not even loaded
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE C AS '$libdir/segment_braze', 'braze_notify_queued';
UPDATE pg_proc SET probin = '/nonexistent/library' WHERE oid = 'elsewhere'::regproc;
CREATE TRIGGER t3 AFTER INSERT ON shadowed FOR EACH ROW EXECUTE FUNCTION elsewhere();

-- a partition gets its parent's trigger, and nobody is asked again
CREATE TABLE divided (u text, n int) PARTITION BY LIST (n);
CREATE TABLE divided1 PARTITION OF divided FOR VALUES IN (1);
ALTER TABLE divided OWNER TO regress_braze_owner;
ALTER TABLE divided1 OWNER TO regress_braze_owner;
GRANT CREATE ON SCHEMA public TO regress_braze_owner;
GRANT EXECUTE ON FUNCTION braze_trigger TO regress_braze_owner;
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_owner;
SET ROLE regress_braze_owner;
CREATE TRIGGER t AFTER INSERT ON divided FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u', 'destination', 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_owner;
SET ROLE regress_braze_owner;
CREATE TRIGGER t AFTER INSERT ON divided FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u', 'destination', 'braze');
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_owner;
SET ROLE regress_braze_owner;
CREATE TABLE divided2 PARTITION OF divided FOR VALUES IN (2) PARTITION BY LIST (n);
CREATE TABLE divided2_all PARTITION OF divided2 DEFAULT;
CREATE TABLE divided3 (n int, u text);
ALTER TABLE divided ATTACH PARTITION divided3 FOR VALUES IN (3);
RESET ROLE;
SELECT tgrelid::regclass, tgparentid <> 0 AS cloned FROM pg_trigger
WHERE tgfoid = 'braze_trigger'::regproc AND tgrelid::regclass::text LIKE 'divided%' ORDER BY tgrelid::regclass::text COLLATE "C";
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_owner;
INSERT INTO divided VALUES ('u1', 1), ('u2', 2), ('u3', 3);
SELECT queued();

-- no destination at all
DROP SERVER braze;
INSERT INTO owned VALUES ('u2');
SELECT destination, call ->> 'userId' AS user_id, reason FROM braze_dead_letters ORDER BY id;
RESET segment_braze.on_invalid_call;
INSERT INTO owned VALUES ('u2');
-- the client as well
ROLLBACK;
