-- Options of servers and user mappings: names, values, and what is said of
-- wrong ones.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;

-- the table of options, which doc/sql.md repeats
\pset format unaligned
\pset fieldsep ' | '
SELECT * FROM braze_options();
\pset format aligned

-- every default is a valid value of its own option, and every example here is
-- one
DO $$
DECLARE
	o record;
BEGIN
	FOR o IN SELECT * FROM braze_options() WHERE catalog = 'server' AND "default" <> ''
	LOOP
		EXECUTE format('CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter %L, %I %L)',
					   'US-01', o.name, o."default");
		DROP SERVER s;
	END LOOP;
END
$$;
CREATE SERVER everything FOREIGN DATA WRAPPER segment_braze OPTIONS (
	datacenter 'US-01',
	custom_api_endpoint 'https://rest.example.com',
	app_identifier 'my-app',
	update_existing_only 'on',
	track_all_pages 'yes',
	track_named_pages '1',
	identifiers 'user_id,anonymous_id , email',
	anonymous_alias_label 'anon',
	ignored_ids 'null, "a,b", """"',
	address_attribute 'true',
	profile_from_context 'country, time_zone',
	events_only 'Song Played, "Bought, and Paid"',
	events_except '',
	default_currency 'eur',
	purchase_properties 'false',
	log_purchase_when_revenue_present 'true',
	orders_as 'Ecommerce',
	ecommerce_source 'shop',
	group_calls 'subscription',
	alias_calls 'merge',
	delete_calls 'delete',
	push_tokens_from_context 'true',
	ca_file '/etc/ssl/ca.pem',
	max_objects_per_request '225',
	max_requests_in_flight '1',
	max_requests_per_second ' 0.5 ',
	max_retry_age '4 h',
	request_timeout '1.5 min',
	max_batch_delay '0',
	identity_delay '0.5 s',
	delivery 'At_Least_Once',
	changed_attributes_only 'true',
	resend_unchanged_after '7 d',
	forget_visitors_after '400 d',
	max_attribute_age '30 d',
	deduplicate 'Off',
	max_queue_size '1.5 GB',
	on_full 'Drop',
	sdk_endpoint 'sdk.example.com',
	web_app_identifier 'web-app',
	android_app_identifier 'android-app',
	ios_app_identifier 'ios-app',
	web_sdk_version '3.5.1',
	safari_website_push_id 'web.com.example',
	allow_crawler_activity 'true',
	automatically_send_in_app_messages 'false',
	do_not_load_font_awesome 'true',
	enable_html_in_app_messages 'true',
	enable_logging 'true',
	open_in_app_messages_in_new_tab 'true',
	open_news_feed_cards_in_new_tab 'true',
	minimum_interval_between_trigger_actions_in_seconds '0',
	session_timeout_in_seconds '60');
SELECT count(*) AS not_given
FROM braze_options() o
WHERE o.catalog = 'server' AND NOT EXISTS (
	SELECT FROM pg_foreign_server s, pg_options_to_table(s.srvoptions) g
	WHERE s.srvname = 'everything' AND g.option_name = o.name);

-- wrong names
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacentre 'US-01');
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', track_named_page 'true');
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', rest_api_key 'k');
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', something_else 'x');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (api_key 'k');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_keys 'k');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (datacenter 'US-01');
ALTER FOREIGN DATA WRAPPER segment_braze OPTIONS (ADD datacenter 'US-01');
CREATE FOREIGN TABLE t (i int) SERVER everything;
ALTER SERVER everything OPTIONS (ADD max_retries '3');

-- datacenters: any case, and Segment's old names; there is no US-09
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze;
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (app_identifier 'a');
ALTER SERVER everything OPTIONS (SET datacenter 'eu-02');
ALTER SERVER everything OPTIONS (SET datacenter 'us');
ALTER SERVER everything OPTIONS (SET datacenter 'EU');
ALTER SERVER everything OPTIONS (SET datacenter 'Kr-01');
ALTER SERVER everything OPTIONS (SET datacenter 'US-09');
ALTER SERVER everything OPTIONS (SET datacenter 'US_03');
ALTER SERVER everything OPTIONS (SET datacenter 'Frankfurt');
ALTER SERVER everything OPTIONS (SET datacenter '');
-- a cluster, and an address of one, name the instance
DO $$
DECLARE
	value text;
BEGIN
	FOREACH value IN ARRAY '{iad-01,IAD-08,us-10,fra-02,au-01,id-01,rest.fra-01.braze.eu,https://rest.iad-03.braze.com,https://REST.iad-03.braze.com/," jp-01 ",sdk.iad-04.braze.com,
		rest.fra-01.braze.com,iad-05.braze.com,dashboard-01.braze.com,https://dashboard-02.braze.eu/,dashboard.us-10.braze.com}'::text[] LOOP
		EXECUTE format('ALTER SERVER everything OPTIONS (SET datacenter %L)', value);
	END LOOP;
