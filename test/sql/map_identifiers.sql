\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Which id names the user
--

-- the default order: user_id, braze_id, user_alias
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Braze": {"braze_id": "b1"}}}');
SELECT map('{"type": "identify", "integrations": {"Braze": {"braze_id": "b1", "user_alias": {"alias_name": "n", "alias_label": "l"}}}}');
SELECT map('{"type": "identify", "integrations": {"Braze": {"user_alias": {"alias_name": "n", "alias_label": "l"}}}}');
SELECT map('{"type": "identify", "context": {"integrations": {"Appboy": {"braze_id": "b1"}}}}');
SELECT map('{"type": "identify", "integrations": {"Braze": {"user_alias": {"alias_name": "n"}}}}');

-- a number becomes its digits
SELECT map('{"type": "identify", "userId": 42}');
SELECT map('{"type": "identify", "userId": 12345678901234567890}');
SELECT map('{"type": "identify", "userId": 1.50}');

-- another order
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Braze": {"braze_id": "b1"}}}', 'identifiers', 'braze_id, user_id');
SELECT map('{"type": "identify", "userId": "u1"}', 'identifiers', 'braze_id, user_id');
SELECT map('{"type": "identify", "userId": "u1"}', 'identifiers', 'braze_id');

-- anonymous visitors
SELECT map('{"type": "identify", "anonymousId": "a1"}');
SELECT map('{"type": "identify", "anonymousId": "a1"}', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "identify", "anonymousId": "a1"}', 'identifiers', 'user_id, anonymous_id', 'anonymous_alias_label', 'visitor');
SELECT map('{"type": "identify", "userId": "u1", "anonymousId": "a1"}', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "identify", "userId": "u1", "anonymousId": "a1"}', 'identifiers', 'anonymous_id, user_id');
SELECT map('{"type": "identify", "userId": "", "anonymousId": "null"}', 'identifiers', 'user_id, anonymous_id');

-- email and phone: from the traits of an identify call, and from context.traits
SELECT map('{"type": "identify", "traits": {"email": " ada@example.com "}}', 'identifiers', 'user_id, email');
SELECT map('{"type": "identify", "traits": {"phone": "+14155552671", "email": "ada@example.com"}}', 'identifiers', 'user_id, phone, email');
SELECT map('{"type": "identify", "traits": {"phone": 14155552671}}', 'identifiers', 'user_id, phone');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06", "context": {"traits": {"email": "c@example.com"}}, "properties": {"email": "p@example.com"}}', 'identifiers', 'email');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06", "properties": {"email": "p@example.com"}}', 'identifiers', 'email');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06", "context": {"traits": {"email": "no address"}}, "properties": {"email": "p@example.com"}}', 'identifiers', 'email');
-- never from properties or from a group's traits, which may be somebody else's
SELECT map('{"type": "track", "event": "Friend Invited", "timestamp": "2024-05-06", "properties": {"email": "friend@example.com", "phone": "+14155552671"}}', 'identifiers', 'email, phone');
SELECT map('{"type": "page", "name": "Home", "timestamp": "2024-05-06", "properties": {"email": "friend@example.com"}}', 'identifiers', 'email', 'track_all_pages', 'true');
SELECT map('{"type": "group", "groupId": "g", "traits": {"email": "company@example.com"}}', 'identifiers', 'email');
SELECT map('{"type": "group", "groupId": "g", "traits": {"email": "company@example.com"}, "context": {"traits": {"email": "ada@example.com"}}}', 'identifiers', 'email');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06", "traits": {"email": "t@example.com"}, "context": {"traits": {"email": "c@example.com"}}}', 'identifiers', 'email');
-- the rest of the context identifies nobody
SELECT map('{"type": "identify", "userId": "u1", "context": {"groupId": "g", "active": true}}');
-- an email that identifies is in the object once, also when the trait is
-- another
SELECT map('{"type": "identify", "traits": {"email": null}, "context": {"traits": {"email": "c@example.com"}}}', 'identifiers', 'email');

