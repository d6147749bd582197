/*-------------------------------------------------------------------------
 *
 * endpoint.h
 *	  Braze's endpoints and the arrays that their requests are made of.
 *
 * Plain C: packing and answers, which know nothing of the server, share it
 * with the mapping.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ENDPOINT_H
#define BRAZE_ENDPOINT_H

typedef enum BrazeEndpoint
{
	BRAZE_USERS_TRACK,
	BRAZE_USERS_IDENTIFY,
	BRAZE_USERS_MERGE,
	BRAZE_USERS_DELETE
} BrazeEndpoint;

#define BRAZE_ENDPOINTS		(BRAZE_USERS_DELETE + 1)

/*
 * One kind per array.  Within an endpoint the order is the one in which Braze
 * applies the arrays of a request, so it may be compared.
 */
typedef enum BrazeKind
{
	BRAZE_ATTRIBUTES,
	BRAZE_EVENTS,
	BRAZE_PURCHASES,
	BRAZE_ALIASES_TO_IDENTIFY,
	BRAZE_EMAILS_TO_IDENTIFY,
	BRAZE_PHONE_NUMBERS_TO_IDENTIFY,
	BRAZE_MERGE_UPDATES,
	BRAZE_DELETE_EXTERNAL_IDS,
	BRAZE_DELETE_USER_ALIASES,
	BRAZE_DELETE_BRAZE_IDS,
	BRAZE_DELETE_EMAIL_ADDRESSES,
	BRAZE_DELETE_PHONE_NUMBERS
} BrazeKind;

#define BRAZE_KINDS			(BRAZE_DELETE_PHONE_NUMBERS + 1)

typedef struct BrazeKindInfo
{
	const char *array;			/* the array's name in the request */
	BrazeEndpoint endpoint;
} BrazeKindInfo;

typedef struct BrazeEndpointInfo
{
	const char *path;
	const char *permission;		/* that the REST API key needs */
	int			max_objects;	/* Braze's limit for one request */
	int			one_kind;		/* must a request hold one array only? */
} BrazeEndpointInfo;

/*
 * which of several profiles with one email or
 * phone is meant, as a member of an object
 */
#define BRAZE_PRIORITIZATION \
	",\"prioritization\":[\"unidentified\",\"most_recently_updated\"]"

extern const BrazeKindInfo braze_kinds[BRAZE_KINDS];
extern const BrazeEndpointInfo braze_endpoints[BRAZE_ENDPOINTS];

#endif							/* BRAZE_ENDPOINT_H */
