-- The functions that queue a call.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL TimeZone = 'America/New_York';
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', track_all_pages 'true');

-- what was queued last, without what differs from run to run
CREATE VIEW last_call AS
SELECT call - '{timestamp,messageId}'::text[] AS call,
	call ->> 'messageId' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS fresh_id,
	(call ->> 'timestamp')::timestamptz BETWEEN now() AND clock_timestamp() AS fresh_time
FROM braze_queue ORDER BY id DESC LIMIT 1;

-- each function with what it is mostly called with
SELECT braze_enqueue('{"type": "group", "userId": "u1", "groupId": "1234"}') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_identify('u1', '{"firstName": "Ada", "plan": "pro"}') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_track('u1', 'Completed Order', '{"products": [{"product_id": "p1", "price": 19.990}]}') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_page('u1', 'Pricing', '{"url": "https://example.com/pricing"}', 'Docs') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_screen('u1', 'Home') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_group('u1', '1234', '{"name": "Initech"}') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_alias('u2', 'u1') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_delete_user('u1') IS NOT NULL AS queued;
TABLE last_call;
-- only the extension: the mapping
SELECT outcome, endpoint, kind,
	CASE jsonb_typeof(payload) WHEN 'object' THEN payload - 'time' ELSE payload END AS payload, notes
FROM braze_pending ORDER BY id;
-- the client as well

