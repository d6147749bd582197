-- What was delivered, added up; who may read it; and what there is of one user.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL TimeZone = 'America/New_York';
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', anonymous_alias_label 'visitor');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');

-- parts of sums, as the worker inserts them; a day begins in UTC
INSERT INTO braze_activity_sums (destination, hour, kind, name, currency, calls, objects, quantity, revenue, requests, data_points, data_points_saved, first_time, last_time)
SELECT destination, hour::timestamptz, kind, name, currency, calls, objects, quantity, revenue, requests, points, saved,
	hour::timestamptz + first::interval, hour::timestamptz + last::interval
FROM (VALUES
	('braze', '2026-01-02 00:00+00', 'events', 'Song Played', NULL, 3, 4, NULL::bigint, NULL::numeric, 0, 4, 0, '1 s', '2 s'),
	('braze', '2026-01-02 00:00+00', 'events', 'Song Played', NULL, 1, 1, NULL, NULL, 0, 1, 0, '1 min', '2 min'),
	('braze', '2026-01-02 23:00+00', 'events', 'Song Played', NULL, 1, 1, NULL, NULL, 0, 1, 0, '1 min', '2 min'),
	('braze', '2026-01-02 23:00+00', 'events', NULL, NULL, 7, 7, NULL, NULL, 0, 7, 0, '1 min', '2 min'),
	('other', '2026-01-02 23:00+00', 'events', 'Song Played', NULL, 5, 5, NULL, NULL, 0, 5, 0, '1 min', '2 min'),
	('braze', '2026-01-02 00:00+00', 'purchases', 'p1', 'USD', 1, 1, 3, 59.97, 0, 3, 0, '1 s', '1 s'),
	('braze', '2026-01-02 05:00+00', 'purchases', 'p1', 'USD', 1, 2, 2, -0.005, 0, 2, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'purchases', 'p1', 'EUR', 1, 1, 1, 10, 0, 1, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'attributes', '', NULL, 100, 100, NULL, NULL, 0, 250, 50, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'attributes', 'plan', NULL, 0, 128, NULL, NULL, 0, 0, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'identity', 'merge_updates', NULL, 2, 2, NULL, NULL, 0, 0, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'request', '/users/track', NULL, 0, 106, NULL, NULL, 3, 0, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'refused', 'events', NULL, 1, 2, NULL, NULL, 0, 0, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'refused', '', NULL, 4, 0, NULL, NULL, 0, 0, 0, '1 s', '1 s'),
	('braze', '2026-01-02 00:00+00', 'skipped', '', NULL, 9, 0, NULL, NULL, 0, 0, 0, '1 s', '1 s')
) v (destination, hour, kind, name, currency, calls, objects, quantity, revenue, requests, points, saved, first, last);

-- sketches: pairs of a register and its value
INSERT INTO braze_activity_users (destination, day, kind, name, sketch) VALUES
	('braze', '2026-01-02', 'events', 'Song Played', '\x0100410083'),
	('braze', '2026-01-02', 'events', 'Song Played', '\x010042008300c1'),
	('braze', '2026-01-02', 'events', NULL, '\x010041'),
	('other', '2026-01-02', 'events', 'Song Played', '\x01'),
	('braze', '2026-01-02', 'purchases', 'p1', '\x010041');
SET LOCAL TimeZone = 'UTC';
SELECT * FROM braze_activity ORDER BY destination, hour, kind, name, currency;
SELECT * FROM braze_event_counts ORDER BY destination, day, event;
SELECT * FROM braze_revenue ORDER BY destination, day, product, currency;
SELECT * FROM braze_attribute_counts ORDER BY destination, day, attribute;
SELECT * FROM braze_throughput ORDER BY destination, hour;

