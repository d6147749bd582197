-- braze_backfill queues the rows that are in a table, through a trigger's own
-- arguments.  Not in one transaction, since each part is one of its own.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION segment_braze;
RESET client_min_messages;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE VIEW calls AS SELECT call ->> 'type' AS type, call ->> 'userId' AS user_id, call ->> 'event' AS event,
	coalesce(call -> 'traits', call -> 'properties') AS object FROM braze_queue ORDER BY id;

CREATE TABLE users (id int PRIMARY KEY, gone text, name text, plan text, password text, born timestamptz);
ALTER TABLE users DROP COLUMN gone;
INSERT INTO users VALUES (3, 'Cy', 'pro', 'x', '2000-01-01 00:00:00+00'), (1, 'Ada', 'pro', 'x', NULL), (2, 'Bob', 'free', 'x', NULL);
CREATE TRIGGER to_braze AFTER INSERT OR UPDATE ON users FOR EACH ROW WHEN (NEW.plan = 'pro')
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'except', 'password', 'names', '{"born": "dob_at"}', 'only_changed', 'true');

-- the rows for which WHEN is true, in the order of the key, with the session's
-- settings
SET TimeZone = 'Asia/Tokyo';
CALL braze_backfill('users', 'to_braze');
RESET TimeZone;
SELECT * FROM calls;
SELECT "table", trigger_name, key, up_to, after, skipped, queued, lowest_id > 0 AS has_ids, finished_at IS NOT NULL AS finished
FROM braze_backfills;
-- once more: it was complete, so it begins again
DELETE FROM braze_queue;
CALL braze_backfill("table" => 'users', trigger_name => 'to_braze', rows_per_part => 3);
SELECT count(*) FROM calls;
DELETE FROM braze_queue;

-- a key of several columns, text in it, and calls of another type
CREATE TABLE orders (shop text, number int, customer text, total numeric, PRIMARY KEY (shop, number));
INSERT INTO orders SELECT 'shop ' || n % 3, n, 'u' || n % 2, n FROM generate_series(1, 6) n;
CREATE TRIGGER to_braze AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'Ordered', 'user_id', 'customer', 'properties', 'total');
CALL braze_backfill('orders', 'to_braze');
SELECT * FROM calls;
SELECT key, up_to, after FROM braze_backfills WHERE "table" = 'public.orders';
DELETE FROM braze_queue;

-- a unique index will do, keys may be of any type with an order
CREATE TABLE visits (at timestamptz NOT NULL, who uuid NOT NULL, page text);
CREATE UNIQUE INDEX ON visits (page);
INSERT INTO visits VALUES ('2026-01-02 03:04:05+00', '00000000-0000-0000-0000-00000000000a', 'b'), ('2025-01-02 03:04:05+00', '00000000-0000-0000-0000-00000000000b', 'a');
CREATE TRIGGER to_braze BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'page', 'user_id', 'who');
CALL braze_backfill('visits', 'to_braze');
CREATE UNIQUE INDEX ON visits (at) WHERE page IS NOT NULL;
CREATE UNIQUE INDEX ON visits (date_trunc('day', at AT TIME ZONE 'UTC'));
CREATE UNIQUE INDEX ON visits (who DESC);
CALL braze_backfill('visits', 'to_braze');
CREATE UNIQUE INDEX ON visits (at, who);
SET DateStyle = 'German';
CALL braze_backfill('visits', 'to_braze');
RESET DateStyle;
SELECT object FROM calls;
SELECT key, up_to FROM braze_backfills WHERE "table" = 'public.visits';
DELETE FROM braze_queue;

-- an empty table
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TRIGGER to_braze AFTER INSERT ON empty FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
CALL braze_backfill('empty', 'to_braze');

