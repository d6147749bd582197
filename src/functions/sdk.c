/*-------------------------------------------------------------------------
 *
 * sdk.c
 *	  braze_sdk: the options of a destination, as Braze's SDKs take them.
 *
 * Nothing here knows the REST API key, and nothing that is printed is secret:
 * it is what a page or an app shows to everyone who looks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "destination/datacenter.h"
#include "destination/destination.h"
#include "destination/sdk_version.h"
#include "functions/sdk_options.h"
#include "functions/sdk_segment.h"

BRAZE_SQL_FUNCTION(braze_sdk);

/* where Braze has the Web SDK, by version */
#define SDK_CDN				"https://js.appboycdn.com/web-sdk/"

/* what was called Appboy is called Braze since this major version */
#define FIRST_BRAZE			4

/* log levels: Android's Log.VERBOSE, and the lowest of the iOS SDK */
#define ANDROID_VERBOSE		2
#define IOS_DEBUG			0

/* what a platform prints is of these kinds */
typedef enum Platform
{
	PLATFORM_WEB,
	PLATFORM_WEB_OPTIONS,
	PLATFORM_SEGMENT,
	PLATFORM_ANDROID,
	PLATFORM_IOS
} Platform;

static const char *const platform_names[] = {
	[PLATFORM_WEB] = "web",
	[PLATFORM_WEB_OPTIONS] = "web options",
	[PLATFORM_SEGMENT] = "segment",
	[PLATFORM_ANDROID] = "android",
	[PLATFORM_IOS] = "ios",
};

static void
append_xml(StringInfo out, const char *text)
{
	for (; *text; text++)
	{
		switch (*text)
		{
			case '&':
				appendStringInfoString(out, "&amp;");
				break;
			case '<':
				appendStringInfoString(out, "&lt;");
				break;
			case '>':
				appendStringInfoString(out, "&gt;");
				break;
			default:
				appendStringInfoChar(out, *text);
		}
	}
}

/*
 * in a resource of Android, quotes and a reference at the start have a meaning
 */
static void
append_resource(StringInfo out, const char *text)
{
	StringInfoData escaped;

	initStringInfo(&escaped);
	if (*text == '@' || *text == '?')
		appendStringInfoChar(&escaped, '\\');
	for (; *text; text++)
	{
		if (strchr("\\'\"", *text) != NULL)
			appendStringInfoChar(&escaped, '\\');
		appendStringInfoChar(&escaped, *text);
	}
	append_xml(out, escaped.data);
}

/* ----- what each platform needs ----- */

static const char *
app_identifier(const BrazeDestination *destination, const char *own, const char *option)
{
	const char *identifier = own ? own : destination->settings.app_identifier;

	if (identifier == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("destination \"%s\" has no app identifier",
						NameStr(destination->name)),
				 errhint("Set its option %s, or app_identifier if there is only one app.", option)));
	return identifier;
}

/* "https://host", without a slash at the end */
static const char *
sdk_endpoint(const BrazeDestination *destination)
{
	const BrazeSettings *settings = &destination->settings;
	const char *endpoint = settings->sdk_endpoint;

	/*
	 * Braze's clusters have a host for SDKs beside that for the REST API.  A
	 * host of somebody's own, a proxy for one, tells nothing of the other.
	 */
	if (endpoint == NULL && settings->endpoint != NULL)
		endpoint = braze_datacenter_sdk_endpoint(settings->endpoint);
	if (endpoint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("the SDK endpoint of destination \"%s\" is not known",
						NameStr(destination->name)),
				 errhint("Set its option sdk_endpoint, which cannot be derived from this REST endpoint.")));
	return endpoint;
}

/* the phones take a host; a loopback endpoint needs its scheme */
static const char *
sdk_host(const BrazeDestination *destination)
{
	const char *endpoint = sdk_endpoint(destination);

	return strncmp(endpoint, "https://", 8) == 0 ? endpoint + 8 : endpoint;
}

