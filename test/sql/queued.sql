-- braze_queued: what this transaction has queued so far.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', deduplicate '1 d');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', max_queue_size '1 MB', on_full 'drop');
SET LOCAL segment_braze.destination = braze;
CREATE VIEW seen AS
	SELECT destination, call ->> 'type' AS type, call ->> 'userId' AS user_id, call ->> 'event' AS event, call_kind, queued_at = now() AS queued_now
	FROM braze_queued();
GRANT SELECT ON seen TO PUBLIC;

SELECT count(*) FROM braze_queued();
SELECT braze_track('u1', 'Song Played') > 0 AS queued;
SELECT braze_identify(2, destination => 'other') > 0 AND braze_delete_user('u3') > 0 AND
	braze_enqueue('{"type": "group", "userId": "u4", "groupId": "g"}') > 0 AS queued;
SELECT count(*) FROM braze_enqueue_batch('[{"type": "identify", "userId": "u5"}, {"type": "identify", "userId": "u6"}]');
TABLE seen;
-- as it stands in the queue
SELECT count(*) AS others FROM (SELECT id, destination, call, call_kind, queued_at FROM braze_queue EXCEPT SELECT * FROM braze_queued()) q;
-- only the extension: the mapping
SELECT queued.call ->> 'userId' AS user_id, m.kind, m.payload - 'time' AS payload
FROM braze_queued() queued, braze_map(queued.call, queued.destination::name) m ORDER BY queued.id;
-- the client as well

-- the statement that queues sees it, too
DELETE FROM braze_queue;
SELECT count(*) FROM braze_queued();
SELECT (SELECT count(*) FROM braze_queued() q WHERE q.id = t.id) AS seen FROM (SELECT braze_track('u1', 'Song Played') AS id OFFSET 0) t;

-- what was rolled back is not in it
SAVEPOINT s;
SELECT braze_track('gone', 'Song Played') > 0 AS queued;
ROLLBACK TO s;
SELECT braze_track('stays', 'Song Played') > 0 AS queued;
SAVEPOINT t;
SELECT braze_track('stays as well', 'Song Played') > 0 AS queued;
RELEASE t;
DO $$
BEGIN
	PERFORM braze_track('gone', 'Song Played');
	RAISE EXCEPTION 'no';
EXCEPTION WHEN OTHERS THEN
	PERFORM braze_track('instead', 'Song Played');
END
$$;
SELECT user_id FROM seen;

-- only the extension: the options of a destination, and roles
-- nor are duplicates, dead letters, and what there is no room for
DELETE FROM braze_queue;
SELECT braze_track('u1', 'Song Played', message_id => 'm1') > 0 AS queued;
SELECT braze_track('u1', 'Song Played', message_id => 'm1') > 0 AS queued;
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT braze_track(NULL, 'Song Played') > 0 AS queued;
RESET segment_braze.on_invalid_call;
SELECT count(braze_identify(i, (SELECT jsonb_agg(md5((i * j)::text)) FROM generate_series(1, 9000) j), destination => 'other')) < 10 AS some_dropped
FROM generate_series(1, 10) i;
SELECT count(*) FILTER (WHERE destination = 'braze') AS braze, count(*) FILTER (WHERE destination = 'other') BETWEEN 1 AND 9 AS other FROM seen;

-- nor what did not come by a function that queues, whatever it stands between
DELETE FROM braze_queue;
SELECT braze_track('before', 'e') > 0 AS queued;
INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "plain", "event": "e"}');
SELECT braze_track('after', 'e') > 0 AS queued;
SELECT braze_retry() AS retried;
SELECT braze_track('last', 'e') > 0 AS queued;
SELECT user_id FROM seen;
SELECT count(*) FROM braze_queue;

-- a role sees what was queued with its rights; it needs none on the queue
DELETE FROM braze_queue;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_lead ROLE regress_app;
GRANT USAGE ON FOREIGN SERVER braze TO regress_app, regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner;
GRANT EXECUTE ON FUNCTION braze_trigger TO regress_owner;
SELECT braze_track('of the superuser', 'e') > 0 AS queued;
SET LOCAL ROLE regress_owner;
CREATE TABLE orders (id int, customer int, secret text);
CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'Order Placed', 'user_id', 'customer');
CREATE FUNCTION place(int) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT braze_track($1, 'Placed by Definer') $$;
CREATE FUNCTION seen_by_definer(OUT user_id text) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$ SELECT call ->> 'userId' FROM braze_queued() $$;
GRANT INSERT ON orders TO regress_app;
SET LOCAL ROLE regress_app;
SELECT braze_track('of the app', 'e') > 0 AS queued;
INSERT INTO orders VALUES (1, 7, 'a secret');
SELECT place(8) > 0 AS queued;
SELECT braze_track('of the app again', 'e') > 0 AS queued;
SELECT call ->> 'userId' AS user_id FROM braze_queued();
SELECT * FROM seen_by_definer();
SELECT count(*) FROM braze_queue;
RESET ROLE;
SELECT user_id FROM seen;
SET LOCAL ROLE regress_owner;
SELECT user_id FROM seen_by_definer();
RESET ROLE;
-- a member of the role that queued, too
GRANT regress_owner TO regress_app;
SET LOCAL ROLE regress_app;
SELECT call ->> 'userId' AS user_id FROM braze_queued();
RESET ROLE;

-- many roles in turn
DELETE FROM braze_queue;
DO $$
BEGIN
	FOR i IN 1 .. 500 LOOP
		SET LOCAL ROLE regress_owner;
		PERFORM braze_track(i, 'of the owner');
		RESET ROLE;
		PERFORM braze_track(i, 'of the superuser');
	END LOOP;
END
$$;
SELECT event, count(*), count(DISTINCT user_id) FROM seen GROUP BY 1 ORDER BY 1;
SET LOCAL ROLE regress_owner;
SELECT call ->> 'event' AS event, count(*) FROM braze_queued() GROUP BY 1;
RESET ROLE;

-- a sequence that was set back makes nobody see anybody else's
DELETE FROM braze_queue;
SELECT setval('braze_queue_id_seq', 1000000) IS NOT NULL AS set;
SET LOCAL ROLE regress_owner;
SELECT braze_track('first', 'e') > 0 AS queued;
RESET ROLE;
SELECT setval('braze_queue_id_seq', 1000009) IS NOT NULL AS set;
SET LOCAL ROLE regress_owner;
SELECT braze_track('second', 'e') > 0 AS queued;
RESET ROLE;
SELECT setval('braze_queue_id_seq', 1000004) IS NOT NULL AS set;
SELECT braze_track('between', 'e') > 0 AS queued;
SET LOCAL ROLE regress_owner;
SELECT count(*) FROM braze_queued();
RESET ROLE;
SELECT user_id FROM seen;
-- the client as well

-- with a column that somebody added the executor writes the rows
DELETE FROM braze_queue;
ALTER TABLE braze_queue ADD note text DEFAULT 'n';
SELECT braze_track('u1', 'e') > 0 AND braze_track('u2', 'e') > 0 AS queued;
SELECT user_id FROM seen;
ROLLBACK;

-- the next transaction has queued nothing
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
SELECT count(*) FROM braze_queued();
ROLLBACK;