-- partitions, and what inherits
CREATE TABLE parts (id int, name text, gone int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE parts_high (name text, extra int, id int NOT NULL, gone int);
ALTER TABLE parts_high DROP COLUMN extra;
ALTER TABLE parts ATTACH PARTITION parts_high FOR VALUES FROM (10) TO (20);
ALTER TABLE parts DROP COLUMN gone;
INSERT INTO parts VALUES (12, 'twelve'), (1, 'one'), (11, 'eleven'), (2, 'two');
CREATE TRIGGER to_braze AFTER INSERT OR UPDATE ON parts FOR EACH ROW WHEN (NEW.name <> 'eleven')
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
CALL braze_backfill('parts', 'to_braze');
SELECT * FROM calls;
DELETE FROM braze_queue;
CALL braze_backfill('parts_high', 'to_braze');
SELECT * FROM calls;
DELETE FROM braze_queue;
CREATE TABLE more_users (CHECK (id > 100), PRIMARY KEY (id)) INHERITS (users);
INSERT INTO more_users VALUES (101, 'Zoe', 'pro');
CALL braze_backfill('users', 'to_braze');
SELECT count(*) FROM calls;
DELETE FROM braze_queue;

-- a row that cannot be a call stops it, or becomes a dead letter
CREATE TABLE wrong (id int PRIMARY KEY, email text UNIQUE);
INSERT INTO wrong VALUES (1, 'a'), (2, NULL), (3, 'c');
CREATE TRIGGER to_braze AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'email');
CALL braze_backfill('wrong', 'to_braze');
SELECT count(*) FROM calls;
SET segment_braze.on_invalid_call = dead_letter;
CALL braze_backfill('wrong', 'to_braze');
SELECT user_id FROM calls;
SELECT call -> 'traits' AS traits, reason FROM braze_dead_letters;
RESET segment_braze.on_invalid_call;
DELETE FROM braze_queue;

-- a queue that drops calls leaves no row out
ALTER SERVER braze OPTIONS (ADD max_queue_size '64kB', ADD on_full 'drop');
INSERT INTO users SELECT n, repeat('x', 1000), 'free' FROM generate_series(4, 200) n;
CREATE TRIGGER all_of_them AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
SET client_min_messages = error;
CALL braze_backfill('users', 'all_of_them');
RESET client_min_messages;
SELECT count(*) FROM calls;
ALTER SERVER braze OPTIONS (DROP max_queue_size, DROP on_full);

-- no search_path changes what is walked, or in which order
CREATE SCHEMA planted;
CREATE FUNCTION planted.never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR planted.> (FUNCTION = planted.never, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR planted.<= (FUNCTION = planted.never, LEFTARG = int, RIGHTARG = int);
CREATE TABLE planted.users (id int PRIMARY KEY);
CREATE TABLE planted.braze_backfills (trigger oid PRIMARY KEY);
CREATE TABLE planted.braze_queue (id int PRIMARY KEY);
SET search_path = planted, pg_catalog;
CALL public.braze_backfill('public.users', 'to_braze');
RESET search_path;
SELECT user_id FROM calls;
DELETE FROM braze_queue;
-- one that was not complete goes on, and not by another key
SELECT trigger FROM braze_backfills WHERE "table" = 'public.users' AND trigger_name = 'to_braze' \gset
UPDATE braze_backfills SET finished_at = NULL, after = '{2}' WHERE trigger = :trigger;
CALL braze_backfill('users', 'to_braze');
SELECT user_id FROM calls;
UPDATE braze_backfills SET finished_at = NULL, key = '{name}' WHERE trigger = :trigger;
CALL braze_backfill('users', 'to_braze');
CALL braze_backfill('users', 'to_braze', restart => true);
SELECT user_id FROM calls;
DELETE FROM braze_queue;

-- the calls of a query, such as rows of a warehouse
CREATE TABLE song_played (id text, user_id text, title text, received_at timestamptz);
INSERT INTO song_played VALUES ('m2', 'u2', 'Roar', '2026-01-02'), ('m1', 'u1', 'Hello', '2026-01-01'), ('m3', NULL, 'Nobody''s', '2026-01-03');
CALL braze_enqueue_rows($$SELECT CASE WHEN user_id IS NOT NULL THEN braze_call_from_row(s, 'track') || '{"event": "Song Played"}' END FROM (SELECT *, 'x' AS event FROM song_played) s ORDER BY received_at$$, 'braze');
SELECT user_id, event, object FROM calls;
DELETE FROM braze_queue;
-- each row is computed once, by parts as well
CREATE SEQUENCE row_numbers;
CALL braze_enqueue_rows($$
	SELECT CASE WHEN n > 4 THEN jsonb_build_object('type', 'track', 'userId', n, 'event', 'e') END
	FROM (SELECT nextval('row_numbers') AS n FROM generate_series(1, 6) OFFSET 0) s $$, rows_per_part => 4);
SELECT user_id, (SELECT last_value FROM row_numbers) FROM calls;
DELETE FROM braze_queue;
CALL braze_enqueue_rows('SELECT NULL::jsonb WHERE false', rows_per_part => 1);
BEGIN;
CALL braze_enqueue_rows('SELECT NULL::jsonb');
ROLLBACK;
CALL braze_enqueue_rows(NULL);
CALL braze_enqueue_rows('SELECT 1');
CALL braze_enqueue_rows('SELECT NULL::jsonb, 2');
CALL braze_enqueue_rows('SELECT NULL::jsonb; SELECT NULL::jsonb');
CALL braze_enqueue_rows('DELETE FROM song_played');
CALL braze_enqueue_rows('SELECT NULL::jsonb', 'nobody');
CALL braze_enqueue_rows('SELECT NULL::jsonb', rows_per_part => 0);
CALL braze_enqueue_rows($$SELECT '{"type": "track", "userId": "u1"}'::jsonb$$);
SELECT count(*) FROM calls;
SELECT count(*) FROM pg_cursors WHERE statement LIKE '%jsonb%' AND statement NOT LIKE '%pg_cursors%';

-- what cannot be backfilled
BEGIN;
CALL braze_backfill('users', 'to_braze');
ROLLBACK;
DO $$ BEGIN CALL braze_backfill('empty', 'to_braze'); EXCEPTION WHEN OTHERS THEN RAISE; END $$;
SET default_transaction_isolation = 'repeatable read';
CALL braze_backfill('users', 'to_braze');
RESET default_transaction_isolation;
CALL braze_backfill('users', 'to_brase');
CALL braze_backfill('calls', 'to_braze');
CALL braze_backfill('users', NULL);
CALL braze_backfill('users', 'to_braze', 0);
CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER other AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION other();
CALL braze_backfill('users', 'other');
ALTER TABLE users DISABLE TRIGGER to_braze;
CALL braze_backfill('users', 'to_braze');
ALTER TABLE users ENABLE REPLICA TRIGGER to_braze;
CALL braze_backfill('users', 'to_braze');
CREATE TRIGGER deleted AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'Deleted', 'user_id', 'id');
CALL braze_backfill('users', 'deleted');
CREATE TRIGGER changed AFTER UPDATE ON users FOR EACH ROW WHEN (OLD.plan <> NEW.plan) EXECUTE FUNCTION braze_trigger('event', 'Changed', 'user_id', 'id');
CALL braze_backfill('users', 'changed');
CREATE TRIGGER system AFTER UPDATE ON users FOR EACH ROW WHEN (NEW.xmin <> '0') EXECUTE FUNCTION braze_trigger('event', 'Changed', 'user_id', 'id');
CALL braze_backfill('users', 'system');

