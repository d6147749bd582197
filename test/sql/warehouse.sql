-- Rows of Segment's and of RudderStack's warehouse become the calls they were.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL TimeZone = 'UTC';
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01',
	track_named_pages 'true', alias_calls 'merge', identifiers 'user_id, anonymous_id',
	profile_from_context 'country, language, current_location, time_zone');

-- Segment's: https://segment.com/docs/connections/storage/warehouses/schema/
CREATE SCHEMA prod;
CREATE TABLE prod.identifies (
	id text PRIMARY KEY,
	received_at timestamptz,
	anonymous_id text,
	user_id text,
	email text,
	first_name text,
	plan_type text,
	logins bigint,
	lifetime_value numeric,
	vip boolean,
	birthday timestamptz,
	address_street text,
	address_city text,
	address_country text,
	address_postal_code text,
	interests text,
	context_ip text,
	context_locale text,
	context_timezone text,
	context_library_name text,
	context_location_country text,
	context_location_latitude numeric,
	context_location_longitude numeric,
	context_device_token text,
	original_timestamp timestamptz,
	sent_at timestamptz,
	"timestamp" timestamptz,
	uuid bigint,
	uuid_ts timestamptz
);
INSERT INTO prod.identifies (id, received_at, anonymous_id, user_id, email, first_name, plan_type, logins,
	lifetime_value, vip, birthday, address_street, address_city, address_country, address_postal_code, interests,
	context_ip, context_locale, context_timezone, context_library_name, context_location_country,
	context_location_latitude, context_location_longitude, context_device_token,
	original_timestamp, sent_at, "timestamp", uuid, uuid_ts)
VALUES
	('ajs-1', '2025-03-04 05:06:08+00', 'a1', 'u1', 'ada@example.com', 'Ada', 'pro', 9007199254740993,
	19.990, true, '1985-12-10 00:00:00+00', '1 Main St', 'London', 'GB', 'N1', '["chess","go"]',
	'192.0.2.1', 'en-GB', 'Europe/London', 'analytics.js', 'GB', 51.5, -0.1, 'old-token',
	'2025-03-04 05:06:07.5+00', '2025-03-04 05:06:07.9+00', '2025-03-04 05:06:07.123456+00', 1, '2025-03-04 06:00:00+00'),
	('ajs-2', '2025-03-05 05:06:08+00', 'a2', NULL, NULL, 'Bob', NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, '2025-03-05 05:06:07+00', 2, NULL),
	('ajs-3', NULL, NULL, 'u3', NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL);

SELECT jsonb_pretty(braze_call_from_row(t, 'identify')) FROM prod.identifies t ORDER BY id;
SELECT m.kind, m.payload, m.notes
FROM prod.identifies t, braze_map(braze_call_from_row(t, 'identify')) m ORDER BY id;

-- a session's time zone changes nothing, not the date of a birthday either
SET LOCAL TimeZone = 'America/Los_Angeles';
SELECT c -> 'timestamp' AS "timestamp", c -> 'traits' -> 'birthday' AS birthday
FROM prod.identifies t, braze_call_from_row(t, 'identify') c WHERE id = 'ajs-1';
SET LOCAL TimeZone = 'UTC';

-- other names, as live calls have them; null leaves a column out
SELECT braze_call_from_row(t, 'IDENTIFY',
	'{"plan_type": "planType", "lifetime_value": null, "address_city": "town", "user_id": "ignored"}') -> 'traits' AS traits
FROM prod.identifies t ORDER BY id;

-- a row per user, as it is now
CREATE TABLE prod.users (id text PRIMARY KEY, received_at timestamptz, email text, plan_type text, last_order jsonb,
	context_locale text, uuid_ts timestamptz);
INSERT INTO prod.users VALUES
	('u1', '2026-01-02 03:04:05+00', 'ada@example.com', 'pro', '{"total": 5.0}', 'en-GB', now()),
	('u2', '2026-01-02 03:04:05+00', NULL, NULL, NULL, NULL, NULL);
SELECT braze_call_from_row(u, 'identify') FROM prod.users u ORDER BY id;
SELECT m.kind, m.payload, m.notes
FROM prod.users u, braze_map(braze_call_from_row(u, 'identify')) m ORDER BY id;

