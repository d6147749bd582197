/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Requests that are sent at most once.
 *
 * Their calls are claimed: they leave the queue before anything is sent, so
 * that no later worker finds them there, and go back if nothing was.  Whoever
 * sends asks here, and nobody else asks how a destination is to be sent to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CLAIM_H
#define BRAZE_CLAIM_H

#include "worker/exchange.h"

/* how a request is sent, from now on */
extern void braze_claim_begin(BrazeTransfer *transfer);

/* does it wait for braze_claim_waiting(), which claims its calls? */
extern bool braze_claim_first(BrazeTransfer *transfer);

/* the same of a further part of one that was sent: it cannot go on at once */
extern bool braze_claim_is_missing(const BrazeTransfer *transfer);

/* in how many milliseconds a request may be tried again, 0: now */
extern int64 braze_claim_wait(const BrazeDelivery *delivery, int64 now);

/* how much may go into a request now */
extern void braze_claim_limit(const BrazeDelivery *delivery, BrazeGates *gates);

/*
 * One transaction takes the calls of all requests that wait out of the queue.
 * The requests, linked by next_to_claim, are the caller's from then on; false:
 * their calls are still in the queue.
 */
extern bool braze_claim_waiting(BrazeTransfer **transfers);

/* puts back what is out of the queue and not under way; false: not now */
extern bool braze_claim_release_wanted(void);
extern bool braze_claim_release(void);

#endif							/* BRAZE_CLAIM_H */
