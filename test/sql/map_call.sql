\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Reading a call: its type, its spellings, integrations, time, app_id
--

-- the type, in any case
SELECT map('{"type": "Track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z"}');
SELECT map('{"type": "IDENTIFY", "userId": "u1"}');
SELECT map('{"type": "purchase", "userId": "u1"}');
SELECT map('{"type": 1, "userId": "u1"}');
SELECT map('{"userId": "u1"}');
SELECT map('{}');
SELECT map('[]');
SELECT map('"track"');
SELECT map('null');

-- snake_case is read too, so that a row of a table of calls maps directly
SELECT map('{"type": "track", "user_id": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "anonymous_id": null}');
SELECT map('{"type": "group", "user_id": "u1", "group_id": "g"}');
SELECT map('{"type": "alias", "user_id": "u1", "previous_id": "p"}', 'alias_calls', 'merge');
SELECT map('{"type": "track", "user_id": "u1", "event": "E", "original_timestamp": "2024-05-06T07:08:09Z"}');
-- camelCase wins; a null is no value
SELECT map('{"type": "identify", "userId": "camel", "user_id": "snake"}');
SELECT map('{"type": "identify", "userId": null, "user_id": "snake"}');

-- traits and properties that are no objects
SELECT map('{"type": "identify", "userId": "u1", "traits": ["a"]}');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "properties": "a"}');
SELECT map('{"type": "identify", "userId": "u1", "traits": null}');

--
-- Integrations
--
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Braze": false}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Appboy": false}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Braze Cloud Mode (Actions)": false}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"integrations": {"Braze": false}}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"Braze": true, "Appboy": false}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": false}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": false, "Mixpanel": true}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": false, "Braze": true}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": false, "Braze": {}}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": false}, "context": {"integrations": {"Appboy": true}}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": true}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": {"All": "false", "Braze": 0}}');
SELECT map('{"type": "identify", "userId": "u1", "integrations": [false]}');
-- in any case
SELECT integrations, lines(jsonb_build_object('type', 'identify', 'userId', 'u1', 'integrations', integrations::jsonb), '{}', '{}')
FROM unnest(ARRAY['{"BRAZE": false}', '{"braze": false}', '{"APPBOY": false}', '{"braze cloud mode (actions)": false}', '{"all": false}', '{"ALL": false}',
	'{"All": false, "BRAZE": true}', '{"all": false, "appboy": {}}', '{"Braze": true, "braze": false}', '{"All": true, "all": false}', '{"brazen": false}']) integrations;
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "integrations": {"braze": {"appId": "1"}}}');
SELECT map('{"type": "track", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "context": {"integrations": {"BRAZE": {"braze_id": "b1"}}}}');
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'integrations',
	(SELECT jsonb_object_agg(CASE WHEN i % 2 = 0 THEN upper(left('braze', i / 2)) || substr('braze', i / 2 + 1) ELSE left('BRAZE', i / 2) || substr('brAze', i / 2 + 1) END, '{}'::jsonb) FROM generate_series(0, 11) i)));

--
-- Segment's note of what the browser's SDKs have sent
--
SELECT metadata, lines(jsonb_build_object('type', 'identify', 'userId', 'u1', '_metadata', metadata::jsonb), '{}', '{}')
FROM unnest(ARRAY['{"bundled": ["Segment.io", "Braze Web Mode (Actions)"]}', '{"bundled": ["appboy"]}', '{"bundled": ["BRAZE"], "failedInitializations": []}',
	'{"bundled": ["Braze", "Appboy"], "failedInitializations": ["Braze"]}', '{"bundled": ["Braze"], "failedInitializations": ["Mixpanel"]}',
	'{"bundled": ["Braze Web Mode (Actions)"], "failedInitializations": ["Braze Web Mode (Actions)"]}', '{"bundled": ["Braze"], "failedInitializations": ["braze"]}',
	'{"bundled": ["Segment.io"], "unbundled": ["Braze"], "bundledIds": ["Braze"]}', '{"bundled": "Braze"}', '{"bundled": [1, null, ["Braze"]]}', '["Braze"]', '"Braze"']) metadata;
SELECT map('{"type": "identify", "userId": "u1", "_metadata": {"bundled": ["Braze"]}, "integrations": {"Braze": true}}');
-- no SDK is handed alias and screen calls
SELECT type, lines(jsonb_build_object('type', type, 'userId', 'u1', 'previousId', 'old', 'event', 'E', 'groupId', 'g1', 'name', 'Home',
	'timestamp', '2024-05-06T07:08:09Z', '_metadata', '{"bundled": ["Braze"]}'::jsonb), '{alias_calls,merge,track_all_pages,true}', '{}')
