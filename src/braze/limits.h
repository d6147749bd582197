/*-------------------------------------------------------------------------
 *
 * limits.h
 *	  The numbers that Braze sets, each with the page that has it.
 *
 * The pages are those of https://www.braze.com/docs, by their titles.  What is
 * not here is a choice of ours.  The limit for names, 255 characters, is
 * BRAZE_MAX_NAME in json/json_write.h, which writes them and must not know
 * Braze.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_LIMITS_H
#define BRAZE_LIMITS_H

/* ----- requests ----- */

/*
 * Objects of a request to /users/track, over its three arrays.  "Rate limits".
 * Workspaces with an older contract may have as many in each array.
 */
#define BRAZE_LIMIT_TRACK_OBJECTS			75
#define BRAZE_LIMIT_TRACK_OBJECTS_LEGACY	(3 * BRAZE_LIMIT_TRACK_OBJECTS)

/* Items of a request.  "Identify users", "Merge users", "Delete users" */
#define BRAZE_LIMIT_IDENTITY_OBJECTS		50

/*
 * Bytes of a body; over it Braze answers 413.  "User data endpoints" says 4 MB,
 * not which, so that this is the smaller one.
 */
#define BRAZE_LIMIT_BODY					4000000

/*
 * Requests a minute to the identity endpoints (/users/identify, merge, delete
 * and alias) together.  "Rate limits"
 */
#define BRAZE_LIMIT_IDENTITY_PER_MINUTE		20000

/* ----- users ----- */

/* Bytes.  "User attributes object" */
#define BRAZE_LIMIT_EXTERNAL_ID				987

/* Bytes, of the name and of the label each.  "User attributes object" */
#define BRAZE_LIMIT_ALIAS					236

/* Characters of image_url.  "User attributes object" */
#define BRAZE_LIMIT_IMAGE_URL				1024

/* Bytes of the id of a push token's device.  "Push token migration" */
#define BRAZE_LIMIT_DEVICE_ID_MIN			8
#define BRAZE_LIMIT_DEVICE_ID				255

/*
 * Bytes of a nested attribute or an array
 * of objects.  "Nested custom attributes"
 */
#define BRAZE_LIMIT_ATTRIBUTE				102400

/* Values of an array; Braze keeps the newest.  "Custom attributes" */
#define BRAZE_LIMIT_ARRAY_VALUES			500

/* ----- events and purchases ----- */

/* Bytes of an event's properties.  "Event object" */
#define BRAZE_LIMIT_EVENT_PROPERTIES		102400

/* Bytes of a purchase's properties.  "Purchase object" */
#define BRAZE_LIMIT_PURCHASE_PROPERTIES		51200

/*
 * Properties of an event or purchase; Braze
 * ignores more.  "Custom event properties"
 */
#define BRAZE_LIMIT_PROPERTIES				256

/* Characters.  "Purchase object" */
#define BRAZE_LIMIT_PRODUCT_ID				255

/* The quantity of one purchase object.  "Purchase object" */
#define BRAZE_LIMIT_QUANTITY				100

#endif							/* BRAZE_LIMITS_H */
