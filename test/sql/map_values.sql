\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Values and names
--

-- numbers keep the digits that jsonb keeps
SELECT identify('{"a": 19.990, "b": 9007199254740993, "c": 0.1, "d": -0.00012300, "e": 1e20, "f": 1E-7, "g": 0, "h": -5, "i": 10000, "j": 100000000, "k": 0.0}');
SELECT identify('{"a": 123456789012345678901234567890.123456789012345678901234567890, "b": 1.0000000000000000000000001, "c": 99999999, "d": 1000000000000}');
-- all of it is exactly what numeric_out writes
SELECT count(*), bool_and(payload->>'n' = n::text)
FROM (SELECT (sign * mantissa * power(10::numeric, exponent))::numeric AS n
	  FROM unnest('{1,-1}'::numeric[]) sign,
		   unnest('{0,1,7,10,9999,10000,10001,12345.6789,0.1,1.10,99999999.99999999}'::numeric[]) mantissa,
		   generate_series(-40, 300, 3) exponent) numbers,
	 braze_map(jsonb_build_object('type', 'identify', 'userId', 'u', 'traits', jsonb_build_object('n', n)));
SELECT count(*), bool_and(payload->>'n' = n::text)
FROM (SELECT round(12345678901234567890.12345678901234567890 / power(10::numeric, d % 20), d % 70) AS n
	  FROM generate_series(0, 500) d) numbers,
	 braze_map(jsonb_build_object('type', 'identify', 'userId', 'u', 'traits', jsonb_build_object('n', n)));
-- what is beyond 1.7e308 cannot be read by Braze
SELECT right(line, 20) FROM identify('{"n": 1.7e308}') line;
SELECT right(line, 20) FROM identify('{"n": -1.7e308}') line;
SELECT identify('{"n": 1.7000000000000000000000001e308}');
SELECT identify('{"n": -1.8e308, "m": [1e309, 2], "o": {"p": 1e400}}');
SELECT track('E', '{"n": 1e309, "m": 1}');
-- nor is one of more than a thousand digits sent, which takes time to print and
-- more to multiply
SELECT length(line) FROM identify(jsonb_build_object('n', ('0.' || repeat('7', 990))::numeric)) line;
SELECT identify(jsonb_build_object('n', ('0.' || repeat('7', 1000))::numeric, 'm', jsonb_build_array(0e-16383, 1)));
SELECT track('Order Completed', jsonb_build_object('order_id', 'o', 'products', jsonb_build_array(
	jsonb_build_object('id', 'a', 'price', ('1.' || repeat('7', 16000))::numeric),
	jsonb_build_object('id', 'b', 'price', ('1.' || repeat('7', 700))::numeric, 'quantity', ('1.' || repeat('3', 700))::numeric),
	jsonb_build_object('id', 'c', 'price', 2, 'quantity', 1.50))), 'orders_as', 'both');

-- strings keep their bytes
SELECT identify(jsonb_build_object('s', E'quote " backslash \\ slash / tab \t newline \n return \r bell \u0007 del \u007f é 😀 \u2028 end'));
SELECT identify('{"s": "\ud83d\ude00 \u00e9 \b\f"}');
SELECT count(*), bool_and(payload->'s' = to_jsonb(s))
FROM (SELECT repeat('x', i % 19) || chr(i) || repeat('y', i % 7) || chr(1 + i % 31) || '"' AS s
	  FROM generate_series(1, 1000) i) strings,
	 braze_map(jsonb_build_object('type', 'identify', 'userId', 'u', 'traits', jsonb_build_object('s', s)));
-- one character to escape, or none, wherever it stands in a text of any length
SELECT count(*), bool_and(payload->'s' = to_jsonb(s))
FROM (SELECT overlay(repeat('é', l % 2) || repeat('x', l - l % 2) placing c from p for length(c)) AS s
	  FROM generate_series(1, 26) l, generate_series(1, l) p, unnest(ARRAY['"', E'\\', E'\n', E'\x1f', '~', '']) c) strings,
	 braze_map(jsonb_build_object('type', 'identify', 'userId', 'u', 'traits', jsonb_build_object('s', s)));
SELECT identify('{"key \" with \\ escapes\n": 1}');

-- names: trimmed; empty, long or with a leading $: left out
SELECT identify('{" plan ": "pro", "": 1, "  ": 2, "$cost": 3, " $cost": 4}');
SELECT identify('{" firstName ": "Ada", "email\t": "ada@example.com"}');
SELECT track('E', '{" a ": 1, "": 2, "$b": 3}');
SELECT length(line) FROM identify(jsonb_build_object(repeat('é', 255), 1)) line;
SELECT identify(jsonb_build_object(repeat('é', 256), 1));
-- if two end at one name, the one spelled so wins
SELECT identify('{"plan": "exact", " plan": "padded"}');
SELECT identify('{" plan": "first", "plan ": "second"}');
SELECT identify('{"email": "a@example.com", " email": "b@example.com"}');
SELECT track('E', '{"a": "exact", "a ": "padded"}');
-- at the top level, spaces and dots inside a name are fine
SELECT identify('{"favorite color": "red", "a.b": 1}');

