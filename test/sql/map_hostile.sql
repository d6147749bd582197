\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Hostile calls: no error, no unbounded text, no silent loss
--

-- nested deeper than 64 levels
SELECT identify(jsonb_build_object('deep', (repeat('[', 3000) || '1' || repeat(']', 3000))::jsonb, 'ok', 1));
SELECT track('E', jsonb_build_object('deep', (repeat('{"a":', 3000) || '1' || repeat('}', 3000))::jsonb, 'ok', 1));
SELECT length(payload->>'deep') FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits', jsonb_build_object('deep', (repeat('[', 64) || '1' || repeat(']', 64))::jsonb)), 'map_case');
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'context', (repeat('{"traits":', 3000) || '1' || repeat('}', 3000))::jsonb, 'integrations', (repeat('[', 3000) || repeat(']', 3000))::jsonb));

-- few bytes of jsonb that stand for gigabytes of text
SELECT identify(jsonb_build_object('n', (SELECT jsonb_agg(1e131071) FROM generate_series(1, 10000)), 'ok', 1));
SELECT track('E', (SELECT jsonb_object_agg('p' || i, 1e131071) FROM generate_series(1, 1000) i) || '{"ok": 1}');
SELECT identify(jsonb_build_object('n', (SELECT jsonb_agg(1e-990) FROM generate_series(1, 1000)), 'ok', 1));
SELECT identify(jsonb_build_object('n', (SELECT jsonb_agg(0e-16383) FROM generate_series(1, 1000)), 'ok', 1));
SELECT octet_length(payload::text) < 3100000 AS bounded, notes[2], notes[21]
FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits',
	(SELECT jsonb_object_agg('p' || i, 1e-990) FROM generate_series(1, 5000) i)), 'map_case');
SELECT octet_length(payload->>'properties') < 105000 AS bounded, notes[20], notes[21]
FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'E', 'properties',
	(SELECT jsonb_object_agg('p' || i, 1e-990) FROM generate_series(1, 5000) i)), 'map_case');
SELECT track('Order Completed', jsonb_build_object('products', (SELECT jsonb_agg(jsonb_build_object('sku', i, 'price', 1e131071, 'quantity', 1e131071)) FROM generate_series(1, 3) i)), 'orders_as', 'both');
SELECT map('{"type": "track", "userId": 1e131071, "event": "E"}');
SELECT map('{"type": "track", "userId": "u1", "event": 1e131071}');
SELECT map('{"type": "group", "userId": "u1", "groupId": 1e-16383}');

-- an order that would become 100 MB of purchases
SELECT count(*), sum(octet_length(payload::text)) BETWEEN 4000000 AND 5000000 AS bounded, jsonb_agg(notes)->0
FROM (SELECT payload, notes
	  FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'Order Completed', 'properties',
			jsonb_build_object('terms', repeat('x', 50000), 'products', (SELECT jsonb_agg(jsonb_build_object('sku', i, 'price', 1)) FROM generate_series(1, 2000) i))), 'map_case')) rows;

-- text that grows when it is written
SELECT octet_length(payload::text) < 3100000 AS bounded, notes[1]
FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits',
	(SELECT jsonb_object_agg('p' || i, repeat(E'\u0001', 16000)) FROM generate_series(1, 60) i)), 'map_case');

-- as many notes as anyone can read, each of a bounded length
SELECT identify((SELECT jsonb_object_agg('$' || i || repeat('x', 300), 1) FROM generate_series(1, 1000) i));
SELECT identify(jsonb_build_object(E'$line\nbreak\ttab\u0001', 1));
SELECT count(*) FROM track('Order Completed', jsonb_build_object('products', (SELECT jsonb_agg(i) FROM generate_series(1, 5000) i)));

-- names that are one name without their white space
SELECT right(line, 60) FROM identify((SELECT jsonb_object_agg('a' || repeat(' ', i), i) FROM generate_series(1, 2000) i)) line;
SELECT right(line, 60) FROM identify((SELECT jsonb_object_agg('a' || i || ' ', i) FROM generate_series(1, 34) i)) line OFFSET 1;

-- every field as every type
SELECT type, count(*), sum((outcome = 'send')::int) AS sent, sum((outcome <> 'send' AND notes = '{}')::int) AS silent
FROM unnest('{track,identify,page,screen,group,alias,delete,delete_user}'::text[]) type,
	 unnest('{userId,anonymousId,previousId,groupId,event,name,category,traits,properties,context,integrations,timestamp,originalTimestamp,sentAt,receivedAt}'::text[]) field,
	 unnest(ARRAY['null', 'true', '0', '-1.5', '1e300', '""', '" "', '"x"', '[]', '[[]]', '[null]', '{}', '{"": null}', '{"a": {"b": []}}',
		'{"products": 1}', '{"email": []}', '{"Braze": {"user_alias": 1, "braze_id": [], "app_id": {}}}', '{"traits": [], "device": 1, "location": "x"}']) value,
	 braze_map_queued(jsonb_build_object('type', type, 'userId', 'u1', 'event', 'Order Completed', 'groupId', 'g', 'previousId', 'p', 'name', 'n') ||
					  jsonb_build_object(field, value::jsonb), 'map_case', NULL,
					  call_kind => CASE type WHEN 'delete_user' THEN type ELSE 'segment' END)
GROUP BY type ORDER BY type;
-- every trait as every type
SELECT count(*), sum((outcome = 'send')::int)
FROM unnest('{firstName,email,phone,birthday,avatar,address,gender,language,current_location,email_subscribe,push_tokens,subscription_groups,time_zone,date_of_first_session,facebook,_merge_objects,x}'::text[]) trait,
	 unnest(ARRAY['null', 'true', '0', '-1.5', '1e300', '1e-300', '""', '" "', '"@"', '[]', '[[]]', '[null]', '[{}]', '{}', '{"": null}', '{"city": [], "country": {}}',
		'{"longitude": [], "latitude": null}', '[{"app_id": [], "token": {}}]', '[{"subscription_group_id": 1, "subscription_state": []}]']) value,
	 braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits', jsonb_build_object(trait, value::jsonb)), 'map_case');
-- every field of an order as every type
SELECT orders_as, field, count(*)
FROM unnest('{purchases,ecommerce,both}'::text[]) orders_as,
	 unnest('{product_id,price,quantity,currency,name,variant,products,total,tax,discounts,order_id,source,url}'::text[]) field,
	 unnest(ARRAY['null', 'true', '0', '-1.5', '1e300', '1e-300', '""', '"x"', '"1e308"', '[]', '[null]', '[{}]', '{}', '{"": null}']) value,
	 cases.track('Order Completed', jsonb_build_object('order_id', 'o', field, value::jsonb, 'products', jsonb_build_array(jsonb_build_object('sku', 's', 'price', 2, field, value::jsonb))), 'orders_as', orders_as)
GROUP BY orders_as, field ORDER BY orders_as, field;

ROLLBACK;
