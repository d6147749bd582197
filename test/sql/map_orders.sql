\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Completed Order: one purchase per product
--

-- the whole object, and both spellings of the name
SELECT map('{"type": "track", "userId": "u1", "event": "Completed Order", "timestamp": "2024-05-06T07:08:09Z", "properties": {"products": [{"product_id": "p1", "price": 19.99}]}}', 'app_identifier', 'app');
SELECT track('Order Completed', '{"products": [{"product_id": "p1", "price": 1}]}');
SELECT track('order_completed', '{"products": [{"product_id": "p1", "price": 1}]}');
SELECT track('COMPLETEDORDER', '{"products": [{"product_id": "p1", "price": 1}]}');
SELECT track('Order  Completed', '{"products": [{"product_id": "p1", "price": 1}]}');
SELECT track(' order completed ', '{"revenue": 5}');
SELECT track('Order Completed!', '{"products": [{"product_id": "p1", "price": 1}]}');

-- product_id: the first that is there; only that key leaves the properties
SELECT track('Completed Order', '{"products": [{"product_id": "a", "productId": "b", "id": "c", "sku": "d", "name": "e", "price": 1}]}');
SELECT track('Completed Order', '{"products": [{"productId": "b", "sku": "d", "price": 1}, {"id": 7, "sku": "d", "price": 1}, {"sku": "d", "name": "e", "price": 1}, {"name": "e", "price": 1}]}');
SELECT track('Completed Order', '{"products": [{"product_id": null, "id": "", "sku": "d", "price": 1}]}');
SELECT track('Completed Order', jsonb_build_object('products', jsonb_build_array(jsonb_build_object('id', repeat('x', 256), 'sku', repeat('é', 3), 'price', 1)), 'k', 1), 'purchase_properties', 'false');

-- currency: the product's, the order's, the default
SELECT track('Completed Order', '{"currency": "gbp", "products": [{"sku": "a", "price": 1, "currency": " eur "}, {"sku": "b", "price": 1}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1}]}', 'default_currency', 'JPY');
SELECT track('Completed Order', '{"currency": "GBP", "products": [{"sku": "a", "price": 1, "currency": "EURO"}]}');
SELECT track('Completed Order', '{"currency": "euros", "products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 1, "currency": "EUR"}]}');
SELECT track('Completed Order', '{"currency": "ves", "products": [{"sku": "a", "price": 1, "currency": ""}, {"sku": "b", "price": 1, "currency": "XXX"}]}');
SELECT currency, track('Completed Order', jsonb_build_object('products', jsonb_build_array(jsonb_build_object('sku', 'a', 'price', 1, 'currency', currency))))
FROM unnest('{BYN,mru,SLE,STN,SSP,VED,XCG,ZWG,CHE,CHW,CLF,COU,MXV,USN,UYI,UYW,BOV,BYR,HRK,XTS,XXX,US,USDT}'::text[]) currency;

-- price: a number or a numeric string, as it is
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": "19.990"}, {"sku": "b", "price": 0}, {"sku": "c", "price": " 1e2 "}, {"sku": "d", "price": -5}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": "1,299.50"}, {"sku": "b", "price": "$5"}, {"sku": "c", "price": "007"}, {"sku": "d", "price": ".5"}, {"sku": "e", "price": "+5"}, {"sku": "f", "price": null}, {"sku": "g"}, {"sku": "h", "price": "1e999"}, {"sku": "i", "price": 1}]}');

-- quantity: at most 100 in one purchase
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1, "quantity": 100}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1, "quantity": 250, "color": "red"}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1, "quantity": "2"}, {"sku": "b", "price": 1, "quantity": 2.0}, {"sku": "c", "price": 1, "quantity": "many"}, {"sku": "d", "price": 1, "quantity": null}]}');
SELECT count(*), min((payload->>'quantity')::int), sum((payload->>'quantity')::int) FROM braze_map('{"type": "track", "userId": "u1", "event": "Completed Order", "properties": {"products": [{"sku": "a", "price": 1, "quantity": 7500}]}}', 'map_case');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 0.01, "quantity": 7501}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 19.99, "quantity": 1.5}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 5, "quantity": 0}, {"sku": "b", "price": 5, "quantity": -2}, {"sku": "c", "price": 5, "quantity": -0.5}]}');
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1e300, "quantity": 1e300}, {"sku": "b", "price": 1}]}');
-- a product that is left out was not recorded in some way before
SELECT track('Completed Order', '{"products": [{"sku": "a", "price": 1, "quantity": 1.5, "currency": "?"}, {"sku": "b", "price": 1}]}');

