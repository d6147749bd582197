-- max_queue_size and on_full: what is queued is bounded.
-- The sizes are in shared memory, so the library has to be preloaded.
SELECT NOT 'segment_braze' = ANY (string_to_array(current_setting('shared_preload_libraries'), ',')) AS not_preloaded \gset
\if :not_preloaded
\quit
\endif
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', max_queue_size '64 kB');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SET segment_braze.destination = 'braze';

CREATE FUNCTION fill(calls int, size int DEFAULT 1000, event text DEFAULT 'e', destination name DEFAULT 'braze') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	queued int := 0;
BEGIN
	FOR i IN 1 .. calls LOOP
		IF braze_track('u1', event, jsonb_build_object('x', repeat('x', size)), destination => destination) IS NOT NULL THEN
			queued := queued + 1;
		END IF;
	END LOOP;
	RETURN queued || ' queued';
EXCEPTION WHEN configuration_limit_exceeded THEN
	RETURN 'full';
END
$$;
CREATE VIEW size AS
SELECT CASE WHEN pending_bytes > 65536 THEN 'too much' WHEN pending_bytes > 65536 - 2 * 1200 THEN 'full'
	WHEN pending_bytes > 0 THEN 'some' ELSE 'empty' END AS queue
FROM braze_status WHERE destination = 'braze';

-- an error takes back all that its transaction had queued
SELECT fill(100);
TABLE size;
SELECT fill(40);
TABLE size;
SELECT fill(40);
SELECT braze_track('u1', 'e', jsonb_build_object('x', repeat('x', 40000)));
\set VERBOSITY sqlstate
SELECT braze_enqueue(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits', jsonb_build_object('x', repeat('x', 40000))));
\set VERBOSITY default
TABLE size;

-- another destination has a queue of its own
SELECT braze_track('u1', 'e', jsonb_build_object('x', repeat('x', 40000)), destination => 'other') IS NOT NULL AS queued;

-- what is rolled back makes room, a savepoint too; what is queued in the same
-- transaction counts
BEGIN;
SELECT fill(10);
SAVEPOINT a;
SELECT fill(5);
SELECT fill(20);
ROLLBACK TO a;
SELECT fill(5);
RELEASE a;
SELECT fill(6);
ROLLBACK;
TABLE size;
SELECT fill(15);
TABLE size;

-- dropped: one warning for a transaction, null for each call
ALTER SERVER braze OPTIONS (ADD on_full 'drop');
SELECT fill(10), fill(10);
SELECT fill(1);
BEGIN;
SELECT fill(1);
ROLLBACK;
CREATE TABLE users (id int, name text);
CREATE TRIGGER identify AFTER INSERT ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'name', 'destination', 'braze');
INSERT INTO users SELECT i, repeat('x', 1000) FROM generate_series(1, 3) i;
SELECT count(*) FROM users;
TABLE size;

-- on_invalid_call is about calls, and this one is valid
ALTER SERVER braze OPTIONS (SET on_full 'error');
SET segment_braze.on_invalid_call = dead_letter;
INSERT INTO users VALUES (4, repeat('x', 1000));
SELECT braze_identify(NULL) AS dead_letter;
RESET segment_braze.on_invalid_call;

-- another limit counts at once, and so does what is purged
ALTER SERVER braze OPTIONS (SET max_queue_size '128 kB');
SELECT fill(40);
ALTER SERVER braze OPTIONS (SET max_queue_size '0.0625 MB');
SELECT fill(1);
SELECT braze_purge('braze') > 0 AS purged;
SELECT fill(40);
TABLE size;

-- and what is deleted by hand
DELETE FROM braze_queue WHERE destination = 'braze';
SELECT fill(40);
TABLE size;

-- rows that are inserted directly are not held to it, but count when it is
-- looked
DELETE FROM braze_queue WHERE destination = 'braze';
INSERT INTO braze_queue (destination, call)
SELECT 'braze', jsonb_build_object('type', 'identify', 'userId', i, 'traits', jsonb_build_object('x', repeat('x', 1000))) FROM generate_series(1, 100) i;
SELECT braze_notify_worker();
SELECT fill(1);
TABLE size;
TRUNCATE braze_queue;
SELECT fill(40);

-- large calls count as they are stored: compressed, or in another table
SELECT braze_purge('braze') > 0 AS purged;
SELECT fill(15, 50000);
TABLE size;
SELECT braze_purge('braze') > 0 AS purged;
SELECT count(braze_track('u1', 'e', jsonb_build_object('x', (SELECT string_agg(md5(i || ' ' || n), '') FROM generate_series(1, 300) i)))) FROM generate_series(1, 6) n;
SELECT pending_bytes BETWEEN 6 * 9600 AND 65536 AS stored_elsewhere FROM braze_status WHERE destination = 'braze';
SELECT fill(20, 1000);

-- off again
ALTER SERVER braze OPTIONS (DROP max_queue_size);
SELECT fill(100);
TABLE size;
ALTER SERVER braze OPTIONS (ADD max_queue_size '64 kB');
SELECT braze_notify_worker();
SELECT fill(1);

-- dead letters have a bound of their own, which is the same; what is rolled
-- back makes room
SELECT braze_purge('braze') > 0 AS purged;
SET segment_braze.on_invalid_call = dead_letter;
CREATE VIEW letters AS
SELECT destination, count(*) FROM braze_dead_letters GROUP BY destination ORDER BY destination COLLATE "C";
SELECT fill(30, 1000, '');
SELECT fill(100, 1000, '');
SELECT fill(15, 1000, '');
SELECT fill(20, 1000, '');
TABLE letters;
SELECT fill(40) AS valid, fill(60, 1000, '', 'other') AS other;
TABLE letters;
\set VERBOSITY terse
SELECT braze_track('u1', '', jsonb_build_object('x', repeat('x', 60000)));
\set VERBOSITY default
ALTER SERVER braze OPTIONS (SET on_full 'drop');
SELECT count(*), count(braze_track('u1', '', jsonb_build_object('x', repeat('x', 60000)))) AS queued FROM generate_series(1, 3);
SELECT dropped FROM braze_status WHERE destination = 'braze';
ALTER SERVER braze OPTIONS (SET on_full 'error');
RESET segment_braze.on_invalid_call;

-- what is no size
ALTER SERVER braze OPTIONS (SET max_queue_size '64');
ALTER SERVER braze OPTIONS (SET max_queue_size '63 kB');
ALTER SERVER braze OPTIONS (SET max_queue_size '1025 GB');
ALTER SERVER braze OPTIONS (SET max_queue_size '1.2.3 GB');
ALTER SERVER braze OPTIONS (SET max_queue_size '-1 GB');
ALTER SERVER braze OPTIONS (SET max_queue_size '');
ALTER SERVER braze OPTIONS (SET max_queue_size ' OFF ');
ALTER SERVER braze OPTIONS (SET max_queue_size '1024gb');
ALTER SERVER braze OPTIONS (SET on_full 'eror');

DROP TABLE users;
DROP EXTENSION segment_braze CASCADE;
DROP FUNCTION fill(int, int, text, name);
