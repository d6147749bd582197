/*-------------------------------------------------------------------------
 *
 * traits.h
 *	  Braze's own profile fields, and how a value is made fit for each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRAITS_H
#define BRAZE_TRAITS_H

#include "map/map_internal.h"

typedef enum BrazeField
{
	BRAZE_FIELD_FIRST_NAME,
	BRAZE_FIELD_LAST_NAME,
	BRAZE_FIELD_EMAIL,
	BRAZE_FIELD_PHONE,
	BRAZE_FIELD_DOB,
	BRAZE_FIELD_GENDER,
	BRAZE_FIELD_HOME_CITY,
	BRAZE_FIELD_COUNTRY,
	BRAZE_FIELD_LANGUAGE,
	BRAZE_FIELD_TIME_ZONE,
	BRAZE_FIELD_IMAGE_URL,
	BRAZE_FIELD_CURRENT_LOCATION,
	BRAZE_FIELD_EMAIL_SUBSCRIBE,
	BRAZE_FIELD_PUSH_SUBSCRIBE,
	BRAZE_FIELD_EMAIL_OPEN_TRACKING_DISABLED,
	BRAZE_FIELD_EMAIL_CLICK_TRACKING_DISABLED,
	BRAZE_FIELD_DATE_OF_FIRST_SESSION,
	BRAZE_FIELD_DATE_OF_LAST_SESSION,
	BRAZE_FIELD_MARKED_EMAIL_AS_SPAM_AT,
	BRAZE_FIELD_SUBSCRIPTION_GROUPS,
	BRAZE_FIELD_PUSH_TOKENS,
	BRAZE_FIELD_FACEBOOK,
	BRAZE_FIELD_TWITTER,
	BRAZE_FIELD_MERGE_OBJECTS
} BrazeField;

#define BRAZE_FIELDS	(BRAZE_FIELD_MERGE_OBJECTS + 1)

/*
 * Writes the value as the field needs it.  Returns false, with a note, when
 * the value does not fit this field; what is written by then is taken back.
 */
typedef bool (*BrazeFieldWriter) (BrazeMap *map, BrazeString trait, const JsonbValue *value);

typedef struct BrazeFieldInfo
{
	const char *name;
	BrazeFieldWriter write;
	bool		nullable;		/* null removes it from the profile */
} BrazeFieldInfo;

extern const BrazeFieldInfo braze_fields[BRAZE_FIELDS];

/* what a trait's name means */
typedef enum BrazeTraitUse
{
	BRAZE_TRAIT_PREFERRED,		/* Segment's name of a field: beats Braze's
								 * own */
	BRAZE_TRAIT_FIELD,			/* Braze's own name of the field */
	BRAZE_TRAIT_ADDRESS,
	BRAZE_TRAIT_CONSUMED,		/* says what the call says elsewhere */
	BRAZE_TRAIT_REFUSED,		/* would be a second identifier, or a switch */
	BRAZE_TRAIT_CUSTOM
} BrazeTraitUse;

typedef struct BrazeTrait
{
	const char *name;
	BrazeTraitUse use;
	BrazeField	field;			/* of the first two */
} BrazeTrait;

/* the entry of this name; one with BRAZE_TRAIT_CUSTOM for all others */
extern const BrazeTrait *braze_traits_find(BrazeString name);

/* ---- subscription.c ---- */

/* "opted_in", "subscribed" or "unsubscribed", in any spelling; NULL: neither */
extern const char *braze_subscription_state(const JsonbValue *value);

/*
 * The state of a subscription group, "subscribed" or "unsubscribed", under one
 * of the names that it may have in an object; NULL where it is neither.  False
 * when the object has none of the names.
 */
extern bool braze_subscription_group_state(JsonbContainer *object, const char **state);
extern bool braze_subscription_is_key(BrazeString key);

#endif							/* BRAZE_TRAITS_H */
