/*-------------------------------------------------------------------------
 *
 * segment_call.h
 *	  A Segment call, read out of jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SEGMENT_CALL_H
#define BRAZE_SEGMENT_CALL_H

#include "utils/jsonb.h"

#include "json/jsonb_walk.h"

/*
 * the fields of the Segment spec; each has one name in camelCase or snake_case
 */
typedef enum BrazeCallField
{
	BRAZE_CALL_TYPE,
	BRAZE_CALL_USER_ID,
	BRAZE_CALL_ANONYMOUS_ID,
	BRAZE_CALL_PREVIOUS_ID,
	BRAZE_CALL_GROUP_ID,
	BRAZE_CALL_EVENT,
	BRAZE_CALL_NAME,
	BRAZE_CALL_CATEGORY,
	BRAZE_CALL_TRAITS,
	BRAZE_CALL_PROPERTIES,
	BRAZE_CALL_CONTEXT,
	BRAZE_CALL_INTEGRATIONS,
	BRAZE_CALL_METADATA,
	BRAZE_CALL_TIMESTAMP,
	BRAZE_CALL_ORIGINAL_TIMESTAMP,
	BRAZE_CALL_SENT_AT,
	BRAZE_CALL_RECEIVED_AT
} BrazeCallField;

#define BRAZE_CALL_FIELDS	(BRAZE_CALL_RECEIVED_AT + 1)

/* what integrations (or context.integrations) say under one of our names */
typedef struct BrazeCallIntegration
{
	bool		refused;		/* false under any of them */
	bool		asked_for;		/* true or an object under any of them */
	bool		all_refused;	/* All is false */
	int			nobjects;
	JsonbContainer *objects[6]; /* those read for ids, in order of preference */
} BrazeCallIntegration;

typedef struct BrazeSegmentCall
{
	JsonbValue	fields[BRAZE_CALL_FIELDS];	/* jbvNull where there is none */
	JsonbContainer *traits;		/* NULL unless they are objects */
	JsonbContainer *properties;
	JsonbContainer *context;
	BrazeCallIntegration integration;
} BrazeSegmentCall;

/*
 * has Braze's SDK in the browser or app
 * sent the call?  Segment notes that in it
 */
extern bool braze_segment_call_is_bundled(const BrazeSegmentCall *call);

/* object: the call's root, which must be an object */
extern void braze_segment_call_read(BrazeSegmentCall *call, JsonbContainer *object);

/* a value inside context, such as context.device; false where there is none */
extern bool braze_segment_call_context(const BrazeSegmentCall *call, const char *key, JsonbValue *value);

/* context.traits, NULL unless they are an object */
extern JsonbContainer *braze_segment_call_context_traits(const BrazeSegmentCall *call);

/* a value inside an object inside context, such as context.location.country */
extern bool braze_segment_call_context_in(const BrazeSegmentCall *call, const char *object,
										  const char *key, JsonbValue *value);

#endif							/* BRAZE_SEGMENT_CALL_H */
