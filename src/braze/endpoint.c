/*-------------------------------------------------------------------------
 *
 * endpoint.c
 *	  Braze's endpoints and the arrays that their requests are made of.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/endpoint.h"
#include "braze/limits.h"

const BrazeKindInfo braze_kinds[BRAZE_KINDS] = {
	[BRAZE_ATTRIBUTES] = {"attributes", BRAZE_USERS_TRACK},
	[BRAZE_EVENTS] = {"events", BRAZE_USERS_TRACK},
	[BRAZE_PURCHASES] = {"purchases", BRAZE_USERS_TRACK},
	[BRAZE_ALIASES_TO_IDENTIFY] = {"aliases_to_identify", BRAZE_USERS_IDENTIFY},
	[BRAZE_EMAILS_TO_IDENTIFY] = {"emails_to_identify", BRAZE_USERS_IDENTIFY},
	[BRAZE_PHONE_NUMBERS_TO_IDENTIFY] = {"phone_numbers_to_identify", BRAZE_USERS_IDENTIFY},
	[BRAZE_MERGE_UPDATES] = {"merge_updates", BRAZE_USERS_MERGE},
	[BRAZE_DELETE_EXTERNAL_IDS] = {"external_ids", BRAZE_USERS_DELETE},
	[BRAZE_DELETE_USER_ALIASES] = {"user_aliases", BRAZE_USERS_DELETE},
	[BRAZE_DELETE_BRAZE_IDS] = {"braze_ids", BRAZE_USERS_DELETE},
	[BRAZE_DELETE_EMAIL_ADDRESSES] = {"email_addresses", BRAZE_USERS_DELETE},
	[BRAZE_DELETE_PHONE_NUMBERS] = {"phone_numbers", BRAZE_USERS_DELETE},
};

const BrazeEndpointInfo braze_endpoints[BRAZE_ENDPOINTS] = {
	/* the destination's max_objects_per_request may replace this limit */
	[BRAZE_USERS_TRACK] = {"/users/track", "users.track", BRAZE_LIMIT_TRACK_OBJECTS, 0},
	[BRAZE_USERS_IDENTIFY] = {"/users/identify", "users.identify", BRAZE_LIMIT_IDENTITY_OBJECTS, 0},
	[BRAZE_USERS_MERGE] = {"/users/merge", "users.merge", BRAZE_LIMIT_IDENTITY_OBJECTS, 0},
	[BRAZE_USERS_DELETE] = {"/users/delete", "users.delete", BRAZE_LIMIT_IDENTITY_OBJECTS, 1},
};