-- properties: the product's other fields, then the order's; a product's wins
SELECT track('Completed Order', '{"order_id": "o1", "coupon": "SPRING", "total": 25, "affiliation": null, "color": "any", "products": [{"sku": "a", "price": 1, "color": "red", "coupon": null}]}');
SELECT track('Completed Order', '{"order_id": "o1", "time": 1, "price": 2, "quantity": 3, "event_name": "x", "product_id": "y", "products": [{"sku": "a", "price": 1}, {"sku": "b", "price": 1}]}');
SELECT track('Completed Order', '{" color": "order", "products": [{"sku": "a", "price": 1, "color ": "product"}]}');
SELECT track('Completed Order', '{"order_id": "o1", "products": [{"sku": "a", "price": 1, "color": "red"}]}', 'purchase_properties', 'false');
SELECT left(line, 170) FROM track('Completed Order', jsonb_build_object('order_id', 'o1', 'terms', repeat('x', 52000), 'products', '[{"sku": "a", "price": 1}]'::jsonb)) line;
-- together too large: each product leaves out the largest, its own or the
-- order's, but for what it hides
SELECT left(regexp_replace(line, 'x{10,}', 'x', 'g'), 250) FROM track('Completed Order', jsonb_build_object('order_id', 'o1', 'a', repeat('x', 30000), 'b', repeat('x', 20000), 'c', repeat('x', 15000), 'products', jsonb_build_array(
	'{"sku": "1", "price": 1}'::jsonb, jsonb_build_object('sku', '2', 'price', 1, 'd', repeat('x', 25000)), '{"sku": "3", "price": 1, "b": 2}'::jsonb,
	'{"sku": "4", "price": 1, " c ": 3}'::jsonb, jsonb_build_object('sku', '5', 'price', 1, 'quantity', 201, 'c', repeat('x', 15000))))) line;

-- one object counts as a list; without a list the call may be the product
SELECT track('Completed Order', '{"products": {"sku": "a", "price": 1}, "order_id": 5}');
SELECT track('Completed Order', '{"product_id": "a", "price": 1, "quantity": 2, "order_id": "o1", "currency": "EUR"}');
-- a product that cannot be mapped is left out, the others go
SELECT track('Completed Order', '{"products": [{"price": 1}, "a", null, {"sku": "b", "price": 2}]}');
-- no product: the revenue, else the total, as one purchase
SELECT track('Completed Order', '{"revenue": 25.50, "currency": "EUR", "order_id": "o1"}');
SELECT track('Completed Order', '{"revenue": 0, "total": "30", "products": []}');
SELECT track('Completed Order', '{"revenue": 25.50, "products": [{"sku": "a"}]}');
-- what of a product is no property hides nothing of its order
SELECT track('Completed Order', '{"id": "o1", "name": "an order", "plan": "order", " size ": "order", "coupon": "order", "gift": "order", "products": [{"id": "p1", "price": 1, "name": "product", " plan ": "product", "size": "product", "coupon": null}, {"name": "p2", "price": 1, "gift": 1e400}]}');
-- else a custom event
SELECT track('Completed Order', '{"order_id": "o1"}');
SELECT track('Completed Order', '{"products": [{"sku": "a"}]}');
SELECT track('Completed Order', '{}');
SELECT track('Completed Order', '{"revenue": 5, "currency": "doubloons"}');
SELECT track('Completed Order', '{"total": "5", "currency": "doubloons", "products": [{"sku": "a", "price": 1}]}');
SELECT track('Completed Order', '{"revenue": 5, "currency": " "}');
SELECT track('Paid', '{"revenue": 5, "currency": "doubloons"}', 'log_purchase_when_revenue_present', 'true');

-- properties that the purchases share do not take the room of those after them
SELECT count(*), sum(quantity * price), count(properties) BETWEEN 150 AND 250 AS some, string_agg(note, ' ') FILTER (WHERE note LIKE 'This%')
FROM (SELECT (payload->>'quantity')::int AS quantity, (payload->>'price')::numeric AS price, payload->>'properties' AS properties, notes[1] AS note
	  FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'Order Completed', 'properties', jsonb_build_object('terms', repeat('x', 20000),
			'products', (SELECT jsonb_agg(jsonb_build_object('id', 'p' || i, 'price', 2, 'quantity', 500)) FROM generate_series(1, 100) i))), 'map_case')) rows;
-- what is too large in a product does not come back from the order
SELECT line FROM track('Order Completed', jsonb_build_object('terms', 'of the order', 'b', 1, 'products', jsonb_build_array(
	jsonb_build_object('id', 'p1', 'price', 1, 'terms', repeat('x', 60000)),
	jsonb_build_object('id', 'p2', 'price', 1)))) line;
SELECT payload->'properties'->>'p1' FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u', 'event', 'Order Completed', 'properties',
	jsonb_build_object('p1', 'of the order', 'products', jsonb_build_array((SELECT jsonb_object_agg('p' || i, repeat(chr(97 + i % 26), 4000 + 100 - i)) FROM generate_series(1, 90) i) ||
		'{"id": "p", "price": 1}'))));

ROLLBACK;
