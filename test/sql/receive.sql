-- What Segment's libraries send: paths, batches, bad calls in them, keys.
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE ROLE regress_braze_site;
CREATE ROLE regress_braze_web_server;

-- a key is made for a role that may use the destination, and is stored nowhere
SELECT braze_create_write_key('regress_braze_nobody', 'braze');
SELECT braze_create_write_key('regress_braze_site', 'nowhere');
SELECT braze_create_write_key('regress_braze_site', NULL);
SELECT braze_create_write_key('regress_braze_site', 'braze');
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_site;
SELECT braze_create_write_key('regress_braze_site', 'braze') AS key \gset
SELECT length(:'key'), key_hash = sha256(:'key') AS hashed, role, destination, enabled,
	k::text LIKE '%' || :'key' || '%' AS shown
FROM braze_write_keys k;

-- the web server may call braze_receive and nothing else
SET ROLE regress_braze_web_server;
SELECT braze_receive('/v1/batch', '{"batch": []}', :'key');
RESET ROLE;
GRANT EXECUTE ON FUNCTION braze_receive TO regress_braze_web_server;
SET ROLE regress_braze_web_server;
SELECT braze_receive('/v1/batch', '{"batch": []}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": []}', 'another key');
SELECT braze_receive('/v1/batch', '{"batch": []}', NULL);
SELECT braze_receive('/v1/batch', '{"batch": []}', '');
SELECT braze_receive_for('/v1/batch', '{"batch": []}', 'regress_braze_site', 'braze', 'a key', NULL, NULL);
SELECT count(*) FROM braze_queue;
-- some libraries have the key in the body, some in both
SELECT braze_receive('/v1/batch', '{"batch": [], "writeKey": "' || :'key' || '"}');
SELECT braze_receive('/v1/batch', '{"batch": [], "writeKey": "another key"}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [], "writeKey": 5}');

-- one call to each path
SELECT path, braze_receive(path, body, :'key') ->> 'queued' AS queued
FROM (VALUES
	('/v1/identify', '{"userId": "u1", "traits": {"plan": "pro"}}'),
	('/v1/i', '{"userId": "u1", "traits": {"plan": "pro"}, "type": "track"}'),
	('/v1/track', '{"userId": "u1", "event": "A"}'),
	('/v1/t', '{"userId": "u1", "event": "A"}'),
	('/v1/page', '{"userId": "u1", "name": "A"}'),
	('/v1/p?x=y', '{"userId": "u1", "name": "A"}'),
	('/v1/screen/', '{"userId": "u1", "name": "A"}'),
	('v1/s', '{"userId": "u1", "name": "A"}'),
	('/v1/group', '{"userId": "u1", "groupId": "g"}'),
	('/v1/g', '{"userId": "u1", "groupId": "g"}'),
	('/v1/alias', '{"userId": "u1", "previousId": "p"}'),
	('/v1/a', '{"userId": "u1", "previousId": "p"}'),
	('/v1/b', '{"batch": [{"type": "track", "userId": "u1", "event": "A"}]}'),
	('/v1/import', '{"batch": [{"type": "track", "userId": "u1", "event": "A"}]}')) v (path, body);
SELECT braze_receive('/v1/delete', '{"userId": "u1"}', :'key');
SELECT braze_receive('/v2/batch', '{"batch": []}', :'key');
SELECT braze_receive('/v1/', '{"batch": []}', :'key');
SELECT braze_receive('', '{"batch": []}', :'key');
RESET ROLE;
SELECT call ->> 'type' AS type, count(*), count(*) FILTER (WHERE call ? 'messageId') AS with_message_id
FROM braze_queue GROUP BY 1 ORDER BY 1;
DELETE FROM braze_queue;

-- what the batch says is said for each of its calls, which may say otherwise
SELECT braze_receive('/v1/batch', '{
	"context": {"library": {"name": "batch"}, "ip": "192.0.2.1"},
	"integrations": {"All": true, "Braze": {"app_id": "web"}},
	"sentAt": "2026-01-01T00:10:00Z",
	"batch": [
		{"type": "track", "userId": "u1", "event": "A", "messageId": "m1", "timestamp": "2026-01-01T00:09:00Z"},
		{"type": "track", "userId": "u1", "event": "B", "messageId": "m2", "timestamp": "2026-01-01T00:09:30Z",
			"context": {"ip": "192.0.2.2"}, "integrations": {"Braze": false}},
		{"type": "track", "userId": "u1", "event": "C", "messageId": "m3", "context": "none", "sentAt": null}
	]}', :'key');
