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

-- states in any spelling, under each of their names: an opt-out is never taken
-- for a membership
CREATE FUNCTION cases.news(traits jsonb, group_id text DEFAULT '4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT lines(jsonb_build_object('type', 'group', 'userId', 'u1', 'groupId', group_id, 'traits', traits),
				 '{group_calls,subscription}', '{external_id}')
$$;
SELECT state, news(jsonb_build_object('subscriptionState', state::jsonb)) FROM unnest(ARRAY[
	'"Unsubscribed"', '"UNSUBSCRIBED"', '" unsubscribed "', 'false', '"Subscribed"', 'true']) state;
SELECT news('{"subscription_state": "unsubscribed"}');
SELECT news('{"subscription_group_state": "Unsubscribed"}');
SELECT news('{"subscription_state_id": "unsubscribed", "name": "News"}');
SELECT news('{"subscription_state": null, "subscriptionState": "unsubscribed"}');
SELECT news('{"subscription_state": "subscribed", "subscriptionState": "Unsubscribed"}');
SELECT news('{"subscription_state": "unsubscribed"}', ' 4B5BE5B2-6C1D-4F0A-8D3C-2F1F0A7C9E11 ');
-- one that cannot be read is rejected
SELECT state, news(jsonb_build_object('subscription_state', state::jsonb)) FROM unnest(ARRAY[
	'null', '"maybe"', '""', '"opted_in"', '0', '["unsubscribed"]', '{}']) state;
-- without any of the names, or without a UUID, it is a membership
SELECT news('{"state": "unsubscribed"}');
SELECT news('{"subscription_state": "unsubscribed"}', '1234');

-- identifiers and flags as everywhere
SELECT map('{"type": "group", "anonymousId": "a1", "groupId": "g"}', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "group", "userId": "u1", "groupId": "g"}', 'update_existing_only', 'true');
SELECT map('{"type": "group", "groupId": "g"}');

-- a UUID is written in one way
SELECT map('{"type": "group", "userId": "u1", "groupId": " ABCDEF01-0000-0000-0000-00000000000A", "traits": {"subscription_state": "subscribed"}}', 'group_calls', 'subscription');

ROLLBACK;
