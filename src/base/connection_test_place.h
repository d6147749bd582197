/*-------------------------------------------------------------------------
 *
 * connection_test_place.h
 *	  What a session asks of the worker with braze_test, and its findings.
 *
 * There is one place per database, so that one test runs at a time.  A session
 * takes it, says what it wants and sets the worker's latch; the worker leaves
 * its findings, and the session gives the place back.  All of it is under
 * BrazeShared.lock, but that the worker looks at wanted without it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CONNECTION_TEST_PLACE_H
#define BRAZE_CONNECTION_TEST_PLACE_H

#include "datatype/timestamp.h"

#define BRAZE_TEST_REASON_SIZE	256

/* at least as many as Braze's endpoints that are known here */
#define BRAZE_TEST_ENDPOINTS	4

/* what came of the request to one endpoint */
typedef struct BrazeTestAnswer
{
	bool		asked;
	int			http_status;	/* 0: there was no answer */
	char		reason[BRAZE_TEST_REASON_SIZE]; /* Braze's words, or why not */
} BrazeTestAnswer;

typedef struct BrazeTestFindings
{
	bool		done;
	char		problem[BRAZE_TEST_REASON_SIZE];	/* why the server could
													 * not be read, empty: it
													 * was */
	bool		unknown;		/* the worker sees no such server */
	char		key_problem[BRAZE_TEST_REASON_SIZE];	/* empty: there is none */
	bool		deliver;		/* as the worker has segment_braze.deliver */

	/* of the request to /users/track, which has a connection of its own */
	bool		plain;			/* http, to this machine */
	bool		resolved;
	bool		connected;
	bool		secured;
	TimestampTz certificate_ends;	/* 0: not known */
	int64		answer_ms;
	bool		has_date;		/* of the answer, */
	int64		clock_ahead_ms; /* and how much it is ahead of our clock */
	int64		remaining;		/* requests in Braze's limit, -1: not said */

	BrazeTestAnswer answers[BRAZE_TEST_ENDPOINTS];
} BrazeTestFindings;

typedef struct BrazeConnectionTestPlace
{
	int			by;				/* pid of the session, 0: the place is free */
	uint32		number;			/* of the test; findings of an earlier one are
								 * nobody's */
	bool		wanted;			/* the worker has yet to begin */
	NameData	destination;
	uint32		endpoints;		/* a bit for each that the settings need */
	BrazeTestFindings findings;
} BrazeConnectionTestPlace;

#endif							/* BRAZE_CONNECTION_TEST_PLACE_H */