SELECT call - 'receivedAt' AS call FROM braze_queue ORDER BY id;
-- a clock that is off is corrected: the call was made 60 s before it was sent
SELECT call ->> 'event' AS event, round(extract(epoch FROM (call ->> 'receivedAt')::timestamptz - (payload ->> 'time')::timestamptz)) AS seconds_before
FROM braze_queue, braze_map(call) m WHERE call ? 'originalTimestamp' AND outcome = 'send' ORDER BY id;
-- without sentAt, the time is taken as it is
DELETE FROM braze_queue;
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A", "timestamp": "2026-01-01T00:09:00Z"}', :'key');
SELECT payload ->> 'time' AS time FROM braze_queue, braze_map(call);
DELETE FROM braze_queue;

-- one call that is nothing leaves the others alone
SELECT braze_receive('/v1/batch', $$ {"batch" : [
	{"type": "track", "userId": "u1", "event": "good, {[\"1"},
	{"type": "track", "userId": "u1", "event": "zero\u0000byte", "writeKey": "not to be kept"},
	{"type": "track", "userId": "u1", "event": "lone \ud800 surrogate"},
	{"type": "track", "userId": "u1", "event": },
	{"type": "track", "userId": "u1", "event": "bad number", "properties": {"x": 01}},
	{"type": "track", "userId": "u1", "event": "mixed", "properties": [}},
	{"type": "track", "userId": "u1"},
	{"type": "delete", "userId": "u1"},
	{"type": "\u0064elete", "userId": "u1"},
	{"userId": "u1"},
	{"type": "track", "userId": "u1", "event": "writeKey", "write\u004bey": "a", "writeKey": "a"},
	5, "text", null, [], nonsense,
	{"type": "track", "userId": "u1", "event": "good 2"}] }
$$, :'key');
SELECT call - '{messageId,receivedAt}'::text[] AS call FROM braze_queue ORDER BY id;
SELECT destination, call - '{messageId,receivedAt}'::text[] AS call, call_text, split_part(reason, ':', 1) AS reason
FROM braze_dead_letters WHERE jsonb_typeof(coalesce(call, '{}')) = 'object' ORDER BY id;
SELECT call, call_text, split_part(reason, ':', 1) AS reason FROM braze_dead_letters WHERE jsonb_typeof(coalesce(call, '{}')) <> 'object' ORDER BY id;
-- so also where each call has a request of its own
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "\u0000", "writeKey": "' || :'key' || '"}');
SELECT call_text FROM braze_dead_letters ORDER BY id DESC LIMIT 1;
DELETE FROM braze_queue;
DELETE FROM braze_dead_letters;

-- the key of the request is in no letter, and a call that is cut off is kept
-- whole
SELECT braze_receive('/v1/batch', format($$ {"batch": [
	{"type": "track", "userId": "u1", "event": "before", 5: 6, "writeKey": "%1$s"},
	{"type": "track", "writeKey": "%1$s", "userId": "u1", "event": "after" "lost": 1},
	{"writeKey": "%1$s", "type": "track", "userId": "u1", "event": "at the end",},
	{"write\u004bey": "%1$s", "type": "delete", "userId": "u1"},
	{"write\u004bey": "%1$s", "type": "track", "userId": "u1", "event": "\u0000"},
	{"writeKey": "%2$s", "type": "track", "userId": "u1", "event": "escaped", 5},
	{"writeKey": "%3$s", "type": "track", "userId": "u1", "event": "in digits", 5},
	"%1$s", {"type": "track", "userId": "u1", "event": "in a value", "properties": {"key": "%1$s", "n": 1}}
]}$$, :'key', left(:'key', 5) || '\u00' || encode(substr(:'key', 6, 1)::bytea, 'hex') || substr(:'key', 7),
	(SELECT string_agg('\u00' || upper(encode(c::bytea, 'hex')), '') FROM regexp_split_to_table(:'key', '') c)), :'key');
SELECT CASE jsonb_typeof(call) WHEN 'object' THEN call - '{messageId,receivedAt}'::text[] ELSE call END AS call, call_text
FROM braze_dead_letters ORDER BY id;
SELECT call - '{messageId,receivedAt}'::text[] AS call FROM braze_queue ORDER BY id;
DELETE FROM braze_queue;
DELETE FROM braze_dead_letters;

