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

-- without USAGE on any: the default settings; on the one that is named: an error
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
FROM braze_map_queued('{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}, {"sku": "c", "price": 3}]}}', 'map_one', '{0,2}');
SELECT count(*) FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'map_one', '{}');
SELECT outcome, kind, notes FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'map_one', '{0,1}');
SELECT payload, notes FROM braze_map_queued('{"type": "identify", "userId": "u1"}', 'nowhere', NULL);
SELECT outcome, notes FROM braze_map_queued('{"type": "identify"}', 'nowhere', '{0}');

ROLLBACK;