FROM unnest(ARRAY['identify', 'track', 'page', 'screen', 'group', 'Alias']) type;
-- those in apps are handed identify and track calls alone; a library that is
-- not known counts as one in a browser
SELECT library, string_agg(type, ' ' ORDER BY type) AS "comes from here"
FROM unnest(ARRAY['"analytics-swift"', '"analytics-kotlin"', '"@segment/analytics-react-native"', '"analytics-ios"', '"analytics-android"',
		'"analytics.js"', '"analytics-swif"', '"analytics-swift2"', '""', '1', 'null', '["analytics-swift"]']) library,
	unnest(ARRAY['identify', 'track', 'page', 'screen', 'group', 'alias']) type,
	LATERAL (SELECT lines(jsonb_build_object('type', type, 'userId', 'u1', 'previousId', 'old', 'event', 'E', 'groupId', 'g1', 'name', 'Home',
		'timestamp', '2024-05-06T07:08:09Z', '_metadata', '{"bundled": ["Appboy"]}'::jsonb, 'context', jsonb_build_object('library', jsonb_build_object('name', library::jsonb))),
		'{alias_calls,merge,track_all_pages,true}', '{}') LIMIT 1) line (line)
WHERE line <> 'skip' GROUP BY library ORDER BY library COLLATE "C";
SELECT lines('{"type": "group", "userId": "u1", "groupId": "g1", "_metadata": {"bundled": ["Appboy"]}, "context": {"library": "analytics-swift"}}', '{}', '{}');

-- app_id: that of the integrations beats the destination's; attributes have
-- none
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z"}', 'app_identifier', 'mine');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "integrations": {"Braze": {"app_id": "theirs"}}}', 'app_identifier', 'mine');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06T07:08:09Z", "integrations": {"Appboy": {"appId": "theirs"}}}');
SELECT map('{"type": "identify", "userId": "u1"}', 'app_identifier', 'mine');

--
-- Time: written in UTC with three digits, the rest cut
--
CREATE FUNCTION cases.at(call jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT payload->>'time' FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}' || call, 'map_case')
	UNION ALL
	SELECT '  - ' || note FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}' || call, 'map_case') m, unnest(m.notes) note
$$;
SELECT at('{"timestamp": "2024-02-29T23:59:59.123Z"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59Z"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59.9999999Z"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59.5+02:00"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59-0530"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59+02"}');
SELECT at('{"timestamp": "2024-02-29 23:59:59.25+00"}');
SELECT at('{"timestamp": "2024-02-29T23:59:59"}');
SELECT at('{"timestamp": "2024-02-29T23:59"}');
SELECT at('{"timestamp": " 2024-02-29 "}');
SELECT at('{"timestamp": "2016-12-31T23:59:60Z"}');
SELECT at('{"timestamp": 1714979289}');
SELECT at('{"timestamp": 1714979289.98765}');
SELECT at('{"timestamp": 1714979289123}');
SELECT at('{"timestamp": 4133980799}');
SELECT at('{"timestamp": 10000000000}');
-- the first time that Braze is sent
SELECT at('{"timestamp": "1970-01-02", "sentAt": "2024-01-01"}');
-- what is none gives way to the next source
SELECT at('{"timestamp": "1970-01-01T23:59:59.999Z", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": 86399, "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2023-02-29", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2024-13-01", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2024-01-01T24:00:00Z", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2024-01-01T00:00:00+16:00", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2024-01-01T00:00:00.Z", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "2024-01-01T", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "1/2/2024", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "infinity", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": "1714979289", "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": -1, "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": 1e300, "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": 253402300800000, "sentAt": "2024-01-01"}');
SELECT at('{"timestamp": true, "sentAt": "2024-01-01"}');
-- without a timestamp: receivedAt, corrected by how long the call lay at the
-- sender
SELECT at('{"originalTimestamp": "2024-01-01T00:00:00Z", "sentAt": "2024-01-01T00:00:10Z", "receivedAt": "2024-06-01T12:00:00Z"}');
SELECT at('{"originalTimestamp": "2024-01-01T00:00:00Z", "receivedAt": "2024-06-01T12:00:00Z"}');
SELECT at('{"sentAt": "2024-01-01T00:00:10Z", "receivedAt": "2024-06-01T12:00:00Z"}');
SELECT at('{"sentAt": "2024-01-01T00:00:10Z"}');
SELECT at('{"originalTimestamp": "x", "sentAt": "2024-01-01T00:00:10Z", "receivedAt": "2024-06-01T12:00:00Z"}');
SELECT at('{"originalTimestamp": "1971-01-01", "sentAt": "2099-01-01", "receivedAt": "2024-06-01T12:00:00Z"}');
-- without any: the transaction's
SELECT payload->>'time' = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM braze_map('{"type": "track", "userId": "u1", "event": "E"}', 'map_case');

ROLLBACK;