-- a body that cannot be read at all
SELECT braze_receive('/v1/batch', body, :'key')
FROM unnest('{"",null,[],"{",5}'::text[]) body;
SELECT braze_receive('/v1/batch', '', :'key');
SELECT braze_receive('/v1/batch', NULL, :'key');
SELECT braze_receive('/v1/batch', '[]', :'key');
SELECT braze_receive('/v1/batch', '{}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": {}}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [1 2]}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [1,]}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [,1]}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [{"a": "b]}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [{"a": ["b"}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": []} {"batch": []}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [] "x": 1}', :'key');
SELECT braze_receive('/v1/batch', '{batch: []}', :'key');
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "\', :'key');
SELECT count(*) FROM braze_queue;

-- Segment's limits
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "' || repeat('x', 32 * 1024) || '"}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [{"type": "track", "userId": "u1", "event": "A"}], "x": "' || repeat('x', 500 * 1024) || '"}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [' || repeat('1,', 2500) || '1]}', :'key');
-- what a batch has for all is not multiplied by its calls
SELECT braze_receive('/v1/batch', '{"context": {"x": "' || repeat('x', 400 * 1024) || '"}, "batch": [{"type": "track", "userId": "u1", "event": "A"}, {"type": "track", "userId": "u2", "event": "B"}]}', :'key');
SELECT sum(length(coalesce(call::text, call_text))) < 1000 AS small FROM braze_dead_letters WHERE reason LIKE '%its batch%';
-- no spelling of a key brings a call in that the path does not have, nor a
-- delete call
SELECT braze_receive('/v1/track', '{"userId": "victim", "event": "E", "ty\u0070e": "delete", "writeK\u0065y": "k"}', :'key');
SELECT call - '{messageId,receivedAt,timestamp}'::text[] AS call FROM braze_queue WHERE call ->> 'userId' = 'victim';
SELECT braze_receive('/v1/batch', '{"batch": [{"userId": "victim", "ty\u0070e": "delete"}]}', :'key');
SELECT braze_receive('/v1/pixel/track?data=secret', '{}', :'key');
SELECT braze_receive('/v1/batch', '{"batch": [{"type": "track", "userId": "u1", "event": "A"}, {"type": "track", "userId": "u1", "event": "B", "properties": {"x": "' ||
	repeat('x', 32 * 1024) || '"}}]}', :'key');
SELECT call, length(call_text), reason FROM braze_dead_letters WHERE length(call_text) > 100;
-- a batch as large as may be, of calls as small as may be
SELECT braze_receive('/v1/batch', '{"batch": [' || string_agg(format('{"type": "track", "userId": "u%s", "event": "A"}', i), ',') || ']}', :'key')
FROM generate_series(1, 2500) i;
-- a depth that this stack does not hold, whatever a level of it takes
SET LOCAL max_stack_depth = '256kB';
SELECT braze_receive('/v1/batch', '{"batch": [{"type": "track", "userId": "u1", "event": "A", "properties": ' || repeat('[', 16000) || repeat(']', 16000) || '}]}', :'key');
SET LOCAL max_stack_depth TO DEFAULT;
SELECT length(call_text), split_part(reason, ':', 1) AS reason FROM braze_dead_letters ORDER BY id DESC LIMIT 1;
DELETE FROM braze_queue;
DELETE FROM braze_dead_letters;

-- repeats are known by their messageId for a day, those of dead letters too,
-- whatever deduplicate says
DELETE FROM braze_messages;
SELECT '{"batch": [{"type": "track", "userId": "u1", "event": "A", "messageId": "m1"}, {"type": "track", "userId": "u1", "messageId": "m2"},
	{"type": "track", "userId": "u1", "event": "B", "messageId": "m1"}, {"type": "track", "userId": "u1", "event": "A"}, {"type": "track", "userId": "u1", "event": "A", "messageId": null},
	{"type": "track", "userId": "u1", "event": "\u0000", "messageId": "m4"}, {"type": "track", "userId": "u1", "event": "\u0000", "messageId": "\u0000"}]}' AS batch \gset
SELECT braze_receive('/v1/batch', :'batch', :'key');
SELECT braze_receive('/v1/batch', :'batch', :'key');
ALTER SERVER braze OPTIONS (ADD deduplicate '1 min');
UPDATE braze_messages SET queued_at = now() - interval '23 hours';
SELECT braze_receive('/v1/batch', :'batch', :'key');
SELECT message_id, received FROM braze_messages ORDER BY 1;
-- what the same transaction queues otherwise goes by the option
SELECT braze_track('u1', 'A', message_id => 'm1') IS NOT NULL AS queued, braze_track('u1', 'A', message_id => 'm3') IS NOT NULL AS queued;
SELECT message_id, received, queued_at = now() AS now FROM braze_messages ORDER BY 1;
UPDATE braze_messages SET queued_at = now() - interval '25 hours';
SELECT braze_receive('/v1/batch', :'batch', :'key');
ALTER SERVER braze OPTIONS (DROP deduplicate);
DELETE FROM braze_queue;

