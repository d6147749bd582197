/*-------------------------------------------------------------------------
 *
 * sdk_segment.c
 *	  The settings document that Segment's analytics.js fetches.
 *
 * With it, analytics.js loads Segment's own web destination of Braze and gives
 * it the destination's options.  Three names decide whether a call is counted
 * twice, or not at all:
 *
 * - the key in "integrations" is what analytics.js puts into _metadata.bundled
 *   of the calls that it posts, if the key has a bundlingStatus.  It must not
 *   look like one of Segment's older destinations, by a type or a componentType
 *   "browser": analytics.js would try to load that, and fail;
 * - "creationName" is what it puts into _metadata.failedInitializations when
 *   Braze's SDK could not be loaded, so it has to be the same, and is also the
 *   name by which a call's own integrations switch the destination off;
 * - "name" is what a destination installed from npm is found by.  It must be
 *   another one: what stands in "integrations" under it would be handed to
 *   Braze's SDK, which warns about options that it does not know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "functions/sdk_options.h"
#include "functions/sdk_segment.h"

/* a call's integrations.Braze is obeyed by the mapping, too */
#define INTEGRATION		"Braze"
#define DESTINATION		"Braze Web Mode (Actions)"

/* where a page finds the destination when it is not part of its own script */
#define DESTINATION_URL	"/braze-destination.js"

/*
 * analytics.js posts calls while Braze's SDK is still being loaded, and those
 * do not say when that fails: nobody would deliver them.  It does wait for a
 * plugin that acts before a call is sent, as this action does; and it never
 * acts.
 */
#define WAIT \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Wait for the SDK\", \"enabled\": true, \"partnerAction\": \"debounce\",\n" \
	"\t\t\t\t\t\t\"subscribe\": \"type = \\\"none\\\"\", \"mapping\": {}\n" \
	"\t\t\t\t\t}"

/*
 * the fields of a profile that have a trait of
 * their own name in Segment's specification
 */
#define IDENTIFY \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Identify\", \"enabled\": true, \"partnerAction\": \"updateUserProfile\",\n" \
	"\t\t\t\t\t\t\"subscribe\": \"type = \\\"identify\\\"\",\n" \
	"\t\t\t\t\t\t\"mapping\": {\n" \
	"\t\t\t\t\t\t\t\"external_id\": {\"@path\": \"$.userId\"},\n" \
	"\t\t\t\t\t\t\t\"first_name\": {\"@path\": \"$.traits.firstName\"},\n" \
	"\t\t\t\t\t\t\t\"last_name\": {\"@path\": \"$.traits.lastName\"},\n" \
	"\t\t\t\t\t\t\t\"email\": {\"@path\": \"$.traits.email\"},\n" \
	"\t\t\t\t\t\t\t\"phone\": {\"@path\": \"$.traits.phone\"},\n" \
	"\t\t\t\t\t\t\t\"gender\": {\"@path\": \"$.traits.gender\"},\n" \
	"\t\t\t\t\t\t\t\"dob\": {\"@path\": \"$.traits.birthday\"},\n" \
	"\t\t\t\t\t\t\t\"home_city\": {\"@path\": \"$.traits.address.city\"},\n" \
	"\t\t\t\t\t\t\t\"country\": {\"@path\": \"$.traits.address.country\"},\n" \
	"\t\t\t\t\t\t\t\"image_url\": {\"@path\": \"$.traits.avatar\"},\n" \
	"\t\t\t\t\t\t\t\"language\": {\"@path\": \"$.traits.language\"},\n" \
	"\t\t\t\t\t\t\t\"custom_attributes\": {\"@path\": \"$.traits\"}\n" \
	"\t\t\t\t\t\t}\n" \
	"\t\t\t\t\t}"

/*
 * Only who is in which group: the group's traits are not the user's.  Segment's
 * mappings cannot make a name of a value, as the mapping of calls does.
 */
#define GROUP \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Group\", \"enabled\": true, \"partnerAction\": \"updateUserProfile\",\n" \
	"\t\t\t\t\t\t\"subscribe\": \"type = \\\"group\\\"\",\n" \
	"\t\t\t\t\t\t\"mapping\": {\n" \
	"\t\t\t\t\t\t\t\"external_id\": {\"@path\": \"$.userId\"},\n" \
	"\t\t\t\t\t\t\t\"custom_attributes\": {\"ab_segment_group\": {\"@path\": \"$.groupId\"}}\n" \
	"\t\t\t\t\t\t}\n" \
	"\t\t\t\t\t}"