/* the object that the Web SDK is initialized with */
static void
append_options(StringInfo out, const BrazeDestination *destination, const char *indent)
{
	const BrazeSettings *settings = &destination->settings;
	const char *endpoint = sdk_endpoint(destination);

	appendStringInfo(out, "{\n%s\t\"baseUrl\": ", indent);

	/*
	 * Versions that are called Appboy take the URL of the API, later ones
	 * that of the host alone.
	 */
	braze_sdk_options_json(out, settings->web_sdk_version.major < FIRST_BRAZE ?
						   psprintf("%s/api/v3", endpoint) : endpoint);
	braze_sdk_options_web(out, settings, psprintf("%s\t", indent));
	appendStringInfo(out, "\n%s}", indent);
}

/*
 * The files that set the global whatever else is on the page are those that
 * Segment's destination takes, too.
 */
static void
print_web(StringInfo out, const BrazeDestination *destination)
{
	const BrazeSettings *settings = &destination->settings;
	BrazeSdkVersion version = settings->web_sdk_version;
	BrazeSdkVersion newest;
	bool		is_appboy = version.major < FIRST_BRAZE;
	const char *sdk = is_appboy ? "appboy" : "braze";
	const char *identifier = app_identifier(destination, settings->web_app_identifier,
											"web_app_identifier");

	(void) braze_sdk_version_parse(BRAZE_NEWEST_SDK, &newest);
	appendStringInfoString(out, "<script>\n(function () {\n");
	if (version.major > newest.major ||
		(version.major == newest.major && version.minor > newest.minor))
		appendStringInfo(out, "\t/* Version %d.%d is newer than %s, the last whose options are known here. */\n",
						 version.major, version.minor, BRAZE_NEWEST_SDK);
	appendStringInfo(out,
					 "\tvar script = document.createElement(\"script\");\n"
					 "\tscript.async = true;\n"
					 "\tscript.src = \"" SDK_CDN "%d.%d/%s.min.js\";\n"
					 "\tscript.onload = function () {\n"
					 "\t\t%s.initialize(",
					 version.major, version.minor, is_appboy ? "appboy.no-amd" : "braze.no-module", sdk);
	braze_sdk_options_json(out, identifier);
	appendStringInfoString(out, ", ");
	append_options(out, destination, "\t\t");
	appendStringInfoString(out, ");\n");
	if (settings->automatically_send_in_app_messages)
		appendStringInfo(out, "\t\t%s.%s();\n", sdk,
						 is_appboy ? "display.automaticallyShowNewInAppMessages" :
						 "automaticallyShowInAppMessages");
	appendStringInfo(out,
					 "\t\t%s.openSession();\n"
					 "\t};\n"
					 "\tdocument.head.appendChild(script);\n"
					 "})();\n"
					 "</script>\n", sdk);
}

static void
print_web_options(StringInfo out, const BrazeDestination *destination)
{
	append_options(out, destination, "");
	appendStringInfoChar(out, '\n');
}

static void
print_segment(StringInfo out, const BrazeDestination *destination, const char *write_key)
{
	const BrazeSettings *settings = &destination->settings;
	const char *endpoint = sdk_endpoint(destination);
	BrazeSegmentDocument document = {
		.app_identifier = app_identifier(destination, settings->web_app_identifier, "web_app_identifier"),
		.write_key = write_key,
		.settings = settings,
	};

	if (settings->web_sdk_version.major < 3)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("Segment's web destination does not load version %d.%d of Braze's Web SDK",
						settings->web_sdk_version.major, settings->web_sdk_version.minor),
				 errhint("Set the option web_sdk_version to 3.1 or higher.")));
	document.endpoint = settings->web_sdk_version.major < FIRST_BRAZE ?
		psprintf("%s/api/v3", endpoint) : endpoint;
	braze_sdk_segment_print(out, &document);
}

