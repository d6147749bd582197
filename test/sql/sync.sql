-- Syncs: a query whose rows are attributes of users.
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', app_identifier 'app');
SELECT braze_start('braze');

CREATE TABLE users (id int PRIMARY KEY, email text, plan text, score numeric, seen timestamptz);
INSERT INTO users VALUES
	(1, 'a@example.com', 'pro', 1.50, '2026-01-02 03:04:05+01'),
	(2, 'b@example.com', NULL, NULL, NULL),
	(3, NULL, 'free', 3, '2026-02-03');

-- what is queued, without what differs from run to run
CREATE VIEW queued AS
SELECT q.id, q.call_kind AS kind, q.call - '{messageId,timestamp,type}'::text[] AS call FROM braze_queue q;
CREATE PROCEDURE empty() LANGUAGE sql AS 'DELETE FROM braze_queue';

SELECT braze_create_sync('users', 'SELECT * FROM users -- all of them', 'id',
	names => '{"plan": "plan_type", "score": null}', destination => 'braze');
SELECT name, query, user_id, names, destination, every, on_remove, max_removed, type, late, owner = current_user AS owner,
	search_path, seed, status, next_run FROM braze_syncs;

-- preview
SELECT key, outcome, endpoint, kind, payload, notes FROM braze_preview_sync('users', 2);
SELECT key, call - '{messageId,timestamp}'::text[] AS call FROM braze_preview_sync('users');
SELECT count(*) FROM braze_queue;

-- the first run has all, with what is null left out
CALL braze_run_sync('users');
SELECT kind, call FROM queued ORDER BY id;
SELECT sync = (SELECT id FROM braze_syncs) AS sync, key, hash IS NOT NULL AS hash FROM braze_sync_state ORDER BY key;
SELECT status, pid, started IS NOT NULL AS started, octet_length(seed) AS seed, rows_read, rows_to_queue, rows_queued FROM braze_syncs;
CALL empty();

-- nothing has changed, whatever the session's settings, and nothing is written
SET DateStyle = 'German';
SET TimeZone = 'America/New_York';
CREATE TABLE before AS SELECT ctid AS place, xmin AS writer, * FROM braze_sync_state;
CALL braze_run_sync('users');
SHOW TimeZone;
SELECT count(*) FROM braze_queue;
SELECT count(*) FROM (SELECT ctid, xmin, * FROM braze_sync_state EXCEPT SELECT * FROM before) d;
RESET DateStyle;
RESET TimeZone;

SELECT braze_create_sync('settings', 'SELECT 1 AS id, to_tsvector(''the cats'')::text AS words, quote_ident(''a'') AS quoted', 'id');
CALL braze_run_sync('settings');
SET default_text_search_config = 'pg_catalog.english';
SET quote_all_identifiers = on;
CALL braze_run_sync('settings');
RESET default_text_search_config;
RESET quote_all_identifiers;
SELECT braze_drop_sync('settings');
CALL empty();

-- a row that has changed is queued whole, and what is null now goes as null; a
-- column that is left out changes nothing
UPDATE users SET plan = NULL, email = 'new@example.com' WHERE id = 1;
UPDATE users SET score = 77 WHERE id = 3;
INSERT INTO users VALUES (4, 'd@example.com', NULL, NULL, NULL);
CALL braze_run_sync('users');
SELECT kind, call FROM queued ORDER BY id;
CALL empty();

-- in a transaction it is all or nothing
BEGIN;
UPDATE users SET plan = 'max' WHERE id = 2;
CALL braze_run_sync('users');
SELECT call->'traits' AS traits FROM braze_queued();
ROLLBACK;
CALL braze_run_sync('users');
SELECT count(*) FROM braze_queue;

-- and so it is where nothing can be committed
DO $$
BEGIN
	BEGIN
		UPDATE users SET plan = 'max' WHERE id = 2;
		CALL braze_run_sync('users');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	CALL braze_run_sync('users');
END $$;
SELECT count(*) FROM braze_queue;

-- too many are gone: nothing happens, and it is said what to do
DELETE FROM users WHERE id = 4;
CALL braze_run_sync('users');
SELECT status, pid FROM braze_syncs;
SELECT added, changed, removed, unchanged, rejected, error FROM braze_sync_runs ORDER BY started DESC LIMIT 1;
CALL braze_run_sync('users', max_removed => 1);
SELECT count(*) FROM braze_queue;
SELECT key FROM braze_sync_state ORDER BY key;

-- keep forgets a user, who is new when they come back
INSERT INTO users VALUES (4, 'd@example.com', NULL, NULL, NULL);
CALL braze_run_sync('users');
SELECT kind, call FROM queued ORDER BY id;
CALL empty();

