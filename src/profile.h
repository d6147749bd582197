/*-------------------------------------------------------------------------
 *
 * profile.h
 *	  What is remembered of a user: which attributes Braze has, whether
 *	  anything was sent to him, and to whom an alias was given.
 *
 * Plain C.  Attributes are remembered by hashes of their names and values:
 * two values that share one are one in 2^64.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PROFILE_H
#define BRAZE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attributes.h"

typedef struct BrazeKnown
{
	uint64_t	name;
	uint64_t	value;
	uint32_t	hour;			/* since 1970, when Braze accepted it */
} BrazeKnown;

typedef struct BrazeProfile
{
	bool		sent;			/* objects were sent under this identifier */
	bool		has_alias;		/* an alias was given to this user */
	uint64_t	owner;			/* of the user it was given to, 0: to none */
	int			nknown;
	int			maxknown;
	BrazeKnown *known;			/* malloc'd, by name */
	bool		dirty;			/* the table does not have this yet */
} BrazeProfile;

extern uint64_t braze_hash(const char *data, size_t length);

extern void braze_profile_free(BrazeProfile *profile);

/* forgets the attributes, as after a merge */
extern void braze_profile_forget(BrazeProfile *profile);

/*
 * Takes out of the fields what Braze has already, unless it is older than
 * max_age hours (0: never too old); returns how many.  A value that overrides
 * another one stays: Braze may have that from a request which nobody could
 * settle, and of which the profile does not know.
 */
extern int	braze_profile_filter(const BrazeProfile *profile, BrazeFields *fields,
								 uint32_t hour, uint32_t max_age);

/* is anything left that is worth a request? */
extern bool braze_fields_say_something(const BrazeFields *fields);

/* Braze has accepted these; false: out of memory */
extern bool braze_profile_accepted(BrazeProfile *profile, const BrazeFields *fields,
								   uint32_t hour);

/* as bytes for the table; the size, the bytes, and back (false: no memory) */
#define BRAZE_KNOWN_SIZE		20

extern void braze_profile_write(const BrazeProfile *profile, char *to);
extern bool braze_profile_read(BrazeProfile *profile, const char *from, size_t length);

#endif							/* BRAZE_PROFILE_H */
