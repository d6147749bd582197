/*-------------------------------------------------------------------------
 *
 * sdk_version.h
 *	  Versions of Braze's Web SDK.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SDK_VERSION_H
#define BRAZE_SDK_VERSION_H

#include "destination/destination_settings.h"

/* the last version whose options are known here */
#define BRAZE_NEWEST_SDK	"6.13"

/* returns NULL, or a sentence that says which values are valid */
extern const char *braze_sdk_version_parse(const char *value, BrazeSdkVersion *result);

#endif							/* BRAZE_SDK_VERSION_H */