-- a full queue is an error, and nothing is queued; or its calls are dropped
ALTER SERVER braze OPTIONS (max_queue_size '64 kB');
SELECT '{"batch": [' || string_agg(format('{"type": "track", "userId": "u%s", "event": "A", "properties": {"x": "%s"}}', i, m), ',') || ']}' AS batch
FROM generate_series(1, 300) i, LATERAL (SELECT string_agg(md5(i || '-' || j), '') AS m FROM generate_series(1, 20) j) x \gset
SELECT braze_receive('/v1/batch', :'batch', :'key');
SELECT count(*) FROM braze_queue;
ALTER SERVER braze OPTIONS (on_full 'drop');
SET LOCAL client_min_messages = error;
SELECT (a ->> 'queued')::int + (a ->> 'dropped')::int AS all, (a ->> 'dropped')::int > 0 AS some_dropped FROM braze_receive('/v1/batch', :'batch', :'key') a;
-- what was dropped is not remembered: it is queued when it comes again, and
-- there is room
SELECT regexp_replace(:'batch', '"userId": "u(\d+)"', '"userId": "u\1", "messageId": "dropped\1"', 'g') AS batch \gset
SELECT (a ->> 'queued')::int AS queued, (a ->> 'dropped')::int AS dropped, (a ->> 'dropped')::int > 0 AS some_dropped
FROM braze_receive('/v1/batch', :'batch', :'key') a \gset
SELECT :'some_dropped' AS some_dropped;
SET LOCAL client_min_messages = warning;
ALTER SERVER braze OPTIONS (DROP max_queue_size, DROP on_full);
SELECT (a ->> 'queued')::int = :dropped AS dropped_are_queued, (a ->> 'duplicates')::int = :queued AS queued_are_duplicates
FROM braze_receive('/v1/batch', :'batch', :'key') a;
DELETE FROM braze_queue;

-- with the rights of the key's role, as they are now
UPDATE braze_write_keys SET enabled = false;
SELECT braze_receive('/v1/batch', '{"batch": []}', :'key');
UPDATE braze_write_keys SET enabled = true;
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_site;
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A"}', :'key');
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_site;
-- that role and not its name, except where a dump was restored
ALTER ROLE regress_braze_site RENAME TO regress_braze_renamed;
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A"}', :'key') ->> 'queued' AS queued;
CREATE ROLE regress_braze_site;
ALTER ROLE regress_braze_site RENAME TO regress_braze_gone;
ALTER ROLE regress_braze_renamed RENAME TO regress_braze_site;
UPDATE braze_write_keys SET role_oid = 'regress_braze_gone'::regrole;
DROP ROLE regress_braze_gone;
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A"}', :'key');
UPDATE braze_write_keys SET system_identifier = 1;
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A"}', :'key') ->> 'queued' AS queued;
DELETE FROM braze_queue;
UPDATE braze_write_keys SET role = 'regress_braze_gone';
SELECT braze_receive('/v1/t', '{"userId": "u1", "event": "A"}', :'key');
INSERT INTO braze_write_keys VALUES ('short', 'regress_braze_site', 'braze');

-- many calls at once, in their order, for everybody who may use the destination
SET ROLE regress_braze_site;
SELECT count(*), count(b), bool_and(b > 0) FROM braze_enqueue_batch('[{"type": "track", "userId": "u1", "event": "A"}, {"type": "identify", "userId": "u1"}]') b;
SELECT braze_enqueue_batch('[]');
SELECT braze_enqueue_batch('{}');
SELECT braze_enqueue_batch('5');
SELECT braze_enqueue_batch(NULL);
-- the error says which element it was
\set SHOW_CONTEXT errors
SELECT * FROM braze_enqueue_batch('[{"type": "track", "userId": "u1", "event": "A"}, {"type": "track", "anonymousId": "a1", "messageId": 7}]', 'braze');
\set SHOW_CONTEXT never
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT b IS NOT NULL AS queued FROM braze_enqueue_batch('[{"type": "track", "userId": "u1", "event": "B"}, 5, {"type": "track", "userId": "u1"}, {"type": "track", "userId": "u1", "event": "C"}]', 'braze') WITH ORDINALITY b (b, i) ORDER BY i;
SELECT braze_enqueue_batch('[{"type": "track", "userId": "u1", "event": "D"}]', 'nowhere');
RESET ROLE;
SELECT call ->> 'type' AS type, call ->> 'event' AS event FROM braze_queue ORDER BY id;
ROLLBACK;
