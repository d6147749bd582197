-- Which destination a call goes to, and who may queue to it.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
GRANT USAGE ON SCHEMA public TO PUBLIC;

-- no destination yet: mapping works, queueing says what to do
SELECT outcome, kind, payload FROM braze_map('{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}');
SELECT braze_identify('u1');
SELECT braze_identify('u1', destination => 'braze');

-- one: it is the default
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SELECT braze_identify('u1') IS NOT NULL AS queued;
SELECT braze_identify('u1', destination => 'braze') IS NOT NULL AS queued;

-- two: one has to be chosen
CREATE SERVER staging FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'EU-01');
SELECT braze_identify('u1');
SELECT braze_identify('u1', destination => 'staging') IS NOT NULL AS queued;
SET LOCAL segment_braze.destination = 'braze';
SELECT braze_identify('u1') IS NOT NULL AS queued;
SELECT braze_identify('u1', destination => 'staging') IS NOT NULL AS queued;
-- it is reported to clients, whose encodings may not have the character
SET LOCAL segment_braze.destination = 'brazé';
SET LOCAL segment_braze.destination = 'brase';
SELECT braze_identify('u1');
RESET segment_braze.destination;
SELECT destination, count(*) FROM braze_queue GROUP BY 1 ORDER BY 1;

-- names that are none
SELECT braze_identify('u1', destination => 'stagin');
SELECT braze_identify('u1', destination => 'warehouse');
SELECT braze_identify('u1', destination => '');
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER other;
SELECT braze_identify('u1', destination => 'elsewhere');

-- an application: USAGE on its destination is all that it needs and gets
CREATE ROLE regress_braze_app;
CREATE ROLE regress_braze_team;
SET ROLE regress_braze_app;
SELECT braze_identify('u1');
SELECT braze_identify('u1', destination => 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_app;
SET ROLE regress_braze_app;
SELECT braze_identify('u1') IS NOT NULL AS queued;
SELECT braze_enqueue('{"type": "identify", "userId": "u1"}', 'braze') IS NOT NULL AS queued;
SELECT braze_identify('u1', destination => 'staging');
SET LOCAL segment_braze.on_invalid_call = dead_letter;
SELECT braze_identify('u1', destination => 'staging');
RESET segment_braze.on_invalid_call;
SELECT outcome, kind, payload FROM braze_map('{"type": "identify", "userId": "u1"}', 'braze');
SELECT * FROM braze_queue;
INSERT INTO braze_queue (destination, call) VALUES ('staging', '{}');
DELETE FROM braze_queue;
SELECT nextval('braze_queue_id_seq');
SELECT * FROM braze_dead_letters;
SELECT * FROM braze_paused;
SELECT * FROM braze_pending;
RESET ROLE;

-- the session notices at once: a right taken away, given to a group, a group
-- joined
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_app;
SET ROLE regress_braze_app;
SELECT braze_identify('u1', destination => 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_team;
SET ROLE regress_braze_app;
SELECT braze_identify('u1', destination => 'braze');
RESET ROLE;
GRANT regress_braze_team TO regress_braze_app;
SET ROLE regress_braze_app;
SELECT braze_identify('u1', destination => 'braze') IS NOT NULL AS queued;
RESET ROLE;
REVOKE regress_braze_team FROM regress_braze_app;
SET ROLE regress_braze_app;
SELECT braze_identify('u1', destination => 'braze');
RESET ROLE;

-- who runs a SECURITY DEFINER function is its owner
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_team;
CREATE FUNCTION queue_for_all() RETURNS boolean SECURITY DEFINER LANGUAGE sql
AS $$ SELECT braze_identify('u1', destination => 'braze') IS NOT NULL $$;
ALTER FUNCTION queue_for_all() OWNER TO regress_braze_team;
SET ROLE regress_braze_app;
SELECT queue_for_all();
RESET ROLE;

-- options, names and the existence of a server change under a session's feet
SELECT outcome FROM braze_map('{"type": "page", "userId": "u1", "name": "Home"}', 'braze');
ALTER SERVER braze OPTIONS (ADD track_all_pages 'true');
SELECT outcome FROM braze_map('{"type": "page", "userId": "u1", "name": "Home"}', 'braze');
SAVEPOINT before_change;
ALTER SERVER braze OPTIONS (SET track_all_pages 'false');
SELECT outcome FROM braze_map('{"type": "page", "userId": "u1", "name": "Home"}', 'braze');
ROLLBACK TO before_change;
SELECT outcome FROM braze_map('{"type": "page", "userId": "u1", "name": "Home"}', 'braze');
ALTER SERVER braze RENAME TO production;
SELECT braze_identify('u1', destination => 'braze');
SELECT braze_identify('u1', destination => 'production') IS NOT NULL AS queued;
DROP SERVER staging;
SELECT braze_identify('u1') IS NOT NULL AS queued;
DROP SERVER production;
SELECT braze_identify('u1');
SELECT braze_identify('u1', destination => 'production');

-- more destinations than a session remembers
DO $$
BEGIN
	FOR i IN 1..40 LOOP
		EXECUTE format('CREATE SERVER d%s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter ''US-01'', app_identifier %L)', i, 'app' || i);
	END LOOP;
	FOR turn IN 1..3 LOOP
		FOR i IN 1..40 LOOP
			PERFORM braze_track('u1', 'Turn', destination => 'd' || i);
		END LOOP;
	END LOOP;
END
$$;
SELECT count(*), count(DISTINCT p.destination),
	bool_and(p.payload ->> 'app_id' = 'app' || substr(p.destination, 2)) AS each_its_own
FROM braze_pending p WHERE p.payload ->> 'name' = 'Turn';
SELECT braze_identify('u1');
ROLLBACK;
