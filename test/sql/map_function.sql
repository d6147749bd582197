--
-- braze_map and braze_map_queued: arguments, destinations, rights
--
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS segment_braze;

-- it works before any server exists
SELECT * FROM braze_map('{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}');
SELECT outcome, endpoint, kind, payload, notes FROM braze_map('{"type": "page", "userId": "u1"}');
SELECT outcome, endpoint, kind FROM braze_map('{"type": "delete", "userId": "u1"}');

-- a row of a table of calls
CREATE TEMP TABLE calls (id int, type text, user_id text, event text, properties jsonb, "timestamp" timestamptz);
INSERT INTO calls VALUES
	(1, 'track', 'u1', 'Song Played', '{"title": "Let It Be"}', '2024-05-06 07:08:09+00'),
	(2, 'track', NULL, 'Song Played', NULL, '2024-05-06 07:08:09+00'),
	(3, 'identify', 'u2', NULL, NULL, NULL);
SELECT c.id, m.outcome, m.kind, m.payload FROM calls c, braze_map(to_jsonb(c)) m ORDER BY c.id;

-- a row per object; notes are on the row of their object
SELECT kind, payload - '{external_id,time}'::text[] AS payload, notes
FROM braze_map('{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2, "quantity": 1.5}, {"sku": "c"}]}}');

SAVEPOINT s;
SELECT * FROM braze_map(NULL);
ROLLBACK TO s;
SELECT * FROM braze_map('{"type": "page", "userId": "u1"}', 'nowhere');
ROLLBACK TO s;

-- the only destination, the named one, the setting
CREATE SERVER map_one FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', app_identifier 'one');
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}');
CREATE SERVER map_two FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', app_identifier 'two');
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}', 'map_two');
SAVEPOINT s;
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}');
ROLLBACK TO s;
SET LOCAL segment_braze.destination = 'map_one';
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}');
SET LOCAL segment_braze.destination = 'nowhere';
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}');
ROLLBACK TO s;

-- a setting that changes is seen at once
ALTER SERVER map_one OPTIONS (SET app_identifier 'changed');
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}', 'map_one');

-- without USAGE on any: the default settings; on the one that is named: an
-- error
CREATE ROLE regress_map_nobody;
SET LOCAL ROLE regress_map_nobody;
SELECT payload->>'app_id' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}');
SAVEPOINT s;
SELECT * FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}', 'map_one');
ROLLBACK TO s;
SELECT * FROM braze_map_queued('{"type": "track", "userId": "u1", "event": "E"}', 'map_one', NULL);
ROLLBACK TO s;
RESET ROLE;

-- queued calls: all objects or some, and a server that is gone is a note
SELECT payload->>'product_id' AS product, notes
FROM braze_map_queued('{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}, {"sku": "c", "price": 3}]}}', 'map_one', NULL);
SELECT payload->>'product_id' AS product, notes
FROM braze_map_queued('{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}, {"sku": "c", "price": 3}]}}', 'map_one', '{1,3}');
SELECT count(*) FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'map_one', '{}');
SELECT outcome, kind, notes FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'map_one', '{0,1}');
SELECT payload, notes FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'nowhere', NULL);
SELECT outcome, notes FROM braze_map_queued('{"type": "identify"}', 'nowhere', '{0}');

-- payload is the jsonb that PostgreSQL makes of the same text
CREATE TEMP TABLE values_to_map AS SELECT jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'e', 'properties', p) AS call FROM (VALUES
	('{}'::jsonb), ('{"a": {}, "b": [], "c": [[], [{}], {"d": []}]}'),
	('{"n": [0, -1, 7, 2147483648, 999999999999999999, -999999999999999999, 1000000000000000000, 9223372036854775808, 123456789012345678901234567890]}'),
	('{"n": [0.5, -0.50, 19.99, 1.000, 1e5, 1.5e-7, 12345678901234567890.123456789]}'),
	('{"t": true, "f": false, "z": null, "s": "", "list": [true, false, null, "x", 1, {"a": 1}]}'),
	('{"quote": "a \"b\"", "back": "c:\\\\d", "line": "a\nb\tc", "control": "\u0001", "slash": "a/b", "é": "ü 🎵", "q\"": 1}'),
	((SELECT jsonb_object_agg(repeat('k', n % 9 + 1) || n, n * 1.5) FROM generate_series(1, 200) n)),
	((SELECT jsonb_object_agg('k' || n, jsonb_build_object('x', n, 'list', jsonb_build_array(n, 'a' || n))) FROM generate_series(1, 100) n)),
	(jsonb_build_object('long', repeat('x', 70000), 'list', (SELECT jsonb_agg(n) FROM generate_series(1, 500) n)))) v(p);
SELECT count(*), bool_and(payload = payload::text::jsonb) AS same,
	bool_and((SELECT bool_and(payload->key = value) FROM jsonb_each(payload::text::jsonb))) AS found,
	bool_and(payload->'properties' = call->'properties' OR notes <> '{}') AS complete
FROM values_to_map, braze_map(call, 'map_two');
SELECT payload->'properties' AS properties FROM values_to_map, braze_map(call, 'map_two') WHERE length(call::text) < 400;

ROLLBACK;
