\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Braze's own profile fields, one by one
--

-- string fields: a number becomes its digits, "" passes, other types do not
SELECT identify('{"first_name": 7, "last_name": "", "home_city": true, "country": {"code": "GB"}, "time_zone": ["UTC"]}');
SELECT identify('{"time_zone": "Europe/London", "country": "GB", "home_city": "London"}');

-- email
SELECT identify('{"email": " ada@example.com "}');
SELECT identify('{"email": "ada+news@mail.example.co.uk"}');
SELECT identify('{"email": "ада@пример.рф"}');
SELECT identify(jsonb_build_object('email', email))
FROM unnest('{ada,@example.com,ada@,ada@example,ada@@example.com,a@b@example.com,.ada@example.com,ada.@example.com,a..b@example.com,ada@.example.com,ada@example.com.,ada@example..com,"ada lovelace@example.com",""}'::text[]) email;
SELECT identify(jsonb_build_object('email', E'ada\u00a0l@example.com'));
SELECT identify(jsonb_build_object('email', E'ada\tl@example.com'));
SELECT identify(jsonb_build_object('email', repeat('x', 64) || '@example.com'));
SELECT identify(jsonb_build_object('email', repeat('x', 65) || '@example.com'));
SELECT identify('{"email": 5}');
-- what Braze would refuse the whole object for
SELECT email, identify(jsonb_build_object('email', email, 'plan', 'pro'))
FROM unnest('{<a@example.com>,mailto:a@example.com,a@127.0.0.1,a@[127.0.0.1],a@example.123,a@exämple.de,ada@пример.рф,a@-example.com,a@example-.com,"\"ada\"@example.com","a(b)@example.com",a€@example.com,a@gmail.com,a+b@gmail.com,a!b@hotmail.com,-a@outlook.fr}'::text[]) email;
SELECT email, identify(jsonb_build_object('email', email))
FROM unnest('{a@xn--exmple-cua.de,o''hara@example.com,a/b=c@example.com,åsa@example.com,ab@gmail.com,a.b+c@hotmail.com,a!b@olive.com}'::text[]) email;
SELECT identify(jsonb_build_object('email', repeat('ы', 64) || '@example.com'));
SELECT identify(jsonb_build_object('email', repeat('ы', 65) || '@example.com'));

-- phone
SELECT identify('{"phone": " +14155552671 "}');
SELECT identify('{"phone": "(415) 555-2671"}');
SELECT identify('{"phone": 14155552671}');
SELECT identify('{"phone": "+0155"}');
SELECT identify('{"phone": "  "}');
SELECT identify('{"phone": ["+14155552671"]}');

-- birthday: the calendar date as written
SELECT identify(jsonb_build_object('birthday', birthday::jsonb))
FROM unnest(ARRAY['"1991-09-26"', '"1991-09-26T23:30:00-05:00"', '"1991-09-26 23:30:00"', '" 1991-09-26 "',
	'685843200', '"685843200"', '685843200000', '"685843200000"', '-315619200', '"-315619200"', '0',
	'"1900-01-01"', '"2100-12-31"', '"2000-02-29"']) birthday;
SELECT identify(jsonb_build_object('birthday', birthday::jsonb))
FROM unnest(ARRAY['"1991-02-30"', '"26/09/1991"', '"1991-9-26"', '"Sep 26 1991"', '"1899-12-31"', '"2101-01-01"', '"0000-00-00"', '""', 'true', '"1e5"', '1e300', '"99999999999999999999"', '{}']) birthday;

-- gender
SELECT identify(jsonb_build_object('gender', gender))
FROM unnest('{m,Male,MAN,f,female,w,Woman,o,other,n,"not applicable",p,"Prefer not to say"," F "}'::text[]) gender;
SELECT identify('{"gender": "unknown"}');
SELECT identify('{"gender": ""}');
SELECT identify('{"gender": 1}');

-- language
SELECT identify(jsonb_build_object('language', language))
FROM unnest('{en,en-US,pt_BR,EN-us,zh-Hant-TW,ger,english,"",e-n}'::text[]) language;

