\set ECHO none
\i test/map.psql
\set ECHO all

--
-- track: one event
--

-- the whole object
SELECT map('{"type": "track", "userId": "u1", "event": "Song Played", "timestamp": "2024-05-06T07:08:09.123Z", "properties": {"title": "Let It Be", "seconds": 243}}', 'app_identifier', 'app');

-- the name is a string or a number, exactly as written; it is never cut
SELECT track('Song Played', '{}');
SELECT track(' Song  Played ', '{}');
SELECT map('{"type": "track", "userId": "u1", "event": 404, "timestamp": "2024-05-06"}');
SELECT map('{"type": "track", "userId": "u1", "timestamp": "2024-05-06"}');
SELECT map('{"type": "track", "userId": "u1", "event": null}');
SELECT map('{"type": "track", "userId": "u1", "event": ""}');
SELECT map('{"type": "track", "userId": "u1", "event": "  "}');
SELECT map('{"type": "track", "userId": "u1", "event": "$purchase"}');
SELECT map('{"type": "track", "userId": "u1", "event": ["E"]}');
SELECT length(payload->>'name') FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', repeat('é', 255)), 'map_case');
SELECT map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', repeat('é', 256)));

-- properties go as they are; an empty object is left out
SELECT track('E', '{"s": "x", "n": 1.50, "b": false, "l": [1, "a", {"k": true}], "o": {"k": {"l": []}}}');
SELECT track('E', '{}');
SELECT track('E', '{"n": null}');
-- names that Braze keeps for itself, and nulls
SELECT track('E', '{"time": "2024-01-01", "event_name": "x", "price": 5, "currency": "USD", "product_id": "p", "coupon": null, "ok": 1}');
SELECT track('E', '{" time ": 1, "Time": 2, "nested": {"time": 3}}');
-- Braze cuts long strings; they go whole, with a note
SELECT left(line, 60) FROM track('E', jsonb_build_object('s', repeat('é', 255))) line;
SELECT left(line, 110) FROM track('E', jsonb_build_object('s', repeat('é', 256))) line;
SELECT left(line, 110) FROM track('E', jsonb_build_object('o', jsonb_build_object('s', ARRAY[repeat('x', 256)]))) line;
-- Braze ignores what is behind 256 properties
SELECT right(line, 70) FROM track('E', (SELECT jsonb_object_agg('p' || i, i) FROM generate_series(1, 256) i)) line;
SELECT right(line, 70) FROM track('E', (SELECT jsonb_object_agg('p' || i, i) FROM generate_series(1, 257) i)) line;

-- over 102,400 bytes in all, the largest property is left out until it fits
CREATE FUNCTION cases.sizes(properties jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT string_agg(key || ' ' || length(value::text), ', ' ORDER BY key)
	FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'E', 'properties', properties), 'map_case') m,
		 jsonb_each(m.payload->'properties')
	UNION ALL
	SELECT '  - ' || note
	FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'E', 'properties', properties), 'map_case') m,
		 unnest(m.notes) note
	WHERE note LIKE '%left out%'
$$;
-- {"a":"..."} of exactly 102,400 bytes, and one more
SELECT sizes(jsonb_build_object('a', repeat('x', 102392)));
SELECT sizes(jsonb_build_object('a', repeat('x', 102393), 'b', 1));
SELECT sizes(jsonb_build_object('a', repeat('x', 60000), 'b', repeat('x', 50000), 'c', repeat('x', 90000), 'd', 1));
SELECT sizes(jsonb_build_object('a', repeat('x', 30000), 'b', repeat('x', 50000), 'c', repeat('x', 40000), 'd', 1));
SELECT sizes(jsonb_build_object('a', repeat('x', 200000)));

--
-- Which events are sent
--
SELECT track('Signed Up', '{}', 'events_only', 'Signed Up, Paid');
SELECT track('Song Played', '{}', 'events_only', 'Signed Up, Paid');
SELECT track('signed up', '{}', 'events_only', 'Signed Up, Paid');
SELECT track('Song Played', '{}', 'events_except', 'Song Played');
SELECT track('Signed Up', '{}', 'events_except', 'Song Played');
SELECT track('Order Completed', '{"revenue": 5}', 'events_except', 'Order Completed');

--
-- Any event with a revenue as a purchase, if asked for
--
SELECT track('Subscription Renewed', '{"revenue": 9.90, "plan": "pro"}');
SELECT track('Subscription Renewed', '{"revenue": 9.90, "plan": "pro"}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Renewed', '{"revenue": "9.90", "currency": "eur", "quantity": 3, "price": 5}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Cancelled', '{"revenue": -9.90}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Renewed', '{"revenue": 0}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Renewed', '{"revenue": "$5"}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Renewed', '{"total": 5}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Subscription Renewed', '{"revenue": 5, "currency": "XXX"}', 'log_purchase_when_revenue_present', 'true');
-- not the other calls of the eCommerce spec: their revenue is that of an order
-- to come
SELECT track('Product Added', '{"revenue": 5}', 'log_purchase_when_revenue_present', 'true');
SELECT track('checkout_step_completed', '{"revenue": 5}', 'log_purchase_when_revenue_present', 'true');
SELECT track('Order Refunded', '{"revenue": 5}', 'log_purchase_when_revenue_present', 'true');

-- white space before the "$" does not hide it
SELECT track(' $purchase', '{"a": 1}');

ROLLBACK;