#define TRACK \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Order Completed\", \"enabled\": true, \"partnerAction\": \"trackPurchase\",\n" \
	"\t\t\t\t\t\t\"subscribe\": \"type = \\\"track\\\" and (event = \\\"Order Completed\\\" or event = \\\"Completed Order\\\")\",\n" \
	"\t\t\t\t\t\t\"mapping\": {\n" \
	"\t\t\t\t\t\t\t\"purchaseProperties\": {\"@path\": \"$.properties\"},\n" \
	"\t\t\t\t\t\t\t\"products\": {\"@path\": \"$.properties.products\"}\n" \
	"\t\t\t\t\t\t}\n" \
	"\t\t\t\t\t},\n" \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Track\", \"enabled\": true, \"partnerAction\": \"trackEvent\",\n" \
	"\t\t\t\t\t\t\"subscribe\": \"type = \\\"track\\\" and event != \\\"Order Completed\\\" and event != \\\"Completed Order\\\"\",\n" \
	"\t\t\t\t\t\t\"mapping\": {\n" \
	"\t\t\t\t\t\t\t\"eventName\": {\"@path\": \"$.event\"},\n" \
	"\t\t\t\t\t\t\t\"eventProperties\": {\"@path\": \"$.properties\"}\n" \
	"\t\t\t\t\t\t}\n" \
	"\t\t\t\t\t}"

/* the names are those that page calls get from here */
#define PAGE_START \
	"\t\t\t\t\t{\n" \
	"\t\t\t\t\t\t\"name\": \"Page\", \"enabled\": true, \"partnerAction\": \"trackEvent\",\n"

#define PAGE_END \
	"\t\t\t\t\t\t\"mapping\": {\n" \
	"\t\t\t\t\t\t\t\"eventName\": {\"@if\": {\"exists\": {\"@path\": \"$.name\"},\n" \
	"\t\t\t\t\t\t\t\t\"then\": {\"@if\": {\"exists\": {\"@path\": \"$.category\"},\n" \
	"\t\t\t\t\t\t\t\t\t\"then\": {\"@template\": \"Viewed {{category}} {{name}} Page\"},\n" \
	"\t\t\t\t\t\t\t\t\t\"else\": {\"@template\": \"Viewed {{name}} Page\"}}},\n" \
	"\t\t\t\t\t\t\t\t\"else\": \"Loaded a Page\"}},\n" \
	"\t\t\t\t\t\t\t\"eventProperties\": {\"@path\": \"$.properties\"}\n" \
	"\t\t\t\t\t\t}\n" \
	"\t\t\t\t\t}"

void
braze_sdk_segment_print(StringInfo out, const BrazeSegmentDocument *document)
{
	const BrazeSettings *settings = document->settings;

	appendStringInfoString(out, "{\n\t\"integrations\": {\n\t\t\"Segment.io\": {\"apiKey\": ");
	braze_sdk_options_json(out, document->write_key);
	appendStringInfoString(out, ", \"addBundledMetadata\": true, \"unbundledIntegrations\": []},\n"
						   "\t\t\"" INTEGRATION "\": {\"bundlingStatus\": \"bundled\", \"versionSettings\": {\"componentTypes\": []}}\n"
						   "\t},\n"
						   "\t\"plan\": {\"track\": {\"__default\": {\"enabled\": true, \"integrations\": {}}}},\n"
						   "\t\"middlewareSettings\": {\"routingRules\": []},\n"
						   "\t\"enabledMiddleware\": {},\n"
						   "\t\"edgeFunction\": {},\n"
						   "\t\"analyticsNextEnabled\": true,\n"
						   "\t\"legacyVideoPluginsEnabled\": false,\n"
						   "\t\"metrics\": {\"sampleRate\": 0},\n"
						   "\t\"remotePlugins\": [\n"
						   "\t\t{\n"
						   "\t\t\t\"name\": \"" DESTINATION "\",\n"
						   "\t\t\t\"creationName\": \"" INTEGRATION "\",\n"
						   "\t\t\t\"libraryName\": \"brazeDestination\",\n"
						   "\t\t\t\"url\": \"" DESTINATION_URL "\",\n"
						   "\t\t\t\"settings\": {\n");
	appendStringInfo(out, "\t\t\t\t\"sdkVersion\": \"%d.%d\",\n\t\t\t\t\"api_key\": ",
					 settings->web_sdk_version.major, settings->web_sdk_version.minor);
	braze_sdk_options_json(out, document->app_identifier);
	appendStringInfoString(out, ",\n\t\t\t\t\"endpoint\": ");
	braze_sdk_options_json(out, document->endpoint);
	appendStringInfo(out, ",\n\t\t\t\t\"automaticallyDisplayMessages\": %s",
					 settings->automatically_send_in_app_messages ? "true" : "false");
	braze_sdk_options_web(out, settings, "\t\t\t\t");
	appendStringInfoString(out, ",\n\t\t\t\t\"subscriptions\": [\n" WAIT ",\n" IDENTIFY ",\n" GROUP ",\n" TRACK);
	if (settings->track_all_pages || settings->track_named_pages)
		appendStringInfo(out, ",\n" PAGE_START "\t\t\t\t\t\t\"subscribe\": \"type = \\\"page\\\"%s\",\n" PAGE_END,
						 settings->track_all_pages ? "" : " and name != null");
	appendStringInfoString(out, "\n\t\t\t\t]\n\t\t\t}\n\t\t}\n\t]\n}\n");
}
