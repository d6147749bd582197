/*-------------------------------------------------------------------------
 *
 * round_tally.h
 *	  What was delivered is added up, and the sums are written now and then.
 *
 * A call is added once the settle that took it out of the queue has committed,
 * so that nothing counts twice.  The sums are written a second later at most:
 * a kill loses what was settled within it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_TALLY_H
#define BRAZE_ROUND_TALLY_H

#include "worker/delivery.h"

/* a call that is settled, and a request that Braze has answered */
extern void braze_round_tally_add_call(BrazeDelivery *delivery, const BrazeCall *call);
extern void braze_round_tally_add_request(BrazeDelivery *delivery, const BrazeRequest *request);

/*
 * In the transaction of a settle, when a second is over; and how that ended,
 * before anything more is added.
 */
extern void braze_round_tally_ride(void);
extern void braze_round_tally_ridden(bool committed);

/* until the sums are to be written without a settle, -1: there are none */
extern long braze_round_tally_wait(void);

/* in a transaction of its own: then, and when the worker ends */
extern void braze_round_tally_save(void);

#endif							/* BRAZE_ROUND_TALLY_H */