-- an event's own table, and tracks joined with it
CREATE TABLE prod.tracks (id text PRIMARY KEY, received_at timestamptz, anonymous_id text, user_id text, event text,
	event_text text, context_ip text, context_traits_email text, "timestamp" timestamptz, original_timestamp timestamptz,
	sent_at timestamptz, uuid_ts timestamptz);
CREATE TABLE prod.order_completed (id text PRIMARY KEY, received_at timestamptz, anonymous_id text, user_id text, event text,
	event_text text, order_id text, total numeric, currency varchar(3), products text, note text, "timestamp" timestamptz, uuid_ts timestamptz);
INSERT INTO prod.tracks VALUES
	('t1', '2025-05-06 07:08:09+00', 'a1', 'u1', 'order_completed', 'Order Completed', '192.0.2.1', 'ada@example.com', '2025-05-06 07:08:08+00'),
	('t2', '2025-05-06 07:08:09+00', 'a2', 'u2', 'order_completed', NULL, NULL, NULL, '2025-05-06 07:08:08.5+00');
INSERT INTO prod.order_completed VALUES
	('t1', '2025-05-06 07:08:09+00', 'a1', 'u1', 'order_completed', 'Order Completed', 'o1', 24.980, 'GBP',
	' [{"product_id": "p1", "price": 9.99, "quantity": 2}, {"product_id": "p2", "price": 5.00}]', '{not json}', '2025-05-06 07:08:08+00'),
	('t2', '2025-05-06 07:08:09+00', 'a2', 'u2', 'order_completed', NULL, 'o2', NULL, NULL, '[1e999999]', '[]', '2025-05-06 07:08:08.5+00');
SELECT braze_call_from_row(t, 'track') FROM prod.order_completed t ORDER BY id;
SELECT braze_call_from_row(r, 'track')
FROM (SELECT t.*, o.* FROM prod.tracks t JOIN prod.order_completed o USING (id)) r;
SELECT m.kind, m.payload, m.notes
FROM prod.order_completed t, braze_map(braze_call_from_row(t, 'track')) m ORDER BY id;
SELECT m.kind, m.payload, m.notes FROM prod.tracks t, braze_map(braze_call_from_row(t, 'track')) m ORDER BY id;

-- pages, groups, aliases
CREATE TABLE prod.pages (id text, received_at timestamptz, anonymous_id text, user_id text, name text, category text,
	url text, path text, context_page_url text, "timestamp" timestamptz);
INSERT INTO prod.pages VALUES ('p1', NULL, 'a1', 'u1', 'Pricing', 'Docs', 'https://example.com/p', '/p', 'https://example.com/p', '2025-01-01 00:00:00+00');
SELECT braze_call_from_row(t, 'page') FROM prod.pages t;
SELECT m.kind, m.payload FROM prod.pages t, braze_map(braze_call_from_row(t, 'page')) m;
CREATE TABLE prod.groups (id text, user_id text, anonymous_id text, group_id text, employees int, received_at timestamptz);
INSERT INTO prod.groups VALUES ('g1', 'u1', NULL, 'acme', 5, '2025-01-01 00:00:00+00');
SELECT braze_call_from_row(t, 'group') FROM prod.groups t;
SELECT m.kind, m.payload FROM prod.groups t, braze_map(braze_call_from_row(t, 'group')) m;
CREATE TABLE prod.aliases (id text, user_id text, previous_id text, anonymous_id text, context_ip text, anything text, received_at timestamptz);
INSERT INTO prod.aliases VALUES ('x1', 'u1', 'u0', NULL, '192.0.2.1', 'is nothing', '2025-01-01 00:00:00+00');
SELECT braze_call_from_row(t, 'alias') FROM prod.aliases t;
SELECT m.kind, m.payload FROM prod.aliases t, braze_map(braze_call_from_row(t, 'alias')) m;

-- RudderStack's:
-- https://www.rudderstack.com/docs/destinations/warehouse-destinations/warehouse-schema/
CREATE SCHEMA rudder;
CREATE TABLE rudder.identifies (
	id varchar(512) PRIMARY KEY, user_id text, anonymous_id text, received_at timestamptz, sent_at timestamptz,
	original_timestamp timestamptz, "timestamp" timestamptz, uuid_ts timestamptz, channel text,
	context_request_ip text, context_passed_ip text, context_app_version text, context_traits_email text,
	email text, tags jsonb);