-- sketches merge in any order, and what is none is an error
SELECT braze_merge_users(sketch ORDER BY id) = braze_merge_users(sketch ORDER BY id DESC) AS same, braze_count_users(sketch) AS users
FROM braze_activity_users WHERE destination = 'braze';
SELECT braze_sketch_users('\x01'), braze_sketch_users(NULL), braze_count_users(sketch) FROM braze_activity_users WHERE false;
SELECT length(braze_sketch_merged(('\x02' || repeat('01', 1024))::bytea, '\x01ffc5')), braze_sketch_users(('\x02' || repeat('37', 1024))::bytea);
SAVEPOINT s;
SELECT braze_sketch_users('');
ROLLBACK TO s;
SELECT braze_sketch_users('\x0100ff');
ROLLBACK TO s;
SELECT braze_sketch_merged('\x01', '\x03');
ROLLBACK TO s;

-- aggregates in parallel come to the same
SELECT proname, proparallel FROM pg_proc WHERE proname IN ('braze_merge_users', 'braze_count_users', 'braze_sketch_merged', 'braze_sketch_users') ORDER BY 1;

-- a role for marketing sees the views that it was granted, and nothing else
CREATE ROLE regress_braze_marketing;
SET LOCAL ROLE regress_braze_marketing;
SAVEPOINT s;
SELECT * FROM braze_event_counts;
ROLLBACK TO s;
RESET ROLE;
GRANT SELECT ON braze_event_counts, braze_revenue, braze_attribute_counts, braze_throughput TO regress_braze_marketing;
SET LOCAL ROLE regress_braze_marketing;
SELECT count(*), sum(users) FROM braze_event_counts;
SELECT (SELECT count(*) FROM braze_revenue) AS revenue, (SELECT count(*) FROM braze_attribute_counts) AS attributes,
	(SELECT count(*) FROM braze_throughput) AS throughput;
SAVEPOINT s;
SELECT * FROM braze_activity;
ROLLBACK TO s;
SELECT * FROM braze_activity_users;
ROLLBACK TO s;
SELECT * FROM braze_explain_user('u1');
ROLLBACK TO s;
RESET ROLE;

-- one user
INSERT INTO braze_queue (destination, call, queued_at) VALUES
	('braze', '{"type": "track", "userId": "u1", "event": "Song Played"}', '2026-01-02 03:00+00'),
	('other', '{"type": "identify", "user_id": "u1"}', '2026-01-02 03:01+00'),
	('braze', '{"type": "track", "userId": "u2", "event": "Song Played"}', '2026-01-02 03:02+00'),
	('braze', '{"type": "alias", "userId": "u2", "previousId": "u1"}', '2026-01-02 03:03+00'),
	('braze', '{"type": "page", "anonymousId": "u1", "name": "Home"}', '2026-01-02 03:04+00');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at) VALUES
	('braze', '{"type": "track", "userId": "u1", "event": "Bad"}', 'no such thing', '2026-01-01', '2026-01-02 02:00+00'),
	('braze', '{"type": "track", "userId": "u3", "event": "Bad"}', 'no such thing', '2026-01-01', '2026-01-02 02:00+00'),
	(NULL, '{"type": "track", "userId": "u1", "event": "Nowhere"}', 'no destination', '2026-01-01', '2026-01-02 02:00+00');
INSERT INTO braze_profiles (destination, "user", sent, has_alias, owner, attributes, changed_at) VALUES
	('braze', '"external_id":"u1"', false, true, NULL, '\x0102', '2026-01-01 01:00+00'),
	('braze', '"user_alias":{"alias_name":"u1","alias_label":"visitor"}', true, false, '"external_id":"u9"', NULL, '2026-01-01 02:00+00'),
	('other', '"user_alias":{"alias_name":"u1","alias_label":"visitor"}', true, false, NULL, NULL, '2026-01-01 03:00+00');
SELECT server, what, id - (SELECT min(id) FROM braze_queue) AS nth, at, call, detail FROM braze_explain_user('u1');
SELECT server, what, at, call, detail FROM braze_explain_user('u1', 'other');
SELECT server, what, call, detail FROM braze_explain_user('u1', max_rows => 2);
SELECT server, what, at, detail FROM braze_explain_user(E'"\\');
ROLLBACK;
