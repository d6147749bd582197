/*-------------------------------------------------------------------------
 *
 * profile_cache.h
 *	  What is remembered of a user: which attributes Braze has, whether
 *	  anything was sent to them, and to whom an alias was given.
 *
 * Plain C.  Attributes are remembered by hashes of their names and values,
 * with a salt that nobody who chooses these can know.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PROFILE_CACHE_H
#define BRAZE_PROFILE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pack/attributes.h"

/*
 * what a user has beyond so many attributes is not remembered, but sent again
 */
#define BRAZE_MAX_ATTRIBUTE_HASHES		5000

typedef struct BrazeAttributeHash
{
	uint64_t	name;
	uint64_t	value;
	uint32_t	hour;			/* since 1970, when Braze accepted it */
} BrazeAttributeHash;

/*
 * An owner is set when Braze has made this identifier somebody's alias.  What
 * was sent to it is the owner's from then on, so that sent becomes false; it is
 * set again by what is sent later.  has_alias stands in the profile of the
 * owner: Braze keeps one alias of a label, so that a further one is merged
 * instead.  It also stands in the profile of the alias that Braze keeps, which
 * never has to be joined with its owner again.  An identify, merge or delete
 * resets the hashes, since nobody knows what Braze has made of the attributes.
 */
typedef struct BrazeProfile
{
	bool		sent;			/* objects were sent under this identifier */
	bool		has_alias;		/* an alias was given to this user, or, with
								 * an owner, it is that alias */
	char	   *owner;			/* malloc'd: the user it was given to, NULL:
								 * none */
	size_t		owner_length;
	uint64_t	salt;			/* of the hashes; drawn by the keeper */
	int			nhashes;
	BrazeAttributeHash *hashes; /* malloc'd, by name */
	uint64_t	known_text;		/* the hash of an object, and how many */
	int			nknown;			/* attributes of it Braze has: all; 0: none */
	bool		dirty;			/* the table does not have this yet, */
	bool		unsettled;		/* and the call that changed it is not settled */
} BrazeProfile;

extern void braze_profile_cache_free(BrazeProfile *profile);

/* the user is somebody else's alias; false: out of memory.  NULL: nobody's */
extern bool braze_profile_cache_set_owner(BrazeProfile *profile, const char *owner, size_t length);
extern bool braze_profile_cache_is_owner(const BrazeProfile *profile, const char *owner, size_t length);

/* nothing is known any more, as after a deletion */
extern void braze_profile_cache_clear(BrazeProfile *profile);

/* it is nobody's, as after a deletion of its owner; was it sent to since? */
extern void braze_profile_cache_take_back(BrazeProfile *profile);

/* no attribute is known any more, as after a merge */
extern void braze_profile_cache_reset(BrazeProfile *profile);

/*
 * Takes out of the fields what Braze has already, unless it is older than
 * max_age hours (0: never too old); returns how many.  A value that overrides
 * another one stays: Braze may have that from a request which nobody could
 * settle, and of which the profile does not know.
 */
extern int	braze_profile_cache_filter(const BrazeProfile *profile, BrazeAttributes *fields,
									   uint32_t hour, uint32_t max_age);

/*
 * An object often says again what the one before said.  The filter has left
 * nothing of the text that was noted last, so that it leaves nothing of it
 * within the same hour, unless what is known has changed.  Returns how many
 * attributes it takes out, 0 when it has to look at them.
 */
extern int	braze_profile_cache_knows_text(const BrazeProfile *profile, const char *json, size_t length,
										   uint32_t hour, uint32_t max_age);
extern void braze_profile_cache_note_text(BrazeProfile *profile, const char *json, size_t length,
										  uint32_t hour, uint32_t max_age, int filtered);

/* is anything left that is worth a request? */
extern bool braze_profile_cache_says_something(const BrazeAttributes *fields);

/*
 * Braze has accepted these; false: out of memory.  What the filter would have
 * taken out was not sent, so that it keeps the hour when it was.
 */
extern bool braze_profile_cache_accepted(BrazeProfile *profile, const BrazeAttributes *fields,
										 uint32_t hour, uint32_t max_age);

/*
 * The attributes and their salt as bytes for the table, in an order that all
 * machines share: the size, the bytes, and back (false: no memory).
 */
extern size_t braze_profile_cache_size(const BrazeProfile *profile);
extern void braze_profile_cache_write(const BrazeProfile *profile, void *to);
extern bool braze_profile_cache_read(BrazeProfile *profile, const void *from, size_t length);

#endif							/* BRAZE_PROFILE_CACHE_H */