END $$;
ALTER SERVER everything OPTIONS (SET datacenter 'iad_01');
ALTER SERVER everything OPTIONS (SET datacenter 'rest.iad-09.braze.com');
ALTER SERVER everything OPTIONS (SET datacenter 'http://rest.iad-01.braze.com');
ALTER SERVER everything OPTIONS (SET datacenter 'rest.iad-01.braze.com/users/track');
ALTER SERVER everything OPTIONS (SET datacenter 'dashboard-09.braze.com');
ALTER SERVER everything OPTIONS (SET datacenter 'rest.iad-01.example.com');
ALTER SERVER everything OPTIONS (DROP custom_api_endpoint);
ALTER SERVER everything OPTIONS (DROP datacenter);

-- endpoints
ALTER SERVER everything OPTIONS (ADD custom_api_endpoint 'rest.example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'HTTPS://Rest.Example.com:8443/');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://127.1.2.3:8080');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://[::1]:8080/');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://localhost');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://[2001:db8::1]');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://rest.example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://127.0.0.1.example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'http://10.0.0.1');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'ftp://rest.example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.example.com/users/track');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.example.com?a=b');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://user:secret@rest.example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.example.com:0');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.example.com:99999');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.example.com:');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest example.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint E'rest.example.com\nHost: x');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint '[::1');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint '');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'sdk.iad-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://sdk.fra-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'sdk.new-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://dashboard-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'dashboard-02.braze.eu');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'dashboard.us-10.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'dashboard.new-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'iad-03.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://www.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.fra-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://rest.iad-01.braze.eu:443');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint '"rest.iad-01.braze.com"');
-- an instance that is not known here, and another host
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'rest.new-01.braze.com');
ALTER SERVER everything OPTIONS (SET custom_api_endpoint 'https://notbraze.com');

-- endpoints of the SDKs, and versions of one
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'https://sdk.iad-03.braze.com/api/v3');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'SDK.fra-01.braze.eu/api/v3/');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'http://127.0.0.1:8080');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'rest.iad-03.braze.com');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'sdk.fra-01.braze.com');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'dashboard.new-01.braze.com');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'http://sdk.example.com');
ALTER SERVER everything OPTIONS (SET sdk_endpoint 'sdk.example.com/api/v4');
ALTER SERVER everything OPTIONS (SET sdk_endpoint '/api/v3');
ALTER SERVER everything OPTIONS (SET web_sdk_version '5');
ALTER SERVER everything OPTIONS (SET web_sdk_version ' 6.13.0 ');
ALTER SERVER everything OPTIONS (SET web_sdk_version '7.0');
ALTER SERVER everything OPTIONS (SET web_sdk_version '7');
ALTER SERVER everything OPTIONS (SET web_sdk_version '1.6');
ALTER SERVER everything OPTIONS (SET web_sdk_version 'latest');
ALTER SERVER everything OPTIONS (SET web_sdk_version '5.');
ALTER SERVER everything OPTIONS (SET web_sdk_version '5.9.1.2');
ALTER SERVER everything OPTIONS (SET web_sdk_version '5.9-beta');
ALTER SERVER everything OPTIONS (ADD web_sdk_versions '5.9');
ALTER SERVER everything OPTIONS (SET session_timeout_in_seconds '0');
ALTER SERVER everything OPTIONS (SET minimum_interval_between_trigger_actions_in_seconds '-1');

-- values of each other type
ALTER SERVER everything OPTIONS (SET update_existing_only 'perhaps');
ALTER SERVER everything OPTIONS (SET app_identifier '');
ALTER SERVER everything OPTIONS (SET anonymous_alias_label E'a\tb');
ALTER SERVER everything OPTIONS (SET identifiers '');
ALTER SERVER everything OPTIONS (SET identifiers 'user_id, userid');
ALTER SERVER everything OPTIONS (SET identifiers 'user_id, cookie');
ALTER SERVER everything OPTIONS (SET identifiers 'user_id, user_id');
ALTER SERVER everything OPTIONS (SET identifiers 'user_id,');
ALTER SERVER everything OPTIONS (SET profile_from_context 'city');
ALTER SERVER everything OPTIONS (SET events_only 'a,,b');
ALTER SERVER everything OPTIONS (SET events_only '"a');
ALTER SERVER everything OPTIONS (SET events_only '"a" b');
ALTER SERVER everything OPTIONS (SET default_currency 'Euro');
ALTER SERVER everything OPTIONS (SET default_currency 'XXX');
ALTER SERVER everything OPTIONS (SET default_currency 'QQQ');
ALTER SERVER everything OPTIONS (SET default_currency 'byn');
ALTER SERVER everything OPTIONS (SET orders_as 'purchase');
ALTER SERVER everything OPTIONS (SET alias_calls 'yes');
ALTER SERVER everything OPTIONS (SET delivery 'exactly_once');
ALTER SERVER everything OPTIONS (SET ca_file 'ca.pem');
ALTER SERVER everything OPTIONS (SET max_objects_per_request '0');
ALTER SERVER everything OPTIONS (SET max_objects_per_request '226');
ALTER SERVER everything OPTIONS (SET max_requests_in_flight '12 requests');
ALTER SERVER everything OPTIONS (SET max_requests_in_flight '99999999999999999999');
ALTER SERVER everything OPTIONS (SET max_requests_per_second 'Off');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '1000');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '1000.1');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '0');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '-1');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '10/s');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '1e2');
ALTER SERVER everything OPTIONS (SET max_requests_per_second '');
ALTER SERVER everything OPTIONS (SET request_timeout '2');
ALTER SERVER everything OPTIONS (SET request_timeout '2500 ms');
ALTER SERVER everything OPTIONS (SET request_timeout '250000us');
ALTER SERVER everything OPTIONS (SET request_timeout '1h');
ALTER SERVER everything OPTIONS (SET request_timeout '1d');
ALTER SERVER everything OPTIONS (SET request_timeout '0');
ALTER SERVER everything OPTIONS (SET request_timeout '-5 s');
ALTER SERVER everything OPTIONS (SET request_timeout 'inf');
ALTER SERVER everything OPTIONS (SET request_timeout '0x10');
ALTER SERVER everything OPTIONS (SET request_timeout '3 seconds');
ALTER SERVER everything OPTIONS (SET request_timeout '');
ALTER SERVER everything OPTIONS (SET deduplicate '3650d');
ALTER SERVER everything OPTIONS (SET deduplicate '1.5 h');
ALTER SERVER everything OPTIONS (SET deduplicate ' OFF ');
ALTER SERVER everything OPTIONS (SET deduplicate '90');
ALTER SERVER everything OPTIONS (SET deduplicate '0');
ALTER SERVER everything OPTIONS (SET deduplicate '1 ms');
ALTER SERVER everything OPTIONS (SET deduplicate '3651 d');
ALTER SERVER everything OPTIONS (SET deduplicate 'on');
ALTER SERVER everything OPTIONS (SET deduplicate '1 day');