-- a user has one row
CREATE TABLE accounts (id int PRIMARY KEY, email text, device text);
CREATE TRIGGER to_braze AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'email', 'anonymous_id', 'device');
CALL braze_backfill('accounts', 'to_braze');
CREATE UNIQUE INDEX ON accounts (email) WHERE email > '';
ALTER TABLE accounts ADD UNIQUE (email) DEFERRABLE;
CALL braze_backfill('accounts', 'to_braze');
CREATE UNIQUE INDEX ON accounts (email);
-- one without an email is found by another column
CALL braze_backfill('accounts', 'to_braze');
ALTER TABLE accounts ALTER email SET NOT NULL;
CALL braze_backfill('accounts', 'to_braze');

-- rights are the caller's
CREATE ROLE regress_braze_backfill;
SET ROLE regress_braze_backfill;
CALL braze_backfill('users', 'to_braze');
RESET ROLE;
GRANT SELECT ON users TO regress_braze_backfill;
SET ROLE regress_braze_backfill;
CALL braze_backfill('users', 'to_braze');
RESET ROLE;
GRANT UPDATE (plan) ON users TO regress_braze_backfill;
SET ROLE regress_braze_backfill;
CALL braze_backfill('users', 'to_braze');
SELECT * FROM braze_backfills;
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_backfill;
SET ROLE regress_braze_backfill;
CALL braze_backfill('users', 'to_braze');
RESET ROLE;
-- a policy would hide rows
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY hide ON users USING (id < 3);
SET ROLE regress_braze_backfill;
CALL braze_backfill('users', 'to_braze');
RESET ROLE;

SET client_min_messages = warning;
DROP OWNED BY regress_braze_backfill;
DROP ROLE regress_braze_backfill;
DROP EXTENSION segment_braze CASCADE;
DROP TABLE more_users, users, orders, visits, empty, parts, wrong, accounts, song_played;
DROP FUNCTION other;
DROP SCHEMA planted CASCADE;
