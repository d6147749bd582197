-- deduplicate: a call whose messageId was queued lately is not queued again.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', deduplicate '1 d');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-02', deduplicate '1 h');
CREATE SERVER plain FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-03');
SET segment_braze.destination = 'braze';

CREATE VIEW queued AS
	SELECT destination, call ->> 'event' AS event, call ->> 'messageId' AS message_id FROM braze_queue ORDER BY id;

-- once per destination; null says that it was not queued
SELECT braze_track('u1', 'one', message_id => 'm1') IS NOT NULL AS queued;
SELECT braze_track('u1', 'two', message_id => 'm1') IS NOT NULL AS queued;
SELECT braze_enqueue('{"type": "track", "userId": "u1", "event": "three", "messageId": "m1"}') IS NOT NULL AS queued;
SELECT braze_enqueue('{"type": "track", "userId": "u1", "event": "four", "message_id": "m1"}') IS NOT NULL AS queued;
SELECT braze_enqueue('{"type": "track", "userId": "u1", "event": "four", "messageId": null, "message_id": "m1"}') IS NOT NULL AS queued;
SELECT braze_track('u1', 'five', message_id => 'm1', destination => 'other') IS NOT NULL AS queued;
SELECT braze_track('u1', 'six', message_id => 'm1', destination => 'plain') IS NOT NULL AS queued;
SELECT braze_track('u1', 'seven', message_id => 'm1', destination => 'plain') IS NOT NULL AS queued;
SELECT * FROM queued;
SELECT destination, message_id, queued_at = now() AS now FROM braze_messages ORDER BY 1, 2;

-- twice in one statement
SELECT count(*) AS calls, count(braze_track('u2', 'twice', message_id => 'm' || i % 3)) AS queued
FROM generate_series(10, 18) i;

-- an id that has expired counts again, from now on
UPDATE braze_messages SET queued_at = now() - interval '23 hours' WHERE destination = 'braze' AND message_id = 'm1';
SELECT braze_track('u1', 'within', message_id => 'm1') IS NOT NULL AS queued;
UPDATE braze_messages SET queued_at = now() - interval '24 hours' WHERE destination = 'braze' AND message_id = 'm1';
SELECT braze_track('u1', 'after', message_id => 'm1') IS NOT NULL AS queued;
SELECT braze_track('u1', 'again', message_id => 'm1') IS NOT NULL AS queued;
-- the interval is that of the moment
ALTER SERVER other OPTIONS (SET deduplicate '1 s');
UPDATE braze_messages SET queued_at = now() - interval '2 s' WHERE destination = 'other';
SELECT braze_track('u1', 'eight', message_id => 'm1', destination => 'other') IS NOT NULL AS queued;
ALTER SERVER other OPTIONS (SET deduplicate 'off');
SELECT braze_track('u1', 'nine', message_id => 'm1', destination => 'other') IS NOT NULL AS queued;

-- without an id of its own a call is no duplicate, nor remembered
TRUNCATE braze_messages;
SELECT count(braze_track('u3', 'same')) AS queued FROM generate_series(1, 3);
SELECT count(braze_enqueue(c)) AS queued
FROM (VALUES ('{"type": "track", "userId": "u3", "event": "odd", "messageId": null}'::jsonb),
	('{"type": "track", "userId": "u3", "event": "odd", "messageId": ""}'),
	('{"type": "track", "userId": "u3", "event": "odd", "messageId": "  "}'),
	('{"type": "track", "userId": "u3", "event": "odd", "messageId": {"a": 1}}'),
	('{"type": "track", "userId": "u3", "event": "odd", "messageId": true}')) v (c), generate_series(1, 2);
-- over 512 bytes it is not remembered
SELECT count(braze_track('u3', 'long', message_id => repeat('x', n))) AS queued FROM generate_series(512, 513) n, generate_series(1, 2);
-- a number is one as well as its digits
SELECT braze_enqueue('{"type": "track", "userId": "u3", "event": "number", "messageId": 12}') IS NOT NULL AS queued;
SELECT braze_track('u3', 'digits', message_id => '12') IS NOT NULL AS queued;
SELECT length(message_id) FROM braze_messages ORDER BY 1;

