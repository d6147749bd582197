--
-- Values that jsonb cannot have: with on_invalid_call = dead_letter none of
-- them fails the application's transaction
--
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE TYPE pair AS (k text, v json);
CREATE DOMAIN document AS json;
CREATE TYPE unwritable AS ENUM ('1', '7', '9');
CREATE FUNCTION unwritable_json(unwritable) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = '9' THEN
		PERFORM pg_sleep(1000);
	END IF;
	INSERT INTO gone VALUES ($1);
	RAISE EXCEPTION 'no json of %', $1 USING DETAIL = 'It is in the detail.';
END
$$;
CREATE CAST (unwritable AS json) WITH FUNCTION unwritable_json(unwritable);
CREATE TABLE gone (x unwritable);
CREATE TABLE docs (u text, j json, js json[], p pair, d document, w unwritable, b jsonb, n numeric, t text, c char(3), z timestamptz);
CREATE TRIGGER t AFTER INSERT OR UPDATE ON docs FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
CREATE TABLE fields (u text, c json);
CREATE TRIGGER t BEFORE INSERT ON fields FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'track', 'event', 'e', 'user_id', 'u', 'properties', 'c', 'context', 'c');

-- without the setting they are errors
SAVEPOINT s;
\set VERBOSITY terse
INSERT INTO docs (u, j) VALUES ('u1', '{"a": "\u0000"}');
ROLLBACK TO s;
INSERT INTO docs (u, j) VALUES ('u1', '1e200000');
ROLLBACK TO s;
INSERT INTO docs (u, w) VALUES ('u1', '1');
ROLLBACK TO s;
\set VERBOSITY default

SET LOCAL segment_braze.on_invalid_call = dead_letter;
INSERT INTO docs (u, j, t) VALUES ('a character', '{"a": "\u0000"}', 'text "quoted"');
INSERT INTO docs (u, j) VALUES ('a number', '[1e200000]');
INSERT INTO docs (u, j) VALUES ('a surrogate', '"\ud800"'), ('another', '{"\udc00": 1}');
INSERT INTO docs (u, js) VALUES ('an array', ARRAY['1', '"\u0000"']::json[]);
INSERT INTO docs (u, p) VALUES ('a composite', row('k', '"\u0000"'));
INSERT INTO docs (u, d) VALUES ('a domain', '"\u0000"');
INSERT INTO docs (u, w) VALUES ('a cast', '7');
INSERT INTO docs (u, j, b, n, c, z) VALUES ('the others', '1E999999', '{"b": [true, null]}', 'NaN', 'c', '2026-01-02 03:04:05+00');
INSERT INTO fields VALUES ('a field', '{"ip": "\u0000"}');
UPDATE docs SET t = 'changed' WHERE u = 'a domain';
SELECT regexp_replace(call_text, ',"(timestamp|messageId)":"[^"]*"', '', 'g') AS call_text, reason
FROM braze_dead_letters WHERE call IS NULL ORDER BY id;
SELECT count(*) FROM gone;
SELECT count(*) AS docs, (SELECT count(*) FROM braze_queue) AS queued FROM docs;

-- a cancel is no value's fault
SAVEPOINT s;
SET LOCAL statement_timeout = '100ms';
INSERT INTO docs (u, w) VALUES ('a cancel', '9');
ROLLBACK TO s;

-- too large for jsonb, and not even text can be made of it
CREATE TYPE unwritable_pair AS (w unwritable);
CREATE TABLE large (u text, w unwritable_pair, t text, w2 unwritable_pair);
CREATE TRIGGER t AFTER INSERT ON large FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
SAVEPOINT s;
INSERT INTO large VALUES ('before', row('7'), repeat('x', 2000000), NULL), ('after', NULL, repeat('x', 2000000), row('7'));
SELECT call, call_text, reason FROM braze_dead_letters WHERE call_text IS NULL ORDER BY id;
ROLLBACK TO s;

-- a lock or an object in use is no value's fault either
CREATE TYPE busy AS ENUM ('locked', 'used');
CREATE FUNCTION busy_json(busy) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = 'locked' THEN
		RAISE lock_not_available USING MESSAGE = 'a lock is held';
	END IF;
	RAISE object_in_use USING MESSAGE = 'an object is in use';
