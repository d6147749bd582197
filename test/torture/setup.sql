-- What the writers of the torture run call, and what they committed.

-- Numbers are drawn while the user's row is locked, so that they are in the
-- order of the ids.  What a crash undoes may take the number along with the
-- call, and give it to another one; so each call has a nonce as well.
CREATE TABLE users (name text PRIMARY KEY);
CREATE SEQUENCE numbers CACHE 1;

-- parts: what has to arrive, or to be found in a dead letter; who: the
-- identifiers whose calls it must stay in order with
CREATE TABLE committed (
	destination name NOT NULL,
	number bigint NOT NULL,
	nonce text NOT NULL,
	kind text NOT NULL,
	who text[] NOT NULL,
	parts text[] NOT NULL,
	plan text,
	PRIMARY KEY (destination, number)
);

CREATE FUNCTION queue_track(destination name, who text, event text, anonymous boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
	nonce text := gen_random_uuid();
BEGIN
	INSERT INTO committed VALUES (destination, n, nonce, event, ARRAY[who], '{event}');
	PERFORM braze_track(CASE WHEN NOT anonymous THEN who END, event,
		jsonb_build_object('number', n, 'nonce', nonce, 'part', 'event'),
		anonymous_id => CASE WHEN anonymous THEN who END, destination => destination);
END $$;

-- no function, and no wake-up
CREATE FUNCTION queue_row(destination name, who text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
	nonce text := gen_random_uuid();
BEGIN
	INSERT INTO committed VALUES (destination, n, nonce, 'Row', ARRAY[who], '{event}');
	INSERT INTO braze_queue (destination, call)
	VALUES (destination, jsonb_build_object('type', 'track', 'userId', who, 'event', 'Row', 'timestamp', now(),
		'properties', jsonb_build_object('number', n, 'nonce', nonce, 'part', 'event')));
END $$;

-- attributes of one user are folded into one object, so each call has a name of
-- its own
CREATE FUNCTION queue_identify(destination name, who text, poison boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
	nonce text := gen_random_uuid();
	plan text := CASE WHEN NOT poison THEN (ARRAY['free', 'pro'])[1 + floor(random() * 2)] END;
	traits jsonb := jsonb_build_object('n' || n, nonce);
BEGIN
	traits := traits || CASE WHEN poison THEN '{"poison": true}' ELSE jsonb_build_object('plan', plan) END;
	INSERT INTO committed
	VALUES (destination, n, nonce, CASE WHEN poison THEN 'poisoned identify' ELSE 'identify' END, ARRAY[who], '{attributes}', plan);
	PERFORM braze_identify(who, traits, destination => destination);
END $$;

CREATE FUNCTION queue_group(destination name, who text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
BEGIN
	INSERT INTO committed VALUES (destination, n, 'true', 'group', ARRAY[who], '{attributes}');
	PERFORM braze_group(who, 'n' || n, destination => destination);
END $$;

CREATE FUNCTION queue_order(destination name, who text, products int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
	nonce text := gen_random_uuid();
BEGIN
	INSERT INTO committed
	SELECT destination, n, nonce, 'order', ARRAY[who], array_agg('product ' || i) FROM generate_series(1, products) i;
	PERFORM braze_track(who, 'Completed Order', jsonb_build_object('number', n, 'nonce', nonce, 'products',
		(SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || i, 'price', i, 'part', 'product ' || i))
		FROM generate_series(1, products) i)), destination => destination);
END $$;

-- a visitor becomes known, an account is merged: what he did before comes
-- first, what he does afterwards last
CREATE FUNCTION queue_link(destination name, who text, merge boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('numbers');
	nonce text := gen_random_uuid();
	other text := CASE WHEN merge THEN 'old.' ELSE 'anon.' END || n;
BEGIN
	PERFORM queue_track(destination, other, 'Before', NOT merge);

	-- the number must be in the order of the ids for both
	n := nextval('numbers');
	INSERT INTO committed
	VALUES (destination, n, nonce, CASE WHEN merge THEN 'alias' ELSE 'join' END, ARRAY[who, other],
		CASE WHEN merge THEN '{link}' ELSE '{link,attributes}' END::text[]);
	IF merge THEN
		PERFORM braze_alias(who, other, destination => destination);
	ELSE
		PERFORM braze_identify(who, jsonb_build_object('n' || n, nonce), anonymous_id => other, destination => destination);
	END IF;
	PERFORM queue_track(destination, who, 'After');
END $$;

CREATE FUNCTION queue_delete(destination name) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	who text := 'gone.' || nextval('numbers');
	n bigint;
BEGIN
	PERFORM queue_track(destination, who, 'Before');
	n := nextval('numbers');
	INSERT INTO committed VALUES (destination, n, '', 'delete', ARRAY[who], '{link}');
	PERFORM braze_delete_user(who, destination => destination);
END $$;

-- dice: 0 to 99
CREATE FUNCTION queue(destination name, who text, dice int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	CASE
		WHEN dice < 35 THEN PERFORM queue_track(destination, who, 'Done');
		WHEN dice < 60 THEN PERFORM queue_identify(destination, who, false);
		WHEN dice < 70 THEN PERFORM queue_order(destination, who, 1 + dice % 10 * 3);
		WHEN dice < 76 THEN PERFORM queue_group(destination, who);
		WHEN dice < 82 THEN PERFORM queue_row(destination, who);
		WHEN dice < 85 THEN PERFORM queue_link(destination, who, false);
		WHEN dice < 88 THEN PERFORM queue_link(destination, who, true);
		WHEN dice < 90 THEN PERFORM queue_delete(destination);
		WHEN dice < 92 THEN PERFORM queue_track(destination, who, 'Poison');
		WHEN dice < 93 THEN PERFORM queue_track(destination, who, 'Malformed');
		WHEN dice < 94 THEN PERFORM queue_identify(destination, who, true);
		ELSE
			PERFORM queue_track(destination, who, 'Done');
			PERFORM queue_identify(destination, who, false);
			PERFORM queue_order(destination, who, 2);
	END CASE;
END $$;
