-- What the writers call besides the functions of test/torture/setup.sql, and to
-- which of their transactions a call belongs.

ALTER TABLE committed ADD transaction text;
ALTER TABLE committed ALTER transaction SET DEFAULT current_setting('cluster.transaction', true);
CREATE INDEX ON committed (transaction);

-- the time of its calls, too: it tells them from others that had their numbers
ALTER TABLE committed ADD queued_at timestamptz NOT NULL DEFAULT now();

-- many calls in one statement
CREATE FUNCTION queue_set(destination name, who text, calls int) RETURNS void
LANGUAGE sql AS $$
	WITH set AS MATERIALIZED (
		SELECT nextval('numbers') AS number, gen_random_uuid()::text AS nonce FROM generate_series(1, calls)),
	noted AS (
		INSERT INTO committed (destination, number, nonce, kind, who, parts)
		SELECT destination, number, nonce, 'Set', ARRAY[who], '{event}' FROM set)
	SELECT count(braze_enqueue(jsonb_build_object('type', 'track', 'userId', who, 'event', 'Set', 'timestamp', now(),
		'properties', jsonb_build_object('number', number, 'nonce', nonce, 'part', 'event')), destination => destination))
	FROM (SELECT * FROM set ORDER BY number) ordered
$$;

CREATE TABLE visits (number bigint PRIMARY KEY, who text, nonce text, part text DEFAULT 'event');
CREATE TRIGGER visited AFTER INSERT ON visits FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'Visit', 'user_id', 'who', 'properties', 'number, nonce, part', 'destination', 'one');

CREATE FUNCTION queue_visit(who text) RETURNS void
LANGUAGE sql AS $$
	WITH visit AS (
		INSERT INTO visits (number, who, nonce) SELECT nextval('numbers'), who, gen_random_uuid() RETURNING *)
	INSERT INTO committed (destination, number, nonce, kind, who, parts)
	SELECT 'one', number, nonce, 'Visit', ARRAY[who], '{event}' FROM visit
$$;
