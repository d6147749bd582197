/*-------------------------------------------------------------------------
 *
 * figures.h
 *	  What the worker publishes of a destination, for braze_metrics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_FIGURES_H
#define BRAZE_FIGURES_H

#include "datatype/timestamp.h"

#include "base/histogram.h"

/* as many as the endpoints, kinds and services that braze/ and worker/ know */
#define BRAZE_FIGURE_ENDPOINTS	4
#define BRAZE_FIGURE_KINDS		12
#define BRAZE_FIGURE_SERVICES	2

/* how a request ended */
typedef enum BrazeStatusClass
{
	BRAZE_STATUS_NONE,			/* without a complete answer */
	BRAZE_STATUS_1XX,
	BRAZE_STATUS_2XX,
	BRAZE_STATUS_3XX,
	BRAZE_STATUS_4XX,			/* but 429 */
	BRAZE_STATUS_429,
	BRAZE_STATUS_5XX
} BrazeStatusClass;

#define BRAZE_STATUS_CLASSES	(BRAZE_STATUS_5XX + 1)

/* what only grows: the worker adds to its own, and these to the shared ones */
typedef struct BrazeSums
{
	int64		requests[BRAZE_FIGURE_ENDPOINTS][BRAZE_STATUS_CLASSES];
	int64		objects[BRAZE_FIGURE_KINDS];	/* accepted, of settled calls */
	int64		bytes;			/* of the bodies that were sent */
	BrazeHistogram request_time;
	BrazeHistogram delivery_time;	/* from queued to accepted */
} BrazeSums;

/* how things are */
typedef struct BrazeGauges
{
	int64		held_calls;
	int64		held_bytes;
	int64		claimed_calls;	/* of those, they have left the queue */
	bool		behind;			/* it reads the queue from a cursor of its own */
	int64		oldest_id;		/* of what waits; 0: not known, or nothing */
	TimestampTz oldest_at;
	int64		remaining[BRAZE_FIGURE_SERVICES];	/* requests that Braze
													 * said it takes, -1: it
													 * said nothing */
} BrazeGauges;

#endif							/* BRAZE_FIGURES_H */
