/*-------------------------------------------------------------------------
 *
 * sdk_version.c
 *	  Versions of Braze's Web SDK.
 *
 * Braze's CDN has a directory for each major and minor version.  A major
 * version alone is its last minor one, as it was in Segment's own setting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "destination/option_text.h"
#include "destination/sdk_version.h"

/* the last minor version of each major one; the first of them is 2 */
static const int last_minors[] = {7, 5, 10, 9, 13};

#define FIRST_MAJOR		2

/* a number of at most three digits */
static bool
read_part(const char **text, int *number)
{
	int			digits = 0;

	*number = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++)
	{
		if (++digits > 3)
			return false;
		*number = *number * 10 + (**text - '0');
	}
	return digits > 0;
}

const char *
braze_sdk_version_parse(const char *value, BrazeSdkVersion *result)
{
	const char *text = braze_option_text_trimmed(value);
	BrazeSdkVersion version;
	int			patch;

	if (!read_part(&text, &version.major))
		return "Valid values are versions such as " BRAZE_NEWEST_SDK ".";
	if (version.major < FIRST_MAJOR)
		return "Versions before 2 are not supported by Braze any more.";

	/*
	 * A major version alone means its last minor one.  Of a major version
	 * newer than this library that is not known.
	 */
	if (*text == '\0')
	{
		if (version.major >= FIRST_MAJOR + lengthof(last_minors))
			return psprintf("Add the minor version, such as %d.0.", version.major);
		version.minor = last_minors[version.major - FIRST_MAJOR];
	}
	else if (*text++ != '.' || !read_part(&text, &version.minor) ||
			 (*text != '\0' && (*text++ != '.' || !read_part(&text, &patch) || *text != '\0')))
		return "Valid values are versions such as " BRAZE_NEWEST_SDK ".";
	*result = version;
	return NULL;
}
