\set ECHO none
\i test/map.psql
\set ECHO all

--
-- identify: one attributes object
--

-- Segment's traits that Braze has a field for
SELECT identify('{"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "phone": "+14155552671"}');
SELECT identify('{"birthday": "1991-09-26", "avatar": "https://example.com/a.png", "gender": "Female"}');
SELECT identify('{"address": {"city": "London", "country": "GB"}}');
-- every other trait is a custom attribute, the name too; case and type are kept
SELECT identify('{"name": "Ada Lovelace", "Plan": "Pro", "age": 36, "vip": true, "tags": ["a", "b"], "company": {"name": "AE"}, "createdAt": "2024-01-01", "score": "12"}');
-- id says what userId says
SELECT identify('{"id": "u1", "plan": "pro"}');

-- no usable trait: the identifier alone creates the profile
SELECT map('{"type": "identify", "userId": "u1"}');
SELECT map('{"type": "identify", "userId": "u1", "traits": {}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"gender": "x"}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"gender": "x"}}', 'update_existing_only', 'true');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"id": "u1"}}', 'update_existing_only', 'true');

-- Segment's name of a field beats Braze's, unless its value is none
SELECT identify('{"firstName": "Ada", "first_name": "Augusta"}');
SELECT identify('{"firstName": ["Ada"], "first_name": "Augusta"}');
SELECT identify('{"firstName": null, "first_name": "Augusta"}');
SELECT identify('{"birthday": "soon", "dob": "1991-09-26"}');
SELECT identify('{"birthday": "soon", "dob": "later"}');
SELECT identify('{"avatar": null, "image_url": "https://example.com/a.png"}');
SELECT identify('{"address": {"city": "London"}, "home_city": "Paris", "country": "FR"}');
SELECT identify('{"address": {"city": {"name": "London"}}, "home_city": "Paris"}');

-- address
SELECT identify('{"address": {"city": "London", "street": "St James Square", "postalCode": "SW1"}}');
SELECT identify('{"address": {"city": "London", "street": "St James Square", "postalCode": "SW1"}}', 'address_attribute', 'true');
SELECT identify('{"address": {"city": "London"}}', 'address_attribute', 'true');
SELECT identify('{"address": {"city": null, "country": "GB"}}');
SELECT identify('{"address": null}');
SELECT identify('{"address": null}', 'address_attribute', 'true');
SELECT identify('{"address": "St James Square"}');
SELECT identify('{"address": "St James Square"}', 'address_attribute', 'true');

-- null removes a field or a custom attribute
SELECT identify('{"plan": null, "first_name": null, "last_name": null, "email": null, "phone": null, "dob": null, "gender": null, "home_city": null, "country": null, "language": null, "time_zone": null, "image_url": null}');
SELECT identify('{"current_location": null, "email_subscribe": null, "push_tokens": null, "subscription_groups": null, "date_of_first_session": null, "facebook": null, "_merge_objects": null}');

-- no second identifier is smuggled in
SELECT identify('{"external_id": "u2", "braze_id": "b", "user_alias": {"alias_name": "n", "alias_label": "l"}, "push_token_import": true, "_update_existing_only": true, "app_id": "x"}');

-- operators
SELECT identify('{"logins": {"inc": 1}, "colors": {"add": ["red"]}, "sizes": {"remove": ["xl"]}}');
SELECT identify('{"pets": {"$add": [{"id": 1, "name": "Rex"}]}, "cars": {"$remove": [{"$identifier_key": "id", "$identifier_value": 2}]}}');
SELECT identify('{"pets": {"$update": [{"$identifier_key": "id", "$identifier_value": 1, "$new_object": {"name": "Max"}}]}, "_merge_objects": true}');
SELECT identify('{"a": {"$add": 1, "b": 2}, "b": {"$update": {"$identifier_key": 1}}, "c": {"$new_object": []}}');
SELECT identify('{"_merge_objects": "true", "profile": {"a": 1}}');
SELECT identify('{"_merge_objects": "yes", "profile": {"a": 1}}');

-- what the context says of the user, where the traits say nothing
SELECT map('{"type": "identify", "userId": "u1", "context": {"location": {"country": "GB", "city": "London", "latitude": 51.5, "longitude": -0.1276}, "locale": "en-GB", "timezone": "Europe/London"}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"location": {"country": "GB", "city": "London", "latitude": 51.5, "longitude": -0.1276}, "locale": "en-GB", "timezone": "Europe/London"}}',
	'profile_from_context', 'country, current_location, language, time_zone');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"country": "FR", "language": null}, "context": {"location": {"country": "GB"}, "locale": "en-GB", "timezone": "Europe/London"}}',
	'profile_from_context', 'country, language');
