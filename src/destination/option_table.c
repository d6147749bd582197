/*-------------------------------------------------------------------------
 *
 * option_table.c
 *	  The options of servers and user mappings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"

#include "braze/limits.h"
#include "destination/api_key.h"
#include "destination/option_table.h"
#include "destination/sdk_version.h"

/* ten years, in seconds */
#define MAX_INTERVAL	(3650 * 24 * 3600)

static const BrazeChoice identifier_choices[] = {
	{"user_id", BRAZE_ID_USER_ID},
	{"braze_id", BRAZE_ID_BRAZE_ID},
	{"user_alias", BRAZE_ID_USER_ALIAS},
	{"anonymous_id", BRAZE_ID_ANONYMOUS_ID},
	{"email", BRAZE_ID_EMAIL},
	{"phone", BRAZE_ID_PHONE},
	{NULL}
};

static const BrazeChoice profile_choices[] = {
	{"country", BRAZE_PROFILE_COUNTRY},
	{"current_location", BRAZE_PROFILE_CURRENT_LOCATION},
	{"language", BRAZE_PROFILE_LANGUAGE},
	{"time_zone", BRAZE_PROFILE_TIME_ZONE},
	{NULL}
};

static const BrazeChoice orders_choices[] = {
	{"purchases", BRAZE_ORDERS_PURCHASES},
	{"ecommerce", BRAZE_ORDERS_ECOMMERCE},
	{"both", BRAZE_ORDERS_BOTH},
	{NULL}
};

static const BrazeChoice group_choices[] = {
	{"attribute", BRAZE_GROUP_ATTRIBUTE},
	{"subscription", BRAZE_GROUP_SUBSCRIPTION},
	{NULL}
};

static const BrazeChoice alias_choices[] = {
	{"skip", BRAZE_ALIAS_SKIP},
	{"merge", BRAZE_ALIAS_MERGE},
	{"identify", BRAZE_ALIAS_IDENTIFY},
	{NULL}
};

static const BrazeChoice delete_choices[] = {
	{"skip", BRAZE_DELETE_SKIP},
	{"delete", BRAZE_DELETE_SEND},
	{NULL}
};

static const BrazeChoice full_choices[] = {
	{"error", BRAZE_FULL_ERROR},
	{"drop", BRAZE_FULL_DROP},
	{NULL}
};

static const BrazeChoice delivery_choices[] = {
	{"at_least_once", BRAZE_AT_LEAST_ONCE},
	{"at_most_once", BRAZE_AT_MOST_ONCE},
	{NULL}
};

/*
 * In the order in which they are documented.  custom_api_endpoint comes after
 * datacenter because the loader takes the later one of the two.
 */