-- a user twice, or without an id
CREATE VIEW twice AS SELECT u.* FROM users u, generate_series(1, 2);
SELECT braze_create_sync('twice', 'SELECT * FROM twice', 'id');
CALL braze_run_sync('twice');
SELECT braze_create_sync('nobody', 'SELECT NULL::text AS id, email FROM users', 'id');
CALL braze_run_sync('nobody');
SELECT count(*) FROM braze_queue;
SELECT name, status FROM braze_syncs ORDER BY name;
SELECT sync, added, error FROM braze_sync_runs WHERE error IS NOT NULL ORDER BY started;
SELECT braze_drop_sync('twice'), braze_drop_sync('nobody');

-- a call that Braze would refuse is a dead letter, and not sent again and again
SELECT braze_create_sync('bad', $$SELECT repeat('x', 1000) AS id, 'v' AS attribute$$, 'id');
CALL braze_run_sync('bad');
SELECT destination, reason FROM braze_dead_letters;
CALL braze_run_sync('bad');
DELETE FROM braze_dead_letters;

-- values that jsonb cannot have, and those that are larger than a call may be
SELECT braze_create_sync('odd', $$SELECT 'u' || n AS id, CASE n WHEN 1 THEN '{"a": "\u0000"}'::json END AS bad,
	CASE n WHEN 2 THEN repeat('x', 2000000) END AS large, n FROM generate_series(1, 3) n$$, 'id');
SELECT key, outcome, notes FROM braze_preview_sync('odd') ORDER BY key;
CALL braze_run_sync('odd');
SELECT left(call_text, 46) AS call, reason FROM braze_dead_letters ORDER BY id;
SELECT call->'traits' AS traits FROM queued;
DELETE FROM braze_dead_letters;
CALL empty();

-- removed users: clear and delete
SELECT braze_create_sync('clear', 'SELECT id, email, plan FROM users', 'id', on_remove => 'clear', max_removed => 0.5);
SELECT braze_create_sync('delete', 'SELECT id, email FROM users', 'id', on_remove => 'delete', max_removed => 0.5);
CALL braze_run_sync('clear');
CALL braze_run_sync('delete');
CALL empty();
DELETE FROM users WHERE id > 2;
CALL braze_run_sync('clear');
CALL braze_run_sync('delete');
SELECT kind, call FROM queued ORDER BY id;
SELECT s.name, t.key FROM braze_syncs s JOIN braze_sync_state t ON t.sync = s.id WHERE s.name IN ('clear', 'delete') ORDER BY 1, 2;
CALL empty();

-- without its seed, a state says nothing
UPDATE braze_syncs SET seed = NULL WHERE name = 'clear';
CALL braze_run_sync('clear');
CALL empty();

-- one json column is the traits; user aliases
CREATE TABLE attributes (updated_at timestamptz, external_id text, alias_name text, alias_label text, payload text);
INSERT INTO attributes VALUES
	('2026-01-01', 'u1', NULL, NULL, '{"color": "red", "size": 4}'),
	('2026-01-02', NULL, 'n1', 'shop', '{"color": "blue"}');
SELECT braze_create_sync('attributes', $$
	SELECT coalesce(to_jsonb(external_id), jsonb_build_object('alias_name', alias_name, 'alias_label', alias_label)) AS user_id,
		payload::jsonb
	FROM attributes$$, 'user_id', on_remove => 'delete', max_removed => 1);
CALL braze_run_sync('attributes');
SELECT call, m.payload FROM queued, braze_map(call || '{"type": "identify"}') m ORDER BY id;
CALL empty();
DELETE FROM attributes;
CALL braze_run_sync('attributes');
SELECT kind, call FROM queued ORDER BY id;
CALL empty();

-- an id that looks like a user alias is none
INSERT INTO attributes SELECT now(), id, NULL, NULL, '{"size": 1}'
FROM unnest('{"{\"alias_name\": \"victim\", \"alias_label\": \"shop\"}", "{x", "\\y"}'::text[]) id;
CALL braze_run_sync('attributes');
SELECT t.key FROM braze_sync_state t JOIN braze_syncs s ON s.id = t.sync WHERE s.name = 'attributes' ORDER BY 1;
CALL empty();
DELETE FROM attributes;
CALL braze_run_sync('attributes');
SELECT kind, call FROM queued ORDER BY id;
CALL empty();

-- ids of each type have the text that braze_identify gives them
SELECT braze_create_sync('ids', $$SELECT 42.00 AS id, 1 AS n$$, 'id');
CALL braze_run_sync('ids');
SELECT s.key, q.call->>'userId' AS user_id FROM braze_sync_state s JOIN braze_syncs y ON y.id = s.sync AND y.name = 'ids', queued q;
CALL empty();

-- the same text of another type is another value, unless it is the same in a
-- call
CREATE TABLE typed AS SELECT 1 AS id, 42 AS n;
SELECT braze_create_sync('typed', 'SELECT * FROM typed', 'id');
CALL braze_run_sync('typed');
ALTER TABLE typed ALTER n TYPE bigint;
CALL braze_run_sync('typed');
ALTER TABLE typed ALTER n TYPE text;
CALL braze_run_sync('typed');
SELECT call->'traits' AS traits FROM queued ORDER BY id;
CALL empty();