SELECT map('{"type": "identify", "userId": "u1", "context": {"location": {"country": "GB"}}}',
	'profile_from_context', 'current_location');

-- push tokens of the device that the call came from
SELECT map('{"type": "identify", "userId": "u1", "context": {"device": {"token": "t1", "type": "ios", "id": "device-0001"}}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"device": {"token": "t1", "type": "ios", "id": "device-0001"}}}',
	'push_tokens_from_context', 'true', 'app_identifier', 'app');
SELECT map('{"type": "identify", "userId": "u1", "context": {"device": {"token": "t1", "id": "short"}}}',
	'push_tokens_from_context', 'true', 'app_identifier', 'app');
SELECT map('{"type": "identify", "userId": "u1", "context": {"device": {"token": "t1"}}}', 'push_tokens_from_context', 'true');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"push_tokens": [{"app_id": "a", "token": "t2"}]}, "context": {"device": {"token": "t1"}}}',
	'push_tokens_from_context', 'true', 'app_identifier', 'app');

-- max_attribute_age: what is older than it, as of now, is skipped; an event
-- never is
SELECT map('{"type": "identify", "userId": "u1", "timestamp": "2024-05-06T07:08:09Z", "traits": {"plan": "pro"}}');
SELECT map('{"type": "identify", "userId": "u1", "timestamp": "2024-05-06T07:08:09Z", "traits": {"plan": "pro"}}', 'max_attribute_age', '30 d');
SELECT map('{"type": "track", "userId": "u1", "event": "e", "timestamp": "2024-05-06T07:08:09Z"}', 'max_attribute_age', '30 d');
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'timestamp', now() - interval '2 hours', 'traits', '{"plan": "pro"}'::jsonb), 'max_attribute_age', '3 h');
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'timestamp', now() - interval '4 hours', 'traits', '{"plan": "pro"}'::jsonb), 'max_attribute_age', '3 h');
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'receivedAt', now() - interval '4 hours', 'traits', '{"plan": "pro"}'::jsonb), 'max_attribute_age', '3 h');
-- without a time it is of now; a bad one gives way with its note
SELECT map('{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}', 'max_attribute_age', '3 h');
SELECT map('{"type": "identify", "userId": "u1", "timestamp": "soon", "traits": {"plan": "pro"}}', 'max_attribute_age', '3 h');


-- traits that stand in the context alone
SELECT map('{"type": "identify", "userId": "u1", "context": {"traits": {"email": "a@example.com", "plan": "pro", "firstName": "Ada"}}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": {}, "context": {"traits": {"plan": "pro"}}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": [], "context": {"traits": {"plan": "pro"}}}');
SELECT map('{"type": "identify", "userId": "u1", "traits": null, "context": {"traits": {"plan": "pro"}}}');
SELECT map('{"type": "identify", "traits": {}, "context": {"traits": {"email": "a@example.com", "plan": "pro"}}}', 'identifiers', 'user_id, email');
SELECT map('{"type": "identify", "userId": "u1", "traits": {"plan": "free"}, "context": {"traits": {"plan": "pro", "vip": true}}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"traits": "plan"}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"traits": {}}}');
SELECT map('{"type": "identify", "userId": "u1", "context": {"traits": {"plan": "pro"}}}', 'update_existing_only', 'true');
-- other calls set no traits
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06", "traits": {"plan": "pro"}}');
SELECT map('{"type": "page", "userId": "u1", "timestamp": "2024-05-06", "traits": {"plan": "pro"}}', 'track_all_pages', 'true');
SELECT map('{"type": "screen", "userId": "u1", "timestamp": "2024-05-06", "traits": {"plan": "pro"}, "context": {"traits": {"vip": true}}}', 'track_all_pages', 'true');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": "2024-05-06", "traits": {}, "context": {"traits": {"plan": "pro"}}}');

-- a token that is too large takes only itself out
SELECT map(jsonb_build_object('type', 'identify', 'userId', 'u1', 'traits', '{"plan": "pro"}'::jsonb, 'context',
	jsonb_build_object('device', jsonb_build_object('token', repeat(E'\x01', 600000)))), 'push_tokens_from_context', 'true', 'app_identifier', 'app');

ROLLBACK;