-- what is not queued is not remembered: rejected, rolled back
TRUNCATE braze_messages;
SELECT braze_track('u4', '', message_id => 'bad');
SET segment_braze.on_invalid_call = dead_letter;
SELECT braze_track('u4', '', message_id => 'bad');
RESET segment_braze.on_invalid_call;
SELECT braze_track('u4', 'good', message_id => 'bad') IS NOT NULL AS queued;
SAVEPOINT s;
SELECT braze_track('u4', 'rolled back', message_id => 'm2') IS NOT NULL AS queued;
ROLLBACK TO SAVEPOINT s;
SELECT braze_track('u4', 'kept', message_id => 'm2') IS NOT NULL AS queued;
SELECT message_id FROM braze_messages ORDER BY 1;

-- triggers, and a caller who has no right to the table
CREATE ROLE regress_braze_app;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_app;
CREATE TABLE events (id text, user_id text, name text);
CREATE TRIGGER send AFTER INSERT ON events FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event_column', 'name', 'user_id', 'user_id', 'message_id', 'id', 'destination', 'braze');
GRANT INSERT ON events TO regress_braze_app;
SET ROLE regress_braze_app;
INSERT INTO events VALUES ('e1', 'u5', 'a'), ('e2', 'u5', 'b'), ('e1', 'u5', 'c'), (NULL, 'u5', 'd'), (NULL, 'u5', 'e');
SELECT braze_track('u5', 'f', message_id => 'e1') IS NOT NULL AS queued;
SELECT braze_track('u5', 'g', message_id => 'e3') IS NOT NULL AS queued, current_user;
SELECT count(*) FROM braze_messages;
RESET ROLE;
SELECT event, CASE WHEN length(message_id) = 36 THEN 'fresh' ELSE message_id END AS message_id
FROM queued WHERE length(event) = 1;

-- a trigger that leaves the row of an id out: the call is no duplicate
CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SAVEPOINT s;
CREATE TRIGGER leave_out BEFORE INSERT ON braze_messages FOR EACH ROW
	WHEN (NEW.message_id LIKE 'left out%') EXECUTE FUNCTION leave_out();
SELECT braze_track('u6', 'a', message_id => 'kept') IS NOT NULL AS queued;
SELECT braze_track('u6', 'b', message_id => 'kept') IS NOT NULL AS queued;
SELECT braze_track('u6', 'c', message_id => 'left out') IS NOT NULL AS queued;
ROLLBACK TO SAVEPOINT s;
-- nor is one whose id has expired, and is not taken over
SELECT braze_track('u6', 'd', message_id => 'expired') IS NOT NULL AS queued;
UPDATE braze_messages SET queued_at = 'epoch' WHERE message_id = 'expired';
CREATE TRIGGER leave_out BEFORE UPDATE ON braze_messages FOR EACH ROW EXECUTE FUNCTION leave_out();
SELECT braze_track('u6', 'e', message_id => 'expired') IS NOT NULL AS queued;
ROLLBACK TO SAVEPOINT s;

-- the extension comes back elsewhere, and whatever is on the search_path is not
-- run
DROP EXTENSION segment_braze CASCADE;
CREATE SCHEMA elsewhere;
CREATE EXTENSION segment_braze SCHEMA elsewhere;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', deduplicate '1 d');
CREATE FUNCTION public.never(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran'; END $$;
CREATE OPERATOR public.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = public.never);
SET LOCAL search_path = public, elsewhere, pg_catalog;
SELECT now() <= now();  -- as it would be
SELECT braze_track('u5', 'h', message_id => 'e3') IS NOT NULL AS queued;
SELECT braze_track('u5', 'i', message_id => 'e3') IS NOT NULL AS queued;
SELECT message_id FROM braze_messages;
ROLLBACK;
