/*-------------------------------------------------------------------------
 *
 * answer.h
 *	  Braze's answer to a request, turned into a verdict.
 *
 * Plain C and json-c; knows nothing of the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ANSWER_H
#define BRAZE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "braze/endpoint.h"

typedef enum BrazeVerdict
{
	BRAZE_ACCEPTED,				/* all objects but those in errors[] */
	BRAZE_SOME_REFUSED,			/* only errors[] are judged; send the others
								 * again */
	BRAZE_REFUSED_WHOLE,		/* malformed or too large: halve it */
	BRAZE_STOPPED,				/* key, permission or endpoint: pause */
	BRAZE_SLOW_DOWN,			/* over the rate limit */
	BRAZE_FAILED				/* passing fault, or not understood: again */
} BrazeVerdict;

/* room for what Braze says of one object, or of the whole request */
#define BRAZE_REASON_SIZE	256

typedef struct BrazeObjectError
{
	BrazeKind	kind;
	int			index;			/* within its array as sent */
	char		reason[BRAZE_REASON_SIZE];	/* valid UTF-8 */
} BrazeObjectError;

/* what the request held: an answer can name only what was sent */
typedef struct BrazeSent
{
	BrazeEndpoint endpoint;
	int			counts[BRAZE_KINDS];
} BrazeSent;

typedef struct BrazeAnswer
{
	BrazeVerdict verdict;
	bool		in_doubt;		/* FAILED, and Braze may have accepted it */

	/*
	 * For logs, the status and the dead letters of a request refused whole;
	 * valid UTF-8.  Empty when there is nothing to say: an accepted request
	 * has a reason only if Braze complained without saying of which object.
	 */
	char		reason[BRAZE_REASON_SIZE];
	int			nerrors;		/* 0 unless ACCEPTED or SOME_REFUSED */
	BrazeObjectError *errors;	/* malloc'd, one per refused object */
} BrazeAnswer;

/*
 * status 0 means that no complete answer came; transport_error then says why,
 * and unsent that nothing of the request was written to anybody.
 * body need not be terminated, and may be NULL when length is 0.  truncated
 * says that the answer was longer than what is in body.
 *
 * Returns false when out of memory.
 */
extern bool braze_answer_read(BrazeAnswer *answer, const BrazeSent *sent,
							  long status, const char *body, size_t length,
							  bool truncated, const char *transport_error,
							  bool unsent);
extern void braze_answer_free(BrazeAnswer *answer);

#endif							/* BRAZE_ANSWER_H */