-- nested values: keys that Braze refuses in attributes, nulls, what is emptied
SELECT identify('{"o": {"ok": 1, "a b": 2, "c.d": 3, "$x": 4, "": 5}}');
SELECT identify('{"o": {"n": null, "k": {"n": null}, "l": [null], "z": 0}}');
SELECT identify('{"o": {"n": null}, "l": [null, [null], {}], "m": [], "p": {}}');
SELECT track('E', '{"o": {"a b": 2, "c.d": 3, "$x": 4, "n": null}, "l": [1, null]}');
-- $time is a date
SELECT identify('{"o": {"since": {"$time": "2024-01-02T03:04:05Z"}, "until": {"$time": "never"}}}');
SELECT identify('{"l": [{"$time": " 1815-12-10 "}, {"$time": "1815-12-10 08:00"}, {"$time": "2024-01-02T03:04:60+01"}, {"$time": "0001-01-01T00:00:00+01"}, {"$time": 0}]}');
SELECT track('E', '{"o": {"since": {"$time": "2024-01-02"}, "until": {"$time": 5}}}');

-- an attribute is at most 102,400 bytes
SELECT length(line) FROM identify(jsonb_build_object('s', repeat('x', 102398))) line;
SELECT identify(jsonb_build_object('s', repeat('x', 102399), 't', 1));
SELECT identify(jsonb_build_object('s', repeat(E'\u0001', 20000), 't', 1));
SELECT identify(jsonb_build_object('l', (SELECT jsonb_agg(i) FROM generate_series(1, 30000) i), 't', 1));

-- each key that was left out is named, up to three; keys and operators apart
SELECT identify('{"company": {"a.b": 1, "$x": 2, "$y": 3, "ok": 2}}');
SELECT identify('{"company": {"a.b": 1, "ok": 2}}');
SELECT identify('{"company": {"$x": 2, "$add": 3, "ok": 2}}');
SELECT identify('{"company": {"$add": 1, "$remove": 2, "$update": 3, "$new_object": 4, "a b": 1, "a c": 1, "a d": 1, "a e": 1, "a f": 1, "ok": 2}}');
SELECT identify('{"list": [{"a.b": 1, "ok": 1}, {"a.b": 2, "c.d": 1, "ok": 1}, {"c.d": 3, "ok": 1}]}');
SELECT track('E', '{"o": {"$a": 1, "$b": 2, "": 3, "$d": 4, "ok": 1}}');

-- operators: what is none to Braze, and what takes back what it did
SELECT identify('{"visits": {"inc": "1"}}');
SELECT identify('{"tags": {"add": "x"}}');
SELECT identify('{"tags": {"add": ["x"], "remove": "y"}}');
SELECT identify('{"visits": {"inc": 1}, "tags": {"add": ["x"], "remove": ["y"]}, "mixed": {"add": "x", "note": "y"}}');
SELECT identify('{"pets": {"$add": [{"id": 1}], "$remove": [{"$identifier_key": "id", "$identifier_value": 1}]}}');

-- what Braze cuts
SELECT regexp_replace(line, 'x{10,}', 'x', 'g') FROM identify(jsonb_build_object('a', repeat('x', 256), 'b', repeat('x', 255), 'first_name', repeat('x', 256), 'o', jsonb_build_object('p', repeat('x', 300)), 'l', jsonb_build_array(repeat('x', 256)))) line;
SELECT left(line, 100) FROM identify(jsonb_build_object('a', (SELECT jsonb_agg(i) FROM generate_series(1, 500) i), 'b', (SELECT jsonb_agg(i) FROM generate_series(1, 501) i))) line;
-- of a trait that is left out nothing is cut, and no part
SELECT identify(jsonb_build_object('first_name', repeat('x', 102400), 'phone', repeat('5', 102400), 'push_tokens', jsonb_build_array(5, jsonb_build_object('app_id', 'a', 'token', repeat('x', 102400)))));
-- of a property that is left out nothing is cut
SELECT regexp_replace(line, 'x{10,}', 'x', 'g') FROM track('E', jsonb_build_object('a', repeat('x', 102300), 'b', repeat('x', 300), 'c', 1)) line;
SELECT regexp_replace(line, 'x{10,}', 'x', 'g') FROM track('Order Completed', jsonb_build_object('a', repeat('x', 51000), 'b', repeat('x', 300), 'c', repeat('x', 300), 'products', '[{"sku": "1", "price": 1, "c": 1}, {"sku": "2", "price": 1, "c": 2}]'::jsonb)) line;

-- names that Braze looks up are trimmed
SELECT identify('{"language": " en-US ", "country": " GB", "time_zone": "Europe/London\n"}');
SELECT identify('{"language": " ", "home_city": " London "}');

-- lists given as text are not read; an empty list may be PHP's empty object
SELECT identify('{"push_tokens": "[{\"app_id\": \"a\", \"token\": \"t\"}]", "subscription_groups": "{}"}');
SELECT track('Order Completed', '{"order_id": "o1", "revenue": 5, "products": "[{\"sku\": \"a\", \"price\": 5}]"}');
SELECT track('Cart Updated', '{"cart_id": "c1", "products": " [] "}', 'orders_as', 'ecommerce');
SELECT track('Song Played', '{"products": "[]"}', 'orders_as', 'ecommerce');
SELECT map('{"type": "identify", "userId": "u1", "traits": []}');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06", "properties": []}');
SELECT map('{"type": "identify", "userId": "u1", "traits": "{\"plan\": \"pro\"}"}');
SELECT map('{"type": "identify", "userId": "u1", "traits": [1]}');

ROLLBACK;
