-- Syncs of events: each is sent once, whatever becomes of its moment, of the
-- months before it, or of the room in the queue.
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SELECT braze_start('braze');
SET timezone = 'UTC';
CREATE PROCEDURE empty() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM braze_queue; END $$;
-- all at once, since nobody delivers here: in parts it would wait for that
CREATE PROCEDURE run(name text) LANGUAGE plpgsql AS $$
BEGIN
	CALL braze_run_sync(name);
EXCEPTION WHEN division_by_zero THEN
	NULL;
END
$$;
CREATE VIEW sent AS SELECT string_agg(q.call->'properties'->>'id', ',' ORDER BY q.id) AS ids FROM braze_queue q;
CREATE TABLE events (id int PRIMARY KEY, customer text DEFAULT 'u1', name text DEFAULT 'Opened', at timestamptz, note text);

-- of the 29th of March, a month before begins earlier than of the 28th
INSERT INTO events (id, at) VALUES (0, '2026-01-01 12:00'), (1, '2026-02-28 12:00'), (2, '2026-03-28 23:00');
SELECT braze_create_sync('monthly', 'SELECT * FROM events', 'customer', type => 'track', event => 'name', key => 'id',
	cursor_column => 'at', late => '1 month', destination => 'braze');
CALL run('monthly');
INSERT INTO events (id, at) VALUES (3, '2026-03-29 01:00');
CALL run('monthly');
-- one that is late by the window of now is found all the same
INSERT INTO events (id, at) VALUES (4, '2026-02-28 13:00');
CALL run('monthly');
CALL run('monthly');
SELECT * FROM sent;
CALL empty();

-- "late" that is made longer does not bring back what was forgotten
UPDATE braze_syncs SET late = '1 year';
CALL run('monthly');
SELECT * FROM sent;
SELECT braze_drop_sync('monthly');

-- an event that was sent gets a later moment, and then an earlier one
TRUNCATE events;
INSERT INTO events (id, at) VALUES (1, '2026-03-01 12:00'), (2, '2026-03-01 12:00');
SELECT braze_create_sync('daily', 'SELECT * FROM events', 'customer', type => 'track', event => 'name', key => 'id',
	cursor_column => 'at', destination => 'braze');
CALL run('daily');
UPDATE events SET at = '2026-03-01 20:00' WHERE id = 1;
UPDATE events SET at = '2026-03-01 08:00' WHERE id = 2;
CALL run('daily');
SELECT rows_to_queue, rows_queued FROM braze_syncs;
SELECT key, 'epoch'::timestamptz + (hash / 1000000 + 946684800) * interval '1 s' AS at FROM braze_sync_state ORDER BY key;
INSERT INTO events (id, at) VALUES (3, '2026-03-02 16:00');
CALL run('daily');
CALL run('daily');
INSERT INTO events (id, at) VALUES (4, '2026-03-02 17:00');
CALL run('daily');
SELECT * FROM sent;
CALL empty();
SELECT braze_drop_sync('daily');

-- one in the future does not have it pass those that come while it runs
TRUNCATE events;
INSERT INTO events (id, at) VALUES (1, '2026-03-01 12:00'), (2, '2300-01-01');
SELECT braze_create_sync('daily', 'SELECT *, pg_sleep(0.01) FROM events', 'customer', type => 'track', event => 'name', key => 'id',
	cursor_column => 'at', names => '{"pg_sleep": null}', destination => 'braze');
CALL run('daily');
SELECT cursor_at = started AS is_start FROM braze_syncs;
CALL empty();
SELECT braze_drop_sync('daily');

-- events for which there is no room are sent once there is
TRUNCATE events;
INSERT INTO events (id, at, note)
SELECT i, '2026-03-01'::timestamptz + i * interval '2 days', (SELECT string_agg(md5(i || ' ' || n), '') FROM generate_series(1, 300) n)
FROM generate_series(1, 10) i;
SELECT braze_create_sync('daily', 'SELECT * FROM events', 'customer', type => 'track', event => 'name', key => 'id',
	cursor_column => 'at', destination => 'braze');
ALTER SERVER braze OPTIONS (ADD max_queue_size '64 kB', ADD on_full 'drop');
CALL run('daily');
SELECT * FROM sent;
SELECT cursor_at FROM braze_syncs;
CALL empty();
ALTER SERVER braze OPTIONS (DROP max_queue_size, DROP on_full);
CALL run('daily');
SELECT * FROM sent;
SELECT cursor_at FROM braze_syncs;
CALL empty();
CALL run('daily');
SELECT * FROM sent;

DROP EXTENSION segment_braze CASCADE;
DROP TABLE events CASCADE;
DROP PROCEDURE empty;
DROP PROCEDURE run;