INSERT INTO rudder.identifies VALUES ('r1', 'u1', 'a1', '2025-01-02 03:04:06+00', '2025-01-02 03:04:05+00',
	'2025-01-02 03:04:04+00', '2025-01-02 03:04:05.5+00', now(), 'web', '192.0.2.1', '192.0.2.1', '1.0',
	'ada@example.com', 'ada@example.com', '["a", {"b": 1}]');
SELECT braze_call_from_row(t, 'identify', '{"channel": null}') FROM rudder.identifies t;
CREATE TABLE rudder.users (id text, received_at timestamptz, uuid_ts timestamptz, channel text, email text, context_app_version text);
INSERT INTO rudder.users VALUES ('u1', '2025-01-02 03:04:06+00', now(), 'web', 'ada@example.com', '1.0');
SELECT braze_call_from_row(t, 'identify', '{"channel": null}') FROM rudder.users t;
CREATE TABLE rudder.screens (id text, user_id text, anonymous_id text, name text, received_at timestamptz,
	original_timestamp timestamptz, sent_at timestamptz, channel text, orientation text);
INSERT INTO rudder.screens VALUES ('s1', NULL, 'a1', 'Home', '2025-01-02 03:04:06+00', '2025-01-02 03:04:04+00',
	'2025-01-02 03:04:05+00', 'mobile', 'landscape');
SELECT braze_call_from_row(t, 'screen', '{"channel": null}') FROM rudder.screens t;
SELECT m.kind, m.payload, m.notes
FROM rudder.screens t, braze_map(braze_call_from_row(t, 'screen', '{"channel": null}')) m;

-- of its newer SDKs the traits are columns of the context alone; a column of a
-- trait's own name counts before
CREATE TABLE rudder.context_identifies (id text, user_id text, received_at timestamptz, context_locale text, plan text, context_traits_plan text,
	context_traits_email text, context_traits_first_name text, context_traits_plan_type text, context_traits_address_city text,
	context_traits_address_country text, context_traits_tags text, context_traits_timestamp text, context_traits_user_id text, context_traits_ text);
INSERT INTO rudder.context_identifies VALUES ('r1', 'u1', '2025-01-02 03:04:06+00', 'en-GB', 'pro', 'free', 'ada@example.com', 'Ada', 'yearly', 'London',
	'GB', '["a", "b"]', 'soon', 'u2', 'x');
INSERT INTO rudder.context_identifies (id, user_id) VALUES ('r2', 'u2');
SELECT braze_call_from_row(t, 'identify') FROM rudder.context_identifies t ORDER BY id;
SELECT m.kind, m.payload, m.notes FROM rudder.context_identifies t, braze_map(braze_call_from_row(t, 'identify')) m ORDER BY id;
-- names applies to them, by either name
SELECT braze_call_from_row(t, 'identify', '{"plan_type": "planType", "context_traits_first_name": "firstName", "tags": null}') -> 'traits' AS traits
FROM rudder.context_identifies t ORDER BY id;
SELECT braze_call_from_row(t, 'identify', '{"plan_types": "planType"}') FROM rudder.context_identifies t;
-- other calls have no traits, but context.traits may say whose they are
SELECT braze_call_from_row(t, 'group') FROM (SELECT c.*, 'g' AS group_id FROM rudder.context_identifies c) t WHERE id = 'r1';
SELECT braze_call_from_row(t, 'identify') FROM (SELECT id, received_at, context_traits_email, context_traits_plan FROM rudder.context_identifies) t WHERE id = 'r1';

-- text that only looks like JSON stays text, whatever is wrong with it
SELECT braze_call_from_row(t, 'track') -> 'properties' AS properties
FROM (SELECT 'e' AS event, 'u' AS user_id, v AS v FROM (VALUES ('{'), ('[1,]'), ('["\u0000"]'), ('["\ud800"]'), ('[1] x'),
	('{"a": 1} '), (E'\n[]'), (''), (' '), ('"a"'), ('1'), ('{"a": 1, "a": 2}')) l(v)) t;
SELECT length(braze_call_from_row(t, 'track') -> 'properties' ->> 'v') AS length
FROM (SELECT 'e' AS event, 'u' AS user_id, repeat('[', 100000) AS v) t;