static void
print_android(StringInfo out, const BrazeDestination *destination)
{
	const BrazeSettings *settings = &destination->settings;
	char	   *missing = braze_sdk_options_left_out(settings, offsetof(BrazeSdkSetting, android));

	appendStringInfoString(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<resources>\n");
	appendStringInfoString(out, "\t<string translatable=\"false\" name=\"com_braze_api_key\">");
	append_resource(out, app_identifier(destination, settings->android_app_identifier,
										"android_app_identifier"));
	appendStringInfoString(out, "</string>\n\t<string translatable=\"false\" name=\"com_braze_custom_endpoint\">");
	append_resource(out, sdk_host(destination));
	appendStringInfoString(out, "</string>\n");
	for (int i = 0; i < braze_sdk_options_count; i++)
	{
		const BrazeSdkSetting *setting = &braze_sdk_options_table[i];
		const void *field = braze_sdk_options_field(settings, setting);

		if (setting->android == NULL)
			continue;
		if (setting->type == BRAZE_SDK_SECONDS)
			appendStringInfo(out, "\t<integer name=\"%s\">%d</integer>\n", setting->android, *(const int *) field);
		else if (*(const bool *) field)
			appendStringInfo(out, "\t<integer name=\"%s\">%d</integer>\n", setting->android, ANDROID_VERBOSE);
	}
	if (missing[0] != '\0')
		appendStringInfo(out, "\t<!-- Left out, since braze.xml has no place for it: %s -->\n", missing);
	appendStringInfoString(out, "</resources>\n");
}

static void
print_ios(StringInfo out, const BrazeDestination *destination)
{
	const BrazeSettings *settings = &destination->settings;
	char	   *missing = braze_sdk_options_left_out(settings, offsetof(BrazeSdkSetting, ios));

	appendStringInfoString(out, "<key>Braze</key>\n<dict>\n\t<key>ApiKey</key>\n\t<string>");
	append_xml(out, app_identifier(destination, settings->ios_app_identifier, "ios_app_identifier"));
	appendStringInfoString(out, "</string>\n\t<key>Endpoint</key>\n\t<string>");
	append_xml(out, sdk_host(destination));
	appendStringInfoString(out, "</string>\n");
	for (int i = 0; i < braze_sdk_options_count; i++)
	{
		const BrazeSdkSetting *setting = &braze_sdk_options_table[i];
		const void *field = braze_sdk_options_field(settings, setting);

		if (setting->ios == NULL)
			continue;
		if (setting->type == BRAZE_SDK_SECONDS)
			appendStringInfo(out, "\t<key>%s</key>\n\t<integer>%d</integer>\n", setting->ios, *(const int *) field);
		else if (*(const bool *) field)
			appendStringInfo(out, "\t<key>%s</key>\n\t<integer>%d</integer>\n", setting->ios, IOS_DEBUG);
	}
	if (missing[0] != '\0')
		appendStringInfo(out, "\t<!-- Left out, since Info.plist has no place for it: %s -->\n", missing);
	appendStringInfoString(out, "</dict>\n");
}

/* ----- the function ----- */

static const char *
next_platform(void *state)
{
	int		   *i = state;

	return *i < lengthof(platform_names) ? platform_names[(*i)++] : NULL;
}

static Platform
read_platform(const char *name)
{
	int			state = 0;
	const char *closest;

	for (int i = 0; i < lengthof(platform_names); i++)
	{
		if (pg_strcasecmp(name, platform_names[i]) == 0)
			return i;
	}
	closest = braze_closest_name(name, next_platform, &state);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("platform \"%s\" is not known", name),
			 closest ?
			 errhint("Perhaps you meant \"%s\".  Valid values are web, web options, segment, android and ios.", closest) :
			 errhint("Valid values are web, web options, segment, android and ios.")));
}

Datum
braze_sdk(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	Platform	platform;
	const BrazeDestination *destination;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("platform must not be null"),
				 errhint("Valid values are web, web options, segment, android and ios.")));
	platform = read_platform(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	destination = braze_destination_for(PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1)),
										GetUserId());
	initStringInfo(&out);
	switch (platform)
	{
		case PLATFORM_WEB:
			print_web(&out, destination);
			break;
		case PLATFORM_WEB_OPTIONS:
			print_web_options(&out, destination);
			break;
		case PLATFORM_SEGMENT:
			print_segment(&out, destination,
						  PG_ARGISNULL(2) ? "WRITE_KEY" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
			break;
		case PLATFORM_ANDROID:
			print_android(&out, destination);
			break;
		case PLATFORM_IOS:
			print_ios(&out, destination);
			break;
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