-- avatar: at most 1,024 characters
SELECT identify('{"avatar": ""}');
SELECT length(line) FROM identify(jsonb_build_object('avatar', repeat('x', 1024))) line;
SELECT identify(jsonb_build_object('avatar', repeat('x', 1025)));

-- current_location
SELECT identify('{"current_location": {"longitude": -73.991443, "latitude": 40.753824000155926, "city": "NYC"}}');
SELECT identify('{"current_location": {"longitude": "-180", "latitude": " 90.0 "}}');
SELECT identify('{"current_location": {"longitude": 180.0000001, "latitude": 0}}');
SELECT identify('{"current_location": {"longitude": 0, "latitude": -90.5}}');
SELECT identify('{"current_location": {"longitude": 0}}');
SELECT identify('{"current_location": {"longitude": "1,5", "latitude": 0}}');
SELECT identify('{"current_location": [0, 0]}');

-- subscription states and flags
SELECT identify('{"email_subscribe": "opted_in", "push_subscribe": "unsubscribed"}');
SELECT identify('{"email_subscribe": "subscribed", "push_subscribe": "yes"}');
SELECT identify('{"email_subscribe": true, "push_subscribe": "Opted_In"}');
SELECT identify('{"email_subscribe": "opted-in", "push_subscribe": " UNSUBSCRIBED "}');
SELECT identify('{"email_subscribe": "Opted In", "push_subscribe": false}');
SELECT identify('{"email_subscribe": "opted", "push_subscribe": "opted__in"}');
SELECT identify('{"subscription_groups": [{"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "Unsubscribed"}, {"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e12", "subscription_group_state": false}, {"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e13", "subscription_state": "opted_in"}]}');
SELECT identify('{"email_open_tracking_disabled": true, "email_click_tracking_disabled": "false"}');
SELECT identify('{"email_open_tracking_disabled": 1, "email_click_tracking_disabled": "no"}');

-- dates
SELECT identify('{"date_of_first_session": "2024-01-02", "date_of_last_session": 1714979289, "marked_email_as_spam_at": "2024-01-02T03:04:05+01:00"}');
SELECT identify('{"date_of_first_session": "yesterday", "date_of_last_session": "1969-01-01"}');

-- subscription groups: a bad entry is left out alone
SELECT identify('{"subscription_groups": [{"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "subscribed"}]}');
SELECT identify('{"braze_subscription_groups": [{"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_group_state": "unsubscribed"}, {"subscription_group_id": "4B5BE5B2-6C1D-4F0A-8D3C-2F1F0A7C9E12", "subscription_state_id": "subscribed", "use_double_opt_in_logic": true}]}');
SELECT identify('{"subscription_groups": [{"subscription_group_id": "news", "subscription_state": "subscribed"}, {"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "subscribed", "more": 1}, {"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "maybe"}, 5]}');
SELECT identify('{"subscription_groups": {"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "subscribed"}}');
SELECT identify('{"subscription_groups": []}');
SELECT identify('{"subscription_groups": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11"}');
SELECT identify('{"braze_subscription_groups": "x", "subscription_groups": [{"subscription_group_id": "4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11", "subscription_state": "subscribed"}]}');

-- push tokens
SELECT identify('{"push_tokens": [{"app_id": "a", "token": "t", "device_id": "12345678"}, {"app_id": "a", "token": "t2"}]}');
SELECT identify('{"push_tokens": [{"app_id": "a"}, {"token": "t"}, "t", {"app_id": "a", "token": "t", "device_id": "1234567"}]}');
SELECT identify('{"push_tokens": [{"app_id": "a"}]}');

-- facebook and twitter are objects
SELECT identify('{"facebook": {"id": "1", "likes": ["x"], "num_friends": 3}, "twitter": "@ada"}');

-- a UUID is written in one way, whoever spelled it
SELECT identify('{"subscription_groups": [{"subscription_group_id": "ABCDEF01-0000-0000-0000-00000000000A", "subscription_state": "subscribed"}]}');

ROLLBACK;
