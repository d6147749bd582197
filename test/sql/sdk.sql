-- What Braze's SDKs take: the options of a destination, by their names there.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'EU-02', app_identifier 'an-app');
CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key '01234567-89ab-cdef-0123-456789abcdef');
\pset format unaligned
\pset tuples_only on

-- as it is without any option of the SDKs
SELECT braze_sdk('web', 'braze');
SELECT braze_sdk('web options');
SELECT braze_sdk('Android');
SELECT braze_sdk('ios');
SELECT braze_sdk('segment', 'braze', 'a "write" key</script>');

-- every option, each app its own identifier
ALTER SERVER braze OPTIONS (sdk_endpoint 'sdk.example.com', web_app_identifier 'web</script>"app"',
	android_app_identifier '@"it''s" & <an> app', ios_app_identifier 'iOS & <app>', web_sdk_version '2.7.1',
	safari_website_push_id 'web.com.example', allow_crawler_activity 'true',
	automatically_send_in_app_messages 'false', do_not_load_font_awesome 'true', enable_html_in_app_messages 'true',
	enable_logging 'true', open_in_app_messages_in_new_tab 'true', open_news_feed_cards_in_new_tab 'true',
	minimum_interval_between_trigger_actions_in_seconds '0', session_timeout_in_seconds '60');
SELECT braze_sdk('web');
SELECT braze_sdk('android');
SELECT braze_sdk('ios');
SELECT braze_sdk('web options')::jsonb;

-- what differs by version: one file or the other, a path or none, the name of
-- an option
ALTER SERVER braze OPTIONS (SET web_sdk_version '3.5', SET automatically_send_in_app_messages 'true');
SELECT braze_sdk('web');
ALTER SERVER braze OPTIONS (SET web_sdk_version '4.10.2');
SELECT braze_sdk('web');
ALTER SERVER braze OPTIONS (SET web_sdk_version '5');
SELECT braze_sdk('web');
ALTER SERVER braze OPTIONS (SET web_sdk_version '7.1');
SELECT braze_sdk('web');

-- Segment's settings document: JSON, with what is sent of pages
CREATE VIEW subscriptions AS
SELECT s ->> 'name' AS name, s ->> 'partnerAction' AS action, s ->> 'subscribe' AS subscribe
FROM jsonb_array_elements(braze_sdk('segment')::jsonb #> '{remotePlugins,0,settings,subscriptions}') s;
SELECT * FROM subscriptions;
ALTER SERVER braze OPTIONS (track_named_pages 'true');
SELECT * FROM subscriptions WHERE name = 'Page';
ALTER SERVER braze OPTIONS (track_all_pages 'true');
SELECT * FROM subscriptions WHERE name = 'Page';
SELECT d #> '{remotePlugins,0,settings}' - 'subscriptions'::text,
	d #>> '{remotePlugins,0,creationName}' = ALL (SELECT jsonb_object_keys(d -> 'integrations') EXCEPT SELECT 'Segment.io')
FROM CAST(braze_sdk('segment') AS jsonb) d;
-- its destination takes a path where the SDK does
ALTER SERVER braze OPTIONS (SET web_sdk_version '3.5');
SELECT braze_sdk('segment')::jsonb #>> '{remotePlugins,0,settings,endpoint}';
ALTER SERVER braze OPTIONS (SET web_sdk_version '2.7');
SELECT braze_sdk('segment');

-- what is missing, and what is not known
\pset tuples_only off
SELECT braze_sdk('IOS ');
SELECT braze_sdk('windows');
SELECT braze_sdk(NULL);
SELECT braze_sdk('web', 'nobody');
ALTER SERVER braze OPTIONS (DROP app_identifier);
SELECT braze_sdk('android') IS NOT NULL AS has_its_own;
ALTER SERVER braze OPTIONS (DROP android_app_identifier);
SELECT braze_sdk('android');
ALTER SERVER braze OPTIONS (ADD custom_api_endpoint 'https://rest.example.com');
SELECT braze_sdk('web') IS NOT NULL AS has_sdk_endpoint;
ALTER SERVER braze OPTIONS (DROP sdk_endpoint);
SELECT braze_sdk('web');
-- an instance that is not known here has its SDK endpoint at the same place
ALTER SERVER braze OPTIONS (SET custom_api_endpoint 'https://rest.new-01.braze.com');
SELECT braze_sdk('web options')::jsonb ->> 'baseUrl' AS endpoint;

-- for whoever may use the destination, and without the key
SELECT count(*) AS platforms_that_show_the_key
FROM unnest('{web,web options,ios}'::text[]) platform WHERE braze_sdk(platform) LIKE '%01234567-89ab%';
CREATE ROLE regress_braze_sdk;
SET ROLE regress_braze_sdk;
SELECT braze_sdk('web', 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_sdk;
SET ROLE regress_braze_sdk;
SELECT braze_sdk('web') IS NOT NULL AS may;
RESET ROLE;
ROLLBACK;