const BrazeOption braze_option_table[] = {
	{
		.name = "datacenter", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_DATACENTER, .offset = BRAZE_SETTING(endpoint),
		.description = "Braze instance of the workspace, which decides the REST endpoint."
	},
	{
		.name = "custom_api_endpoint", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENDPOINT, .offset = BRAZE_SETTING(endpoint), .superuser = true,
		.description = "REST endpoint to use instead of the datacenter's: a host or a URL."
	},
	{
		.name = "app_identifier", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(app_identifier), .min = 1, .max = 255,
		.description = "Braze's identifier of the app, sent as app_id with events and purchases."
	},
	{
		.name = "update_existing_only", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(update_existing_only), .initial = "false",
		.description = "Never create a profile, only update existing ones."
	},
	{
		.name = "track_all_pages", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(track_all_pages), .initial = "false",
		.description = "Send every page and screen call as an event."
	},
	{
		.name = "track_named_pages", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(track_named_pages), .initial = "false",
		.description = "Send page and screen calls that have a name as events."
	},
	{
		.name = "identifiers", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_IDENTIFIERS, .offset = BRAZE_SETTING(identifiers),
		.initial = "user_id, braze_id, user_alias", .choices = identifier_choices,
		.description = "Where the identifier of a user comes from: the first that a call has."
	},
	{
		.name = "anonymous_alias_label", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(anonymous_alias_label),
		.initial = "segment_anonymous_id", .min = 1, .max = BRAZE_LIMIT_ALIAS, .unit = "bytes",
		.description = "Alias label of users that are identified by anonymous_id."
	},
	{
		.name = "ignored_ids", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_NAMES, .offset = BRAZE_SETTING(ignored_ids),
		.initial = "null, undefined, None, nil, NaN, [object Object], "
		"00000000-0000-0000-0000-000000000000",
		.description = "Values that do not identify a user."
	},
	{
		.name = "address_attribute", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(address_attribute), .initial = "false",
		.description = "Send what is left of the trait address as a custom attribute."
	},
	{
		.name = "profile_from_context", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_SET, .offset = BRAZE_SETTING(profile_from_context), .initial = "",
		.choices = profile_choices,
		.description = "Profile fields that identify takes from the context where the traits have none."
	},
	{
		.name = "events_only", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_NAMES, .offset = BRAZE_SETTING(events_only), .initial = "",
		.description = "Names of the only events to send; empty: all."
	},
	{
		.name = "events_except", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_NAMES, .offset = BRAZE_SETTING(events_except), .initial = "",
		.description = "Names of events not to send."
	},
	{
		.name = "default_currency", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_CURRENCY, .offset = BRAZE_SETTING(default_currency), .initial = "USD",
		.description = "Currency of orders that name none."
	},
	{
		.name = "purchase_properties", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(purchase_properties), .initial = "true",
		.description = "Send the other fields of product and order as properties of a purchase."
	},
	{
		.name = "log_purchase_when_revenue_present", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(log_purchase_when_revenue_present),
		.initial = "false",
		.description = "Turn a track call with a revenue into a purchase."
	},
	{
		.name = "orders_as", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(orders_as), .initial = "purchases",
		.choices = orders_choices,
		.description = "Send orders as purchases, as Braze's recommended eCommerce events, or as both."
	},
	{
		.name = "ecommerce_source", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(ecommerce_source), .initial = "segment",
		.min = 1, .max = 255,
		.description = "Property source of eCommerce events that name none."
	},
	{
		.name = "group_calls", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(group_calls), .initial = "attribute",
		.choices = group_choices,
		.description = "Send group calls as an attribute, or as a subscription state where they name one."
	},
	{
		.name = "alias_calls", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(alias_calls), .initial = "skip",
		.choices = alias_choices,
		.description = "Skip alias calls, merge the two users, or identify an anonymous one."
	},
	{
		.name = "delete_calls", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(delete_calls), .initial = "skip",
		.choices = delete_choices,
		.description = "Skip delete calls, or delete the user at Braze; braze_delete_user always deletes."
	},
	{
		.name = "push_tokens_from_context", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(push_tokens_from_context), .initial = "false",
		.description = "Take push tokens from context.device; needs app_identifier."
	},
	{
		.name = "max_attribute_age", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTERVAL, .offset = BRAZE_SETTING(max_attribute_age),
		.initial = "off", .min = 1, .max = MAX_INTERVAL, .unit = "s",
		.description = "Age beyond which an identify is skipped when its turn comes."
	},
	{
		.name = "deduplicate", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTERVAL, .offset = BRAZE_SETTING(deduplicate),
		.initial = "off", .min = 1, .max = MAX_INTERVAL, .unit = "s",
		.description = "Time in which a call with a messageId that was queued already is not queued again."
	},
	{
		.name = "max_queue_size", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_SIZE, .offset = BRAZE_SETTING(max_queue_size),
		.initial = "off", .min = 64, .max = 1024 * 1024 * 1024,
		.description = "Maximum total size of the queued calls of the destination."
	},
	{
		.name = "on_full", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(on_full), .initial = "error",
		.choices = full_choices,
		.description = "With max_queue_size: what happens to a call that has no room."
	},
	{
		.name = "ca_file", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_PATH, .offset = BRAZE_SETTING(ca_file), .superuser = true,
		.description = "File of the certificate authorities to trust instead of the system's."
	},
	{
		.name = "max_objects_per_request", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTEGER, .offset = BRAZE_SETTING(max_objects_per_request),
		.initial = CppAsString2(BRAZE_LIMIT_TRACK_OBJECTS), .min = 1,
		.max = BRAZE_LIMIT_TRACK_OBJECTS_LEGACY, .unit = "objects",
		.description = "Maximum number of objects in one request to /users/track, over its three lists."
	},
	{
		.name = "max_requests_in_flight", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTEGER, .offset = BRAZE_SETTING(max_requests_in_flight),
		.initial = "128", .min = 1, .max = 1000, .unit = "requests",
		.description = "Maximum number of requests in flight at the same time."
	},
	{
		.name = "max_requests_per_second", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_RATE, .offset = BRAZE_SETTING(max_requests_per_second),
		.initial = "off", .min = 10, .max = 1000 * 1000, .unit = "requests per second",
		.description = "Maximum number of requests that are started in a second, over all endpoints."
	},
	{
		.name = "max_retry_age", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTERVAL, .offset = BRAZE_SETTING(max_retry_age),
		.initial = "off", .min = 1, .max = MAX_INTERVAL, .unit = "s",
		.description = "Time without any success after which calls that are older become dead letters."
	},
	{
		.name = "request_timeout", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_DURATION, .offset = BRAZE_SETTING(request_timeout),
		.initial = "30 s", .min = 100, .max = 3600 * 1000, .unit = "s",
		.description = "Time after which a request without an answer is given up and sent again."
	},
	{
		.name = "max_batch_delay", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_DURATION, .offset = BRAZE_SETTING(max_batch_delay),
		.initial = "20 ms", .min = 0, .max = 3600 * 1000, .unit = "s",
		.description = "Maximum time that a call waits for others to share its request."
	},
	{
		.name = "identity_delay", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_DURATION, .offset = BRAZE_SETTING(identity_delay),
		.initial = "1 s", .min = 0, .max = 3600 * 1000, .unit = "s",
		.description = "Time that a user's calls wait after Braze answered an identify, merge or delete of that user."
	},
	{
		.name = "delivery", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_ENUM, .offset = BRAZE_SETTING(delivery), .initial = "at_least_once",
		.choices = delivery_choices,
		.description = "When it is not known whether Braze accepted a call: send it again, or keep it as a dead letter."
	},
	{
		.name = "changed_attributes_only", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(changed_attributes_only),
		.initial = "false",
		.description = "Leave out attributes whose value is the one that Braze last accepted for the user."
	},
	{
		.name = "resend_unchanged_after", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTERVAL, .offset = BRAZE_SETTING(resend_unchanged_after),
		.initial = "30 d", .min = 3600, .max = 3650 * 24 * 3600, .unit = "s",
		.description = "With changed_attributes_only: time after which an unchanged attribute is sent all the same."
	},
	{
		.name = "forget_visitors_after", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTERVAL, .offset = BRAZE_SETTING(forget_visitors_after),
		.initial = "off", .min = 24 * 3600, .max = MAX_INTERVAL, .unit = "s",
		.description = "Time after which the identifiers under which something was sent are forgotten: a visitor who comes back later is not joined."
	},
	{
		.name = "sdk_endpoint", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_SDK_ENDPOINT, .offset = BRAZE_SETTING(sdk_endpoint),
		.description = "Endpoint that Braze's SDKs use instead of the datacenter's, for braze_sdk."
	},
	{
		.name = "web_app_identifier", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(web_app_identifier), .min = 1, .max = 255,
		.description = "Braze's identifier of the web site, where it is not app_identifier; for braze_sdk."
	},
	{
		.name = "android_app_identifier", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(android_app_identifier), .min = 1, .max = 255,
		.description = "Braze's identifier of the Android app, where it is not app_identifier; for braze_sdk."
	},
	{
		.name = "ios_app_identifier", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(ios_app_identifier), .min = 1, .max = 255,
		.description = "Braze's identifier of the iOS app, where it is not app_identifier; for braze_sdk."
	},
	{
		.name = "web_sdk_version", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_SDK_VERSION, .offset = BRAZE_SETTING(web_sdk_version), .initial = BRAZE_NEWEST_SDK,
		.description = "Version of Braze's Web SDK that braze_sdk writes for."
	},
	{
		.name = "safari_website_push_id", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_TEXT, .offset = BRAZE_SETTING(safari_website_push_id), .min = 1, .max = 255,
		.description = "Apple's identifier for push in Safari."
	},
	{
		.name = "allow_crawler_activity", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(allow_crawler_activity), .initial = "false",
		.description = "Let the Web SDK log what crawlers do."
	},
	{
		.name = "automatically_send_in_app_messages", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(automatically_send_in_app_messages), .initial = "true",
		.description = "Show in-app messages without a line of the site's own."
	},
	{
		.name = "do_not_load_font_awesome", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(do_not_load_font_awesome), .initial = "false",
		.description = "Keep the Web SDK from loading Font Awesome, which the site has."
	},
	{
		.name = "enable_html_in_app_messages", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(enable_html_in_app_messages), .initial = "false",
		.description = "Show in-app messages that bring HTML and JavaScript of their own."
	},
	{
		.name = "enable_logging", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(enable_logging), .initial = "false",
		.description = "Let the SDKs log what they do."
	},
	{
		.name = "open_in_app_messages_in_new_tab", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(open_in_app_messages_in_new_tab), .initial = "false",
		.description = "Open links of in-app messages in a new tab."
	},
	{
		.name = "open_news_feed_cards_in_new_tab", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_BOOLEAN, .offset = BRAZE_SETTING(open_news_feed_cards_in_new_tab), .initial = "false",
		.description = "Open links of cards in a new tab."
	},
	{
		.name = "minimum_interval_between_trigger_actions_in_seconds", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTEGER, .offset = BRAZE_SETTING(minimum_interval_between_trigger_actions), .initial = "30", .min = 0, .max = 365 * 24 * 3600, .unit = "s",
		.description = "Minimum time between two in-app messages."
	},
	{
		.name = "session_timeout_in_seconds", .catalog = ForeignServerRelationId,
		.type = BRAZE_OPTION_INTEGER, .offset = BRAZE_SETTING(session_timeout), .initial = "1800", .min = 1, .max = 365 * 24 * 3600, .unit = "s",
		.description = "Time without activity after which a session ends."
	},
	{
		.name = "rest_api_key", .catalog = UserMappingRelationId,
		.type = BRAZE_OPTION_SECRET, .offset = BRAZE_NOT_A_SETTING, .max = BRAZE_MAX_KEY_LENGTH,
		.description = "REST API key of the workspace."
	},
	{
		.name = "rest_api_key_file", .catalog = UserMappingRelationId,
		.type = BRAZE_OPTION_PATH, .offset = BRAZE_NOT_A_SETTING, .superuser = true,
		.description = "File on the server that holds the REST API key."
	},
};

const int	braze_option_count = lengthof(braze_option_table);