END
$$;
CREATE CAST (busy AS json) WITH FUNCTION busy_json(busy);
CREATE TABLE busies (u text, b busy);
CREATE TRIGGER t AFTER INSERT ON busies FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
SAVEPOINT s;
\set VERBOSITY terse
INSERT INTO busies VALUES ('u1', 'locked');
ROLLBACK TO s;
INSERT INTO busies VALUES ('u1', 'used');
ROLLBACK TO s;
\set VERBOSITY default

-- they stay, and can be repaired
SELECT braze_retry();
UPDATE braze_dead_letters SET call = replace(call_text, '\u0000', '?')::jsonb WHERE call_text LIKE '%u0000%';
SELECT braze_retry(reason => '%Unicode%');
SELECT count(*), count(*) FILTER (WHERE call ->> 'userId' IS NOT NULL AND call ? 'timestamp' AND call ? 'messageId') AS complete FROM braze_queue;
DELETE FROM braze_dead_letters;
DELETE FROM braze_queue;

-- what is fine beside them is queued as ever
INSERT INTO docs (u, j, js, p, d) VALUES ('u1', '{"a": 1}', ARRAY['1', '2']::json[], row('k', '{"v": 1}'), '[]');
SELECT call -> 'properties' AS properties FROM braze_queue;
DELETE FROM braze_queue;

-- many values that fit one by one
DO $$
BEGIN
	EXECUTE (SELECT 'CREATE TABLE wide (u text, ' || string_agg('c' || i || ' text', ', ') || ')' FROM generate_series(1, 300) i);
	CREATE TRIGGER t AFTER INSERT ON wide FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
	EXECUTE (SELECT 'INSERT INTO wide SELECT ''u1''' || string_agg(', v', '') || ' FROM repeat(''x'', 1000000) v' FROM generate_series(1, 300) i);
END
$$;
SELECT call IS NULL AS no_call, length(call_text) BETWEEN 1000000 AND 1001000 AS holds_one, (SELECT count(*) FROM regexp_matches(reason, 'With the 1000004 bytes of column', 'g')) AS left_out
FROM braze_dead_letters;
DELETE FROM braze_dead_letters;
SET LOCAL segment_braze.on_invalid_call = error;
\set VERBOSITY terse
SAVEPOINT s;
INSERT INTO wide SELECT 'u1', v, v FROM repeat('x', 1000000) v;
ROLLBACK TO s;
\set VERBOSITY default
SET LOCAL segment_braze.on_invalid_call = dead_letter;

-- a few bytes that are much as text: what is kept of it has a bound
DELETE FROM braze_dead_letters;
CREATE TYPE long AS (
	a_name_that_is_as_long_as_the_name_of_a_column_can_be_in_here_1 json,
	a_name_that_is_as_long_as_the_name_of_a_column_can_be_in_here_2 json);
CREATE TABLE longs (u text, l long[]);
CREATE TRIGGER t AFTER INSERT ON longs FOR EACH ROW EXECUTE FUNCTION braze_trigger('event', 'e', 'user_id', 'u');
INSERT INTO longs SELECT 'u1', array_agg(row('"\u0000"', NULL)::long) FROM generate_series(1, 16000);
SELECT call IS NULL AS no_call, length(call_text), left(call_text, 60) AS call_text,
	regexp_replace(right(reason, 65), 'the \d+ bytes', 'the ... bytes') AS reason
FROM braze_dead_letters;

-- documents that are too deep for the stack, in a trigger and in the arguments
-- of a function
DELETE FROM braze_dead_letters;
CREATE TABLE deep AS
SELECT b, jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'e', 'properties', b) AS call
FROM generate_series(4, 12) n, jsonb_build_object('deep', (repeat('[', 1 << n) || repeat(']', 1 << n))::jsonb) b;
SET LOCAL max_stack_depth = '100kB';
INSERT INTO docs (u, b) SELECT 'u1', b FROM deep;
SELECT n BETWEEN 1 AND 8 AS some FROM (SELECT count(braze_track('u1', 'e', b)) AS n FROM deep OFFSET 0) d;
SELECT n BETWEEN 1 AND 8 AS some FROM (SELECT count(braze_enqueue(call)) AS n FROM deep OFFSET 0) d;
SELECT count(*) + (SELECT count(*) FROM braze_queue) AS all FROM braze_dead_letters;
SELECT reason, count(call) > 0 AS calls, count(call_text) > 0 AS texts FROM braze_dead_letters GROUP BY 1;
ROLLBACK;