-- of the runs that are kept, a new one reads few
INSERT INTO braze_sync_runs (sync, started, finished) SELECT 'typed', now() - n * interval '1 s', now() FROM generate_series(1, 5000) n;
ANALYZE braze_sync_runs;
BEGIN;
CALL braze_run_sync('typed');
SELECT seq_tup_read + idx_tup_fetch < 100 AS few FROM pg_stat_xact_user_tables WHERE relname = 'braze_sync_runs';
COMMIT;

-- more than a part
SELECT braze_create_sync('many', 'SELECT n AS id, n * 2 AS twice FROM generate_series(1, 10050) n', 'id');
BEGIN;
CALL braze_run_sync('many');
SELECT count(*), count(DISTINCT call->'userId'), sum((call->'traits'->>'twice')::int) FROM queued;
COMMIT;
SELECT rows_read, rows_to_queue, rows_queued FROM braze_syncs WHERE name = 'many';

-- a full queue: what found no room is not synced
CALL empty();
ALTER SERVER braze OPTIONS (ADD max_queue_size '64 kB', ADD on_full 'drop');
SELECT braze_create_sync('full', 'SELECT n AS id, repeat(''x'', 1000) AS t FROM generate_series(1, 1000) n', 'id');
BEGIN;
CALL braze_run_sync('full');
COMMIT;
SELECT s.rows_to_queue, s.rows_queued = count(t) AS same, s.rows_queued BETWEEN 1 AND 999 AS some
FROM braze_syncs s JOIN braze_sync_state t ON t.sync = s.id WHERE s.name = 'full' GROUP BY s.name;
ALTER SERVER braze OPTIONS (DROP max_queue_size, DROP on_full);
CALL empty();

-- events: each row once
CREATE TABLE orders (id int, customer text, at timestamptz, total numeric, name text DEFAULT 'Order Placed');
INSERT INTO orders VALUES (1, 'u1', '2026-01-01 00:00+00', 10), (2, 'u2', '2026-01-02 12:00+00', 20), (3, 'u1', NULL, 30);
SELECT braze_create_sync('orders', 'SELECT * FROM orders', 'customer', type => 'track', event => 'name', key => 'id',
	cursor_column => 'at', names => '{"id": "order_id"}');
SELECT key, call - '{messageId}'::text[] AS call FROM braze_preview_sync('orders');
CALL braze_run_sync('orders');
SELECT q.call - '{messageId}'::text[] AS call FROM braze_queue q ORDER BY q.id;
SELECT s.key, 'epoch'::timestamptz + (hash / 1000000 + 946684800) * interval '1 s' AS at
FROM braze_sync_state s JOIN braze_syncs y ON y.id = s.sync WHERE y.name = 'orders' ORDER BY s.key;
CALL empty();
CALL braze_run_sync('orders');

-- one that is late within the window is found, and one that is later is not; a
-- change is none
INSERT INTO orders VALUES (4, 'u4', '2026-01-01 13:00+00', 40), (5, 'u5', '2026-01-01 11:00+00', 50), (6, 'u6', '2026-01-03 00:00+00', 60);
UPDATE orders SET total = 21 WHERE id = 2;
CALL braze_run_sync('orders');
SELECT q.call->'properties' AS properties, q.call->'timestamp' AS at FROM braze_queue q ORDER BY q.id;
CALL empty();

-- what has left the window is forgotten, and not sent again; the future moves
-- nothing
INSERT INTO orders VALUES (7, 'u7', '2026-01-20 00:00+00', 70), (8, 'u8', 'infinity', 80), (9, 'u9', '2300-01-01', 90);
CALL braze_run_sync('orders');
INSERT INTO orders VALUES (10, 'u7', now() - interval '1 hour', 100);
CALL braze_run_sync('orders');
SELECT s.key FROM braze_sync_state s JOIN braze_syncs y ON y.id = s.sync WHERE y.name = 'orders' AND s.key IN ('1', '2', '4', '6', '8', '9') ORDER BY s.key;
SELECT isfinite(cursor_at) AND cursor_at <= now() AS now FROM braze_syncs WHERE name = 'orders';
CALL empty();
INSERT INTO orders SELECT * FROM orders WHERE id = 9;
CALL braze_run_sync('orders');

-- moments that have no room for "late" before them
SELECT braze_create_sync('ancient', 'SELECT 1 AS id, ''u1'' AS customer, ''Built''::text AS name, ''4713-01-01 BC''::timestamptz AS at', 'customer',
	type => 'track', event => 'name', key => 'id', cursor_column => 'at', late => '100 years');
CALL braze_run_sync('ancient');
CALL braze_run_sync('ancient');

DROP EXTENSION segment_braze CASCADE;
DROP TABLE users, attributes, before, typed, orders CASCADE;
DROP PROCEDURE empty();