-- keys are never shown, nor asked to exist when a dump is restored
CREATE USER MAPPING FOR PUBLIC SERVER everything;
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key '');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key 'secret key');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key '"secret"');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key '''secret''');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key E'secret\r\nX: y');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key_file 'braze.key');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key 'a', rest_api_key_file '/nonexistent/braze.key');
CREATE USER MAPPING FOR CURRENT_USER SERVER everything OPTIONS (rest_api_key_file '/nonexistent/braze.key');
ALTER USER MAPPING FOR PUBLIC SERVER everything OPTIONS (ADD rest_api_key '01234567-89ab-cdef-0123-456789abcdef');

-- options that exclude each other, whichever comes first
ALTER SERVER everything OPTIONS (SET delivery 'at_most_once');
ALTER SERVER everything OPTIONS (SET delivery 'at_most_once', SET changed_attributes_only 'false');
ALTER SERVER everything OPTIONS (SET changed_attributes_only 'true');
ALTER SERVER everything OPTIONS (DROP delivery, SET changed_attributes_only 'true');
ALTER SERVER everything OPTIONS (ADD delivery 'AT_MOST_ONCE', DROP changed_attributes_only);

-- what only a superuser may set
CREATE ROLE regress_braze_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER segment_braze TO regress_braze_owner;
SET ROLE regress_braze_owner;
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint 'rest.example.com');
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', ca_file '/etc/ssl/ca.pem');
CREATE SERVER s FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (rest_api_key_file '/etc/passwd');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (rest_api_key '01234567-89ab-cdef-0123-456789abcdef');
RESET ROLE;
ALTER SERVER s OPTIONS (ADD ca_file '/etc/ssl/ca.pem');
SET ROLE regress_braze_owner;
ALTER SERVER s OPTIONS (ADD app_identifier 'a');
RESET ROLE;

-- options take effect in the mapping, lists and all
SELECT m.outcome, m.kind, m.payload FROM braze_map('{"type": "track", "userId": "u1", "event": "Bought, and Paid", "timestamp": "2026-01-01T00:00:00Z"}', 'everything') m;
SELECT m.outcome, m.notes FROM braze_map('{"type": "track", "userId": "u1", "event": "Bought", "timestamp": "2026-01-01T00:00:00Z"}', 'everything') m;

-- what another version wrote does no harm: unknown names and values count as
-- not given
UPDATE pg_foreign_server
SET srvoptions = ARRAY['datacenter=US-99', 'custom_api_endpoint=gopher://x', 'from_the_future=1',
	'orders_as=invoices', 'identifiers=retina', 'max_objects_per_request=many', 'track_all_pages=often',
	'purchase_properties=perhaps']
WHERE srvname = 'everything';
SELECT m.outcome, m.kind, m.payload FROM braze_map('{"type": "track", "userId": "u1", "event": "Bought", "timestamp": "2026-01-01T00:00:00Z"}', 'everything') m;
SELECT m.kind, m.payload->'properties' AS properties FROM braze_map('{"type": "track", "userId": "u1", "event": "Order Completed", "timestamp": "2026-01-01T00:00:00Z",
	"properties": {"currency": "EUR", "products": [{"product_id": "p1", "price": 2, "color": "red"}]}}', 'everything') m;
ROLLBACK;
