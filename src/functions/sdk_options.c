/*-------------------------------------------------------------------------
 *
 * sdk_options.c
 *	  The options of a destination that Braze's SDKs know, by their names there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/json.h"

#include "base/name_list.h"
#include "functions/sdk_options.h"

/* the option for HTML messages got another name in this one */
#define FIRST_JAVASCRIPT	5

const BrazeSdkSetting braze_sdk_options_table[] = {
	{"allow_crawler_activity", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(allow_crawler_activity),
	"allowCrawlerActivity", NULL, NULL},
	{"do_not_load_font_awesome", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(do_not_load_font_awesome),
	"doNotLoadFontAwesome", NULL, NULL},
	{"enable_html_in_app_messages", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(enable_html_in_app_messages),
	"enableHtmlInAppMessages", NULL, NULL},
	{"enable_logging", BRAZE_SDK_LOG_LEVEL, BRAZE_SETTING(enable_logging),
	"enableLogging", "com_braze_logger_initial_log_level", "LogLevel"},
	{"minimum_interval_between_trigger_actions_in_seconds", BRAZE_SDK_SECONDS,
		BRAZE_SETTING(minimum_interval_between_trigger_actions),
		"minimumIntervalBetweenTriggerActionsInSeconds",
	"com_braze_trigger_action_minimum_time_interval_seconds", "TriggerInterval"},
	{"open_in_app_messages_in_new_tab", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(open_in_app_messages_in_new_tab),
	"openInAppMessagesInNewTab", NULL, NULL},
	{"open_news_feed_cards_in_new_tab", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(open_news_feed_cards_in_new_tab),
	"openCardsInNewTab", NULL, NULL},
	{"safari_website_push_id", BRAZE_SDK_TEXT, BRAZE_SETTING(safari_website_push_id),
	"safariWebsitePushId", NULL, NULL},
	{"session_timeout_in_seconds", BRAZE_SDK_SECONDS, BRAZE_SETTING(session_timeout),
	"sessionTimeoutInSeconds", "com_braze_session_timeout", "SessionTimeout"},
	{"automatically_send_in_app_messages", BRAZE_SDK_BOOLEAN, BRAZE_SETTING(automatically_send_in_app_messages),
	NULL, NULL, NULL},
};

const int	braze_sdk_options_count = lengthof(braze_sdk_options_table);

const void *
braze_sdk_options_field(const BrazeSettings *settings, const BrazeSdkSetting *setting)
{
	return (const char *) settings + setting->offset;
}

/* as the option is written; NULL: not set */
static const char *
value_of(const BrazeSettings *settings, const BrazeSdkSetting *setting)
{
	const void *field = braze_sdk_options_field(settings, setting);

	switch (setting->type)
	{
		case BRAZE_SDK_BOOLEAN:
		case BRAZE_SDK_LOG_LEVEL:
			return *(const bool *) field ? "true" : "false";
		case BRAZE_SDK_SECONDS:
			return psprintf("%d", *(const int *) field);
		case BRAZE_SDK_TEXT:
			return *(char *const *) field;
	}
	pg_unreachable();
}

/* what it is when nobody sets it */
static const char *
initial_of(const BrazeSdkSetting *setting)
{
	for (int i = 0; i < braze_option_count; i++)
	{
		if (strcmp(braze_option_table[i].name, setting->option) == 0)
			return braze_option_table[i].initial;
	}
	elog(ERROR, "there is no option \"%s\"", setting->option);
}

void
braze_sdk_options_json(StringInfo out, const char *text)
{
	StringInfoData json;

	initStringInfo(&json);
	escape_json(&json, text);
	for (const char *c = json.data; *c; c++)
	{
		/* </script> in a value would end the script that it stands in */
		if (*c == '<')
			appendStringInfoString(out, "\\u003c");
		else
			appendStringInfoChar(out, *c);
	}
}

char	   *
braze_sdk_options_left_out(const BrazeSettings *settings, size_t name_offset)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < braze_sdk_options_count; i++)
	{
		const BrazeSdkSetting *setting = &braze_sdk_options_table[i];
		const char *value = value_of(settings, setting);
		const char *initial = initial_of(setting);

		/* one that nobody has set is not missed */
		if (*(const char *const *) ((const char *) setting + name_offset) != NULL || value == NULL ||
			(initial != NULL && strcmp(value, initial) == 0))
			continue;
		braze_name_list_add(&names, setting->option);
	}
	return names.data;
}

void
braze_sdk_options_web(StringInfo out, const BrazeSettings *settings,
					  const char *indent)
{
	for (int i = 0; i < braze_sdk_options_count; i++)
	{
		const BrazeSdkSetting *setting = &braze_sdk_options_table[i];
		const char *name = setting->web;
		const char *value = value_of(settings, setting);

		if (name == NULL || value == NULL)
			continue;
		if (setting->offset == BRAZE_SETTING(enable_html_in_app_messages) &&
			settings->web_sdk_version.major >= FIRST_JAVASCRIPT)
			name = "allowUserSuppliedJavascript";
		appendStringInfo(out, ",\n%s\"%s\": ", indent, name);
		if (setting->type == BRAZE_SDK_TEXT)
			braze_sdk_options_json(out, value);
		else
			appendStringInfoString(out, value);
	}
}
