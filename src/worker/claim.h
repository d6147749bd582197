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

#include "worker/exchange_internal.h"

/* how a request is sent, from now on */
extern void braze_claim_begin(BrazeTransfer *transfer);

/* does it wait until its calls have left the queue?  braze_claim_send sends it then */
extern bool braze_claim_first(BrazeTransfer *transfer);

/* the same of a further part of one that was sent: it cannot go on at once */
extern bool braze_claim_is_missing(const BrazeTransfer *transfer);

/* in how many milliseconds a request may be tried again, 0: now */
extern int64 braze_claim_wait(const BrazeDelivery *delivery, int64 now);

/* how much may go into a request now */
extern void braze_claim_limit(const BrazeDelivery *delivery, BrazeGates *gates);

/*
 * Sends the requests that wait, once one transaction has taken the calls of
 * all of them out of the queue; in how many milliseconds to call again, -1 for
 * not before something happens.
 */
extern long braze_claim_send(BrazeHttp *http);

/* before the process ends: what was not sent must not be taken for sent */
extern void braze_claim_cancel_unsent(BrazeHttp *http);

/* puts back what is out of the queue and not under way; false: not now */
extern bool braze_claim_release_wanted(void);
extern bool braze_claim_release(void);

/* a call is settled: it is not under way any more; then, that this is known */
extern void braze_claim_settled(const BrazeCall *call);
extern void braze_claim_publish(void);

#endif							/* BRAZE_CLAIM_H */
