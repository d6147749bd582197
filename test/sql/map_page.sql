\set ECHO none
\i test/map.psql
\set ECHO all

--
-- page and screen: one event, if asked for
--

-- neither setting: skipped
SELECT map('{"type": "page", "userId": "u1", "name": "Home"}');
SELECT map('{"type": "screen", "userId": "u1", "name": "Home"}');
-- track_named_pages: those with a name
SELECT map('{"type": "page", "userId": "u1", "name": "Home", "timestamp": "2024-05-06T07:08:09Z"}', 'track_named_pages', 'true', 'app_identifier', 'app');
SELECT map('{"type": "page", "userId": "u1", "category": "Docs", "timestamp": "2024-05-06"}', 'track_named_pages', 'true');
SELECT map('{"type": "page", "userId": "u1", "name": "", "timestamp": "2024-05-06"}', 'track_named_pages', 'true');
-- track_all_pages: every one
SELECT map('{"type": "page", "userId": "u1", "timestamp": "2024-05-06"}', 'track_all_pages', 'true');
SELECT map('{"type": "screen", "userId": "u1", "timestamp": "2024-05-06"}', 'track_all_pages', 'true');
SELECT map('{"type": "page", "userId": "u1", "category": "Docs", "timestamp": "2024-05-06"}', 'track_all_pages', 'true');
-- the name, with the category before it
SELECT map('{"type": "page", "userId": "u1", "name": "Index", "category": "Docs", "timestamp": "2024-05-06"}', 'track_all_pages', 'true');
SELECT map('{"type": "screen", "userId": "u1", "name": "Index", "category": "Docs", "timestamp": "2024-05-06"}', 'track_named_pages', 'true');
-- those in the properties serve where the call has none; the call's own win
SELECT map('{"type": "page", "userId": "u1", "timestamp": "2024-05-06", "properties": {"name": "Index", "category": "Docs", "url": "https://example.com"}}', 'track_named_pages', 'true');
SELECT map('{"type": "page", "userId": "u1", "name": "Own", "timestamp": "2024-05-06", "properties": {"name": "Index", "category": "Docs"}}', 'track_named_pages', 'true');
SELECT map('{"type": "page", "userId": "u1", "name": 404, "timestamp": "2024-05-06", "properties": {"category": 5}}', 'track_named_pages', 'true');
SELECT map('{"type": "page", "userId": "u1", "name": {"x": 1}, "timestamp": "2024-05-06"}', 'track_all_pages', 'true');
-- properties as in an event
SELECT map('{"type": "page", "userId": "u1", "name": "Home", "timestamp": "2024-05-06", "properties": {"time": 1, "path": "/", "referrer": null}}', 'track_named_pages', 'true');
-- one that is the same without white space around it is not sent beside them
SELECT map('{"type": "page", "userId": "u1", "name": "Home", "category": "Docs", "timestamp": "2024-05-06", "properties": {" name ": "other", "category": "its own", "category ": 1, " path": "/"}}', 'track_named_pages', 'true');
-- over 255 characters rejects
SELECT length(payload->>'name') FROM braze_map(jsonb_build_object('type', 'page', 'userId', 'u1', 'name', repeat('é', 243)), 'map_case');
SELECT map(jsonb_build_object('type', 'page', 'userId', 'u1', 'name', repeat('é', 244)), 'track_named_pages', 'true');
SELECT map(jsonb_build_object('type', 'page', 'userId', 'u1', 'name', repeat('x', 100000)), 'track_named_pages', 'true');
SELECT map(jsonb_build_object('type', 'screen', 'userId', 'u1', 'name', 'n', 'category', repeat('x', 100000)), 'track_named_pages', 'true');
-- events_only and events_except mean the event's name
SELECT map('{"type": "page", "userId": "u1", "name": "Home", "timestamp": "2024-05-06"}', 'track_all_pages', 'true', 'events_only', 'Signed Up');
SELECT map('{"type": "page", "userId": "u1", "name": "Home", "timestamp": "2024-05-06"}', 'track_all_pages', 'true', 'events_except', 'Viewed Home Page');
-- identifiers as everywhere
SELECT map('{"type": "page", "anonymousId": "a1", "name": "Home"}', 'track_all_pages', 'true');
SELECT map('{"type": "page", "name": "Home"}', 'track_all_pages', 'true');

ROLLBACK;