-- ids that do not resolve
SELECT map('{"type": "identify", "userId": ""}');
SELECT map('{"type": "identify", "userId": " \t "}');
SELECT map('{"type": "identify", "userId": null}');
SELECT map('{"type": "identify", "userId": true}');
SELECT map('{"type": "identify", "userId": {"id": 1}}');
SELECT map('{"type": "identify", "userId": "null"}');
SELECT map('{"type": "identify", "userId": "[object Object]", "anonymousId": "a1"}', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "identify", "userId": "00000000-0000-0000-0000-000000000000"}');
SELECT map('{"type": "identify", "userId": "nullable"}');
SELECT map('{"type": "identify", "userId": "null"}', 'ignored_ids', 'test');
SELECT map('{"type": "identify", "userId": "test"}', 'ignored_ids', 'test');

-- Braze's lengths, in bytes
SELECT kind, length(payload->>'external_id') FROM braze_map(jsonb_build_object('type', 'identify', 'userId', repeat('x', 987)), 'map_case');
SELECT map(jsonb_build_object('type', 'identify', 'userId', repeat('x', 988)));
SELECT map(jsonb_build_object('type', 'identify', 'userId', repeat('é', 494)));
SELECT kind, length(payload->'user_alias'->>'alias_name') FROM braze_map(jsonb_build_object('type', 'identify', 'integrations', jsonb_build_object('Braze', jsonb_build_object('user_alias', jsonb_build_object('alias_name', repeat('x', 236), 'alias_label', 'l')))), 'map_case');
SELECT map(jsonb_build_object('type', 'identify', 'integrations', jsonb_build_object('Braze', jsonb_build_object('user_alias', jsonb_build_object('alias_name', repeat('x', 237), 'alias_label', 'l')))));
SELECT map('{"type": "identify", "integrations": {"Braze": {"user_alias": {"alias_name": "", "alias_label": "l"}}}}');

-- _update_existing_only
SELECT map('{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}', 'update_existing_only', 'true');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06"}', 'update_existing_only', 'true');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06", "integrations": {"Braze": {"user_alias": {"alias_name": "n", "alias_label": "l"}}}}', 'update_existing_only', 'true');

-- a whole number is the id of its integer, wherever an id stands; texts stay as
-- they are
SELECT map('{"type": "identify", "userId": 12345.0}');
SELECT map('{"type": "identify", "userId": 12345.00, "anonymousId": -7.000}', 'identifiers', 'anonymous_id');
SELECT map('{"type": "identify", "userId": 12345.50}');
SELECT map('{"type": "identify", "userId": "12345.0"}');
SELECT map('{"type": "identify", "userId": 9007199254740993.0}');
SELECT map('{"type": "identify", "userId": 0.0}');
SELECT map('{"type": "group", "userId": 1.0, "groupId": 77.0}');
SELECT map('{"type": "alias", "userId": 2.0, "previousId": 1.00}', 'alias_calls', 'merge');
SELECT map('{"type": "identify", "integrations": {"Braze": {"user_alias": {"alias_name": 5.0, "alias_label": "crm"}}}}');
SELECT map('{"type": "track", "userId": 1.0, "event": 404.0, "timestamp": "2024-05-06"}');
SELECT map('{"type": "track", "userId": 1.0, "event": "Order Completed", "timestamp": "2024-05-06", "properties": {"order_id": 10.0, "products": [{"product_id": 99.0, "price": 5.00}]}}', 'orders_as', 'both');
-- a userId that stands only in the traits is not used
SELECT map('{"type": "identify", "traits": {"userId": "u1", "plan": "pro"}}');
SELECT map('{"type": "identify", "anonymousId": "a1", "traits": {"user_id": "u1"}}', 'identifiers', 'anonymous_id');
SELECT map('{"type": "track", "anonymousId": "a1", "event": "E", "context": {"traits": {"userId": 7}}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"userId": "u1", "anonymousId": "a1", "id": "u1", "plan": "pro"}}');
SELECT map('{"type": "identify", "traits": {"userId": null}}');

ROLLBACK;
