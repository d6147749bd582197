-- Generated columns that are computed when they are read: PostgreSQL 18 has
-- them, and makes them so by default.
SELECT current_setting('server_version_num')::int < 180000 AS older \gset
\if :older
\quit
\endif
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE FUNCTION queued() RETURNS SETOF jsonb LANGUAGE sql AS
	$$WITH gone AS (DELETE FROM braze_queue RETURNING id, call) SELECT call - '{timestamp,messageId}'::text[] FROM gone ORDER BY id$$;
\set ON_ERROR_ROLLBACK on

CREATE TABLE people (id int, first text, last text, born int,
	name text GENERATED ALWAYS AS (first || ' ' || last),
	inverse int GENERATED ALWAYS AS (1000 / born) VIRTUAL,
	key text GENERATED ALWAYS AS ('p' || id),
	stored int GENERATED ALWAYS AS (born + 1) STORED);

-- after: each has its value, also as the user's id, and before a DELETE too
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'key');
INSERT INTO people VALUES (1, 'Ada', 'Lovelace', 100);
INSERT INTO people SELECT i, 'First', repeat('x', 30) || i, i FROM generate_series(2, 4) i;
UPDATE people SET first = NULL WHERE id = 1;
DELETE FROM people WHERE id = 2;
SELECT queued();
DROP TRIGGER t ON people;
CREATE TRIGGER t BEFORE DELETE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'track', 'event', 'left', 'user_id', 'key', 'properties', 'name, inverse');
DELETE FROM people WHERE id = 3;
SELECT queued();
DROP TRIGGER t ON people;

-- only_changed sees them
CREATE TRIGGER t AFTER UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'name', 'only_changed', 'true');
UPDATE people SET born = 5 WHERE id = 4;
SELECT queued();
UPDATE people SET last = 'King' WHERE id = 4;
SELECT queued();
DROP TRIGGER t ON people;

-- before: none has a value yet
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
INSERT INTO people VALUES (5, 'Grace', 'Hopper', 10);
UPDATE people SET first = 'G.' WHERE id = 5;
SELECT queued();
DROP TRIGGER t ON people;
CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'name', 'only_changed', 'true');

-- one that cannot be computed
CREATE TRIGGER t AFTER INSERT OR UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id');
INSERT INTO people VALUES (6, 'Alan', 'Turing', 0);
SET LOCAL segment_braze.on_invalid_call = dead_letter;
INSERT INTO people VALUES (6, 'Alan', 'Turing', 0);
UPDATE people SET born = 8 WHERE id = 6;
SELECT call - '{timestamp,messageId}'::text[] AS call, reason FROM braze_dead_letters ORDER BY id;
SELECT queued();
ROLLBACK;
