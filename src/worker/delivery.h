/*-------------------------------------------------------------------------
 *
 * delivery.h
 *	  The worker's side of one destination: from a row of the queue to a
 *	  request, and from an answer to calls that are done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_H
#define BRAZE_DELIVERY_H

#include "base/attempt.h"
#include "base/clock.h"
#include "base/shmem.h"
#include "base/size_counter.h"
#include "braze/bucket.h"
#include "braze/http.h"
#include "braze/outage.h"
#include "braze/pace.h"
#include "braze/refusal_rate.h"
#include "destination/destination.h"
#include "map/map.h"
#include "pack/pack.h"
#include "pack/tally.h"
#include "store/attribute_period.h"
#include "store/reader.h"

/*
 * Braze runs and counts /users/track and the identity endpoints apart: what
 * goes wrong with one says nothing of the other.
 */
typedef enum BrazeService
{
	BRAZE_TRACK_SERVICE,
	BRAZE_IDENTITY_SERVICE
} BrazeService;

#define BRAZE_SERVICES	(BRAZE_IDENTITY_SERVICE + 1)

/* of its pauses, what braze_paused does not say yet */
typedef struct BrazeUnwritten
{
	bool		pause;			/* by an answer */
	bool		closed[BRAZE_ENDPOINTS];	/* the same of one endpoint */
	bool		lift;			/* those that are there are over */
} BrazeUnwritten;

typedef struct BrazeDelivery
{
	NameData	name;
	BrazeDestination *destination;	/* NULL: there is no such server now */
	bool		at_work;		/* see deliveries.h */
	bool		known;			/* there was one since the worker started */
	bool		taking_over;	/* a change of it, until a refresh has
								 * committed */
	BrazePack  *pack;
	BrazeTally *tally;			/* what was delivered and is not saved; NULL:
								 * nothing yet */
	bool		at_most_once;
	BrazePace	pace[BRAZE_SERVICES];
	BrazeOutage outage;			/* what the log says of it */
	BrazeBucket requests;		/* max_requests_per_second, */
	BrazeBucket identity_requests;	/* and what Braze allows of these */
	BrazeHttpTarget *target;	/* NULL: no usable key, see paused */
	uint64		target_number;	/* an answer may be to an earlier one */
	char	   *key;
	char	   *paused;			/* why nothing is sent, NULL: it is */
	bool		pauses_known;	/* braze_paused was read since it is there */
	bool		started;		/* it was, when braze_started was last read */
	bool		not_started;	/* paused because nobody started it here */
	char	   *closed[BRAZE_ENDPOINTS];	/* why nothing goes to this
											 * endpoint */
	BrazeUnwritten unwritten;	/* as of the last refresh that committed, */
	BrazeUnwritten unwritten_after; /* and of the one under way */
	BrazeBackoff pause_backoff; /* when the table could not be written */
	const BrazeAttributePeriod *period;
	bool		period_set;		/* by the refresh under way, see
								 * attribute_period.h */
	BrazeBackoff period_backoff;
	BrazeRefusalRate refusals;
	int			transfers;		/* requests at curl */
	int			unanswered;		/* the most of them lately, just after answers
								 * were taken */
	int			unsettled;		/* requests answered since the last settle */
	int			fresh;			/* calls that the next settle tries */
	int64		turn;			/* place of its next call among those of
								 * others */
	int			stuck;			/* calls that could not be settled, */
	int			stuck_objects;	/* and how much of them was sent */
	const char *locked;			/* what they wait for, NULL: no lock */
	int			claimed;		/* calls that are dead letters while they are
								 * under way */
	bool		claim_failed;	/* nor could calls leave the queue to be sent */
	int64		claim_locked;	/* since when a lock keeps them, 0: none does */
	BrazeBackoff left_alone;	/* see delivery_stuck.h */
	char		stuck_problem[BRAZE_REASON_SIZE];	/* why, empty: nobody need
													 * know */

	/*
	 * A destination that cannot take its calls falls behind the reader: it
	 * has consumed its rows up to cursor, later ones only if it holds them.
	 * It may hold calls that are ahead of the reader, too, when that starts
	 * over.  These are in held, whether it is behind or not: it may catch up
	 * before the reader comes by them.
	 */
	const char *unreadable;		/* what of its calls cannot be read now, NULL:
								 * nothing */
	int64		failing_id;		/* the call that made the last read of it
								 * fail, */
	int			failures;		/* how often in a row, */
	char	   *failing_reason; /* why, */
	int64		failing_until;	/* and when it is tried again */
	int64		read_ms;		/* what its calls have taken of the read under
								 * way */
	bool		behind;
	int64		cursor;
	uint64		pass;			/* over the backlogs in which it takes part */
	BrazeHeld  *held;			/* malloc'd, ascending */
	int			nheld;
	BrazeHeld  *listed;			/* the same, of all calls, for the read under
								 * way */
	int			nlisted;
	Size		counted_memory; /* what the pack held when it was last looked
								 * at */

	BrazeSizeCounter *size;		/* of what is queued for it; NULL: its place
								 * was freed */

	int64		counts[BRAZE_COUNTERS]; /* since the slot in shared memory was
										 * last brought up to date, */
	BrazeSums	sums;			/* and so are these */
	BrazeGauges gauges;			/* as last published */
	int64		next_look;		/* when the calls that are held are looked at */
	int64		held_id;		/* the oldest of them, 0: not known */
	TimestampTz held_at;
	int64		passed_id;		/* the first that was passed over since it is
								 * behind, 0: not known */
	TimestampTz passed_at;
	TimestampTz last_success;	/* since then, 0: none */
	TimestampTz last_error_at;
	char		last_error[BRAZE_REASON_SIZE];
	bool		changed;		/* the slot in shared memory is out of date */
	bool		resumed;		/* its pause has ended since somebody looked */
} BrazeDelivery;

extern void braze_delivery_init(void);

/* takes a row: maps it and packs its objects */
extern void braze_delivery_take(BrazeDelivery *delivery, const BrazeQueueRow *row);

/* the same for a row that cannot be mapped */
extern void braze_delivery_reject(BrazeDelivery *delivery,
								  const BrazeQueueRow *row, const char *reason);

/* the id of a deferred call to take again, 0: none */
extern int64 braze_delivery_wanted(BrazeDelivery *delivery);

/* may it be given calls at all: is it known, and not paused? */
extern bool braze_delivery_open(const BrazeDelivery *delivery);

/* and can they be read now? */
extern bool braze_delivery_can_take(const BrazeDelivery *delivery);

/* what was taken out of the queue is not sent, as far as it is not under way */
extern void braze_delivery_drop_gone(BrazeDelivery *delivery, BrazeGone gone, void *arg);

/* one of its calls is done and settled */
extern void braze_delivery_settled(BrazeDelivery *delivery, const BrazeCall *call);

/* one that was claimed is with the worker no more, or back in the queue */
extern void braze_delivery_end_flight(void *delivery, int flight);

extern void braze_delivery_report(BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_H */
