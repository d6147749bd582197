/*-------------------------------------------------------------------------
 *
 * destination_settings.h
 *	  What a destination's options say, parsed.
 *
 * The mapping reads the first part, delivery the last.  destination.c fills
 * it from the options of the foreign server and is the one place that knows
 * their names, defaults and syntax.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DESTINATION_SETTINGS_H
#define BRAZE_DESTINATION_SETTINGS_H

/*
 * where the identifier of an object may come
 * from: user_identifier.c tries in order
 */
typedef enum BrazeIdSource
{
	BRAZE_ID_USER_ID,
	BRAZE_ID_BRAZE_ID,
	BRAZE_ID_USER_ALIAS,
	BRAZE_ID_ANONYMOUS_ID,
	BRAZE_ID_EMAIL,
	BRAZE_ID_PHONE
} BrazeIdSource;

#define BRAZE_ID_SOURCES	(BRAZE_ID_PHONE + 1)

typedef enum BrazeOrdersAs
{
	BRAZE_ORDERS_PURCHASES,
	BRAZE_ORDERS_ECOMMERCE,
	BRAZE_ORDERS_BOTH
} BrazeOrdersAs;

typedef enum BrazeAliasCalls
{
	BRAZE_ALIAS_SKIP,
	BRAZE_ALIAS_MERGE,
	BRAZE_ALIAS_IDENTIFY
} BrazeAliasCalls;

typedef enum BrazeDeleteCalls
{
	BRAZE_DELETE_SKIP,
	BRAZE_DELETE_SEND
} BrazeDeleteCalls;

typedef enum BrazeGroupCalls
{
	BRAZE_GROUP_ATTRIBUTE,
	BRAZE_GROUP_SUBSCRIPTION
} BrazeGroupCalls;

typedef enum BrazeGuarantee
{
	BRAZE_AT_LEAST_ONCE,
	BRAZE_AT_MOST_ONCE
} BrazeGuarantee;

/* profile_from_context, a set */
#define BRAZE_PROFILE_COUNTRY			0x01
#define BRAZE_PROFILE_CURRENT_LOCATION	0x02
#define BRAZE_PROFILE_LANGUAGE			0x04
#define BRAZE_PROFILE_TIME_ZONE			0x08

typedef enum BrazeOnFull
{
	BRAZE_FULL_ERROR,
	BRAZE_FULL_DROP
} BrazeOnFull;

/* a list of names, as in events_only; sorted by strcmp for bsearch */
typedef struct BrazeNameList
{
	int			count;
	char	  **names;
} BrazeNameList;

/* of Braze's Web SDK */
typedef struct BrazeSdkVersion
{
	int			major;
	int			minor;
} BrazeSdkVersion;

typedef struct BrazeSettings
{
	/* read by the mapping */
	char	   *app_identifier; /* NULL: none */
	bool		update_existing_only;
	bool		track_all_pages;
	bool		track_named_pages;
	int			nidentifiers;
	BrazeIdSource identifiers[BRAZE_ID_SOURCES];
	char	   *anonymous_alias_label;
	BrazeNameList ignored_ids;
	bool		address_attribute;
	int			profile_from_context;
	BrazeNameList events_only;	/* empty: all events */
	BrazeNameList events_except;
	char	   *default_currency;
	bool		purchase_properties;
	bool		log_purchase_when_revenue_present;
	BrazeOrdersAs orders_as;
	char	   *ecommerce_source;
	BrazeGroupCalls group_calls;
	BrazeAliasCalls alias_calls;
	BrazeDeleteCalls delete_calls;
	bool		push_tokens_from_context;
	int			max_attribute_age;	/* seconds, 0: any */

	/* read when a call is queued */
	int			deduplicate;	/* seconds, 0: never */
	int			max_queue_size; /* kB, 0: any */
	BrazeOnFull on_full;

	/* read by delivery; durations in milliseconds */
	char	   *endpoint;		/* "https://host[:port]", NULL: none given */
	char	   *ca_file;		/* NULL: curl's own bundle */
	int			max_objects_per_request;
	int			max_requests_in_flight;
	int			max_requests_per_second;	/* thousandths, 0: any number */
	int			max_retry_age;	/* seconds, 0: for ever */
	int			request_timeout;
	int			max_batch_delay;
	int			identity_delay;
	BrazeGuarantee delivery;
	bool		changed_attributes_only;
	int			resend_unchanged_after; /* seconds, 0: never */
	int			forget_visitors_after;	/* seconds, 0: never */

	/*
	 * Read by braze_sdk; nothing that is sent from here depends on them, so a
	 * change of them is not a change to the worker (destination.c).
	 */
	char	   *sdk_endpoint;	/* "https://host[:port]", NULL: the
								 * datacenter's */
	char	   *web_app_identifier; /* of these three, NULL: app_identifier */
	char	   *android_app_identifier;
	char	   *ios_app_identifier;
	BrazeSdkVersion web_sdk_version;
	char	   *safari_website_push_id; /* NULL: none */
	bool		allow_crawler_activity;
	bool		automatically_send_in_app_messages;
	bool		do_not_load_font_awesome;
	bool		enable_html_in_app_messages;
	bool		enable_logging;
	bool		open_in_app_messages_in_new_tab;
	bool		open_news_feed_cards_in_new_tab;
	int			minimum_interval_between_trigger_actions;	/* seconds */
	int			session_timeout;	/* seconds */
} BrazeSettings;

#endif							/* BRAZE_DESTINATION_SETTINGS_H */
