/*-------------------------------------------------------------------------
 *
 * sdk_options.h
 *	  The options of a destination that Braze's SDKs know, by their names there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SDK_OPTIONS_H
#define BRAZE_SDK_OPTIONS_H

#include "lib/stringinfo.h"

#include "destination/option_table.h"

typedef enum BrazeSdkSettingType
{
	BRAZE_SDK_BOOLEAN,
	BRAZE_SDK_SECONDS,
	BRAZE_SDK_TEXT,
	BRAZE_SDK_LOG_LEVEL			/* a boolean, and a number on the phones */
} BrazeSdkSettingType;

/* a setting, and what it is called where; NULL: it is not known there */
typedef struct BrazeSdkSetting
{
	const char *option;
	BrazeSdkSettingType type;
	size_t		offset;
	const char *web;
	const char *android;
	const char *ios;
} BrazeSdkSetting;

extern const BrazeSdkSetting braze_sdk_options_table[];
extern const int braze_sdk_options_count;

extern const void *braze_sdk_options_field(const BrazeSettings *settings,
										   const BrazeSdkSetting *setting);

/* a string of JSON that may also stand in a script of an HTML page */
extern void braze_sdk_options_json(StringInfo out, const char *text);

/* the options of the Web SDK's initialize, a pair on each line after a comma */
extern void braze_sdk_options_web(StringInfo out, const BrazeSettings *settings,
								  const char *indent);

/*
 * What is set, differs from the default, and has no counterpart on a platform,
 * whose names are at name_offset: a list of the options' names, empty when
 * there is none.
 */
extern char *braze_sdk_options_left_out(const BrazeSettings *settings, size_t name_offset);

#endif							/* BRAZE_SDK_OPTIONS_H */
