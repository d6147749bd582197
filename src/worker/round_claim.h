/*-------------------------------------------------------------------------
 *
 * round_claim.h
 *	  The worker's transactions before what is sent at most once, and after
 *	  what was not sent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_CLAIM_H
#define BRAZE_ROUND_CLAIM_H

#include "worker/delivery.h"

/*
 * Takes the calls of the requests that were added out of the queue.  What is
 * not there any more, or locked, is left out of its request; see
 * braze_request_progress_next.  False: nothing has happened, try again later.
 */
extern void braze_round_claim_add(BrazeDelivery *delivery, BrazeRequest *request);
extern bool braze_round_claim(void);

/* puts the calls that were added back; false: nothing has happened */
extern void braze_round_claim_add_release(BrazeDelivery *delivery, BrazeCall *call);
extern bool braze_round_claim_release(void);

#endif							/* BRAZE_ROUND_CLAIM_H */