-- one query with rows of several kinds
SELECT braze_call_from_row(t, type, names)
FROM (SELECT 'u' AS user_id, 1 AS x, 'g' AS group_id, 'e' AS event) t,
	(VALUES ('identify', NULL::jsonb), ('identify', '{"x": "y"}'), ('track', '{"x": "y"}'), ('group', NULL), ('group', '{"x": "z"}')) a (type, names);

-- a column that was dropped
ALTER TABLE prod.groups DROP COLUMN employees, ADD COLUMN size int DEFAULT 7;
SELECT braze_call_from_row(t, 'group') -> 'traits' AS traits FROM prod.groups t;

-- a table that is altered while a function goes on
CREATE TABLE prod.altered AS SELECT 'u' AS user_id, 'e' AS event, 'a text' AS a, 'another' AS b;
DO $$
DECLARE
	r prod.altered;
	call jsonb;
BEGIN
	FOR i IN 1..2 LOOP
		EXECUTE 'SELECT * FROM prod.altered' INTO r;
		call := braze_call_from_row(r, 'track');
		RAISE WARNING '%', call -> 'properties';
		EXECUTE 'ALTER TABLE prod.altered ALTER a TYPE bigint USING 4611686018427387904, ALTER b TYPE int USING 7';
	END LOOP;
END
$$;

-- mistakes
SELECT braze_call_from_row(t, 'tracks') FROM prod.tracks t;
SELECT braze_call_from_row(t, 'delete') FROM prod.tracks t;
SELECT braze_call_from_row(t, 'track') FROM prod.pages t;
SELECT braze_call_from_row(t, 'group') FROM prod.pages t;
SELECT braze_call_from_row(t, 'alias') FROM prod.pages t;
SELECT braze_call_from_row(t, 'track') FROM prod.users t;
SELECT braze_call_from_row(t, 'page') FROM prod.users t;
SELECT braze_call_from_row(ROW('u1', 'x'), 'identify');
SELECT braze_call_from_row(NULL, 'identify');
SELECT braze_call_from_row(t, NULL) FROM prod.tracks t;
SELECT braze_call_from_row(t, 'identify', '{"plantype": "planType"}') FROM prod.users t;
SELECT braze_call_from_row(t, 'identify', '{"plan_type": 1}') FROM prod.users t;
SELECT braze_call_from_row(t, 'identify', '["plan_type"]') FROM prod.users t;
SELECT braze_call_from_row(t, 'identify', '{"plan_type": "email"}') FROM prod.users t;

-- what a query needs does not grow with its rows, also when their types differ
CREATE FUNCTION pg_temp.session_memory() RETURNS numeric LANGUAGE sql VOLATILE
AS 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';
CREATE FUNCTION pg_temp.is_bounded() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before numeric := pg_temp.session_memory();
	after numeric;
BEGIN
	SELECT max(bytes) FILTER (WHERE call IS NOT NULL) INTO after FROM (
		SELECT braze_call_from_row(t, CASE n % 2 WHEN 0 THEN 'identify' ELSE 'track' END,
				CASE n % 3 WHEN 0 THEN '{"plan": "level"}'::jsonb END) AS call,
			CASE n WHEN 200000 THEN pg_temp.session_memory() END AS bytes
		FROM generate_series(1, 200000) n,
			LATERAL (SELECT 'u1' AS user_id, 'e' AS event, 'pro' AS plan OFFSET 0) t OFFSET 0) r;
	RETURN after - before < 50000000;
END
$$;
SELECT pg_temp.is_bounded();

-- the examples of doc/warehouse.md, which queue one call per user
\set ON_ERROR_STOP on
ALTER TABLE prod.users ADD COLUMN internal_score int DEFAULT 9;
UPDATE prod.order_completed SET received_at = '2025-12-31 12:00:00+00' WHERE id = 't2';
\! awk '/^\140\140\140sql/ { on = 1; next } /^\140\140\140/ { on = 0 } on' doc/warehouse.md > results/warehouse_examples.sql
\o results/warehouse_examples.out
\set ECHO none
\i results/warehouse_examples.sql
\set ECHO all
\o
SELECT destination, CASE WHEN call ? 'event' THEN call ELSE call - 'messageId' END AS call FROM braze_queue ORDER BY id;
ROLLBACK;
