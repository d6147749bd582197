\set ECHO none
\i test/map.psql
\set ECHO all

--
-- group: one attributes object
--
SELECT map('{"type": "group", "userId": "u1", "groupId": "1234"}');
SELECT map('{"type": "group", "userId": "u1", "groupId": 1234}', 'app_identifier', 'app');
SELECT map('{"type": "group", "userId": "u1", "traits": {"groupId": "1234"}}');
SELECT map('{"type": "group", "userId": "u1", "groupId": "own", "traits": {"groupId": "other"}}');
-- the group's other traits are not the user's
SELECT map('{"type": "group", "userId": "u1", "groupId": "1234", "traits": {"name": "Initech", "plan": "enterprise"}}');
-- missing, empty or too long rejects
SELECT map('{"type": "group", "userId": "u1"}');
SELECT map('{"type": "group", "userId": "u1", "groupId": " "}');
SELECT map('{"type": "group", "userId": "u1", "groupId": ["a"]}');
SELECT length(key) FROM braze_map(jsonb_build_object('type', 'group', 'userId', 'u1', 'groupId', repeat('é', 238)), 'map_case') m, jsonb_object_keys(m.payload) key ORDER BY 1;
SELECT map(jsonb_build_object('type', 'group', 'userId', 'u1', 'groupId', repeat('é', 239)));

-- group_calls 'subscription'
SELECT map('{"type": "group", "userId": "u1", "groupId": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "traits": {"subscriptionState": "subscribed"}}');
SELECT map('{"type": "group", "userId": "u1", "groupId": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "traits": {"subscriptionState": "subscribed"}}', 'group_calls', 'subscription');
SELECT map('{"type": "group", "userId": "u1", "groupId": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "traits": {"subscriptionState": "unsubscribed", "name": "News"}}', 'group_calls', 'subscription');
SELECT map('{"type": "group", "userId": "u1", "groupId": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "traits": {"subscriptionState": "maybe"}}', 'group_calls', 'subscription');
SELECT map('{"type": "group", "userId": "u1", "groupId": "1234", "traits": {"subscriptionState": "subscribed"}}', 'group_calls', 'subscription');
SELECT map('{"type": "group", "userId": "u1", "groupId": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11"}', 'group_calls', 'subscription');

-- identifiers and flags as everywhere
SELECT map('{"type": "group", "anonymousId": "a1", "groupId": "g"}', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "group", "userId": "u1", "groupId": "g"}', 'update_existing_only', 'true');
SELECT map('{"type": "group", "groupId": "g"}');

ROLLBACK;
