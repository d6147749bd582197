/*-------------------------------------------------------------------------
 *
 * option_values.c
 *	  What an option can be set to, in words for people.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/name_list.h"
#include "destination/datacenter.h"
#include "destination/option_number.h"
#include "destination/option_values.h"

char	   *
braze_option_values_choices(const BrazeChoice *choices)
{
	StringInfoData names;

	initStringInfo(&names);
	for (; choices->name; choices++)
		braze_name_list_add(&names, choices->name);
	return names.data;
}

const char *
braze_option_values_type(const BrazeOption *option)
{
	switch (option->type)
	{
		case BRAZE_OPTION_BOOLEAN:
			return "boolean";
		case BRAZE_OPTION_INTEGER:
			return "integer";
		case BRAZE_OPTION_DURATION:
			return "duration";
		case BRAZE_OPTION_INTERVAL:
			return "interval";
		case BRAZE_OPTION_SIZE:
			return "size";
		case BRAZE_OPTION_RATE:
			return "number";
		case BRAZE_OPTION_ENUM:
		case BRAZE_OPTION_DATACENTER:
			return "enum";
		case BRAZE_OPTION_SET:
		case BRAZE_OPTION_IDENTIFIERS:
		case BRAZE_OPTION_NAMES:
			return "list";
		case BRAZE_OPTION_TEXT:
		case BRAZE_OPTION_CURRENCY:
		case BRAZE_OPTION_SECRET:
		case BRAZE_OPTION_SDK_VERSION:
			return "text";
		case BRAZE_OPTION_ENDPOINT:
		case BRAZE_OPTION_SDK_ENDPOINT:
			return "URL";
		case BRAZE_OPTION_PATH:
			return "path";
	}
	pg_unreachable();
}

const char *
braze_option_values(const BrazeOption *option)
{
	switch (option->type)
	{
		case BRAZE_OPTION_BOOLEAN:
			return "true, false";
		case BRAZE_OPTION_INTEGER:
			return psprintf("%d to %d", option->min, option->max);
		case BRAZE_OPTION_DURATION:
		case BRAZE_OPTION_INTERVAL:
		case BRAZE_OPTION_SIZE:
		case BRAZE_OPTION_RATE:
			return psprintf("%s%s", braze_option_number_may_be_off(option) ? "off, " : "",
							braze_option_number_range(option));
		case BRAZE_OPTION_ENUM:
		case BRAZE_OPTION_SET:
		case BRAZE_OPTION_IDENTIFIERS:
			return braze_option_values_choices(option->choices);
		case BRAZE_OPTION_NAMES:
			return "names separated by commas";
		case BRAZE_OPTION_TEXT:
			return psprintf("%d to %d bytes", option->min, option->max);
		case BRAZE_OPTION_CURRENCY:
			return "ISO 4217 code";
		case BRAZE_OPTION_DATACENTER:
			return braze_datacenter_names();
		case BRAZE_OPTION_ENDPOINT:
		case BRAZE_OPTION_SDK_ENDPOINT:
			return "host or https URL; http for loopback hosts";
		case BRAZE_OPTION_SDK_VERSION:
			return "2 or higher";
		case BRAZE_OPTION_PATH:
			return "absolute path";
		case BRAZE_OPTION_SECRET:
			return psprintf("1 to %d ASCII characters", option->max);
	}
	pg_unreachable();
}
