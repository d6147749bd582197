/*-------------------------------------------------------------------------
 *
 * map.h
 *	  What a Segment call becomes at Braze.
 *
 * The mapping depends on the call and the settings alone, writes JSON text
 * straight from jsonb, and never raises an error because of the data.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_MAP_H
#define BRAZE_MAP_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "base/call_kind.h"
#include "braze/endpoint.h"
#include "destination/destination_settings.h"

typedef enum BrazeOutcome
{
	BRAZE_SEND,
	BRAZE_SKIP,
	BRAZE_REJECT
} BrazeOutcome;

/* a run of bytes in BrazeMapped.text */
typedef struct BrazeSpan
{
	int			offset;
	int			length;
} BrazeSpan;

/* one element of one of Braze's arrays */
typedef struct BrazeObject
{
	BrazeKind	kind;
	BrazeSpan	json;
	BrazeSpan	name;			/* of an event or product, within json, as
								 * JSON has it, without quotes; else empty */
} BrazeObject;

/* one sentence saying what was left out or changed, and why */
typedef struct BrazeNote
{
	int			object;			/* the object it is about, 0 for the whole
								 * call */
	BrazeSpan	sentence;
} BrazeNote;

/*
 * A user that the call is about, by one of its identifiers.  The text is the
 * JSON of the identifier as it stands in an object, without braces, such as
 * "external_id":"u1".  Two calls with the same text go to the same user, so
 * the order between them is kept.
 */
typedef struct BrazeUser
{
	BrazeSpan	json;
	int			link;			/* the kind of identity object that makes it
								 * one with the first user, -1: none */
} BrazeUser;

#define BRAZE_USERS_PER_CALL	4

/*
 * The result.  The arrays and the text are kept and reused from call to call;
 * map a second call into it and what it held before is gone.
 */
typedef struct BrazeMapped
{
	BrazeOutcome outcome;
	int			nobjects;
	int			nnotes;
	int			nusers;
	BrazeObject *objects;		/* in the order of the call's own lists */
	BrazeNote  *notes;
	BrazeUser	users[BRAZE_USERS_PER_CALL];
	StringInfoData text;
	int			maxobjects;
	int			maxnotes;
	MemoryContext context;		/* owns all of the above */

	/*
	 * Set by who wants only the outcome, and why a call is rejected: free
	 * properties decide neither, and writing them is half of the work.
	 */
	bool		judging;
} BrazeMapped;

/* allocates in the current memory context */
extern BrazeMapped *braze_map_create(void);

/*
 * Maps one call.  queued_at stands in for the time of a call that carries
 * none; now is the time at which it would be sent, for max_attribute_age.
 * Temporary memory comes from the current memory context, which the caller
 * resets when it likes.
 */
extern void braze_map_call(Jsonb *call, BrazeCallKind kind,
						   const BrazeSettings *settings, TimestampTz queued_at,
						   TimestampTz now, BrazeMapped *mapped);

/*
 * The number that an object has in the tables.  Purchases begin at 1, so that
 * they keep theirs where options put an event before them or take it away.
 */
static inline int
braze_map_number(const BrazeMapped *mapped, int index)
{
	return index + (mapped->objects[0].kind == BRAZE_PURCHASES ? 1 : 0);
}

/* the index of the object with this number, -1: the call has none */
extern int	braze_map_find_object(const BrazeMapped *mapped, int number);

/*
 * The numbers that a retried call names are those of the options of then; a
 * call that has no such objects by now must not end as if it were sent.
 */
#define BRAZE_OTHER_OBJECTS \
	"The call becomes other objects by now: the destination's options were changed " \
	"since some of them were rejected. To send all, set objects to null and retry it."

/* all sentences, one after the other; palloc'd */
extern char *braze_mapping_note_joined(const BrazeMapped *mapped);

extern bool braze_map_has_objects(const BrazeMapped *mapped, const int *numbers, int nnumbers);

#endif							/* BRAZE_MAP_H */
