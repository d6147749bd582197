\set ECHO none
\i test/map.psql
\set ECHO all

--
-- alias
--
SELECT map('{"type": "alias", "userId": "u1", "previousId": "old"}');
-- merge: previousId into userId
SELECT map('{"type": "alias", "userId": "u1", "previousId": "old"}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": 1, "previousId": 2}', 'alias_calls', 'merge');
-- identify: previousId is an anonymous id
SELECT map('{"type": "alias", "userId": "u1", "previousId": "old"}', 'alias_calls', 'identify');
SELECT map('{"type": "alias", "userId": "u1", "previousId": "old"}', 'alias_calls', 'identify', 'anonymous_alias_label', 'visitor');
-- a missing id rejects, equal ids skip
SELECT map('{"type": "alias", "previousId": "old"}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": "u1"}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": "u1", "previousId": ""}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": "u1", "previousId": "undefined"}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": "u1", "previousId": "u1"}', 'alias_calls', 'merge');
SELECT map('{"type": "alias", "userId": "1", "previousId": 1}', 'alias_calls', 'identify');
SELECT map(jsonb_build_object('type', 'alias', 'userId', 'u1', 'previousId', repeat('x', 237)), 'alias_calls', 'identify');
SELECT map('{"type": "alias", "userId": "u1", "previousId": "old", "integrations": {"Braze": false}}', 'alias_calls', 'merge');

--
-- delete
--
SELECT map('{"type": "delete", "userId": "u1"}');
SELECT map('{"type": "delete", "userId": "u1"}', 'delete_calls', 'delete');
-- what braze_delete_user queues is always sent, and no type of a Segment call
-- says so
SELECT outcome, kind, payload FROM braze_map_queued('{"type": "delete", "userId": "u1"}', 'map_alias', NULL, call_kind => 'delete_user');
SELECT map('{"type": "delete_user", "userId": "u1"}', 'delete_calls', 'delete');
-- by whatever identifies the user
SELECT map('{"type": "delete", "integrations": {"Braze": {"braze_id": "b1"}}}', 'delete_calls', 'delete');
SELECT map('{"type": "delete", "integrations": {"Braze": {"user_alias": {"alias_name": "n", "alias_label": "l"}}}}', 'delete_calls', 'delete');
SELECT map('{"type": "delete", "anonymousId": "a1"}', 'delete_calls', 'delete', 'identifiers', 'user_id, anonymous_id');
SELECT map('{"type": "delete", "traits": {"email": "ada@example.com"}}', 'delete_calls', 'delete', 'identifiers', 'user_id, email');
SELECT map('{"type": "delete", "traits": {"phone": "+14155552671"}}', 'delete_calls', 'delete', 'identifiers', 'user_id, phone');
SELECT map('{"type": "delete"}', 'delete_calls', 'delete');

ROLLBACK;