-- each function with all of its arguments: nothing is lost or swapped
DELETE FROM braze_queue;
SELECT count(*) FILTER (WHERE id IS NOT NULL) AS queued
FROM (VALUES
	(braze_identify(user_id => 'u', traits => '{"a": 1}', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm1', destination => 'braze')),
	(braze_track(user_id => 'u', event => 'e', properties => '{"a": 1}', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm2', destination => 'braze')),
	(braze_page(user_id => 'u', name => 'n', properties => '{"a": 1}', category => 'c', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm3', destination => 'braze')),
	(braze_screen(user_id => 'u', name => 'n', properties => '{"a": 1}', category => 'c', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm4', destination => 'braze')),
	(braze_group(user_id => 'u', group_id => 'g', traits => '{"a": 1}', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm5', destination => 'braze')),
	(braze_alias(user_id => 'u', previous_id => 'p', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm6', destination => 'braze')),
	(braze_delete_user(user_id => 'u', anonymous_id => 'an', at => '2026-01-02 03:04:05.678901+05:30', context => '{"ip": "::1"}', integrations => '{"Braze": true}', message_id => 'm7', destination => 'braze'))
) v(id);
SELECT call FROM braze_queue ORDER BY id;

-- every argument after the first ones may be null, and null is absent
SELECT braze_identify('u1', NULL, NULL, NULL, NULL, NULL, NULL, NULL) IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_page('u1', NULL, NULL, NULL) IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_track('u1', 'e', 'null', context => 'null') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_track('u1', 'e', '"text"') IS NOT NULL AS queued;
TABLE last_call;
SELECT braze_track('u1', 'e', '[1, {"a": []}]') IS NOT NULL AS queued;
TABLE last_call;

-- what cannot be sent is an error that says why
SELECT braze_enqueue(NULL);
SELECT braze_enqueue('null');
SELECT braze_enqueue('[]');
SELECT braze_enqueue('{}');
SELECT braze_enqueue('{"type": "trak", "userId": "u1", "event": "e"}');
SELECT braze_identify(NULL);
SELECT braze_identify('  ');
SELECT braze_track('u1', NULL);
SELECT braze_track('u1', '');
SELECT braze_track(NULL, 'e');
SELECT braze_group('u1', NULL);
SELECT braze_delete_user(NULL);

-- an infinite time is no time: the mapping says so and uses another
SELECT braze_track('u1', 'e', at => 'infinity') IS NOT NULL AS queued;
SELECT call ->> 'timestamp' AS "timestamp" FROM braze_queue ORDER BY id DESC LIMIT 1;
SELECT braze_track('u1', 'e', at => '0044-03-15 BC') IS NOT NULL AS queued;
SELECT call ->> 'timestamp' AS "timestamp" FROM braze_queue ORDER BY id DESC LIMIT 1;

-- timestamp and messageId are added where there is none, in either spelling;
-- null is none; a time under any of its names is one
DELETE FROM braze_queue;
SELECT count(braze_enqueue(c)) AS queued FROM (VALUES
	('{"type": "identify", "userId": "1"}'::jsonb),
	('{"type": "identify", "userId": "2", "messageId": "m", "timestamp": "2026-01-01T00:00:00Z"}'),
	('{"type": "identify", "user_id": "3", "message_id": "m", "original_timestamp": "2026-01-01T00:00:00Z"}'),
	('{"type": "identify", "user_id": "4", "message_id": null, "timestamp": null, "messageId": null}'),
	('{"type": "identify", "userId": "5", "sentAt": "2026-01-01T00:00:00Z"}'),
	('{"type": "identify", "userId": "6", "received_at": "2026-01-01T00:00:00Z", "message_id": 17}'),
	('{"type": "identify", "userId": "7", "timestamp": "soon", "traits": {"timestamp": 1, "messageId": 2}}')) v(c);
SELECT call - '{timestamp,messageId}'::text[] AS rest,
	CASE WHEN (call ->> 'timestamp') ~ '^20.*\+00:00$' THEN '(fresh)' ELSE call ->> 'timestamp' END AS "timestamp",
	CASE WHEN length(call ->> 'messageId') = 36 THEN '(fresh)' ELSE call ->> 'messageId' END AS "messageId"
FROM braze_queue ORDER BY id;
SELECT count(DISTINCT call ->> 'messageId') FILTER (WHERE length(call ->> 'messageId') = 36) AS distinct_ids FROM braze_queue;

-- values keep their digits and bytes
SELECT braze_track('u"1\', E'caf\u00e9 \U0001F600', '{"n": [19.990, 9007199254740993, 1e400, -0.0], "t": "\"\\\u0001\ud83d\ude00"}') IS NOT NULL AS queued;
-- versions of psql do not agree how wide a character is
\pset format unaligned
TABLE last_call;
\pset format aligned

-- a table of calls
CREATE TABLE my_calls (id int, type text, user_id text, event text, properties jsonb);
INSERT INTO my_calls VALUES (1, 'track', 'u1', 'Song Played', '{"a": 1}'), (2, 'identify', 'u2', NULL, NULL);
-- only the extension: the mapping
SELECT c.id, m.outcome, m.kind, m.payload - 'time' AS payload FROM my_calls c, braze_map(to_jsonb(c)) m;
-- the client as well
SELECT count(braze_enqueue(to_jsonb(c))) AS queued FROM my_calls c;

-- a rolled back savepoint takes its calls with it, ids go on
DELETE FROM braze_queue;
SAVEPOINT s;
SELECT braze_identify('gone') IS NOT NULL AS queued;
ROLLBACK TO s;
SELECT braze_identify('stays') IS NOT NULL AS queued;
SELECT call ->> 'userId' AS user_id FROM braze_queue;

-- dead letters instead of errors
DELETE FROM braze_queue;
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT braze_identify('fine') IS NOT NULL AS queued;
SELECT braze_identify(NULL) IS NULL AS dead, braze_enqueue('[]') IS NULL AS dead, braze_enqueue('{"type": "track"}') IS NULL AS dead;
SELECT braze_enqueue(NULL);
-- only the extension: dead letters are in a table of their own
SELECT destination, call - '{timestamp,messageId}'::text[] AS call, objects, reason, http_status, queued_at = now() AS queued_now, failed_at >= now() AS failed_now
FROM braze_dead_letters ORDER BY id;
SELECT count(*) FROM braze_queue;
-- the client as well
RESET segment_braze.on_invalid_call;
-- only the extension: its settings are checked
SET LOCAL segment_braze.on_invalid_call = ignore;

-- a call that is too large
DELETE FROM braze_dead_letters;
SHOW segment_braze.max_call_size;
SET LOCAL segment_braze.max_call_size = '2MB';
-- the client as well
SELECT braze_identify('u1', jsonb_build_object('t', repeat('x', 1000000))) IS NOT NULL AS queued;
SELECT braze_identify('u1', jsonb_build_object('t', repeat('x', 1048500)), message_id => 'm', at => '2026-01-01 00:00:00Z');
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT braze_identify('u1', jsonb_build_object('t', repeat('x', 1048500)), message_id => 'm', at => '2026-01-01 00:00:00Z');
-- only the extension: dead letters
SELECT reason FROM braze_dead_letters;
-- which are not larger than twice the limit: beyond it the text is kept, and no
-- more of that is even written
DELETE FROM braze_dead_letters;
SELECT braze_enqueue(jsonb_build_object('type', 'track', 'userId', 'u"1', 'properties', jsonb_build_object('a', '[1.50, true, null, [], {}, ["x"], {"b": {}, "c": 1}]'::jsonb, 't', repeat('x', 2000000))));
SELECT braze_enqueue(jsonb_build_object('type', 'track', 'userId', 'u"1', 'properties', jsonb_build_object('a', '[1.50, true, null, [], {}, ["x"], {"b": {}, "c": 1}]'::jsonb, 't', repeat('x', 2100000))));
SELECT braze_enqueue(to_jsonb(repeat('x', 2100000)));
SELECT braze_enqueue(('[' || repeat('1e131071,', 200000) || '1]')::jsonb);
SELECT braze_enqueue(jsonb_build_array(repeat('é', 1050000)));
SELECT call IS NULL AS no_call, octet_length(call_text), left(call_text, 150) AS call_text, regexp_replace(reason, '\d+ bytes,', '... bytes,') AS reason
FROM braze_dead_letters ORDER BY id;
-- the client as well
ROLLBACK;

-- only the extension: a read-only transaction can map, but not queue
\set ON_ERROR_ROLLBACK off
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SET TRANSACTION READ ONLY;
SELECT outcome, payload FROM braze_map('{"type": "identify", "userId": "u1"}');
SELECT braze_identify('u1');
ROLLBACK;
