/*-------------------------------------------------------------------------
 *
 * sdk_segment.h
 *	  The settings document that Segment's analytics.js fetches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SDK_SEGMENT_H
#define BRAZE_SDK_SEGMENT_H

#include "lib/stringinfo.h"

#include "destination/option_table.h"

typedef struct BrazeSegmentDocument
{
	const char *app_identifier;
	const char *endpoint;		/* as the version of the SDK wants it */
	const char *write_key;
	const BrazeSettings *settings;
} BrazeSegmentDocument;

extern void braze_sdk_segment_print(StringInfo out, const BrazeSegmentDocument *document);

#endif							/* BRAZE_SDK_SEGMENT_H */
